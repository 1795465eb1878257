/* Reads and writes otadata. Knows slots, and nothing of sessions. */
#include "core/boot.h"

#include <string.h>

#include "core/event.h"
#include "core/flash.h"
#include "core/layout.h"
#include "core/record.h"
#include "core/slots.h"

enum { CRC_AT = 28 };

static uint32_t sector_at(const struct otter_device *d, int sector)
{
    return d->slots.otadata.offset + (uint32_t)sector * OTTER_SECTOR;
}

enum otter_err otter_boot_read(struct otter_device *d, struct otter_ota_entry e[2])
{
    uint8_t raw[OTTER_OTADATA_ENTRY];
    if (!d->slots.otadata.size) return OTTER_NO_OTADATA;
    for (int i = 0; i < 2; i++) {
        enum otter_err err = otter_flash_read_sure(d, sector_at(d, i), raw, sizeof raw);
        if (err) return err;
        otter_ota_read(raw, &e[i]);
    }
    return OTTER_OK;
}

static int entry_slot(const struct otter_device *d, const struct otter_ota_entry *e)
{
    return (int)otter_ota_slot(e->seq, d->slots.ota_rows);
}

static int active_slot(const struct otter_device *d, const struct otter_ota_entry e[2])
{
    int active = d->slots.ota_rows ? otter_ota_active(e) : -1;
    return active < 0 ? OTTER_SLOT_NONE : entry_slot(d, &e[active]);
}

const struct otter_ota_entry *otter_boot_entry_of(const struct otter_device *d, const struct otter_ota_entry e[2],
                                                  int slot)
{
    const struct otter_ota_entry *found = NULL;
    if (slot < 0 || !d->slots.ota_rows) return NULL;
    for (int i = 0; i < 2; i++)
        if (!otter_ota_initial(&e[i]) && entry_slot(d, &e[i]) == slot && (!found || e[i].seq > found->seq))
            found = &e[i];
    return found;
}

int otter_boot_next(const struct otter_device *d, const struct otter_ota_entry e[2])
{
    struct otter_ota_entry at_boot[2] = {e[0], e[1]};
    for (int i = 0; i < 2; i++)
        if (d->ports.chip->rollback && at_boot[i].state == OTTER_OTA_PENDING_VERIFY)
            at_boot[i].state = OTTER_OTA_ABORTED;
    int slot = active_slot(d, at_boot);
    if (slot != OTTER_SLOT_NONE) return slot;
    if (d->slots.factory.size) return OTTER_SLOT_FACTORY;
    return d->slots.ota_rows ? 0 : OTTER_SLOT_NONE;
}

/* A confirmation or a roll back of the firmware on trial has erased its entry and then failed: it runs, but only until
 * the next restart. Nobody else can have named another slot, as on trial no session is opened. */
static bool entry_lost(const struct otter_device *d, const struct otter_ota_entry e[2])
{
    return d->health.on_trial && !d->switched && active_slot(d, e) != d->running;
}

enum otter_err otter_boot_on_trial(struct otter_device *d, bool *trial)
{
    struct otter_ota_entry e[2];
    enum otter_err err = otter_boot_read(d, e);
    if (err) return err;
    int active = otter_ota_active(e);
    uint32_t state = active >= 0 && active_slot(d, e) == d->running ? e[active].state : OTTER_OTA_UNDEFINED;
    *trial = state == OTTER_OTA_PENDING_VERIFY || entry_lost(d, e);
    /* Bits of a confirmation that failed can make it new again. */
    if (state == OTTER_OTA_NEW && d->health.on_trial) *trial = true;
    return OTTER_OK;
}

/* An erase begins by writing zeros, and sequence number 0 with a blank CRC counts as whole: so an entry whose CRC was
 * never written is given a wrong one first. */
static enum otter_err erase_entry(struct otter_device *d, int sector)
{
    struct otter_ota_entry entry;
    uint8_t raw[OTTER_OTADATA_ENTRY], wrong[4] = {0};
    uint32_t at = sector_at(d, sector);
    enum otter_err e = otter_flash_read(d, at, raw, sizeof raw);
    if (e) return e;
    otter_ota_read(raw, &entry);
    if (entry.seq != OTTER_OTA_NO_SEQ && entry.crc == UINT32_MAX && d->ports.flash->write_unit <= sizeof wrong)
        e = otter_flash_write(d, at + CRC_AT, wrong, sizeof wrong);
    return e ? e : otter_flash_erase(d, at, OTTER_SECTOR);
}

