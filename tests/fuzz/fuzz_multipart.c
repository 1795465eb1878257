/* Forms: any body, in two splits; the file's bytes agree, and are no more than came. */
#include <string.h>

#include "doors/multipart.h"
#include "tests/fuzz/fuzz.h"

struct sum {
    uint64_t hash;
    size_t size;
};

static enum otter_err take(void *ctx, const uint8_t *data, size_t n)
{
    struct sum *s = ctx;
    for (size_t i = 0; i < n; i++) s->hash = (s->hash ^ data[i]) * 0x100000001B3u;
    s->size += n;
    return OTTER_OK;
}

static enum otter_err parse(const uint8_t *data, size_t size, size_t piece, struct sum *s)
{
    struct otter_multipart m = {.ctx = s, .file = take};
    *s = (struct sum){0xCBF29CE484222325u, 0};
    HOLDS(otter_multipart_start(&m, "multipart/form-data; boundary=b"));
    for (size_t at = 0; at < size; at += piece)
        otter_multipart_feed(&m, data + at, size - at < piece ? size - at : piece);
    return otter_multipart_end(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sum whole, pieces;
    enum otter_err e = parse(data, size, size ? size : 1, &whole);
    HOLDS(parse(data, size, 1, &pieces) == e);
    HOLDS(whole.hash == pieces.hash && whole.size == pieces.size && whole.size <= size);
    char type[256];
    struct otter_multipart m = {.file = take};
    memset(type, 0, sizeof type);
    memcpy(type, data, size < sizeof type - 1 ? size : sizeof type - 1);
    otter_multipart_start(&m, type);
    return 0;
}
