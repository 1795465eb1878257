/* The channel door's requests through the push door. Part of the door; not for ports. */
#ifndef OTTER_DOORS_PUSH_CHANNEL_H
#define OTTER_DOORS_PUSH_CHANNEL_H

#include "doors/push.h"

struct cJSON;

enum otter_push_ask {
    OTTER_ASK_NONE,
    OTTER_ASK_CHANNELS,
    OTTER_ASK_CHANNEL,
    OTTER_ASK_SELECT,
    OTTER_ASK_CHECK,
    OTTER_ASK_UPDATE,
    OTTER_ASK_CANCEL,
    OTTER_ASK_BOARD,
    OTTER_ASK_SET_BOARD
};

/* x->ask is set. */
enum otter_err otter_push_channel_begin(struct otter_exchange *x, const struct otter_http_head *h);
void otter_push_channel_bytes(struct otter_exchange *x, const void *data, size_t n);
/* OTTER_AGAIN, or how it ended; *json: what is to be replied, to be freed, NULL: no JSON. */
enum otter_err otter_push_channel_end(struct otter_exchange *x, char **json);
/* err in words; x->status: the HTTP status that goes with it here. */
void otter_push_channel_words(struct otter_exchange *x, enum otter_err err, char *words, size_t size);
/* The status' "channel": null where there is no such door, or no channel. */
void otter_push_channel_status(struct cJSON *o, const struct otter_push *p);

#endif
