/* Signature checks over PSA Crypto: keys and signatures into the forms it takes. */
#include "ports/psa/verify.h"

#include <psa/crypto.h>

enum { DER_INTEGER = 0x02, DER_SEQUENCE = 0x30, DER_HEAD = 4, RSA_EXPONENT = 4 };
/* RSAPublicKey: a sequence of two integers, each perhaps with a zero before it, as their top bit is no sign. */
enum { RSA_KEY_MAX = DER_HEAD + (DER_HEAD + 1 + OTTER_RSA3072) + (2 + 1 + RSA_EXPONENT) };

static void reverse(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = from[n - 1 - i];
}

/* Tag and a length of two bytes. */
static uint8_t *der_head(uint8_t *p, uint8_t tag, size_t n)
{
    p[0] = tag;
    p[1] = 0x82;
    p[2] = (uint8_t)(n >> 8);
    p[3] = (uint8_t)n;
    return p + DER_HEAD;
}

static uint8_t *der_exponent(uint8_t *p, const uint8_t *exponent)
{
    uint8_t n = RSA_EXPONENT;
    while (n > 1 && exponent[n - 1] == 0) n--;
    uint8_t sign = exponent[n - 1] >> 7;
    *p++ = DER_INTEGER;
    *p++ = (uint8_t)(n + sign);
    if (sign) *p++ = 0;
    reverse(p, exponent, n);
    return p + n;
}

static psa_status_t import(psa_key_type_t type, psa_algorithm_t alg, const uint8_t *bytes, size_t n, psa_key_id_t *id)
{
    psa_key_attributes_t attributes = psa_key_attributes_init();
    psa_set_key_type(&attributes, type);
    psa_set_key_algorithm(&attributes, alg);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_HASH);
    return psa_import_key(&attributes, bytes, n, id);
}

static psa_status_t import_rsa(const struct otter_public_key *key, psa_key_id_t *id)
{
    uint8_t der[RSA_KEY_MAX];
    uint8_t *p = der_head(der + DER_HEAD, DER_INTEGER, 1 + OTTER_RSA3072);
    *p++ = 0;
    reverse(p, key->bytes, OTTER_RSA3072);
    p = der_exponent(p + OTTER_RSA3072, key->bytes + OTTER_RSA3072);
    der_head(der, DER_SEQUENCE, (size_t)(p - der) - DER_HEAD);
    return import(PSA_KEY_TYPE_RSA_PUBLIC_KEY, PSA_ALG_RSA_PSS(PSA_ALG_SHA_256), der, (size_t)(p - der), id);
}

static psa_status_t import_ecdsa(const struct otter_public_key *key, psa_key_id_t *id)
{
    uint8_t point[1 + 2 * OTTER_P256] = {4}; /* uncompressed */
    reverse(point + 1, key->bytes, OTTER_P256);
    reverse(point + 1 + OTTER_P256, key->bytes + OTTER_P256, OTTER_P256);
    return import(PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1), PSA_ALG_ECDSA(PSA_ALG_SHA_256), point,
                  sizeof point, id);
}

/* Is this the driver's failure? Whatever else goes wrong lies in key or signature, and which code says so differs
 * between versions. */
static bool driver_failed(psa_status_t status)
{
    switch (status) {
    case PSA_ERROR_BAD_STATE:
    case PSA_ERROR_COMMUNICATION_FAILURE:
    case PSA_ERROR_CORRUPTION_DETECTED:
    case PSA_ERROR_HARDWARE_FAILURE:
    case PSA_ERROR_INSUFFICIENT_ENTROPY:
    case PSA_ERROR_INSUFFICIENT_MEMORY:
    case PSA_ERROR_NOT_PERMITTED:
    case PSA_ERROR_NOT_SUPPORTED: return true;
    default: return false;
    }
}

static psa_status_t verify_rsa(psa_key_id_t id, const uint8_t *digest, const uint8_t *signature)
{
    uint8_t big_endian[OTTER_RSA3072];
    reverse(big_endian, signature, sizeof big_endian);
    return psa_verify_hash(id, PSA_ALG_RSA_PSS(PSA_ALG_SHA_256), digest, 32, big_endian, sizeof big_endian);
}

static psa_status_t verify_ecdsa(psa_key_id_t id, const uint8_t *digest, const uint8_t *signature)
{
    uint8_t big_endian[2 * OTTER_P256];
    reverse(big_endian, signature, OTTER_P256);
    reverse(big_endian + OTTER_P256, signature + OTTER_P256, OTTER_P256);
    return psa_verify_hash(id, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, 32, big_endian, sizeof big_endian);
}

int32_t otter_psa_verify(void *ctx, enum otter_sign_alg alg, const struct otter_public_key *key,
                         const uint8_t digest[32], const uint8_t *signature, bool *good)
{
    (void)ctx;
    psa_key_id_t id;
    *good = false;
    psa_status_t status = alg == OTTER_SIGN_RSA3072_PSS ? import_rsa(key, &id) : import_ecdsa(key, &id);
    if (status == PSA_SUCCESS) {
        status =
            alg == OTTER_SIGN_RSA3072_PSS ? verify_rsa(id, digest, signature) : verify_ecdsa(id, digest, signature);
        psa_destroy_key(id);
        *good = status == PSA_SUCCESS;
    }
    return driver_failed(status) ? status : 0;
}
