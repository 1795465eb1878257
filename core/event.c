/* The ring of events. Knows nothing of what they mean. */
#include "core/event.h"

static const char *const names[] = {
#define NAME(constant, name) name,
    OTTER_EVENTS(NAME)
#undef NAME
};

const char *otter_event_name(enum otter_event_code code) { return names[code]; }

bool otter_event_next(const struct otter_event_ring *r, uint32_t after, struct otter_event *out)
{
    uint32_t kept = r->last < OTTER_CFG_EVENTS ? r->last : OTTER_CFG_EVENTS;
    uint32_t first = r->last - kept + 1;
    uint32_t seq = after + 1 > first ? after + 1 : first;
    if (seq > r->last) return false;
    *out = r->ring[seq % OTTER_CFG_EVENTS];
    return true;
}

void otter_event_add(struct otter_device *d, enum otter_event_code code, enum otter_err err, uint32_t value)
{
    struct otter_event_ring *r = &d->events;
    r->last++;
    struct otter_event *e = &r->ring[r->last % OTTER_CFG_EVENTS];
    e->seq = r->last;
    e->ms = d->ports.clock->now_ms(d->ports.clock->ctx);
    e->code = code;
    e->err = err;
    e->door = d->session ? d->session->offer.door : NULL;
    e->value = value;
}
