/* Lays out app images as the boot loader demands and as elf2image does.
 * Knows bytes in memory only: files and command lines are the tool's. */
#include "format/image_build.h"

#include <string.h>

#include "format/bytes.h"
#include "format/image.h"

#define DESC_MAGIC 0xABCD5432u

enum {
    DESC_ELF_SHA = 144,
    DESC_PAGE = 180,
    DESC_STRING = 32,
    PIECES = 64,
    MMU_PAGE_LOG2 = 16,
    JOIN_MAX = 32, /* bytes of a flash-mapped gap that alignment, not a change of page, has made */
    SEGMENT_MAX = 16 * 1024 * 1024,
    ESP32_TAIL = 0x24, /* see mapped_length() */
    SYNTH_RAM = 32 * 1024,
    CHIP_ESP32 = 0x0000,
    CHIP_ESP32S2 = 0x0002,
    CHIP_ESP32S3 = 0x0009,
    CHIP_ESP32C6 = 0x000D
};

struct piece {
    uint32_t address, size, offset; /* offset: in the ELF */
};

/* Pieces that follow each other in one kind of memory. */
struct segment {
    uint32_t address, length; /* length: a multiple of 4 once all pieces are in */
    uint32_t done;            /* bytes written already */
    enum otter_memory kind;
};

struct builder {
    const struct otter_elf *elf;
    const struct otter_image_options *options;
    struct otter_image_output *out;
    const struct otter_crypto *crypto;
    uint32_t desc; /* address of the app descriptor, 0 if there is none */
    uint8_t page_log2;
    uint8_t pieces, segments;
    struct piece piece[PIECES]; /* by address */
    struct segment segment[PIECES];
};

void otter_image_options_init(struct otter_image_options *options, const struct otter_chip_info *chip)
{
    memset(options, 0, sizeof *options);
    options->chip = chip;
    options->flash_mode = OTTER_FLASH_DIO;
    options->flash_size = 2;
    options->revision_max = UINT16_MAX;
}

/* MHz of the codes 15, 0, 1 and 2; 0: the chip has no such code. */
static const uint8_t *flash_speeds(uint16_t chip_id)
{
    static const uint8_t common[] = {80, 40, 26, 20}, c2[] = {60, 30, 20, 15}, c6[] = {0, 40, 0, 20};
    static const uint8_t c5_c61_s31[] = {80, 40, 0, 20}, h2_h21_h4[] = {48, 24, 16, 12};
    switch (chip_id) {
    case 0x000C: return c2;
    case CHIP_ESP32C6: return c6;
    case 0x0014:
    case 0x0017:
    case 0x0020: return c5_c61_s31;
    case 0x0010:
    case 0x0019:
    case 0x001C: return h2_h21_h4;
    default: return common;
    }
}

bool otter_flash_speed_code(const struct otter_chip_info *chip, unsigned mhz, uint8_t *code)
{
    static const uint8_t codes[] = {15, 0, 1, 2};
    const uint8_t *speeds = flash_speeds(chip->id);
    if (chip->id == CHIP_ESP32C6 && mhz == 80) mhz = 40; /* its ROM sets the divider itself: one code for both */
    for (unsigned i = 0; i < 4; i++) {
        if (!mhz || speeds[i] != mhz) continue;
        *code = codes[i];
        return true;
    }
    return false;
}

/* ---- writing ---- */

static enum otter_err blame(struct otter_image_output *out, enum otter_err err, uint32_t address)
{
    out->address = address;
    return err;
}

static enum otter_err sha256(const struct otter_crypto *crypto, const uint8_t *data, size_t n,
                             struct otter_image_output *out, uint8_t *digest)
{
    struct otter_hash hash;
    out->detail = crypto->hash_start(crypto->ctx, &hash, OTTER_SHA256);
    if (out->detail) return OTTER_CRYPTO;
    out->detail = crypto->hash_update(crypto->ctx, &hash, data, n);
    if (out->detail) {
        crypto->hash_abort(crypto->ctx, &hash);
        return OTTER_CRYPTO;
    }
    out->detail = crypto->hash_finish(crypto->ctx, &hash, digest);
    return out->detail ? OTTER_CRYPTO : OTTER_OK;
}

