/* What changes a channel: a release goes in, is promoted from another channel, or is taken back. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/json.h"
#include "tool/publish.h"
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

static enum otter_err write_offers(const struct publish *p, struct store *s, const struct publish_change *change)
{
    const struct otter_chip_info *chip;
    enum otter_err e = OTTER_OK;
    for (unsigned i = 0; !e && i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++) {
        char name[32];
        snprintf(name, sizeof name, "%s.json", chip->target);
        if (change->release[i]) e = publish_write_descriptor(s, p->channel, change->release[i], chip->target);
        if (change->nothing[i]) e = store_remove(s, name);
    }
    return e;
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

/* The release of that log whose image a chip is offered after the change. */
static cJSON *find_entry(const cJSON *log, const struct otter_chip_info *chip, const cJSON *release)
{
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(publish_build_of(release, chip->target), "app");
    return publish_log_match(log, chip->target, tool_json_text(release, "version"), tool_json_text(app, "sha256"));
}

/* The releases go into the log, pending; what their chips are to be offered is in made. */
static bool enter(cJSON *log, const cJSON *releases, struct publish_change *made)
{
    const struct otter_chip_info *chip;
    const cJSON *release;
    cJSON_ArrayForEach(release, releases)
    {
        cJSON *entry = cJSON_Duplicate(release, true);
        if (!entry) return false;
        publish_log_add(log, entry);
    }
    made->log = log;
    for (unsigned i = 0; i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++) cJSON_ArrayForEach(release, releases)
        {
            if (!publish_build_of(release, chip->target)) continue;
            made->release[i] = find_entry(log, chip, release);
            publish_set_pending(publish_build_of(made->release[i], chip->target), true);
        }
    return true;
}

/* Now they are offered. The log is read anew: another publisher may have written it, over ours. */
static enum otter_err end_pending(struct store *s, const struct publish_change *made)
{
    const struct otter_chip_info *chip;
    enum otter_err e;
    cJSON *log = publish_log_read(s, &e);
    for (unsigned i = 0; !e && i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++) {
        const cJSON *entry = made->release[i] ? find_entry(log, chip, made->release[i]) : NULL;
        if (entry) publish_set_pending(publish_build_of(entry, chip->target), false);
        if (made->release[i] && !entry)
            e = store_because(
                s, OTTER_BUSY,
                "%s/%s: another publisher has written it at the same time, without this release; publish it "
                "again (%s)",
                s->place, publish_log_name, otter_err_name(OTTER_BUSY));
    }
    if (!e) e = publish_log_write(s, log);
    cJSON_Delete(log);
    return e;
}

/* The log goes before what devices read: a release that is cut off in between is known, but pending. */
static int change(const struct publish *p, struct store *s, cJSON *log, const cJSON *releases,
                  const struct publish_files *files, cJSON *report)
{
    struct publish_change made = {0};
    cJSON *release;
    int status = 0;
    cJSON_ArrayForEach(release, releases)
    {
        if (!status) status = publish_prepare(p, s, log, release);
    }
    if (status) return status;
    if (!enter(log, releases, &made)) return tool_fail(OTTER_ARG, "out of memory");
    const cJSON *newest = publish_log_last(log, made.release);
    enum otter_err e = write_files(p, s, files);
    if (!e) e = publish_log_write(s, log);
    if (!e) e = write_offers(p, s, &made);
    if (!e) e = end_pending(s, &made);
    if (!e) e = write_manifest(p, s, log, newest);
    cJSON_AddStringToObject(report, "version", tool_json_text(newest, "version"));
    return e ? store_fail(s, e) : read_back(p, s, tool_json_text(newest, "base_url"), &made, report);
}

int publish_release(const struct publish *p, struct store *s, cJSON *releases, const struct publish_files *files,
                    cJSON *report)
{
    enum otter_err e = store_lock(s, true);
    cJSON *log = e ? NULL : publish_log_read(s, &e);
    if (!e) e = publish_log_settle(s, log);
    int status = e ? store_fail(s, e) : change(p, s, log, releases, files, report);
    cJSON_Delete(log);
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

/* The builds of the release that chips are offered, with their files. offered: by otter_chip_at(). */
static int take_builds(struct store *from, const cJSON *release, const cJSON *const offered[PUBLISH_CHIPS],
                       cJSON *builds, struct publish_files *files)
{
    const struct otter_chip_info *chip;
    for (unsigned i = 0; i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++) {
        const cJSON *build = offered[i] == release ? publish_build_of(release, chip->target) : NULL;
        if (!build) continue;
        cJSON_AddItemToObject(builds, chip->target, cJSON_Duplicate(build, true));
        for (unsigned k = 0; k < PARTS; k++) {
            int status = fetch_part(from, cJSON_GetObjectItemCaseSensitive(build, parts[k]), files);
            if (status) return status;
        }
    }
    return 0;
}

static cJSON *copy_release(const struct publish *p, const cJSON *release)
{
    static const char *const same[] = {"version", "project", "notes", "base_url"};
    cJSON *copy = cJSON_CreateObject();
    for (unsigned i = 0; i < sizeof same / sizeof same[0]; i++) publish_inherit(copy, release, same[i]);
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

/* What each chip is offered, release by release in the log's order. */
static int take_offered(const struct publish *p, struct store *from, const cJSON *log, cJSON *releases,
                        struct publish_files *files)
{
    enum otter_err e;
    const cJSON *release, *offered[PUBLISH_CHIPS] = {0};
    int status = 0;
    if ((e = publish_log_offered(from, log, offered))) return store_fail(from, e);
    cJSON_ArrayForEach(release, cJSON_GetObjectItemCaseSensitive(log, "releases"))
    {
        cJSON *copy = status ? NULL : copy_release(p, release);
        cJSON *builds = cJSON_AddObjectToObject(copy, "builds");
        if (!status) status = take_builds(from, release, offered, builds, files);
        if (builds && builds->child)
            cJSON_AddItemToArray(releases, copy);
        else
            cJSON_Delete(copy);
    }
    if (!status && !releases->child)
        status = tool_fail(OTTER_NOT_FOUND, "%s: nothing that this tool has published is offered there", from->place);
    return status;
}

static int promote_from(const struct publish *p, struct store *from, struct store *to, cJSON *report)
{
    enum otter_err e;
    struct publish_files files = {0};
    int status = judge_source(p, from);
    if (status) return status;
    cJSON *log = publish_log_read(from, &e), *releases = cJSON_CreateArray();
    status = e ? store_fail(from, e) : take_offered(p, from, log, releases, &files);
    if (!status) status = publish_release(p, to, releases, &files, report);
    cJSON_Delete(releases);
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
    enum otter_err e = write_offers(p, s, back);
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
    enum otter_err e = store_lock(s, false);
    cJSON *log = e ? NULL : publish_log_read(s, &e);
    cJSON *release = e ? NULL : publish_log_newest(s, log, &e);
    int status = e ? store_fail(s, e) : 0;
    if (!status && !release)
        status = tool_fail(OTTER_NOT_FOUND, "%s: nothing that this tool has published is offered there", s->place);
    if (!status) status = retract(p, s, log, release, report);
    cJSON_Delete(log);
    return status;
}
