/* The update under way, whichever door it comes through, and how the last one ended: for status, pages and logs.
 *
 * The session, with its sector buffer, is on the heap while it lasts: one at a time, at most OTTER_SESSION_MAX bytes.
 */
#ifndef OTTER_DOORS_UPDATE_H
#define OTTER_DOORS_UPDATE_H

#include <stdbool.h>

#include "otter/otter.h"

enum { OTTER_UPDATE_WORDS = 256 /* room for an error in words */ };

struct otter_update_status {
    bool tried;       /* an update has been begun since start; the rest is 0 if not */
    const char *door; /* static */
    uint8_t step;     /* enum otter_session_step */
    enum otter_err err;
    uint32_t size, received, written, wanted; /* bytes; as in the session */
    char words[OTTER_UPDATE_WORDS];           /* what err means here */
};

/* One for a device; all its doors share it. */
struct otter_update {
    struct otter_device *device;
    struct otter_session *session; /* NULL: none; otter_poll() may have ended it */
    unsigned opened;               /* sessions since start: tells one from another */
    struct otter_update_status last;
};

void otter_update_init(struct otter_update *u, struct otter_device *d);
/* otter_begin() with u->session. OTTER_BUSY while another one holds the device, which it leaves alone; OTTER_MEMORY. */
enum otter_err otter_update_open(struct otter_update *u, const struct otter_offer *offer);
/* Gives it up if it has not ended; u->session is gone. */
void otter_update_close(struct otter_update *u);
void otter_update_status(const struct otter_update *u, struct otter_update_status *out);
/* err in words, with the facts of the last update if that is how it ended. buf takes OTTER_UPDATE_WORDS bytes. */
void otter_update_words(const struct otter_update *u, enum otter_err err, char *buf);

#endif
