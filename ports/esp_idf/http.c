/* Carries requests from esp_http_server to the push door and replies back. Knows sockets, and nothing of firmware.
 *
 * The server has one task, and an upload holds it until it is answered. Who listens to the event stream is told of it
 * all the same: a stream is a connection that was answered without an end, and between two pieces of the body the task
 * writes to it. */
#include "ports/esp_idf/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <esp_http_server.h>
#include <esp_log.h>
#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include "ports/esp_idf/include/otter_esp.h"

/* SLOW_MS: after so much waiting a body that comes at less than SLOW_RATE bytes a second holds the task in vain. */
enum {
    PIECE = 768,
    HEADERS = 768,
    STREAMS = 2,
    STREAM_TEXT = 640,
    KEEP_ALIVE_MS = 15000,
    SLOW_MS = 20000,
    SLOW_RATE = 256,
    LINGER_MS = 2000,
    ASK_MS = 50,
    TURN_MS = 200,
    ASK_AGAIN_MS = 5000,
    URI_HANDLERS = 20
};

struct stream {
    int fd; /* -1: free */
    uint32_t cursor, said_ms;
};

static struct {
    struct otter_push *push;
    httpd_handle_t server;
    struct stream streams[STREAMS];
    void (*turn)(void);
    uint32_t turned;          /* ms: when it was last called */
    volatile uint32_t queued; /* ms, and 1: when the server was last asked to; 0: it has answered */
} http;

struct request {
    httpd_req_t *req;
    struct otter_exchange exchange;
    size_t used;        /* of text: headers that the door has asked for; then a piece of a body */
    char text[HEADERS]; /* at least PIECE */
};

static const struct timeval moment = {.tv_sec = 1};

static uint32_t now_ms(void) { return (uint32_t)(esp_timer_get_time() / 1000); }

/* ---- the head of a request ---- */

/* Headers are kept until the door has seen them all. One that finds no room counts as absent; those that decide who may
 * ask come first. */
static const char *find_header(void *ctx, const char *name)
{
    struct request *q = ctx;
    char *value = q->text + q->used;
    /* An update by channel takes long, and others have to be served meanwhile. */
    if (q->req->method == HTTP_POST && strcmp(name, "Prefer") == 0) return "respond-async";
    size_t n = httpd_req_get_hdr_value_len(q->req, name);
    if (n + 1 > sizeof q->text - q->used) return NULL;
    /* An empty value has length 0, too. */
    esp_err_t e = httpd_req_get_hdr_value_str(q->req, name, value, n + 1);
    if (e) return NULL;
    q->used += n + 1;
    return value;
}

static const char *method_name(int method)
{
    switch (method) {
    case HTTP_GET: return "GET";
    case HTTP_HEAD: return "HEAD";
    case HTTP_POST: return "POST";
    case HTTP_PUT: return "PUT";
    default: return "DELETE";
    }
}

/* The server reads no chunked body, and of a length only the low 32 bits: both are refused as without a length. */
static bool is_boundless(struct request *q, const char *length)
{
    if (find_header(q, "Transfer-Encoding")) return true;
    return length && strtoull(length, NULL, 10) != q->req->content_len;
}

static struct otter_http_head read_head(struct request *q, char *path)
{
    const char *length = find_header(q, "Content-Length");
    struct otter_http_head h = {.method = method_name(q->req->method),
                                .path = path,
                                .has_length = length != NULL,
                                .length = q->req->content_len,
                                .boundless = is_boundless(q, length),
                                .ctx = q,
                                .header = find_header};
    return h;
}

/* ---- replies ---- */

