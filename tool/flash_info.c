/* otter flash info: what lies in a whole-flash file, and what an update could be. */
#define _GNU_SOURCE
#include <cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/words.h"
#include "format/otadata.h"
#include "ports/sim/bootloader.h"
#include "ports/sim/nor.h"
#include "tool/flash.h"
#include "tool/flash_division.h"
#include "tool/flash_file.h"
#include "tool/flash_image.h"
#include "tool/json.h"
#include "tool/table_file.h"
#include "tool/tool.h"

static const char cmd[] = "flash info";
static const char help_text[] =
    "Usage: otter flash info FLASH.bin [--json]\n"
    "Shows the partitions of a whole flash, the images in the app slots and whether they are good, what otadata says, "
    "what\n"
    "is free, and how large the next update's image may be. Where slots overlap: how app, update and data divide the "
    "flash\n"
    "at the next start. The file is not changed.\n";

enum { WORDS = 256 };

/* An image, or why there is none. */
struct image {
    bool blank; /* erased */
    enum otter_err err;
    struct otter_image_check check;
};

struct range {
    uint32_t offset, size;
};

struct info {
    const char *path;
    uint8_t *bytes;
    size_t size;
    struct flash_file file;
    struct image image[OTTER_TABLE_ROWS]; /* of app rows */
    bool has_bootloader;
    uint32_t bootloader_offset;
    struct otter_image_check bootloader;
    struct otter_ota_entry entry[2];
    struct sim_boot_result boot;
    struct range gap[OTTER_TABLE_ROWS + 1];
    unsigned gaps;
    const struct otter_partition *target; /* of the next update; NULL: none */
    uint32_t room;                        /* for its image */
    bool divided;                         /* slots overlap, and a firmware starts: */
    struct flash_division division;
};

/* ---- finding out ---- */

static struct flash_bytes flash_of(const struct info *f) { return (struct flash_bytes){f->bytes, f->size}; }

static void look_at_images(struct info *f)
{
    f->has_bootloader = flash_bootloader_find(flash_of(f), &f->bootloader_offset, &f->bootloader);
    const struct otter_chip_info *chip = f->has_bootloader ? f->bootloader.facts.chip : NULL;
    for (unsigned i = 0; i < f->file.rows; i++) {
        const struct otter_partition *p = &f->file.row[i];
        if (p->type != OTTER_TYPE_APP) continue;
        f->image[i].blank = p->offset >= f->size || f->bytes[p->offset] == 0xFF;
        f->image[i].err = flash_app_judge(flash_of(f), p, chip, &f->image[i].check);
    }
}

static void look_at_otadata(struct info *f)
{
    for (unsigned i = 0; f->file.otadata.size && i < 2; i++)
        otter_ota_read(f->bytes + f->file.otadata.offset + i * OTTER_SECTOR, &f->entry[i]);
}

/* The first offset at or behind `from` that no partition covers; 0 behind the end. */
static uint32_t next_free(const struct info *f, uint64_t from)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (unsigned i = 0; i < f->file.rows; i++) {
            const struct otter_partition *p = &f->file.row[i];
            if (from < p->offset || from >= (uint64_t)p->offset + p->size) continue;
            from = (uint64_t)p->offset + p->size;
            moved = true;
        }
    }
    return from < f->size ? (uint32_t)from : 0;
}

static uint32_t next_taken(const struct info *f, uint32_t from)
{
    uint32_t end = (uint32_t)f->size;
    for (unsigned i = 0; i < f->file.rows; i++) {
        const struct otter_partition *p = &f->file.row[i];
        if (p->size && p->offset > from && p->offset < end) end = p->offset;
    }
    return end;
}

static void look_for_gaps(struct info *f)
{
    uint32_t at = OTTER_CFG_TABLE_OFFSET + OTTER_SECTOR;
    while ((at = next_free(f, at)) && f->gaps <= OTTER_TABLE_ROWS) {
        uint32_t end = next_taken(f, at);
        f->gap[f->gaps++] = (struct range){at, end - at};
        at = end;
    }
}

