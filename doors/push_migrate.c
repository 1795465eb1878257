/* The change from fixed to elastic slots through the push door. */
#include "doors/push_migrate.h"

#include <string.h>

#include "doors/push_data.h"
#include "otter/migrate.h"

enum otter_err otter_push_migrate_begin(struct otter_exchange *x, const struct otter_http_head *h)
{
    struct otter_push *p = x->push;
    const char *window = h->header(h->ctx, "X-Accept-Window");
    if (!h->has_length) return OTTER_LENGTH_REQUIRED;
    if (!h->length || h->length > OTTER_SECTOR) return OTTER_SIZE;
    if (p->device->data.waiting) return OTTER_BUSY;
    x->accepts_window = window && strcmp(window, "yes") == 0;
    enum otter_err e = otter_push_data_take(x);
    if (e) return e;
    x->migrates = true;
    memset(p->data->sector, 0xFF, sizeof p->data->sector);
    return OTTER_OK;
}

void otter_push_migrate_bytes(struct otter_exchange *x, const void *data, size_t n)
{
    struct otter_data_session *s = x->push->data;
    if (n > sizeof s->sector - s->held) {
        x->err = OTTER_SIZE;
        return;
    }
    memcpy(s->sector + s->held, data, n);
    s->held = (uint16_t)(s->held + n);
}

enum otter_err otter_push_migrate_end(struct otter_exchange *x, const char **why)
{
    struct otter_device *d = x->push->device;
    struct otter_migration m = {0};
    enum otter_err e = otter_migrate_check(d, x->push->data->sector, &m);
    *why = m.why;
    if (!e && !x->accepts_window) e = OTTER_WINDOW;
    return e ? e : otter_migrate(d, x->push->data->sector);
}
