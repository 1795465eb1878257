/* The push door: firmware by HTTP upload, status, events, confirm, roll back, restart, files, and the page.
 *
 * A machine without a server: a port's HTTP server hands it a request's head, then the body piece by piece, then its
 * end, and sends the reply it finds in the exchange. It never waits; finishing takes several calls. One thread. */
#ifndef OTTER_DOORS_PUSH_H
#define OTTER_DOORS_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doors/access.h"
#include "doors/files.h"
#include "doors/multipart.h"
#include "doors/update.h"
#include "otter/data.h"
#include "otter/otter.h"

enum {
    OTTER_RESTART_MS = 1000,              /* from the reply to the restart */
    OTTER_DRAIN_BYTES = 16 * 1024 * 1024, /* so much of a refused body is read, that the reply be read, too */
    OTTER_DRAIN_MS = 10000
};

/* Parts of the door that a device names if it is to have them: plain forms, files, channels, the data image of an
 * elastic flash, and the change to elastic slots. */
typedef bool otter_push_data_waits(struct otter_device *d, struct otter_data_wait *out);
struct otter_push_part;
struct otter_push_files;
struct otter_push_forms;
extern const struct otter_push_forms otter_push_forms;
extern const struct otter_push_files otter_push_files;
struct otter_channel;
struct otter_push_channel;
extern const struct otter_push_channel otter_push_channel;
extern const struct otter_push_part otter_push_data_part, otter_push_migrate_part;

struct otter_push_config {
    struct otter_access access;
    const uint8_t *page; /* gzip'd HTML */
    size_t page_size;
    const struct otter_files *files;               /* NULL: none */
    const struct otter_push_files *files_part;     /* &otter_push_files with files, else NULL */
    struct otter_channel *channel;                 /* doors/channel.h; NULL: none */
    const struct otter_push_channel *channel_part; /* &otter_push_channel with channel, else NULL */
    const struct otter_push_forms *forms;          /* &otter_push_forms; NULL: a form is taken for a bad image */
    const struct otter_push_part *data, *migrate;  /* NULL: none */
    /* With data: otter_data_waits() and otter_data_forgo(). */
    otter_push_data_waits *data_waits;
    enum otter_err (*data_forgo)(struct otter_device *d);
    uint32_t boot_id; /* differs at each start, so that a client sees the restart */
};

struct otter_push {
    struct otter_device *device;
    struct otter_update *update;
    struct otter_push_config config;
    struct otter_exchange *owner;      /* whose upload it is */
    struct otter_exchange *storer;     /* who stores a file */
    struct otter_data_session *data;   /* on the heap while there is one; NULL */
    struct otter_exchange *data_owner; /* whose data image it is */
};

/* A request's head, as the port's server has it; strings live as long as the head call. */
struct otter_http_head {
    const char *method, *path; /* path without query */
    bool has_length;
    uint64_t length; /* of the body */
    bool chunked;
    bool boundless; /* its body ends only with the connection, so that no reply could follow it */
    void *ctx;
    const char *(*header)(void *ctx, const char *name); /* NULL: there is none */
};

enum otter_push_next {
    OTTER_PUSH_REPLY, /* the reply is in the exchange; the body, if one comes, is not wanted */
    OTTER_PUSH_BODY,  /* hand over the body, then call otter_push_end() until it is done */
    OTTER_PUSH_STREAM /* reply with status and type, then send what otter_push_stream() gives, without end */
};

/* One request and its reply: the server's memory. */
struct otter_exchange {
    struct otter_push *push;
    unsigned route;                     /* index of the route, for the door itself */
    const struct otter_push_part *part; /* takes the body; NULL */
    bool form, json;                    /* the upload is a form; errors are wanted as JSON */
    bool accepts_window;                /* in which a partition table is rewritten */
    const char *why;                    /* what stands against it: static text, or NULL */
    bool removes;                       /* a file, or all, are to go */
    char name[OTTER_FILE_NAME + 1];     /* of the file; empty: all */
    uint64_t length;                    /* of the file that is taken; 0: not known */
    uint32_t changes;                   /* of files, when this one was found */
    uint8_t ask;                        /* what is asked about channels */
    bool async;                         /* the reply does not wait for the update's end */
    bool waits;                         /* otter_push_end() has nothing to do before something comes from elsewhere */
    unsigned ticket;                    /* checks or updates that had ended when this one was asked for */
    char *taken;                        /* a body that is kept whole; taken_size of taken_room bytes */
    size_t taken_size, taken_room;
    enum otter_err err; /* what the body is drained for */
    uint64_t drained;
    uint32_t drain_since;
    struct otter_multipart *multipart; /* of a form: on the heap */
    /* the reply */
    int status;
    const char *type;     /* Content-Type */
    const char *encoding; /* Content-Encoding or NULL */
    const char *allow;    /* Allow, with 405 */
    const char *result;   /* Otter-Result: name of the error, or what an upload came to; NULL */
    const void *body;     /* size bytes; stays until otter_push_done(); NULL: ask otter_push_read() for them */
    size_t size;
    char *owned; /* the body, if it is to be freed */
    char text[512];
};

/* u must outlive p. */
void otter_push_init(struct otter_push *p, struct otter_update *u, const struct otter_push_config *config);

enum otter_push_next otter_push_head(struct otter_push *p, struct otter_exchange *x,
                                     const struct otter_http_head *head);
/* False: enough has been drained, close the connection. */
bool otter_push_body(struct otter_exchange *x, const void *data, size_t n);
/* OTTER_AGAIN: call again soon, or where x->waits within a tenth of a second or so; else the reply is ready. */
enum otter_err otter_push_end(struct otter_exchange *x);
/* Bytes of a reply without body: all n of them, at most OTTER_FILE_PIECE. False: they are there no more. */
bool otter_push_read(struct otter_exchange *x, uint64_t off, void *dst, size_t n);
/* Text of the event stream that is newer than *cursor (0: from the start), as much as fits; 0 if there is none. */
size_t otter_push_stream(struct otter_push *p, uint32_t *cursor, char *buf, size_t size);
/* The reply has been sent, or the connection has broken: gives up an upload that has not ended, frees the body. */
void otter_push_done(struct otter_exchange *x);

#endif
