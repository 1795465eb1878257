/* A whole device in memory: flash, boot loader and engine, on simulated time. For tests and proofs, which start it
 * again and again on what a power cut has left. */
#ifndef OTTER_SIM_WORLD_H
#define OTTER_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/otter.h"
#include "ports/sim/bootloader.h"
#include "ports/sim/nor.h"
#include "ports/sim/settings.h"

struct sim_world {
    struct sim_nor nor;
    const struct otter_crypto *crypto;
    struct otter_chip chip;
    struct otter_clock clock;
    struct sim_settings settings;
    bool no_settings;                  /* the device has none */
    const struct otter_layout *layout; /* NULL: fixed slots */
    const struct otter_data *data;     /* NULL: nobody keeps files */
    struct sim_boot_result booted;
    struct otter_device device;
    struct otter_session session;
    bool rebooted;    /* a restart was asked for */
    uint32_t more_ms; /* time that passes without flash operations */
    void *log_ctx;
    void (*log)(void *ctx, char level, const char *tag, const char *text); /* the boot loader's lines; NULL: none */
};

/* bytes: the flash, size of them, the caller's. The boot loader rolls back; change chip.rollback to have it otherwise.
 */
void sim_world_init(struct sim_world *w, uint8_t *bytes, uint32_t size, const struct otter_crypto *crypto);

/* Power comes on: forgets all but the flash, runs the boot loader, opens the device. False if nothing starts or power
 * goes during it (nor.dead); *err: what opening said. */
bool sim_world_start(struct sim_world *w, enum otter_err *err);

/* One whole upload in pieces of `piece` bytes; the offer's door and size are filled in. */
enum otter_err sim_world_push(struct sim_world *w, const struct otter_offer *offer, const uint8_t *image, uint32_t size,
                              uint32_t piece);

#endif
