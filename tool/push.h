/* otter push: one push, and what its parts share. */
#ifndef OTTER_TOOL_PUSH_H
#define OTTER_TOOL_PUSH_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "format/image.h"
#include "tool/push_status.h"

enum { PUSH_CONNECT_S = 10, PUSH_POLL_MS = 250, PUSH_RETRIES = 5, PUSH_BROKEN = -1 };

struct push {
    const char *image_path, *data_path, *url, *user, *token;
    uint64_t timeout_s;
    bool no_wait, json, quiet, bar, data_loss;
    uint8_t *image, *data;
    size_t size, data_size;
    struct otter_image_check check;
    char sha256[65], data_sha256[65];
    bool came_back;            /* it has restarted since the update */
    size_t from;               /* first byte to send: the device has what is before */
    struct push_status before; /* the device before the update */
    struct push_status now;    /* and when it was last seen */
};

/* What is kept of a reply, to be freed. */
struct push_text {
    char *data;
    size_t size;
};
size_t push_keep_text(char *data, size_t size, size_t n, void *ctx);

/* A request to a path of the device; what comes goes to sink. NULL: out of memory. */
CURL *push_request(const struct push *p, const char *path, size_t (*sink)(char *, size_t, size_t, void *), void *ctx);
/* p->now: what the device says. *http: HTTP status, 0 without an answer. False if it said nothing of use. */
bool push_get_status(struct push *p, long *http);
/* Says a refusal in the device's words; returns the exit status. */
int push_refused(const struct push *p, const struct push_text *reply, long http);
void push_pause(void);
double push_seconds_since(const struct timespec *start);

/* ---- the data image (push_data.c) ---- */

/* Reads it. 0, or an exit status (said on stderr). */
int push_data_read(struct push *p);
/* Does the device wait for this very image? */
bool push_data_wanted(const struct push *p);
/* Sends it, goes on after broken connections and restarts, until the device has it. 0, or an exit status. */
int push_data_deliver(struct push *p);

#endif
