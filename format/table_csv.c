/* CSV rows to partitions and back. Knows neither files nor the environment. */
#include "format/table_csv.h"

#include <string.h>

#define LIMIT ((int64_t)1 << 40) /* numbers beyond it are all the same: too large */

enum { NAME, TYPE, SUBTYPE, OFFSET, SIZE, FLAGS };

static const char *const columns[] = {"name", "type", "subtype", "offset", "size", "flags"};

/* ---- numbers ---- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 36;
}

static int64_t clamp(int64_t v) { return v > LIMIT ? LIMIT : v < -LIMIT ? -LIMIT : v; }

/* Digits of a base, with single underscores between them. behind_prefix: the first one may be an underscore. */
static bool read_digits(struct otter_slice s, int base, bool behind_prefix, int64_t *v)
{
    bool may_pause = behind_prefix, any = false;
    *v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '_' && may_pause) {
            may_pause = false;
            continue;
        }
        int digit = digit_of(s.p[i]);
        if (digit >= base) return false;
        *v = clamp(*v * base + digit);
        may_pause = any = true;
    }
    return any && may_pause;
}

static int prefix_base(struct otter_slice s)
{
    if (s.n < 2 || s.p[0] != '0') return 10;
    switch (s.p[1] | 0x20) {
    case 'x': return 16;
    case 'o': return 8;
    case 'b': return 2;
    default: return 10;
    }
}

/* As Python's int(text, 0). */
static bool read_int(struct otter_slice s, int64_t *v)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= 0x1C && s.p[i] <= 0x1F) return false; /* blanks of text, not of numbers */
    s = otter_slice_trim(s);
    bool sign = s.n && (s.p[0] == '-' || s.p[0] == '+'), negative = sign && s.p[0] == '-';
    if (sign) s = (struct otter_slice){s.p + 1, s.n - 1};
    int base = prefix_base(s);
    bool leading_zero = base == 10 && s.n && s.p[0] == '0';
    if (base != 10) s = (struct otter_slice){s.p + 2, s.n - 2};
    if (!read_digits(s, base, base != 10, v) || (leading_zero && *v)) return false;
    if (negative) *v = -*v;
    return true;
}

/* Takes the k and m off the end; returns their product. */
static int64_t take_units(struct otter_slice *s)
{
    int64_t factor = 1;
    for (; s->n; s->n--) {
        char c = (char)(s->p[s->n - 1] | 0x20);
        if (c != 'k' && c != 'm') break;
        factor = clamp(factor * (c == 'k' ? 1024 : 1024 * 1024));
    }
    return factor;
}

static int64_t times(int64_t v, int64_t factor)
{
    if (v && factor > LIMIT / (v < 0 ? -v : v)) return v < 0 ? -LIMIT : LIMIT;
    return v * factor;
}

/* ---- errors ---- */

static struct otter_text start_why(struct otter_table_csv *c, unsigned line)
{
    struct otter_text t;
    c->line = line;
    otter_text_start(&t, c->why, sizeof c->why);
    return t;
}

static enum otter_err fail(struct otter_table_csv *c, const char *why)
{
    struct otter_text t = start_why(c, c->reader.line);
    otter_text_add(&t, "%s", why);
    return OTTER_TABLE_MAGIC;
}

/* Shows at most 40 bytes of a field. */
static void add_field(struct otter_text *t, struct otter_slice s)
{
    otter_text_add(t, "\"%.*s\"", s.n < 40 ? (int)s.n : 40, s.p);
}

static enum otter_err fail_number(struct otter_table_csv *c, unsigned column, bool range)
{
    struct otter_text t = start_why(c, c->reader.line);
    add_field(&t, c->reader.field[column]);
    if (range)
        otter_text_add(&t, " is out of range as %s", columns[column]);
    else
        otter_text_add(&t, " is no %s; write a decimal or 0x number (no leading zeros), with K or M behind it",
                       columns[column]);
    return OTTER_TABLE_MAGIC;
}

/* ---- types and subtypes ---- */

/* The i-th name that may stand in a column: all of them for the type, those of one type for the subtype. */
static const struct otter_table_name *name_at(const struct otter_table_csv *c, int type, unsigned *i)
{
    const struct otter_table_name *n;
    if (type < 0) return otter_type_at((*i)++);
    while ((n = otter_subtype_at(c->rules->names, (*i)++)))
        if (n->type == type) return n;
    return NULL;
}

static bool is_name(struct otter_slice s, const char *name)
{
    for (size_t i = 0; i < s.n; i++) {
        char low = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
        if (!name[i] || low != name[i]) return false;
    }
    return name[s.n] == '\0';
}

