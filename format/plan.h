/* The layout `elastic`: where its overlapping slots go, and what every image size then leaves for data; docs/DESIGN.md,
 * section 6. All slots end where the pool ends, at the end of the flash. An image goes to the highest slot in which it
 * fits while the running one sits at the bottom, and to the bottom while that sits high. */
#ifndef OTTER_FORMAT_PLAN_H
#define OTTER_FORMAT_PLAN_H

#include "format/table_names.h"

enum {
    OTTER_PLAN_ROWS = 3 + OTTER_OTA_SLOTS,
    OTTER_PLAN_NVS_MIN = 0x3000,
    OTTER_PLAN_NVS = 0x4000, /* as much as leaves the pool at 0x10000 */
    OTTER_PLAN_FLASH_MAX = 16 * 1024 * 1024
};

/* All in bytes. */
struct otter_plan_wish {
    uint32_t flash_size; /* 1, 2, 4, 8 or 16 MiB: beyond, not every chip can run an app */
    uint32_t nvs;        /* a multiple of 4 KiB */
    uint32_t app;        /* today's image */
    uint32_t grow;       /* how much larger it may become */
    uint32_t shrink;     /* how much smaller */
    uint32_t min_data;   /* left for data at any time, also while the app is replaced by one of its size */
};

enum otter_plan_fault {
    OTTER_PLAN_GOOD,
    OTTER_PLAN_BAD_FLASH,
    OTTER_PLAN_BAD_NVS,
    OTTER_PLAN_NO_POOL, /* nvs leaves no room for two images */
    OTTER_PLAN_BAD_APP, /* nothing, or so large that nothing could be put beside it */
    OTTER_PLAN_NO_DATA  /* the app twice and min_data do not fit into the pool */
};

struct otter_plan {
    struct otter_plan_wish wish;
    uint32_t pool, pool_size;
    uint32_t low,
        high; /* the expected sizes, rounded up; none above the largest that its like can follow, but the app */
    unsigned slots;
    uint32_t slot[OTTER_OTA_SLOTS]; /* offsets, ascending; the first is the pool's */
};

/* With a fault of the app or of data the pool is set. */
enum otter_plan_fault otter_plan_make(struct otter_plan *p, const struct otter_plan_wish *wish);

/* The table: nvs, otadata, phy_init, and the slots. Returns how many rows. */
unsigned otter_plan_rows(const struct otter_plan *p, struct otter_partition row[OTTER_PLAN_ROWS]);
/* Where the rows before the pool end. */
uint32_t otter_plan_fixed_end(const struct otter_plan *p);

/* What an image of that many bytes takes: rounded up to 64 KiB. */
uint32_t otter_plan_fit(uint32_t size);
/* The largest image that a slot holds. */
uint32_t otter_plan_room(const struct otter_plan *p, unsigned slot);
/* The highest slot in which the size fits; 0: only the bottom. */
unsigned otter_plan_slot(const struct otter_plan *p, uint32_t size);
/* Data beside a running image of that size, when no update is under way; where it sits is taken at its worst. */
uint32_t otter_plan_settled(const struct otter_plan *p, uint32_t size);
/* What settled data lacks of all that the image leaves of the pool. */
uint32_t otter_plan_loss(const struct otter_plan *p, uint32_t size);
/* The largest loss of the expected sizes. */
uint32_t otter_plan_worst_loss(const struct otter_plan *p);
/* The largest image that is accepted after one of that size, wherever this sits; 0: none. */
uint32_t otter_plan_next(const struct otter_plan *p, uint32_t size);
/* May `next` follow `size`? *data: what lies between the two images meanwhile, at its worst. */
bool otter_plan_pending(const struct otter_plan *p, uint32_t size, uint32_t next, uint32_t *data);
/* For comparison: what two fixed partitions of these sizes leave of the pool; negative: they do not fit. */
int32_t otter_plan_beside(const struct otter_plan *p, uint32_t one, uint32_t other);

#endif
