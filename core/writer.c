/* Writes a slot in order. Knows flash and its costs, and nothing of what the bytes mean. */
#include "core/writer.h"

#include <string.h>

#include "core/flash.h"

/* Typical times of a W25Q32JV-class chip in ms; only their ratios matter. */
enum {
    MS_ERASE_SECTOR = 45,
    MS_ERASE_HALF = 120,
    MS_ERASE_BLOCK = 150,
    MS_WRITE_SECTOR = 7,
    MS_READ_SECTOR = 1,
    SECTORS = OTTER_BLOCK / OTTER_SECTOR,
    /* a whole block the plain way, and the worst that can come of comparing it: only its first sector matches */
    MS_PLAIN = MS_ERASE_BLOCK + SECTORS * MS_WRITE_SECTOR,
    MS_WORST = 7 * MS_ERASE_SECTOR + MS_ERASE_HALF + SECTORS * (MS_WRITE_SECTOR + MS_READ_SECTOR)
};

void otter_writer_start(struct otter_writer *w, const struct otter_slot *slot, uint32_t need)
{
    memset(w, 0, sizeof *w);
    w->base = slot->offset;
    w->size = slot->size;
    w->need = need && need < slot->size ? need : slot->size;
}

enum otter_err otter_writer_resume(struct otter_writer *w, struct otter_device *d, const uint8_t head[OTTER_HEAD])
{
    uint8_t blank[OTTER_HEAD];
    bool fresh;
    memset(blank, 0xFF, sizeof blank);
    memcpy(w->head, head, OTTER_HEAD);
    w->touched = true;
    enum otter_err e = otter_flash_same(d, w->base, blank, OTTER_HEAD, &fresh);
    /* The first sector may be an old one that matched but for its header. */
    w->first_kept = !fresh;
    return e ? e : otter_flash_kill_image(d, w->base);
}

/* A block is compared only while that cannot make the whole update cost more than 1.4 times the plain way (what is not
 * counted here, such as reading back, brings it near 1.5). The first block decides by its first sector, which holds
 * version and hash of the ELF file: if that matches, so will most of the rest. */
static bool may_compare(const struct otter_writer *w, const struct otter_device *d, uint32_t off)
{
    if (w->need < 3 * OTTER_BLOCK) return false;
    /* Where a byte cannot be written twice the kept header could not be made unstartable without erasing its sector. */
    if (off == 0) return d->ports.flash->write_unit <= 4;
    return 5 * (w->paid + MS_WORST) <= 7 * (w->plain + MS_PLAIN);
}

static void open_block(struct otter_writer *w, const struct otter_device *d, uint32_t off)
{
    w->block_end = ((w->base + off) / OTTER_BLOCK + 1) * OTTER_BLOCK - w->base;
    w->comparing = may_compare(w, d, off);
    w->erased_to = off;
    w->plain += MS_PLAIN;
}

/* The largest erase that starts at off, stays in the slot, and of which more than a quarter is still needed. */
static uint32_t erase_size(const struct otter_writer *w, const struct otter_device *d, uint32_t off)
{
    static const uint32_t sizes[] = {OTTER_BLOCK, OTTER_HALF_BLOCK};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t size = sizes[i];
        if (!(d->ports.flash->erase_units & size) || (w->base + off) % size) continue;
        if (size <= w->size - off && w->need - off > size / 4) return size;
    }
    return OTTER_SECTOR;
}

static enum otter_err erase_ahead(struct otter_writer *w, struct otter_device *d, uint32_t off)
{
    uint32_t size = erase_size(w, d, off);
    w->paid += size == OTTER_BLOCK ? MS_ERASE_BLOCK : size == OTTER_HALF_BLOCK ? MS_ERASE_HALF : MS_ERASE_SECTOR;
    enum otter_err e = otter_flash_erase(d, w->base + off, size);
    if (e) return e;
    w->erased_to = off + size;
    return OTTER_AGAIN;
}

