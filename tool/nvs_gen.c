/* CSV to NVS partition. Follows the reference generator also where that is odd, with a warning; where it crashes, this
 * is an error. Does not know the runtime store: generated pages are filled by other rules. */
#define _POSIX_C_SOURCE 200809L
#include "tool/nvs_gen.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "format/crc32.h"
#include "format/nvs.h"
#include "tool/nvs_csv.h"
#include "tool/nvs_value.h"

enum { BLOB_V1_MAX = 1984, ENTRY_MAX = 96, NAMESPACES = 255, FILE_MAX = 1 << 20, LAST_NAMESPACE = 254 };
enum { KEY = 8, DATA = 24 }; /* in an entry */

struct column {
    const char *key, *type, *encoding, *value; /* NULL: the row is too short */
};

/* Entries grow when a key has characters of several bytes: the generator inserts what is too much. */
struct entry {
    uint8_t raw[ENTRY_MAX];
    size_t size;
};

struct seen {
    uint8_t ns;
    char key[64];
};

struct gen {
    struct nvs_gen *g;
    struct csv csv;
    struct column row;
    uint8_t *page; /* the current one */
    unsigned slot; /* the next in it */
    unsigned pages, pages_max;
    unsigned namespaces;
    char *names[NAMESPACES + 1];
    struct seen *seen; /* keys so far */
    size_t seen_count;
    bool wifi_done;
    char *ap_ssid, *ap_passwd, *ap_authmode;
};

/* ---- complaints ---- */

static enum otter_err fail(struct gen *s, enum otter_err e, const char *fmt, ...)
{
    va_list args;
    int n = snprintf(s->g->text, sizeof s->g->text, "line %u: ", s->csv.line);
    va_start(args, fmt);
    vsnprintf(s->g->text + n, sizeof s->g->text - (size_t)n, fmt, args);
    va_end(args);
    return e;
}

static void warn(struct gen *s, const char *fmt, ...)
{
    char text[256];
    va_list args;
    if (!s->g->warn) return;
    int n = s->csv.line ? snprintf(text, sizeof text, "line %u: ", s->csv.line) : 0;
    va_start(args, fmt);
    vsnprintf(text + n, sizeof text - (size_t)n, fmt, args);
    va_end(args);
    s->g->warn(s->g->ctx, text);
}

/* ---- pages ---- */

static enum otter_err new_page(struct gen *s)
{
    if (s->page) otter_put32(s->page, OTTER_NVS_PAGE_FULL);
    if (s->pages == s->pages_max)
        return fail(s, OTTER_NVS_FULL,
                    "the table needs more than the %u pages that %u bytes give; make the partition larger",
                    s->pages_max, s->g->size);
    s->page = s->g->bin + (size_t)s->pages * OTTER_NVS_PAGE_SIZE;
    otter_nvs_header_write(s->pages++, s->g->version == 1 ? OTTER_NVS_V1 : OTTER_NVS_V2, s->page);
    s->slot = 0;
    return OTTER_OK;
}

/* Puts bytes where the next slots are and marks as many; bytes may be more or less than that. */
static enum otter_err put_slots(struct gen *s, const uint8_t *bytes, size_t size, unsigned slots)
{
    size_t off = OTTER_NVS_FIRST + (size_t)s->slot * OTTER_NVS_ENTRY;
    if (size > OTTER_NVS_PAGE_SIZE - off)
        return fail(s, OTTER_ARG, "key \"%s\": its characters of several bytes do not fit into the page", s->row.key);
    if (size) memcpy(s->page + off, bytes, size);
    for (; slots; slots--) otter_nvs_slot_set(s->page + OTTER_NVS_HEADER, s->slot++, OTTER_NVS_WRITTEN);
    return OTTER_OK;
}

