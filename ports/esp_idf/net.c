/* Carries one reply at a time out of esp_http_client. Knows nothing of what comes. */
#include "ports/esp_idf/net.h"

#include <esp_crt_bundle.h>
#include <esp_http_client.h>
#include <esp_timer.h>
#include <esp_tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* TX_REST: a request's lines beside its URL. BAD_CERTIFICATE: mbedTLS' X509_CERT_VERIFY_FAILED, whatever its sign. */
enum { RX = 1024, TX_REST = 512, BAD_CERTIFICATE = 0x2700 };

struct client {
    struct otter_net port;
    const char *ca_pem;
    esp_http_client_handle_t handle;
    const struct otter_net_request *request; /* while its head is read */
    struct otter_net_reply *reply;
    bool bad_certificate;
};

/* ---- the reply's head ---- */

static void read_range(const char *text, struct otter_net_reply *r)
{
    unsigned long first, last, size;
    char rest;
    r->has_range = sscanf(text, "bytes %10lu-%10lu/%10lu%c", &first, &last, &size, &rest) == 3;
    if (!r->has_range) return;
    r->first = first;
    r->last = last;
    r->size = size;
}

static void take_header(struct client *c, const char *name, const char *value)
{
    struct otter_net_reply *r = c->reply;
    size_t n = strlen(value);
    if (strcasecmp(name, "Content-Range") == 0) read_range(value, r);
    if (strcasecmp(name, "Content-Encoding") == 0) r->packed = strcasecmp(value, "identity") != 0;
    if (strcasecmp(name, "ETag") == 0 && n <= OTTER_ETAG_MAX) memcpy(r->etag, value, n + 1);
    if (strcasecmp(name, "Location") == 0 && n < c->request->location_size) memcpy(c->request->location, value, n + 1);
}

static void take_tls_error(struct client *c, void *handle)
{
    int code = 0, flags = 0;
    if (handle) esp_tls_get_and_clear_last_error(handle, &code, &flags);
    if (flags || code == BAD_CERTIFICATE || code == -BAD_CERTIFICATE) c->bad_certificate = true;
}

static esp_err_t on_event(esp_http_client_event_t *e)
{
    struct client *c = e->user_data;
    if (e->event_id == HTTP_EVENT_ON_HEADER && c->reply) take_header(c, e->header_key, e->header_value);
    if (e->event_id == HTTP_EVENT_ERROR || e->event_id == HTTP_EVENT_DISCONNECTED) take_tls_error(c, e->data);
    return ESP_OK;
}

/* ---- the request ---- */

static bool set_header(struct client *c, const char *name, const char *value)
{
    return !value || esp_http_client_set_header(c->handle, name, value) == ESP_OK;
}

static bool make_client(struct client *c, const struct otter_net_request *q)
{
    char range[24];
    const esp_http_client_config_t config = {
        .url = q->url,
        .timeout_ms = (int)q->timeout_ms,
        .disable_auto_redirect = true,
        .event_handler = on_event,
        .user_data = c,
        .buffer_size = RX,
        .buffer_size_tx = (int)strlen(q->url) + TX_REST,
        .cert_pem = c->ca_pem,
        .crt_bundle_attach = c->ca_pem ? NULL : esp_crt_bundle_attach,
    };
    c->handle = esp_http_client_init(&config);
    if (!c->handle) return false;
    snprintf(range, sizeof range, "bytes=%lu-", (unsigned long)q->from);
    return set_header(c, "Accept-Encoding", "identity") && set_header(c, "If-None-Match", q->if_none_match) &&
           set_header(c, "If-Range", q->if_range) && set_header(c, "Range", q->from ? range : NULL);
}

/* Waits in pieces, since nothing interrupts esp_http_client: one that timed out is followed by the next. */
static int64_t fetch_head(struct client *c, const struct otter_net_request *q, bool *stop)
{
    const int64_t end = esp_timer_get_time() + (int64_t)q->timeout_ms * 1000;
    int64_t length;
    esp_http_client_set_timeout_ms(c->handle, OTTER_NET_READ_MS);
    do {
        length = esp_http_client_fetch_headers(c->handle);
        *stop = q->stop(q->stop_ctx);
    } while (length == -ESP_ERR_HTTP_EAGAIN && esp_timer_get_time() < end && !*stop);
    return length;
}

static enum otter_err net_open(void *ctx, const struct otter_net_request *q, struct otter_net_reply *r)
{
    struct client *c = ctx;
    memset(r, 0, sizeof *r);
    c->request = q;
    c->reply = r;
    c->bad_certificate = false;
    if (!make_client(c, q)) return OTTER_MEMORY;
    esp_err_t e = esp_http_client_open(c->handle, 0);
    bool stop = false;
    int64_t length = e ? -1 : fetch_head(c, q, &stop);
    c->reply = NULL;
    if (c->bad_certificate) return OTTER_CERTIFICATE;
    if (e == ESP_ERR_NO_MEM) return OTTER_MEMORY;
    if (e) return OTTER_UNREACHABLE;
    if (length == -ESP_ERR_HTTP_EAGAIN) return stop ? OTTER_CANCELLED : OTTER_NET_TIMEOUT;
    r->status = esp_http_client_get_status_code(c->handle);
    if (length < 0 || r->status < 100) return OTTER_REPLY;
    r->has_length = !esp_http_client_is_chunked_response(c->handle) && !r->packed;
    if (r->has_length) r->length = (uint64_t)length;
    return OTTER_OK;
}

static enum otter_err net_read(void *ctx, void *buf, size_t size, size_t *got)
{
    struct client *c = ctx;
    *got = 0;
    int n = esp_http_client_read(c->handle, buf, (int)size);
    if (n == -ESP_ERR_HTTP_EAGAIN) return OTTER_AGAIN;
    if (n < 0) return OTTER_UNREACHABLE;
    *got = (size_t)n;
    return n || esp_http_client_is_complete_data_received(c->handle) ? OTTER_OK : OTTER_UNREACHABLE;
}

static void net_close(void *ctx)
{
    struct client *c = ctx;
    if (c->handle) esp_http_client_cleanup(c->handle);
    c->handle = NULL;
}

const struct otter_net *otter_esp_net(const char *ca_pem)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->ca_pem = ca_pem;
    c->port = (struct otter_net){c, net_open, net_read, net_close};
    return &c->port;
}
