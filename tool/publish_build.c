/* A release from files: images, boot loaders, tables. Whatever is wrong with them is found here, before a byte is sent.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/version.h"
#include "tool/app_image.h"
#include "tool/flash_image.h"
#include "tool/json.h"
#include "tool/publish.h"
#include "tool/table_file.h"
#include "tool/tool.h"

enum { BOOTLOADER_MAX = 64 * 1024, HASH_OF_NAME = 12 };

/* What is gathered for one chip. */
struct build {
    const struct otter_chip_info *chip;
    const char *path; /* of the image */
    struct otter_image_check check;
    cJSON *json;
    bool has_bootloader;
    const struct table_file *table;
};

struct work {
    const struct publish *p;
    struct publish_files *files;
    struct build build[PUBLISH_CHIPS];
    unsigned count;
    const char *version, *project; /* of the first image */
    struct table_file *table[PUBLISH_CHIPS];
};

void publish_files_free(struct publish_files *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        free(f->file[i].path);
        free(f->file[i].bytes);
    }
    f->count = 0;
}

const char *publish_files_add(struct publish_files *f, char *path, uint8_t *bytes, size_t size)
{
    if (path && bytes && f->count < PUBLISH_FILES) {
        f->file[f->count++] = (struct publish_file){path, bytes, size};
        return path;
    }
    free(path);
    free(bytes);
    return NULL;
}

/* ---- files and their names ---- */

/* "1.1.0/esp32c3-app-0123456789ab.bin": what other bytes have has another name, so no reader ever meets a file that
 * changes. Characters that would have to be escaped in a URL become "-". */
static char *name_of(const char *version, const char *chip, const char *what, const char *sha256)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    char *path, folder[40];
    snprintf(folder, sizeof folder, "%s", version);
    for (char *c = folder; *(c += strspn(c, plain));) *c = '-';
    if (folder[0] == '.') folder[0] = '-';
    return asprintf(&path, "%s/%s-%s-%.*s.bin", folder, chip, what, HASH_OF_NAME, sha256) < 0 ? NULL : path;
}

/* Adds it to the files and, as `what`, to the build. Takes bytes over. */
static int add_file(struct work *w, struct build *b, const char *what, int64_t offset, uint8_t *bytes, size_t size)
{
    uint8_t digest[32];
    char sha256[65] = "";
    bool ok = bytes && tool_digest(OTTER_SHA256, bytes, size, digest);
    if (ok) tool_hex(digest, sizeof digest, sha256);
    const char *path = ok ? name_of(w->version, b->chip->target, what, sha256) : NULL;
    path = publish_files_add(w->files, (char *)path, bytes, size);
    if (!path) return tool_fail(OTTER_ARG, "out of memory");
    cJSON *part = cJSON_AddObjectToObject(b->json, what);
    cJSON_AddStringToObject(part, "path", path);
    if (offset >= 0) cJSON_AddNumberToObject(part, "offset", (double)offset);
    cJSON_AddNumberToObject(part, "size", (double)size);
    cJSON_AddStringToObject(part, "sha256", sha256);
    return 0;
}

/* ---- tables ---- */

/* "FILE" for all chips, "CHIP=FILE" for one. */
static const char *table_name(const char *text, const struct otter_chip_info **chip)
{
    char name[16];
    size_t n = strcspn(text, "=");
    *chip = NULL;
    if (!text[n] || n >= sizeof name) return text;
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    *chip = otter_chip_by_name(name);
    return *chip ? text + n + 1 : text;
}

static int read_table(struct work *w, unsigned i)
{
    const struct otter_chip_info *chip;
    const char *name = table_name(w->p->tables[i], &chip);
    struct table_file *t = w->table[i] = malloc(sizeof *t);
    if (!t) return tool_fail(OTTER_ARG, "out of memory");
    table_file_start(t);
    t->rules.overlapping_slots = true;
    int status = table_file_open(t, name);
    if (!status) status = table_file_judge(t);
    if (status) return status;
    if (!table_first_app(&t->list))
        return tool_fail(OTTER_NO_SLOT, "%s: the table has neither a factory app nor an ota slot", name);
    bool used = false;
    for (unsigned k = 0; k < w->count; k++) {
        struct build *b = &w->build[k];
        if ((chip && b->chip != chip) || (!chip && b->table)) continue;
        b->table = t;
        used = true;
    }
    return used ? 0 : tool_fail(OTTER_CHIP, "--table %s: there is no image that it is for", w->p->tables[i]);
}

static bool overlap(const struct otter_partition *a, const struct otter_partition *b)
{
    return a->offset < b->offset + b->size && b->offset < a->offset + a->size;
}

uint32_t publish_room(const struct otter_table_list *list, const char **label)
{
    const struct otter_partition *least = NULL, *most = NULL;
    bool elastic = false;
    for (unsigned i = 0; i < list->rows; i++) {
        const struct otter_partition *p = &list->row[i];
        if (p->type != OTTER_TYPE_APP || p->subtype == OTTER_APP_TEST || p->subtype >= OTTER_APP_TEE_0) continue;
        for (unsigned k = 0; k < i; k++)
            elastic = elastic || (list->row[k].type == OTTER_TYPE_APP && overlap(p, &list->row[k]));
        if (!least || p->size < least->size) least = p;
        if (!most || p->size > most->size) most = p;
    }
    const struct otter_partition *slot = elastic ? most : least;
    *label = slot->label;
    return slot->size;
}

