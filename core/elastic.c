/* The elastic layout: slots that overlap, of which the running image takes what it needs; data has the rest. Knows the
 * pool's algebra; that the table is never written is the whole point. docs/DESIGN.md, section 6. */
#include <string.h>

#include "core/boot.h"
#include "core/data.h"
#include "core/flash.h"
#include "core/layout.h"
#include "core/record.h"
#include "core/setting.h"
#include "core/slots.h"
#include "format/bytes.h"
#include "format/signature.h"

static uint32_t end_of(const struct otter_slot *s) { return s->offset + s->size; }

static uint32_t fit(uint32_t bytes) { return otter_round_up(bytes, OTTER_BLOCK); }

static bool apart(const struct otter_slot *a, const struct otter_slot *b)
{
    return end_of(a) <= b->offset || end_of(b) <= a->offset;
}

/* ---- the pool and the images in it ---- */

static struct otter_slot pool_of(const struct otter_device *d)
{
    struct otter_slot pool = {0, 0};
    for (int i = 0; i < OTTER_OTA_SLOTS; i++) {
        const struct otter_slot *s = otter_slots_get(d, i);
        if (!s) continue;
        uint32_t from = !pool.size || s->offset < pool.offset ? s->offset : pool.offset;
        uint32_t to = pool.size && end_of(&pool) > end_of(s) ? end_of(&pool) : end_of(s);
        pool = (struct otter_slot){from, to - from};
    }
    return pool;
}

/* What an image of so many bytes takes at a slot's start. */
static struct otter_slot span(const struct otter_device *d, int slot, uint32_t bytes)
{
    const struct otter_slot *s = otter_slots_get(d, slot);
    uint32_t size = bytes && fit(bytes) <= s->size ? fit(bytes) : s->size;
    return (struct otter_slot){s->offset, size};
}

/* With the signature sector, if there is one behind the image. */
static uint32_t length_in_flash(struct otter_device *d, int slot, uint32_t length)
{
    uint32_t at = otter_signature_offset(length);
    const struct otter_slot *s = otter_slots_get(d, slot);
    uint8_t magic;
    if (!length || at + OTTER_SECTOR > s->size) return length;
    bool is_signed = otter_flash_read_sure(d, s->offset + at, &magic, 1) != OTTER_OK || magic == OTTER_SIGNATURE_MAGIC;
    return is_signed ? at + OTTER_SECTOR : length;
}

static struct otter_slot running_span(struct otter_device *d)
{
    return span(d, d->running, length_in_flash(d, d->running, d->running_image.length));
}

/* What lies between two images; size 0 if they meet. */
static struct otter_slot between(const struct otter_slot *a, const struct otter_slot *b)
{
    const struct otter_slot *low = a->offset < b->offset ? a : b, *high = low == a ? b : a;
    struct otter_slot gap = {end_of(low), 0};
    if (high->offset > gap.offset) gap.size = high->offset - gap.offset;
    return gap;
}

/* The larger part of the pool beside one image. */
static struct otter_slot beside(const struct otter_slot *pool, const struct otter_slot *image)
{
    struct otter_slot below = {pool->offset, image->offset - pool->offset};
    struct otter_slot above = {end_of(image), end_of(pool) - end_of(image)};
    return below.size > above.size ? below : above;
}

/* ---- where the next image goes ---- */

static uint32_t setting(struct otter_device *d, const char *key)
{
    uint32_t value = 0;
    otter_setting_u32(d, key, &value);
    return value;
}

/* What an image has to fit into, as it is now. */
struct room {
    struct otter_slot pool, app;
    uint32_t floor; /* what data is to keep between two images */
};

static struct room look(struct otter_device *d)
{
    return (struct room){pool_of(d), running_span(d), setting(d, "data_min")};
}

/* Fits into the slot beside the running image, and leaves data what it is to keep between the two? */
static bool fits(const struct otter_device *d, int slot, uint32_t bytes, const struct room *r)
{
    const struct otter_slot *s = otter_slots_get(d, slot);
    if (!s || slot == d->running || bytes > s->size) return false;
    struct otter_slot image = span(d, slot, bytes);
    return apart(&r->app, &image) && between(&r->app, &image).size >= r->floor;
}

/* From the bottom to the highest slot in which it fits, from there to the bottom: so either way data has the rest in
 * one piece. An image that the bottom has no room for may go higher still. */
static int best_slot(const struct otter_device *d, uint32_t bytes, const struct room *r)
{
    int best = OTTER_SLOT_NONE;
    for (int i = 0; i < OTTER_OTA_SLOTS; i++) {
        if (!fits(d, i, bytes, r)) continue;
        uint32_t offset = otter_slots_get(d, i)->offset;
        if (offset == r->pool.offset) return i;
        if (best == OTTER_SLOT_NONE || offset > otter_slots_get(d, best)->offset) best = i;
    }
    return best;
}

