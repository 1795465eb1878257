/* The change from fixed to elastic slots through the push door. Part of the door; not for ports. */
#ifndef OTTER_DOORS_PUSH_MIGRATE_H
#define OTTER_DOORS_PUSH_MIGRATE_H

#include "doors/push.h"

/* The body is the new partition table; the door's buffer for data images holds it meanwhile. */
enum otter_err otter_push_migrate_begin(struct otter_exchange *x, const struct otter_http_head *h);
void otter_push_migrate_bytes(struct otter_exchange *x, const void *data, size_t n);
/* Goes over to the table, if the window was accepted; *why: what stands against it, static text or NULL. */
enum otter_err otter_push_migrate_end(struct otter_exchange *x, const char **why);

#endif
