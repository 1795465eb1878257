/* Connections that were answered before their body had come: they are read on for a while, so that the kernel does not
 * throw the reply away with the bytes that nobody took. */
#ifndef OTTER_PORTS_POSIX_LINGER_H
#define OTTER_PORTS_POSIX_LINGER_H

#include <stddef.h>
#include <stdint.h>

enum { LINGER_PLACES = 8 };

struct lingering {
    struct lingering_place {
        int fd; /* our own duplicate; 0: free */
        size_t drained;
        uint64_t until_ms;
    } place[LINGER_PLACES];
};

/* Takes a duplicate of a socket that is about to be closed. With all places taken the oldest one goes. */
void linger_add(struct lingering *l, int fd);
/* Reads what has come, without waiting; closes what has ended, or has had OTTER_DRAIN_BYTES or OTTER_DRAIN_MS. */
void linger_turn(struct lingering *l);
void linger_close(struct lingering *l);

#endif
