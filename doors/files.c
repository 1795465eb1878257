/* Names of files. Knows what they may be; not what is in them. */
#include "doors/files.h"

#include <string.h>

const char *otter_files_state_name(enum otter_files_state state)
{
    static const char *const names[] = {"none", "ready", "damaged", "released"};
    return names[state];
}

/* Bytes of the character at p, or 0 if it is none: overlong forms, surrogates and what lies beyond U+10FFFF are none.
 */
static unsigned utf8_length(const unsigned char *p)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    uint32_t c = n > 1 ? p[0] & (0x7Fu >> n) : p[0];
    for (unsigned i = 1; i < n; i++) {
        if (p[i] >> 6 != 2) return 0;
        c = c << 6 | (p[i] & 0x3F);
    }
    return n && c >= least[n] && c <= 0x10FFFF && c >> 11 != 0x1B ? n : 0;
}

bool otter_file_name_ok(const char *name)
{
    size_t size = strlen(name);
    if (size < 1 || size > OTTER_FILE_NAME) return false;
    if (name[0] == '.' || name[0] == ' ' || name[size - 1] == '.' || name[size - 1] == ' ') return false;
    for (const unsigned char *p = (const unsigned char *)name; *p;) {
        unsigned n = utf8_length(p);
        if (!n || *p < ' ' || *p == 0x7F || strchr("/\\:*?\"<>|", *p)) return false;
        p += n;
    }
    return true;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = c ? strchr(digits, c | 0x20) : NULL;
    return p ? (int)(p - digits) : -1;
}

bool otter_file_name(const char *escaped, char name[OTTER_FILE_NAME + 1])
{
    size_t n = 0;
    for (const char *p = escaped; *p; p++) {
        int c = (unsigned char)*p;
        if (*p == '%') {
            int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);
            c = low < 0 ? 0 : high << 4 | low;
            p += 2;
        }
        /* NUL would end the name before its end. */
        if (c == 0 || n == OTTER_FILE_NAME) return false;
        name[n++] = (char)c;
    }
    name[n] = '\0';
    return otter_file_name_ok(name);
}
