/* The data image on its way into its region, and what is remembered of it. Knows settings and blocks; what a file
 * system is it does not know. */
#include "core/data.h"

#include <string.h>

#include "core/flash.h"
#include "core/setting.h"
#include "format/bytes.h"

/* The image that a running update announced; the one that is waited for; how much of that is in flash. */
static const char next_key[] = "data_next", image_key[] = "data_image", done_key[] = "data_done";

enum { SHAPE = 12, IMAGE = 36, VERIFY_STEP = OTTER_BLOCK };

/* ---- in the settings ---- */

/* A blob of exactly so many bytes. */
static bool get(struct otter_device *d, const char *key, void *out, size_t size)
{
    size_t got;
    return otter_setting_get(d, key, OTTER_SETTING_BLOB, out, size, &got) && got == size;
}

struct otter_data_shape otter_data_shape(struct otter_device *d)
{
    uint8_t raw[SHAPE];
    if (!get(d, "data", raw, sizeof raw)) return (struct otter_data_shape){{0, 0}, 0};
    return (struct otter_data_shape){{otter_get32(raw), otter_get32(raw + 4)}, otter_get32(raw + 8)};
}

bool otter_data_set_shape(struct otter_device *d, const struct otter_data_shape *shape)
{
    uint8_t raw[SHAPE];
    if (!shape) return otter_setting_drop(d, "data");
    otter_put32(raw, shape->region.offset);
    otter_put32(raw + 4, shape->region.size);
    otter_put32(raw + 8, shape->made);
    return otter_setting_set(d, "data", OTTER_SETTING_BLOB, raw, sizeof raw);
}

bool otter_data_announce(struct otter_device *d, const struct otter_offer *offer)
{
    uint8_t raw[IMAGE];
    if (!otter_setting_drop(d, image_key) || !otter_setting_drop(d, next_key)) return false;
    if (!offer->data_size) return true;
    otter_put32(raw, offer->data_size);
    memcpy(raw + 4, offer->data_sha256, 32);
    return otter_setting_set(d, next_key, OTTER_SETTING_BLOB, raw, sizeof raw);
}

bool otter_data_expect(struct otter_device *d)
{
    uint8_t raw[IMAGE];
    if (!get(d, next_key, raw, sizeof raw)) return true;
    return otter_setting_drop(d, done_key) && otter_setting_set(d, image_key, OTTER_SETTING_BLOB, raw, sizeof raw);
}

/* The next one is what is waited for already: confirmed once, it is no update's any more. */
bool otter_data_wanted(struct otter_device *d, const struct otter_slot *region, bool done)
{
    uint8_t raw[IMAGE];
    if (!get(d, image_key, raw, sizeof raw)) return false;
    otter_setting_drop(d, next_key);
    if (!done && otter_get32(raw) <= region->size) return true;
    otter_setting_drop(d, image_key);
    return false;
}

bool otter_data_waits(struct otter_device *d, struct otter_data_wait *out)
{
    uint8_t raw[IMAGE];
    uint32_t done = 0;
    memset(out, 0, sizeof *out);
    if (!d->data.waiting || !get(d, image_key, raw, sizeof raw)) return false;
    out->region = d->data.region;
    out->size = otter_get32(raw);
    memcpy(out->sha256, raw + 4, sizeof out->sha256);
    otter_setting_u32(d, done_key, &done);
    if (done <= out->size) out->wanted = done;
    return true;
}

enum otter_err otter_data_forgo(struct otter_device *d)
{
    if (!d->data.waiting) return OTTER_STATE;
    if (d->session) return OTTER_BUSY;
    if (!otter_setting_drop(d, image_key)) return OTTER_NEEDS_SETTINGS;
    otter_elastic_hand_out(d, d->data.region.size, OTTER_DATA_ANEW);
    return OTTER_OK;
}

/* ---- the bytes ---- */

enum otter_err otter_data_begin(struct otter_data_session *s, struct otter_device *d, uint32_t offset)
{
    memset(s, 0, sizeof *s);
    s->device = d;
    if (d->session || d->switched)
        s->err = OTTER_BUSY;
    else if (!otter_data_waits(d, &s->wait))
        s->err = OTTER_STATE;
    else if (offset != s->wait.wanted)
        s->err = OTTER_OFFSET;
    s->received = s->wait.wanted;
    return s->err;
}

