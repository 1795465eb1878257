/* The job door: which message begins what, what is told of it, and what a restart leaves to do. Knows jobs; how bytes
 * come is the fetch's, how messages come the port's. */
#include "doors/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/push.h"

static uint32_t now(const struct otter_job *j)
{
    const struct otter_clock *clock = j->update->device->ports.clock;
    return clock->now_ms(clock->ctx);
}

static void take(const struct otter_job *j) { j->config.lock->take(j->config.lock->ctx); }

static void give(const struct otter_job *j) { j->config.lock->give(j->config.lock->ctx); }

/* ---- what is told ---- */

static void publish(const struct otter_job *j, enum otter_job_topic topic, char *text, bool retain)
{
    const struct otter_mqtt *m = j->config.mqtt;
    if (text && j->connection) m->publish(m->ctx, j->topic[topic], text, retain);
    free(text);
}

static bool ended(enum otter_job_state state) { return state >= OTTER_JOB_CONFIRMED; }

/* Bytes of the image that are in flash or on their way there. */
static uint32_t bytes_so_far(struct otter_job *j)
{
    struct otter_update_status now_is;
    take(j);
    otter_update_status(j->update, &now_is);
    bool ours = j->fetch.session && j->update->opened == j->fetch.session;
    give(j);
    return ours ? now_is.wanted : 0;
}

/* The state, as the topic keeps it. Without a connection nothing is told; the next one begins with it. */
static void tell(struct otter_job *j)
{
    const struct otter_job_kept *k = &j->kept;
    struct otter_job_report r = {.state = otter_job_state_name(j->state),
                                 .id = k->id,
                                 .version = k->version,
                                 .err = (enum otter_err)k->err,
                                 .words = *j->words ? j->words : NULL,
                                 .why = j->state == OTTER_JOB_ROLLED_BACK ? k->why : NULL,
                                 .current = j->current,
                                 .counted = j->state >= OTTER_JOB_DOWNLOADING && j->state <= OTTER_JOB_VERIFYING,
                                 .size = j->fetch.offer.size};
    char words[OTTER_UPDATE_WORDS];
    if (j->state == OTTER_JOB_URL_EXPIRED) r.err = OTTER_URL_EXPIRED;
    if (j->fetch.state == OTTER_FETCH_WAITING) {
        r.err = j->fetch.err;
        take(j);
        otter_fetch_words(&j->fetch, words);
        give(j);
        r.words = words;
    }
    if (r.counted) r.bytes = bytes_so_far(j);
    j->told = now(j);
    publish(j, OTTER_JOB_STATUS, otter_job_print(j, &r), true);
}

/* An answer that leaves alone what the topic keeps. */
static void answer(const struct otter_job *j, struct otter_job_report *r, const struct otter_job_order *o)
{
    r->id = o->id;
    r->version = o->version;
    publish(j, OTTER_JOB_STATUS, otter_job_print(j, r), false);
}

static void refuse(struct otter_job *j, const struct otter_job_order *o, enum otter_err err, const char *why)
{
    char words[OTTER_UPDATE_WORDS];
    int n = snprintf(words, sizeof words, "%s", otter_err_text(err));
    if (why) snprintf(words + n, sizeof words - (size_t)n, " Here: %s.", why);
    answer(j, &(struct otter_job_report){.state = "failed", .err = err, .words = words}, o);
}

static void ask_for_url(struct otter_job *j)
{
    j->asked = now(j);
    publish(j, OTTER_JOB_REQUEST, otter_job_print_request(j, bytes_so_far(j)), false);
}

static void enter(struct otter_job *j, enum otter_job_state state)
{
    bool news = j->state != state;
    j->state = state;
    if (!news) return;
    tell(j);
    if (state == OTTER_JOB_URL_EXPIRED) ask_for_url(j);
}

/* ---- how it ends ---- */

static void keep(struct otter_job *j, enum otter_job_state state, enum otter_err err)
{
    j->kept.state = (uint8_t)state;
    j->kept.err = err;
    take(j);
    otter_job_save(j->update->device, &j->kept);
    if (state != OTTER_JOB_RECEIVED) otter_job_save_url(j->update->device, NULL);
    if (ended(state)) otter_job_add_done(j->update->device, &j->kept);
    give(j);
}

static void end(struct otter_job *j, enum otter_job_state state, enum otter_err err)
{
    keep(j, state, err);
    enter(j, state);
}

static void confirm(struct otter_job *j)
{
    const struct otter_image_facts *runs = &j->update->device->running_image;
    if (runs->hash_appended) memcpy(j->kept.runs, runs->digest_stored, sizeof j->kept.runs);
    end(j, OTTER_JOB_CONFIRMED, OTTER_OK);
}

