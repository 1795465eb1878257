/* otter_flash over esp_flash. Knows which flash must not be touched, and nothing of slots. */
#include "ports/esp_idf/flash.h"

#include <stdbool.h>

#include <esp_flash_encrypt.h>
#include <esp_image_format.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include "ports/esp_idf/include/otter_esp.h"

/* Encrypted writes come in whole AES blocks. */
enum { ENCRYPTED_UNIT = 16, PLAIN_UNIT = 4 };

static struct {
    struct otter_esp_clone clone;
    uint32_t app_start, app_end; /* of the image that runs */
} flash;

void otter_esp_clone(struct otter_esp_clone *c, otter_esp_guard guard)
{
    c->chip = *esp_flash_default_chip;
    c->hooks = *esp_flash_default_chip->os_func;
    c->hooks.region_protected = guard;
    c->chip.os_func = &c->hooks;
}

/* ---- what must not be touched ---- */

#ifdef CONFIG_OTTER_MIGRATE
enum { KEPT_END = OTTER_CFG_TABLE_OFFSET };
#else
enum { KEPT_END = OTTER_CFG_TABLE_OFFSET + OTTER_SECTOR };
#endif

static bool may_change(uint32_t off, uint32_t n)
{
    return off >= KEPT_END && (off >= flash.app_end || off + n <= flash.app_start);
}

static esp_err_t guard(void *arg, size_t start, size_t size)
{
    (void)arg;
    return may_change((uint32_t)start, (uint32_t)size) ? ESP_OK : ESP_ERR_NOT_SUPPORTED;
}

/* ---- plain flash ---- */

static int32_t read_plain(void *ctx, uint32_t off, void *dst, uint32_t n) { return esp_flash_read(ctx, dst, off, n); }

static int32_t write_plain(void *ctx, uint32_t off, const void *src, uint32_t n)
{
    return may_change(off, n) ? esp_flash_write(ctx, src, off, n) : ESP_ERR_NOT_SUPPORTED;
}

/* Between two erases of a long way the others come to run, so that no watchdog bites. */
static int32_t erase(void *ctx, uint32_t off, uint32_t n)
{
    if (!may_change(off, n)) return ESP_ERR_NOT_SUPPORTED;
    esp_err_t e = esp_flash_erase_region(ctx, off, n);
    vTaskDelay(1);
    return e;
}

/* ---- encrypted flash ---- */

static int32_t read_encrypted(void *ctx, uint32_t off, void *dst, uint32_t n)
{
    return esp_flash_read_encrypted(ctx, off, dst, n);
}

static int32_t write_encrypted(void *ctx, uint32_t off, const void *src, uint32_t n)
{
    return may_change(off, n) ? esp_flash_write_encrypted(ctx, off, src, n) : ESP_ERR_NOT_SUPPORTED;
}

/* ---- start ---- */

/* The boot loader has verified the image, so its length is what it says. */
static esp_err_t find_app(void)
{
    esp_image_metadata_t image = {0};
    struct otter_chip chip;
    esp_err_t e = otter_esp_chip(&chip);
    if (!e) e = chip.running(chip.ctx, &flash.app_start);
    if (e) return e;
    const esp_partition_pos_t all = {.offset = flash.app_start, .size = esp_flash_default_chip->size - flash.app_start};
    e = esp_image_get_metadata(&all, &image);
    flash.app_end = flash.app_start + image.image_len;
    return e;
}

esp_err_t otter_esp_flash(struct otter_flash *out)
{
    bool encrypted = esp_flash_encryption_enabled();
    esp_err_t e = find_app();
    if (e) return e;
    otter_esp_clone(&flash.clone, guard);
    *out = (struct otter_flash){
        /* Only the chip's own object writes encrypted. */
        .ctx = encrypted ? esp_flash_default_chip : &flash.clone.chip,
        .size = esp_flash_default_chip->size,
        .write_unit = encrypted ? ENCRYPTED_UNIT : PLAIN_UNIT,
        .erase_units = OTTER_SECTOR | OTTER_BLOCK,
        .read = encrypted ? read_encrypted : read_plain,
        .write = encrypted ? write_encrypted : write_plain,
        .erase = erase,
    };
    return ESP_OK;
}
