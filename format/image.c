/* The streaming checker for app images: a small state machine that takes bytes in any split.
 * Knows the format only: where the bytes come from and go to is the caller's. */
#include "format/image.h"

#include <string.h>

#include "format/bytes.h"

enum state { HEADER, SEGMENT_HEADER, DESC, PAYLOAD, PADDING, CHECKSUM, DIGEST, COMPLETE };

#define DESC_MAGIC 0xABCD5432u

enum { SEGMENT_MAX = 16 * 1024 * 1024, REVISION_UNSET = 65535, MMU_PAGE_LOG2 = 16 };

static bool revision_set(uint16_t revision) { return revision != 0 && revision != REVISION_UNSET; }

static enum otter_err fail(struct otter_image_check *c, enum otter_err err)
{
    if (!c->err) c->err = err;
    otter_image_stop(c);
    return c->err;
}

static void want(struct otter_image_check *c, enum state state, uint32_t n)
{
    c->state = (uint8_t)state;
    c->left = n;
    c->held = 0;
}

void otter_image_start(struct otter_image_check *c, const struct otter_image_rules *rules,
                       const struct otter_crypto *crypto)
{
    memset(c, 0, sizeof *c);
    c->rules = *rules;
    c->crypto = crypto;
    c->facts.checksum = 0xEF;
    want(c, HEADER, OTTER_IMAGE_HEADER);
    if (rules->room > OTTER_IMAGE_ROOM_MAX) {
        c->err = OTTER_ARG;
        return;
    }
    if (!rules->room) c->rules.room = OTTER_IMAGE_ROOM_MAX;
    if (!crypto) return;
    c->detail = crypto->hash_start(crypto->ctx, &c->hash, OTTER_SHA256);
    if (c->detail)
        c->err = OTTER_CRYPTO;
    else
        c->hashing = true;
}

void otter_image_stop(struct otter_image_check *c)
{
    if (!c->hashing) return;
    c->crypto->hash_abort(c->crypto->ctx, &c->hash);
    c->hashing = false;
}

bool otter_app_desc_read(const uint8_t raw[OTTER_IMAGE_DESC], struct otter_app_desc *d)
{
    if (otter_get32(raw) != DESC_MAGIC) return false;
    memset(d, 0, sizeof *d);
    d->secure_version = otter_get32(raw + 4);
    memcpy(d->version, raw + 16, 32);
    memcpy(d->project, raw + 48, 32);
    memcpy(d->time, raw + 80, 16);
    memcpy(d->date, raw + 96, 16);
    memcpy(d->idf, raw + 112, 32);
    memcpy(d->elf_sha256, raw + 144, 32);
    d->efuse_min = otter_get16(raw + 176);
    d->efuse_max = otter_get16(raw + 178);
    d->page_log2 = raw[180];
    return true;
}

/* ---- one part after the other ---- */

static const struct otter_chip_info *find_chip(const struct otter_image_rules *r, uint16_t id)
{
    if (r->chip && r->chip->id == id) return r->chip;
    return r->chips ? r->chips(id) : NULL;
}

static void read_header(struct otter_image_check *c)
{
    const uint8_t *h = c->hold;
    struct otter_image_facts *f = &c->facts;
    f->segment_count = h[1];
    f->spi_mode = h[2];
    f->spi_speed = h[3] & 15;
    f->spi_size = h[3] >> 4;
    f->entry = otter_get32(h + 4);
    f->chip_id = otter_get16(h + 12);
    f->revision_min = otter_get16(h + 15);
    f->revision_max = otter_get16(h + 17);
    f->hash_appended = h[23];
    f->chip = find_chip(&c->rules, f->chip_id);
}

static enum otter_err judge_header(const struct otter_image_check *c)
{
    const struct otter_image_facts *f = &c->facts;
    const struct otter_image_rules *r = &c->rules;
    if (r->chip && r->chip->id != f->chip_id) return OTTER_CHIP;
    if (!f->chip) return OTTER_CHIP_UNKNOWN;
    if (r->chip_revision >= 0) {
        if (r->chip_revision < f->revision_min) return OTTER_CHIP_REV;
        if (!(r->flags & OTTER_IMAGE_BOOTLOADER) && revision_set(f->revision_max) && r->chip_revision > f->revision_max)
            return OTTER_CHIP_REV;
    }
    if (f->segment_count > OTTER_IMAGE_SEGMENTS) return OTTER_SEGMENT_COUNT;
    /* Where a descriptor is asked for, the image must not be complete without one. */
    return !f->segment_count && r->flags & OTTER_IMAGE_DESCRIBED ? OTTER_NO_DESCRIPTOR : OTTER_OK;
}

/* The descriptor decides the page size where the chip leaves a choice. An absurd one makes boot loaders up to v6.0
 * divide by zero; later ones take the default. */
static unsigned page_log2(const struct otter_image_check *c)
{
    const struct otter_chip_info *chip = c->facts.chip;
    unsigned page = c->facts.has_desc ? c->facts.desc.page_log2 : 0;
    return page >= chip->page_log2_min && page <= chip->page_log2_max ? page : MMU_PAGE_LOG2;
}

