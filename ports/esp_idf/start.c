/* otter_start(): the parts put together, and the task that watches. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <esp_log.h>
#include <esp_random.h>
#include <esp_system.h>
#include <freertos/FreeRTOS.h>
#include <freertos/semphr.h>
#include <freertos/task.h>
#include <nvs_flash.h>
#include "doors/console.h"
#include "ports/esp_idf/include/otter_esp.h"
#include "ports/esp_idf/parts.h"
#include "ports/psa/crypto.h"

enum { PRIORITY = 5, TURN_MS = 200 };

static const char TAG[] = "otter";

static struct {
    struct otter_flash flash;
    struct otter_chip chip;
    struct otter_device device;
    struct otter_update update;
    struct otter_console console;
    struct otter_start_config config;
    SemaphoreHandle_t lock;
    StaticSemaphore_t lock_memory;
    TaskHandle_t starter;
    esp_err_t started;
    bool open;
} otter;

/* ---- for apps and the port's other files ---- */

void otter_esp_lock(void) { xSemaphoreTakeRecursive(otter.lock, portMAX_DELAY); }

void otter_esp_unlock(void) { xSemaphoreGiveRecursive(otter.lock); }

static void take(void *ctx)
{
    (void)ctx;
    otter_esp_lock();
}

static void give(void *ctx)
{
    (void)ctx;
    otter_esp_unlock();
}

const struct otter_lock otter_esp_part_lock = {NULL, take, give};

struct otter_device *otter_esp_device(void) { return otter.open ? &otter.device : NULL; }

void otter_esp_app_works(bool works)
{
    if (!otter.open) return;
    otter_esp_lock();
    otter_health_app(&otter.device, works);
    otter_esp_unlock();
}

void otter_esp_network_reached(void)
{
    if (!otter.open) return;
    otter_esp_lock();
    otter_health_network(&otter.device);
    otter_esp_unlock();
}

/* ---- the console ---- */

static void print_line(void *ctx, char level, const char *text)
{
    (void)ctx;
    if (level == 'E')
        ESP_LOGE(TAG, "%s", text);
    else if (level == 'W')
        ESP_LOGW(TAG, "%s", text);
    else
        ESP_LOGI(TAG, "%s", text);
}

/* ---- start ---- */

/* What is in NVS is never erased here: it may be the app's. */
static const struct otter_settings *open_settings(void)
{
    esp_err_t e = nvs_flash_init();
    if (!e) return &otter_esp_settings;
    ESP_LOGE(TAG, "no settings (%s): updates cannot be resumed or explained", esp_err_to_name(e));
    return NULL;
}

static esp_err_t open_ports(struct otter_ports *ports)
{
    esp_err_t e = otter_esp_flash(&otter.flash);
    if (!e) e = otter_esp_chip(&otter.chip);
    if (!e && otter_crypto_psa_start()) e = ESP_FAIL;
    *ports = (struct otter_ports){.flash = &otter.flash,
                                  .chip = &otter.chip,
                                  .crypto = &otter_crypto_psa,
                                  .clock = &otter_esp_clock,
                                  .settings = open_settings()};
    if (!e) otter_esp_part_layout(&otter.device, ports, otter.config.files);
    return e;
}

static esp_err_t open_device(void)
{
    struct otter_ports ports;
    const struct otter_start_config *c = &otter.config;
    esp_err_t e = open_ports(&ports);
    if (e) return e;
    enum otter_err opened = otter_open(&otter.device, &ports);
    if (c->policy) otter_health_set_policy(&otter.device, c->policy);
#ifndef CONFIG_OTTER_SIGNED
    if (c->key_count) {
        ESP_LOGE(TAG, "keys need CONFIG_OTTER_SIGNED");
        return ESP_ERR_NOT_SUPPORTED;
    }
#endif
    if (c->key_count && otter_require_signature(&otter.device, c->keys, c->key_count)) return ESP_ERR_INVALID_ARG;
    otter_update_init(&otter.update, &otter.device);
    otter.console.line = print_line;
    otter_console_start(&otter.console, &otter.device, opened);
    otter_console_events(&otter.console, &otter.update);
    /* A switch that a cut had undone was made again. */
    if (otter.device.switched) esp_restart();
    otter.open = true;
    return ESP_OK;
}

static void turn(void)
{
    otter_esp_lock();
    otter_poll(&otter.device);
    otter_console_events(&otter.console, &otter.update);
    otter_esp_unlock();
    if (otter_esp_restart_due()) esp_restart();
}

static void run(void *arg)
{
    (void)arg;
    otter.started = open_device();
    if (!otter.started) otter.started = otter_esp_part_network();
    struct otter_channel *channel = NULL;
    if (!otter.started) otter.started = otter_esp_part_channel(&otter.update, &otter.config, &channel);
    if (!otter.started) otter.started = otter_esp_part_job(&otter.update, &otter.config);
    if (!otter.started) otter.started = otter_esp_part_push(&otter.update, &otter.config, channel);
    /* Where somebody else does, this task and its stack are not needed any more. */
    bool watched = !otter.started && otter_esp_part_watch(turn), open = otter.open;
    xTaskNotifyGive(otter.starter);
    while (open && !watched) {
        turn();
        vTaskDelay(pdMS_TO_TICKS(TURN_MS));
    }
    vTaskDelete(NULL);
}

esp_err_t otter_start(const struct otter_start_config *config)
{
    if (otter.lock) return ESP_ERR_INVALID_STATE;
    if (config) otter.config = *config;
    otter.lock = xSemaphoreCreateRecursiveMutexStatic(&otter.lock_memory);
    otter.starter = xTaskGetCurrentTaskHandle();
    if (xTaskCreate(run, "otter", CONFIG_OTTER_TASK_STACK, NULL, PRIORITY, NULL) != pdPASS) return ESP_ERR_NO_MEM;
    ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
    if (otter.started) ESP_LOGE(TAG, "not started: %s", esp_err_to_name(otter.started));
    return otter.started;
}
