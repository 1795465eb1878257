/* Without signatures: where only signed images are asked for all the same, none is taken. */
#include "format/signature.h"
#include "ports/psa/verify.h"

enum otter_err otter_signature_check(const uint8_t sector[OTTER_SECTOR], const uint8_t image_digest[32],
                                     const struct otter_trust *trust, const struct otter_crypto *crypto,
                                     int32_t *detail)
{
    (void)sector;
    (void)image_digest;
    (void)trust;
    (void)crypto;
    (void)detail;
    return OTTER_UNSIGNED;
}

int32_t otter_psa_verify(void *ctx, enum otter_sign_alg alg, const struct otter_public_key *key,
                         const uint8_t digest[32], const uint8_t *signature, bool *good)
{
    (void)ctx;
    (void)alg;
    (void)key;
    (void)digest;
    (void)signature;
    *good = false;
    return 0;
}
