/* Names of files. Knows what they may be; not what is in them. */
#include "doors/files.h"

#include <string.h>

#include "doors/text.h"

const char *otter_files_state_name(enum otter_files_state state)
{
    static const char *const names[] = {"none", "ready", "damaged", "released"};
    return names[state];
}

bool otter_file_name_ok(const char *name)
{
    size_t size = strlen(name);
    if (size < 1 || size > OTTER_FILE_NAME) return false;
    if (name[0] == '.' || name[0] == ' ' || name[size - 1] == '.' || name[size - 1] == ' ') return false;
    for (const unsigned char *p = (const unsigned char *)name; *p;) {
        unsigned n = otter_utf8_length(p);
        if (!n || *p < ' ' || *p == 0x7F || strchr("/\\:*?\"<>|", *p)) return false;
        p += n;
    }
    return true;
}

bool otter_file_name(const char *escaped, char name[OTTER_FILE_NAME + 1])
{
    size_t n = 0;
    for (const char *p = escaped; *p; p++) {
        int c = (unsigned char)*p;
        if (*p == '%') {
            int high = otter_hex_digit(p[1]), low = high < 0 ? -1 : otter_hex_digit(p[2]);
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
