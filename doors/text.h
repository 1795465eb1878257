/* Text from outside: characters, hex digits, JSON within limits. */
#ifndef OTTER_DOORS_TEXT_H
#define OTTER_DOORS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;

enum { OTTER_JSON_VALUES = 384, OTTER_JSON_DEPTH = 12 };

/* Bytes of the character at p, or 0 if it is none: overlong forms, surrogates and what lies beyond U+10FFFF are none.
 * p ends with a NUL. */
unsigned otter_utf8_length(const unsigned char *p);
/* How many characters; SIZE_MAX if it is no UTF-8, or has control characters. */
size_t otter_utf8_count(const char *text);
/* 0 to 15, or -1. */
int otter_hex_digit(char c);
/* Exactly 64 hex digits. */
bool otter_hex32(const char *text, uint8_t out[32]);

/* One JSON value and nothing behind it; NULL if it is none, or has more than OTTER_JSON_VALUES values or a depth
 * beyond OTTER_JSON_DEPTH: a small text can make a tree that no chip has memory for; or a NUL, as "\u0000" too, or
 * an object with a name twice. To be freed by cJSON_Delete(). */
struct cJSON *otter_json_read(const char *text, size_t size);
/* The string of that name, of 1 to `most` bytes of UTF-8 without control characters; NULL if there is none such. */
const char *otter_json_text(const struct cJSON *object, const char *name, size_t most);
/* Adds what flash or a library says, of which 255 bytes are kept: what is not printable ASCII is shown as '?'. */
void otter_json_add_text(struct cJSON *object, const char *name, const char *text);

#endif
