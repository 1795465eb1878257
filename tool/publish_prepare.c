/* What a release is to a channel: newer, of its project, to be taken over the air or not. Asked before a byte is
 * written.
 */
#include <stdlib.h>
#include <string.h>

#include "format/version.h"
#include "tool/json.h"
#include "tool/publish.h"
#include "tool/table_file.h"
#include "tool/tool.h"

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

void publish_inherit(cJSON *build, const cJSON *last, const char *name)
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
        publish_inherit(app, cJSON_GetObjectItemCaseSensitive(last, "app"), "offset");
        publish_inherit(build, last, "otadata");
        publish_inherit(build, last, "table");
    }
    publish_inherit(build, last, "bootloader");
    publish_inherit(build, last, "board_format");
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
    const cJSON *before = publish_build_of(publish_log_version(log, build->string, version), build->string);
    bool given = cJSON_HasObjectItem(build, "table");
    inherit_parts(build, before);
    judge_over_the_air(build, last, before);
    inherit_parts(build, publish_build_of(last, build->string));
    return given ? 0 : judge_room(s, build);
}

int publish_prepare(const struct publish *p, struct store *s, const cJSON *log, cJSON *release)
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
