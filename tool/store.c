/* Stores: which kind it is, and what all have in common. */
#define _GNU_SOURCE
#include "tool/store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/tool.h"

static bool is_url(const char *target)
{
    return strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0;
}

static bool has_credentials(const char *url)
{
    const char *authority = strstr(url, "://") + 3;
    return memchr(authority, '@', strcspn(authority, "/?#")) != NULL;
}

int store_open(struct store *s, const char *target, const char *channel, const struct aws_wish *wish)
{
    memset(s, 0, sizeof *s);
    s->lock = -1;
    size_t n = strlen(target);
    if (!n)
        return tool_fail(OTTER_ARG, "an empty target; name a folder, s3://BUCKET/PREFIX or a URL (. is this folder)");
    while (n > 1 && target[n - 1] == '/') n--;
    if (asprintf(&s->place, "%.*s%s%s", (int)n, target, channel ? "/" : "", channel ? channel : "") < 0)
        return tool_fail(OTTER_ARG, "out of memory");
    s->ops = is_url(target) ? &store_web_ops : &store_folder_ops;
    if (is_url(target) && has_credentials(target))
        return tool_fail(OTTER_ARG,
                         "a URL with a name or password in it is not asked: both would be shown in messages");
    if (strncmp(target, "s3://", 5) != 0) return 0;
    s->ops = &store_s3_ops;
    int status = store_s3_open(s, wish);
    if (status) store_close(s);
    return status;
}

void store_close(struct store *s)
{
    if (s->ops && s->ops->close) s->ops->close(s);
    free(s->place);
    free(s->end);
    memset(s, 0, sizeof *s);
}

bool store_can_write(const struct store *s) { return s->ops->put != NULL; }

bool store_is_json(const char *path)
{
    size_t n = strcspn(path, "?");
    return n > 5 && memcmp(path + n - 5, ".json", 5) == 0;
}

enum otter_err store_get(struct store *s, const char *path, uint8_t **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    return s->ops->get(s, path, data, size);
}

enum otter_err store_put(struct store *s, const char *path, const void *data, size_t size, enum store_kind kind)
{
    return s->ops->put(s, path, data, size, kind);
}

enum otter_err store_remove(struct store *s, const char *path) { return s->ops->remove(s, path); }

enum otter_err store_because(struct store *s, enum otter_err err, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->why, sizeof s->why, fmt, args);
    va_end(args);
    return err;
}

int store_fail(const struct store *s, enum otter_err err) { return tool_fail(err, "%s", s->why); }

enum otter_err store_http_failed(struct store *s, const char *path, const struct web_reply *r)
{
    int n = (int)strcspn(path, "?"); /* behind it may be a signature */
    s->hopeless = s->hopeless || !r->status;
    if (!r->status)
        return store_because(s, OTTER_CONNECT, "%s/%.*s: %s (%s)", s->place, n, path, r->why,
                             otter_err_name(OTTER_CONNECT));
    enum otter_err e = r->status == 404   ? OTTER_NOT_FOUND
                       : r->status == 401 ? OTTER_UNAUTHORIZED
                       : r->status == 403 ? OTTER_UNAUTHORIZED
                                          : OTTER_CONNECT;
    return store_because(s, e, "%s/%.*s: the server answers HTTP %ld (%s)", s->place, n, path, r->status,
                         otter_err_name(e));
}
