/* JSON on stdout, as --json asks for it. */
#ifndef OTTER_TOOL_JSON_H
#define OTTER_TOOL_JSON_H

#include <cJSON.h>

/* Prints and deletes it. */
void tool_print_json(cJSON *json);

/* A string of an object that anybody may have written; NULL if there is none. */
const char *tool_json_text(const cJSON *object, const char *name);
/* A number from 0 to max; -1 if there is none. */
double tool_json_number(const cJSON *object, const char *name, double max);

#endif
