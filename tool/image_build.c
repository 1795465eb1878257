/* otter image build: an ELF program becomes an app image; otter image synth: an image without a program.
 * Knows command lines and files; the bytes are made in format/image_build.c. */
#include "tool/image_build.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "format/image.h"
#include "format/image_build.h"
#include "tool/json.h"
#include "tool/tool.h"

enum { ELF_MAX = 256 * 1024 * 1024, CHIP_NAMES = 256 };

struct command {
    const char *words; /* "image build" */
    const char *help;
    const char *elf, *out, *chip;
    const char *mode, *freq, *size, *rev_min, *rev_max;
    bool no_descriptor, json;
    const char *version, *project, *payload, *seed;
};

static const char build_help[] =
    "usage: otter image build ELF -o BIN [options]\n"
    "\n"
    "Makes an app image from a linked program (ELF), ready to be flashed or sent to a device.\n"
    "\n"
    "  -o, --output BIN      where the image goes; - is stdout\n"
    "      --chip NAME       esp32, esp32c3, ...; needed where the program's addresses fit several chips\n"
    "      --flash-mode M    qio, qout, dio (default), dout, fast_read or slow_read\n"
    "      --flash-freq F    in MHz, such as 80m; default: 40m, or the chip's like of it (C2 30m, H2 24m)\n"
    "      --flash-size S    1MB to 128MB; default: 4MB\n"
    "      --min-rev N       lowest chip revision it runs on, major * 100 + minor; default: 0\n"
    "      --max-rev N       highest one; default: 65535, any\n"
    "      --no-descriptor   allow a program without app descriptor; its version and project cannot be told later\n"
    "      --json            print the result as JSON\n"
    "      --help            this text\n";

static const char synth_help[] =
    "usage: otter image synth --chip NAME --version V --project P --size BYTES [--seed N] -o BIN\n"
    "\n"
    "Makes an app image that passes every check and holds no program: pseudo-random bytes, for tests.\n"
    "\n"
    "  -o, --output BIN      where the image goes; - is stdout\n"
    "      --chip NAME       esp32, esp32c3, ...\n"
    "      --version V       in the app descriptor, at most 31 bytes\n"
    "      --project P       the same\n"
    "      --size BYTES      payload besides header and descriptor; rounded up to a multiple of 4\n"
    "      --seed N          another number, other bytes; default: 0\n"
    "      --json            print the result as JSON\n"
    "      --help            this text\n";

/* ---- values ---- */

static bool flash_mode(const char *text, uint8_t *mode)
{
    static const char *const names[] = {"qio", "qout", "dio", "dout", "fast_read", "slow_read"};
    for (uint8_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(text, names[i]) != 0) continue;
        *mode = i;
        return true;
    }
    return false;
}

/* 80, 80m or 80MHz. */
static bool flash_freq(const char *text, const struct otter_chip_info *chip, uint8_t *code)
{
    char *unit;
    unsigned long mhz = strtoul(text, &unit, 10);
    bool known = !*unit || !strcasecmp(unit, "m") || !strcasecmp(unit, "mhz");
    return known && mhz <= 1000 && otter_flash_speed_code(chip, (unsigned)mhz, code);
}

static bool flash_size(const char *text, uint8_t *code)
{
    char *unit;
    unsigned long mb = strtoul(text, &unit, 10);
    if (strcasecmp(unit, "MB") != 0) return false;
    for (uint8_t i = 0; i < 8; i++) {
        if (mb != 1ul << i) continue;
        *code = i;
        return true;
    }
    return false;
}

/* The chips that elf may be for: "esp32c6, esp32h2 ...". */
static void chip_names(const struct otter_elf *elf, char *names, size_t size)
{
    size_t n = 0;
    *names = '\0';
    for (unsigned i = 0; otter_chip_at(i); i++) {
        const struct otter_chip_info *chip = otter_chip_at(i);
        if (!otter_image_fits(elf, chip)) continue;
        int added = snprintf(names + n, size - n, "%s%s", n ? ", " : "", chip->target);
        if (added < 0 || (size_t)added >= size - n) return;
        n += (size_t)added;
    }
}

