/* The generator's rules over a list of partitions. Knows neither CSV nor flash. */
#include "format/table_check.h"

#include <string.h>

#include "format/bytes.h"
#include "format/crc32.h"
#include "format/otadata.h"

enum { FLAG_ENCRYPTED = 1, FLAG_READONLY = 2, NVS_WRITABLE = 0x3000, SELECTOR_SIZE = 0x2000 };

/* ---- lists ---- */

bool otter_table_list_add(struct otter_table_list *list, const struct otter_partition *p, struct otter_slice name,
                          unsigned line)
{
    if (list->rows == OTTER_TABLE_ROWS) return false;
    struct otter_partition *row = &list->row[list->rows];
    struct otter_table_origin *origin = &list->origin[list->rows++];
    *row = *p;
    memset(row->label, 0, sizeof row->label);
    memcpy(row->label, name.p, name.n < sizeof row->label ? name.n : sizeof row->label - 1);
    origin->line = line;
    origin->name_size = name.n;
    origin->name_crc = otter_crc32(0, (const uint8_t *)name.p, name.n);
    return true;
}

static bool all_ff(const uint8_t row[OTTER_TABLE_ROW])
{
    for (unsigned i = 0; i < OTTER_TABLE_ROW; i++)
        if (row[i] != 0xFF) return false;
    return true;
}

static enum otter_err check_md5(const struct otter_crypto *crypto, const struct otter_hash *h, const uint8_t *row)
{
    struct otter_hash copy;
    uint8_t md5[16];
    if (crypto->hash_clone(crypto->ctx, h, &copy) || crypto->hash_finish(crypto->ctx, &copy, md5)) return OTTER_CRYPTO;
    return memcmp(md5, row + 16, sizeof md5) ? OTTER_TABLE_MD5 : OTTER_OK;
}

static enum otter_err add_row(struct otter_table_list *list, const struct otter_table_memory *m, unsigned i)
{
    struct otter_rows rows = otter_table_rows(m);
    struct otter_partition p;
    if (otter_get16(m->bytes + (size_t)i * OTTER_TABLE_ROW) != 0x50AA) return OTTER_TABLE_MAGIC;
    enum otter_err e = otter_table_row(&rows, i, &p);
    if (e) return e;
    struct otter_slice name = {p.label, strlen(p.label)};
    return otter_table_list_add(list, &p, name, 0) ? OTTER_OK : OTTER_TABLE_END;
}

static enum otter_err read_rows(struct otter_table_list *list, const struct otter_table_memory *m,
                                const struct otter_crypto *md5, struct otter_hash *h, unsigned *bad)
{
    for (unsigned i = 0; (size_t)i * OTTER_TABLE_ROW < m->size; i++) {
        const uint8_t *row = m->bytes + (size_t)i * OTTER_TABLE_ROW;
        enum otter_err e;
        *bad = i;
        if (m->size - (size_t)i * OTTER_TABLE_ROW < OTTER_TABLE_ROW) return OTTER_TRUNCATED;
        if (all_ff(row)) return i ? OTTER_OK : OTTER_TABLE_MAGIC;
        if (md5 && row[0] == 0xEB && row[1] == 0xEB) {
            e = check_md5(md5, h, row);
        } else {
            e = add_row(list, m, i);
            if (!e && md5 && md5->hash_update(md5->ctx, h, row, OTTER_TABLE_ROW)) e = OTTER_CRYPTO;
        }
        if (e) return e;
    }
    return OTTER_TABLE_END;
}

enum otter_err otter_table_list_read(struct otter_table_list *list, const struct otter_table_memory *m,
                                     const struct otter_crypto *md5, unsigned *bad)
{
    struct otter_hash h;
    list->rows = 0;
    *bad = 0;
    if (md5 && md5->hash_start(md5->ctx, &h, OTTER_MD5)) return OTTER_CRYPTO;
    enum otter_err e = read_rows(list, m, md5, &h, bad);
    if (md5) md5->hash_abort(md5->ctx, &h);
    return e;
}

