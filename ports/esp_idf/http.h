/* The push door on esp_http_server. For this port's files. */
#ifndef OTTER_PORTS_ESP_IDF_HTTP_H
#define OTTER_PORTS_ESP_IDF_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include <esp_err.h>
#include "doors/push.h"

/* Registers the door's paths on server (an httpd_handle_t, matching wildcards), or on an own one at port if it is NULL.
 */
esp_err_t otter_esp_http_start(struct otter_push *push, void *server, uint16_t port, bool page);
/* Has the server's task call turn() every TURN_MS, also while an upload holds it: so that no task of our own is needed.
 * False: there is no timer for it. */
bool otter_esp_http_watch(void (*turn)(void));

#endif
