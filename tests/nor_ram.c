/* NOR flash in memory for tests. Asserts what port.h promises to a driver. */
#include "nor_ram.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

uint32_t nor_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static int32_t nor_read(void *ctx, uint32_t off, void *dst, uint32_t n)
{
    struct nor_ram *r = ctx;
    assert(n <= r->flash.size && off <= r->flash.size - n);
    if (r->dead) return -1;
    memcpy(dst, r->mem + off, n);
    return 0;
}

/* Counts the operation; true if the power goes in it. */
static bool begin(struct nor_ram *r, char kind, uint32_t off, uint32_t n)
{
    if (r->log && r->ops < r->log_size) r->log[r->ops] = (struct nor_op){kind, off, n};
    if (r->ops++ == r->cut_op) r->dead = true;
    return r->dead;
}

/* Which bits of a byte a torn write does not get to: any, most, or few of them. */
static uint8_t left_out(struct nor_ram *r)
{
    uint32_t dice = nor_random(&r->seed) >> 7;
    if (r->cut_bytes % 3 == 1) return (uint8_t)(dice | dice >> 8 | dice >> 16);
    if (r->cut_bytes % 3 == 2) return (uint8_t)(dice & dice >> 8 & dice >> 16);
    return (uint8_t)dice;
}

static int32_t nor_write(void *ctx, uint32_t off, const void *src, uint32_t n)
{
    struct nor_ram *r = ctx;
    const uint8_t *p = src;
    assert(n > 0 && n <= r->flash.size && off <= r->flash.size - n);
    assert(off / OTTER_SECTOR == (off + n - 1) / OTTER_SECTOR);
    assert(off % r->flash.write_unit == 0 && n % r->flash.write_unit == 0);
    if (r->dead) return -1;
    bool cut = begin(r, 'w', off, n);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t keep = 0;
        if (cut && r->tear == NOR_PREFIX && i >= r->cut_bytes) keep = 0xFF;
        if (cut && r->tear == NOR_BITS) keep = left_out(r);
        r->mem[off + i] &= (uint8_t)(p[i] | keep);
    }
    return cut ? -1 : 0;
}

static uint8_t half_erased(struct nor_ram *r, uint8_t old, uint32_t i)
{
    if (r->tear == NOR_PREFIX) return i < r->cut_bytes ? 0xFF : old;
    uint32_t dice = nor_random(&r->seed) >> 8;
    switch (r->cut_bytes % 6) {
    case 0: return 0;                                         /* all cells are programmed before they are erased */
    case 1: return dice & 1 ? 0xFF : old;                     /* byte by byte */
    case 2: return (uint8_t)(old | dice);                     /* bit by bit, upwards */
    case 3: return (uint8_t)(dice >> 3 & 1 ? old & dice : 0); /* bit by bit, downwards */
    case 4: return i < 64 ? old : 0xFF;                       /* a page whose header looks as before ... */
    default: return i / 32 == 1 ? old | 0xAA : old;           /* ... and one whose erased slots look written */
    }
}

static int32_t nor_erase(void *ctx, uint32_t off, uint32_t n)
{
    struct nor_ram *r = ctx;
    assert((n & r->flash.erase_units) == n && off % n == 0 && off <= r->flash.size - n);
    if (r->dead) return -1;
    bool cut = begin(r, 'e', off, n);
    for (uint32_t i = 0; i < n; i++) r->mem[off + i] = cut ? half_erased(r, r->mem[off + i], i) : 0xFF;
    return cut ? -1 : 0;
}

void nor_init(struct nor_ram *r, uint8_t *mem, uint32_t size)
{
    memset(r, 0, sizeof *r);
    r->mem = mem;
    r->cut_op = -1;
    r->seed = 1;
    r->flash = (struct otter_flash){r, size, 4, OTTER_SECTOR, nor_read, nor_write, nor_erase};
}

void nor_revive(struct nor_ram *r)
{
    r->dead = false;
    r->ops = 0;
    r->cut_op = -1;
}
