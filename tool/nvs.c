/* otter nvs build, dump, get, set, erase, keygen. Changes a copy in memory by the device's own store, then writes the
 * file anew; knows nothing of pages and slots. */
#include "tool/nvs.h"

#include <cJSON.h>
#include <getopt.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/nvs.h"
#include "tool/json.h"
#include "tool/nvs_flash.h"
#include "tool/nvs_gen.h"
#include "tool/nvs_value.h"
#include "tool/tool.h"

#define REGION_HELP                                                                          \
    "  --offset N      the partition starts N bytes into FILE, which is a whole flash [0]\n" \
    "  --size N        its size in bytes; K and M may be used [to the end of FILE]\n"        \
    "  --key KEYFILE   entries are encrypted (AES-XTS); KEYFILE is a key partition\n"

static const char build_help[] =
    "Usage: otter nvs build CSV -o FILE --size N [OPTION]...\n"
    "Makes a settings partition of a table with the columns key,type,encoding,value, as ESP-IDF's generator does.\n"
    "\n"
    "  -o, --output FILE   where it goes\n"
    "  --size N            size of the partition in bytes, a multiple of 4096; K and M may be used\n"
    "  --version 1|2       format: 2 lets blobs span pages [2]\n"
    "  --key KEYFILE       encrypts the entries (AES-XTS); KEYFILE is a key partition\n";
static const char dump_help[] =
    "Usage: otter nvs dump FILE [OPTION]...\n"
    "Lists all settings with their values.\n"
    "\n" REGION_HELP "  --json          print JSON; blobs are in hex\n";
static const char get_help[] =
    "Usage: otter nvs get FILE NAMESPACE KEY [OPTION]...\n"
    "Prints one value; a blob in hex.\n"
    "\n" REGION_HELP "  --json          print JSON\n";
static const char set_help[] =
    "Usage: otter nvs set FILE NAMESPACE KEY TYPE VALUE [OPTION]...\n"
    "Sets one value, as the device would. TYPE is u8, i8, u16, i16, u32, i32, u64, i64, string, or blob (VALUE in hex, "
    "or\n"
    "@PATH for the contents of a file).\n"
    "\n" REGION_HELP;
static const char erase_help[] =
    "Usage: otter nvs erase FILE [NAMESPACE [KEY]] [OPTION]...\n"
    "Erases one value, a namespace's values, or the whole partition.\n"
    "\n" REGION_HELP;
static const char keygen_help[] =
    "Usage: otter nvs keygen -o FILE\n"
    "Makes a key partition (4096 bytes) with a random key.\n"
    "\n"
    "  -o, --output FILE   where it goes\n";

enum { FILE_MAX = 64 << 20, WORDS_MAX = 5 };

/* What the command line says; what a command has no use for is refused. */
struct request {
    const char *cmd, *help;
    const char *allowed; /* letters of options */
    const char *word[WORDS_MAX];
    int words;
    const char *output, *key_path;
    uint64_t offset, size, version;
    bool has_size, json, helped;
};

/* ---- command line ---- */

static int take_option(struct request *r, int option)
{
    const struct {
        int option;
        uint64_t *number, max;
    } numbers[] = {{'f', &r->offset, UINT32_MAX}, {'s', &r->size, UINT32_MAX}, {'v', &r->version, 2}};
    if (option == 'h') r->helped = true;
    if (option == 'j') r->json = true;
    if (option == 'o') r->output = optarg;
    if (option == 'k') r->key_path = optarg;
    if (option == 's') r->has_size = true;
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].option == option && tool_number(optarg, numbers[i].max, numbers[i].number))
            return tool_usage_error(r->cmd, "\"%s\" is not a number that is possible here", optarg);
    return 0;
}

/* The one option at argv[1]; optind is then behind it. */
static int parse_option(struct request *r, int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},          {"json", no_argument, NULL, 'j'},
        {"output", required_argument, NULL, 'o'},  {"key", required_argument, NULL, 'k'},
        {"offset", required_argument, NULL, 'f'},  {"size", required_argument, NULL, 's'},
        {"version", required_argument, NULL, 'v'}, {NULL, 0, NULL, 0},
    };
    optind = 0;
    opterr = 0;
    int option = getopt_long(argc, argv, "+:ho:", options, NULL);
    if (option == ':') return tool_usage_error(r->cmd, "%s needs a value", argv[1]);
    if (option == '?') return tool_usage_error(r->cmd, "there is no option %s", argv[1]);
    if (option != 'h' && !strchr(r->allowed, option)) return tool_usage_error(r->cmd, "no use for %s here", argv[1]);
    return take_option(r, option);
}

