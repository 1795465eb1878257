/* The chips of the ESP32 family: what their images and flash need to be judged by.
 * Source: ESP-IDF esp_app_format.h, soc.h and ext_mem_defs.h of each chip; esptool targets (flash offsets). */
#ifndef OTTER_FORMAT_CHIP_H
#define OTTER_FORMAT_CHIP_H

#include <stdbool.h>
#include <stdint.h>

enum otter_memory { OTTER_MEM_NONE, OTTER_MEM_PAD, OTTER_MEM_DROM, OTTER_MEM_IROM, OTTER_MEM_RAM, OTTER_MEM_RTC };

struct otter_memory_range {
    uint32_t start, end; /* [start, end) */
    uint8_t kind;        /* enum otter_memory; OTTER_MEM_NONE ends the list */
};

struct otter_chip_info {
    uint16_t id;    /* chip_id of the image header */
    char name[10];  /* as people write it: "ESP32-C3" */
    char target[9]; /* as tools write it: "esp32c3" */
    uint8_t cores;
    uint32_t bootloader_offset; /* in flash, bytes */
    uint32_t uf2_family;
    uint8_t page_log2_min, page_log2_max; /* MMU page sizes; equal (16) where it is fixed at 64 KiB */
    bool efuse_revision;                  /* the boot loader checks the image's eFuse block revision */
    bool shared_map;                      /* code and data are mapped in one address range */
    struct otter_memory_range memory[8];
};

/* A device names its own one, and is linked with no other. */
extern const struct otter_chip_info otter_chip_esp32, otter_chip_esp32s2, otter_chip_esp32c3, otter_chip_esp32s3,
    otter_chip_esp32c2, otter_chip_esp32c6, otter_chip_esp32h2, otter_chip_esp32p4, otter_chip_esp32c61,
    otter_chip_esp32c5, otter_chip_esp32h21, otter_chip_esp32h4, otter_chip_esp32s31;

/* Lookups link all of them.
 * NULL if no chip has that id or name. Names are taken as name or target, in upper or lower case. */
const struct otter_chip_info *otter_chip_by_id(uint16_t id);
const struct otter_chip_info *otter_chip_by_name(const char *name);
/* The i-th known chip, NULL behind the last. */
const struct otter_chip_info *otter_chip_at(unsigned i);

/* "ESP32-C3"; "an unknown chip". Links none. */
const char *otter_chip_name(uint16_t id);

/* Which memory holds addr, with an MMU page of 1 << page_log2 bytes. Below 0x10000000: OTTER_MEM_PAD (0 is padding, 4
 * a skip marker; neither is loaded). */
enum otter_memory otter_chip_memory(const struct otter_chip_info *chip, uint32_t addr, uint32_t len,
                                    unsigned page_log2);
const char *otter_memory_name(enum otter_memory kind);

static inline bool otter_memory_mapped(enum otter_memory kind)
{
    return kind == OTTER_MEM_DROM || kind == OTTER_MEM_IROM;
}

#endif
