/* otter torture: power goes at every flash operation of an update, on the user's own table and images. */
#define _GNU_SOURCE
#include <cJSON.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/commands.h"
#include "tool/json.h"
#include "tool/table_file.h"
#include "tool/tool.h"
#include "tool/torture.h"

static const char cmd[] = "torture";
static const char help_text[] =
    "Usage: otter torture TABLE OLD.bin NEW.bin [OPTION]...\n"
    "Proves that no loss of power costs a device that runs OLD and is updated to NEW. Power goes at every flash\n"
    "operation of the whole way (upload, switch, boot, confirm; a crash or firmware that never gets healthy, and roll\n"
    "back; settings written meanwhile; a connection that breaks), in every kind of tear, and again at every operation\n"
    "of the way on. Each fresh start is judged by the boot loader's rules and the invariants of docs/DESIGN.md,\n"
    "section 11. TABLE is a preset's name, a CSV file or a binary table. Exit status 5 if an invariant did not hold.\n"
    "\n"
    "  --depth N          how often power goes on one way: 1 or 2 [2]\n"
    "  --one-in N         make one of N cuts, chosen by the seed: for large images [1]\n"
    "  --seed N           of bits that tear at random, and of the choices [1]\n"
    "  --jobs N           threads [as many as there are cores]\n"
    "  --all              go on after an invariant did not hold\n"
    "  --data FILE        with an elastic table: the data image that follows NEW [5000 bytes of no meaning]\n"
    "  --flash-size SIZE  [what the table needs]\n"
    "  --replay PATH      go one way, as a failure names it, and tell its story; with the failure's --seed\n"
    "  --json             print JSON\n"
    "  --quiet            no progress\n";

enum { OPT_DEPTH = 256, OPT_ONE_IN, OPT_SEED, OPT_JOBS, OPT_ALL, OPT_FLASH, OPT_DATA, OPT_REPLAY, OPT_JSON, OPT_QUIET };

struct request {
    struct torture torture;
    const char *table, *old, *new, *data, *replay;
    bool json, quiet;
    uint64_t flash_size;
    struct table_file file;
};

/* ---- command line ---- */

static int take_number(struct request *q, int option, const char *value)
{
    static const struct {
        int option;
        const char *name;
        uint64_t min, max;
    } limits[] = {{OPT_DEPTH, "--depth", 1, SIM_CUTS_MAX},
                  {OPT_ONE_IN, "--one-in", 1, UINT32_MAX},
                  {OPT_SEED, "--seed", 0, UINT64_MAX},
                  {OPT_JOBS, "--jobs", 1, TORTURE_JOBS},
                  {OPT_FLASH, "--flash-size", OTTER_BLOCK, 128 * 1024 * 1024}};
    unsigned i = 0;
    uint64_t n;
    while (limits[i].option != option) i++;
    if (tool_number(value, limits[i].max, &n) || n < limits[i].min)
        return tool_usage_error(cmd, "%s: \"%s\" is no number from %llu to %llu", limits[i].name, value,
                                (unsigned long long)limits[i].min, (unsigned long long)limits[i].max);
    switch (option) {
    case OPT_DEPTH: q->torture.shared.depth = (unsigned)n; break;
    case OPT_ONE_IN: q->torture.shared.one_in = (unsigned)n; break;
    case OPT_SEED: q->torture.shared.seed = n; break;
    case OPT_JOBS: q->torture.jobs = (unsigned)n; break;
    default:
        if (n % OTTER_BLOCK) return tool_usage_error(cmd, "--flash-size must be a multiple of 64 KiB");
        q->flash_size = n;
    }
    return 0;
}

static int take_options(struct request *q, int argc, char **argv)
{
    static const struct option options[] = {
        {"depth", 1, 0, OPT_DEPTH}, {"one-in", 1, 0, OPT_ONE_IN}, {"seed", 1, 0, OPT_SEED},
        {"jobs", 1, 0, OPT_JOBS},   {"all", 0, 0, OPT_ALL},       {"flash-size", 1, 0, OPT_FLASH},
        {"data", 1, 0, OPT_DATA},   {"replay", 1, 0, OPT_REPLAY}, {"json", 0, 0, OPT_JSON},
        {"quiet", 0, 0, OPT_QUIET}, {"help", 0, 0, 'h'},          {0, 0, 0, 0}};
    int status = 0;
    for (int option; !status && (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'h': fputs(help_text, stdout); return -1;
        case '?': return tool_usage_error(cmd, "the command line is wrong");
        case OPT_ALL: q->torture.all = true; break;
        case OPT_DATA: q->data = optarg; break;
        case OPT_REPLAY: q->replay = optarg; break;
        case OPT_JSON: q->json = true; break;
        case OPT_QUIET: q->quiet = true; break;
        default: status = take_number(q, option, optarg);
        }
    }
    if (status) return status;
    if (optind != argc - 3) return tool_usage_error(cmd, "it takes a TABLE, the OLD image and the NEW one");
    q->table = argv[optind];
    q->old = argv[optind + 1];
    q->new = argv[optind + 2];
    return 0;
}

