/* An MQTT client over libmosquitto: TLS against the system's certificates or a file, user and password, a client
 * certificate. Connects in a thread of its own, and anew after pauses that grow. */
#ifndef OTTER_PORTS_POSIX_MQTT_MOSQUITTO_H
#define OTTER_PORTS_POSIX_MQTT_MOSQUITTO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "doors/mqtt.h"

enum { MQTT_HELD = 32 /* messages that nobody has taken yet, of a device */, MQTT_HOST = 255 };

struct mqtt_place {
    char host[MQTT_HOST + 1];
    uint16_t port;
    bool tls;
};
/* "mqtt://HOST[:PORT]" or "mqtts://HOST[:PORT]". False: it is neither, or names a user. */
bool mqtt_place_read(const char *url, struct mqtt_place *out);

struct mqtt_config {
    const char *url;
    const char *user;            /* "NAME:PASSWORD", or a name alone; NULL: none */
    const char *ca, *cert, *key; /* PEM files; NULL: the system's certificates; none of one's own */
    const bool *silent;          /* once that is true nothing is sent any more; NULL */
    bool passing;                /* nothing is to be kept for this client while it is away; else it is a device */
    /* Connections made, lost and refused, in words; NULL. Called by the port's thread. */
    void (*say)(void *ctx, char level, const char *text);
    void *ctx;
};

struct mqtt_held {
    struct otter_mqtt_message message;
    struct mqtt_held *next;
};

struct mqtt_mosquitto {
    struct otter_mqtt port;
    struct mqtt_config config;
    struct mqtt_place place;
    struct mosquitto *client;
    pthread_mutex_t mutex;
    pthread_cond_t news;
    struct mqtt_held *first, **end; /* end: where the next one is hung */
    unsigned count;
    unsigned connections;
    unsigned sent; /* publishes that the broker has not acknowledged yet */
    bool up;
};

/* config is copied, its strings must stay. False: the URL or the files are no good (said), or memory is out. */
bool mqtt_mosquitto_init(struct mqtt_mosquitto *m, const struct mqtt_config *config);
/* Waits until the broker has acknowledged everything, at most so long; then the connection is closed in order. */
void mqtt_mosquitto_stop(struct mqtt_mosquitto *m, uint32_t most_ms);

#endif
