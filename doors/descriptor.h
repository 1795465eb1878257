/* What a channel serves: which release there is, and where its image lies. Three forms are read: {version, path}; the
 * same with size, sha256, notes, min_version and requires_full_flash; and the manifest.json of ESP Web Tools, of which
 * the build for this chip is taken. */
#ifndef OTTER_DOORS_DESCRIPTOR_H
#define OTTER_DOORS_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/err.h"

enum { OTTER_DESCRIPTOR_MAX = 8192 /* bytes of the file */, OTTER_VERSION_MAX = 31, OTTER_NOTES_MAX = 511 };

struct otter_release {
    char version[OTTER_VERSION_MAX + 1];
    char min_version[OTTER_VERSION_MAX + 1]; /* empty: any */
    char notes[OTTER_NOTES_MAX + 1];         /* UTF-8, cut off at a character; empty: none */
    char *url;                               /* of the image, on the heap; NULL where a cable is needed */
    uint32_t size;                           /* 0: not known */
    bool has_sha256, needs_cable;
    uint8_t sha256[32];
};

/* What the device is: a manifest has builds by chip, and parts by their place in the flash. */
struct otter_descriptor_reader {
    const char *url;  /* the descriptor came from; paths are relative to it */
    const char *chip; /* "ESP32-C3" */
    uint32_t app[2];  /* where an app may be flashed by cable: factory, ota_0; 0: nowhere */
    const char *why;  /* what is wrong with it, if something is; static */
};

/* OTTER_OK: *out is to be given to otter_release_free(). OTTER_DESCRIPTOR, OTTER_NO_BUILD, OTTER_URL, OTTER_MEMORY. */
enum otter_err otter_descriptor_read(struct otter_descriptor_reader *r, const char *text, size_t size,
                                     struct otter_release *out);
void otter_release_free(struct otter_release *release);

#endif
