/* otter publish: puts a release into a channel, image first and descriptor last, and reads it back. A program of its
 * own because of the network libraries. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/text.h"
#include "format/version.h"
#include "tool/json.h"
#include "tool/publish.h"
#include "tool/tool.h"

static const char help_text[] =
    "Usage: otter publish IMAGE... --channel NAME TARGET [OPTION]...\n"
    "       otter publish --check WHERE [--channel NAME] [OPTION]...\n"
    "       otter publish --promote FROM TO TARGET [OPTION]...\n"
    "       otter publish --retract --channel NAME TARGET [OPTION]...\n"
    "Publishes a release: one app image for each chip, all of one version. TARGET is a folder, or s3://BUCKET/PREFIX\n"
    "at any S3-compatible server; a channel is a folder in it. Images go first, and what devices look at goes last, "
    "so\n"
    "they find the old release or the new one. Earlier releases stay. Then the channel is read back and judged.\n"
    "\n"
    "--check reads a channel back without changing it: in a folder, a bucket, or behind http:// or https://; what "
    "ends\n"
    "in .json is a single descriptor, or manifest. --promote offers in TO what FROM offers, to each chip its newest;\n"
    "or nothing at all, if something is in the way. --retract takes the channel's newest release back: its chips are\n"
    "offered the one before, those without one nothing; devices that have it keep it.\n"
    "\n"
    "  --channel NAME         letters, digits, - and _\n"
    "  --bootloader FILE      the chip's boot loader, for installers; may be given for each chip\n"
    "  --table [CHIP=]TABLE   the partition table: CSV, binary, or a preset's name; may be given for each chip. If it "
    "is\n"
    "                         not the last release's, devices are told that they need a full flash\n"
    "  --board FORMAT         what the board's own configuration has to look like, in a word of yours; the same\n"
    "  --requires-full-flash  devices cannot take this release over the air\n"
    "  --min-version V        devices below V cannot, either\n"
    "  --notes TEXT           up to 1024 bytes, shown to who updates\n"
    "  --base-url URL         where devices find TARGET: paths are written as URLs below it, and read back from there\n"
    "  --key FILE.pem         only images signed with this key, for --promote and --check, too; may be given again\n"
    "  --allow-older          also a version that is not newer than the one in the channel\n"
    "  --allow-other-project  also an image of another project than the channel's; devices refuse it\n"
    "  --create-bucket        make the bucket, if it is not there\n" AWS_OPTIONS_HELP
    "  --cacert FILE          certificates that servers are held to, instead of the system's [AWS_CA_BUNDLE]\n"
    "  --json                 print the outcome as JSON\n"
    "  --quiet                no progress\n"
    "\n"
    "Boot loader and table that are not given are those of the last release.\n"
    "\n"
    "Exit status: 0 done, 2 wrong command line, 3 bad image or format, 4 refused, 6 no connection, or something is "
    "not\n"
    "there.\n";

/* ---- outcome ---- */

static const char *plain_in(const cJSON *b, const char *name, const char *otherwise, char *out, size_t size)
{
    const char *text = tool_json_text(b, name);
    return publish_plain(text ? text : otherwise, out, size);
}

static void print_build(const cJSON *b)
{
    char chip[16], version[64], path[300], min[64];
    bool full = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(b, "requires_full_flash"));
    plain_in(b, "path", "", path, sizeof path);
    path[strcspn(path, "?")] = '\0'; /* behind it may be a signature */
    plain_in(b, "min_version", "", min, sizeof min);
    printf("  %-9s %s, %.0f bytes, %s%s%s%s\n", plain_in(b, "chip", "any chip", chip, sizeof chip),
           plain_in(b, "version", "", version, sizeof version), tool_json_number(b, "size", UINT32_MAX), path,
           *min ? ", from version " : "", min, full ? ", requires full flash" : "");
}