/* Works in a copy: the boot loader writes to otadata. */
static bool look_at_boot(struct info *f)
{
    struct sim_nor nor;
    uint8_t *copy = malloc(f->size);
    if (!copy) return false;
    memcpy(copy, f->bytes, f->size);
    sim_nor_init(&nor, copy, (uint32_t)f->size, NULL);
    struct sim_boot b = {.flash = &nor.port, .crypto = tool_crypto(), .chip_revision = -1, .efuse_revision = -1};
    sim_boot(&b, &f->boot);
    free(copy);
    return true;
}

/* ---- the next update ---- */

static const struct otter_partition *slot(const struct info *f, int number)
{
    const struct otter_partition *found = NULL; /* like the boot loader, takes the last of several */
    for (unsigned i = 0; i < f->file.rows; i++)
        if (f->file.row[i].type == OTTER_TYPE_APP && f->file.row[i].subtype == OTTER_APP_OTA_0 + number)
            found = &f->file.row[i];
    return found;
}

/* A slot that the running image reaches into would cost that image. */
static bool meets_running(const struct info *f, const struct otter_partition *p)
{
    return p->offset < f->boot.offset + f->boot.image.length && f->boot.offset < p->offset + p->size;
}

/* The one after the slot that runs. */
static void look_for_target(struct info *f)
{
    int running = f->boot.slot < 0 ? OTTER_OTA_SLOTS - 1 : f->boot.slot;
    if (!f->boot.boots || !f->file.otadata.size) return;
    for (int i = 1; i <= OTTER_OTA_SLOTS && !f->target; i++) {
        int number = (running + i) % OTTER_OTA_SLOTS;
        const struct otter_partition *p = slot(f, number);
        if (!p || number == f->boot.slot || (unsigned)number >= f->file.ota_rows) continue;
        if (meets_running(f, p)) return;
        f->target = p;
        f->room = p->size;
    }
}

/* ---- slots that overlap ---- */

/* It has started all these images, so it is no older than any of them asks for. */
static struct flash_chip chip_of(const struct info *f)
{
    struct flash_chip chip = {0};
    for (unsigned i = 0; i < f->file.rows; i++) {
        const struct otter_image_facts *m = &f->image[i].check.facts;
        if (f->file.row[i].type != OTTER_TYPE_APP || f->image[i].err) continue;
        chip.info = m->chip;
        if (m->revision_min > chip.revision) chip.revision = m->revision_min;
        if (m->has_desc && m->desc.efuse_min != UINT16_MAX && m->desc.efuse_min > chip.efuse_revision)
            chip.efuse_revision = m->desc.efuse_min;
    }
    return chip;
}

static void look_at_division(struct info *f)
{
    struct flash_chip chip = chip_of(f);
    f->divided = chip.info && flash_divide(flash_of(f), &chip, &f->division);
    f->boot = f->division.boot;
    if (!f->divided || f->division.next_err) return;
    f->target = slot(f, f->division.next_slot);
    f->room = f->division.now.largest;
}

static int look(struct info *f)
{
    int status = flash_file_parse(&f->file, f->path, f->bytes, f->size);
    if (status) return status;
    look_at_images(f);
    look_at_otadata(f);
    look_for_gaps(f);
    if (!look_at_boot(f)) return tool_fail(OTTER_ARG, "out of memory");
    if (flash_is_elastic(flash_of(f)))
        look_at_division(f);
    else
        look_for_target(f);
    return 0;
}

/* ---- words ---- */

/* Bytes of an image are no text by themselves. */
static const char *clean(const char *text, char out[40])
{
    size_t i = 0;
    for (; text[i] && i < 39; i++) out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    out[i] = '\0';
    return out;
}

static bool misplaced(const struct info *f)
{
    return f->has_bootloader && f->bootloader.facts.chip->bootloader_offset != f->bootloader_offset;
}

static void bootloader_words(const struct info *f, char *out, size_t size)
{
    const struct otter_chip_info *chip = f->bootloader.facts.chip;
    if (!f->has_bootloader)
        snprintf(out, size, "none");
    else if (misplaced(f))
        snprintf(out, size, "for %s at 0x%x, where its ROM does not look: it would not start; it belongs at 0x%x",
                 chip->name, f->bootloader_offset, chip->bootloader_offset);
    else
        snprintf(out, size, "for %s at 0x%x, %u bytes", chip->name, f->bootloader_offset, f->bootloader.facts.length);
}

