/* otter table build|dump|verify: partition tables from CSV to binary and back, and what the boot loader says to them.
 * plan has a file of its own. */
#define _GNU_SOURCE
#include <cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/commands.h"
#include "tool/json.h"
#include "tool/table_file.h"
#include "tool/table_plan.h"
#include "tool/tool.h"

static const char build_help[] =
    "Usage: otter table build CSV -o BIN [OPTION]...\n"
    "       otter table build --preset NAME -o BIN [OPTION]...\n"
    "Makes a partition table of a CSV file, byte for byte as ESP-IDF's generator does, or refuses it as that does.\n"
    "\n"
    "  -o BIN                  where to write it\n"
    "  --preset NAME           take a known table instead of a file\n";
static const char dump_help[] =
    "Usage: otter table dump BIN [OPTION]...\n"
    "Writes a partition table as CSV.\n"
    "\n"
    "  -o CSV                  where to write it [standard output]\n"
    "  --json                  print JSON\n";
static const char verify_help[] =
    "Usage: otter table verify BIN --flash-size SIZE [OPTION]...\n"
    "Says whether the boot loader takes a partition table; that is the exit status. What ESP-IDF's generator would "
    "refuse\n"
    "is said as a warning.\n"
    "\n"
    "  --strict                what the generator would refuse is an error\n"
    "  --json                  print JSON\n";
static const char rules_help[] =
    "  --offset N              where in flash the table lies [0x8000]\n"
    "  --flash-size SIZE       all partitions must lie in so much flash: 4MB\n"
    "  --disable-md5sum        no MD5 row: neither written nor understood\n"
    "  --secure [v1|v2]        sizes of app partitions as secure boot needs them [v1]\n"
    "  --primary-bootloader-offset N\n"
    "  --recovery-bootloader-offset N\n"
    "                          where the boot loaders lie, for rows of type bootloader\n"
    "  --extra-partition-subtypes \"TYPE, NAME, 0xNN\"\n"
    "                          a further name for CSV files; may be given again\n"
    "  --no-verify             do not hold the table to the generator's rules\n"
    "  --overlapping-slots     app partitions may overlap one another\n"
    "A file may be - for standard input or output.\n";

struct request {
    const char *cmd, *help;
    const char *in, *out, *preset;
    bool json, strict;
    struct table_file table;
};

/* ---- command line ---- */

enum {
    OPT_PRESET = 256,
    OPT_OFFSET,
    OPT_FLASH,
    OPT_NO_MD5,
    OPT_SECURE,
    OPT_PRIMARY,
    OPT_RECOVERY,
    OPT_EXTRA,
    OPT_NO_VERIFY,
    OPT_OVERLAP,
    OPT_JSON,
    OPT_STRICT
};

static const struct option options[] = {{"output", 1, 0, 'o'},
                                        {"preset", 1, 0, OPT_PRESET},
                                        {"offset", 1, 0, OPT_OFFSET},
                                        {"flash-size", 1, 0, OPT_FLASH},
                                        {"disable-md5sum", 0, 0, OPT_NO_MD5},
                                        {"secure", 2, 0, OPT_SECURE},
                                        {"primary-bootloader-offset", 1, 0, OPT_PRIMARY},
                                        {"recovery-bootloader-offset", 1, 0, OPT_RECOVERY},
                                        {"extra-partition-subtypes", 1, 0, OPT_EXTRA},
                                        {"no-verify", 0, 0, OPT_NO_VERIFY},
                                        {"overlapping-slots", 0, 0, OPT_OVERLAP},
                                        {"json", 0, 0, OPT_JSON},
                                        {"strict", 0, 0, OPT_STRICT},
                                        {"help", 0, 0, 'h'},
                                        {0, 0, 0, 0}};

static int take_number(struct request *q, int option, const char *value)
{
    struct otter_table_rules *r = &q->table.rules;
    uint64_t n;
    if (tool_number(value, UINT32_MAX, &n)) return tool_usage_error(q->cmd, "\"%s\" is no number of 32 bits", value);
    switch (option) {
    case OPT_OFFSET:
        if (n % OTTER_SECTOR || n > UINT32_MAX - OTTER_SECTOR)
            return tool_usage_error(q->cmd, "--offset must be a multiple of 4096 below 4 GiB");
        r->offset = (uint32_t)n;
        return 0;
    case OPT_PRIMARY: r->primary_bootloader = (int64_t)n; return 0;
    case OPT_RECOVERY: r->recovery_bootloader = (int64_t)n; return 0;
    default:
        if (!n) return tool_usage_error(q->cmd, "--flash-size 0 holds nothing");
        r->flash_size = (uint32_t)n;
        return 0;
    }
}

