/* Bounds, pads and checks every flash access of the engine. Knows no slots. */
#include "core/flash.h"

#include <string.h>

enum { PAGE = 256, SURE_TRIES = 3 };

static enum otter_err done(struct otter_device *d, int32_t code, enum otter_err err)
{
    if (!code) return OTTER_OK;
    d->detail = code;
    return err;
}

static bool inside(const struct otter_device *d, uint32_t off, uint32_t n)
{
    return n <= d->ports.flash->size && off <= d->ports.flash->size - n;
}

enum otter_err otter_flash_read(struct otter_device *d, uint32_t off, void *dst, uint32_t n)
{
    const struct otter_flash *f = d->ports.flash;
    if (!inside(d, off, n)) return OTTER_FLASH_READ;
    return done(d, f->read(f->ctx, off, dst, n), OTTER_FLASH_READ);
}

enum otter_err otter_flash_erase(struct otter_device *d, uint32_t off, uint32_t n)
{
    const struct otter_flash *f = d->ports.flash;
    if (!inside(d, off, n)) return OTTER_FLASH_ERASE;
    return done(d, f->erase(f->ctx, off, n), OTTER_FLASH_ERASE);
}

enum otter_err otter_flash_same(struct otter_device *d, uint32_t off, const uint8_t *data, uint32_t n, bool *same)
{
    uint8_t page[PAGE];
    *same = true;
    for (uint32_t at = 0; at < n && *same; at += PAGE) {
        uint32_t piece = n - at < PAGE ? n - at : PAGE;
        enum otter_err e = otter_flash_read(d, off + at, page, piece);
        if (e) return e;
        *same = memcmp(page, data + at, piece) == 0;
    }
    return OTTER_OK;
}

enum otter_err otter_flash_read_sure(struct otter_device *d, uint32_t off, void *dst, uint32_t n)
{
    bool same = false;
    enum otter_err e = OTTER_OK;
    for (int i = 0; !e && !same && i < SURE_TRIES; i++) {
        e = otter_flash_read(d, off, dst, n);
        if (!e) e = otter_flash_same(d, off, dst, n, &same);
    }
    return e || same ? e : OTTER_FLASH_READ;
}

static bool blank(const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (p[i] != 0xFF) return false;
    return true;
}

/* How many of n bytes at off reach to the end of the page. */
static uint32_t page_piece(uint32_t off, uint32_t n)
{
    uint32_t room = PAGE - off % PAGE;
    return n < room ? n : room;
}

/* Writes the longest run of pages that are not blank; *n: how many bytes were dealt with. */
static enum otter_err write_run(struct otter_device *d, uint32_t off, const uint8_t *src, uint32_t *n)
{
    const struct otter_flash *f = d->ports.flash;
    uint32_t run = page_piece(off, *n);
    bool skip = blank(src, run);
    while (run < *n && blank(src + run, page_piece(off + run, *n - run)) == skip)
        run += page_piece(off + run, *n - run);
    *n = run;
    return skip ? OTTER_OK : done(d, f->write(f->ctx, off, src, run), OTTER_FLASH_WRITE);
}

enum otter_err otter_flash_write(struct otter_device *d, uint32_t off, uint8_t *src, uint32_t n)
{
    uint32_t unit = d->ports.flash->write_unit, padded = (n + unit - 1) & ~(unit - 1);
    bool same;
    if (!inside(d, off, padded)) return OTTER_FLASH_WRITE;
    memset(src + n, 0xFF, padded - n);
    for (uint32_t at = 0, run; at < padded; at += run) {
        run = padded - at;
        enum otter_err e = write_run(d, off + at, src + at, &run);
        if (e) return e;
    }
    enum otter_err e = otter_flash_same(d, off, src, n, &same);
    if (e) return e;
    return same ? OTTER_OK : OTTER_FLASH_VERIFY;
}

enum otter_err otter_flash_kill_image(struct otter_device *d, uint32_t off)
{
    const struct otter_flash *f = d->ports.flash;
    static const uint8_t no_magic[4] = {0x00, 0xFF, 0xFF, 0xFF};
    uint8_t magic;
    enum otter_err e = otter_flash_read_sure(d, off, &magic, 1);
    if (e || magic != OTTER_IMAGE_MAGIC) return e;
    if (f->write_unit > sizeof no_magic)
        e = otter_flash_erase(d, off, OTTER_SECTOR);
    else
        e = done(d, f->write(f->ctx, off, no_magic, sizeof no_magic), OTTER_FLASH_WRITE);
    if (!e) e = otter_flash_read(d, off, &magic, 1);
    if (e) return e;
    return magic == OTTER_IMAGE_MAGIC ? OTTER_FLASH_VERIFY : OTTER_OK;
}
