/* ESP-IDF's second-stage boot loader as a model: reads the table, chooses a slot by otadata, verifies its image, falls
 * back, and writes otadata as it does so. Source: ESP-IDF bootloader_utility.c, bootloader_common_loader.c,
 * flash_partitions.c, esp_image_format.c; v5.4 to v6.0 agree on all that is here. */
#ifndef OTTER_SIM_BOOTLOADER_H
#define OTTER_SIM_BOOTLOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "format/chip.h"
#include "format/image.h"
#include "otter/port.h"

struct sim_boot {
    const struct otter_flash *flash;
    const struct otter_crypto *crypto;
    const struct otter_chip_info *chip; /* NULL: whichever an image names */
    int32_t chip_revision;              /* major * 100 + minor; negative: not judged */
    int32_t efuse_revision;             /* the same */
    bool rollback;                      /* CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE */
    bool anti_rollback;                 /* ..._ANTI_ROLLBACK: with rollback, two ota slots and no factory app */
    uint32_t *efuse_version;            /* with anti_rollback: the version burnt into eFuse; may be raised */
    void *log_ctx;
    /* One line without level and time: level 'I', 'W', 'E'; NULL: no log. */
    void (*log)(void *ctx, char level, const char *tag, const char *text);
};

struct sim_boot_result {
    bool boots;
    int selected;    /* slot number, -1 factory, -2 test, -99 nothing could be chosen */
    int slot;        /* the one that starts */
    uint32_t offset; /* of it, in flash */
    char label[17];  /* of its row in the table */
    struct otter_image_facts image;
};

/* One boot. False (and boots false) if it ends in a reset: the log says why. */
bool sim_boot(const struct sim_boot *b, struct sim_boot_result *r);

#endif
