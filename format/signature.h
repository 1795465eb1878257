/* Signature sectors behind app images: up to three blocks, each with key, digest and signature.
 * Source: ESP-IDF esp_secure_boot.h and secure_boot_signatures_app.c (Secure Boot v2, v5.4 to v6.0); docs/SPEC.md has
 * the bytes.
 *
 * The sector lies behind the image, which is padded to a whole sector (by 0xFF); signed is the SHA-256 over image and
 * padding. RSA-3072 and ECDSA P-256 are read and written; P-192 and P-384 are named and refused. */
#ifndef OTTER_FORMAT_SIGNATURE_H
#define OTTER_FORMAT_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/bytes.h"
#include "otter/err.h"
#include "otter/port.h"

enum { OTTER_SIGNATURE_MAGIC = 0xE7, OTTER_SIGNATURE_BLOCK = 1216, OTTER_SIGNATURE_BLOCKS = 3, OTTER_KEY_DIGEST = 32 };

/* A block that was read: points into the sector, or wherever its maker has the parts. */
struct otter_signature {
    enum otter_sign_alg alg;
    const uint8_t *digest;       /* SHA-256 over image and padding, 32 bytes */
    struct otter_public_key key; /* see otter/port.h for lengths and byte order, of signature too */
    const uint8_t *montgomery;   /* RSA: what the chip's ROM computes with, little-endian: 2^6144 mod n, 384 bytes, then
                                    -1/n mod 2^32, 4 bytes; covered by the key's digest. ECDSA: NULL */
    const uint8_t *signature;
};

/* The keys that images may be signed with: the SHA-256 of each, as burnt into eFuse. */
struct otter_trust {
    const uint8_t (*keys)[OTTER_KEY_DIGEST];
    unsigned count; /* 0: none is trusted */
};

/* Where the sector of an image of so many bytes lies; image_length is at most 16 MiB. */
static inline uint32_t otter_signature_offset(uint32_t image_length)
{
    return otter_round_up(image_length, OTTER_SECTOR);
}

/* Block i, from 0 to 2, of a sector. OTTER_UNSIGNED: there is none. OTTER_SIGNATURE: damaged, or of a kind that is not
 * read. Nothing is verified beyond the block's CRC. */
enum otter_err otter_signature_read(const uint8_t sector[OTTER_SECTOR], unsigned i, struct otter_signature *s);
/* "RSA-3072", "ECDSA P-256", "ECDSA P-192" ... of block i, whether or not it can be read; "unknown" too. Static. */
const char *otter_signature_kind(const uint8_t sector[OTTER_SECTOR], unsigned i);
/* Writes a block. Its parts must not lie in it. */
void otter_signature_write(const struct otter_signature *s, uint8_t block[OTTER_SIGNATURE_BLOCK]);

/* SHA-256 of the key, as burnt into eFuse: RSA over modulus, exponent and montgomery (776 bytes), ECDSA over curve id
 * and point (65 bytes). 0, or the crypto driver's code. */
int32_t otter_signature_key_digest(const struct otter_signature *s, const struct otter_crypto *crypto,
                                   uint8_t out[OTTER_KEY_DIGEST]);
/* Is that digest in the list? */
bool otter_trust_has(const struct otter_trust *trust, const uint8_t key_digest[OTTER_KEY_DIGEST]);
/* Is the block's signature that of its own key over this digest? OTTER_SIGNATURE: no. OTTER_CRYPTO: detail has the
 * driver's code. */
enum otter_err otter_signature_verify(const struct otter_signature *s, const uint8_t image_digest[32],
                                      const struct otter_crypto *crypto, int32_t *detail);

/* Is the image that digest was made of signed with a trusted key? One good block is enough. OTTER_UNSIGNED: there is no
 * block. OTTER_UNTRUSTED_KEY: all blocks are of this image, and of other keys. OTTER_SIGNATURE: one is damaged or
 * wrong, and none is good. OTTER_CRYPTO: detail has the driver's code, else 0. */
enum otter_err otter_signature_check(const uint8_t sector[OTTER_SECTOR], const uint8_t image_digest[32],
                                     const struct otter_trust *trust, const struct otter_crypto *crypto,
                                     int32_t *detail);

#endif
