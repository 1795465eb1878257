/* Jobs in the settings. A store that fails costs memory, never an update. */
#include "doors/job_store.h"

#include <stdlib.h>
#include <string.h>

#include "doors/mqtt.h"
#include "doors/url.h"

static const char ns[] = "job", last_key[] = "last", url_key[] = "url", done_key[] = "done", next_key[] = "next";

enum { FORM = 1 };

bool otter_job_key(const struct otter_device *d, const struct otter_job_order *o, uint8_t key[OTTER_JOB_KEY])
{
    const struct otter_crypto *c = d->ports.crypto;
    struct otter_hash h;
    uint8_t digest[32];
    const void *known = *o->id ? (const void *)o->id : o->has_sha256 ? (const void *)o->sha256 : (const void *)o->url;
    size_t n = *o->id ? strlen(o->id) : o->has_sha256 ? sizeof o->sha256 : strlen(o->url);
    char kind = *o->id ? 'i' : o->has_sha256 ? 's' : 'u';
    if (c->hash_start(c->ctx, &h, OTTER_SHA256)) return false;
    int32_t code = c->hash_update(c->ctx, &h, &kind, 1);
    if (!code) code = c->hash_update(c->ctx, &h, known, n);
    if (code) return c->hash_abort(c->ctx, &h), false;
    if (c->hash_finish(c->ctx, &h, digest)) return false;
    memcpy(key, digest, OTTER_JOB_KEY);
    return true;
}

/* ---- one value ---- */

/* How many bytes are there; 0 if there are none, or more than fit. */
static size_t get(const struct otter_device *d, const char *key, void *out, size_t room)
{
    const struct otter_settings *s = d->ports.settings;
    size_t size = room;
    return !s || s->get(s->ctx, ns, key, OTTER_SETTING_BLOB, out, &size) || size > room ? 0 : size;
}

static bool set(const struct otter_device *d, const char *key, const void *data, size_t size)
{
    const struct otter_settings *s = d->ports.settings;
    return s && s->set(s->ctx, ns, key, OTTER_SETTING_BLOB, data, size) == 0;
}

/* ---- the last job ---- */

void otter_job_load(const struct otter_device *d, struct otter_job_kept *k)
{
    bool good = get(d, last_key, k, sizeof *k) == sizeof *k && k->form == FORM && k->state <= OTTER_JOB_FAILED;
    if (!good) memset(k, 0, sizeof *k);
    k->form = FORM;
    k->id[sizeof k->id - 1] = k->version[sizeof k->version - 1] = k->why[sizeof k->why - 1] = '\0';
}

bool otter_job_save(const struct otter_device *d, const struct otter_job_kept *k)
{
    return set(d, last_key, k, sizeof *k);
}

/* ---- texts ---- */

static bool set_text(const struct otter_device *d, const char *key, const char *text)
{
    const struct otter_settings *s = d->ports.settings;
    bool kept = text && set(d, key, text, strlen(text) + 1);
    if (!kept && s) s->erase(s->ctx, ns, key);
    return kept;
}

static char *get_text(const struct otter_device *d, const char *key, size_t room)
{
    char *text = malloc(room);
    size_t n = text ? get(d, key, text, room) : 0;
    if (n && !text[n - 1]) return text;
    free(text);
    return NULL;
}

void otter_job_save_url(const struct otter_device *d, const char *url) { set_text(d, url_key, url); }

char *otter_job_load_url(const struct otter_device *d) { return get_text(d, url_key, OTTER_URL_MAX + 1); }

bool otter_job_save_next(const struct otter_device *d, const char *text) { return set_text(d, next_key, text); }

char *otter_job_load_next(const struct otter_device *d) { return get_text(d, next_key, OTTER_MQTT_MESSAGE + 1); }

/* ---- those before ---- */

static unsigned load_done(const struct otter_device *d, struct otter_job_done list[OTTER_JOB_DONE])
{
    return (unsigned)(get(d, done_key, list, OTTER_JOB_DONE * sizeof *list) / sizeof *list);
}

bool otter_job_find_done(const struct otter_device *d, const uint8_t key[OTTER_JOB_KEY], struct otter_job_done *out)
{
    struct otter_job_done list[OTTER_JOB_DONE];
    unsigned n = load_done(d, list);
    for (unsigned i = 0; i < n; i++)
        if (memcmp(list[i].key, key, OTTER_JOB_KEY) == 0 && list[i].state <= OTTER_JOB_FAILED)
            return *out = list[i], true;
    return false;
}

/* The newest first; a job has one place. */
void otter_job_add_done(const struct otter_device *d, const struct otter_job_kept *k)
{
    struct otter_job_done before[OTTER_JOB_DONE], list[OTTER_JOB_DONE] = {{.state = k->state, .err = k->err}};
    unsigned had = load_done(d, before), n = 1;
    memcpy(list[0].key, k->key, OTTER_JOB_KEY);
    for (unsigned i = 0; i < had && n < OTTER_JOB_DONE; i++)
        if (memcmp(before[i].key, k->key, OTTER_JOB_KEY) != 0) list[n++] = before[i];
    set(d, done_key, list, n * sizeof *list);
}
