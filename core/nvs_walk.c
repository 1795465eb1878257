/* Finds items by walking over the pages in the order in which they were taken into use. Writes nothing. */
#include <string.h>

#include "core/nvs_store.h"

/* Pages in use, by sequence number; damaged flash may hold one twice. */
static bool before(const struct otter_nvs *n, unsigned a, unsigned b)
{
    return n->page[a].seq != n->page[b].seq ? n->page[a].seq < n->page[b].seq : a < b;
}

unsigned otter_store_page_after(const struct otter_nvs *n, unsigned page)
{
    unsigned best = STORE_NONE;
    for (unsigned p = 0; p < n->pages; p++) {
        if (n->page[p].state < STORE_ACTIVE) continue;
        if (page != STORE_NONE && !before(n, page, p)) continue;
        if (best == STORE_NONE || before(n, p, best)) best = p;
    }
    return best;
}

struct store_walk otter_store_walk_all(void)
{
    struct store_walk w = {STORE_NONE, OTTER_NVS_SLOTS, STORE_NONE, {0}};
    return w;
}

struct store_walk otter_store_walk_page(unsigned page)
{
    struct store_walk w = {STORE_NONE, OTTER_NVS_SLOTS, page, {0}};
    return w;
}

/* On to the next page; page becomes STORE_NONE behind the last. */
static enum otter_err turn(struct otter_nvs *n, struct store_walk *w)
{
    if (w->only == STORE_NONE)
        w->page = otter_store_page_after(n, w->page);
    else
        w->page = w->page == STORE_NONE ? w->only : STORE_NONE;
    if (w->page == STORE_NONE) return OTTER_NVS_NOT_FOUND;
    w->slot = 0;
    return otter_store_bitmap(n, w->page, w->bitmap);
}

enum otter_err otter_store_step(struct otter_nvs *n, struct store_walk *w, struct store_item *out)
{
    uint8_t raw[OTTER_NVS_ENTRY];
    for (;; w->slot++) {
        enum otter_err e = OTTER_OK;
        if (w->slot >= OTTER_NVS_SLOTS) e = turn(n, w);
        if (e) return e;
        if (otter_nvs_slot_get(w->bitmap, w->slot) != OTTER_NVS_WRITTEN) continue;
        out->at.page = (uint16_t)w->page;
        out->at.slot = (uint8_t)w->slot;
        e = otter_store_read_entry(n, out->at, raw);
        if (e) return e;
        if (!otter_nvs_entry_read(raw, w->slot, &out->e)) continue;
        w->slot += out->e.span;
        return OTTER_OK;
    }
}

static bool is_key(const struct store_spec *spec, const struct otter_nvs_entry *e)
{
    return e->ns == spec->ns && !strcmp(e->key, spec->key);
}

bool otter_store_is_value(const struct store_spec *spec, const struct otter_nvs_entry *e)
{
    return e->type != OTTER_NVS_BLOB_DATA && is_key(spec, e);
}

bool otter_store_is_typed(const struct store_spec *spec, const struct otter_nvs_entry *e)
{
    return e->type == spec->type && is_key(spec, e);
}

bool otter_store_is_chunk(const struct store_spec *spec, const struct otter_nvs_entry *e)
{
    return e->type == OTTER_NVS_BLOB_DATA && e->chunk == spec->chunk && is_key(spec, e);
}

bool otter_store_is_index_of(const struct store_spec *spec, const struct otter_nvs_entry *e)
{
    struct otter_nvs_blob b = otter_nvs_blob_get(e);
    return e->type == OTTER_NVS_BLOB_INDEX && spec->chunk >= b.start && spec->chunk < b.start + b.chunks &&
           is_key(spec, e);
}

static enum otter_err find_in(struct otter_nvs *n, const struct store_spec *spec, unsigned page, struct store_item *out)
{
    struct store_walk w = otter_store_walk_page(page);
    enum otter_err e;
    do {
        e = otter_store_step(n, &w, out);
    } while (!e && !spec->match(spec, &out->e));
    return e;
}

enum otter_err otter_store_find(struct otter_nvs *n, const struct store_spec *spec, unsigned from,
                                struct store_item *out)
{
    unsigned first = from == STORE_NONE ? otter_store_page_after(n, STORE_NONE) : from, page = first;
    if (first == STORE_NONE) return OTTER_NVS_NOT_FOUND;
    do {
        enum otter_err e = find_in(n, spec, page, out);
        if (e != OTTER_NVS_NOT_FOUND) return e;
        page = otter_store_page_after(n, page);
        if (page == STORE_NONE) page = otter_store_page_after(n, STORE_NONE);
    } while (page != first);
    return OTTER_NVS_NOT_FOUND;
}
