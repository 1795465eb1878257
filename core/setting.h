/* The engine's own settings, by key in namespace "otter". Without a settings port there are none. */
#ifndef OTTER_CORE_SETTING_H
#define OTTER_CORE_SETTING_H

#include "otter/otter.h"

/* *got: bytes of the value, 1 to size. False: there is none, it is larger, or it cannot be read. */
bool otter_setting_get(struct otter_device *d, const char *key, enum otter_setting kind, void *out, size_t size,
                       size_t *got);
/* Is it in the settings? */
bool otter_setting_set(struct otter_device *d, const char *key, enum otter_setting kind, const void *data, size_t size);
/* Is it not in the settings any more? */
bool otter_setting_drop(struct otter_device *d, const char *key);
/* Leaves *value alone if there is none. */
void otter_setting_u32(struct otter_device *d, const char *key, uint32_t *value);

#endif
