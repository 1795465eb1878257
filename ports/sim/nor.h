/* A NOR flash chip in memory (which may be a mapped file): bits only go from 1 to 0, erases come in 4, 32 and 64 KiB,
 * pages are 256 bytes. It keeps time and wear, loses power in the middle of an operation, and fails on demand. Times:
 * W25Q32JV-class, typical. Source: the JV family's datasheet figures; reads at 20 MB/s (DIO, 80 MHz). */
#ifndef OTTER_SIM_NOR_H
#define OTTER_SIM_NOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/port.h"

/* What is left of the operation during which power goes. */
enum sim_tear {
    SIM_TEAR_BEFORE,      /* nothing of it happened */
    SIM_TEAR_AFTER,       /* all of it happened */
    SIM_TEAR_PREFIX,      /* its first arg bytes (modulo its length) */
    SIM_TEAR_RANDOM_BITS, /* each bit that was to change did so or not, by seed */
    SIM_TEAR_ALL_BUT_ONE, /* all bits but one, the arg-th (modulo their number) */
    SIM_TEAR_HALF_ERASE, /* an erase stopped in its first phase: a prefix of arg bytes is all 0; a write: as a prefix */
    SIM_TEARS,
    SIM_TEAR_LOST = SIM_TEARS, /* power does not go: nothing of it happened, and the chip reports success */
    SIM_TEAR_KINDS
};

enum sim_op { SIM_READ, SIM_WRITE, SIM_ERASE, SIM_OPS };

enum { SIM_NOR_DEAD = -9001, SIM_NOR_FAULT = -9002, SIM_NOR_MISUSE = -9003 };

/* Power goes at the at-th write or erase (1 = the next one); 0: never. */
struct sim_cut {
    uint64_t at;
    enum sim_tear tear;
    uint32_t arg;
    uint64_t seed;
};

/* The at-th operation of this kind fails (1 = the next one), and the `more` after it; 0: none. */
struct sim_fault {
    uint64_t at;
    uint64_t more;
    enum sim_op op;
    bool silent; /* it reports success: a read gives a flipped bit, a write or erase does nothing */
};

/* Changes within a region are counted. */
struct sim_watch {
    uint32_t offset, size;
    uint64_t erases, writes;
};

struct sim_times {
    uint32_t page_write_us, erase_4k_us, erase_32k_us, erase_64k_us;
    uint32_t read_ns; /* a byte */
};
extern const struct sim_times sim_times_typical;

struct sim_nor {
    uint8_t *bytes;
    uint32_t size;
    struct sim_times times;
    bool real_time;          /* operations take their time; else only `us` counts on */
    uint64_t us;             /* time spent in operations since start */
    uint64_t owed_us;        /* of it, still to be slept in real time */
    uint64_t count[SIM_OPS]; /* operations: reads, page writes, erases */
    uint64_t bytes_written, bytes_erased;
    uint64_t changes; /* writes and erases since the last sim_nor_power_on(), on which cuts count */
    uint32_t *wear;   /* erases a sector, size / 4096 of them; NULL: not kept */
    uint8_t *marks;   /* 1 for a sector that was changed, size / 4096 of them, never cleared; NULL: not kept */
    struct sim_watch watch;
    struct sim_cut cut;
    struct sim_fault fault;
    bool dead; /* power is gone: every call fails until sim_nor_power_on() */
    struct otter_flash port;
};

/* bytes and wear are the caller's and stay; nothing in them is changed. size is a multiple of 65536. */
void sim_nor_init(struct sim_nor *n, uint8_t *bytes, uint32_t size, uint32_t *wear);
/* Power is back: no cut, no fault is planned any more; operations count from 0. */
void sim_nor_power_on(struct sim_nor *n);

const char *sim_tear_name(enum sim_tear tear);

#endif
