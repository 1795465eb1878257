/* Reads URLs and resolves references. Knows text, and nothing of networks. */
#include "doors/url.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char digits[] = "0123456789";

static bool is_port(const char *p, size_t n)
{
    uint32_t port = 0;
    if (n < 1 || n > 5) return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') return false;
        port = port * 10 + (uint32_t)(p[i] - '0');
    }
    return port >= 1 && port <= 65535;
}

static size_t span(const char *p, size_t n, const char *set)
{
    size_t i = 0;
    while (i < n && p[i] && strchr(set, p[i])) i++;
    return i;
}

/* A name or an address, in brackets if it has colons; perhaps a port. */
static bool is_host(const char *p, size_t n)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t used;
    if (n && *p == '[') {
        used = 1 + span(p + 1, n - 1, "0123456789abcdefABCDEF:.");
        if (used < 3 || used == n || p[used++] != ']') return false;
    } else {
        used = span(p, n, name);
    }
    if (!used) return false;
    return used == n || (p[used] == ':' && is_port(p + used + 1, n - used - 1));
}

static bool is_printable(const char *text)
{
    size_t n = 0;
    for (; text[n]; n++)
        if (n == OTTER_URL_MAX || text[n] <= ' ' || text[n] > '~' || strchr("\"<>\\^`{|}", text[n])) return false;
    return n > 0;
}

bool otter_url_read(const char *text, struct otter_url *url)
{
    if (!is_printable(text)) return false;
    url->https = strncasecmp(text, "https://", 8) == 0;
    if (!url->https && strncasecmp(text, "http://", 7) != 0) return false;
    url->host = text + (url->https ? 8 : 7);
    url->host_size = strcspn(url->host, "/?#");
    url->path = url->host + url->host_size;
    return is_host(url->host, url->host_size);
}

bool otter_url_loopback(const struct otter_url *url)
{
    const char *h = url->host;
    size_t n = url->host_size;
    if (*h != '[')
        for (size_t i = 0; i < url->host_size; i++)
            if (h[i] == ':') n = i;
    if (n == 9 && strncasecmp(h, "localhost", n) == 0) return true;
    if (*h == '[') return n >= 5 && strncmp(h, "[::1]", 5) == 0;
    if (n < 9 || strncmp(h, "127.", 4) != 0) return false;
    /* Three more numbers and nothing else: 127.evil.example is a name. */
    const char *p = h + 3;
    for (int i = 0; i < 3; i++) {
        size_t d = *p == '.' ? span(p + 1, n - (size_t)(p + 1 - h), digits) : 0;
        if (d < 1 || d > 3) return false;
        p += 1 + d;
    }
    return p == h + n;
}

/* ---- references ---- */

static bool has_scheme(const char *reference)
{
    size_t n = strcspn(reference, ":/?#");
    return n > 0 && reference[n] == ':';
}

/* Text that grows; what does not fit makes it none. */
struct text {
    char *out;
    size_t n;
    bool full;
};

static void add(struct text *t, const char *from, size_t n)
{
    t->full = t->full || n > OTTER_URL_MAX - t->n;
    if (t->full) return;
    memcpy(t->out + t->n, from, n);
    t->n += n;
    t->out[t->n] = '\0';
}

static void drop_segment(struct text *t, size_t root)
{
    while (t->n > root && t->out[t->n - 1] != '/') t->n--;
    if (t->n > root) t->n--;
    t->out[t->n] = '\0';
}

/* "/a/./b/../c" as "/a/c"; root: where the path begins in t; last: nothing more comes behind it. */
static void add_path(struct text *t, size_t root, const char *path, size_t n, bool last)
{
    for (size_t i = 0; i < n && !t->full;) {
        size_t from = path[i] == '/' ? i + 1 : i, end = from;
        while (end < n && path[end] != '/') end++;
        size_t size = end - from;
        bool one = size == 1 && path[from] == '.', two = size == 2 && path[from] == '.' && path[from + 1] == '.';
        if (two) drop_segment(t, root);
        if (!one && !two) {
            add(t, "/", 1);
            add(t, path + from, size);
        } else if (end == n && last) {
            add(t, "/", 1);
        }
        i = end;
    }
}

/* The base's path up to its last slash, which is left off. */
static size_t folder_size(const char *path)
{
    size_t n = 0;
    for (size_t i = 0; path[i] && path[i] != '?' && path[i] != '#'; i++)
        if (path[i] == '/') n = i;
    return n;
}

static void add_reference(struct text *t, const struct otter_url *base, const char *reference)
{
    size_t path = strcspn(reference, "?#"), rest = strcspn(reference, "#"), root = t->n;
    if (*reference == '/')
        add_path(t, root, reference, path, true);
    else if (!path)
        add(t, base->path, strcspn(base->path, *reference == '?' ? "?#" : "#"));
    else {
        add_path(t, root, base->path, folder_size(base->path), false);
        add_path(t, root, reference, path, true);
    }
    add(t, reference + path, rest - path);
}

bool otter_url_resolve(const char *base, const char *reference, char *out)
{
    struct otter_url from, to;
    struct text t = {.out = out};
    *out = '\0';
    if (!otter_url_read(base, &from)) return false;
    if (has_scheme(reference)) {
        add(&t, reference, strcspn(reference, "#"));
    } else if (reference[0] == '/' && reference[1] == '/') {
        add(&t, from.https ? "https:" : "http:", from.https ? 6 : 5);
        add(&t, reference, strcspn(reference, "#"));
    } else {
        add(&t, base, (size_t)(from.path - base));
        add_reference(&t, &from, reference);
    }
    return !t.full && otter_url_read(out, &to);
}

void otter_url_show(const char *text, char *buf, size_t size)
{
    struct otter_url url;
    if (otter_url_read(text, &url))
        snprintf(buf, size, "%.*s", (int)strcspn(text, "?#"), text);
    else
        snprintf(buf, size, "(no URL)");
}
