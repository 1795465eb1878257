/* NVS page headers, slot bitmaps and entries, to and from bytes. Knows nothing of flash, nor of which entries belong
 * together. */
#include "format/nvs.h"

#include <string.h>

#include "format/bytes.h"
#include "format/crc32.h"

enum { STATE = 0, SEQ = 4, VERSION = 8 };
enum { NS = 0, TYPE = 1, SPAN = 2, CHUNK = 3, CRC = 4, KEY = 8, DATA = 24 };

static uint32_t header_crc(const uint8_t *raw)
{
    return otter_crc32(UINT32_MAX, raw + SEQ, OTTER_NVS_HEADER_CRC - SEQ);
}

void otter_nvs_header_read(const uint8_t raw[OTTER_NVS_HEADER], struct otter_nvs_header *h)
{
    h->state = otter_get32(raw + STATE);
    h->seq = otter_get32(raw + SEQ);
    h->version = raw[VERSION];
    h->sound = otter_get32(raw + OTTER_NVS_HEADER_CRC) == header_crc(raw);
}

void otter_nvs_header_write(uint32_t seq, uint8_t version, uint8_t raw[OTTER_NVS_HEADER])
{
    memset(raw, 0xFF, OTTER_NVS_HEADER);
    otter_put32(raw + STATE, OTTER_NVS_PAGE_ACTIVE);
    otter_put32(raw + SEQ, seq);
    raw[VERSION] = version;
    otter_put32(raw + OTTER_NVS_HEADER_CRC, header_crc(raw));
}

enum otter_nvs_slot_state otter_nvs_slot_get(const uint8_t *bitmap, unsigned slot)
{
    return (enum otter_nvs_slot_state)(bitmap[slot / 4] >> slot % 4 * 2 & 3);
}

void otter_nvs_slot_set(uint8_t *bitmap, unsigned slot, enum otter_nvs_slot_state state)
{
    unsigned shift = slot % 4 * 2, keep = 3U & ~(unsigned)state;
    bitmap[slot / 4] = (uint8_t)(bitmap[slot / 4] & ~(keep << shift));
}

static uint32_t entry_crc(const uint8_t *raw)
{
    uint32_t crc = otter_crc32(UINT32_MAX, raw, CRC);
    return otter_crc32(crc, raw + KEY, OTTER_NVS_ENTRY - KEY);
}

static unsigned span_of(uint32_t payload) { return 1 + (payload + OTTER_NVS_ENTRY - 1) / OTTER_NVS_ENTRY; }

/* Do type, span, chunk and size agree? */
static bool coherent(const struct otter_nvs_entry *e)
{
    if (otter_nvs_has_payload(e->type)) {
        if (e->type == OTTER_NVS_BLOB_DATA && e->chunk == OTTER_NVS_NO_CHUNK) return false;
        return e->span == span_of(otter_nvs_payload_size(e));
    }
    if (e->type != OTTER_NVS_BLOB_INDEX) return e->span == 1 || !otter_nvs_int_size(e->type);
    return e->span == 1 && e->chunk == OTTER_NVS_NO_CHUNK &&
           otter_get32(e->data) <= OTTER_NVS_CHUNKS * OTTER_NVS_CHUNK_MAX;
}

bool otter_nvs_entry_read(const uint8_t raw[OTTER_NVS_ENTRY], unsigned slot, struct otter_nvs_entry *e)
{
    if (otter_get32(raw + CRC) != entry_crc(raw)) return false;
    e->ns = raw[NS];
    e->type = raw[TYPE];
    e->span = raw[SPAN];
    e->chunk = raw[CHUNK];
    memcpy(e->key, raw + KEY, sizeof e->key);
    e->key[OTTER_NVS_NAME_SIZE - 1] = '\0';
    memcpy(e->data, raw + DATA, sizeof e->data);
    return e->span >= 1 && slot + e->span <= OTTER_NVS_SLOTS && coherent(e);
}

void otter_nvs_entry_write(const struct otter_nvs_entry *e, uint8_t raw[OTTER_NVS_ENTRY])
{
    raw[NS] = e->ns;
    raw[TYPE] = e->type;
    raw[SPAN] = e->span;
    raw[CHUNK] = e->chunk;
    memcpy(raw + KEY, e->key, sizeof e->key);
    memcpy(raw + DATA, e->data, sizeof e->data);
    otter_put32(raw + CRC, entry_crc(raw));
}

