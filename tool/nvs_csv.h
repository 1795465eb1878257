/* Rows of a CSV file as Python's csv module reads them, which is what NVS tables are written for. */
#ifndef OTTER_TOOL_NVS_CSV_H
#define OTTER_TOOL_NVS_CSV_H

#include <stdbool.h>
#include <stddef.h>

enum { CSV_FIELDS = 32 }; /* more are dropped */

struct csv {
    const char *p, *end;
    unsigned line; /* of the row that was read last, from 1 */
    unsigned next_line;
    char *text; /* of the row's fields; as long as the file */
    const char *field[CSV_FIELDS];
    unsigned fields; /* 0: an empty row */
};

/* data, size bytes, must stay. Lines that start with # are left out, whatever they stand in. False: no memory. */
bool csv_start(struct csv *c, const char *data, size_t size);
/* The next row; false at the end. Fields are valid until the next one. */
bool csv_row(struct csv *c);
void csv_end(struct csv *c);

#endif
