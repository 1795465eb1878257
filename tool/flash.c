/* otter flash, and its boot: what the boot loader would do with a whole-flash file. */
#define _GNU_SOURCE
#include <cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ports/sim/bootloader.h"
#include "ports/sim/nor.h"
#include "tool/commands.h"
#include "tool/flash.h"
#include "tool/flash_file.h"
#include "tool/json.h"
#include "tool/tool.h"

static const char help_text[] =
    "Usage: otter flash boot FLASH.bin [OPTION]...\n"
    "Says what the boot loader would do with this flash: which slot it selects, what it starts, what it writes to "
    "otadata\n"
    "and logs. The file is not changed. Exit status 5 if nothing would start.\n"
    "\n"
    "  --rollback           the boot loader was built with roll back\n"
    "  --anti-rollback      and with anti-rollback\n"
    "  --efuse-version N    the secure version in eFuse, for --anti-rollback [0]\n"
    "  --chip NAME          [the one that the images name]\n"
    "  --chip-rev N         revision of the chip, major * 100 + minor [not judged]\n"
    "  --json               print JSON\n";

struct request {
    const char *path;
    bool rollback, anti_rollback, json;
    uint32_t efuse_version;
    const struct otter_chip_info *chip;
    int32_t chip_revision;
};

/* The flash under the boot loader, with a note of every change. */
struct recorder {
    struct sim_nor nor;
    struct otter_flash port;
    cJSON *writes, *log;
};

static int32_t record_read(void *ctx, uint32_t off, void *dst, uint32_t n)
{
    struct recorder *r = ctx;
    return r->nor.port.read(&r->nor, off, dst, n);
}

static cJSON *add_write(struct recorder *r, const char *op, uint32_t off, uint32_t n)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "op", op);
    cJSON_AddNumberToObject(o, "offset", off);
    cJSON_AddNumberToObject(o, "size", n);
    cJSON_AddItemToArray(r->writes, o);
    return o;
}

static int32_t record_write(void *ctx, uint32_t off, const void *src, uint32_t n)
{
    struct recorder *r = ctx;
    char hex[2 * 32 + 1];
    cJSON *o = add_write(r, "write", off, n);
    if (n <= 32) cJSON_AddStringToObject(o, "data", tool_hex(src, n, hex));
    return r->nor.port.write(&r->nor, off, src, n);
}

static int32_t record_erase(void *ctx, uint32_t off, uint32_t n)
{
    struct recorder *r = ctx;
    add_write(r, "erase", off, n);
    return r->nor.port.erase(&r->nor, off, n);
}

static void record_log(void *ctx, char level, const char *tag, const char *text)
{
    struct recorder *r = ctx;
    char line[256];
    snprintf(line, sizeof line, "%c %s: %s", level, tag, text);
    cJSON_AddItemToArray(r->log, cJSON_CreateString(line));
}

static void start_recorder(struct recorder *r, uint8_t *bytes, uint32_t size)
{
    memset(r, 0, sizeof *r);
    sim_nor_init(&r->nor, bytes, size, NULL);
    r->port = r->nor.port;
    r->port.ctx = r;
    r->port.read = record_read;
    r->port.write = record_write;
    r->port.erase = record_erase;
    r->writes = cJSON_CreateArray();
    r->log = cJSON_CreateArray();
}

static void print_json(struct recorder *r, const struct sim_boot_result *b, const struct request *q)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddBoolToObject(o, "boots", b->boots);
    cJSON_AddNumberToObject(o, "selected_index", b->selected);
    if (b->boots) {
        cJSON_AddNumberToObject(o, "index", b->slot);
        cJSON_AddStringToObject(o, "slot", b->label);
        cJSON_AddNumberToObject(o, "offset", b->offset);
        cJSON_AddStringToObject(o, "version", b->image.has_desc ? b->image.desc.version : "");
    } else {
        cJSON_AddNullToObject(o, "index");
        cJSON_AddNullToObject(o, "slot");
        cJSON_AddNullToObject(o, "offset");
        cJSON_AddNullToObject(o, "version");
    }
    cJSON_AddItemToObject(o, "otadata_writes", r->writes);
    cJSON_AddItemToObject(o, "log", r->log);
    if (q->anti_rollback) cJSON_AddNumberToObject(o, "efuse_version_after", q->efuse_version);
    tool_print_json(o);
}

static const char *index_name(int index, char buf[16])
{
    if (index >= 0)
        snprintf(buf, 16, "ota_%d", index);
    else
        snprintf(buf, 16, "%s", index == -1 ? "factory" : index == -2 ? "test" : "nothing");
    return buf;
}