static enum otter_err fail_name(struct otter_table_csv *c, int type, struct otter_slice sought)
{
    struct otter_slice field = c->reader.field[type < 0 ? TYPE : SUBTYPE];
    const struct otter_table_name *n;
    const char *separator = "";
    unsigned i = 0;
    struct otter_text t = start_why(c, c->reader.line);
    add_field(&t, field);
    otter_text_add(&t, type < 0 ? " is no type" : " is no subtype of that type");
    if (sought.n < field.n)
        otter_text_add(&t,
                       "; k and m at the end of a name are taken for units, so only \"%.*s\" was looked for: write its "
                       "number instead",
                       (int)sought.n, sought.p);
    otter_text_add(&t, "; known are ");
    for (; (n = name_at(c, type, &i)); separator = ", ") otter_text_add(&t, "%s%s", separator, n->name);
    return OTTER_TABLE_MAGIC;
}

/* A number, or a name of the type (-1: of types). Units work on both, so a name that ends in k or m is never found. */
static enum otter_err read_kind(struct otter_table_csv *c, int type, uint8_t *out)
{
    unsigned column = type < 0 ? TYPE : SUBTYPE, i = 0;
    struct otter_slice s = c->reader.field[column];
    int64_t factor = take_units(&s), v;
    const struct otter_table_name *n = NULL;
    if (!read_int(s, &v)) {
        bool any = false;
        while ((n = name_at(c, type, &i)) && !is_name(s, n->name)) any = true;
        if (!n) return any ? fail_name(c, type, s) : fail_number(c, column, false);
        v = n->value;
    }
    v = times(v, factor);
    if (v < 0 || v > 0xFF) return fail_number(c, column, true);
    *out = (uint8_t)v;
    return OTTER_OK;
}

static enum otter_err read_type(struct otter_table_csv *c, struct otter_partition *p)
{
    if (!c->reader.field[TYPE].n) return fail(c, "the type is missing; write app, data or a number");
    return read_kind(c, -1, &p->type);
}

static enum otter_err read_subtype(struct otter_table_csv *c, struct otter_partition *p)
{
    if (c->reader.field[SUBTYPE].n) return read_kind(c, p->type, &p->subtype);
    if (p->type == OTTER_TYPE_APP)
        return fail(c, "an app partition needs a subtype: factory, test, or ota_0 to ota_15");
    p->subtype = OTTER_DATA_UNDEFINED;
    return OTTER_OK;
}

/* ---- offsets and sizes ---- */

static enum otter_err read_address(struct otter_table_csv *c, unsigned column, int64_t least, int64_t *v)
{
    struct otter_slice s = c->reader.field[column];
    int64_t factor = take_units(&s);
    if (!read_int(s, v)) return fail_number(c, column, false);
    *v = times(*v, factor);
    return *v < least || *v > UINT32_MAX ? fail_number(c, column, true) : OTTER_OK;
}

static enum otter_err place(struct otter_table_draft *d, int64_t offset)
{
    d->placed = true;
    d->offset = offset;
    return OTTER_OK;
}

static enum otter_err read_offset(struct otter_table_csv *c, const struct otter_partition *p,
                                  struct otter_table_draft *d)
{
    const struct otter_table_rules *r = c->rules;
    if (p->type == OTTER_TYPE_BOOTLOADER && p->subtype == OTTER_SUBTYPE_PRIMARY) {
        if (r->primary_bootloader < 0)
            return fail(c, "where the boot loader lies is not known; state it with --primary-bootloader-offset");
        return place(d, r->primary_bootloader);
    }
    if (p->type == OTTER_TYPE_BOOTLOADER && p->subtype == OTTER_SUBTYPE_RECOVERY) {
        if (r->recovery_bootloader < 0)
            return fail(c,
                        "where the recovery boot loader lies is not known; state it with --recovery-bootloader-offset");
        return place(d, r->recovery_bootloader);
    }
    if (p->type == OTTER_TYPE_TABLE && p->subtype == OTTER_SUBTYPE_PRIMARY) return place(d, r->offset);
    d->placed = c->reader.field[OFFSET].n > 0;
    return d->placed ? read_address(c, OFFSET, 0, &d->offset) : OTTER_OK;
}

static enum otter_err read_size(struct otter_table_csv *c, const struct otter_partition *p, struct otter_table_draft *d)
{
    const struct otter_table_rules *r = c->rules;
    if (p->type == OTTER_TYPE_BOOTLOADER) {
        if (r->primary_bootloader < 0)
            return fail(c,
                        "a boot loader's size follows from where the first one lies; state that with "
                        "--primary-bootloader-offset");
        d->size = r->offset - r->primary_bootloader;
        return OTTER_OK;
    }
    if (p->type == OTTER_TYPE_TABLE) {
        d->size = OTTER_SECTOR;
        return OTTER_OK;
    }
    if (!c->reader.field[SIZE].n) return fail(c, "the size is missing; write one, like 64K, or an end like -0x200000");
    return read_address(c, SIZE, -2 * (int64_t)UINT32_MAX, &d->size);
}

