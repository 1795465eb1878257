/* Reads a channel back as a device would: descriptor, image, and whether they agree. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "doors/descriptor.h"
#include "doors/url.h"
#include "doors/words.h"
#include "tool/app_image.h"
#include "tool/json.h"
#include "tool/publish.h"
#include "tool/tool.h"

enum { WORDS = 1000 };

const char *publish_plain(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; text[n] && n < size - 1; n++) out[n] = (unsigned char)text[n] < ' ' || text[n] == 0x7F ? '?' : text[n];
    out[n] = '\0';
    return out;
}

static enum otter_err note(struct publish_check *c, const char *file, enum otter_err err, const char *place,
                           const char *text)
{
    char name[300], words[WORDS];
    snprintf(words, sizeof words, "%.*s", (int)strcspn(file, "?"), file); /* behind it may be a signature */
    publish_plain(words, name, sizeof name);
    publish_plain(text, words, sizeof words);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "file", name);
    cJSON_AddStringToObject(o, "error", otter_err_name(err));
    cJSON_AddStringToObject(o, "message", words);
    cJSON_AddItemToArray(c->findings, o);
    if (c->say && place) tool_fail(err, "%s%s%s: %s (%s)", place, *name ? ", " : "", name, words, otter_err_name(err));
    if (c->say && !place) tool_fail(err, "%s", words);
    if (!c->first) c->first = err;
    return err;
}

enum otter_err publish_finding(struct publish_check *c, const char *file, enum otter_err err, const char *fmt, ...)
{
    char words[WORDS];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    return note(c, file, err, c->store->place, words);
}

enum otter_err publish_not_fetched(struct publish_check *c, const char *file, enum otter_err err)
{
    return note(c, file, err, NULL, c->store->why);
}

/* Of a URL that stands by itself: its folder and its last part. */
static enum otter_err fetch_url(struct publish_check *c, const char *url, uint8_t **data, size_t *size)
{
    struct store web;
    size_t n = strcspn(url, "?#");
    while (n && url[n - 1] != '/') n--;
    char *folder = strndup(url, n);
    if (!folder || store_open(&web, folder, NULL, NULL)) {
        free(folder);
        return store_because(c->store, OTTER_ARG, "out of memory");
    }
    web.progress = c->store->progress;
    enum otter_err e = store_get(&web, url + n, data, size);
    if (e) store_because(c->store, e, "%s", web.why);
    store_close(&web);
    free(folder);
    return e;
}

enum otter_err publish_fetch(struct publish_check *c, const char *base, const char *path, uint8_t **data, size_t *size)
{
    char url[OTTER_URL_MAX + 1];
    const char *to = base ? url : path;
    bool is_url = base || strstr(path, "://");
    bool from_tls = strncasecmp(base ? base : c->store->place, "https://", 8) == 0;
    if (base && !otter_url_resolve(base, path, url))
        return publish_finding(c, path, OTTER_DESCRIPTOR, "it leads nowhere; a path is relative, or a URL");
    bool tls = strncasecmp(to, "https://", 8) == 0;
    if (is_url && !tls && strncasecmp(to, "http://", 7) != 0)
        return publish_finding(c, path, OTTER_DESCRIPTOR, "no URL of the kind http:// or https://");
    if (is_url && !tls && from_tls)
        return publish_finding(c, path, OTTER_DESCRIPTOR, "it leads from https to http, where no device follows");
    enum otter_err e = is_url ? fetch_url(c, to, data, size) : store_get(c->store, path, data, size);
    return e ? publish_not_fetched(c, path, e) : OTTER_OK;
}

/* ---- a descriptor ---- */

struct offer {
    const char *name;                   /* the descriptor's */
    const char *url;                    /* it came from; NULL: no URL */
    const struct otter_chip_info *chip; /* by the descriptor's name, or of the manifest's build; NULL: any */
    uint32_t app;                       /* of a manifest: where the app begins */
    const cJSON *wanted;                /* the release that it must offer; NULL: any */
    bool nothing;                       /* it must not be there */
    /* what it says */
    const char *version, *path, *sha256; /* path NULL: it is not for the air, and names no image */
    double size;                         /* -1: not said */
    struct otter_release release;
    char hex[65];
};

/* Files that came from no URL have one as far as the device's reader is concerned. */
static const char no_url[] = "https://channel.invalid/channel/";

/* A manifest names the image somewhere in its builds; the reader has found it. */
static void take_build(struct offer *o)
{
    const struct otter_release *r = &o->release;
    size_t n = strlen(no_url);
    o->path = r->url && strncmp(r->url, no_url, n) == 0 ? r->url + n : r->url;
    o->sha256 = r->has_sha256 ? tool_hex(r->sha256, sizeof r->sha256, o->hex) : NULL;
    o->size = r->size ? (double)r->size : -1;
}

