/* A plain map as model of a settings store. */
#include "nvs_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum otter_err map_do_store(struct otter_nvs *n, const struct map_step *s)
{
    uint64_t v = 0;
    uint8_t index;
    if (s->what == MAP_NAMESPACE) return otter_nvs_namespace(n, s->ns, &index);
    if (s->what == MAP_ERASE) return otter_nvs_erase(n, s->ns, s->key);
    if (s->what == MAP_ERASE_NS) return otter_nvs_erase_namespace(n, s->ns);
    if (s->type == OTTER_NVS_STRING) return otter_nvs_set_string(n, s->ns, s->key, s->data);
    if (s->type == OTTER_NVS_BLOB) return otter_nvs_set_blob(n, s->ns, s->key, s->data, s->size);
    memcpy(&v, s->data, sizeof v);
    return otter_nvs_set_int(n, s->ns, s->key, (enum otter_nvs_type)s->type, v);
}

static struct map_row *row_of(struct map *m, const char *ns, const char *key)
{
    unsigned i = 0;
    while (i < m->count && (strcmp(m->row[i].ns, ns) != 0 || strcmp(m->row[i].key, key) != 0)) i++;
    if (i == m->count) {
        assert(m->count < MAP_ROWS);
        m->count++;
        memset(&m->row[i], 0, sizeof m->row[i]);
        strcpy(m->row[i].ns, ns);
        strcpy(m->row[i].key, key);
    }
    return &m->row[i];
}

static void row_set(struct map_row *r, uint8_t type, const void *data, size_t size)
{
    uint8_t *copy = type ? malloc(size + 1) : NULL;
    assert(!type || copy);
    if (copy && size) memcpy(copy, data, size);
    free(r->data);
    r->type = type;
    r->data = copy;
    r->size = size;
}

void map_do(struct map *m, const struct map_step *s)
{
    if (s->what == MAP_SET) row_set(row_of(m, s->ns, s->key), s->type, s->data, s->size);
    if (s->what == MAP_ERASE) row_set(row_of(m, s->ns, s->key), 0, NULL, 0);
    for (unsigned i = 0; s->what == MAP_ERASE_NS && i < m->count; i++)
        if (!strcmp(m->row[i].ns, s->ns)) row_set(&m->row[i], 0, NULL, 0);
}

void map_copy(struct map *to, const struct map *from)
{
    map_free(to);
    for (unsigned i = 0; i < from->count; i++) {
        struct map_row *r = row_of(to, from->row[i].ns, from->row[i].key);
        row_set(r, from->row[i].type, from->row[i].data, from->row[i].size);
    }
}

void map_free(struct map *m)
{
    for (unsigned i = 0; i < m->count; i++) free(m->row[i].data);
    m->count = 0;
}

/* Reads what the store has under a row's names into found, whose data is buf. */
static bool read_row(struct otter_nvs *n, const struct map_row *r, struct map_row *found, uint8_t *buf)
{
    struct otter_nvs_item item;
    enum otter_err e = otter_nvs_find(n, r->ns, r->key, &item);
    memset(found, 0, sizeof *found);
    found->data = buf;
    if (e == OTTER_NVS_NOT_FOUND) return true;
    if (e) return false;
    found->type = item.type;
    found->size = MAP_BYTES;
    if (item.type == OTTER_NVS_STRING) return !otter_nvs_get_string(n, r->ns, r->key, (char *)buf, &found->size);
    if (item.type == OTTER_NVS_BLOB) return !otter_nvs_get_blob(n, r->ns, r->key, buf, &found->size);
    found->size = sizeof item.value;
    memcpy(buf, &item.value, sizeof item.value);
    return true;
}

static bool same(const struct map_row *a, const struct map_row *b)
{
    if (a->type != b->type) return false;
    return !a->type || (a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size)));
}

/* How many values the store lists. */
static unsigned listed(struct otter_nvs *n)
{
    struct otter_nvs_cursor c = {0};
    struct otter_nvs_item item;
    unsigned count = 0;
    while (!otter_nvs_next(n, &c, &item)) count++;
    return count;
}

const char *map_compare(struct otter_nvs *n, struct map *a, const struct map *b)
{
    static uint8_t buf[MAP_BYTES];
    unsigned values = 0;
    for (unsigned i = 0; i < b->count; i++) {
        struct map_row *r = row_of(a, b->row[i].ns, b->row[i].key), found;
        if (!read_row(n, r, &found, buf)) return r->key;
        if (!same(&found, r) && !same(&found, &b->row[i])) return r->key;
        if (found.type) values++;
        row_set(r, found.type, found.data, found.size);
    }
    return values == listed(n) ? NULL : "(number of values)";
}
