/* The channel door: what is looked for, when, and whether it is taken. Knows releases and versions; how bytes come is
 * the fetch's and the port's. */
#include "doors/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/push.h"
#include "format/version.h"

enum { PULL_COUNT = 0xFF, PULL_OLDER = 0x100, PULL_AUTOMATIC = 0x200, RESUME_MS = 2000, RESUME_MOST_MS = 60000 };

static const char ns[] = "ota";

static uint32_t now(const struct otter_channel *c)
{
    const struct otter_clock *clock = c->update->device->ports.clock;
    return clock->now_ms(clock->ctx);
}

static void take(const struct otter_channel *c) { c->config.lock->take(c->config.lock->ctx); }

static void give(const struct otter_channel *c) { c->config.lock->give(c->config.lock->ctx); }

/* ---- settings ---- */

static uint32_t get_u32(const struct otter_channel *c, const char *key)
{
    const struct otter_settings *s = c->update->device->ports.settings;
    uint32_t value = 0;
    size_t size = sizeof value;
    if (!s || s->get(s->ctx, ns, key, OTTER_SETTING_U32, &value, &size) || size != sizeof value) return 0;
    return value;
}

/* 0 is not kept. */
static bool set_u32(const struct otter_channel *c, const char *key, uint32_t value)
{
    const struct otter_settings *s = c->update->device->ports.settings;
    if (!s) return false;
    return value ? s->set(s->ctx, ns, key, OTTER_SETTING_U32, &value, sizeof value) == 0
                 : s->erase(s->ctx, ns, key) == 0;
}

static void get_text(const struct otter_channel *c, const char *key, char *out, size_t size)
{
    const struct otter_settings *s = c->update->device->ports.settings;
    size_t got = size;
    if (!s || s->get(s->ctx, ns, key, OTTER_SETTING_STRING, out, &got) || got > size) got = 0;
    out[got ? got - 1 : 0] = '\0';
}

/* Nor is "". */
static bool set_text(const struct otter_channel *c, const char *key, const char *text)
{
    const struct otter_settings *s = c->update->device->ports.settings;
    if (!s) return false;
    return *text ? s->set(s->ctx, ns, key, OTTER_SETTING_STRING, text, strlen(text) + 1) == 0
                 : s->erase(s->ctx, ns, key) == 0;
}

/* "": none. */
static void note_left(struct otter_channel *c, const char *name)
{
    if (strcmp(c->left, name) == 0) return;
    snprintf(c->left, sizeof c->left, "%s", name);
    set_text(c, "left", name);
}

/* ---- an update that outlives a restart ---- */

static void remember_pull(struct otter_channel *c, bool older)
{
    if (c->resume) return;
    uint32_t pulls = (older ? PULL_OLDER : 0u) | (c->automatic ? PULL_AUTOMATIC : 0u);
    set_u32(c, "pulls", pulls);
    set_text(c, "pull", c->find.release.version);
}

static void forget_pull(struct otter_channel *c)
{
    set_text(c, "pull", "");
    set_u32(c, "pulls", 0);
    c->resume = false;
}

/* No update is wanted any more. */
static void drop_wish(struct otter_channel *c)
{
    c->take = c->automatic = false;
    c->pause = 0;
    forget_pull(c);
}

static void recall_pull(struct otter_channel *c)
{
    char version[OTTER_VERSION_MAX + 1];
    uint32_t pulls = get_u32(c, "pulls");
    get_text(c, "pull", version, sizeof version);
    if (!version[0]) return;
    bool runs = strcmp(version, c->update->device->running_image.desc.version) == 0;
    if (runs || (pulls & PULL_COUNT) >= OTTER_CHANNEL_STARTS || !c->board.count) {
        forget_pull(c);
        return;
    }
    set_u32(c, "pulls", pulls + 1);
    c->resume = c->take = true;
    c->older = pulls & PULL_OLDER;
    c->automatic = pulls & PULL_AUTOMATIC;
}

/* ---- channels ---- */

const char *otter_channel_name(const struct otter_channel *c)
{
    return c->board.count ? c->board.channel[c->selected].name : NULL;
}

