/* The files that make a channel: the log of its releases, a descriptor for each chip, the manifest. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/json.h"
#include "tool/publish.h"

enum { SCHEMA = 1 };

const char publish_log_name[] = "releases.json", publish_manifest_name[] = "manifest.json";

static const char *const parts[] = {"bootloader", "table", "otadata", "app"};
enum { PARTS = sizeof parts / sizeof parts[0] };

static const cJSON *releases_of(const cJSON *log) { return cJSON_GetObjectItemCaseSensitive(log, "releases"); }

cJSON *publish_build_of(const cJSON *release, const char *chip)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(release, "builds"), chip);
}

static bool is_version(const cJSON *release, const char *version)
{
    const char *has = tool_json_text(release, "version");
    return has && version && strcmp(has, version) == 0;
}

static bool was_retracted(const cJSON *release)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(release, "retracted"));
}

static bool is_pending(const cJSON *build) { return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(build, "pending")); }

void publish_set_pending(cJSON *build, bool pending)
{
    cJSON_DeleteItemFromObjectCaseSensitive(build, "pending");
    if (pending) cJSON_AddTrueToObject(build, "pending");
}

/* ---- the log ---- */

cJSON *publish_log_read(struct store *s, enum otter_err *err)
{
    uint8_t *data;
    size_t size;
    *err = store_get(s, publish_log_name, &data, &size);
    cJSON *log = *err ? NULL : cJSON_ParseWithLength((const char *)data, size);
    free(data);
    if (*err == OTTER_NOT_FOUND) {
        *err = OTTER_OK;
        log = cJSON_CreateObject();
        cJSON_AddNumberToObject(log, "schema", SCHEMA);
        cJSON_AddArrayToObject(log, "releases");
        return log;
    }
    if (*err || (tool_json_number(log, "schema", SCHEMA) == SCHEMA && cJSON_IsArray(releases_of(log)))) return log;
    *err = store_because(s, OTTER_DESCRIPTOR, "%s/%s is damaged, or of a newer form than this tool knows (%s)",
                         s->place, publish_log_name, otter_err_name(OTTER_DESCRIPTOR));
    cJSON_Delete(log);
    return NULL;
}

static enum otter_err write_json(struct store *s, const char *name, const cJSON *json)
{
    char *text = cJSON_Print(json), *line;
    int n = text ? asprintf(&line, "%s\n", text) : -1;
    free(text);
    if (n < 0) return store_because(s, OTTER_ARG, "out of memory");
    enum otter_err e = store_put(s, name, line, (size_t)n, STORE_CHANGES);
    free(line);
    return e;
}

enum otter_err publish_log_write(struct store *s, const cJSON *log) { return write_json(s, publish_log_name, log); }

/* It was offered, and not taken back. */
static bool counts(const cJSON *release, const char *chip)
{
    const cJSON *build = publish_build_of(release, chip);
    return build && !was_retracted(release) && !is_pending(build);
}

cJSON *publish_log_find(const cJSON *log, const char *chip, const cJSON *before, const char *not_version)
{
    cJSON *release, *found = NULL;
    cJSON_ArrayForEach(release, releases_of(log))
    {
        if (release == before) break;
        if (counts(release, chip) && !is_version(release, not_version)) found = release;
    }
    return found;
}

const cJSON *publish_log_end(const cJSON *log)
{
    const cJSON *release, *build, *end = NULL;
    cJSON_ArrayForEach(release, releases_of(log))
        cJSON_ArrayForEach(build, cJSON_GetObjectItemCaseSensitive(release, "builds"))
    {
        if (counts(release, build->string)) end = release;
    }
    return end;
}

cJSON *publish_log_version(const cJSON *log, const char *chip, const char *version)
{
    cJSON *release, *found = NULL;
    cJSON_ArrayForEach(release, releases_of(log))
    {
        if (counts(release, chip) && is_version(release, version)) found = release;
    }
    return found;
}

cJSON *publish_offer(struct store *s, const char *chip, enum otter_err *err)
{
    char name[32];
    uint8_t *data;
    size_t size;
    snprintf(name, sizeof name, "%s.json", chip);
    *err = store_get(s, name, &data, &size);
    if (*err == OTTER_NOT_FOUND) *err = OTTER_OK;
    cJSON *offer = data ? cJSON_ParseWithLength((const char *)data, size) : NULL;
    free(data);
    return offer;
}

