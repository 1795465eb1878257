/* The data image through the push door: one sender at a time. */
#include "doors/push_data.h"

#include <stdlib.h>

#include "doors/push_part.h"

enum otter_err otter_push_data_take(struct otter_exchange *x)
{
    struct otter_push *p = x->push;
    if (p->data_owner) return OTTER_BUSY;
    p->data = calloc(1, sizeof *p->data);
    if (!p->data) return OTTER_MEMORY;
    p->data_owner = x;
    return OTTER_OK;
}

void otter_push_data_free(struct otter_exchange *x)
{
    struct otter_push *p = x->push;
    if (p->data_owner != x) return;
    free(p->data);
    p->data = NULL;
    p->data_owner = NULL;
}

static enum otter_err begin(struct otter_exchange *x, uint32_t first, uint32_t size)
{
    struct otter_data_wait wait;
    if (!otter_data_waits(x->push->device, &wait)) return OTTER_STATE;
    if (size != wait.size) return OTTER_SIZE;
    enum otter_err e = otter_push_data_take(x);
    if (e) return e;
    e = otter_data_begin(x->push->data, x->push->device, first);
    if (e) otter_push_data_free(x);
    return e;
}

static enum otter_err take_head(struct otter_exchange *x, const struct otter_http_head *h)
{
    uint32_t first = 0, size = (uint32_t)h->length;
    if (!h->has_length) return OTTER_LENGTH_REQUIRED;
    if (h->length > UINT32_MAX) return OTTER_SIZE;
    if (!otter_push_range(otter_push_header(h, "Content-Range"), h, &first, &size)) return OTTER_RANGE;
    if (x->push->data_owner) return OTTER_BUSY;
    return begin(x, first, size);
}

/* A sector a call, so that none takes long. */
static enum otter_err take_body(struct otter_exchange *x, const void *data, size_t n)
{
    const uint8_t *p = data;
    enum otter_err e = OTTER_OK;
    while (n && !e) {
        size_t piece = n < OTTER_SECTOR ? n : OTTER_SECTOR;
        e = otter_data_feed(x->push->data, p, piece);
        p += piece;
        n -= piece;
    }
    return e;
}

static enum otter_err take_end(struct otter_exchange *x) { return otter_data_finish(x->push->data); }

static void done(struct otter_exchange *x)
{
    otter_data_abort(x->push->data);
    otter_push_data_free(x);
}

const struct otter_push_part otter_push_data_part = {
    .head = take_head, .body = take_body, .end = take_end, .done = done, .result = "restored"};
