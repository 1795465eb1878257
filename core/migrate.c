/* Rewrites the partition table. Knows two tables, and what they have to agree on. */
#include "otter/migrate.h"

#include <string.h>

#include "core/boot.h"
#include "core/flash.h"
#include "core/record.h"
#include "core/slots.h"

enum { PAGE = 256, TRIES = 3 };

/* The table's first partition for settings; size 0: there is none. */
static enum otter_err find_nvs(struct otter_device *d, const struct otter_rows *rows, struct otter_slot *out)
{
    struct otter_partition p;
    unsigned count, bad;
    *out = (struct otter_slot){0, 0};
    enum otter_err e = otter_table_check(rows, d->ports.flash->size, d->ports.crypto, &count, &bad);
    for (unsigned i = 0; !e && !out->size && i < count; i++) {
        e = otter_table_row(rows, i, &p);
        if (!e && p.type == OTTER_TYPE_DATA && p.subtype == OTTER_DATA_NVS)
            *out = (struct otter_slot){p.offset, p.size};
    }
    return e;
}

static bool same(const struct otter_slot *a, const struct otter_slot *b)
{
    return a->offset == b->offset && a->size == b->size;
}

static int slot_at(const struct otter_slots *t, uint32_t offset)
{
    for (int i = 0; i < t->ota_rows; i++)
        if (t->ota[i].offset == offset) return i;
    return OTTER_SLOT_NONE;
}

static bool names_both(const struct otter_device *d, const struct otter_slots *t, const struct otter_migration *m,
                       uint32_t seq)
{
    return (int)otter_ota_slot(seq, d->slots.ota_rows) == m->from && (int)otter_ota_slot(seq, t->ota_rows) == m->to;
}

/* The next number that names the running image's slot by both tables; 0: there is none. */
static uint32_t common_seq(const struct otter_device *d, const struct otter_slots *t, const struct otter_migration *m,
                           uint32_t after)
{
    for (unsigned i = 0; i < OTTER_OTA_SLOTS; i++) {
        after = otter_ota_next_seq(after, (unsigned)m->to, t->ota_rows);
        if (!after || names_both(d, t, m, after)) return after;
    }
    return 0;
}

static const char *against(const struct otter_device *d, const struct otter_slots *t, const struct otter_migration *m)
{
    if (d->ports.layout) return "the slots are elastic already";
    if (d->running < 0) return "the firmware does not run from an ota slot; update it first";
    if (t->factory.size) return "the new table has a factory app";
    if (!same(&t->otadata, &d->slots.otadata)) return "the new table has otadata at another place";
    if (m->to == OTTER_SLOT_NONE) return "the new table has no slot where the running firmware lies";
    if (d->running_image.length > t->ota[m->to].size) return "the running firmware does not fit into its new slot";
    return NULL;
}

static enum otter_err may_begin(struct otter_device *d)
{
    bool on_trial;
    if (d->session || d->switched) return OTTER_BUSY;
    enum otter_err e = otter_boot_on_trial(d, &on_trial);
    return e ? e : on_trial ? OTTER_UNCONFIRMED : OTTER_OK;
}

static uint8_t pages_of(const uint8_t *table)
{
    uint8_t n = 0;
    for (unsigned i = 0; i < OTTER_TABLE_SIZE; i++)
        if (table[i] != 0xFF) n = (uint8_t)(i / PAGE + 1);
    return n;
}

enum otter_err otter_migrate_check(struct otter_device *d, const uint8_t *table, struct otter_migration *m)
{
    struct otter_ota_entry e[2];
    struct otter_slots t;
    struct otter_slot old_nvs, new_nvs;
    struct otter_table_memory memory = {table, OTTER_TABLE_SIZE};
    struct otter_rows old = {&d, otter_slots_row}, new = otter_table_rows(&memory);
    memset(m, 0, sizeof *m);
    enum otter_err err = may_begin(d);
    if (!err) err = find_nvs(d, &old, &old_nvs);
    if (!err) err = find_nvs(d, &new, &new_nvs);
    if (!err) err = otter_slots_read(d, &new, &t);
    if (err) return err;
    m->from = d->running;
    m->to = (int8_t)(d->running < 0 ? OTTER_SLOT_NONE : slot_at(&t, otter_slots_get(d, d->running)->offset));
    m->pages = pages_of(table);
    m->why = against(d, &t, m);
    if (!m->why && !same(&new_nvs, &old_nvs)) m->why = "the new table has nvs at another place";
    if (m->why) return OTTER_MIGRATION;
    err = otter_boot_read(d, e);
    if (err) return err;
    int active = otter_ota_active(e);
    m->seq = common_seq(d, &t, m, active < 0 ? 0 : e[active].seq);
    if (!m->seq)
        m->why = "no sequence number names the running firmware by both tables; give it a slot of another number";
    return m->seq ? otter_slots_verify(d, d->running) : OTTER_MIGRATION;
}

/* Whatever old slots hold besides the running image is data's from now on. */
static enum otter_err clear_others(struct otter_device *d)
{
    enum otter_err e = OTTER_OK;
    for (int i = 0; !e && i < d->slots.ota_rows; i++)
        if (i != d->running && otter_slots_get(d, i)) e = otter_flash_kill_image(d, d->slots.ota[i].offset);
    if (!e && d->slots.factory.size) e = otter_flash_kill_image(d, d->slots.factory.offset);
    return e;
}

/* The first page last: until then the boot loader sees no table at all, never a part of one. */
static enum otter_err write_table(struct otter_device *d, const uint8_t *table, unsigned pages)
{
    uint8_t page[PAGE];
    enum otter_err e = otter_flash_erase(d, OTTER_CFG_TABLE_OFFSET, OTTER_SECTOR);
    for (unsigned i = pages; !e && i-- > 0;) {
        memcpy(page, table + i * PAGE, PAGE);
        e = otter_flash_write(d, OTTER_CFG_TABLE_OFFSET + i * PAGE, page, PAGE);
    }
    return e;
}

enum otter_err otter_migrate(struct otter_device *d, const uint8_t *table)
{
    struct otter_migration m;
    enum otter_err e = otter_migrate_check(d, table, &m);
    if (!e) e = otter_boot_name_running(d, m.seq);
    if (!e) e = clear_others(d);
    if (e) return e;
    otter_record_clear(d);
    e = OTTER_FLASH_WRITE;
    for (int i = 0; e && i < TRIES; i++) e = write_table(d, table, m.pages);
    d->switched = e == OTTER_OK;
    return e;
}