/* ---- rules ---- */

struct judge {
    const struct otter_table_list *list;
    const struct otter_table_rules *rules;
    void (*found)(void *ctx, const struct otter_table_finding *f);
    void *ctx;
    unsigned errors;
};

static void find(struct judge *j, struct otter_table_finding f)
{
    f.warning = f.fault == OTTER_TABLE_NAME_TYPE || f.fault == OTTER_TABLE_NAME_SUBTYPE || f.fault == OTTER_TABLE_FLAGS;
    if (!f.warning) j->errors++;
    j->found(j->ctx, &f);
}

static uint64_t end_of(const struct otter_partition *p) { return (uint64_t)p->offset + p->size; }

static bool is(const struct otter_partition *p, uint8_t type, uint8_t subtype)
{
    return p->type == type && p->subtype == subtype;
}

static void judge_name(struct judge *j, unsigned row)
{
    const struct otter_partition *p = &j->list->row[row];
    const struct otter_table_name *n;
    bool named = false, own = false;
    for (unsigned i = 0; (n = otter_type_at(i)); i++)
        if (strcmp(n->name, p->label) == 0 && n->value != p->type)
            find(j, (struct otter_table_finding){OTTER_TABLE_NAME_TYPE, .row = row});
    for (unsigned i = 0; (n = otter_subtype_at(j->rules->names, i)); i++) {
        if (strcmp(n->name, p->label) != 0) continue;
        named = true;
        if (is(p, n->type, n->value)) own = true;
    }
    if (named && !own) find(j, (struct otter_table_finding){OTTER_TABLE_NAME_SUBTYPE, .row = row});
}

static void judge_alone(struct judge *j, unsigned row)
{
    const struct otter_partition *p = &j->list->row[row];
    bool app = p->type == OTTER_TYPE_APP, readonly = p->flags & FLAG_READONLY;
    uint32_t offset_unit = app ? OTTER_BLOCK : OTTER_SECTOR, size_unit = 1;
    if (app) size_unit = j->rules->secure == OTTER_TABLE_SECURE_V1 ? OTTER_BLOCK : OTTER_SECTOR;
    if (p->offset % offset_unit)
        find(j, (struct otter_table_finding){OTTER_TABLE_OFFSET_ALIGN, .row = row, .number = offset_unit});
    if (p->size % size_unit)
        find(j, (struct otter_table_finding){OTTER_TABLE_SIZE_ALIGN, .row = row, .number = size_unit});
    judge_name(j, row);
    if (readonly && (is(p, OTTER_TYPE_DATA, OTTER_DATA_OTADATA) || is(p, OTTER_TYPE_DATA, OTTER_DATA_COREDUMP)))
        find(j, (struct otter_table_finding){OTTER_TABLE_MUST_WRITE, .row = row});
    if (!readonly && is(p, OTTER_TYPE_DATA, OTTER_DATA_NVS) && p->size < NVS_WRITABLE)
        find(j, (struct otter_table_finding){OTTER_TABLE_NVS_SMALL, .row = row, .number = NVS_WRITABLE});
    if (p->flags & ~(uint32_t)(FLAG_ENCRYPTED | FLAG_READONLY))
        find(j, (struct otter_table_finding){OTTER_TABLE_FLAGS, .row = row, .number = p->flags});
}

static bool same_name(const struct otter_table_list *list, unsigned a, unsigned b)
{
    const struct otter_table_origin *x = &list->origin[a], *y = &list->origin[b];
    return x->name_size == y->name_size && x->name_crc == y->name_crc &&
           strcmp(list->row[a].label, list->row[b].label) == 0;
}

static void judge_names(struct judge *j)
{
    for (unsigned i = 1; i < j->list->rows; i++)
        for (unsigned k = 0; k < i; k++) {
            if (!same_name(j->list, i, k)) continue;
            find(j, (struct otter_table_finding){OTTER_TABLE_SAME_NAME, .row = i, .other = k});
            break;
        }
}

