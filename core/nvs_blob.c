/* Blobs: chunks over several pages and the index that holds them together. Knows nothing of how pages are kept. */
#include "core/nvs_store.h"

enum { SMALL_ROOM = 400 }; /* bytes: a blob that does not fit is not begun in less */

static struct store_spec chunk_spec(const struct otter_nvs_entry *e, unsigned chunk)
{
    struct store_spec s = {otter_store_is_chunk, e->key, e->ns, 0, (uint8_t)chunk};
    return s;
}

/* ---- mending ---- */

/* Are all chunks there, and do their sizes add up? */
static enum otter_err check_whole(struct otter_nvs *n, const struct store_item *index)
{
    struct otter_nvs_blob b = otter_nvs_blob_get(&index->e);
    uint32_t size = 0;
    if ((b.start != 0 && b.start != OTTER_NVS_TOGGLE) || b.chunks > OTTER_NVS_CHUNKS) return OTTER_NVS_CORRUPT;
    for (unsigned c = 0; c < b.chunks; c++) {
        struct store_spec spec = chunk_spec(&index->e, b.start + c);
        struct store_item chunk;
        enum otter_err e = otter_store_find(n, &spec, index->at.page, &chunk);
        if (e) return e == OTTER_NVS_NOT_FOUND ? OTTER_NVS_CORRUPT : e;
        size += otter_nvs_payload_size(&chunk.e);
    }
    return size == b.size ? OTTER_OK : OTTER_NVS_CORRUPT;
}

static enum otter_err check_owned(struct otter_nvs *n, const struct store_item *chunk)
{
    struct store_spec spec = {otter_store_is_index_of, chunk->e.key, chunk->e.ns, 0, chunk->e.chunk};
    struct store_item index;
    enum otter_err e = otter_store_find(n, &spec, chunk->at.page, &index);
    return e == OTTER_NVS_NOT_FOUND ? OTTER_NVS_CORRUPT : e;
}

/* Erases all items of a type that do not pass. */
static enum otter_err drop_failing(struct otter_nvs *n, uint8_t type,
                                   enum otter_err (*check)(struct otter_nvs *, const struct store_item *))
{
    struct store_walk w = otter_store_walk_all();
    struct store_item i;
    enum otter_err e;
    while ((e = otter_store_step(n, &w, &i)) == OTTER_OK) {
        if (i.e.type != type) continue;
        e = check(n, &i);
        if (e == OTTER_NVS_CORRUPT) e = otter_store_erase_item(n, &i);
        if (e) return e;
    }
    return e == OTTER_NVS_NOT_FOUND ? OTTER_OK : e;
}

enum otter_err otter_store_mend_blobs(struct otter_nvs *n)
{
    enum otter_err e = drop_failing(n, OTTER_NVS_BLOB_INDEX, check_whole);
    return e ? e : drop_failing(n, OTTER_NVS_BLOB_DATA, check_owned);
}

/* ---- reading ---- */

/* What is done with every chunk in turn; offset: where in the blob it belongs. */
struct chunk_reader {
    enum otter_err (*take)(struct chunk_reader *r, struct otter_nvs *n, const struct store_item *chunk,
                           uint32_t offset);
    uint8_t *out;
    const uint8_t *expected;
    bool same;
};

static enum otter_err read_chunks(struct otter_nvs *n, const struct store_item *index, struct chunk_reader *r)
{
    struct otter_nvs_blob b = otter_nvs_blob_get(&index->e);
    uint32_t offset = 0;
    for (unsigned c = 0; c < b.chunks; c++) {
        struct store_spec spec = chunk_spec(&index->e, b.start + c);
        struct store_item chunk;
        enum otter_err e = otter_store_find(n, &spec, index->at.page, &chunk);
        if (e) return e == OTTER_NVS_NOT_FOUND ? OTTER_NVS_CORRUPT : e;
        uint32_t size = otter_nvs_payload_size(&chunk.e);
        if (size > b.size - offset) return OTTER_NVS_CORRUPT;
        e = r->take(r, n, &chunk, offset);
        if (e) return e;
        offset += size;
    }
    return offset == b.size ? OTTER_OK : OTTER_NVS_CORRUPT;
}

static enum otter_err take_copy(struct chunk_reader *r, struct otter_nvs *n, const struct store_item *chunk,
                                uint32_t offset)
{
    return otter_store_payload(n, chunk, r->out + offset);
}

static enum otter_err take_compare(struct chunk_reader *r, struct otter_nvs *n, const struct store_item *chunk,
                                   uint32_t offset)
{
    bool same = true;
    enum otter_err e = r->same ? otter_store_payload_same(n, chunk, r->expected + offset, &same) : OTTER_OK;
    if (!same) r->same = false;
    return e;
}

enum otter_err otter_nvs_get_blob(struct otter_nvs *n, const char *ns, const char *key, void *out, size_t *size)
{
    static const uint8_t types[2] = {OTTER_NVS_BLOB_INDEX, OTTER_NVS_BLOB};
    struct store_item item;
    size_t room = *size;
    enum otter_err e = otter_store_get(n, ns, key, types, &item);
    if (e) return e;
    bool index = item.e.type == OTTER_NVS_BLOB_INDEX;
    *size = index ? otter_nvs_blob_get(&item.e).size : otter_nvs_payload_size(&item.e);
    if (*size > room) return OTTER_NVS_TOO_LONG;
    struct chunk_reader r = {take_copy, out, NULL, false};
    return index ? read_chunks(n, &item, &r) : otter_store_payload(n, &item, out);
}