static void finish(struct otter_job *j, enum otter_err err)
{
    const struct otter_chip *chip = j->update->device->ports.chip;
    j->current = err == OTTER_ALREADY_CURRENT;
    if (j->current) {
        confirm(j);
    } else if (err) {
        take(j);
        otter_fetch_words(&j->fetch, j->words);
        give(j);
        end(j, OTTER_JOB_FAILED, err);
    } else {
        end(j, OTTER_JOB_RESTARTING, OTTER_OK);
        take(j);
        chip->reboot(chip->ctx, OTTER_RESTART_MS);
        give(j);
    }
}

/* ---- how it begins ---- */

static enum otter_err start_fetch(struct otter_job *j, const char *url)
{
    const struct otter_job_kept *k = &j->kept;
    struct otter_fetch_wish wish = {.door = "job",
                                    .url = url,
                                    .version = *k->version ? k->version : NULL,
                                    .size = k->size,
                                    .has_sha256 = k->has_sha256};
    memcpy(wish.sha256, k->sha256, sizeof wish.sha256);
    const struct otter_device *d = j->update->device;
    return d->session || d->switched ? OTTER_BUSY : otter_fetch_start(&j->fetch, &wish);
}

static void fill(struct otter_job_kept *k, const struct otter_job_order *o, const uint8_t key[OTTER_JOB_KEY])
{
    uint8_t form = k->form;
    memset(k, 0, sizeof *k);
    k->form = form;
    k->state = OTTER_JOB_RECEIVED;
    k->size = o->size;
    k->has_sha256 = o->has_sha256;
    memcpy(k->sha256, o->sha256, sizeof k->sha256);
    memcpy(k->key, key, OTTER_JOB_KEY);
    memcpy(k->id, o->id, sizeof k->id);
    memcpy(k->version, o->version, sizeof k->version);
}

/* What cannot even begin is refused, and what was before stays the last job. */
static void begin(struct otter_job *j, const struct otter_job_order *o, const uint8_t key[OTTER_JOB_KEY])
{
    struct otter_job_kept before = j->kept;
    take(j);
    fill(&j->kept, o, key);
    j->kept.from = j->update->device->running;
    enum otter_err e = start_fetch(j, o->url);
    if (e) {
        j->kept = before;
    } else {
        otter_job_save_url(j->update->device, o->url);
        otter_job_save(j->update->device, &j->kept);
    }
    give(j);
    if (e) {
        refuse(j, o, e, NULL);
        return;
    }
    j->current = false;
    j->words[0] = '\0';
    j->state = OTTER_JOB_RECEIVED;
    tell(j);
}

/* ---- messages ---- */

/* Is it the file that was installed by a job, and runs? */
static bool runs_already(const struct otter_job *j, const struct otter_job_order *o)
{
    const struct otter_image_facts *runs = &j->update->device->running_image;
    const struct otter_job_kept *k = &j->kept;
    return k->state == OTTER_JOB_CONFIRMED && o->has_sha256 && k->has_sha256 && runs->hash_appended &&
           memcmp(o->sha256, k->sha256, sizeof k->sha256) == 0 &&
           memcmp(runs->digest_stored, k->runs, sizeof k->runs) == 0;
}

/* What another try of the same may mend. */
static bool worth_a_try(uint8_t state, int32_t err)
{
    bool passes = err == OTTER_CANCELLED || err == OTTER_BUSY || err == OTTER_UNCONFIRMED || err == OTTER_ABORTED;
    bool network = otter_err_exit((enum otter_err)err) == 6 && err != OTTER_SIZE;
    return state == OTTER_JOB_FAILED && (passes || network);
}

/* True if it was done before: then that is said. */
static bool was_done(struct otter_job *j, const struct otter_job_order *o, const uint8_t key[OTTER_JOB_KEY])
{
    const struct otter_job_kept *k = &j->kept;
    struct otter_job_done done;
    bool last = ended(k->state) && memcmp(k->key, key, OTTER_JOB_KEY) == 0;
    take(j);
    bool before = !last && otter_job_find_done(j->update->device, key, &done);
    give(j);
    if (last && !worth_a_try(k->state, k->err)) {
        tell(j);
    } else if (before && !worth_a_try(done.state, done.err)) {
        struct otter_job_report r = {.state = otter_job_state_name(done.state), .err = (enum otter_err)done.err};
        r.repeated = true;
        answer(j, &r, o);
    } else if (runs_already(j, o)) {
        answer(j, &(struct otter_job_report){.state = "confirmed", .current = true}, o);
    } else {
        return false;
    }
    return true;
}

/* A URL of the same file, but for what signs it? */
static bool same_place(const char *a, const char *b)
{
    size_t n = strcspn(a, "?#");
    return n == strcspn(b, "?#") && strncmp(a, b, n) == 0;
}

