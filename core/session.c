/* One update: judged, written, read back, switched. Knows the order of things; how flash, otadata and images work
 * stands elsewhere. */
#include "core/session.h"

#include <string.h>

#include "core/boot.h"
#include "core/event.h"
#include "core/flash.h"
#include "core/layout.h"
#include "core/record.h"
#include "core/slots.h"
#include "core/trust.h"
#include "core/writer.h"
#include "format/signature.h"

enum { PROGRESS_STEP = OTTER_BLOCK / 4, VERIFY_STEP = OTTER_BLOCK };

static uint32_t now(const struct otter_device *d) { return d->ports.clock->now_ms(d->ports.clock->ctx); }

static void close_session(struct otter_session *s, enum otter_session_step step)
{
    otter_image_stop(&s->check);
    s->step = (uint8_t)step;
    if (s->device->session == s) s->device->session = NULL;
}

/* The first error ends the session and stays. What is in the slot by then cannot be started. */
static enum otter_err fail(struct otter_session *s, enum otter_err err, enum otter_event_code code, uint32_t value)
{
    s->err = err;
    s->err_offset = s->check.offset;
    s->detail = err == OTTER_CRYPTO ? s->check.detail : s->device->detail;
    if (s->accepted) otter_writer_drop(&s->writer, s->device);
    /* What was broken off can go on; what was refused will be refused again. */
    if (s->accepted && code != OTTER_EV_BROKEN_OFF) otter_layout_over(s->device);
    otter_event_add(s->device, code, err, value);
    close_session(s, OTTER_STEP_CLOSED);
    return err;
}

static enum otter_err refuse(struct otter_session *s, enum otter_err err)
{
    return fail(s, err, OTTER_EV_REFUSED, s->check.offset);
}

/* What could not be read at start: without it the project and the signature would go unchecked. */
static enum otter_err look_again(struct otter_session *s)
{
    struct otter_device *d = s->device;
    if (d->signing.unread) otter_trust_load(d);
    if (d->running_image.length) return OTTER_OK;
    enum otter_err e = otter_slots_scan(d, d->running, &s->check, &d->running_image);
    return e == OTTER_FLASH_READ ? e : OTTER_OK;
}

static enum otter_err may_begin(struct otter_session *s, const struct otter_offer *offer)
{
    struct otter_device *d = s->device;
    bool on_trial;
    int slot;
    if (d->session || d->switched) return OTTER_BUSY;
    if (d->running == OTTER_SLOT_NONE) return OTTER_NO_SLOT;
    enum otter_err e = otter_boot_on_trial(d, &on_trial);
    if (!e) e = look_again(s);
    if (e) return e;
    if (on_trial) return OTTER_UNCONFIRMED;
    if (offer->automatic && offer->has_sha256 && otter_record_banned(d, offer->sha256)) return OTTER_BANNED;
    e = otter_layout_place(d, offer, &slot);
    s->slot = (int8_t)slot;
    return e;
}

static enum otter_err judge(const struct otter_session *s)
{
    const struct otter_app_desc *now_running = &s->device->running_image.desc, *desc = &s->check.facts.desc;
    bool known = s->device->running_image.has_desc;
    if (known && !s->offer.any_project && strcmp(now_running->project, desc->project) != 0) return OTTER_PROJECT;
    if (s->offer.version && strcmp(s->offer.version, desc->version) != 0) return OTTER_VERSION;
    return desc->secure_version < s->device->ports.chip->secure_version ? OTTER_SECURE_VERSION : OTTER_OK;
}

/* ---- going on after a cut ---- */

uint32_t otter_resume_offset(const struct otter_device *d, const struct otter_offer *offer)
{
    const struct otter_record *r = &d->record;
    if (r->phase != OTTER_RECORD_RECEIVING || r->slot == d->running || r->from != d->running) return 0;
    if (!offer->has_sha256 || offer->size != r->size || memcmp(offer->sha256, r->sha256, sizeof r->sha256) != 0)
        return 0;
    return r->progress;
}

/* Lets the check see what has come before the cut: the first bytes from the record, headers and descriptor from flash.
 */
static enum otter_err replay(struct otter_session *s, uint32_t upto)
{
    uint8_t piece[64];
    struct otter_image_check *c = &s->check;
    otter_image_feed(c, s->device->record.head, OTTER_HEAD);
    while (!c->err && c->offset < upto && !otter_image_complete(c)) {
        otter_image_skip(c, upto);
        uint32_t n = c->left < sizeof piece ? c->left : sizeof piece;
        if (n > upto - c->offset) n = upto - c->offset;
        enum otter_err e = n ? otter_flash_read(s->device, s->writer.base + c->offset, piece, n) : OTTER_OK;
        if (e) return e;
        otter_image_feed(c, piece, n);
    }
    return c->err;
}

