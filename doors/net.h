/* An HTTP GET whose reply is read piece by piece: what a port brings (libcurl on Linux, esp_http_client on the chip).
 *
 * The port verifies certificates and host names, follows no redirect, and has one request at a time. Its functions are
 * called by one task, without the lock. */
#ifndef OTTER_DOORS_NET_H
#define OTTER_DOORS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/err.h"

enum {
    OTTER_ETAG_MAX = 128, /* characters, quotes included; a longer one counts as none */
    OTTER_NET_READ_MS = 500
};

struct otter_net_request {
    const char *url;           /* http or https, at most OTTER_URL_MAX characters */
    uint32_t from;             /* first byte wanted: "Range: bytes=FROM-"; 0: the whole, without Range */
    const char *if_range;      /* an ETag to go with Range; NULL */
    const char *if_none_match; /* an ETag; NULL */
    bool gzip;                 /* a compressed body is welcome, and handed out unpacked; else "identity" */
    uint32_t timeout_ms;       /* until the reply's head is there */
    bool (*stop)(void *ctx);   /* is the reply wanted no more? Takes the lock */
    void *stop_ctx;
    char *location; /* takes a redirect's Location; not NULL */
    size_t location_size;
};

struct otter_net_reply {
    int status;
    bool has_length;
    uint64_t length; /* of the body as read() gives it */
    bool packed;     /* has a Content-Encoding that read() does not take off */
    bool has_range;  /* Content-Range: bytes first-last/size */
    uint64_t first, last, size;
    char etag[OTTER_ETAG_MAX + 1]; /* with its quotes; empty: none */
};

struct otter_net {
    void *ctx;
    /* Sends the request and waits for the reply's head. OTTER_CERTIFICATE, OTTER_UNREACHABLE, OTTER_NET_TIMEOUT,
     * OTTER_MEMORY; OTTER_REPLY if it is no HTTP. A Location that does not fit is empty. While it waits it asks stop()
     * about every OTTER_NET_READ_MS, and ends with OTTER_CANCELLED; esp_http_client cannot be asked to while it
     * resolves a name, connects and shakes hands, so the chip stops only after that. */
    enum otter_err (*open)(void *ctx, const struct otter_net_request *request, struct otter_net_reply *reply);
    /* Waits for bytes, at most about OTTER_NET_READ_MS: OTTER_AGAIN if none came. *got == 0 with OTTER_OK: the body has
     * ended as its length or framing says; before that it is OTTER_UNREACHABLE. */
    enum otter_err (*read)(void *ctx, void *buf, size_t size, size_t *got);
    /* Also after an open() that failed. */
    void (*close)(void *ctx);
};

#endif
