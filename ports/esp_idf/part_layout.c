/* Elastic flash, where the table says so. */
#include <esp_flash_encrypt.h>
#include <esp_log.h>
#include "ports/esp_idf/parts.h"

void otter_esp_part_layout(struct otter_device *scratch, struct otter_ports *ports, const struct otter_esp_files *files)
{
    if (!otter_elastic_table(scratch, ports)) return;
    if (esp_flash_encryption_enabled()) {
        ESP_LOGE("otter", "no elastic slots on encrypted flash: no updates");
        return;
    }
    ports->layout = &otter_layout_elastic;
    ports->data = otter_esp_data(files ? files : &otter_esp_files, CONFIG_OTTER_DATA_LABEL, CONFIG_OTTER_DATA_SUBTYPE);
}
