/* What the push door says of the device, as JSON. Each returns text to be freed with free(), NULL if memory is out. */
#ifndef OTTER_DOORS_PUSH_JSON_H
#define OTTER_DOORS_PUSH_JSON_H

#include "doors/push.h"

char *otter_push_json_status(struct otter_push *p);
/* The status' "division" alone. */
char *otter_push_json_division(struct otter_device *d, otter_push_data_waits *waits);
char *otter_push_json_info(struct otter_push *p);
char *otter_push_json_event(struct otter_push *p, const struct otter_event *e);
/* The region for files, and what is in it. */
char *otter_push_json_files(struct otter_push *p);
char *otter_push_json_error(enum otter_err err, const char *message);

#endif
