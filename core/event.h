/* Recording of events, inside the engine. */
#ifndef OTTER_CORE_EVENT_H
#define OTTER_CORE_EVENT_H

#include "otter/otter.h"

void otter_event_add(struct otter_device *d, enum otter_event_code code, enum otter_err err, uint32_t value);

#endif