/* Words and options in any order. A negative number is a word; behind -- all are. */
static int parse(struct request *r, int argc, char **argv)
{
    bool words_only = false;
    int status = 0;
    for (int used; !status && argc > 1; argc -= used, argv += used) {
        const char *a = argv[1];
        used = 1;
        if (!words_only && strcmp(a, "--") == 0) {
            words_only = true;
        } else if (!words_only && a[0] == '-' && a[1] && !(a[1] >= '0' && a[1] <= '9')) {
            status = parse_option(r, argc, argv);
            used = optind - 1;
        } else if (r->words == WORDS_MAX) {
            return tool_usage_error(r->cmd, "too much: %s", a);
        } else {
            r->word[r->words++] = a;
        }
    }
    return status;
}

/* -1: go on; else the exit status. */
static int start(struct request *r, int argc, char **argv, int min, int max)
{
    int status = parse(r, argc, argv);
    if (status) return status;
    if (r->helped) {
        fputs(r->help, stdout);
        return 0;
    }
    if (r->words < min || r->words > max)
        return tool_usage_error(r->cmd, "%s", r->words < min ? "something is missing" : "too many words");
    return -1;
}

static int read_key(const char *path, uint8_t key[NVS_KEY])
{
    size_t size;
    uint8_t *file = tool_read_file(path, FILE_MAX, &size);
    if (!file) return otter_err_exit(OTTER_ARG);
    bool ok = nvs_key_read(file, size, key);
    free(file);
    return ok ? 0 : tool_fail(OTTER_NVS_CORRUPT, "%s: not an NVS key partition, or damaged (its CRC is wrong)", path);
}

/* ---- the partition in its file ---- */

struct partition {
    const struct request *r;
    uint8_t *file;
    size_t file_size;
    struct nvs_memory memory;
    struct nvs_cipher cipher;
    struct otter_nvs nvs;
};

static int explain(const struct partition *p, enum otter_err e)
{
    return tool_fail(e, "%s: %s", p->r->word[0], otter_err_text(e));
}

static int check_region(const struct partition *p, uint32_t *size)
{
    const struct request *r = p->r;
    uint64_t rest = r->offset <= p->file_size ? p->file_size - r->offset : 0, wanted = r->has_size ? r->size : rest;
    if (r->offset % 4096 || wanted % 4096 || !wanted || wanted > rest)
        return tool_fail(OTTER_ARG,
                         "%s: there is no partition of %llu bytes at 0x%llx: both must be multiples of 4096 in a "
                         "file of %zu bytes",
                         r->word[0], (unsigned long long)wanted, (unsigned long long)r->offset, p->file_size);
    if (wanted / 4096 > OTTER_CFG_NVS_PAGES)
        return tool_fail(
            OTTER_ARG,
            "%s: %llu bytes are more than a settings partition can have (%u KiB); for one in a whole flash "
            "give --offset and --size",
            r->word[0], (unsigned long long)wanted, 4U * OTTER_CFG_NVS_PAGES);
    *size = (uint32_t)wanted;
    return 0;
}

static int load(struct partition *p, const struct request *r, uint32_t *size)
{
    memset(p, 0, sizeof *p);
    p->r = r;
    p->file = tool_read_file(r->word[0], FILE_MAX, &p->file_size);
    if (!p->file) return otter_err_exit(OTTER_ARG);
    nvs_memory_start(&p->memory, p->file, (uint32_t)p->file_size);
    return check_region(p, size);
}

/* Are there entries, and not one that makes sense? Mending would then erase them all. */
static bool unreadable(const struct otter_flash *f, uint32_t offset, uint32_t size)
{
    uint8_t page[OTTER_NVS_PAGE_SIZE];
    struct otter_nvs_header h;
    struct otter_nvs_entry e;
    bool written = false;
    for (uint32_t at = 0; at < size; at += sizeof page) {
        if (f->read(f->ctx, offset + at, page, sizeof page)) return false;
        otter_nvs_header_read(page, &h);
        for (unsigned slot = 0; h.sound && slot < OTTER_NVS_SLOTS; slot++) {
            if (otter_nvs_slot_get(page + OTTER_NVS_HEADER, slot) != OTTER_NVS_WRITTEN) continue;
            if (otter_nvs_entry_read(page + OTTER_NVS_FIRST + slot * OTTER_NVS_ENTRY, slot, &e)) return false;
            written = true;
        }
    }
    return written;
}

