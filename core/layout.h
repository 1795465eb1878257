/* How the flash is divided: where an image goes, and what is left for data. Without a layout (ports.layout is NULL) the
 * slots are fixed, and data partitions are nobody's business here. */
#ifndef OTTER_CORE_LAYOUT_H
#define OTTER_CORE_LAYOUT_H

#include "otter/otter.h"

struct otter_layout {
    /* As otter_layout_place(). */
    enum otter_err (*place)(struct otter_device *d, const struct otter_offer *offer, int *slot);
    /* As otter_layout_target(), before there is an update. */
    int (*target)(struct otter_device *d);
    /* As otter_layout_record(). */
    enum otter_err (*record)(struct otter_device *d, const struct otter_offer *offer);
    /* The running firmware is confirmed: what the one before it leaves behind cannot be started any more. */
    enum otter_err (*settle)(struct otter_device *d);
    /* The division may be another one now: hands the data region out. An error: what was in it is not safe yet. */
    enum otter_err (*changed)(struct otter_device *d);
    void (*division)(struct otter_device *d, struct otter_division *out);
};

/* The slot for what is offered. OTTER_NO_SLOT, OTTER_TOO_BIG; a layout has more reasons. Touches no flash. */
enum otter_err otter_layout_place(struct otter_device *d, const struct otter_offer *offer, int *slot);
/* Saves d->record of an update that begins; data gives way to it. OTTER_DATA_BUSY, OTTER_NEEDS_SETTINGS. */
enum otter_err otter_layout_record(struct otter_device *d, const struct otter_offer *offer);
/* The running firmware is confirmed, and the record of its update is done with. */
enum otter_err otter_layout_settle(struct otter_device *d);
/* The record of the update is done with. */
void otter_layout_over(struct otter_device *d);
/* The division may be another one now. */
enum otter_err otter_layout_changed(struct otter_device *d);
/* Where an update goes, or would go: for those who ask before there is one. OTTER_SLOT_NONE. */
int otter_layout_target(struct otter_device *d);

#endif
