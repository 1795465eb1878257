/* What changes a channel: a release goes in, is promoted from another channel, or is taken back. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/version.h"
#include "tool/json.h"
#include "tool/publish.h"
#include "tool/table_file.h"
#include "tool/tool.h"

enum { BAR = 24 };

/* ---- the bar ---- */

struct bar {
    const char *file;
    struct web_progress progress;
};

static void show(void *ctx, uint64_t done, uint64_t total)
{
    const struct bar *b = ctx;
    int full = (int)(done * BAR / total);
    fprintf(stderr, "\r%-44.44s [%.*s%*s] %3.0f %%", b->file, full, "########################", BAR - full, "",
            100.0 * (double)done / (double)total);
}

static enum otter_err put_file(struct store *s, struct bar *bar, const struct publish_file *f)
{
    bar->file = f->path;
    s->progress = bar->progress.moved ? &bar->progress : NULL;
    enum otter_err e = store_put(s, f->path, f->bytes, f->size, STORE_FOR_EVER);
    s->progress = NULL;
    if (bar->progress.moved && !e) {
        show(bar, f->size, f->size);
        fputc('\n', stderr);
    }
    return e;
}

/* ---- is it newer, and can devices take it over the air? ---- */

static int refuse_older(const struct store *s, const char *chip, const char *version, const char *offered)
{
    char has[64];
    publish_plain(offered, has, sizeof has);
    if (strcmp(version, has) == 0)
        return tool_fail(
            OTTER_NOT_NEWER,
            "%s: %s offers version %s already, with other content; give this build a version of its own, or "
            "take the other back with --retract (%s)",
            s->place, chip, has, otter_err_name(OTTER_NOT_NEWER));
    return tool_fail(OTTER_NOT_NEWER,
                     "%s: version %s is not newer than %s, which %s is offered; --allow-older publishes it (%s)",
                     s->place, version, has, chip, otter_err_name(OTTER_NOT_NEWER));
}

static int judge_order(const struct publish *p, struct store *s, const char *version, const cJSON *build)
{
    enum otter_err e;
    cJSON *offer = publish_offer(s, build->string, &e);
    const char *has = tool_json_text(offer, "version"), *offered = tool_json_text(offer, "sha256");
    const char *sha256 = tool_json_text(cJSON_GetObjectItemCaseSensitive(build, "app"), "sha256");
    int status = e ? store_fail(s, e) : 0;
    if (!status && has && !p->allow_older) {
        bool same = strcmp(version, has) == 0 && offered && strcmp(sha256, offered) == 0;
        bool newer = otter_version_order(version, strlen(version), has, strlen(has)) == OTTER_NEWER;
        if (!same && !newer) status = refuse_older(s, build->string, version, has);
    }
    cJSON_Delete(offer);
    return status;
}

/* Devices take firmware of their own project only. */
static int judge_project(const struct publish *p, const struct store *s, const cJSON *log, const cJSON *release)
{
    const cJSON *last = publish_log_end(log);
    const char *had = tool_json_text(last, "project"), *project = tool_json_text(release, "project");
    char old_name[64], new_name[64], version[64];
    if (!had || !project || strcmp(had, project) == 0 || p->allow_project) return 0;
    const char *last_version = tool_json_text(last, "version");
    return tool_fail(
        OTTER_PROJECT,
        "%s: the image is of project %s, but %s there is of %s, whose devices would refuse it; choose another "
        "channel, or publish it all the same with --allow-other-project (%s)",
        s->place, publish_plain(project, new_name, sizeof new_name),
        publish_plain(last_version ? last_version : "?", version, sizeof version),
        publish_plain(had, old_name, sizeof old_name), otter_err_name(OTTER_PROJECT));
}

static void inherit(cJSON *build, const cJSON *last, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(last, name);
    if (item && !cJSON_HasObjectItem(build, name)) cJSON_AddItemToObject(build, name, cJSON_Duplicate(item, true));
}

