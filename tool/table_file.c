/* Reads, judges and encodes partition tables for the commands. */
#include "tool/table_file.h"

#include <stdlib.h>
#include <string.h>

#include "format/preset.h"
#include "tool/tool.h"

enum { FILE_MAX = 1024 * 1024, SENTENCE = 400 };

void table_file_start(struct table_file *t)
{
    memset(t, 0, sizeof *t);
    t->rules = (struct otter_table_rules){
        .offset = OTTER_CFG_TABLE_OFFSET, .primary_bootloader = -1, .recovery_bootloader = -1, .names = &t->names};
}

int table_file_preset(struct table_file *t, const char *name)
{
    const struct otter_preset *p = otter_preset_find(name);
    t->path = name;
    if (!p) {
        tool_fail(OTTER_ARG, "there is no preset \"%s\"; there are", name);
        table_print_presets(stderr);
        return 2;
    }
    for (unsigned i = 0; i < p->rows; i++)
        otter_table_list_add(&t->list, &p->row[i], (struct otter_slice){p->row[i].label, strlen(p->row[i].label)}, 0);
    return table_file_encode(t);
}

/* ---- files ---- */

static const char *variable(const void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static int read_csv(struct table_file *t, const uint8_t *bytes, size_t size)
{
    struct otter_table_csv *c = calloc(1, sizeof *c);
    if (!c) return tool_fail(OTTER_ARG, "out of memory");
    c->rules = &t->rules;
    c->env.get = variable;
    enum otter_err e = otter_table_csv_read(c, bytes, size, &t->list);
    int status = 0;
    if (e && c->line)
        status = tool_fail(e, "%s, line %u: %s", t->path, c->line, c->why);
    else if (e)
        status = tool_fail(e, "%s: %s", t->path, c->why);
    free(c);
    return status ? status : table_file_encode(t);
}

static int read_binary(struct table_file *t, const uint8_t *bytes, size_t size)
{
    struct otter_table_memory m = {bytes, size};
    unsigned bad;
    enum otter_err e = otter_table_list_read(&t->list, &m, t->no_md5 ? NULL : tool_crypto(), &bad);
    if (e) return tool_fail(e, "%s, row %u: %s", t->path, bad, otter_err_text(e));
    memset(t->bytes, 0xFF, sizeof t->bytes);
    memcpy(t->bytes, bytes, size < sizeof t->bytes ? size : sizeof t->bytes);
    return 0;
}

static int load(struct table_file *t, const char *path, bool binary)
{
    size_t size;
    t->path = strcmp(path, "-") == 0 ? "standard input" : path;
    uint8_t *bytes = tool_read_file(path, FILE_MAX, &size);
    if (!bytes) return 2;
    if (size >= 2 && bytes[0] == 0xAA && bytes[1] == 0x50) binary = true;
    int status = binary ? read_binary(t, bytes, size) : read_csv(t, bytes, size);
    free(bytes);
    return status;
}

int table_file_load(struct table_file *t, const char *path) { return load(t, path, false); }
int table_file_load_binary(struct table_file *t, const char *path) { return load(t, path, true); }

int table_file_open(struct table_file *t, const char *name)
{
    return otter_preset_find(name) ? table_file_preset(t, name) : table_file_load(t, name);
}

int table_file_encode(struct table_file *t)
{
    memset(t->bytes, 0xFF, sizeof t->bytes);
    enum otter_err e = otter_table_write(t->list.row, t->list.rows, !t->no_md5, tool_crypto(), t->bytes);
    if (e == OTTER_ARG)
        return tool_fail(OTTER_TABLE_END, "%s: %u partitions do not fit into a table, which holds %s; remove some",
                         t->path, t->list.rows, t->no_md5 ? "95" : "94 and their MD5");
    return e ? tool_fail(e, "%s: %s", t->path, otter_err_text(e)) : 0;
}

/* ---- rules ---- */

static void say_finding(void *ctx, const struct otter_table_finding *f)
{
    struct table_file *t = ctx;
    char sentence[SENTENCE];
    struct otter_text text;
    if (t->no_verify && f->fault != OTTER_TABLE_BEYOND) return;
    if (!f->warning) t->refused = true;
    otter_text_start(&text, sentence, sizeof sentence);
    otter_table_finding_text(&t->list, f, &text);
    tool_fail(OTTER_TABLE_RANGE, "%s: %s%s", t->path, f->warning ? "warning: " : "", sentence);
}

int table_file_judge(struct table_file *t)
{
    otter_table_judge(&t->list, &t->rules, say_finding, t);
    return t->refused ? otter_err_exit(OTTER_TABLE_RANGE) : 0;
}

/* ---- rows ---- */

const struct otter_partition *table_first_app(const struct otter_table_list *list)
{
    const struct otter_partition *best = NULL;
    for (unsigned i = 0; i < list->rows; i++) {
        const struct otter_partition *p = &list->row[i];
        bool startable = p->subtype == OTTER_APP_FACTORY || p->subtype >> 4 == OTTER_APP_OTA_0 >> 4;
        if (p->type == OTTER_TYPE_APP && startable && (!best || p->subtype < best->subtype)) best = p;
    }
    return best;
}

/* ---- words ---- */

const char *table_label(const char *label, char out[3 * 17])
{
    size_t n = strlen(label), to = 0;
    for (size_t at = 0; at < n;) {
        uint32_t c;
        unsigned length = otter_utf8_read(label + at, n - at, &c);
        if (length && c >= ' ' && c != 0x7F) {
            memcpy(out + to, label + at, length);
            to += length;
        } else {
            out[to++] = '?';
        }
        at += length ? length : 1;
    }
    out[to] = '\0';
    return out;
}

const char *table_type(const struct otter_partition *p, char out[8])
{
    const char *name = otter_type_name(p->type);
    snprintf(out, 8, "%u", p->type);
    return name ? name : out;
}

const char *table_subtype(const struct otter_table_names *names, const struct otter_partition *p, char out[8])
{
    const char *name = otter_subtype_name(names, p->type, p->subtype);
    snprintf(out, 8, "%u", p->subtype);
    return name ? name : out;
}

cJSON *table_row_json(const struct otter_table_names *names, const struct otter_partition *p)
{
    char label[3 * 17], number[8];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", table_label(p->label, label));
    cJSON_AddStringToObject(o, "type", table_type(p, number));
    cJSON_AddStringToObject(o, "subtype", table_subtype(names, p, number));
    cJSON_AddNumberToObject(o, "type_number", p->type);
    cJSON_AddNumberToObject(o, "subtype_number", p->subtype);
    cJSON_AddNumberToObject(o, "offset", p->offset);
    cJSON_AddNumberToObject(o, "size", p->size);
    cJSON_AddBoolToObject(o, "encrypted", p->flags & 1);
    cJSON_AddBoolToObject(o, "readonly", p->flags & 2);
    return o;
}

void table_print_presets(FILE *to)
{
    const struct otter_preset *p;
    for (unsigned i = 0; (p = otter_preset_at(i)); i++) fprintf(to, "  %-20s %s\n", p->name, p->text);
}
