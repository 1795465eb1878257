/* otter_crypto over OpenSSL's plain hash functions, for the tool: no provider is fetched, so a command starts at once.
 * Linked statically; signatures, which do fetch one, lie in sign_openssl.c. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "ports/posix/crypto.h"

#include <openssl/md5.h>
#include <openssl/sha.h>

#include "ports/posix/sign_openssl.h"

struct state {
    enum otter_hash_alg alg;
    union {
        SHA256_CTX sha256;
        MD5_CTX md5;
    } u;
};
_Static_assert(sizeof(struct state) <= OTTER_CFG_HASH_STATE, "OTTER_CFG_HASH_STATE is too small for OpenSSL");

static struct state *state_of(struct otter_hash *h) { return (struct state *)(void *)h; }

static int32_t hash_start(void *ctx, struct otter_hash *h, enum otter_hash_alg alg)
{
    (void)ctx;
    struct state *s = state_of(h);
    s->alg = alg;
    return (alg == OTTER_SHA256 ? SHA256_Init(&s->u.sha256) : MD5_Init(&s->u.md5)) ? 0 : -1;
}

static int32_t hash_update(void *ctx, struct otter_hash *h, const void *data, size_t n)
{
    (void)ctx;
    struct state *s = state_of(h);
    return (s->alg == OTTER_SHA256 ? SHA256_Update(&s->u.sha256, data, n) : MD5_Update(&s->u.md5, data, n)) ? 0 : -1;
}

static int32_t hash_finish(void *ctx, struct otter_hash *h, uint8_t *out)
{
    (void)ctx;
    struct state *s = state_of(h);
    return (s->alg == OTTER_SHA256 ? SHA256_Final(out, &s->u.sha256) : MD5_Final(out, &s->u.md5)) ? 0 : -1;
}

static int32_t hash_clone(void *ctx, const struct otter_hash *h, struct otter_hash *copy)
{
    (void)ctx;
    *copy = *h;
    return 0;
}

static void hash_abort(void *ctx, struct otter_hash *h)
{
    (void)ctx;
    (void)h;
}

const struct otter_crypto otter_crypto_openssl = {NULL,       hash_start, hash_update,         hash_finish,
                                                  hash_clone, hash_abort, otter_openssl_verify};
