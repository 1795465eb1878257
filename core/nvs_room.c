/* Takes pages into use and reclaims erased slots. One page is always kept free for that. Knows nothing of keys. */
#include "core/nvs_store.h"
#include "format/bytes.h"

enum { PAGES_MIN = 3 }; /* to be written to */

static enum otter_err set_state(struct otter_nvs *n, unsigned page, enum store_state state, uint32_t word)
{
    uint8_t raw[4];
    otter_put32(raw, word);
    enum otter_err e = otter_store_write(n, page, 0, raw, sizeof raw);
    if (!e) n->page[page].state = (uint8_t)state;
    return e;
}

unsigned otter_store_free_pages(const struct otter_nvs *n)
{
    unsigned count = 0;
    for (unsigned p = 0; p < n->pages; p++) count += n->page[p].state < STORE_READY;
    return count;
}

unsigned otter_store_newest(const struct otter_nvs *n)
{
    unsigned page = STORE_NONE, last;
    do {
        last = page;
        page = otter_store_page_after(n, page);
    } while (page != STORE_NONE);
    return last;
}

unsigned otter_store_left(const struct otter_nvs *n)
{
    return n->current == STORE_NONE ? 0U : (unsigned)OTTER_NVS_SLOTS - n->page[n->current].next;
}

/* The first free page becomes the current one. */
static enum otter_err choose(struct otter_nvs *n)
{
    unsigned page = 0, newest = otter_store_newest(n);
    uint32_t seq = newest == STORE_NONE ? 0 : n->page[newest].seq + 1;
    if (newest != STORE_NONE && !seq) return OTTER_NVS_CORRUPT;
    while (page < n->pages && n->page[page].state >= STORE_READY) page++;
    if (page == n->pages) return OTTER_NVS_PAGES;
    enum otter_err e = n->page[page].state == STORE_DIRTY ? otter_store_erase_page(n, page) : OTTER_OK;
    if (e) return e;
    n->page[page].state = STORE_READY;
    n->page[page].seq = seq;
    n->current = (uint16_t)page;
    return OTTER_OK;
}

static enum otter_err copy_items(struct otter_nvs *n, unsigned page)
{
    struct store_walk w = otter_store_walk_page(page);
    struct store_item item;
    uint8_t raw[OTTER_NVS_ENTRY];
    enum otter_err e;
    while ((e = otter_store_step(n, &w, &item)) == OTTER_OK) {
        for (unsigned left = item.e.span; left > 0 && !e; left--, item.at.slot++) {
            e = otter_store_read_entry(n, item.at, raw);
            if (!e) e = otter_store_append_slot(n, raw);
        }
        if (e) return e;
    }
    return e == OTTER_NVS_NOT_FOUND ? OTTER_OK : e;
}

enum otter_err otter_store_move_page(struct otter_nvs *n, unsigned page)
{
    enum otter_err e = OTTER_OK;
    if (n->page[page].state != STORE_FREEING) e = set_state(n, page, STORE_FREEING, OTTER_NVS_PAGE_FREEING);
    if (!e) e = choose(n);
    if (!e) e = copy_items(n, page);
    return e ? e : otter_store_erase_page(n, page);
}

/* The page with the fewest used slots, the oldest of those; STORE_NONE if no page is in use. */
static unsigned emptiest(const struct otter_nvs *n)
{
    unsigned best = STORE_NONE;
    for (unsigned p = otter_store_page_after(n, STORE_NONE); p != STORE_NONE; p = otter_store_page_after(n, p))
        if (best == STORE_NONE || n->page[p].used < n->page[best].used) best = p;
    return best;
}

/* Without any free page, those that hold nothing any more are all there is to be had. */
static enum otter_err free_empty_pages(struct otter_nvs *n)
{
    for (unsigned p = 0; p < n->pages; p++) {
        if (n->page[p].state < STORE_ACTIVE || n->page[p].used) continue;
        enum otter_err e = otter_store_erase_page(n, p);
        if (e) return e;
        if (n->current == p) n->current = STORE_NONE;
    }
    return OTTER_OK;
}

static enum otter_err retire_current(struct otter_nvs *n)
{
    enum otter_err e = OTTER_OK;
    if (n->current != STORE_NONE && n->page[n->current].state == STORE_ACTIVE)
        e = set_state(n, n->current, STORE_FULL, OTTER_NVS_PAGE_FULL);
    if (!e) n->current = STORE_NONE;
    return e;
}

enum otter_err otter_store_more(struct otter_nvs *n, unsigned slots)
{
    enum otter_err e = n->pages < PAGES_MIN ? OTTER_NVS_PAGES : OTTER_OK;
    if (!e && !otter_store_free_pages(n)) e = free_empty_pages(n);
    if (e) return e;
    unsigned free_pages = otter_store_free_pages(n), page = emptiest(n);
    if (!free_pages) return OTTER_NVS_PAGES;
    bool reclaim = free_pages == 1 && page != STORE_NONE;
    if (reclaim && n->page[page].used + slots > OTTER_NVS_SLOTS) return OTTER_NVS_FULL;
    e = retire_current(n);
    if (e) return e;
    return reclaim ? otter_store_move_page(n, page) : choose(n);
}

enum otter_err otter_store_room(struct otter_nvs *n, unsigned slots)
{
    return otter_store_left(n) >= slots ? OTTER_OK : otter_store_more(n, slots);
}
