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

/* What the settings have stays. */
static esp_err_t take_channels(const struct otter_start_config *c)
{
    struct otter_board board = {0};
    const char *why = NULL;
    if (channel.board.count || !c->channels[0].name) return ESP_OK;
    for (unsigned i = 0; i < 3 && c->channels[i].name && !why; i++)
        why = otter_board_add(&board, c->channels[i].name, c->channels[i].path);
    if (why) ESP_LOGE("otter", "channels: %s", why);
    esp_err_t e = why || otter_channel_set_board(&channel, &board) ? ESP_ERR_INVALID_ARG : ESP_OK;
    otter_board_free(&board);
    return e;
}

esp_err_t otter_esp_part_channel(struct otter_update *u, const struct otter_start_config *c, struct otter_channel **out)
{
    const struct otter_channel_config config = {.net = otter_esp_net(c->ca_pem), .lock = &otter_esp_part_lock};
    if (!config.net) return ESP_ERR_NO_MEM;
    otter_channel_init(&channel, u, &config);
    esp_err_t e = take_channels(c);
    if (e) return e;
    *out = &channel;
    return xTaskCreate(run, "otter_pull", CONFIG_OTTER_PULL_STACK, NULL, PRIORITY, NULL) == pdPASS ? ESP_OK
                                                                                                   : ESP_ERR_NO_MEM;
}
