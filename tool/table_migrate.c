/* otter table migrate: from fixed slots to elastic ones, on a device's whole flash. The engine does it, on the model.
 */
#define _GNU_SOURCE
#include <cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "otter/migrate.h"
#include "ports/sim/table.h"
#include "ports/sim/world.h"
#include "tool/flash_file.h"
#include "tool/json.h"
#include "tool/table_file.h"
#include "tool/table_plan.h"
#include "tool/tool.h"

static const char cmd[] = "table migrate";
static const char help_text[] =
    "Usage: otter table migrate FLASH.bin [OPTION]...\n"
    "Plans how a device with fixed slots, whose whole flash is in FLASH.bin, goes over to elastic ones, and goes that\n"
    "way in the file with --accept-window. A device goes it with the table that -o writes:\n"
    "POST /api/v1/table/migrate. nvs and otadata stay; the running firmware stays where it is, and either table "
    "starts\n"
    "it. One step is left in which a loss of power is fatal: the table's one sector is erased and written anew.\n"
    "\n"
    "  -o TABLE.bin         write the new table\n"
    "  --app SIZE           the image to plan for [the one that runs]\n"
    "  --grow SIZE          how much larger it may become [half as much]\n"
    "  --accept-window      go: change FLASH.bin\n"
    "  --drop-data          also if data partitions that are not blank are given up\n"
    "  --no-rollback        the device's boot loader cannot roll back: then it is refused\n"
    "  --json               print JSON\n"
    "Exit status 4 if the way is not gone.\n";

enum { MIGRATE_APP = 256, MIGRATE_GROW, MIGRATE_ACCEPT, MIGRATE_DROP, MIGRATE_NO_ROLLBACK, MIGRATE_JSON };
/* W25Q32JV-class, typical: docs/PERFORMANCE.md. */
enum { ERASE_MS = 45, PAGES_A_MS = 2 };

struct request {
    const char *path, *out;
    uint64_t app, grow;
    bool accept, drop, no_rollback, json;
    uint8_t *flash;
    size_t size;
    struct flash_file file;
    struct sim_world world;
    struct otter_plan plan;
    uint8_t table[OTTER_SECTOR];
    struct otter_migration way;
    const struct otter_partition *dropped[OTTER_TABLE_ROWS];
    unsigned drops;
    bool loses; /* one of them is not blank */
};

/* ---- command line ---- */

static int take_options(struct request *q, int argc, char **argv)
{
    static const struct option options[] = {{"output", 1, 0, 'o'},
                                            {"app", 1, 0, MIGRATE_APP},
                                            {"grow", 1, 0, MIGRATE_GROW},
                                            {"accept-window", 0, 0, MIGRATE_ACCEPT},
                                            {"drop-data", 0, 0, MIGRATE_DROP},
                                            {"no-rollback", 0, 0, MIGRATE_NO_ROLLBACK},
                                            {"json", 0, 0, MIGRATE_JSON},
                                            {"help", 0, 0, 'h'},
                                            {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "ho:", options, NULL)) != -1;) {
        uint64_t *size = option == MIGRATE_APP ? &q->app : &q->grow;
        switch (option) {
        case 'h': fputs(help_text, stdout); return -1;
        case 'o': q->out = optarg; break;
        case MIGRATE_APP:
        case MIGRATE_GROW:
            if (tool_number(optarg, OTTER_PLAN_FLASH_MAX, size) || !*size)
                return tool_usage_error(cmd, "\"%s\" is no size up to 16 MiB", optarg);
            break;
        case MIGRATE_ACCEPT: q->accept = true; break;
        case MIGRATE_DROP: q->drop = true; break;
        case MIGRATE_NO_ROLLBACK: q->no_rollback = true; break;
        case MIGRATE_JSON: q->json = true; break;
        default: return tool_usage_error(cmd, "the command line is wrong");
        }
    }
    if (optind != argc - 1) return tool_usage_error(cmd, "it takes one FLASH.bin");
    q->path = argv[optind];
    return 0;
}

/* ---- the device as it is ---- */

/* Both chip and revision come from the image that starts. */
static bool start(struct request *q)
{
    struct sim_world *w = &q->world;
    struct sim_table t = {q->flash + OTTER_CFG_TABLE_OFFSET, (uint32_t)q->size, tool_crypto()};
    struct sim_boot look = {.flash = &w->nor.port,
                            .crypto = w->crypto,
                            .chip_revision = -1,
                            .efuse_revision = -1,
                            .rollback = w->chip.rollback};
    enum otter_err e;
    sim_nor_power_on(&w->nor);
    if (!sim_boot(&look, &w->booted) || !w->booted.image.chip) return false;
    w->chip.info = w->booted.image.chip;
    w->chip.revision = w->booted.image.revision_min;
    w->layout = sim_table_overlaps(&t) ? &otter_layout_elastic : NULL;
    return sim_world_start(w, &e) && !e;
}

