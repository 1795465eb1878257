/* A whole flash in a file, as the tool looks at it. */
#ifndef OTTER_TOOL_FLASH_FILE_H
#define OTTER_TOOL_FLASH_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/table.h"

enum { FLASH_FILE_MAX = 128 * 1024 * 1024 };

struct flash_file {
    struct otter_partition row[OTTER_TABLE_ROWS];
    unsigned rows;
    struct otter_partition otadata; /* size 0: there is none */
    unsigned ota_rows;
    bool has_factory;
};

/* Finds the table in a flash. 0, or an exit status (said on stderr, with path). */
int flash_file_parse(struct flash_file *f, const char *path, const uint8_t *bytes, size_t size);

#endif
