/* How an elastic device would divide its flash. */
#ifndef OTTER_TOOL_FLASH_DIVISION_H
#define OTTER_TOOL_FLASH_DIVISION_H

#include "otter/otter.h"
#include "ports/sim/bootloader.h"
#include "tool/flash_image.h"

/* The chip that a flash was made for. */
struct flash_chip {
    const struct otter_chip_info *info;
    uint16_t revision, efuse_revision;
};

struct flash_division {
    struct sim_boot_result boot;
    struct otter_division now;
    enum otter_err next_err; /* why an update of now.largest bytes would be refused */
    int8_t next_slot;        /* where it would go */
    char *json;              /* as in the status; to be freed with free() */
};

/* Is it an elastic device's flash? */
bool flash_is_elastic(struct flash_bytes flash);
/* What the device would say at its next start; works on a copy. False if memory is out, or nothing starts (then
 * out->boot.boots is false). */
bool flash_divide(struct flash_bytes flash, const struct flash_chip *chip, struct flash_division *out);
/* The division in words, and as a bar. */
void flash_division_print(const struct otter_division *d);

#endif