static bool send_all(struct request *q, const char *data, size_t n)
{
    while (n) {
        int sent = httpd_send(q->req, data, n);
        if (sent <= 0) return false;
        data += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void add_line(char *head, size_t size, const char *name, const char *value)
{
    size_t n = strlen(head);
    if (value) snprintf(head + n, size - n, "%s: %s\r\n", name, value);
}

static const char *reason(int status) { return status < 300 ? "OK" : status < 500 ? "Refused" : "Failed"; }

/* Without length the body ends with the connection. */
static bool send_head(struct request *q, bool has_length, bool close)
{
    const struct otter_exchange *x = &q->exchange;
    char *head = q->text;
    snprintf(head, sizeof q->text,
             "HTTP/1.1 %d %s\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
             "X-Frame-Options: DENY\r\n",
             x->status, reason(x->status));
    add_line(head, sizeof q->text, "Content-Type", x->type);
    add_line(head, sizeof q->text, "Content-Encoding", x->encoding);
    add_line(head, sizeof q->text, "Allow", x->allow);
    add_line(head, sizeof q->text, "Otter-Result", x->result);
    if (x->status == 401)
        add_line(head, sizeof q->text, "WWW-Authenticate", "Basic realm=\"Users\", charset=\"UTF-8\"");
    if (close) add_line(head, sizeof q->text, "Connection", "close");
    size_t n = strlen(head);
    if (has_length) n += (size_t)snprintf(head + n, sizeof q->text - n, "Content-Length: %zu\r\n", x->size);
    snprintf(head + n, sizeof q->text - n, "\r\n");
    return send_all(q, head, strlen(head));
}

/* A file, piece by piece. */
static bool send_pieces(struct request *q)
{
    for (size_t at = 0; at < q->exchange.size;) {
        size_t left = q->exchange.size - at, n = left < PIECE ? left : PIECE;
        otter_esp_lock();
        bool there = otter_push_read(&q->exchange, at, q->text, n);
        otter_esp_unlock();
        if (!there || !send_all(q, q->text, n)) return false;
        at += n;
    }
    return true;
}

static bool send_reply(struct request *q, bool close)
{
    const struct otter_exchange *x = &q->exchange;
    if (!send_head(q, true, close)) return false;
    if (q->req->method == HTTP_HEAD) return true;
    return x->body ? send_all(q, x->body, x->size) : send_pieces(q);
}

/* How long a read waits at most. The server's own patience is longer than what is promised here. */
static struct timeval set_patience(int fd, struct timeval t)
{
    struct timeval was = t;
    socklen_t size = sizeof was;
    getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &was, &size);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    return was;
}

/* What is still on its way is read and dropped, so that the reply is not lost with the connection. */
static void linger(struct request *q)
{
    int fd = httpd_req_to_sockfd(q->req);
    uint32_t start = now_ms();
    shutdown(fd, SHUT_WR);
    set_patience(fd, moment);
    while (now_ms() - start < LINGER_MS && recv(fd, q->text, PIECE, 0) > 0) {
    }
}

/* ---- the event stream ---- */

static void forget_stream(void *ctx)
{
    struct stream *s = ctx;
    s->fd = -1;
}

/* The connection ends later, and must not take the place from who has it by then. */
static void close_stream(struct stream *s)
{
    int fd = s->fd;
    s->fd = -1;
    if (fd < 0) return;
    httpd_sess_set_ctx(http.server, fd, NULL, NULL);
    httpd_sess_trigger_close(http.server, fd);
}

/* A listener that does not read is let go: nothing may hold up the server's task. */
static void send_stream(struct stream *s, char *text)
{
    otter_esp_lock();
    size_t n = otter_push_stream(http.push, &s->cursor, text, STREAM_TEXT);
    otter_esp_unlock();
    uint32_t now = now_ms();
    if (!n && now - s->said_ms >= KEEP_ALIVE_MS) n = (size_t)snprintf(text, STREAM_TEXT, ":\n\n");
    if (!n) return;
    s->said_ms = now;
    if (httpd_socket_send(http.server, s->fd, text, n, MSG_DONTWAIT) != (int)n) close_stream(s);
}

static void send_streams(void)
{
    char *text = NULL;
    for (unsigned i = 0; i < STREAMS; i++) {
        if (http.streams[i].fd < 0) continue;
        if (!text) text = malloc(STREAM_TEXT);
        if (text) send_stream(&http.streams[i], text);
    }
    free(text);
}

/* ---- what is to be done again and again ---- */

static void take_turn(void)
{
    uint32_t now = now_ms();
    if (http.turn && now - http.turned >= TURN_MS) {
        http.turned = now;
        http.turn();
    }
    send_streams();
}

static void on_turn(void *arg)
{
    (void)arg;
    http.queued = 0;
    take_turn();
}

/* Asked again after a while: the server may drop what it has no room for. */
static void on_timer(void *arg)
{
    uint32_t now = now_ms() | 1;
    (void)arg;
    if (http.queued && now - http.queued < ASK_AGAIN_MS) return;
    http.queued = now;
    if (httpd_queue_work(http.server, on_turn, NULL)) http.queued = 0;
}

bool otter_esp_http_watch(void (*turn)(void))
{
    const esp_timer_create_args_t args = {.callback = on_timer, .name = "otter"};
    esp_timer_handle_t timer;
    http.turn = turn;
    return !esp_timer_create(&args, &timer) && !esp_timer_start_periodic(timer, TURN_MS * 1000);
}

/* ---- who listens ---- */

/* A new listener takes the place of the one that has been told something longest ago. */
static esp_err_t begin_stream(struct request *q)
{
    struct stream *s = &http.streams[0];
    for (unsigned i = 1; i < STREAMS && s->fd >= 0; i++)
        if (http.streams[i].fd < 0 || http.streams[i].said_ms < s->said_ms) s = &http.streams[i];
    close_stream(s);
    if (!send_head(q, false, true)) return ESP_FAIL;
    *s = (struct stream){.fd = httpd_req_to_sockfd(q->req), .said_ms = now_ms()};
    httpd_sess_set_ctx(q->req->handle, s->fd, s, forget_stream);
    send_streams();
    return ESP_OK;
}

/* ---- a body ---- */

static bool too_slow(uint32_t waited, size_t received)
{
    return waited > SLOW_MS && received < waited / 1000 * SLOW_RATE;
}

/* Only waiting counts: where data gives way to the image, taking a piece can last as long as formatting does. */
static bool take_pieces(struct request *q)
{
    uint32_t waited = 0, silent = 0;
    for (size_t received = 0; received < q->req->content_len;) {
        uint32_t start = now_ms();
        int n = httpd_req_recv(q->req, q->text, PIECE);
        waited += now_ms() - start;
        silent += now_ms() - start;
        if (n == HTTPD_SOCK_ERR_TIMEOUT && silent < OTTER_CFG_IDLE_MS) continue;
        if (n <= 0 || too_slow(waited, received)) return false;
        silent = 0;
        received += (size_t)n;
        otter_esp_lock();
        bool go_on = otter_push_body(&q->exchange, q->text, (size_t)n);
        otter_esp_unlock();
        if (!go_on) return false;
        take_turn();
    }
    return true;
}

static bool take_body(struct request *q)
{
    int fd = httpd_req_to_sockfd(q->req);
    struct timeval usual = set_patience(fd, moment);
    bool taken = take_pieces(q);
    set_patience(fd, usual);
    return taken;
}

static void take_end(struct request *q)
{
    for (enum otter_err e = OTTER_AGAIN; e == OTTER_AGAIN;) {
        otter_esp_lock();
        e = otter_push_end(&q->exchange);
        otter_esp_unlock();
        take_turn();
        if (e == OTTER_AGAIN && q->exchange.waits) vTaskDelay(pdMS_TO_TICKS(ASK_MS));
    }
}

/* ---- a request ---- */

static esp_err_t serve(struct request *q, char *path)
{
    struct otter_http_head head = read_head(q, path);
    const char *expect = find_header(q, "Expect");
    bool waits = expect && strstr(expect, "100-continue");
    otter_esp_lock();
    enum otter_push_next next = otter_push_head(http.push, &q->exchange, &head);
    otter_esp_unlock();
    if (next == OTTER_PUSH_STREAM) return begin_stream(q);
    if (next == OTTER_PUSH_REPLY) {
        bool unread = head.boundless || head.length > 0;
        bool sent = send_reply(q, unread);
        if (sent && unread) linger(q);
        return sent && !unread ? ESP_OK : ESP_FAIL;
    }
    if (waits && !send_all(q, "HTTP/1.1 100 Continue\r\n\r\n", 25)) return ESP_FAIL;
    if (!take_body(q)) return ESP_FAIL;
    take_end(q);
    return send_reply(q, false) ? ESP_OK : ESP_FAIL;
}

static esp_err_t on_request(httpd_req_t *req)
{
    struct request *q = calloc(1, sizeof *q);
    if (!q) {
        httpd_resp_set_status(req, "503 Out of memory");
        return httpd_resp_send(req, NULL, 0);
    }
    q->req = req;
    size_t n = strcspn(req->uri, "?");
    char *path = strndup(req->uri, n);
    esp_err_t e = path ? serve(q, path) : ESP_ERR_NO_MEM;
    otter_esp_lock();
    otter_push_done(&q->exchange);
    otter_esp_unlock();
    free(path);
    free(q);
    return e;
}

/* ---- start ---- */

static const httpd_method_t methods[] = {HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE};

static esp_err_t take_path(const char *path)
{
    esp_err_t e = ESP_OK;
    for (unsigned i = 0; i < sizeof methods / sizeof methods[0] && !e; i++) {
        const httpd_uri_t uri = {.uri = path, .method = methods[i], .handler = on_request};
        e = httpd_register_uri_handler(http.server, &uri);
    }
    return e;
}

static esp_err_t start_server(uint16_t port)
{
    httpd_config_t config = HTTPD_DEFAULT_CONFIG();
    config.server_port = port;
    config.stack_size = CONFIG_OTTER_HTTPD_STACK;
    config.max_uri_handlers = URI_HANDLERS;
    config.uri_match_fn = httpd_uri_match_wildcard;
    config.lru_purge_enable = true;
    return httpd_start(&http.server, &config);
}

esp_err_t otter_esp_http_start(struct otter_push *push, void *server, uint16_t port, bool page)
{
    http.push = push;
    for (unsigned i = 0; i < STREAMS; i++) http.streams[i].fd = -1;
    if (CONFIG_HTTPD_MAX_REQ_HDR_LEN < 1024)
        ESP_LOGW("otter", "CONFIG_HTTPD_MAX_REQ_HDR_LEN is %d; browsers need 1024", CONFIG_HTTPD_MAX_REQ_HDR_LEN);
    http.server = server;
    esp_err_t e = server ? ESP_OK : start_server(port);
    /* The own server leaves every path to the door, so that what is not there is said in the door's words. */
    if (!server) return e ? e : take_path("/*");
    if (!e) e = take_path("/api/v1/*");
    if (!e) e = take_path("/update");
    if (!e && page) e = take_path("/");
    return !e && page ? take_path("/index.html") : e;
}