static enum otter_err judge_address(const struct otter_image_check *c, const struct otter_image_segment *s)
{
    const struct otter_chip_info *chip = c->facts.chip;
    enum otter_memory kind = otter_chip_memory(chip, s->address, s->length, page_log2(c));
    uint32_t page = (1u << page_log2(c)) - 1;
    if (otter_memory_mapped(kind) && ((c->rules.offset + s->offset) & page) != (s->address & page))
        return OTTER_SEGMENT_ALIGN;
    return (c->rules.flags & OTTER_IMAGE_LOADABLE) && kind == OTTER_MEM_NONE ? OTTER_SEGMENT_ADDR : OTTER_OK;
}

static void open_padding(struct otter_image_check *c)
{
    uint32_t end = c->offset;
    uint32_t body = (end + 1 + 15) & ~15u;
    c->facts.length = body + (c->facts.hash_appended ? OTTER_IMAGE_DIGEST : 0);
    want(c, body - 1 > end ? PADDING : CHECKSUM, body - 1 > end ? body - 1 - end : 1);
}

static enum otter_err open_segment(struct otter_image_check *c)
{
    if (c->facts.segments < c->facts.segment_count)
        want(c, SEGMENT_HEADER, OTTER_IMAGE_SEGMENT_HEADER);
    else
        open_padding(c);
    return OTTER_OK;
}

static enum otter_err open_payload(struct otter_image_check *c, uint32_t n)
{
    if (!n) return open_segment(c);
    want(c, PAYLOAD, n);
    return OTTER_OK;
}

static enum otter_err read_segment_header(struct otter_image_check *c)
{
    unsigned i = c->facts.segments++;
    struct otter_image_segment *s = &c->facts.segment[i];
    s->offset = c->offset;
    s->address = otter_get32(c->hold);
    s->length = otter_get32(c->hold + 4);
    if (s->length % 4 || s->length >= SEGMENT_MAX) return OTTER_SEGMENT_LENGTH;
    if (s->length > c->rules.room || s->offset > c->rules.room - s->length) return OTTER_TOO_BIG;
    if (i == 0 && s->length >= OTTER_IMAGE_DESC) {
        /* Whether it is aligned is known only with the descriptor's page size. */
        want(c, DESC, OTTER_IMAGE_DESC);
        c->run = s->length - OTTER_IMAGE_DESC;
        return OTTER_OK;
    }
    if (i == 0 && c->rules.flags & OTTER_IMAGE_DESCRIBED) return OTTER_NO_DESCRIPTOR;
    if (i == 0 && c->facts.chip->page_log2_min != c->facts.chip->page_log2_max) return OTTER_NO_DESCRIPTOR;
    enum otter_err e = judge_address(c, s);
    return e ? e : open_payload(c, s->length);
}

static enum otter_err judge_desc(const struct otter_image_check *c)
{
    const struct otter_chip_info *chip = c->facts.chip;
    const struct otter_app_desc *d = &c->facts.desc;
    bool choice = chip->page_log2_min != chip->page_log2_max;
    if (!c->facts.has_desc) return choice || c->rules.flags & OTTER_IMAGE_DESCRIBED ? OTTER_NO_DESCRIPTOR : OTTER_OK;
    if (choice && c->rules.flags & OTTER_IMAGE_DESCRIBED && d->page_log2 && page_log2(c) != d->page_log2)
        return OTTER_PAGE_SIZE;
    if (chip->efuse_revision && c->rules.efuse_revision >= 0) {
        if (revision_set(d->efuse_min) && c->rules.efuse_revision < d->efuse_min) return OTTER_EFUSE_REV;
        if (revision_set(d->efuse_max) && c->rules.efuse_revision > d->efuse_max) return OTTER_EFUSE_REV;
    }
    return OTTER_OK;
}

static enum otter_err read_desc(struct otter_image_check *c)
{
    /* A boot loader has its own, smaller descriptor here; it names no page size. */
    if (!(c->rules.flags & OTTER_IMAGE_BOOTLOADER)) {
        c->facts.has_desc = otter_app_desc_read(c->hold, &c->facts.desc);
        enum otter_err e = judge_desc(c);
        if (e) return e;
    }
    enum otter_err e = judge_address(c, &c->facts.segment[0]);
    return e ? e : open_payload(c, c->run);
}

enum otter_err otter_image_hash_so_far(struct otter_image_check *c, uint8_t out[32])
{
    struct otter_hash copy;
    if (!c->hashing) return OTTER_OK;
    c->detail = c->crypto->hash_clone(c->crypto->ctx, &c->hash, &copy);
    if (!c->detail) c->detail = c->crypto->hash_finish(c->crypto->ctx, &copy, out);
    return c->detail ? OTTER_CRYPTO : OTTER_OK;
}

static enum otter_err read_checksum(struct otter_image_check *c)
{
    c->facts.checksum_stored = c->hold[0];
    if (!c->unseen && c->facts.checksum != c->facts.checksum_stored) return OTTER_CHECKSUM;
    if (c->facts.length > c->rules.room) return OTTER_TOO_BIG;
    /* The image's digest ends here, that of the whole file goes on: so the bytes are hashed once for both. */
    enum otter_err e = otter_image_hash_so_far(c, c->facts.digest);
    if (e) return e;
    want(c, c->facts.hash_appended ? DIGEST : COMPLETE, c->facts.hash_appended ? OTTER_IMAGE_DIGEST : 0);
    return OTTER_OK;
}

