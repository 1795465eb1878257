/* Who keeps files in the data region of an elastic flash, for proofs: marks at its ends and wherever a slot begins in
 * it, each with an image's magic byte first, so that nobody may touch or start them unpunished. */
#ifndef OTTER_SIM_KEEPER_H
#define OTTER_SIM_KEEPER_H

#include "otter/otter.h"
#include "ports/sim/nor.h"

/* What is in the flash; outlives restarts. */
struct sim_kept {
    struct otter_slot region;
    uint32_t made; /* bytes of it that they were made for */
    uint32_t generation;
    bool whole;    /* all marks of this generation are written */
    bool restored; /* they are those of the data image */
    bool may_go;   /* an update is under way, whose sender agreed that they be lost */
};

struct sim_keeper {
    struct otter_data port;
    struct sim_nor *nor;
    struct sim_kept *files;
    uint32_t slot_at[OTTER_OTA_SLOTS];
    unsigned slots;
    const uint8_t *image; /* the update's data image, image_size bytes; NULL: none */
    uint32_t image_size;
    const char *broken; /* what did not hold: static text; NULL: all does */
};

void sim_keeper_init(struct sim_keeper *k, struct sim_nor *nor, struct sim_kept *files);

#endif
