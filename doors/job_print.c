/* What the job door says, as JSON. A URL's query never gets here. */
#include <cJSON.h>
#include <stdio.h>

#include "doors/job.h"
#include "doors/text.h"

enum { URL_SHOWN = 512 };

const char *otter_job_state_name(enum otter_job_state state)
{
    static const char *const names[] = {"online",     "received",  "downloading", "url_expired", "verifying",
                                        "restarting", "confirmed", "rolled_back", "failed"};
    return names[state];
}

static char *print(cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

/* What came in a job is UTF-8, and goes back as it was. */
static void add_own(cJSON *o, const char *name, const char *text)
{
    if (text && *text) cJSON_AddStringToObject(o, name, text);
}

static void add_text(cJSON *o, const char *name, const char *text)
{
    if (text && *text) otter_json_add_text(o, name, text);
}

static void add_progress(cJSON *o, const struct otter_job_report *r)
{
    if (!r->counted) return;
    cJSON_AddNumberToObject(o, "bytes", r->bytes);
    if (!r->size) return;
    cJSON_AddNumberToObject(o, "size", r->size);
    cJSON_AddNumberToObject(o, "percent", (double)((uint64_t)r->bytes * 100 / r->size));
}

char *otter_job_print(const struct otter_job *j, const struct otter_job_report *r)
{
    const struct otter_device *d = j->update->device;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "state", r->state);
    add_own(o, "device", d->ports.chip->id);
    add_text(o, "running", d->running_image.desc.version);
    add_own(o, "job_id", r->id);
    add_own(o, "version", r->version);
    add_progress(o, r);
    if (r->repeated) cJSON_AddBoolToObject(o, "repeated", true);
    if (r->current) cJSON_AddBoolToObject(o, "already_current", true);
    add_text(o, "reason", r->why);
    if (r->err) cJSON_AddStringToObject(o, "error", otter_err_name(r->err));
    if (r->err) add_text(o, "message", r->words ? r->words : otter_err_text(r->err));
    return print(o);
}

char *otter_job_print_request(const struct otter_job *j, uint32_t bytes)
{
    const struct otter_job_kept *k = &j->kept;
    char url[URL_SHOWN], hex[65];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "request", "update_url");
    add_own(o, "device", j->update->device->ports.chip->id);
    add_own(o, "job_id", k->id);
    add_own(o, "version", k->version);
    for (unsigned i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", k->sha256[i]);
    if (k->has_sha256) cJSON_AddStringToObject(o, "sha256", hex);
    if (j->fetch.url) otter_url_show(j->fetch.url, url, sizeof url);
    if (j->fetch.url) cJSON_AddStringToObject(o, "url", url);
    cJSON_AddNumberToObject(o, "bytes", bytes);
    return print(o);
}
