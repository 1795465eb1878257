/* The way of a file from a URL into the session. Knows HTTP's ranges and the engine's public side; how bytes come over
 * the network is the port's. */
#include "doors/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char etag_ns[] = "ota", etag_key[] = "etag";

static uint32_t now(const struct otter_fetch *f)
{
    const struct otter_clock *clock = f->update->device->ports.clock;
    return clock->now_ms(clock->ctx);
}

static void take(const struct otter_fetch *f) { f->lock->take(f->lock->ctx); }

static void give(const struct otter_fetch *f) { f->lock->give(f->lock->ctx); }

static uint32_t or_default(uint32_t value, uint32_t otherwise) { return value ? value : otherwise; }

/* Devices that lost power together must not come back together. */
static uint32_t random_start(const struct otter_device *d)
{
    uint32_t h = 2166136261u ^ d->ports.clock->now_ms(d->ports.clock->ctx);
    for (const char *p = d->ports.chip->id; p && *p; p++) h = (h ^ (uint8_t)*p) * 16777619u;
    return h;
}

void otter_fetch_init(struct otter_fetch *f, struct otter_update *u, const struct otter_net *net,
                      const struct otter_lock *lock, const struct otter_fetch_policy *policy)
{
    memset(f, 0, sizeof *f);
    f->update = u;
    f->net = net;
    f->lock = lock;
    if (policy) f->policy = *policy;
    f->policy.timeout_ms = or_default(f->policy.timeout_ms, 15000);
    f->policy.deadline_ms = or_default(f->policy.deadline_ms, 3600000);
    f->policy.pause_ms = or_default(f->policy.pause_ms, 1000);
    f->policy.pause_most = or_default(f->policy.pause_most, 60000);
    f->random = random_start(u->device);
}

/* ---- which URL ---- */

enum otter_err otter_fetch_allowed(const struct otter_device *d, const struct otter_fetch_policy *policy,
                                   const char *from, const char *url)
{
    struct otter_url to, base;
    if (!otter_url_read(url, &to)) return OTTER_URL;
    if (to.https) return OTTER_OK;
    if (from && otter_url_read(from, &base) && base.https) return OTTER_INSECURE;
    if (otter_url_loopback(&to)) return OTTER_OK;
    return policy->allow_http && d->signing.required ? OTTER_OK : OTTER_INSECURE;
}

static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;
    char *own = malloc(n);
    return own ? memcpy(own, text, n) : NULL;
}

static enum otter_err take_url(struct otter_fetch *f, const char *url)
{
    enum otter_err e = otter_fetch_allowed(f->update->device, &f->policy, NULL, url);
    if (e) return e;
    char *own = copy(url);
    if (!own) return OTTER_MEMORY;
    free(f->url);
    free(f->hop);
    f->url = own;
    f->hop = NULL;
    f->hops = 0;
    return OTTER_OK;
}

enum otter_err otter_fetch_start(struct otter_fetch *f, const struct otter_fetch_wish *wish)
{
    if (otter_fetch_running(f)) return OTTER_BUSY;
    if (wish->version && strlen(wish->version) >= sizeof f->version) return OTTER_ARG;
    enum otter_err e = take_url(f, wish->url);
    if (e) return e;
    f->piece = malloc(OTTER_FETCH_PIECE + 1);
    if (!f->piece) return OTTER_MEMORY;
    snprintf(f->version, sizeof f->version, "%s", wish->version ? wish->version : "");
    f->offer = (struct otter_offer){.door = wish->door,
                                    .size = wish->size,
                                    .has_sha256 = wish->has_sha256,
                                    .version = wish->version ? f->version : NULL,
                                    .any_project = wish->any_project,
                                    .again = wish->again,
                                    .automatic = wish->automatic,
                                    .data_may_go = wish->data_may_go};
    memcpy(f->offer.sha256, wish->sha256, sizeof f->offer.sha256);
    f->size_told = wish->size != 0;
    f->etag[0] = '\0';
    f->session = f->tries = 0;
    f->wasted = 0;
    f->status = 0;
    f->fetched = 0;
    f->pause = 0;
    f->since = now(f);
    f->err = OTTER_OK;
    f->open = f->cancelled = f->restart = false;
    f->state = OTTER_FETCH_CONNECTING;
    return OTTER_OK;
}

