/* What figures are taken on: made-up images, the planned elastic table, the flash's floor. */
#ifndef OTTER_BENCH_GIVEN_H
#define OTTER_BENCH_GIVEN_H

#include <stdint.h>

enum { GIVEN_FLASH = 4 << 20, GIVEN_SIZE = 1536 * 1024, GIVEN_POOL = 0x10000, GIVEN_TABLE = 0x8000 };

/* An ESP32-C3 image with so many bytes of payload, at most room bytes altogether; returns how many. */
uint32_t given_image(uint8_t *out, uint32_t room, const char *version, uint32_t payload);
/* What `otter table plan --flash 4MB --app 1.5MB` writes; OTTER_TABLE_SIZE bytes. */
void given_elastic_table(uint8_t *out);
/* 64 KiB erases and page writes of so many bytes, nothing else. */
double given_floor_us(uint32_t size);

#endif
