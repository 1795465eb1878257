/* Lines of a CSV file as gen_esp32part.py reads them: UTF-8 or, with a byte order mark, UTF-16; ended as Python's
 * splitlines() ends them; environment variables put in; cut at commas, without quoting. Source: gen_esp32part.py. */
#ifndef OTTER_FORMAT_CSV_LINE_H
#define OTTER_FORMAT_CSV_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OTTER_CSV_LINE = 1024, OTTER_CSV_FIELDS = 6 }; /* bytes of a line, variables put in; fields: more are dropped */

/* A piece of text that is not ended. */
struct otter_slice {
    const char *p;
    size_t n;
};

struct otter_csv_env {
    const void *ctx;
    /* The value of a variable, NULL if it is not set. get itself may be NULL: none is. */
    const char *(*get)(const void *ctx, const char *name);
};

enum otter_csv_state {
    OTTER_CSV_ROW,      /* field[] is filled */
    OTTER_CSV_END,      /* no more lines */
    OTTER_CSV_ENCODING, /* the line is not UTF-8, or not UTF-16 */
    OTTER_CSV_TOO_LONG, /* longer than OTTER_CSV_LINE - 1 bytes */
    OTTER_CSV_VARIABLE  /* it starts with a variable that is not set; field[0] is its name */
};

struct otter_csv_reader {
    const char *bytes;
    size_t size, at;
    struct otter_csv_env env;
    uint8_t encoding;
    bool too_long;
    unsigned line; /* of the row read last, from 1 */
    size_t n;
    char raw[OTTER_CSV_LINE], text[OTTER_CSV_LINE];
    struct otter_slice field[OTTER_CSV_FIELDS]; /* without blanks around; missing ones are empty */
};

/* bytes and what env points to must stay. */
void otter_csv_start(struct otter_csv_reader *r, const void *bytes, size_t size, const struct otter_csv_env *env);
/* The next line that is neither empty nor a comment. */
enum otter_csv_state otter_csv_next(struct otter_csv_reader *r);

/* Without the blanks (of Unicode) at both ends. */
struct otter_slice otter_slice_trim(struct otter_slice s);
bool otter_slice_is(struct otter_slice s, const char *text);

#endif
