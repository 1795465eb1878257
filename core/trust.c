/* The trusted keys: the app's and the settings'. Knows digests; what a signature is stands in the format. */
#include "core/trust.h"

#include <string.h>

#include "format/signature.h"

/* Whether only signed images are taken. Asked twice, so that one flipped bit cannot hide the answer; and what cannot be
 * read is not what is not there. */
static void load_required(struct otter_device *d)
{
    const struct otter_settings *s = d->ports.settings;
    d->signing.unread = false;
    for (int i = 0; i < 2; i++) {
        uint32_t value = 0;
        size_t size = sizeof value;
        if (s->get(s->ctx, "otter", "signed", OTTER_SETTING_U32, &value, &size)) d->signing.unread = true;
        if (size && value) d->signing.required = true;
    }
}

void otter_trust_load(struct otter_device *d)
{
    const struct otter_settings *s = d->ports.settings;
    struct otter_signing *g = &d->signing;
    size_t keys = sizeof g->keys - (size_t)g->count * 32;
    if (!s) return;
    load_required(d);
    bool no_keys = s->get(s->ctx, "otter", "keys", OTTER_SETTING_BLOB, g->keys[g->count], &keys) != 0;
    if (g->required && no_keys) g->unread = true;
    if (!g->unread && !no_keys) g->count = (uint8_t)(g->count + keys / 32);
}

bool otter_trust_asked(const struct otter_device *d) { return d->signing.required || d->signing.unread; }

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
