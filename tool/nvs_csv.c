/* Reads CSV: quotes, doubled quotes, line ends of all kinds. Knows nothing of what the fields mean. */
#include "tool/nvs_csv.h"

#include <stdlib.h>
#include <string.h>

enum { END = -1 };

bool csv_start(struct csv *c, const char *data, size_t size)
{
    memset(c, 0, sizeof *c);
    c->p = data;
    c->end = data + size;
    c->next_line = 1;
    c->text = malloc(size + 1);
    return c->text;
}

void csv_end(struct csv *c) { free(c->text); }

static void skip_comments(struct csv *c)
{
    while (c->p < c->end && *c->p == '#') {
        while (c->p < c->end && *c->p != '\n' && *c->p != '\r') c->p++;
        if (c->p < c->end && *c->p == '\r' && c->p + 1 < c->end && c->p[1] == '\n') c->p++;
        if (c->p < c->end) c->p++;
        c->next_line++;
    }
}

/* The next character, any line end as \n, comments left out. */
static int next_char(struct csv *c)
{
    if (c->p == c->end) return END;
    char ch = *c->p++;
    if (ch == '\r') {
        if (c->p < c->end && *c->p == '\n') c->p++;
        ch = '\n';
    }
    if (ch == '\n') {
        c->next_line++;
        skip_comments(c);
    }
    return (unsigned char)ch;
}

/* Reads one field into *out; returns the comma, the line's end or END behind it. */
static int read_field(struct csv *c, int ch, char **out)
{
    bool quoted = ch == '"';
    if (quoted) ch = next_char(c);
    while (ch != END) {
        if (quoted && ch == '"') {
            ch = next_char(c);
            quoted = ch == '"'; /* doubled: one quote, and on it goes */
            if (!quoted) continue;
        } else if (!quoted && (ch == ',' || ch == '\n')) {
            break;
        }
        *(*out)++ = (char)ch;
        ch = next_char(c);
    }
    *(*out)++ = '\0';
    return ch;
}

bool csv_row(struct csv *c)
{
    char *out = c->text;
    if (c->next_line == 1) skip_comments(c);
    c->line = c->next_line;
    c->fields = 0;
    int ch = next_char(c);
    if (ch == END) return false;
    if (ch == '\n') return true;
    for (;; ch = next_char(c)) {
        const char *field = out;
        ch = read_field(c, ch, &out);
        if (c->fields < CSV_FIELDS) c->field[c->fields++] = field;
        if (ch != ',') return true;
    }
}
