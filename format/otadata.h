/* otadata: two sectors, in each one 32-byte entry, from which the boot loader reads which slot to start.
 * Source: ESP-IDF esp_flash_partitions.h, bootloader_common_loader.c, bootloader_utility.c; docs/SPEC.md. */
#ifndef OTTER_FORMAT_OTADATA_H
#define OTTER_FORMAT_OTADATA_H

#include <stdbool.h>
#include <stdint.h>

enum {
    OTTER_OTADATA_SIZE = 0x2000, /* the partition: two sectors of 4096 bytes, the entry at the start of each */
    OTTER_OTADATA_ENTRY = 32
};

enum otter_ota_state {
    OTTER_OTA_NEW = 0,
    OTTER_OTA_PENDING_VERIFY = 1,
    OTTER_OTA_VALID = 2,
    OTTER_OTA_INVALID = 3,
    OTTER_OTA_ABORTED = 4
};
#define OTTER_OTA_UNDEFINED UINT32_MAX
#define OTTER_OTA_NO_SEQ UINT32_MAX

struct otter_ota_entry {
    uint32_t seq;   /* slot = (seq - 1) mod number of ota slots */
    uint32_t state; /* enum otter_ota_state, OTTER_OTA_UNDEFINED, or whatever is in flash */
    uint32_t crc;   /* over seq alone */
};

void otter_ota_read(const uint8_t raw[OTTER_OTADATA_ENTRY], struct otter_ota_entry *e);
/* Writes seq, state and the right CRC; the label is left 0xFF. */
void otter_ota_write(uint32_t seq, uint32_t state, uint8_t raw[OTTER_OTADATA_ENTRY]);

/* Never written, or not whole: no sequence number, or its CRC is wrong. */
bool otter_ota_initial(const struct otter_ota_entry *e);
/* No sequence number, or marked invalid or aborted; whatever the CRC. If both are, the boot loader takes its default.
 */
bool otter_ota_unusable(const struct otter_ota_entry *e);
/* May be started: neither of the two. */
bool otter_ota_valid(const struct otter_ota_entry *e);

/* Which of the two entries decides: the valid one with the higher sequence number, the first one if they are equal;
 * -1 if none is valid. */
int otter_ota_active(const struct otter_ota_entry e[2]);

/* The slot that seq names among count (1 to 16) slots, in the boot loader's 32-bit arithmetic. */
unsigned otter_ota_slot(uint32_t seq, unsigned count);
/* The smallest sequence number above `after` that names slot; 0 if there is none before the end of the numbers. */
uint32_t otter_ota_next_seq(uint32_t after, unsigned slot, unsigned count);

/* "new", "pending_verify", "valid", "invalid", "aborted", "undefined"; "unknown" for any other number. */
const char *otter_ota_state_name(uint32_t state);

#endif
