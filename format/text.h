/* Text into a caller's buffer, and UTF-8, without stdio. */
#ifndef OTTER_FORMAT_TEXT_H
#define OTTER_FORMAT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct otter_text {
    char *buf;
    size_t size; /* of buf, bytes; the text is always ended in it */
    size_t n;    /* bytes of text */
    bool cut;    /* something did not fit */
};

/* size is at least 1. */
void otter_text_start(struct otter_text *t, char *buf, size_t size);
/* Knows %s, %.*s, %u, %x, %llu, %llx and %%; anything else is written as it stands. */
void otter_text_add(struct otter_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The first character of n bytes: how many bytes it takes, 0 if it is not UTF-8 (or n is 0). */
unsigned otter_utf8_read(const char *p, size_t n, uint32_t *character);
/* A character up to 0x10FFFF; returns its bytes. */
unsigned otter_utf8_write(uint32_t character, char out[4]);

#endif
