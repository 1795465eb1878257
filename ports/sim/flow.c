/* Sender, firmware, application, and the judge of each fresh start. Knows the engine by its public calls. */
#include "ports/sim/flow.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "otter/data.h"

enum {
    LIVES = 12,       /* more restarts than any way takes */
    PIECE = 1460,     /* bytes at a time, as TCP brings them */
    SAVE_EVERY = 4,   /* pieces between two settings */
    NEARLY_OFF = 100, /* the damaged byte, from the image's end */
    DEADLINE_MS = 2000,
    GIVE_UP_POLLS = 3, /* one, and two more if flash fails */
    SETTINGS_MANY = 100000,
    SETTINGS_LEFT = 4 /* settings that still have room when the way begins */
};

#define HOLDS(r, invariant, what)                                   \
    do {                                                            \
        if (!(what) && !(r)->broken) broken(r, (invariant), #what); \
    } while (0)

static void note(const struct sim_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(const struct sim_run *r, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    if (!r->plan->log) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->plan->log(r->plan->log_ctx, 'I', "flow", text);
}

static void broken(struct sim_run *r, int invariant, const char *how)
{
    r->broken = invariant;
    r->how = how;
    note(r, "invariant %d does not hold: %s", invariant, how);
}

const char *sim_phase_name(enum sim_phase phase)
{
    static const char *const names[SIM_PHASES] = {"start",   "receive", "finish",   "switch",
                                                  "confirm", "give-up", "settings", "data"};
    return names[phase];
}

const char *sim_way_name(enum sim_way way)
{
    static const char *const names[SIM_WAYS] = {"confirm", "crash", "unhealthy", "settings", "resume", "data"};
    return names[way];
}

const char *sim_spare_name(enum sim_spare spare)
{
    static const char *const names[SIM_SPARES] = {"blank", "old", "nearly"};
    return names[spare];
}

static bool holds(const struct sim_run *r, uint32_t off, const struct sim_firmware *f)
{
    return memcmp(r->world.nor.bytes + off, f->bytes, f->size) == 0;
}

static bool runs_new(const struct sim_run *r) { return holds(r, r->world.booted.offset, &r->plan->new); }

static bool gives_up(const struct sim_run *r)
{
    return r->flow.way == SIM_WAY_CRASH || r->flow.way == SIM_WAY_UNHEALTHY;
}

/* ---- the plan ---- */

static enum otter_err verify(const struct sim_plan *plan, struct sim_firmware *f)
{
    struct otter_image_check c;
    struct otter_image_rules rules = {.chips = otter_chip_by_id,
                                      .chip_revision = -1,
                                      .efuse_revision = -1,
                                      .flags = OTTER_IMAGE_LOADABLE | OTTER_IMAGE_DESCRIBED};
    otter_image_start(&c, &rules, plan->table.crypto);
    otter_image_feed(&c, f->bytes, f->size);
    enum otter_err e = otter_image_end(&c);
    f->facts = c.facts;
    return e;
}

static enum otter_err hash_data(struct sim_plan *plan)
{
    const struct otter_crypto *c = plan->table.crypto;
    struct otter_hash h;
    if (!plan->data_size) return OTTER_OK;
    if (c->hash_start(c->ctx, &h, OTTER_SHA256)) return OTTER_CRYPTO;
    bool bad = c->hash_update(c->ctx, &h, plan->data, plan->data_size) != 0;
    return c->hash_finish(c->ctx, &h, plan->data_sha256) || bad ? OTTER_CRYPTO : OTTER_OK;
}

enum otter_err sim_plan_check(struct sim_plan *plan, const char **what)
{
    enum otter_err e;
    *what = "the partition table";
    if ((e = sim_table_check(&plan->table))) return e;
    *what = "the old image";
    if ((e = verify(plan, &plan->old))) return e;
    *what = "the new image";
    if ((e = verify(plan, &plan->new))) return e;
    if (plan->old.facts.chip_id != plan->new.facts.chip_id) return OTTER_CHIP;
    plan->elastic = sim_table_overlaps(&plan->table);
    if ((e = hash_data(plan))) return e;
    bool same = plan->old.size == plan->new.size &&memcmp(plan->old.bytes, plan->new.bytes, plan->old.size) == 0;
    return same ? OTTER_ALREADY_CURRENT : OTTER_OK;
}

/* ---- the application's settings ---- */

static const char app[] = "app";
static const char *const app_key[SIM_APP_KEYS] = {"number", "text", "blob"};
static const enum otter_setting app_kind[SIM_APP_KEYS] = {OTTER_SETTING_U32, OTTER_SETTING_STRING, OTTER_SETTING_BLOB};
enum { APP_VALUE = 128 };

/* What the key's value is in that version: texts and blobs of changing lengths. */
static size_t app_value(int key, uint32_t version, uint8_t out[APP_VALUE])
{
    size_t n = key == 0 ? sizeof(uint32_t) : 20 + version % (APP_VALUE - 20);
    for (size_t i = 0; i < n; i++) out[i] = (uint8_t)('a' + (version + i) % 26);
    if (key == 1) out[n - 1] = '\0';
    return n;
}

static bool app_holds(struct sim_run *r, int key, uint32_t version)
{
    const struct otter_settings *s = &r->world.settings.port;
    uint8_t wanted[APP_VALUE], have[APP_VALUE];
    size_t n = version ? app_value(key, version, wanted) : 0, size = sizeof have;
    if (s->get(s->ctx, app, app_key[key], app_kind[key], have, &size)) return false;
    return size == n && memcmp(have, wanted, n) == 0;
}

/* One value after the other. */
static void app_save(struct sim_run *r)
{
    const struct otter_settings *s = &r->world.settings.port;
    struct sim_history *past = &r->past;
    enum sim_phase phase = r->phase;
    uint8_t value[APP_VALUE];
    if (r->flow.way != SIM_WAY_SETTINGS || r->world.nor.dead) return;
    int key = (int)(past->version++ % SIM_APP_KEYS);
    size_t n = app_value(key, past->version, value);
    r->phase = SIM_PHASE_SETTINGS;
    past->saving[key] = past->version;
    if (s->set(s->ctx, app, app_key[key], app_kind[key], value, n) == 0) past->saved[key] = past->version;
    if (!r->world.nor.dead) r->phase = phase;
}

static void check_settings(struct sim_run *r)
{
    struct sim_history *past = &r->past;
    if (r->flow.way != SIM_WAY_SETTINGS || r->past.lost) return;
    for (int key = 0; key < SIM_APP_KEYS; key++) {
        bool saved = app_holds(r, key, past->saved[key]);
        if (!saved && app_holds(r, key, past->saving[key]))
            past->saved[key] = past->saving[key];
        else
            HOLDS(r, 3, saved);
        past->saving[key] = past->saved[key];
    }
}

/* ---- one life ---- */

static struct otter_offer offer_of(const struct sim_run *r)
{
    const struct sim_firmware *f = &r->plan->new;
    struct otter_offer offer = {.door = "flow", .size = f->size, .has_sha256 = true, .data_may_go = true};
    memcpy(offer.sha256, f->facts.file_digest, sizeof offer.sha256);
    if (r->flow.way == SIM_WAY_DATA) {
        offer.data_size = r->plan->data_size;
        memcpy(offer.data_sha256, r->plan->data_sha256, sizeof offer.data_sha256);
    }
    offer.offset = otter_resume_offset(&r->world.device, &offer);
    return offer;
}

/* Has the planned cut been a write that was lost without power going? */
static bool write_was_lost(const struct sim_nor *nor)
{
    return nor->cut.tear == SIM_TEAR_LOST && nor->cut.at && nor->changes >= nor->cut.at;
}

static enum otter_err send(struct sim_run *r)
{
    struct sim_world *w = &r->world;
    const struct sim_firmware *f = &r->plan->new;
    enum otter_err e = OTTER_OK;
    unsigned pieces = 0;
    for (uint32_t at = otter_want(&w->session), n; !e && at < f->size; at += n) {
        if (r->flow.way == SIM_WAY_RESUME && !r->past.broken_off && at > f->size / 2) {
            r->past.broken_off = true;
            otter_abort(&w->session);
            return OTTER_ABORTED;
        }
        if (pieces++ % SAVE_EVERY == 0) app_save(r);
        n = f->size - at < PIECE ? f->size - at : PIECE;
        e = otter_feed(&w->session, f->bytes + at, n);
    }
    return e;
}

static enum otter_err upload(struct sim_run *r)
{
    struct sim_world *w = &r->world;
    struct otter_offer offer = offer_of(r);
    r->phase = SIM_PHASE_RECEIVE;
    r->past.files.may_go = true;
    note(r, "the new firmware is sent from byte %u on", (unsigned)offer.offset);
    enum otter_err e = otter_begin(&w->session, &w->device, &offer);
    if (!e) e = send(r);
    if (e) return e;
    r->past.accepted = true;
    r->phase = SIM_PHASE_FINISH;
    while ((e = otter_finish(&w->session)) == OTTER_AGAIN)
        if (w->session.step == OTTER_STEP_SWITCH) {
            r->phase = SIM_PHASE_SWITCH;
            r->past.progress = SIM_EITHER;
        }
    if (!e) r->past.progress = SIM_SWITCHED;
    return e;
}

static bool may_try_again(struct sim_run *r, enum otter_err e)
{
    if (!e || r->world.nor.dead) return false;
    return e == OTTER_ABORTED || write_was_lost(&r->world.nor);
}

static void with_old(struct sim_run *r)
{
    struct sim_history *past = &r->past;
    if (past->tried && gives_up(r)) {
        past->progress = SIM_SETTLED;
        return;
    }
    past->progress = SIM_OLD;
    app_save(r);
    enum otter_err e = upload(r);
    for (int again = 0; again < 2 && may_try_again(r, e); again++) e = upload(r);
    HOLDS(r, 5, holds(r, r->world.booted.offset, &r->plan->old));
    if (r->world.nor.dead) return;
    HOLDS(r, 4, e == OTTER_OK);
    if (!past->accepted) r->refused = e;
    app_save(r);
    /* Applications confirm themselves when they like; that must not confirm what has not run yet. */
    otter_confirm(&r->world.device);
}

/* Power went while the boot loader wrote the entry's state, which has no checksum: now it says nothing any more. */
static bool state_is_torn(struct sim_run *r)
{
    struct otter_status st;
    otter_status(&r->world.device, &st);
    return r->past.torn_boot && !st.can_confirm;
}

static void give_up(struct sim_run *r)
{
    struct sim_world *w = &r->world;
    r->past.crashed = true;
    if (r->flow.way == SIM_WAY_CRASH) return;
    r->phase = SIM_PHASE_GIVE_UP;
    r->past.progress = SIM_EITHER;
    otter_health_set_policy(&w->device, &(struct otter_health_policy){.deadline_ms = DEADLINE_MS, .network = true});
    w->more_ms += DEADLINE_MS;
    for (int i = 0; i < GIVE_UP_POLLS && !w->device.switched && !w->nor.dead; i++) otter_poll(&w->device);
}

static enum otter_err send_data(struct sim_run *r, const struct otter_data_wait *wait)
{
    struct otter_data_session s;
    note(r, "the data image is sent from byte %u on", (unsigned)wait->wanted);
    enum otter_err e = otter_data_begin(&s, &r->world.device, wait->wanted);
    for (uint32_t at = wait->wanted, n; !e && at < wait->size; at += n) {
        n = wait->size - at < PIECE ? wait->size - at : PIECE;
        e = otter_data_feed(&s, r->plan->data + at, n);
    }
    if (e) return e;
    while ((e = otter_data_finish(&s)) == OTTER_AGAIN) {
    }
    return e;
}

static void restore_data(struct sim_run *r)
{
    struct otter_data_wait wait;
    enum otter_err e = OTTER_OK;
    r->phase = SIM_PHASE_DATA;
    for (int again = 0; again < 3 && otter_data_waits(&r->world.device, &wait); again++) e = send_data(r, &wait);
    if (r->world.nor.dead) return;
    /* Where a setting could not be erased the device begins to wait at its next start. */
    if (!r->past.files.restored && write_was_lost(&r->world.nor)) return;
    HOLDS(r, 4, e == OTTER_OK);
    HOLDS(r, 7, r->past.files.restored);
    r->past.progress = SIM_SETTLED;
}

static void confirm(struct sim_run *r)
{
    r->phase = SIM_PHASE_CONFIRM;
    if (r->past.progress != SIM_NEW) r->past.progress = SIM_EITHER;
    enum otter_err e = otter_confirm(&r->world.device);
    if (r->world.nor.dead) return;
    HOLDS(r, 4, e == OTTER_OK || write_was_lost(&r->world.nor));
    if (e) return;
    r->past.progress = r->flow.way == SIM_WAY_DATA ? SIM_NEW : SIM_SETTLED;
    if (r->flow.way == SIM_WAY_DATA) restore_data(r);
    app_save(r);
}

static void with_new(struct sim_run *r)
{
    struct sim_history *past = &r->past;
    HOLDS(r, 2, past->progress != SIM_OLD);
    past->tried = true;
    if (!gives_up(r)) {
        confirm(r);
    } else if (state_is_torn(r)) {
        r->limit = true;
    } else {
        /* Not confirmed, it may not start again by itself. */
        HOLDS(r, 2, !past->crashed || past->torn_boot);
        give_up(r);
    }
}

static void note_life(struct sim_run *r)
{
    struct otter_event e;
    uint32_t last = 0;
    while (r->plan->log && otter_event_next(&r->world.device.events, last, &e)) {
        note(r, "event %s 0x%x%s%s", otter_event_name(e.code), (unsigned)e.value, e.err ? ": " : "",
             e.err ? otter_err_name(e.err) : "");
        last = e.seq;
    }
    if (r->world.nor.dead)
        note(r, "power goes at operation %llu (%s), phase %s", (unsigned long long)r->world.nor.cut.at,
             sim_tear_name(r->world.nor.cut.tear), sim_phase_name(r->phase));
}

/* Data is beside all that may be started. */
static void check_division(struct sim_run *r)
{
    struct otter_division d;
    struct otter_slot_status s;
    if (r->keeper.broken && !r->broken) broken(r, 7, r->keeper.broken);
    if (!r->plan->elastic || r->world.device.switched) return;
    otter_division(&r->world.device, &d);
    note(r, "division %d: app 0x%x to 0x%x, other 0x%x to 0x%x, data 0x%x to 0x%x", d.state, (unsigned)d.app.offset,
         (unsigned)(d.app.offset + d.app.size), (unsigned)d.update.offset, (unsigned)(d.update.offset + d.update.size),
         (unsigned)d.data.offset, (unsigned)(d.data.offset + d.data.size));
    for (unsigned i = 0; otter_slot_at(&r->world.device, i, &s); i++) {
        const struct sim_firmware *f = holds(r, s.region.offset, &r->plan->new)   ? &r->plan->new
                                       : holds(r, s.region.offset, &r->plan->old) ? &r->plan->old
                                                                                  : NULL;
        if (!f) continue;
        HOLDS(r, 7, d.data.offset >= s.region.offset + f->size || s.region.offset >= d.data.offset + d.data.size);
    }
    HOLDS(
        r, 7,
        !d.data.size || (d.data.offset >= d.pool.offset && d.data.offset + d.data.size <= d.pool.offset + d.pool.size));
}

/* Power comes on. False if nothing starts. */
static bool start(struct sim_run *r)
{
    struct sim_world *w = &r->world;
    enum otter_err e = OTTER_OK;
    bool lost_before = write_was_lost(&w->nor);
    r->phase = SIM_PHASE_START;
    bool started = sim_world_start(w, &e);
    bool lost_now = !lost_before && write_was_lost(&w->nor);
    if ((!w->booted.boots && w->nor.dead) || lost_now) r->past.torn_boot = true;
    r->past.lost = r->past.lost || lost_now;
    HOLDS(r, 1, started || w->nor.dead);
    if (started) HOLDS(r, 4, e == OTTER_OK || r->past.torn_boot);
    if (started && !runs_new(r)) r->past.crashed = false;
    return started;
}

static void live(struct sim_run *r)
{
    if (!start(r)) return;
    check_settings(r);
    check_division(r);
    /* Where a switch was made again, only the restart is left to do. */
    if (!r->world.device.switched) {
        if (runs_new(r))
            with_new(r);
        else
            with_old(r);
    }
    if (write_was_lost(&r->world.nor)) r->past.lost = true;
}

bool sim_run_on(struct sim_run *r)
{
    for (int life = 0; r->past.progress != SIM_SETTLED && !r->limit && !r->broken && !r->world.nor.dead; life++) {
        HOLDS(r, 4, life < LIVES);
        live(r);
        note_life(r);
    }
    return !r->world.nor.dead;
}

/* ---- what must hold at a fresh start ---- */

static void check_which(struct sim_run *r)
{
    const struct sim_world *w = &r->world;
    const struct sim_history *past = &r->past;
    bool new_runs = runs_new(r), old_runs = holds(r, w->booted.offset, &r->plan->old);
    HOLDS(r, 5, new_runs || old_runs);
    HOLDS(r, 2, new_runs || w->booted.slot == r->flow.from);
    if (past->progress == SIM_OLD) HOLDS(r, 2, old_runs);
    if (past->progress == SIM_NEW) HOLDS(r, 2, new_runs);
    if (past->progress == SIM_SETTLED && r->flow.way == SIM_WAY_DATA) HOLDS(r, 7, past->files.restored);
    if (past->progress == SIM_SETTLED) HOLDS(r, 2, gives_up(r) ? old_runs : new_runs);
    /* What otadata names is whole; the boot loader has not to search. */
    HOLDS(r, 2, w->booted.slot == w->booted.selected || past->torn_boot);
}

static void check_said(struct sim_run *r)
{
    struct otter_status st;
    otter_status(&r->world.device, &st);
    if (runs_new(r) && r->past.progress == SIM_SWITCHED && r->flow.rollback && !r->past.torn_boot)
        HOLDS(r, 2, st.running_state == OTTER_OTA_PENDING_VERIFY);
}

static bool has_head(const struct sim_run *r, uint32_t off, const struct sim_firmware *f)
{
    return memcmp(r->world.nor.bytes + off, f->bytes, OTTER_HEAD) == 0;
}

/* Has the flow changed nothing in the slot? */
static bool untouched(const struct sim_run *r, const struct otter_slot *slot)
{
    return memcmp(r->world.nor.bytes + slot->offset, r->before + slot->offset, slot->size) == 0;
}

/* A slot has an image's head only if all the rest is there: nothing else is ever found by the boot loader's search. */
static void check_slot(struct sim_run *r, const struct otter_slot_status *s)
{
    const struct sim_plan *plan = r->plan;
    const char *version = (runs_new(r) ? &plan->new : &plan->old)->facts.desc.version;
    /* Without settings a cut in the boot loader's own write leaves no mark of it. */
    bool given_up = gives_up(r) && r->past.progress == SIM_SETTLED && r->world.device.ports.settings;
    if (s->running) HOLDS(r, 6, strcmp(s->desc.version, version) == 0);
    bool old = holds(r, s->region.offset, &plan->old);
    if (!has_head(r, s->region.offset, &plan->new) && !has_head(r, s->region.offset, &plan->old)) return;
    if (old || untouched(r, &s->region)) return;
    HOLDS(r, 5, holds(r, s->region.offset, &plan->new));
    HOLDS(r, 5, !given_up);
}

/* What an update goes on from is in flash. */
static void check_progress(struct sim_run *r, const struct otter_slot_status *target)
{
    uint32_t from = offer_of(r).offset;
    if (from <= OTTER_HEAD) return;
    HOLDS(r, 6,
          memcmp(r->world.nor.bytes + target->region.offset + OTTER_HEAD, r->plan->new.bytes + OTTER_HEAD,
                 from - OTTER_HEAD) == 0);
}

void sim_run_check(struct sim_run *r)
{
    struct otter_slot_status slot;
    sim_nor_power_on(&r->world.nor);
    if (r->limit || !start(r)) return;
    check_which(r);
    check_said(r);
    check_division(r);
    for (unsigned i = 0; otter_slot_at(&r->world.device, i, &slot); i++) {
        check_slot(r, &slot);
        if (slot.target) check_progress(r, &slot);
    }
    check_settings(r);
}

/* ---- how it begins ---- */

static void put(uint8_t *bytes, uint32_t off, const struct sim_firmware *f) { memcpy(bytes + off, f->bytes, f->size); }

/* The old firmware, and otadata that names it; without a factory app ota_0 needs no naming. */
static enum otter_err put_old(const struct sim_plan *plan, const struct sim_flow *flow, uint8_t *bytes)
{
    struct otter_slot from, factory, otadata, slot;
    unsigned slots = 0;
    while (slots < OTTER_OTA_SLOTS && sim_table_slot(&plan->table, (int)slots, &slot)) slots++;
    if (!sim_table_slot(&plan->table, flow->from, &from)) return OTTER_NO_SLOT;
    if (plan->old.size > from.size) return OTTER_TOO_BIG;
    put(bytes, from.offset, &plan->old);
    bool has_factory = sim_table_slot(&plan->table, OTTER_SLOT_FACTORY, &factory);
    if (has_factory && plan->old.size <= factory.size) put(bytes, factory.offset, &plan->old);
    if (!sim_table_find(&plan->table, OTTER_TYPE_DATA, OTTER_DATA_OTADATA, &otadata)) return OTTER_NO_OTADATA;
    if (flow->from < 0 || (flow->from == 0 && !has_factory)) return OTTER_OK;
    uint32_t seq = otter_ota_next_seq(0, (unsigned)flow->from, slots);
    otter_ota_write(seq, OTTER_OTA_VALID, bytes + otadata.offset);
    return OTTER_OK;
}

static enum otter_err put_spare(struct sim_run *r, uint8_t *bytes)
{
    struct sim_world *w = &r->world;
    struct otter_offer offer = offer_of(r);
    enum otter_err e = otter_begin(&w->session, &w->device, &offer);
    if (e) return e;
    struct otter_slot target;
    sim_table_slot(&r->plan->table, w->session.slot, &target);
    otter_abort(&w->session);
    if (r->flow.spare == SIM_SPARE_OLD && r->plan->old.size <= target.size) put(bytes, target.offset, &r->plan->old);
    if (r->flow.spare == SIM_SPARE_NEARLY) {
        put(bytes, target.offset, &r->plan->new);
        bytes[target.offset + r->plan->new.size - NEARLY_OFF] ^= 1;
    }
    return OTTER_OK;
}

/* Writes settings until a page of them has to be erased, at most `most` of them; how many it took. */
static uint32_t fill_settings(struct sim_run *r, uint32_t most)
{
    uint64_t erases = r->world.nor.count[SIM_ERASE];
    if (r->flow.way != SIM_WAY_SETTINGS) return 0;
    while (r->past.version < most && r->world.nor.count[SIM_ERASE] == erases) app_save(r);
    return r->past.version;
}

static uint16_t max16(uint16_t a, uint16_t b) { return a > b ? a : b; }

static void use_elastic(struct sim_run *r)
{
    struct sim_keeper *k = &r->keeper;
    struct otter_slot slot;
    sim_keeper_init(k, &r->world.nor, &r->past.files);
    while (k->slots < OTTER_OTA_SLOTS && sim_table_slot(&r->plan->table, (int)k->slots, &slot))
        k->slot_at[k->slots++] = slot.offset;
    k->image = r->plan->data_size ? r->plan->data : NULL;
    k->image_size = r->plan->data_size;
    r->world.layout = &otter_layout_elastic;
    r->world.data = &k->port;
}

static void make_device(struct sim_run *r, uint8_t *bytes)
{
    const struct sim_plan *plan = r->plan;
    struct sim_world *w = &r->world;
    sim_world_init(w, bytes, plan->table.flash_size, plan->table.crypto);
    w->chip.info = plan->new.facts.chip;
    w->chip.revision = max16(plan->old.facts.revision_min, plan->new.facts.revision_min);
    w->chip.efuse_revision = max16(plan->old.facts.desc.efuse_min, plan->new.facts.desc.efuse_min);
    w->chip.rollback = r->flow.rollback;
    w->log_ctx = plan->log_ctx;
    w->nor.watch = (struct sim_watch){.offset = OTTER_CFG_TABLE_OFFSET, .size = OTTER_SECTOR};
    if (plan->elastic) use_elastic(r);
}

static enum otter_err lay_out(struct sim_run *r, const struct sim_plan *plan, const struct sim_flow *flow,
                              uint8_t *bytes, const char **what)
{
    enum otter_err e;
    memset(r, 0, sizeof *r);
    memset(bytes, 0xFF, plan->table.flash_size);
    memcpy(bytes + OTTER_CFG_TABLE_OFFSET, plan->table.bytes, OTTER_TABLE_SIZE);
    r->plan = plan;
    r->flow = *flow;
    *what = "the partition table";
    if ((e = put_old(plan, flow, bytes))) return e;
    make_device(r, bytes);
    *what = "the old image";
    if (!sim_world_start(&r->world, &e)) return OTTER_NO_SLOT;
    if (e) return e;
    *what = "the new image";
    return put_spare(r, bytes);
}

enum otter_err sim_run_lay_out(struct sim_run *r, const struct sim_plan *plan, const struct sim_flow *flow,
                               uint8_t *bytes, const char **what)
{
    enum otter_err e = lay_out(r, plan, flow, bytes, what);
    if (e) return e;
    /* Settings are nearly full, so that room must be made on the way. */
    uint32_t full = fill_settings(r, SETTINGS_MANY);
    if (full) {
        lay_out(r, plan, flow, bytes, what);
        fill_settings(r, full - SETTINGS_LEFT);
    }
    r->world.log = plan->log;
    return OTTER_OK;
}
