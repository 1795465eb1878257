/* esp-mqtt behind the doors' table: it connects, and comes back, in a task of its own. */
#include "ports/esp_idf/mqtt.h"

#include <esp_crt_bundle.h>
#include <esp_log.h>
#include <freertos/FreeRTOS.h>
#include <freertos/queue.h>
#include <mqtt_client.h>
#include <stdlib.h>
#include <string.h>

/* HELD: messages that nobody has taken yet. BUFFER: a longer message comes in pieces. */
enum { HELD = 4, BUFFER = 1024, RECONNECT_MS = 3000, QOS = 1 };

static struct {
    struct otter_mqtt port;
    const struct otter_esp_broker *broker;
    const char *ca_pem;
    esp_mqtt_client_handle_t client;
    QueueHandle_t queue;
    struct otter_mqtt_message coming; /* topic NULL: none */
    volatile unsigned connections;
    volatile bool up;
} mqtt;

/* ---- messages, in esp-mqtt's task ---- */

static void begin(const esp_mqtt_event_t *e)
{
    size_t topic = (size_t)e->topic_len, size = (size_t)e->total_data_len;
    struct otter_mqtt_message *m = &mqtt.coming;
    free(m->topic);
    *m = (struct otter_mqtt_message){.retained = e->retain, .too_large = size > OTTER_MQTT_MESSAGE, .size = size};
    if (m->too_large) m->size = 0;
    m->topic = calloc(1, topic + 1 + m->size + 1);
    if (!m->topic) return;
    memcpy(m->topic, e->topic, topic);
    m->text = m->topic + topic + 1;
}

static void take_piece(const esp_mqtt_event_t *e)
{
    struct otter_mqtt_message *m = &mqtt.coming;
    size_t at = (size_t)e->current_data_offset, n = (size_t)e->data_len;
    if (at == 0) begin(e);
    if (!m->topic) return;
    if (!m->too_large && at + n <= m->size) memcpy(m->text + at, e->data, n);
    if (at + n < (size_t)e->total_data_len) return;
    if (xQueueSend(mqtt.queue, m, 0) != pdTRUE) {
        ESP_LOGW("otter", "more messages than are taken; one is dropped");
        free(m->topic);
    }
    m->topic = NULL;
}

static void on_event(void *ctx, esp_event_base_t base, int32_t id, void *data)
{
    (void)ctx;
    (void)base;
    if (id == MQTT_EVENT_CONNECTED) {
        mqtt.connections++;
        mqtt.up = true;
        ESP_LOGI("otter", "the broker is reached");
    }
    if (id == MQTT_EVENT_DISCONNECTED) mqtt.up = false;
    if (id == MQTT_EVENT_DATA) take_piece(data);
}

/* ---- the table ---- */

static bool start(void *ctx, const char *client_id, const char *will_topic, const char *will)
{
    const struct otter_esp_broker *b = mqtt.broker;
    (void)ctx;
    /* esp-mqtt refuses what belongs to TLS where there is none. */
    bool tls = strncmp(b->url, "mqtts:", 6) == 0;
    const esp_mqtt_client_config_t config = {
        .broker.address.uri = b->url,
        .broker.verification.certificate = tls ? mqtt.ca_pem : NULL,
        .broker.verification.crt_bundle_attach = tls && !mqtt.ca_pem ? esp_crt_bundle_attach : NULL,
        .credentials.client_id = client_id,
        .credentials.username = b->user,
        .credentials.authentication.password = b->password,
        .credentials.authentication.certificate = tls ? b->cert_pem : NULL,
        .credentials.authentication.key = tls ? b->key_pem : NULL,
        .session.disable_clean_session = true,
        .session.last_will = {.topic = will_topic, .msg = will, .qos = QOS, .retain = 1},
        .network.reconnect_timeout_ms = RECONNECT_MS,
        .buffer.size = BUFFER,
    };
    mqtt.client = esp_mqtt_client_init(&config);
    return mqtt.client && !esp_mqtt_client_register_event(mqtt.client, MQTT_EVENT_ANY, on_event, NULL) &&
           !esp_mqtt_client_start(mqtt.client);
}

static unsigned connection(void *ctx)
{
    (void)ctx;
    return mqtt.up ? mqtt.connections : 0;
}

static bool subscribe(void *ctx, const char *topic)
{
    (void)ctx;
    return esp_mqtt_client_subscribe_single(mqtt.client, topic, QOS) >= 0;
}

static bool publish(void *ctx, const char *topic, const char *text, bool retain)
{
    (void)ctx;
    return esp_mqtt_client_enqueue(mqtt.client, topic, text, 0, QOS, retain, true) >= 0;
}

static bool next(void *ctx, uint32_t wait_ms, struct otter_mqtt_message *out)
{
    (void)ctx;
    return xQueueReceive(mqtt.queue, out, pdMS_TO_TICKS(wait_ms)) == pdTRUE;
}

const struct otter_mqtt *otter_esp_mqtt(const struct otter_esp_broker *broker, const char *ca_pem)
{
    mqtt.queue = xQueueCreate(HELD, sizeof(struct otter_mqtt_message));
    if (!mqtt.queue) return NULL;
    mqtt.broker = broker;
    mqtt.ca_pem = ca_pem;
    mqtt.port = (struct otter_mqtt){NULL, start, connection, subscribe, publish, next};
    return &mqtt.port;
}
