/* Reads, checks and writes binary partition tables. Knows nothing of flash: rows come through a function. */
#include "format/table.h"

#include <string.h>

#include "format/bytes.h"

enum { MAGIC_ROW = 0x50AA, MAGIC_MD5 = 0xEBEB, MAGIC_END = 0xFFFF, MD5_OFFSET = 16, MD5_SIZE = 16 };

/* A walk over the rows, hashing them as it goes. */
struct walk {
    const struct otter_rows *rows;
    const struct otter_crypto *crypto;
    struct otter_hash hash;
    uint32_t flash_size;
    bool md5_seen;
};

static enum otter_err check_md5(struct walk *w, const uint8_t row[OTTER_TABLE_ROW])
{
    struct otter_hash so_far;
    uint8_t md5[MD5_SIZE];
    if (w->md5_seen) return OTTER_TABLE_MD5;
    w->md5_seen = true;
    if (w->crypto->hash_clone(w->crypto->ctx, &w->hash, &so_far)) return OTTER_CRYPTO;
    if (w->crypto->hash_finish(w->crypto->ctx, &so_far, md5)) return OTTER_CRYPTO;
    return memcmp(md5, row + MD5_OFFSET, MD5_SIZE) ? OTTER_TABLE_MD5 : OTTER_OK;
}

static enum otter_err check_range(const struct walk *w, const uint8_t row[OTTER_TABLE_ROW])
{
    uint32_t offset = otter_get32(row + 4), size = otter_get32(row + 8);
    return size > w->flash_size || offset > w->flash_size - size ? OTTER_TABLE_RANGE : OTTER_OK;
}

static bool is_end(const uint8_t row[OTTER_TABLE_ROW])
{
    return otter_get16(row) == MAGIC_END && row[2] == 0xFF && row[3] == 0xFF;
}

static enum otter_err check_row(struct walk *w, const uint8_t row[OTTER_TABLE_ROW])
{
    enum otter_err e = OTTER_TABLE_MAGIC;
    if (otter_get16(row) == MAGIC_ROW) e = check_range(w, row);
    if (otter_get16(row) == MAGIC_MD5) e = check_md5(w, row);
    if (e) return e;
    return w->crypto->hash_update(w->crypto->ctx, &w->hash, row, OTTER_TABLE_ROW) ? OTTER_CRYPTO : OTTER_OK;
}

static enum otter_err walk_rows(struct walk *w, unsigned *count, unsigned *bad)
{
    uint8_t row[OTTER_TABLE_ROW];
    for (unsigned i = 0; i < OTTER_TABLE_ROWS; i++) {
        *bad = i;
        enum otter_err e = w->rows->row(w->rows->ctx, i, row);
        if (e) return e;
        if (is_end(row) && i > 0) {
            /* The boot loader takes the MD5 row off the count wherever it stands. */
            *count = w->md5_seen ? i - 1 : i;
            return OTTER_OK;
        }
        e = check_row(w, row);
        if (e) return e;
    }
    return OTTER_TABLE_END;
}

enum otter_err otter_table_check(const struct otter_rows *rows, uint32_t flash_size, const struct otter_crypto *crypto,
                                 unsigned *count, unsigned *bad)
{
    struct walk w = {.rows = rows, .crypto = crypto, .flash_size = flash_size};
    *count = 0;
    *bad = 0;
    if (crypto->hash_start(crypto->ctx, &w.hash, OTTER_MD5)) return OTTER_CRYPTO;
    enum otter_err e = walk_rows(&w, count, bad);
    crypto->hash_abort(crypto->ctx, &w.hash);
    return e;
}

enum otter_err otter_table_row(const struct otter_rows *rows, unsigned i, struct otter_partition *p)
{
    uint8_t row[OTTER_TABLE_ROW];
    enum otter_err e = rows->row(rows->ctx, i, row);
    if (e) return e;
    memset(p, 0, sizeof *p);
    p->type = otter_get16(row) == MAGIC_ROW ? row[2] : 0xFF;
    p->subtype = row[3];
    p->offset = otter_get32(row + 4);
    p->size = otter_get32(row + 8);
    memcpy(p->label, row + 12, 16);
    p->flags = otter_get32(row + 28);
    return OTTER_OK;
}

static void write_row(const struct otter_partition *p, uint8_t row[OTTER_TABLE_ROW])
{
    memset(row, 0, OTTER_TABLE_ROW);
    otter_put16(row, MAGIC_ROW);
    row[2] = p->type;
    row[3] = p->subtype;
    otter_put32(row + 4, p->offset);
    otter_put32(row + 8, p->size);
    for (unsigned i = 0; i < 16 && p->label[i]; i++) row[12 + i] = (uint8_t)p->label[i];
    otter_put32(row + 28, p->flags);
}

static enum otter_err write_md5(const struct otter_crypto *crypto, const uint8_t *rows, unsigned n, uint8_t *row)
{
    struct otter_hash h;
    otter_put16(row, MAGIC_MD5);
    if (crypto->hash_start(crypto->ctx, &h, OTTER_MD5)) return OTTER_CRYPTO;
    if (crypto->hash_update(crypto->ctx, &h, rows, (size_t)n * OTTER_TABLE_ROW)) {
        crypto->hash_abort(crypto->ctx, &h);
        return OTTER_CRYPTO;
    }
    return crypto->hash_finish(crypto->ctx, &h, row + MD5_OFFSET) ? OTTER_CRYPTO : OTTER_OK;
}

enum otter_err otter_table_write(const struct otter_partition *p, unsigned n, bool md5,
                                 const struct otter_crypto *crypto, uint8_t out[OTTER_TABLE_SIZE])
{
    if (n + (md5 ? 1u : 0u) >= OTTER_TABLE_ROWS) return OTTER_ARG;
    memset(out, 0xFF, OTTER_TABLE_SIZE);
    for (unsigned i = 0; i < n; i++) write_row(&p[i], out + i * OTTER_TABLE_ROW);
    return md5 ? write_md5(crypto, out, n, out + n * OTTER_TABLE_ROW) : OTTER_OK;
}

static enum otter_err memory_row(const void *ctx, unsigned i, uint8_t out[OTTER_TABLE_ROW])
{
    const struct otter_table_memory *m = ctx;
    size_t at = (size_t)i * OTTER_TABLE_ROW;
    memset(out, 0xFF, OTTER_TABLE_ROW);
    if (at < m->size) memcpy(out, m->bytes + at, m->size - at < OTTER_TABLE_ROW ? m->size - at : OTTER_TABLE_ROW);
    return OTTER_OK;
}

struct otter_rows otter_table_rows(const struct otter_table_memory *m)
{
    struct otter_rows rows = {m, memory_row};
    return rows;
}
