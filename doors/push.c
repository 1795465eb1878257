/* The push door: which request does what, and what is replied. Knows HTTP's words and the engine's, and nothing of
 * flash. */
#include "doors/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "doors/push_json.h"
#include "doors/push_part.h"

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
    CHANNEL,
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
    {"/api/v1/firmware/channels", CHANNEL, true, false, false, false},
    {"/api/v1/firmware/channel", CHANNEL, true, true, false, false},
    {"/api/v1/firmware/check-update", CHANNEL, true, false, false, false},
    {"/api/v1/firmware/update", CHANNEL, false, true, false, true},
    {"/api/v1/board", CHANNEL, true, false, true, false},
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
    x->push->config.forms->page(x, title, words);
    reply(x, status, "text/html; charset=utf-8", x->text, strlen(x->text));
}

static void reply_error(struct otter_exchange *x, enum otter_err err)
{
    char words[OTTER_UPDATE_WORDS];
    int status = otter_err_http(err);
    if (routes[x->route].action == UPLOAD || routes[x->route].action == UPDATE)
        otter_update_words(x->push->update, err, words);
    else if (x->ask)
        status = x->push->config.channel_part->words(x, err, words, sizeof words);
    else if (x->push->config.files_part)
        x->push->config.files_part->words(x, err, words, sizeof words);
    else
        snprintf(words, sizeof words, "%s", otter_err_text(err));
    size_t n = strlen(words);
    if (x->why) snprintf(words + n, sizeof words - n, " Here: %s.", x->why);
    x->result = otter_err_name(err);
    if (x->json) {
        reply_json(x, status, otter_push_json_error(err, words));
    } else if (x->form) {
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

static const char *header(const struct otter_http_head *h, const char *name) { return otter_push_header(h, name); }

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

/* Parts that the device was built without are not there. */
static enum otter_err is_there(const struct otter_push *p, enum action action)
{
    if (action == FILES || action == FILE_OF_NAME) return p->config.files_part ? OTTER_OK : OTTER_NO_FILES;
    bool there = action == DATA      ? p->config.data != NULL
                 : action == CHANNEL ? p->config.channel_part != NULL
                                     : action != MIGRATE || p->config.migrate;
    return there && action != NOTHING ? OTTER_OK : OTTER_NOT_FOUND;
}

static enum otter_err check_request(struct otter_push *p, const struct otter_exchange *x,
                                    const struct otter_http_head *h)
{
    enum otter_err e = check_access(p, h);
    if (!e) e = is_there(p, routes[x->route].action);
    if (e) return e;
    if (h->boundless) return OTTER_LENGTH_REQUIRED;
    return method_fits(&routes[x->route], h) ? OTTER_OK : OTTER_METHOD;
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

/* ---- files ---- */

static enum otter_err find_file(struct otter_exchange *x, const struct otter_http_head *h)
{
    enum action action = routes[x->route].action;
    if (action != FILES && action != FILE_OF_NAME) return OTTER_OK;
    if (action == FILE_OF_NAME && !x->push->config.files_part->name(h->path + strlen(routes[x->route].path), x->name))
        return OTTER_BAD_FILE_NAME;
    x->removes = method_is(h, "DELETE");
    return OTTER_OK;
}

static void reply_files(struct otter_exchange *x)
{
    const struct otter_push_files *files = x->push->config.files_part;
    enum otter_err e = x->removes ? files->remove(x) : files->find(x);
    if (e || x->removes)
        reply_done(x, e);
    else if (!x->name[0])
        reply_json(x, 200, files->list(x->push));
    else
        reply(x, 200, "application/octet-stream", NULL, x->size);
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
    case DATA: reply_done(x, p->config.data_forgo(p->device)); break;
    case MIGRATE:
    case CHANNEL:
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
    if (r->action == CHANNEL && !r->get) return "POST, DELETE";
    if (r->action == CHANNEL && (r->post || r->put)) return r->post ? "GET, HEAD, POST" : "GET, HEAD, PUT";
    if (r->get) return r->del ? "GET, HEAD, DELETE" : "GET, HEAD";
    return r->put ? "POST, PUT" : "POST";
}

/* Who takes the body; NULL: it is of no use. */
static const struct otter_push_part *part_for(const struct otter_exchange *x, const struct otter_http_head *h)
{
    const struct otter_push_config *c = &x->push->config;
    bool brings = method_is(h, "POST") || method_is(h, "PUT");
    if (routes[x->route].action == CHANNEL) return &c->channel_part->part;
    switch (brings ? routes[x->route].action : NOTHING) {
    case UPLOAD:
    case UPDATE: return &otter_push_upload_part;
    case DATA: return c->data;
    case MIGRATE: return c->migrate;
    case FILE_OF_NAME: return &c->files_part->part;
    default: return NULL;
    }
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
    if (!e) e = find_file(x, head);
    const struct otter_push_part *part = e ? NULL : part_for(x, head);
    if (part) e = part->head(x, head);
    if (e) return refuse(x, head, e);
    x->part = part;
    if (routes[x->route].action == EVENTS) {
        reply(x, 200, "text/event-stream", NULL, 0);
        return OTTER_PUSH_STREAM;
    }
    /* What a request without use for a body sends along is read and forgotten. */
    return part || body_comes(head) ? OTTER_PUSH_BODY : (act(x), OTTER_PUSH_REPLY);
}

/* ---- the body ---- */

static bool drain(struct otter_exchange *x, size_t n)
{
    x->drained += n;
    return x->drained <= OTTER_DRAIN_BYTES && now(x->push) - x->drain_since <= OTTER_DRAIN_MS;
}

static void part_done(struct otter_exchange *x)
{
    if (x->part) x->part->done(x);
    x->part = NULL;
}

bool otter_push_body(struct otter_exchange *x, const void *data, size_t n)
{
    if (x->err || !x->part) return drain(x, n);
    x->drain_since = now(x->push);
    x->err = x->part->body(x, data, n);
    if (x->err) part_done(x);
    return true;
}

static void reply_taken(struct otter_exchange *x, const struct otter_push_part *part, enum otter_err err)
{
    if (part == &otter_push_upload_part && (!err || err == OTTER_ALREADY_CURRENT)) {
        reply_uploaded(x, err);
        return;
    }
    if (!err && x->owned) {
        reply_json(x, 200, x->owned);
        return;
    }
    reply_done(x, err);
    if (!err && x->async) x->status = 202;
    if (!err && part->result) x->result = part->result;
    if (!err && part->restarts) restart_soon(x->push);
}

enum otter_err otter_push_end(struct otter_exchange *x)
{
    const struct otter_push_part *part = x->part;
    if (!x->err && part) {
        enum otter_err e = part->end(x);
        if (e == OTTER_AGAIN) return e;
        part_done(x);
        reply_taken(x, part, e);
    } else if (x->err) {
        reply_error(x, x->err);
    } else {
        act(x);
    }
    return OTTER_OK;
}

bool otter_push_read(struct otter_exchange *x, uint64_t off, void *dst, size_t n)
{
    return x->push->config.files_part->read(x, off, dst, n);
}

void otter_push_done(struct otter_exchange *x)
{
    part_done(x);
    free(x->multipart);
    x->multipart = NULL;
    free(x->owned);
    x->owned = NULL;
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
