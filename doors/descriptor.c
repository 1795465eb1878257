/* Reads release descriptors. Knows their forms; not what becomes of a release. */
#include "doors/descriptor.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "doors/text.h"
#include "doors/url.h"
#include "format/version.h"

static enum otter_err bad(struct otter_descriptor_reader *r, const char *why)
{
    r->why = why;
    return OTTER_DESCRIPTOR;
}

static const cJSON *get(const cJSON *o, const char *name) { return cJSON_GetObjectItemCaseSensitive(o, name); }

/* A value that is not there may be null, too. */
static bool has(const cJSON *o, const char *name) { return get(o, name) && !cJSON_IsNull(get(o, name)); }

/* ---- what both forms have ---- */

static enum otter_err read_path(struct otter_descriptor_reader *r, const cJSON *o, struct otter_release *out)
{
    const char *path = otter_json_text(o, "path", OTTER_URL_MAX);
    if (!path) return bad(r, "\"path\" is no text of 1 to 4096 characters");
    char *url = malloc(OTTER_URL_MAX + 1);
    if (!url) return OTTER_MEMORY;
    if (!otter_url_resolve(r->url, path, url)) {
        free(url);
        r->why = "\"path\" leads nowhere";
        return OTTER_URL;
    }
    char *fits = realloc(url, strlen(url) + 1);
    out->url = fits ? fits : url;
    return OTTER_OK;
}

static bool read_size(const cJSON *o, uint32_t *size)
{
    const cJSON *n = get(o, "size");
    if (!has(o, "size")) return true;
    if (!cJSON_IsNumber(n) || n->valuedouble < 1 || n->valuedouble > UINT32_MAX) return false;
    *size = (uint32_t)n->valuedouble;
    return (double)*size >= n->valuedouble;
}

static enum otter_err read_identity(struct otter_descriptor_reader *r, const cJSON *o, struct otter_release *out)
{
    if (!read_size(o, &out->size)) return bad(r, "\"size\" is no number of bytes");
    if (!has(o, "sha256")) return OTTER_OK;
    const char *digest = otter_json_text(o, "sha256", 64);
    out->has_sha256 = digest && otter_hex32(digest, out->sha256);
    return out->has_sha256 ? OTTER_OK : bad(r, "\"sha256\" is not 64 hex digits");
}

static enum otter_err read_version(struct otter_descriptor_reader *r, const cJSON *o, struct otter_release *out)
{
    const char *version = otter_json_text(o, "version", OTTER_VERSION_MAX);
    if (!version) return bad(r, "\"version\" is no text of 1 to 31 characters");
    strcpy(out->version, version);
    if (!has(o, "min_version")) return OTTER_OK;
    version = otter_json_text(o, "min_version", OTTER_VERSION_MAX);
    if (!version || !otter_version_is(version, strlen(version)))
        return bad(r, "\"min_version\" is no version, like 1.2.0, of 1 to 31 characters");
    strcpy(out->min_version, version);
    return OTTER_OK;
}

/* As much as there is room for; what is no text of people's is left out. */
static void read_notes(const char *text, struct otter_release *out)
{
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        unsigned size = otter_utf8_length(p);
        if (!size || size > OTTER_NOTES_MAX - n) break;
        memcpy(out->notes + n, p, size);
        if (*p < ' ' || *p == 0x7F) out->notes[n] = ' ';
        n += size;
        p += size;
    }
    out->notes[n] = '\0';
}

static enum otter_err read_rest(struct otter_descriptor_reader *r, const cJSON *o, struct otter_release *out)
{
    const cJSON *cable = get(o, "requires_full_flash"), *notes = get(o, "notes");
    if (has(o, "requires_full_flash") && !cJSON_IsBool(cable))
        return bad(r, "\"requires_full_flash\" is neither true nor false");
    if (has(o, "notes") && !cJSON_IsString(notes)) return bad(r, "\"notes\" is no text");
    if (cJSON_IsString(notes)) read_notes(notes->valuestring, out);
    out->needs_cable = cJSON_IsTrue(cable);
    return OTTER_OK;
}

/* ---- the manifest of ESP Web Tools ---- */

static const cJSON *find_build(const struct otter_descriptor_reader *r, const cJSON *builds)
{
    const cJSON *build;
    cJSON_ArrayForEach(build, builds)
    {
        const char *family = cJSON_GetStringValue(get(build, "chipFamily"));
        if (family && strcmp(family, r->chip) == 0) return build;
    }
    return NULL;
}

/* The part that would be flashed to where an app begins. One image over all of the flash is none. */
static const cJSON *find_app(const struct otter_descriptor_reader *r, const cJSON *build)
{
    const cJSON *part;
    if (cJSON_IsObject(get(build, "ota"))) return get(build, "ota");
    cJSON_ArrayForEach(part, get(build, "parts"))
    {
        const cJSON *offset = get(part, "offset");
        if (!cJSON_IsNumber(offset)) continue;
        for (unsigned i = 0; i < 2; i++)
            if (r->app[i] && offset->valuedouble == (double)r->app[i]) return part;
    }
    return NULL;
}

static enum otter_err read_manifest(struct otter_descriptor_reader *r, const cJSON *o, struct otter_release *out)
{
    if (!cJSON_IsArray(get(o, "builds"))) return bad(r, "\"builds\" is no list");
    const cJSON *build = find_build(r, get(o, "builds"));
    if (!build) return r->why = "no build has this chipFamily", OTTER_NO_BUILD;
    const cJSON *app = find_app(r, build);
    if (!app) return r->why = "no part lies where the device's app begins", OTTER_NO_BUILD;
    enum otter_err e = read_path(r, app, out);
    return e ? e : read_identity(r, app, out);
}

static enum otter_err read_release(struct otter_descriptor_reader *r, const cJSON *o, struct otter_release *out)
{
    if (!cJSON_IsObject(o)) return bad(r, "it is no JSON object within its limits, each key in it once");
    enum otter_err e = read_version(r, o, out);
    if (!e) e = read_rest(r, o, out);
    if (e || out->needs_cable) return e;
    if (has(o, "builds")) return read_manifest(r, o, out);
    e = read_identity(r, o, out);
    return e ? e : read_path(r, o, out);
}

enum otter_err otter_descriptor_read(struct otter_descriptor_reader *r, const char *text, size_t size,
                                     struct otter_release *out)
{
    memset(out, 0, sizeof *out);
    r->why = NULL;
    if (size > OTTER_DESCRIPTOR_MAX) return bad(r, "it is larger than 8192 bytes");
    cJSON *json = otter_json_read(text, size);
    enum otter_err e = read_release(r, json, out);
    cJSON_Delete(json);
    if (e) otter_release_free(out);
    return e;
}

void otter_release_free(struct otter_release *release)
{
    free(release->url);
    memset(release, 0, sizeof *release);
}
