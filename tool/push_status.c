/* Reads a device's status. Knows JSON's keys, and nothing of how the text came. */
#include "tool/push_status.h"

#include <cJSON.h>
#include <string.h>

static void copy_string(const cJSON *o, const char *name, char *out, size_t size)
{
    const cJSON *s = cJSON_GetObjectItemCaseSensitive(o, name);
    const char *text = cJSON_IsString(s) ? s->valuestring : "";
    size_t n = 0;
    for (; text[n] && n < size - 1; n++) out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    out[n] = '\0';
}

/* Numbers that are none, or absurd, count as 0. */
static double number_in(const cJSON *o, const char *name)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(n) && n->valuedouble >= 0 && n->valuedouble < 1e15 ? n->valuedouble : 0;
}

static bool is_true(const cJSON *o, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, name));
}

static void read_slots(struct push_status *s, const cJSON *slots)
{
    const cJSON *slot;
    cJSON_ArrayForEach(slot, slots)
    {
        if (is_true(slot, "next") && !is_true(slot, "running")) copy_string(slot, "slot", s->next, sizeof s->next);
        if (!is_true(slot, "target")) continue;
        copy_string(slot, "slot", s->target, sizeof s->target);
        s->room = number_in(slot, "size");
    }
}

/* Where slots overlap, the slot depends on the image. */
static void read_division(struct push_status *s, const cJSON *division)
{
    s->elastic = cJSON_IsObject(division);
    if (s->elastic) s->room = number_in(division, "largest");
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(division, "data_image");
    copy_string(data, "sha256", s->data_sha256, sizeof s->data_sha256);
    s->data_from = number_in(data, "wanted");
}

static bool read_status(struct push_status *s, const cJSON *json)
{
    const cJSON *running = cJSON_GetObjectItemCaseSensitive(json, "running");
    const cJSON *resume = cJSON_GetObjectItemCaseSensitive(json, "resume");
    if (!cJSON_IsObject(running)) return false;
    s->boot_id = number_in(json, "boot_id");
    s->rollback = is_true(json, "rollback");
    copy_string(json, "chip", s->chip, sizeof s->chip);
    copy_string(running, "version", s->version, sizeof s->version);
    copy_string(running, "slot", s->slot, sizeof s->slot);
    copy_string(running, "state", s->state, sizeof s->state);
    copy_string(cJSON_GetObjectItemCaseSensitive(json, "update"), "state", s->update, sizeof s->update);
    copy_string(resume, "sha256", s->resume_sha256, sizeof s->resume_sha256);
    s->resume_from = number_in(resume, "wanted");
    read_slots(s, cJSON_GetObjectItemCaseSensitive(json, "slots"));
    read_division(s, cJSON_GetObjectItemCaseSensitive(json, "division"));
    return true;
}

bool push_status_read(struct push_status *s, const char *text, size_t size)
{
    memset(s, 0, sizeof *s);
    cJSON *json = text ? cJSON_ParseWithLength(text, size) : NULL;
    bool ok = read_status(s, json);
    cJSON_Delete(json);
    return ok;
}

void push_refusal_read(struct push_refusal *r, const char *text, size_t size)
{
    cJSON *json = text ? cJSON_ParseWithLength(text, size) : NULL;
    copy_string(json, "error", r->name, sizeof r->name);
    copy_string(json, "message", r->message, sizeof r->message);
    cJSON_Delete(json);
}
