/* Opens the device: what runs, from where, and what an earlier cut or roll back left to mend. */
#include <string.h>

#include "core/boot.h"
#include "core/event.h"
#include "core/flash.h"
#include "core/health.h"
#include "core/layout.h"
#include "core/record.h"
#include "core/session.h"
#include "core/slots.h"
#include "core/trust.h"

static bool given_up(const struct otter_ota_entry *e)
{
    return !otter_ota_initial(e) && (e->state == OTTER_OTA_ABORTED || e->state == OTTER_OTA_INVALID);
}

/* Does the running image cover off? Then nothing there may be touched. */
static bool runs_over(const struct otter_device *d, uint32_t off)
{
    const struct otter_slot *s = otter_slots_get(d, d->running);
    return s && off >= s->offset && off - s->offset < (d->running_image.length ? d->running_image.length : s->size);
}

/* Firmware that was given up must not be found by the boot loader's fallback search. Where data may lie in its place
 * by now, the record tells whether it does. */
static enum otter_err mend_given_up(struct otter_device *d, int slot)
{
    const struct otter_slot *s = otter_slots_get(d, slot);
    bool recorded = d->record.phase == OTTER_RECORD_SWITCHED && d->record.slot == slot;
    if (!s || slot == d->running || runs_over(d, s->offset)) return OTTER_OK;
    d->went_back = (int8_t)slot;
    otter_event_add(d, OTTER_EV_WENT_BACK, OTTER_OK, s->offset);
    return recorded || !d->ports.layout ? otter_flash_kill_image(d, s->offset) : OTTER_OK;
}

static enum otter_err leave_unswitched(struct otter_device *d)
{
    bool retried = d->record.retried;
    enum otter_err e = retried ? mend_given_up(d, d->record.slot) : OTTER_OK;
    if (e) return e;
    otter_record_clear(d);
    if (retried) otter_record_why(d, "power failed at each start");
    return OTTER_OK;
}

/* The record says that a switch was made, but the old firmware runs and nothing in otadata says why: a cut hit the boot
 * loader's or the confirmation's rewriting of the entry. Once, it is made again. */
static enum otter_err switch_again(struct otter_device *d)
{
    struct otter_record *r = &d->record;
    enum otter_err e = r->retried ? OTTER_BANNED : otter_slots_verify(d, r->slot);
    if (e == OTTER_FLASH_READ) return e;
    if (e) return leave_unswitched(d);
    r->retried = true;
    otter_record_save(d);
    e = otter_boot_switch(d, r->slot);
    if (e) {
        r->retried = false;
        otter_record_save(d);
        return e;
    }
    d->switched = true;
    otter_event_add(d, OTTER_EV_SWITCHED, OTTER_OK, d->slots.ota[r->slot].offset);
    return OTTER_OK;
}

/* What has become of the update that was switched to before the restart? */
static enum otter_err follow_up(struct otter_device *d, const struct otter_ota_entry e[2])
{
    struct otter_record *r = &d->record;
    if (r->phase != OTTER_RECORD_SWITCHED) return OTTER_OK;
    const struct otter_ota_entry *entry = otter_boot_entry_of(d, e, r->slot);
    if (r->slot == d->running) {
        return entry && entry->state == OTTER_OTA_VALID ? otter_layout_settle(d) : OTTER_OK;
    }
    char why[OTTER_WHY];
    otter_why(d, why);
    /* With a reason, but without an entry: the roll back's own write was cut, or failed. */
    if (entry ? given_up(entry) : why[0] != '\0') {
        enum otter_err err = entry ? OTTER_OK : mend_given_up(d, r->slot);
        if (err) return err;
        if (!why[0]) otter_record_why(d, "it restarted unconfirmed");
        otter_record_ban(d, r->sha256);
        otter_record_clear(d);
        return OTTER_OK;
    }
    /* Named and not given up: its image was found bad, or it is about to start. */
    if (entry) return OTTER_OK;
    return switch_again(d);
}

static enum otter_err mend(struct otter_device *d)
{
    struct otter_ota_entry e[2];
    enum otter_err err = otter_boot_read(d, e);
    /* A table without otadata is no fault; it just cannot be updated. */
    if (err || !d->slots.ota_rows) return err == OTTER_NO_OTADATA ? OTTER_OK : err;
    for (int i = 0; i < 2 && !err; i++)
        if (given_up(&e[i])) err = mend_given_up(d, (int)otter_ota_slot(e[i].seq, d->slots.ota_rows));
    return err ? err : follow_up(d, e);
}

static enum otter_err find_running(struct otter_device *d)
{
    const struct otter_chip *chip = d->ports.chip;
    struct otter_image_check scratch;
    uint32_t off;
    d->detail = chip->running(chip->ctx, &off);
    if (d->detail) return OTTER_NO_SLOT;
    d->running = (int8_t)otter_slots_at(d, off);
    if (d->running == OTTER_SLOT_NONE) return OTTER_NO_SLOT;
    otter_event_add(d, OTTER_EV_STARTED, OTTER_OK, off);
    return otter_slots_scan(d, d->running, &scratch, &d->running_image);
}

enum otter_err otter_open(struct otter_device *d, const struct otter_ports *ports)
{
    memset(d, 0, sizeof *d);
    d->ports = *ports;
    d->running = d->went_back = OTTER_SLOT_NONE;
    otter_record_load(d);
    otter_trust_load(d);
    struct otter_rows rows = {&d, otter_slots_row};
    enum otter_err e = otter_slots_read(d, &rows, &d->slots), mended;
    if (!e) e = find_running(d);
    if (d->running == OTTER_SLOT_NONE) return e;
    /* What runs may be confirmed, rolled back or replaced although its image could not be read. */
    mended = mend(d);
    otter_health_start(d);
    otter_layout_changed(d);
    return e ? e : mended;
}

void otter_poll(struct otter_device *d)
{
    if (d->session) otter_session_watch(d->session);
    otter_health_poll(d);
}
