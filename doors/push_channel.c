/* What becomes of an exchange about channels. Knows the API's words and the channel door's calls. */
#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "doors/channel.h"
#include "doors/push_part.h"
#include "doors/text.h"

enum ask { NONE, CHANNELS, CHANNEL, SELECT, CHECK, UPDATE, CANCEL, BOARD, SET_BOARD };

static struct otter_channel *channel_of(const struct otter_exchange *x) { return x->push->config.channel; }

static bool header_is(const struct otter_http_head *h, const char *name, const char *value)
{
    const char *got = h->header(h->ctx, name);
    return got && strcmp(got, value) == 0;
}

/* "application/json", whatever parameters follow. */
static bool is_json(const struct otter_http_head *h)
{
    const char *type = h->header(h->ctx, "Content-Type");
    static const char json[] = "application/json";
    size_t n = sizeof json - 1;
    return type && strncasecmp(type, json, n) == 0 && (!type[n] || strchr("; ", type[n]));
}

static enum otter_err begin_body(struct otter_exchange *x, const struct otter_http_head *h)
{
    size_t most = x->ask == SELECT ? OTTER_CHANNEL_NAME_BYTES * 6 + 2 : OTTER_BOARD_MAX;
    if (!is_json(h)) return OTTER_NOT_JSON;
    if (!h->has_length) return OTTER_LENGTH_REQUIRED;
    if (h->length > most) return OTTER_TOO_LARGE;
    x->taken = malloc((size_t)h->length + 1);
    x->taken_room = (size_t)h->length;
    return x->taken ? OTTER_OK : OTTER_MEMORY;
}

static enum otter_err begin_check(struct otter_exchange *x, const struct otter_http_head *h)
{
    struct otter_channel *c = channel_of(x);
    x->ticket = c->checks;
    x->async = header_is(h, "Prefer", "respond-async");
    return otter_channel_check(c);
}

static enum otter_err begin_update(struct otter_exchange *x, const struct otter_http_head *h)
{
    struct otter_channel *c = channel_of(x);
    x->ticket = c->updates;
    x->async = header_is(h, "Prefer", "respond-async");
    return otter_channel_update(c, header_is(h, "X-Firmware-Older", "accepted"));
}

static enum ask ask_of(const struct otter_http_head *h)
{
    const char *what = strrchr(h->path, '/') + 1;
    bool reads = strcmp(h->method, "GET") == 0 || strcmp(h->method, "HEAD") == 0;
    if (strcmp(what, "channels") == 0) return CHANNELS;
    if (strcmp(what, "channel") == 0) return reads ? CHANNEL : SELECT;
    if (strcmp(what, "check-update") == 0) return CHECK;
    if (strcmp(what, "board") == 0) return reads ? BOARD : SET_BOARD;
    return strcmp(h->method, "DELETE") == 0 ? CANCEL : UPDATE;
}

static enum otter_err take_head(struct otter_exchange *x, const struct otter_http_head *h)
{
    x->ask = (uint8_t)ask_of(h);
    switch ((enum ask)x->ask) {
    case CHECK: return begin_check(x, h);
    case UPDATE: return begin_update(x, h);
    case SELECT:
    case SET_BOARD: return begin_body(x, h);
    case CHANNEL: return channel_of(x)->board.count ? OTTER_OK : OTTER_NO_CHANNEL;
    case CHANNELS:
    case CANCEL:
    case BOARD:
    case NONE: break;
    }
    return OTTER_OK;
}

/* What a request without use for a body sends along is forgotten. */
static enum otter_err take_body(struct otter_exchange *x, const void *data, size_t n)
{
    if (!x->taken) return OTTER_OK;
    if (n > x->taken_room - x->taken_size) return OTTER_TOO_LARGE;
    memcpy(x->taken + x->taken_size, data, n);
    x->taken_size += n;
    return OTTER_OK;
}

static void take_done(struct otter_exchange *x)
{
    free(x->taken);
    x->taken = NULL;
}

/* ---- answers ---- */

