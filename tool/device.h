/* The virtual ESP32: options, power, and one life between two restarts. */
#ifndef OTTER_TOOL_DEVICE_H
#define OTTER_TOOL_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "doors/channel.h"
#include "doors/job.h"
#include "format/chip.h"
#include "otter/config.h"
#include "ports/posix/lock.h"
#include "ports/posix/mqtt_mosquitto.h"
#include "ports/posix/net_curl.h"
#include "ports/sim/files.h"
#include "ports/sim/nor.h"
#include "ports/sim/scenario.h"

/* A number for the settings, namespace "ota". */
struct device_number {
    char key[16];
    uint32_t value;
};
enum { DEVICE_NUMBERS = 8 };

struct device_options {
    const char *board, *ca;
    struct mqtt_config mqtt; /* url NULL: none */
    const char *topic;       /* of jobs; NULL: the usual one */
    struct device_number numbers[DEVICE_NUMBERS];
    unsigned number_count;
    const char *flash_path, *image_path, *table, *http, *scenario_path, *user, *token, *id;
    const char *hosts[3];
    uint8_t keys[OTTER_CFG_KEYS][32]; /* trusted ones; if there are any, images must be signed */
    unsigned key_count;
    const struct otter_chip_info *chip;
    uint16_t chip_revision, efuse_revision;
    uint32_t flash_size;
    bool real_time, no_rollback;
    struct sim_cut cut;
    struct sim_scenario scenario;
};

/* What outlives a restart: the flash, and a page that the power supply shares with the device's lives. */
struct device_shared {
    uint32_t boot_id; /* other after each restart, and after the device was switched off */
    uint32_t lives;
    bool panicked; /* the last life ended in a panic */
};

/* How a life ends: the exit status of its process. */
enum device_end { DEVICE_RESTARTED = 40, DEVICE_PANICKED = 41, DEVICE_LOST_POWER = 42, DEVICE_CANNOT_BOOT = 43 };

struct device_power {
    const struct device_options *options;
    struct device_shared *shared;
    uint8_t *flash; /* mapped file */
    int listen_fd;  /* bound; listens only while a life serves */
    char url[64];
};

/* Maps the flash file, made anew from table and image if it does not exist; NULL (said on stderr) if that fails. The
 * file stays locked until the process ends. */
uint8_t *device_flash_open(const struct device_options *o);

/* The device's files: in the table's partition for them, or in what an elastic flash leaves. */
struct device_files {
    struct sim_files files;
    struct otter_data data;
    const struct otter_flash *flash;
    bool elastic;
};

/* Elastic: who keeps files, for the engine, which says where; NULL if this build has no file system. */
const struct otter_data *device_files_elastic(struct device_files *f, const struct otter_flash *flash);
/* What the door serves; opens the table's partition where slots are fixed. NULL: nothing. */
const struct otter_files *device_files_open(struct device_files *f, const struct device_power *p,
                                            const struct otter_flash *flash);

/* The channel door and what it needs. */
struct device_channel {
    struct otter_channel channel;
    struct posix_lock lock;
    struct net_curl net;
    struct posix_worker worker;
};

/* NULL if memory is out. */
struct otter_channel *device_channel_open(struct device_channel *c, const struct device_options *o,
                                          struct otter_update *u);
/* From here on the lock counts. */
bool device_channel_start(struct device_channel *c);

/* The job door and what it needs. */
struct device_job {
    struct otter_job job;
    struct net_curl net;
    struct mqtt_mosquitto mqtt;
    struct posix_worker worker;
    const bool *dead;
    bool wanted;
};

/* 0, or an exit status (said on stderr). */
int device_job_check(const struct device_options *o);
/* After the channel door. dead: power is gone, and no step does anything any more. False: memory is out, or files
 * cannot be read (said). */
bool device_job_open(struct device_job *j, const struct device_options *o, struct otter_update *u,
                     const struct device_channel *c, const bool *dead);
bool device_job_start(struct device_job *j);

/* From boot loader to restart, in a process of its own. Returns an enum device_end. */
int device_live(struct device_power *p);

#endif
