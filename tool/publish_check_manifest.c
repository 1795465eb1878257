/* The manifest of a channel, as an installer takes it: all parts of a build are put into a flash, and the chip is asked
 * whether it would start from that. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/words.h"
#include "format/table_check.h"
#include "tool/flash_image.h"
#include "tool/json.h"
#include "tool/publish.h"
#include "tool/table_file.h"
#include "tool/tool.h"

enum { FLASH_MAX = 32 * 1024 * 1024, MANIFEST_MAX = 64 * 1024, USUAL_APP = 0x10000 };

/* One build's parts in place. */
struct installed {
    struct publish_check *c;
    const struct otter_chip_info *chip;
    const char *version;
    uint8_t *flash, *taken; /* taken: 1 where a part lies */
    size_t end;             /* behind the last part */
    struct otter_table_list table;
};

static enum otter_err find(const struct installed *in, enum otter_err err, const char *what)
{
    return publish_finding(in->c, publish_manifest_name, err, "%s: %s", in->chip->name, what);
}

static enum otter_err place_part(struct installed *in, const cJSON *part)
{
    uint8_t *data;
    size_t size;
    const char *path = tool_json_text(part, "path");
    double offset = tool_json_number(part, "offset", FLASH_MAX);
    if (!path || offset < 0) return find(in, OTTER_DESCRIPTOR, "a part without path or offset");
    enum otter_err e = publish_fetch(in->c, NULL, path, &data, &size);
    if (e) return e;
    size_t at = (size_t)offset;
    if (size > FLASH_MAX - at)
        e = find(in, OTTER_TOO_BIG, "a part ends behind any flash");
    else if (memchr(in->taken + at, 1, size))
        e = find(in, OTTER_TOO_BIG, "two parts overlap");
    if (!e) {
        memcpy(in->flash + at, data, size);
        memset(in->taken + at, 1, size);
        if (at + size > in->end) in->end = at + size;
    }
    free(data);
    return e;
}

/* ---- what the chip says to it ---- */

static struct flash_bytes flash_of(const struct installed *in) { return (struct flash_bytes){in->flash, in->end}; }

static enum otter_err check_bootloader(const struct installed *in)
{
    struct otter_image_check k;
    uint32_t elsewhere;
    char words[256];
    uint32_t wanted = in->chip->bootloader_offset;
    enum otter_err e = flash_bootloader_judge(flash_of(in), wanted, in->chip, &k);
    if (!e) return e;
    if (flash_bootloader_find(flash_of(in), &elsewhere, &k))
        snprintf(words, sizeof words, "there is a boot loader for %s at 0x%x, but the ROM of %s starts from 0x%x only",
                 k.facts.chip->name, elsewhere, in->chip->name, wanted);
    else
        snprintf(words, sizeof words, "there is no whole boot loader at 0x%x, from which its ROM starts", wanted);
    return find(in, e, words);
}

static enum otter_err check_table(struct installed *in)
{
    struct otter_table_memory m = {in->flash + OTTER_CFG_TABLE_OFFSET, OTTER_TABLE_SIZE};
    unsigned bad;
    enum otter_err e = otter_table_list_read(&in->table, &m, tool_crypto(), &bad);
    if (!e && !table_first_app(&in->table)) e = OTTER_NO_SLOT;
    return e ? find(in, e, "there is no partition table at 0x8000 from which an app could start") : OTTER_OK;
}

/* Settings survive an installation that does not touch their partition; a merged image of all parts would. */
static enum otter_err check_settings(const struct installed *in)
{
    char words[128];
    for (unsigned i = 0; i < in->table.rows; i++) {
        const struct otter_partition *p = &in->table.row[i];
        bool settings =
            p->type == OTTER_TYPE_DATA && (p->subtype == OTTER_DATA_NVS || p->subtype == OTTER_DATA_NVS_KEYS);
        if (!settings || p->offset >= FLASH_MAX || p->size > FLASH_MAX - p->offset) continue;
        if (!memchr(in->taken + p->offset, 1, p->size)) continue;
        snprintf(words, sizeof words, "a part reaches over the settings in partition %s, which installing would erase",
                 p->label);
        return find(in, OTTER_TABLE_RANGE, words);
    }
    return OTTER_OK;
}

static enum otter_err check_app(const struct installed *in)
{
    struct otter_image_check k;
    char words[256], text[600];
    const struct otter_partition *slot = table_first_app(&in->table);
    enum otter_err e = flash_app_judge(flash_of(in), slot, in->chip, &k);
    if (e) {
        otter_words_image(e, &k, words, sizeof words);
        snprintf(text, sizeof text, "in partition %s, which starts first: %s", slot->label, words);
        return find(in, e, text);
    }
    if (!in->version || !k.facts.has_desc || strcmp(in->version, k.facts.desc.version) == 0) return OTTER_OK;
    snprintf(text, sizeof text, "it installs version %s, the manifest says %s", k.facts.desc.version, in->version);
    return find(in, OTTER_VERSION, text);
}

