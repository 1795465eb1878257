/* The trusted keys: the app's and the settings'. Knows digests; what a signature is stands in the format. */
#include "core/trust.h"

#include <string.h>

#include "format/signature.h"

void otter_trust_load(struct otter_device *d)
{
    const struct otter_settings *s = d->ports.settings;
    struct otter_signing *g = &d->signing;
    uint32_t required = 0;
    size_t size = sizeof required, keys = sizeof g->keys;
    memset(g, 0, sizeof *g);
    if (!s) return;
    if (s->get(s->ctx, "otter", "signed", OTTER_SETTING_U32, &required, &size) == 0 && size)
        g->required = required != 0;
    if (s->get(s->ctx, "otter", "keys", OTTER_SETTING_BLOB, g->keys, &keys) == 0) g->count = (uint8_t)(keys / 32);
}

enum otter_err otter_require_signature(struct otter_device *d, const uint8_t (*key_digests)[32], unsigned count)
{
    struct otter_signing *g = &d->signing;
    g->required = true;
    if (count > OTTER_CFG_KEYS - (unsigned)g->count) return OTTER_ARG;
    memcpy(g->keys[g->count], key_digests, (size_t)count * 32);
    g->count = (uint8_t)(g->count + count);
    return OTTER_OK;
}

enum otter_err otter_trust_check(struct otter_device *d, const uint8_t sector[OTTER_SECTOR], const uint8_t digest[32])
{
    struct otter_trust trust = {(const uint8_t(*)[32])d->signing.keys, d->signing.count};
    return otter_signature_check(sector, digest, &trust, d->ports.crypto, &d->detail);
}