void otter_nvs_entry_start(struct otter_nvs_entry *e, uint8_t ns, enum otter_nvs_type type, const char *key)
{
    memset(e, 0, sizeof *e);
    e->ns = ns;
    e->type = (uint8_t)type;
    e->span = 1;
    e->chunk = OTTER_NVS_NO_CHUNK;
    for (unsigned i = 0; i < OTTER_NVS_NAME_SIZE - 1 && key[i]; i++) e->key[i] = key[i];
    memset(e->data, 0xFF, sizeof e->data);
}

unsigned otter_nvs_int_size(unsigned type)
{
    unsigned size = type & 0x0F, sign = type & 0xF0;
    if (sign != 0 && sign != 0x10) return 0;
    return size == 1 || size == 2 || size == 4 || size == 8 ? size : 0;
}

static bool is_signed(unsigned type) { return type & 0x10; }

/* The low `size` bytes of v, sign-extended if asked for. */
static uint64_t extend(uint64_t v, unsigned size, bool sign)
{
    unsigned bits = 8 * size;
    if (bits >= 64) return v;
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    v &= mask;
    return sign && v >> (bits - 1) ? v | ~mask : v;
}

bool otter_nvs_int_fits(unsigned type, uint64_t value)
{
    return extend(value, otter_nvs_int_size(type), is_signed(type)) == value;
}

uint64_t otter_nvs_int_get(const struct otter_nvs_entry *e)
{
    uint64_t v = otter_get32(e->data) | (uint64_t)otter_get32(e->data + 4) << 32;
    return extend(v, otter_nvs_int_size(e->type), is_signed(e->type));
}

void otter_nvs_int_set(struct otter_nvs_entry *e, uint64_t value)
{
    for (unsigned i = 0; i < otter_nvs_int_size(e->type); i++) e->data[i] = (uint8_t)(value >> 8 * i);
}

bool otter_nvs_has_payload(unsigned type)
{
    return type == OTTER_NVS_STRING || type == OTTER_NVS_BLOB || type == OTTER_NVS_BLOB_DATA;
}

uint32_t otter_nvs_payload_size(const struct otter_nvs_entry *e) { return otter_get16(e->data); }

uint32_t otter_nvs_payload_crc(const struct otter_nvs_entry *e) { return otter_get32(e->data + 4); }

void otter_nvs_payload_set(struct otter_nvs_entry *e, const void *data, uint32_t size)
{
    e->span = (uint8_t)span_of(size);
    otter_put16(e->data, (uint16_t)size);
    otter_put32(e->data + 4, otter_crc32(UINT32_MAX, data, size));
}

struct otter_nvs_blob otter_nvs_blob_get(const struct otter_nvs_entry *e)
{
    struct otter_nvs_blob b = {otter_get32(e->data), e->data[4], e->data[5]};
    return b;
}

void otter_nvs_blob_set(struct otter_nvs_entry *e, const struct otter_nvs_blob *b)
{
    otter_put32(e->data, b->size);
    e->data[4] = b->chunks;
    e->data[5] = b->start;
}

enum otter_err otter_nvs_name_check(const char *name)
{
    size_t n = 0;
    while (n < OTTER_NVS_NAME_SIZE && name[n]) n++;
    return n >= 1 && n < OTTER_NVS_NAME_SIZE ? OTTER_OK : OTTER_NVS_NAME;
}

static const struct {
    const char *name;
    uint8_t type;
} types[] = {
    {"u8", OTTER_NVS_U8},     {"i8", OTTER_NVS_I8},          {"u16", OTTER_NVS_U16},
    {"i16", OTTER_NVS_I16},   {"u32", OTTER_NVS_U32},        {"i32", OTTER_NVS_I32},
    {"u64", OTTER_NVS_U64},   {"i64", OTTER_NVS_I64},        {"string", OTTER_NVS_STRING},
    {"blob", OTTER_NVS_BLOB}, {"blob", OTTER_NVS_BLOB_DATA}, {"blob", OTTER_NVS_BLOB_INDEX},
};

const char *otter_nvs_type_name(unsigned type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].type == type) return types[i].name;
    return "unknown";
}

unsigned otter_nvs_type_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (!strcmp(types[i].name, name)) return types[i].type;
    return 0;
}