static bool is_same_job(const struct otter_job *j, const struct otter_job_order *o, const uint8_t key[OTTER_JOB_KEY])
{
    const struct otter_job_kept *k = &j->kept;
    if (memcmp(k->key, key, OTTER_JOB_KEY) == 0) return true;
    if (*o->id || (o->has_sha256 && k->has_sha256)) return false;
    return j->fetch.url && same_place(j->fetch.url, o->url);
}

static void go_on_with(struct otter_job *j, const struct otter_job_order *o)
{
    take(j);
    enum otter_err e = otter_fetch_set_url(&j->fetch, o->url);
    if (!e) otter_job_save_url(j->update->device, o->url);
    give(j);
    if (e)
        refuse(j, o, e, NULL);
    else
        j->state = OTTER_JOB_RECEIVED;
}

/* What only waits, for a URL or for a server that does not answer, gives way to another job. */
static bool stands(const struct otter_job *j)
{
    return j->state == OTTER_JOB_URL_EXPIRED || j->fetch.state == OTTER_FETCH_WAITING;
}

/* A job comes while another is under way, or the same again. */
static void meet(struct otter_job *j, const struct otter_job_order *o, const uint8_t key[OTTER_JOB_KEY])
{
    bool same = is_same_job(j, o, key);
    if (same && j->state == OTTER_JOB_URL_EXPIRED) {
        go_on_with(j, o);
    } else if (same) {
        tell(j);
    } else if (was_done(j, o, key)) {
        return;
    } else if (stands(j)) {
        finish(j, otter_fetch_give_up(&j->fetch));
        begin(j, o, key);
    } else {
        refuse(j, o, OTTER_BUSY, NULL);
    }
}

/* While a restart is due or firmware is on trial nothing new can begin, and the broker counts the message as taken: it
 * is written down. One has room. */
static void postpone(struct otter_job *j, const struct otter_job_order *o, const uint8_t key[OTTER_JOB_KEY],
                     const char *text)
{
    const struct otter_device *d = j->update->device;
    if (!ended(j->kept.state) && memcmp(j->kept.key, key, OTTER_JOB_KEY) == 0) {
        tell(j);
        return;
    }
    if (was_done(j, o, key)) return;
    take(j);
    char *before = otter_job_load_next(d);
    bool kept = before ? strcmp(before, text) == 0 : otter_job_save_next(d, text);
    give(j);
    free(before);
    if (kept)
        j->has_next = true;
    else
        refuse(j, o, OTTER_BUSY, NULL);
}

static void handle(struct otter_job *j, const struct otter_mqtt_message *m, bool settled)
{
    struct otter_job_order o = {0};
    uint8_t key[OTTER_JOB_KEY];
    const char *why = "it is larger than 8192 bytes";
    enum otter_err e = m->too_large ? OTTER_JOB : otter_job_read(m->text, m->size, &o, &why);
    if (!e && !otter_job_key(j->update->device, &o, key)) e = OTTER_CRYPTO;
    if (e)
        refuse(j, &o, e, e == OTTER_JOB ? why : NULL);
    else if (!settled)
        postpone(j, &o, key, m->text);
    else if (otter_fetch_running(&j->fetch))
        meet(j, &o, key);
    else if (!was_done(j, &o, key))
        begin(j, &o, key);
    otter_job_order_free(&o);
}

/* A retained job is taken back by an empty message. */
static void take_message(struct otter_job *j, bool settled)
{
    const struct otter_mqtt *mqtt = j->config.mqtt;
    struct otter_mqtt_message m;
    if (!mqtt->next(mqtt->ctx, j->wait_ms, &m)) return;
    if (m.size || m.too_large) handle(j, &m, settled);
    free(m.topic);
}

/* What was written down; power may go before it is forgotten, as a job that comes twice does no harm. */
static void take_next(struct otter_job *j)
{
    const struct otter_device *d = j->update->device;
    take(j);
    char *text = otter_job_load_next(d);
    give(j);
    if (text) handle(j, &(struct otter_mqtt_message){.text = text, .size = strlen(text)}, true);
    free(text);
    take(j);
    otter_job_save_next(d, NULL);
    give(j);
    j->has_next = false;
}

/* ---- steps ---- */

/* A new connection: it may be another broker, or one that has forgotten us. */
static void greet(struct otter_job *j)
{
    const struct otter_mqtt *m = j->config.mqtt;
    unsigned connection = m->connection(m->ctx);
    bool news = connection && connection != j->connection;
    j->connection = connection;
    if (!news) return;
    m->subscribe(m->ctx, j->topic[OTTER_JOB_UPDATE]);
    tell(j);
    if (j->state == OTTER_JOB_URL_EXPIRED) ask_for_url(j);
}