static enum otter_err start(const struct otter_image_options *o, uint32_t entry, struct otter_image_output *out)
{
    uint8_t *h = out->data;
    out->length = 0;
    out->address = 0;
    out->detail = 0;
    if (out->room < OTTER_IMAGE_HEADER) return OTTER_TOO_BIG;
    memset(h, 0, OTTER_IMAGE_HEADER);
    h[0] = OTTER_IMAGE_MAGIC;
    h[2] = o->flash_mode;
    h[3] = (uint8_t)(o->flash_size << 4 | o->flash_speed);
    otter_put32(h + 4, entry);
    h[8] = 0xEE; /* no write-protect pin */
    otter_put16(h + 12, o->chip->id);
    if (o->chip->id == CHIP_ESP32) h[14] = (uint8_t)(o->revision_min / 100); /* all that old boot loaders look at */
    otter_put16(h + 15, o->revision_min);
    otter_put16(h + 17, o->revision_max);
    h[23] = 1;
    out->length = OTTER_IMAGE_HEADER;
    return OTTER_OK;
}

/* Adds a segment of zeros; *data is where they are. */
static enum otter_err add_segment(struct otter_image_output *out, uint32_t address, uint32_t n, uint8_t **data)
{
    if (out->data[1] == OTTER_IMAGE_SEGMENTS) return blame(out, OTTER_SEGMENT_COUNT, address);
    if (n >= SEGMENT_MAX) return blame(out, OTTER_SEGMENT_LENGTH, address);
    if (out->room - out->length < (size_t)n + OTTER_IMAGE_SEGMENT_HEADER) return OTTER_TOO_BIG;
    uint8_t *h = out->data + out->length;
    otter_put32(h, address);
    otter_put32(h + 4, n);
    *data = h + OTTER_IMAGE_SEGMENT_HEADER;
    memset(*data, 0, n);
    out->length += OTTER_IMAGE_SEGMENT_HEADER + n;
    out->data[1]++;
    return OTTER_OK;
}

static uint8_t payload_checksum(const struct otter_image_output *out)
{
    uint8_t sum = 0xEF;
    const uint8_t *p = out->data + OTTER_IMAGE_HEADER;
    for (unsigned i = 0; i < out->data[1]; i++) {
        uint32_t n = otter_get32(p + 4);
        p += OTTER_IMAGE_SEGMENT_HEADER;
        while (n--) sum ^= *p++;
    }
    return sum;
}

/* The checksum is the last byte of a block of 16; the digest covers all up to it. */
static enum otter_err finish(struct otter_image_output *out, const struct otter_crypto *crypto)
{
    uint32_t body = otter_round_up(out->length + 1, 16);
    if (out->room < (size_t)body + OTTER_IMAGE_DIGEST) return OTTER_TOO_BIG;
    memset(out->data + out->length, 0, body - out->length);
    out->data[body - 1] = payload_checksum(out);
    out->length = body + OTTER_IMAGE_DIGEST;
    return sha256(crypto, out->data, body, out, out->data + body);
}

/* Boot loaders of the ESP32 do not map the last page of a segment that reaches less than 0x24 bytes into it. */
static uint32_t mapped_length(const struct otter_chip_info *chip, const struct otter_image_output *out, uint32_t n)
{
    uint32_t into = (out->length + OTTER_IMAGE_SEGMENT_HEADER + n) & 0xFFFF;
    return chip->id == CHIP_ESP32 && into < ESP32_TAIL ? n + ESP32_TAIL - into : n;
}

/* ---- from sections to segments ---- */

static uint16_t machine_of(const struct otter_chip_info *chip)
{
    bool xtensa = chip->id == CHIP_ESP32 || chip->id == CHIP_ESP32S2 || chip->id == CHIP_ESP32S3;
    return xtensa ? OTTER_ELF_XTENSA : OTTER_ELF_RISCV;
}

static enum otter_memory memory_of(const struct otter_chip_info *chip, const struct otter_elf_section *s,
                                   uint8_t page_log2)
{
    enum otter_memory kind = otter_chip_memory(chip, s->address, s->size, page_log2);
    return kind == OTTER_MEM_PAD ? OTTER_MEM_NONE : kind;
}

