/* A channel in a folder. A file is written under another name and renamed, so that readers find the old or the new. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool/store.h"
#include "tool/tool.h"

static enum otter_err failed(struct store *s, const char *path)
{
    enum otter_err e = errno == ENOENT || errno == ENOTDIR ? OTTER_NOT_FOUND : OTTER_ARG;
    return store_because(s, e, "%s/%s: %s", s->place, path, strerror(errno));
}

/* Paths come from files that others may have written: none leads out of the channel's folder. */
static bool is_inside(const char *path)
{
    for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/')
        if (*p == '/' || (strcspn(p, "/") == 2 && memcmp(p, "..", 2) == 0)) return false;
    return *path != '\0';
}

static char *full_path(struct store *s, const char *path)
{
    char *full;
    if (!is_inside(path)) {
        store_because(s, OTTER_NOT_FOUND, "%s: \"%s\" is no path within the channel", s->place, path);
        return NULL;
    }
    return asprintf(&full, "%s/%s", s->place, path) < 0 ? NULL : full;
}

static enum otter_err get(struct store *s, const char *path, uint8_t **data, size_t *size)
{
    char *full = full_path(s, path);
    if (!full) return OTTER_NOT_FOUND;
    struct stat st;
    FILE *f = fopen(full, "rbe");
    free(full);
    if (!f) return failed(s, path);
    enum otter_err e = OTTER_OK;
    if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode) || st.st_size > WEB_REPLY_MAX)
        e = store_because(s, OTTER_TOO_BIG, "%s/%s: no file, or a larger one than %d bytes", s->place, path,
                          WEB_REPLY_MAX);
    *data = e ? NULL : malloc((size_t)st.st_size + 1);
    if (*data) {
        *size = fread(*data, 1, (size_t)st.st_size, f);
        (*data)[*size] = '\0';
    } else if (!e) {
        e = failed(s, path);
    }
    fclose(f);
    return e;
}

static bool make_folders(char *full)
{
    for (char *slash = full; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        bool there = mkdir(full, 0777) == 0 || errno == EEXIST;
        *slash = '/';
        if (!there) return false;
    }
    return true;
}

static enum otter_err put(struct store *s, const char *path, const void *data, size_t size, enum store_kind kind)
{
    (void)kind;
    char *full = full_path(s, path);
    if (!full) return OTTER_NOT_FOUND;
    enum otter_err e = make_folders(full) ? OTTER_OK : failed(s, path);
    if (!e && tool_write_file(full, data, size))
        e = store_because(s, OTTER_ARG, "%s/%s could not be written", s->place, path);
    free(full);
    return e;
}

static enum otter_err drop(struct store *s, const char *path)
{
    char *full = full_path(s, path);
    if (!full) return OTTER_NOT_FOUND;
    enum otter_err e = unlink(full) == 0 || errno == ENOENT ? OTTER_OK : failed(s, path);
    free(full);
    return e;
}

enum otter_err store_lock(struct store *s, bool make)
{
    if (s->ops != &store_folder_ops) return OTTER_OK;
    char *inside = make ? full_path(s, "x") : NULL;
    if (make && (!inside || !make_folders(inside))) {
        free(inside);
        return failed(s, ".");
    }
    free(inside);
    s->lock = open(s->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Where the file system has no locks, it is as in a bucket. */
    if (s->lock >= 0 && flock(s->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        fprintf(stderr, "otter: %s: another publisher is at work; waiting for it to end\n", s->place);
        flock(s->lock, LOCK_EX);
    }
    return OTTER_OK;
}

static void unlock(struct store *s)
{
    if (s->lock >= 0) close(s->lock);
}

const struct store_ops store_folder_ops = {get, put, drop, unlock};