cJSON *publish_log_match(const cJSON *log, const char *chip, const char *version, const char *sha256)
{
    cJSON *release, *found = NULL;
    const cJSON *list = sha256 ? releases_of(log) : NULL;
    cJSON_ArrayForEach(release, list)
    {
        const cJSON *app = cJSON_GetObjectItemCaseSensitive(publish_build_of(release, chip), "app");
        const char *has = tool_json_text(app, "sha256");
        if (has && strcmp(has, sha256) == 0 && is_version(release, version)) found = release;
    }
    return found;
}

cJSON *publish_log_current(struct store *s, const cJSON *log, const char *chip, enum otter_err *err)
{
    cJSON *offer = publish_offer(s, chip, err);
    cJSON *found = publish_log_match(log, chip, tool_json_text(offer, "version"), tool_json_text(offer, "sha256"));
    cJSON_Delete(offer);
    return found;
}

enum otter_err publish_log_settle(struct store *s, cJSON *log)
{
    cJSON *release, *build;
    enum otter_err e = OTTER_OK;
    cJSON_ArrayForEach(release, releases_of(log))
        cJSON_ArrayForEach(build, cJSON_GetObjectItemCaseSensitive(release, "builds"))
    {
        if (e || !is_pending(build)) continue;
        bool offered = publish_log_current(s, log, build->string, &e) == release;
        publish_set_pending(build, !offered);
    }
    return e;
}

cJSON *publish_log_last(const cJSON *log, const cJSON *const of[PUBLISH_CHIPS])
{
    cJSON *release, *last = NULL;
    cJSON_ArrayForEach(release, releases_of(log))
    {
        for (unsigned i = 0; i < PUBLISH_CHIPS; i++)
            if (release == of[i]) last = release;
    }
    return last;
}

enum otter_err publish_log_offered(struct store *s, const cJSON *log, const cJSON *offered[PUBLISH_CHIPS])
{
    const struct otter_chip_info *chip;
    enum otter_err e = OTTER_OK;
    for (unsigned i = 0; !e && i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++)
        offered[i] = publish_log_current(s, log, chip->target, &e);
    return e;
}

cJSON *publish_log_newest(struct store *s, const cJSON *log, enum otter_err *err)
{
    const cJSON *offered[PUBLISH_CHIPS] = {0};
    *err = publish_log_offered(s, log, offered);
    return *err ? NULL : publish_log_last(log, offered);
}

/* Those of other chips. */
static void take_builds(cJSON *release, const cJSON *earlier)
{
    const cJSON *build;
    cJSON *to = cJSON_GetObjectItemCaseSensitive(release, "builds");
    cJSON_ArrayForEach(build, cJSON_GetObjectItemCaseSensitive(earlier, "builds"))
    {
        if (!cJSON_GetObjectItemCaseSensitive(to, build->string))
            cJSON_AddItemToObject(to, build->string, cJSON_Duplicate(build, true));
    }
}

/* True: none are left. */
static bool drop_builds(cJSON *earlier, const cJSON *release)
{
    const cJSON *build;
    cJSON *of = cJSON_GetObjectItemCaseSensitive(earlier, "builds");
    cJSON_ArrayForEach(build, cJSON_GetObjectItemCaseSensitive(release, "builds"))
        cJSON_DeleteItemFromObjectCaseSensitive(of, build->string);
    return !of || !of->child;
}

void publish_log_add(cJSON *log, cJSON *release)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(log, "releases"), *earlier, *next;
    for (earlier = list->child; earlier; earlier = next) {
        next = earlier->next;
        if (was_retracted(earlier) || !is_version(earlier, tool_json_text(release, "version"))) continue;
        if (!next) take_builds(release, earlier);
        if (!next || drop_builds(earlier, release)) cJSON_Delete(cJSON_DetachItemViaPointer(list, earlier));
    }
    cJSON_AddItemToArray(list, release);
}

/* ---- what devices read ---- */

