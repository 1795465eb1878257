/* The job door: updates that an MQTT message asks for. docs/SPEC.md, section 5.8.
 *
 * otter_job_step() runs in a task of its own, without the lock; all else is called before that task begins, or with the
 * lock held. */
#ifndef OTTER_DOORS_JOB_H
#define OTTER_DOORS_JOB_H

#include "doors/fetch.h"
#include "doors/job_message.h"
#include "doors/job_store.h"
#include "doors/mqtt.h"

enum {
    OTTER_JOB_IDLE_MS = 250,  /* how long a step waits for a message at most */
    OTTER_JOB_TELL_MS = 1000, /* between two reports of progress at least */
    OTTER_JOB_ASK_MS = 30000, /* between two requests for the same fresh URL */
    OTTER_JOB_STARTS = 8      /* so many starts a job that power cut is gone on with */
};

struct otter_job_config {
    const struct otter_mqtt *mqtt;
    const struct otter_net *net;
    const struct otter_lock *lock;
    struct otter_fetch_policy policy;
    const char *topic; /* template of the update topic; NULL: OTTER_JOB_TEMPLATE */
};

struct otter_job {
    struct otter_update *update;
    struct otter_job_config config;
    struct otter_fetch fetch;
    char topic[OTTER_JOB_TOPICS][OTTER_MQTT_TOPIC + 1];
    struct otter_job_kept kept;
    enum otter_job_state state;
    bool current;                   /* confirmed without an update, as it ran already */
    bool has_next;                  /* a job came when it could not begin, and is written down */
    char words[OTTER_UPDATE_WORDS]; /* what kept.err means here */
    unsigned connection;            /* the one on which we subscribed; 0: none */
    uint32_t told, asked;           /* ms: last report of progress, last request */
    unsigned tries;                 /* of the fetch, when its state was last looked at */
    uint32_t wait_ms;
};

/* After otter_open(), and not where that has left a restart to do. False: the topic cannot be made of template and
 * device id, or the port cannot start. u and what config points to must outlive j. */
bool otter_job_init(struct otter_job *j, struct otter_update *u, const struct otter_job_config *config);
/* Does one thing; for how many milliseconds its task may sleep. */
uint32_t otter_job_step(struct otter_job *j);

/* "online", "received", "downloading", "url_expired", "verifying", "restarting", "confirmed", "rolled_back", "failed"
 */
const char *otter_job_state_name(enum otter_job_state state);

/* ---- part of the door ---- */

/* What a status message says. */
struct otter_job_report {
    const char *state, *id, *version;
    enum otter_err err; /* OTTER_OK: none */
    const char *words;  /* NULL: the error's sentence */
    const char *why;    /* of a roll back; NULL */
    bool repeated, current;
    bool counted; /* bytes and size count */
    uint32_t bytes, size;
};
/* JSON on the heap; NULL: out of memory. */
char *otter_job_print(const struct otter_job *j, const struct otter_job_report *r);
/* What is asked for where a URL has expired. */
char *otter_job_print_request(const struct otter_job *j, uint32_t bytes);

#endif
