/* Signature blocks: read, judged, written. Knows where numbers lie; what they prove is the crypto driver's to say.
 * Knows nothing of images beyond their digest. */
#include "format/signature.h"

#include <string.h>

#include "format/crc32.h"

enum {
    AT_VERSION = 1,
    AT_HASH = 2, /* 0: SHA-256, 1: SHA-384 */
    AT_DIGEST = 4,
    AT_KEY = 36, /* RSA: the modulus; ECDSA: the curve's id, then the point */
    AT_RSA_MONTGOMERY = 424,
    AT_RSA_SIGNATURE = 812,
    AT_EC_POINT = 37,
    AT_EC_SIGNATURE = 101,
    AT_P384_CURVE = 52,
    AT_CRC = 1196
};

enum { VERSION_RSA = 2, VERSION_ECDSA = 3, HASH_SHA256 = 0, HASH_SHA384 = 1, P192 = 1, P256 = 2, P384 = 3 };

enum { RSA_KEY = OTTER_RSA3072 + 4, EC_KEY = 2 * OTTER_P256, SHA256 = 32 };

static const uint8_t *block_at(const uint8_t *sector, unsigned i) { return sector + i * OTTER_SIGNATURE_BLOCK; }

const char *otter_signature_kind(const uint8_t sector[OTTER_SECTOR], unsigned i)
{
    const uint8_t *b = block_at(sector, i);
    if (b[AT_VERSION] == VERSION_RSA) return "RSA-3072";
    if (b[AT_VERSION] != VERSION_ECDSA) return "unknown";
    if (b[AT_HASH] == HASH_SHA384) return b[AT_P384_CURVE] == P384 ? "ECDSA P-384" : "unknown";
    if (b[AT_HASH] != HASH_SHA256) return "unknown";
    return b[AT_KEY] == P256 ? "ECDSA P-256" : b[AT_KEY] == P192 ? "ECDSA P-192" : "unknown";
}

static void read_rsa(const uint8_t *b, struct otter_signature *s)
{
    s->alg = OTTER_SIGN_RSA3072_PSS;
    s->key.bytes = b + AT_KEY;
    s->montgomery = b + AT_RSA_MONTGOMERY;
    s->signature = b + AT_RSA_SIGNATURE;
}

static void read_ecdsa(const uint8_t *b, struct otter_signature *s)
{
    s->alg = OTTER_SIGN_ECDSA_P256;
    s->key.bytes = b + AT_EC_POINT;
    s->montgomery = NULL;
    s->signature = b + AT_EC_SIGNATURE;
}

enum otter_err otter_signature_read(const uint8_t sector[OTTER_SECTOR], unsigned i, struct otter_signature *s)
{
    if (i >= OTTER_SIGNATURE_BLOCKS) return OTTER_UNSIGNED;
    const uint8_t *b = block_at(sector, i);
    if (b[0] != OTTER_SIGNATURE_MAGIC) return OTTER_UNSIGNED;
    if (otter_get32(b + AT_CRC) != otter_crc32(0, b, AT_CRC)) return OTTER_SIGNATURE;
    s->digest = b + AT_DIGEST;
    if (b[AT_VERSION] == VERSION_RSA)
        read_rsa(b, s);
    else if (b[AT_VERSION] == VERSION_ECDSA && b[AT_HASH] == HASH_SHA256 && b[AT_KEY] == P256)
        read_ecdsa(b, s);
    else
        return OTTER_SIGNATURE;
    return OTTER_OK;
}

void otter_signature_write(const struct otter_signature *s, uint8_t block[OTTER_SIGNATURE_BLOCK])
{
    memset(block, 0, OTTER_SIGNATURE_BLOCK);
    block[0] = OTTER_SIGNATURE_MAGIC;
    memcpy(block + AT_DIGEST, s->digest, SHA256);
    if (s->alg == OTTER_SIGN_RSA3072_PSS) {
        block[AT_VERSION] = VERSION_RSA;
        memcpy(block + AT_KEY, s->key.bytes, RSA_KEY);
        memcpy(block + AT_RSA_MONTGOMERY, s->montgomery, RSA_KEY);
        memcpy(block + AT_RSA_SIGNATURE, s->signature, OTTER_RSA3072);
    } else {
        block[AT_VERSION] = VERSION_ECDSA;
        block[AT_KEY] = P256;
        memcpy(block + AT_EC_POINT, s->key.bytes, EC_KEY);
        memcpy(block + AT_EC_SIGNATURE, s->signature, EC_KEY);
    }
    otter_put32(block + AT_CRC, otter_crc32(0, block, AT_CRC));
}