/* Its value may stand behind a blank, which getopt does not look for. */
static int take_secure(struct request *q, char **argv)
{
    const char *value = optarg;
    if (!value && argv[optind] && (!strcmp(argv[optind], "v1") || !strcmp(argv[optind], "v2"))) value = argv[optind++];
    if (value && strcmp(value, "v1") != 0 && strcmp(value, "v2") != 0)
        return tool_usage_error(q->cmd, "--secure is v1 or v2, not \"%s\"", value);
    q->table.rules.secure = value && value[1] == '2' ? OTTER_TABLE_SECURE_V2 : OTTER_TABLE_SECURE_V1;
    return 0;
}

static int take_option(struct request *q, int option, char **argv)
{
    const char *why;
    switch (option) {
    case 'o': q->out = optarg; return 0;
    case OPT_PRESET: q->preset = optarg; return 0;
    case OPT_NO_MD5: q->table.no_md5 = true; return 0;
    case OPT_SECURE: return take_secure(q, argv);
    case OPT_NO_VERIFY: q->table.no_verify = true; return 0;
    case OPT_OVERLAP: q->table.rules.overlapping_slots = true; return 0;
    case OPT_JSON: q->json = true; return 0;
    case OPT_STRICT: q->strict = true; return 0;
    case OPT_EXTRA:
        why = otter_table_names_add(&q->table.names, optarg);
        return why ? tool_usage_error(q->cmd, "--extra-partition-subtypes \"%s\": %s", optarg, why) : 0;
    case OPT_OFFSET:
    case OPT_FLASH:
    case OPT_PRIMARY:
    case OPT_RECOVERY: return take_number(q, option, optarg);
    default: return tool_usage_error(q->cmd, "the command line is wrong");
    }
}

static void print_help(const struct request *q)
{
    printf("%s%s", q->help, rules_help);
    if (q->help == build_help) {
        puts("\nPresets:");
        table_print_presets(stdout);
    }
}

/* -1: go on; else the exit status. */
static int read_options(struct request *q, int argc, char **argv)
{
    table_file_start(&q->table);
    for (int option; (option = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        if (option == 'h') return print_help(q), 0;
        int status = take_option(q, option, argv);
        if (status) return status;
    }
    if (argc - optind > 1) return tool_usage_error(q->cmd, "\"%s\" is one file too many", argv[optind + 1]);
    q->in = argv[optind];
    return -1;
}

/* ---- build ---- */

static int build(struct request *q)
{
    int status = q->preset ? table_file_preset(&q->table, q->preset) : table_file_load(&q->table, q->in);
    if (status) return status;
    status = table_file_judge(&q->table);
    if (status) return status;
    return tool_write_file(q->out, q->table.bytes, OTTER_TABLE_SIZE);
}

static int run_build(int argc, char **argv)
{
    static struct request q = {.cmd = "table build", .help = build_help};
    int status = read_options(&q, argc, argv);
    if (status >= 0) return status;
    if (!q.in == !q.preset) return tool_usage_error(q.cmd, "it takes a CSV file or --preset NAME");
    if (!q.out) return tool_usage_error(q.cmd, "name the table with -o BIN");
    if (q.json || q.strict) return tool_usage_error(q.cmd, "it takes neither --json nor --strict");
    return build(&q);
}

/* ---- dump ---- */

static char *list_json(const struct request *q)
{
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "partitions");
    for (unsigned i = 0; i < q->table.list.rows; i++)
        cJSON_AddItemToArray(list, table_row_json(&q->table.names, &q->table.list.row[i]));
    char *text = cJSON_Print(o);
    cJSON_Delete(o);
    return text;
}

static int dump_json(const struct request *q)
{
    char *json = list_json(q), *line = NULL;
    int n = json ? asprintf(&line, "%s\n", json) : -1;
    int status = n < 0 ? tool_fail(OTTER_ARG, "out of memory") : tool_write_file(q->out, line, (size_t)n);
    free(json);
    if (n >= 0) free(line);
    return status;
}

static int dump_csv(const struct request *q)
{
    char csv[OTTER_TABLE_CSV_MAX];
    struct otter_text t;
    unsigned bad;
    otter_text_start(&t, csv, sizeof csv);
    if (otter_table_csv_write(&q->table.list, &q->table.names, &t, &bad))
        return tool_fail(OTTER_TABLE_MAGIC, "%s, row %u: its label cannot stand in a CSV file; try --json",
                         q->table.path, bad);
    return tool_write_file(q->out, csv, t.n);
}

static int run_dump(int argc, char **argv)
{
    static struct request q = {.cmd = "table dump", .help = dump_help, .out = "-"};
    int status = read_options(&q, argc, argv);
    if (status >= 0) return status;
    if (!q.in || q.preset || q.strict) return tool_usage_error(q.cmd, "it takes one BIN");
    status = table_file_load_binary(&q.table, q.in);
    if (!status) status = table_file_judge(&q.table);
    if (status) return status;
    return q.json ? dump_json(&q) : dump_csv(&q);
}

