/* Otter on the chip, over ESP-IDF v5.1 to v6.x.
 *
 * otter_start() is the common case in one call. Its parts can be used alone: the port tables below, and the engine
 * (otter/otter.h) and the doors over them. The engine is for one caller at a time: whoever calls it beside
 * otter_start()'s own task holds otter_esp_lock(). */
#ifndef OTTER_ESP_H
#define OTTER_ESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <esp_err.h>
#include <sdkconfig.h>
#include "otter/otter.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- one call ---- */

/* Whoever keeps files in the data region of an elastic flash. The partition is there, by label, when mount is called,
 * and goes after unmount. Called under the lock; must not call Otter. */
struct otter_esp_files {
    void *ctx;
    /* Mounts the partition of that label. anew: nothing of what was there counts, so format it. False: it could not. */
    bool (*mount)(void *ctx, const char *label, bool anew);
    /* False: files are open, try later; an update that needs the region is refused meanwhile. */
    bool (*unmount)(void *ctx);
    /* Is there anything that would be missed? NULL: always. */
    bool (*holds)(void *ctx);
};

/* An MQTT broker that brings jobs; what is NULL is not there. */
struct otter_esp_broker {
    const char *url; /* mqtt://HOST:PORT or mqtts://HOST:PORT */
    const char *user, *password;
    const char *cert_pem, *key_pem; /* a client certificate */
    const char *topic;              /* template of the update topic, with {id} in it; NULL: docs/SPEC.md, 5.8 */
};

struct otter_start_config {
    const char *login;    /* "name:password" that requests must bring; NULL: CONFIG_OTTER_LOGIN, empty: none */
    const char *token;    /* or this bearer token; NULL: none */
    const char *hosts[3]; /* names that Host may be beside address literals, e.g. "device.local"; NULL ends the list */
    void *server;         /* httpd_handle_t whose uri_match_fn is httpd_uri_match_wildcard; NULL: an own one */
    uint16_t port;        /* of the own one; 0: 80 */
    bool no_page;         /* leave "/" and "/index.html" to the app */
    const struct otter_health_policy *policy; /* NULL: Otter's */
    const uint8_t (*keys)[32];                /* SHA-256 of keys that images must be signed with, as in eFuse */
    unsigned key_count;
    /* Where releases are looked for, until the settings say otherwise; .name NULL ends the list. CONFIG_OTTER_CHANNEL
     */
    struct {
        const char *name, *path;
    } channels[3];
    struct otter_esp_broker broker; /* CONFIG_OTTER_JOB */
    const char *ca_pem;             /* trusted by channels and jobs instead of ESP-IDF's certificate bundle; NULL */
    const struct otter_esp_files *files; /* elastic flash; NULL: CONFIG_OTTER_DATA_FS's. All of it is copied */
};

/* Opens NVS and the network stack if the app has not, the device, its doors, and has the HTTP server's task (without
 * the push door one of its own) watch over the trial of new firmware. config NULL: defaults. Strings of config must
 * stay. ESP_ERR_INVALID_STATE: called before; else what could not be had. After an error of the engine (said on the
 * console) the status can still be read. */
esp_err_t otter_start(const struct otter_start_config *config);

/* The app's own check of itself, for a policy that asks for it. */
void otter_esp_app_works(bool works);
/* The network is reached: for networks other than Wi-Fi and Ethernet, whose events otter_start() listens to. */
void otter_esp_network_reached(void);

struct otter_device *otter_esp_device(void); /* NULL before otter_start(); use it under the lock */
void otter_esp_lock(void);
void otter_esp_unlock(void);

/* Access point with address 192.168.4.1; an empty or NULL password: open. Station: joins, and joins again when lost.
 * Both may be called; either starts Wi-Fi. Needs CONFIG_OTTER_WIFI. */
esp_err_t otter_esp_access_point(const char *ssid, const char *password);
esp_err_t otter_esp_station(const char *ssid, const char *password);

/* ---- the parts ---- */

/* The flash that the app runs from, past ESP-IDF's guard for the first matching table row, which names the wrong
 * partition where slots overlap; guarded instead are boot loader, table (unless CONFIG_OTTER_MIGRATE) and the image
 * that runs. With flash encryption what is read and written is decrypted and encrypted, through ESP-IDF's guard. */
esp_err_t otter_esp_flash(struct otter_flash *out);
/* Chip, revisions, secure version; reboot() needs otter_start()'s task or otter_esp_restart_due(). */
esp_err_t otter_esp_chip(struct otter_chip *out);
/* Is a restart asked for, and its time come? */
bool otter_esp_restart_due(void);
extern const struct otter_clock otter_esp_clock;
/* Over nvs_*() of the default partition, which nvs_flash_init() has opened. */
extern const struct otter_settings otter_esp_settings;
/* Hands the data region to files as a partition called label, on a clone of the flash chip that can reach nothing
 * else. files, label and what they point to must stay. */
const struct otter_data *otter_esp_data(const struct otter_esp_files *files, const char *label, uint8_t subtype);
/* By CONFIG_OTTER_DATA_FS, mounted at CONFIG_OTTER_DATA_PATH. */
extern const struct otter_esp_files otter_esp_files;

#ifdef __cplusplus
}
#endif

#endif