/* The one chip that the program's addresses fit; NULL (said on stderr) if there is none, or more than one. */
static const struct otter_chip_info *derived_chip(const struct command *c, const struct otter_elf *elf)
{
    const struct otter_chip_info *chip = NULL;
    unsigned fitting = 0;
    char names[CHIP_NAMES];
    for (unsigned i = 0; otter_chip_at(i); i++) {
        if (!otter_image_fits(elf, otter_chip_at(i))) continue;
        chip = otter_chip_at(i);
        fitting++;
    }
    if (fitting == 1) return chip;
    chip_names(elf, names, sizeof names);
    if (fitting)
        tool_usage_error(c->words, "%s may be for any of %s; name it with --chip", c->elf, names);
    else
        tool_usage_error(c->words, "%s loads to addresses that no known chip has; name the chip with --chip", c->elf);
    return NULL;
}

static int fill_options(const struct command *c, struct otter_image_options *o)
{
    uint64_t min = 0, max = UINT16_MAX;
    if (c->mode && !flash_mode(c->mode, &o->flash_mode))
        return tool_usage_error(c->words, "--flash-mode %s is none of qio, qout, dio, dout, fast_read, slow_read",
                                c->mode);
    if (c->freq && !flash_freq(c->freq, o->chip, &o->flash_speed))
        return tool_usage_error(c->words, "--flash-freq %s is no speed of the %s", c->freq, o->chip->name);
    if (c->size && !flash_size(c->size, &o->flash_size))
        return tool_usage_error(c->words, "--flash-size %s is none of 1MB, 2MB, 4MB ... 128MB", c->size);
    if (c->rev_min && tool_number(c->rev_min, UINT16_MAX, &min))
        return tool_usage_error(c->words, "--min-rev %s is no number from 0 to 65535", c->rev_min);
    if (c->rev_max && tool_number(c->rev_max, UINT16_MAX, &max))
        return tool_usage_error(c->words, "--max-rev %s is no number from 0 to 65535", c->rev_max);
    o->revision_min = (uint16_t)min;
    o->revision_max = (uint16_t)max;
    o->undescribed = c->no_descriptor;
    return 0;
}

/* ---- result ---- */

static void print_json(const char *path, const struct otter_image_facts *f)
{
    char sha[2 * OTTER_IMAGE_DIGEST + 1];
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "file", path);
    cJSON_AddStringToObject(root, "chip", f->chip->target);
    cJSON_AddNumberToObject(root, "size", f->length);
    cJSON_AddStringToObject(root, "sha256", tool_hex(f->digest, OTTER_IMAGE_DIGEST, sha));
    if (f->has_desc) {
        cJSON_AddStringToObject(root, "version", f->desc.version);
        cJSON_AddStringToObject(root, "project", f->desc.project);
    }
    cJSON_AddNumberToObject(root, "entry", f->entry);
    cJSON *segments = cJSON_AddArrayToObject(root, "segments");
    for (unsigned i = 0; i < f->segments; i++) {
        cJSON *segment = cJSON_CreateObject();
        cJSON_AddNumberToObject(segment, "address", f->segment[i].address);
        cJSON_AddNumberToObject(segment, "offset", f->segment[i].offset);
        cJSON_AddNumberToObject(segment, "length", f->segment[i].length);
        cJSON_AddItemToArray(segments, segment);
    }
    tool_print_json(root);
}

static void print_result(const char *path, const struct otter_image_facts *f)
{
    printf("%s: %s", path, f->chip->name);
    if (f->has_desc) printf(", %s %s", f->desc.project, f->desc.version);
    printf(", %u segments, %" PRIu32 " bytes\n", f->segments, f->length);
}