/* ---- parts ---- */

/* otadata as a new device has it: nothing is entered, so the first slot starts. */
static int add_otadata(struct work *w, struct build *b)
{
    const struct otter_table_list *list = &b->table->list;
    for (unsigned i = 0; i < list->rows; i++) {
        const struct otter_partition *p = &list->row[i];
        if (p->type != OTTER_TYPE_DATA || p->subtype != OTTER_DATA_OTADATA) continue;
        uint8_t *blank = malloc(p->size);
        if (blank) memset(blank, 0xFF, p->size);
        return add_file(w, b, "otadata", p->offset, blank, p->size);
    }
    return 0;
}

static int add_table(struct work *w, struct build *b)
{
    const char *label;
    if (!b->table) return 0;
    uint32_t room = publish_room(&b->table->list, &label);
    double size = tool_json_number(cJSON_GetObjectItemCaseSensitive(b->json, "app"), "size", UINT32_MAX);
    if (size > room)
        return tool_fail(OTTER_TOO_BIG, "%s has %.0f bytes, partition %s of %s takes %u (too_big)", b->path, size,
                         label, b->table->path, room);
    uint8_t *bytes = malloc(OTTER_TABLE_SIZE);
    if (bytes) memcpy(bytes, b->table->bytes, OTTER_TABLE_SIZE);
    int status = add_file(w, b, "table", OTTER_CFG_TABLE_OFFSET, bytes, OTTER_TABLE_SIZE);
    return status ? status : add_otadata(w, b);
}

static struct build *build_for(struct work *w, const struct otter_chip_info *chip)
{
    for (unsigned i = 0; i < w->count; i++)
        if (w->build[i].chip == chip) return &w->build[i];
    return NULL;
}

static bool is_app(const uint8_t *bytes, size_t size)
{
    struct otter_app_desc d;
    return size >= OTTER_IMAGE_JUDGED && otter_app_desc_read(bytes + OTTER_IMAGE_DESC_OFFSET, &d);
}

static int place_bootloader(struct work *w, const char *path, uint8_t *bytes, size_t size)
{
    struct otter_image_check c;
    enum otter_err e = flash_bootloader_judge((struct flash_bytes){bytes, size}, 0, NULL, &c);
    const struct otter_chip_info *chip = c.facts.chip;
    struct build *b = e ? NULL : build_for(w, chip);
    int status = 0;
    if (e)
        status = app_image_bad(path, e, &c);
    else if (is_app(bytes, size))
        status = tool_fail(OTTER_MAGIC, "%s is an app, no boot loader", path);
    else if (!b || b->has_bootloader)
        status = tool_fail(OTTER_CHIP, "%s is a boot loader for %s, for which there is %s (wrong_chip)", path,
                           chip->name, b ? "another one" : "no image");
    else if (size > OTTER_CFG_TABLE_OFFSET - chip->bootloader_offset)
        status = tool_fail(OTTER_TOO_BIG, "%s has %zu bytes, but from 0x%x on they would reach over the table at 0x%x",
                           path, size, chip->bootloader_offset, OTTER_CFG_TABLE_OFFSET);
    if (status) {
        free(bytes);
        return status;
    }
    b->has_bootloader = true;
    return add_file(w, b, "bootloader", chip->bootloader_offset, bytes, size);
}

static int add_bootloader(struct work *w, const char *path)
{
    size_t size;
    uint8_t *bytes = tool_read_file(path, BOOTLOADER_MAX, &size);
    return bytes ? place_bootloader(w, path, bytes, size) : 2;
}

/* ---- images ---- */

/* It becomes part of paths and of JSON, and other versions are compared with it. */
static int judge_version(const struct build *b, const struct work *w)
{
    const struct otter_app_desc *d = &b->check.facts.desc;
    for (const char *c = d->version; *c; c++)
        if (*c <= ' ' || *c > '~') return tool_fail(OTTER_VERSION, "%s: its version is no plain text", b->path);
    for (const char *c = d->project; *c; c++)
        if (*c < ' ' || *c > '~') return tool_fail(OTTER_PROJECT, "%s: its project's name is no plain text", b->path);
    if (!otter_version_is(d->version, strlen(d->version)))
        return tool_fail(
            OTTER_VERSION,
            "%s: \"%s\" is no version that can be ordered, so no device could tell whether it is newer; build "
            "with one like 1.2.0 (wrong_version)",
            b->path, d->version);
    if (w->version && strcmp(w->version, d->version) != 0)
        return tool_fail(OTTER_VERSION, "%s is version %s, but %s is %s; one release has one version (wrong_version)",
                         b->path, d->version, w->build[0].path, w->version);
    if (w->project && strcmp(w->project, d->project) != 0)
        return tool_fail(OTTER_PROJECT, "%s is of project %s, but %s of %s (wrong_project)", b->path, d->project,
                         w->build[0].path, w->project);
    return 0;
}

