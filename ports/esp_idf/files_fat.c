/* Files of an elastic flash on FAT with wear levelling. */
#include <dirent.h>

#include <esp_partition.h>
#include <esp_vfs_fat.h>
#include "ports/esp_idf/include/otter_esp.h"

static wl_handle_t wear = WL_INVALID_HANDLE;

static const esp_partition_t *find(const char *label)
{
    return esp_partition_find_first(ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, label);
}

static bool mount(void *ctx, const char *label, bool anew)
{
    (void)ctx;
    const esp_vfs_fat_mount_config_t conf = {.format_if_mount_failed = true, .max_files = 5};
    const esp_partition_t *p = find(label);
    if (!p) return false;
    /* Wear levelling keeps its state in the last sectors, FAT its own in the first. */
    if (anew && (esp_partition_erase_range(p, 0, OTTER_BLOCK) ||
                 esp_partition_erase_range(p, p->size - OTTER_BLOCK, OTTER_BLOCK)))
        return false;
    return esp_vfs_fat_spiflash_mount_rw_wl(CONFIG_OTTER_DATA_PATH, label, &conf, &wear) == ESP_OK;
}

static bool unmount(void *ctx)
{
    (void)ctx;
    return esp_vfs_fat_spiflash_unmount_rw_wl(CONFIG_OTTER_DATA_PATH, wear) == ESP_OK;
}

static bool holds(void *ctx)
{
    DIR *dir = opendir(CONFIG_OTTER_DATA_PATH);
    (void)ctx;
    bool any = !dir || readdir(dir) != NULL;
    if (dir) closedir(dir);
    return any;
}

const struct otter_esp_files otter_esp_files = {NULL, mount, unmount, holds};