static void print_outcome(const struct publish *p, const char *result, const char *place, cJSON *report, int status)
{
    const cJSON *b, *chip;
    const char *version = tool_json_text(report, "version");
    if (p->json) {
        cJSON_AddStringToObject(report, "result", result);
        cJSON_AddStringToObject(report, "place", place);
        tool_print_json(cJSON_Duplicate(report, true));
        return;
    }
    if (status) return;
    printf("%s: %s%s%s\n", place, result, version ? " " : "", version ? version : "");
    cJSON_ArrayForEach(b, cJSON_GetObjectItemCaseSensitive(report, "builds")) print_build(b);
    cJSON_ArrayForEach(chip, cJSON_GetObjectItemCaseSensitive(report, "nothing_left_for"))
        printf("  %-9s nothing\n", chip->valuestring);
}

/* ---- what is asked for ---- */

static int publish_new(const struct publish *p, struct store *s, cJSON *report)
{
    struct publish_files files = {0};
    int status;
    cJSON *release = publish_build(p, &files, &status), *releases = cJSON_CreateArray();
    cJSON_AddItemToArray(releases, release);
    enum otter_err e = release && p->create_bucket ? store_make_bucket(s) : OTTER_OK;
    if (e) status = store_fail(s, e);
    if (!status) status = publish_release(p, s, releases, &files, report);
    cJSON_Delete(releases);
    publish_files_free(&files);
    return status;
}

static int check(const struct publish *p, struct store *s, const char *only, cJSON *report)
{
    return otter_err_exit(publish_check(p, s, only, NULL, !p->json, report));
}

static int act(const struct publish *p, struct store *s, const char *only, cJSON *report)
{
    static const char *const done[] = {[PUBLISH_NEW] = "published",
                                       [PUBLISH_CHECK] = "in order",
                                       [PUBLISH_PROMOTE] = "promoted",
                                       [PUBLISH_RETRACT] = "retracted"};
    int status = 2;
    switch (p->what) {
    case PUBLISH_NEW: status = publish_new(p, s, report); break;
    case PUBLISH_CHECK: status = check(p, s, only, report); break;
    case PUBLISH_PROMOTE: status = publish_promote(p, s, report); break;
    case PUBLISH_RETRACT: status = publish_retract(p, s, report); break;
    }
    print_outcome(p, status ? "failed" : done[p->what], s->place, report, status);
    return status;
}

/* A single descriptor is asked for by its name: "https://host/stable/esp32c3.json". *folder: what target is then; to be
 * freed. */
static const char *single_descriptor(const struct publish *p, char **folder)
{
    const char *slash = strrchr(p->target, '/'), *name = slash ? slash + 1 : p->target;
    bool single = p->what == PUBLISH_CHECK && !p->channel && store_is_json(name);
    if (!single)
        *folder = strdup(p->target);
    else if (slash)
        *folder = strndup(p->target, slash == p->target ? 1 : (size_t)(slash - p->target));
    else
        *folder = strdup(".");
    return single ? name : NULL;
}

static int run(const struct publish *p)
{
    struct store s = {0};
    char *target;
    const char *only = single_descriptor(p, &target);
    cJSON *report = cJSON_CreateObject();
    if (!target || !report) return tool_fail(OTTER_ARG, "out of memory");
    int status = store_open(&s, target, p->channel, &p->wish);
    if (!status && p->what != PUBLISH_CHECK && !store_can_write(&s))
        status = tool_fail(OTTER_ARG, "%s can only be read; publish into a folder or a bucket", target);
    if (!status) status = act(p, &s, only, report);
    store_close(&s);
    cJSON_Delete(report);
    free(target);
    return status;
}

/* ---- command line ---- */

enum {
    OPT_CHANNEL = 1,
    OPT_BOOTLOADER,
    OPT_TABLE,
    OPT_BOARD,
    OPT_FULL_FLASH,
    OPT_MIN_VERSION,
    OPT_NOTES,
    OPT_BASE_URL,
    OPT_KEY,
    OPT_ALLOW_OLDER,
    OPT_ALLOW_PROJECT,
    OPT_CREATE_BUCKET,
    OPT_CACERT,
    OPT_CHECK,
    OPT_PROMOTE,
    OPT_RETRACT,
    OPT_JSON,
    OPT_QUIET,
    OPT_HELP
};

static const char cmd[] = "publish";

static bool is_name(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return n && !text[n];
}

static bool is_text(const char *text)
{
    size_t n = strlen(text), at = 0;
    uint32_t character;
    for (unsigned length; at < n && (length = otter_utf8_read(text + at, n - at, &character)); at += length)
        ;
    return at == n;
}

