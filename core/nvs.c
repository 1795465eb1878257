/* Settings by namespace and key: what callers see of the store. Knows nothing of pages. */
#include "core/nvs.h"

#include <string.h>

#include "core/nvs_store.h"

/* ---- finding ---- */

enum otter_err otter_store_enter(struct otter_nvs *n, const char *ns, const char *key, uint8_t *index)
{
    struct store_spec spec = {otter_store_is_typed, ns, 0, OTTER_NVS_U8, 0};
    struct store_item item;
    *index = 0;
    enum otter_err e = otter_nvs_name_check(ns);
    if (!e) e = otter_nvs_name_check(key);
    if (!e) e = otter_store_ready(n);
    if (!e) e = otter_store_find(n, &spec, STORE_NONE, &item);
    if (e) return e == OTTER_NVS_NOT_FOUND ? OTTER_OK : e;
    *index = item.e.data[0];
    return OTTER_OK;
}

/* What the key holds, whatever it is. */
static enum otter_err find_value(struct otter_nvs *n, const char *ns, const char *key, struct store_item *out)
{
    struct store_spec spec = {otter_store_is_value, key, 0, 0, 0};
    enum otter_err e = otter_store_enter(n, ns, key, &spec.ns);
    if (e) return e;
    return spec.ns ? otter_store_find(n, &spec, STORE_NONE, out) : OTTER_NVS_NOT_FOUND;
}

enum otter_err otter_store_get(struct otter_nvs *n, const char *ns, const char *key, const uint8_t types[2],
                               struct store_item *out)
{
    enum otter_err e = find_value(n, ns, key, out);
    if (e) return e;
    /* Old versions of ESP-IDF could store a key once for every type. */
    struct store_spec spec = {otter_store_is_typed, key, out->e.ns, types[0], 0};
    e = otter_store_find(n, &spec, STORE_NONE, out);
    spec.type = types[1];
    if (e == OTTER_NVS_NOT_FOUND && types[1]) e = otter_store_find(n, &spec, STORE_NONE, out);
    return e == OTTER_NVS_NOT_FOUND ? OTTER_NVS_TYPE : e;
}

enum otter_err otter_nvs_get_int(struct otter_nvs *n, const char *ns, const char *key, enum otter_nvs_type type,
                                 uint64_t *value)
{
    const uint8_t types[2] = {(uint8_t)type, 0};
    struct store_item item;
    if (!otter_nvs_int_size(type)) return OTTER_ARG;
    enum otter_err e = otter_store_get(n, ns, key, types, &item);
    if (!e) *value = otter_nvs_int_get(&item.e);
    return e;
}

enum otter_err otter_nvs_get_string(struct otter_nvs *n, const char *ns, const char *key, char *out, size_t *size)
{
    static const uint8_t types[2] = {OTTER_NVS_STRING, 0};
    struct store_item item;
    size_t room = *size;
    enum otter_err e = otter_store_get(n, ns, key, types, &item);
    if (e) return e;
    *size = otter_nvs_payload_size(&item.e);
    if (*size > room) return OTTER_NVS_TOO_LONG;
    e = *size ? otter_store_payload(n, &item, (uint8_t *)out) : OTTER_NVS_CORRUPT;
    if (!e && out[*size - 1]) e = OTTER_NVS_CORRUPT;
    return e;
}

/* ---- listing ---- */

static void describe(const struct otter_nvs_entry *e, struct otter_nvs_item *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->key, e->key, sizeof out->key);
    out->type = e->type == OTTER_NVS_BLOB_INDEX ? (uint8_t)OTTER_NVS_BLOB : e->type;
    out->size = otter_nvs_int_size(e->type);
    if (e->type == OTTER_NVS_BLOB_INDEX) out->size = otter_nvs_blob_get(e).size;
    if (otter_nvs_has_payload(e->type)) out->size = otter_nvs_payload_size(e);
    if (otter_nvs_int_size(e->type)) out->value = otter_nvs_int_get(e);
}

enum otter_err otter_nvs_find(struct otter_nvs *n, const char *ns, const char *key, struct otter_nvs_item *out)
{
    struct store_item item;
    enum otter_err e = find_value(n, ns, key, &item);
    if (e) return e;
    describe(&item.e, out);
    strcpy(out->ns, ns);
    return OTTER_OK;
}

