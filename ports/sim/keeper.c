/* Marks in the data region. Knows where slots begin, and nothing of updates. */
#include "ports/sim/keeper.h"

#include <string.h>

enum { MARK = 64, MARKS = OTTER_OTA_SLOTS + 2 };

static uint32_t end_of(const struct otter_slot *s) { return s->offset + s->size; }

static unsigned places(const struct sim_keeper *k, const struct otter_slot *region, uint32_t at[MARKS])
{
    unsigned n = 0;
    if (region->size < 2 * OTTER_SECTOR) return 0;
    at[n++] = region->offset;
    at[n++] = end_of(region) - OTTER_SECTOR;
    for (unsigned i = 0; i < k->slots; i++)
        if (k->slot_at[i] > region->offset && k->slot_at[i] < end_of(region)) at[n++] = k->slot_at[i];
    return n;
}

static void mark(const struct sim_keeper *k, uint32_t at, uint8_t out[MARK])
{
    for (unsigned i = 0; i < MARK; i++) out[i] = (uint8_t)(k->files->generation * 31 + at / OTTER_SECTOR * 7 + i);
    out[0] = OTTER_IMAGE_MAGIC;
}

static bool holds_image(const struct sim_keeper *k, uint32_t off)
{
    return k->image && memcmp(k->nor->bytes + off, k->image, k->image_size) == 0;
}

static bool whole(const struct sim_keeper *k)
{
    if (k->files->restored) return holds_image(k, k->files->region.offset);
    uint32_t at[MARKS];
    unsigned n = places(k, &k->files->region, at);
    for (unsigned i = 0; i < n; i++) {
        uint8_t bytes[MARK];
        mark(k, at[i], bytes);
        if (memcmp(k->nor->bytes + at[i], bytes, MARK) != 0) return false;
    }
    return true;
}

static bool release(void *ctx)
{
    (void)ctx;
    return true;
}

static void make(struct sim_keeper *k, const struct otter_slot *region)
{
    struct sim_kept *f = k->files;
    const struct otter_flash *port = &k->nor->port;
    uint32_t at[MARKS];
    unsigned n = places(k, region, at);
    f->region = *region;
    f->generation++;
    f->whole = f->restored = false;
    for (unsigned i = 0; i < n; i++) {
        uint8_t bytes[MARK];
        mark(k, at[i], bytes);
        if (port->erase(port->ctx, at[i], OTTER_SECTOR) || port->write(port->ctx, at[i], bytes, MARK)) return;
    }
    f->whole = whole(k);
}

static void check(struct sim_keeper *k, const struct otter_slot *region, enum otter_data_fate fate)
{
    const struct sim_kept *f = k->files;
    if (fate == OTTER_DATA_ANEW) {
        if (!f->may_go) k->broken = "files are lost without an update";
        return;
    }
    /* What has grown already may be told again. */
    bool same = region->size == f->region.size, grew = region->size >= f->region.size;
    bool as_said = region->offset == f->region.offset && (fate == OTTER_DATA_KEPT ? same : grew);
    if (!as_said || !whole(k)) k->broken = "files are not what they are said to be";
}

static bool ready(void *ctx, uint32_t off, uint32_t size, uint32_t made, enum otter_data_fate fate)
{
    struct sim_keeper *k = ctx;
    struct otter_slot region = {off, size};
    bool image = fate == OTTER_DATA_KEPT && !k->files->restored && holds_image(k, off);
    if (fate == OTTER_DATA_ANEW) k->files->made = size;
    if (image) k->files->made = (k->image_size + OTTER_SECTOR - 1) / OTTER_SECTOR * OTTER_SECTOR;
    if (made != k->files->made) k->broken = "files were made for another size than is said";
    if (image) {
        k->files->region = region;
        k->files->whole = k->files->restored = true;
        return true;
    }
    bool whole_before = k->files->whole;
    if (whole_before) check(k, &region, fate);
    if (!whole_before || fate != OTTER_DATA_KEPT) make(k, &region);
    return k->files->whole;
}

void sim_keeper_init(struct sim_keeper *k, struct sim_nor *nor, struct sim_kept *files)
{
    memset(k, 0, sizeof *k);
    k->port = (struct otter_data){.ctx = k, .release = release, .ready = ready};
    k->nor = nor;
    k->files = files;
}
