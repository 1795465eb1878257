/* Three texts with zero bytes between: whatever they are, the order of versions is one. */
#include <string.h>

#include "format/version.h"
#include "tests/fuzz/fuzz.h"

struct text {
    const char *p;
    size_t n;
};

static struct text cut(const uint8_t **data, size_t *size)
{
    const uint8_t *zero = *size ? memchr(*data, 0, *size) : NULL;
    struct text t = {(const char *)*data, zero ? (size_t)(zero - *data) : *size};
    size_t used = t.n + (zero != NULL);
    *data += used;
    *size -= used;
    return t;
}

static enum otter_order order(struct text a, struct text b) { return otter_version_order(a.p, a.n, b.p, b.n); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text a = cut(&data, &size), b = cut(&data, &size), c = cut(&data, &size);
    enum otter_order ab = order(a, b), bc = order(b, c), ac = order(a, c);
    HOLDS(order(a, a) == (otter_version_is(a.p, a.n) ? OTTER_SAME : OTTER_UNORDERED));
    HOLDS((ab == OTTER_UNORDERED) == !(otter_version_is(a.p, a.n) && otter_version_is(b.p, b.n)));
    if (ab == OTTER_UNORDERED || bc == OTTER_UNORDERED) return 0;
    HOLDS(order(b, a) == -(int)ab);
    if (ab == bc || bc == OTTER_SAME) HOLDS(ac == ab);
    if (ab == OTTER_SAME) HOLDS(ac == bc);
    return 0;
}
