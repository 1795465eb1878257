/* Partition tables as CSV, read and written as gen_esp32part.py does (v1.5, ESP-IDF v6.0.2), oddities included.
 * Every rule of it is in tests/vectors/partition_table. */
#ifndef OTTER_FORMAT_TABLE_CSV_H
#define OTTER_FORMAT_TABLE_CSV_H

#include "format/csv_line.h"
#include "format/table_check.h"

enum { OTTER_TABLE_CSV_MAX = 16384 }; /* bytes that suffice for every table's CSV */

/* Offset and size of a row as they stand, until all rows have their place. */
struct otter_table_draft {
    bool placed;
    int64_t offset, size;
};

/* A reading: all its memory. The caller sets rules and env. */
struct otter_table_csv {
    const struct otter_table_rules *rules;
    struct otter_csv_env env;
    unsigned line; /* with an error: where, from 1; 0: it is no line's */
    char why[512]; /* and what is wrong, with the remedy */
    struct otter_csv_reader reader;
    struct otter_table_draft draft[OTTER_TABLE_ROWS];
};

/* Rows and places of a CSV file into list; judges only what stands in the lines and that they ascend, see
 * otter_table_judge(). OTTER_TABLE_MAGIC, with line and why. */
enum otter_err otter_table_csv_read(struct otter_table_csv *c, const void *bytes, size_t size,
                                    struct otter_table_list *list);

/* The list as CSV. OTTER_ARG, and *bad the row, if a label would not be read back: not UTF-8, or with a comma, a line's
 * end, blanks around it, or the first characters of a comment or variable. OTTER_TOO_BIG: t is too small. */
enum otter_err otter_table_csv_write(const struct otter_table_list *list, const struct otter_table_names *names,
                                     struct otter_text *t, unsigned *bad);

#endif
