/* The channels a device may fetch from, as board.yaml has them: "ota" with "channels", one to three of "name" and
 * "path". The door reads them from the settings, on Linux and on the chip; YAML is turned into that by the tool. */
#ifndef OTTER_DOORS_BOARD_H
#define OTTER_DOORS_BOARD_H

#include <stdbool.h>
#include <stddef.h>

#include "otter/otter.h"

enum {
    OTTER_CHANNELS = 3,
    OTTER_CHANNEL_NAME = 16,       /* characters, as the schema has it */
    OTTER_CHANNEL_NAME_BYTES = 64, /* of them in UTF-8 */
    OTTER_CHANNEL_PATH = 1024,     /* characters */
    OTTER_BOARD_MAX = 3999         /* bytes as JSON: a string in the settings */
};

struct otter_board_channel {
    char name[OTTER_CHANNEL_NAME_BYTES + 1];
    char *path; /* on the heap */
};

struct otter_board {
    unsigned count; /* of channels; 0: no board configuration */
    struct otter_board_channel channel[OTTER_CHANNELS];
};

/* NULL if it was taken, else what stands against it, static. Texts end with a NUL. */
const char *otter_board_add(struct otter_board *b, const char *name, const char *path);
void otter_board_free(struct otter_board *b);

/* {"ota": {"channels": [{"name": ..., "path": ...}]}}; other keys beside "ota" are others' business. NULL if it was
 * read, else what is wrong; then *out is empty. */
const char *otter_board_read(const char *text, size_t size, struct otter_board *out);
/* The same the other way; to be freed with free(), NULL if memory is out. */
char *otter_board_write(const struct otter_board *b);

/* From and into the settings: namespace "ota", string "channels". What is not there or cannot be read is empty. */
void otter_board_load(const struct otter_device *d, struct otter_board *out);
enum otter_err otter_board_save(struct otter_device *d, const struct otter_board *b);

#endif