/* Before the first change of the slot its old image is made unstartable. */
static enum otter_err touch(struct otter_writer *w, struct otter_device *d, uint32_t off)
{
    if (w->touched) return OTTER_OK;
    w->touched = true;
    w->first_kept = off > 0;
    return otter_flash_kill_image(d, w->base);
}

/* Is the sector in flash already? Asked only while the block has matched from its start. */
static enum otter_err compare(struct otter_writer *w, struct otter_device *d, uint32_t off, const uint8_t *data,
                              uint32_t n)
{
    if (!w->comparing) return OTTER_OK;
    /* The first bytes are written at the end in any case. */
    uint32_t from = off == 0 ? OTTER_HEAD : 0;
    w->paid += MS_READ_SECTOR;
    enum otter_err e = otter_flash_same(d, w->base + off + from, data + from, n - from, &w->comparing);
    if (!w->comparing) w->erased_to = off;
    return e;
}

static enum otter_err write_sector(struct otter_writer *w, struct otter_device *d, uint32_t off, uint8_t *data,
                                   uint32_t n)
{
    enum otter_err e = touch(w, d, off);
    if (!e && off >= w->erased_to) e = erase_ahead(w, d, off);
    if (e) return e;
    w->paid += MS_WRITE_SECTOR;
    uint32_t from = off == 0 ? OTTER_HEAD : 0;
    return otter_flash_write(d, w->base + off + from, data + from, n - from);
}

enum otter_err otter_writer_put(struct otter_writer *w, struct otter_device *d, uint32_t off, uint8_t *data, uint32_t n)
{
    if (off == 0) memcpy(w->head, data, OTTER_HEAD);
    if (off >= w->block_end) open_block(w, d, off);
    enum otter_err e = compare(w, d, off, data, n);
    if (e || w->comparing) return e;
    return write_sector(w, d, off, data, n);
}

/* The first sector was kept but its magic byte is spent: it is written anew, still without its first 32 bytes. */
static enum otter_err renew_first(struct otter_writer *w, struct otter_device *d, uint8_t *scratch)
{
    enum otter_err e = otter_flash_read(d, w->base, scratch, OTTER_SECTOR);
    if (!e) e = otter_flash_erase(d, w->base, OTTER_SECTOR);
    w->first_kept = false;
    return e ? e : otter_flash_write(d, w->base + OTTER_HEAD, scratch + OTTER_HEAD, OTTER_SECTOR - OTTER_HEAD);
}

/* Nothing had to be written: then perhaps not even the header. */
static enum otter_err keep_or_touch(struct otter_writer *w, struct otter_device *d)
{
    bool same;
    enum otter_err e = otter_flash_same(d, w->base, w->head, OTTER_HEAD, &same);
    return e || same ? e : touch(w, d, OTTER_SECTOR);
}

enum otter_err otter_writer_settle(struct otter_writer *w, struct otter_device *d, uint8_t scratch[OTTER_SECTOR])
{
    enum otter_err e = w->touched ? OTTER_OK : keep_or_touch(w, d);
    return e || !w->first_kept ? e : renew_first(w, d, scratch);
}

enum otter_err otter_writer_head(struct otter_writer *w, struct otter_device *d)
{
    uint32_t unit = d->ports.flash->write_unit > 4 ? d->ports.flash->write_unit : 4;
    enum otter_err e = OTTER_OK;
    if (!w->touched) return OTTER_OK;
    /* The magic byte comes in a write of its own, behind all others. */
    if (unit < OTTER_HEAD) e = otter_flash_write(d, w->base + unit, w->head + unit, OTTER_HEAD - unit);
    return e ? e : otter_flash_write(d, w->base, w->head, unit);
}

enum otter_err otter_writer_drop(struct otter_writer *w, struct otter_device *d)
{
    return w->touched ? otter_flash_kill_image(d, w->base) : OTTER_OK;
}
