/* Fixed slots, and the way to other layouts. */
#include "core/layout.h"

#include <string.h>

#include "core/record.h"
#include "core/slots.h"

/* A table with overlapping slots is the elastic layout's: here it would cost the image that runs. */
static bool meets_running(const struct otter_device *d, const struct otter_slot *s)
{
    const struct otter_slot *r = otter_slots_get(d, d->running);
    return r && s->offset < r->offset + r->size && r->offset < s->offset + s->size;
}

enum otter_err otter_layout_place(struct otter_device *d, const struct otter_offer *offer, int *slot)
{
    if (d->ports.layout) return d->ports.layout->place(d, offer, slot);
    *slot = otter_slots_target(d);
    const struct otter_slot *s = otter_slots_get(d, *slot);
    if (!s || meets_running(d, s)) return OTTER_NO_SLOT;
    return offer->size > s->size ? OTTER_TOO_BIG : OTTER_OK;
}

int otter_layout_target(struct otter_device *d)
{
    if (d->record.phase == OTTER_RECORD_RECEIVING) return d->record.slot;
    return d->ports.layout ? d->ports.layout->target(d) : otter_slots_target(d);
}

enum otter_err otter_layout_record(struct otter_device *d, const struct otter_offer *offer)
{
    if (d->ports.layout) return d->ports.layout->record(d, offer);
    otter_record_save(d);
    return OTTER_OK;
}

enum otter_err otter_layout_settle(struct otter_device *d)
{
    const struct otter_layout *layout = d->ports.layout;
    enum otter_err e = layout ? layout->settle(d) : OTTER_OK;
    if (!e) otter_layout_over(d);
    return e;
}

void otter_layout_over(struct otter_device *d)
{
    if (otter_record_clear(d)) otter_layout_changed(d);
}

enum otter_err otter_layout_changed(struct otter_device *d)
{
    return d->ports.layout ? d->ports.layout->changed(d) : OTTER_OK;
}

void otter_division(struct otter_device *d, struct otter_division *out)
{
    memset(out, 0, sizeof *out);
    if (d->ports.layout) d->ports.layout->division(d, out);
}

const char *otter_division_name(enum otter_division_state state)
{
    static const char *const names[] = {"fixed",     "settled",  "updating",         "pending",
                                        "went_back", "fallback", "waiting_for_data", "unknown"};
    return names[state];
}
