/* One lock for a device: doors that wait for the network run in tasks of their own, and the engine, the settings and
 * the doors' shared state are for one task at a time.
 *
 * It must be fair: who waits for it gets it before the one who gives it comes back. It is never held over a wait for
 * the network. */
#ifndef OTTER_DOORS_LOCK_H
#define OTTER_DOORS_LOCK_H

struct otter_lock {
    void *ctx;
    void (*take)(void *ctx);
    void (*give)(void *ctx);
};

#endif
