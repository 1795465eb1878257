/* otter_chip and otter_clock: what this chip is, which image runs, and its restart. */
#include <inttypes.h>
#include <stdio.h>

#include <esp_app_desc.h>
#include <esp_efuse.h>
#include <esp_mac.h>
#include <esp_system.h>
#include <esp_timer.h>
#include <hal/efuse_hal.h>
#include <spi_flash_mmap.h>
#include "ports/esp_idf/include/otter_esp.h"

static struct {
    bool due;
    uint32_t at_ms;
    char id[13];
} chip;

static uint32_t now_ms(void *ctx)
{
    (void)ctx;
    return (uint32_t)(esp_timer_get_time() / 1000);
}

const struct otter_clock otter_esp_clock = {NULL, now_ms};

/* By where the app descriptor lies in flash: where slots overlap, the table cannot tell. */
static int32_t running(void *ctx, uint32_t *off)
{
    (void)ctx;
    size_t at = spi_flash_cache2phys(esp_app_get_description());
    /* It is in the image's first block, and images begin at whole blocks. */
    *off = (uint32_t)at / OTTER_BLOCK * OTTER_BLOCK;
    return at == SPI_FLASH_CACHE2PHYS_FAIL ? ESP_FAIL : 0;
}

/* The first one asked for stands. */
static void reboot(void *ctx, uint32_t delay_ms)
{
    uint32_t at = now_ms(ctx) + delay_ms;
    if (!chip.due || (int32_t)(at - chip.at_ms) < 0) chip.at_ms = at;
    chip.due = true;
}

bool otter_esp_restart_due(void) { return chip.due && (int32_t)(now_ms(NULL) - chip.at_ms) >= 0; }

static uint32_t secure_version(void)
{
#ifdef CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK
    return esp_efuse_read_secure_version();
#else
    return 0;
#endif
}

esp_err_t otter_esp_chip(struct otter_chip *out)
{
    uint8_t mac[8];
    esp_err_t e = esp_efuse_mac_get_default(mac);
    if (e) return e;
    snprintf(chip.id, sizeof chip.id, "%02x%02x%02x%02x%02x%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    *out = (struct otter_chip){
        .id = chip.id,
        .info = &OTTER_ESP_CHIP,
        .revision = (uint16_t)efuse_hal_chip_revision(),
        .efuse_revision = (uint16_t)efuse_hal_blk_version(),
        .secure_version = secure_version(),
#ifdef CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE
        .rollback = true,
#endif
        .running = running,
        .reboot = reboot,
    };
    return ESP_OK;
}
