/* What becomes of an exchange's file. Knows the port's table and its order of calls; nothing of file systems. */
#include <stdio.h>
#include <string.h>

#include "doors/push_json.h"
#include "doors/push_part.h"

static const struct otter_files *files_of(const struct otter_exchange *x) { return x->push->config.files; }

static enum otter_err get_info(const struct otter_exchange *x, struct otter_files_info *info)
{
    memset(info, 0, sizeof *info);
    if (files_of(x)) files_of(x)->info(files_of(x)->ctx, info);
    return info->state == OTTER_FILES_NONE ? OTTER_NO_FILES : OTTER_OK;
}

static enum otter_err find(struct otter_exchange *x)
{
    struct otter_files_info info;
    uint32_t size = 0;
    enum otter_err e = get_info(x, &info);
    if (!e && x->name[0]) e = files_of(x)->size(files_of(x)->ctx, x->name, &size);
    x->size = size;
    x->changes = info.changes;
    return e;
}

/* What cannot fit is refused before its first byte. */
static enum otter_err take_head(struct otter_exchange *x, const struct otter_http_head *h)
{
    struct otter_files_info info;
    enum otter_err e = get_info(x, &info);
    if (e) return e;
    if (x->push->storer) return OTTER_FILES_BUSY;
    x->length = h->has_length ? h->length : 0;
    if (info.state == OTTER_FILES_READY && x->length > info.free) return OTTER_FILES_FULL;
    e = files_of(x)->begin(files_of(x)->ctx, x->name);
    if (!e) x->push->storer = x;
    return e;
}

static enum otter_err take_body(struct otter_exchange *x, const void *body, size_t n)
{
    const uint8_t *data = body;
    enum otter_err e = OTTER_OK;
    while (n && !e) {
        uint32_t piece = n < OTTER_FILE_PIECE ? (uint32_t)n : OTTER_FILE_PIECE;
        e = files_of(x)->write(files_of(x)->ctx, data, piece);
        data += piece;
        n -= piece;
    }
    return e;
}

static enum otter_err take_end(struct otter_exchange *x)
{
    enum otter_err e = files_of(x)->commit(files_of(x)->ctx);
    if (!e) x->push->storer = NULL;
    return e;
}

static void done(struct otter_exchange *x)
{
    if (x->push->storer != x) return;
    files_of(x)->abort(files_of(x)->ctx);
    x->push->storer = NULL;
}

static enum otter_err remove_files(struct otter_exchange *x)
{
    struct otter_files_info info;
    enum otter_err e = get_info(x, &info);
    if (e) return e;
    if (x->name[0]) return files_of(x)->remove(files_of(x)->ctx, x->name);
    return x->push->storer ? OTTER_FILES_BUSY : files_of(x)->format(files_of(x)->ctx);
}

static void put_words(const struct otter_exchange *x, enum otter_err err, char *words, size_t size)
{
    struct otter_files_info info;
    int n = snprintf(words, size, "%s", otter_err_text(err));
    if (err != OTTER_FILES_FULL || n < 0 || (size_t)n >= size || get_info(x, &info)) return;
    if (x->length)
        snprintf(words + n, size - (size_t)n, " It has %llu bytes, %u are free.", (unsigned long long)x->length,
                 info.free);
    else
        snprintf(words + n, size - (size_t)n, " %u bytes are free.", info.free);
}

static bool read_piece(struct otter_exchange *x, uint64_t off, void *dst, size_t n)
{
    struct otter_files_info info;
    if (get_info(x, &info) || info.changes != x->changes || n > OTTER_FILE_PIECE || off > UINT32_MAX) return false;
    return files_of(x)->read(files_of(x)->ctx, x->name, (uint32_t)off, dst, (uint32_t)n) == OTTER_OK;
}

const struct otter_push_files otter_push_files = {
    .part = {.head = take_head, .body = take_body, .end = take_end, .done = done, .result = "stored"},
    .name = otter_file_name,
    .state = otter_files_state_name,
    .find = find,
    .remove = remove_files,
    .read = read_piece,
    .list = otter_push_json_files,
    .words = put_words};
