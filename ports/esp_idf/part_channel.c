/* The channel door: a task that waits for the network, and the channels that the app was built with. */
#include <esp_log.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>

#include "doors/channel.h"
#include "ports/esp_idf/net.h"
#include "ports/esp_idf/parts.h"

enum { PRIORITY = 4 };

static struct otter_channel channel;

static void run(void *arg)
{
    (void)arg;
    for (;;) vTaskDelay(pdMS_TO_TICKS(otter_channel_step(&channel)) + 1);
}

/* Those that the app brings. NULL, or why one of them is none. */
static const char *read_channels(const struct otter_start_config *c, struct otter_board *out)
{
    const char *why = NULL;
    for (unsigned i = 0; i < 3 && c->channels[i].name && !why; i++)
        why = otter_board_add(out, c->channels[i].name, c->channels[i].path);
    return why;
}

esp_err_t otter_esp_part_channel(struct otter_update *u, const struct otter_start_config *c, struct otter_channel **out)
{
    struct otter_board board = {0};
    const struct otter_channel_config config = {
        .net = otter_esp_net(c->ca_pem), .lock = &otter_esp_part_lock, .built_in = &board};
    const char *why = read_channels(c, &board);
    if (why) ESP_LOGE("otter", "channels: %s", why);
    if (config.net && !why) otter_channel_init(&channel, u, &config);
    otter_board_free(&board);
    if (!config.net) return ESP_ERR_NO_MEM;
    if (why) return ESP_ERR_INVALID_ARG;
    *out = &channel;
    return xTaskCreate(run, "otter_pull", CONFIG_OTTER_PULL_STACK, NULL, PRIORITY, NULL) == pdPASS ? ESP_OK
                                                                                                   : ESP_ERR_NO_MEM;
}
