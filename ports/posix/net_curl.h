/* HTTP GETs over libcurl: certificates are verified against the system's bundle, or a file. */
#ifndef OTTER_PORTS_POSIX_NET_CURL_H
#define OTTER_PORTS_POSIX_NET_CURL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doors/net.h"

struct net_curl {
    struct otter_net port;
    const char *ca_file; /* PEM; NULL: the system's bundle */
    void *multi, *easy, *headers;
    char *held; /* what came of the body and was not read yet */
    size_t held_room, held_size, held_at;
    bool head, done, paused;
    int result; /* when done */
};

/* One request at a time; for one thread. False: out of memory. */
bool net_curl_init(struct net_curl *n, const char *ca_file);
void net_curl_free(struct net_curl *n);

#endif
