/* Prints and reads JSON. */
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

const char *tool_json_text(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

double tool_json_number(const cJSON *object, const char *name, double max)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(n) && n->valuedouble >= 0 && n->valuedouble <= max ? n->valuedouble : -1;
}
