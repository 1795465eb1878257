/* Images where they lie in a whole-flash file: apps in their slots, and the boot loader that the ROM looks for. */
#ifndef OTTER_TOOL_FLASH_IMAGE_H
#define OTTER_TOOL_FLASH_IMAGE_H

#include "format/image.h"
#include "format/table.h"

struct flash_bytes {
    const uint8_t *p;
    size_t size;
};

/* Would the boot loader start the image in this app partition? chip NULL: whichever it names. c is filled. */
enum otter_err flash_app_judge(struct flash_bytes flash, const struct otter_partition *slot,
                               const struct otter_chip_info *chip, struct otter_image_check *c);

/* Is there a whole boot loader at this offset? The ROM copies it to memory, so nothing in it depends on the offset. */
enum otter_err flash_bootloader_judge(struct flash_bytes flash, uint32_t offset, const struct otter_chip_info *chip,
                                      struct otter_image_check *c);

/* Looks for a whole boot loader where any chip's ROM looks. False: there is none. */
bool flash_bootloader_find(struct flash_bytes flash, uint32_t *offset, struct otter_image_check *c);

#endif