/* First is the default; a selected one that is no more falls back to it. */
static void find_selected(struct otter_channel *c)
{
    char name[OTTER_CHANNEL_NAME_BYTES + 1];
    get_text(c, "channel", name, sizeof name);
    c->selected = 0;
    c->vanished[0] = '\0';
    if (!name[0]) return;
    for (unsigned i = 0; i < c->board.count; i++)
        if (strcmp(c->board.channel[i].name, name) == 0) {
            c->selected = i;
            return;
        }
    if (!c->board.count) return;
    memcpy(c->vanished, name, sizeof name);
    /* Nobody asked for the one that is fallen back to. */
    note_left(c, "");
}

static void forget_find(struct otter_channel *c)
{
    otter_release_free(&c->find.release);
    memset(&c->find, 0, sizeof c->find);
    c->refused = false;
    c->era++;
}

static bool is_same(const struct otter_release *a, const struct otter_release *b)
{
    return strcmp(a->version, b->version) == 0 && a->has_sha256 == b->has_sha256 &&
           memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0 && a->url && b->url && strcmp(a->url, b->url) == 0;
}

/* Takes release over. */
static void replace_find(struct otter_channel *c, const struct otter_release *release, const char *etag)
{
    c->refused = c->refused && is_same(&c->find.release, release);
    otter_release_free(&c->find.release);
    c->find.release = *release;
    snprintf(c->find.etag, sizeof c->find.etag, "%s", etag);
}

/* An update is under way, or the check that it begins with. One that only waits to be gone on with is not. */
static bool updates(const struct otter_channel *c)
{
    return c->state == OTTER_CHANNEL_UPDATING || (c->take && !c->resume);
}

static void give_way(struct otter_channel *c)
{
    if (c->resume) drop_wish(c);
}

enum otter_err otter_channel_select(struct otter_channel *c, const char *name)
{
    unsigned i = 0;
    while (i < c->board.count && strcmp(c->board.channel[i].name, name) != 0) i++;
    if (i == c->board.count) return OTTER_NO_CHANNEL;
    if (updates(c)) return OTTER_BUSY;
    unsigned before = c->selected;
    if (!set_text(c, "channel", name)) return OTTER_SETTINGS;
    c->selected = i;
    c->vanished[0] = '\0';
    if (i == before) return OTTER_OK;
    give_way(c);
    if (strcmp(name, c->left) == 0)
        note_left(c, "");
    else if (!c->left[0])
        note_left(c, c->board.channel[before].name);
    forget_find(c);
    return OTTER_OK;
}

enum otter_err otter_channel_set_board(struct otter_channel *c, struct otter_board *b)
{
    if (updates(c)) return OTTER_BUSY;
    enum otter_err e = otter_board_save(c->update->device, b);
    if (e) return e;
    give_way(c);
    otter_board_free(&c->board);
    c->board = *b;
    memset(b, 0, sizeof *b);
    find_selected(c);
    forget_find(c);
    return OTTER_OK;
}

/* ---- when ---- */

static uint32_t random_below(struct otter_channel *c, uint32_t n)
{
    c->random = c->random * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)c->random * (n + 1ull) >> 32);
}

/* Nine to eleven tenths of the interval, so that devices do not come all at once. */
static void plan_check(struct otter_channel *c, uint32_t part)
{
    uint32_t ms = c->interval_ms / part;
    c->due = now(c) + ms - ms / 10 + random_below(c, ms / 5);
}

/* A setting in seconds as milliseconds. */
static uint32_t seconds(const struct otter_channel *c, const char *key, uint32_t otherwise)
{
    uint32_t s = get_u32(c, key);
    if (s > OTTER_CHANNEL_INTERVAL_MAX) s = OTTER_CHANNEL_INTERVAL_MAX;
    return s ? s * 1000 : otherwise;
}

