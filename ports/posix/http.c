/* Carries requests from libmicrohttpd to the push door and replies back. Knows sockets, and nothing of firmware. */
#define _GNU_SOURCE
#include "ports/posix/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>

#include "doors/lock.h"
#include "doors/push.h"
#include "ports/posix/linger.h"

enum {
    CONNECTIONS = 32,
    CONNECTION_TIMEOUT_S = 45,
    MEMORY = 32 * 1024,
    STREAM_TEXT = 4096,
    KEEP_ALIVE_S = 15,
    ASK_MS = 50
};

/* A request on its way; those that wait for the door's next step or for events are in a list. */
struct request {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct otter_exchange exchange;
    enum otter_push_next next;
    uint32_t cursor; /* last event sent on a stream */
    time_t said;     /* when something was last sent on a stream */
    uint64_t asked;  /* ms: when the door was last asked for a reply that it waits for itself */
    bool begun, suspended, streaming, ended;
    bool unread; /* answered before its body had come */
    struct request *after;
};

/* Open connections, the oldest first. */
struct place {
    struct MHD_Connection *connection;
    struct place *after;
};

struct http_server {
    struct otter_push *push;
    const struct otter_lock *lock;
    struct MHD_Daemon *daemon;
    int listen_fd;
    struct request *requests;
    struct place *places;
    unsigned count;    /* of connections */
    const void *going; /* the place whose connection was told to go */
    bool resting;      /* nothing could be accepted: for one turn nobody asks again */
    struct lingering linger;
};

static const char *find_header(void *ctx, const char *name)
{
    return MHD_lookup_connection_value(ctx, MHD_HEADER_KIND, name);
}

/* ---- replies ---- */

static void add_headers(struct MHD_Response *r, const struct otter_exchange *x)
{
    MHD_add_response_header(r, "Content-Type", x->type);
    MHD_add_response_header(r, "Cache-Control", "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "X-Frame-Options", "DENY");
    if (x->encoding) MHD_add_response_header(r, "Content-Encoding", x->encoding);
    if (x->allow) MHD_add_response_header(r, "Allow", x->allow);
    if (x->result) MHD_add_response_header(r, "Otter-Result", x->result);
    if (x->status == 401) MHD_add_response_header(r, "WWW-Authenticate", "Basic realm=\"Users\", charset=\"UTF-8\"");
}

static enum MHD_Result send_response(struct request *q, struct MHD_Response *r)
{
    if (!r) return MHD_NO;
    add_headers(r, &q->exchange);
    enum MHD_Result result = MHD_queue_response(q->connection, (unsigned)q->exchange.status, r);
    MHD_destroy_response(r);
    return result;
}

static ssize_t reply_bytes(void *ctx, uint64_t pos, char *buf, size_t size)
{
    struct request *q = ctx;
    uint64_t rest = q->exchange.size - pos;
    size_t n = rest < size ? (size_t)rest : size;
    if (q->ended || !otter_push_read(&q->exchange, pos, buf, n)) return MHD_CONTENT_READER_END_WITH_ERROR;
    return (ssize_t)n;
}

static enum MHD_Result send_reply(struct request *q)
{
    const struct otter_exchange *x = &q->exchange;
    if (!x->body && x->size)
        return send_response(q, MHD_create_response_from_callback(x->size, OTTER_FILE_PIECE, reply_bytes, q, NULL));
    /* The body stays until the request is done; the library does not write to it. */
    void *body = (void *)(uintptr_t)q->exchange.body;
    return send_response(q, MHD_create_response_from_buffer(q->exchange.size, body, MHD_RESPMEM_PERSISTENT));
}

/* A clock that nobody sets. */
static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static time_t seconds(void) { return (time_t)(now_ms() / 1000); }

static void suspend(struct request *q)
{
    q->suspended = true;
    MHD_suspend_connection(q->connection);
}

/* What has happened since the last event sent; a comment now and then shows that the device is still there. */
static ssize_t stream_text(void *ctx, uint64_t pos, char *buf, size_t size)
{
    struct request *q = ctx;
    (void)pos;
    if (q->ended) return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = otter_push_stream(q->server->push, &q->cursor, buf, size);
    if (!n && seconds() - q->said >= KEEP_ALIVE_S && size > 3) n = (size_t)snprintf(buf, size, ":\n\n");
    if (n)
        q->said = seconds();
    else
        suspend(q);
    return (ssize_t)n;
}

static enum MHD_Result send_stream(struct request *q)
{
    q->streaming = true;
    return send_response(q, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_TEXT, stream_text, q, NULL));
}