static bool differs(const cJSON *build, const cJSON *last, const char *name, const char *key)
{
    const char *a = tool_json_text(key ? cJSON_GetObjectItemCaseSensitive(build, name) : build, key ? key : name);
    const char *b = tool_json_text(key ? cJSON_GetObjectItemCaseSensitive(last, name) : last, key ? key : name);
    return a && b && strcmp(a, b) != 0;
}

/* The later of the two, where both are there. */
static void raise_min_version(cJSON *build, const char *version)
{
    const char *has = tool_json_text(build, "min_version");
    if (!version || (has && otter_version_order(version, strlen(version), has, strlen(has)) != OTTER_NEWER)) return;
    cJSON_DeleteItemFromObjectCaseSensitive(build, "min_version");
    cJSON_AddStringToObject(build, "min_version", version);
}

/* What was not given is the last release's. The boot loader writes no app's offset, so that goes with the table. */
static void inherit_parts(cJSON *build, const cJSON *last)
{
    if (!cJSON_HasObjectItem(build, "table")) {
        cJSON *app = cJSON_GetObjectItemCaseSensitive(build, "app");
        inherit(app, cJSON_GetObjectItemCaseSensitive(last, "app"), "offset");
        inherit(build, last, "otadata");
        inherit(build, last, "table");
    }
    inherit(build, last, "bootloader");
    inherit(build, last, "board_format");
}

static bool is_full(const cJSON *build)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(build, "requires_full_flash"));
}

static bool other_layout(const cJSON *build, const cJSON *than)
{
    return differs(build, than, "table", "sha256") || differs(build, than, "board_format", NULL);
}

/* Of the same version: other than it was before, or then already other than the release before that. */
static bool was_changed(const cJSON *build, const cJSON *before)
{
    return other_layout(build, before) ||
           (is_full(before) && !is_full(cJSON_GetObjectItemCaseSensitive(before, "asked")));
}

/* Another table, or board, needs a full flash; and as long as nothing changes after that, whoever is below the release
 * that changed it needs one, too. last_release may be NULL; so may before, what this version was until now. */
static void judge_over_the_air(cJSON *build, const cJSON *last_release, const cJSON *before)
{
    const cJSON *last = publish_build_of(last_release, build->string);
    const cJSON *asked = cJSON_GetObjectItemCaseSensitive(build, "asked");
    bool changed = other_layout(build, last) || was_changed(build, before);
    cJSON_DeleteItemFromObjectCaseSensitive(build, "requires_full_flash");
    cJSON_DeleteItemFromObjectCaseSensitive(build, "min_version");
    if (changed || is_full(asked)) cJSON_AddTrueToObject(build, "requires_full_flash");
    raise_min_version(build, tool_json_text(asked, "min_version"));
    if (changed) return;
    raise_min_version(build, tool_json_text(last, "min_version"));
    if (is_full(last)) raise_min_version(build, tool_json_text(last_release, "version"));
}

/* A table that was given has been held against the image; one that is the channel's already is not in memory yet. */
static int judge_room(struct store *s, const cJSON *build)
{
    uint8_t *data = NULL;
    size_t size = 0;
    unsigned bad;
    const char *label, *path = tool_json_text(cJSON_GetObjectItemCaseSensitive(build, "table"), "path");
    struct otter_table_list list;
    enum otter_err e = path ? store_get(s, path, &data, &size) : OTTER_NOT_FOUND;
    if (!path) return 0;
    if (e && e != OTTER_NOT_FOUND) return store_fail(s, e);
    struct otter_table_memory m = {data, size};
    if (!e) e = otter_table_list_read(&list, &m, tool_crypto(), &bad);
    if (!e && !table_first_app(&list)) e = OTTER_NO_SLOT;
    free(data);
    if (e)
        return tool_fail(e, "%s/%s: the table of the last release is missing or damaged; give one with --table (%s)",
                         s->place, path, otter_err_name(e));
    double room = publish_room(&list, &label);
    double needs = tool_json_number(cJSON_GetObjectItemCaseSensitive(build, "app"), "size", UINT32_MAX);
    if (needs <= room) return 0;
    return tool_fail(
        OTTER_TOO_BIG,
        "%s: the image for %s has %.0f bytes, partition %s of the last release's table takes %.0f; make it "
        "smaller, or give another table with --table (%s)",
        s->place, build->string, needs, label, room, otter_err_name(OTTER_TOO_BIG));
}