static enum otter_err resume(struct otter_session *s)
{
    struct otter_device *d = s->device;
    uint32_t from = otter_resume_offset(d, &s->offer);
    if (s->offer.offset != from || s->slot != d->record.slot) return OTTER_OFFSET;
    otter_writer_start(&s->writer, otter_slots_get(d, s->slot), s->offer.size);
    enum otter_err e = otter_writer_resume(&s->writer, d, d->record.head);
    if (!e) e = replay(s, from);
    if (!e) e = judge(s);
    s->received = s->written = s->told = from;
    s->judged = s->accepted = true;
    return e;
}

enum otter_err otter_begin(struct otter_session *s, struct otter_device *d, const struct otter_offer *offer)
{
    if (d->session == s) return OTTER_BUSY;
    memset(s, 0, sizeof *s);
    s->device = d;
    s->offer = *offer;
    s->slot = OTTER_SLOT_NONE;
    s->err = may_begin(s, offer);
    struct otter_image_rules rules = otter_slots_rules(d, s->slot);
    rules.flags |= OTTER_IMAGE_DESCRIBED;
    otter_image_start(&s->check, &rules, NULL);
    if (!s->err && offer->offset) {
        s->err = resume(s);
        /* What cannot be gone on with is begun anew the next time. */
        if (s->err && s->err != OTTER_OFFSET) otter_record_clear(d);
    }
    if (s->err) {
        s->detail = d->detail;
        otter_event_add(d, OTTER_EV_REFUSED, s->err, 0);
        return s->err;
    }
    s->step = OTTER_STEP_RECEIVING;
    s->last_ms = now(d);
    d->session = s;
    otter_event_add(d, OTTER_EV_OPENED, OTTER_OK, offer->size);
    return OTTER_OK;
}

uint32_t otter_want(const struct otter_session *s) { return s->received; }

/* ---- receiving ---- */

/* The first 288 bytes are good, and the first sector is full: from here on the slot is changed. */
static enum otter_err accept(struct otter_session *s)
{
    struct otter_device *d = s->device;
    struct otter_record *r = &d->record;
    const struct otter_slot *slot = otter_slots_get(d, s->slot);
    enum otter_err e = otter_boot_anchor(d);
    if (e) return e;
    memset(r, 0, sizeof *r);
    r->phase = OTTER_RECORD_RECEIVING;
    r->slot = s->slot;
    r->from = d->running;
    r->size = s->offer.size ? s->offer.size : s->offer.size_at_most;
    if (s->offer.has_sha256) memcpy(r->sha256, s->offer.sha256, sizeof r->sha256);
    memcpy(r->head, s->sector, OTTER_HEAD);
    e = otter_layout_record(d, &s->offer);
    if (e) return e;
    otter_writer_start(&s->writer, slot, r->size);
    s->accepted = true;
    otter_event_add(d, OTTER_EV_ACCEPTED, OTTER_OK, slot->offset);
    return OTTER_OK;
}

/* At each block's end, and only for an update that could be told again. */
static void note_progress(struct otter_session *s)
{
    if (s->written - s->told >= PROGRESS_STEP) {
        s->told = s->written;
        otter_event_add(s->device, OTTER_EV_PROGRESS, OTTER_OK, s->written);
    }
    if ((s->writer.base + s->written) % OTTER_BLOCK == 0 && s->offer.has_sha256)
        otter_record_progress(s->device, s->written);
}

/* The sector stays held where flash had to be erased for it: the next call writes it. */
static enum otter_err put_sector(struct otter_session *s)
{
    enum otter_err e = s->accepted ? OTTER_OK : accept(s);
    if (!e) e = otter_writer_put(&s->writer, s->device, s->written, s->sector, s->held);
    if (e) return e == OTTER_AGAIN ? OTTER_OK : e;
    s->written += s->held;
    s->held = 0;
    note_progress(s);
    return OTTER_OK;
}

static enum otter_err put(struct otter_session *s, const uint8_t *p, size_t n)
{
    while (n) {
        size_t room = sizeof s->sector - s->held, piece = n < room ? n : room;
        memcpy(s->sector + s->held, p, piece);
        s->held = (uint16_t)(s->held + piece);
        p += piece;
        n -= piece;
        enum otter_err e = s->held == sizeof s->sector ? put_sector(s) : OTTER_OK;
        if (e) return e;
    }
    return OTTER_OK;
}

/* More bytes than were announced, or than the slot holds? */
static enum otter_err check_room(const struct otter_session *s, size_t n)
{
    uint32_t most = s->offer.size ? s->offer.size : s->offer.size_at_most;
    if (most && n > most - s->received) return OTTER_SIZE;
    return n > otter_slots_get(s->device, s->slot)->size - s->received ? OTTER_TOO_BIG : OTTER_OK;
}

