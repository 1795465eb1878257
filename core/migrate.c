/* Rewrites the partition table. Knows two tables, and what they have to agree on. */
#include "otter/migrate.h"

#include <string.h>

#include "core/boot.h"
#include "core/flash.h"
#include "core/record.h"
#include "core/slots.h"

enum { PAGE = 256, PAGES = OTTER_TABLE_SIZE / PAGE, TRIES = 3 };

/* A table that is not the device's yet, in the shape of the engine's own. */
struct target {
    struct otter_slots slots;
    struct otter_slot nvs;
};

static enum otter_err flash_row(const void *ctx, unsigned i, uint8_t out[OTTER_TABLE_ROW])
{
    struct otter_device *d = *(struct otter_device *const *)ctx;
    return otter_flash_read_sure(d, OTTER_CFG_TABLE_OFFSET + i * OTTER_TABLE_ROW, out, OTTER_TABLE_ROW);
}

static void take(struct target *t, const struct otter_partition *p)
{
    struct otter_slot region = {p->offset, p->size};
    unsigned ota = (unsigned)p->subtype - OTTER_APP_OTA_0;
    bool data = p->type == OTTER_TYPE_DATA;
    if (data && p->subtype == OTTER_DATA_OTADATA) t->slots.otadata = region;
    if (data && p->subtype == OTTER_DATA_NVS && !t->nvs.size) t->nvs = region;
    if (p->type == OTTER_TYPE_APP && p->subtype == OTTER_APP_FACTORY) t->slots.factory = region;
    if (p->type == OTTER_TYPE_APP && p->subtype >= OTTER_APP_OTA_0 && ota < OTTER_OTA_SLOTS) {
        t->slots.ota[ota] = region;
        t->slots.ota_rows++;
    }
}

static enum otter_err read_target(struct otter_device *d, const struct otter_rows *rows, struct target *t)
{
    unsigned count, bad;
    memset(t, 0, sizeof *t);
    enum otter_err e = otter_table_check(rows, d->ports.flash->size, d->ports.crypto, &count, &bad);
    for (unsigned i = 0; !e && i < count; i++) {
        struct otter_partition p;
        e = otter_table_row(rows, i, &p);
        if (!e) take(t, &p);
    }
    return e;
}

static bool same(const struct otter_slot *a, const struct otter_slot *b)
{
    return a->offset == b->offset && a->size == b->size;
}

static int slot_at(const struct target *t, uint32_t offset)
{
    for (int i = 0; i < t->slots.ota_rows; i++)
        if (t->slots.ota[i].offset == offset) return i;
    return OTTER_SLOT_NONE;
}

static bool names_both(const struct otter_device *d, const struct target *t, const struct otter_migration *m,
                       uint32_t seq)
{
    return (int)otter_ota_slot(seq, d->slots.ota_rows) == m->from &&
           (int)otter_ota_slot(seq, t->slots.ota_rows) == m->to;
}

/* The next number that names the running image's slot by both tables; 0: there is none. */
static uint32_t common_seq(const struct otter_device *d, const struct target *t, const struct otter_migration *m,
                           uint32_t after)
{
    for (unsigned i = 0; i < OTTER_OTA_SLOTS; i++) {
        after = otter_ota_next_seq(after, (unsigned)m->to, t->slots.ota_rows);
        if (!after || names_both(d, t, m, after)) return after;
    }
    return 0;
}

static const char *against(const struct otter_device *d, const struct target *t, const struct target *now,
                           const struct otter_migration *m)
{
    const struct otter_slot *runs = otter_slots_get(d, d->running);
    if (d->ports.layout) return "the slots are elastic already";
    if (d->running < 0) return "the firmware does not run from an ota slot; update it first";
    if (t->slots.factory.size) return "the new table has a factory app";
    if (!same(&t->slots.otadata, &d->slots.otadata)) return "the new table has otadata at another place";
    if (!same(&t->nvs, &now->nvs)) return "the new table has nvs at another place";
    if (m->to == OTTER_SLOT_NONE) return "the new table has no slot where the running firmware lies";
    if (d->running_image.length > t->slots.ota[m->to].size)
        return "the running firmware does not fit into its new slot";
    return runs ? NULL : "the table has no slot where the firmware runs";
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

static enum otter_err check(struct otter_device *d, const uint8_t *table, struct target *t, struct otter_migration *m)
{
    struct otter_ota_entry e[2];
    struct target now;
    struct otter_table_memory memory = {table, OTTER_TABLE_SIZE};
    struct otter_rows old = {&d, flash_row}, new = otter_table_rows(&memory);
    memset(m, 0, sizeof *m);
    enum otter_err err = may_begin(d);
    if (!err) err = read_target(d, &old, &now);
    if (!err) err = read_target(d, &new, t);
    if (err) return err;
    m->from = d->running;
    m->to = (int8_t)(d->running < 0 ? OTTER_SLOT_NONE : slot_at(t, otter_slots_get(d, d->running)->offset));
    m->pages = pages_of(table);
    m->why = against(d, t, &now, m);
    if (m->why) return OTTER_MIGRATION;
    err = otter_boot_read(d, e);
    if (err) return err;
    int active = otter_ota_active(e);
    m->seq = common_seq(d, t, m, active < 0 ? 0 : e[active].seq);
    if (!m->seq)
        m->why = "no sequence number names the running firmware by both tables; give it a slot of another number";
    return m->seq ? otter_slots_verify(d, d->running) : OTTER_MIGRATION;
}

enum otter_err otter_migrate_check(struct otter_device *d, const uint8_t *table, struct otter_migration *m)
{
    struct target t;
    return check(d, table, &t, m);
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
    struct target t;
    struct otter_migration m;
    enum otter_err e = check(d, table, &t, &m);
    if (!e) e = otter_boot_name_running(d, m.seq);
    if (!e) e = clear_others(d);
    if (e) return e;
    otter_record_clear(d);
    e = OTTER_FLASH_WRITE;
    for (int i = 0; e && i < TRIES; i++) e = write_table(d, table, m.pages);
    d->switched = e == OTTER_OK;
    return e;
}
