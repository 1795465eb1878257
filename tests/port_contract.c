/* The port contract. Uses no test library, so that it runs on a chip. */
#include "tests/port_contract.h"

#include <string.h>

#include "tests/port_signatures.h"

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

/* ---- signatures ---- */

enum { RSA_KEY = OTTER_RSA3072 + 4, EC_KEY = 2 * OTTER_P256 };

struct signed_case {
    enum otter_sign_alg alg;
    uint8_t key[RSA_KEY], digest[32], signature[OTTER_RSA3072];
    unsigned key_size, signature_size;
};

static struct signed_case rsa_case(void)
{
    struct signed_case s = {.alg = OTTER_SIGN_RSA3072_PSS, .key_size = RSA_KEY, .signature_size = OTTER_RSA3072};
    memcpy(s.key, rsa_key, sizeof rsa_key);
    memcpy(s.digest, signed_digest, sizeof signed_digest);
    memcpy(s.signature, rsa_signature, sizeof rsa_signature);
    return s;
}

static struct signed_case ec_case(void)
{
    struct signed_case s = {.alg = OTTER_SIGN_ECDSA_P256, .key_size = EC_KEY, .signature_size = EC_KEY};
    memcpy(s.key, ec_key, sizeof ec_key);
    memcpy(s.digest, signed_digest, sizeof signed_digest);
    memcpy(s.signature, ec_signature, sizeof ec_signature);
    return s;
}

static const char *answers(const struct otter_crypto *c, const struct signed_case *s, bool expected)
{
    struct otter_public_key key = {s->key};
    bool good = !expected;
    MUST(c->verify(c->ctx, s->alg, &key, s->digest, s->signature, &good) == 0);
    MUST(good == expected);
    return NULL;
}

/* One bit anywhere makes it bad. */
static const char *bits_matter(const struct otter_crypto *c, struct signed_case s)
{
    const char *broken = answers(c, &s, true);
    for (unsigned i = 0; i < s.signature_size && !broken; i += 31) {
        s.signature[i] ^= 1;
        broken = answers(c, &s, false);
        s.signature[i] ^= 1;
    }
    for (unsigned i = 0; i < s.key_size && !broken; i += 31) {
        s.key[i] ^= 2;
        broken = answers(c, &s, false);
        s.key[i] ^= 2;
    }
    for (unsigned i = 0; i < sizeof s.digest && !broken; i += 31) {
        s.digest[i] ^= 0x80;
        broken = answers(c, &s, false);
        s.digest[i] ^= 0x80;
    }
    return broken ? broken : answers(c, &s, true);
}

/* Numbers that are none of this kind: all zero, all ones; in the signature's halves and the key's. */
static const char *no_numbers(const struct otter_crypto *c, const struct signed_case *good)
{
    static const int fill[] = {0, 0xFF};
    const char *broken = NULL;
    for (unsigned i = 0; i < 8 && !broken; i++) {
        struct signed_case s = *good;
        uint8_t *at = i & 2 ? s.key : s.signature;
        unsigned size = i & 2 ? s.key_size : s.signature_size;
        memset(i & 4 ? at + size / 2 : at, fill[i & 1], size / 2);
        broken = answers(c, &s, false);
        memset(at, fill[i & 1], size);
        if (!broken) broken = answers(c, &s, false);
    }
    return broken;
}

const char *port_contract_signatures(const struct otter_crypto *c)
{
    struct signed_case rsa = rsa_case(), ec = ec_case();
    const char *broken = bits_matter(c, rsa);
    if (!broken) broken = no_numbers(c, &rsa);
    if (!broken) broken = bits_matter(c, ec);
    if (!broken) broken = no_numbers(c, &ec);
    /* An exponent of zero is no key either. */
    memset(rsa.key + OTTER_RSA3072, 0, 4);
    return broken ? broken : answers(c, &rsa, false);
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

/* ---- settings ---- */

static const char contract[] = "contract";

static const char *value_is(const struct otter_settings *s, enum otter_setting kind, const void *value, size_t n)
{
    uint8_t back[64], small[1];
    size_t size = sizeof back, no_room = sizeof small;
    MUST(s->set(s->ctx, contract, "key", kind, value, n) == 0);
    MUST(s->get(s->ctx, contract, "key", kind, back, &size) == 0);
    MUST(size == n && memcmp(back, value, n) == 0);
    MUST(s->get(s->ctx, contract, "key", kind, small, &no_room) != 0);
    MUST(s->erase(s->ctx, contract, "key") == 0);
    size = sizeof back;
    MUST(s->get(s->ctx, contract, "key", kind, back, &size) == 0 && size == 0);
    return NULL;
}

const char *port_contract_settings(const struct otter_settings *s)
{
    const uint32_t number = 0x80000001, other = 7;
    uint32_t back;
    size_t size = sizeof back;
    const char *broken = value_is(s, OTTER_SETTING_U32, &number, sizeof number);
    if (!broken) broken = value_is(s, OTTER_SETTING_STRING, "text", 5);
    if (!broken) broken = value_is(s, OTTER_SETTING_BLOB, "\0\1\2\377", 4);
    if (broken) return broken;
    MUST(s->erase(s->ctx, contract, "never_set") == 0);
    MUST(s->set(s->ctx, contract, "a_key_of_15_chr", OTTER_SETTING_U32, &number, sizeof number) == 0);
    MUST(s->set(s->ctx, contract, "a_key_of_15_chr", OTTER_SETTING_U32, &other, sizeof other) == 0);
    MUST(s->get(s->ctx, contract, "a_key_of_15_chr", OTTER_SETTING_U32, &back, &size) == 0 && back == other);
    return s->erase(s->ctx, contract, "a_key_of_15_chr") == 0 ? NULL : "a value can be erased";
}

const char *port_contract_clock(const struct otter_clock *c)
{
    uint32_t first = c->now_ms(c->ctx);
    MUST(c->now_ms(c->ctx) - first < 1000);
    return NULL;
}
