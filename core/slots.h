/* The table's slots, and the images in them. */
#ifndef OTTER_CORE_SLOTS_H
#define OTTER_CORE_SLOTS_H

#include "otter/otter.h"

/* A row of the partition table in flash; ctx: points to a struct otter_device *. */
enum otter_err otter_slots_row(const void *ctx, unsigned i, uint8_t out[OTTER_TABLE_ROW]);
/* Checks a partition table as the boot loader does, and finds the slots in it. */
enum otter_err otter_slots_read(struct otter_device *d, const struct otter_rows *rows, struct otter_slots *out);

/* NULL if the table has no such slot. */
const struct otter_slot *otter_slots_get(const struct otter_device *d, int slot);

/* The slot that starts at off; OTTER_SLOT_NONE. */
int otter_slots_at(const struct otter_device *d, uint32_t off);

/* Where the next update goes: the ota slot after the one that runs. OTTER_SLOT_NONE if there is none but that. */
int otter_slots_target(const struct otter_device *d);

/* Reads the headers of the image in a slot: facts as far as they can be had, unchecked but for structure. scratch: too
 * large for every caller's stack. */
enum otter_err otter_slots_scan(struct otter_device *d, int slot, struct otter_image_check *scratch,
                                struct otter_image_facts *facts);

/* Does the whole image in a slot verify, as the boot loader would ask? Reads all of it. */
enum otter_err otter_slots_verify(struct otter_device *d, int slot);

/* What an image in a slot is held to. */
struct otter_image_rules otter_slots_rules(const struct otter_device *d, int slot);

#endif
