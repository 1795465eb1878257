/* Judges images inside a flash. Knows nothing of files. */
#include "tool/flash_image.h"

#include "tool/tool.h"

static enum otter_err judge(struct flash_bytes flash, const struct otter_image_rules *rules, uint32_t offset,
                            struct otter_image_check *c)
{
    otter_image_start(c, rules, tool_crypto());
    /* Like the boot loader, reads on behind the partition; the length is judged at the end. */
    if (offset < flash.size) otter_image_feed(c, flash.p + offset, flash.size - offset);
    return otter_image_end(c);
}

enum otter_err flash_app_judge(struct flash_bytes flash, const struct otter_partition *slot,
                               const struct otter_chip_info *chip, struct otter_image_check *c)
{
    struct otter_image_rules rules = {.chip = chip,
                                      .chips = otter_chip_by_id,
                                      .chip_revision = -1,
                                      .efuse_revision = -1,
                                      .offset = slot->offset,
                                      .room = slot->size,
                                      .flags = OTTER_IMAGE_LOADABLE};
    return judge(flash, &rules, slot->offset, c);
}

enum otter_err flash_bootloader_judge(struct flash_bytes flash, uint32_t offset, const struct otter_chip_info *chip,
                                      struct otter_image_check *c)
{
    struct otter_image_rules rules = {.chip = chip,
                                      .chips = otter_chip_by_id,
                                      .chip_revision = -1,
                                      .efuse_revision = -1,
                                      .room = OTTER_CFG_TABLE_OFFSET - offset,
                                      .flags = OTTER_IMAGE_BOOTLOADER};
    return judge(flash, &rules, offset, c);
}

bool flash_bootloader_find(struct flash_bytes flash, uint32_t *offset, struct otter_image_check *c)
{
    const struct otter_chip_info *chip;
    for (unsigned i = 0; (chip = otter_chip_at(i)); i++) {
        *offset = chip->bootloader_offset;
        if (flash_bootloader_judge(flash, *offset, NULL, c) == OTTER_OK) return true;
    }
    return false;
}
