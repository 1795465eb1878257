/* Opens a settings partition: reads its pages and mends what a loss of power left. Knows nothing of how values are set.
 */
#include <string.h>

#include "core/nvs_store.h"
#include "format/crc32.h"

enum { WRITE_UNIT_MAX = 4 }; /* a bitmap word */

/* ---- what is there ---- */

static enum store_state page_state(const struct otter_nvs_header *h)
{
    if (h->state == OTTER_NVS_PAGE_ACTIVE) return STORE_ACTIVE;
    if (h->state == OTTER_NVS_PAGE_FULL) return STORE_FULL;
    return h->state == OTTER_NVS_PAGE_FREEING ? STORE_FREEING : STORE_DIRTY;
}

static enum otter_err load_page(struct otter_nvs *n, unsigned page)
{
    struct otter_nvs_page *p = &n->page[page];
    struct otter_nvs_header h;
    uint8_t raw[OTTER_NVS_HEADER];
    bool blank = false;
    memset(p, 0, sizeof *p);
    enum otter_err e = otter_store_read(n, page, 0, raw, sizeof raw);
    if (e) return e;
    otter_nvs_header_read(raw, &h);
    if (h.state == OTTER_NVS_PAGE_BLANK) e = otter_store_blank(n, page, 0, OTTER_NVS_PAGE_SIZE, &blank);
    p->state = (uint8_t)(blank ? STORE_FREE : h.sound ? page_state(&h) : STORE_DIRTY);
    if (p->state < STORE_ACTIVE) return e;
    p->seq = h.seq;
    return h.version < OTTER_NVS_V2 ? OTTER_NVS_VERSION : e;
}

/* ---- one page ---- */

struct page_mend {
    struct otter_nvs *n;
    unsigned page;
    unsigned end; /* behind the last slot that is not empty */
    uint8_t bitmap[OTTER_NVS_BITMAP];
    uint32_t hash[OTTER_NVS_SLOTS]; /* of the item that starts there; 0: none */
};

static enum otter_err count_used(struct page_mend *m)
{
    enum otter_err e = otter_store_bitmap(m->n, m->page, m->bitmap);
    struct otter_nvs_page *p = &m->n->page[m->page];
    p->used = 0;
    m->end = 0;
    for (unsigned s = 0; !e && s < OTTER_NVS_SLOTS; s++) {
        enum otter_nvs_slot_state state = otter_nvs_slot_get(m->bitmap, s);
        if (state == OTTER_NVS_WRITTEN) p->used++;
        if (state != OTTER_NVS_EMPTY) m->end = s + 1;
    }
    return e;
}

static enum otter_err give_up(struct page_mend *m, unsigned slot, unsigned count)
{
    struct store_at at = {(uint16_t)m->page, (uint8_t)slot};
    enum otter_err e = otter_store_mark(m->n, at, count, OTTER_NVS_ERASED);
    return e ? e : otter_store_bitmap(m->n, m->page, m->bitmap);
}

static bool all_written(const uint8_t *bitmap, unsigned slot, unsigned count)
{
    while (count--)
        if (otter_nvs_slot_get(bitmap, slot + count) != OTTER_NVS_WRITTEN) return false;
    return true;
}

static uint32_t item_hash(const struct otter_nvs_entry *e)
{
    uint32_t crc = otter_crc32(UINT32_MAX, &e->ns, 1);
    crc = otter_crc32(crc, &e->chunk, 1);
    return otter_crc32(crc, e->key, sizeof e->key) | 1;
}

/* Two entries for the same thing: of two values the later one holds. */
static bool same_thing(const struct otter_nvs_entry *a, const struct otter_nvs_entry *b)
{
    return a->ns == b->ns && a->chunk == b->chunk && !strcmp(a->key, b->key);
}

/* Is all of it there? A torn mark can make slots look written that were to be erased, hence the CRC. */
static enum otter_err is_whole(struct page_mend *m, const struct store_item *i, bool *whole)
{
    *whole = all_written(m->bitmap, i->at.slot, i->e.span);
    if (!*whole || !otter_nvs_has_payload(i->e.type) || m->n->page[m->page].state != STORE_ACTIVE) return OTTER_OK;
    return otter_store_payload_sound(m->n, i, whole);
}

