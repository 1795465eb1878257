/* Signing and verifying over OpenSSL's EVP: the numbers of signature blocks are little-endian, OpenSSL's are not.
 * Knows keys and digests; not blocks, sectors or files. */
#include "ports/posix/sign_openssl.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

enum { RSA_BITS = 8 * OTTER_RSA3072, EC_DER_MAX = 80, SALT = 32 };

struct otter_key {
    EVP_PKEY *pkey;
    enum otter_sign_alg alg;
    bool secret;
};

/* ---- public keys from their numbers ---- */

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = params ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
    if (ctx && EVP_PKEY_fromdata_init(ctx) > 0) EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

static EVP_PKEY *public_rsa(const uint8_t *bytes)
{
    EVP_PKEY *pkey = NULL;
    /* OpenSSL takes a shorter modulus too, and says of an empty one that it has no memory. */
    if (bytes[OTTER_RSA3072 - 1] < 0x80) return NULL;
    BIGNUM *n = BN_lebin2bn(bytes, OTTER_RSA3072, NULL);
    BIGNUM *e = BN_lebin2bn(bytes + OTTER_RSA3072, 4, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (n && e && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e)) {
        OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
        pkey = from_params("RSA", params);
        OSSL_PARAM_free(params);
    }
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return pkey;
}

static void reverse(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = from[n - 1 - i];
}

static EVP_PKEY *public_ecdsa(const uint8_t *bytes)
{
    uint8_t point[1 + 2 * OTTER_P256] = {POINT_CONVERSION_UNCOMPRESSED};
    char group[] = SN_X9_62_prime256v1;
    reverse(point + 1, bytes, OTTER_P256);
    reverse(point + 1 + OTTER_P256, bytes + OTTER_P256, OTTER_P256);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
                           OSSL_PARAM_construct_end()};
    return from_params("EC", params);
}

/* ---- verify ---- */

static bool set_pss(EVP_PKEY_CTX *ctx)
{
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, SALT) > 0;
}

/* r and s as OpenSSL takes them; 0: OpenSSL failed. */
static size_t der_from_raw(const uint8_t *raw, uint8_t der[EC_DER_MAX])
{
    int n = 0;
    uint8_t *to = der;
    BIGNUM *r = BN_lebin2bn(raw, OTTER_P256, NULL), *s = BN_lebin2bn(raw + OTTER_P256, OTTER_P256, NULL);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    if (r && s && sig && ECDSA_SIG_set0(sig, r, s)) {
        r = s = NULL;
        n = i2d_ECDSA_SIG(sig, &to);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n > 0 ? (size_t)n : 0;
}

static bool verify_with(EVP_PKEY_CTX *ctx, enum otter_sign_alg alg, const uint8_t *digest, const uint8_t *signature)
{
    uint8_t big_endian[OTTER_RSA3072];
    size_t n = sizeof big_endian;
    if (EVP_PKEY_verify_init(ctx) <= 0) return false;
    if (alg == OTTER_SIGN_RSA3072_PSS) {
        if (!set_pss(ctx)) return false;
        reverse(big_endian, signature, n);
    } else {
        n = der_from_raw(signature, big_endian);
    }
    return EVP_PKEY_verify(ctx, big_endian, n, digest, 32) == 1;
}

int32_t otter_openssl_verify(void *ctx, enum otter_sign_alg alg, const struct otter_public_key *key,
                             const uint8_t digest[32], const uint8_t *signature, bool *good)
{
    (void)ctx;
    EVP_PKEY *pkey = alg == OTTER_SIGN_RSA3072_PSS ? public_rsa(key->bytes) : public_ecdsa(key->bytes);
    EVP_PKEY_CTX *with = pkey ? EVP_PKEY_CTX_new(pkey, NULL) : NULL;
    *good = with && verify_with(with, alg, digest, signature);
    /* No memory and no provider are OpenSSL's failures; what else it says of a signature is that it is bad. */
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    bool failed = !*good && (reason == ERR_R_MALLOC_FAILURE || reason == ERR_R_FETCH_FAILED);
    EVP_PKEY_CTX_free(with);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return failed ? -1 : 0;
}

/* ---- keys ---- */

static bool kind_of(const EVP_PKEY *pkey, enum otter_sign_alg *alg)
{
    char group[32];
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        *alg = OTTER_SIGN_RSA3072_PSS;
        return EVP_PKEY_get_bits(pkey) == RSA_BITS;
    }
    *alg = OTTER_SIGN_ECDSA_P256;
    return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

static struct otter_key *wrap(EVP_PKEY *pkey, enum otter_sign_alg alg, bool secret)
{
    struct otter_key *k = malloc(sizeof *k);
    if (k)
        *k = (struct otter_key){pkey, alg, secret};
    else
        EVP_PKEY_free(pkey);
    return k;
}

struct otter_key *otter_key_generate(enum otter_sign_alg alg)
{
    EVP_PKEY *pkey = alg == OTTER_SIGN_RSA3072_PSS ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen(SN_X9_62_prime256v1);
    ERR_clear_error();
    return pkey ? wrap(pkey, alg, true) : NULL;
}

/* Asked for a passphrase: there is none, and the terminal is not asked. */
static int no_passphrase(char *buf, int size, int writing, void *asked)
{
    (void)buf;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

struct otter_key *otter_key_read(const void *pem, size_t n, enum otter_key_fault *fault)
{
    bool asked = false, secret = true;
    enum otter_sign_alg alg;
    BIO *bio = n <= INT32_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked) : NULL;
    if (!pkey && bio && !asked) {
        secret = false;
        BIO_reset(bio);
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, &asked);
    }
    BIO_free(bio);
    ERR_clear_error();
    *fault = asked ? OTTER_KEY_ENCRYPTED : !pkey ? OTTER_KEY_NO_PEM : OTTER_KEY_OK;
    if (pkey && kind_of(pkey, &alg)) return wrap(pkey, alg, secret);
    if (pkey) *fault = OTTER_KEY_KIND;
    EVP_PKEY_free(pkey);
    return NULL;
}