/* ---- flags and rows ---- */

static enum otter_err read_flags(struct otter_table_csv *c, struct otter_partition *p)
{
    struct otter_slice rest = c->reader.field[FLAGS];
    while (rest.n) {
        const char *colon = memchr(rest.p, ':', rest.n);
        struct otter_slice flag = {rest.p, colon ? (size_t)(colon - rest.p) : rest.n};
        size_t taken = flag.n + (colon ? 1 : 0);
        if (otter_slice_is(flag, "encrypted")) {
            p->flags |= 1;
        } else if (otter_slice_is(flag, "readonly")) {
            p->flags |= 2;
        } else if (flag.n) {
            struct otter_text t = start_why(c, c->reader.line);
            add_field(&t, flag);
            otter_text_add(
                &t, " is no flag; write encrypted, readonly or encrypted:readonly, in lower case and without blanks");
            return OTTER_TABLE_MAGIC;
        }
        rest = (struct otter_slice){rest.p + taken, rest.n - taken};
    }
    return OTTER_OK;
}

static enum otter_err read_row(struct otter_table_csv *c, struct otter_table_list *list)
{
    struct otter_partition p = {0};
    struct otter_slice name = c->reader.field[NAME];
    if (list->rows == OTTER_TABLE_ROWS) return fail(c, "a table holds at most 95 partitions; remove some");
    struct otter_table_draft *d = &c->draft[list->rows];
    enum otter_err e = read_type(c, &p);
    if (!e) e = read_subtype(c, &p);
    if (!e) e = read_offset(c, &p, d);
    if (!e) e = read_size(c, &p, d);
    if (!e) e = read_flags(c, &p);
    if (e) return e;
    if (name.n && memchr(name.p, '\0', name.n)) return fail(c, "a name cannot hold a zero byte");
    otter_table_list_add(list, &p, name, c->reader.line);
    return OTTER_OK;
}

static enum otter_err read_rows(struct otter_table_csv *c, struct otter_table_list *list)
{
    for (;;) {
        enum otter_err e = OTTER_OK;
        switch (otter_csv_next(&c->reader)) {
        case OTTER_CSV_END: return OTTER_OK;
        case OTTER_CSV_ROW: e = read_row(c, list); break;
        case OTTER_CSV_ENCODING: return fail(c, "this is no text in UTF-8; save the file as UTF-8");
        case OTTER_CSV_TOO_LONG: return fail(c, "the line is longer than 1023 bytes; shorten it");
        case OTTER_CSV_VARIABLE: {
            struct otter_text t = start_why(c, c->reader.line);
            add_field(&t, c->reader.field[0]);
            otter_text_add(&t, " is not set in the environment; set that variable");
            return OTTER_TABLE_MAGIC;
        }
        }
        if (e) return e;
    }
}

/* ---- places ---- */

/* Where the next row may start, by kind: with overlapping slots apps may lie over apps. */
struct places {
    int64_t end, end_for_apps;
};

static enum otter_err fail_place(struct otter_table_csv *c, const struct otter_table_list *list, unsigned row,
                                 int64_t end)
{
    struct otter_text t = start_why(c, list->origin[row].line);
    unsigned offset = (unsigned)c->draft[row].offset;
    if (end == (int64_t)c->rules->offset + OTTER_SECTOR)
        otter_text_add(
            &t, "offset 0x%x is not behind the partition table's sector at 0x%x; use 0x%x or higher, or leave it blank",
            offset, c->rules->offset, (unsigned)end);
    else
        otter_text_add(
            &t,
            "offset 0x%x lies before 0x%llx, where the rows above end; rows must ascend: move it, or leave it blank",
            offset, (unsigned long long)end);
    return OTTER_TABLE_MAGIC;
}

static enum otter_err fail_extent(struct otter_table_csv *c, unsigned line, const struct otter_table_draft *d)
{
    struct otter_text t = start_why(c, line);
    if (d->offset > UINT32_MAX)
        otter_text_add(&t, "it would start at 0x%llx, beyond 4 GiB; shrink the rows above",
                       (unsigned long long)d->offset);
    else if (d->size < 0)
        otter_text_add(&t, "it would end before its offset 0x%llx; give it a later end", (unsigned long long)d->offset);
    else
        otter_text_add(&t, "it would have 0x%llx bytes, more than 4 GiB; give it an earlier end",
                       (unsigned long long)d->size);
    return OTTER_TABLE_MAGIC;
}

