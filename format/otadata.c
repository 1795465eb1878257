/* otadata's entries and the rules by which one of two is chosen. Knows nothing of flash. */
#include "format/otadata.h"

#include <string.h>

#include "format/bytes.h"
#include "format/crc32.h"

enum { SEQ = 0, STATE = 24, CRC = 28 };

static uint32_t seq_crc(const uint8_t raw_seq[4]) { return otter_crc32(UINT32_MAX, raw_seq, 4); }

void otter_ota_read(const uint8_t raw[OTTER_OTADATA_ENTRY], struct otter_ota_entry *e)
{
    e->seq = otter_get32(raw + SEQ);
    e->state = otter_get32(raw + STATE);
    e->crc = otter_get32(raw + CRC);
}

void otter_ota_write(uint32_t seq, uint32_t state, uint8_t raw[OTTER_OTADATA_ENTRY])
{
    memset(raw, 0xFF, OTTER_OTADATA_ENTRY);
    otter_put32(raw + SEQ, seq);
    otter_put32(raw + STATE, state);
    otter_put32(raw + CRC, seq_crc(raw + SEQ));
}

bool otter_ota_initial(const struct otter_ota_entry *e)
{
    uint8_t seq[4];
    otter_put32(seq, e->seq);
    return e->seq == OTTER_OTA_NO_SEQ || e->crc != seq_crc(seq);
}

bool otter_ota_unusable(const struct otter_ota_entry *e)
{
    return e->seq == OTTER_OTA_NO_SEQ || e->state == OTTER_OTA_INVALID || e->state == OTTER_OTA_ABORTED;
}

bool otter_ota_valid(const struct otter_ota_entry *e) { return !otter_ota_initial(e) && !otter_ota_unusable(e); }

int otter_ota_active(const struct otter_ota_entry e[2])
{
    bool first = otter_ota_valid(&e[0]), second = otter_ota_valid(&e[1]);
    if (first && second) return e[1].seq > e[0].seq ? 1 : 0;
    if (first) return 0;
    return second ? 1 : -1;
}

unsigned otter_ota_slot(uint32_t seq, unsigned count) { return (seq - 1) % count; }

uint32_t otter_ota_next_seq(uint32_t after, unsigned slot, unsigned count)
{
    /* after + 1 names slot after % count; the rest is how many numbers further `slot` is. */
    uint64_t seq = (uint64_t)after + 1 + (slot + count - after % count) % count;
    return seq < OTTER_OTA_NO_SEQ ? (uint32_t)seq : 0;
}

const char *otter_ota_state_name(uint32_t state)
{
    static const char *const names[] = {"new", "pending_verify", "valid", "invalid", "aborted"};
    if (state == OTTER_OTA_UNDEFINED) return "undefined";
    return state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}
