/* The data image through the push door: one sender at a time. */
#include "doors/push_data.h"

#include <stdlib.h>

static enum otter_err forget(struct otter_push *p, enum otter_err e)
{
    free(p->data);
    p->data = NULL;
    p->data_owner = NULL;
    return e;
}

enum otter_err otter_push_data_take(struct otter_exchange *x)
{
    struct otter_push *p = x->push;
    if (p->data_owner) return OTTER_BUSY;
    p->data = calloc(1, sizeof *p->data);
    if (!p->data) return OTTER_MEMORY;
    p->data_owner = x;
    return OTTER_OK;
}

enum otter_err otter_push_data_begin(struct otter_exchange *x, uint32_t first, uint32_t size)
{
    struct otter_push *p = x->push;
    struct otter_data_wait wait;
    if (!otter_data_waits(p->device, &wait)) return OTTER_STATE;
    if (size != wait.size) return OTTER_SIZE;
    enum otter_err e = otter_push_data_take(x);
    if (e) return e;
    e = otter_data_begin(p->data, p->device, first);
    return e ? forget(p, e) : e;
}

/* A sector a call, so that none takes long. */
void otter_push_data_bytes(struct otter_exchange *x, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (n && !x->err) {
        size_t piece = n < OTTER_SECTOR ? n : OTTER_SECTOR;
        x->err = otter_data_feed(x->push->data, p, piece);
        p += piece;
        n -= piece;
    }
}

enum otter_err otter_push_data_end(struct otter_exchange *x)
{
    return x->err ? x->err : otter_data_finish(x->push->data);
}

void otter_push_data_done(struct otter_exchange *x)
{
    struct otter_push *p = x->push;
    if (!p || p->data_owner != x) return;
    if (x->data) otter_data_abort(p->data);
    forget(p, OTTER_OK);
}