static int open_flash(struct request *q)
{
    q->flash = tool_read_file(q->path, FLASH_FILE_MAX, &q->size);
    if (!q->flash) return 2;
    int status = flash_file_parse(&q->file, q->path, q->flash, q->size);
    if (status) return status;
    if (q->size % OTTER_BLOCK) return tool_fail(OTTER_ARG, "%s: its size is no multiple of 64 KiB", q->path);
    sim_world_init(&q->world, q->flash, (uint32_t)q->size, tool_crypto());
    q->world.chip.rollback = !q->no_rollback;
    if (!start(q)) return tool_fail(OTTER_NO_SLOT, "%s: nothing starts from it: otter flash boot says why", q->path);
    if (q->world.layout) return tool_fail(OTTER_MIGRATION, "%s: its slots overlap already", q->path);
    return q->no_rollback ? tool_fail(OTTER_NEEDS_ROLLBACK, "%s", otter_err_text(OTTER_NEEDS_ROLLBACK)) : 0;
}

/* ---- the new table ---- */

static bool is_slot(const struct otter_partition *p) { return p->type == OTTER_TYPE_APP; }

/* The pool begins with the lowest slot. */
static uint32_t pool_of(const struct request *q)
{
    uint32_t from = UINT32_MAX;
    for (unsigned i = 0; i < q->file.rows; i++)
        if (is_slot(&q->file.row[i]) && q->file.row[i].offset < from) from = q->file.row[i].offset;
    return from;
}

static bool blank(const struct request *q, const struct otter_partition *p)
{
    for (uint32_t i = 0; i < p->size; i++)
        if (q->flash[p->offset + i] != 0xFF) return false;
    return true;
}

/* Data behind the pool's begin goes; what lies before it stays. */
static unsigned keep_rows(struct request *q, uint32_t pool, struct otter_partition *row)
{
    unsigned n = 0;
    for (unsigned i = 0; i < q->file.rows; i++) {
        const struct otter_partition *p = &q->file.row[i];
        if (is_slot(p)) continue;
        if (p->offset < pool) {
            row[n++] = *p;
            continue;
        }
        q->dropped[q->drops++] = p;
        if (!blank(q, p)) q->loses = true;
    }
    return n;
}

static int plan_heights(struct request *q, uint32_t pool)
{
    uint32_t app = q->app ? (uint32_t)q->app : q->world.device.running_image.length;
    /* The plan's own fixed parts are not used: nvs is what brings its pool to where this one begins. */
    struct otter_plan_wish wish = {.flash_size = (uint32_t)q->size,
                                   .nvs = pool - 0x9000 - OTTER_OTADATA_SIZE - OTTER_SECTOR,
                                   .app = app,
                                   .grow = q->grow ? (uint32_t)q->grow : app / 2,
                                   .shrink = app / 4};
    enum otter_plan_fault fault = otter_plan_make(&q->plan, &wish);
    if (!fault) return 0;
    if (fault == OTTER_PLAN_BAD_FLASH)
        return tool_fail(OTTER_MIGRATION, "%s: its size is none of 1, 2, 4, 8 and 16 MB", q->path);
    return tool_fail(OTTER_MIGRATION,
                     "%s: an image of %u bytes leaves no room for another in the %u KiB from 0x%x on; "
                     "say --app",
                     q->path, app, (unsigned)((q->size - pool) / 1024), pool);
}

static void put_slots(const struct request *q, const uint32_t *height, struct otter_partition *row)
{
    for (unsigned i = 0; i < q->plan.slots; i++) {
        row[i] = (struct otter_partition){.type = OTTER_TYPE_APP,
                                          .subtype = (uint8_t)(OTTER_APP_OTA_0 + i),
                                          .offset = height[i],
                                          .size = (uint32_t)q->size - height[i]};
        snprintf(row[i].label, sizeof row[i].label, "ota_%u", i);
    }
}

/* The height nearest to where the firmware runs becomes that; never the bottom, unless it is that. */
static unsigned include_running(struct otter_plan *plan, uint32_t runs)
{
    unsigned best = 1;
    for (unsigned i = 0; i < plan->slots; i++) {
        if (plan->slot[i] == runs) return i;
        uint32_t far = plan->slot[i] > runs ? plan->slot[i] - runs : runs - plan->slot[i];
        uint32_t nearest = plan->slot[best] > runs ? plan->slot[best] - runs : runs - plan->slot[best];
        if (i && far < nearest) best = i;
    }
    plan->slot[best] = runs;
    return best;
}

/* Numbers the slots so that one sequence number names the running firmware by both tables. */
static int make_table(struct request *q)
{
    struct otter_partition row[OTTER_TABLE_ROWS + OTTER_OTA_SLOTS];
    uint32_t pool = pool_of(q), height[OTTER_OTA_SLOTS];
    int status = plan_heights(q, pool);
    if (status) return status;
    unsigned kept = keep_rows(q, pool, row), runs = include_running(&q->plan, q->world.booted.offset);
    enum otter_err e = OTTER_MIGRATION;
    for (unsigned as = 0; e == OTTER_MIGRATION && as < q->plan.slots; as++) {
        unsigned number = (runs + as) % q->plan.slots;
        memcpy(height, q->plan.slot, sizeof height);
        height[runs] = q->plan.slot[number];
        height[number] = q->plan.slot[runs];
        put_slots(q, height, row + kept);
        memset(q->table, 0xFF, sizeof q->table);
        e = otter_table_write(row, kept + q->plan.slots, true, tool_crypto(), q->table);
        if (!e) e = otter_migrate_check(&q->world.device, q->table, &q->way);
    }
    return e ? tool_fail(e, "%s: %s %s", q->path, otter_err_text(e), q->way.why ? q->way.why : "") : 0;
}