static enum otter_err read_offer(struct publish_check *c, struct offer *o, const char *text, size_t size,
                                 const cJSON *json)
{
    struct otter_descriptor_reader r = {
        .url = o->url ? o->url : no_url, .chip = o->chip ? o->chip->name : "", .app = {o->app}};
    enum otter_err e = otter_descriptor_read(&r, text, size, &o->release);
    if (e)
        return publish_finding(c, o->name, OTTER_DESCRIPTOR, "no device takes it: %s",
                               r.why ? r.why : otter_err_text(e));
    o->version = tool_json_text(json, "version");
    o->path = tool_json_text(json, "path");
    o->sha256 = tool_json_text(json, "sha256");
    o->size = tool_json_number(json, "size", UINT32_MAX);
    if (cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(json, "builds"))) take_build(o);
    return OTTER_OK;
}

/* What was just published is what is found, not what a cache has kept. */
static enum otter_err check_wanted(struct publish_check *c, const struct offer *o)
{
    const cJSON *build = o->wanted ? publish_build_of(o->wanted, o->chip->target) : NULL;
    const char *sha256 = tool_json_text(cJSON_GetObjectItemCaseSensitive(build, "app"), "sha256");
    const char *version = tool_json_text(o->wanted, "version");
    if (o->nothing)
        return publish_finding(c, o->name, OTTER_VERSION, "it offers %s, which was taken back; is a cache in between?",
                               o->version);
    if (!sha256 || (o->sha256 && strcmp(o->sha256, sha256) == 0 && strcmp(o->version, version) == 0)) return OTTER_OK;
    return publish_finding(c, o->name, OTTER_VERSION,
                           "it offers %s, not the %s that was published; is a cache in between?", o->version, version);
}

static enum otter_err check_image(struct publish_check *c, const struct offer *o, const uint8_t *image, size_t size)
{
    struct otter_image_check k;
    struct tool_signatures signatures;
    uint8_t digest[32];
    char words[256], sha256[65];
    if (!tool_digest(OTTER_SHA256, image, size, digest)) return OTTER_CRYPTO;
    tool_hex(digest, sizeof digest, sha256);
    if (o->size >= 0 && o->size != (double)size)
        return publish_finding(c, o->path, OTTER_SIZE, "it has %zu bytes, %s says %.0f", size, o->name, o->size);
    if (o->sha256 && strcasecmp(o->sha256, sha256) != 0)
        return publish_finding(c, o->path, OTTER_DIGEST, "its SHA-256 is %s, %s says %s", sha256, o->name, o->sha256);
    enum otter_err e = app_image_judge(image, size, o->chip, &k);
    if (e) {
        otter_words_image(e, &k, words, sizeof words);
        return publish_finding(c, o->path, e, "%s", words);
    }
    if (c->trust->count) e = tool_signatures_judge(image, size, k.facts.length, c->trust, &signatures);
    if (e) return publish_finding(c, o->path, e, "%s", otter_err_text(e));
    if (strcmp(k.facts.desc.version, o->version) != 0)
        return publish_finding(c, o->path, OTTER_VERSION,
                               "the image is version %s, %s says %s: devices would never arrive at it",
                               k.facts.desc.version, o->name, o->version);
    return OTTER_OK;
}

static void add_offer(cJSON *builds, const struct offer *o, size_t size, const cJSON *json)
{
    static const char *const same[] = {"min_version", "requires_full_flash", "board_format", "project"};
    cJSON *b = cJSON_CreateObject();
    cJSON_AddStringToObject(b, "descriptor", o->name);
    cJSON_AddItemToObject(b, "chip", o->chip ? cJSON_CreateString(o->chip->target) : cJSON_CreateNull());
    cJSON_AddStringToObject(b, "version", o->version);
    cJSON_AddItemToObject(b, "path", o->path ? cJSON_CreateString(o->path) : cJSON_CreateNull());
    cJSON_AddNumberToObject(b, "size", (double)size);
    for (unsigned i = 0; i < sizeof same / sizeof same[0]; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, same[i]);
        if (item) cJSON_AddItemToObject(b, same[i], cJSON_Duplicate(item, true));
    }
    cJSON_AddItemToArray(builds, b);
}

static void check_offer(struct publish_check *c, struct offer *o, const char *text, size_t length, const cJSON *json,
                        cJSON *builds)
{
    uint8_t *image = NULL;
    size_t size = 0;
    if (read_offer(c, o, text, length, json)) return;
    enum otter_err e = check_wanted(c, o);
    if (!e && o->path) e = publish_fetch(c, o->url, o->path, &image, &size);
    if (!e && o->path) e = check_image(c, o, image, size);
    if (!e) add_offer(builds, o, size, json);
    free(image);
    otter_release_free(&o->release);
}