/* A block is erased when its first sector comes; when its last one has, that is remembered. */
static enum otter_err put_sector(struct otter_data_session *s)
{
    struct otter_device *d = s->device;
    uint32_t at = s->received - s->held, off = s->wait.region.offset + at;
    enum otter_err e = at % OTTER_BLOCK == 0 ? otter_flash_erase(d, off, OTTER_BLOCK) : OTTER_OK;
    if (!e) e = otter_flash_write(d, off, s->sector, s->held);
    s->held = 0;
    if (!e && s->received % OTTER_BLOCK == 0)
        otter_setting_set(d, done_key, OTTER_SETTING_U32, &s->received, sizeof s->received);
    return e;
}

static enum otter_err take(struct otter_data_session *s, const uint8_t *p, size_t n)
{
    enum otter_err e = OTTER_OK;
    if (!s->device->data.waiting) return OTTER_STATE;
    if (n > s->wait.size - s->received) return OTTER_SIZE;
    while (n && !e) {
        size_t room = sizeof s->sector - s->held, piece = n < room ? n : room;
        memcpy(s->sector + s->held, p, piece);
        s->held = (uint16_t)(s->held + piece);
        s->received += (uint32_t)piece;
        p += piece;
        n -= piece;
        if (s->held == sizeof s->sector) e = put_sector(s);
    }
    return e;
}

static enum otter_err ended(struct otter_data_session *s, enum otter_err e)
{
    if (e != OTTER_OK && e != OTTER_AGAIN) {
        otter_data_abort(s);
        s->err = e;
    }
    return e;
}

enum otter_err otter_data_feed(struct otter_data_session *s, const void *data, size_t n)
{
    if (s->err) return s->err;
    return ended(s, n > OTTER_FEED_MAX ? OTTER_ARG : take(s, data, n));
}

static enum otter_err start_hash(struct otter_data_session *s)
{
    const struct otter_crypto *c = s->device->ports.crypto;
    if (s->received != s->wait.size) return OTTER_SIZE;
    enum otter_err e = s->held ? put_sector(s) : OTTER_OK;
    if (e) return e;
    s->device->detail = c->hash_start(c->ctx, &s->hash, OTTER_SHA256);
    s->hashing = !s->device->detail;
    return s->hashing ? OTTER_AGAIN : OTTER_CRYPTO;
}

static enum otter_err read_piece(struct otter_data_session *s)
{
    const struct otter_crypto *c = s->device->ports.crypto;
    uint32_t left = s->wait.size - s->read_back, n = left < sizeof s->sector ? left : sizeof s->sector;
    enum otter_err e = otter_flash_read(s->device, s->wait.region.offset + s->read_back, s->sector, n);
    if (e) return e;
    s->read_back += n;
    s->device->detail = c->hash_update(c->ctx, &s->hash, s->sector, n);
    return s->device->detail ? OTTER_CRYPTO : OTTER_OK;
}

/* The region's shape comes first: with it the image counts as whole, whatever else is not noted down any more. */
static enum otter_err judge(struct otter_data_session *s)
{
    struct otter_device *d = s->device;
    const struct otter_crypto *c = d->ports.crypto;
    uint8_t digest[32];
    s->hashing = false;
    d->detail = c->hash_finish(c->ctx, &s->hash, digest);
    if (d->detail) return OTTER_CRYPTO;
    if (memcmp(digest, s->wait.sha256, sizeof digest) != 0) {
        otter_setting_drop(d, done_key);
        return OTTER_DIGEST;
    }
    const struct otter_data_shape shape = {s->wait.region, otter_round_up(s->wait.size, OTTER_SECTOR)};
    if (!otter_data_set_shape(d, &shape)) return OTTER_NEEDS_SETTINGS;
    otter_setting_drop(d, image_key);
    otter_elastic_hand_out(d, shape.made, OTTER_DATA_KEPT);
    return OTTER_OK;
}

static enum otter_err step(struct otter_data_session *s)
{
    enum otter_err e = OTTER_OK;
    if (!s->hashing) return start_hash(s);
    for (uint32_t end = s->read_back + VERIFY_STEP; !e && s->read_back < s->wait.size && s->read_back < end;)
        e = read_piece(s);
    if (e) return e;
    return s->read_back < s->wait.size ? OTTER_AGAIN : judge(s);
}

enum otter_err otter_data_finish(struct otter_data_session *s)
{
    if (s->err) return s->err;
    if (!s->device->data.waiting) return OTTER_OK;
    return ended(s, step(s));
}

void otter_data_abort(struct otter_data_session *s)
{
    const struct otter_crypto *c = s->device->ports.crypto;
    if (s->hashing) c->hash_abort(c->ctx, &s->hash);
    s->hashing = false;
    if (!s->err) s->err = OTTER_ABORTED;
}