/* The name of the cursor's namespace. */
static enum otter_err look_up_name(struct otter_nvs *n, struct otter_nvs_cursor *c)
{
    struct store_walk w = otter_store_walk_all();
    struct store_item i;
    enum otter_err e;
    c->name[0] = '\0';
    while ((e = otter_store_step(n, &w, &i)) == OTTER_OK) {
        if (i.e.ns != 0 || i.e.type != OTTER_NVS_U8 || i.e.data[0] != c->ns) continue;
        memcpy(c->name, i.e.key, sizeof c->name);
        return OTTER_OK;
    }
    return e == OTTER_NVS_NOT_FOUND ? OTTER_OK : e;
}

enum otter_err otter_nvs_next(struct otter_nvs *n, struct otter_nvs_cursor *c, struct otter_nvs_item *out)
{
    struct store_walk w = otter_store_walk_all();
    struct store_item i;
    enum otter_err e = otter_store_ready(n);
    if (c->page) {
        w.page = c->page - 1U;
        w.slot = c->slot;
        memcpy(w.bitmap, c->bitmap, sizeof w.bitmap);
    }
    do {
        if (!e) e = otter_store_step(n, &w, &i);
    } while (!e && (i.e.ns == 0 || i.e.type == OTTER_NVS_BLOB_DATA));
    if (e) return e;
    c->page = (uint16_t)(w.page + 1);
    c->slot = (uint8_t)w.slot;
    memcpy(c->bitmap, w.bitmap, sizeof c->bitmap);
    if (c->ns != i.e.ns) {
        c->ns = i.e.ns;
        e = look_up_name(n, c);
    }
    describe(&i.e, out);
    memcpy(out->ns, c->name, sizeof out->ns);
    return e;
}

enum otter_err otter_nvs_stats(struct otter_nvs *n, struct otter_nvs_stats *out)
{
    struct store_walk w = otter_store_walk_all();
    struct store_item i;
    enum otter_err e = otter_store_ready(n);
    memset(out, 0, sizeof *out);
    for (unsigned p = 0; !e && p < n->pages; p++) out->used += n->page[p].used;
    out->total = (uint32_t)n->pages * OTTER_NVS_SLOTS;
    if (out->total - out->used > OTTER_NVS_SLOTS) out->available = out->total - out->used - OTTER_NVS_SLOTS;
    while (!e && (e = otter_store_step(n, &w, &i)) == OTTER_OK)
        if (i.e.ns == 0 && i.e.type == OTTER_NVS_U8) out->namespaces++;
    return e == OTTER_NVS_NOT_FOUND ? OTTER_OK : e;
}

/* ---- changing ---- */

static bool is_at(const struct store_item *a, const struct store_item *b)
{
    return a->at.page == b->at.page && a->at.slot == b->at.slot;
}

/* Chunks that the index at keep does not hold together. */
static enum otter_err drop_chunks(struct otter_nvs *n, const struct store_spec *key, const struct store_item *keep)
{
    struct store_walk w = otter_store_walk_all();
    struct store_item i;
    enum otter_err e;
    while ((e = otter_store_step(n, &w, &i)) == OTTER_OK) {
        struct store_spec of = {otter_store_is_index_of, key->key, key->ns, 0, i.e.chunk}, chunk = of;
        if (!otter_store_is_chunk(&chunk, &i.e)) continue;
        if (keep->at.page != STORE_NONE && otter_store_is_index_of(&of, &keep->e)) continue;
        e = otter_store_erase_item(n, &i);
        if (e) return e;
    }
    return e == OTTER_NVS_NOT_FOUND ? OTTER_OK : e;
}

enum otter_err otter_store_drop(struct otter_nvs *n, uint8_t ns, const char *key, const struct store_item *keep)
{
    struct store_spec spec = {otter_store_is_value, key, ns, 0, 0};
    struct store_walk w = otter_store_walk_all();
    struct store_item i;
    bool had_chunks = false;
    enum otter_err e;
    while ((e = otter_store_step(n, &w, &i)) == OTTER_OK) {
        if (!otter_store_is_value(&spec, &i.e) || is_at(&i, keep)) continue;
        if (i.e.type == OTTER_NVS_BLOB_INDEX) had_chunks = true;
        e = otter_store_erase_item(n, &i);
        if (e) return e;
    }
    if (e != OTTER_NVS_NOT_FOUND) return e;
    return had_chunks ? drop_chunks(n, &spec, keep) : OTTER_OK;
}

/* Writes an item, then erases what it replaces. */
static enum otter_err put(struct otter_nvs *n, const struct otter_nvs_entry *e, const void *payload)
{
    struct store_item item = {.e = *e};
    enum otter_err err = otter_store_room(n, e->span);
    if (!err) err = otter_store_append(n, e, payload, &item.at);
    return err ? err : otter_store_drop(n, e->ns, e->key, &item);
}

