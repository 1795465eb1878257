/* Text into a buffer, cut where it ends. Knows no format but UTF-8. */
#include "format/text.h"

#include <stdarg.h>
#include <string.h>

void otter_text_start(struct otter_text *t, char *buf, size_t size)
{
    *t = (struct otter_text){.buf = buf, .size = size};
    buf[0] = '\0';
}

static void add_bytes(struct otter_text *t, const char *p, size_t n)
{
    size_t room = t->size - 1 - t->n;
    if (n > room) {
        t->cut = true;
        n = room;
    }
    memcpy(t->buf + t->n, p, n);
    t->n += n;
    t->buf[t->n] = '\0';
}

static void add_number(struct otter_text *t, unsigned long long v, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v);
    add_bytes(t, digits + at, sizeof digits - at);
}

static bool starts_with(const char *p, const char *what) { return strncmp(p, what, strlen(what)) == 0; }

/* The conversion at fmt, which starts with a percent sign; returns how long it is. */
static size_t convert(struct otter_text *t, const char *fmt, va_list *args)
{
    const char *s;
    if (starts_with(fmt, "%.*s")) {
        int n = va_arg(*args, int);
        s = va_arg(*args, const char *);
        add_bytes(t, s, n > 0 ? (size_t)n : 0);
        return 4;
    }
    if (starts_with(fmt, "%llx") || starts_with(fmt, "%llu")) {
        add_number(t, va_arg(*args, unsigned long long), fmt[3] == 'x' ? 16 : 10);
        return 4;
    }
    switch (fmt[1]) {
    case 's':
        s = va_arg(*args, const char *);
        add_bytes(t, s, strlen(s));
        return 2;
    case 'u': add_number(t, va_arg(*args, unsigned), 10); return 2;
    case 'x': add_number(t, va_arg(*args, unsigned), 16); return 2;
    case '%': add_bytes(t, "%", 1); return 2;
    default: add_bytes(t, fmt, 1); return 1;
    }
}

void otter_text_add(struct otter_text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    while (*fmt) {
        size_t plain = strcspn(fmt, "%");
        add_bytes(t, fmt, plain);
        fmt += plain;
        if (*fmt) fmt += convert(t, fmt, &args);
    }
    va_end(args);
}

/* Bytes that a character with this first byte takes; 0: none starts so. */
static unsigned utf8_length(uint8_t first)
{
    if (first < 0x80) return 1;
    if (first < 0xC2) return 0;
    if (first < 0xE0) return 2;
    if (first < 0xF0) return 3;
    return first < 0xF5 ? 4 : 0;
}

unsigned otter_utf8_read(const char *p, size_t n, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint8_t bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    unsigned length = n ? utf8_length((uint8_t)*p) : 0;
    if (!length || length > n) return 0;
    uint32_t c = (uint8_t)*p & bits[length];
    for (unsigned i = 1; i < length; i++) {
        if (((uint8_t)p[i] & 0xC0) != 0x80) return 0;
        c = c << 6 | ((uint8_t)p[i] & 0x3F);
    }
    if (c < least[length] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return 0;
    *character = c;
    return length;
}

unsigned otter_utf8_write(uint32_t c, char out[4])
{
    static const uint8_t mark[] = {0, 0, 0xC0, 0xE0, 0xF0};
    unsigned length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (unsigned i = length; i > 1; i--, c >>= 6) out[i - 1] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(mark[length] | c);
    return length;
}
