/* What the tool's commands share: errors, files, numbers. Commands print to stdout, complaints to stderr. */
#ifndef OTTER_TOOL_H
#define OTTER_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/chip.h"
#include "otter/err.h"
#include "otter/port.h"

/* A command: argv[0] is its name. Returns the exit status. */
struct tool_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text; /* one line for the help */
};

/* Runs the command that argv[1] names, of a list ended by a NULL name; help is printed before the list. */
int tool_dispatch(const struct tool_command *commands, const char *help, int argc, char **argv);

/* For main(): what stdout does not take makes the program end with an error, however it was to end. */
void tool_watch_stdout(void);

/* Prints "otter: ..." to stderr; returns the error's exit status. */
int tool_fail(enum otter_err err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for a wrong command line, with a hint at the help of cmd ("image verify"); returns 2. */
int tool_usage_error(const char *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The whole file, to be freed; NULL (said on stderr) if it cannot be read or is larger than max bytes. "-" is stdin. */
void *tool_read_file(const char *path, size_t max, size_t *n);
/* 0 when all n bytes are written; -1, with errno. */
int tool_write_all(int fd, const char *data, size_t n);
/* Writes all of it or nothing: under a temporary name first. 0, or an exit status (said on stderr). "-" is stdout. */
int tool_write_file(const char *path, const void *data, size_t n);

/* A decimal or 0x number, with K, M or KB, MB (1024) behind it. 0, or 2 if it is none or above max. */
int tool_number(const char *text, uint64_t max, uint64_t *out);

/* The chip by name; NULL (said on stderr, with the names there are) if there is none. */
const struct otter_chip_info *tool_chip(const char *name);

const struct otter_crypto *tool_crypto(void);
/* Of n bytes, into 32 (SHA-256) or 16 (MD5). False (said on stderr): the crypto library failed. */
bool tool_digest(enum otter_hash_alg alg, const void *bytes, size_t n, uint8_t *out);

/* Lower-case hex of n bytes; out takes 2 n + 1. Returns out. */
char *tool_hex(const uint8_t *bytes, size_t n, char *out);

#endif