/* Are there files that would be lost, to which nobody has agreed? */
static bool data_in_the_way(struct otter_device *d, const struct otter_offer *offer)
{
    const struct otter_data *data = d->ports.data;
    if (!data || !d->data.offered || offer->data_may_go || offer->data_size) return false;
    return (!data->holds || data->holds(data->ctx)) && !setting(d, "data_loss");
}

static enum otter_err place(struct otter_device *d, const struct otter_offer *offer, int *slot)
{
    const struct otter_record *r = &d->record;
    *slot = OTTER_SLOT_NONE;
    if (d->running < 0) return OTTER_NO_SLOT;
    if (!d->ports.chip->rollback) return OTTER_NEEDS_ROLLBACK;
    if (!d->ports.settings) return OTTER_NEEDS_SETTINGS;
    uint32_t size = offer->size ? offer->size : offer->size_at_most;
    if (!size) return OTTER_LENGTH_REQUIRED;
    if (offer->offset && otter_resume_offset(d, offer)) {
        *slot = r->slot;
        return OTTER_OK;
    }
    struct room now = look(d);
    *slot = best_slot(d, size, &now);
    if (*slot == OTTER_SLOT_NONE) return OTTER_TOO_BIG;
    struct otter_slot image = span(d, *slot, size);
    if (offer->data_size > beside(&now.pool, &image).size) return OTTER_DATA_TOO_BIG;
    return data_in_the_way(d, offer) ? OTTER_DATA_LOSS : OTTER_OK;
}

static int target(struct otter_device *d)
{
    if (d->running < 0) return OTTER_SLOT_NONE;
    struct room now = look(d);
    return best_slot(d, d->running_image.length, &now);
}

/* The largest image for which there is a slot now: room is counted in blocks. */
static uint32_t largest(struct otter_device *d)
{
    if (d->running < 0) return 0;
    struct room now = look(d);
    uint32_t blocks = now.pool.size / OTTER_BLOCK;
    while (blocks && best_slot(d, blocks * OTTER_BLOCK, &now) == OTTER_SLOT_NONE) blocks--;
    return blocks * OTTER_BLOCK;
}

/* ---- the division in force ---- */

/* The image that was there before: its headers are whole until the running one has been confirmed. */
static struct otter_slot span_of_previous(struct otter_device *d, int slot)
{
    struct otter_image_check scratch;
    struct otter_image_facts facts;
    if (otter_slots_scan(d, slot, &scratch, &facts)) facts.length = 0;
    return span(d, slot, length_in_flash(d, slot, facts.length));
}

static bool is_slot(const struct otter_device *d, int slot) { return slot >= 0 && otter_slots_get(d, slot); }

/* What otadata says of the running firmware, where no record says more. */
static enum otter_division_state state_by_otadata(struct otter_device *d, int *other)
{
    struct otter_ota_entry e[2];
    *other = OTTER_SLOT_NONE;
    if (otter_boot_read(d, e)) return OTTER_DIVISION_UNKNOWN;
    const struct otter_ota_entry *mine = otter_boot_entry_of(d, e, d->running);
    int active = otter_ota_active(e);
    if (!mine || active < 0 || mine != &e[active]) return OTTER_DIVISION_FALLBACK;
    if (mine->state != OTTER_OTA_NEW && mine->state != OTTER_OTA_PENDING_VERIFY)
        return d->went_back == OTTER_SLOT_NONE ? OTTER_DIVISION_SETTLED : OTTER_DIVISION_WENT_BACK;
    int previous = (int)otter_ota_slot(e[1 - active].seq, d->slots.ota_rows);
    if (!otter_ota_initial(&e[1 - active])) *other = previous;
    return OTTER_DIVISION_PENDING;
}

static void divide(struct otter_device *d, struct otter_division *out)
{
    const struct otter_record *r = &d->record;
    int other = OTTER_SLOT_NONE;
    memset(out, 0, sizeof *out);
    out->pool = pool_of(d);
    out->state = OTTER_DIVISION_UNKNOWN;
    if (d->running < 0) return;
    out->app = running_span(d);
    if (r->phase == OTTER_RECORD_SWITCHED && r->slot == d->running) {
        out->state = OTTER_DIVISION_PENDING;
        other = r->from;
    } else if (r->phase) {
        out->state = OTTER_DIVISION_UPDATING;
        if (is_slot(d, r->slot)) out->update = span(d, r->slot, r->size);
    } else {
        out->state = (uint8_t)state_by_otadata(d, &other);
    }
    if (other != d->running && is_slot(d, other)) out->update = span_of_previous(d, other);
    if (out->state == OTTER_DIVISION_UNKNOWN) return;
    out->data = out->update.size ? between(&out->app, &out->update) : beside(&out->pool, &out->app);
}

