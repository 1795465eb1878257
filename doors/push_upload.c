/* An image by upload: raw, or in a form. */
#include "doors/push_part.h"

#include <stdlib.h>
#include <string.h>

static const char *header(const struct otter_http_head *h, const char *name) { return otter_push_header(h, name); }

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = c ? strchr(digits, c | 0x20) : NULL;
    return p ? (int)(p - digits) : -1;
}

/* False if text is there but is not 64 hex digits. */
static bool read_sha256(const char *text, uint8_t out[32], bool *there)
{
    *there = text != NULL;
    if (!text) return true;
    if (strlen(text) != 64) return false;
    for (unsigned i = 0; i < 64; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0) return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | digit);
    }
    return true;
}

/* A decimal number up to 2^32 - 1 and the character behind it. */
static bool read_number(const char **p, char end, uint32_t *out)
{
    char *after;
    if (**p < '0' || **p > '9') return false;
    unsigned long long n = strtoull(*p, &after, 10);
    if (*after != end || n > UINT32_MAX || after - *p > 10) return false;
    *p = after + 1;
    *out = (uint32_t)n;
    return true;
}

bool otter_push_range(const char *text, const struct otter_http_head *h, uint32_t *first_byte, uint32_t *file_size)
{
    uint32_t first, last, size;
    if (!text) return true;
    if (strncmp(text, "bytes ", 6) != 0) return false;
    text += 6;
    if (!read_number(&text, '-', &first) || !read_number(&text, '/', &last) || !read_number(&text, '\0', &size))
        return false;
    if (first > last || last + 1u != size) return false;
    if (h->has_length && h->length != size - first) return false;
    *first_byte = first;
    *file_size = size;
    return true;
}

/* The data image that follows: size and SHA-256, both or neither; where slots are fixed there is no place for one. */
static bool read_data_offer(const struct otter_push *p, const struct otter_http_head *h, struct otter_offer *offer)
{
    const char *size = header(h, "X-Data-Size"), *loss = header(h, "X-Data-Loss");
    bool has_sha256;
    offer->data_may_go = loss && strcmp(loss, "accepted") == 0;
    if (loss && !offer->data_may_go) return false;
    if (!read_sha256(header(h, "X-Data-SHA256"), offer->data_sha256, &has_sha256)) return false;
    if (!size) return !has_sha256;
    return has_sha256 && read_number(&size, '\0', &offer->data_size) && offer->data_size && p->device->ports.layout &&
           p->config.data;
}

static enum otter_err file_bytes(void *ctx, const uint8_t *data, size_t n)
{
    struct otter_exchange *x = ctx;
    enum otter_err e = OTTER_OK;
    /* A sector a call, so that none takes long. */
    while (n && !e) {
        size_t piece = n < OTTER_SECTOR ? n : OTTER_SECTOR;
        e = otter_feed(x->push->update->session, data, piece);
        data += piece;
        n -= piece;
    }
    return e;
}

static enum otter_err take_head(struct otter_exchange *x, const struct otter_http_head *h)
{
    struct otter_push *p = x->push;
    struct otter_offer offer = {.door = "push"};
    const char *type = header(h, "Content-Type");
    const struct otter_push_forms *forms = p->config.forms;
    x->form = forms && type && forms->start(x, type);
    if (x->form && !x->multipart) return OTTER_MEMORY;
    if (x->form) {
        x->multipart->ctx = x;
        x->multipart->file = file_bytes;
    }
    if (!x->form && h->has_length && h->length > UINT32_MAX) return OTTER_TOO_BIG;
    if (!x->form && h->has_length && h->length == 0) return OTTER_EMPTY;
    if (h->has_length) *(x->form ? &offer.size_at_most : &offer.size) = (uint32_t)h->length;
    if (!read_sha256(header(h, "X-Firmware-SHA256"), offer.sha256, &offer.has_sha256)) return OTTER_ARG;
    const char *range = x->form ? NULL : header(h, "Content-Range");
    /* The rest of which file? */
    if (range && !offer.has_sha256) return OTTER_RANGE;
    if (!otter_push_range(range, h, &offer.offset, &offer.size)) return OTTER_RANGE;
    if (!read_data_offer(p, h, &offer)) return OTTER_ARG;
    enum otter_err e = otter_update_open(p->update, &offer);
    if (!e) p->owner = x;
    return e;
}

/* While an upload stalled, its session was given up and another one may have taken its place. */
static bool is_owner(const struct otter_exchange *x) { return x->push->owner == x; }

static enum otter_err take_body(struct otter_exchange *x, const void *data, size_t n)
{
    if (!is_owner(x)) return OTTER_IDLE;
    return x->form ? x->push->config.forms->feed(x->multipart, data, n) : file_bytes(x, data, n);
}

static enum otter_err take_end(struct otter_exchange *x)
{
    enum otter_err e = is_owner(x) ? OTTER_OK : OTTER_IDLE;
    /* Again at each step, which does no harm. */
    if (!e && x->form) e = x->push->config.forms->end(x->multipart);
    return e ? e : otter_finish(x->push->update->session);
}

static void done(struct otter_exchange *x)
{
    if (!is_owner(x)) return;
    otter_update_close(x->push->update);
    x->push->owner = NULL;
}

const struct otter_push_part otter_push_upload_part = {
    .head = take_head, .body = take_body, .end = take_end, .done = done, .restarts = true};
