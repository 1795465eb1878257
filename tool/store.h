/* Where a channel's files lie: a folder, a prefix of an S3 bucket, or (to be read only) behind a URL. Paths are
 * relative to the channel's own folder; behind a URL they may be what a URL's end may be. */
#ifndef OTTER_TOOL_STORE_H
#define OTTER_TOOL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/err.h"
#include "tool/aws.h"
#include "tool/web.h"

/* What is asked of caches between the server and its readers. */
enum store_kind { STORE_FOR_EVER, STORE_CHANGES };

struct store;

struct store_ops {
    enum otter_err (*get)(struct store *s, const char *path, uint8_t **data, size_t *size);
    enum otter_err (*put)(struct store *s, const char *path, const void *data, size_t size, enum store_kind kind);
    enum otter_err (*remove)(struct store *s, const char *path); /* one that is not there is as good */
    void (*close)(struct store *s);
};

struct store {
    const struct store_ops *ops;
    const struct web_progress *progress; /* NULL: nobody looks */
    char *place;                         /* the channel's folder, as it was given; without slash at its end */
    char *end;                           /* behind a URL: what the last file came from, after redirects */
    bool hopeless; /* something failed that will fail for each file: server, bucket, credentials */
    char why[768]; /* the last failure in words, with the place and the remedy */
    /* of a bucket */
    struct aws aws;
    char *uri, *bucket, *prefix;
    /* of a folder */
    int lock; /* -1: not locked */
};

/* CHANNEL of TARGET; channel NULL: TARGET itself is the channel. 0, or an exit status (said on stderr). */
int store_open(struct store *s, const char *target, const char *channel, const struct aws_wish *wish);
void store_close(struct store *s);
bool store_can_write(const struct store *s);
/* By its name: what is read as text, and may change. */
bool store_is_json(const char *path);
/* Makes the bucket, if it is one and is not there. */
enum otter_err store_make_bucket(struct store *s);

/* Waits until nobody else who asks for it changes the folder, and keeps them waiting until s is closed; of others than
 * folders nothing is known. make: the folder, if it is not there. */
enum otter_err store_lock(struct store *s, bool make);

/* These leave words in s->why. OTTER_NOT_FOUND: there is no such file. data is to be freed; a zero that size does not
 * count ends it. */
enum otter_err store_get(struct store *s, const char *path, uint8_t **data, size_t *size);
enum otter_err store_put(struct store *s, const char *path, const void *data, size_t size, enum store_kind kind);
enum otter_err store_remove(struct store *s, const char *path);
/* Says s->why on stderr; returns the exit status. */
int store_fail(const struct store *s, enum otter_err err);
enum otter_err store_because(struct store *s, enum otter_err err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- for the kinds of stores ---- */

extern const struct store_ops store_folder_ops, store_s3_ops, store_web_ops;
int store_s3_open(struct store *s, const struct aws_wish *wish);
/* The error that belongs to a reply without success; words from what came. */
enum otter_err store_http_failed(struct store *s, const char *path, const struct web_reply *r);

#endif
