/* JSON on stdout, as --json asks for it. */
#ifndef OTTER_TOOL_JSON_H
#define OTTER_TOOL_JSON_H

#include <cJSON.h>

/* Prints and deletes it. */
void tool_print_json(cJSON *json);

#endif
