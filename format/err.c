/* The error table's look-ups. Knows nothing but the table. */
#include "otter/err.h"

#include <stddef.h>
#include <stdint.h>

#include "otter/config.h"

static const struct row {
    int8_t number;
    uint8_t exit_status;
    uint16_t http;
} rows[] = {
#define ROW(constant, number, name, http, exit_status, text) {number, exit_status, http},
    OTTER_CFG_ERRORS(ROW)
#undef ROW
        {0, 1, 500} /* any other */
};

/* Names and sentences in turn, each with its NUL: a pointer to each would cost a chip more than the walk does. */
static const struct {
#define ROOM(constant, number, name, http, exit_status, text) \
    char name_##constant[sizeof name], text_##constant[sizeof text];
    OTTER_CFG_ERRORS(ROOM)
#undef ROOM
    char name[sizeof "unknown"], text[sizeof "An error without a name."];
} words = {
#define WORDS(constant, number, name, http, exit_status, text) name, text,
    OTTER_CFG_ERRORS(WORDS)
#undef WORDS
        "unknown",
    "An error without a name."};

enum { KNOWN = sizeof rows / sizeof rows[0] - 1 };

static size_t find(enum otter_err err)
{
    size_t i = 0;
    while (i < KNOWN && rows[i].number != (int)err) i++;
    return i;
}

static const char *word(size_t n)
{
    const char *p = (const char *)&words;
    while (n)
        if (!*p++) n--;
    return p;
}

const char *otter_err_name(enum otter_err err) { return word(2 * find(err)); }
const char *otter_err_text(enum otter_err err) { return word(2 * find(err) + 1); }
int otter_err_http(enum otter_err err) { return rows[find(err)].http; }
int otter_err_exit(enum otter_err err) { return rows[find(err)].exit_status; }