static int take_list(const char *list[PUBLISH_CHIPS], unsigned *count, const char *value)
{
    if (*count == PUBLISH_CHIPS) return tool_usage_error(cmd, "there are not so many chips");
    list[(*count)++] = value;
    return 0;
}

static int take_notes(struct publish *p, const char *value)
{
    if (strlen(value) > PUBLISH_NOTES_MAX || !is_text(value))
        return tool_usage_error(cmd, "--notes takes up to %d bytes of UTF-8", PUBLISH_NOTES_MAX);
    p->notes = value;
    return 0;
}

static int take_base_url(struct publish *p, char *value)
{
    if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
        return tool_usage_error(cmd, "--base-url must begin with https:// or http://");
    for (size_t n = strlen(value); n && value[n - 1] == '/'; n--) value[n - 1] = '\0';
    p->base_url = value;
    return 0;
}

static int take_min_version(struct publish *p, const char *value)
{
    if (!otter_version_is(value, strlen(value)))
        return tool_usage_error(cmd, "--min-version: \"%s\" is no version like 1.2.0", value);
    p->min_version = value;
    return 0;
}

static int take_what(struct publish *p, enum publish_what what)
{
    if (p->what != PUBLISH_NEW) return tool_usage_error(cmd, "only one of --check, --promote and --retract");
    p->what = what;
    return 0;
}

static int take_option(struct publish *p, int option, char *value)
{
    switch (option) {
    case OPT_CHANNEL: p->channel = value; return 0;
    case OPT_BOOTLOADER: return take_list(p->bootloaders, &p->bootloader_count, value);
    case OPT_TABLE: return take_list(p->tables, &p->table_count, value);
    case OPT_BOARD: p->board_format = value; return is_text(value) ? 0 : tool_usage_error(cmd, "--board is no UTF-8");
    case OPT_FULL_FLASH: p->full_flash = true; return 0;
    case OPT_MIN_VERSION: return take_min_version(p, value);
    case OPT_NOTES: return take_notes(p, value);
    case OPT_BASE_URL: return take_base_url(p, value);
    case OPT_KEY: return tool_trust_add_key(&p->trust, cmd, value);
    case OPT_ALLOW_OLDER: p->allow_older = true; return 0;
    case OPT_ALLOW_PROJECT: p->allow_project = true; return 0;
    case OPT_CREATE_BUCKET: p->create_bucket = true; return 0;
    case OPT_CACERT: web_trust(value); return 0;
    case OPT_CHECK: return take_what(p, PUBLISH_CHECK);
    case OPT_PROMOTE: return take_what(p, PUBLISH_PROMOTE);
    case OPT_RETRACT: return take_what(p, PUBLISH_RETRACT);
    case OPT_JSON: p->json = true; return 0;
    case OPT_QUIET: p->quiet = true; return 0;
    default: return aws_take_option(&p->wish, option, value) ? 0 : tool_usage_error(cmd, "the command line is wrong");
    }
}

/* What stands behind the options. */
static int take_rest(struct publish *p, unsigned n, char **rest)
{
    switch (p->what) {
    case PUBLISH_NEW:
        if (n < 2 || !p->channel) return tool_usage_error(cmd, "it takes IMAGE... --channel NAME TARGET");
        p->images = rest;
        p->count = n - 1;
        break;
    case PUBLISH_CHECK:
        if (n != 1) return tool_usage_error(cmd, "--check takes one folder, s3://BUCKET/PREFIX or URL");
        break;
    case PUBLISH_PROMOTE:
        if (n != 3 || p->channel) return tool_usage_error(cmd, "--promote takes FROM TO TARGET");
        p->from = rest[0];
        p->channel = rest[1];
        if (!is_name(p->from) || strcmp(p->from, p->channel) == 0)
            return tool_usage_error(cmd, "--promote: \"%s\" to \"%s\" are no two channels", p->from, p->channel);
        break;
    case PUBLISH_RETRACT:
        if (n != 1 || !p->channel) return tool_usage_error(cmd, "--retract takes --channel NAME and a TARGET");
        break;
    }
    p->target = rest[n - 1];
    if (p->channel && !is_name(p->channel))
        return tool_usage_error(cmd, "\"%s\" is no name of a channel: letters, digits, - and _", p->channel);
    return 0;
}

