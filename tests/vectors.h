/* Reads tests/vectors: what Espressif's own tools and firmware made of the same bytes. Every failure ends the test. */
#ifndef OTTER_TESTS_VECTORS_H
#define OTTER_TESTS_VECTORS_H

#include <cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "ports/posix/crypto.h"

/* cases.json of a folder; to be deleted. */
cJSON *vector_cases(const char *folder);
/* A file of a folder, to be freed. */
uint8_t *vector_file(const char *folder, const char *name, size_t *size);
/* A string; a number that stands as one or as a "0x" string. */
const char *vector_string(const cJSON *o, const char *name);
int64_t vector_number(const cJSON *o, const char *name);

/* The flash that a case of otadata or ota_api starts from; layouts: of otadata's cases.json. */
enum { VECTOR_FLASH = 0x140000 };
void vector_flash(uint8_t *bytes, const cJSON *c, const cJSON *layouts);

#endif
