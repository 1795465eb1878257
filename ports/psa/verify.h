/* The signature check of otter_crypto_psa, in a file of its own, so that a device can do without. */
#ifndef OTTER_PORTS_PSA_VERIFY_H
#define OTTER_PORTS_PSA_VERIFY_H

#include "otter/port.h"

int32_t otter_psa_verify(void *ctx, enum otter_sign_alg alg, const struct otter_public_key *key,
                         const uint8_t digest[32], const uint8_t *signature, bool *good);

#endif
