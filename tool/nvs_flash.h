/* Flash in memory for the tool, and the encryption of NVS entries over any flash.
 * Source: ESP-IDF nvs_encrypted_partition.cpp, esp-idf-nvs-partition-gen. */
#ifndef OTTER_TOOL_NVS_FLASH_H
#define OTTER_TOOL_NVS_FLASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/port.h"

enum { NVS_KEY = 64, NVS_KEY_FILE = 4096 };

/* Bytes that behave like NOR flash. */
struct nvs_memory {
    struct otter_flash flash;
    uint8_t *bytes;
    bool changed;
};
/* bytes stay the caller's. */
void nvs_memory_start(struct nvs_memory *m, uint8_t *bytes, uint32_t size);

/* A flash that decrypts and encrypts entries; page headers and bitmaps pass. */
struct nvs_cipher {
    struct otter_flash flash;
    const struct otter_flash *inner;
    uint32_t base; /* where the partition starts: the tweak is the offset in it */
    uint8_t key[NVS_KEY];
};
void nvs_cipher_start(struct nvs_cipher *c, const struct otter_flash *inner, uint32_t base, const uint8_t key[NVS_KEY]);

/* AES-256-XTS of one entry that lies at off in its partition. False if the library fails. */
bool nvs_crypt(const uint8_t key[NVS_KEY], bool encrypt, uint32_t off, const uint8_t in[32], uint8_t out[32]);
/* Encrypts every written slot of a partition in place. */
bool nvs_encrypt_all(const uint8_t key[NVS_KEY], uint8_t *bytes, size_t size);

/* A key partition: 64 bytes of key, their CRC, the rest 0xFF. */
void nvs_key_write(const uint8_t key[NVS_KEY], uint8_t file[NVS_KEY_FILE]);
/* False if that is none: too short, or its CRC is wrong. */
bool nvs_key_read(const uint8_t *file, size_t size, uint8_t key[NVS_KEY]);

#endif
