/* otter job send: an image behind a presigned URL, told to devices over MQTT, and followed until they run it. */
#ifndef OTTER_TOOL_JOB_H
#define OTTER_TOOL_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "doors/job_message.h"
#include "ports/posix/mqtt_mosquitto.h"
#include "tool/json.h"
#include "tool/store.h"

/* What is to be fetched. */
struct job_source {
    struct store store; /* holds bucket and credentials */
    char *key;          /* of the object */
    char version[OTTER_JOB_VERSION + 1];
    uint32_t size;
    char sha256[65];
};

struct job_device {
    const char *id;
    char name[OTTER_MQTT_TOPIC + 1]; /* the id, printable */
    char topic[OTTER_JOB_TOPICS][OTTER_MQTT_TOPIC + 1];
    char state[16], running[40], error[40], words[300]; /* printable; empty: not known */
    unsigned lost, urls;                                /* how often it had lost the job, and got a fresh URL */
    int percent;
    uint64_t due;     /* ms: when the job is sent again; 0: not for now */
    bool heard, over; /* it has said something of this job; that was its last word */
    bool other;       /* confirmed long ago: it runs another version now */
    bool busy;        /* it could not take the job, but will */
};

struct job {
    /* as asked for */
    const char *what, *bucket, *template, *job_id;
    struct aws_wish wish;
    struct mqtt_config mqtt;
    uint64_t expires, timeout; /* seconds */
    bool create_bucket, all, json, quiet;
    /* what became of it */
    char id[OTTER_JOB_ID + 1];
    enum otter_err err; /* for which it could not even be followed; OTTER_OK: none, or it has no number */
    struct job_source source;
    struct mqtt_mosquitto broker;
    struct job_device *device;
    unsigned count;
    unsigned connection; /* the one on which we subscribed; 0: none */
    bool reconnected;
};

/* These return 0, or an exit status (said on stderr). */

/* Uploads the image, or reads the object; both are judged as devices would. */
int job_source_open(struct job *j);
void job_source_close(struct job *j);
/* A fresh URL; to be freed. */
int job_source_url(struct job *j, char **url);

int job_add_device(struct job *j, const char *id);
int job_connect(struct job *j);
/* All devices that have told the broker their state. */
int job_find_all(struct job *j);
/* Sends, follows and answers until all devices are through or time is up. */
int job_follow(struct job *j);

#endif