/* ---- requests ---- */

static struct otter_http_head read_head(struct request *q, const char *method, const char *path)
{
    struct otter_http_head h = {.method = method, .path = path, .ctx = q->connection, .header = find_header};
    const char *length = find_header(q->connection, "Content-Length");
    const char *coding = find_header(q->connection, "Transfer-Encoding");
    h.chunked = coding && strcasecmp(coding, "chunked") == 0;
    h.boundless = coding && !h.chunked;
    /* The library has refused a length that is no number. */
    h.has_length = length && !coding;
    if (h.has_length) h.length = strtoull(length, NULL, 10);
    return h;
}

static enum MHD_Result take_head(struct request *q, const char *method, const char *path)
{
    struct otter_http_head head = read_head(q, method, path);
    q->begun = true;
    q->next = otter_push_head(q->server->push, &q->exchange, &head);
    q->unread = q->next == OTTER_PUSH_REPLY && (head.chunked || head.boundless || head.length > 0);
    if (q->next == OTTER_PUSH_REPLY) return send_reply(q);
    return q->next == OTTER_PUSH_STREAM ? send_stream(q) : MHD_YES;
}

static enum MHD_Result take_body(struct request *q, const char *data, size_t *size)
{
    if (!otter_push_body(&q->exchange, data, *size)) return MHD_NO;
    *size = 0;
    return MHD_YES;
}

/* Finishing takes many steps; between them the loop serves others. */
static enum MHD_Result take_end(struct request *q)
{
    if (otter_push_end(&q->exchange) != OTTER_AGAIN) return send_reply(q);
    q->asked = now_ms();
    suspend(q);
    return MHD_YES;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *size, void **state)
{
    struct request *q = *state;
    (void)ctx;
    (void)version;
    if (!q) return MHD_NO;
    q->connection = connection;
    if (!q->begun) return take_head(q, method, path);
    return *size ? take_body(q, data, size) : take_end(q);
}

/* Called for each request line, before its headers are read: the request's memory. */
static void *on_request_line(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *h = ctx;
    (void)uri;
    struct request *q = calloc(1, sizeof *q);
    if (!q) return NULL;
    q->server = h;
    q->connection = connection;
    q->after = h->requests;
    h->requests = q;
    return q;
}

static void on_done(void *ctx, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
    struct http_server *h = ctx;
    struct request *q = *state;
    (void)why;
    if (!q) return;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (q->unread && info) linger_add(&h->linger, info->connect_fd);
    otter_push_done(&q->exchange);
    for (struct request **p = &h->requests; *p; p = &(*p)->after)
        if (*p == q) {
            *p = q->after;
            break;
        }
    free(q);
    *state = NULL;
}

/* No path of the door needs escapes; taken off, a %00 would end the path, so that /update%00x is /update. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *connection, char *text)
{
    (void)ctx;
    (void)connection;
    return strlen(text);
}

/* ---- connections ---- */

static void leave(struct http_server *h, struct place *gone)
{
    for (struct place **p = &h->places; *p; p = &(*p)->after)
        if (*p == gone) {
            *p = gone->after;
            break;
        }
    if (h->going == gone) h->going = NULL;
    free(gone);
    h->count--;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *h = ctx;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*state) leave(h, *state);
        return;
    }
    struct place *new = calloc(1, sizeof *new), **end = &h->places;
    *state = new;
    if (!new) return;
    new->connection = connection;
    while (*end) end = &(*end)->after;
    *end = new;
    h->count++;
}

static bool brings_the_update(const struct http_server *h, const struct place *p)
{
    for (const struct request *q = h->requests; q; q = q->after)
        if (q->connection == p->connection && &q->exchange == h->push->owner) return true;
    return false;
}

