/* Signature sectors, with both crypto ports: round trips, every kind of damage, and whom a list of keys lets in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "format/bytes.h"
#include "format/crc32.h"
#include "format/signature.h"
#include "ports/posix/crypto.h"
#include "ports/posix/sign_openssl.h"
#include "ports/psa/crypto.h"

enum { RSA_A, RSA_B, EC_A, EC_B, KEYS };
enum { BLOCK = OTTER_SIGNATURE_BLOCK, CRC_AT = 1196 };

static struct otter_key *keys[KEYS];
static struct otter_key_parts parts[KEYS];
static uint8_t key_digests[KEYS][OTTER_KEY_DIGEST];
static uint8_t digest[32], sector[OTTER_SECTOR];
static const struct otter_crypto *const ports[] = {&otter_crypto_openssl, &otter_crypto_psa};

static struct otter_signature of_key(unsigned key)
{
    return (struct otter_signature){
        .alg = parts[key].alg, .key = {parts[key].key}, .montgomery = parts[key].montgomery, .digest = digest};
}

static int make_keys(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof digest; i++) digest[i] = (uint8_t)(i * 37 + 5);
    for (unsigned i = 0; i < KEYS; i++) {
        keys[i] = otter_key_generate(i < EC_A ? OTTER_SIGN_RSA3072_PSS : OTTER_SIGN_ECDSA_P256);
        if (!keys[i] || !otter_key_parts(keys[i], &parts[i])) return -1;
        struct otter_signature s = of_key(i);
        if (otter_signature_key_digest(&s, &otter_crypto_openssl, key_digests[i])) return -1;
    }
    return otter_crypto_psa_start();
}

static int free_keys(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KEYS; i++) otter_key_free(keys[i]);
    return 0;
}

static int erase_sector(void **state)
{
    (void)state;
    memset(sector, 0xFF, sizeof sector);
    return 0;
}

static void sign(unsigned block, unsigned key)
{
    uint8_t signature[OTTER_RSA3072];
    struct otter_signature s = of_key(key);
    assert_true(otter_key_sign(keys[key], digest, signature));
    s.signature = signature;
    otter_signature_write(&s, sector + block * BLOCK);
}

/* A CRC is no secret: who changes a block makes it right again. */
static void mend(unsigned block)
{
    uint8_t *b = sector + block * BLOCK;
    otter_put32(b + CRC_AT, otter_crc32(0, b, CRC_AT));
}

static enum otter_err check_with(const struct otter_crypto *c, const uint8_t image[32], unsigned first, unsigned count)
{
    /* Memory of just this size, so that a sanitizer sees the first byte read beyond it. */
    struct otter_trust trust = {(const uint8_t(*)[OTTER_KEY_DIGEST])(count ? key_digests[first] : NULL), count};
    int32_t detail = 1;
    uint8_t before[OTTER_SECTOR];
    memcpy(before, sector, sizeof before);
    enum otter_err e = otter_signature_check(sector, image, &trust, c, &detail);
    assert_int_equal(detail, 0);
    assert_memory_equal(before, sector, sizeof before);
    return e;
}

/* Both ports say the same. */
static enum otter_err check(unsigned first, unsigned count)
{
    enum otter_err e = check_with(ports[0], digest, first, count);
    assert_int_equal(check_with(ports[1], digest, first, count), e);
    return e;
}

/* ---- good ones ---- */

static void round_trip(void **state)
{
    (void)state;
    for (unsigned key = 0; key < KEYS; key++) {
        struct otter_signature s;
        erase_sector(NULL);
        sign(0, key);
        assert_int_equal(otter_signature_read(sector, 0, &s), OTTER_OK);
        assert_int_equal(s.alg, parts[key].alg);
        assert_memory_equal(s.digest, digest, 32);
        assert_memory_equal(s.key.bytes, parts[key].key, key < EC_A ? OTTER_RSA3072 + 4 : 64);
        assert_string_equal(otter_signature_kind(sector, 0), key < EC_A ? "RSA-3072" : "ECDSA P-256");
        assert_int_equal(otter_signature_read(sector, 1, &s), OTTER_UNSIGNED);
        assert_int_equal(otter_signature_read(sector, 3, &s), OTTER_UNSIGNED);
        assert_int_equal(check(key, 1), OTTER_OK);
    }
}

