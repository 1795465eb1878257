/* A lock that is given out by number, as plain mutexes let a busy thread take it again before one that waits. */
#include "ports/posix/lock.h"

#include <signal.h>
#include <time.h>

static void take(void *ctx)
{
    struct posix_lock *l = ctx;
    pthread_mutex_lock(&l->mutex);
    unsigned number = l->next++;
    while (number != l->served) pthread_cond_wait(&l->turn, &l->mutex);
    pthread_mutex_unlock(&l->mutex);
}

static void give(void *ctx)
{
    struct posix_lock *l = ctx;
    pthread_mutex_lock(&l->mutex);
    l->served++;
    pthread_cond_broadcast(&l->turn);
    pthread_mutex_unlock(&l->mutex);
}

void posix_lock_init(struct posix_lock *l)
{
    *l = (struct posix_lock){.port = {l, take, give}};
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->turn, NULL);
}

static void *work(void *ctx)
{
    const struct posix_worker *w = ctx;
    for (;;) {
        uint32_t ms = w->step(w->ctx);
        struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
        if (ms) nanosleep(&t, NULL);
    }
    return NULL;
}

bool posix_worker_start(struct posix_worker *w)
{
    pthread_t thread;
    sigset_t all, before;
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool ok = pthread_create(&thread, NULL, work, w) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ok) pthread_detach(thread);
    return ok;
}