static void entry_words(const struct info *f, unsigned i, char *out, size_t size)
{
    const struct otter_ota_entry *e = &f->entry[i];
    if (e->seq == OTTER_OTA_NO_SEQ)
        snprintf(out, size, "never written");
    else if (!f->file.ota_rows)
        snprintf(out, size, "sequence %u, %s", e->seq, otter_ota_state_name(e->state));
    else
        snprintf(out, size, "sequence %u = ota_%u, %s%s", e->seq, otter_ota_slot(e->seq, f->file.ota_rows),
                 otter_ota_state_name(e->state), otter_ota_initial(e) ? ", CRC wrong" : "");
}

static void image_words(const struct image *m, char *out, size_t size)
{
    char words[WORDS], project[40], version[40];
    const struct otter_image_facts *f = &m->check.facts;
    if (m->blank) {
        snprintf(out, size, "empty");
    } else if (m->err) {
        otter_words_image(m->err, &m->check, words, sizeof words);
        snprintf(out, size, "bad: %s", words);
    } else if (!f->has_desc) {
        snprintf(out, size, "image without descriptor, %u bytes, good", f->length);
    } else {
        snprintf(out, size, "%s %s, %u bytes, good", clean(f->desc.project, project), clean(f->desc.version, version),
                 f->length);
    }
}

/* ---- text ---- */

static void print_rows(const struct info *f)
{
    char words[WORDS + 16], label[3 * 17], type[8], subtype[8];
    printf("partition         type  subtype   offset          bytes\n");
    for (unsigned i = 0; i < f->file.rows; i++) {
        const struct otter_partition *p = &f->file.row[i];
        words[0] = '\0';
        if (p->type == OTTER_TYPE_APP) image_words(&f->image[i], words, sizeof words);
        printf("%-16s  %-4s  %-8s  0x%08x  %9u  %s\n", table_label(p->label, label), table_type(p, type),
               table_subtype(NULL, p, subtype), p->offset, p->size, words);
    }
}

static void print_text(const struct info *f)
{
    char words[WORDS], label[3 * 17];
    bootloader_words(f, words, sizeof words);
    printf("%s: %zu bytes\nboot loader       %s\n", f->path, f->size, words);
    print_rows(f);
    for (unsigned i = 0; i < f->gaps; i++)
        printf("(free)                            0x%08x  %9u\n", f->gap[i].offset, f->gap[i].size);
    for (unsigned i = 0; f->file.otadata.size && i < 2; i++) {
        entry_words(f, i, words, sizeof words);
        printf("otadata, entry %u  %s\n", i, words);
    }
    if (!f->file.otadata.size) puts("otadata           none");
    printf("boots             %s\n", f->boot.boots ? table_label(f->boot.label, label) : "nothing");
    if (f->target)
        printf("next update       to %s, at most %u bytes\n", table_label(f->target->label, label), f->room);
    else
        printf("next update       none is possible%s%s\n", f->divided ? ": " : "",
               f->divided ? otter_err_text(f->division.next_err) : "");
    if (f->divided) flash_division_print(&f->division.now);
}

/* ---- JSON ---- */

static cJSON *image_json(const struct image *m)
{
    char words[WORDS], text[40];
    const struct otter_image_facts *f = &m->check.facts;
    if (m->blank) return cJSON_CreateNull();
    cJSON *o = cJSON_CreateObject();
    cJSON_AddBoolToObject(o, "valid", m->err == OTTER_OK);
    if (f->has_desc) {
        cJSON_AddStringToObject(o, "project", clean(f->desc.project, text));
        cJSON_AddStringToObject(o, "version", clean(f->desc.version, text));
    }
    cJSON_AddStringToObject(o, "chip", f->chip ? f->chip->target : "unknown");
    cJSON_AddNumberToObject(o, "length", f->length);
    if (!m->err) return o;
    otter_words_image(m->err, &m->check, words, sizeof words);
    cJSON_AddStringToObject(o, "error", otter_err_name(m->err));
    cJSON_AddStringToObject(o, "message", words);
    return o;
}

