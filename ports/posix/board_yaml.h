/* board.yaml by libyaml: the channels in it, or the line and the reason why not. */
#ifndef OTTER_PORTS_POSIX_BOARD_YAML_H
#define OTTER_PORTS_POSIX_BOARD_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "doors/board.h"

enum { BOARD_YAML_MAX = 32768 /* bytes of the file */ };

struct board_yaml_error {
    unsigned line; /* from 1; 0: of no line */
    char why[128];
};

/* Of the file only "ota" is looked at; what else a board has is its project's. */
bool board_yaml_read(const char *text, size_t size, struct otter_board *out, struct board_yaml_error *error);
/* The same from a file. */
bool board_yaml_load(const char *path, struct otter_board *out, struct board_yaml_error *error);

#endif