bool otter_image_fits(const struct otter_elf *elf, const struct otter_chip_info *chip)
{
    struct otter_elf_section s;
    unsigned at = 0;
    if (elf->machine != machine_of(chip)) return false;
    while (otter_elf_next(elf, &at, &s))
        if (memory_of(chip, &s, chip->page_log2_max) == OTTER_MEM_NONE) return false;
    return true;
}

static bool starts_with_desc(const struct builder *b, const struct otter_elf_section *s)
{
    enum otter_memory kind = memory_of(b->options->chip, s, b->options->chip->page_log2_max);
    return otter_memory_mapped(kind) && s->size >= OTTER_IMAGE_DESC &&
           otter_get32(b->elf->data + s->offset) == DESC_MAGIC;
}

/* The section of that name; else the first mapped one that begins like a descriptor. */
static bool find_desc(const struct builder *b, struct otter_elf_section *desc)
{
    struct otter_elf_section s;
    bool found = false;
    for (unsigned at = 0; otter_elf_next(b->elf, &at, &s);) {
        if (!starts_with_desc(b, &s)) continue;
        bool named = !strcmp(s.name, ".flash.appdesc");
        if (!found || named) *desc = s;
        found = true;
        if (named) return true;
    }
    return found;
}

static enum otter_err read_desc(struct builder *b)
{
    const struct otter_chip_info *chip = b->options->chip;
    struct otter_elf_section desc;
    b->page_log2 = MMU_PAGE_LOG2;
    if (!find_desc(b, &desc)) return OTTER_OK;
    b->desc = desc.address;
    uint8_t page_log2 = b->elf->data[desc.offset + DESC_PAGE];
    if (!page_log2) return OTTER_OK;
    if (page_log2 < chip->page_log2_min || page_log2 > chip->page_log2_max)
        return blame(b->out, OTTER_PAGE_SIZE, desc.address);
    b->page_log2 = page_log2;
    return OTTER_OK;
}

static enum otter_err collect(struct builder *b)
{
    struct otter_elf_section s;
    for (unsigned at = 0; otter_elf_next(b->elf, &at, &s);) {
        if (memory_of(b->options->chip, &s, b->page_log2) == OTTER_MEM_NONE)
            return blame(b->out, OTTER_SEGMENT_ADDR, s.address);
        if (b->pieces == PIECES) return blame(b->out, OTTER_ELF, s.address);
        unsigned i = b->pieces++;
        for (; i > 0 && b->piece[i - 1].address > s.address; i--) b->piece[i] = b->piece[i - 1];
        b->piece[i] = (struct piece){s.address, s.size, s.offset};
    }
    return OTTER_OK;
}

/* Does a piece at address belong to the segment before it? In RAM only if nothing but the padding to a word lies
 * between them; in flash also if both lie in one MMU page, which cannot be mapped twice, or are apart by an alignment
 * only. */
static bool joins(const struct builder *b, const struct segment *s, uint32_t address, enum otter_memory kind)
{
    uint32_t end = s->address + s->length;
    if (s->kind != kind) return false;
    if (address <= otter_round_up(end, 4)) return true;
    if (!otter_memory_mapped(kind)) return false;
    return address - end < JOIN_MAX || address >> b->page_log2 == (end - 1) >> b->page_log2;
}

static enum otter_err merge(struct builder *b)
{
    for (unsigned i = 0; i < b->pieces; i++) {
        const struct piece *p = &b->piece[i];
        enum otter_memory kind = otter_chip_memory(b->options->chip, p->address, p->size, b->page_log2);
        struct segment *s = b->segments ? &b->segment[b->segments - 1] : NULL;
        if (s && p->address - s->address < s->length) return blame(b->out, OTTER_ELF, p->address);
        if (s && joins(b, s, p->address, kind)) {
            s->length = p->address + p->size - s->address;
            continue;
        }
        if (p->address % 4) return blame(b->out, OTTER_ELF, p->address);
        b->segment[b->segments++] = (struct segment){p->address, p->size, 0, kind};
    }
    for (unsigned i = 0; i < b->segments; i++) b->segment[i].length = otter_round_up(b->segment[i].length, 4);
    return OTTER_OK;
}

/* Of several segments of one kind the boot loader maps only the last; where code and data share a range, it takes two.
 */
