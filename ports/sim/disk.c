/* The disk on flash. Knows sectors, bits and power; not what the sectors hold. */
#include "ports/sim/disk.h"

#include <stddef.h>
#include <string.h>

#include "format/crc32.h"

enum { PAGE = 256, SECTORS = OTTER_SECTOR / SIM_DISK_SECTOR };
enum { NOTE = 32, NOTES = OTTER_SECTOR / NOTE, ROOM_FOR_FORMAT = 64 };

/* What is under way: sector `at` becomes what the spare one holds, or (FORMAT) a file system is made. Done when the
 * last word is 0, which needs no erase. */
struct note {
    uint32_t magic, at, content_crc, own_crc, unused[3], open;
};
_Static_assert(sizeof(struct note) == NOTE, "a note is written as it is");

enum { MAGIC = 0x4B53444F };
static const uint32_t FORMAT = 0xFFFFFFFE;

static bool failed(struct sim_disk *d, enum otter_err err)
{
    d->err = err;
    return false;
}

static bool read_flash(struct sim_disk *d, uint32_t off, void *dst, uint32_t n)
{
    return d->flash->read(d->flash->ctx, d->offset + off, dst, n) == 0 || failed(d, OTTER_FLASH_READ);
}

static bool write_flash(struct sim_disk *d, uint32_t off, const void *src, uint32_t n)
{
    return d->flash->write(d->flash->ctx, d->offset + off, src, n) == 0 || failed(d, OTTER_FLASH_WRITE);
}

static bool erase_flash(struct sim_disk *d, uint32_t off)
{
    return d->flash->erase(d->flash->ctx, d->offset + off, OTTER_SECTOR) == 0 || failed(d, OTTER_FLASH_ERASE);
}

static bool is_blank(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    return p[0] == 0xFF && memcmp(p, p + 1, n - 1) == 0;
}

static uint32_t spare(const struct sim_disk *d) { return d->size - SIM_DISK_OWN; }

static uint32_t notes(const struct sim_disk *d) { return d->size - OTTER_SECTOR; }

uint32_t sim_disk_sectors(const struct sim_disk *d) { return spare(d) / SIM_DISK_SECTOR; }

/* ---- whole flash sectors ---- */

static bool needs_erase(const uint8_t *old, const uint8_t *new)
{
    for (unsigned i = 0; i < OTTER_SECTOR; i++)
        if (new[i] & ~old[i]) return true;
    return false;
}

/* Makes a flash sector what new is, with as little as possible. */
static bool put_sector(struct sim_disk *d, uint32_t off, const uint8_t *new)
{
    uint8_t old[OTTER_SECTOR];
    if (!read_flash(d, off, old, OTTER_SECTOR)) return false;
    if (needs_erase(old, new)) {
        if (!erase_flash(d, off)) return false;
        memset(old, 0xFF, sizeof old);
    }
    for (uint32_t at = 0; at < OTTER_SECTOR; at += PAGE)
        if (memcmp(old + at, new + at, PAGE) != 0 && !write_flash(d, off + at, new + at, PAGE)) return false;
    return true;
}

/* ---- notes ---- */

static uint32_t own_crc(const struct note *n) { return otter_crc32(UINT32_MAX, n, offsetof(struct note, own_crc)); }

static bool is_open(const struct note *n) { return n->magic == MAGIC && n->own_crc == own_crc(n) && n->open != 0; }

/* Where a note fits: behind all others. NOTES: nowhere. */
static unsigned next_note(const struct note *all)
{
    unsigned i = NOTES;
    while (i && is_blank(&all[i - 1], NOTE)) i--;
    return i;
}

static bool read_notes(struct sim_disk *d, struct note all[NOTES])
{
    return read_flash(d, notes(d), all, OTTER_SECTOR);
}

/* *which: its place, to end it by. What is there is done when room is made, but for the making of a file system, which
 * has taken care that there is room. */
static bool add_note(struct sim_disk *d, uint32_t at, uint32_t content_crc, unsigned room, unsigned *which)
{
    struct note all[NOTES], n = {MAGIC, at, content_crc, 0, {0, 0, 0}, UINT32_MAX};
    if (!read_notes(d, all)) return false;
    *which = next_note(all);
    if (*which + room > NOTES) {
        if (!erase_flash(d, notes(d))) return false;
        *which = 0;
    }
    n.own_crc = own_crc(&n);
    return write_flash(d, notes(d) + *which * NOTE, &n, NOTE);
}

static bool end_note(struct sim_disk *d, unsigned which)
{
    const uint32_t done = 0;
    return write_flash(d, notes(d) + which * NOTE + offsetof(struct note, open), &done, sizeof done);
}

