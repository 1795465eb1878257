/* The virtual device's channel door: board.yaml into the settings, a thread for what waits for the network. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "ports/posix/board_yaml.h"
#include "tool/device.h"

/* Written only where it is another one: flash wears. */
static bool put_board(struct otter_device *d, const struct otter_board *b)
{
    struct otter_board before;
    bool same;
    otter_board_load(d, &before);
    same = before.count == b->count;
    for (unsigned i = 0; same && i < b->count; i++)
        same = strcmp(before.channel[i].name, b->channel[i].name) == 0 &&
               strcmp(before.channel[i].path, b->channel[i].path) == 0;
    otter_board_free(&before);
    return same || otter_board_save(d, b) == OTTER_OK;
}

static void read_board(struct otter_device *d, const char *path)
{
    struct board_yaml_error error;
    struct otter_board board;
    if (!board_yaml_load(path, &board, &error))
        printf("E board: %s, line %u: %s; the last good one stays in force\n", path, error.line, error.why);
    else if (!put_board(d, &board))
        printf("E board: %s could not be kept in the settings\n", path);
    otter_board_free(&board);
}

static void put_number(struct otter_device *d, const struct device_number *n)
{
    const struct otter_settings *s = d->ports.settings;
    uint32_t before = 0;
    size_t size = sizeof before;
    if (!s) return;
    bool there = s->get(s->ctx, "ota", n->key, OTTER_SETTING_U32, &before, &size) == 0 && size == sizeof before;
    if (!there || before != n->value) s->set(s->ctx, "ota", n->key, OTTER_SETTING_U32, &n->value, sizeof n->value);
}

static uint32_t step(void *ctx) { return otter_channel_step(ctx); }

struct otter_channel *device_channel_open(struct device_channel *c, const struct device_options *o,
                                          struct otter_update *u)
{
    if (o->board) read_board(u->device, o->board);
    for (unsigned i = 0; i < o->number_count; i++) put_number(u->device, &o->numbers[i]);
    posix_lock_init(&c->lock);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) || !net_curl_init(&c->net, o->ca)) return NULL;
    struct otter_channel_config config = {.net = &c->net.port, .lock = &c->lock.port};
    otter_channel_init(&c->channel, u, &config);
    if (c->channel.vanished[0])
        printf("W channel: \"%s\" is no more; it is \"%s\" now\n", c->channel.vanished,
               otter_channel_name(&c->channel));
    return &c->channel;
}

bool device_channel_start(struct device_channel *c)
{
    c->worker = (struct posix_worker){&c->channel, step};
    return posix_worker_start(&c->worker);
}
