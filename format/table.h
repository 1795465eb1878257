/* Partition tables as they lie in flash: 32-byte rows, an MD5 row, a terminating row.
 * Source: ESP-IDF flash_partitions.c (what the boot loader checks), gen_esp32part.py (what is written); docs/SPEC.md.
 */
#ifndef OTTER_FORMAT_TABLE_H
#define OTTER_FORMAT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/err.h"
#include "otter/port.h"

enum {
    OTTER_TABLE_SIZE = 0xC00, /* bytes of the sector that rows may take */
    OTTER_TABLE_ROW = 32,
    OTTER_TABLE_ROWS = OTTER_TABLE_SIZE / OTTER_TABLE_ROW
};

enum { OTTER_TYPE_APP = 0, OTTER_TYPE_DATA = 1 };

enum {
    OTTER_APP_FACTORY = 0x00,
    OTTER_APP_OTA_0 = 0x10, /* to 0x1F */
    OTTER_APP_TEST = 0x20,
    OTTER_APP_TEE_0 = 0x30,
    OTTER_DATA_OTADATA = 0x00,
    OTTER_DATA_PHY = 0x01,
    OTTER_DATA_NVS = 0x02,
    OTTER_DATA_COREDUMP = 0x03,
    OTTER_DATA_NVS_KEYS = 0x04,
    OTTER_DATA_FAT = 0x81,
    OTTER_DATA_SPIFFS = 0x82,
    OTTER_DATA_LITTLEFS = 0x83,
    OTTER_DATA_TEE_OTA = 0x90
};

enum { OTTER_OTA_SLOTS = 16 };

struct otter_partition {
    uint8_t type, subtype;
    uint32_t offset, size; /* bytes */
    uint32_t flags;        /* bit 0 encrypted, bit 1 read-only */
    char label[17];        /* ended here; 16 characters at most in flash */
};

/* Where rows are read from: flash or memory. row() fills out with the i-th 32 bytes (i < OTTER_TABLE_ROWS). */
struct otter_rows {
    const void *ctx;
    enum otter_err (*row)(const void *ctx, unsigned i, uint8_t out[OTTER_TABLE_ROW]);
};

/* The boot loader's check: magic, MD5 (if there is a row for it), terminating row, end of flash; it minds neither
 * overlap nor alignment. *count: how many rows it then looks at. *bad: the row that is at fault (with an error). */
enum otter_err otter_table_check(const struct otter_rows *rows, uint32_t flash_size, const struct otter_crypto *crypto,
                                 unsigned *count, unsigned *bad);

/* The i-th row as a partition. Rows that are none (the MD5 row, where others follow it) give type 0xFF. */
enum otter_err otter_table_row(const struct otter_rows *rows, unsigned i, struct otter_partition *p);

/* Writes rows, MD5 row (with md5) and 0xFF to the end. OTTER_ARG if they do not fit: 94 rows with MD5, 95 without. */
enum otter_err otter_table_write(const struct otter_partition *p, unsigned n, bool md5,
                                 const struct otter_crypto *crypto, uint8_t out[OTTER_TABLE_SIZE]);

/* Rows over size bytes of memory; missing rows read as 0xFF. */
struct otter_table_memory {
    const uint8_t *bytes;
    size_t size;
};
struct otter_rows otter_table_rows(const struct otter_table_memory *m);

#endif