static enum otter_err receive(struct otter_session *s, const void *data, size_t n)
{
    enum otter_err e = check_room(s, n);
    if (!e) e = otter_image_feed(&s->check, data, n);
    if (!e && !s->judged && otter_image_judged(&s->check)) {
        s->judged = true;
        e = judge(s);
    }
    if (e) return e;
    s->received += (uint32_t)n;
    return put(s, data, n);
}

enum otter_err otter_feed(struct otter_session *s, const void *data, size_t n)
{
    if (s->err) return s->err;
    if (s->step != OTTER_STEP_RECEIVING) return OTTER_STATE;
    if (n > OTTER_FEED_MAX) return OTTER_ARG;
    enum otter_err e = receive(s, data, n);
    if (e) return refuse(s, e);
    /* From its end on: making room for the image, where data gives way, may have taken long. */
    s->last_ms = now(s->device);
    return OTTER_OK;
}

/* ---- finishing, a step a call ---- */

/* A first sector that was kept may be erased and written anew: for that long nothing may be gone on from. */
static enum otter_err settle(struct otter_session *s)
{
    bool may_renew = s->writer.first_kept || !s->writer.touched;
    if (may_renew && s->device->record.progress) otter_record_progress(s->device, 0);
    return otter_writer_settle(&s->writer, s->device, s->sector);
}

static enum otter_err close_input(struct otter_session *s)
{
    struct otter_image_rules rules = s->check.rules;
    enum otter_err e = otter_image_end(&s->check);
    if (!e && s->offer.size && s->received != s->offer.size) e = OTTER_SIZE;
    if (!e && s->held) e = put_sector(s);
    if (e || s->held) return e;
    e = settle(s);
    if (e) return e;
    otter_image_start(&s->check, &rules, s->device->ports.crypto);
    s->step = OTTER_STEP_VERIFYING;
    otter_event_add(s->device, OTTER_EV_VERIFYING, s->check.err, s->written);
    return s->check.err;
}

/* The signature lies in the sector behind the image: where it is asked for, that sector is judged as it is read back.
 */
static enum otter_err judge_signature(struct otter_session *s, uint32_t at, uint32_t n)
{
    uint8_t digest[32];
    uint32_t length = s->check.facts.length;
    if (!otter_trust_asked(s->device) || !otter_image_complete(&s->check)) return OTTER_OK;
    if (at != otter_signature_offset(length) || n < sizeof s->sector) return OTTER_OK;
    enum otter_err e = otter_image_hash_so_far(&s->check, digest);
    if (!e) e = otter_trust_check(s->device, s->sector, digest);
    s->signature_good = e == OTTER_OK;
    return e;
}

/* One piece from flash into the check; the first bytes are not in flash yet. */
static enum otter_err read_piece(struct otter_session *s)
{
    uint32_t left = s->written - s->read_back, n = left < sizeof s->sector ? left : sizeof s->sector;
    enum otter_err e = otter_flash_read(s->device, s->writer.base + s->read_back, s->sector, n);
    if (e) return e;
    if (s->read_back == 0) memcpy(s->sector, s->writer.head, OTTER_HEAD);
    e = judge_signature(s, s->read_back, n);
    s->read_back += n;
    return e ? e : otter_image_feed(&s->check, s->sector, n);
}

/* OTTER_ALREADY_CURRENT if it is the image that runs, by the appended SHA-256, which both have been verified against.
 */
static enum otter_err check_current(const struct otter_session *s)
{
    const struct otter_image_facts *runs = &s->device->running_image, *facts = &s->check.facts;
    const struct otter_slot *slot = otter_slots_get(s->device, s->device->running);
    uint8_t digest[OTTER_IMAGE_DIGEST];
    if (s->offer.again || !runs->length || !runs->hash_appended || !facts->hash_appended) return OTTER_OK;
    enum otter_err e =
        otter_flash_read(s->device, slot->offset + runs->length - OTTER_IMAGE_DIGEST, digest, sizeof digest);
    if (e) return e;
    return memcmp(digest, facts->digest, sizeof digest) == 0 ? OTTER_ALREADY_CURRENT : OTTER_OK;
}

static bool may_be_current(const struct otter_session *s)
{
    const struct otter_image_facts *runs = &s->device->running_image, *facts = &s->check.facts;
    return !s->offer.again && !runs->hash_appended && !facts->hash_appended && runs->length == facts->length;
}