static bool two_images(const struct otter_division *d)
{
    return d->state == OTTER_DIVISION_UPDATING || d->state == OTTER_DIVISION_PENDING;
}

static void division(struct otter_device *d, struct otter_division *out)
{
    divide(d, out);
    if (d->data.waiting && !two_images(out)) out->state = OTTER_DIVISION_WAITING;
    out->largest = largest(d);
    out->costs_files = data_in_the_way(d, &(struct otter_offer){0});
}

/* ---- data gives way, and gets its region back ---- */

static bool release(struct otter_device *d)
{
    const struct otter_data *data = d->ports.data;
    if (d->data.offered && !data->release(data->ctx)) return false;
    d->data.offered = false;
    return true;
}

/* The shape of what is there is forgotten before anything can happen to it, so the same shape means the same content.
 */
static enum otter_data_fate fate_of(const struct otter_slot *was, const struct otter_slot *is)
{
    if (!was->size || was->offset != is->offset || was->size > is->size) return OTTER_DATA_ANEW;
    return was->size == is->size ? OTTER_DATA_KEPT : OTTER_DATA_GREW;
}

/* Files count from when they can be found again: when the region's shape is in the settings. */
static void hand_out(struct otter_device *d, const struct otter_data_shape *shape, enum otter_data_fate fate)
{
    const struct otter_slot *region = &shape->region;
    const struct otter_data *data = d->ports.data;
    if (!data) return;
    d->data.region = *region;
    d->data.fate = (uint8_t)fate;
    d->data.offered = data->ready(data->ctx, region->offset, region->size, shape->made, fate);
    if (d->data.offered && fate != OTTER_DATA_KEPT && !otter_data_set_shape(d, shape)) release(d);
}

static enum otter_err changed(struct otter_device *d)
{
    struct otter_division now;
    if (d->switched) return OTTER_OK;
    divide(d, &now);
    bool same = now.data.offset == d->data.region.offset && now.data.size == d->data.region.size;
    if ((d->data.offered || d->data.waiting) && same) return OTTER_OK;
    if (!release(d)) return OTTER_DATA_BUSY;
    struct otter_data_shape was = otter_data_shape(d);
    enum otter_data_fate fate = fate_of(&was.region, &now.data);
    const struct otter_data_shape is = {now.data, fate == OTTER_DATA_ANEW ? now.data.size : was.made};
    if (fate == OTTER_DATA_ANEW && was.region.size && !otter_data_set_shape(d, NULL)) return OTTER_NEEDS_SETTINGS;
    d->data.region = now.data;
    d->data.waiting = false;
    if (!two_images(&now) && otter_data_wanted(d, &now.data, fate == OTTER_DATA_KEPT)) {
        d->data.waiting = true;
        return OTTER_OK;
    }
    if (now.data.size) hand_out(d, &is, fate);
    return OTTER_OK;
}

void otter_elastic_hand_out(struct otter_device *d, uint32_t made, enum otter_data_fate fate)
{
    const struct otter_data_shape shape = {d->data.region, made};
    d->data.waiting = false;
    hand_out(d, &shape, fate);
}

/* What becomes of an earlier update's data image is decided with that: it is not waited for any more. The record says
 * what is data's, so there is no update without it. */
static enum otter_err record(struct otter_device *d, const struct otter_offer *offer)
{
    enum otter_err e = release(d) ? OTTER_OK : OTTER_DATA_BUSY;
    if (!e && (!otter_data_announce(d, offer) || !otter_record_save(d))) e = OTTER_NEEDS_SETTINGS;
    if (!e) return changed(d);
    otter_record_load(d);
    return e;
}

static enum otter_err settle(struct otter_device *d)
{
    struct otter_slot app = running_span(d);
    int from = d->record.from;
    if (!otter_data_expect(d)) return OTTER_NEEDS_SETTINGS;
    if (from == d->running || !is_slot(d, from)) return OTTER_OK;
    uint32_t off = otter_slots_get(d, from)->offset;
    bool covered = off >= app.offset && off < end_of(&app);
    return covered ? OTTER_OK : otter_flash_kill_image(d, off);
}

bool otter_elastic_table(struct otter_device *scratch, const struct otter_ports *ports)
{
    memset(scratch, 0, sizeof *scratch);
    scratch->ports = *ports;
    struct otter_rows rows = {&scratch, otter_slots_row};
    if (otter_slots_read(scratch, &rows, &scratch->slots)) return false;
    for (int i = 0; i < OTTER_OTA_SLOTS; i++)
        for (int k = 0; k < i; k++) {
            const struct otter_slot *a = otter_slots_get(scratch, i), *b = otter_slots_get(scratch, k);
            if (a && b && !apart(a, b)) return true;
        }
    return false;
}

const struct otter_layout otter_layout_elastic = {place, target, record, settle, changed, division};