static enum otter_err read_digest(struct otter_image_check *c)
{
    memcpy(c->facts.digest_stored, c->hold, OTTER_IMAGE_DIGEST);
    want(c, COMPLETE, 0);
    if (!c->crypto || c->rules.flags & OTTER_IMAGE_BOOTLOADER) return OTTER_OK;
    return memcmp(c->facts.digest, c->facts.digest_stored, OTTER_IMAGE_DIGEST) ? OTTER_HASH : OTTER_OK;
}

/* The state has all the bytes it wanted. */
static enum otter_err state_filled(struct otter_image_check *c)
{
    enum otter_err e;
    switch ((enum state)c->state) {
    case HEADER:
        read_header(c);
        e = judge_header(c);
        return e ? e : open_segment(c);
    case SEGMENT_HEADER: return read_segment_header(c);
    case DESC: return read_desc(c);
    case PAYLOAD: return open_segment(c);
    case PADDING: want(c, CHECKSUM, 1); return OTTER_OK;
    case CHECKSUM: return read_checksum(c);
    case DIGEST: return read_digest(c);
    case COMPLETE: break;
    }
    return OTTER_OK;
}

/* ---- the bytes ---- */

static uint8_t xor_bytes(uint8_t sum, const uint8_t *p, size_t n)
{
    uint64_t wide = 0;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide ^= word;
    }
    for (unsigned shift = 0; shift < 64; shift += 8) sum ^= (uint8_t)(wide >> shift);
    for (; n; p++, n--) sum ^= *p;
    return sum;
}

static enum otter_err hash_bytes(struct otter_image_check *c, const uint8_t *p, size_t n)
{
    if (!c->hashing) return OTTER_OK;
    c->detail = c->crypto->hash_update(c->crypto->ctx, &c->hash, p, n);
    return c->detail ? OTTER_CRYPTO : OTTER_OK;
}

/* Takes what the state still wants of p[0..n). */
static enum otter_err take(struct otter_image_check *c, const uint8_t *p, uint32_t n)
{
    if (c->offset == 0 && *p != OTTER_IMAGE_MAGIC) return OTTER_MAGIC;
    enum otter_err e = hash_bytes(c, p, n);
    if (e) return e;
    if (c->state == PAYLOAD || c->state == DESC) c->facts.checksum = xor_bytes(c->facts.checksum, p, n);
    if (c->state != PAYLOAD && c->state != PADDING) {
        memcpy(c->hold + c->held, p, n);
        c->held = (uint16_t)(c->held + n);
    }
    c->offset += n;
    c->left -= n;
    return c->left ? OTTER_OK : state_filled(c);
}

enum otter_err otter_image_feed(struct otter_image_check *c, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (!c->err && n && c->state != COMPLETE) {
        uint32_t piece = n < c->left ? (uint32_t)n : c->left;
        enum otter_err e = take(c, p, piece);
        if (e) return fail(c, e);
        p += piece;
        n -= piece;
    }
    if (c->err || !n) return c->err;
    enum otter_err e = hash_bytes(c, p, n);
    return e ? fail(c, e) : OTTER_OK;
}

void otter_image_skip(struct otter_image_check *c, uint32_t limit)
{
    if (c->err || c->state != PAYLOAD || limit <= c->offset) return;
    uint32_t n = limit - c->offset < c->left ? limit - c->offset : c->left;
    c->unseen = true;
    c->offset += n;
    c->left -= n;
    if (!c->left) open_segment(c);
}

bool otter_image_complete(const struct otter_image_check *c) { return c->state == COMPLETE; }

enum otter_err otter_image_end(struct otter_image_check *c)
{
    if (c->err) return c->err;
    if (c->offset == 0) return fail(c, OTTER_EMPTY);
    if (c->rules.flags & OTTER_IMAGE_DESCRIBED && !otter_image_judged(c)) return fail(c, OTTER_TOO_SHORT);
    if (c->state != COMPLETE) return fail(c, OTTER_TRUNCATED);
    if (!c->hashing) return OTTER_OK;
    c->hashing = false;
    c->detail = c->crypto->hash_finish(c->crypto->ctx, &c->hash, c->facts.file_digest);
    return c->detail ? fail(c, OTTER_CRYPTO) : OTTER_OK;
}

int32_t otter_image_esp_err(enum otter_err err)
{
    switch (err) {
    case OTTER_OK: return 0;
    case OTTER_ARG: return 0x102;
    case OTTER_FLASH_READ: return 0x2001;
    case OTTER_CHIP:
    case OTTER_CHIP_UNKNOWN:
    case OTTER_CHIP_REV:
    case OTTER_EFUSE_REV:
    case OTTER_NO_DESCRIPTOR:
    case OTTER_PAGE_SIZE: return -1;
    default: return 0x2002;
    }
}
