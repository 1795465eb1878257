/* The named partition tables. Knows rows only. */
#include "format/preset.h"

#include <stddef.h>
#include <string.h>

#include "format/otadata.h"

#define KIB 1024u
#define NVS(size)                                               \
    {                                                           \
        OTTER_TYPE_DATA, OTTER_DATA_NVS, 0x9000, size, 0, "nvs" \
    }
#define OTADATA(at)                                                               \
    {                                                                             \
        OTTER_TYPE_DATA, OTTER_DATA_OTADATA, at, OTTER_OTADATA_SIZE, 0, "otadata" \
    }
#define PHY(at)                                                    \
    {                                                              \
        OTTER_TYPE_DATA, OTTER_DATA_PHY, at, 0x1000, 0, "phy_init" \
    }
#define FACTORY(size)                                                  \
    {                                                                  \
        OTTER_TYPE_APP, OTTER_APP_FACTORY, 0x10000, size, 0, "factory" \
    }
#define OTA(n, at, size, label)                                 \
    {                                                           \
        OTTER_TYPE_APP, OTTER_APP_OTA_0 + n, at, size, 0, label \
    }

#define COREDUMP                                                                \
    {                                                                           \
        OTTER_TYPE_DATA, OTTER_DATA_COREDUMP, 0x110000, 64 * KIB, 0, "coredump" \
    }
#define NVS_KEY(at)                                                     \
    {                                                                   \
        OTTER_TYPE_DATA, OTTER_DATA_NVS_KEYS, at, 4 * KIB, 1, "nvs_key" \
    }

static const struct otter_preset presets[] = {
    {"singleapp", "one factory app of 1 MiB, no updates", 3, {NVS(24 * KIB), PHY(0xF000), FACTORY(1024 * KIB)}},
    {"singleapp_large",
     "one factory app of 1500 KiB, no updates",
     3,
     {NVS(24 * KIB), PHY(0xF000), FACTORY(1500 * KIB)}},
    {"two_ota",
     "factory app and two OTA slots, 1 MiB each",
     6,
     {NVS(16 * KIB), OTADATA(0xD000), PHY(0xF000), FACTORY(1024 * KIB), OTA(0, 0x110000, 1024 * KIB, "ota_0"),
      OTA(1, 0x210000, 1024 * KIB, "ota_1")}},
    {"two_ota_large",
     "two OTA slots of 1700 KiB, no factory app",
     5,
     {NVS(24 * KIB), OTADATA(0xF000), PHY(0x11000), OTA(0, 0x20000, 1700 * KIB, "ota_0"),
      OTA(1, 0x1D0000, 1700 * KIB, "ota_1")}},
    {"singleapp_coredump",
     "one factory app of 1 MiB, a core dump",
     4,
     {NVS(24 * KIB), PHY(0xF000), FACTORY(1024 * KIB), COREDUMP}},
    {"singleapp_large_coredump",
     "one factory app of 1500 KiB, a core dump",
     4,
     {NVS(24 * KIB),
      PHY(0xF000),
      FACTORY(1500 * KIB),
      {OTTER_TYPE_DATA, OTTER_DATA_COREDUMP, 0x187000, 64 * KIB, 0, "coredump"}}},
    {"singleapp_encr_nvs",
     "one factory app of 1 MiB, NVS keys",
     4,
     {NVS(24 * KIB), PHY(0xF000), FACTORY(1024 * KIB), NVS_KEY(0x110000)}},
    {"singleapp_large_encr_nvs",
     "one factory app of 1500 KiB, NVS keys",
     4,
     {NVS(24 * KIB), PHY(0xF000), FACTORY(1500 * KIB), NVS_KEY(0x187000)}},
    {"two_ota_coredump",
     "factory app and two OTA slots, 1 MiB each, a core dump",
     7,
     {NVS(16 * KIB), OTADATA(0xD000), PHY(0xF000), FACTORY(1024 * KIB), COREDUMP, OTA(0, 0x120000, 1024 * KIB, "ota_0"),
      OTA(1, 0x220000, 1024 * KIB, "ota_1")}},
    {"two_ota_encr_nvs",
     "factory app and two OTA slots, 1 MiB each, NVS keys",
     7,
     {NVS(16 * KIB), OTADATA(0xD000), PHY(0xF000), FACTORY(1024 * KIB), OTA(0, 0x110000, 1024 * KIB, "ota_0"),
      OTA(1, 0x210000, 1024 * KIB, "ota_1"), NVS_KEY(0x310000)}},
    {"two_ota_tee",
     "two TEE slots of 256 KiB, two OTA slots of 1536 KiB",
     9,
     {{OTTER_TYPE_APP, OTTER_APP_TEE_0, 0x10000, 256 * KIB, 0, "tee_0"},
      {OTTER_TYPE_APP, OTTER_APP_TEE_0 + 1, 0x50000, 256 * KIB, 0, "tee_1"},
      {OTTER_TYPE_DATA, OTTER_DATA_TEE_OTA, 0x90000, OTTER_OTADATA_SIZE, 0, "tee_otadata"},
      {OTTER_TYPE_DATA, OTTER_DATA_NVS, 0x92000, 56 * KIB, 0, "secure_storage"},
      OTA(0, 0xA0000, 1536 * KIB, "ota_0"),
      OTA(1, 0x220000, 1536 * KIB, "ota_1"),
      OTADATA(0x3A0000),
      {OTTER_TYPE_DATA, OTTER_DATA_NVS, 0x3A2000, 24 * KIB, 0, "nvs"},
      PHY(0x3A8000)}},
    {"singleapp_tee",
     "TEE of 256 KiB and one factory app of 1536 KiB",
     5,
     {{OTTER_TYPE_APP, OTTER_APP_TEE_0, 0x10000, 256 * KIB, 0, "tee"},
      {OTTER_TYPE_DATA, OTTER_DATA_NVS, 0x50000, 64 * KIB, 0, "secure_storage"},
      {OTTER_TYPE_APP, OTTER_APP_FACTORY, 0x60000, 1536 * KIB, 0, "factory"},
      {OTTER_TYPE_DATA, OTTER_DATA_NVS, 0x1E0000, 24 * KIB, 0, "nvs"},
      PHY(0x1E6000)}},
    {"two_ota_usr",
     "two OTA slots of 1856 KiB and a LittleFS of 320 KiB",
     5,
     {NVS(16 * KIB),
      OTADATA(0xD000),
      OTA(0, 0x10000, 1856 * KIB, "app0"),
      OTA(1, 0x1E0000, 1856 * KIB, "app1"),
      {OTTER_TYPE_DATA, OTTER_DATA_LITTLEFS, 0x3B0000, 320 * KIB, 0, "usr"}}},
};

const struct otter_preset *otter_preset_at(unsigned i)
{
    return i < sizeof presets / sizeof presets[0] ? &presets[i] : NULL;
}

const struct otter_preset *otter_preset_find(const char *name)
{
    for (unsigned i = 0; otter_preset_at(i); i++)
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
    return NULL;
}
