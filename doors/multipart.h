/* multipart/form-data, as a plain form sends it: passes on the bytes of the first part that is a file.
 * Source: RFC 7578, RFC 2046 section 5.1. A streaming parser: any split of the bytes gives the same result. */
#ifndef OTTER_DOORS_MULTIPART_H
#define OTTER_DOORS_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/err.h"

enum { OTTER_BOUNDARY_MAX = 70, OTTER_PART_HEADER_MAX = 512 };

struct otter_multipart {
    void *ctx;
    /* Takes the file's bytes, a few to a few thousand at a time. An error ends the parsing. */
    enum otter_err (*file)(void *ctx, const uint8_t *data, size_t n);
    enum otter_err err;
    uint8_t state;
    bool is_file, seen_file;
    char delimiter[4 + OTTER_BOUNDARY_MAX + 1]; /* CR LF - - boundary */
    uint16_t delimiter_size, matched;
    char line[OTTER_PART_HEADER_MAX]; /* the header line being read */
    uint16_t line_size;
};

/* False if content_type is no multipart/form-data with a usable boundary. */
bool otter_multipart_start(struct otter_multipart *m, const char *content_type);
enum otter_err otter_multipart_feed(struct otter_multipart *m, const void *data, size_t n);
/* OTTER_MULTIPART if no file part came, or the closing boundary is missing. */
enum otter_err otter_multipart_end(struct otter_multipart *m);

#endif