static int prepare_build(struct store *s, const cJSON *log, const char *version, cJSON *build)
{
    const cJSON *last = publish_log_find(log, build->string, NULL, version);
    const cJSON *before = publish_log_build(log, build->string, version);
    bool given = cJSON_HasObjectItem(build, "table");
    inherit_parts(build, before);
    judge_over_the_air(build, last, before);
    inherit_parts(build, publish_build_of(last, build->string));
    return given ? 0 : judge_room(s, build);
}

static int prepare(const struct publish *p, struct store *s, const cJSON *log, cJSON *release)
{
    cJSON *build;
    const char *version = tool_json_text(release, "version");
    int unlike = judge_project(p, s, log, release);
    if (unlike) return unlike;
    cJSON_ArrayForEach(build, cJSON_GetObjectItemCaseSensitive(release, "builds"))
    {
        int status = judge_order(p, s, version, build);
        if (!status) status = prepare_build(s, log, version, build);
        if (status) return status;
    }
    return 0;
}

/* ---- writing ---- */

static enum otter_err write_files(const struct publish *p, struct store *s, const struct publish_files *files)
{
    struct bar bar = {.progress = {!p->quiet && isatty(STDERR_FILENO) ? show : NULL, &bar}};
    enum otter_err e = OTTER_OK;
    for (unsigned i = 0; !e && i < files->count; i++) e = put_file(s, &bar, &files->file[i]);
    return e;
}

/* Who gives parts for installers wants them in the manifest. */
static enum otter_err write_manifest(const struct publish *p, struct store *s, const cJSON *log, const cJSON *release)
{
    unsigned left_out;
    enum otter_err e = publish_write_manifest(s, p->channel, log, release, &left_out);
    bool wanted = p->bootloader_count || p->table_count;
    if (!e && left_out && wanted && !p->quiet && !p->json)
        fprintf(stderr, "otter: %s/%s is without %u of the chips, as their boot loader or table is not known\n",
                s->place, publish_manifest_name, left_out);
    return e;
}

/* The log goes before what devices read: a release that is cut off in between is known, but not offered. entry is the
 * release in the log. */
static enum otter_err write_channel(const struct publish *p, struct store *s, cJSON *log, const cJSON *entry,
                                    const cJSON *release)
{
    const cJSON *build;
    enum otter_err e = publish_log_write(s, log);
    cJSON_ArrayForEach(build, cJSON_GetObjectItemCaseSensitive(release, "builds"))
    {
        if (!e) e = publish_write_descriptor(s, p->channel, entry, build->string);
    }
    return e ? e : write_manifest(p, s, log, entry);
}

/* As a device would: from where it would. */
static int read_back(const struct publish *p, struct store *s, const char *base_url,
                     const struct publish_change *change, cJSON *report)
{
    struct store web;
    if (!base_url) return otter_err_exit(publish_check(p, s, NULL, change, !p->json, report));
    int status = store_open(&web, base_url, p->channel, NULL);
    if (status) return status;
    status = otter_err_exit(publish_check(p, &web, NULL, change, !p->json, report));
    store_close(&web);
    return status;
}

/* The chips of the release are to be offered this entry of the log. */
static struct publish_change change_to(const cJSON *log, const cJSON *entry, const cJSON *release)
{
    const struct otter_chip_info *chip;
    struct publish_change made = {.log = log};
    for (unsigned i = 0; i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++)
        if (publish_build_of(release, chip->target)) made.release[i] = entry;
    return made;
}

