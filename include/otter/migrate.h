/* From fixed slots to elastic ones, once in a device's life: the partition table's one sector is erased and written
 * anew.
 *
 * It is the one step in which a loss of power costs the device (a cable mends it): the window, from that erase until
 * the table's first page is written. Everything else is done before it. */
#ifndef OTTER_MIGRATE_H
#define OTTER_MIGRATE_H

#include "otter/otter.h"

struct otter_migration {
    int8_t from, to; /* the running image's slot, by the old table and by the new one */
    uint32_t seq;    /* otadata's sequence number, which names it by both */
    uint8_t pages;   /* page writes in the window, after its one erase */
    const char *why; /* what stands against it: static text; NULL: nothing */
};

/* Could the device go over to this table (OTTER_TABLE_SIZE bytes)? Proves that either table starts the running image,
 * and that settings and otadata stay where they are. Reads the whole image; touches nothing. OTTER_BUSY,
 * OTTER_UNCONFIRMED, OTTER_MIGRATION (m->why says more), the table's or the image's own errors. */
enum otter_err otter_migrate_check(struct otter_device *d, const uint8_t *table, struct otter_migration *m);

/* Does it, after a check of its own: names the running image by a number that serves both tables, makes the other
 * slots' images unstartable, writes the table. Then only a restart is left to do (d->switched). After OTTER_FLASH_* it
 * may be called again, and should be while there is power. */
enum otter_err otter_migrate(struct otter_device *d, const uint8_t *table);

#endif
