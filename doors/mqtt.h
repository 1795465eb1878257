/* An MQTT client: what a port brings (libmosquitto on Linux, esp-mqtt on the chip).
 *
 * The port keeps the connection: it comes back by itself, after pauses that grow, and under the same client id with
 * clean_session off, so that the broker keeps what was sent meanwhile. All is QoS 1. Nothing here waits for the network
 * but next(). */
#ifndef OTTER_DOORS_MQTT_H
#define OTTER_DOORS_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OTTER_MQTT_TOPIC = 191 /* characters */, OTTER_MQTT_MESSAGE = 8192 /* bytes */ };

struct otter_mqtt_message {
    char *topic; /* on the heap with text, to be freed */
    char *text;  /* ended by a NUL that size does not count */
    size_t size;
    bool retained;  /* kept by the broker from before */
    bool too_large; /* had more than OTTER_MQTT_MESSAGE bytes, which are gone */
};

struct otter_mqtt {
    void *ctx;
    /* Begins to connect; the will is retained. What it is given is copied. */
    bool (*start)(void *ctx, const char *client_id, const char *will_topic, const char *will);
    /* How often a connection has been made so far, if there is one now; else 0. */
    unsigned (*connection)(void *ctx);
    bool (*subscribe)(void *ctx, const char *topic);
    bool (*publish)(void *ctx, const char *topic, const char *text, bool retain);
    /* Waits for a message, at most so long. False: none came. */
    bool (*next)(void *ctx, uint32_t wait_ms, struct otter_mqtt_message *out);
};

#endif
