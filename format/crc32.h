/* The CRC-32 of otadata and NVS: zlib.crc32(data, 0xFFFFFFFF), that is, reflected 0xEDB88320 with the register
 * starting at 0 and the result inverted. Source: ESP-IDF esp_rom_crc32_le(UINT32_MAX, ...). */
#ifndef OTTER_CRC32_H
#define OTTER_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* crc: UINT32_MAX for the first piece, then the result so far. */
uint32_t otter_crc32(uint32_t crc, const void *data, size_t n);

#endif
