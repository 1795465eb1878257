/* The data image through the push door. Part of the door; not for ports. */
#ifndef OTTER_DOORS_PUSH_DATA_H
#define OTTER_DOORS_PUSH_DATA_H

#include "doors/push.h"

/* p->data is the exchange's until otter_push_data_done(). OTTER_BUSY: it is another one's; OTTER_MEMORY. */
enum otter_err otter_push_data_take(struct otter_exchange *x);
/* first: byte offset of the body's first byte; size: of the whole image. */
enum otter_err otter_push_data_begin(struct otter_exchange *x, uint32_t first, uint32_t size);
void otter_push_data_bytes(struct otter_exchange *x, const void *data, size_t n);
/* One step a call: OTTER_AGAIN, or how it ended. */
enum otter_err otter_push_data_end(struct otter_exchange *x);
/* The exchange is over, whole or not. */
void otter_push_data_done(struct otter_exchange *x);

#endif