/* Where code and data share an address range, the boot loader takes two mapped segments, no fewer. */
static void warn_unmapped(const struct command *c, const struct otter_image_facts *f)
{
    unsigned mapped = 0;
    for (unsigned i = 0; i < f->segments; i++) {
        const struct otter_image_segment *s = &f->segment[i];
        mapped += otter_memory_mapped(otter_chip_memory(f->chip, s->address, s->length, f->chip->page_log2_max));
    }
    if (!f->chip->shared_map || mapped == 2) return;
    fprintf(
        stderr,
        "otter: warning: %s has %u flash-mapped segment%s; boot loaders of the %s start images with two, one for data "
        "and one for code, only\n",
        c->out, mapped, mapped == 1 ? "" : "s", f->chip->name);
}

/* What is written has passed the same checks that a device will make. */
static int deliver(const struct command *c, const struct otter_image_options *o, const struct otter_image_output *image)
{
    struct otter_image_rules rules = {.chip = o->chip, .chip_revision = -1, .efuse_revision = -1};
    struct otter_image_check check;
    rules.flags = OTTER_IMAGE_LOADABLE | (o->undescribed ? 0u : OTTER_IMAGE_DESCRIBED);
    otter_image_start(&check, &rules, tool_crypto());
    otter_image_feed(&check, image->data, image->length);
    enum otter_err err = otter_image_end(&check);
    if (err) return tool_fail(err, "%s was not written: %s", c->out, otter_err_text(err));
    int status = tool_write_file(c->out, image->data, image->length);
    if (status) return status;
    if (c->elf) warn_unmapped(c, &check.facts);
    if (!strcmp(c->out, "-")) return 0; /* stdout has the image */
    if (c->json)
        print_json(c->out, &check.facts);
    else
        print_result(c->out, &check.facts);
    return 0;
}

static int refuse(const char *what, enum otter_err err, const struct otter_image_output *image)
{
    if (err == OTTER_CRYPTO) return tool_fail(err, "%s (%" PRId32 ")", otter_err_text(err), image->detail);
    if (err == OTTER_ELF && image->address)
        return tool_fail(err,
                         "%s: the section at 0x%08" PRIx32
                         " overlaps another, starts off a word, is one too many, or would "
                         "need a further flash mapping that the boot loader does not make; correct the linker script",
                         what, image->address);
    if (image->address) return tool_fail(err, "%s: at 0x%08" PRIx32 ": %s", what, image->address, otter_err_text(err));
    return tool_fail(err, "%s: %s", what, otter_err_text(err));
}

/* ---- commands ---- */

static int build_image(const struct command *c, const struct otter_elf *elf)
{
    struct otter_image_options o;
    struct otter_image_output image = {.room = OTTER_IMAGE_ROOM_MAX};
    const struct otter_chip_info *chip = c->chip ? tool_chip(c->chip) : derived_chip(c, elf);
    if (!chip) return 2;
    otter_image_options_init(&o, chip);
    int status = fill_options(c, &o);
    if (status) return status;
    image.data = malloc(image.room);
    if (!image.data) return tool_fail(OTTER_TOO_BIG, "not enough memory for the image");
    enum otter_err err = otter_image_build(elf, &o, tool_crypto(), &image);
    status = err ? refuse(c->elf, err, &image) : deliver(c, &o, &image);
    free(image.data);
    return status;
}

static int build_file(const struct command *c)
{
    struct otter_elf elf;
    size_t n;
    void *data = tool_read_file(c->elf, ELF_MAX, &n);
    if (!data) return otter_err_exit(OTTER_ARG);
    enum otter_err err = otter_elf_open(&elf, data, n);
    int status = err ? tool_fail(err, "%s: %s Give a linked RISC-V or Xtensa program.", c->elf, otter_err_text(err))
                     : build_image(c, &elf);
    free(data);
    return status;
}

