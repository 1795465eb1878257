/* Prints JSON. */
#include "tool/json.h"

#include <stdio.h>
#include <stdlib.h>

void tool_print_json(cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (text) puts(text);
    free(text);
}