static int change(const struct publish *p, struct store *s, cJSON *log, cJSON *release,
                  const struct publish_files *files, cJSON *report)
{
    int status = prepare(p, s, log, release);
    if (status) return status;
    enum otter_err e = write_files(p, s, files);
    cJSON *entry = cJSON_Duplicate(release, true);
    if (!entry) return tool_fail(OTTER_ARG, "out of memory");
    publish_log_add(log, entry);
    if (!e) e = write_channel(p, s, log, entry, release);
    cJSON_AddStringToObject(report, "version", tool_json_text(release, "version"));
    if (e) return store_fail(s, e);
    struct publish_change made = change_to(log, entry, release);
    return read_back(p, s, tool_json_text(release, "base_url"), &made, report);
}

int publish_release(const struct publish *p, struct store *s, const cJSON *release, const struct publish_files *files,
                    cJSON *report)
{
    enum otter_err e;
    cJSON *log = publish_log_read(s, &e), *copy = cJSON_Duplicate(release, true);
    int status = e ? store_fail(s, e) : copy ? 0 : tool_fail(OTTER_ARG, "out of memory");
    if (!status) status = change(p, s, log, copy, files, report);
    cJSON_Delete(log);
    cJSON_Delete(copy);
    return status;
}

/* ---- from another channel ---- */

static const char *const parts[] = {"app", "bootloader", "table", "otadata"};
enum { PARTS = sizeof parts / sizeof parts[0] };

static int fetch_part(struct store *from, const cJSON *part, struct publish_files *files)
{
    uint8_t *data;
    size_t size;
    const char *path = tool_json_text(part, "path");
    if (!part) return 0;
    if (!path) return tool_fail(OTTER_DESCRIPTOR, "%s/%s: a part without path", from->place, publish_log_name);
    enum otter_err e = store_get(from, path, &data, &size);
    if (e) return store_fail(from, e);
    return publish_files_add(files, strdup(path), data, size) ? 0 : tool_fail(OTTER_ARG, "out of memory");
}

/* The chips that are offered that release, with their files; the others are left to themselves. */
static int take_offered(struct store *from, const cJSON *log, const cJSON *release, cJSON *builds,
                        struct publish_files *files)
{
    const cJSON *build;
    cJSON_ArrayForEach(build, cJSON_GetObjectItemCaseSensitive(release, "builds"))
    {
        enum otter_err e;
        const cJSON *current = publish_log_current(from, log, build->string, &e);
        if (e) return store_fail(from, e);
        if (current != release) continue;
        cJSON_AddItemToObject(builds, build->string, cJSON_Duplicate(build, true));
        for (unsigned i = 0; i < PARTS; i++) {
            int status = fetch_part(from, cJSON_GetObjectItemCaseSensitive(build, parts[i]), files);
            if (status) return status;
        }
    }
    return 0;
}

static cJSON *copy_release(const struct publish *p, const cJSON *release)
{
    static const char *const same[] = {"version", "project", "notes", "base_url"};
    cJSON *copy = cJSON_CreateObject();
    for (unsigned i = 0; i < sizeof same / sizeof same[0]; i++) inherit(copy, release, same[i]);
    publish_add_date(copy);
    if (p->notes) cJSON_DeleteItemFromObjectCaseSensitive(copy, "notes");
    if (p->notes) cJSON_AddStringToObject(copy, "notes", p->notes);
    if (p->base_url) cJSON_DeleteItemFromObjectCaseSensitive(copy, "base_url");
    if (p->base_url) cJSON_AddStringToObject(copy, "base_url", p->base_url);
    return copy;
}

/* What is not in order is not promoted. */
static int judge_source(const struct publish *p, struct store *from)
{
    cJSON *report = cJSON_CreateObject();
    enum otter_err e = publish_check(p, from, NULL, NULL, true, report);
    cJSON_Delete(report);
    return e ? tool_fail(e, "%s is not in order, so nothing of it is promoted", from->place) : 0;
}

