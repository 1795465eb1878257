/* otter flash build: puts a whole flash together, and refuses what the chip could not start from it. */
#define _GNU_SOURCE
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/words.h"
#include "tool/flash.h"
#include "tool/flash_file.h"
#include "tool/flash_image.h"
#include "tool/json.h"
#include "tool/table_file.h"
#include "tool/tool.h"

static const char cmd[] = "flash build";
static const char help_text[] =
    "Usage: otter flash build -o FLASH.bin --chip NAME --flash-size SIZE [OPTION]...\n"
    "Puts a whole flash together. Refuses parts that overlap, that do not fit, or that the chip would not start.\n"
    "\n"
    "  -o FLASH.bin            where to write it\n"
    "  --chip NAME             the chip it is for\n"
    "  --flash-size SIZE       of it: 4MB\n"
    "  --table TABLE           a partition table, as CSV, binary, or the name of a preset; goes to 0x8000\n"
    "  --bootloader FILE       goes to where the chip's ROM looks for it\n"
    "  --app FILE              goes to the slot that a new device starts: the factory app, else the first ota slot\n"
    "  --part LABEL=FILE       goes to that partition; may be given again\n"
    "  --part OFFSET=FILE      goes to that offset in flash; may be given again\n"
    "  --overlapping-slots     app partitions may overlap one another\n"
    "  --broken-images         only warn of images that would not start: for a flash as a cut update left it, or\n"
    "                          to see what the boot loader falls back to\n"
    "  --json                  say in JSON what lies where\n";

enum { PARTS = 64, WARNING = 1024 };

/* A file's bytes and their place. */
struct part {
    const char *place; /* as asked for: "--app", a label, an offset */
    const char *path;
    uint8_t *bytes;
    size_t size;
    uint32_t offset;
    const struct otter_partition *row; /* the one it lies in; NULL: none */
};

struct request {
    const char *out, *table_path, *bootloader, *app;
    const struct otter_chip_info *chip;
    uint32_t flash_size;
    bool json, broken_images;
    struct table_file table;
    struct part part[PARTS];
    unsigned parts;
    char *named[PARTS]; /* --part, as given */
    unsigned names;
    uint8_t *flash;
    cJSON *warnings;
};

static void warn(struct request *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct request *q, const char *fmt, ...)
{
    va_list args;
    char text[WARNING];
    va_start(args, fmt);
    vsnprintf(text, WARNING, fmt, args);
    va_end(args);
    cJSON_AddItemToArray(q->warnings, cJSON_CreateString(text));
    if (!q->json) fprintf(stderr, "otter: warning: %s\n", text);
}

/* ---- parts ---- */

static int add_part(struct request *q, const char *place, const char *path, struct part **added)
{
    struct part *p = &q->part[q->parts];
    if (q->parts == PARTS) return tool_usage_error(cmd, "more than %d parts", PARTS);
    *p = (struct part){.place = place, .path = path};
    p->bytes = tool_read_file(path, FLASH_FILE_MAX, &p->size);
    if (!p->bytes) return 2;
    q->parts++;
    *added = p;
    return p->size ? 0 : tool_fail(OTTER_EMPTY, "%s is empty", path);
}

static const struct otter_partition *row_by_label(const struct request *q, const char *label)
{
    for (unsigned i = 0; i < q->table.list.rows; i++)
        if (strcmp(q->table.list.row[i].label, label) == 0) return &q->table.list.row[i];
    return NULL;
}

/* A merged file may start in the boot loader's row and go on behind it. */
static bool holds_files(const struct otter_partition *p)
{
    bool reserved = p->type == OTTER_TYPE_BOOTLOADER || p->type == OTTER_TYPE_TABLE;
    return !(reserved && p->subtype == OTTER_SUBTYPE_PRIMARY);
}

static const struct otter_partition *row_at(const struct request *q, uint32_t offset)
{
    for (unsigned i = 0; i < q->table.list.rows; i++) {
        const struct otter_partition *p = &q->table.list.row[i];
        if (!holds_files(p)) continue;
        if (offset == p->offset || (offset > p->offset && offset - p->offset < p->size)) return p;
    }
    return NULL;
}

static int add_app(struct request *q)
{
    struct part *p;
    const struct otter_partition *slot = table_first_app(&q->table.list);
    if (!q->app) return 0;
    if (!slot) return tool_fail(OTTER_NO_SLOT, "--app: the table has neither a factory app nor an ota slot");
    int status = add_part(q, slot->label, q->app, &p);
    if (status) return status;
    p->row = slot;
    p->offset = slot->offset;
    return 0;
}

