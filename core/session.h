/* What the device asks of the session that holds it. */
#ifndef OTTER_CORE_SESSION_H
#define OTTER_CORE_SESSION_H

#include "otter/otter.h"

/* Ends the session if nothing has come for OTTER_CFG_IDLE_MS. */
void otter_session_watch(struct otter_session *s);

#endif