static enum otter_err write_entry(struct otter_device *d, int sector, uint32_t seq, uint32_t state)
{
    uint8_t raw[OTTER_OTADATA_ENTRY];
    uint32_t at = sector_at(d, sector), first = d->ports.flash->write_unit > 4 ? sizeof raw : CRC_AT;
    otter_ota_write(seq, state, raw);
    enum otter_err e = erase_entry(d, sector);
    if (!e) e = otter_flash_write(d, at, raw, first);
    /* Encrypted flash takes the entry in one piece only; there the CRC cannot be held back. */
    if (!e && first < sizeof raw) e = otter_flash_write(d, at + first, raw + first, (uint32_t)sizeof raw - first);
    return e;
}

/* Lets `slot` decide by writing the entry that does not decide now. */
static enum otter_err write_deciding(struct otter_device *d, int slot, uint32_t state)
{
    struct otter_ota_entry e[2];
    enum otter_err err = otter_boot_read(d, e);
    if (err) return err;
    int active = otter_ota_active(e);
    uint32_t seq = otter_ota_next_seq(active < 0 ? 0 : e[active].seq, (unsigned)slot, d->slots.ota_rows);
    if (!seq) return OTTER_SEQ_END;
    err = write_entry(d, active == 0 ? 1 : 0, seq, state);
    if (!err) err = otter_boot_read(d, e);
    if (err) return err;
    return active_slot(d, e) == slot ? OTTER_OK : OTTER_FLASH_VERIFY;
}

enum otter_err otter_boot_name_running(struct otter_device *d, uint32_t seq)
{
    struct otter_ota_entry e[2];
    enum otter_err err = otter_boot_read(d, e);
    return err ? err : write_entry(d, otter_ota_active(e) == 0 ? 1 : 0, seq, OTTER_OTA_VALID);
}

enum otter_err otter_boot_switch(struct otter_device *d, int slot)
{
    return write_deciding(d, slot, d->ports.chip->rollback ? OTTER_OTA_NEW : OTTER_OTA_UNDEFINED);
}

/* Without a valid entry the boot loader takes the factory app: the deciding one goes last. */
static enum otter_err anchor_factory(struct otter_device *d, int active)
{
    enum otter_err e = erase_entry(d, active == 0 ? 1 : 0);
    return e ? e : erase_entry(d, active == 0 ? 0 : 1);
}

enum otter_err otter_boot_anchor(struct otter_device *d)
{
    struct otter_ota_entry e[2];
    enum otter_err err = otter_boot_read(d, e);
    if (err) return err;
    int active = active_slot(d, e);
    if (active == d->running) return OTTER_OK;
    if (d->running >= 0) return write_deciding(d, d->running, OTTER_OTA_VALID);
    return active == OTTER_SLOT_NONE ? OTTER_OK : anchor_factory(d, otter_ota_active(e));
}

static enum otter_err confirmed(struct otter_device *d, enum otter_err err)
{
    if (err) return err;
    d->health.on_trial = false;
    otter_event_add(d, OTTER_EV_CONFIRMED, OTTER_OK, d->slots.ota[d->running].offset);
    return d->record.phase == OTTER_RECORD_SWITCHED ? otter_layout_settle(d) : OTTER_OK;
}

/* Did a driver fail, so that the image is neither good nor bad? */
static bool not_judged(enum otter_err e) { return e == OTTER_FLASH_READ || e == OTTER_CRYPTO; }

/* otadata names another slot than the one that runs. If that one can be started, a switch to it is due and stays so; if
 * not, the boot loader fell back to this one, and confirming it means to name it. */
static enum otter_err confirm_fallback(struct otter_device *d, int active)
{
    enum otter_err e = active == OTTER_SLOT_NONE ? OTTER_NO_SLOT : otter_slots_verify(d, active);
    if (!e || not_judged(e)) return e ? e : OTTER_NOT_ACTIVE;
    return confirmed(d, write_deciding(d, d->running, OTTER_OTA_VALID));
}

enum otter_err otter_confirm(struct otter_device *d)
{
    struct otter_ota_entry e[2];
    if (d->running == OTTER_SLOT_NONE) return OTTER_NOT_ACTIVE;
    enum otter_err err = otter_boot_read(d, e);
    /* A factory app is never on trial. */
    if (d->running < 0) return OTTER_OK;
    if (err) return err;
    if (entry_lost(d, e)) return confirmed(d, write_deciding(d, d->running, OTTER_OTA_VALID));
    if (active_slot(d, e) != d->running) return confirm_fallback(d, active_slot(d, e));
    int active = otter_ota_active(e);
    /* Already, or by a confirmation of which only the read-back failed. */
    if (e[active].state == OTTER_OTA_VALID) return d->health.on_trial ? confirmed(d, OTTER_OK) : OTTER_OK;
    if (e[active].state == OTTER_OTA_UNDEFINED && !d->ports.chip->rollback) return OTTER_OK;
    return confirmed(d, write_entry(d, active, e[active].seq, OTTER_OTA_VALID));
}