static int add_bootloader(struct request *q)
{
    struct part *p;
    int status = q->bootloader ? add_part(q, "boot loader", q->bootloader, &p) : 0;
    if (!status && q->bootloader) p->offset = q->chip->bootloader_offset;
    return status;
}

static int add_named(struct request *q, char *text)
{
    struct part *p;
    uint64_t offset;
    char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
        return tool_usage_error(cmd, "--part \"%s\": write LABEL=FILE or OFFSET=FILE", text);
    *equals = '\0';
    const struct otter_partition *row = row_by_label(q, text);
    if (!row && tool_number(text, UINT32_MAX, &offset))
        return tool_usage_error(cmd, "--part %s: the table has no such partition, and it is no offset", text);
    int status = add_part(q, text, equals + 1, &p);
    if (status) return status;
    p->offset = row ? row->offset : (uint32_t)offset;
    p->row = row ? row : row_at(q, p->offset);
    return 0;
}

/* ---- what may not be ---- */

static int check_room(const struct request *q, const struct part *p)
{
    uint64_t end = (uint64_t)p->offset + p->size;
    if (p->row && end > (uint64_t)p->row->offset + p->row->size)
        return tool_fail(OTTER_TOO_BIG, "%s: its %zu bytes at 0x%x do not fit into partition %s, which has %u", p->path,
                         p->size, p->offset, p->row->label, p->row->size);
    if (end > q->flash_size)
        return tool_fail(OTTER_TOO_BIG, "%s: its %zu bytes at 0x%x end behind the flash of 0x%x", p->path, p->size,
                         p->offset, q->flash_size);
    return 0;
}

static int check_apart(const struct part *a, const struct part *b)
{
    if (a->offset >= b->offset + b->size || b->offset >= a->offset + a->size) return 0;
    return tool_fail(OTTER_TOO_BIG, "%s (0x%x to 0x%zx) and %s (0x%x to 0x%zx) overlap; place one of them elsewhere",
                     a->path, a->offset, a->offset + a->size, b->path, b->offset, b->offset + b->size);
}

static int check_places(const struct request *q)
{
    int status = 0;
    for (unsigned i = 0; i < q->parts && !status; i++) {
        status = check_room(q, &q->part[i]);
        for (unsigned k = 0; k < i && !status; k++) status = check_apart(&q->part[k], &q->part[i]);
    }
    return status;
}

static const struct part *part_at(const struct request *q, uint32_t offset)
{
    for (unsigned i = 0; i < q->parts; i++)
        if (offset >= q->part[i].offset && offset - q->part[i].offset < q->part[i].size) return &q->part[i];
    return NULL;
}

static struct flash_bytes flash_of(const struct request *q) { return (struct flash_bytes){q->flash, q->flash_size}; }

/* The ROM of each chip looks for the boot loader at one place only. */
static int check_bootloader(struct request *q)
{
    struct otter_image_check c;
    uint32_t wanted = q->chip->bootloader_offset, found;
    enum otter_err e = flash_bootloader_judge(flash_of(q), wanted, q->chip, &c);
    if (!e) return 0;
    const struct part *p = part_at(q, wanted);
    if (flash_bootloader_find(flash_of(q), &found, &c)) {
        const char *path = part_at(q, found)->path;
        if (c.facts.chip != q->chip)
            return tool_fail(OTTER_CHIP, "%s holds a boot loader for %s at 0x%x, but the flash is for %s", path,
                             c.facts.chip->name, found, q->chip->name);
        return tool_fail(
            OTTER_MAGIC,
            "%s puts the boot loader at 0x%x, but the ROM of %s starts it from 0x%x only: it would not start; "
            "merge the file anew",
            path, found, q->chip->name, wanted);
    }
    if (!p || q->flash[wanted] == 0xFF) {
        warn(q, "there is no boot loader at 0x%x, so a chip does not start from this flash (the virtual device does)",
             wanted);
        return 0;
    }
    flash_bootloader_judge(flash_of(q), wanted, q->chip, &c);
    char words[256];
    otter_words_image(e, &c, words, sizeof words);
    return tool_fail(e, "%s is no boot loader for %s at 0x%x: %s", p->path, q->chip->name, wanted, words);
}

/* Does a part mean to put an image there? One that was made for a lower slot may reach over the start of a higher one.
 */
static const struct part *part_for_slot(const struct request *q, const struct otter_partition *slot)
{
    const struct part *p = part_at(q, slot->offset);
    if (!p || p->offset == slot->offset) return p;
    return p->offset < OTTER_CFG_TABLE_OFFSET && q->flash[slot->offset] != 0xFF ? p : NULL;
}