/* Opens it; what has to be mended is mended in memory. */
static int open_partition(struct partition *p, const struct request *r)
{
    uint8_t key[NVS_KEY];
    uint32_t size, offset = (uint32_t)r->offset;
    const struct otter_flash *flash = &p->memory.flash;
    int status = load(p, r, &size);
    if (!status && r->key_path) status = read_key(r->key_path, key);
    if (status) return status;
    if (r->key_path) {
        nvs_cipher_start(&p->cipher, flash, offset, key);
        flash = &p->cipher.flash;
    }
    if (unreadable(flash, offset, size))
        return tool_fail(OTTER_NVS_CORRUPT, "%s: no entry can be read: %s", r->word[0],
                         r->key_path ? "this is not its key" : "it may be encrypted; give its key with --key");
    enum otter_err e = otter_nvs_open(&p->nvs, flash, offset, size);
    return e ? explain(p, e) : 0;
}

static int close_partition(struct partition *p, int status)
{
    if (!status && p->memory.changed) status = tool_write_file(p->r->word[0], p->file, p->file_size);
    free(p->file);
    return status;
}

/* ---- values as text ---- */

/* A string or blob in memory to be freed; *size with the NUL. */
static enum otter_err read_long(struct otter_nvs *n, const struct otter_nvs_item *i, uint8_t **out, size_t *size)
{
    *size = i->size;
    *out = malloc(*size + 1);
    if (!*out) return OTTER_ARG;
    return i->type == OTTER_NVS_STRING ? otter_nvs_get_string(n, i->ns, i->key, (char *)*out, size)
                                       : otter_nvs_get_blob(n, i->ns, i->key, *out, size);
}

static void int_text(const struct otter_nvs_item *i, char out[24])
{
    if (i->type & 0x10)
        snprintf(out, 24, "%lld", (long long)(int64_t)i->value);
    else
        snprintf(out, 24, "%llu", (unsigned long long)i->value);
}

/* The value, to be freed; a blob in hex. NULL and *e if it cannot be read. */
static char *value_text(struct otter_nvs *n, const struct otter_nvs_item *i, enum otter_err *e)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    *e = OTTER_OK;
    if (otter_nvs_int_size(i->type)) {
        char *text = malloc(24);
        if (text) int_text(i, text);
        return text;
    }
    if (i->type != OTTER_NVS_STRING && i->type != OTTER_NVS_BLOB) {
        *e = OTTER_NVS_TYPE;
        return NULL;
    }
    *e = read_long(n, i, &bytes, &size);
    if (!*e && i->type == OTTER_NVS_STRING) return (char *)bytes;
    char *hex = *e ? NULL : malloc(2 * size + 1);
    if (hex) tool_hex(bytes, size, hex);
    free(bytes);
    return hex;
}

static bool is_utf8(const char *text)
{
    size_t chars;
    return nvs_utf8_count(text, strlen(text), &chars);
}

/* {"namespace", "key", "type", "size", "value"}; a value that cannot be read has "error" instead. Integers are JSON
 * numbers as written, so that 64 bits survive. */
static cJSON *item_json(struct otter_nvs *n, const struct otter_nvs_item *i)
{
    enum otter_err e;
    char *text = value_text(n, i, &e);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "namespace", i->ns);
    cJSON_AddStringToObject(o, "key", i->key);
    cJSON_AddStringToObject(o, "type", otter_nvs_type_name(i->type));
    cJSON_AddNumberToObject(o, "size", i->size);
    if (text && otter_nvs_int_size(i->type))
        cJSON_AddRawToObject(o, "value", text);
    else if (text && is_utf8(text))
        cJSON_AddStringToObject(o, "value", text);
    else
        cJSON_AddStringToObject(o, "error", e ? otter_err_name(e) : "not_utf8");
    free(text);
    return o;
}

static int print_json(cJSON *o)
{
    tool_print_json(o);
    return 0;
}

/* ---- commands ---- */

static void print_warning(void *ctx, const char *text)
{
    fprintf(stderr, "otter: %s: warning: %s\n", (const char *)ctx, text);
}

