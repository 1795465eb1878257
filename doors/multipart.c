/* The form-data parser. Knows nothing of what the file is. */
#include "doors/multipart.h"

#include <string.h>
#include <strings.h>

enum state { PREAMBLE, AFTER_DELIMITER, HEADERS, BODY, EPILOGUE };

/* The boundary parameter's value, quoted or not; *n its length. */
static const char *find_boundary(const char *type, size_t *n)
{
    for (const char *p = strchr(type, ';'); p; p = strchr(p, ';')) {
        p += 1 + strspn(p + 1, " \t");
        if (strncasecmp(p, "boundary=", 9) != 0) continue;
        p += 9;
        bool quoted = *p == '"';
        if (quoted) p++;
        *n = strcspn(p, quoted ? "\"" : "; \t");
        return p;
    }
    return NULL;
}

bool otter_multipart_start(struct otter_multipart *m, const char *content_type)
{
    size_t n = 0;
    const char *boundary =
        strncasecmp(content_type, "multipart/form-data", 19) == 0 ? find_boundary(content_type, &n) : NULL;
    if (!boundary || n == 0 || n > OTTER_BOUNDARY_MAX) return false;
    m->err = OTTER_OK;
    m->state = PREAMBLE;
    m->is_file = m->seen_file = false;
    m->line_size = 0;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, n);
    m->delimiter_size = (uint16_t)(n + 4);
    /* The first delimiter has no line end before it. */
    m->matched = 2;
    return true;
}

static enum otter_err deliver(struct otter_multipart *m, const void *data, size_t n)
{
    return m->state == BODY && m->is_file && n ? m->file(m->ctx, data, n) : OTTER_OK;
}

/* The delimiter did not go on as it began: what looked like it was data. It starts with CR and holds no other, so it
 * can begin anew only with the byte at hand. */
static enum otter_err release(struct otter_multipart *m)
{
    uint16_t n = m->matched;
    m->matched = 0;
    return deliver(m, m->delimiter, n);
}

static void after_delimiter(struct otter_multipart *m, char c)
{
    /* "--" closes the last part, a line end opens the next; blanks may stand before it. */
    if (c == '-') m->state = EPILOGUE;
    if (c != '\n') return;
    m->state = HEADERS;
    m->is_file = false;
    m->line_size = 0;
}

static bool names_file(const char *line)
{
    return strncasecmp(line, "content-disposition:", 20) == 0 && strstr(line, "filename=");
}

static enum otter_err header_byte(struct otter_multipart *m, char c)
{
    if (c != '\n') {
        if (m->line_size == sizeof m->line - 1) return OTTER_MULTIPART;
        m->line[m->line_size++] = c;
        return OTTER_OK;
    }
    if (m->line_size && m->line[m->line_size - 1] == '\r') m->line_size--;
    m->line[m->line_size] = '\0';
    if (m->line_size == 0) {
        m->state = BODY;
        m->matched = 0;
        m->seen_file = m->seen_file || m->is_file;
    } else if (!m->seen_file && names_file(m->line)) {
        m->is_file = true;
    }
    m->line_size = 0;
    return OTTER_OK;
}

/* A byte of the delimiter, or data up to the next CR, which may begin one. *n: bytes taken; none where what looked like
 * a delimiter is passed on first. */
static enum otter_err body_bytes(struct otter_multipart *m, const char *p, size_t *n)
{
    size_t all = *n;
    if (*p == m->delimiter[m->matched]) {
        *n = 1;
        if (++m->matched == m->delimiter_size) m->state = AFTER_DELIMITER;
        return OTTER_OK;
    }
    *n = 0;
    if (m->matched) return release(m);
    const char *cr = memchr(p, '\r', all);
    *n = cr ? (size_t)(cr - p) : all;
    return deliver(m, p, *n);
}

static enum otter_err take(struct otter_multipart *m, const char *p, size_t *n)
{
    size_t all = *n;
    *n = 1;
    switch ((enum state)m->state) {
    case PREAMBLE:
    case BODY: *n = all; return body_bytes(m, p, n);
    case AFTER_DELIMITER: after_delimiter(m, *p); return OTTER_OK;
    case HEADERS: return header_byte(m, *p);
    case EPILOGUE: *n = all; return OTTER_OK;
    }
    return OTTER_OK;
}

enum otter_err otter_multipart_feed(struct otter_multipart *m, const void *data, size_t n)
{
    const char *p = data;
    while (n && !m->err) {
        size_t taken = n;
        m->err = take(m, p, &taken);
        p += taken;
        n -= taken;
    }
    return m->err;
}

enum otter_err otter_multipart_end(struct otter_multipart *m)
{
    if (!m->err && (m->state != EPILOGUE || !m->seen_file)) m->err = OTTER_MULTIPART;
    return m->err;
}
