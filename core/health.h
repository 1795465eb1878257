/* The health policy, as the device drives it. */
#ifndef OTTER_CORE_HEALTH_H
#define OTTER_CORE_HEALTH_H

#include "otter/otter.h"

/* At open: is the running firmware on trial? */
void otter_health_start(struct otter_device *d);
/* Confirms it, or rolls back and restarts, when it is time. */
void otter_health_poll(struct otter_device *d);

#endif