/* Rows by offset; those with the same one stay in order. */
static void sort(const struct otter_table_list *list, uint8_t order[OTTER_TABLE_ROWS])
{
    for (unsigned i = 0; i < list->rows; i++) {
        unsigned at = i;
        for (; at > 0 && list->row[order[at - 1]].offset > list->row[i].offset; at--) order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
}

static bool is_primary(const struct otter_partition *p)
{
    return is(p, OTTER_TYPE_BOOTLOADER, OTTER_SUBTYPE_PRIMARY) || is(p, OTTER_TYPE_TABLE, OTTER_SUBTYPE_PRIMARY);
}

static bool may_overlap(const struct judge *j, const struct otter_partition *a, const struct otter_partition *b)
{
    return j->rules->overlapping_slots && a->type == OTTER_TYPE_APP && b->type == OTTER_TYPE_APP;
}

/* The row at `at` in the order, against those before it. */
static void judge_overlap(struct judge *j, const uint8_t *order, unsigned at)
{
    const struct otter_partition *p = &j->list->row[order[at]];
    for (unsigned i = 0; i < at; i++) {
        const struct otter_partition *before = &j->list->row[order[i]];
        if (p->offset >= end_of(before) || may_overlap(j, p, before)) continue;
        find(j, (struct otter_table_finding){OTTER_TABLE_OVERLAP, .row = order[at], .other = order[i]});
        return;
    }
}

static void judge_places(struct judge *j)
{
    uint8_t order[OTTER_TABLE_ROWS];
    uint32_t first = j->rules->offset + OTTER_SECTOR;
    sort(j->list, order);
    for (unsigned i = 0; i < j->list->rows; i++) {
        const struct otter_partition *p = &j->list->row[order[i]];
        if (p->offset < first && !is_primary(p))
            find(j, (struct otter_table_finding){OTTER_TABLE_BELOW, .row = order[i], .number = first});
        judge_overlap(j, order, i);
    }
}

/* otadata, and the one of the trusted execution environment: one at most, of two sectors. */
static void judge_selector(struct judge *j, uint8_t subtype)
{
    unsigned seen = 0, first = 0;
    for (unsigned i = 0; i < j->list->rows; i++) {
        if (!is(&j->list->row[i], OTTER_TYPE_DATA, subtype)) continue;
        if (seen++)
            find(j, (struct otter_table_finding){OTTER_TABLE_TWICE, .row = i, .other = first});
        else
            first = i;
    }
    if (seen == 1 && j->list->row[first].size != SELECTOR_SIZE)
        find(j, (struct otter_table_finding){OTTER_TABLE_SELECTOR_SIZE, .row = first, .number = SELECTOR_SIZE});
}

static void judge_flash(struct judge *j)
{
    for (unsigned i = 0; j->rules->flash_size && i < j->list->rows; i++)
        if (end_of(&j->list->row[i]) > j->rules->flash_size)
            find(j, (struct otter_table_finding){OTTER_TABLE_BEYOND, .row = i, .number = j->rules->flash_size});
}

unsigned otter_table_judge(const struct otter_table_list *list, const struct otter_table_rules *rules,
                           void (*found)(void *ctx, const struct otter_table_finding *f), void *ctx)
{
    struct judge j = {list, rules, found, ctx, 0};
    for (unsigned i = 0; i < list->rows; i++) judge_alone(&j, i);
    judge_names(&j);
    judge_places(&j);
    judge_selector(&j, OTTER_DATA_OTADATA);
    judge_selector(&j, OTTER_DATA_TEE_OTA);
    judge_flash(&j);
    return j.errors;
}

/* ---- words ---- */

static bool is_text(const char *label)
{
    size_t n = strlen(label);
    uint32_t c;
    for (size_t at = 0; at < n;) {
        unsigned length = otter_utf8_read(label + at, n - at, &c);
        if (!length || c < ' ' || c == 0x7F) return false;
        at += length;
    }
    return n > 0;
}

void otter_table_row_name(const struct otter_table_list *list, unsigned row, struct otter_text *t)
{
    if (list->origin[row].line) otter_text_add(t, "line %u: ", list->origin[row].line);
    if (is_text(list->row[row].label))
        otter_text_add(t, "%s", list->row[row].label);
    else
        otter_text_add(t, "row %u", row);
}

static void add_range(struct otter_text *t, const struct otter_partition *p)
{
    otter_text_add(t, "0x%x to 0x%llx", p->offset, (unsigned long long)end_of(p));
}

static void add_overlap(const struct otter_table_list *list, const struct otter_table_finding *f, struct otter_text *t)
{
    otter_text_add(t, " (");
    add_range(t, &list->row[f->row]);
    otter_text_add(t, ") overlaps %s (", list->row[f->other].label);
    add_range(t, &list->row[f->other]);
    otter_text_add(t, "); move or shrink one of them");
    if (list->row[f->row].type == OTTER_TYPE_APP && list->row[f->other].type == OTTER_TYPE_APP)
        otter_text_add(t, ", or allow it with --overlapping-slots");
}

static void add_same_name(const struct otter_table_list *list, const struct otter_table_finding *f,
                          struct otter_text *t)
{
    unsigned line = list->origin[f->other].line;
    otter_text_add(t, ": %s %u has that name already; give every partition its own", line ? "line" : "row",
                   line ? line : f->other);
}

static void add_reason(const struct otter_partition *p, const struct otter_table_finding *f, struct otter_text *t)
{
    switch (f->fault) {
    case OTTER_TABLE_OFFSET_ALIGN:
        otter_text_add(t, " starts at 0x%x; %s partitions start at multiples of 0x%x", p->offset,
                       p->type == OTTER_TYPE_APP ? "app" : "such", f->number);
        break;
    case OTTER_TABLE_SIZE_ALIGN:
        otter_text_add(t, " has 0x%x bytes; an app partition's size must be a multiple of 0x%x", p->size, f->number);
        break;
    case OTTER_TABLE_MUST_WRITE:
        otter_text_add(t, " is written by the firmware, so it cannot be read-only; remove the flag");
        break;
    case OTTER_TABLE_NVS_SMALL:
        otter_text_add(t, " has 0x%x bytes; NVS can be written from 0x%x bytes on: enlarge it, or flag it readonly",
                       p->size, f->number);
        break;
    case OTTER_TABLE_NAME_TYPE: otter_text_add(t, " is named like a type that it is not; is this intended?"); break;
    case OTTER_TABLE_NAME_SUBTYPE:
        otter_text_add(t, " is named like a subtype that it is not (it is type %u, subtype %u); is this intended?",
                       p->type, p->subtype);
        break;
    case OTTER_TABLE_FLAGS:
        otter_text_add(t, " has flags 0x%x; only 1 (encrypted) and 2 (readonly) are known", f->number);
        break;
    case OTTER_TABLE_BELOW:
        otter_text_add(t, " starts at 0x%x, below the end of the partition table; use 0x%x or higher", p->offset,
                       f->number);
        break;
    case OTTER_TABLE_SELECTOR_SIZE:
        otter_text_add(t, " has 0x%x bytes; it holds two sectors, so make it 0x%x", p->size, f->number);
        break;
    default:
        otter_text_add(t, " ends at 0x%llx, beyond the flash of 0x%x bytes; shrink it, or state a larger flash",
                       (unsigned long long)end_of(p), f->number);
    }
}

void otter_table_finding_text(const struct otter_table_list *list, const struct otter_table_finding *f,
                              struct otter_text *t)
{
    const struct otter_partition *p = &list->row[f->row];
    otter_table_row_name(list, f->row, t);
    if (f->fault == OTTER_TABLE_SAME_NAME)
        add_same_name(list, f, t);
    else if (f->fault == OTTER_TABLE_TWICE)
        otter_text_add(t, " is a second partition of its kind beside %s; only one can be there",
                       list->row[f->other].label);
    else if (f->fault == OTTER_TABLE_OVERLAP)
        add_overlap(list, f, t);
    else
        add_reason(p, f, t);
}
