/* No channels. */
#include "ports/esp_idf/parts.h"

esp_err_t otter_esp_part_channel(struct otter_update *u, const struct otter_start_config *c, struct otter_channel **out)
{
    (void)u;
    (void)c;
    *out = NULL;
    return ESP_OK;
}