/* Relative to the descriptor, or behind the URL that the release is to be fetched from. */
static void add_path(cJSON *to, const char *channel, const cJSON *release, const char *path)
{
    char *url;
    const char *base = tool_json_text(release, "base_url");
    if (base && asprintf(&url, "%s/%s/%s", base, channel, path) >= 0) {
        cJSON_AddStringToObject(to, "path", url);
        free(url);
    } else {
        cJSON_AddStringToObject(to, "path", path);
    }
}

static void copy(cJSON *to, const char *name, const cJSON *from, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, key);
    if (item) cJSON_AddItemToObject(to, name, cJSON_Duplicate(item, true));
}

enum otter_err publish_write_descriptor(struct store *s, const char *channel, const cJSON *release, const char *chip)
{
    char name[32];
    const cJSON *build = publish_build_of(release, chip), *app = cJSON_GetObjectItemCaseSensitive(build, "app");
    cJSON *o = cJSON_CreateObject();
    copy(o, "version", release, "version");
    add_path(o, channel, release, tool_json_text(app, "path"));
    copy(o, "size", app, "size");
    copy(o, "sha256", app, "sha256");
    copy(o, "project", release, "project");
    copy(o, "notes", release, "notes");
    copy(o, "min_version", build, "min_version");
    copy(o, "requires_full_flash", build, "requires_full_flash");
    copy(o, "board_format", build, "board_format");
    snprintf(name, sizeof name, "%s.json", chip);
    enum otter_err e = write_json(s, name, o);
    cJSON_Delete(o);
    return e;
}

/* ---- the manifest ---- */

bool publish_has_all_parts(const cJSON *build)
{
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(build, "app");
    return cJSON_HasObjectItem(build, "bootloader") && cJSON_HasObjectItem(build, "table") &&
           cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(app, "offset"));
}

/* Installers take "parts", others "ota"; "otter" has what only we ask for. */
static cJSON *manifest_build(const char *channel, const cJSON *release, const cJSON *build, const char *family)
{
    cJSON *o = cJSON_CreateObject();
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(build, "app");
    cJSON_AddStringToObject(o, "chipFamily", family);
    cJSON *list = cJSON_AddArrayToObject(o, "parts");
    for (unsigned i = 0; i < PARTS; i++) {
        const cJSON *part = cJSON_GetObjectItemCaseSensitive(build, parts[i]);
        cJSON *entry = part ? cJSON_CreateObject() : NULL;
        if (!entry) continue;
        add_path(entry, channel, release, tool_json_text(part, "path"));
        copy(entry, "offset", part, "offset");
        cJSON_AddItemToArray(list, entry);
    }
    cJSON *ota = cJSON_AddObjectToObject(o, "ota");
    add_path(ota, channel, release, tool_json_text(app, "path"));
    copy(ota, "md5", build, "md5");
    copy(ota, "summary", release, "notes");
    cJSON *own = cJSON_AddObjectToObject(o, "otter");
    copy(own, "size", app, "size");
    copy(own, "sha256", app, "sha256");
    copy(own, "min_version", build, "min_version");
    copy(own, "requires_full_flash", build, "requires_full_flash");
    return o;
}

enum otter_err publish_write_manifest(struct store *s, const char *channel, const cJSON *log, const cJSON *release,
                                      unsigned *left_out)
{
    cJSON *o = cJSON_CreateObject();
    copy(o, "name", release, "project");
    copy(o, "version", release, "version");
    cJSON_AddTrueToObject(o, "new_install_prompt_erase");
    cJSON *list = cJSON_AddArrayToObject(o, "builds");
    const struct otter_chip_info *chip;
    enum otter_err e = OTTER_OK;
    *left_out = 0;
    for (unsigned i = 0; !e && (chip = otter_chip_at(i)); i++) {
        const cJSON *build = publish_build_of(release, chip->target);
        if (!build || publish_log_current(s, log, chip->target, &e) != release) continue;
        if (publish_has_all_parts(build))
            cJSON_AddItemToArray(list, manifest_build(channel, release, build, chip->name));
        else
            ++*left_out;
    }
    if (!e) e = list->child ? write_json(s, publish_manifest_name, o) : store_remove(s, publish_manifest_name);
    cJSON_Delete(o);
    return e;
}
