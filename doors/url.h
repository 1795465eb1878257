/* URLs: what may be fetched, and where a reference in a descriptor or a redirect leads. Source: RFC 3986. */
#ifndef OTTER_DOORS_URL_H
#define OTTER_DOORS_URL_H

#include <stdbool.h>
#include <stddef.h>

enum { OTTER_URL_MAX = 4096 /* characters */ };

struct otter_url {
    bool https;
    const char *host, *path; /* into the text; path with query, up to its end */
    size_t host_size;        /* with the port */
};

/* http or https, a host, no user or password in front of it, printable ASCII without blanks, at most OTTER_URL_MAX. */
bool otter_url_read(const char *text, struct otter_url *url);
/* Does it lead to this very device: localhost, 127.x.x.x, [::1]? */
bool otter_url_loopback(const struct otter_url *url);
/* Where a reference in a document that came from base leads; out takes OTTER_URL_MAX + 1 bytes and is neither of the
 * two. What stands behind '#' is left off. False: nowhere that otter_url_read() takes. */
bool otter_url_resolve(const char *base, const char *reference, char *out);
/* Scheme, host and path, as it may be shown: what follows '?' can be a signature. Cut off where buf ends. */
void otter_url_show(const char *text, char *buf, size_t size);

#endif
