/* The push door on libmicrohttpd, in one thread: the caller's loop waits on a file descriptor and calls http_run().
 * The chip's port does the same over esp_http_server. */
#ifndef OTTER_PORTS_POSIX_HTTP_H
#define OTTER_PORTS_POSIX_HTTP_H

#include <stdbool.h>

struct otter_lock;
struct otter_push;
struct http_server;

/* Serves on listen_fd, a listening socket that stays the caller's. lock: given while it waits; NULL: none. NULL if that
 * fails. */
struct http_server *http_start(struct otter_push *push, int listen_fd, const struct otter_lock *lock);
/* With the lock held. Waits up to timeout_ms for something to do, and does it. False if the server has broken down. */
bool http_run(struct http_server *h, int timeout_ms);
/* Closes all connections. */
void http_stop(struct http_server *h);

#endif
