/* Flash access of the settings store, page by page. Knows nothing of items. */
#include <string.h>

#include "core/nvs_store.h"

/* Any failure may leave flash and memory different. */
static enum otter_err done(struct otter_nvs *n, int32_t code, enum otter_err err)
{
    if (!code) return OTTER_OK;
    n->detail = code;
    n->reload = true;
    return err;
}

static uint32_t address(const struct otter_nvs *n, unsigned page, uint32_t off)
{
    return n->offset + page * OTTER_NVS_PAGE_SIZE + off;
}

static enum otter_err read_once(struct otter_nvs *n, unsigned page, uint32_t off, void *dst, uint32_t size)
{
    return done(n, n->flash->read(n->flash->ctx, address(n, page, off), dst, size), OTTER_FLASH_READ);
}

static enum otter_err verify(struct otter_nvs *n, unsigned page, uint32_t off, const uint8_t *src, uint32_t size)
{
    uint8_t piece[OTTER_NVS_ENTRY];
    for (uint32_t at = 0; at < size; at += sizeof piece) {
        uint32_t some = size - at < sizeof piece ? size - at : sizeof piece;
        enum otter_err e = read_once(n, page, off + at, piece, some);
        if (e) return e;
        if (memcmp(piece, src + at, some) == 0) continue;
        n->reload = true;
        return OTTER_FLASH_VERIFY;
    }
    return OTTER_OK;
}

enum otter_err otter_store_read(struct otter_nvs *n, unsigned page, uint32_t off, void *dst, uint32_t size)
{
    enum otter_err e = read_once(n, page, off, dst, size);
    return e || !n->mending ? e : verify(n, page, off, dst, size);
}

enum otter_err otter_store_write(struct otter_nvs *n, unsigned page, uint32_t off, const void *src, uint32_t size)
{
    enum otter_err e = done(n, n->flash->write(n->flash->ctx, address(n, page, off), src, size), OTTER_FLASH_WRITE);
    return e ? e : verify(n, page, off, src, size);
}

enum otter_err otter_store_erase_page(struct otter_nvs *n, unsigned page)
{
    static const uint8_t no_crc[4];
    enum otter_err e = OTTER_OK;
    if (n->page[page].state >= STORE_ACTIVE)
        e = otter_store_write(n, page, OTTER_NVS_HEADER_CRC, no_crc, sizeof no_crc);
    if (!e) e = done(n, n->flash->erase(n->flash->ctx, address(n, page, 0), OTTER_SECTOR), OTTER_FLASH_ERASE);
    if (e) return e;
    memset(&n->page[page], 0, sizeof n->page[page]);
    n->page[page].state = STORE_FREE;
    return OTTER_OK;
}

enum otter_err otter_store_read_entry(struct otter_nvs *n, struct store_at at, uint8_t raw[OTTER_NVS_ENTRY])
{
    return otter_store_read(n, at.page, OTTER_NVS_FIRST + (uint32_t)at.slot * OTTER_NVS_ENTRY, raw, OTTER_NVS_ENTRY);
}

enum otter_err otter_store_blank(struct otter_nvs *n, unsigned page, uint32_t off, uint32_t size, bool *blank)
{
    uint8_t piece[OTTER_NVS_ENTRY];
    *blank = true;
    for (uint32_t at = 0; at < size && *blank; at += sizeof piece) {
        enum otter_err e = otter_store_read(n, page, off + at, piece, sizeof piece);
        if (e) return e;
        for (unsigned i = 0; i < sizeof piece; i++)
            if (piece[i] != 0xFF) *blank = false;
    }
    return OTTER_OK;
}
