/* Wi-Fi in its simplest form: an access point of the device's own, or joining one, or both. */
#include <string.h>

#include <esp_event.h>
#include <esp_log.h>
#include <esp_netif.h>
#include <esp_wifi.h>
#include <nvs_flash.h>
#include "ports/esp_idf/include/otter_esp.h"

static esp_netif_t *access_point, *station;

static void on_wifi(void *ctx, esp_event_base_t base, int32_t id, void *data)
{
    (void)ctx;
    (void)base;
    (void)data;
    if (id == WIFI_EVENT_STA_START || id == WIFI_EVENT_STA_DISCONNECTED) esp_wifi_connect();
    /* Its own network is all that a device without another one can reach. */
    if (id == WIFI_EVENT_AP_START && !station) otter_esp_network_reached();
}

static esp_err_t allowed(esp_err_t e) { return e == ESP_ERR_INVALID_STATE ? ESP_OK : e; }

static esp_err_t start_stack(void)
{
    static bool started;
    if (started) return ESP_OK;
    wifi_init_config_t config = WIFI_INIT_CONFIG_DEFAULT();
    esp_err_t e = nvs_flash_init();
    if (!e) e = esp_netif_init();
    if (!e) e = allowed(esp_event_loop_create_default());
    if (!e) e = esp_wifi_init(&config);
    if (!e) e = esp_wifi_set_storage(WIFI_STORAGE_RAM);
    if (!e) e = esp_event_handler_register(WIFI_EVENT, ESP_EVENT_ANY_ID, on_wifi, NULL);
    started = !e;
    return e;
}

static esp_err_t set_mode(void)
{
    return esp_wifi_set_mode(access_point && station ? WIFI_MODE_APSTA : access_point ? WIFI_MODE_AP : WIFI_MODE_STA);
}

static bool fits(const char *text, size_t size) { return !text || strlen(text) < size; }

esp_err_t otter_esp_access_point(const char *ssid, const char *password)
{
    wifi_config_t config = {.ap = {.max_connection = 4, .authmode = WIFI_AUTH_OPEN}};
    if (!ssid || !fits(ssid, sizeof config.ap.ssid) || !fits(password, sizeof config.ap.password))
        return ESP_ERR_INVALID_ARG;
    esp_err_t e = start_stack();
    if (e) return e;
    if (!access_point) access_point = esp_netif_create_default_wifi_ap();
    config.ap.ssid_len = (uint8_t)strlen(ssid);
    memcpy(config.ap.ssid, ssid, config.ap.ssid_len);
    if (password && password[0]) {
        memcpy(config.ap.password, password, strlen(password));
        config.ap.authmode = WIFI_AUTH_WPA2_PSK;
    }
    e = set_mode();
    if (!e) e = esp_wifi_set_config(WIFI_IF_AP, &config);
    return e ? e : esp_wifi_start();
}

esp_err_t otter_esp_station(const char *ssid, const char *password)
{
    wifi_config_t config = {0};
    if (!ssid || !fits(ssid, sizeof config.sta.ssid) || !fits(password, sizeof config.sta.password))
        return ESP_ERR_INVALID_ARG;
    esp_err_t e = start_stack();
    if (e) return e;
    if (!station) station = esp_netif_create_default_wifi_sta();
    memcpy(config.sta.ssid, ssid, strlen(ssid));
    if (password) memcpy(config.sta.password, password, strlen(password));
    e = set_mode();
    if (!e) e = esp_wifi_set_config(WIFI_IF_STA, &config);
    if (!e) e = esp_wifi_start();
    /* Where the access point had started Wi-Fi already. */
    return e ? e : esp_wifi_connect();
}
