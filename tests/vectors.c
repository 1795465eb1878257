/* The vectors' reader. */
#include "tests/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- a flash as the otadata cases describe it ---- */

static bool named_in(const cJSON *list, const char *label)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list) if (strcmp(item->valuestring, label) == 0) return true;
    return false;
}

static void put_app(uint8_t *bytes, const cJSON *c, const char *label, uint32_t offset)
{
    char name[64];
    size_t size;
    if (named_in(cJSON_GetObjectItem(c, "erased_slots"), label)) return;
    const cJSON *version = cJSON_GetObjectItem(cJSON_GetObjectItem(c, "secure_version"), label);
    snprintf(name, sizeof name, "layouts/app_esp32c3_secver%d.bin", version ? version->valueint : 0);
    uint8_t *app = vector_file("otadata", name, &size);
    memcpy(bytes + offset, app, size);
    if (named_in(cJSON_GetObjectItem(c, "corrupt_images"), label)) bytes[offset + 0x120] ^= 1;
    free(app);
}

static void put_entry(uint8_t *at, const char *hex)
{
    for (unsigned i = 0; i < 32; i++) sscanf(hex + 2 * i, "%2hhx", &at[i]);
}

void vector_flash(uint8_t *bytes, const cJSON *c, const cJSON *layouts)
{
    char name[64];
    size_t size;
    const cJSON *p, *layout = cJSON_GetObjectItem(layouts, vector_string(c, "layout"));
    memset(bytes, 0xFF, VECTOR_FLASH);
    snprintf(name, sizeof name, "layouts/%s.bin", vector_string(c, "layout"));
    uint8_t *table = vector_file("otadata", name, &size);
    memcpy(bytes + 0x8000, table, size);
    free(table);
    cJSON_ArrayForEach(p, layout)
    {
        uint32_t offset = (uint32_t)vector_number(p, "offset");
        if (vector_number(p, "type") == 0) put_app(bytes, c, vector_string(p, "label"), offset);
        if (vector_number(p, "type") == 1 && vector_number(p, "subtype") == 0) {
            put_entry(bytes + offset, vector_string(c, "otadata0"));
            put_entry(bytes + offset + 0x1000, vector_string(c, "otadata1"));
        }
    }
}