/* ---- writing ---- */

struct blob_write {
    struct otter_nvs *n;
    struct otter_nvs_entry e; /* namespace and key */
    const uint8_t *data;
    struct otter_nvs_blob blob;
};

/* Payload that one more item in the current page could take, in bytes. */
static uint32_t payload_room(const struct otter_nvs *n)
{
    unsigned left = otter_store_left(n);
    return left ? (left - 1) * OTTER_NVS_ENTRY : 0;
}

/* Could it fit at all? Fragmentation may still say no. */
static bool could_fit(const struct otter_nvs *n, uint32_t size)
{
    uint32_t slots = (size + OTTER_NVS_ENTRY - 1) / OTTER_NVS_ENTRY + size / OTTER_NVS_CHUNK_MAX + 1, unused = 0;
    for (unsigned p = 0; p < n->pages; p++) unused += (uint32_t)OTTER_NVS_SLOTS - n->page[p].used;
    return unused >= slots + OTTER_NVS_SLOTS;
}

/* Does not begin in the last few slots of a page what would not fit there. */
static enum otter_err begin(const struct blob_write *w)
{
    uint32_t room = payload_room(w->n);
    if (room >= SMALL_ROOM || (room >= w->blob.size && room)) return OTTER_OK;
    enum otter_err e = otter_store_more(w->n, 2);
    return !e && payload_room(w->n) <= room ? OTTER_NVS_FULL : e;
}

static enum otter_err write_chunks(struct blob_write *w)
{
    uint32_t left = w->blob.size;
    struct store_at at;
    enum otter_err e = begin(w);
    while (!e) {
        uint32_t room = payload_room(w->n), size = left < room ? left : room;
        w->e.type = OTTER_NVS_BLOB_DATA;
        w->e.chunk = (uint8_t)(w->blob.start + w->blob.chunks);
        otter_nvs_payload_set(&w->e, w->data + (w->blob.size - left), size);
        e = otter_store_append(w->n, &w->e, w->data + (w->blob.size - left), &at);
        if (e) break;
        w->blob.chunks++;
        left -= size;
        if (left && w->blob.chunks == OTTER_NVS_CHUNKS) return OTTER_NVS_FULL;
        if (left || room - size < OTTER_NVS_ENTRY) e = otter_store_more(w->n, left ? 2 : 1);
        if (!left) break;
    }
    return e;
}

static enum otter_err write_index(struct blob_write *w, struct store_item *index)
{
    otter_nvs_entry_start(&index->e, w->e.ns, OTTER_NVS_BLOB_INDEX, w->e.key);
    otter_nvs_blob_set(&index->e, &w->blob);
    return otter_store_append(w->n, &index->e, NULL, &index->at);
}

/* There is no room for all of it: what has been written goes again. */
static enum otter_err take_back(struct blob_write *w, enum otter_err why)
{
    for (unsigned c = 0; c < w->blob.chunks; c++) {
        struct store_spec spec = chunk_spec(&w->e, w->blob.start + c);
        struct store_item chunk;
        enum otter_err e = otter_store_find(w->n, &spec, STORE_NONE, &chunk);
        if (!e) e = otter_store_erase_item(w->n, &chunk);
        if (e) return e;
    }
    return why;
}

/* *same: is this what the key holds? Also settles where the new one's chunks count from. */
static enum otter_err compare(struct blob_write *w, bool *same)
{
    struct store_spec spec = {otter_store_is_typed, w->e.key, w->e.ns, OTTER_NVS_BLOB_INDEX, 0};
    struct chunk_reader r = {take_compare, NULL, w->data, true};
    struct store_item old;
    *same = false;
    enum otter_err e = otter_store_find(w->n, &spec, STORE_NONE, &old);
    if (e) return e == OTTER_NVS_NOT_FOUND ? OTTER_OK : e;
    struct otter_nvs_blob b = otter_nvs_blob_get(&old.e);
    w->blob.start = b.start ? 0 : OTTER_NVS_TOGGLE;
    if (b.size != w->blob.size) return OTTER_OK;
    e = read_chunks(w->n, &old, &r);
    *same = !e && r.same;
    return e == OTTER_NVS_CORRUPT ? OTTER_OK : e;
}

static enum otter_err replace(struct blob_write *w)
{
    struct store_item index;
    if (!could_fit(w->n, w->blob.size)) return OTTER_NVS_FULL;
    enum otter_err e = write_chunks(w);
    if (e && !w->n->reload) return take_back(w, e);
    if (!e) e = write_index(w, &index);
    return e ? e : otter_store_drop(w->n, w->e.ns, w->e.key, &index);
}

enum otter_err otter_nvs_set_blob(struct otter_nvs *n, const char *ns, const char *key, const void *data, size_t size)
{
    struct blob_write w = {.n = n, .data = data};
    unsigned pages = n->pages ? n->pages - 1U : 0;
    uint8_t index;
    bool same;
    enum otter_err e = otter_nvs_name_check(key);
    if (!e && size > (pages < OTTER_NVS_CHUNKS ? pages : OTTER_NVS_CHUNKS) * (size_t)OTTER_NVS_CHUNK_MAX)
        e = OTTER_NVS_TOO_LONG;
    if (!e) e = otter_nvs_namespace(n, ns, &index);
    if (e) return e;
    otter_nvs_entry_start(&w.e, index, OTTER_NVS_BLOB_DATA, key);
    w.blob.size = (uint32_t)size;
    e = compare(&w, &same);
    return e || same ? e : replace(&w);
}
