/* NOR flash in memory for tests: writes clear bits, an erase sets them, and the power can be cut in the middle of any
 * operation. After a cut every access fails until nor_revive(). */
#ifndef NOR_RAM_H
#define NOR_RAM_H

#include <stdbool.h>
#include <stdint.h>

#include "otter/port.h"

enum nor_tear {
    NOR_PREFIX, /* the first cut_bytes bytes are done, the rest untouched */
    NOR_BITS    /* of the bits to be changed any may have changed; an erase leaves any mixture */
};

struct nor_op {
    char kind; /* 'w' or 'e' */
    uint32_t off, size;
};

struct nor_ram {
    struct otter_flash flash; /* the port table over this memory */
    uint8_t *mem;
    uint32_t ops;   /* writes and erases so far */
    int64_t cut_op; /* the operation in which the power goes, counted from 0; -1: never */
    uint32_t cut_bytes;
    enum nor_tear tear;
    uint32_t seed; /* of NOR_BITS */
    bool dead;
    struct nor_op *log; /* of log_size operations, if wanted */
    uint32_t log_size;
};

/* Memory is the caller's, size bytes, taken as it is. */
void nor_init(struct nor_ram *r, uint8_t *mem, uint32_t size);
/* Power is back; counts operations from 0 again, no further cut. */
void nor_revive(struct nor_ram *r);
/* A small generator of numbers, the same on every machine. */
uint32_t nor_random(uint32_t *seed);

#endif
