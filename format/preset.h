/* Partition tables known by name.
 * Source: ESP-IDF components/partition_table/partitions_*.csv; two_ota_usr: two OTA slots of 1856 KiB and a LittleFS of
 * 320 KiB, as published projects use it on 4 MiB. */
#ifndef OTTER_FORMAT_PRESET_H
#define OTTER_FORMAT_PRESET_H

#include "format/table.h"

enum { OTTER_PRESET_ROWS = 9 };

struct otter_preset {
    const char *name;
    const char *text; /* what it is, in a few words */
    unsigned rows;
    struct otter_partition row[OTTER_PRESET_ROWS];
};

/* NULL if there is none of that name. */
const struct otter_preset *otter_preset_find(const char *name);
/* The i-th, NULL behind the last. */
const struct otter_preset *otter_preset_at(unsigned i);

#endif