/* Does again what a note says, from its start. */
static bool redo(struct sim_disk *d, const struct note *n, unsigned which)
{
    uint8_t bytes[OTTER_SECTOR];
    if (!read_flash(d, spare(d), bytes, OTTER_SECTOR)) return false;
    bool good = n->at < spare(d) / OTTER_SECTOR && otter_crc32(UINT32_MAX, bytes, OTTER_SECTOR) == n->content_crc;
    return (!good || put_sector(d, n->at * OTTER_SECTOR, bytes)) && end_note(d, which);
}

/* ---- the flash sector in memory ---- */

bool sim_disk_flush(struct sim_disk *d)
{
    uint8_t old[OTTER_SECTOR];
    uint32_t off = d->at * OTTER_SECTOR;
    unsigned which;
    if (!d->changed) return true;
    if (!read_flash(d, off, old, OTTER_SECTOR)) return false;
    if (memcmp(old, d->cache, OTTER_SECTOR) != 0) {
        bool safe = is_blank(old, OTTER_SECTOR);
        if (!safe && !put_sector(d, spare(d), d->cache)) return false;
        if (!safe && !add_note(d, d->at, otter_crc32(UINT32_MAX, d->cache, OTTER_SECTOR), 1, &which)) return false;
        if (!put_sector(d, off, d->cache)) return false;
        if (!safe && !end_note(d, which)) return false;
    }
    d->changed = false;
    return true;
}

static bool keep(struct sim_disk *d, uint32_t at)
{
    if (d->kept && d->at == at) return true;
    if (!sim_disk_flush(d)) return false;
    d->kept = false;
    if (!read_flash(d, at * OTTER_SECTOR, d->cache, OTTER_SECTOR)) return false;
    d->kept = true;
    d->at = at;
    return true;
}

static bool inside(const struct sim_disk *d, uint32_t sector, uint32_t count)
{
    uint32_t all = sim_disk_sectors(d);
    return count <= all && sector <= all - count;
}

bool sim_disk_read(struct sim_disk *d, uint32_t sector, uint32_t count, uint8_t *dst)
{
    if (!inside(d, sector, count)) return false;
    for (; count; count--, sector++, dst += SIM_DISK_SECTOR) {
        uint32_t at = sector * SIM_DISK_SECTOR;
        if (d->kept && d->at == sector / SECTORS)
            memcpy(dst, d->cache + at % OTTER_SECTOR, SIM_DISK_SECTOR);
        else if (!read_flash(d, at, dst, SIM_DISK_SECTOR))
            return false;
    }
    return true;
}

bool sim_disk_write(struct sim_disk *d, uint32_t sector, uint32_t count, const uint8_t *src)
{
    if (!inside(d, sector, count)) return false;
    for (; count; count--, sector++, src += SIM_DISK_SECTOR) {
        if (!keep(d, sector / SECTORS)) return false;
        memcpy(d->cache + sector % SECTORS * SIM_DISK_SECTOR, src, SIM_DISK_SECTOR);
        d->changed = true;
    }
    return true;
}

/* ---- opening and formatting ---- */

bool sim_disk_open(struct sim_disk *d, const struct otter_flash *flash, uint32_t offset, uint32_t size)
{
    struct note all[NOTES];
    memset(d, 0, sizeof *d);
    d->flash = flash;
    d->offset = offset;
    d->size = size;
    if (!read_notes(d, all)) return false;
    for (unsigned i = 0; i < NOTES; i++)
        if (is_open(&all[i]) && all[i].at != FORMAT && !redo(d, &all[i], i)) return false;
    return true;
}

bool sim_disk_content(struct sim_disk *d, enum sim_disk_content *content)
{
    uint8_t bytes[OTTER_SECTOR];
    struct note all[NOTES];
    *content = SIM_DISK_BLANK;
    if (!read_notes(d, all)) return false;
    for (unsigned i = 0; i < NOTES; i++)
        if (is_open(&all[i]) && all[i].at == FORMAT) *content = SIM_DISK_HALF_MADE;
    for (uint32_t at = 0; at < spare(d) && *content == SIM_DISK_BLANK; at += OTTER_SECTOR) {
        if (!read_flash(d, at, bytes, OTTER_SECTOR)) return false;
        if (!is_blank(bytes, OTTER_SECTOR)) *content = SIM_DISK_FULL;
    }
    return true;
}

bool sim_disk_begin_format(struct sim_disk *d)
{
    unsigned which;
    return add_note(d, FORMAT, 0, ROOM_FOR_FORMAT, &which);
}

bool sim_disk_end_format(struct sim_disk *d)
{
    struct note all[NOTES];
    if (!sim_disk_flush(d) || !read_notes(d, all)) return false;
    for (unsigned i = 0; i < NOTES; i++)
        if (is_open(&all[i]) && all[i].at == FORMAT && !end_note(d, i)) return false;
    return true;
}
