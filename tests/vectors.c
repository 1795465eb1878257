/* The vectors' reader. */
#include "tests/vectors.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/fixture.h"

uint8_t *vector_file(const char *folder, const char *name, size_t *size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s/%s", OTTER_VECTORS, folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s cannot be read", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    bytes[*size] = '\0';
    fclose(f);
    return bytes;
}

cJSON *vector_cases(const char *folder)
{
    size_t size;
    char *text = (char *)vector_file(folder, "cases.json", &size);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    free(text);
    return json;
}

const char *vector_string(const cJSON *o, const char *name)
{
    const cJSON *s = cJSON_GetObjectItem(o, name);
    if (!cJSON_IsString(s)) fail_msg("no string \"%s\"", name);
    return s->valuestring;
}

int64_t vector_number(const cJSON *o, const char *name)
{
    const cJSON *n = cJSON_GetObjectItem(o, name);
    if (cJSON_IsString(n)) return strtoll(n->valuestring, NULL, 0);
    if (!cJSON_IsNumber(n)) fail_msg("no number \"%s\"", name);
    return (int64_t)n->valuedouble;
}
