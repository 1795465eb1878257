/* The chips, each an object of its own, so that a program that names one is linked with that one alone; and the list of
 * all. Knows numbers only. */
#include "format/chip.h"

#include <stddef.h>

#define DROM(a, b)           \
    {                        \
        a, b, OTTER_MEM_DROM \
    }
#define IROM(a, b)           \
    {                        \
        a, b, OTTER_MEM_IROM \
    }
#define RAM(a, b)           \
    {                       \
        a, b, OTTER_MEM_RAM \
    }
#define RTC(a, b)           \
    {                       \
        a, b, OTTER_MEM_RTC \
    }

/* Number and name: also of chips that are not linked. */
#define ESP32 0x0000, "ESP32"
#define ESP32S2 0x0002, "ESP32-S2"
#define ESP32C3 0x0005, "ESP32-C3"
#define ESP32S3 0x0009, "ESP32-S3"
#define ESP32C2 0x000C, "ESP32-C2"
#define ESP32C6 0x000D, "ESP32-C6"
#define ESP32H2 0x0010, "ESP32-H2"
#define ESP32P4 0x0012, "ESP32-P4"
#define ESP32C61 0x0014, "ESP32-C61"
#define ESP32C5 0x0017, "ESP32-C5"
#define ESP32H21 0x0019, "ESP32-H21"
#define ESP32H4 0x001C, "ESP32-H4"
#define ESP32S31 0x0020, "ESP32-S31"

const struct otter_chip_info otter_chip_esp32 = {
    ESP32,
    .target = "esp32",
    .cores = 2,
    .bootloader_offset = 0x1000,
    .uf2_family = 0x1C5F21B0,
    .page_log2_min = 16,
    .page_log2_max = 16,
    .memory = {DROM(0x3F400000, 0x3F800000), IROM(0x400D0000, 0x40400000), RAM(0x40080000, 0x400AA000),
               RAM(0x3FFAE000, 0x40000000), RTC(0x400C0000, 0x400C2000), RTC(0x3FF80000, 0x3FF82000),
               RTC(0x50000000, 0x50002000)},
};

const struct otter_chip_info otter_chip_esp32s2 = {
    ESP32S2,
    .target = "esp32s2",
    .cores = 1,
    .bootloader_offset = 0x1000,
    .uf2_family = 0xBFDD4EEE,
    .page_log2_min = 16,
    .page_log2_max = 16,
    .efuse_revision = true,
    .memory = {DROM(0x3F000000, 0x3FF80000), IROM(0x40080000, 0x40800000), RAM(0x40020000, 0x40070000),
               RAM(0x3FFB0000, 0x40000000), RTC(0x50000000, 0x50002000), RTC(0x40070000, 0x40072000)},
};

const struct otter_chip_info otter_chip_esp32c3 = {
    ESP32C3,
    .target = "esp32c3",
    .cores = 1,
    .bootloader_offset = 0x0,
    .uf2_family = 0xD42BA06C,
    .page_log2_min = 16,
    .page_log2_max = 16,
    .efuse_revision = true,
    .memory = {DROM(0x3C000000, 0x3C800000), IROM(0x42000000, 0x42800000), RAM(0x4037C000, 0x403E0000),
               RAM(0x3FC80000, 0x3FCE0000), RTC(0x50000000, 0x50002000)},
};

const struct otter_chip_info otter_chip_esp32s3 = {
    ESP32S3,
    .target = "esp32s3",
    .cores = 2,
    .bootloader_offset = 0x0,
    .uf2_family = 0xC47E5767,
    .page_log2_min = 16,
    .page_log2_max = 16,
    .efuse_revision = true,
    .memory = {DROM(0x3C000000, 0x3E000000), IROM(0x42000000, 0x44000000), RAM(0x40370000, 0x403E0000),
               RAM(0x3FC88000, 0x3FD00000), RTC(0x50000000, 0x50002000), RTC(0x600FE000, 0x60100000)},
};

const struct otter_chip_info otter_chip_esp32c2 = {
    ESP32C2,
    .target = "esp32c2",
    .cores = 1,
    .bootloader_offset = 0x0,
    .uf2_family = 0x2B88D29C,
    .page_log2_min = 14,
    .page_log2_max = 16,
    .efuse_revision = true,
    .memory = {DROM(0x3C000000, 0x3C400000), IROM(0x42000000, 0x42400000), RAM(0x4037C000, 0x403C0000),
               RAM(0x3FCA0000, 0x3FCE0000)},
};

const struct otter_chip_info otter_chip_esp32c6 = {
    ESP32C6,
    .target = "esp32c6",
    .cores = 1,
    .bootloader_offset = 0x0,
    .uf2_family = 0x540DDF62,
    .page_log2_min = 13,
    .page_log2_max = 16,
    .efuse_revision = true,
    .shared_map = true,
    .memory = {IROM(0x42000000, 0x43000000), RAM(0x40800000, 0x40880000), RTC(0x50000000, 0x50004000)},
};

const struct otter_chip_info otter_chip_esp32h2 = {
    ESP32H2,
    .target = "esp32h2",
    .cores = 1,
    .bootloader_offset = 0x0,
    .uf2_family = 0x332726F6,
    .page_log2_min = 13,
    .page_log2_max = 16,
    .efuse_revision = true,
    .shared_map = true,
    .memory = {IROM(0x42000000, 0x43000000), RAM(0x40800000, 0x40850000), RTC(0x50000000, 0x50001000)},
};