static void print_text(struct recorder *r, const struct sim_boot_result *b, const struct request *q)
{
    char name[16];
    const cJSON *item;
    cJSON_ArrayForEach(item, r->log) puts(item->valuestring);
    printf("\nselected: %s (index %d)\n", index_name(b->selected, name), b->selected);
    cJSON_ArrayForEach(item, r->writes)
    {
        const cJSON *data = cJSON_GetObjectItem(item, "data");
        printf("otadata:  %s 0x%x, %d bytes%s%s\n", cJSON_GetObjectItem(item, "op")->valuestring,
               (unsigned)cJSON_GetObjectItem(item, "offset")->valuedouble, cJSON_GetObjectItem(item, "size")->valueint,
               data ? ": " : "", data ? data->valuestring : "");
    }
    if (q->anti_rollback) printf("eFuse:    secure version %u\n", q->efuse_version);
    if (b->boots)
        printf("boots:    %s at 0x%x%s%s\n", b->label, b->offset, b->image.has_desc ? ", version " : "",
               b->image.has_desc ? b->image.desc.version : "");
    else
        printf("boots:    nothing; the chip resets again and again\n");
    cJSON_Delete(r->writes);
    cJSON_Delete(r->log);
}

static int boot(struct request *q, uint8_t *bytes, size_t size)
{
    struct recorder r;
    struct sim_boot_result result;
    start_recorder(&r, bytes, (uint32_t)size);
    struct sim_boot b = {.flash = &r.port,
                         .crypto = tool_crypto(),
                         .chip = q->chip,
                         .chip_revision = q->chip_revision,
                         .efuse_revision = -1,
                         .rollback = q->rollback || q->anti_rollback,
                         .anti_rollback = q->anti_rollback,
                         .efuse_version = &q->efuse_version,
                         .log_ctx = &r,
                         .log = record_log};
    sim_boot(&b, &result);
    if (q->json)
        print_json(&r, &result, q);
    else
        print_text(&r, &result, q);
    return result.boots ? 0 : 5;
}

enum { OPT_ROLLBACK = 1, OPT_ANTI, OPT_EFUSE, OPT_CHIP, OPT_REV, OPT_JSON, OPT_HELP };

static int take_option(struct request *q, int option, const char *value)
{
    uint64_t n;
    switch (option) {
    case OPT_ROLLBACK: q->rollback = true; return 0;
    case OPT_ANTI: q->anti_rollback = true; return 0;
    case OPT_JSON: q->json = true; return 0;
    case OPT_CHIP: q->chip = tool_chip(value); return q->chip ? 0 : 2;
    case OPT_EFUSE:
        if (tool_number(value, 32, &n)) return tool_usage_error("flash boot", "--efuse-version is 0 to 32");
        q->efuse_version = (uint32_t)n;
        return 0;
    case OPT_REV:
        if (tool_number(value, 9999, &n))
            return tool_usage_error("flash boot", "--chip-rev: \"%s\" is no revision", value);
        q->chip_revision = (int32_t)n;
        return 0;
    default: return tool_usage_error("flash boot", "the command line is wrong");
    }
}

static int read_options(struct request *q, int argc, char **argv)
{
    static const struct option options[] = {{"rollback", 0, 0, OPT_ROLLBACK},   {"anti-rollback", 0, 0, OPT_ANTI},
                                            {"efuse-version", 1, 0, OPT_EFUSE}, {"chip", 1, 0, OPT_CHIP},
                                            {"chip-rev", 1, 0, OPT_REV},        {"json", 0, 0, OPT_JSON},
                                            {"help", 0, 0, OPT_HELP},           {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == OPT_HELP || option == 'h') {
            fputs(help_text, stdout);
            exit(0);
        }
        int status = take_option(q, option, optarg);
        if (status) return status;
    }
    if (optind != argc - 1) return tool_usage_error("flash boot", "it takes one FLASH.bin");
    q->path = argv[optind];
    return 0;
}

static int run_boot(int argc, char **argv)
{
    struct request q = {.chip_revision = -1};
    size_t size;
    int status = read_options(&q, argc, argv);
    if (status) return status;
    uint8_t *bytes = tool_read_file(q.path, FLASH_FILE_MAX, &size);
    if (!bytes) return 2;
    if (size % OTTER_SECTOR || size <= OTTER_CFG_TABLE_OFFSET + OTTER_SECTOR)
        status = tool_fail(OTTER_TABLE_MAGIC, "%s: %zu bytes are no whole flash", q.path, size);
    else
        status = boot(&q, bytes, size);
    free(bytes);
    return status;
}

int tool_flash(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        {"build", tool_flash_build, "put a whole flash together"},
        {"info", tool_flash_info, "what lies in a flash, and what an update could be"},
        {"boot", run_boot, "what the boot loader would do"},
        {"erase", tool_flash_erase, "erase a partition, or all"},
        {NULL, NULL, NULL},
    };
    return tool_dispatch(commands, "Usage: otter flash COMMAND [OPTION]...\n\n", argc, argv);
}