static enum otter_err judge_mapped(struct builder *b)
{
    unsigned allowed = b->options->chip->shared_map ? 2 : 1, count[2] = {0};
    for (unsigned i = 0; i < b->segments; i++) {
        const struct segment *s = &b->segment[i];
        if (otter_memory_mapped(s->kind) && ++count[s->kind == OTTER_MEM_IROM] > allowed)
            return blame(b->out, OTTER_ELF, s->address);
    }
    return OTTER_OK;
}

/* ---- layout ---- */

/* Writes the next n bytes of a segment, zeros where it has no content. */
static enum otter_err write_part(struct builder *b, struct segment *s, uint32_t n)
{
    uint8_t *data;
    uint32_t from = s->address + s->done;
    enum otter_err err = add_segment(b->out, from, n, &data);
    if (err) return err;
    for (unsigned i = 0; i < b->pieces; i++) {
        const struct piece *p = &b->piece[i];
        uint32_t start_at = p->address > from ? p->address : from;
        uint32_t end = p->address + p->size < from + n ? p->address + p->size : from + n;
        if (start_at < end)
            memcpy(data + (start_at - from), b->elf->data + p->offset + (start_at - p->address), end - start_at);
    }
    s->done += n;
    return OTTER_OK;
}

/* The lowest segment outside the flash that is not written yet. */
static struct segment *next_ram(struct builder *b)
{
    for (unsigned i = 0; i < b->segments; i++)
        if (!otter_memory_mapped(b->segment[i].kind) && b->segment[i].done < b->segment[i].length)
            return &b->segment[i];
    return NULL;
}

/* Moves the end of the image to where a segment for address can begin, with RAM content where it is worth a header. */
static enum otter_err fill_gap(struct builder *b, uint32_t address)
{
    uint32_t page = 1u << b->page_log2, gap;
    while ((gap = (address - (b->out->length + OTTER_IMAGE_SEGMENT_HEADER)) & (page - 1)) != 0) {
        uint32_t room = (gap < OTTER_IMAGE_SEGMENT_HEADER ? gap + page : gap) - OTTER_IMAGE_SEGMENT_HEADER;
        struct segment *ram = next_ram(b);
        uint8_t *zeros;
        enum otter_err err;
        if (ram && room > OTTER_IMAGE_SEGMENT_HEADER)
            err = write_part(b, ram, room < ram->length - ram->done ? room : ram->length - ram->done);
        else
            err = add_segment(b->out, 0, room, &zeros);
        if (err) return err;
    }
    return OTTER_OK;
}

static enum otter_err write_mapped(struct builder *b, struct segment *s)
{
    enum otter_err err = fill_gap(b, s->address);
    return err ? err : write_part(b, s, mapped_length(b->options->chip, b->out, s->length));
}

static enum otter_err write_segments(struct builder *b)
{
    enum otter_err err = OTTER_OK;
    for (int pass = 0; pass < 2; pass++) /* the one with the descriptor, then the others by address */
        for (unsigned i = 0; i < b->segments && !err; i++) {
            struct segment *s = &b->segment[i];
            bool first = b->desc && b->desc - s->address < s->length;
            if (otter_memory_mapped(s->kind) && first == (pass == 0)) err = write_mapped(b, s);
        }
    for (struct segment *s; !err && (s = next_ram(b)) != NULL;) err = write_part(b, s, s->length - s->done);
    return err;
}

static bool described(const struct builder *b)
{
    const uint8_t *first = b->out->data + OTTER_IMAGE_HEADER;
    return b->desc && otter_get32(first) == b->desc;
}

/* The descriptor tells from which ELF an image was made, unless the build has said so already. */
static enum otter_err name_elf(struct builder *b)
{
    static const uint8_t unset[OTTER_IMAGE_DIGEST];
    uint8_t *sha = b->out->data + OTTER_IMAGE_DESC_OFFSET + DESC_ELF_SHA;
    if (memcmp(sha, unset, sizeof unset) != 0) return OTTER_OK;
    return sha256(b->crypto, b->elf->data, b->elf->size, b->out, sha);
}

static enum otter_err plan(struct builder *b)
{
    enum otter_err err = read_desc(b);
    if (!err) err = collect(b);
    if (!err) err = merge(b);
    return err ? err : judge_mapped(b);
}

