/* The data region of an elastic flash as a partition, registered by label on a clone of the flash chip: ESP-IDF's own
 * object refuses it, as the table's slots lie over it. */
#include <esp_partition.h>
#include "ports/esp_idf/flash.h"
#include "ports/esp_idf/include/otter_esp.h"

static struct {
    struct otter_data port;
    struct otter_esp_clone clone;
    const struct otter_esp_files *files;
    const char *label;
    uint8_t subtype;
    const esp_partition_t *partition; /* NULL: there is none now */
    bool mounted;
} data;

static esp_err_t guard(void *arg, size_t start, size_t size)
{
    const esp_partition_t *p = data.partition;
    (void)arg;
    return p && start >= p->address && start + size <= p->address + p->size ? ESP_OK : ESP_ERR_NOT_SUPPORTED;
}

static bool holds(void *ctx)
{
    (void)ctx;
    return data.mounted && (!data.files->holds || data.files->holds(data.files->ctx));
}

static bool release(void *ctx)
{
    (void)ctx;
    if (data.mounted && !data.files->unmount(data.files->ctx)) return false;
    data.mounted = false;
    if (data.partition && esp_partition_deregister_external(data.partition)) return false;
    data.partition = NULL;
    return true;
}

/* SPIFFS and wear levelling find what they made only in a partition of that very size. */
static bool ready(void *ctx, uint32_t off, uint32_t size, uint32_t made, enum otter_data_fate fate)
{
    (void)size;
    if (!release(ctx)) return false;
    if (esp_partition_register_external(&data.clone.chip, off, made, data.label, ESP_PARTITION_TYPE_DATA,
                                        (esp_partition_subtype_t)data.subtype, &data.partition))
        return false;
    data.mounted = data.files->mount(data.files->ctx, data.label, fate == OTTER_DATA_ANEW);
    return data.mounted;
}

const struct otter_data *otter_esp_data(const struct otter_esp_files *files, const char *label, uint8_t subtype)
{
    otter_esp_clone(&data.clone, guard);
    data.files = files;
    data.label = label;
    data.subtype = subtype;
    data.port = (struct otter_data){.holds = holds, .release = release, .ready = ready};
    return &data.port;
}
