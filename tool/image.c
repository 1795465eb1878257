/* otter image info|verify: what an app image is, whether the boot loader would start it, and who signed it. */
#define _GNU_SOURCE
#include <cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/words.h"
#include "format/image.h"
#include "tool/commands.h"
#include "tool/image_build.h"
#include "tool/image_sign.h"
#include "tool/image_trust.h"
#include "tool/json.h"
#include "tool/tool.h"

enum { FILE_MAX = 32 * 1024 * 1024, APP_OFFSET = 0x10000 };

struct request {
    const char *path;
    struct otter_image_rules rules;
    bool json, verify;
    struct tool_trust trust;
    uint8_t *bytes;
    size_t size;
    bool judged; /* signatures is filled */
    struct tool_signatures signatures;
};

static const char help_text[] =
    "Usage: otter image %s FILE [OPTION]...\n"
    "%s\n"
    "\n"
    "  --chip NAME          hold it to this chip [the one that the image names]\n"
    "  --chip-rev N         and to this revision of it, major * 100 + minor\n"
    "  --efuse-blk-rev N    and to this eFuse block revision, major * 100 + minor\n"
    "  --slot-size SIZE     and to this much room, in bytes, or with K or M behind\n"
    "  --offset N           where in flash it is to lie; segments must be congruent to it [0x10000]\n"
    "  --boot               ask what the boot loader asks beyond that: load addresses that exist\n"
    "  --key KEY.pem        and to a signature of this key, public or secret; more than one may be given\n"
    "  --key-digest HEX     the same, by the digest that key-digest prints\n"
    "  --json               print JSON\n"
    "FILE may be - for standard input.\n";

static int print_help(bool verify)
{
    printf(help_text, verify ? "verify" : "info",
           verify ? "Judges an app image as the boot loader does; the exit status is 0 if it is good."
                  : "Shows what an app image holds; bad ones too, as far as they go.");
    return 0;
}

enum { OPT_CHIP = 1, OPT_REV, OPT_EFUSE, OPT_SIZE, OPT_OFFSET, OPT_BOOT, OPT_KEY, OPT_KEY_DIGEST, OPT_JSON, OPT_HELP };

static int take_option(struct request *r, const char *cmd, int option, const char *value)
{
    uint64_t n = 0;
    bool is_number = option == OPT_REV || option == OPT_EFUSE || option == OPT_SIZE || option == OPT_OFFSET;
    if (is_number && tool_number(value, UINT32_MAX, &n)) return tool_usage_error(cmd, "\"%s\" is no number", value);
    switch (option) {
    case OPT_CHIP: r->rules.chip = tool_chip(value); return r->rules.chip ? 0 : 2;
    case OPT_REV: r->rules.chip_revision = (int32_t)(n & UINT16_MAX); return 0;
    case OPT_EFUSE: r->rules.efuse_revision = (int32_t)(n & UINT16_MAX); return 0;
    case OPT_SIZE:
        if (n == 0) return tool_usage_error(cmd, "--slot-size 0 holds nothing");
        r->rules.room = (uint32_t)n;
        return 0;
    case OPT_OFFSET: r->rules.offset = (uint32_t)n; return 0;
    case OPT_BOOT: r->rules.flags |= OTTER_IMAGE_LOADABLE; return 0;
    case OPT_KEY: return tool_trust_add_key(&r->trust, cmd, value);
    case OPT_KEY_DIGEST: return tool_trust_add_digest(&r->trust, cmd, value);
    case OPT_JSON: r->json = true; return 0;
    default: return tool_usage_error(cmd, "the command line is wrong");
    }
}

