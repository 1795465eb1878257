/* The push door: which request does what, and what is replied. Knows HTTP's words and the engine's, and nothing of
 * flash. */
#include "doors/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "doors/push_channel.h"
#include "doors/push_data.h"
#include "doors/push_files.h"
#include "doors/push_json.h"
#include "doors/push_migrate.h"
#include "doors/text.h"
#include "doors/words.h"

enum action {
    PAGE,
    INFO,
    STATUS,
    EVENTS,
    UPLOAD,
    UPDATE,
    CONFIRM,
    ROLLBACK,
    RESTART,
    FILES,
    FILE_OF_NAME,
    DATA,
    MIGRATE,
    CHANNELS,
    CHANNEL,
    CHECK,
    FETCH,
    BOARD,
    NOTHING
};

static const struct route {
    const char *path;
    enum action action;
    bool get, post, put, del;
} routes[] = {
    {"/", PAGE, true, false, false, false},
    {"/index.html", PAGE, true, false, false, false},
    {"/api/v1/info", INFO, true, false, false, false},
    {"/api/v1/firmware/status", STATUS, true, false, false, false},
    {"/api/v1/firmware/events", EVENTS, true, false, false, false},
    {"/api/v1/firmware/upload", UPLOAD, false, true, true, false},
    {"/update", UPDATE, false, true, true, false},
    {"/api/v1/firmware/confirm", CONFIRM, false, true, false, false},
    {"/api/v1/firmware/rollback", ROLLBACK, false, true, false, false},
    {"/api/v1/restart", RESTART, false, true, false, false},
    {"/api/v1/files/", FILES, true, false, false, true},
    {"/api/v1/files/", FILE_OF_NAME, true, true, true, true}, /* and something behind it */
    {"/api/v1/data", DATA, false, true, true, true},
    {"/api/v1/table/migrate", MIGRATE, false, true, false, false},
    {"/api/v1/firmware/channels", CHANNELS, true, false, false, false},
    {"/api/v1/firmware/channel", CHANNEL, true, true, false, false},
    {"/api/v1/firmware/check-update", CHECK, true, false, false, false},
    {"/api/v1/firmware/update", FETCH, false, true, false, true},
    {"/api/v1/board", BOARD, true, false, true, false},
    {NULL, NOTHING, true, true, true, true},
};

static const char updated_text[] = "Firmware update complete, rebooting now!\n";

static uint32_t now(const struct otter_push *p)
{
    const struct otter_clock *clock = p->device->ports.clock;
    return clock->now_ms(clock->ctx);
}

/* ---- replies ---- */

static void reply(struct otter_exchange *x, int status, const char *type, const void *body, size_t size)
{
    x->status = status;
    x->type = type;
    x->body = body;
    x->size = size;
}

