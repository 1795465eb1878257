/* Signed images, inside the engine: which keys are trusted, and whether a sector holds a signature by one. */
#ifndef OTTER_CORE_TRUST_H
#define OTTER_CORE_TRUST_H

#include "otter/otter.h"

/* At open, and again at a session's begin while d->signing.unread: what the settings ask for. */
void otter_trust_load(struct otter_device *d);
/* Only signed images are taken. */
bool otter_trust_asked(const struct otter_device *d);
/* The sector behind an image, and the SHA-256 over all that is before it. A failing driver's code goes into d->detail.
 */
enum otter_err otter_trust_check(struct otter_device *d, const uint8_t sector[OTTER_SECTOR], const uint8_t digest[32]);

#endif
