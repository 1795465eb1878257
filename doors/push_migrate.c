/* The change from fixed to elastic slots through the push door: the body is the new partition table. */
#include <string.h>

#include "doors/push_data.h"
#include "doors/push_part.h"
#include "otter/migrate.h"

/* The buffer for data images holds the table meanwhile. */
static enum otter_err take_head(struct otter_exchange *x, const struct otter_http_head *h)
{
    struct otter_push *p = x->push;
    const char *window = otter_push_header(h, "X-Accept-Window");
    if (!h->has_length) return OTTER_LENGTH_REQUIRED;
    if (!h->length || h->length > OTTER_SECTOR) return OTTER_SIZE;
    if (p->device->data.waiting) return OTTER_BUSY;
    x->accepts_window = window && strcmp(window, "yes") == 0;
    enum otter_err e = otter_push_data_take(x);
    if (!e) memset(p->data->sector, 0xFF, sizeof p->data->sector);
    return e;
}

static enum otter_err take_body(struct otter_exchange *x, const void *data, size_t n)
{
    struct otter_data_session *s = x->push->data;
    if (n > sizeof s->sector - s->held) return OTTER_SIZE;
    memcpy(s->sector + s->held, data, n);
    s->held = (uint16_t)(s->held + n);
    return OTTER_OK;
}

static enum otter_err take_end(struct otter_exchange *x)
{
    struct otter_device *d = x->push->device;
    struct otter_migration m = {0};
    enum otter_err e = otter_migrate_check(d, x->push->data->sector, &m);
    x->why = m.why;
    if (!e && !x->accepts_window) e = OTTER_WINDOW;
    return e ? e : otter_migrate(d, x->push->data->sector);
}

const struct otter_push_part otter_push_migrate_part = {
    .head = take_head, .body = take_body, .end = take_end, .done = otter_push_data_free, .restarts = true};
