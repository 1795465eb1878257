/* A partition table in memory, for who makes and starts virtual devices. */
#ifndef OTTER_SIM_TABLE_H
#define OTTER_SIM_TABLE_H

#include "otter/otter.h"

struct sim_table {
    const uint8_t *bytes; /* OTTER_TABLE_SIZE of them */
    uint32_t flash_size;
    const struct otter_crypto *crypto;
};

enum otter_err sim_table_check(const struct sim_table *t);
/* The first partition of that kind; false if there is none, or the table is none. */
bool sim_table_find(const struct sim_table *t, uint8_t type, uint8_t subtype, struct otter_slot *region);
/* By the boot loader's number, the factory app included. */
bool sim_table_slot(const struct sim_table *t, int slot, struct otter_slot *region);
/* Is it an elastic one? */
bool sim_table_overlaps(const struct sim_table *t);

#endif
