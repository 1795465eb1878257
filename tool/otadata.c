/* otter otadata explain: which slot the boot loader would pick, and why, in words. */
#include <cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/otadata.h"
#include "format/table.h"
#include "tool/commands.h"
#include "tool/flash_file.h"
#include "tool/json.h"
#include "tool/tool.h"

static const char help_text[] =
    "Usage: otter otadata explain FILE [OPTION]...\n"
    "Says which slot the boot loader picks by otadata, and why. FILE is an otadata partition (8192 bytes) or a whole "
    "flash.\n"
    "\n"
    "  --slots N       number of ota slots [2, or what the flash's partition table has]\n"
    "  --factory       there is a factory app [no, or as in the table]\n"
    "  --rollback      the boot loader was built with roll back\n"
    "  --json          print JSON\n";

struct request {
    const char *path;
    uint64_t slots;
    bool factory, rollback, json;
    struct otter_ota_entry entry[2];
};

struct verdict {
    int active; /* which entry decides; -1 */
    int index;  /* what the boot loader selects: -1 also for "search all" */
    int slot;   /* what it tries first: -1 factory, -99 none */
    const char *why;
};

static bool on_trial(const struct request *r, int i)
{
    return r->rollback && r->entry[i].state == OTTER_OTA_PENDING_VERIFY;
}

static struct verdict judge(const struct request *r)
{
    struct otter_ota_entry e[2] = {r->entry[0], r->entry[1]};
    for (int i = 0; i < 2; i++)
        if (on_trial(r, i)) e[i].state = OTTER_OTA_ABORTED;
    int active = otter_ota_active(e);
    if (r->slots == 0)
        return (struct verdict){-1, r->factory ? -1 : 0, r->factory ? -1 : -99, "the table has no ota slot"};
    if (otter_ota_unusable(&e[0]) && otter_ota_unusable(&e[1]))
        return (struct verdict){
            -1, r->factory ? -1 : 0, r->factory ? -1 : 0,
            r->factory ? "neither entry may start a slot, so the factory app is taken"
                       : "neither entry may start a slot and there is no factory app, so ota_0 is tried first"};
    if (active < 0)
        return (struct verdict){
            -1, -1, r->factory ? -1 : 0,
            r->factory ? "no entry is whole, so the factory app is taken"
                       : "no entry is whole and there is no factory app, so all slots are tried from ota_0 on"};
    bool both = otter_ota_valid(&e[0]) && otter_ota_valid(&e[1]);
    int slot = (int)otter_ota_slot(e[active].seq, (unsigned)r->slots);
    return (struct verdict){
        active, slot, slot,
        both ? "both entries are good; the higher sequence number decides" : "it is the only good entry"};
}

static const char *entry_words(const struct request *r, int i)
{
    const struct otter_ota_entry *e = &r->entry[i];
    if (e->seq == OTTER_OTA_NO_SEQ) return "never written";
    if (otter_ota_initial(e)) return "its CRC is wrong: torn or damaged, so it does not count";
    if (on_trial(r, i)) return "was on trial and did not confirm: the boot loader marks it aborted now";
    switch (e->state) {
    case OTTER_OTA_NEW:
        return r->rollback ? "starts for the first time: the boot loader puts it on trial (pending_verify)" : "good";
    case OTTER_OTA_INVALID: return "was given up by its firmware: not started";
    case OTTER_OTA_ABORTED: return "did not confirm when it was on trial: not started";
    default: return "good";
    }
}

static void slot_name(int slot, char buf[16])
{
    if (slot >= 0)
        snprintf(buf, 16, "ota_%d", slot);
    else
        snprintf(buf, 16, "%s", slot == -1 ? "factory" : "none");
}

static void print_text(const struct request *r, const struct verdict *v)
{
    char name[16];
    for (int i = 0; i < 2; i++) {
        const struct otter_ota_entry *e = &r->entry[i];
        printf("entry %d: ", i);
        if (e->seq != OTTER_OTA_NO_SEQ && r->slots) {
            slot_name((int)otter_ota_slot(e->seq, (unsigned)r->slots), name);
            printf("sequence %u = %s, %s; ", e->seq, name, otter_ota_state_name(e->state));
        }
        printf("%s\n", entry_words(r, i));
    }
    slot_name(v->slot, name);
    printf("boots:   %s, because %s\n", name, v->why);
}

