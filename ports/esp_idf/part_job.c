/* The job door: a task that waits for messages, and for the servers that they name. */
#include <esp_log.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>

#include "doors/job.h"
#include "ports/esp_idf/mqtt.h"
#include "ports/esp_idf/net.h"
#include "ports/esp_idf/parts.h"

enum { PRIORITY = 4 };

static struct otter_job job;

static void run(void *arg)
{
    (void)arg;
    for (;;) vTaskDelay(pdMS_TO_TICKS(otter_job_step(&job)) + 1);
}

esp_err_t otter_esp_part_job(struct otter_update *u, const struct otter_start_config *c)
{
    if (!c->broker.url || !c->broker.url[0]) return ESP_OK;
    const struct otter_job_config config = {.mqtt = otter_esp_mqtt(&c->broker, c->ca_pem),
                                            .net = otter_esp_net(c->ca_pem),
                                            .lock = &otter_esp_part_lock,
                                            .topic = c->broker.topic};
    if (!config.mqtt || !config.net) return ESP_ERR_NO_MEM;
    if (!otter_job_init(&job, u, &config)) {
        ESP_LOGE("otter", "jobs: no topic can be made of the template, or the broker's URL is none");
        return ESP_ERR_INVALID_ARG;
    }
    ESP_LOGI("otter", "jobs come on %s", job.topic[OTTER_JOB_UPDATE]);
    return xTaskCreate(run, "otter_job", CONFIG_OTTER_PULL_STACK, NULL, PRIORITY, NULL) == pdPASS ? ESP_OK
                                                                                                  : ESP_ERR_NO_MEM;
}
