/* What the settings remember of the data region of an elastic flash: the shape in which files were made, and the data
 * image that an update announced. docs/SPEC.md, section 5.5. */
#ifndef OTTER_CORE_DATA_H
#define OTTER_CORE_DATA_H

#include "otter/data.h"

/* Where files were last made, and for how many of its bytes; region.size 0: nowhere. */
struct otter_data_shape {
    struct otter_slot region;
    uint32_t made;
};
struct otter_data_shape otter_data_shape(struct otter_device *d);
/* NULL: nowhere. Is it so in the settings? */
bool otter_data_set_shape(struct otter_device *d, const struct otter_data_shape *shape);

/* An update is accepted: its data image, or none, is the next one; an earlier one is not waited for any more. */
bool otter_data_announce(struct otter_device *d, const struct otter_offer *offer);
/* It is confirmed: what it announced is waited for from now on. May be repeated. */
bool otter_data_expect(struct otter_device *d);
/* Is an image to be waited for? done: it is whole already, only that was not noted down any more. */
bool otter_data_wanted(struct otter_device *d, const struct otter_slot *region, bool done);

/* The waiting is over: hands the region out (core/elastic.c). */
void otter_elastic_hand_out(struct otter_device *d, uint32_t made, enum otter_data_fate fate);

#endif
