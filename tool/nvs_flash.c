/* Memory as NOR flash, and AES-XTS over it. Knows pages and slots, not what is in them. */
#include "tool/nvs_flash.h"

#include <openssl/evp.h>
#include <string.h>

#include "format/bytes.h"
#include "format/crc32.h"
#include "format/nvs.h"

enum { FAILED = -1, KEY_CRC = NVS_KEY };

/* ---- memory ---- */

static bool inside(const struct otter_flash *f, uint32_t off, uint32_t n) { return n <= f->size && off <= f->size - n; }

static int32_t memory_read(void *ctx, uint32_t off, void *dst, uint32_t n)
{
    struct nvs_memory *m = ctx;
    if (!inside(&m->flash, off, n)) return FAILED;
    memcpy(dst, m->bytes + off, n);
    return 0;
}

static int32_t memory_write(void *ctx, uint32_t off, const void *src, uint32_t n)
{
    struct nvs_memory *m = ctx;
    const uint8_t *p = src;
    if (!inside(&m->flash, off, n)) return FAILED;
    for (uint32_t i = 0; i < n; i++) m->bytes[off + i] &= p[i];
    m->changed = true;
    return 0;
}

static int32_t memory_erase(void *ctx, uint32_t off, uint32_t n)
{
    struct nvs_memory *m = ctx;
    if (!inside(&m->flash, off, n)) return FAILED;
    memset(m->bytes + off, 0xFF, n);
    m->changed = true;
    return 0;
}

void nvs_memory_start(struct nvs_memory *m, uint8_t *bytes, uint32_t size)
{
    m->bytes = bytes;
    m->changed = false;
    m->flash = (struct otter_flash){m, size, 1, OTTER_SECTOR, memory_read, memory_write, memory_erase};
}

/* ---- encryption ---- */

bool nvs_crypt(const uint8_t key[NVS_KEY], bool encrypt, uint32_t off, const uint8_t in[32], uint8_t out[32])
{
    uint8_t tweak[16] = {0};
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    otter_put32(tweak, off);
    bool ok = ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_xts(), NULL, key, tweak, encrypt) == 1 &&
              EVP_CipherUpdate(ctx, out, &n, in, OTTER_NVS_ENTRY) == 1 && n == OTTER_NVS_ENTRY;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static bool blank(const uint8_t *p)
{
    for (unsigned i = 0; i < OTTER_NVS_ENTRY; i++)
        if (p[i] != 0xFF) return false;
    return true;
}

/* Blank slots are blank, not encrypted. */
static int32_t cipher_read(void *ctx, uint32_t off, void *dst, uint32_t n)
{
    struct nvs_cipher *c = ctx;
    uint8_t *p = dst, plain[OTTER_NVS_ENTRY];
    int32_t code = c->inner->read(c->inner->ctx, off, dst, n);
    for (uint32_t at = 0; !code && at + OTTER_NVS_ENTRY <= n; at += OTTER_NVS_ENTRY) {
        uint32_t place = off + at - c->base;
        if (place % OTTER_NVS_PAGE_SIZE < OTTER_NVS_FIRST || blank(p + at)) continue;
        if (!nvs_crypt(c->key, false, place, p + at, plain)) return FAILED;
        memcpy(p + at, plain, sizeof plain);
    }
    return code;
}

static int32_t cipher_write(void *ctx, uint32_t off, const void *src, uint32_t n)
{
    struct nvs_cipher *c = ctx;
    uint8_t out[OTTER_NVS_PAGE_SIZE];
    if (n > sizeof out) return FAILED;
    memcpy(out, src, n);
    for (uint32_t at = 0; at + OTTER_NVS_ENTRY <= n; at += OTTER_NVS_ENTRY) {
        uint32_t place = off + at - c->base;
        if (place % OTTER_NVS_PAGE_SIZE < OTTER_NVS_FIRST) continue;
        if (!nvs_crypt(c->key, true, place, (const uint8_t *)src + at, out + at)) return FAILED;
    }
    return c->inner->write(c->inner->ctx, off, out, n);
}

static int32_t cipher_erase(void *ctx, uint32_t off, uint32_t n)
{
    struct nvs_cipher *c = ctx;
    return c->inner->erase(c->inner->ctx, off, n);
}

void nvs_cipher_start(struct nvs_cipher *c, const struct otter_flash *inner, uint32_t base, const uint8_t key[NVS_KEY])
{
    c->flash = *inner;
    c->flash.ctx = c;
    c->flash.read = cipher_read;
    c->flash.write = cipher_write;
    c->flash.erase = cipher_erase;
    c->inner = inner;
    c->base = base;
    memcpy(c->key, key, NVS_KEY);
}

bool nvs_encrypt_all(const uint8_t key[NVS_KEY], uint8_t *bytes, size_t size)
{
    for (size_t page = 0; page + OTTER_NVS_PAGE_SIZE <= size; page += OTTER_NVS_PAGE_SIZE) {
        for (unsigned slot = 0; slot < OTTER_NVS_SLOTS; slot++) {
            size_t off = page + OTTER_NVS_FIRST + slot * (size_t)OTTER_NVS_ENTRY;
            uint8_t plain[OTTER_NVS_ENTRY];
            if (otter_nvs_slot_get(bytes + page + OTTER_NVS_HEADER, slot) != OTTER_NVS_WRITTEN) continue;
            memcpy(plain, bytes + off, sizeof plain);
            if (!nvs_crypt(key, true, (uint32_t)off, plain, bytes + off)) return false;
        }
    }
    return true;
}

/* ---- key partitions ---- */

void nvs_key_write(const uint8_t key[NVS_KEY], uint8_t file[NVS_KEY_FILE])
{
    memset(file, 0xFF, NVS_KEY_FILE);
    memcpy(file, key, NVS_KEY);
    otter_put32(file + KEY_CRC, otter_crc32(UINT32_MAX, key, NVS_KEY));
}

bool nvs_key_read(const uint8_t *file, size_t size, uint8_t key[NVS_KEY])
{
    if (size < NVS_KEY + 4 || otter_get32(file + KEY_CRC) != otter_crc32(UINT32_MAX, file, NVS_KEY)) return false;
    memcpy(key, file, NVS_KEY);
    return true;
}
