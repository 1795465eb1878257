/* An MQTT client over esp-mqtt. For this port's files. */
#ifndef OTTER_PORTS_ESP_IDF_MQTT_H
#define OTTER_PORTS_ESP_IDF_MQTT_H

#include "doors/mqtt.h"
#include "ports/esp_idf/include/otter_esp.h"

/* config's strings must stay. Once. NULL: out of memory. */
const struct otter_mqtt *otter_esp_mqtt(const struct otter_esp_broker *broker, const char *ca_pem);

#endif