static int read_options(struct request *r, int argc, char **argv)
{
    static const struct option options[] = {{"chip", 1, 0, OPT_CHIP},
                                            {"chip-rev", 1, 0, OPT_REV},
                                            {"efuse-blk-rev", 1, 0, OPT_EFUSE},
                                            {"slot-size", 1, 0, OPT_SIZE},
                                            {"offset", 1, 0, OPT_OFFSET},
                                            {"boot", 0, 0, OPT_BOOT},
                                            {"key", 1, 0, OPT_KEY},
                                            {"key-digest", 1, 0, OPT_KEY_DIGEST},
                                            {"json", 0, 0, OPT_JSON},
                                            {"help", 0, 0, OPT_HELP},
                                            {0, 0, 0, 0}};
    const char *cmd = r->verify ? "image verify" : "image info";
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == OPT_HELP || option == 'h') exit(print_help(r->verify));
        int status = take_option(r, cmd, option, optarg);
        if (status) return status;
    }
    if (optind != argc - 1) return tool_usage_error(cmd, "it takes one FILE");
    r->path = argv[optind];
    return 0;
}

/* ---- output ---- */

static const char *kind_of(const struct otter_image_facts *f, const struct otter_image_segment *s)
{
    unsigned page = f->has_desc && f->desc.page_log2 ? f->desc.page_log2 : 16;
    return f->chip ? otter_memory_name(otter_chip_memory(f->chip, s->address, s->length, page < 20 ? page : 16))
                   : "unknown";
}

static void revision_text(uint16_t revision, char buf[16])
{
    snprintf(buf, 16, "v%u.%u", revision / 100u, revision % 100u);
}

static void add_hex(cJSON *o, const char *name, const uint8_t *bytes, size_t n)
{
    char hex[65];
    cJSON_AddStringToObject(o, name, tool_hex(bytes, n, hex));
}

