/* Files of an elastic flash on SPIFFS. */
#include <esp_partition.h>
#include <esp_spiffs.h>
#include "ports/esp_idf/include/otter_esp.h"

static char label_of[17];

static bool mount(void *ctx, const char *label, bool anew)
{
    (void)ctx;
    const esp_vfs_spiffs_conf_t conf = {
        .base_path = CONFIG_OTTER_DATA_PATH, .partition_label = label, .max_files = 5, .format_if_mount_failed = true};
    const esp_partition_t *p = esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, label);
    snprintf(label_of, sizeof label_of, "%s", label);
    /* What was there may still look like a file system. Without its beginning it is formatted, and only once: on what
     * is none esp_spiffs_format() does it twice, and once takes half a minute for 3 MB. */
    if (anew && (!p || esp_partition_erase_range(p, 0, OTTER_BLOCK))) return false;
    return esp_vfs_spiffs_register(&conf) == ESP_OK;
}

static bool unmount(void *ctx)
{
    (void)ctx;
    return esp_vfs_spiffs_unregister(label_of) == ESP_OK;
}

static bool holds(void *ctx)
{
    size_t total, used;
    (void)ctx;
    return esp_spiffs_info(label_of, &total, &used) != ESP_OK || used > 0;
}

const struct otter_esp_files otter_esp_files = {NULL, mount, unmount, holds};
