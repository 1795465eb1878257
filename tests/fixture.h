/* What the tests share: a small device with firmware in it, and images for it. */
#ifndef OTTER_TESTS_FIXTURE_H
#define OTTER_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "otter/otter.h"
#include "ports/sim/world.h"

enum {
    FIXTURE_SLOT = 0x40000,
    FIXTURE_OTA_0 = 0x10000,
    FIXTURE_OTA_1 = 0x50000,
    FIXTURE_FACTORY = 0x90000,
    FIXTURE_FLASH = 0xD0000,
    FIXTURE_IMAGE = FIXTURE_SLOT + 0x1000
};

/* An image for the ESP32-C3, as its maker and the boot loader see it. */
struct fixture_image {
    uint8_t bytes[FIXTURE_IMAGE];
    uint32_t size;
};

/* version "1.0.0", project "demo" unless NULL, payload bytes of pseudo-random content by seed. */
void fixture_image(struct fixture_image *image, const char *version, const char *project, uint32_t payload);

/* Two ota slots of 256 KiB, or with `factory` a factory app of 256 KiB besides; first in the slot that a new device
 * starts. */
void fixture_device(struct sim_world *w, uint8_t flash[FIXTURE_FLASH], bool factory, const struct fixture_image *first);

/* Starts it, and the test fails if it does not. */
void fixture_start(struct sim_world *w);

/* Feeds the image up to a byte, from where the device wants it; offer->offset is set to that. */
enum otter_err fixture_feed(struct sim_world *w, struct otter_offer *offer, const struct fixture_image *image,
                            uint32_t upto);

/* Steps the session to its end. */
enum otter_err fixture_finish(struct sim_world *w);

/* The file's SHA-256. */
void fixture_digest(const struct fixture_image *image, uint8_t out[32]);

/* Is the image in that slot of the flash, byte by byte? */
bool fixture_holds(const struct sim_world *w, uint32_t offset, const struct fixture_image *image);

#endif
