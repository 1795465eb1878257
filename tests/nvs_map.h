/* A plain map as model of a settings store, and the comparison of the two. For tests. */
#ifndef NVS_MAP_H
#define NVS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/nvs.h"

enum { MAP_ROWS = 320, MAP_BYTES = 12288 };

struct map_row {
    char ns[OTTER_NVS_NAME_SIZE], key[OTTER_NVS_NAME_SIZE];
    uint8_t type; /* 0: no value; OTTER_NVS_BLOB for blobs */
    size_t size;  /* integers: 8, as 64 bits */
    uint8_t *data;
};

struct map {
    unsigned count;
    struct map_row row[MAP_ROWS];
};

/* One thing that is done to both. */
struct map_step {
    enum { MAP_SET, MAP_ERASE, MAP_ERASE_NS, MAP_NAMESPACE } what;
    const char *ns, *key;
    uint8_t type;
    const void *data; /* integers: uint64_t; strings: with NUL */
    size_t size;
};

enum otter_err map_do_store(struct otter_nvs *n, const struct map_step *s);
void map_do(struct map *m, const struct map_step *s);
void map_copy(struct map *to, const struct map *from);
void map_free(struct map *m);

/* Does the store hold, key by key, what is in a or in b, and nothing else? Then a becomes what it holds; b has at least
 * a's rows in a's order. Returns NULL, or the name of a key that is wrong. */
const char *map_compare(struct otter_nvs *n, struct map *a, const struct map *b);

#endif
