/* Opens the device: what runs, from where, and what an earlier cut or roll back left to mend. */
#include <string.h>

#include "core/boot.h"
#include "core/event.h"
#include "core/flash.h"
#include "core/session.h"
#include "core/slots.h"

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

/* Firmware that was given up must not be found by the boot loader's fallback search. */
static enum otter_err mend_given_up(struct otter_device *d, int slot)
{
    const struct otter_slot *s = otter_slots_get(d, slot);
    if (!s || slot == d->running || runs_over(d, s->offset)) return OTTER_OK;
    d->went_back = (int8_t)slot;
    otter_event_add(d, OTTER_EV_WENT_BACK, OTTER_OK, s->offset);
    return otter_flash_kill_image(d, s->offset);
}

static enum otter_err mend(struct otter_device *d)
{
    struct otter_ota_entry e[2];
    enum otter_err err = otter_boot_read(d, e);
    /* A table without otadata is no fault; it just cannot be updated. */
    if (err || !d->slots.ota_rows) return err == OTTER_NO_OTADATA ? OTTER_OK : err;
    for (int i = 0; i < 2 && !err; i++)
        if (given_up(&e[i])) err = mend_given_up(d, (int)otter_ota_slot(e[i].seq, d->slots.ota_rows));
    return err;
}

static enum otter_err find_running(struct otter_device *d)
{
    const struct otter_chip *chip = d->ports.chip;
    uint32_t off;
    d->detail = chip->running(chip->ctx, &off);
    if (d->detail) return OTTER_NO_SLOT;
    d->running = (int8_t)otter_slots_at(d, off);
    if (d->running == OTTER_SLOT_NONE) return OTTER_NO_SLOT;
    otter_event_add(d, OTTER_EV_STARTED, OTTER_OK, off);
    return otter_slots_scan(d, d->running, &d->running_image);
}

enum otter_err otter_open(struct otter_device *d, const struct otter_ports *ports)
{
    memset(d, 0, sizeof *d);
    d->ports = *ports;
    d->running = d->went_back = OTTER_SLOT_NONE;
    enum otter_err e = otter_slots_read(d);
    if (!e) e = find_running(d);
    return e ? e : mend(d);
}

void otter_poll(struct otter_device *d)
{
    if (d->session) otter_session_watch(d->session);
}
