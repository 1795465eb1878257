/* Makes an NVS partition of a CSV table, byte for byte as Espressif's generator does (esp-idf-nvs-partition-gen 0.2.0).
 */
#ifndef OTTER_TOOL_NVS_GEN_H
#define OTTER_TOOL_NVS_GEN_H

#include <stddef.h>
#include <stdint.h>

#include "otter/err.h"

struct nvs_gen {
    uint32_t size;      /* of the partition, bytes; a multiple of 4096. Below 3 pages it is read-only */
    unsigned version;   /* 1 or 2 */
    const char *folder; /* where relative paths of file rows start; NULL: the working directory */
    /* Told of what the generator does and nobody would expect. May be NULL. */
    void (*warn)(void *ctx, const char *text);
    void *ctx;

    uint8_t *bin; /* the result, to be freed */
    size_t bin_size;
    char text[320]; /* what is wrong, with the line */
};

/* csv: csv_size bytes. OTTER_ARG, OTTER_NVS_FULL, OTTER_NVS_NAME, OTTER_NVS_TOO_LONG, with g->text. */
enum otter_err nvs_gen(struct nvs_gen *g, const char *csv, size_t csv_size);

#endif