enum otter_err otter_image_build(const struct otter_elf *elf, const struct otter_image_options *options,
                                 const struct otter_crypto *crypto, struct otter_image_output *out)
{
    struct builder b = {.elf = elf, .options = options, .out = out, .crypto = crypto};
    enum otter_err err = start(options, elf->entry, out);
    if (!err && elf->machine != machine_of(options->chip)) err = OTTER_CHIP;
    if (!err) err = plan(&b);
    if (!err) err = write_segments(&b);
    if (err) return err;
    bool has_desc = described(&b);
    if (has_desc) err = name_elf(&b);
    if (!err) err = finish(out, crypto);
    if (err || has_desc || options->undescribed) return err;
    return blame(out, out->length < OTTER_IMAGE_JUDGED ? OTTER_TOO_SHORT : OTTER_NO_DESCRIPTOR, b.desc);
}

/* ---- synthetic images ---- */

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13; /* xorshift */
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static void fill_random(uint8_t *data, uint32_t n, uint32_t *state)
{
    for (uint32_t i = 0; i + 4 <= n; i += 4) otter_put32(data + i, next_random(state));
}

static const struct otter_memory_range *first_range(const struct otter_chip_info *chip, bool mapped)
{
    for (const struct otter_memory_range *r = chip->memory; r->kind != OTTER_MEM_NONE; r++)
        if (mapped ? otter_memory_mapped((enum otter_memory)r->kind) : r->kind == OTTER_MEM_RAM) return r;
    return NULL;
}

static void write_desc(const struct otter_image_synth *what, uint8_t *desc, uint32_t *state)
{
    otter_put32(desc, DESC_MAGIC);
    memcpy(desc + 16, what->version, strlen(what->version));
    memcpy(desc + 48, what->project, strlen(what->project));
    memcpy(desc + 80, "00:00:00", 8);
    memcpy(desc + 96, "Jan  1 2026", 11);
    memcpy(desc + 112, "synthetic", 9);
    fill_random(desc + DESC_ELF_SHA, OTTER_IMAGE_DIGEST, state);
    desc[DESC_PAGE] = MMU_PAGE_LOG2;
}

static enum otter_err write_synth(const struct otter_image_synth *what, const struct otter_image_options *o,
                                  uint32_t rom, struct otter_image_output *out)
{
    const struct otter_memory_range *ram = first_range(o->chip, false);
    uint32_t payload = otter_round_up(what->payload, 4), in_ram = payload < SYNTH_RAM ? payload : SYNTH_RAM;
    uint32_t state = what->seed ^ 0x6F747465, n = mapped_length(o->chip, out, OTTER_IMAGE_DESC + payload - in_ram);
    uint8_t *data;
    if (!state) state = 1; /* the one state that xorshift never leaves */
    if (otter_chip_memory(o->chip, rom, n, MMU_PAGE_LOG2) == OTTER_MEM_NONE) return blame(out, OTTER_SEGMENT_ADDR, rom);
    enum otter_err err = add_segment(out, rom, n, &data);
    if (err) return err;
    write_desc(what, data, &state);
    fill_random(data + OTTER_IMAGE_DESC, n - OTTER_IMAGE_DESC, &state);
    err = add_segment(out, ram->start, in_ram, &data);
    if (!err) fill_random(data, in_ram, &state);
    return err;
}

enum otter_err otter_image_synth(const struct otter_image_synth *what, const struct otter_image_options *options,
                                 const struct otter_crypto *crypto, struct otter_image_output *out)
{
    const struct otter_memory_range *rom = first_range(options->chip, true), *ram = first_range(options->chip, false);
    if (strlen(what->version) >= DESC_STRING || strlen(what->project) >= DESC_STRING) return OTTER_ARG;
    enum otter_err err = start(options, ram ? ram->start : 0, out);
    if (err) return err;
    if (!rom || !ram) return OTTER_SEGMENT_ADDR;
    if (what->payload > SEGMENT_MAX) return OTTER_TOO_BIG;
    err = write_synth(what, options, rom->start + OTTER_IMAGE_DESC_OFFSET, out);
    return err ? err : finish(out, crypto);
}
