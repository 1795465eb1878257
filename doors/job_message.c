/* Reads what comes over the update topic, which anybody may have written. */
#include "doors/job_message.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "doors/text.h"
#include "doors/url.h"

/* ---- a job ---- */

/* People copy jobs from where they are printed in Python's way. */
static const char *why_no_json(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size && strchr(" \t\r\n{", text[i]) && text[i]) i++;
    return i < size && text[i] == '\'' ? "it is no JSON: names and strings stand in double quotes, not in single ones"
                                       : "it is no JSON, too large a tree, or has a key twice";
}

static const cJSON *item(const cJSON *json, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, name);
    return cJSON_IsNull(value) ? NULL : value;
}

/* False: it is there, but is no such text. */
static bool read_text(const cJSON *json, const char *name, size_t most, char *out)
{
    if (!item(json, name)) return true;
    const char *text = otter_json_text(json, name, most);
    if (text) memcpy(out, text, strlen(text) + 1);
    return text != NULL;
}

static bool read_size(const cJSON *json, uint32_t *out)
{
    const cJSON *size = item(json, "size");
    if (!size) return true;
    double n = cJSON_IsNumber(size) ? size->valuedouble : 0;
    if (!(n >= 1 && n <= UINT32_MAX)) return false;
    *out = (uint32_t)n;
    return (double)*out == n;
}

static bool read_sha256(const cJSON *json, struct otter_job_order *out)
{
    const cJSON *sha256 = item(json, "sha256");
    out->has_sha256 = sha256 != NULL;
    return !sha256 || (cJSON_IsString(sha256) && otter_hex32(sha256->valuestring, out->sha256));
}

static enum otter_err read_url(const cJSON *json, struct otter_job_order *out, const char **why)
{
    const cJSON *url = item(json, "update_url");
    struct otter_url parts;
    if (!cJSON_IsString(url)) {
        *why = url ? "\"update_url\" is no string" : "there is no \"update_url\"";
        return OTTER_JOB;
    }
    if (!otter_url_read(url->valuestring, &parts)) return OTTER_URL;
    size_t n = strlen(url->valuestring) + 1;
    out->url = malloc(n);
    if (!out->url) return OTTER_MEMORY;
    memcpy(out->url, url->valuestring, n);
    return OTTER_OK;
}

static enum otter_err read_object(const cJSON *json, struct otter_job_order *out, const char **why)
{
    *why = NULL;
    if (!cJSON_IsObject(json))
        *why = "it is no object";
    else if (!read_text(json, "job_id", OTTER_JOB_ID, out->id))
        *why = "\"job_id\" is no string of 1 to 64 bytes";
    else if (!read_text(json, "version", OTTER_JOB_VERSION, out->version))
        *why = "\"version\" is no string of 1 to 31 bytes";
    else if (!read_size(json, &out->size))
        *why = "\"size\" is no number of bytes";
    else if (!read_sha256(json, out))
        *why = "\"sha256\" is not 64 hex digits";
    return *why ? OTTER_JOB : read_url(json, out, why);
}

enum otter_err otter_job_read(const char *text, size_t size, struct otter_job_order *out, const char **why)
{
    memset(out, 0, sizeof *out);
    cJSON *json = otter_json_read(text, size);
    *why = why_no_json(text, size);
    if (!json) return OTTER_JOB;
    enum otter_err e = read_object(json, out, why);
    cJSON_Delete(json);
    return e;
}

void otter_job_order_free(struct otter_job_order *o)
{
    free(o->url);
    o->url = NULL;
}

/* ---- topics ---- */

static const char mark[] = "{id}", update[] = "/update";

static bool may_stand(const char *text, const char *never)
{
    return *text && otter_utf8_count(text) != SIZE_MAX && !strpbrk(text, never);
}

static bool put(char *out, size_t *used, const char *text, size_t n)
{
    if (*used + n > OTTER_MQTT_TOPIC) return false;
    memcpy(out + *used, text, n);
    *used += n;
    out[*used] = '\0';
    return true;
}

bool otter_job_topic(const char *template, const char *id, enum otter_job_topic which, char out[OTTER_MQTT_TOPIC + 1])
{
    static const char *const end[OTTER_JOB_TOPICS] = {"/update", "/status", "/request"};
    size_t n = strlen(template), used = 0;
    const char *at = strstr(template, mark);
    if (!at || !may_stand(template, "+#") || !may_stand(id, "+#/")) return false;
    bool ends = n >= sizeof update && strcmp(template + n - (sizeof update - 1), update) == 0;
    if (which != OTTER_JOB_UPDATE && ends) n -= sizeof update - 1;
    const char *behind = at + sizeof mark - 1;
    return put(out, &used, template, (size_t)(at - template)) && put(out, &used, id, strlen(id)) &&
           put(out, &used, behind, (size_t)(template + n - behind)) &&
           (which == OTTER_JOB_UPDATE || put(out, &used, end[which], strlen(end[which])));
}
