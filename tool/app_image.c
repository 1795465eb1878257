/* Judges app images. */
#include "tool/app_image.h"

#include "doors/words.h"
#include "tool/tool.h"

enum otter_err app_image_judge(const uint8_t *bytes, size_t n, const struct otter_chip_info *chip,
                               struct otter_image_check *c)
{
    struct otter_image_rules rules = {.chip = chip,
                                      .chips = otter_chip_by_id,
                                      .chip_revision = -1,
                                      .efuse_revision = -1,
                                      .flags = OTTER_IMAGE_LOADABLE | OTTER_IMAGE_DESCRIBED};
    otter_image_start(c, &rules, tool_crypto());
    otter_image_feed(c, bytes, n);
    return otter_image_end(c);
}

int app_image_bad(const char *name, enum otter_err verdict, const struct otter_image_check *c)
{
    char words[256];
    otter_words_image(verdict, c, words, sizeof words);
    return tool_fail(verdict, "%s: %s (%s)", name, words, otter_err_name(verdict));
}