static cJSON *entry_json(const struct request *r, int i)
{
    const struct otter_ota_entry *e = &r->entry[i];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "seq", e->seq);
    cJSON_AddStringToObject(o, "state", otter_ota_state_name(e->state));
    cJSON_AddNumberToObject(o, "state_number", e->state);
    cJSON_AddBoolToObject(o, "crc_right", !otter_ota_initial(e));
    cJSON_AddBoolToObject(o, "valid", otter_ota_valid(e));
    cJSON_AddStringToObject(o, "words", entry_words(r, i));
    return o;
}

static void print_json(const struct request *r, const struct verdict *v)
{
    char name[16];
    cJSON *o = cJSON_CreateObject(), *entries = cJSON_AddArrayToObject(o, "entries");
    for (int i = 0; i < 2; i++) cJSON_AddItemToArray(entries, entry_json(r, i));
    slot_name(v->slot, name);
    cJSON_AddNumberToObject(o, "active_entry", v->active);
    cJSON_AddNumberToObject(o, "selected_index", v->index);
    cJSON_AddStringToObject(o, "slot", name);
    cJSON_AddStringToObject(o, "why", v->why);
    tool_print_json(o);
}

/* From a whole flash, table and otadata come out of it. */
static int read_flash(struct request *r, const uint8_t *bytes, size_t size)
{
    struct flash_file f;
    int status = flash_file_parse(&f, r->path, bytes, size);
    if (status) return status;
    if (!f.otadata.size)
        return tool_fail(OTTER_NO_OTADATA, "%s: the partition table has no otadata partition", r->path);
    r->slots = f.ota_rows;
    r->factory = f.has_factory;
    for (unsigned i = 0; i < 2; i++) otter_ota_read(bytes + f.otadata.offset + i * OTTER_SECTOR, &r->entry[i]);
    return 0;
}

static int read_file(struct request *r)
{
    size_t size;
    uint8_t *bytes = tool_read_file(r->path, FLASH_FILE_MAX, &size);
    if (!bytes) return 2;
    int status = 0;
    if (size == OTTER_OTADATA_SIZE)
        for (unsigned i = 0; i < 2; i++) otter_ota_read(bytes + i * OTTER_SECTOR, &r->entry[i]);
    else
        status = read_flash(r, bytes, size);
    free(bytes);
    return status;
}

enum { OPT_SLOTS = 1, OPT_FACTORY, OPT_ROLLBACK, OPT_JSON, OPT_HELP };

static int read_options(struct request *r, int argc, char **argv)
{
    static const struct option options[] = {{"slots", 1, 0, OPT_SLOTS},       {"factory", 0, 0, OPT_FACTORY},
                                            {"rollback", 0, 0, OPT_ROLLBACK}, {"json", 0, 0, OPT_JSON},
                                            {"help", 0, 0, OPT_HELP},         {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) switch (option) {
        case OPT_SLOTS:
            if (tool_number(optarg, OTTER_OTA_SLOTS, &r->slots))
                return tool_usage_error("otadata explain", "--slots is 0 to 16");
            break;
        case OPT_FACTORY: r->factory = true; break;
        case OPT_ROLLBACK: r->rollback = true; break;
        case OPT_JSON: r->json = true; break;
        case OPT_HELP:
        case 'h': fputs(help_text, stdout); exit(0);
        default: return tool_usage_error("otadata explain", "the command line is wrong");
        }
    if (optind != argc - 1) return tool_usage_error("otadata explain", "it takes one FILE");
    r->path = argv[optind];
    return 0;
}

static int run_explain(int argc, char **argv)
{
    struct request r = {.slots = 2};
    int status = read_options(&r, argc, argv);
    if (!status) status = read_file(&r);
    if (status) return status;
    struct verdict v = judge(&r);
    if (r.json)
        print_json(&r, &v);
    else
        print_text(&r, &v);
    return 0;
}

int tool_otadata(int argc, char **argv)
{
    static const struct tool_command commands[] = {{"explain", run_explain, "which slot boots, and why, in words"},
                                                   {NULL, NULL, NULL}};
    return tool_dispatch(commands, "Usage: otter otadata COMMAND [OPTION]...\n\n", argc, argv);
}
