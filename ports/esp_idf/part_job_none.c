/* No jobs. */
#include "ports/esp_idf/parts.h"

esp_err_t otter_esp_part_job(struct otter_update *u, const struct otter_start_config *c)
{
    (void)u;
    (void)c;
    return ESP_OK;
}
