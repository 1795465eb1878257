/* Gets a channel's descriptor. Knows HTTP's redirects and limits; not what a descriptor says. */
#include <stdlib.h>
#include <string.h>

#include "doors/channel.h"

enum { FIRST_ROOM = 1024 };

static uint32_t now(const struct otter_channel *c)
{
    const struct otter_clock *clock = c->update->device->ports.clock;
    return clock->now_ms(clock->ctx);
}

static bool is_cancelled(void *ctx)
{
    const struct otter_channel *c = ctx;
    const struct otter_lock *lock = c->config.lock;
    lock->take(lock->ctx);
    bool is = c->cancelled;
    lock->give(lock->ctx);
    return is;
}

/* Room for one byte more than may come, so that what is too large is seen. */
static bool make_room(struct otter_channel_get *g, size_t *room)
{
    if (g->size < *room) return true;
    size_t more = *room ? *room * 2 : FIRST_ROOM;
    if (more > OTTER_DESCRIPTOR_MAX + 1) more = OTTER_DESCRIPTOR_MAX + 1;
    char *text = realloc(g->text, more);
    if (!text) return false;
    g->text = text;
    *room = more;
    return true;
}

static enum otter_err read_text(struct otter_channel *c, struct otter_channel_get *g, uint32_t since)
{
    const struct otter_net *net = c->config.net;
    size_t room = 0, n = 1;
    while (n) {
        if (!make_room(g, &room)) return OTTER_MEMORY;
        enum otter_err e = net->read(net->ctx, g->text + g->size, room - g->size, &n);
        if (e == OTTER_AGAIN)
            n = 1;
        else if (e)
            return e;
        else
            g->size += n;
        if (g->size > OTTER_DESCRIPTOR_MAX) return OTTER_DESCRIPTOR;
        if (is_cancelled(c)) return OTTER_CANCELLED;
        if (now(c) - since >= 2 * c->fetch.policy.timeout_ms) return OTTER_NET_TIMEOUT;
    }
    return OTTER_OK;
}

/* To where the reply points; g->end is that then. */
static enum otter_err follow(struct otter_channel *c, struct otter_channel_get *g, const char *location)
{
    char *next = malloc(OTTER_URL_MAX + 1);
    if (!next) return OTTER_MEMORY;
    bool good = *location && otter_url_resolve(g->end, location, next);
    enum otter_err e = good ? otter_fetch_allowed(c->update->device, &c->fetch.policy, g->end, next) : OTTER_REPLY;
    free(g->end);
    g->end = next;
    return e;
}

static enum otter_err one_hop(struct otter_channel *c, struct otter_channel_get *g, char *etag, char *location)
{
    const struct otter_net *net = c->config.net;
    struct otter_net_reply reply = {0};
    struct otter_net_request request = {.url = g->end,
                                        .if_none_match = *etag ? etag : NULL,
                                        .gzip = true,
                                        .timeout_ms = c->fetch.policy.timeout_ms,
                                        .stop = is_cancelled,
                                        .stop_ctx = c,
                                        .location = location,
                                        .location_size = OTTER_URL_MAX + 1};
    uint32_t since = now(c);
    *location = '\0';
    enum otter_err e = net->open(net->ctx, &request, &reply);
    g->status = e ? 0 : reply.status;
    if (!e && reply.status == 200) {
        memcpy(etag, reply.etag, OTTER_ETAG_MAX + 1);
        if (reply.packed) g->why = "it is packed (Content-Encoding): let the server send it as it is";
        e = reply.packed ? OTTER_REPLY : read_text(c, g, since);
    } else if (!e && otter_fetch_redirects(reply.status)) {
        e = follow(c, g, location);
        if (!e) e = OTTER_AGAIN;
    } else if (!e && (reply.status != 304 || !*etag)) {
        e = OTTER_SERVER;
    }
    net->close(net->ctx);
    return e;
}

enum otter_err otter_channel_get(struct otter_channel *c, struct otter_channel_get *g, char etag[OTTER_ETAG_MAX + 1])
{
    size_t n = strlen(g->url) + 1;
    char *location = malloc(OTTER_URL_MAX + 1);
    g->end = malloc(n);
    enum otter_err e = location && g->end ? OTTER_AGAIN : OTTER_MEMORY;
    if (g->end) memcpy(g->end, g->url, n);
    for (int hop = 0; e == OTTER_AGAIN && hop <= OTTER_FETCH_HOPS; hop++) e = one_hop(c, g, etag, location);
    free(location);
    return e == OTTER_AGAIN ? OTTER_REDIRECTS : e;
}

void otter_channel_got(struct otter_channel_get *g)
{
    free(g->end);
    free(g->text);
}