static enum otter_err place_row(struct otter_table_csv *c, struct otter_table_list *list, unsigned row,
                                struct places *at)
{
    struct otter_partition *p = &list->row[row];
    struct otter_table_draft *d = &c->draft[row];
    bool app = p->type == OTTER_TYPE_APP;
    int64_t unit = app ? OTTER_BLOCK : OTTER_SECTOR, least = app ? at->end_for_apps : at->end;
    if (d->placed && d->offset < least) return fail_place(c, list, row, least);
    if (!d->placed) place(d, (at->end + unit - 1) / unit * unit);
    if (d->size < 0) d->size = -d->size - d->offset;
    if (d->size < 0 || d->size > UINT32_MAX || d->offset > UINT32_MAX) return fail_extent(c, list->origin[row].line, d);
    int64_t end = d->offset + d->size;
    bool over = app && c->rules->overlapping_slots;
    at->end = over && at->end > end ? at->end : end;
    if (!over) at->end_for_apps = at->end;
    return OTTER_OK;
}

static enum otter_err place_rows(struct otter_table_csv *c, struct otter_table_list *list)
{
    int64_t first = (int64_t)c->rules->offset + OTTER_SECTOR;
    struct places at = {first, first};
    for (unsigned i = 0; i < list->rows; i++) {
        struct otter_partition *p = &list->row[i];
        bool kept =
            (p->type == OTTER_TYPE_BOOTLOADER || p->type == OTTER_TYPE_TABLE) && p->subtype == OTTER_SUBTYPE_PRIMARY;
        enum otter_err e = kept ? OTTER_OK : place_row(c, list, i, &at);
        if (e) return e;
        p->offset = (uint32_t)c->draft[i].offset;
        p->size = (uint32_t)c->draft[i].size;
    }
    return OTTER_OK;
}

enum otter_err otter_table_csv_read(struct otter_table_csv *c, const void *bytes, size_t size,
                                    struct otter_table_list *list)
{
    list->rows = 0;
    otter_csv_start(&c->reader, bytes, size, &c->env);
    if (c->rules->primary_bootloader >= (int64_t)c->rules->offset)
        return fail(
            c, "the boot loader must lie below the partition table; check --primary-bootloader-offset and --offset");
    enum otter_err e = read_rows(c, list);
    return e ? e : place_rows(c, list);
}

/* ---- writing ---- */

static bool is_first_of_variable(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/* Would a label be read back as it is? */
static bool can_stand(const char *label)
{
    size_t n = strlen(label);
    struct otter_slice trimmed = otter_slice_trim((struct otter_slice){label, n});
    if (trimmed.n != n || label[0] == '#' || (label[0] == '$' && is_first_of_variable(label[1]))) return false;
    for (size_t at = 0; at < n;) {
        uint32_t c;
        unsigned length = otter_utf8_read(label + at, n - at, &c);
        if (!length || c < ' ' || c == ',' || c == 0x85 || c == 0x2028 || c == 0x2029) return false;
        at += length;
    }
    return true;
}

static void write_name(struct otter_text *t, const char *name, uint8_t number)
{
    if (name)
        otter_text_add(t, "%s,", name);
    else
        otter_text_add(t, "%u,", number);
}

static void write_size(struct otter_text *t, uint32_t size)
{
    if (size % (1 << 20) == 0)
        otter_text_add(t, "%uM,", size >> 20);
    else if (size % (1 << 10) == 0)
        otter_text_add(t, "%uK,", size >> 10);
    else
        otter_text_add(t, "0x%x,", size);
}

static void write_row(const struct otter_partition *p, const struct otter_table_names *names, struct otter_text *t)
{
    static const char *const flags[] = {"", "encrypted", "readonly", "encrypted:readonly"};
    otter_text_add(t, "%s,", p->label);
    write_name(t, otter_type_name(p->type), p->type);
    write_name(t, otter_subtype_name(names, p->type, p->subtype), p->subtype);
    otter_text_add(t, "0x%x,", p->offset);
    write_size(t, p->size);
    otter_text_add(t, "%s\n", flags[p->flags & 3]);
}

enum otter_err otter_table_csv_write(const struct otter_table_list *list, const struct otter_table_names *names,
                                     struct otter_text *t, unsigned *bad)
{
    otter_text_add(t, "# ESP-IDF Partition Table\n# Name, Type, SubType, Offset, Size, Flags\n");
    for (*bad = 0; *bad < list->rows; ++*bad) {
        if (!can_stand(list->row[*bad].label)) return OTTER_ARG;
        write_row(&list->row[*bad], names, t);
    }
    return t->cut ? OTTER_TOO_BIG : OTTER_OK;
}