static char *print(cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

static char *print_names(const struct otter_channel *c)
{
    cJSON *names = cJSON_CreateArray();
    for (unsigned i = 0; i < c->board.count; i++)
        cJSON_AddItemToArray(names, cJSON_CreateString(c->board.channel[i].name));
    return print(names);
}

static void add_or_null(cJSON *o, const char *name, const char *text)
{
    if (text && *text)
        cJSON_AddStringToObject(o, name, text);
    else
        cJSON_AddNullToObject(o, name);
}

/* What runs comes out of flash, which may hold any bytes. */
static const char *running_version(const struct otter_channel *c)
{
    const char *version = c->update->device->running_image.desc.version;
    return otter_utf8_count(version) == SIZE_MAX ? "?" : version;
}

static void add_find(cJSON *o, const struct otter_channel *c)
{
    const struct otter_release *r = &c->find.release;
    add_or_null(o, "available", r->version);
    cJSON_AddStringToObject(o, "verdict", otter_verdict_name(c->find.verdict));
    add_or_null(o, "notes", r->notes);
    if (r->size)
        cJSON_AddNumberToObject(o, "size", r->size);
    else
        cJSON_AddNullToObject(o, "size");
}

static char *print_check(const struct otter_channel *c)
{
    cJSON *o = cJSON_CreateObject();
    add_find(o, c);
    cJSON_AddStringToObject(o, "current", running_version(c));
    cJSON_AddStringToObject(o, "channel", otter_channel_name(c));
    return print(o);
}

static enum otter_err select_channel(struct otter_exchange *x)
{
    cJSON *json = otter_json_read(x->taken, x->taken_size);
    enum otter_err e = cJSON_IsString(json) ? otter_channel_select(channel_of(x), json->valuestring) : OTTER_ARG;
    cJSON_Delete(json);
    return e;
}

static enum otter_err set_board(struct otter_exchange *x)
{
    struct otter_board b;
    x->why = otter_board_read(x->taken, x->taken_size, &b);
    if (x->why) return OTTER_BOARD;
    enum otter_err e = otter_channel_set_board(channel_of(x), &b);
    otter_board_free(&b);
    return e;
}

static enum otter_err end_check(struct otter_exchange *x)
{
    struct otter_channel *c = channel_of(x);
    if (x->async) {
        x->result = "started";
        return OTTER_OK;
    }
    if (c->checks == x->ticket) return OTTER_AGAIN;
    if (c->find.err) return c->find.err;
    if (c->find.verdict == OTTER_VERDICT_NONE) {
        /* Another channel was selected since; what that has is the answer. */
        x->ticket = c->checks;
        enum otter_err e = otter_channel_check(c);
        return e ? e : OTTER_AGAIN;
    }
    x->owned = print_check(c);
    return x->owned ? OTTER_OK : OTTER_MEMORY;
}

static enum otter_err end_update(struct otter_exchange *x)
{
    const struct otter_channel *c = channel_of(x);
    if (x->async) {
        x->result = "started";
        return OTTER_OK;
    }
    if (c->updates == x->ticket) return OTTER_AGAIN;
    x->result = c->err ? otter_err_name(c->err) : "switched";
    return c->err == OTTER_ALREADY_CURRENT ? OTTER_OK : c->err;
}

static enum otter_err take_end(struct otter_exchange *x)
{
    struct otter_channel *c = channel_of(x);
    enum otter_err e = OTTER_OK;
    switch ((enum ask)x->ask) {
    case CHANNELS: x->owned = print_names(c); break;
    case CHANNEL: x->owned = print(cJSON_CreateString(otter_channel_name(c))); break;
    case SELECT: return select_channel(x);
    case CHECK: e = end_check(x); break;
    case UPDATE: e = end_update(x); break;
    case CANCEL: otter_channel_cancel(c); break;
    case BOARD: x->owned = otter_board_write(&c->board); break;
    case SET_BOARD: return set_board(x);
    case NONE: break;
    }
    x->waits = e == OTTER_AGAIN;
    return e;
}

/* ---- errors ---- */

/* The codes that clients of the older device API know: 404 for a check, 520 and 521 for an update. What says that now
 * is not the time keeps its own. */
static int status_of(const struct otter_exchange *x, enum otter_err err)
{
    int own = otter_err_http(err);
    if (own == 409 || own == 401 || own == 503) return own;
    if (x->ask == CHECK) return 404;
    if (own == 403 || !x->result) return own;
    if (x->ask == UPDATE) return channel_of(x)->at_check ? 520 : 521;
    return own;
}

/* A sentence that had no room ends between two characters. */
static void end_clean(char *text)
{
    unsigned char *p = (unsigned char *)text;
    for (unsigned n; *p && (n = otter_utf8_length(p)) > 0; p += n) {
    }
    *p = '\0';
}

static int put_words(const struct otter_exchange *x, enum otter_err err, char *words, size_t size)
{
    const struct otter_channel *c = channel_of(x);
    const char *said = otter_err_text(err);
    if (x->ask == CHECK && c->find.err == err) said = c->find.words;
    if (x->ask == UPDATE && x->result && c->err == err) said = c->words;
    snprintf(words, size, "%s", said);
    if (err == OTTER_NEEDS_CABLE && c->find.release.notes[0])
        snprintf(words + strlen(words), size - strlen(words), " %s", c->find.release.notes);
    end_clean(words);
    return status_of(x, err);
}

static void add_status(cJSON *o, const struct otter_push *p)
{
    const struct otter_channel *c = p->config.channel;
    if (!c->board.count) {
        cJSON_AddNullToObject(o, "channel");
        return;
    }
    cJSON *ch = cJSON_AddObjectToObject(o, "channel");
    enum otter_err err = c->updates ? c->err : OTTER_OK;
    cJSON_AddStringToObject(ch, "name", otter_channel_name(c));
    add_or_null(ch, "vanished", c->vanished);
    cJSON_AddStringToObject(ch, "state", otter_channel_state_name(c));
    add_find(ch, c);
    cJSON_AddNumberToObject(ch, "fetched", (double)c->fetch.fetched);
    cJSON_AddNumberToObject(ch, "tries", c->fetch.tries);
    cJSON_AddNumberToObject(ch, "updates", c->updates);
    add_or_null(ch, "check_error", c->find.err ? otter_err_name(c->find.err) : NULL);
    add_or_null(ch, "check_message", c->find.err ? c->find.words : NULL);
    add_or_null(ch, "error", err ? otter_err_name(err) : NULL);
    add_or_null(ch, "message", err ? c->words : NULL);
}

const struct otter_push_channel otter_push_channel = {
    .part = {.head = take_head, .body = take_body, .end = take_end, .done = take_done},
    .words = put_words,
    .status = add_status};
