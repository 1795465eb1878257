/* otter_crypto over PSA Crypto, as mbedTLS 2.28 to 4.x have it. Knows nothing but hashes. */
#include <psa/crypto.h>
#include <string.h>

#include "ports/psa/crypto.h"
#include "ports/psa/verify.h"

_Static_assert(sizeof(psa_hash_operation_t) <= OTTER_CFG_HASH_STATE, "OTTER_CFG_HASH_STATE is too small for PSA");

static psa_hash_operation_t *op_of(struct otter_hash *h) { return (psa_hash_operation_t *)(void *)h; }

static int32_t hash_start(void *ctx, struct otter_hash *h, enum otter_hash_alg alg)
{
    (void)ctx;
    *op_of(h) = psa_hash_operation_init();
    return psa_hash_setup(op_of(h), alg == OTTER_SHA256 ? PSA_ALG_SHA_256 : PSA_ALG_MD5);
}

static int32_t hash_update(void *ctx, struct otter_hash *h, const void *data, size_t n)
{
    (void)ctx;
    return psa_hash_update(op_of(h), data, n);
}

static int32_t hash_finish(void *ctx, struct otter_hash *h, uint8_t *out)
{
    (void)ctx;
    /* The library writes to all of the room it is given, not just the hash's length. */
    uint8_t hash[PSA_HASH_LENGTH(PSA_ALG_SHA_256)];
    size_t n;
    psa_status_t status = psa_hash_finish(op_of(h), hash, sizeof hash, &n);
    if (status == PSA_SUCCESS)
        memcpy(out, hash, n);
    else
        psa_hash_abort(op_of(h));
    return status;
}

static int32_t hash_clone(void *ctx, const struct otter_hash *h, struct otter_hash *copy)
{
    (void)ctx;
    *op_of(copy) = psa_hash_operation_init();
    return psa_hash_clone((const psa_hash_operation_t *)(const void *)h, op_of(copy));
}

static void hash_abort(void *ctx, struct otter_hash *h)
{
    (void)ctx;
    psa_hash_abort(op_of(h));
}

int otter_crypto_psa_start(void) { return psa_crypto_init(); }

const struct otter_crypto otter_crypto_psa = {NULL,       hash_start, hash_update,     hash_finish,
                                              hash_clone, hash_abort, otter_psa_verify};