static int synth_file(const struct command *c)
{
    struct otter_image_options o;
    struct otter_image_output image = {.room = OTTER_IMAGE_ROOM_MAX};
    const struct otter_chip_info *chip = tool_chip(c->chip);
    uint64_t size = 0, seed = 0;
    int status;
    if (!chip) return 2;
    if (tool_number(c->payload, OTTER_IMAGE_ROOM_MAX, &size))
        return tool_usage_error(c->words, "--size %s is no number of bytes up to 16 MiB", c->payload);
    if (c->seed && tool_number(c->seed, UINT32_MAX, &seed))
        return tool_usage_error(c->words, "--seed %s is no number of 32 bits", c->seed);
    otter_image_options_init(&o, chip);
    struct otter_image_synth what = {c->version, c->project, (uint32_t)size, (uint32_t)seed};
    image.data = malloc(image.room);
    if (!image.data) return tool_fail(OTTER_TOO_BIG, "not enough memory for the image");
    enum otter_err err = otter_image_synth(&what, &o, tool_crypto(), &image);
    if (err == OTTER_ARG)
        status = tool_usage_error(c->words, "--version and --project take at most 31 bytes each");
    else
        status = err ? refuse(c->out, err, &image) : deliver(c, &o, &image);
    free(image.data);
    return status;
}

/* ---- command lines ---- */

enum option_id {
    OPT_CHIP = 256,
    OPT_MODE,
    OPT_FREQ,
    OPT_SIZE,
    OPT_MIN,
    OPT_MAX,
    OPT_NO_DESC,
    OPT_JSON,
    OPT_VERSION,
    OPT_PROJECT,
    OPT_PAYLOAD,
    OPT_SEED,
    OPT_HELP
};

static const struct option build_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"chip", required_argument, NULL, OPT_CHIP},
    {"flash-mode", required_argument, NULL, OPT_MODE},
    {"flash-freq", required_argument, NULL, OPT_FREQ},
    {"flash-size", required_argument, NULL, OPT_SIZE},
    {"min-rev", required_argument, NULL, OPT_MIN},
    {"max-rev", required_argument, NULL, OPT_MAX},
    {"no-descriptor", no_argument, NULL, OPT_NO_DESC},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const struct option synth_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"chip", required_argument, NULL, OPT_CHIP},
    {"version", required_argument, NULL, OPT_VERSION},
    {"project", required_argument, NULL, OPT_PROJECT},
    {"size", required_argument, NULL, OPT_PAYLOAD},
    {"seed", required_argument, NULL, OPT_SEED},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const char **value_of(struct command *c, int option)
{
    switch (option) {
    case 'o': return &c->out;
    case OPT_CHIP: return &c->chip;
    case OPT_MODE: return &c->mode;
    case OPT_FREQ: return &c->freq;
    case OPT_SIZE: return &c->size;
    case OPT_MIN: return &c->rev_min;
    case OPT_MAX: return &c->rev_max;
    case OPT_VERSION: return &c->version;
    case OPT_PROJECT: return &c->project;
    case OPT_PAYLOAD: return &c->payload;
    case OPT_SEED: return &c->seed;
    default: return NULL;
    }
}

/* -1: go on; else the exit status. */
static int parse(struct command *c, int argc, char **argv, const struct option *options)
{
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        const char **value = value_of(c, option);
        if (value) {
            *value = optarg;
        } else if (option == OPT_NO_DESC) {
            c->no_descriptor = true;
        } else if (option == OPT_JSON) {
            c->json = true;
        } else if (option == OPT_HELP) {
            fputs(c->help, stdout);
            return 0;
        } else {
            return 2; /* getopt has said why */
        }
    }
    return -1;
}

int tool_image_build(int argc, char **argv)
{
    struct command c = {.words = "image build", .help = build_help};
    int status = parse(&c, argc, argv, build_options);
    if (status >= 0) return status;
    if (argc - optind != 1) return tool_usage_error(c.words, "give one ELF file");
    c.elf = argv[optind];
    if (!c.out) return tool_usage_error(c.words, "name the image with -o BIN");
    return build_file(&c);
}

int tool_image_synth(int argc, char **argv)
{
    struct command c = {.words = "image synth", .help = synth_help};
    int status = parse(&c, argc, argv, synth_options);
    if (status >= 0) return status;
    if (argc != optind) return tool_usage_error(c.words, "%s is not understood", argv[optind]);
    if (!c.out || !c.chip || !c.version || !c.project || !c.payload)
        return tool_usage_error(c.words, "--chip, --version, --project, --size and -o are needed");
    return synth_file(&c);
}