static void entry_start(struct entry *e, unsigned ns, unsigned type, const char *key)
{
    size_t bytes = strlen(key), chars;
    if (!nvs_utf8_count(key, bytes, &chars)) chars = bytes;
    memset(e->raw, 0xFF, sizeof e->raw);
    e->raw[0] = (uint8_t)ns;
    e->raw[1] = (uint8_t)type;
    e->raw[2] = 1;
    memset(e->raw + KEY, 0, OTTER_NVS_NAME_SIZE + bytes - chars);
    memcpy(e->raw + KEY, key, bytes);
    e->size = OTTER_NVS_ENTRY + bytes - chars;
}

static enum otter_err put_entry(struct gen *s, struct entry *e)
{
    uint32_t crc = otter_crc32(UINT32_MAX, e->raw, 4);
    otter_put32(e->raw + 4, otter_crc32(crc, e->raw + KEY, OTTER_NVS_ENTRY - KEY));
    return put_slots(s, e->raw, e->size, 1);
}

static enum otter_err put_int(struct gen *s, const char *key, unsigned ns, unsigned type, uint64_t value)
{
    struct entry e;
    enum otter_err err = s->slot >= OTTER_NVS_SLOTS ? new_page(s) : OTTER_OK;
    if (err) return err;
    entry_start(&e, ns, type, key);
    for (unsigned i = 0; i < otter_nvs_int_size(type); i++) e.raw[DATA + i] = (uint8_t)(value >> 8 * i);
    return put_entry(s, &e);
}

static unsigned slots_of(size_t units) { return (unsigned)((units + OTTER_NVS_ENTRY - 1) / OTTER_NVS_ENTRY); }

static enum otter_err put_payload(struct gen *s, struct entry *e, const uint8_t *bytes, size_t size, size_t units)
{
    e->raw[2] = (uint8_t)(slots_of(units) + 1);
    otter_put16(e->raw + DATA, (uint16_t)units);
    otter_put32(e->raw + DATA + 4, otter_crc32(UINT32_MAX, bytes, size));
    enum otter_err err = put_entry(s, e);
    return err ? err : put_slots(s, bytes, size, slots_of(units));
}

/* Version 2: as many chunks as it takes, and an index. */
static enum otter_err put_chunks(struct gen *s, struct entry *e, const struct nvs_value *v)
{
    size_t left = v->units, at = 0;
    unsigned chunks = 0;
    do {
        size_t room = (size_t)(OTTER_NVS_SLOTS - 1 - s->slot) * OTTER_NVS_ENTRY, units = left < room ? left : room;
        size_t size = v->units == v->size ? units : nvs_utf8_bytes(v->bytes + at, v->size - at, units);
        if (chunks == UINT8_MAX) return fail(s, OTTER_NVS_TOO_LONG, "key \"%s\": the blob is too long", s->row.key);
        e->raw[1] = OTTER_NVS_BLOB_DATA;
        e->raw[3] = (uint8_t)chunks++;
        enum otter_err err = put_payload(s, e, v->bytes + at, size, units);
        left -= units;
        at += size;
        if (!err && (left || room - units < OTTER_NVS_ENTRY)) err = new_page(s);
        if (err) return err;
    } while (left);
    if (chunks > OTTER_NVS_CHUNKS) warn(s, "key \"%s\": a device reads no blob of more than 127 chunks", s->row.key);
    memset(e->raw + DATA, 0xFF, 8);
    e->raw[1] = OTTER_NVS_BLOB_INDEX;
    e->raw[2] = 1;
    e->raw[3] = OTTER_NVS_NO_CHUNK;
    otter_put32(e->raw + DATA, (uint32_t)v->units);
    e->raw[DATA + 4] = (uint8_t)chunks;
    e->raw[DATA + 5] = 0;
    return put_entry(s, e);
}

