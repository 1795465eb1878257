/* Drains sockets. Knows nothing of what they carry. */
#include "ports/posix/linger.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "doors/push.h"

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void release(struct lingering_place *p)
{
    if (p->fd) close(p->fd);
    *p = (struct lingering_place){0};
}

void linger_add(struct lingering *l, int fd)
{
    struct lingering_place *oldest = &l->place[0];
    for (unsigned i = 1; i < LINGER_PLACES; i++)
        if (l->place[i].until_ms < oldest->until_ms) oldest = &l->place[i];
    release(oldest);
    int own = dup(fd);
    if (own > 0) *oldest = (struct lingering_place){own, 0, now_ms() + OTTER_DRAIN_MS};
}

/* False: the connection is to be closed. */
static bool drain(struct lingering_place *p)
{
    char bytes[16384];
    for (;;) {
        ssize_t n = recv(p->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return now_ms() < p->until_ms;
        if (n <= 0) return false;
        p->drained += (size_t)n;
        if (p->drained > OTTER_DRAIN_BYTES) return false;
    }
}

void linger_turn(struct lingering *l)
{
    for (unsigned i = 0; i < LINGER_PLACES; i++)
        if (l->place[i].fd && !drain(&l->place[i])) release(&l->place[i]);
}

void linger_close(struct lingering *l)
{
    for (unsigned i = 0; i < LINGER_PLACES; i++) release(&l->place[i]);
}