/* ---- input ---- */

static uint32_t flash_size(const struct table_file *f)
{
    uint64_t end = OTTER_CFG_TABLE_OFFSET + OTTER_SECTOR;
    for (unsigned i = 0; i < f->list.rows; i++) {
        const struct otter_partition *p = &f->list.row[i];
        if ((uint64_t)p->offset + p->size > end) end = (uint64_t)p->offset + p->size;
    }
    return (uint32_t)((end + OTTER_BLOCK - 1) / OTTER_BLOCK * OTTER_BLOCK);
}

static int read_table(struct request *q)
{
    struct table_file *f = &q->file;
    table_file_start(f);
    int status = table_file_open(f, q->table);
    if (!status && f->bytes[0] != 0xAA) status = table_file_encode(f);
    q->torture.shared.plan.table.bytes = f->bytes;
    q->torture.shared.plan.table.flash_size = q->flash_size ? (uint32_t)q->flash_size : flash_size(f);
    return status;
}

static int read_image(const char *path, struct sim_firmware *f)
{
    size_t n;
    f->bytes = tool_read_file(path, OTTER_IMAGE_ROOM_MAX, &n);
    f->size = (uint32_t)n;
    return f->bytes ? 0 : 2;
}

/* By default pseudo-random bytes, the same ones always. */
static int read_data(struct request *q)
{
    struct sim_plan *plan = &q->torture.shared.plan;
    size_t n = 5000;
    uint8_t *bytes = q->data ? tool_read_file(q->data, OTTER_IMAGE_ROOM_MAX, &n) : malloc(n);
    if (!bytes) return 2;
    uint32_t state = 1;
    for (size_t i = 0; !q->data && i < n; i++) bytes[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
    plan->data = bytes;
    plan->data_size = (uint32_t)n;
    return 0;
}

/* ---- what came of it ---- */

/* One line that a shell takes. */
static void print_replay(const struct request *q, const struct torture_failure *f, char *out, size_t size)
{
    char path[SIM_PATH_TEXT];
    snprintf(out, size, "otter torture '%s' '%s' '%s'%s%s%s --seed %llu --replay %s", q->table, q->old, q->new,
             q->data ? " --data '" : "", q->data ? q->data : "", q->data ? "'" : "",
             (unsigned long long)q->torture.shared.seed, sim_path_print(&f->path, path));
}

static void print_failures(const struct request *q)
{
    char line[4096];
    for (unsigned i = 0; i < q->torture.failures; i++) {
        const struct torture_failure *f = &q->torture.failure[i];
        print_replay(q, f, line, sizeof line);
        printf("invariant %d does not hold: %s\n  %s\n", f->invariant, f->how, line);
    }
}

static void print_text(const struct request *q)
{
    char path[SIM_PATH_TEXT];
    const struct torture *t = &q->torture;
    const struct sim_counts *c = &t->counts;
    printf("flows, and flash operations of each:\n");
    for (unsigned i = 0; i < t->flows; i++)
        printf("  %-34s %6llu\n", sim_path_print(&(struct sim_path){.flow = t->flow[i].flow}, path),
               (unsigned long long)t->flow[i].operations);
    printf("cuts, by kind:\n");
    for (int i = 0; i < SIM_TEARS; i++)
        printf("  %-12s %12llu\n", sim_tear_name((enum sim_tear)i), (unsigned long long)c->by_kind[i]);
    printf("cuts, by phase:\n");
    for (int i = 0; i < SIM_PHASES; i++)
        printf("  %-12s %12llu\n", sim_phase_name((enum sim_phase)i), (unsigned long long)c->by_phase[i]);
    printf("%llu of them end at a limit of the stock format: the boot loader's own write of the state was torn\n",
           (unsigned long long)c->limits);
    printf("partition table sector: %llu erases, %llu writes\n", (unsigned long long)c->table_erases,
           (unsigned long long)c->table_writes);
    printf("%llu cuts and %llu lost writes in %.1f s, %.0f a second: %llu violations%s\n", (unsigned long long)c->cuts,
           (unsigned long long)c->faults, t->seconds, (double)(c->cuts + c->faults) / (t->seconds > 0 ? t->seconds : 1),
           (unsigned long long)c->violations, t->done < t->operations ? "; stopped before the end" : "");
    print_failures(q);
}

static void add_counts(cJSON *o, const struct sim_counts *c)
{
    cJSON_AddNumberToObject(o, "cuts", (double)c->cuts);
    cJSON_AddNumberToObject(o, "faults", (double)c->faults);
    cJSON_AddNumberToObject(o, "violations", (double)c->violations);
    cJSON_AddNumberToObject(o, "limits", (double)c->limits);
    cJSON_AddNumberToObject(o, "table_erases", (double)c->table_erases);
    cJSON_AddNumberToObject(o, "table_writes", (double)c->table_writes);
    cJSON *kinds = cJSON_AddObjectToObject(o, "by_kind"), *phases = cJSON_AddObjectToObject(o, "by_phase");
    for (int i = 0; i < SIM_TEARS; i++)
        cJSON_AddNumberToObject(kinds, sim_tear_name((enum sim_tear)i), (double)c->by_kind[i]);
    for (int i = 0; i < SIM_PHASES; i++)
        cJSON_AddNumberToObject(phases, sim_phase_name((enum sim_phase)i), (double)c->by_phase[i]);
}

static void add_flows(cJSON *o, const struct torture *t)
{
    char path[SIM_PATH_TEXT];
    cJSON *flows = cJSON_AddArrayToObject(o, "flows");
    for (unsigned i = 0; i < t->flows; i++) {
        cJSON *flow = cJSON_CreateObject();
        cJSON_AddStringToObject(flow, "flow", sim_path_print(&(struct sim_path){.flow = t->flow[i].flow}, path));
        cJSON_AddNumberToObject(flow, "operations", (double)t->flow[i].operations);
        cJSON_AddItemToArray(flows, flow);
    }
}

static void add_failures(cJSON *o, const struct request *q)
{
    char line[4096], path[SIM_PATH_TEXT];
    cJSON *failures = cJSON_AddArrayToObject(o, "failures");
    for (unsigned i = 0; i < q->torture.failures; i++) {
        const struct torture_failure *f = &q->torture.failure[i];
        cJSON *failure = cJSON_CreateObject();
        cJSON_AddNumberToObject(failure, "invariant", f->invariant);
        cJSON_AddStringToObject(failure, "what", f->how);
        cJSON_AddStringToObject(failure, "path", sim_path_print(&f->path, path));
        print_replay(q, f, line, sizeof line);
        cJSON_AddStringToObject(failure, "replay", line);
        cJSON_AddItemToArray(failures, failure);
    }
}

static void print_json(const struct request *q)
{
    const struct torture *t = &q->torture;
    cJSON *o = cJSON_CreateObject();
    add_counts(o, &t->counts);
    cJSON_AddBoolToObject(o, "complete", t->done == t->operations);
    cJSON_AddNumberToObject(o, "depth", t->shared.depth);
    cJSON_AddNumberToObject(o, "one_in", t->shared.one_in);
    cJSON_AddNumberToObject(o, "seed", (double)t->shared.seed);
    cJSON_AddNumberToObject(o, "seconds", t->seconds);
    add_flows(o, t);
    add_failures(o, q);
    tool_print_json(o);
}

/* ---- the command ---- */

static struct request request;

/* What has been found up to there is still told. */
static void interrupt(int signal)
{
    (void)signal;
    atomic_store(&request.torture.stop, true);
}

static int torture_all(struct request *q)
{
    signal(SIGINT, interrupt);
    int status = q->torture.failures && !q->torture.all ? 0 : torture_run(&q->torture);
    if (status) return status;
    if (q->json)
        print_json(q);
    else
        print_text(q);
    return q->torture.counts.violations ? otter_err_exit(OTTER_FLASH_VERIFY) : 0;
}

static int replay(struct request *q)
{
    struct sim_path path;
    if (!sim_path_parse(q->replay, &path)) return tool_usage_error(cmd, "--replay: \"%s\" is no path", q->replay);
    q->torture.failures = 0;
    q->torture.counts = (struct sim_counts){0};
    int status = torture_replay(&q->torture, &path);
    if (status) return status;
    for (unsigned i = 0; i < q->torture.failures; i++)
        printf("invariant %d does not hold: %s\n", q->torture.failure[i].invariant, q->torture.failure[i].how);
    if (!q->torture.failures) puts("every invariant holds");
    return q->torture.failures ? otter_err_exit(OTTER_FLASH_VERIFY) : 0;
}

int tool_torture(int argc, char **argv)
{
    struct request *q = &request;
    struct torture *t = &q->torture;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    t->shared = (struct sim_torture){.plan.table.crypto = tool_crypto(), .seed = 1, .depth = 2, .one_in = 1};
    t->jobs = cores < 1 ? 1 : cores > TORTURE_JOBS ? TORTURE_JOBS : (unsigned)cores;
    pthread_mutex_init(&t->lock, NULL);
    int status = take_options(q, argc, argv);
    if (status) return status < 0 ? 0 : status;
    t->bar = !q->quiet && isatty(STDERR_FILENO);
    status = read_table(q);
    if (!status) status = read_image(q->old, &t->shared.plan.old);
    if (!status) status = read_image(q->new, &t->shared.plan.new);
    if (!status) status = read_data(q);
    if (!status) status = torture_prepare(t);
    if (!status) status = q->replay ? replay(q) : torture_all(q);
    free((void *)(uintptr_t)t->shared.plan.old.bytes);
    free((void *)(uintptr_t)t->shared.plan.new.bytes);
    free((void *)(uintptr_t)t->shared.plan.data);
    return status;
}
