/* The door's buffer for data images. Part of the door; not for ports. */
#ifndef OTTER_DOORS_PUSH_DATA_H
#define OTTER_DOORS_PUSH_DATA_H

#include "doors/push.h"

/* x->push->data is this exchange's until otter_push_data_free(). OTTER_BUSY: it is another one's; OTTER_MEMORY. */
enum otter_err otter_push_data_take(struct otter_exchange *x);
/* Nothing if it is another one's. */
void otter_push_data_free(struct otter_exchange *x);

#endif