/* Looks at the item that starts at a written slot; *span: slots to go on by. */
static enum otter_err mend_item(struct page_mend *m, unsigned slot, unsigned *span)
{
    struct store_item i = {.at = {(uint16_t)m->page, (uint8_t)slot}};
    uint8_t raw[OTTER_NVS_ENTRY];
    bool whole;
    enum otter_err e = otter_store_read_entry(m->n, i.at, raw);
    if (e) return e;
    if (!otter_nvs_entry_read(raw, slot, &i.e)) return give_up(m, slot, 1);
    *span = i.e.span;
    e = is_whole(m, &i, &whole);
    if (e) return e;
    if (!whole) return give_up(m, slot, i.e.span);
    m->hash[slot] = item_hash(&i.e);
    return OTTER_OK;
}

/* Slots before end: whole items stay, all else is erased. Empty slots of a page that is not written to any more stay
 * too. */
static enum otter_err mend_items(struct page_mend *m)
{
    unsigned span;
    memset(m->hash, 0, sizeof m->hash);
    for (unsigned slot = 0; slot < m->end; slot += span) {
        enum otter_nvs_slot_state state = otter_nvs_slot_get(m->bitmap, slot);
        enum otter_err e = OTTER_OK;
        span = 1;
        if (state == OTTER_NVS_WRITTEN)
            e = mend_item(m, slot, &span);
        else if (state == OTTER_NVS_ILLEGAL || (state == OTTER_NVS_EMPTY && m->n->page[m->page].state == STORE_ACTIVE))
            e = give_up(m, slot, 1);
        if (e) return e;
        if (slot + span > m->end) m->end = slot + span;
    }
    return OTTER_OK;
}

/* Slots behind the end may have been written to without a mark. */
static enum otter_err mend_end(struct page_mend *m)
{
    unsigned end = m->end;
    for (unsigned slot = m->end; slot < OTTER_NVS_SLOTS; slot++) {
        bool blank;
        enum otter_err e =
            otter_store_blank(m->n, m->page, OTTER_NVS_FIRST + slot * OTTER_NVS_ENTRY, OTTER_NVS_ENTRY, &blank);
        if (e) return e;
        if (!blank) end = slot + 1;
    }
    enum otter_err e = end > m->end ? give_up(m, m->end, end - m->end) : OTTER_OK;
    m->end = end;
    return e;
}

/* Equal hashes are not enough: the items themselves must agree. */
static enum otter_err drop_if_older(struct page_mend *m, unsigned older, unsigned newer)
{
    struct store_at at[2] = {{(uint16_t)m->page, (uint8_t)older}, {(uint16_t)m->page, (uint8_t)newer}};
    struct otter_nvs_entry entry[2];
    uint8_t raw[OTTER_NVS_ENTRY];
    for (unsigned i = 0; i < 2; i++) {
        enum otter_err e = otter_store_read_entry(m->n, at[i], raw);
        if (e) return e;
        if (!otter_nvs_entry_read(raw, at[i].slot, &entry[i])) return OTTER_OK;
    }
    if (!same_thing(&entry[0], &entry[1])) return OTTER_OK;
    m->hash[older] = 0;
    return give_up(m, older, entry[0].span);
}

static enum otter_err drop_older(struct page_mend *m)
{
    for (unsigned newer = 0; newer < m->end; newer++) {
        for (unsigned older = 0; m->hash[newer] && older < newer; older++) {
            if (m->hash[older] != m->hash[newer]) continue;
            enum otter_err e = drop_if_older(m, older, newer);
            if (e) return e;
        }
    }
    return OTTER_OK;
}

static enum otter_err mend_page(struct otter_nvs *n, unsigned page)
{
    struct page_mend m = {.n = n, .page = page};
    enum otter_err e = count_used(&m);
    if (!e) e = mend_items(&m);
    n->page[page].next = (uint8_t)m.end;
    if (e || n->page[page].state != STORE_ACTIVE) return e;
    e = mend_end(&m);
    n->page[page].next = (uint8_t)m.end;
    return e ? e : drop_older(&m);
}

/* ---- all pages ---- */

/* Does the newest page hold nothing but copies of what is in a page that is being freed? */
static enum otter_err is_copy(struct otter_nvs *n, unsigned copy, unsigned page, bool *yes)
{
    struct store_walk w = otter_store_walk_page(copy), from = otter_store_walk_page(page);
    struct store_item item, original;
    enum otter_err e = OTTER_OK;
    while (!e && (e = otter_store_step(n, &w, &item)) == OTTER_OK) {
        do {
            e = otter_store_step(n, &from, &original);
        } while (!e && memcmp(&item.e, &original.e, sizeof item.e) != 0);
        *yes = false;
        if (e == OTTER_NVS_NOT_FOUND) return OTTER_OK;
    }
    *yes = true;
    return e == OTTER_NVS_NOT_FOUND ? OTTER_OK : e;
}