enum otter_err otter_fetch_set_url(struct otter_fetch *f, const char *url)
{
    if (f->state != OTTER_FETCH_EXPIRED) return OTTER_STATE;
    enum otter_err e = take_url(f, url);
    if (!e) f->state = OTTER_FETCH_CONNECTING;
    return e;
}

void otter_fetch_cancel(struct otter_fetch *f) { f->cancelled = otter_fetch_running(f); }

bool otter_fetch_running(const struct otter_fetch *f)
{
    return f->state != OTTER_FETCH_IDLE && f->state != OTTER_FETCH_ENDED;
}

/* ---- the session; all with the lock held ---- */

/* While nothing came, the engine may have ended it, and another door opened its own. */
static bool is_ours(const struct otter_fetch *f)
{
    const struct otter_session *s = f->update->session;
    return f->session && s && f->update->opened == f->session && s->err != OTTER_IDLE;
}

static void close_session(struct otter_fetch *f)
{
    if (f->session && f->update->opened == f->session) otter_update_close(f->update);
    f->session = 0;
}

/* The ETag under which the bytes of a cut update came goes with the record, so that a restart does not forget it. */
static void remember_etag(const struct otter_fetch *f)
{
    const struct otter_settings *s = f->update->device->ports.settings;
    if (!s || !f->offer.has_sha256) return;
    if (f->etag[0])
        s->set(s->ctx, etag_ns, etag_key, OTTER_SETTING_STRING, f->etag, strlen(f->etag) + 1);
    else
        s->erase(s->ctx, etag_ns, etag_key);
}

static void recall_etag(struct otter_fetch *f)
{
    const struct otter_settings *s = f->update->device->ports.settings;
    size_t size = sizeof f->etag;
    if (!s || s->get(s->ctx, etag_ns, etag_key, OTTER_SETTING_STRING, f->etag, &size) || size > sizeof f->etag)
        size = 0;
    f->etag[size ? size - 1 : 0] = '\0';
}

/* The first byte that is to be asked for. */
static uint32_t first_byte(struct otter_fetch *f)
{
    if (is_ours(f)) return f->etag[0] || f->offer.has_sha256 ? otter_want(f->update->session) : 0;
    uint32_t from = f->offer.size ? otter_resume_offset(f->update->device, &f->offer) : 0;
    if (from && !f->session) recall_etag(f);
    return from;
}

/* Is what the last session wrote given up? */
static bool wastes(const struct otter_fetch *f)
{
    const struct otter_session *s = f->update->session;
    return f->session && f->update->opened == f->session && s && s->accepted;
}

static enum otter_err begin(struct otter_fetch *f, uint32_t from)
{
    if (from && is_ours(f) && otter_want(f->update->session) == from) return OTTER_OK;
    if (!from && wastes(f) && ++f->wasted == OTTER_FETCH_ANEW) return OTTER_UNREACHABLE;
    close_session(f);
    f->offer.offset = from;
    enum otter_err e = otter_update_open(f->update, &f->offer);
    if (e) return e;
    f->session = f->update->opened;
    if (!from) remember_etag(f);
    return OTTER_OK;
}

/* ---- how it goes on ---- */

static void enter(struct otter_fetch *f, enum otter_fetch_state state, enum otter_err err)
{
    take(f);
    f->state = state;
    f->err = err;
    give(f);
}

static void close_net(struct otter_fetch *f)
{
    if (f->open) f->net->close(f->net->ctx);
    f->open = false;
}

