/* otter table plan: a partition table of the layout `elastic` for an app that grows. */
#define _GNU_SOURCE
#include "tool/table_plan.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tool/json.h"
#include "tool/table_file.h"
#include "tool/tool.h"

static const char cmd[] = "table plan";
static const char help_text[] =
    "Usage: otter table plan --flash SIZE --app SIZE [OPTION]...\n"
    "Makes a partition table of the layout `elastic`: slots that overlap, so that the app takes what it needs and "
    "data\n"
    "has the rest. The slots' places are chosen so that every expected image size loses as little as possible. Prints\n"
    "the table as CSV, with what it leaves for data.\n"
    "\n"
    "  --flash SIZE       1MB, 2MB, 4MB, 8MB or 16MB\n"
    "  --app SIZE         the image as it is today: 1.5MB, or bytes\n"
    "  --grow SIZE|N%     how much larger it may become [50%, at most 1920K]\n"
    "  --shrink SIZE|N%   how much smaller [25%; with --grow at most 1920K]\n"
    "  --min-data SIZE    data that must be left at any time, also while an image of the app's size replaces it [0]\n"
    "  --nvs SIZE         of the NVS partition [16K, with which nothing is lost before the pool of 64 KiB blocks]\n"
    "  -o BIN             write the binary table\n"
    "  --csv FILE         write the CSV there\n"
    "  --svg FILE         write a chart of what every size leaves for data\n"
    "  --chart            print that chart as text instead of the CSV\n"
    "  --json             print JSON instead of the CSV\n"
    "A file may be - for standard output, which takes one of all these. Exit status 4 if the flash is too small.\n";

enum { RANGE_MAX = 15 * 128 * 1024 }; /* by default no size of the range loses more than 128 KiB */

struct request {
    const char *flash, *app, *grow, *shrink, *min_data, *nvs;
    const char *out, *csv, *svg;
    bool json, chart;
    struct otter_plan plan;
    struct table_file table;
};

/* ---- command line ---- */

