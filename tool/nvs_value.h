/* The values of an NVS table, from text to bytes, as the reference generator's Python understands them. */
#ifndef OTTER_TOOL_NVS_VALUE_H
#define OTTER_TOOL_NVS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a value. Text that is not ASCII is counted by characters in some places. */
struct nvs_value {
    uint8_t *bytes; /* to be freed */
    size_t size;
    size_t units; /* characters if it is text, else bytes */
};

/* All return NULL, or what is wrong. */

/* A decimal number: blanks around it, a sign, single underscores between digits. */
const char *nvs_value_int(const char *text, size_t size, bool *negative, uint64_t *magnitude);
/* out->bytes is NULL if something is wrong. */
const char *nvs_value_hex(const char *text, size_t size, struct nvs_value *out);
const char *nvs_value_base64(const char *text, size_t size, struct nvs_value *out);
/* encoding: "blob_fill(LENGTH;0xNN)" or "blob_sz_fill(LENGTH;0xNN)". text may be NULL. */
const char *nvs_value_fill(const char *encoding, const char *text, struct nvs_value *out);
/* The bytes as they are, with extra zero bytes behind. */
const char *nvs_value_copy(const char *text, size_t size, size_t extra, struct nvs_value *out);

/* Characters in UTF-8; false if it is none. */
bool nvs_utf8_count(const char *text, size_t size, size_t *characters);
/* Bytes that the first n characters take. */
size_t nvs_utf8_bytes(const uint8_t *text, size_t size, size_t n);

#endif
