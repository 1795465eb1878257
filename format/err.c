/* The error table's look-ups. Knows nothing but the table. */
#include "otter/err.h"

#include <stddef.h>

static const struct row {
    int number;
    int http;
    int exit_status;
    const char *name;
    const char *text;
} rows[] = {
#define ROW(constant, number, name, http, exit_status, text) {number, http, exit_status, name, text},
    OTTER_ERRORS(ROW)
#undef ROW
};

static const struct row unknown = {0, 500, 1, "unknown", "An error without a name."};

static const struct row *find(enum otter_err err)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].number == (int)err) return &rows[i];
    return &unknown;
}

const char *otter_err_name(enum otter_err err) { return find(err)->name; }
const char *otter_err_text(enum otter_err err) { return find(err)->text; }
int otter_err_http(enum otter_err err) { return find(err)->http; }
int otter_err_exit(enum otter_err err) { return find(err)->exit_status; }
