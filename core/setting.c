/* Asks the settings port. Knows the namespace, and nothing of the keys. */
#include "core/setting.h"

static const char ns[] = "otter";

bool otter_setting_get(struct otter_device *d, const char *key, enum otter_setting kind, void *out, size_t size,
                       size_t *got)
{
    const struct otter_settings *s = d->ports.settings;
    *got = size;
    return s && s->get(s->ctx, ns, key, kind, out, got) == 0 && *got > 0 && *got <= size;
}

bool otter_setting_set(struct otter_device *d, const char *key, enum otter_setting kind, const void *data, size_t size)
{
    const struct otter_settings *s = d->ports.settings;
    return s && s->set(s->ctx, ns, key, kind, data, size) == 0;
}

bool otter_setting_drop(struct otter_device *d, const char *key)
{
    const struct otter_settings *s = d->ports.settings;
    return s && s->erase(s->ctx, ns, key) == 0;
}

void otter_setting_u32(struct otter_device *d, const char *key, uint32_t *value)
{
    uint32_t stored;
    size_t got;
    if (otter_setting_get(d, key, OTTER_SETTING_U32, &stored, sizeof stored, &got)) *value = stored;
}