static enum otter_err put_long(struct gen *s, const char *key, bool string, const struct nvs_value *v)
{
    bool chunked = s->g->version == 2 && !string;
    unsigned slots = slots_of(v->units) + 1;
    size_t max = s->g->version == 1 ? BLOB_V1_MAX : OTTER_NVS_CHUNK_MAX;
    struct entry e;
    enum otter_err err = OTTER_OK;
    if (!chunked && v->units > max)
        return fail(s, OTTER_NVS_TOO_LONG, "key \"%s\": %zu bytes are more than the %zu that are possible", key,
                    v->units, max);
    bool full = s->slot >= OTTER_NVS_SLOTS || (!chunked && s->slot + slots >= OTTER_NVS_SLOTS);
    if (full && !chunked && slots >= OTTER_NVS_SLOTS)
        return fail(
            s, OTTER_NVS_TOO_LONG,
            "key \"%s\": a table takes strings of at most 3,967 bytes; set longer ones in the finished partition", key);
    if (full) err = new_page(s);
    if (err) return err;
    entry_start(&e, s->namespaces, string ? OTTER_NVS_STRING : OTTER_NVS_BLOB, key);
    return chunked ? put_chunks(s, &e, v) : put_payload(s, &e, v->bytes, v->size, v->units);
}

/* ---- values ---- */

static bool equal_nocase(const char *a, const char *b)
{
    while (*a && ((*a | 0x20) == *b || *a == *b)) a++, b++;
    return *a == *b;
}

/* The file that a row names. */
static enum otter_err read_named(struct gen *s, const char *name, struct nvs_value *out)
{
    char path[1024];
    bool relative = s->g->folder && name[0] != '/';
    snprintf(path, sizeof path, "%s%s%s", relative ? s->g->folder : "", relative ? "/" : "", name);
    FILE *f = fopen(path, "rb");
    if (!f) return fail(s, OTTER_ARG, "file \"%s\" cannot be read", path);
    out->bytes = malloc(FILE_MAX + 1);
    out->size = out->bytes ? fread(out->bytes, 1, FILE_MAX + 1, f) : 0;
    out->units = out->size;
    fclose(f);
    return out->bytes && out->size <= FILE_MAX ? OTTER_OK
                                               : fail(s, OTTER_NVS_TOO_LONG, "file \"%s\" is too long", path);
}

static enum otter_err write_int(struct gen *s, const char *key, unsigned type, const struct nvs_value *text)
{
    bool negative;
    uint64_t magnitude;
    const char *why = nvs_value_int((const char *)text->bytes, text->size, &negative, &magnitude);
    uint64_t value = negative ? 0 - magnitude : magnitude;
    if (!why && magnitude && (negative != (type & 0x10 && value >> 63) || !otter_nvs_int_fits(type, value)))
        why = "a number that the encoding has no room for";
    if (why) return fail(s, OTTER_ARG, "key \"%s\" has %s as %s", key, why, otter_nvs_type_name(type));
    return put_int(s, key, s->namespaces, type, value);
}

static const char *decode(const char *encoding, const char *text, size_t size, bool is_file, struct nvs_value *out)
{
    size_t chars;
    const char *e;
    if (!strcmp(encoding, "hex2bin")) return nvs_value_hex(text, size, out);
    if (!strcmp(encoding, "base64")) return nvs_value_base64(text, size, out);
    bool string = equal_nocase(encoding, "string");
    if (string && is_file && !nvs_utf8_count(text, size, &chars)) return "the file is no UTF-8 text";
    e = nvs_value_copy(text, size, !strcmp(encoding, "string"), out);
    if (!e && !string && !is_file && nvs_utf8_count(text, size, &chars)) out->units = chars;
    return e;
}

/* The generator compares names of encodings in small letters only when it decodes. */
static bool is_long(const char *encoding, bool *exact)
{
    static const char *const names[] = {"string", "binary", "hex2bin", "base64"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!equal_nocase(encoding, names[i])) continue;
        *exact = !strcmp(encoding, names[i]);
        return true;
    }
    return false;
}

static enum otter_err write_long(struct gen *s, const char *key, const char *encoding, const struct nvs_value *text,
                                 bool is_file)
{
    struct nvs_value v = {NULL, 0, 0};
    bool string = equal_nocase(encoding, "string"), exact = true;
    (void)is_long(encoding, &exact);
    if (string && is_file && !exact)
        return fail(s, OTTER_ARG, "key \"%s\": write the encoding \"string\" in small letters", key);
    if (!exact && !equal_nocase(encoding, "binary"))
        warn(s, "key \"%s\": encoding \"%s\" is not in small letters, so the text is stored as it stands%s", key,
             encoding, string ? ", without an end" : "");
    const char *why = decode(encoding, (const char *)text->bytes, text->size, is_file, &v);
    if (why) return fail(s, OTTER_ARG, "key \"%s\": %s", key, why);
    if (v.units != v.size) warn(s, "key \"%s\": the text is not ASCII, so its stored size is too small", key);
    enum otter_err e = put_long(s, key, string, &v);
    free(v.bytes);
    return e;
}