void otter_channel_init(struct otter_channel *c, struct otter_update *u, const struct otter_channel_config *config)
{
    memset(c, 0, sizeof *c);
    c->update = u;
    c->config = *config;
    if (get_u32(c, "http")) c->config.policy.allow_http = true;
    c->config.policy.timeout_ms = seconds(c, "timeout", c->config.policy.timeout_ms);
    c->config.policy.deadline_ms = seconds(c, "deadline", c->config.policy.deadline_ms);
    otter_fetch_init(&c->fetch, u, config->net, config->lock, &c->config.policy);
    c->random = c->fetch.random;
    otter_board_load(u->device, &c->board);
    if (!c->board.count && config->built_in) {
        c->board = *config->built_in;
        memset(config->built_in, 0, sizeof *config->built_in);
    }
    get_text(c, "left", c->left, sizeof c->left);
    find_selected(c);
    uint32_t interval = get_u32(c, "interval");
    if (interval && interval < OTTER_CHANNEL_INTERVAL_MIN) interval = OTTER_CHANNEL_INTERVAL_MIN;
    if (interval > OTTER_CHANNEL_INTERVAL_MAX) interval = OTTER_CHANNEL_INTERVAL_MAX;
    c->interval_ms = interval * 1000;
    plan_check(c, 10);
    recall_pull(c);
}

enum otter_err otter_channel_check(struct otter_channel *c)
{
    if (!c->board.count) return OTTER_NO_CHANNEL;
    if (c->state == OTTER_CHANNEL_UPDATING || c->update->device->switched) return OTTER_BUSY;
    c->check = true;
    return OTTER_OK;
}

enum otter_err otter_channel_update(struct otter_channel *c, bool older)
{
    if (!c->board.count) return OTTER_NO_CHANNEL;
    if (updates(c) || c->update->device->switched) return OTTER_BUSY;
    give_way(c);
    c->take = true;
    c->older = older;
    /* What was cancelled was something else. */
    c->cancelled = false;
    return OTTER_OK;
}

void otter_channel_cancel(struct otter_channel *c)
{
    c->cancelled = c->take || c->state != OTTER_CHANNEL_IDLE;
    otter_fetch_cancel(&c->fetch);
}

/* ---- a check ---- */

/* May it be older than what runs? */
static bool older_too(const struct otter_channel *c) { return c->left[0] || (c->take && c->older); }

/* Is it to be taken? Where a person has a say, versions that have no order count as asked for. */
static enum otter_verdict judge(const struct otter_channel *c, const struct otter_release *r)
{
    bool older = older_too(c);
    const char *runs = c->update->device->running_image.desc.version;
    size_t n = strlen(runs);
    enum otter_order order = otter_version_order(r->version, strlen(r->version), runs, n);
    if (strcmp(r->version, runs) == 0) return OTTER_VERDICT_CURRENT;
    if (!older && order == OTTER_SAME) return OTTER_VERDICT_CURRENT;
    if (!older && (order == OTTER_OLDER || (order == OTTER_UNORDERED && c->automatic))) return OTTER_VERDICT_OLDER;
    if (r->needs_cable) return OTTER_VERDICT_CABLE;
    if (r->min_version[0]) {
        order = otter_version_order(runs, n, r->min_version, strlen(r->min_version));
        if (order == OTTER_OLDER || order == OTTER_UNORDERED) return OTTER_VERDICT_TOO_FAR;
    }
    return OTTER_VERDICT_UPDATE;
}

static enum otter_err err_of(enum otter_verdict verdict)
{
    switch (verdict) {
    case OTTER_VERDICT_CURRENT: return OTTER_ALREADY_CURRENT;
    case OTTER_VERDICT_OLDER: return OTTER_OLDER_VERSION;
    case OTTER_VERDICT_CABLE: return OTTER_NEEDS_CABLE;
    case OTTER_VERDICT_TOO_FAR: return OTTER_TOO_FAR;
    case OTTER_VERDICT_UPDATE:
    case OTTER_VERDICT_NONE: break;
    }
    return OTTER_OK;
}

static enum otter_err read_release(const struct otter_channel *c, const struct otter_channel_get *g,
                                   struct otter_release *out, const char **why)
{
    const struct otter_device *d = c->update->device;
    struct otter_descriptor_reader reader = {
        .url = g->end, .chip = d->ports.chip->info->name, .app = {d->slots.factory.offset, d->slots.ota[0].offset}};
    enum otter_err e = otter_descriptor_read(&reader, g->text, g->size, out);
    *why = reader.why;
    if (e || !out->url) return e;
    /* What settings allow, a descriptor may name; it is no redirect. */
    bool allows = c->fetch.policy.allow_http && d->signing.required;
    e = otter_fetch_allowed(d, &c->fetch.policy, allows ? NULL : g->end, out->url);
    if (e) otter_release_free(out);
    return e;
}