const struct otter_chip_info otter_chip_esp32p4 = {
    ESP32P4,
    .target = "esp32p4",
    .cores = 2,
    .bootloader_offset = 0x2000,
    .uf2_family = 0x3D308E94,
    .page_log2_min = 16,
    .page_log2_max = 16,
    .efuse_revision = true,
    .shared_map = true,
    .memory = {IROM(0x40000000, 0x44000000), RAM(0x4FF00000, 0x4FFC0000), RTC(0x50108000, 0x50110000)},
};

const struct otter_chip_info otter_chip_esp32c61 = {
    ESP32C61,
    .target = "esp32c61",
    .cores = 1,
    .bootloader_offset = 0x0,
    .uf2_family = 0x77D850C4,
    .page_log2_min = 13,
    .page_log2_max = 16,
    .efuse_revision = true,
    .shared_map = true,
    .memory = {IROM(0x42000000, 0x44000000), RAM(0x40800000, 0x40850000)},
};

const struct otter_chip_info otter_chip_esp32c5 = {
    ESP32C5,
    .target = "esp32c5",
    .cores = 1,
    .bootloader_offset = 0x2000,
    .uf2_family = 0xF71C0343,
    .page_log2_min = 16,
    .page_log2_max = 16,
    .efuse_revision = true,
    .shared_map = true,
    .memory = {IROM(0x42000000, 0x44000000), RAM(0x40800000, 0x40860000), RTC(0x50000000, 0x50004000)},
};

const struct otter_chip_info otter_chip_esp32h21 = {
    ESP32H21,
    .target = "esp32h21",
    .cores = 1,
    .bootloader_offset = 0x0,
    .uf2_family = 0xB6DD00AF,
    .page_log2_min = 13,
    .page_log2_max = 16,
    .efuse_revision = true,
    .shared_map = true,
    .memory = {IROM(0x42000000, 0x43000000), RAM(0x40800000, 0x40850000), RTC(0x50000000, 0x50001000)},
};

const struct otter_chip_info otter_chip_esp32h4 = {
    ESP32H4,
    .target = "esp32h4",
    .cores = 2,
    .bootloader_offset = 0x2000,
    .uf2_family = 0x9E0BAA8A,
    .page_log2_min = 13,
    .page_log2_max = 16,
    .efuse_revision = true,
    .shared_map = true,
    .memory = {IROM(0x42000000, 0x44000000), RAM(0x40810000, 0x40860000)},
};

const struct otter_chip_info otter_chip_esp32s31 = {
    ESP32S31,
    .target = "esp32s31",
    .cores = 2,
    .bootloader_offset = 0x2000,
    .uf2_family = 0x3101F7C1,
    .page_log2_min = 15,
    .page_log2_max = 18,
    .efuse_revision = true,
    .shared_map = true,
    .memory = {IROM(0x40000000, 0x44000000), RAM(0x2F000000, 0x2F080000), RTC(0x2E000000, 0x2E008000)},
};

static const struct otter_chip_info *const chips[] = {
    &otter_chip_esp32,    &otter_chip_esp32s2, &otter_chip_esp32c3,  &otter_chip_esp32s3,  &otter_chip_esp32c2,
    &otter_chip_esp32c6,  &otter_chip_esp32h2, &otter_chip_esp32p4,  &otter_chip_esp32c61, &otter_chip_esp32c5,
    &otter_chip_esp32h21, &otter_chip_esp32h4, &otter_chip_esp32s31,
};

const struct otter_chip_info *otter_chip_at(unsigned i) { return i < sizeof chips / sizeof chips[0] ? chips[i] : NULL; }

const char *otter_chip_name(uint16_t id)
{
    static const struct {
        uint16_t id;
        char name[10];
    } names[] = {{ESP32},   {ESP32S2},  {ESP32C3}, {ESP32S3},  {ESP32C2}, {ESP32C6}, {ESP32H2},
                 {ESP32P4}, {ESP32C61}, {ESP32C5}, {ESP32H21}, {ESP32H4}, {ESP32S31}};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].id == id) return names[i].name;
    return "an unknown chip";
}

const struct otter_chip_info *otter_chip_by_id(uint16_t id)
{
    for (unsigned i = 0; otter_chip_at(i); i++)
        if (chips[i]->id == id) return chips[i];
    return NULL;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c; }

/* Does name spell target, whatever its case and with or without the dash? */
static bool spells(const char *name, const char *target)
{
    for (; *name; name++) {
        if (*name == '-') continue;
        if (lower(*name) != *target) return false;
        target++;
    }
    return *target == '\0';
}

const struct otter_chip_info *otter_chip_by_name(const char *name)
{
    for (unsigned i = 0; otter_chip_at(i); i++)
        if (spells(name, chips[i]->target)) return chips[i];
    return NULL;
}

/* Shared maps with small MMU pages end earlier: 256 pages. */
static uint32_t range_end(const struct otter_chip_info *chip, const struct otter_memory_range *r, unsigned page_log2)
{
    if (chip->shared_map && r->kind == OTTER_MEM_IROM && r->end == 0x43000000) return r->start + (256u << page_log2);
    return r->end;
}

enum otter_memory otter_chip_memory(const struct otter_chip_info *chip, uint32_t addr, uint32_t len, unsigned page_log2)
{
    if (addr < 0x10000000) return OTTER_MEM_PAD;
    for (const struct otter_memory_range *r = chip->memory; r->kind != OTTER_MEM_NONE; r++)
        if (addr >= r->start && addr < range_end(chip, r, page_log2) && len <= range_end(chip, r, page_log2) - addr)
            return (enum otter_memory)r->kind;
    return OTTER_MEM_NONE;
}

const char *otter_memory_name(enum otter_memory kind)
{
    static const char *const names[] = {"none", "padding", "DROM", "IROM", "RAM", "RTC"};
    return names[kind];
}
