/* The doors' lock between threads, in the order in which they ask; and a thread for a door that waits for the network.
 */
#ifndef OTTER_PORTS_POSIX_LOCK_H
#define OTTER_PORTS_POSIX_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "doors/lock.h"

struct posix_lock {
    struct otter_lock port;
    pthread_mutex_t mutex;
    pthread_cond_t turn;
    unsigned next, served;
};

void posix_lock_init(struct posix_lock *l);

/* Calls step again and again until the process ends; what it returns is how many milliseconds the thread may sleep. */
struct posix_worker {
    void *ctx;
    uint32_t (*step)(void *ctx);
};
/* w must stay. */
bool posix_worker_start(struct posix_worker *w);

#endif
