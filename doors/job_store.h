/* What of jobs outlives a restart: the last one with its URL, how the ones before ended, and one that has not begun.
 * Namespace "job" of the settings: blobs "last", "url", "done" and "next". Part of the door; not for ports. */
#ifndef OTTER_DOORS_JOB_STORE_H
#define OTTER_DOORS_JOB_STORE_H

#include "doors/job_message.h"
#include "otter/otter.h"

enum otter_job_state {
    OTTER_JOB_ONLINE, /* there has been no job */
    OTTER_JOB_RECEIVED,
    OTTER_JOB_DOWNLOADING,
    OTTER_JOB_URL_EXPIRED, /* waits for a fresh one */
    OTTER_JOB_VERIFYING,
    OTTER_JOB_RESTARTING, /* switched; or the new firmware runs on trial */
    OTTER_JOB_CONFIRMED,
    OTTER_JOB_ROLLED_BACK,
    OTTER_JOB_FAILED
};

enum { OTTER_JOB_KEY = 8, OTTER_JOB_DONE = 8 /* jobs that are remembered */ };

/* The last job. As it lies in the settings; zeros are what is not there. */
struct otter_job_kept {
    uint8_t form;   /* of this struct */
    uint8_t state;  /* RECEIVED while it is under way, RESTARTING, or how it ended */
    uint8_t starts; /* of the device, since it is under way */
    int8_t from;    /* slot that ran when it came */
    uint32_t size;
    int32_t err;
    uint8_t key[OTTER_JOB_KEY];
    uint8_t has_sha256, sha256[32];
    uint8_t runs[32]; /* once confirmed: the running image's own digest */
    char id[OTTER_JOB_ID + 1], version[OTTER_JOB_VERSION + 1], why[OTTER_WHY];
};

struct otter_job_done {
    uint8_t key[OTTER_JOB_KEY];
    uint8_t state, unused[3];
    int32_t err;
};

/* By what a job is known again: its id, else the SHA-256 of its file, else its URL. False: the crypto driver failed. */
bool otter_job_key(const struct otter_device *d, const struct otter_job_order *o, uint8_t key[OTTER_JOB_KEY]);

void otter_job_load(const struct otter_device *d, struct otter_job_kept *k);
bool otter_job_save(const struct otter_device *d, const struct otter_job_kept *k);
/* The URL of the job that is under way; NULL forgets it. One that does not fit is forgotten, too. */
void otter_job_save_url(const struct otter_device *d, const char *url);
/* On the heap; NULL: none is kept. */
char *otter_job_load_url(const struct otter_device *d);
/* The message of a job that could not begin yet; NULL forgets it. False: it has no room. */
bool otter_job_save_next(const struct otter_device *d, const char *text);
/* On the heap; NULL: there is none. */
char *otter_job_load_next(const struct otter_device *d);
/* How the job with this key ended; false: none such is remembered. */
bool otter_job_find_done(const struct otter_device *d, const uint8_t key[OTTER_JOB_KEY], struct otter_job_done *out);
void otter_job_add_done(const struct otter_device *d, const struct otter_job_kept *k);

#endif
