/* The network is reached when an address is there, or the device's own access point. */
#include <esp_event.h>
#include <esp_netif.h>
#include "ports/esp_idf/parts.h"

static void on_address(void *ctx, esp_event_base_t base, int32_t id, void *data)
{
    (void)ctx;
    (void)base;
    (void)data;
    if (id == IP_EVENT_STA_GOT_IP || id == IP_EVENT_ETH_GOT_IP || id == IP_EVENT_GOT_IP6 ||
        id == IP_EVENT_AP_STAIPASSIGNED)
        otter_esp_network_reached();
}

/* Has the app's network come up before us? */
static bool has_address(void)
{
    for (esp_netif_t *n = esp_netif_next_unsafe(NULL); n; n = esp_netif_next_unsafe(n)) {
        esp_netif_ip_info_t ip;
        if (esp_netif_is_netif_up(n) && esp_netif_get_ip_info(n, &ip) == ESP_OK && ip.ip.addr) return true;
    }
    return false;
}

esp_err_t otter_esp_part_network(void)
{
    /* The app may have done both. */
    esp_err_t e = esp_netif_init();
    if (e && e != ESP_ERR_INVALID_STATE) return e;
    e = esp_event_loop_create_default();
    if (e && e != ESP_ERR_INVALID_STATE) return e;
    e = esp_event_handler_register(IP_EVENT, ESP_EVENT_ANY_ID, on_address, NULL);
    if (!e && has_address()) otter_esp_network_reached();
    return e;
}
