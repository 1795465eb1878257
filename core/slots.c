/* Finds slots in the partition table and images in slots. Knows nothing of otadata or sessions. */
#include "core/slots.h"

#include <string.h>

#include "core/flash.h"

enum otter_err otter_slots_row(const void *ctx, unsigned i, uint8_t out[OTTER_TABLE_ROW])
{
    /* The device is only read through, but a failed read leaves its code in it. */
    struct otter_device *d = *(struct otter_device *const *)ctx;
    return otter_flash_read_sure(d, OTTER_CFG_TABLE_OFFSET + i * OTTER_TABLE_ROW, out, OTTER_TABLE_ROW);
}

/* As the boot loader does: of two rows with the same subtype the last one wins, but both count. */
static void take_row(struct otter_slots *s, const struct otter_partition *p)
{
    struct otter_slot slot = {p->offset, p->size};
    unsigned ota = (unsigned)p->subtype - OTTER_APP_OTA_0;
    if (p->type == OTTER_TYPE_APP && p->subtype == OTTER_APP_FACTORY) s->factory = slot;
    if (p->type == OTTER_TYPE_APP && p->subtype == OTTER_APP_TEST) s->test = slot;
    if (p->type == OTTER_TYPE_APP && p->subtype >= OTTER_APP_OTA_0 && ota < OTTER_OTA_SLOTS) {
        s->ota[ota] = slot;
        s->ota_rows++;
    }
    if (p->type == OTTER_TYPE_DATA && p->subtype == OTTER_DATA_OTADATA && p->size >= OTTER_OTADATA_SIZE)
        s->otadata = slot;
}

enum otter_err otter_slots_read(struct otter_device *d, const struct otter_rows *rows, struct otter_slots *out)
{
    unsigned count, bad;
    memset(out, 0, sizeof *out);
    enum otter_err e = otter_table_check(rows, d->ports.flash->size, d->ports.crypto, &count, &bad);
    for (unsigned i = 0; !e && i < count; i++) {
        struct otter_partition p;
        e = otter_table_row(rows, i, &p);
        if (!e) take_row(out, &p);
    }
    return e;
}

const struct otter_slot *otter_slots_get(const struct otter_device *d, int slot)
{
    const struct otter_slot *s = NULL;
    if (slot >= 0 && slot < OTTER_OTA_SLOTS) s = &d->slots.ota[slot];
    if (slot == OTTER_SLOT_FACTORY) s = &d->slots.factory;
    if (slot == OTTER_SLOT_TEST) s = &d->slots.test;
    return s && s->size ? s : NULL;
}

int otter_slots_at(const struct otter_device *d, uint32_t off)
{
    for (int slot = OTTER_SLOT_TEST; slot < OTTER_OTA_SLOTS; slot++) {
        const struct otter_slot *s = otter_slots_get(d, slot);
        if (s && s->offset == off) return slot;
    }
    return OTTER_SLOT_NONE;
}

int otter_slots_target(const struct otter_device *d)
{
    int after = d->running < 0 ? OTTER_OTA_SLOTS - 1 : d->running;
    for (int i = 1; i <= OTTER_OTA_SLOTS; i++) {
        int slot = (after + i) % OTTER_OTA_SLOTS;
        if (slot != d->running && slot < d->slots.ota_rows && otter_slots_get(d, slot)) return slot;
    }
    return OTTER_SLOT_NONE;
}

struct otter_image_rules otter_slots_rules(const struct otter_device *d, int slot)
{
    const struct otter_chip *chip = d->ports.chip;
    const struct otter_slot *s = otter_slots_get(d, slot);
    struct otter_image_rules r = {
        .chip = chip->info,
        .chip_revision = chip->revision,
        .efuse_revision = chip->efuse_revision,
        .offset = s ? s->offset : 0,
        .room = s && s->size < OTTER_IMAGE_ROOM_MAX ? s->size : OTTER_IMAGE_ROOM_MAX,
        .flags = OTTER_IMAGE_LOADABLE,
    };
    return r;
}

/* Hops from header to header: of the payloads only the descriptor is read. */
static enum otter_err scan(struct otter_device *d, const struct otter_slot *s, struct otter_image_check *c)
{
    uint8_t piece[64];
    while (!c->err && !c->facts.length) {
        uint32_t n = c->left < sizeof piece ? c->left : sizeof piece;
        enum otter_err e = otter_flash_read_sure(d, s->offset + c->offset, piece, n);
        if (e) return e;
        otter_image_feed(c, piece, n);
        if (!c->err) otter_image_skip(c, UINT32_MAX);
    }
    return c->err;
}

enum otter_err otter_slots_scan(struct otter_device *d, int slot, struct otter_image_check *scratch,
                                struct otter_image_facts *facts)
{
    struct otter_image_rules rules = otter_slots_rules(d, slot);
    const struct otter_slot *s = otter_slots_get(d, slot);
    memset(facts, 0, sizeof *facts);
    if (!s) return OTTER_NO_SLOT;
    otter_image_start(scratch, &rules, NULL);
    enum otter_err e = scan(d, s, scratch);
    *facts = scratch->facts;
    return e;
}

enum otter_err otter_slots_verify(struct otter_device *d, int slot)
{
    struct otter_image_check c;
    struct otter_image_rules rules = otter_slots_rules(d, slot);
    const struct otter_slot *s = otter_slots_get(d, slot);
    uint8_t piece[256];
    if (!s) return OTTER_NO_SLOT;
    otter_image_start(&c, &rules, d->ports.crypto);
    while (!c.err && !otter_image_complete(&c)) {
        uint32_t n = s->size - c.offset < sizeof piece ? s->size - c.offset : sizeof piece;
        enum otter_err e = n ? otter_flash_read(d, s->offset + c.offset, piece, n) : OTTER_TRUNCATED;
        if (e) {
            otter_image_stop(&c);
            return e;
        }
        otter_image_feed(&c, piece, n);
    }
    return otter_image_end(&c);
}

char *otter_slot_name(int slot, char buf[8])
{
    const char *name = slot == OTTER_SLOT_FACTORY ? "factory" : slot == OTTER_SLOT_TEST ? "test" : "none";
    if (slot < 0 || slot >= OTTER_OTA_SLOTS) return strcpy(buf, name);
    char *p = strcpy(buf, "ota_") + 4;
    if (slot >= 10) *p++ = '1';
    *p++ = (char)('0' + slot % 10);
    *p = '\0';
    return buf;
}