/* The lowest namespace index that is not taken; 0 if there is none. */
static enum otter_err free_index(struct otter_nvs *n, uint8_t *index)
{
    struct store_walk w = otter_store_walk_all();
    struct store_item i;
    uint8_t taken[32] = {1}; /* 0 is the table of names itself */
    enum otter_err e;
    taken[31] = 0x80; /* 255 means any */
    while ((e = otter_store_step(n, &w, &i)) == OTTER_OK)
        if (i.e.ns == 0 && i.e.type == OTTER_NVS_U8) taken[i.e.data[0] / 8] |= (uint8_t)(1U << i.e.data[0] % 8);
    if (e != OTTER_NVS_NOT_FOUND) return e;
    for (unsigned x = 1; x < 255; x++) {
        if (taken[x / 8] >> x % 8 & 1) continue;
        *index = (uint8_t)x;
        return OTTER_OK;
    }
    return OTTER_NVS_FULL;
}

enum otter_err otter_nvs_namespace(struct otter_nvs *n, const char *ns, uint8_t *index)
{
    struct otter_nvs_entry entry;
    enum otter_err e = otter_store_enter(n, ns, ns, index);
    if (e || *index) return e;
    e = free_index(n, index);
    if (e) return e;
    otter_nvs_entry_start(&entry, 0, OTTER_NVS_U8, ns);
    otter_nvs_int_set(&entry, *index);
    return put(n, &entry, NULL);
}

enum otter_err otter_nvs_set_int(struct otter_nvs *n, const char *ns, const char *key, enum otter_nvs_type type,
                                 uint64_t value)
{
    struct store_spec spec = {otter_store_is_typed, key, 0, (uint8_t)type, 0};
    struct otter_nvs_entry entry;
    struct store_item old;
    if (!otter_nvs_int_size(type) || !otter_nvs_int_fits(type, value)) return OTTER_ARG;
    enum otter_err e = otter_nvs_name_check(key);
    if (!e) e = otter_nvs_namespace(n, ns, &spec.ns);
    if (e) return e;
    e = otter_store_find(n, &spec, STORE_NONE, &old);
    if (e && e != OTTER_NVS_NOT_FOUND) return e;
    if (!e && otter_nvs_int_get(&old.e) == value) return OTTER_OK;
    otter_nvs_entry_start(&entry, spec.ns, type, key);
    otter_nvs_int_set(&entry, value);
    return put(n, &entry, NULL);
}

enum otter_err otter_nvs_set_string(struct otter_nvs *n, const char *ns, const char *key, const char *text)
{
    struct store_spec spec = {otter_store_is_typed, key, 0, OTTER_NVS_STRING, 0};
    struct otter_nvs_entry entry;
    struct store_item old;
    bool same = false;
    size_t size = strlen(text) + 1;
    enum otter_err e = otter_nvs_name_check(key);
    if (!e && size > OTTER_NVS_CHUNK_MAX) e = OTTER_NVS_TOO_LONG;
    if (!e) e = otter_nvs_namespace(n, ns, &spec.ns);
    if (e) return e;
    e = otter_store_find(n, &spec, STORE_NONE, &old);
    if (!e && otter_nvs_payload_size(&old.e) == size)
        e = otter_store_payload_same(n, &old, (const uint8_t *)text, &same);
    if (same || (e && e != OTTER_NVS_NOT_FOUND)) return e;
    otter_nvs_entry_start(&entry, spec.ns, OTTER_NVS_STRING, key);
    otter_nvs_payload_set(&entry, text, (uint32_t)size);
    return put(n, &entry, text);
}

enum otter_err otter_nvs_erase(struct otter_nvs *n, const char *ns, const char *key)
{
    struct store_item item, none = {.at = {STORE_NONE, 0}};
    enum otter_err e = find_value(n, ns, key, &item);
    return e ? e : otter_store_drop(n, item.e.ns, key, &none);
}

enum otter_err otter_nvs_erase_namespace(struct otter_nvs *n, const char *ns)
{
    struct store_walk w = otter_store_walk_all();
    struct store_item i;
    uint8_t index;
    enum otter_err e = otter_store_enter(n, ns, ns, &index);
    if (!e && !index) e = OTTER_NVS_NOT_FOUND;
    while (!e && (e = otter_store_step(n, &w, &i)) == OTTER_OK)
        if (i.e.ns == index) e = otter_store_erase_item(n, &i);
    return e == OTTER_NVS_NOT_FOUND && index ? OTTER_OK : e;
}