/* The bytes where the format has them, apart from the writer's own idea of it. */
static void layout(void **state)
{
    (void)state;
    static const uint8_t zeros[BLOCK];
    sign(0, RSA_A);
    sign(1, EC_A);
    const uint8_t *rsa = sector, *ec = sector + 1216;
    assert_memory_equal(rsa, "\xE7\x02\0\0", 4);
    assert_memory_equal(rsa + 4, digest, 32);
    assert_memory_equal(rsa + 36, parts[RSA_A].key, 388);
    assert_int_equal(otter_get32(rsa + 420), 65537);
    assert_memory_equal(rsa + 424, parts[RSA_A].montgomery, 388);
    assert_memory_equal(ec, "\xE7\x03\0\0", 4);
    assert_int_equal(ec[36], 2);
    assert_memory_equal(ec + 37, parts[EC_A].key, 64);
    assert_memory_equal(ec + 165, zeros, 1196 - 165);
    for (unsigned i = 0; i < 2; i++) assert_memory_equal(sector + i * 1216 + 1200, zeros, 16);
    for (unsigned i = 2 * 1216; i < OTTER_SECTOR; i++) assert_int_equal(sector[i], 0xFF);
    /* zlib's CRC of "123456789", as everybody has it. */
    assert_int_equal(otter_crc32(0, "123456789", 9), 0xCBF43926);
}

/* n * M' is -1 modulo 2^32; and what is burnt into eFuse is the SHA-256 of the block's bytes from 36 on. */
static void key_material(void **state)
{
    (void)state;
    struct otter_hash h;
    uint8_t out[32];
    static const unsigned size[KEYS] = {776, 776, 65, 65};
    for (unsigned key = 0; key < KEYS; key++) {
        const struct otter_key_parts *p = &parts[key];
        sign(0, key);
        if (key < EC_A)
            assert_int_equal((uint32_t)(otter_get32(p->key) * otter_get32(p->montgomery + 384)), UINT32_MAX);
        assert_int_equal(ports[0]->hash_start(NULL, &h, OTTER_SHA256), 0);
        assert_int_equal(ports[0]->hash_update(NULL, &h, sector + 36, size[key]), 0);
        assert_int_equal(ports[0]->hash_finish(NULL, &h, out), 0);
        assert_memory_equal(out, key_digests[key], 32);
    }
}

static void several_blocks(void **state)
{
    (void)state;
    sign(0, RSA_A);
    sign(1, EC_B);
    sign(2, RSA_B);
    assert_int_equal(check(RSA_A, 1), OTTER_OK);
    assert_int_equal(check(RSA_B, 1), OTTER_OK);
    assert_int_equal(check(EC_A, 1), OTTER_UNTRUSTED_KEY);
    assert_int_equal(check(EC_B, 1), OTTER_OK);
    /* One good block is enough, whatever has become of the others. */
    sector[1] = 9;
    sector[2 * BLOCK + 900] ^= 1;
    assert_int_equal(check(EC_B, 1), OTTER_OK);
    assert_int_equal(check(RSA_A, 1), OTTER_SIGNATURE);
    assert_int_equal(check(RSA_B, 1), OTTER_SIGNATURE);
}

static void trusted_keys(void **state)
{
    (void)state;
    sign(0, RSA_B);
    assert_int_equal(check(0, 0), OTTER_UNTRUSTED_KEY);
    assert_int_equal(check(RSA_A, 1), OTTER_UNTRUSTED_KEY);
    assert_int_equal(check(RSA_B, 1), OTTER_OK);
    assert_int_equal(check(RSA_A, 3), OTTER_OK);
    assert_int_equal(check(RSA_B, 3), OTTER_OK);
    assert_int_equal(check(EC_A, 2), OTTER_UNTRUSTED_KEY);
    erase_sector(NULL);
    assert_int_equal(check(0, 0), OTTER_UNSIGNED);
    assert_int_equal(check(0, KEYS), OTTER_UNSIGNED);
}