/* ---- verify ---- */

struct verdict {
    const struct request *q;
    enum otter_err err; /* the boot loader's */
    unsigned row, count;
    unsigned refusals; /* the generator's */
    cJSON *warnings;
};

static void warn(struct verdict *v, const char *sentence)
{
    cJSON_AddItemToArray(v->warnings, cJSON_CreateString(sentence));
    if (!v->q->json) fprintf(stderr, "otter: %s: %s%s\n", v->q->table.path, v->q->strict ? "" : "warning: ", sentence);
}

static void note_finding(void *ctx, const struct otter_table_finding *f)
{
    struct verdict *v = ctx;
    char sentence[400];
    struct otter_text t;
    if (f->fault == OTTER_TABLE_BEYOND && v->err) return; /* the boot loader has said so */
    otter_text_start(&t, sentence, sizeof sentence);
    otter_table_finding_text(&v->q->table.list, f, &t);
    warn(v, sentence);
    if (!f->warning) v->refusals++;
}

static void ask_generator(struct verdict *v, struct table_file *t, const struct otter_table_memory *m)
{
    char sentence[200];
    unsigned bad;
    enum otter_err e = otter_table_list_read(&t->list, m, t->no_md5 ? NULL : tool_crypto(), &bad);
    if (!e) {
        otter_table_judge(&t->list, &t->rules, note_finding, v);
    } else if (!v->err) {
        snprintf(sentence, sizeof sentence, "row %u: ESP-IDF's generator does not read it back: %s", bad,
                 otter_err_text(e));
        warn(v, sentence);
        v->refusals++;
    }
}

static void print_verdict(const struct verdict *v)
{
    const struct table_file *t = &v->q->table;
    if (v->err)
        tool_fail(v->err, "%s, row %u: %s", t->path, v->row, otter_err_text(v->err));
    else
        printf("%s: good: %u partitions\n", t->path, v->count);
}

static void print_verdict_json(const struct verdict *v)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "file", v->q->table.path);
    cJSON_AddBoolToObject(o, "valid", v->err == OTTER_OK);
    if (v->err) {
        cJSON_AddStringToObject(o, "error", otter_err_name(v->err));
        cJSON_AddStringToObject(o, "message", otter_err_text(v->err));
        cJSON_AddNumberToObject(o, "row", v->row);
    } else {
        cJSON_AddNullToObject(o, "error");
        cJSON_AddNumberToObject(o, "partitions", v->count);
    }
    cJSON_AddBoolToObject(o, "generator_accepts", !v->err && !v->refusals);
    cJSON_AddItemReferenceToObject(o, "warnings", v->warnings);
    tool_print_json(o);
}

static int verify(struct request *q, const uint8_t *bytes, size_t size)
{
    struct verdict v = {.q = q, .warnings = cJSON_CreateArray()};
    struct otter_table_memory m = {bytes, size};
    struct otter_rows rows = otter_table_rows(&m);
    v.err = otter_table_check(&rows, q->table.rules.flash_size, tool_crypto(), &v.count, &v.row);
    ask_generator(&v, &q->table, &m);
    if (q->json)
        print_verdict_json(&v);
    else
        print_verdict(&v);
    cJSON_Delete(v.warnings);
    if (v.err) return otter_err_exit(v.err);
    return q->strict && v.refusals ? otter_err_exit(OTTER_TABLE_RANGE) : 0;
}

static int run_verify(int argc, char **argv)
{
    static struct request q = {.cmd = "table verify", .help = verify_help};
    size_t size;
    int status = read_options(&q, argc, argv);
    if (status >= 0) return status;
    if (!q.in || q.preset || q.out) return tool_usage_error(q.cmd, "it takes one BIN");
    if (!q.table.rules.flash_size)
        return tool_usage_error(q.cmd, "--flash-size is needed: the boot loader asks whether partitions lie in flash");
    q.table.path = strcmp(q.in, "-") == 0 ? "standard input" : q.in;
    uint8_t *bytes = tool_read_file(q.in, 1024 * 1024, &size);
    if (!bytes) return 2;
    status = verify(&q, bytes, size);
    free(bytes);
    return status;
}

int tool_table(int argc, char **argv)
{
    static const struct tool_command commands[] = {{"build", run_build, "CSV or a preset to a binary table"},
                                                   {"dump", run_dump, "a binary table to CSV"},
                                                   {"verify", run_verify, "would the boot loader take it?"},
                                                   {"plan", tool_table_plan, "a table of the layout elastic"},
                                                   {"migrate", tool_table_migrate, "from fixed slots to that"},
                                                   {NULL, NULL, NULL}};
    return tool_dispatch(commands, "Usage: otter table COMMAND [OPTION]...\n\n", argc, argv);
}