static void put_words(struct otter_channel_find *f, const struct otter_channel_get *g, const char *why)
{
    int n = snprintf(f->words, sizeof f->words, "%s", otter_err_text(f->err));
    size_t room = sizeof f->words - (size_t)n;
    if (why) snprintf(f->words + n, room, " Here: %s.", why);
    if (f->err == OTTER_SERVER) snprintf(f->words + n, room, " Its status: %d.", g->status);
}

/* Looks, without the lock; what was found goes into c->find. */
static enum otter_err look(struct otter_channel *c)
{
    char etag[OTTER_ETAG_MAX + 1], url[OTTER_CHANNEL_PATH + 1];
    struct otter_release release = {0};
    const char *why = NULL;
    take(c);
    unsigned era = c->era;
    c->state = OTTER_CHANNEL_CHECKING;
    snprintf(url, sizeof url, "%s", c->board.channel[c->selected].path);
    snprintf(etag, sizeof etag, "%s", c->find.etag);
    give(c);
    struct otter_channel_get g = {.url = url};
    enum otter_err e = otter_fetch_allowed(c->update->device, &c->fetch.policy, NULL, url);
    if (!e) e = otter_channel_get(c, &g, etag);
    bool news = !e && g.text;
    if (news) e = read_release(c, &g, &release, &why);
    if (!why) why = g.why;
    take(c);
    if (era != c->era) {
        /* Who waits for a check is told of the channel that is selected now. */
        e = OTTER_CANCELLED;
        otter_release_free(&release);
        c->check = true;
    } else {
        c->checks++;
        if (news || e == OTTER_DESCRIPTOR) replace_find(c, &release, e ? "" : etag);
        c->find.err = e;
        put_words(&c->find, &g, why);
        c->find.verdict = e ? OTTER_VERDICT_NONE : judge(c, &c->find.release);
        if (c->find.verdict == OTTER_VERDICT_CURRENT) note_left(c, "");
    }
    c->state = OTTER_CHANNEL_IDLE;
    give(c);
    otter_channel_got(&g);
    return e;
}

/* ---- an update ---- */

/* With the lock held. */
static void rest(struct otter_channel *c)
{
    c->state = OTTER_CHANNEL_IDLE;
    c->cancelled = false;
    plan_check(c, 1);
    drop_wish(c);
}

/* With the lock held. */
static void over(struct otter_channel *c, enum otter_err err, bool at_check, const char *words)
{
    c->err = err;
    c->at_check = at_check;
    snprintf(c->words, sizeof c->words, "%s", words);
    c->updates++;
    rest(c);
}

static enum otter_err start_fetch(struct otter_channel *c)
{
    const struct otter_release *r = &c->find.release;
    struct otter_fetch_wish wish = {.door = "channel",
                                    .url = r->url,
                                    .version = r->version,
                                    .size = r->size,
                                    .has_sha256 = r->has_sha256,
                                    .automatic = c->automatic};
    memcpy(wish.sha256, r->sha256, sizeof wish.sha256);
    return otter_fetch_start(&c->fetch, &wish);
}

/* An update that a restart cut off is gone on with only if the channel still offers it. */
static bool offers_pull(const struct otter_channel *c)
{
    char version[OTTER_VERSION_MAX + 1];
    get_text(c, "pull", version, sizeof version);
    return strcmp(version, c->find.release.version) == 0;
}

/* Nobody waits for it: a network that is not there yet may come. */
static bool later(struct otter_channel *c, enum otter_err e)
{
    if (!c->resume || c->cancelled || (e != OTTER_UNREACHABLE && e != OTTER_NET_TIMEOUT && e != OTTER_SERVER))
        return false;
    c->pause = c->pause ? c->pause * 2 : RESUME_MS;
    if (c->pause > RESUME_MOST_MS) c->pause = RESUME_MOST_MS;
    c->due = now(c) + c->pause / 2 + random_below(c, c->pause);
    return now(c) < c->fetch.policy.deadline_ms;
}