static void add_partitions(cJSON *o, const struct info *f)
{
    cJSON *list = cJSON_AddArrayToObject(o, "partitions");
    for (unsigned i = 0; i < f->file.rows; i++) {
        cJSON *row = table_row_json(NULL, &f->file.row[i]);
        if (f->file.row[i].type == OTTER_TYPE_APP) cJSON_AddItemToObject(row, "image", image_json(&f->image[i]));
        cJSON_AddItemToArray(list, row);
    }
}

static void add_gaps(cJSON *o, const struct info *f)
{
    cJSON *list = cJSON_AddArrayToObject(o, "free");
    for (unsigned i = 0; i < f->gaps; i++) {
        cJSON *gap = cJSON_CreateObject();
        cJSON_AddNumberToObject(gap, "offset", f->gap[i].offset);
        cJSON_AddNumberToObject(gap, "size", f->gap[i].size);
        cJSON_AddItemToArray(list, gap);
    }
}

static void add_bootloader(cJSON *o, const struct info *f)
{
    cJSON *b = f->has_bootloader ? cJSON_AddObjectToObject(o, "bootloader") : cJSON_AddNullToObject(o, "bootloader");
    if (!f->has_bootloader) return;
    cJSON_AddStringToObject(b, "chip", f->bootloader.facts.chip->target);
    cJSON_AddNumberToObject(b, "offset", f->bootloader_offset);
    cJSON_AddNumberToObject(b, "length", f->bootloader.facts.length);
    cJSON_AddBoolToObject(b, "misplaced", misplaced(f));
}

static void add_otadata(cJSON *o, const struct info *f)
{
    cJSON *list = f->file.otadata.size ? cJSON_AddArrayToObject(o, "otadata") : cJSON_AddNullToObject(o, "otadata");
    for (unsigned i = 0; f->file.otadata.size && i < 2; i++) {
        const struct otter_ota_entry *e = &f->entry[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddNumberToObject(entry, "seq", e->seq);
        cJSON_AddStringToObject(entry, "state", otter_ota_state_name(e->state));
        cJSON_AddBoolToObject(entry, "valid", otter_ota_valid(e));
        if (e->seq != OTTER_OTA_NO_SEQ && f->file.ota_rows)
            cJSON_AddNumberToObject(entry, "slot", otter_ota_slot(e->seq, f->file.ota_rows));
        cJSON_AddItemToArray(list, entry);
    }
}

static void add_name(cJSON *o, const char *key, const char *label)
{
    char text[3 * 17];
    if (label)
        cJSON_AddStringToObject(o, key, table_label(label, text));
    else
        cJSON_AddNullToObject(o, key);
}

static void print_json(const struct info *f)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "file", f->path);
    cJSON_AddNumberToObject(o, "size", (double)f->size);
    add_bootloader(o, f);
    add_partitions(o, f);
    add_gaps(o, f);
    add_otadata(o, f);
    add_name(o, "boots", f->boot.boots ? f->boot.label : NULL);
    cJSON *next = f->target ? cJSON_AddObjectToObject(o, "next_update") : cJSON_AddNullToObject(o, "next_update");
    if (f->target) {
        add_name(next, "slot", f->target->label);
        cJSON_AddNumberToObject(next, "max_size", f->room);
    }
    cJSON_AddItemToObject(o, "division", f->divided ? cJSON_Parse(f->division.json) : cJSON_CreateNull());
    tool_print_json(o);
}

int tool_flash_info(int argc, char **argv)
{
    static const struct option options[] = {{"json", 0, 0, 'j'}, {"help", 0, 0, 'h'}, {0, 0, 0, 0}};
    static struct info f;
    bool json = false;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') return fputs(help_text, stdout) < 0;
        if (option != 'j') return tool_usage_error(cmd, "the command line is wrong");
        json = true;
    }
    if (optind != argc - 1) return tool_usage_error(cmd, "it takes one FLASH.bin");
    f.path = argv[optind];
    f.bytes = tool_read_file(f.path, FLASH_FILE_MAX, &f.size);
    if (!f.bytes) return 2;
    int status = look(&f);
    if (!status && json) print_json(&f);
    if (!status && !json) print_text(&f);
    free(f.division.json);
    free(f.bytes);
    return status;
}