static int check_app(struct request *q, const struct otter_partition *slot)
{
    struct otter_image_check c;
    char words[256];
    const struct part *p = slot->type == OTTER_TYPE_APP ? part_for_slot(q, slot) : NULL;
    enum otter_err e = p ? flash_app_judge(flash_of(q), slot, q->chip, &c) : OTTER_OK;
    if (!e) return 0;
    otter_words_image(e, &c, words, sizeof words);
    static const char fmt[] = "%s: the boot loader would not start it from partition %s: %s";
    if (!q->broken_images) return tool_fail(e, fmt, p->path, slot->label, words);
    warn(q, fmt, p->path, slot->label, words);
    return 0;
}

static int check_images(struct request *q)
{
    int status = check_bootloader(q);
    for (unsigned i = 0; i < q->table.list.rows && !status; i++) status = check_app(q, &q->table.list.row[i]);
    return status;
}

/* ---- the table ---- */

static int judge_table(struct request *q)
{
    struct otter_table_memory m = {q->table.bytes, OTTER_TABLE_SIZE};
    struct otter_rows rows = otter_table_rows(&m);
    unsigned count, bad;
    int status = table_file_judge(&q->table);
    if (status) return status;
    enum otter_err e = otter_table_check(&rows, q->flash_size, tool_crypto(), &count, &bad);
    return e ? tool_fail(e, "%s, row %u: %s", q->table.path, bad, otter_err_text(e)) : 0;
}

static int load_table(struct request *q)
{
    q->table.rules.flash_size = q->flash_size;
    q->table.rules.primary_bootloader = q->chip->bootloader_offset;
    int status = table_file_open(&q->table, q->table_path);
    if (!status) status = judge_table(q);
    if (status) return status;
    uint8_t *bytes = malloc(OTTER_SECTOR);
    if (!bytes) return tool_fail(OTTER_ARG, "out of memory");
    memcpy(bytes, q->table.bytes, OTTER_SECTOR);
    q->part[q->parts++] = (struct part){.place = "partition table",
                                        .path = q->table.path,
                                        .bytes = bytes,
                                        .size = OTTER_SECTOR,
                                        .offset = OTTER_CFG_TABLE_OFFSET};
    return 0;
}

/* Without --table a part must bring one: a merged file does. */
static int find_table(struct request *q)
{
    struct otter_table_memory m = {q->flash + OTTER_CFG_TABLE_OFFSET, OTTER_TABLE_SIZE};
    unsigned bad;
    const struct part *p = part_at(q, OTTER_CFG_TABLE_OFFSET);
    if (!p)
        return tool_usage_error(cmd, "there is no partition table: give --table, or a part that holds one at 0x%x",
                                OTTER_CFG_TABLE_OFFSET);
    q->table.path = p->path;
    q->table.rules.flash_size = q->flash_size;
    enum otter_err e = otter_table_list_read(&q->table.list, &m, tool_crypto(), &bad);
    if (e)
        return tool_fail(e, "%s, partition table at 0x%x, row %u: %s", p->path, OTTER_CFG_TABLE_OFFSET, bad,
                         otter_err_text(e));
    memcpy(q->table.bytes, m.bytes, OTTER_TABLE_SIZE);
    for (unsigned i = 0; i < q->parts; i++) q->part[i].row = row_at(q, q->part[i].offset);
    int status = judge_table(q);
    return status ? status : check_places(q);
}

/* ---- all together ---- */

static int add_parts(struct request *q)
{
    int status = q->table_path ? load_table(q) : 0;
    if (!status) status = add_bootloader(q);
    if (!status && q->app && !q->table_path) status = tool_usage_error(cmd, "--app needs --table, to know its slot");
    if (!status) status = add_app(q);
    for (unsigned i = 0; i < q->names && !status; i++) status = add_named(q, q->named[i]);
    return status;
}

static int put_together(struct request *q)
{
    int status = add_parts(q);
    if (!status) status = check_places(q);
    if (status) return status;
    memset(q->flash, 0xFF, q->flash_size);
    for (unsigned i = 0; i < q->parts; i++) memcpy(q->flash + q->part[i].offset, q->part[i].bytes, q->part[i].size);
    if (!q->table_path) status = find_table(q);
    if (!status) status = check_images(q);
    return status ? status : tool_write_file(q->out, q->flash, q->flash_size);
}