void otter_key_free(struct otter_key *k)
{
    if (!k) return;
    EVP_PKEY_free(k->pkey);
    free(k);
}

bool otter_key_secret(const struct otter_key *k) { return k->secret; }

/* ---- a key's numbers ---- */

/* 2^6144 mod n, and -1/n mod 2^32: what the ROM's multiplier wants to be given. */
static bool montgomery(const BIGNUM *n, uint8_t out[OTTER_RSA3072 + 4])
{
    bool ok = false;
    BN_CTX *ctx = BN_CTX_new();
    if (!ctx) return false;
    BN_CTX_start(ctx);
    BIGNUM *power = BN_CTX_get(ctx), *r = BN_CTX_get(ctx), *word = BN_CTX_get(ctx), *m = BN_CTX_get(ctx);
    if (m && BN_set_bit(power, 2 * RSA_BITS) && BN_mod(r, power, n, ctx) && BN_set_bit(word, 32) &&
        BN_mod_inverse(m, n, word, ctx) && BN_sub(m, word, m))
        ok = BN_bn2lebinpad(r, out, OTTER_RSA3072) > 0 && BN_bn2lebinpad(m, out + OTTER_RSA3072, 4) > 0;
    BN_CTX_end(ctx);
    BN_CTX_free(ctx);
    return ok;
}

static bool parts_rsa(const EVP_PKEY *pkey, struct otter_key_parts *parts)
{
    BIGNUM *n = NULL, *e = NULL;
    bool ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) &&
              EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) &&
              BN_bn2lebinpad(n, parts->key, OTTER_RSA3072) > 0 &&
              BN_bn2lebinpad(e, parts->key + OTTER_RSA3072, 4) > 0 && montgomery(n, parts->montgomery);
    BN_free(n);
    BN_free(e);
    return ok;
}

static bool parts_ecdsa(const EVP_PKEY *pkey, struct otter_key_parts *parts)
{
    BIGNUM *x = NULL, *y = NULL;
    bool ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_X, &x) &&
              EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, &y) &&
              BN_bn2lebinpad(x, parts->key, OTTER_P256) > 0 &&
              BN_bn2lebinpad(y, parts->key + OTTER_P256, OTTER_P256) > 0;
    BN_free(x);
    BN_free(y);
    return ok;
}

bool otter_key_parts(const struct otter_key *k, struct otter_key_parts *parts)
{
    memset(parts, 0, sizeof *parts);
    parts->alg = k->alg;
    bool ok = k->alg == OTTER_SIGN_RSA3072_PSS ? parts_rsa(k->pkey, parts) : parts_ecdsa(k->pkey, parts);
    ERR_clear_error();
    return ok;
}

/* ---- sign ---- */

static bool raw_from_der(const uint8_t *der, size_t n, uint8_t *raw)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool ok = sig && BN_bn2lebinpad(ECDSA_SIG_get0_r(sig), raw, OTTER_P256) > 0 &&
              BN_bn2lebinpad(ECDSA_SIG_get0_s(sig), raw + OTTER_P256, OTTER_P256) > 0;
    ECDSA_SIG_free(sig);
    return ok;
}

bool otter_key_sign(const struct otter_key *k, const uint8_t digest[32], uint8_t signature[OTTER_RSA3072])
{
    uint8_t bytes[OTTER_RSA3072];
    size_t n = sizeof bytes;
    bool rsa = k->alg == OTTER_SIGN_RSA3072_PSS;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->pkey, NULL);
    bool ok =
        ctx && EVP_PKEY_sign_init(ctx) > 0 && (!rsa || set_pss(ctx)) && EVP_PKEY_sign(ctx, bytes, &n, digest, 32) > 0;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    if (!ok) return false;
    if (!rsa) return raw_from_der(bytes, n, signature);
    reverse(signature, bytes, n);
    return n == OTTER_RSA3072;
}

char *otter_key_pem(const struct otter_key *k, size_t *n)
{
    char *pem = NULL, *in_bio;
    BIO *bio = BIO_new(BIO_s_secmem());
    if (bio && PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL)) {
        *n = (size_t)BIO_get_mem_data(bio, &in_bio);
        pem = OPENSSL_memdup(in_bio, *n);
    }
    BIO_free(bio);
    ERR_clear_error();
    return pem;
}

void otter_key_pem_free(char *pem, size_t n) { OPENSSL_clear_free(pem, n); }
