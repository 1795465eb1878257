/* Signatures and PEM keys over OpenSSL's EVP, for the tool's signing commands. Secret keys stay behind this header:
 * they are read, used, written to PEM, and cleared by OpenSSL when freed. */
#ifndef OTTER_PORTS_POSIX_SIGN_OPENSSL_H
#define OTTER_PORTS_POSIX_SIGN_OPENSSL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/port.h"

/* verify of struct otter_crypto; ctx is not looked at. -1: OpenSSL failed. */
int32_t otter_openssl_verify(void *ctx, enum otter_sign_alg alg, const struct otter_public_key *key,
                             const uint8_t digest[32], const uint8_t *signature, bool *good);

struct otter_key; /* RSA-3072 or ECDSA P-256, secret or public */

/* What a signature block holds of a key, little-endian. */
struct otter_key_parts {
    enum otter_sign_alg alg;
    uint8_t key[OTTER_RSA3072 + 4];        /* as struct otter_public_key has it */
    uint8_t montgomery[OTTER_RSA3072 + 4]; /* RSA: 2^6144 mod n, then -1/n mod 2^32 */
};

enum otter_key_fault {
    OTTER_KEY_OK,
    OTTER_KEY_NO_PEM,    /* no key in PEM */
    OTTER_KEY_ENCRYPTED, /* a PEM key under a passphrase */
    OTTER_KEY_KIND       /* a key of another kind or size */
};

/* To be freed; NULL: OpenSSL failed. */
struct otter_key *otter_key_generate(enum otter_sign_alg alg);
/* A secret or public key in PEM (PKCS#8, SubjectPublicKeyInfo, or OpenSSL's older forms). To be freed; NULL: fault says
 * why. */
struct otter_key *otter_key_read(const void *pem, size_t n, enum otter_key_fault *fault);
void otter_key_free(struct otter_key *k);

bool otter_key_secret(const struct otter_key *k);
/* False: OpenSSL failed. */
bool otter_key_parts(const struct otter_key *k, struct otter_key_parts *parts);
/* Signs with a secret key; signature takes 384 bytes. False: OpenSSL failed. */
bool otter_key_sign(const struct otter_key *k, const uint8_t digest[32], uint8_t signature[OTTER_RSA3072]);
/* The secret key as PKCS#8 PEM, its bytes in *n; to be cleared and freed with otter_key_pem_free(). NULL: failed. */
char *otter_key_pem(const struct otter_key *k, size_t *n);
void otter_key_pem_free(char *pem, size_t n);

#endif
