/* The port contract on the chip: erases and writes two blocks of ota_1, which must be spare. */
#include <esp_log.h>
#include <nvs_flash.h>
#include <otter_esp.h>
#include <stdio.h>

#include "ports/psa/crypto.h"
#include "tests/port_contract.h"

enum { SPARE = 0x200000 }; /* ota_1 of partitions.csv */

static int failed;

static void holds(const char *what, const char *broken)
{
    printf("contract: %s: %s\n", what, broken ? broken : "holds");
    failed += broken != NULL;
}

void app_main(void)
{
    struct otter_flash flash;
    ESP_ERROR_CHECK(nvs_flash_init());
    ESP_ERROR_CHECK(otter_esp_flash(&flash));
    ESP_ERROR_CHECK(otter_crypto_psa_start());
    holds("flash", port_contract_flash(&flash, SPARE));
    holds("crypto", port_contract_crypto(&otter_crypto_psa));
    holds("signatures", port_contract_signatures(&otter_crypto_psa));
    holds("settings", port_contract_settings(&otter_esp_settings));
    holds("clock", port_contract_clock(&otter_esp_clock));
    printf("contract: %d of 5 failed\n", failed);
}
