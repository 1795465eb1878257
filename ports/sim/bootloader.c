/* The boot loader model. Knows the stock rules and nothing of Otter. */
#include "ports/sim/bootloader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format/otadata.h"
#include "format/table.h"

enum { FACTORY = -1, TEST = -2, INVALID = -99 };

struct app {
    uint32_t offset, size;
    char label[17];
};

struct boot {
    const struct sim_boot *b;
    struct sim_boot_result *r;
    struct app ota[OTTER_OTA_SLOTS], factory, test, otadata;
    unsigned app_count;
    bool initial_contents;
};

static void say(const struct boot *t, char level, const char *tag, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void say(const struct boot *t, char level, const char *tag, const char *fmt, ...)
{
    char text[160];
    va_list args;
    if (!t->b->log) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    t->b->log(t->b->log_ctx, level, tag, text);
}

static bool flash_read(const struct boot *t, uint32_t off, void *dst, uint32_t n)
{
    return t->b->flash->read(t->b->flash->ctx, off, dst, n) == 0;
}

/* ---- partition table ---- */

static enum otter_err read_row(const void *ctx, unsigned i, uint8_t out[OTTER_TABLE_ROW])
{
    return flash_read(ctx, OTTER_CFG_TABLE_OFFSET + i * OTTER_TABLE_ROW, out, OTTER_TABLE_ROW) ? OTTER_OK
                                                                                               : OTTER_FLASH_READ;
}

static const char *app_usage(uint8_t subtype)
{
    if (subtype == OTTER_APP_FACTORY) return "factory app";
    if (subtype == OTTER_APP_TEST) return "test app";
    return subtype >> 4 == 1 ? "OTA app" : "Unknown app";
}

static const char *usage(const struct otter_partition *p)
{
    static const char *const data[] = {"OTA data", "RF data", "WiFi data", "Unknown data", "NVS keys", "efuse"};
    if (p->type == OTTER_TYPE_APP) return app_usage(p->subtype);
    if (p->type == OTTER_TYPE_DATA)
        return p->subtype < sizeof data / sizeof data[0] ? data[p->subtype] : "Unknown data";
    return "unknown";
}

static void take_row(struct boot *t, const struct otter_partition *p)
{
    struct app a = {p->offset, p->size, ""};
    memcpy(a.label, p->label, sizeof a.label);
    if (p->type == OTTER_TYPE_APP && p->subtype == OTTER_APP_FACTORY) t->factory = a;
    if (p->type == OTTER_TYPE_APP && p->subtype == OTTER_APP_TEST) t->test = a;
    if (p->type == OTTER_TYPE_APP && p->subtype >> 4 == 1) {
        t->ota[p->subtype & 15] = a;
        t->app_count++;
    }
    if (p->type == OTTER_TYPE_DATA && p->subtype == OTTER_DATA_OTADATA) t->otadata = a;
}

static void say_bad_table(const struct boot *t, const struct otter_rows *rows, enum otter_err e, unsigned bad)
{
    struct otter_partition p = {0};
    uint8_t raw[OTTER_TABLE_ROW] = {0};
    rows->row(rows->ctx, bad, raw);
    otter_table_row(rows, bad, &p);
    if (e == OTTER_TABLE_MAGIC)
        say(t, 'E', "flash_parts", "partition %u invalid magic number 0x%x", bad, raw[0] | raw[1] << 8);
    if (e == OTTER_TABLE_MD5) say(t, 'E', "flash_parts", "Incorrect MD5 checksum");
    if (e == OTTER_TABLE_END) say(t, 'E', "flash_parts", "partition table has no terminating entry, not valid");
    if (e == OTTER_TABLE_RANGE)
        say(t, 'E', "flash_parts", "partition %u invalid - offset 0x%x size 0x%x exceeds flash chip size 0x%x", bad,
            p.offset, p.size, t->b->flash->size);
    say(t, 'E', "boot", "Failed to verify partition table");
    say(t, 'E', "boot", "load partition table error!");
}

static bool load_table(struct boot *t)
{
    struct otter_rows rows = {t, read_row};
    unsigned count, bad;
    enum otter_err e = otter_table_check(&rows, t->b->flash->size, t->b->crypto, &count, &bad);
    if (e) {
        say_bad_table(t, &rows, e, bad);
        return false;
    }
    say(t, 'I', "boot", "Partition Table:");
    say(t, 'I', "boot", "## Label            Usage          Type ST Offset   Length");
    for (unsigned i = 0; i < count; i++) {
        struct otter_partition p;
        if (otter_table_row(&rows, i, &p)) return false;
        say(t, 'I', "boot", "%2u %-16s %-16s %02x %02x %08x %08x", i, p.label, usage(&p), p.type, p.subtype, p.offset,
            p.size);
        take_row(t, &p);
    }
    say(t, 'I', "boot", "End of partition table");
    return true;
}

/* ---- images ---- */

/* NULL: the table has no such one. Rows that repeat a subtype count, so numbers can go beyond the 16 there are. */
static const struct app *app_of(const struct boot *t, int index)
{
    if (index >= OTTER_OTA_SLOTS) return NULL;
    const struct app *a = index == FACTORY ? &t->factory : index == TEST ? &t->test : &t->ota[index];
    return a->size ? a : NULL;
}

static void say_revision(const struct boot *t, const struct otter_image_facts *f)
{
    bool min = t->b->chip_revision < f->revision_min;
    unsigned want = min ? f->revision_min : f->revision_max, have = (unsigned)t->b->chip_revision;
    say(t, 'E', "boot_comm", "chip revision check failed. Required %s v%u.%u, found v%u.%u.",
        min ? ">=" : "<=", want / 100, want % 100, have / 100, have % 100);
}

static void say_segment(const struct boot *t, const struct app *a, const struct otter_image_check *c)
{
    const struct otter_image_facts *f = &c->facts;
    const struct otter_image_segment *s = &f->segment[f->segments ? f->segments - 1u : 0];
    unsigned i = f->segments ? f->segments - 1u : 0;
    if (c->err == OTTER_SEGMENT_LENGTH) say(t, 'E', "esp_image", "invalid segment length 0x%x", s->length);
    if (c->err == OTTER_SEGMENT_ALIGN)
        say(t, 'E', "esp_image", "Segment %u load address 0x%08x, doesn't match data 0x%08x", i, s->address,
            a->offset + s->offset);
    if (c->err == OTTER_SEGMENT_ADDR)
        say(t, 'E', "esp_image", "Segment %u 0x%08x-0x%08x invalid: bad load address range", i, s->address,
            s->address + s->length);
}

static void say_verdict(const struct boot *t, const struct app *a, const struct otter_image_check *c)
{
    const struct otter_image_facts *f = &c->facts;
    switch (c->err) {
    case OTTER_MAGIC:
        say(t, 'E', "esp_image", "image at 0x%x has invalid magic byte (nothing flashed here?)", a->offset);
        break;
    case OTTER_CHIP:
        say(t, 'E', "boot_comm", "mismatch chip ID, expected %u, found %u", t->b->chip ? t->b->chip->id : 0,
            f->chip_id);
        break;
    case OTTER_CHIP_REV: say_revision(t, f); break;
    case OTTER_SEGMENT_COUNT:
        say(t, 'E', "esp_image", "image at 0x%x segment count %u exceeds max 16", a->offset, f->segment_count);
        break;
    case OTTER_NO_DESCRIPTOR: say(t, 'E', "esp_image", "Failed to fetch app description header!"); break;
    case OTTER_CHECKSUM:
        say(t, 'E', "esp_image", "Checksum failed. Calculated 0x%x read 0x%x", f->checksum, f->checksum_stored);
        break;
    case OTTER_TOO_BIG:
        say(t, 'E', "esp_image", "Image length %u doesn't fit in partition length %u", f->length, a->size);
        break;
    case OTTER_HASH: say(t, 'E', "esp_image", "Image hash failed - image is corrupt"); break;
    default: say_segment(t, a, c);
    }
}

static void say_segments(const struct boot *t, const struct app *a, const struct otter_image_facts *f)
{
    for (unsigned i = 0; i < f->segments; i++) {
        const struct otter_image_segment *s = &f->segment[i];
        enum otter_memory kind = otter_chip_memory(f->chip, s->address, s->length, 16);
        say(t, 'I', "esp_image", "segment %u: paddr=%08x vaddr=%08x size=%05xh (%6u) %s", i, a->offset + s->offset,
            s->address, s->length, s->length,
            otter_memory_mapped(kind) ? "map"
            : kind == OTTER_MEM_PAD   ? ""
                                      : "load");
    }
}

static struct otter_image_rules rules_of(const struct boot *t, const struct app *a)
{
    struct otter_image_rules rules = {
        .chip = t->b->chip,
        .chips = otter_chip_by_id,
        .chip_revision = t->b->chip_revision,
        .efuse_revision = t->b->efuse_revision,
        .offset = a->offset,
        .room = a->size,
        .flags = OTTER_IMAGE_LOADABLE,
    };
    return rules;
}

static bool verify(struct boot *t, const struct app *a)
{
    struct otter_image_check c;
    struct otter_image_rules rules = rules_of(t, a);
    uint8_t piece[1024];
    otter_image_start(&c, &rules, t->b->crypto);
    /* Like the boot loader, reads on behind the partition if the image says so; the length is judged at the end. */
    while (!c.err && !otter_image_complete(&c)) {
        uint32_t left = t->b->flash->size - a->offset - c.offset, n = left < sizeof piece ? left : sizeof piece;
        if (!n || !flash_read(t, a->offset + c.offset, piece, n)) break;
        otter_image_feed(&c, piece, n);
    }
    enum otter_err e = otter_image_end(&c);
    t->r->image = c.facts;
    if (e)
        say_verdict(t, a, &c);
    else
        say_segments(t, a, &c.facts);
    return e == OTTER_OK;
}

/* The app descriptor of the image in a partition; false if there is none. */
static bool read_desc(const struct boot *t, const struct app *a, struct otter_app_desc *d)
{
    uint8_t raw[OTTER_IMAGE_DESC];
    return a && flash_read(t, a->offset + OTTER_IMAGE_DESC_OFFSET, raw, sizeof raw) && otter_app_desc_read(raw, d);
}

/* ---- otadata ---- */

static bool write_entry(const struct boot *t, unsigned sector, uint32_t seq, uint32_t state, uint32_t crc)
{
    const struct otter_flash *f = t->b->flash;
    uint32_t at = t->otadata.offset + sector * OTTER_SECTOR;
    uint8_t raw[OTTER_OTADATA_ENTRY];
    otter_ota_write(seq, state, raw);
    for (unsigned i = 0; i < 4; i++) raw[28 + i] = (uint8_t)(crc >> (8 * i));
    if (f->erase(f->ctx, at, OTTER_SECTOR)) return false;
    return f->write(f->ctx, at, raw, sizeof raw) == 0;
}

static bool set_state(const struct boot *t, struct otter_ota_entry e[2], int i, uint32_t state)
{
    e[i].state = state;
    return write_entry(t, (unsigned)i, e[i].seq, state, e[i].crc);
}

static bool read_entries(const struct boot *t, struct otter_ota_entry e[2])
{
    uint8_t raw[OTTER_OTADATA_ENTRY];
    for (unsigned i = 0; i < 2; i++) {
        if (!flash_read(t, t->otadata.offset + i * OTTER_SECTOR, raw, sizeof raw)) return false;
        otter_ota_read(raw, &e[i]);
    }
    return true;
}

static bool version_allowed(const struct boot *t, const struct app *a)
{
    struct otter_app_desc d;
    if (!t->b->anti_rollback) return true;
    return read_desc(t, a, &d) && d.secure_version >= *t->b->efuse_version;
}

static void burn_version(const struct boot *t, const struct app *a)
{
    struct otter_app_desc d;
    if (t->b->anti_rollback && read_desc(t, a, &d) && d.secure_version > *t->b->efuse_version)
        *t->b->efuse_version = d.secure_version;
}

static int slot_of(const struct boot *t, const struct otter_ota_entry *e)
{
    return (int)otter_ota_slot(e->seq, t->app_count);
}

/* With roll back, the entry of firmware that starts for the first time is put on trial, before its image is looked at.
 */
static int start_active(const struct boot *t, struct otter_ota_entry e[2], int active)
{
    if (t->b->rollback && e[active].state == OTTER_OTA_NEW) set_state(t, e, active, OTTER_OTA_PENDING_VERIFY);
    return slot_of(t, &e[active]);
}

static int select_default(struct boot *t, const struct otter_ota_entry e[2])
{
    if (t->factory.size) {
        say(t, 'I', "boot", "Defaulting to factory image");
        return FACTORY;
    }
    say(t, 'I', "boot", "No factory image, trying OTA 0");
    t->initial_contents = otter_ota_initial(&e[0]) && otter_ota_initial(&e[1]);
    return 0;
}

static int select_invalid(const struct boot *t)
{
    if (t->factory.size)
        say(t, 'E', "boot", "ota data partition invalid, falling back to factory");
    else
        say(t, 'E', "boot", "ota data partition invalid and no factory, will try all partitions");
    return FACTORY;
}

static int select_anti_rollback(struct boot *t, struct otter_ota_entry e[2])
{
    struct otter_ota_entry allowed[2] = {e[0], e[1]};
    say(t, 'I', "boot", "Enabled a check secure version of app for anti rollback");
    say(t, 'I', "boot", "Secure version (from eFuse) = %u", *t->b->efuse_version);
    if (otter_ota_initial(&e[0]) && otter_ota_initial(&e[1])) {
        say(t, 'I', "boot", "otadata[0..1] in initial state");
        t->initial_contents = true;
        return FACTORY;
    }
    for (int i = 0; i < 2; i++)
        if (otter_ota_valid(&e[i]) && !version_allowed(t, app_of(t, slot_of(t, &e[i]))))
            allowed[i].seq = OTTER_OTA_NO_SEQ;
    int active = otter_ota_active(allowed);
    if (active < 0) return select_invalid(t);
    if (e[active].state == OTTER_OTA_VALID) burn_version(t, app_of(t, slot_of(t, &e[active])));
    return start_active(t, e, active);
}

static int select_slot(struct boot *t)
{
    struct otter_ota_entry e[2];
    if (!t->otadata.offset) return FACTORY;
    if (t->otadata.size < OTTER_OTADATA_SIZE) {
        say(t, 'E', "boot", "ota_info partition size %u is too small (minimum %u bytes)", t->otadata.size,
            OTTER_OTADATA_SIZE);
        return INVALID;
    }
    if (!read_entries(t, e)) return INVALID;
    for (int i = 0; t->b->rollback && i < 2; i++)
        if (e[i].state == OTTER_OTA_PENDING_VERIFY) set_state(t, e, i, OTTER_OTA_ABORTED);
    if (t->b->anti_rollback && t->app_count) return select_anti_rollback(t, e);
    if (!t->app_count || (otter_ota_unusable(&e[0]) && otter_ota_unusable(&e[1]))) return select_default(t, e);
    int active = otter_ota_active(e);
    return active < 0 ? select_invalid(t) : start_active(t, e, active);
}

/* ---- loading ---- */

static void set_actual_seq(const struct boot *t, int index)
{
    uint8_t raw[OTTER_OTADATA_ENTRY];
    struct otter_ota_entry e;
    if (!t->initial_contents || index < 0) return;
    otter_ota_write((uint32_t)index + 1, OTTER_OTA_VALID, raw);
    otter_ota_read(raw, &e);
    write_entry(t, 0, e.seq, e.state, e.crc);
    say(t, 'I', "boot", "Set actual ota_seq=%u in otadata[0]", e.seq);
    burn_version(t, app_of(t, index));
}

static bool try_load(struct boot *t, int index)
{
    const struct app *a = app_of(t, index);
    if (!a) return false;
    if (version_allowed(t, a) && verify(t, a)) {
        say(t, 'I', "boot", "Loaded app from partition at offset 0x%x", a->offset);
        t->r->boots = true;
        t->r->slot = index;
        t->r->offset = a->offset;
        memcpy(t->r->label, a->label, sizeof a->label);
        set_actual_seq(t, index);
        return true;
    }
    if (index >= 0) say(t, 'E', "boot", "OTA app partition slot %d is not bootable", index);
    if (index == FACTORY) say(t, 'E', "boot", "Factory app partition is not bootable");
    return false;
}

/* From the selected one down to the factory app, then up, then the test app. */
static bool load(struct boot *t, int selected)
{
    for (int index = selected; index >= FACTORY; index--)
        if (try_load(t, index)) return true;
    for (int index = selected + 1; index < (int)t->app_count; index++)
        if (try_load(t, index)) return true;
    if (try_load(t, TEST)) {
        say(t, 'W', "boot", "Falling back to test app as only bootable partition");
        return true;
    }
    say(t, 'E', "boot", "No bootable app partitions in the partition table");
    return false;
}

bool sim_boot(const struct sim_boot *b, struct sim_boot_result *r)
{
    struct boot t = {.b = b, .r = r};
    memset(r, 0, sizeof *r);
    r->selected = r->slot = INVALID;
    if (!load_table(&t)) return false;
    r->selected = select_slot(&t);
    return r->selected != INVALID && load(&t, r->selected);
}
