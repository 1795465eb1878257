/* A region of flash as a disk of 512-byte sectors, over one flash sector kept in memory. Writes reach flash in the
 * order in which the file system makes them, and a flash sector that holds something changes at once or not at all,
 * wherever power goes: its new content is written to a spare sector first, and noted. The last two flash sectors are
 * for that. */
#ifndef OTTER_SIM_DISK_H
#define OTTER_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "otter/err.h"
#include "otter/port.h"

enum { SIM_DISK_SECTOR = 512, SIM_DISK_OWN = 2 * OTTER_SECTOR };

struct sim_disk {
    const struct otter_flash *flash;
    uint32_t offset, size; /* of the region, bytes, multiples of OTTER_SECTOR */
    enum otter_err err;    /* of the flash call that failed last */
    bool kept, changed;    /* cache holds flash sector `at`; other than flash does */
    uint32_t at;
    uint8_t cache[OTTER_SECTOR];
};

enum sim_disk_content { SIM_DISK_BLANK, SIM_DISK_HALF_MADE, SIM_DISK_FULL };

/* Ends what a cut has left undone. False: flash failed (err). */
bool sim_disk_open(struct sim_disk *d, const struct otter_flash *flash, uint32_t offset, uint32_t size);
/* Nothing at all (FF), a file system whose making was cut, or something. False: flash failed. */
bool sim_disk_content(struct sim_disk *d, enum sim_disk_content *content);
/* Around the making of a file system. */
bool sim_disk_begin_format(struct sim_disk *d);
bool sim_disk_end_format(struct sim_disk *d);

uint32_t sim_disk_sectors(const struct sim_disk *d);
/* False: beyond the disk, or flash failed. */
bool sim_disk_read(struct sim_disk *d, uint32_t sector, uint32_t count, uint8_t *dst);
bool sim_disk_write(struct sim_disk *d, uint32_t sector, uint32_t count, const uint8_t *src);
bool sim_disk_flush(struct sim_disk *d);

#endif
