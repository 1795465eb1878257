/* The device opens an access point of its own. Join it, go to http://192.168.4.1/, choose a .bin: the device takes it,
 * checks it and restarts into it; if the new firmware does not work, it goes back. */
#include <esp_err.h>
#include <otter_esp.h>

void app_main(void)
{
    ESP_ERROR_CHECK(otter_esp_access_point("ESP32 OTA Update", NULL));
    ESP_ERROR_CHECK(otter_start(NULL));
}
