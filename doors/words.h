/* Errors in words, with the facts that led to them. */
#ifndef OTTER_DOORS_WORDS_H
#define OTTER_DOORS_WORDS_H

#include <stddef.h>

#include "format/image.h"
#include "otter/otter.h"

/* One sentence or two for err, as a person should read it; always ended. check: the image's check, NULL if there is
 * none. */
void otter_words_image(enum otter_err err, const struct otter_image_check *check, char *buf, size_t size);

/* The same for a session that failed: knows the firmware that runs, sizes and drivers' codes besides. */
void otter_words_session(const struct otter_session *s, char *buf, size_t size);

#endif
