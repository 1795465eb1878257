/* HTTP GETs over esp_http_client. For this port's files. */
#ifndef OTTER_PORTS_ESP_IDF_NET_H
#define OTTER_PORTS_ESP_IDF_NET_H

#include "doors/net.h"

/* ca_pem: trusted instead of ESP-IDF's certificate bundle; NULL. It must stay. A client of its own for each call,
 * with one request at a time, for one task; NULL: out of memory. */
const struct otter_net *otter_esp_net(const char *ca_pem);

#endif