static int command_build(int argc, char **argv)
{
    struct request r = {.cmd = "nvs build", .help = build_help, .allowed = "oksv", .version = 2};
    uint8_t key[NVS_KEY];
    size_t size;
    int status = start(&r, argc, argv, 1, 1);
    if (status >= 0) return status;
    if (!r.output || !r.has_size || !r.version)
        return tool_usage_error(r.cmd, "-o FILE and --size N are needed; version is 1 or 2");
    if (r.size > OTTER_CFG_NVS_PAGES * 4096U)
        return tool_usage_error(r.cmd, "a settings partition has at most %u KiB", 4U * OTTER_CFG_NVS_PAGES);
    if (r.key_path && (status = read_key(r.key_path, key)) > 0) return status;
    char *csv = tool_read_file(r.word[0], FILE_MAX, &size);
    if (!csv) return otter_err_exit(OTTER_ARG);
    struct nvs_gen g = {.size = (uint32_t)r.size,
                        .version = (unsigned)r.version,
                        .warn = print_warning,
                        .ctx = (void *)(uintptr_t)r.word[0]};
    enum otter_err e = nvs_gen(&g, csv, size);
    free(csv);
    if (e) return tool_fail(e == OTTER_ARG ? OTTER_NVS_NAME : e, "%s: %s", r.word[0], g.text);
    if (r.key_path && !nvs_encrypt_all(key, g.bin, g.bin_size))
        status = tool_fail(OTTER_CRYPTO, "%s", otter_err_text(OTTER_CRYPTO));
    else
        status = tool_write_file(r.output, g.bin, g.bin_size);
    free(g.bin);
    return status;
}

static void print_item(struct otter_nvs *n, const struct otter_nvs_item *i)
{
    enum otter_err e;
    char *text = value_text(n, i, &e);
    printf("%-15s  %-15s  %-6s  %s\n", i->ns, i->key, otter_nvs_type_name(i->type), text ? text : otter_err_text(e));
    free(text);
}

static int dump_json(struct partition *p, const struct otter_nvs_stats *stats)
{
    struct otter_nvs_cursor c = {0};
    struct otter_nvs_item i;
    cJSON *o = cJSON_CreateObject(), *items = cJSON_AddArrayToObject(o, "items");
    cJSON_AddNumberToObject(o, "used", stats->used);
    cJSON_AddNumberToObject(o, "total", stats->total);
    cJSON_AddNumberToObject(o, "available", stats->available);
    cJSON_AddNumberToObject(o, "namespaces", stats->namespaces);
    while (!otter_nvs_next(&p->nvs, &c, &i)) cJSON_AddItemToArray(items, item_json(&p->nvs, &i));
    return print_json(o);
}

static int dump_text(struct partition *p, const struct otter_nvs_stats *stats)
{
    struct otter_nvs_cursor c = {0};
    struct otter_nvs_item i;
    while (!otter_nvs_next(&p->nvs, &c, &i)) print_item(&p->nvs, &i);
    printf("%u namespaces; %u of %u entries used, %u available\n", stats->namespaces, stats->used, stats->total,
           stats->available);
    return 0;
}

static int command_dump(int argc, char **argv)
{
    struct request r = {.cmd = "nvs dump", .help = dump_help, .allowed = "jkfs"};
    struct otter_nvs_stats stats;
    struct partition p;
    int status = start(&r, argc, argv, 1, 1);
    if (status >= 0) return status;
    status = open_partition(&p, &r);
    enum otter_err e = status ? OTTER_OK : otter_nvs_stats(&p.nvs, &stats);
    if (e) status = explain(&p, e);
    if (!status) status = r.json ? dump_json(&p, &stats) : dump_text(&p, &stats);
    p.memory.changed = false;
    return close_partition(&p, status);
}

static int print_value(struct partition *p, const struct otter_nvs_item *i)
{
    enum otter_err e;
    char *text = value_text(&p->nvs, i, &e);
    if (!text) return tool_fail(e, "%s, %s: %s", i->ns, i->key, otter_err_text(e));
    puts(text);
    free(text);
    return 0;
}

static int command_get(int argc, char **argv)
{
    struct request r = {.cmd = "nvs get", .help = get_help, .allowed = "jkfs"};
    struct otter_nvs_item i;
    struct partition p;
    int status = start(&r, argc, argv, 3, 3);
    if (status >= 0) return status;
    status = open_partition(&p, &r);
    enum otter_err e = status ? OTTER_OK : otter_nvs_find(&p.nvs, r.word[1], r.word[2], &i);
    if (e) status = tool_fail(e, "%s, %s: %s", r.word[1], r.word[2], otter_err_text(e));
    if (!status) status = r.json ? print_json(item_json(&p.nvs, &i)) : print_value(&p, &i);
    p.memory.changed = false;
    return close_partition(&p, status);
}