static int take_options(struct request *q, int argc, char **argv)
{
    enum { FLASH = 256, APP, GROW, SHRINK, MIN_DATA, NVS, CSV, SVG, CHART, JSON };
    static const struct option options[] = {{"flash", 1, 0, FLASH},
                                            {"app", 1, 0, APP},
                                            {"grow", 1, 0, GROW},
                                            {"shrink", 1, 0, SHRINK},
                                            {"nvs", 1, 0, NVS},
                                            {"min-data", 1, 0, MIN_DATA},
                                            {"output", 1, 0, 'o'},
                                            {"csv", 1, 0, CSV},
                                            {"svg", 1, 0, SVG},
                                            {"chart", 0, 0, CHART},
                                            {"json", 0, 0, JSON},
                                            {"help", 0, 0, 'h'},
                                            {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        switch (option) {
        case FLASH: q->flash = optarg; break;
        case APP: q->app = optarg; break;
        case GROW: q->grow = optarg; break;
        case SHRINK: q->shrink = optarg; break;
        case MIN_DATA: q->min_data = optarg; break;
        case NVS: q->nvs = optarg; break;
        case 'o': q->out = optarg; break;
        case CSV: q->csv = optarg; break;
        case SVG: q->svg = optarg; break;
        case CHART: q->chart = true; break;
        case JSON: q->json = true; break;
        case 'h': fputs(help_text, stdout); return -1;
        default: return tool_usage_error(cmd, "the command line is wrong");
        }
    }
    if (optind < argc) return tool_usage_error(cmd, "it takes no file: \"%s\"", argv[optind]);
    if (!q->flash) return tool_usage_error(cmd, "say how large the flash is: --flash 4MB");
    if (!q->app) return tool_usage_error(cmd, "say how large the app is: --app 1.5MB");
    return 0;
}

static bool is_stdout(const char *path) { return path && strcmp(path, "-") == 0; }

/* The CSV goes to standard output unless something else was asked for. */
static int share_stdout(struct request *q)
{
    int asked = q->json + q->chart + is_stdout(q->out) + is_stdout(q->csv) + is_stdout(q->svg);
    if (asked > 1)
        return tool_usage_error(cmd, "standard output takes one of --json, --chart and files named -; name files");
    if (!asked && !q->csv) q->csv = "-";
    return 0;
}

/* As tool_number(), and with decimals: 1.5MB. */
static bool read_size(const char *text, double *out)
{
    char unit[16];
    uint64_t factor;
    size_t digits = strspn(text, "0123456789"), all = digits;
    if (text[digits] == '.') all += 1 + strspn(text + digits + 1, "0123456789");
    if (all == digits) {
        int bad = tool_number(text, UINT32_MAX, &factor);
        *out = (double)factor;
        return !bad;
    }
    snprintf(unit, sizeof unit, "1%s", text + all);
    if (!digits || all == digits + 1 || tool_number(unit, UINT32_MAX, &factor)) return false;
    *out = strtod(text, NULL) * (double)factor;
    return *out <= UINT32_MAX;
}

static int take_size(const char *name, const char *text, uint32_t *out)
{
    double n;
    if (!text) return 0;
    if (!read_size(text, &n))
        return tool_usage_error(cmd, "%s: \"%s\" is no size; write it like 1.5MB, 768K or 0x6000", name, text);
    *out = (uint32_t)n;
    if ((double)*out == n) return 0;
    return tool_usage_error(cmd, "%s: \"%s\" is no whole number of bytes; write it in a smaller unit", name, text);
}

/* A size, or so many parts of a hundred of the app. */
static int take_change(const char *name, const char *text, uint32_t app, uint32_t *out)
{
    uint64_t percent;
    size_t digits = text ? strspn(text, "0123456789") : 0;
    if (!digits || strcmp(text + digits, "%") != 0) return take_size(name, text, out);
    char number[16];
    snprintf(number, sizeof number, "%.*s", (int)digits, text);
    if (digits >= sizeof number || tool_number(number, 10000, &percent))
        return tool_usage_error(cmd, "%s: \"%s\" is more than 10000%%", name, text);
    uint64_t bytes = app * percent / 100;
    *out = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
    return 0;
}

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static int read_wish(const struct request *q, struct otter_plan_wish *w)
{
    *w = (struct otter_plan_wish){.nvs = OTTER_PLAN_NVS};
    int status = take_size("--flash", q->flash, &w->flash_size);
    if (!status) status = take_size("--app", q->app, &w->app);
    if (!status) status = take_size("--nvs", q->nvs, &w->nvs);
    if (!status) status = take_size("--min-data", q->min_data, &w->min_data);
    w->grow = least(w->app / 2, RANGE_MAX);
    if (!status) status = take_change("--grow", q->grow, w->app, &w->grow);
    w->shrink = least(w->app / 4, RANGE_MAX - least(w->grow, RANGE_MAX));
    if (!status) status = take_change("--shrink", q->shrink, w->app, &w->shrink);
    return status;
}

/* ---- refusals and warnings ---- */

static uint32_t kib(uint32_t bytes) { return bytes / 1024; }

static int refuse_data(const struct otter_plan *p)
{
    uint32_t app = otter_plan_fit(p->wish.app);
    int32_t left = otter_plan_beside(p, app, app);
    tool_fail(OTTER_TOO_BIG,
              "while the app is replaced by one of its size, two images of %u KiB and %u bytes of data do not fit into "
              "the pool of %u KiB",
              kib(app), p->wish.min_data, kib(p->pool_size));
    if (left > 0) return tool_fail(OTTER_TOO_BIG, "lower --min-data to %d KiB, or take a larger flash", left / 1024);
    return tool_fail(OTTER_TOO_BIG, "no data can be left then: make the app smaller, or take a larger flash");
}

static int refuse(const struct otter_plan *p, enum otter_plan_fault fault)
{
    const struct otter_plan_wish *w = &p->wish;
    switch (fault) {
    case OTTER_PLAN_BAD_FLASH:
        return tool_usage_error(cmd, "--flash: %u bytes; an app can be run from 1MB, 2MB, 4MB, 8MB or 16MB",
                                w->flash_size);
    case OTTER_PLAN_BAD_NVS:
        return tool_usage_error(cmd, "--nvs: 0x%x bytes; it needs 0x%x at least, in steps of 0x%x", w->nvs,
                                OTTER_PLAN_NVS_MIN, OTTER_SECTOR);
    case OTTER_PLAN_NO_POOL:
        return tool_fail(OTTER_TOO_BIG, "an NVS of 0x%x bytes leaves no room for two images; lower --nvs", w->nvs);
    case OTTER_PLAN_BAD_APP:
        if (!w->app) return tool_usage_error(cmd, "--app: an image has some bytes");
        return tool_fail(OTTER_TOO_BIG,
                         "an app of %u bytes could never be updated: the pool of %u KiB must hold another image beside "
                         "it; make the app smaller, or take a larger flash",
                         w->app, kib(p->pool_size));
    default: return refuse_data(p);
    }
}

static void warn(const struct request *q)
{
    const struct otter_plan *p = &q->plan;
    uint32_t app = otter_plan_fit(p->wish.app), next = otter_plan_next(p, p->wish.app), data;
    if (!otter_plan_pending(p, app, app, &data))
        tool_fail(OTTER_TOO_BIG,
                  "warning: an app of %u bytes takes more than half of the pool of %u KiB, so it can never be followed "
                  "by its like; the largest image that is accepted next has %u KiB",
                  p->wish.app, kib(p->pool_size), kib(next));
    else if (q->grow && p->wish.grow > p->high - p->wish.app)
        tool_fail(OTTER_TOO_BIG,
                  "warning: the table is planned for images up to %u KiB only: a larger one could not be followed by "
                  "its like",
                  kib(p->high));
}

/* ---- CSV ---- */

static const char *slot_name(unsigned slot)
{
    return otter_subtype_name(NULL, OTTER_TYPE_APP, (uint8_t)(OTTER_APP_OTA_0 + slot));
}

static void print_slots(FILE *to, const struct otter_plan *p)
{
    uint32_t app = otter_plan_fit(p->wish.app), next = otter_plan_next(p, app);
    fprintf(to, "#\n# slot    image, at most    data then\n");
    fprintf(to, "# ota_0   %9u KiB    what the image leaves of the pool; taken while the running one sits higher\n",
            kib(p->pool_size));
    for (unsigned i = 1; i < p->slots; i++) {
        uint32_t room = otter_plan_room(p, i);
        fprintf(to, "# %-7s %9u KiB %8u KiB%s%s\n", slot_name(i), kib(room), kib(p->slot[i] - p->pool),
                room == app ? "   the planned app" : "", room == next ? "   the largest that may follow it" : "");
    }
}

static void print_facts(FILE *to, const struct otter_plan *p)
{
    const struct otter_plan_wish *w = &p->wish;
    uint32_t pending, fixed_end = otter_plan_fixed_end(p);
    fprintf(to,
            "# Layout elastic: slots overlap on purpose. ESP-IDF's generator refuses that, so flash the binary of\n");
    fprintf(to, "#   otter table build FILE -o BIN --overlapping-slots\n# This file was made by\n");
    fprintf(to, "#   otter table plan --flash %uM --app %u --grow %u --shrink %u --min-data %u --nvs 0x%x\n#\n",
            w->flash_size >> 20, w->app, w->grow, w->shrink, w->min_data, w->nvs);
    fprintf(to, "# pool                0x%x to 0x%x, %u KiB: what the app does not take is data\n", p->pool,
            w->flash_size, kib(p->pool_size));
    if (p->pool > fixed_end)
        fprintf(to, "# unused              0x%x to 0x%x, which a larger nvs may have\n", fixed_end, p->pool);
    fprintf(to, "# planned app         %u bytes, in blocks %u KiB\n", w->app, kib(otter_plan_fit(w->app)));
    fprintf(to, "# data                %u KiB, ", kib(otter_plan_settled(p, w->app)));
    if (otter_plan_pending(p, w->app, w->app, &pending))
        fprintf(to, "%u KiB while one of its size replaces it\n", kib(pending));
    else
        fprintf(to, "but one of its size cannot replace it\n");
    fprintf(to, "# next image          at most %u KiB\n", kib(otter_plan_next(p, w->app)));
    fprintf(to, "# expected images     %u to %u KiB; data lost to a slot's place: at most %u KiB\n", kib(p->low),
            kib(p->high), kib(otter_plan_worst_loss(p)));
}

static void print_csv(FILE *to, const struct request *q)
{
    char rows[OTTER_TABLE_CSV_MAX];
    struct otter_text t;
    unsigned bad;
    otter_text_start(&t, rows, sizeof rows);
    otter_table_csv_write(&q->table.list, &q->table.names, &t, &bad);
    print_facts(to, &q->plan);
    print_slots(to, &q->plan);
    fprintf(to, "#\n%s", rows);
}

/* ---- JSON ---- */

static void add_size_facts(cJSON *o, const struct otter_plan *p, uint32_t size)
{
    uint32_t pending;
    cJSON_AddNumberToObject(o, "data_settled", otter_plan_settled(p, size));
    if (otter_plan_pending(p, size, size, &pending))
        cJSON_AddNumberToObject(o, "data_pending", pending);
    else
        cJSON_AddNullToObject(o, "data_pending");
    cJSON_AddNumberToObject(o, "largest_next", otter_plan_next(p, size));
    cJSON_AddNumberToObject(o, "loss", otter_plan_loss(p, size));
}

static void add_slots(cJSON *o, const struct otter_plan *p)
{
    cJSON *slots = cJSON_AddArrayToObject(o, "slots");
    for (unsigned i = 0; i < p->slots; i++) {
        cJSON *s = cJSON_CreateObject();
        cJSON_AddStringToObject(s, "name", slot_name(i));
        cJSON_AddNumberToObject(s, "offset", p->slot[i]);
        cJSON_AddNumberToObject(s, "size", otter_plan_room(p, i));
        cJSON_AddNumberToObject(s, "largest_image", otter_plan_room(p, i));
        cJSON_AddItemToArray(slots, s);
    }
}

static void add_sizes(cJSON *o, const struct otter_plan *p)
{
    cJSON *sizes = cJSON_AddArrayToObject(o, "sizes");
    for (uint32_t size = p->low; size <= p->high; size += OTTER_BLOCK) {
        cJSON *s = cJSON_CreateObject();
        cJSON_AddNumberToObject(s, "size", size);
        cJSON_AddStringToObject(s, "high_slot", slot_name(otter_plan_slot(p, size)));
        add_size_facts(s, p, size);
        cJSON_AddItemToArray(sizes, s);
    }
}

static void add_fixed(cJSON *o, const char *name, const struct otter_plan *p, uint32_t first)
{
    int32_t data = otter_plan_beside(p, first, p->high);
    cJSON *f = cJSON_AddObjectToObject(o, name);
    cJSON_AddNumberToObject(f, "slot", p->high);
    if (data < 0)
        cJSON_AddNullToObject(f, "data");
    else
        cJSON_AddNumberToObject(f, "data", data);
}

static void print_json(const struct otter_plan *p)
{
    const struct otter_plan_wish *w = &p->wish;
    cJSON *o = cJSON_CreateObject(), *pool, *range, *fixed;
    cJSON_AddNumberToObject(o, "flash_size", w->flash_size);
    pool = cJSON_AddObjectToObject(o, "pool");
    cJSON_AddNumberToObject(pool, "offset", p->pool);
    cJSON_AddNumberToObject(pool, "size", p->pool_size);
    cJSON_AddNumberToObject(o, "nvs", w->nvs);
    cJSON_AddNumberToObject(o, "min_data", w->min_data);
    cJSON_AddNumberToObject(o, "app", w->app);
    add_slots(o, p);
    add_size_facts(o, p, w->app);
    range = cJSON_AddObjectToObject(o, "range");
    cJSON_AddNumberToObject(range, "smallest", p->low);
    cJSON_AddNumberToObject(range, "largest", p->high);
    cJSON_AddNumberToObject(o, "worst_loss", otter_plan_worst_loss(p));
    add_sizes(o, p);
    fixed = cJSON_AddObjectToObject(o, "beside");
    add_fixed(fixed, "two_slots", p, p->high);
    add_fixed(fixed, "rescue_app", p, PLAN_RESCUE_APP);
    tool_print_json(o);
}

/* ---- the command ---- */

static int make_table(struct request *q)
{
    struct otter_partition row[OTTER_PLAN_ROWS];
    unsigned rows = otter_plan_rows(&q->plan, row);
    table_file_start(&q->table);
    q->table.path = "the planned table";
    for (unsigned i = 0; i < rows; i++)
        otter_table_list_add(&q->table.list, &row[i], (struct otter_slice){row[i].label, strlen(row[i].label)}, 0);
    return table_file_encode(&q->table);
}

static void draw_svg(FILE *to, const struct request *q) { plan_chart_svg(to, &q->plan); }

/* All or nothing, like every file. */
static int write_text(const char *path, void (*print)(FILE *to, const struct request *q), const struct request *q)
{
    char *text = NULL;
    size_t n;
    FILE *to = open_memstream(&text, &n);
    if (to) print(to, q);
    if (!to || fclose(to)) return tool_fail(OTTER_ARG, "out of memory");
    int status = tool_write_file(path, text, n);
    free(text);
    return status;
}

static int write_all(struct request *q)
{
    int status = make_table(q);
    if (!status && q->out) status = tool_write_file(q->out, q->table.bytes, OTTER_TABLE_SIZE);
    if (!status && q->csv) status = write_text(q->csv, print_csv, q);
    if (!status && q->svg) status = write_text(q->svg, draw_svg, q);
    if (!status && q->json) print_json(&q->plan);
    if (!status && q->chart) plan_chart_text(stdout, &q->plan);
    return status;
}

int tool_table_plan(int argc, char **argv)
{
    static struct request q;
    struct otter_plan_wish wish;
    int status = take_options(&q, argc, argv);
    if (status) return status < 0 ? 0 : status;
    status = share_stdout(&q);
    if (!status) status = read_wish(&q, &wish);
    if (status) return status;
    enum otter_plan_fault fault = otter_plan_make(&q.plan, &wish);
    if (fault) return refuse(&q.plan, fault);
    warn(&q);
    return write_all(&q);
}
