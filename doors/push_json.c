/* Status, info and events as JSON. Reads the engine, changes nothing. */
#include "doors/push_json.h"

#include <cJSON.h>
#include <stdio.h>
#include <string.h>

#include "doors/push_part.h"
#include "doors/text.h"

static char *print(cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

static void add_text_or_null(cJSON *o, const char *name, bool have, const char *text)
{
    if (have)
        otter_json_add_text(o, name, text);
    else
        cJSON_AddNullToObject(o, name);
}

/* A number of 32 bits, made a double in one place. */
static void add_number(cJSON *o, const char *name, uint32_t n) { cJSON_AddNumberToObject(o, name, n); }

static void add_slot_name(cJSON *o, int slot)
{
    char name[8];
    cJSON_AddStringToObject(o, "slot", otter_slot_name(slot, name));
}

static const char *slot_state(const struct otter_slot_status *s)
{
    if (s->state != OTTER_OTA_UNDEFINED) return otter_ota_state_name(s->state);
    return s->has_image ? "undefined" : "none";
}

static cJSON *slot_json(const struct otter_slot_status *s)
{
    cJSON *o = cJSON_CreateObject();
    add_slot_name(o, s->slot);
    add_number(o, "offset", s->region.offset);
    add_number(o, "size", s->region.size);
    add_text_or_null(o, "version", s->has_image && s->has_desc, s->desc.version);
    cJSON_AddStringToObject(o, "state", slot_state(s));
    cJSON_AddBoolToObject(o, "running", s->running);
    cJSON_AddBoolToObject(o, "next", s->next);
    cJSON_AddBoolToObject(o, "target", s->target);
    return o;
}

static const char *update_state(const struct otter_update_status *u)
{
    switch ((enum otter_session_step)u->step) {
    case OTTER_STEP_RECEIVING: return "receiving";
    case OTTER_STEP_VERIFYING:
    case OTTER_STEP_COMPARING:
    case OTTER_STEP_HEADER:
    case OTTER_STEP_SWITCH: return "verifying";
    case OTTER_STEP_DONE: return "done";
    case OTTER_STEP_CLOSED: break;
    }
    return u->err ? "failed" : "idle";
}

static void add_update(cJSON *o, const struct otter_push *p)
{
    struct otter_update_status now;
    otter_update_status(p->update, &now);
    cJSON *u = cJSON_AddObjectToObject(o, "update");
    cJSON_AddStringToObject(u, "state", update_state(&now));
    add_text_or_null(u, "door", now.door != NULL, now.door);
    add_number(u, "size", now.size);
    add_number(u, "received", now.received);
    add_number(u, "written", now.written);
    add_number(u, "wanted", now.wanted);
    add_number(u, "record_writes", p->device->record.writes);
    add_text_or_null(u, "error", now.err != OTTER_OK, otter_err_name(now.err));
    add_text_or_null(u, "message", now.err != OTTER_OK, now.words);
}

static void add_went_back(cJSON *o, struct otter_device *d, const struct otter_slot_status *s)
{
    char why[OTTER_WHY];
    cJSON *w = cJSON_AddObjectToObject(o, "went_back");
    add_slot_name(w, s->slot);
    add_text_or_null(w, "version", s->has_desc, s->desc.version);
    otter_why(d, why);
    add_text_or_null(w, "why", why[0] != '\0', why);
}

static void add_sha256(cJSON *o, const uint8_t sha256[32])
{
    char hex[65];
    for (unsigned i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
    cJSON_AddStringToObject(o, "sha256", hex);
}

/* An update that was cut, and from where it would go on. */
static void add_resume(cJSON *o, const struct otter_device *d)
{
    const struct otter_record *r = &d->record;
    struct otter_offer offer = {.size = r->size, .has_sha256 = true};
    memcpy(offer.sha256, r->sha256, sizeof offer.sha256);
    uint32_t wanted = d->session ? 0 : otter_resume_offset(d, &offer);
    if (!wanted) {
        cJSON_AddNullToObject(o, "resume");
        return;
    }
    cJSON *resume = cJSON_AddObjectToObject(o, "resume");
    add_number(resume, "size", r->size);
    add_sha256(resume, r->sha256);
    add_number(resume, "wanted", wanted);
}

static void add_slots(cJSON *o, struct otter_device *d)
{
    struct otter_slot_status s;
    cJSON *slots = cJSON_AddArrayToObject(o, "slots");
    for (unsigned i = 0; otter_slot_at(d, i, &s); i++) {
        cJSON_AddItemToArray(slots, slot_json(&s));
        if (s.slot == d->went_back) add_went_back(o, d, &s);
        if (!s.running) continue;
        cJSON *running = slot_json(&s);
        cJSON_DeleteItemFromObject(running, "running");
        cJSON_AddItemToObject(o, "running", running);
    }
    if (d->went_back == OTTER_SLOT_NONE) cJSON_AddNullToObject(o, "went_back");
}

static void add_region(cJSON *o, const char *name, const struct otter_slot *region)
{
    cJSON *r = region->size ? cJSON_AddObjectToObject(o, name) : cJSON_AddNullToObject(o, name);
    if (!region->size) return;
    add_number(r, "offset", region->offset);
    add_number(r, "size", region->size);
}

/* null unless one is waited for. */
static void add_data_image(cJSON *o, struct otter_device *d, otter_push_data_waits *waits)
{
    struct otter_data_wait wait;
    if (!waits || !waits(d, &wait)) {
        cJSON_AddNullToObject(o, "data_image");
        return;
    }
    cJSON *image = cJSON_AddObjectToObject(o, "data_image");
    add_number(image, "size", wait.size);
    add_sha256(image, wait.sha256);
    add_number(image, "wanted", wait.wanted);
}

/* null where slots are fixed. */
static cJSON *division_json(struct otter_device *d, otter_push_data_waits *waits)
{
    struct otter_division now;
    otter_division(d, &now);
    if (now.state == OTTER_DIVISION_FIXED) return cJSON_CreateNull();
    cJSON *division = cJSON_CreateObject();
    cJSON_AddStringToObject(division, "state", otter_division_name(now.state));
    add_region(division, "pool", &now.pool);
    add_region(division, "app", &now.app);
    add_region(division, "update", &now.update);
    add_region(division, "data", &now.data);
    add_number(division, "free", now.pool.size - now.app.size - now.update.size - now.data.size);
    add_number(division, "largest", now.largest);
    cJSON_AddBoolToObject(division, "costs_files", now.costs_files);
    add_data_image(division, d, waits);
    return division;
}

/* Files in a line; null where there is no region for them. */
static void add_files(cJSON *o, const struct otter_push *p)
{
    struct otter_files_info info = {.state = OTTER_FILES_NONE};
    const struct otter_push_files *part = p->config.files_part;
    if (part && p->config.files) p->config.files->info(p->config.files->ctx, &info);
    if (!part || info.state == OTTER_FILES_NONE) {
        cJSON_AddNullToObject(o, "files");
        return;
    }
    cJSON *f = cJSON_AddObjectToObject(o, "files");
    cJSON_AddStringToObject(f, "state", part->state(info.state));
    add_number(f, "size", info.size);
    add_number(f, "free", info.free);
}

/* Files that somebody else put there, under names that nobody can ask for, are left out. */
static void add_file(void *to, const char *name, uint32_t size)
{
    if (!otter_file_name_ok(name)) return;
    cJSON *f = cJSON_CreateObject();
    cJSON_AddStringToObject(f, "name", name);
    add_number(f, "size", size);
    cJSON_AddItemToArray(to, f);
}

char *otter_push_json_files(struct otter_push *p)
{
    const struct otter_files *files = p->config.files;
    struct otter_files_info info;
    cJSON *list = cJSON_CreateArray();
    files->list(files->ctx, add_file, list);
    /* Behind the list, which may have found the file system damaged. */
    files->info(files->ctx, &info);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "state", otter_files_state_name(info.state));
    add_number(o, "offset", info.offset);
    add_number(o, "size", info.size);
    add_number(o, "free", info.free);
    cJSON_AddItemToObject(o, "files", list);
    return print(o);
}

char *otter_push_json_status(struct otter_push *p)
{
    struct otter_device *d = p->device;
    struct otter_status st;
    otter_status(d, &st);
    cJSON *o = cJSON_CreateObject();
    add_text_or_null(o, "project", d->running_image.has_desc, d->running_image.desc.project);
    add_text_or_null(o, "id", d->ports.chip->id != NULL, d->ports.chip->id);
    cJSON_AddStringToObject(o, "chip", d->ports.chip->info->name);
    add_number(o, "boot_id", p->config.boot_id);
    cJSON_AddBoolToObject(o, "rollback", d->ports.chip->rollback);
    add_slots(o, d);
    cJSON_AddBoolToObject(o, "can_confirm", st.can_confirm);
    cJSON_AddBoolToObject(o, "can_roll_back", st.can_roll_back);
    cJSON_AddItemToObject(o, "division", division_json(d, p->config.data_waits));
    add_update(o, p);
    add_resume(o, d);
    add_files(o, p);
    if (p->config.channel_part)
        p->config.channel_part->status(o, p);
    else
        cJSON_AddNullToObject(o, "channel");
    return print(o);
}

char *otter_push_json_division(struct otter_device *d, otter_push_data_waits *waits)
{
    return print(division_json(d, waits));
}

char *otter_push_json_info(struct otter_push *p)
{
    struct otter_device *d = p->device;
    const struct otter_app_desc *desc = &d->running_image.desc;
    char revision[16];
    cJSON *o = cJSON_CreateObject();
    add_number(o, "uptime", d->ports.clock->now_ms(d->ports.clock->ctx) / 1000);
    otter_json_add_text(o, "appProject", desc->project);
    otter_json_add_text(o, "appVersion", desc->version);
    otter_json_add_text(o, "appDate", desc->date);
    otter_json_add_text(o, "appTime", desc->time);
    otter_json_add_text(o, "idfVersion", desc->idf);
    cJSON_AddStringToObject(o, "chip", d->ports.chip->info->name);
    add_number(o, "chipCores", d->ports.chip->info->cores);
    snprintf(revision, sizeof revision, "v%u.%u", d->ports.chip->revision / 100u, d->ports.chip->revision % 100u);
    cJSON_AddStringToObject(o, "chipRevision", revision);
    return print(o);
}

char *otter_push_json_event(struct otter_push *p, const struct otter_event *e)
{
    char words[OTTER_UPDATE_WORDS];
    cJSON *o = cJSON_CreateObject();
    add_number(o, "ms", e->ms);
    add_text_or_null(o, "door", e->door != NULL, e->door);
    add_number(o, "value", e->value);
    if (e->err) otter_update_words(p->update, e->err, words);
    add_text_or_null(o, "error", e->err != OTTER_OK, otter_err_name(e->err));
    add_text_or_null(o, "message", e->err != OTTER_OK, words);
    return print(o);
}

char *otter_push_json_error(enum otter_err err, const char *message)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "error", otter_err_name(err));
    cJSON_AddStringToObject(o, "message", message);
    return print(o);
}