/* ---- words ---- */

static unsigned window_ms(const struct request *q) { return ERASE_MS + (q->way.pages + PAGES_A_MS - 1u) / PAGES_A_MS; }

static void print_text(const struct request *q)
{
    char from[8], to[8];
    printf("runs:     %s at 0x%x, %u bytes; by the new table %s, by both with sequence number %u\n",
           otter_slot_name(q->way.from, from), q->world.booted.offset, q->world.device.running_image.length,
           otter_slot_name(q->way.to, to), q->way.seq);
    printf("before:   otadata gets that number, other slots' images are made unstartable; power may go at any time\n");
    printf(
        "window:   1 erase and %u page writes of the sector at 0x%x, about %u ms; if power goes between, nothing\n"
        "          starts until the table is written by cable: esptool write_flash 0x%x TABLE.bin\n",
        q->way.pages, OTTER_CFG_TABLE_OFFSET, window_ms(q), OTTER_CFG_TABLE_OFFSET);
    printf("proven:   on the model, either table starts it\n");
    printf("then:     %u slots from 0x%x on; data has %u KiB beside the running firmware\n", q->plan.slots,
           q->plan.slot[0], (unsigned)(otter_plan_settled(&q->plan, q->world.device.running_image.length) / 1024));
    uint32_t next = otter_plan_next(&q->plan, q->plan.wish.app);
    if (next < q->plan.wish.app)
        printf("warning:  an image of %u KiB cannot be followed by its like: at most by one of %u KiB\n",
               q->plan.wish.app / 1024, next / 1024);
    for (unsigned i = 0; i < q->drops; i++)
        printf("given up: partition \"%s\", %u KiB%s\n", q->dropped[i]->label, q->dropped[i]->size / 1024,
               blank(q, q->dropped[i]) ? ", blank" : ": what is in it is lost");
}

static void print_json(const struct request *q, bool gone)
{
    char name[8];
    cJSON *o = cJSON_CreateObject(), *window = cJSON_AddObjectToObject(o, "window");
    cJSON_AddNumberToObject(window, "erases", 1);
    cJSON_AddNumberToObject(window, "page_writes", q->way.pages);
    cJSON_AddNumberToObject(window, "ms", window_ms(q));
    cJSON_AddStringToObject(o, "from", otter_slot_name(q->way.from, name));
    cJSON_AddStringToObject(o, "to", otter_slot_name(q->way.to, name));
    cJSON_AddNumberToObject(o, "offset", q->world.booted.offset);
    cJSON_AddNumberToObject(o, "sequence", q->way.seq);
    cJSON_AddNumberToObject(o, "slots", q->plan.slots);
    cJSON *dropped = cJSON_AddArrayToObject(o, "dropped");
    for (unsigned i = 0; i < q->drops; i++) cJSON_AddItemToArray(dropped, cJSON_CreateString(q->dropped[i]->label));
    cJSON_AddBoolToObject(o, "data_lost", q->loses);
    cJSON_AddBoolToObject(o, "migrated", gone);
    tool_print_json(o);
}

/* ---- the way itself ---- */

static int refuse(const struct request *q)
{
    if (q->loses && !q->drop)
        return tool_fail(OTTER_MIGRATION,
                         "a data partition that is not blank would be given up; save it, then say --drop-data");
    if (!q->accept) return tool_fail(OTTER_MIGRATION, "not done: the window has to be accepted: --accept-window");
    return 0;
}

/* In memory: only what has been seen to start goes into the file. */
static int prove(struct request *q)
{
    uint32_t offset = q->world.booted.offset;
    enum otter_err e = otter_migrate(&q->world.device, q->table);
    if (e) return tool_fail(e, "%s: %s", q->path, otter_err_text(e));
    bool same = start(q) && q->world.layout && q->world.booted.offset == offset;
    return same ? 0 : tool_fail(OTTER_MIGRATION, "%s: by the new table the firmware does not start", q->path);
}

int tool_table_migrate(int argc, char **argv)
{
    static struct request q;
    int status = take_options(&q, argc, argv);
    if (status) return status < 0 ? 0 : status;
    status = open_flash(&q);
    if (!status) status = make_table(&q);
    if (!status) status = prove(&q);
    if (!status && q.out) status = tool_write_file(q.out, q.table, OTTER_TABLE_SIZE);
    if (!status && !q.json) print_text(&q);
    int refused = status ? status : refuse(&q);
    if (!refused) refused = tool_write_file(q.path, q.flash, q.size);
    if (!status && q.json) print_json(&q, !refused);
    free(q.flash);
    return refused;
}