/* A page was being freed: its copy is made again from the start. */
static enum otter_err finish_move(struct otter_nvs *n, unsigned page)
{
    unsigned newest = otter_store_newest(n);
    enum otter_err e = OTTER_OK;
    bool copy = false;
    if (newest != page && n->page[newest].state == STORE_ACTIVE) e = is_copy(n, newest, page, &copy);
    if (!e && copy) e = otter_store_erase_page(n, newest);
    if (e) return e;
    if (otter_store_free_pages(n)) return otter_store_move_page(n, page);
    n->page[page].state = STORE_FULL; /* it can still be read */
    return OTTER_OK;
}

/* What was written last may have replaced an item on an older page, which was not erased any more. */
static enum otter_err drop_replaced(struct otter_nvs *n)
{
    unsigned newest = otter_store_newest(n);
    struct store_walk w = otter_store_walk_page(newest);
    struct store_item last = {.at = {STORE_NONE, 0}}, i;
    enum otter_err e;
    if (newest == STORE_NONE) return OTTER_OK;
    while ((e = otter_store_step(n, &w, &i)) == OTTER_OK) last = i;
    w = otter_store_walk_all();
    if (e != OTTER_NVS_NOT_FOUND || last.at.page == STORE_NONE) return e == OTTER_NVS_NOT_FOUND ? OTTER_OK : e;
    while ((e = otter_store_step(n, &w, &i)) == OTTER_OK) {
        if (i.at.page == newest || !same_thing(&i.e, &last.e)) continue;
        e = otter_store_erase_item(n, &i);
        if (e) return e;
    }
    return e == OTTER_NVS_NOT_FOUND ? OTTER_OK : e;
}

static unsigned freeing_page(const struct otter_nvs *n)
{
    unsigned p = otter_store_page_after(n, STORE_NONE);
    while (p != STORE_NONE && n->page[p].state != STORE_FREEING) p = otter_store_page_after(n, p);
    return p;
}

static enum otter_err mend_pages(struct otter_nvs *n)
{
    enum otter_err e = OTTER_OK;
    for (unsigned p = 0; !e && p < n->pages; p++)
        if (n->page[p].state >= STORE_ACTIVE) e = mend_page(n, p);
    /* While a page is moved nothing is replaced, so it is one or the other. */
    unsigned freeing = freeing_page(n);
    if (!e && freeing == STORE_NONE) return drop_replaced(n);
    while (!e && freeing != STORE_NONE) {
        e = finish_move(n, freeing);
        freeing = freeing_page(n);
    }
    return e;
}

static enum otter_err load(struct otter_nvs *n)
{
    enum otter_err e = OTTER_OK;
    n->current = STORE_NONE;
    for (unsigned p = 0; !e && p < n->pages; p++) e = load_page(n, p);
    if (!e) e = mend_pages(n);
    if (!e) e = otter_store_mend_blobs(n);
    unsigned newest = otter_store_newest(n);
    if (n->current == STORE_NONE && newest != STORE_NONE && n->page[newest].state == STORE_ACTIVE)
        n->current = (uint16_t)newest;
    return e;
}

enum otter_err otter_store_ready(struct otter_nvs *n)
{
    if (!n->reload) return OTTER_OK;
    n->reload = false;
    n->mending = true;
    enum otter_err e = load(n);
    n->mending = false;
    if (e) n->reload = true;
    return e;
}

enum otter_err otter_nvs_open(struct otter_nvs *n, const struct otter_flash *flash, uint32_t offset, uint32_t size)
{
    memset(n, 0, sizeof *n);
    n->flash = flash;
    n->offset = offset;
    n->reload = true;
    bool aligned = offset % OTTER_NVS_PAGE_SIZE == 0 && size % OTTER_NVS_PAGE_SIZE == 0;
    bool inside = size && size <= flash->size && offset <= flash->size - size;
    if (!aligned || !inside || flash->write_unit > WRITE_UNIT_MAX) return OTTER_ARG;
    if (size / OTTER_NVS_PAGE_SIZE > OTTER_CFG_NVS_PAGES) return OTTER_ARG;
    n->pages = (uint16_t)(size / OTTER_NVS_PAGE_SIZE);
    return otter_store_ready(n);
}
