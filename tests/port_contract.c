/* The port contract. Uses no test library, so that it runs on a chip. */
#include "tests/port_contract.h"

#include <string.h>

#define MUST(what) \
    if (!(what)) return #what

/* ---- crypto ---- */

static const uint8_t sha256_abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                       0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                       0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
static const uint8_t md5_abc[16] = {0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0,
                                    0xd6, 0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72};

static const char *hash_is(const struct otter_crypto *c, enum otter_hash_alg alg, const uint8_t *expected, size_t size)
{
    struct otter_hash h, copy;
    uint8_t out[33];
    out[size] = 0xA5;
    MUST(c->hash_start(c->ctx, &h, alg) == 0);
    MUST(c->hash_update(c->ctx, &h, "a", 1) == 0);
    MUST(c->hash_update(c->ctx, &h, "", 0) == 0);
    MUST(c->hash_clone(c->ctx, &h, &copy) == 0);
    MUST(c->hash_update(c->ctx, &h, "bc", 2) == 0);
    MUST(c->hash_finish(c->ctx, &h, out) == 0);
    MUST(memcmp(out, expected, size) == 0);
    /* The clone has its own life. */
    memset(out, 0, size);
    MUST(c->hash_update(c->ctx, &copy, "b", 1) == 0);
    MUST(c->hash_update(c->ctx, &copy, "c", 1) == 0);
    MUST(c->hash_finish(c->ctx, &copy, out) == 0);
    MUST(memcmp(out, expected, size) == 0);
    MUST(out[size] == 0xA5);
    return NULL;
}

const char *port_contract_crypto(const struct otter_crypto *c)
{
    struct otter_hash h;
    const char *broken = hash_is(c, OTTER_SHA256, sha256_abc, sizeof sha256_abc);
    if (!broken) broken = hash_is(c, OTTER_MD5, md5_abc, sizeof md5_abc);
    if (broken) return broken;
    MUST(c->hash_start(c->ctx, &h, OTTER_SHA256) == 0);
    MUST(c->hash_update(c->ctx, &h, "given up", 8) == 0);
    c->hash_abort(c->ctx, &h);
    c->hash_abort(c->ctx, &h);
    return NULL;
}

/* ---- flash ---- */

static const char *all_ones(const struct otter_flash *f, uint32_t off, uint32_t n)
{
    uint8_t buf[256];
    for (uint32_t at = 0; at < n; at += sizeof buf) {
        MUST(f->read(f->ctx, off + at, buf, sizeof buf) == 0);
        for (unsigned i = 0; i < sizeof buf; i++) MUST(buf[i] == 0xFF);
    }
    return NULL;
}

static const char *writes(const struct otter_flash *f, uint32_t off)
{
    static uint8_t sector[OTTER_SECTOR], back[OTTER_SECTOR];
    for (unsigned i = 0; i < sizeof sector; i++) sector[i] = (uint8_t)(i * 7 + (i >> 8));
    MUST(f->write(f->ctx, off, sector, sizeof sector) == 0);
    MUST(f->read(f->ctx, off, back, sizeof back) == 0);
    MUST(memcmp(sector, back, sizeof back) == 0);
    /* Any part of a sector, in multiples of the write unit, across pages. */
    uint32_t at = off + OTTER_SECTOR + 256 - f->write_unit, n = 2 * f->write_unit;
    MUST(f->write(f->ctx, at, sector, n) == 0);
    MUST(f->read(f->ctx, at, back, n) == 0);
    MUST(memcmp(sector, back, n) == 0);
    MUST(f->read(f->ctx, off + 1, back, 3) == 0);
    MUST(memcmp(sector + 1, back, 3) == 0);
    return NULL;
}

static const char *erases(const struct otter_flash *f, uint32_t off, uint32_t unit)
{
    enum { TAIL = 32 };
    uint8_t zeros[TAIL] = {0}, byte;
    if (!(f->erase_units & unit)) return NULL;
    MUST(f->write(f->ctx, off + unit - TAIL, zeros, TAIL) == 0);
    MUST(f->write(f->ctx, off + unit, zeros, TAIL) == 0);
    MUST(f->erase(f->ctx, off, unit) == 0);
    const char *broken = all_ones(f, off, unit);
    if (broken) return broken;
    /* Not one byte more. */
    MUST(f->read(f->ctx, off + unit, &byte, 1) == 0);
    MUST(byte == 0);
    return f->erase(f->ctx, off + unit, OTTER_SECTOR) == 0 ? NULL : "a sector behind a unit can be erased";
}

const char *port_contract_flash(const struct otter_flash *f, uint32_t off)
{
    static const uint32_t units[] = {OTTER_SECTOR, OTTER_HALF_BLOCK, OTTER_BLOCK};
    const char *broken = NULL;
    uint8_t byte;
    MUST(f->erase_units & OTTER_SECTOR);
    MUST(f->write_unit >= 1 && f->write_unit <= 32 && (f->write_unit & (f->write_unit - 1)) == 0);
    for (uint32_t at = off; at < off + 2 * OTTER_BLOCK; at += OTTER_SECTOR)
        MUST(f->erase(f->ctx, at, OTTER_SECTOR) == 0);
    for (unsigned i = 0; i < sizeof units / sizeof units[0] && !broken; i++) broken = erases(f, off, units[i]);
    if (!broken) broken = writes(f, off);
    if (broken) return broken;
    MUST(f->read(f->ctx, f->size, &byte, 1) != 0);
    MUST(f->erase(f->ctx, f->size, OTTER_SECTOR) != 0);
    return NULL;
}

const char *port_contract_clock(const struct otter_clock *c)
{
    uint32_t first = c->now_ms(c->ctx);
    MUST(c->now_ms(c->ctx) - first < 1000);
    return NULL;
}