static enum otter_err end(struct otter_fetch *f, enum otter_err err)
{
    close_net(f);
    take(f);
    close_session(f);
    free(f->url);
    free(f->hop);
    free(f->piece);
    f->url = f->hop = NULL;
    f->piece = NULL;
    f->state = OTTER_FETCH_ENDED;
    f->err = err;
    give(f);
    return err;
}

static enum otter_err try_later(struct otter_fetch *f, enum otter_err why)
{
    close_net(f);
    f->pause = f->pause ? f->pause * 2 : f->policy.pause_ms;
    if (f->pause > f->policy.pause_most) f->pause = f->policy.pause_most;
    f->random = f->random * 1664525u + 1013904223u;
    f->due = now(f) + f->pause / 2 + (f->random >> 8) % (f->pause + 1);
    enter(f, OTTER_FETCH_WAITING, why);
    return OTTER_AGAIN;
}

/* From the URL that was given: what it redirected to may be valid for a while only. */
static enum otter_err connect_anew(struct otter_fetch *f)
{
    close_net(f);
    take(f);
    free(f->hop);
    f->hop = NULL;
    f->hops = 0;
    f->state = OTTER_FETCH_CONNECTING;
    give(f);
    return OTTER_AGAIN;
}

static enum otter_err wait_for_url(struct otter_fetch *f)
{
    close_net(f);
    enter(f, OTTER_FETCH_EXPIRED, OTTER_URL_EXPIRED);
    return OTTER_URL_EXPIRED;
}

/* What another try may mend. */
static bool may_pass(enum otter_err e)
{
    return e == OTTER_UNREACHABLE || e == OTTER_NET_TIMEOUT || e == OTTER_SERVER || e == OTTER_IDLE;
}

/* ---- the reply's head ---- */

static enum otter_err redirect(struct otter_fetch *f)
{
    const char *location = (const char *)f->piece, *base = f->hop ? f->hop : f->url;
    if (++f->hops > OTTER_FETCH_HOPS) return end(f, OTTER_REDIRECTS);
    char *next = malloc(OTTER_URL_MAX + 1);
    if (!next) return end(f, OTTER_MEMORY);
    bool good = *location && otter_url_resolve(base, location, next);
    enum otter_err e = good ? otter_fetch_allowed(f->update->device, &f->policy, base, next) : OTTER_REPLY;
    close_net(f);
    take(f);
    free(f->hop);
    /* As long as it is, and not longer. */
    f->hop = e ? NULL : copy(next);
    give(f);
    free(next);
    if (!e && !f->hop) e = OTTER_MEMORY;
    return e ? end(f, e) : OTTER_AGAIN;
}

/* The bytes that follow do not belong to those in flash: they are asked for from the start. */
static enum otter_err start_over(struct otter_fetch *f)
{
    take(f);
    f->etag[0] = '\0';
    if (!f->size_told) f->offer.size = 0;
    f->restart = true;
    give(f);
    return connect_anew(f);
}

/* The same file as before, from the byte that was asked for? */
static bool goes_on(const struct otter_fetch *f, const struct otter_net_reply *r, uint32_t from)
{
    bool same = !f->etag[0] || strcmp(f->etag, r->etag) == 0;
    return same && r->has_range && r->first == from && r->size == f->offer.size && r->last + 1 == r->size &&
           (!r->has_length || r->length == r->size - r->first);
}

/* If-Range takes strong ETags only. */
static void note_etag(struct otter_fetch *f, const struct otter_net_reply *r)
{
    bool strong = r->etag[0] == '"';
    snprintf(f->etag, sizeof f->etag, "%s", strong ? r->etag : "");
}

static enum otter_err check_whole(struct otter_fetch *f, const struct otter_net_reply *r)
{
    if (r->packed) return OTTER_REPLY;
    if (!r->has_length) return OTTER_OK;
    if (r->length == 0) return OTTER_EMPTY;
    if (r->length > UINT32_MAX) return OTTER_TOO_BIG;
    if (f->size_told && r->length != f->offer.size) return OTTER_SIZE;
    f->offer.size = (uint32_t)r->length;
    return OTTER_OK;
}