/* ---- bad ones ---- */

static void another_image(void **state)
{
    (void)state;
    uint8_t other[32];
    memcpy(other, digest, 32);
    other[31] ^= 1;
    for (unsigned key = 0; key < KEYS; key++) {
        sign(0, key);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(check_with(ports[i], other, key, 1), OTTER_SIGNATURE);
            assert_int_equal(check_with(ports[i], other, 0, 0), OTTER_SIGNATURE);
        }
        /* The block's digest made to fit: the signature does not. */
        memcpy(sector + 4, other, 32);
        mend(0);
        for (unsigned i = 0; i < 2; i++) assert_int_equal(check_with(ports[i], other, key, 1), OTTER_SIGNATURE);
    }
}

/* What a change of byte `at` comes to when the CRC is mended. */
static enum otter_err changed(unsigned at, bool rsa)
{
    unsigned key_end = rsa ? 812 : 101, signature_end = rsa ? 1196 : 165;
    if (at == 0) return OTTER_UNSIGNED;
    if (at == 1 || (!rsa && (at == 2 || at == 36))) return OTTER_SIGNATURE;
    if (at < 4) return OTTER_OK; /* reserved */
    if (at < 36) return OTTER_SIGNATURE;
    if (at < key_end) return OTTER_UNTRUSTED_KEY;
    return at < signature_end ? OTTER_SIGNATURE : OTTER_OK;
}

static void every_byte(void **state)
{
    (void)state;
    unsigned n = 0;
    for (unsigned key = RSA_A; key < KEYS; key += 2) {
        sign(0, key);
        for (unsigned at = 0; at < CRC_AT + 4; at++, n++) {
            uint8_t good[BLOCK];
            memcpy(good, sector, BLOCK);
            sector[at] ^= (uint8_t)(1u << at % 8);
            assert_int_equal(check(key, 1), at ? OTTER_SIGNATURE : OTTER_UNSIGNED);
            mend(0);
            enum otter_err want = at < CRC_AT ? changed(at, key == RSA_A) : OTTER_OK, got = check(key, 1);
            if (got != want)
                fail_msg("key %u, byte %u: %s, not %s", key, at, otter_err_name(got), otter_err_name(want));
            memcpy(sector, good, BLOCK);
        }
        assert_int_equal(check(key, 1), OTTER_OK);
    }
    printf("%u bytes changed, with and without right CRC, by both ports\n", n);
}

static void a_strangers_signature(void **state)
{
    (void)state;
    static uint8_t mine[BLOCK];
    /* The trusted key beside a signature made with another. */
    for (unsigned key = RSA_A; key < KEYS; key += 2) {
        unsigned at = key == RSA_A ? 812 : 101, n = key == RSA_A ? 384 : 64;
        sign(0, key);
        memcpy(mine, sector, BLOCK);
        sign(0, key + 1);
        memcpy(mine + at, sector + at, n);
        memcpy(sector, mine, BLOCK);
        mend(0);
        assert_int_equal(check(key, 1), OTTER_SIGNATURE);
        memset(sector + at, 0, n);
        mend(0);
        assert_int_equal(check(key, 1), OTTER_SIGNATURE);
    }
}

static void other_kinds(void **state)
{
    (void)state;
    static const struct {
        uint8_t version, hash, curve, p384;
        const char *kind;
    } kinds[] = {{3, 0, 1, 0, "ECDSA P-192"}, {3, 1, 0, 3, "ECDSA P-384"}, {3, 1, 2, 0, "unknown"},
                 {3, 0, 0, 0, "unknown"},     {3, 0, 3, 0, "unknown"},     {3, 2, 2, 0, "unknown"},
                 {1, 0, 2, 0, "unknown"},     {4, 0, 2, 0, "unknown"}};
    struct otter_signature s;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        sign(0, EC_A);
        sector[1] = kinds[i].version;
        sector[2] = kinds[i].hash;
        sector[36] = kinds[i].curve;
        if (kinds[i].p384) sector[52] = kinds[i].p384;
        if (i == 2) sector[52] = 0;
        mend(0);
        assert_string_equal(otter_signature_kind(sector, 0), kinds[i].kind);
        assert_int_equal(otter_signature_read(sector, 0, &s), OTTER_SIGNATURE);
        assert_int_equal(check(EC_A, 1), OTTER_SIGNATURE);
    }
}

