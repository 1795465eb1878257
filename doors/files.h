/* Files on the device: what a port brings, and which names they may have. */
#ifndef OTTER_DOORS_FILES_H
#define OTTER_DOORS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/err.h"

enum { OTTER_FILE_NAME = 63, OTTER_FILE_PIECE = 4096 };

enum otter_files_state {
    OTTER_FILES_NONE,    /* there is no region for files */
    OTTER_FILES_READY,   /* a file system is mounted */
    OTTER_FILES_DAMAGED, /* what is there is none that can be read; it stays until it is formatted */
    OTTER_FILES_RELEASED /* let go of, so that an update may change the region */
};

struct otter_files_info {
    enum otter_files_state state;
    uint32_t offset, size; /* of the region, bytes */
    uint32_t free;         /* bytes that one more file may have; 0 unless ready */
    uint32_t changes;      /* counts whatever may have changed what a name stands for */
};

/* One directory. Names are those that otter_file_name() lets pass; how they compare is the file system's. Every
 * function answers OTTER_NO_FILES, OTTER_FILES_DAMAGED or OTTER_FILES_BUSY (released) where there is no file system. */
struct otter_files {
    void *ctx;
    void (*info)(void *ctx, struct otter_files_info *out);
    enum otter_err (*list)(void *ctx, void (*file)(void *to, const char *name, uint32_t size), void *to);
    /* OTTER_NOT_FOUND: no such file. */
    enum otter_err (*size)(void *ctx, const char *name, uint32_t *size);
    /* Exactly n bytes, at most OTTER_FILE_PIECE. */
    enum otter_err (*read)(void *ctx, const char *name, uint32_t off, void *dst, uint32_t n);
    /* One file at a time is stored: begin, write (at most OTTER_FILE_PIECE a call), then commit or abort. Until commit
     * a file of that name stays what it was. OTTER_FILES_FULL: no room. */
    enum otter_err (*begin)(void *ctx, const char *name);
    enum otter_err (*write)(void *ctx, const void *data, uint32_t n);
    enum otter_err (*commit)(void *ctx);
    void (*abort)(void *ctx);
    enum otter_err (*remove)(void *ctx, const char *name);
    /* An empty file system, whatever was there. */
    enum otter_err (*format)(void *ctx);
};

const char *otter_files_state_name(enum otter_files_state state);

/* 1 to 63 bytes of UTF-8 that every file system takes as they are: no / \ : * ? " < > | or control characters, no dot
 * in front (so neither . nor ..), no dot behind, no space at either end. */
bool otter_file_name_ok(const char *name);
/* The name as it stands in a path, %XX taken off. False: malformed escapes, or no such name. */
bool otter_file_name(const char *escaped, char name[OTTER_FILE_NAME + 1]);

#endif
