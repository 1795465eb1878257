#include <esp_idf_version.h>

#include "ethernet.h"

#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 4, 0)

esp_eth_phy_t *phy_any(const eth_phy_config_t *config) { return esp_eth_phy_new_generic(config); }

#else

#include <esp_eth_phy_802_3.h>
#include <stdlib.h>

/* What both sides can do, from the registers of IEEE 802.3, 22.2.4. */
static esp_err_t tell_link(phy_802_3_t *phy, eth_link_t link)
{
    esp_eth_mediator_t *eth = phy->eth;
    anlpar_reg_t peer;
    esp_err_t e = eth->phy_reg_read(eth, phy->addr, ETH_PHY_ANLPAR_REG_ADDR, &peer.val);
    if (e) return e;
    bool fast = peer.base100_tx_fd || peer.base100_tx;
    bool full = fast ? peer.base100_tx_fd : peer.base10_t_fd;
    eth_speed_t speed = fast ? ETH_SPEED_100M : ETH_SPEED_10M;
    eth_duplex_t duplex = full ? ETH_DUPLEX_FULL : ETH_DUPLEX_HALF;
    if (link == ETH_LINK_UP) e = eth->on_state_changed(eth, ETH_STATE_SPEED, (void *)speed);
    if (!e && link == ETH_LINK_UP) e = eth->on_state_changed(eth, ETH_STATE_DUPLEX, (void *)duplex);
    return e ? e : eth->on_state_changed(eth, ETH_STATE_LINK, (void *)link);
}

static esp_err_t get_link(esp_eth_phy_t *parent)
{
    phy_802_3_t *phy = esp_eth_phy_into_phy_802_3(parent);
    bmsr_reg_t status;
    esp_err_t e = phy->eth->phy_reg_read(phy->eth, phy->addr, ETH_PHY_BMSR_REG_ADDR, &status.val);
    if (e) return e;
    eth_link_t link = status.link_status ? ETH_LINK_UP : ETH_LINK_DOWN;
    if (link == phy->link_status) return ESP_OK;
    e = tell_link(phy, link);
    if (!e) phy->link_status = link;
    return e;
}

static esp_err_t init(esp_eth_phy_t *parent)
{
    return esp_eth_phy_802_3_basic_phy_init(esp_eth_phy_into_phy_802_3(parent));
}

esp_eth_phy_t *phy_any(const eth_phy_config_t *config)
{
    phy_802_3_t *phy = calloc(1, sizeof *phy);
    if (!phy || esp_eth_phy_802_3_obj_config_init(phy, config) != ESP_OK) {
        free(phy);
        return NULL;
    }
    phy->parent.init = init;
    phy->parent.get_link = get_link;
    return &phy->parent;
}

#endif