static int set_int(struct partition *p, unsigned type, const char *text)
{
    const char *const *w = p->r->word;
    bool negative;
    uint64_t magnitude;
    char *end;
    const char *why = nvs_value_int(text, strlen(text), &negative, &magnitude);
    if (!strncmp(text, "0x", 2) && text[2]) {
        magnitude = strtoull(text, &end, 16);
        why = *end || strlen(text) > 18 ? "not a number" : NULL;
    }
    uint64_t value = negative ? 0 - magnitude : magnitude;
    if (!why && magnitude && negative != (type & 0x10 && value >> 63)) why = "out of range";
    enum otter_err e = why ? OTTER_ARG : otter_nvs_set_int(&p->nvs, w[1], w[2], (enum otter_nvs_type)type, value);
    if (e == OTTER_ARG) return tool_fail(e, "\"%s\" does not fit into %s", text, w[3]);
    return e ? explain(p, e) : 0;
}

static int set_blob(struct partition *p, const char *text)
{
    struct nvs_value v = {NULL, 0, 0};
    if (text[0] == '@') v.bytes = tool_read_file(text + 1, FILE_MAX, &v.size);
    const char *why = text[0] == '@' ? NULL : nvs_value_hex(text, strlen(text), &v);
    if (why) return tool_fail(OTTER_ARG, "the value of a blob is hex, or @PATH: %s", why);
    if (!v.bytes) return otter_err_exit(OTTER_ARG);
    enum otter_err e = otter_nvs_set_blob(&p->nvs, p->r->word[1], p->r->word[2], v.bytes, v.size);
    free(v.bytes);
    return e ? explain(p, e) : 0;
}

static int set_value(struct partition *p, unsigned type)
{
    const char *const *w = p->r->word;
    if (type == OTTER_NVS_BLOB) return set_blob(p, w[4]);
    if (type != OTTER_NVS_STRING) return set_int(p, type, w[4]);
    enum otter_err e = otter_nvs_set_string(&p->nvs, w[1], w[2], w[4]);
    return e ? explain(p, e) : 0;
}

static int command_set(int argc, char **argv)
{
    struct request r = {.cmd = "nvs set", .help = set_help, .allowed = "kfs"};
    struct partition p;
    int status = start(&r, argc, argv, 5, 5);
    if (status >= 0) return status;
    unsigned type = otter_nvs_type_by_name(r.word[3]);
    if (!type) return tool_usage_error(r.cmd, "there is no type \"%s\"", r.word[3]);
    status = open_partition(&p, &r);
    if (!status) status = set_value(&p, type);
    return close_partition(&p, status);
}

static int erase_some(struct partition *p)
{
    const struct request *r = p->r;
    enum otter_err e = r->words == 2 ? otter_nvs_erase_namespace(&p->nvs, r->word[1])
                                     : otter_nvs_erase(&p->nvs, r->word[1], r->word[2]);
    return e ? tool_fail(e, "%s%s%s: %s", r->word[1], r->words == 3 ? ", " : "", r->words == 3 ? r->word[2] : "",
                         otter_err_text(e))
             : 0;
}

static int command_erase(int argc, char **argv)
{
    struct request r = {.cmd = "nvs erase", .help = erase_help, .allowed = "kfs"};
    struct partition p;
    uint32_t size;
    int status = start(&r, argc, argv, 1, 3);
    if (status >= 0) return status;
    if (r.words == 1) {
        status = load(&p, &r, &size);
        if (!status) p.memory.flash.erase(&p.memory, (uint32_t)r.offset, size);
    } else {
        status = open_partition(&p, &r);
        if (!status) status = erase_some(&p);
    }
    return close_partition(&p, status);
}

static int command_keygen(int argc, char **argv)
{
    struct request r = {.cmd = "nvs keygen", .help = keygen_help, .allowed = "o"};
    uint8_t key[NVS_KEY], file[NVS_KEY_FILE];
    int status = start(&r, argc, argv, 0, 0);
    if (status >= 0) return status;
    if (!r.output) return tool_usage_error(r.cmd, "-o FILE is needed");
    if (RAND_bytes(key, sizeof key) != 1) return tool_fail(OTTER_CRYPTO, "%s", otter_err_text(OTTER_CRYPTO));
    nvs_key_write(key, file);
    return tool_write_file(r.output, file, sizeof file);
}

int tool_nvs(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        {"build", command_build, "make a partition of a CSV table"},
        {"dump", command_dump, "list all settings"},
        {"get", command_get, "print one value"},
        {"set", command_set, "set one value"},
        {"erase", command_erase, "erase a value, a namespace, or all"},
        {"keygen", command_keygen, "make a key for encrypted partitions"},
        {NULL, NULL, NULL},
    };
    return tool_dispatch(commands, "Usage: otter nvs COMMAND [OPTION]...\n\n", argc, argv);
}