/* With a hash from the door, a file that was cut before may be gone on with as soon as its size is known. */
static bool could_resume(struct otter_fetch *f)
{
    return !f->restart && !is_ours(f) && otter_resume_offset(f->update->device, &f->offer) > 0;
}

static enum otter_err accept(struct otter_fetch *f, const struct otter_net_reply *r, uint32_t from)
{
    if (r->status == 206 && (!from || !goes_on(f, r, from))) return from ? start_over(f) : end(f, OTTER_REPLY);
    take(f);
    enum otter_err e = r->status == 206 ? OTTER_OK : check_whole(f, r);
    bool again = !e && r->status == 200 && !from && could_resume(f);
    if (!again && !e) {
        if (r->status == 200) note_etag(f, r);
        e = begin(f, r->status == 200 ? 0 : from);
        f->restart = false;
    }
    give(f);
    if (again) return connect_anew(f);
    /* What cannot be gone on with is begun anew: the engine has forgotten it. */
    if (e && from && r->status == 206 && e != OTTER_BUSY) return start_over(f);
    if (e) return end(f, e);
    f->heard = now(f);
    f->brought = 0;
    enter(f, OTTER_FETCH_RECEIVING, OTTER_OK);
    return OTTER_AGAIN;
}

bool otter_fetch_redirects(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool busy_server(int status) { return status >= 500 || status == 408 || status == 425 || status == 429; }

static enum otter_err judge(struct otter_fetch *f, const struct otter_net_reply *r, uint32_t from)
{
    if (otter_fetch_redirects(r->status)) return redirect(f);
    if (r->status == 200 || r->status == 206) return accept(f, r, from);
    if (r->status == 403 || r->status == 410) return wait_for_url(f);
    if (r->status == 416 && from) return start_over(f);
    return busy_server(r->status) ? try_later(f, OTTER_SERVER) : end(f, OTTER_SERVER);
}

static bool is_cancelled(void *ctx)
{
    const struct otter_fetch *f = ctx;
    take(f);
    bool is = f->cancelled;
    give(f);
    return is;
}

static enum otter_err connect_now(struct otter_fetch *f)
{
    struct otter_net_reply reply = {0};
    take(f);
    uint32_t from = f->restart ? 0 : first_byte(f);
    struct otter_net_request request = {.url = f->hop ? f->hop : f->url,
                                        .from = from,
                                        .if_range = from && f->etag[0] ? f->etag : NULL,
                                        .timeout_ms = f->policy.timeout_ms,
                                        .stop = is_cancelled,
                                        .stop_ctx = f,
                                        .location = (char *)f->piece,
                                        .location_size = OTTER_FETCH_PIECE + 1};
    f->tries++;
    give(f);
    f->piece[0] = '\0';
    f->open = true;
    enum otter_err e = f->net->open(f->net->ctx, &request, &reply);
    take(f);
    f->status = e ? 0 : reply.status;
    f->packed = !e && reply.packed;
    give(f);
    if (e) return may_pass(e) ? try_later(f, e) : end(f, e);
    return judge(f, &reply, from);
}

/* ---- the body ---- */

/* All that was announced has come, or nobody knows how much was. */
static enum otter_err body_ended(struct otter_fetch *f)
{
    take(f);
    bool ours = is_ours(f);
    bool whole = ours && (!f->offer.size || otter_want(f->update->session) == f->offer.size);
    give(f);
    if (!whole) return try_later(f, OTTER_UNREACHABLE);
    close_net(f);
    enter(f, OTTER_FETCH_VERIFYING, OTTER_OK);
    return OTTER_AGAIN;
}

static enum otter_err feed(struct otter_fetch *f, size_t n)
{
    take(f);
    enum otter_err e = is_ours(f) ? otter_feed(f->update->session, f->piece, n) : OTTER_IDLE;
    if (!e) f->fetched += n;
    f->brought += n;
    give(f);
    if (e == OTTER_IDLE) return try_later(f, e);
    if (e) return end(f, e);
    f->heard = now(f);
    /* It works again, the next cut is a new one; but not if each connection brings a few bytes only. */
    if (f->brought >= OTTER_FETCH_PIECE) f->pause = 0;
    return OTTER_AGAIN;
}

static enum otter_err receive(struct otter_fetch *f)
{
    size_t n = 0;
    enum otter_err e = f->net->read(f->net->ctx, f->piece, OTTER_FETCH_PIECE, &n);
    if (!e) return n ? feed(f, n) : body_ended(f);
    if (e == OTTER_AGAIN) return now(f) - f->heard < f->policy.timeout_ms ? e : try_later(f, OTTER_NET_TIMEOUT);
    return may_pass(e) ? try_later(f, e) : end(f, e);
}

static enum otter_err verify(struct otter_fetch *f)
{
    take(f);
    enum otter_err e = is_ours(f) ? otter_finish(f->update->session) : OTTER_IDLE;
    give(f);
    return e == OTTER_AGAIN ? e : end(f, e);
}

/* ---- waiting ---- */

/* What could not be gone on with after the engine has ended it is kept from ending, as long as there is hope. */
static void keep_session(struct otter_fetch *f)
{
    take(f);
    if (is_ours(f) && !f->offer.has_sha256) otter_feed(f->update->session, f->piece, 0);
    give(f);
}

static enum otter_err wait(struct otter_fetch *f, uint32_t *wait_ms)
{
    int32_t left = (int32_t)(f->due - now(f));
    keep_session(f);
    if (left <= 0) return connect_anew(f);
    *wait_ms = left < OTTER_NET_READ_MS ? (uint32_t)left : OTTER_NET_READ_MS;
    return OTTER_AGAIN;
}

enum otter_err otter_fetch_step(struct otter_fetch *f, uint32_t *wait_ms)
{
    *wait_ms = 0;
    take(f);
    enum otter_fetch_state state = f->state;
    bool cancelled = f->cancelled;
    give(f);
    if (state == OTTER_FETCH_IDLE || state == OTTER_FETCH_ENDED) return f->err;
    if (cancelled) return end(f, OTTER_CANCELLED);
    if (state != OTTER_FETCH_VERIFYING && now(f) - f->since >= f->policy.deadline_ms) return end(f, OTTER_DEADLINE);
    switch (state) {
    case OTTER_FETCH_CONNECTING: return connect_now(f);
    case OTTER_FETCH_RECEIVING: return receive(f);
    case OTTER_FETCH_VERIFYING: return verify(f);
    case OTTER_FETCH_WAITING: return wait(f, wait_ms);
    case OTTER_FETCH_EXPIRED:
        *wait_ms = OTTER_NET_READ_MS;
        keep_session(f);
        return OTTER_URL_EXPIRED;
    case OTTER_FETCH_IDLE:
    case OTTER_FETCH_ENDED: break;
    }
    return OTTER_STATE;
}

enum otter_err otter_fetch_give_up(struct otter_fetch *f)
{
    uint32_t wait_ms;
    take(f);
    otter_fetch_cancel(f);
    give(f);
    return otter_fetch_step(f, &wait_ms);
}

/* ---- words ---- */

const char *otter_fetch_state_name(enum otter_fetch_state state)
{
    static const char *const names[] = {"idle",        "connecting", "receiving", "waiting",
                                        "url_expired", "verifying",  "ended"};
    return names[state];
}

void otter_fetch_words(const struct otter_fetch *f, char *buf)
{
    otter_update_words(f->update, f->err, buf);
    size_t n = strlen(buf);
    if (f->err == OTTER_SERVER || f->err == OTTER_URL_EXPIRED)
        snprintf(buf + n, OTTER_UPDATE_WORDS - n, " Its status: %d.", f->status);
    if (f->err == OTTER_REPLY && f->packed)
        snprintf(buf + n, OTTER_UPDATE_WORDS - n, " It is packed (Content-Encoding): let the server send it as it is.");
}