static void print_json(const struct request *q)
{
    cJSON *o = cJSON_CreateObject(), *parts = cJSON_AddArrayToObject(o, "parts");
    for (unsigned i = 0; i < q->parts; i++) {
        cJSON *p = cJSON_CreateObject();
        cJSON_AddStringToObject(p, "place", q->part[i].place);
        cJSON_AddStringToObject(p, "file", q->part[i].path);
        cJSON_AddNumberToObject(p, "offset", q->part[i].offset);
        cJSON_AddNumberToObject(p, "size", (double)q->part[i].size);
        cJSON_AddItemToArray(parts, p);
    }
    cJSON_AddStringToObject(o, "file", q->out);
    cJSON_AddStringToObject(o, "chip", q->chip->target);
    cJSON_AddNumberToObject(o, "size", q->flash_size);
    cJSON_AddItemReferenceToObject(o, "warnings", q->warnings);
    tool_print_json(o);
}

static void print_text(const struct request *q)
{
    for (unsigned i = 0; i < q->parts; i++)
        printf("0x%08x  %9zu bytes  %-16s %s\n", q->part[i].offset, q->part[i].size, q->part[i].place, q->part[i].path);
    printf("%s: %u bytes of flash for %s\n", q->out, q->flash_size, q->chip->name);
}

/* ---- command line ---- */

enum { OPT_CHIP = 256, OPT_SIZE, OPT_TABLE, OPT_BOOTLOADER, OPT_APP, OPT_PART, OPT_OVERLAP, OPT_BROKEN, OPT_JSON };

static int take_size(struct request *q, const char *value)
{
    uint64_t n;
    if (tool_number(value, FLASH_FILE_MAX, &n) || n % OTTER_BLOCK || n <= OTTER_CFG_TABLE_OFFSET + OTTER_SECTOR)
        return tool_usage_error(cmd, "--flash-size %s: it is a multiple of 64K, up to 128MB", value);
    q->flash_size = (uint32_t)n;
    return 0;
}

static int take_option(struct request *q, int option, char *value)
{
    switch (option) {
    case 'o': q->out = value; return 0;
    case OPT_CHIP: q->chip = tool_chip(value); return q->chip ? 0 : 2;
    case OPT_SIZE: return take_size(q, value);
    case OPT_TABLE: q->table_path = value; return 0;
    case OPT_BOOTLOADER: q->bootloader = value; return 0;
    case OPT_APP: q->app = value; return 0;
    case OPT_OVERLAP: q->table.rules.overlapping_slots = true; return 0;
    case OPT_BROKEN: q->broken_images = true; return 0;
    case OPT_JSON: q->json = true; return 0;
    case OPT_PART:
        if (q->names == PARTS) return tool_usage_error(cmd, "more than %d parts", PARTS);
        q->named[q->names++] = value;
        return 0;
    default: return tool_usage_error(cmd, "the command line is wrong");
    }
}

/* -1: go on; else the exit status. */
static int read_options(struct request *q, int argc, char **argv)
{
    static const struct option options[] = {{"output", 1, 0, 'o'},
                                            {"chip", 1, 0, OPT_CHIP},
                                            {"flash-size", 1, 0, OPT_SIZE},
                                            {"table", 1, 0, OPT_TABLE},
                                            {"bootloader", 1, 0, OPT_BOOTLOADER},
                                            {"app", 1, 0, OPT_APP},
                                            {"part", 1, 0, OPT_PART},
                                            {"overlapping-slots", 0, 0, OPT_OVERLAP},
                                            {"broken-images", 0, 0, OPT_BROKEN},
                                            {"json", 0, 0, OPT_JSON},
                                            {"help", 0, 0, 'h'},
                                            {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        if (option == 'h') return fputs(help_text, stdout) < 0;
        int status = take_option(q, option, optarg);
        if (status) return status;
    }
    if (optind != argc) return tool_usage_error(cmd, "\"%s\" is not understood", argv[optind]);
    if (q->json && q->out && strcmp(q->out, "-") == 0)
        return tool_usage_error(cmd, "--json and -o - both want standard output");
    if (!q->out || !q->chip || !q->flash_size) return tool_usage_error(cmd, "-o, --chip and --flash-size are needed");
    return -1;
}

int tool_flash_build(int argc, char **argv)
{
    static struct request q;
    table_file_start(&q.table);
    int status = read_options(&q, argc, argv);
    if (status >= 0) return status;
    q.flash = malloc(q.flash_size);
    q.warnings = cJSON_CreateArray();
    if (!q.flash || !q.warnings) return tool_fail(OTTER_ARG, "out of memory");
    status = put_together(&q);
    if (!status && q.json) print_json(&q);
    if (!status && !q.json && strcmp(q.out, "-") != 0) print_text(&q);
    for (unsigned i = 0; i < q.parts; i++) free(q.part[i].bytes);
    cJSON_Delete(q.warnings);
    free(q.flash);
    return status;
}
