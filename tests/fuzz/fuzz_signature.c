/* Signature sectors: any bytes, as they come and with their CRCs mended. Nobody is let in by an empty list; what is
 * read can be written again; and the verdict follows from the blocks. */
#include <string.h>

#include "format/bytes.h"
#include "format/crc32.h"
#include "format/signature.h"
#include "ports/posix/crypto.h"
#include "tests/fuzz/fuzz.h"

enum { CRC_AT = 1196 };

static void same_again(const struct otter_signature *s)
{
    uint8_t again[OTTER_SECTOR];
    struct otter_signature t;
    memset(again, 0xFF, sizeof again);
    otter_signature_write(s, again);
    HOLDS(otter_signature_read(again, 0, &t) == OTTER_OK && t.alg == s->alg);
    HOLDS(memcmp(t.key.bytes, s->key.bytes, 64) == 0 && memcmp(t.signature, s->signature, 64) == 0);
    HOLDS(otter_signature_read(again, 1, &t) == OTTER_UNSIGNED);
}

/* Trusts the key of block i, and takes its digest for the image's. */
static void trust_block(const uint8_t *sector, unsigned i)
{
    struct otter_signature s;
    uint8_t key[1][OTTER_KEY_DIGEST];
    int32_t detail;
    enum otter_err e = otter_signature_read(sector, i, &s);
    HOLDS(otter_signature_kind(sector, i) != NULL);
    if (e) return;
    same_again(&s);
    struct otter_trust trust = {(const uint8_t(*)[OTTER_KEY_DIGEST])key, 1}, nobody = {NULL, 0};
    HOLDS(otter_signature_key_digest(&s, &otter_crypto_openssl, key[0]) == 0);
    enum otter_err own = otter_signature_verify(&s, s.digest, &otter_crypto_openssl, &detail);
    enum otter_err all = otter_signature_check(sector, s.digest, &trust, &otter_crypto_openssl, &detail);
    HOLDS(own == OTTER_OK || own == OTTER_SIGNATURE);
    HOLDS(own ? all == OTTER_OK || all == OTTER_SIGNATURE : all == OTTER_OK);
    all = otter_signature_check(sector, s.digest, &nobody, &otter_crypto_openssl, &detail);
    HOLDS(all == OTTER_UNTRUSTED_KEY || all == OTTER_SIGNATURE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t sector[OTTER_SECTOR];
    memset(sector, 0xFF, sizeof sector);
    if (size) memcpy(sector, data, size < sizeof sector ? size : sizeof sector);
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++) trust_block(sector, i);
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++) {
        uint8_t *b = sector + i * OTTER_SIGNATURE_BLOCK;
        otter_put32(b + CRC_AT, otter_crc32(0, b, CRC_AT));
    }
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++) trust_block(sector, i);
    return 0;
}
