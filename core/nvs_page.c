/* Slots and items within a page. Knows nothing of keys, nor of which page is written to next. */
#include <string.h>

#include "core/nvs_store.h"
#include "format/crc32.h"

enum { WORD = 4, WORD_SLOTS = 16 }; /* the bitmap is written by words of 4 bytes, 16 slots */

enum otter_err otter_store_bitmap(struct otter_nvs *n, unsigned page, uint8_t bitmap[OTTER_NVS_BITMAP])
{
    return otter_store_read(n, page, OTTER_NVS_HEADER, bitmap, OTTER_NVS_BITMAP);
}

/* Slots first to last, which lie in one word. */
static enum otter_err mark_word(struct otter_nvs *n, unsigned page, unsigned first, unsigned last,
                                enum otter_nvs_slot_state state)
{
    uint8_t word[WORD];
    uint32_t off = OTTER_NVS_HEADER + first / WORD_SLOTS * WORD;
    int used = 0;
    enum otter_err e = otter_store_read(n, page, off, word, sizeof word);
    if (e) return e;
    for (unsigned s = first % WORD_SLOTS; s <= last % WORD_SLOTS; s++) {
        used -= otter_nvs_slot_get(word, s) == OTTER_NVS_WRITTEN;
        otter_nvs_slot_set(word, s, state);
        used += otter_nvs_slot_get(word, s) == OTTER_NVS_WRITTEN;
    }
    e = otter_store_write(n, page, off, word, sizeof word);
    if (!e) n->page[page].used = (uint8_t)(n->page[page].used + used);
    return e;
}

enum otter_err otter_store_mark(struct otter_nvs *n, struct store_at at, unsigned count,
                                enum otter_nvs_slot_state state)
{
    for (unsigned last = at.slot + count; last-- > at.slot;) {
        unsigned first = last / WORD_SLOTS * WORD_SLOTS;
        if (first < at.slot) first = at.slot;
        enum otter_err e = mark_word(n, at.page, first, last, state);
        if (e) return e;
        last = first;
    }
    return OTTER_OK;
}

/* A page that was only chosen so far becomes one. */
static enum otter_err start_page(struct otter_nvs *n)
{
    struct otter_nvs_page *p = &n->page[n->current];
    uint8_t raw[OTTER_NVS_HEADER];
    if (p->state != STORE_READY) return OTTER_OK;
    otter_nvs_header_write(p->seq, OTTER_NVS_V2, raw);
    enum otter_err e = otter_store_write(n, n->current, 0, raw, sizeof raw);
    if (!e) p->state = STORE_ACTIVE;
    return e;
}

/* The next count slots of the current page: contents first, then the marks. */
static enum otter_err append_slots(struct otter_nvs *n, const uint8_t *src, unsigned count)
{
    struct otter_nvs_page *p = &n->page[n->current];
    struct store_at at = {n->current, p->next};
    enum otter_err e = otter_store_write(n, at.page, OTTER_NVS_FIRST + (uint32_t)at.slot * OTTER_NVS_ENTRY, src,
                                         count * OTTER_NVS_ENTRY);
    if (!e) e = otter_store_mark(n, at, count, OTTER_NVS_WRITTEN);
    if (!e) p->next = (uint8_t)(p->next + count);
    return e;
}

enum otter_err otter_store_append_slot(struct otter_nvs *n, const uint8_t raw[OTTER_NVS_ENTRY])
{
    enum otter_err e = start_page(n);
    return e ? e : append_slots(n, raw, 1);
}

enum otter_err otter_store_append(struct otter_nvs *n, const struct otter_nvs_entry *e, const void *payload,
                                  struct store_at *at)
{
    uint8_t raw[OTTER_NVS_ENTRY];
    uint32_t size = otter_nvs_has_payload(e->type) ? otter_nvs_payload_size(e) : 0, rest = size % OTTER_NVS_ENTRY;
    at->page = n->current;
    at->slot = n->page[n->current].next;
    otter_nvs_entry_write(e, raw);
    enum otter_err err = otter_store_append_slot(n, raw);
    if (!err && size > rest) err = append_slots(n, payload, (size - rest) / OTTER_NVS_ENTRY);
    if (err || !rest) return err;
    memset(raw, 0xFF, sizeof raw);
    memcpy(raw, (const uint8_t *)payload + (size - rest), rest);
    return append_slots(n, raw, 1);
}

enum otter_err otter_store_payload(struct otter_nvs *n, const struct store_item *i, uint8_t *out)
{
    uint8_t raw[OTTER_NVS_ENTRY];
    uint32_t size = otter_nvs_payload_size(&i->e);
    struct store_at at = i->at;
    for (uint32_t done = 0; done < size; done += sizeof raw) {
        at.slot++;
        enum otter_err e = otter_store_read_entry(n, at, raw);
        if (e) return e;
        memcpy(out + done, raw, size - done < sizeof raw ? size - done : sizeof raw);
    }
    return otter_crc32(UINT32_MAX, out, size) == otter_nvs_payload_crc(&i->e) ? OTTER_OK : OTTER_NVS_CORRUPT;
}

enum otter_err otter_store_payload_same(struct otter_nvs *n, const struct store_item *i, const uint8_t *data,
                                        bool *same)
{
    uint8_t raw[OTTER_NVS_ENTRY];
    uint32_t size = otter_nvs_payload_size(&i->e);
    struct store_at at = i->at;
    *same = true;
    for (uint32_t done = 0; done < size && *same; done += sizeof raw) {
        at.slot++;
        enum otter_err e = otter_store_read_entry(n, at, raw);
        if (e) return e;
        *same = memcmp(raw, data + done, size - done < sizeof raw ? size - done : sizeof raw) == 0;
    }
    return OTTER_OK;
}

enum otter_err otter_store_payload_sound(struct otter_nvs *n, const struct store_item *i, bool *sound)
{
    uint8_t raw[OTTER_NVS_ENTRY];
    uint32_t size = otter_nvs_payload_size(&i->e), crc = UINT32_MAX;
    struct store_at at = i->at;
    for (uint32_t done = 0; done < size; done += sizeof raw) {
        at.slot++;
        enum otter_err e = otter_store_read_entry(n, at, raw);
        if (e) return e;
        crc = otter_crc32(crc, raw, size - done < sizeof raw ? size - done : sizeof raw);
    }
    *sound = crc == otter_nvs_payload_crc(&i->e);
    return OTTER_OK;
}