/* Of options that not every action heeds: those that do. */
enum { ON_NEW = 1 << PUBLISH_NEW, ON_CHECK = 1 << PUBLISH_CHECK, ON_PROMOTE = 1 << PUBLISH_PROMOTE };
static const unsigned char heeded[OPT_HELP] = {[OPT_BOOTLOADER] = ON_NEW,
                                               [OPT_TABLE] = ON_NEW,
                                               [OPT_BOARD] = ON_NEW,
                                               [OPT_FULL_FLASH] = ON_NEW,
                                               [OPT_MIN_VERSION] = ON_NEW,
                                               [OPT_NOTES] = ON_NEW | ON_PROMOTE,
                                               [OPT_BASE_URL] = ON_NEW | ON_PROMOTE,
                                               [OPT_KEY] = ON_NEW | ON_PROMOTE | ON_CHECK,
                                               [OPT_ALLOW_OLDER] = ON_NEW | ON_PROMOTE,
                                               [OPT_ALLOW_PROJECT] = ON_NEW | ON_PROMOTE,
                                               [OPT_CREATE_BUCKET] = ON_NEW};

/* given: the names of the options that were. */
static int judge_options(const struct publish *p, const char *const given[OPT_HELP])
{
    static const char *const action[] = {[PUBLISH_NEW] = "a new release",
                                         [PUBLISH_CHECK] = "--check",
                                         [PUBLISH_PROMOTE] = "--promote",
                                         [PUBLISH_RETRACT] = "--retract"};
    for (int i = 0; i < OPT_HELP; i++)
        if (given[i] && heeded[i] && !(heeded[i] & (1 << p->what)))
            return tool_usage_error(cmd, "--%s does nothing with %s; leave it out", given[i], action[p->what]);
    return 0;
}

static int read_options(struct publish *p, int argc, char **argv)
{
    const char *given[OPT_HELP] = {0};
    static const struct option options[] = {{"channel", 1, 0, OPT_CHANNEL},
                                            {"bootloader", 1, 0, OPT_BOOTLOADER},
                                            {"table", 1, 0, OPT_TABLE},
                                            {"board", 1, 0, OPT_BOARD},
                                            {"requires-full-flash", 0, 0, OPT_FULL_FLASH},
                                            {"min-version", 1, 0, OPT_MIN_VERSION},
                                            {"notes", 1, 0, OPT_NOTES},
                                            {"base-url", 1, 0, OPT_BASE_URL},
                                            {"key", 1, 0, OPT_KEY},
                                            {"allow-older", 0, 0, OPT_ALLOW_OLDER},
                                            {"allow-other-project", 0, 0, OPT_ALLOW_PROJECT},
                                            {"create-bucket", 0, 0, OPT_CREATE_BUCKET},
                                            {"cacert", 1, 0, OPT_CACERT},
                                            {"check", 0, 0, OPT_CHECK},
                                            {"promote", 0, 0, OPT_PROMOTE},
                                            {"retract", 0, 0, OPT_RETRACT},
                                            AWS_OPTIONS,
                                            {"json", 0, 0, OPT_JSON},
                                            {"quiet", 0, 0, OPT_QUIET},
                                            {"help", 0, 0, OPT_HELP},
                                            {0, 0, 0, 0}};
    for (int option, at; (option = getopt_long(argc, argv, "h", options, &at)) != -1;) {
        if (option == OPT_HELP || option == 'h') {
            fputs(help_text, stdout);
            exit(0);
        }
        int status = take_option(p, option, optarg);
        if (status) return status;
        if (option < OPT_HELP) given[option] = options[at].name;
    }
    int status = take_rest(p, (unsigned)(argc - optind), argv + optind);
    return status ? status : judge_options(p, given);
}

int main(int argc, char **argv)
{
    static struct publish p;
    tool_watch_stdout();
    web_trust(getenv("AWS_CA_BUNDLE"));
    int status = read_options(&p, argc, argv);
    if (status) return status;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = run(&p);
    curl_global_cleanup();
    return status;
}