/* No restart is due, and no firmware on trial. */
static bool is_settled(const struct otter_job *j)
{
    const struct otter_device *d = j->update->device;
    take(j);
    bool settled = !d->switched && !d->health.on_trial && !d->health.unread;
    give(j);
    return settled;
}

static void tell_progress(struct otter_job *j)
{
    enum otter_fetch_state state = j->fetch.state;
    if (state == OTTER_FETCH_VERIFYING)
        enter(j, OTTER_JOB_VERIFYING);
    else if (state == OTTER_FETCH_RECEIVING && j->state != OTTER_JOB_DOWNLOADING)
        enter(j, OTTER_JOB_DOWNLOADING);
    else if (j->state == OTTER_JOB_DOWNLOADING && now(j) - j->told >= OTTER_JOB_TELL_MS)
        tell(j);
    else if (state == OTTER_FETCH_WAITING && j->fetch.tries != j->tries)
        tell(j);
    j->tries = j->fetch.tries;
}

static void go_on(struct otter_job *j)
{
    j->wait_ms = OTTER_JOB_IDLE_MS;
    if (!otter_fetch_running(&j->fetch)) return;
    enum otter_err e = otter_fetch_step(&j->fetch, &j->wait_ms);
    if (j->wait_ms > OTTER_JOB_IDLE_MS) j->wait_ms = OTTER_JOB_IDLE_MS;
    if (e == OTTER_URL_EXPIRED)
        enter(j, OTTER_JOB_URL_EXPIRED);
    else if (e == OTTER_AGAIN)
        tell_progress(j);
    else
        finish(j, e);
}

uint32_t otter_job_step(struct otter_job *j)
{
    greet(j);
    bool settled = is_settled(j);
    if (settled && j->state == OTTER_JOB_RESTARTING) confirm(j);
    /* Not before the broker has heard how the one before ended. */
    if (settled && j->has_next && j->connection) take_next(j);
    if (!settled) j->wait_ms = OTTER_JOB_IDLE_MS;
    take_message(j, settled);
    if (settled) go_on(j);
    if (j->state == OTTER_JOB_URL_EXPIRED && now(j) - j->asked >= OTTER_JOB_ASK_MS) ask_for_url(j);
    return 0;
}

/* ---- after a restart ---- */

static void went_back(struct otter_job *j)
{
    struct otter_job_kept *k = &j->kept;
    otter_why(j->update->device, k->why);
    if (!*k->why) snprintf(k->why, sizeof k->why, "it was not started, or not for long");
    j->state = OTTER_JOB_ROLLED_BACK;
    keep(j, j->state, OTTER_OK);
}

/* Power was cut on the way: from where it stood, or, without a URL, when a fresh one comes. */
static void resume(struct otter_job *j)
{
    struct otter_job_kept *k = &j->kept;
    if (++k->starts > OTTER_JOB_STARTS) {
        j->state = OTTER_JOB_FAILED;
        keep(j, j->state, OTTER_ABORTED);
        return;
    }
    otter_job_save(j->update->device, k);
    char *url = otter_job_load_url(j->update->device);
    bool begun = url && start_fetch(j, url) == OTTER_OK;
    free(url);
    j->state = begun ? OTTER_JOB_RECEIVED : OTTER_JOB_URL_EXPIRED;
}

static void recall(struct otter_job *j)
{
    struct otter_job_kept *k = &j->kept;
    char *next = otter_job_load_next(j->update->device);
    j->has_next = next != NULL;
    free(next);
    otter_job_load(j->update->device, k);
    bool moved = j->update->device->running != k->from;
    j->state = (enum otter_job_state)k->state;
    if (k->state == OTTER_JOB_RESTARTING && !moved) went_back(j);
    if (k->state != OTTER_JOB_RECEIVED) return;
    if (moved)
        j->state = OTTER_JOB_RESTARTING;
    else
        resume(j);
}

bool otter_job_init(struct otter_job *j, struct otter_update *u, const struct otter_job_config *config)
{
    const struct otter_mqtt *m = config->mqtt;
    const char *id = u->device->ports.chip->id;
    memset(j, 0, sizeof *j);
    j->update = u;
    j->config = *config;
    for (int i = 0; i < OTTER_JOB_TOPICS; i++)
        if (!otter_job_topic(config->topic ? config->topic : OTTER_JOB_TEMPLATE, id ? id : "", (enum otter_job_topic)i,
                             j->topic[i]))
            return false;
    otter_fetch_init(&j->fetch, u, config->net, config->lock, &config->policy);
    recall(j);
    char *will = otter_job_print(j, &(struct otter_job_report){.state = "offline"});
    bool ok = will && m->start(m->ctx, id, j->topic[OTTER_JOB_STATUS], will);
    free(will);
    return ok;
}