/* Bytes of a file are no UTF-8 by themselves. */
static void add_text(cJSON *o, const char *name, const char *text)
{
    char clean[40];
    size_t i = 0;
    for (; text[i] && i < sizeof clean - 1; i++) clean[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    clean[i] = '\0';
    cJSON_AddStringToObject(o, name, clean);
}

static void add_desc(cJSON *o, const struct otter_app_desc *d)
{
    cJSON *app = cJSON_AddObjectToObject(o, "app");
    add_text(app, "version", d->version);
    add_text(app, "project", d->project);
    add_text(app, "date", d->date);
    add_text(app, "time", d->time);
    add_text(app, "idf_version", d->idf);
    cJSON_AddNumberToObject(app, "secure_version", d->secure_version);
    add_hex(app, "elf_sha256", d->elf_sha256, sizeof d->elf_sha256);
    cJSON_AddNumberToObject(app, "min_efuse_blk_rev", d->efuse_min);
    cJSON_AddNumberToObject(app, "max_efuse_blk_rev", d->efuse_max);
    cJSON_AddNumberToObject(app, "mmu_page_size", d->page_log2 && d->page_log2 < 32 ? 1u << d->page_log2 : 0);
}

static void add_segments(cJSON *o, const struct otter_image_facts *f)
{
    cJSON *list = cJSON_AddArrayToObject(o, "segments");
    for (unsigned i = 0; i < f->segments; i++) {
        cJSON *s = cJSON_CreateObject();
        cJSON_AddNumberToObject(s, "offset", f->segment[i].offset);
        cJSON_AddNumberToObject(s, "address", f->segment[i].address);
        cJSON_AddNumberToObject(s, "length", f->segment[i].length);
        cJSON_AddStringToObject(s, "memory", kind_of(f, &f->segment[i]));
        cJSON_AddItemToArray(list, s);
    }
}

static void add_header(cJSON *o, const struct otter_image_facts *f)
{
    cJSON_AddStringToObject(o, "chip", f->chip ? f->chip->target : "unknown");
    cJSON_AddNumberToObject(o, "chip_id", f->chip_id);
    cJSON_AddNumberToObject(o, "min_chip_rev", f->revision_min);
    cJSON_AddNumberToObject(o, "max_chip_rev", f->revision_max);
    cJSON_AddNumberToObject(o, "entry", f->entry);
    cJSON_AddNumberToObject(o, "segment_count", f->segment_count);
    cJSON_AddNumberToObject(o, "image_length", f->length);
    cJSON_AddNumberToObject(o, "checksum", f->checksum_stored);
    cJSON_AddBoolToObject(o, "hash_appended", f->hash_appended != 0);
}

/* Some updaters put a signature of 512 bytes in front of the image. */
static bool signature_in_front(const struct request *r)
{
    enum { FRONT = 512 };
    struct otter_image_check c;
    if (r->size <= FRONT) return false;
    otter_image_start(&c, &r->rules, NULL);
    otter_image_feed(&c, r->bytes + FRONT, r->size - FRONT);
    return otter_image_end(&c) == OTTER_OK;
}

/* What is odd about an image that the verdict does not tell; NULL. */
static const char *note_of(const struct request *r, const struct otter_image_check *c, enum otter_err verdict)
{
    const struct otter_image_facts *f = &c->facts;
    if (verdict == OTTER_MAGIC && signature_in_front(r))
        return "the image begins at byte 512, behind what looks like another updater's signature; take these bytes off";
    if (verdict) return NULL;
    if (f->has_desc && strcmp(f->desc.project, "arduino-lib-builder") == 0)
        return "project and version are those of the framework's build, not of the app; only the SHA-256 tells such "
               "images "
               "apart";
    return f->hash_appended ? NULL : "no SHA-256 is appended: only the checksum guards it";
}

static void print_json(const struct request *r, const struct otter_image_check *c, enum otter_err verdict)
{
    char words[256];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "file", r->path);
    cJSON_AddNumberToObject(o, "size", (double)r->size);
    cJSON_AddBoolToObject(o, "valid", verdict == OTTER_OK);
    if (verdict) {
        otter_words_image(verdict, c, words, sizeof words);
        cJSON_AddStringToObject(o, "error", otter_err_name(verdict));
        cJSON_AddStringToObject(o, "message", words);
    } else {
        cJSON_AddNullToObject(o, "error");
    }
    snprintf(words, sizeof words, "0x%x", (unsigned)otter_image_esp_err(verdict));
    cJSON_AddStringToObject(o, "esp_err", words);
    const char *note = note_of(r, c, verdict);
    cJSON_AddItemToObject(o, "note", note ? cJSON_CreateString(note) : cJSON_CreateNull());
    if (c->offset >= OTTER_IMAGE_HEADER) add_header(o, &c->facts);
    add_segments(o, &c->facts);
    if (c->facts.has_desc) add_desc(o, &c->facts.desc);
    if (!verdict) add_hex(o, "sha256", c->facts.digest, sizeof c->facts.digest);
    if (!verdict) add_hex(o, "file_sha256", c->facts.file_digest, sizeof c->facts.file_digest);
    if (r->judged) tool_signatures_json(&r->signatures, o);
    tool_print_json(o);
}

static void print_desc(const struct otter_app_desc *d)
{
    char hex[65];
    printf("project    %s\nversion    %s\nbuilt      %s %s, ESP-IDF %s\nELF        %s\n", d->project, d->version,
           d->date, d->time, d->idf, tool_hex(d->elf_sha256, sizeof d->elf_sha256, hex));
    if (d->secure_version) printf("secure version %u\n", d->secure_version);
}

static void print_header(const struct otter_image_facts *f)
{
    char min[16], max[16];
    revision_text(f->revision_min, min);
    revision_text(f->revision_max, max);
    bool any = f->revision_max == 0 || f->revision_max == UINT16_MAX;
    printf("chip       %s (id 0x%04x), revision %s to %s\nentry      0x%08x\n", f->chip ? f->chip->name : "unknown",
           f->chip_id, min, any ? "any" : max, f->entry);
}

static void print_segments(const struct otter_image_facts *f)
{
    printf("segment    offset      address     bytes\n");
    for (unsigned i = 0; i < f->segments; i++)
        printf("%7u    0x%08x  0x%08x  %9u  %s\n", i, f->segment[i].offset, f->segment[i].address, f->segment[i].length,
               kind_of(f, &f->segment[i]));
}

