/* What happened, for pages, logs and tests: a ring of the last OTTER_CFG_EVENTS events.
 * Machines read events, never log text. Recording one changes nothing else. */
#ifndef OTTER_EVENT_H
#define OTTER_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "otter/config.h"
#include "otter/err.h"

/* X(constant, name): the names are part of the device's event stream. */
#define OTTER_EVENTS(X)                                                                                              \
    X(STARTED, "started")         /* value: flash offset of the slot that runs */                                    \
    X(OPENED, "opened")           /* value: announced size in bytes, 0 = unknown */                                  \
    X(ACCEPTED, "accepted")       /* the first 288 bytes were judged good; value: flash offset of the target slot */ \
    X(PROGRESS, "progress")       /* value: image bytes now in flash */                                              \
    X(VERIFYING, "verifying")     /* all bytes are in flash and are being read back; value: their number */          \
    X(SWITCHED, "switched")       /* otadata names the new slot; value: its flash offset */                          \
    X(CURRENT, "current")         /* the image is the one that runs; nothing was switched */                         \
    X(REFUSED, "refused")         /* err says why; value: image offset at which it was found */                      \
    X(BROKEN_OFF, "broken_off")   /* the session ended before its end; value: bytes that had come */                 \
    X(CONFIRMED, "confirmed")     /* value: flash offset of the slot */                                              \
    X(ROLLED_BACK, "rolled_back") /* the running firmware was given up; value: flash offset of its slot */           \
    X(WENT_BACK, "went_back")     /* at start: another slot was found aborted or invalid; value: its flash offset */

enum otter_event_code {
#define OTTER_EVENT_ENUM(constant, name) OTTER_EV_##constant,
    OTTER_EVENTS(OTTER_EVENT_ENUM)
#undef OTTER_EVENT_ENUM
};

struct otter_event {
    uint32_t seq; /* 1, 2, 3 ... since start */
    uint32_t ms;  /* clock at the time */
    enum otter_event_code code;
    enum otter_err err;
    const char *door; /* name of the door it came through, static; NULL if none */
    uint32_t value;
};

struct otter_event_ring {
    uint32_t last; /* seq of the newest event, 0 = none */
    struct otter_event ring[OTTER_CFG_EVENTS];
};

const char *otter_event_name(enum otter_event_code code);

/* The oldest kept event that is newer than `after`; false if there is none. */
bool otter_event_next(const struct otter_event_ring *r, uint32_t after, struct otter_event *out);

#endif
