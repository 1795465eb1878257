/* What a device says on its console: one line for each thing, without its end. */
#ifndef OTTER_DOORS_CONSOLE_H
#define OTTER_DOORS_CONSOLE_H

#include "doors/update.h"

struct otter_console {
    void *ctx;
    void (*line)(void *ctx, char level, const char *text); /* level: 'E', 'W' or 'I' */
    uint32_t event;                                        /* last one told */
};

/* At start, with what otter_open() has returned: what runs, what was given up and why, what protection is missing. */
void otter_console_start(struct otter_console *c, struct otter_device *d, enum otter_err opened);
/* The events since then. */
void otter_console_events(struct otter_console *c, const struct otter_update *u);

#endif