static int promote_from(const struct publish *p, struct store *from, struct store *to, cJSON *report)
{
    enum otter_err e;
    struct publish_files files = {0};
    int status = judge_source(p, from);
    if (status) return status;
    cJSON *log = publish_log_read(from, &e);
    const cJSON *release = e ? NULL : publish_log_newest(from, log, &e);
    if (e) status = store_fail(from, e);
    if (!status && !release)
        status = tool_fail(OTTER_NOT_FOUND, "%s: nothing that this tool has published is offered there", from->place);
    cJSON *copy = status ? NULL : copy_release(p, release);
    cJSON *builds = copy ? cJSON_AddObjectToObject(copy, "builds") : NULL;
    if (builds) status = take_offered(from, log, release, builds, &files);
    if (builds && !status) status = publish_release(p, to, copy, &files, report);
    cJSON_Delete(copy);
    cJSON_Delete(log);
    publish_files_free(&files);
    return status;
}

int publish_promote(const struct publish *p, struct store *s, cJSON *report)
{
    struct store from;
    int status = store_open(&from, p->target, p->from, &p->wish);
    if (!status) status = promote_from(p, &from, s, report);
    store_close(&from);
    return status;
}

/* ---- taking back ---- */

/* Of each chip that is offered the release: what it is offered instead. */
static enum otter_err find_ways_back(struct store *s, const cJSON *release, struct publish_change *back)
{
    const struct otter_chip_info *chip;
    enum otter_err e = OTTER_OK;
    for (unsigned i = 0; !e && i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++) {
        if (publish_log_current(s, back->log, chip->target, &e) != release) continue;
        back->release[i] = publish_log_find(back->log, chip->target, release, NULL);
        back->nothing[i] = !back->release[i];
    }
    return e;
}

static enum otter_err go_back(const struct publish *p, struct store *s, const struct publish_change *back)
{
    const struct otter_chip_info *chip;
    enum otter_err e = OTTER_OK;
    for (unsigned i = 0; !e && i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.json", chip->target);
        if (back->release[i]) e = publish_write_descriptor(s, p->channel, back->release[i], chip->target);
        if (back->nothing[i]) e = store_remove(s, name);
    }
    const cJSON *newest = e ? NULL : publish_log_newest(s, back->log, &e);
    if (e) return e;
    return newest ? write_manifest(p, s, back->log, newest) : store_remove(s, publish_manifest_name);
}

static void report_nothing_left(const struct publish_change *back, cJSON *report)
{
    const struct otter_chip_info *chip;
    cJSON *nothing = cJSON_AddArrayToObject(report, "nothing_left_for");
    for (unsigned i = 0; i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++)
        if (back->nothing[i]) cJSON_AddItemToArray(nothing, cJSON_CreateString(chip->target));
}

/* Where devices find the channel: what was said last holds. */
static const char *base_url_of(const cJSON *release, const struct publish_change *back)
{
    const char *url = tool_json_text(release, "base_url");
    for (unsigned i = 0; !url && i < PUBLISH_CHIPS; i++) url = tool_json_text(back->release[i], "base_url");
    return url;
}

static int retract(const struct publish *p, struct store *s, cJSON *log, cJSON *release, cJSON *report)
{
    struct publish_change back = {.log = log};
    enum otter_err e = find_ways_back(s, release, &back);
    cJSON_DeleteItemFromObjectCaseSensitive(release, "retracted");
    cJSON_AddTrueToObject(release, "retracted");
    if (!e) e = publish_log_write(s, log);
    if (!e) e = go_back(p, s, &back);
    if (e) return store_fail(s, e);
    cJSON_AddStringToObject(report, "version", tool_json_text(release, "version"));
    report_nothing_left(&back, report);
    return read_back(p, s, base_url_of(release, &back), &back, report);
}

int publish_retract(const struct publish *p, struct store *s, cJSON *report)
{
    enum otter_err e;
    cJSON *log = publish_log_read(s, &e);
    cJSON *release = e ? NULL : publish_log_newest(s, log, &e);
    int status = e ? store_fail(s, e) : 0;
    if (!status && !release)
        status = tool_fail(OTTER_NOT_FOUND, "%s: nothing that this tool has published is offered there", s->place);
    if (!status) status = retract(p, s, log, release, report);
    cJSON_Delete(log);
    return status;
}
