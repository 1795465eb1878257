/* Looks at text before anybody trusts it. */
#include "doors/text.h"

#include <cJSON.h>
#include <string.h>

unsigned otter_utf8_length(const unsigned char *p)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    uint32_t c = n > 1 ? p[0] & (0x7Fu >> n) : p[0];
    for (unsigned i = 1; i < n; i++) {
        if (p[i] >> 6 != 2) return 0;
        c = c << 6 | (p[i] & 0x3F);
    }
    return n && c >= least[n] && c <= 0x10FFFF && c >> 11 != 0x1B ? n : 0;
}

size_t otter_utf8_count(const char *text)
{
    size_t count = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; count++) {
        unsigned n = otter_utf8_length(p);
        if (!n || *p < ' ' || *p == 0x7F) return SIZE_MAX;
        p += n;
    }
    return count;
}

int otter_hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = c ? strchr(digits, c | 0x20) : NULL;
    return p ? (int)(p - digits) : -1;
}

bool otter_hex32(const char *text, uint8_t out[32])
{
    if (strlen(text) != 64) return false;
    for (unsigned i = 0; i < 64; i++) {
        int digit = otter_hex_digit(text[i]);
        if (digit < 0) return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | digit);
    }
    return true;
}

/* ---- JSON ---- */

/* Each value but the first has a comma, a bracket or a brace in front of it. */
static bool is_small(const char *text, size_t size)
{
    unsigned values = 1, depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        /* A NUL, which cJSON takes for a blank. */
        if (!text[i]) return false;
        if (quoted && text[i] == '\\') {
            i++;
            /* The same: cJSON's texts would end there, unseen. */
            if (size - i >= 5 && memcmp(text + i, "u0000", 5) == 0) return false;
        } else if (text[i] == '"') {
            quoted = !quoted;
        }
        if (quoted) continue;
        if (strchr(",[{", text[i])) values++;
        if (strchr("[{", text[i])) depth++;
        if (strchr("]}", text[i]) && depth) depth--;
        if (values > OTTER_JSON_VALUES || depth > OTTER_JSON_DEPTH) return false;
    }
    return true;
}

static bool is_among(const cJSON *item, const char *name)
{
    while (item && strcmp(item->string, name) != 0) item = item->next;
    return item;
}

/* Of two values by one name each reader takes another one. As deep as is_small() lets it be. */
static bool names_once(const cJSON *json)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        if (cJSON_IsObject(json) && is_among(item->next, item->string)) return false;
        if (!names_once(item)) return false;
    }
    return true;
}

cJSON *otter_json_read(const char *text, size_t size)
{
    const char *end = text;
    if (!is_small(text, size)) return NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(text, size, &end, 0);
    while (json && end < text + size && strchr(" \t\r\n", *end) && *end) end++;
    if (end == text + size && names_once(json)) return json;
    cJSON_Delete(json);
    return NULL;
}

const char *otter_json_text(const cJSON *object, const char *name, size_t most)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    if (!text || !*text || strlen(text) > most) return NULL;
    return otter_utf8_count(text) == SIZE_MAX ? NULL : text;
}

void otter_json_add_text(cJSON *object, const char *name, const char *text)
{
    char clean[256];
    size_t i = 0;
    for (; text[i] && i < sizeof clean - 1; i++) clean[i] = text[i] >= ' ' && text[i] < 127 ? text[i] : '?';
    clean[i] = '\0';
    cJSON_AddStringToObject(object, name, clean);
}
