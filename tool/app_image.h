/* An app image as a sender judges it before it goes anywhere: with the checker of the device. */
#ifndef OTTER_TOOL_APP_IMAGE_H
#define OTTER_TOOL_APP_IMAGE_H

#include "format/image.h"

enum { APP_IMAGE_MAX = 32 * 1024 * 1024 };

/* chip: the one it must be for, NULL: any. The check's facts stay in c. */
enum otter_err app_image_judge(const uint8_t *bytes, size_t n, const struct otter_chip_info *chip,
                               struct otter_image_check *c);
/* Says a verdict in words, on stderr; returns the exit status. */
int app_image_bad(const char *name, enum otter_err verdict, const struct otter_image_check *c);

#endif