static void reply_text(struct otter_exchange *x, int status, const char *text)
{
    reply(x, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void reply_json(struct otter_exchange *x, int status, char *json)
{
    x->owned = json;
    if (json)
        reply(x, status, "application/json", json, strlen(json));
    else
        reply_text(x, 503, "Out of memory; try again.\n");
}

/* The phrases that clients of the older device API know come first. */
static const char *phrase(int status)
{
    switch (status) {
    case 520: return "Cannot Fetch Latest Version Info: ";
    case 521: return "Failed To Upgrade Firmware: ";
    case 522: return "Failed To Receive Firmware: ";
    case 523: return "Invalid Firmware File: ";
    default: return "";
    }
}

static void reply_form(struct otter_exchange *x, int status, const char *title, const char *words)
{
    snprintf(x->text, sizeof x->text,
             "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>%s</title>"
             "<h1>%s</h1><p>%s</p><p><a href='/'>Back to the device</a></p>",
             title, title, words);
    reply(x, status, "text/html; charset=utf-8", x->text, strlen(x->text));
}

/* What words say of a file's strings goes into HTML as it is; it must not become markup. */
static void no_markup(char *words)
{
    for (char *p = words; *p; p++)
        if (strchr("<>&\"'", *p)) *p = ' ';
}

static void reply_error(struct otter_exchange *x, enum otter_err err)
{
    char words[OTTER_UPDATE_WORDS];
    int status = otter_err_http(err);
    if (x->upload) {
        otter_update_words(x->push->update, err, words);
    } else if (x->ask) {
        otter_push_channel_words(x, err, words, sizeof words);
        status = x->status;
    } else
        otter_push_files_words(x, err, words, sizeof words);
    size_t n = strlen(words);
    if (x->why) snprintf(words + n, sizeof words - n, " Here: %s.", x->why);
    x->result = otter_err_name(err);
    if (x->json) {
        reply_json(x, status, otter_push_json_error(err, words));
    } else if (x->form) {
        no_markup(words);
        reply_form(x, status, "The update was refused", words);
    } else if (err == OTTER_UNAUTHORIZED) {
        reply_text(x, status, otter_err_text(err));
    } else {
        snprintf(x->text, sizeof x->text, "%s%s (%s)\n", phrase(status), words, otter_err_name(err));
        reply_text(x, status, x->text);
    }
}

static void restart_soon(const struct otter_push *p)
{
    const struct otter_chip *chip = p->device->ports.chip;
    chip->reboot(chip->ctx, OTTER_RESTART_MS);
}

static void reply_done(struct otter_exchange *x, enum otter_err err)
{
    if (err)
        reply_error(x, err);
    else
        reply_text(x, 200, "OK");
}

static void reply_uploaded(struct otter_exchange *x, enum otter_err err)
{
    x->result = err ? otter_err_name(err) : "switched";
    if (x->form)
        reply_form(x, 200, err ? "Nothing to do" : "Firmware update complete",
                   err ? otter_err_text(err) : updated_text);
    else if (routes[x->route].action == UPDATE)
        reply(x, 200, "text/html; charset=utf-8", err ? otter_err_text(err) : updated_text,
              strlen(err ? otter_err_text(err) : updated_text));
    else
        reply_text(x, 200, "OK");
    if (!err) restart_soon(x->push);
}

/* ---- the head of a request ---- */

static const char *header(const struct otter_http_head *h, const char *name) { return h->header(h->ctx, name); }

static bool has_word(const char *value, const char *word) { return value && strstr(value, word); }

static bool method_is(const struct otter_http_head *h, const char *name) { return strcmp(h->method, name) == 0; }

static bool method_fits(const struct route *r, const struct otter_http_head *h)
{
    if (method_is(h, "GET") || method_is(h, "HEAD")) return r->get;
    if (method_is(h, "POST")) return r->post;
    if (method_is(h, "DELETE")) return r->del;
    return method_is(h, "PUT") && r->put;
}

static bool leads_to(const struct route *r, const char *path)
{
    size_t n = strlen(r->path);
    return strncmp(r->path, path, n) == 0 && (path[n] == '\0') != (r->action == FILE_OF_NAME);
}

static unsigned find_route(const char *path)
{
    unsigned i = 0;
    while (routes[i].path && !leads_to(&routes[i], path)) i++;
    return i;
}

static enum otter_err check_access(const struct otter_push *p, const struct otter_http_head *h)
{
    struct otter_access_request r = {
        .authorization = header(h, "Authorization"),
        .host = header(h, "Host"),
        .origin = header(h, "Origin"),
        .referer = header(h, "Referer"),
        .sec_fetch_site = header(h, "Sec-Fetch-Site"),
        .changes = !method_is(h, "GET") && !method_is(h, "HEAD"),
    };
    return otter_access_check(&p->config.access, &r);
}

static enum otter_err check_request(struct otter_push *p, const struct otter_exchange *x,
                                    const struct otter_http_head *h)
{
    enum otter_err e = check_access(p, h);
    if (e) return e;
    if (routes[x->route].action == NOTHING) return OTTER_NOT_FOUND;
    if (h->boundless) return OTTER_LENGTH_REQUIRED;
    return method_fits(&routes[x->route], h) ? OTTER_OK : OTTER_METHOD;
}

/* False if text is there but is not 64 hex digits. */
static bool read_sha256(const char *text, uint8_t out[32], bool *there)
{
    *there = text != NULL;
    return !text || otter_hex32(text, out);
}

/* A decimal number up to 2^32 - 1 and the character behind it. */
static bool read_number(const char **p, char end, uint32_t *out)
{
    char *after;
    if (**p < '0' || **p > '9') return false;
    unsigned long long n = strtoull(*p, &after, 10);
    if (*after != end || n > UINT32_MAX || after - *p > 10) return false;
    *p = after + 1;
    *out = (uint32_t)n;
    return true;
}

/* "bytes FIRST-LAST/SIZE": the rest of a file whose beginning the device has. It is the whole rest. Without it *first
 * and *size stay. */
static bool read_range(const char *text, const struct otter_http_head *h, uint32_t *first_byte, uint32_t *file_size)
{
    uint32_t first, last, size;
    if (!text) return true;
    if (strncmp(text, "bytes ", 6) != 0) return false;
    text += 6;
    if (!read_number(&text, '-', &first) || !read_number(&text, '/', &last) || !read_number(&text, '\0', &size))
        return false;
    if (first > last || last + 1u != size) return false;
    if (h->has_length && h->length != size - first) return false;
    *first_byte = first;
    *file_size = size;
    return true;
}

/* The data image that follows: size and SHA-256, both or neither; where slots are fixed there is no place for one. */
static bool read_data_offer(const struct otter_push *p, const struct otter_http_head *h, struct otter_offer *offer)
{
    const char *size = header(h, "X-Data-Size"), *loss = header(h, "X-Data-Loss");
    bool has_sha256;
    offer->data_may_go = loss && strcmp(loss, "accepted") == 0;
    if (loss && !offer->data_may_go) return false;
    if (!read_sha256(header(h, "X-Data-SHA256"), offer->data_sha256, &has_sha256)) return false;
    if (!size) return !has_sha256;
    return has_sha256 && read_number(&size, '\0', &offer->data_size) && offer->data_size && p->device->ports.layout;
}

static enum otter_err file_bytes(void *ctx, const uint8_t *data, size_t n);

static enum otter_err begin_upload(struct otter_push *p, struct otter_exchange *x, const struct otter_http_head *h)
{
    struct otter_offer offer = {.door = "push"};
    const char *type = header(h, "Content-Type");
    x->upload = true;
    x->multipart.ctx = x;
    x->multipart.file = file_bytes;
    x->form = type && otter_multipart_start(&x->multipart, type);
    if (!x->form && h->has_length && h->length > UINT32_MAX) return OTTER_TOO_BIG;
    if (!x->form && h->has_length && h->length == 0) return OTTER_EMPTY;
    if (h->has_length) *(x->form ? &offer.size_at_most : &offer.size) = (uint32_t)h->length;
    if (!read_sha256(header(h, "X-Firmware-SHA256"), offer.sha256, &offer.has_sha256)) return OTTER_ARG;
    const char *range = x->form ? NULL : header(h, "Content-Range");
    /* The rest of which file? */
    if (range && !offer.has_sha256) return OTTER_RANGE;
    if (!read_range(range, h, &offer.offset, &offer.size)) return OTTER_RANGE;
    if (!read_data_offer(p, h, &offer)) return OTTER_ARG;
    enum otter_err e = otter_update_open(p->update, &offer);
    if (!e) p->owner = x;
    return e;
}

static bool body_comes(const struct otter_http_head *h) { return h->chunked || (h->has_length && h->length > 0); }

/* A refusal: at once if no body is on its way or the client waits to be asked for it, else when the body has been
 * drained. */
static enum otter_push_next refuse(struct otter_exchange *x, const struct otter_http_head *h, enum otter_err err)
{
    x->err = err;
    if (body_comes(h) && !has_word(header(h, "Expect"), "100-continue")) return OTTER_PUSH_BODY;
    reply_error(x, err);
    return OTTER_PUSH_REPLY;
}

/* ---- the data image ---- */

static enum otter_err begin_data(struct otter_exchange *x, const struct otter_http_head *h)
{
    uint32_t first = 0, size = (uint32_t)h->length;
    if (method_is(h, "DELETE")) return OTTER_OK;
    x->data = true;
    if (!h->has_length) return OTTER_LENGTH_REQUIRED;
    if (h->length > UINT32_MAX) return OTTER_SIZE;
    if (!read_range(header(h, "Content-Range"), h, &first, &size)) return OTTER_RANGE;
    return otter_push_data_begin(x, first, size);
}

/* ---- files ---- */

static enum otter_err find_file(struct otter_exchange *x, const struct otter_http_head *h)
{
    enum action action = routes[x->route].action;
    bool reads = method_is(h, "GET") || method_is(h, "HEAD");
    if (action != FILES && action != FILE_OF_NAME) return OTTER_OK;
    if (action == FILE_OF_NAME && !otter_file_name(h->path + strlen(routes[x->route].path), x->name))
        return OTTER_BAD_FILE_NAME;
    x->removes = method_is(h, "DELETE");
    x->store = !reads && !x->removes;
    return x->store ? otter_push_files_begin(x, h) : OTTER_OK;
}

static void reply_files(struct otter_exchange *x)
{
    enum otter_err e = x->removes ? otter_push_files_remove(x) : otter_push_files_find(x);
    if (e || x->removes)
        reply_done(x, e);
    else if (!x->name[0])
        reply_json(x, 200, otter_push_json_files(x->push));
    else
        reply(x, 200, "application/octet-stream", NULL, x->size);
}

/* ---- channels ---- */

static enum otter_push_ask ask_of(const struct otter_exchange *x, const struct otter_http_head *h)
{
    bool reads = method_is(h, "GET") || method_is(h, "HEAD");
    switch (routes[x->route].action) {
    case CHANNELS: return OTTER_ASK_CHANNELS;
    case CHANNEL: return reads ? OTTER_ASK_CHANNEL : OTTER_ASK_SELECT;
    case CHECK: return OTTER_ASK_CHECK;
    case FETCH: return method_is(h, "DELETE") ? OTTER_ASK_CANCEL : OTTER_ASK_UPDATE;
    case BOARD: return reads ? OTTER_ASK_BOARD : OTTER_ASK_SET_BOARD;
    default: return OTTER_ASK_NONE;
    }
}

static enum otter_err ask_channel(struct otter_exchange *x, const struct otter_http_head *h)
{
    x->ask = (uint8_t)ask_of(x, h);
    return x->ask ? otter_push_channel_begin(x, h) : OTTER_OK;
}

/* ---- what needs no body ---- */

static void restart(struct otter_exchange *x)
{
    reply_done(x, x->push->device->session ? OTTER_BUSY : OTTER_OK);
    if (x->status == 200) restart_soon(x->push);
}

static void roll_back(struct otter_exchange *x)
{
    struct otter_device *d = x->push->device;
    reply_done(x, d->session || d->switched ? OTTER_BUSY : otter_rollback(d, "a person asked for it"));
    if (x->status == 200) restart_soon(x->push);
}

static void act(struct otter_exchange *x)
{
    struct otter_push *p = x->push;
    switch (routes[x->route].action) {
    case PAGE:
        reply(x, 200, "text/html; charset=utf-8", p->config.page, p->config.page_size);
        x->encoding = "gzip";
        break;
    case INFO: reply_json(x, 200, otter_push_json_info(p)); break;
    case STATUS: reply_json(x, 200, otter_push_json_status(p)); break;
    case CONFIRM: reply_done(x, otter_confirm(p->device)); break;
    case ROLLBACK: roll_back(x); break;
    case RESTART: restart(x); break;
    case FILES:
    case FILE_OF_NAME: reply_files(x); break;
    case DATA: reply_done(x, otter_data_forgo(p->device)); break;
    case MIGRATE:
    case CHANNELS:
    case CHANNEL:
    case CHECK:
    case FETCH:
    case BOARD:
    case EVENTS:
    case UPLOAD:
    case UPDATE:
    case NOTHING: break;
    }
}

static const char *allowed(const struct route *r)
{
    if (r->action == FILE_OF_NAME) return "GET, HEAD, POST, PUT, DELETE";
    if (r->action == DATA) return "POST, PUT, DELETE";
    if (r->action == CHANNEL) return "GET, HEAD, POST";
    if (r->action == BOARD) return "GET, HEAD, PUT";
    if (r->action == FETCH) return "POST, DELETE";
    if (r->get) return r->del ? "GET, HEAD, DELETE" : "GET, HEAD";
    return r->put ? "POST, PUT" : "POST";
}

enum otter_push_next otter_push_head(struct otter_push *p, struct otter_exchange *x, const struct otter_http_head *head)
{
    memset(x, 0, sizeof *x);
    x->push = p;
    x->drain_since = now(p);
    x->route = find_route(head->path);
    x->json = has_word(header(head, "Accept"), "application/json");
    enum otter_err e = check_request(p, x, head);
    if (e == OTTER_METHOD) x->allow = allowed(&routes[x->route]);
    enum action action = routes[x->route].action;
    if (!e && (action == UPLOAD || action == UPDATE)) e = begin_upload(p, x, head);
    if (!e && action == DATA) e = begin_data(x, head);
    if (!e && action == MIGRATE) e = otter_push_migrate_begin(x, head);
    if (!e) e = find_file(x, head);
    if (!e) e = ask_channel(x, head);
    if (e) return refuse(x, head, e);
    if (action == EVENTS) {
        reply(x, 200, "text/event-stream", NULL, 0);
        return OTTER_PUSH_STREAM;
    }
    /* What a request without use for a body sends along is read and forgotten. */
    return x->upload || x->store || x->data || x->migrates || x->ask || body_comes(head) ? OTTER_PUSH_BODY
                                                                                         : (act(x), OTTER_PUSH_REPLY);
}

/* ---- the body ---- */

static enum otter_err file_bytes(void *ctx, const uint8_t *data, size_t n)
{
    struct otter_exchange *x = ctx;
    enum otter_err e = OTTER_OK;
    /* A sector a call, so that none takes long. */
    while (n && !e) {
        size_t piece = n < OTTER_SECTOR ? n : OTTER_SECTOR;
        e = otter_feed(x->push->update->session, data, piece);
        data += piece;
        n -= piece;
    }
    return e;
}

static void give_up(struct otter_push *p)
{
    otter_update_close(p->update);
    p->owner = NULL;
}

static bool drain(struct otter_exchange *x, size_t n)
{
    x->drained += n;
    return x->drained <= OTTER_DRAIN_BYTES && now(x->push) - x->drain_since <= OTTER_DRAIN_MS;
}

/* While an upload stalled, its session was given up and another one may have taken its place. */
static void check_owner(struct otter_exchange *x)
{
    if (x->upload && !x->err && x->push->owner != x) x->err = OTTER_IDLE;
}

bool otter_push_body(struct otter_exchange *x, const void *data, size_t n)
{
    if (x->err || !(x->upload || x->store || x->data || x->migrates || x->taken)) return drain(x, n);
    x->drain_since = now(x->push);
    check_owner(x);
    if (x->err) return true;
    if (x->taken) {
        otter_push_channel_bytes(x, data, n);
        return true;
    }
    if (x->migrates) {
        otter_push_migrate_bytes(x, data, n);
        return true;
    }
    if (x->data) {
        otter_push_data_bytes(x, data, n);
        return true;
    }
    if (x->store) {
        x->err = otter_push_files_bytes(x, data, n);
        if (x->err) otter_push_files_end(x, x->err);
        return true;
    }
    x->err = x->form ? otter_multipart_feed(&x->multipart, data, n) : file_bytes(x, data, n);
    if (x->err) give_up(x->push);
    return true;
}

static void end_store(struct otter_exchange *x)
{
    enum otter_err e = otter_push_files_end(x, x->err);
    reply_done(x, e);
    if (!e) x->result = "stored";
}

static enum otter_err end_upload(struct otter_exchange *x)
{
    struct otter_push *p = x->push;
    if (!x->err && x->form) x->err = otter_multipart_end(&x->multipart);
    enum otter_err e = x->err ? x->err : otter_finish(p->update->session);
    if (e == OTTER_AGAIN) return e;
    give_up(p);
    if (e == OTTER_OK || e == OTTER_ALREADY_CURRENT)
        reply_uploaded(x, e);
    else
        reply_error(x, e);
    return OTTER_OK;
}

static enum otter_err end_data(struct otter_exchange *x)
{
    enum otter_err e = otter_push_data_end(x);
    if (e == OTTER_AGAIN) return e;
    otter_push_data_done(x);
    reply_done(x, e);
    if (!e) x->result = "restored";
    return OTTER_OK;
}

static enum otter_err end_ask(struct otter_exchange *x)
{
    char *json = NULL;
    enum otter_err e = otter_push_channel_end(x, &json);
    if (e == OTTER_AGAIN) return e;
    if (e)
        reply_error(x, e);
    else if (json)
        reply_json(x, 200, json);
    else
        reply_text(x, x->async ? 202 : 200, "OK");
    return OTTER_OK;
}

static void end_migration(struct otter_exchange *x)
{
    const char *why = NULL;
    enum otter_err e = x->err ? x->err : otter_push_migrate_end(x, &why);
    otter_push_data_done(x);
    x->why = why;
    reply_done(x, e);
    if (!e) restart_soon(x->push);
}

enum otter_err otter_push_end(struct otter_exchange *x)
{
    check_owner(x);
    if (x->migrates && x->push->data_owner == x) {
        end_migration(x);
        return OTTER_OK;
    }
    if (x->data && x->push->data_owner == x) return end_data(x);
    if (x->upload && x->push->owner == x) return end_upload(x);
    if (x->ask) return end_ask(x);
    if (x->store)
        end_store(x);
    else if (x->err)
        reply_error(x, x->err);
    else
        act(x);
    return OTTER_OK;
}

void otter_push_done(struct otter_exchange *x)
{
    if (x->push && x->push->owner == x) give_up(x->push);
    if (x->push) otter_push_files_end(x, OTTER_ABORTED);
    otter_push_data_done(x);
    free(x->owned);
    free(x->taken);
    x->owned = x->taken = NULL;
}

/* ---- events ---- */

size_t otter_push_stream(struct otter_push *p, uint32_t *cursor, char *buf, size_t size)
{
    struct otter_event e;
    size_t used = 0;
    while (otter_event_next(&p->device->events, *cursor, &e)) {
        char *json = otter_push_json_event(p, &e);
        int n = snprintf(buf + used, size - used, "id: %u\nevent: %s\ndata: %s\n\n", e.seq, otter_event_name(e.code),
                         json ? json : "{}");
        free(json);
        if (n < 0 || (size_t)n >= size - used) break;
        used += (size_t)n;
        *cursor = e.seq;
    }
    return used;
}

void otter_push_init(struct otter_push *p, struct otter_update *u, const struct otter_push_config *config)
{
    memset(p, 0, sizeof *p);
    p->device = u->device;
    p->update = u;
    p->config = *config;
}