static void print_info(const struct request *r, const struct otter_image_check *c)
{
    char hex[65];
    const struct otter_image_facts *f = &c->facts;
    printf("file       %s, %zu bytes\n", r->path, r->size);
    if (c->offset < OTTER_IMAGE_HEADER) return;
    print_header(f);
    if (f->has_desc) print_desc(&f->desc);
    print_segments(f);
    if (f->length) printf("length     %u bytes\n", f->length);
    if (!c->err) printf("checksum   0x%02x, right\n", f->checksum);
    if (!c->err && f->hash_appended)
        printf("SHA-256    %s, right\n", tool_hex(f->digest, sizeof f->digest, hex));
    else if (!c->err)
        printf("SHA-256    none appended\n");
}

static void print_text(const struct request *r, const struct otter_image_check *c, enum otter_err verdict)
{
    char words[256];
    otter_words_image(verdict, c, words, sizeof words);
    if (!r->verify) print_info(r, c);
    if (!r->verify && r->judged) tool_signatures_print(&r->signatures, stdout);
    if (verdict)
        fprintf(r->verify ? stderr : stdout, "%s%s: %s (%s)\n", r->verify ? "otter: " : "bad        ", r->path, words,
                otter_err_name(verdict));
    else if (r->verify)
        printf("%s: good: %s %s for %s, %u bytes\n", r->path, c->facts.has_desc ? c->facts.desc.project : "image",
               c->facts.has_desc ? c->facts.desc.version : "without app descriptor", c->facts.chip->name,
               c->facts.length);
    if (r->verify && r->judged) tool_signatures_print(&r->signatures, verdict ? stderr : stdout);
    const char *note = note_of(r, c, verdict);
    if (note) fprintf(r->verify ? stderr : stdout, "%s%s\n", r->verify ? "otter: " : "note       ", note);
}

/* Signatures are looked at where keys are given, and to show them; an unsigned image is bad only to who gave keys. */
static enum otter_err judge_signatures(struct request *r, const struct otter_image_facts *f)
{
    if (r->verify && !r->trust.count) return OTTER_OK;
    enum otter_err e = tool_signatures_judge(r->bytes, r->size, f->length, &r->trust, &r->signatures);
    r->judged = true;
    return r->trust.count ? e : OTTER_OK;
}

static int run(int argc, char **argv, bool verify)
{
    struct request r = {
        .verify = verify,
        .rules = {.chips = otter_chip_by_id, .chip_revision = -1, .efuse_revision = -1, .offset = APP_OFFSET}};
    struct otter_image_check c;
    int status = read_options(&r, argc, argv);
    if (status) return status;
    r.bytes = tool_read_file(r.path, FILE_MAX, &r.size);
    if (!r.bytes) return 2;
    otter_image_start(&c, &r.rules, tool_crypto());
    otter_image_feed(&c, r.bytes, r.size);
    enum otter_err verdict = otter_image_end(&c);
    if (!verdict) verdict = judge_signatures(&r, &c.facts);
    if (r.json)
        print_json(&r, &c, verdict);
    else
        print_text(&r, &c, verdict);
    free(r.bytes);
    return otter_err_exit(verdict);
}

static int run_info(int argc, char **argv) { return run(argc, argv, false); }
static int run_verify(int argc, char **argv) { return run(argc, argv, true); }

int tool_image(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        {"info", run_info, "what an image holds"},
        {"verify", run_verify, "would the boot loader start it?"},
        {"build", tool_image_build, "ELF to image"},
        {"synth", tool_image_synth, "a small made-up image, for trying things out"},
        {"keygen", tool_image_keygen, "a secret key for signing"},
        {"sign", tool_image_sign, "signatures behind an image"},
        {"key-digest", tool_image_key_digest, "of a key or a signed image, for a device's list"},
        {NULL, NULL, NULL},
    };
    return tool_dispatch(commands, "Usage: otter image COMMAND [OPTION]...\n\n", argc, argv);
}
