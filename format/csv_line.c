/* Lines out of bytes, fields out of lines. Does not know what the fields mean. */
#include "format/csv_line.h"

#include <string.h>

#include "format/text.h"

enum encoding { UTF8, UTF16_LE, UTF16_BE };

void otter_csv_start(struct otter_csv_reader *r, const void *bytes, size_t size, const struct otter_csv_env *env)
{
    memset(r, 0, sizeof *r);
    r->bytes = bytes;
    r->size = size;
    r->env = *env;
    if (size >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) r->at = 3;
    if (size >= 2 && memcmp(bytes, "\xFF\xFE", 2) == 0) r->encoding = UTF16_LE;
    if (size >= 2 && memcmp(bytes, "\xFE\xFF", 2) == 0) r->encoding = UTF16_BE;
    if (r->encoding != UTF8) r->at = 2;
}

/* ---- characters ---- */

static uint32_t utf16_unit(const struct otter_csv_reader *r, size_t at)
{
    uint8_t first = (uint8_t)r->bytes[at], second = (uint8_t)r->bytes[at + 1];
    return r->encoding == UTF16_LE ? (uint32_t)(first | second << 8) : (uint32_t)(first << 8 | second);
}

/* Bytes that the next character takes, 0 if it is none. */
static unsigned utf16_read(const struct otter_csv_reader *r, uint32_t *c)
{
    size_t left = r->size - r->at;
    if (left < 2) return 0;
    *c = utf16_unit(r, r->at);
    if (*c < 0xD800 || *c > 0xDFFF) return 2;
    if (*c > 0xDBFF || left < 4) return 0;
    uint32_t low = utf16_unit(r, r->at + 2);
    if (low < 0xDC00 || low > 0xDFFF) return 0;
    *c = 0x10000 + ((*c - 0xD800) << 10) + (low - 0xDC00);
    return 4;
}

static unsigned read_character(const struct otter_csv_reader *r, uint32_t *c)
{
    return r->encoding == UTF8 ? otter_utf8_read(r->bytes + r->at, r->size - r->at, c) : utf16_read(r, c);
}

static bool ends_line(uint32_t c)
{
    return (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || c == '\t' || c == 0x1F || ends_line(c) || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F || c == 0x3000;
}

struct otter_slice otter_slice_trim(struct otter_slice s)
{
    size_t start = s.n, end = s.n;
    for (size_t at = 0; at < s.n;) {
        uint32_t c = 0xFFFD;
        unsigned length = otter_utf8_read(s.p + at, s.n - at, &c);
        if (!length) length = 1;
        if (!is_blank(c)) {
            if (start == s.n) start = at;
            end = at + length;
        }
        at += length;
    }
    return (struct otter_slice){s.p + start, end - start};
}

bool otter_slice_is(struct otter_slice s, const char *text)
{
    return strlen(text) == s.n && memcmp(s.p, text, s.n) == 0;
}

/* ---- lines ---- */

static void add_character(struct otter_csv_reader *r, uint32_t c)
{
    char bytes[4];
    unsigned length = otter_utf8_write(c, bytes);
    if (r->n + length >= sizeof r->raw) {
        r->too_long = true;
        return;
    }
    memcpy(r->raw + r->n, bytes, length);
    r->n += length;
}

/* The next line into raw; what is too long for it is dropped and noted. */
static enum otter_csv_state read_line(struct otter_csv_reader *r)
{
    r->n = 0;
    r->too_long = false;
    if (r->at == r->size) return OTTER_CSV_END;
    r->line++;
    while (r->at < r->size) {
        uint32_t c, next;
        unsigned length = read_character(r, &c);
        if (!length) return OTTER_CSV_ENCODING;
        r->at += length;
        if (c == '\r' && r->at < r->size && (length = read_character(r, &next)) && next == '\n') r->at += length;
        if (ends_line(c)) break;
        add_character(r, c);
    }
    return OTTER_CSV_ROW;
}

/* ---- variables ---- */

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_word(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }

/* The variable at p, which starts with a dollar sign: its name, and how much of the text it takes; 0 if it is none. */
static size_t variable_at(const char *p, size_t n, struct otter_slice *name)
{
    if (n > 1 && p[1] == '{') {
        const char *end = memchr(p, '}', n);
        if (!end) return 0;
        *name = (struct otter_slice){p + 2, (size_t)(end - p) - 2};
        return name->n + 3;
    }
    size_t length = 1;
    while (length < n && is_word(p[length])) length++;
    *name = (struct otter_slice){p + 1, length - 1};
    return length > 1 ? length : 0;
}

static const char *value_of(const struct otter_csv_env *env, struct otter_slice name)
{
    char text[128];
    if (!env->get || name.n >= sizeof text) return NULL;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    return env->get(env->ctx, text);
}

static void add_text(struct otter_csv_reader *r, struct otter_slice s)
{
    if (s.n >= sizeof r->text - r->n) {
        r->too_long = true;
        return;
    }
    memcpy(r->text + r->n, s.p, s.n);
    r->n += s.n;
}

/* From raw to text. A variable that is not set stays as it stands. */
static void put_variables_in(struct otter_csv_reader *r)
{
    size_t size = r->n;
    r->n = 0;
    for (size_t at = 0; at < size;) {
        struct otter_slice name, as_is = {r->raw + at, 1};
        size_t length = r->raw[at] == '$' ? variable_at(r->raw + at, size - at, &name) : 0;
        const char *value = length ? value_of(&r->env, name) : NULL;
        if (length) as_is.n = length;
        add_text(r, value ? (struct otter_slice){value, strlen(value)} : as_is);
        at += as_is.n;
    }
}

/* ---- fields ---- */

static void split(struct otter_csv_reader *r, struct otter_slice line)
{
    for (unsigned i = 0; i < OTTER_CSV_FIELDS; i++) {
        const char *comma = line.n ? memchr(line.p, ',', line.n) : NULL;
        size_t n = comma ? (size_t)(comma - line.p) : line.n;
        r->field[i] = otter_slice_trim((struct otter_slice){line.p, n});
        if (comma) n++;
        line.p += n;
        line.n -= n;
    }
}

static bool starts_with_variable(struct otter_csv_reader *r)
{
    struct otter_slice name;
    if (r->n < 2 || r->text[0] != '$' || !is_letter(r->text[1])) return false;
    variable_at(r->text, r->n, &name);
    r->field[0] = name;
    return true;
}

enum otter_csv_state otter_csv_next(struct otter_csv_reader *r)
{
    for (;;) {
        enum otter_csv_state state = read_line(r);
        if (state != OTTER_CSV_ROW) return state;
        put_variables_in(r);
        if (starts_with_variable(r)) return OTTER_CSV_VARIABLE;
        struct otter_slice line = otter_slice_trim((struct otter_slice){r->text, r->n});
        if (line.n == 0 && !r->too_long) continue;
        if (line.n && line.p[0] == '#') continue;
        if (r->too_long) return OTTER_CSV_TOO_LONG;
        split(r, line);
        return OTTER_CSV_ROW;
    }
}
