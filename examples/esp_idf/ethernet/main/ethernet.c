#include "ethernet.h"

#include <esp_event.h>
#include <esp_netif.h>

esp_err_t ethernet_start(void)
{
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    const esp_netif_config_t netif_config = ESP_NETIF_DEFAULT_ETH();
    esp_netif_t *netif = esp_netif_new(&netif_config);

    const eth_mac_config_t mac_config = ETH_MAC_DEFAULT_CONFIG();
    eth_phy_config_t phy_config = ETH_PHY_DEFAULT_CONFIG();
    phy_config.autonego_timeout_ms = 100;
    phy_config.reset_gpio_num = -1;
    const esp_eth_config_t config = ETH_DEFAULT_CONFIG(esp_eth_mac_new_openeth(&mac_config), phy_any(&phy_config));
    esp_eth_handle_t eth;
    esp_err_t e = esp_eth_driver_install(&config, &eth);
    if (!e) e = esp_netif_attach(netif, esp_eth_new_netif_glue(eth));
    return e ? e : esp_eth_start(eth);
}