/* What a check that went well leads to. OTTER_OK: the release is to be taken. */
static enum otter_err decide(const struct otter_channel *c)
{
    return c->resume && !offers_pull(c) ? OTTER_CANCELLED : err_of(c->find.verdict);
}

/* Behind the check, with the lock held. */
static void take_or_end(struct otter_channel *c, enum otter_err e)
{
    /* By itself, what is not there to be taken is no update that has failed; the check's own error says enough. */
    bool asked = !c->automatic || c->cancelled;
    if (c->cancelled) e = OTTER_CANCELLED;
    if (!e) e = decide(c);
    bool at_check = e != OTTER_OK;
    if (!asked && (e || c->refused)) {
        rest(c);
        return;
    }
    if (!e) e = start_fetch(c);
    if (e) {
        over(c, e, at_check, c->find.err == e ? c->find.words : otter_err_text(e));
        return;
    }
    remember_pull(c, older_too(c));
    c->state = OTTER_CHANNEL_UPDATING;
}

static void begin_update(struct otter_channel *c)
{
    take(c);
    bool cancelled = c->cancelled;
    give(c);
    enum otter_err e = cancelled ? OTTER_CANCELLED : look(c);
    take(c);
    /* It may have given way to something else meanwhile. */
    if (c->take && !later(c, e)) take_or_end(c, e);
    give(c);
}

/* Nobody brings a channel a fresh URL. */
static enum otter_err give_up(struct otter_channel *c)
{
    otter_fetch_give_up(&c->fetch);
    take(c);
    c->fetch.err = OTTER_SERVER;
    give(c);
    return OTTER_SERVER;
}

/* Will the same release not do better? It is bad itself (the errors about images), or somebody did not want it. */
static bool is_hopeless(enum otter_err e) { return (e <= OTTER_EMPTY && e >= OTTER_BANNED) || e == OTTER_CANCELLED; }

static uint32_t go_on(struct otter_channel *c)
{
    char words[OTTER_UPDATE_WORDS];
    uint32_t wait_ms;
    enum otter_err e = otter_fetch_step(&c->fetch, &wait_ms);
    if (e == OTTER_AGAIN) return wait_ms;
    if (e == OTTER_URL_EXPIRED) e = give_up(c);
    take(c);
    otter_fetch_words(&c->fetch, words);
    c->refused = is_hopeless(e);
    if (!e || e == OTTER_ALREADY_CURRENT) note_left(c, "");
    over(c, e, false, words);
    const struct otter_chip *chip = c->update->device->ports.chip;
    if (!e) chip->reboot(chip->ctx, OTTER_RESTART_MS);
    give(c);
    return 0;
}

/* ---- steps ---- */

static bool is_due(const struct otter_channel *c) { return (int32_t)(c->due - now(c)) <= 0; }

/* With the lock held. */
static void plan(struct otter_channel *c)
{
    if (c->take || !c->interval_ms || !c->board.count || !is_due(c)) return;
    plan_check(c, 1);
    if (c->update->device->switched) return;
    c->check = true;
    c->automatic = c->take = get_u32(c, "auto") != 0;
    c->older = false;
}

uint32_t otter_channel_step(struct otter_channel *c)
{
    if (c->state == OTTER_CHANNEL_UPDATING) return go_on(c);
    take(c);
    plan(c);
    bool takes = c->take && (!c->pause || c->cancelled || is_due(c)), checks = c->check && c->board.count;
    if (takes || checks) c->check = false;
    if (!takes) c->cancelled = false;
    give(c);
    if (takes)
        begin_update(c);
    else if (checks)
        look(c);
    return takes || checks ? 0 : OTTER_CHANNEL_IDLE_MS;
}

/* ---- names ---- */

const char *otter_channel_state_name(const struct otter_channel *c)
{
    if (c->state == OTTER_CHANNEL_UPDATING) return otter_fetch_state_name(c->fetch.state);
    if (c->state == OTTER_CHANNEL_CHECKING || c->check) return "checking";
    return c->resume && c->pause ? "waiting" : "idle";
}

const char *otter_verdict_name(enum otter_verdict verdict)
{
    static const char *const names[] = {"none", "current", "update", "older", "needs_cable", "version_too_far"};
    return names[verdict];
}
