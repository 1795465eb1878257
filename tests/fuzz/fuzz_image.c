/* The image checker: any bytes, in two splits; the verdicts agree, and what is good is as long as it says. */
#include <string.h>

#include "format/image.h"
#include "ports/posix/crypto.h"
#include "tests/fuzz/fuzz.h"

static enum otter_err judge(struct otter_image_check *c, const uint8_t *data, size_t size, size_t piece)
{
    struct otter_image_rules rules = {.chips = otter_chip_by_id,
                                      .chip_revision = 3,
                                      .efuse_revision = 100,
                                      .offset = 0x10000,
                                      .room = 1 << 20,
                                      .flags = size % 2 ? OTTER_IMAGE_LOADABLE | OTTER_IMAGE_DESCRIBED : 0};
    otter_image_start(c, &rules, &otter_crypto_openssl);
    for (size_t at = 0; at < size; at += piece) otter_image_feed(c, data + at, size - at < piece ? size - at : piece);
    return otter_image_end(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct otter_image_check whole, pieces;
    enum otter_err e = judge(&whole, data, size, size ? size : 1);
    HOLDS(judge(&pieces, data, size, 7) == e);
    HOLDS(memcmp(&whole.facts, &pieces.facts, sizeof whole.facts) == 0);
    HOLDS(whole.facts.segments <= OTTER_IMAGE_SEGMENTS);
    if (!e) HOLDS(whole.facts.length <= size && whole.facts.length % 16 == 0);
    return 0;
}
