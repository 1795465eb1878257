#pragma once

#include <esp_err.h>
#include <esp_eth.h>

/* OpenCores Ethernet, as emulators have it, with an address by DHCP. On a board with another MAC or PHY this is the
 * file to change. */
esp_err_t ethernet_start(void);

/* A PHY of which only the registers that all have are used. */
esp_eth_phy_t *phy_any(const eth_phy_config_t *config);