/* ---- trust ---- */

static int32_t hash_key(const struct otter_signature *s, const struct otter_crypto *crypto, struct otter_hash *h)
{
    static const uint8_t curve = P256;
    if (s->alg == OTTER_SIGN_RSA3072_PSS) {
        int32_t status = crypto->hash_update(crypto->ctx, h, s->key.bytes, RSA_KEY);
        return status ? status : crypto->hash_update(crypto->ctx, h, s->montgomery, RSA_KEY);
    }
    int32_t status = crypto->hash_update(crypto->ctx, h, &curve, 1);
    return status ? status : crypto->hash_update(crypto->ctx, h, s->key.bytes, EC_KEY);
}

int32_t otter_signature_key_digest(const struct otter_signature *s, const struct otter_crypto *crypto,
                                   uint8_t out[OTTER_KEY_DIGEST])
{
    struct otter_hash h;
    int32_t status = crypto->hash_start(crypto->ctx, &h, OTTER_SHA256);
    if (status) return status;
    status = hash_key(s, crypto, &h);
    if (!status) return crypto->hash_finish(crypto->ctx, &h, out);
    crypto->hash_abort(crypto->ctx, &h);
    return status;
}

bool otter_trust_has(const struct otter_trust *trust, const uint8_t key_digest[OTTER_KEY_DIGEST])
{
    for (unsigned i = 0; i < trust->count; i++)
        if (memcmp(trust->keys[i], key_digest, OTTER_KEY_DIGEST) == 0) return true;
    return false;
}

enum otter_err otter_signature_verify(const struct otter_signature *s, const uint8_t image_digest[32],
                                      const struct otter_crypto *crypto, int32_t *detail)
{
    bool good = false;
    *detail = 0;
    if (memcmp(s->digest, image_digest, SHA256) != 0) return OTTER_SIGNATURE;
    *detail = crypto->verify(crypto->ctx, s->alg, &s->key, image_digest, s->signature, &good);
    if (*detail) return OTTER_CRYPTO;
    return good ? OTTER_OK : OTTER_SIGNATURE;
}

/* The key is judged before the signature is: numbers of a stranger's choice never reach the driver. */
static enum otter_err judge(const struct otter_signature *s, const uint8_t *image_digest,
                            const struct otter_trust *trust, const struct otter_crypto *crypto, int32_t *detail)
{
    uint8_t key_digest[OTTER_KEY_DIGEST];
    *detail = otter_signature_key_digest(s, crypto, key_digest);
    if (*detail) return OTTER_CRYPTO;
    if (otter_trust_has(trust, key_digest)) return otter_signature_verify(s, image_digest, crypto, detail);
    return memcmp(s->digest, image_digest, SHA256) == 0 ? OTTER_UNTRUSTED_KEY : OTTER_SIGNATURE;
}

enum otter_err otter_signature_check(const uint8_t sector[OTTER_SECTOR], const uint8_t image_digest[32],
                                     const struct otter_trust *trust, const struct otter_crypto *crypto,
                                     int32_t *detail)
{
    enum otter_err verdict = OTTER_UNSIGNED;
    *detail = 0;
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++) {
        struct otter_signature s;
        enum otter_err e = otter_signature_read(sector, i, &s);
        if (!e) e = judge(&s, image_digest, trust, crypto, detail);
        if (!e || e == OTTER_CRYPTO) return e;
        if (e == OTTER_SIGNATURE || verdict == OTTER_UNSIGNED) verdict = e;
    }
    return verdict;
}