/* The oldest connection goes, whatever it is about, but for the update under way: so nobody holds the door shut by
 * keeping connections. False: there is none. */
static bool make_room(struct http_server *h)
{
    struct place *p = h->places;
    while (p && brings_the_update(h, p)) p = p->after;
    if (!p) return false;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(p->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (struct request *q = h->requests; q; q = q->after)
        if (q->connection == p->connection) q->ended = true;
    if (info) shutdown(info->connect_fd, SHUT_RDWR);
    h->going = p;
    return true;
}

static bool out_of_sockets(int code) { return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM; }

/* The library's own accept would close what is too many, and where descriptors are short ask again without end. */
static void take_connection(struct http_server *h)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    bool full = h->count >= CONNECTIONS;
    int fd = full ? -1 : accept4(h->listen_fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        MHD_add_connection(h->daemon, fd, (struct sockaddr *)&from, size);
    else if (full || out_of_sockets(errno))
        h->resting = !make_room(h);
}

/* ---- the loop ---- */

struct http_server *http_start(struct otter_push *push, int listen_fd, const struct otter_lock *lock)
{
    struct http_server *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    h->push = push;
    h->lock = lock;
    h->listen_fd = listen_fd;
    h->daemon = MHD_start_daemon(MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, h,
                                 MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_URI_LOG_CALLBACK,
                                 on_request_line, h, MHD_OPTION_NOTIFY_COMPLETED, on_done, h,
                                 MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_TIMEOUT_S,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_END);
    if (h->daemon) return h;
    http_stop(h);
    return NULL;
}

static bool wakes(const struct request *q)
{
    if (!q->suspended) return false;
    if (q->ended) return true;
    if (!q->streaming) return !q->exchange.waits || now_ms() - q->asked >= ASK_MS;
    return q->cursor != q->server->push->device->events.last || seconds() - q->said >= KEEP_ALIVE_S;
}

/* True if a request went on, so that the loop must not wait. */
static bool resume_requests(struct http_server *h)
{
    bool any = false;
    for (struct request *q = h->requests; q; q = q->after) {
        if (!wakes(q)) continue;
        q->suspended = false;
        MHD_resume_connection(q->connection);
        any = true;
    }
    return any;
}

static int wait_ms(struct http_server *h, int timeout_ms)
{
    MHD_UNSIGNED_LONG_LONG wanted;
    if (resume_requests(h)) return 0;
    if (MHD_get_timeout(h->daemon, &wanted) == MHD_YES && wanted < (MHD_UNSIGNED_LONG_LONG)timeout_ms)
        return (int)wanted;
    return timeout_ms;
}

/* select and not the library's epoll, which is edge-triggered and misses the end of a connection that comes together
 * with its last bytes. */
bool http_run(struct http_server *h, int timeout_ms)
{
    fd_set in, out, broken;
    MHD_socket highest = -1;
    linger_turn(&h->linger);
    int ms = wait_ms(h, timeout_ms);
    struct timeval wait = {ms / 1000, ms % 1000 * 1000};
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&broken);
    if (MHD_get_fdset(h->daemon, &in, &out, &broken, &highest) != MHD_YES) return false;
    if (!h->going && !h->resting) FD_SET(h->listen_fd, &in);
    h->resting = false;
    if (h->listen_fd > highest) highest = h->listen_fd;
    if (h->lock) h->lock->give(h->lock->ctx);
    int ready = select(highest + 1, &in, &out, &broken, &wait), code = errno;
    if (h->lock) h->lock->take(h->lock->ctx);
    if (ready < 0) return code == EINTR;
    bool knock = FD_ISSET(h->listen_fd, &in);
    /* First those that are here: one may leave. */
    if (MHD_run_from_select(h->daemon, &in, &out, &broken) != MHD_YES) return false;
    if (knock) take_connection(h);
    return true;
}

void http_stop(struct http_server *h)
{
    if (!h) return;
    /* The library wants no connection suspended when it closes them. */
    for (struct request *q = h->requests; q; q = q->after)
        if (q->suspended) MHD_resume_connection(q->connection);
    if (h->daemon) MHD_stop_daemon(h->daemon);
    linger_close(&h->linger);
    free(h);
}
