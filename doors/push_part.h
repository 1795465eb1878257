/* What takes a request's body, and what such parts share. Parts of the door; not for ports. */
#ifndef OTTER_DOORS_PUSH_PART_H
#define OTTER_DOORS_PUSH_PART_H

#include "doors/push.h"

struct otter_push_part {
    /* Judges the head. OTTER_OK: the exchange is this part's until done(). */
    enum otter_err (*head)(struct otter_exchange *x, const struct otter_http_head *h);
    enum otter_err (*body)(struct otter_exchange *x, const void *data, size_t n);
    /* All of the body has come: one step a call while it returns OTTER_AGAIN. */
    enum otter_err (*end)(struct otter_exchange *x);
    /* It is over; gives up what has not ended. */
    void (*done)(struct otter_exchange *x);
    const char *result; /* Otter-Result of success; NULL: none */
    bool restarts;      /* after success */
};

/* Files: what is asked for by name, or all of them, besides. */
struct otter_push_files {
    struct otter_push_part part;
    bool (*name)(const char *escaped, char name[OTTER_FILE_NAME + 1]);
    const char *(*state)(enum otter_files_state state);
    enum otter_err (*find)(struct otter_exchange *x);
    enum otter_err (*remove)(struct otter_exchange *x);
    bool (*read)(struct otter_exchange *x, uint64_t off, void *dst, size_t n);
    char *(*list)(struct otter_push *p);
    /* The error's sentence, with numbers where there are any. */
    void (*words)(const struct otter_exchange *x, enum otter_err err, char *words, size_t size);
};

/* Channels. */
struct cJSON;
struct otter_push_channel {
    struct otter_push_part part;
    /* The error in words; returns the HTTP status that goes with it here. */
    int (*words)(const struct otter_exchange *x, enum otter_err err, char *words, size_t size);
    /* The status' "channel". */
    void (*status)(struct cJSON *o, const struct otter_push *p);
};

/* Uploads from a form: its parser, and the reply as a page in x->text. */
struct otter_push_forms {
    /* False: it is no form. x->multipart is NULL then, or if memory is out. */
    bool (*start)(struct otter_exchange *x, const char *content_type);
    enum otter_err (*feed)(struct otter_multipart *m, const void *data, size_t n);
    enum otter_err (*end)(struct otter_multipart *m);
    void (*page)(struct otter_exchange *x, const char *title, const char *words);
};

extern const struct otter_push_part otter_push_upload_part;

static inline const char *otter_push_header(const struct otter_http_head *h, const char *name)
{
    return h->header(h->ctx, name);
}

/* "bytes FIRST-LAST/SIZE": the rest of a file whose beginning the device has. It is the whole rest. Without it *first
 * and *size stay. */
bool otter_push_range(const char *text, const struct otter_http_head *h, uint32_t *first, uint32_t *size);

#endif