static unsigned int_type(const char *encoding)
{
    static const char *const names[] = {"u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (equal_nocase(encoding, names[i])) return otter_nvs_type_by_name(names[i]);
    return 0;
}

static bool is_fill(const char *encoding)
{
    return strncmp(encoding, "blob_fill", 9) == 0 || strncmp(encoding, "blob_sz_fill", 12) == 0;
}

static enum otter_err write_fill(struct gen *s, const char *key, const char *encoding, const struct nvs_value *text)
{
    struct nvs_value v;
    const char *why = nvs_value_fill(encoding, (const char *)text->bytes, &v);
    if (why) return fail(s, OTTER_ARG, "key \"%s\": %s: %s", key, encoding, why);
    enum otter_err e = put_long(s, key, false, &v);
    free(v.bytes);
    return e;
}

/* text->bytes NULL: there is no such column. */
static enum otter_err write_value(struct gen *s, const char *key, const char *encoding, const struct nvs_value *text,
                                  bool is_file)
{
    if (!encoding)
        return fail(s, OTTER_ARG, "key \"%s\": the row has no encoding (comments start with # in the first column)",
                    key);
    if (is_fill(encoding) && is_file) return fail(s, OTTER_ARG, "key \"%s\": %s takes no file", key, encoding);
    if (is_fill(encoding)) return write_fill(s, key, encoding, text);
    unsigned type = int_type(encoding);
    bool exact;
    if (!type && !is_long(encoding, &exact))
        return fail(s, OTTER_ARG, "key \"%s\": there is no encoding \"%s\"", key, encoding);
    if (!text->bytes) return fail(s, OTTER_ARG, "key \"%s\": the row has no value", key);
    if (type) return write_int(s, key, type, text);
    return write_long(s, key, encoding, text, is_file);
}

/* A value that is no row of the table. */
static enum otter_err write_extra(struct gen *s, const char *key, uint8_t *bytes, size_t size)
{
    const struct nvs_value v = {bytes, size, size};
    return put_long(s, key, false, &v);
}

/* ---- Wi-Fi: some keys bring others with them ---- */

static bool replace_text(char **to, const char *value)
{
    free(*to);
    *to = value ? strdup(value) : NULL;
    return *to || !value;
}

static enum otter_err note_ap(struct gen *s)
{
    const char *key = s->row.key, *value = s->row.value;
    uint8_t info[132] = {0};
    bool ok = true;
    if (!strcmp(key, "ap.ssid"))
        ok = replace_text(&s->ap_ssid, value);
    else if (!strcmp(key, "ap.passwd"))
        ok = replace_text(&s->ap_passwd, value);
    else if (strcmp(key, "ap.authmode") != 0)
        return OTTER_OK;
    else if (!value || strcmp(value, "0") != 0)
        ok = replace_text(&s->ap_authmode, value);
    if (!ok) return fail(s, OTTER_ARG, "no memory");
    if (!s->ap_ssid || !*s->ap_ssid || !s->ap_passwd || !*s->ap_passwd || !s->ap_authmode || !*s->ap_authmode)
        return OTTER_OK;
    warn(s, "ap.ssid, ap.passwd and ap.authmode are all there: ap.pmk_info is added");
    PKCS5_PBKDF2_HMAC_SHA1(s->ap_passwd, (int)strlen(s->ap_passwd), (const uint8_t *)s->ap_ssid,
                           (int)strlen(s->ap_ssid), 4096, 32, info + 100);
    return write_extra(s, "ap.pmk_info", info, sizeof info);
}

static bool is_station(const char *key) { return !strcmp(key, "sta.ssid") || !strcmp(key, "sta.pswd"); }

/* Such a row is written as data, whatever its type. */
static enum otter_err write_station(struct gen *s)
{
    struct nvs_value text = {(uint8_t *)(uintptr_t)s->row.value, s->row.value ? strlen(s->row.value) : 0, 0};
    uint8_t apinfo[140], zeros[32] = {0};
    enum otter_err e = write_value(s, s->row.key, s->row.encoding, &text, false);
    if (e || s->wifi_done) return e;
    s->wifi_done = true;
    warn(s, "key \"%s\" brings sta.apinfo, sta.pmk and sta.apsw with it", s->row.key);
    memset(apinfo, 0xFF, sizeof apinfo);
    e = write_extra(s, "sta.apinfo", apinfo, sizeof apinfo);
    if (!e) e = write_extra(s, "sta.pmk", zeros, sizeof zeros);
    return e ? e : write_extra(s, "sta.apsw", zeros, 2);
}

/* ---- rows ---- */

static enum otter_err write_namespace(struct gen *s)
{
    for (unsigned i = 1; i <= s->namespaces; i++) {
        if (strcmp(s->names[i], s->row.key) != 0) continue;
        if (i != s->namespaces)
            warn(s, "namespace \"%s\" was there before; what follows goes into \"%s\", the one that was new last",
                 s->row.key, s->names[s->namespaces]);
        return OTTER_OK;
    }
    if (s->namespaces == NAMESPACES) return fail(s, OTTER_NVS_FULL, "there are more than 255 namespaces");
    if (!(s->names[++s->namespaces] = strdup(s->row.key))) return fail(s, OTTER_ARG, "no memory");
    if (s->namespaces > LAST_NAMESPACE) warn(s, "a device reads no more than 254 namespaces");
    return put_int(s, s->row.key, 0, OTTER_NVS_U8, s->namespaces);
}

/* The generator takes the same key twice without a word. */
static enum otter_err note_key(struct gen *s)
{
    for (size_t i = 0; i < s->seen_count; i++)
        if (s->seen[i].ns == s->namespaces && !strcmp(s->seen[i].key, s->row.key))
            warn(s, "key \"%s\" is there twice in its namespace; both are written", s->row.key);
    struct seen *more = realloc(s->seen, (s->seen_count + 1) * sizeof *more);
    if (!more) return fail(s, OTTER_ARG, "no memory");
    s->seen = more;
    more[s->seen_count].ns = (uint8_t)s->namespaces;
    snprintf(more[s->seen_count++].key, sizeof more->key, "%s", s->row.key);
    if (!s->namespaces) warn(s, "key \"%s\" stands before any namespace, where no device finds it", s->row.key);
    return OTTER_OK;
}

static enum otter_err check_key(struct gen *s)
{
    size_t chars, bytes;
    if (!s->row.key) return fail(s, OTTER_ARG, "the row has no key");
    bytes = strlen(s->row.key);
    if (!nvs_utf8_count(s->row.key, bytes, &chars)) return fail(s, OTTER_ARG, "the key is no UTF-8 text");
    if (chars >= OTTER_NVS_NAME_SIZE)
        return fail(s, OTTER_NVS_NAME, "the name \"%s\" has %zu characters; 15 are possible", s->row.key, chars);
    if (!chars) warn(s, "the name is empty, so no device finds it");
    if (chars != bytes)
        warn(s, "the name \"%s\" is not ASCII, which shifts its entry, so no device finds it", s->row.key);
    return OTTER_OK;
}

static enum otter_err write_row(struct gen *s)
{
    bool is_namespace = s->row.type && !strcmp(s->row.type, "namespace"),
         is_file = s->row.type && !strcmp(s->row.type, "file");
    struct nvs_value text = {(uint8_t *)(uintptr_t)s->row.value, s->row.value ? strlen(s->row.value) : 0, 0},
                     file = {NULL, 0, 0};
    enum otter_err e = check_key(s);
    if (!e && !is_namespace) e = note_key(s);
    if (!e) e = note_ap(s);
    if (e) return e;
    if (is_station(s->row.key)) return write_station(s);
    if (is_namespace) return write_namespace(s);
    if (!is_file) return write_value(s, s->row.key, s->row.encoding, &text, false);
    if (!s->row.value) return fail(s, OTTER_ARG, "key \"%s\": the row names no file", s->row.key);
    e = read_named(s, s->row.value, &file);
    if (!e) e = write_value(s, s->row.key, s->row.encoding, &file, true);
    free(file.bytes);
    return e;
}

/* ---- the table ---- */

/* Which column is which; of two with one name the last counts. */
struct header {
    int key, type, encoding, value;
};

static int column_of(const struct csv *c, const char *name)
{
    int found = -1;
    for (unsigned i = 0; i < c->fields; i++)
        if (!strcmp(c->field[i], name)) found = (int)i;
    return found;
}

static const char *field(const struct csv *c, int column)
{
    return (unsigned)column < c->fields ? c->field[column] : NULL;
}

static enum otter_err write_rows(struct gen *s)
{
    if (!csv_row(&s->csv)) return OTTER_OK;
    struct header h = {column_of(&s->csv, "key"), column_of(&s->csv, "type"), column_of(&s->csv, "encoding"),
                       column_of(&s->csv, "value")};
    while (csv_row(&s->csv)) {
        if (!s->csv.fields) continue;
        if (h.key < 0 || h.type < 0 || h.encoding < 0 || h.value < 0) {
            s->csv.line = 1;
            return fail(s, OTTER_ARG,
                        "the first row must be key,type,encoding,value (in any order, nothing before it but comments)");
        }
        s->row = (struct column){field(&s->csv, h.key), field(&s->csv, h.type), field(&s->csv, h.encoding),
                                 field(&s->csv, h.value)};
        enum otter_err e = write_row(s);
        if (e) return e;
    }
    return OTTER_OK;
}

static enum otter_err check_input(struct gen *s, const char *csv, size_t size)
{
    size_t chars;
    if (!s->g->size || s->g->size % OTTER_NVS_PAGE_SIZE) {
        snprintf(s->g->text, sizeof s->g->text,
                 "a partition's size must be a multiple of 4096 bytes, at least one page to be read, "
                 "three to be written");
        return OTTER_ARG;
    }
    if (memchr(csv, 0, size) || !nvs_utf8_count(csv, size, &chars)) {
        snprintf(s->g->text, sizeof s->g->text, "the table is no UTF-8 text");
        return OTTER_ARG;
    }
    return OTTER_OK;
}

static enum otter_err generate(struct gen *s, const char *csv, size_t size)
{
    unsigned pages = s->g->size / OTTER_NVS_PAGE_SIZE;
    bool read_only = pages < 3;
    s->pages_max = read_only ? pages : pages - 1;
    s->g->bin = malloc(s->g->size);
    if (!s->g->bin || !csv_start(&s->csv, csv, size)) return OTTER_ARG;
    memset(s->g->bin, 0xFF, s->g->size);
    if (read_only) warn(s, "below 3 pages a partition can only be read; mark it \"readonly\" in the partition table");
    enum otter_err e = new_page(s);
    if (!e) e = write_rows(s);
    s->g->bin_size = read_only ? (size_t)s->pages * OTTER_NVS_PAGE_SIZE : s->g->size;
    return e;
}

enum otter_err nvs_gen(struct nvs_gen *g, const char *csv, size_t csv_size)
{
    struct gen s = {.g = g};
    g->bin = NULL;
    g->bin_size = 0;
    strcpy(g->text, "no memory");
    enum otter_err e = check_input(&s, csv, csv_size);
    if (!e) e = generate(&s, csv, csv_size);
    csv_end(&s.csv);
    for (unsigned i = 1; i <= s.namespaces; i++) free(s.names[i]);
    free(s.seen);
    free(s.ap_ssid);
    free(s.ap_passwd);
    free(s.ap_authmode);
    if (!e) return e;
    free(g->bin);
    g->bin = NULL;
    return e;
}
