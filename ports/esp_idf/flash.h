/* Clones of the flash chip's object, with a guard of their own. For this port's files. */
#ifndef OTTER_PORTS_ESP_IDF_FLASH_H
#define OTTER_PORTS_ESP_IDF_FLASH_H

#include <esp_flash.h>
/* In later versions of ESP-IDF the object's members are declared apart. */
#if __has_include(<esp_flash_chips/esp_flash_types.h>)
#include <esp_flash_chips/esp_flash_types.h>
#endif

struct otter_esp_clone {
    esp_flash_t chip;
    esp_flash_os_functions_t hooks;
};

typedef esp_err_t (*otter_esp_guard)(void *arg, size_t start, size_t size);

/* Locks and cache handling stay the original's. guard is asked before each write and erase; what it refuses ESP-IDF
 * takes for a fault of the program and aborts, unless configured otherwise. */
void otter_esp_clone(struct otter_esp_clone *c, otter_esp_guard guard);

#endif