static void stripped_and_cut(void **state)
{
    (void)state;
    static const uint8_t fills[] = {0x00, 0xFF};
    for (unsigned i = 0; i < 2; i++) {
        memset(sector, fills[i], sizeof sector);
        assert_int_equal(check(0, KEYS), OTTER_UNSIGNED);
    }
    /* What never came is erased flash. */
    for (unsigned n = 0; n < CRC_AT + 4; n += 7) {
        sign(0, RSA_A);
        memset(sector + n, 0xFF, sizeof sector - n);
        assert_int_equal(check(RSA_A, 1), n ? OTTER_SIGNATURE : OTTER_UNSIGNED);
    }
    /* The second of two lost its first byte: it is not there, and the first is not trusted. */
    sign(0, RSA_A);
    sign(1, RSA_B);
    sector[BLOCK] = 0xFF;
    assert_int_equal(check(RSA_B, 1), OTTER_UNTRUSTED_KEY);
}

static void offsets(void **state)
{
    (void)state;
    assert_int_equal(otter_signature_offset(1), 4096);
    assert_int_equal(otter_signature_offset(4096), 4096);
    assert_int_equal(otter_signature_offset(4097), 8192);
    assert_int_equal(otter_signature_offset(16 * 1024 * 1024), 16 * 1024 * 1024);
}

/* ---- a driver that fails ---- */

static int32_t no_verify(void *ctx, enum otter_sign_alg alg, const struct otter_public_key *key,
                         const uint8_t image[32], const uint8_t *signature, bool *good)
{
    (void)ctx;
    (void)alg;
    (void)key;
    (void)image;
    (void)signature;
    *good = true;
    return -77;
}

static void driver_fails(void **state)
{
    (void)state;
    struct otter_crypto c = otter_crypto_openssl;
    struct otter_trust trust = {(const uint8_t(*)[OTTER_KEY_DIGEST])key_digests, KEYS};
    int32_t detail;
    c.verify = no_verify;
    sign(0, EC_A);
    assert_int_equal(otter_signature_check(sector, digest, &trust, &c, &detail), OTTER_CRYPTO);
    assert_int_equal(detail, -77);
}

/* ---- keys ---- */

static void pem(void **state)
{
    (void)state;
    enum otter_key_fault fault;
    for (unsigned key = 0; key < KEYS; key++) {
        struct otter_key_parts again;
        size_t n;
        char *text = otter_key_pem(keys[key], &n);
        assert_non_null(text);
        struct otter_key *k = otter_key_read(text, n, &fault);
        assert_non_null(k);
        assert_int_equal(fault, OTTER_KEY_OK);
        assert_true(otter_key_secret(k));
        assert_true(otter_key_parts(k, &again));
        assert_memory_equal(&again, &parts[key], sizeof again);
        otter_key_free(k);
        assert_null(otter_key_read(text, n / 2, &fault));
        assert_int_equal(fault, OTTER_KEY_NO_PEM);
        otter_key_pem_free(text, n);
    }
    assert_null(otter_key_read("", 0, &fault));
    assert_int_equal(fault, OTTER_KEY_NO_PEM);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, erase_sector)
    const struct CMUnitTest tests[] = {
        TEST(round_trip),   TEST(layout),           TEST(key_material), TEST(several_blocks),
        TEST(trusted_keys), TEST(another_image),    TEST(every_byte),   TEST(a_strangers_signature),
        TEST(other_kinds),  TEST(stripped_and_cut), TEST(offsets),      TEST(driver_fails),
        TEST(pem),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
