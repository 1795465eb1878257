/* What goes over a device's topics: jobs as they come, and the topics themselves. docs/SPEC.md, section 5.8. */
#ifndef OTTER_DOORS_JOB_MESSAGE_H
#define OTTER_DOORS_JOB_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doors/mqtt.h"
#include "otter/err.h"

#define OTTER_JOB_TEMPLATE "otter/{id}/update"

enum { OTTER_JOB_ID = 64 /* bytes */, OTTER_JOB_VERSION = 31 };

struct otter_job_order {
    char *url;                           /* on the heap */
    char id[OTTER_JOB_ID + 1];           /* empty: none */
    char version[OTTER_JOB_VERSION + 1]; /* empty: not announced */
    uint32_t size;                       /* 0: not announced */
    bool has_sha256;
    uint8_t sha256[32];
};

/* OTTER_OK: *out is to be given to otter_job_order_free(). OTTER_JOB with *why, OTTER_URL, OTTER_MEMORY; the id may be
 * known even then. */
enum otter_err otter_job_read(const char *text, size_t size, struct otter_job_order *out, const char **why);
void otter_job_order_free(struct otter_job_order *o);

enum otter_job_topic { OTTER_JOB_UPDATE, OTTER_JOB_STATUS, OTTER_JOB_REQUEST, OTTER_JOB_TOPICS };
/* The topic of the device `id`, by a template like "otter/{id}/update"; the other two end in status and request instead
 * of update, or have that behind them. False: the template has no {id}, a wildcard, or is too long, or the id is none
 * that a topic can have. */
bool otter_job_topic(const char *template, const char *id, enum otter_job_topic which, char out[OTTER_MQTT_TOPIC + 1]);

#endif
