/* No push door. */
#include "ports/esp_idf/parts.h"

esp_err_t otter_esp_part_push(struct otter_update *u, const struct otter_start_config *config,
                              struct otter_channel *channel)
{
    (void)channel;
    (void)u;
    (void)config;
    return ESP_OK;
}

bool otter_esp_part_watch(void (*turn)(void))
{
    (void)turn;
    return false;
}