static enum otter_err verify(struct otter_session *s)
{
    enum otter_err e = OTTER_OK;
    for (uint32_t end = s->read_back + VERIFY_STEP; !e && s->read_back < s->written && s->read_back < end;)
        e = read_piece(s);
    if (e || s->read_back < s->written) return e;
    e = otter_image_end(&s->check);
    if (e) return e;
    if (s->offer.has_sha256 && memcmp(s->offer.sha256, s->check.facts.file_digest, sizeof s->offer.sha256) != 0)
        return OTTER_DIGEST;
    if (otter_trust_asked(s->device) && !s->signature_good) return OTTER_UNSIGNED;
    e = check_current(s);
    if (!e && s->offer.automatic && otter_record_banned(s->device, s->check.facts.file_digest)) e = OTTER_BANNED;
    if (!e) s->step = may_be_current(s) ? OTTER_STEP_COMPARING : OTTER_STEP_HEADER;
    s->read_back = 0;
    return e;
}

/* Byte by byte with the image that runs, until one differs. */
static enum otter_err compare_running(struct otter_session *s)
{
    const struct otter_slot *runs = otter_slots_get(s->device, s->device->running);
    uint32_t length = s->check.facts.length;
    bool same = true;
    for (uint32_t end = s->read_back + VERIFY_STEP; same && s->read_back < length && s->read_back < end;) {
        uint32_t at = s->read_back, n = length - at < sizeof s->sector ? length - at : sizeof s->sector;
        enum otter_err e = otter_flash_read(s->device, s->writer.base + at, s->sector, n);
        if (at == 0) memcpy(s->sector, s->writer.head, OTTER_HEAD);
        if (!e) e = otter_flash_same(s->device, runs->offset + at, s->sector, n, &same);
        if (e) return e;
        s->read_back += n;
    }
    if (!same) s->step = OTTER_STEP_HEADER;
    return same && s->read_back == length ? OTTER_ALREADY_CURRENT : OTTER_OK;
}

static enum otter_err switch_over(struct otter_session *s)
{
    const struct otter_image_facts *facts = &s->check.facts;
    bool recorded = otter_record_switched(s->device, facts->file_digest, facts->desc.version);
    if (!recorded && s->device->ports.layout) return OTTER_NEEDS_SETTINGS;
    enum otter_err e = otter_boot_switch(s->device, s->slot);
    if (e) return e;
    s->device->switched = true;
    otter_event_add(s->device, OTTER_EV_SWITCHED, OTTER_OK, s->writer.base);
    close_session(s, OTTER_STEP_DONE);
    return OTTER_OK;
}

static enum otter_err end_current(struct otter_session *s)
{
    enum otter_err e = otter_writer_drop(&s->writer, s->device);
    if (e) return refuse(s, e);
    otter_layout_over(s->device);
    otter_event_add(s->device, OTTER_EV_CURRENT, OTTER_ALREADY_CURRENT, s->written);
    close_session(s, OTTER_STEP_DONE);
    s->err = OTTER_ALREADY_CURRENT;
    return s->err;
}

enum otter_err otter_finish(struct otter_session *s)
{
    enum otter_err e = OTTER_STATE;
    if (s->err) return s->err;
    if (s->step == OTTER_STEP_CLOSED) return OTTER_STATE;
    if (s->step == OTTER_STEP_DONE) return OTTER_OK;
    s->last_ms = now(s->device);
    switch ((enum otter_session_step)s->step) {
    case OTTER_STEP_RECEIVING: e = close_input(s); break;
    case OTTER_STEP_VERIFYING: e = verify(s); break;
    case OTTER_STEP_COMPARING: e = compare_running(s); break;
    case OTTER_STEP_HEADER:
        e = otter_writer_head(&s->writer, s->device);
        s->step = OTTER_STEP_SWITCH;
        break;
    case OTTER_STEP_SWITCH: e = switch_over(s); break;
    case OTTER_STEP_CLOSED:
    case OTTER_STEP_DONE: break;
    }
    if (e == OTTER_ALREADY_CURRENT) return end_current(s);
    if (e) return refuse(s, e);
    return s->step == OTTER_STEP_DONE ? OTTER_OK : OTTER_AGAIN;
}

/* ---- giving up ---- */

static bool open(const struct otter_session *s) { return s->step != OTTER_STEP_CLOSED && s->step != OTTER_STEP_DONE; }

void otter_abort(struct otter_session *s)
{
    if (open(s)) fail(s, OTTER_ABORTED, OTTER_EV_BROKEN_OFF, s->received);
}

void otter_session_watch(struct otter_session *s)
{
    uint32_t idle = now(s->device) - s->last_ms;
    /* A clock that went back: the time counts from there. */
    if (idle > INT32_MAX) s->last_ms += idle;
    if (open(s) && idle <= INT32_MAX && idle >= OTTER_CFG_IDLE_MS)
        fail(s, OTTER_IDLE, OTTER_EV_BROKEN_OFF, s->received);
}