/* A manifest: what devices of each chip, or of the descriptor's, take from it. */
static void check_builds(struct publish_check *c, struct offer *o, const char *text, size_t size, const cJSON *json,
                         cJSON *builds)
{
    const struct otter_chip_info *only = o->chip;
    bool found = false;
    for (unsigned i = 0; (o->chip = otter_chip_at(i)); i++) {
        const cJSON *build = publish_manifest_build(json, o->chip->name);
        if (!build || (only && only != o->chip)) continue;
        found = true;
        o->app = publish_manifest_app(c, o->url, build);
        check_offer(c, o, text, size, json, builds);
    }
    if (!found)
        publish_finding(c, o->name, OTTER_NO_BUILD, "\"builds\" has none for %s", only ? only->name : "any ESP32");
}

/* True: it is there, good or bad. json: what it says, to be deleted; NULL: nothing that is JSON. */
static bool check_descriptor(struct publish_check *c, struct offer *o, bool required, cJSON *builds, cJSON **json)
{
    uint8_t *data;
    size_t size;
    enum otter_err e = store_get(c->store, o->name, &data, &size);
    *json = NULL;
    /* Where listing is not allowed, S3 says "forbidden" of what is not there. */
    bool missing = e == OTTER_NOT_FOUND || e == OTTER_UNAUTHORIZED;
    if (missing && !required && !c->store->hopeless) return false;
    if (e) {
        publish_not_fetched(c, o->name, e);
        return true;
    }
    char *url = c->store->end ? strdup(c->store->end) : NULL;
    o->url = url;
    *json = size <= OTTER_DESCRIPTOR_MAX ? cJSON_ParseWithLength((const char *)data, size) : NULL;
    bool manifest = cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(*json, "builds"));
    (manifest ? check_builds : check_offer)(c, o, (const char *)data, size, *json, builds);
    free(url);
    free(data);
    return true;
}

/* ---- a channel ---- */

static void check_single(struct publish_check *c, const char *name, cJSON *builds)
{
    char target[16];
    cJSON *json;
    snprintf(target, sizeof target, "%.*s", (int)strcspn(name, "."), name);
    struct offer o = {.name = name, .chip = otter_chip_by_name(target)};
    check_descriptor(c, &o, true, builds, &json);
    cJSON_Delete(json);
}

/* Chips that the log has a release for must be offered one; without a log all names are tried, until nobody answers. */
static unsigned check_chips(struct publish_check *c, const struct publish_change *change, cJSON *builds)
{
    unsigned found = 0;
    const struct otter_chip_info *chip;
    for (unsigned i = 0; !c->store->hopeless && i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++) {
        char name[32];
        cJSON *json;
        struct offer o = {.name = name, .chip = chip};
        if (change) o.wanted = change->release[i];
        if (change) o.nothing = change->nothing[i];
        snprintf(name, sizeof name, "%s.json", chip->target);
        bool required = o.wanted || publish_log_find(c->log, chip->target, NULL, NULL);
        found += check_descriptor(c, &o, required, builds, &json);
        c->offered[i] =
            publish_log_match(c->log, chip->target, tool_json_text(json, "version"), tool_json_text(json, "sha256"));
        cJSON_Delete(json);
    }
    return found;
}

/* The log as it is there, or NULL. */
static cJSON *fetch_log(struct publish_check *c, bool *denied)
{
    enum otter_err e;
    cJSON *log = publish_log_read(c->store, &e);
    *denied = e == OTTER_UNAUTHORIZED;
    if (e == OTTER_DESCRIPTOR || c->store->hopeless) publish_not_fetched(c, publish_log_name, e);
    return log;
}

static void check_channel(struct publish_check *c, const struct publish_change *change, cJSON *builds, cJSON *report)
{
    bool denied = false;
    cJSON *log = change ? NULL : fetch_log(c, &denied);
    c->log = change ? change->log : log;
    unsigned found = check_chips(c, change, builds);
    bool manifest = !c->store->hopeless && publish_check_manifest(c);
    cJSON_AddBoolToObject(report, "manifest", manifest);
    cJSON_Delete(log);
    if (found || manifest || change || c->first) return;
    if (denied)
        publish_finding(c, "", OTTER_UNAUTHORIZED, "access to all of it is denied; the last: %s", c->store->why);
    else
        publish_finding(c, "", OTTER_NOT_FOUND,
                        "there is no channel here: neither a descriptor (esp32.json, ...) nor a manifest.json");
}

enum otter_err publish_check(const struct publish *p, struct store *s, const char *only,
                             const struct publish_change *change, bool say, cJSON *report)
{
    struct publish_check c = {.store = s, .trust = &p->trust, .say = say};
    cJSON *builds = cJSON_AddArrayToObject(report, "builds");
    c.findings = cJSON_CreateArray();
    if (only)
        check_single(&c, only, builds);
    else
        check_channel(&c, change, builds, report);
    cJSON_AddItemToObject(report, "findings", c.findings);
    return c.first;
}