static int judge_signature(const struct work *w, const struct build *b, const uint8_t *bytes, size_t size)
{
    struct tool_signatures s;
    if (!w->p->trust.count) return 0;
    enum otter_err e = tool_signatures_judge(bytes, size, b->check.facts.length, &w->p->trust, &s);
    return e ? tool_fail(e, "%s: %s (%s)", b->path, otter_err_text(e), otter_err_name(e)) : 0;
}

static int judge_image(struct work *w, struct build *b, const uint8_t *bytes, size_t size)
{
    enum otter_err e = app_image_judge(bytes, size, NULL, &b->check);
    if (e) return app_image_bad(b->path, e, &b->check);
    b->chip = b->check.facts.chip;
    if (build_for(w, b->chip))
        return tool_fail(OTTER_CHIP, "%s and %s are both for %s; a release has one image for a chip (wrong_chip)",
                         build_for(w, b->chip)->path, b->path, b->chip->name);
    int status = judge_version(b, w);
    return status ? status : judge_signature(w, b, bytes, size);
}

static int add_md5(const uint8_t *bytes, size_t size, cJSON *to)
{
    uint8_t digest[16];
    char hex[33];
    if (!tool_digest(OTTER_MD5, bytes, size, digest)) return otter_err_exit(OTTER_CRYPTO);
    cJSON_AddStringToObject(to, "md5", tool_hex(digest, sizeof digest, hex));
    return 0;
}

/* Where the app goes with a cable is told by the table, which is read later. */
static int add_image(struct work *w, cJSON *builds, const char *path)
{
    struct build *b = &w->build[w->count];
    size_t size;
    if (w->count == PUBLISH_CHIPS) return tool_usage_error("publish", "there are not so many chips");
    b->path = path;
    uint8_t *bytes = tool_read_file(path, APP_IMAGE_MAX, &size);
    if (!bytes) return 2;
    int status = judge_image(w, b, bytes, size);
    if (status) {
        free(bytes);
        return status;
    }
    w->count++;
    w->version = b->check.facts.desc.version;
    w->project = b->check.facts.desc.project;
    b->json = cJSON_AddObjectToObject(builds, b->chip->target);
    status = add_md5(bytes, size, b->json);
    if (status) {
        free(bytes);
        return status;
    }
    return add_file(w, b, "app", -1, bytes, size);
}

static void finish_build(const struct publish *p, struct build *b)
{
    const struct otter_partition *slot = b->table ? table_first_app(&b->table->list) : NULL;
    cJSON *app = cJSON_GetObjectItemCaseSensitive(b->json, "app");
    if (slot) cJSON_AddNumberToObject(app, "offset", slot->offset);
    if (p->board_format) cJSON_AddStringToObject(b->json, "board_format", p->board_format);
    cJSON *asked = cJSON_AddObjectToObject(b->json, "asked");
    if (p->min_version) cJSON_AddStringToObject(asked, "min_version", p->min_version);
    if (p->full_flash) cJSON_AddTrueToObject(asked, "requires_full_flash");
}

static int gather(struct work *w, cJSON *builds)
{
    const struct publish *p = w->p;
    int status = 0;
    for (unsigned i = 0; !status && i < p->count; i++) status = add_image(w, builds, p->images[i]);
    for (unsigned i = 0; !status && i < p->table_count; i++) status = read_table(w, i);
    for (unsigned i = 0; !status && i < w->count; i++) status = add_table(w, &w->build[i]);
    for (unsigned i = 0; !status && i < p->bootloader_count; i++) status = add_bootloader(w, p->bootloaders[i]);
    for (unsigned i = 0; !status && i < w->count; i++) finish_build(p, &w->build[i]);
    return status;
}

void publish_add_date(cJSON *release)
{
    char date[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    cJSON_AddStringToObject(release, "date", date);
}

static void add_facts(cJSON *release, const struct work *w)
{
    cJSON_AddStringToObject(release, "version", w->version);
    cJSON_AddStringToObject(release, "project", w->project);
    publish_add_date(release);
    if (w->p->notes) cJSON_AddStringToObject(release, "notes", w->p->notes);
    if (w->p->base_url) cJSON_AddStringToObject(release, "base_url", w->p->base_url);
}

cJSON *publish_build(const struct publish *p, struct publish_files *files, int *status)
{
    struct work *w = calloc(1, sizeof *w);
    cJSON *release = cJSON_CreateObject(), *builds = cJSON_CreateObject();
    *status = w && release && builds ? 0 : tool_fail(OTTER_ARG, "out of memory");
    if (!*status) {
        w->p = p;
        w->files = files;
        *status = gather(w, builds);
    }
    if (!*status) {
        add_facts(release, w);
        cJSON_AddItemToObject(release, "builds", builds);
    }
    for (unsigned i = 0; w && i < PUBLISH_CHIPS; i++) free(w->table[i]);
    free(w);
    if (!*status) return release;
    cJSON_Delete(release);
    cJSON_Delete(builds);
    return NULL;
}
