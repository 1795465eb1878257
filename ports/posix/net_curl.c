/* Carries one reply at a time out of libcurl, which pushes, to doors, which pull. Knows nothing of what comes. */
#define _GNU_SOURCE
#include "ports/posix/net_curl.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

/* What a server has sent and nobody read is lost with a cut: a window as small as a chip's keeps that little. */
enum { WINDOW = 16384, PIECE = 4096 };

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static enum otter_err translate(int code)
{
    switch (code) {
    case CURLE_OK: return OTTER_OK;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS: return OTTER_CERTIFICATE;
    case CURLE_OPERATION_TIMEDOUT: return OTTER_NET_TIMEOUT;
    case CURLE_OUT_OF_MEMORY: return OTTER_MEMORY;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING: return OTTER_REPLY;
    case CURLE_URL_MALFORMAT: return OTTER_URL;
    default: return OTTER_UNREACHABLE;
    }
}

/* ---- curl's side ---- */

static size_t take_header(char *line, size_t size, size_t n, void *ctx)
{
    struct net_curl *c = ctx;
    long status = 0;
    (void)size;
    if (n <= 2 && (*line == '\r' || *line == '\n')) {
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
        c->head = status >= 200;
    }
    return n;
}

static size_t take_body(char *data, size_t size, size_t n, void *ctx)
{
    struct net_curl *c = ctx;
    (void)size;
    c->head = true;
    c->paused = c->held_at < c->held_size;
    if (c->paused) return CURL_WRITEFUNC_PAUSE;
    if (n > c->held_room) {
        char *more = realloc(c->held, n);
        if (!more) return 0;
        c->held = more;
        c->held_room = n;
    }
    memcpy(c->held, data, n);
    c->held_at = 0;
    c->held_size = n;
    return n;
}

static int small_window(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    int size = WINDOW;
    (void)ctx;
    (void)purpose;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return CURL_SOCKOPT_OK;
}

static bool has_news(const struct net_curl *c) { return c->done || c->held_at < c->held_size; }

/* Until something came, or the time is over. */
static void turn(struct net_curl *c, int wait_ms)
{
    int running = 0, left = 0;
    curl_multi_perform(c->multi, &running);
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));)
        if (m->msg == CURLMSG_DONE) {
            c->done = true;
            c->result = (int)m->data.result;
        }
    if (!has_news(c) && wait_ms > 0) curl_multi_poll(c->multi, NULL, 0, wait_ms, NULL);
}

/* ---- the request ---- */

static bool add_header(struct net_curl *c, const char *fmt, const char *value)
{
    char line[OTTER_ETAG_MAX + 32];
    snprintf(line, sizeof line, fmt, value);
    struct curl_slist *more = curl_slist_append(c->headers, line);
    if (more) c->headers = more;
    return more;
}

static bool set_request(struct net_curl *c, const struct otter_net_request *q)
{
    char range[16];
    CURL *e = c->easy;
    bool ok = true;
    curl_easy_reset(e);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)PIECE);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)q->timeout_ms);
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, small_window);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    if (c->ca_file) curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
    if (q->gzip)
        ok = curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip") == CURLE_OK;
    else
        ok = add_header(c, "%s", "Accept-Encoding: identity");
    if (q->if_none_match) ok = ok && add_header(c, "If-None-Match: %s", q->if_none_match);
    if (q->if_range) ok = ok && add_header(c, "If-Range: %s", q->if_range);
    snprintf(range, sizeof range, "%u-", q->from);
    if (q->from) ok = ok && curl_easy_setopt(e, CURLOPT_RANGE, range) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK;
    return ok && curl_easy_setopt(e, CURLOPT_URL, q->url) == CURLE_OK;
}

/* ---- the reply ---- */

static const char *find(struct net_curl *c, const char *name)
{
    struct curl_header *h;
    return curl_easy_header(c->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

static void read_range(const char *text, struct otter_net_reply *r)
{
    unsigned long long first, last, size;
    char rest;
    r->has_range = text && sscanf(text, "bytes %19llu-%19llu/%19llu%c", &first, &last, &size, &rest) == 3;
    if (!r->has_range) return;
    r->first = first;
    r->last = last;
    r->size = size;
}

static void read_head(struct net_curl *c, const struct otter_net_request *q, struct otter_net_reply *r)
{
    long status = 0;
    curl_off_t length = -1;
    const char *etag = find(c, "ETag"), *location = find(c, "Location"), *coding = find(c, "Content-Encoding");
    bool coded = coding && *coding && strcasecmp(coding, "identity") != 0;
    memset(r, 0, sizeof *r);
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(c->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    r->status = (int)status;
    r->packed = coded && !q->gzip;
    r->has_length = length >= 0 && !coded;
    if (r->has_length) r->length = (uint64_t)length;
    read_range(find(c, "Content-Range"), r);
    if (etag && strlen(etag) <= OTTER_ETAG_MAX) memcpy(r->etag, etag, strlen(etag) + 1);
    if (location && strlen(location) < q->location_size) memcpy(q->location, location, strlen(location) + 1);
}

static enum otter_err net_open(void *ctx, const struct otter_net_request *q, struct otter_net_reply *r)
{
    struct net_curl *c = ctx;
    uint64_t end = now_ms() + q->timeout_ms, at = 0;
    bool stop = false;
    c->held_at = c->held_size = 0;
    c->head = c->done = c->paused = false;
    if (!set_request(c, q) || curl_multi_add_handle(c->multi, c->easy) != CURLM_OK) return OTTER_MEMORY;
    while (!c->head && !c->done && (at = now_ms()) < end && !(stop = q->stop(q->stop_ctx)))
        turn(c, end - at < OTTER_NET_READ_MS ? (int)(end - at) : OTTER_NET_READ_MS);
    if (!c->head && !c->done) return stop ? OTTER_CANCELLED : OTTER_NET_TIMEOUT;
    if (!c->head) return c->result ? translate(c->result) : OTTER_REPLY;
    read_head(c, q, r);
    return OTTER_OK;
}

static enum otter_err net_read(void *ctx, void *buf, size_t size, size_t *got)
{
    struct net_curl *c = ctx;
    uint64_t end = now_ms() + OTTER_NET_READ_MS, at = 0;
    *got = 0;
    while (!has_news(c) && (at = now_ms()) < end) {
        if (c->paused) {
            c->paused = false;
            curl_easy_pause(c->easy, CURLPAUSE_CONT);
        }
        if (!has_news(c)) turn(c, (int)(end - at));
    }
    size_t n = c->held_size - c->held_at;
    if (!n) return c->done ? translate(c->result) : OTTER_AGAIN;
    *got = n < size ? n : size;
    memcpy(buf, c->held + c->held_at, *got);
    c->held_at += *got;
    return OTTER_OK;
}

static void net_close(void *ctx)
{
    struct net_curl *c = ctx;
    curl_multi_remove_handle(c->multi, c->easy);
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(c->headers);
    free(c->held);
    c->headers = NULL;
    c->held = NULL;
    c->held_room = c->held_size = c->held_at = 0;
}

bool net_curl_init(struct net_curl *n, const char *ca_file)
{
    *n = (struct net_curl){.port = {n, net_open, net_read, net_close}, .ca_file = ca_file};
    n->multi = curl_multi_init();
    n->easy = curl_easy_init();
    return n->multi && n->easy;
}

void net_curl_free(struct net_curl *n)
{
    curl_easy_cleanup(n->easy);
    curl_multi_cleanup(n->multi);
}
