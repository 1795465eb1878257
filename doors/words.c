/* Puts errors into words. Knows facts, and nothing of where the words go. */
#include "doors/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void add(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void add(char *buf, size_t size, const char *fmt, ...)
{
    size_t n = strlen(buf);
    va_list args;
    va_start(args, fmt);
    vsnprintf(buf + n, size - n, fmt, args);
    va_end(args);
    /* Names come out of an image that may be hostile; pages and logs get plain text. */
    for (char *p = buf + n; *p; p++)
        if (*p < ' ' || *p > '~') *p = '?';
}

static void add_revision(const struct otter_image_check *c, char *buf, size_t size)
{
    const struct otter_image_facts *f = &c->facts;
    unsigned have = (unsigned)c->rules.chip_revision;
    add(buf, size, " It needs v%u.%u", f->revision_min / 100u, f->revision_min % 100u);
    if (f->revision_max && f->revision_max != 65535)
        add(buf, size, " to v%u.%u", f->revision_max / 100u, f->revision_max % 100u);
    else
        add(buf, size, " or later");
    add(buf, size, ", this is v%u.%u.", have / 100, have % 100);
}

static void add_segment(const struct otter_image_check *c, char *buf, size_t size)
{
    unsigned i = c->facts.segments ? c->facts.segments - 1u : 0;
    const struct otter_image_segment *s = &c->facts.segment[i];
    add(buf, size, " Segment %u: 0x%x bytes for 0x%08x at image offset 0x%x.", i, s->length, s->address, s->offset);
}

void otter_words_image(enum otter_err err, const struct otter_image_check *check, char *buf, size_t size)
{
    snprintf(buf, size, "%s", otter_err_text(err));
    if (!check) return;
    const struct otter_image_facts *f = &check->facts;
    switch (err) {
    case OTTER_CHIP:
        add(buf, size, " It is for %s, this is %s.", otter_chip_name(f->chip_id),
            check->rules.chip ? otter_chip_name(check->rules.chip->id) : "another");
        break;
    case OTTER_CHIP_UNKNOWN: add(buf, size, " Chip id: 0x%04x.", f->chip_id); break;
    case OTTER_CHIP_REV: add_revision(check, buf, size); break;
    case OTTER_SEGMENT_COUNT: add(buf, size, " Here: %u.", f->segment_count); break;
    case OTTER_SEGMENT_LENGTH:
    case OTTER_SEGMENT_ALIGN:
    case OTTER_SEGMENT_ADDR: add_segment(check, buf, size); break;
    case OTTER_PAGE_SIZE: add(buf, size, " Here: 2^%u bytes.", f->desc.page_log2); break;
    case OTTER_CHECKSUM: add(buf, size, " Computed 0x%02x, stored 0x%02x.", f->checksum, f->checksum_stored); break;
    case OTTER_TRUNCATED:
        if (f->length) add(buf, size, " It is %u bytes long; %u came.", f->length, check->offset);
        break;
    case OTTER_TOO_BIG: add(buf, size, " The slot has %u bytes.", check->rules.room); break;
    default: break;
    }
}

/* The numbers behind a refusal where slots are as large as images. */
static void add_room(const struct otter_session *s, char *buf, size_t size)
{
    struct otter_division d;
    uint32_t offered = s->offer.size ? s->offer.size : s->offer.size_at_most;
    otter_division(s->device, &d);
    snprintf(buf, size, "%s", otter_err_text(s->err));
    add(buf, size,
        " It has %u bytes; beside the running firmware's %u of the %u bytes there are, one of %u would be taken.",
        offered, d.app.size, d.pool.size, d.largest);
}

void otter_words_session(const struct otter_session *s, char *buf, size_t size)
{
    if (s->err == OTTER_TOO_BIG && s->device->ports.layout) {
        add_room(s, buf, size);
        return;
    }
    otter_words_image(s->err, &s->check, buf, size);
    const struct otter_app_desc *runs = &s->device->running_image.desc, *desc = &s->check.facts.desc;
    switch (s->err) {
    case OTTER_PROJECT: add(buf, size, " It is \"%s\", this device runs \"%s\".", desc->project, runs->project); break;
    case OTTER_VERSION: add(buf, size, " It is %s, announced was %s.", desc->version, s->offer.version); break;
    case OTTER_SECURE_VERSION:
        add(buf, size, " It has %u, the chip %u.", desc->secure_version, s->device->ports.chip->secure_version);
        break;
    case OTTER_SIZE: add(buf, size, " Announced: %u, received: %u.", s->offer.size, s->received); break;
    case OTTER_OFFSET:
        add(buf, size, " It wants byte %u, %u was offered.", otter_resume_offset(s->device, &s->offer),
            s->offer.offset);
        break;
    case OTTER_FLASH_READ:
    case OTTER_FLASH_WRITE:
    case OTTER_FLASH_ERASE:
    case OTTER_CRYPTO: add(buf, size, " The driver says %d.", (int)s->detail); break;
    default: break;
    }
}
