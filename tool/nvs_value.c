/* Decimal numbers, hex, base64, filled blobs and UTF-8. Knows nothing of where values are stored. */
#include "tool/nvs_value.h"

#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"

static const char no_memory[] = "no memory";

enum { FILL_MAX = 1 << 20 };

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= 0x1F); }

static void strip(const char **text, size_t *size)
{
    while (*size && is_blank(**text)) ++*text, --*size;
    while (*size && is_blank((*text)[*size - 1])) --*size;
}

const char *nvs_value_int(const char *text, size_t size, bool *negative, uint64_t *magnitude)
{
    static const char no_number[] = "not a decimal number";
    bool digit = false;
    strip(&text, &size);
    *negative = size && *text == '-';
    *magnitude = 0;
    if (size && (*text == '-' || *text == '+')) text++, size--;
    for (; size; text++, size--) {
        if (*text == '_' && digit && size > 1) {
            digit = false;
            continue;
        }
        digit = *text >= '0' && *text <= '9';
        if (!digit) return no_number;
        unsigned d = (unsigned)(*text - '0');
        if (*magnitude > (UINT64_MAX - d) / 10) return "a number beyond 64 bits";
        *magnitude = *magnitude * 10 + d;
    }
    return digit ? NULL : no_number;
}

static const char *allocate(struct nvs_value *out, size_t size)
{
    out->bytes = malloc(size + 1);
    out->size = out->units = size;
    return out->bytes ? NULL : no_memory;
}

static const char *give_up(struct nvs_value *out, const char *why)
{
    free(out->bytes);
    out->bytes = NULL;
    return why;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

const char *nvs_value_hex(const char *text, size_t size, struct nvs_value *out)
{
    strip(&text, &size);
    if (size % 2) return "an odd number of hex digits";
    const char *e = allocate(out, size / 2);
    for (size_t i = 0; !e && i < size; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) return give_up(out, "not a hex digit");
        out->bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    return e;
}

static unsigned base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c ? strchr(digits, c) : NULL;
    return p ? (unsigned)(p - digits) : 64;
}

/* Characters that are no base64 are passed over; padding ends it. */
const char *nvs_value_base64(const char *text, size_t size, struct nvs_value *out)
{
    unsigned place = 0, pads = 0, bits = 0;
    size_t n = 0;
    const char *e = allocate(out, size / 4 * 3 + 3);
    if (e) return e;
    for (size_t i = 0; i < size; i++) {
        unsigned digit = base64_digit(text[i]);
        if (text[i] == '=' && place >= 2 && place + ++pads >= 4) {
            place = 0;
            break;
        }
        if (digit > 63) continue;
        pads = 0;
        bits = bits << 6 | digit;
        if (place) out->bytes[n++] = (uint8_t)(bits >> (6 - 2 * place));
        place = (place + 1) % 4;
    }
    out->size = out->units = n;
    return place ? give_up(out, "base64 that is not complete") : NULL;
}

/* "(LENGTH;0xNN)"; what follows is not looked at. */
static bool fill_arguments(const char *p, size_t *length, uint8_t *padding)
{
    if (*p++ != '(') return false;
    if (*p < '0' || *p > '9') return false;
    for (*length = 0; *p >= '0' && *p <= '9'; p++)
        if (*length <= FILL_MAX) *length = *length * 10 + (size_t)(*p - '0');
    if (strncmp(p, ";0x", 3) != 0 || hex_digit(p[3]) < 0 || hex_digit(p[4]) < 0 || p[5] != ')') return false;
    *padding = (uint8_t)(hex_digit(p[3]) << 4 | hex_digit(p[4]));
    return true;
}

const char *nvs_value_fill(const char *encoding, const char *text, struct nvs_value *out)
{
    bool sized = strncmp(encoding, "blob_sz_fill", 12) == 0;
    size_t length, size = text ? strlen(text) : 0, head = sized ? 4 : 0;
    uint8_t padding;
    if (!fill_arguments(encoding + (sized ? 12 : 9), &length, &padding))
        return "the encoding must be like blob_fill(32;0x00)";
    if (size > length) return "the value is longer than the length to fill";
    if (length > FILL_MAX) return "the length to fill is too large";
    const char *e = allocate(out, head + length);
    if (e) return e;
    memset(out->bytes, padding, head + length);
    if (sized) otter_put32(out->bytes, (uint32_t)size);
    if (size) memcpy(out->bytes + head, text, size);
    return NULL;
}

const char *nvs_value_copy(const char *text, size_t size, size_t extra, struct nvs_value *out)
{
    const char *e = allocate(out, size + extra);
    if (e) return e;
    if (size) memcpy(out->bytes, text, size);
    memset(out->bytes + size, 0, extra);
    return NULL;
}

/* Bytes of the character that starts here, 0 if it is none. */
static size_t utf8_length(const uint8_t *p, size_t size)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xC2 && p[0] < 0xE0 ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : 4;
    if (n > size || p[0] > 0xF4 || (p[0] >= 0x80 && p[0] < 0xC2)) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if (n == 3 && ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F))) return 0;
    if (n == 4 && ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))) return 0;
    return n;
}

bool nvs_utf8_count(const char *text, size_t size, size_t *characters)
{
    const uint8_t *p = (const uint8_t *)text;
    *characters = 0;
    for (size_t at = 0, n; at < size; at += n, ++*characters)
        if (!(n = utf8_length(p + at, size - at))) return false;
    return true;
}

size_t nvs_utf8_bytes(const uint8_t *text, size_t size, size_t n)
{
    size_t at = 0;
    while (n-- && at < size) at += utf8_length(text + at, size - at);
    return at;
}