/* The slot that starts once the running one's entry has gone; OTTER_SLOT_NONE if that would be the running one again.
 */
static int previous_slot(const struct otter_device *d, const struct otter_ota_entry e[2])
{
    struct otter_ota_entry without[2] = {e[0], e[1]};
    /* Once it is confirmed, data lies where the one before was. */
    if (d->ports.layout && !d->health.on_trial) return OTTER_SLOT_NONE;
    if (active_slot(d, e) == d->running) without[otter_ota_active(e)].state = OTTER_OTA_INVALID;
    int slot = active_slot(d, without);
    if (slot == OTTER_SLOT_NONE && d->slots.factory.size) slot = OTTER_SLOT_FACTORY;
    return slot == d->running ? OTTER_SLOT_NONE : slot;
}

enum otter_err otter_rollback(struct otter_device *d, const char *why)
{
    struct otter_ota_entry e[2];
    enum otter_err err = otter_boot_read(d, e);
    if (err) return err;
    if (d->running < 0) return OTTER_NO_PREVIOUS;
    bool lost = entry_lost(d, e);
    if (!lost && active_slot(d, e) != d->running) return OTTER_NOT_ACTIVE;
    int previous = previous_slot(d, e), active = otter_ota_active(e);
    err = previous == OTTER_SLOT_NONE ? OTTER_NO_PREVIOUS : otter_slots_verify(d, previous);
    if (err) return not_judged(err) ? err : OTTER_NO_PREVIOUS;
    otter_record_why(d, why);
    if (!lost) err = write_entry(d, active, e[active].seq, OTTER_OTA_INVALID);
    if (err) return err;
    d->switched = true;
    otter_event_add(d, OTTER_EV_ROLLED_BACK, OTTER_OK, d->slots.ota[d->running].offset);
    return OTTER_OK;
}

enum otter_err otter_boot_status(struct otter_device *d, struct otter_status *out)
{
    struct otter_ota_entry e[2];
    memset(out, 0, sizeof *out);
    out->running = d->running;
    out->running_state = OTTER_OTA_UNDEFINED;
    enum otter_err err = otter_boot_read(d, e);
    if (err) return err;
    const struct otter_ota_entry *mine = otter_boot_entry_of(d, e, d->running);
    bool lost = entry_lost(d, e), active = mine && !d->switched && active_slot(d, e) == d->running;
    if (mine) out->running_state = mine->state;
    out->can_confirm = lost || (active && (mine->state == OTTER_OTA_PENDING_VERIFY || mine->state == OTTER_OTA_NEW));
    out->can_roll_back = (lost || active) && previous_slot(d, e) != OTTER_SLOT_NONE;
    return OTTER_OK;
}

void otter_status(struct otter_device *d, struct otter_status *out) { otter_boot_status(d, out); }

static bool read_image_facts(struct otter_device *d, struct otter_slot_status *out)
{
    uint8_t raw[OTTER_IMAGE_DESC];
    if (otter_flash_read(d, out->region.offset, raw, 1)) return false;
    out->has_image = raw[0] == OTTER_IMAGE_MAGIC;
    if (otter_flash_read(d, out->region.offset + OTTER_IMAGE_DESC_OFFSET, raw, sizeof raw)) return false;
    out->has_desc = otter_app_desc_read(raw, &out->desc);
    return true;
}

/* Factory, test, ota_0 ... in this order, those that the table has. */
static int nth_slot(const struct otter_device *d, unsigned n)
{
    static const int8_t special[] = {OTTER_SLOT_FACTORY, OTTER_SLOT_TEST};
    for (unsigned i = 0; i < OTTER_OTA_SLOTS + sizeof special; i++) {
        int slot = i < sizeof special ? special[i] : (int)(i - sizeof special);
        if (otter_slots_get(d, slot) && n-- == 0) return slot;
    }
    return OTTER_SLOT_NONE;
}

bool otter_slot_at(struct otter_device *d, unsigned n, struct otter_slot_status *out)
{
    struct otter_ota_entry e[2];
    int slot = nth_slot(d, n);
    if (slot == OTTER_SLOT_NONE) return false;
    memset(out, 0, sizeof *out);
    out->slot = (int8_t)slot;
    out->region = *otter_slots_get(d, slot);
    out->running = slot == d->running;
    out->target = slot == otter_layout_target(d);
    out->state = OTTER_OTA_UNDEFINED;
    read_image_facts(d, out);
    if (otter_boot_read(d, e)) return true;
    const struct otter_ota_entry *entry = otter_boot_entry_of(d, e, slot);
    if (entry) out->state = entry->state;
    out->next = slot == otter_boot_next(d, e);
    return true;
}
