/* A LED that blinks, and updates itself: change BLINK_MS in menuconfig, build with -DPROJECT_VER=1.1.0, join the access
 * point "Blink", and give the new .bin to http://192.168.4.1/. */
#include <driver/gpio.h>
#include <esp_err.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include <otter_esp.h>

void app_main(void)
{
    ESP_ERROR_CHECK(otter_esp_access_point("Blink", NULL));
    ESP_ERROR_CHECK(otter_start(NULL));
    gpio_reset_pin(CONFIG_BLINK_GPIO);
    gpio_set_direction(CONFIG_BLINK_GPIO, GPIO_MODE_OUTPUT);
    for (int on = 0;; on = !on) {
        gpio_set_level(CONFIG_BLINK_GPIO, on);
        vTaskDelay(pdMS_TO_TICKS(CONFIG_BLINK_MS));
    }
}