static void check_parts(struct installed *in, const cJSON *build)
{
    const cJSON *part;
    memset(in->flash, 0xFF, FLASH_MAX);
    memset(in->taken, 0, FLASH_MAX);
    in->end = OTTER_CFG_TABLE_OFFSET + OTTER_SECTOR;
    cJSON_ArrayForEach(part, cJSON_GetObjectItemCaseSensitive(build, "parts"))
    {
        if (place_part(in, part)) return;
    }
    if (check_bootloader(in) || check_table(in) || check_settings(in)) return;
    check_app(in);
}

const cJSON *publish_manifest_build(const cJSON *json, const char *family)
{
    const cJSON *build;
    cJSON_ArrayForEach(build, cJSON_GetObjectItemCaseSensitive(json, "builds"))
    {
        const char *name = tool_json_text(build, "chipFamily");
        if (name && strcmp(name, family) == 0) return build;
    }
    return NULL;
}

uint32_t publish_manifest_app(struct publish_check *c, const char *base, const cJSON *build)
{
    struct otter_table_list table;
    const struct otter_partition *app = NULL;
    const cJSON *part;
    uint8_t *data;
    size_t size;
    unsigned bad;
    cJSON_ArrayForEach(part, cJSON_GetObjectItemCaseSensitive(build, "parts"))
    {
        const char *path = tool_json_text(part, "path");
        bool is_table = (uint32_t)tool_json_number(part, "offset", FLASH_MAX) == OTTER_CFG_TABLE_OFFSET;
        if (!path || !is_table || publish_fetch(c, base, path, &data, &size)) continue;
        struct otter_table_memory m = {data, size};
        if (otter_table_list_read(&table, &m, tool_crypto(), &bad) == OTTER_OK) app = table_first_app(&table);
        free(data);
    }
    return app ? app->offset : USUAL_APP;
}

/* It installs what devices are offered, not what was offered once. json NULL: there is no manifest. */
static void check_newest(struct publish_check *c, const cJSON *json)
{
    const struct otter_chip_info *chip;
    const cJSON *newest = publish_log_last(c->log, c->offered);
    const char *version = tool_json_text(newest, "version"), *has = tool_json_text(json, "version");
    if (version && json && (!has || strcmp(has, version) != 0)) {
        publish_finding(c, publish_manifest_name, OTTER_VERSION,
                        "it installs version %s, devices are offered %s; publish that again, or is a cache in between?",
                        has ? has : "?", version);
        return;
    }
    for (unsigned i = 0; i < PUBLISH_CHIPS && (chip = otter_chip_at(i)); i++) {
        if (!newest || c->offered[i] != newest || publish_manifest_build(json, chip->name) ||
            !publish_has_all_parts(publish_build_of(newest, chip->target)))
            continue;
        publish_finding(
            c, publish_manifest_name, OTTER_NOT_FOUND,
            json ? "%s of %s is missing in it; publish that again" : "it is missing, with %s of %s; publish that again",
            chip->name, version);
        return;
    }
}

static void check_builds(struct publish_check *c, const cJSON *json)
{
    struct installed in = {.c = c, .version = tool_json_text(json, "version")};
    const cJSON *build, *builds = cJSON_GetObjectItemCaseSensitive(json, "builds");
    in.flash = malloc(FLASH_MAX);
    in.taken = malloc(FLASH_MAX);
    if (!cJSON_IsArray(builds) || !builds->child)
        publish_finding(c, publish_manifest_name, OTTER_DESCRIPTOR, "no JSON object with \"builds\"");
    if (!in.flash || !in.taken) builds = NULL;
    cJSON_ArrayForEach(build, builds)
    {
        const char *family = tool_json_text(build, "chipFamily");
        in.chip = family ? otter_chip_by_name(family) : NULL;
        if (in.chip)
            check_parts(&in, build);
        else
            publish_finding(c, publish_manifest_name, OTTER_CHIP_UNKNOWN, "chipFamily \"%s\"", family ? family : "");
    }
    free(in.flash);
    free(in.taken);
}

bool publish_check_manifest(struct publish_check *c)
{
    uint8_t *data;
    size_t size;
    enum otter_err e = store_get(c->store, publish_manifest_name, &data, &size);
    if ((e == OTTER_NOT_FOUND || e == OTTER_UNAUTHORIZED) && !c->store->hopeless) {
        check_newest(c, NULL);
        return false;
    }
    if (e) {
        publish_not_fetched(c, publish_manifest_name, e);
        return true;
    }
    cJSON *json = size <= MANIFEST_MAX ? cJSON_ParseWithLength((const char *)data, size) : NULL;
    check_builds(c, json);
    if (json) check_newest(c, json);
    cJSON_Delete(json);
    free(data);
    return true;
}
