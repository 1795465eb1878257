/* FatFs, the FAT library that ESP-IDF uses, too, on a disk on flash. It comes as WebAssembly made into C, so whatever a
 * damaged file system makes it do stays in its own memory and ends in a trap: a result, not a crash. */
#ifndef OTTER_SIM_FAT_H
#define OTTER_SIM_FAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ports/sim/disk.h"

/* FatFs' own results, as far as they are told apart. */
enum fat_result {
    FAT_OK = 0,
    FAT_DISK = 1,
    FAT_NO_FILE = 4,
    FAT_NO_PATH = 5,
    FAT_DENIED = 7,
    FAT_EXIST = 8,
    FAT_TRAP = 99
};

enum { FAT_READ = 1, FAT_WRITE = 2, FAT_CREATE = 8, FAT_NAME = 256 };

enum fat_handle { FAT_IN, FAT_OUT, FAT_HANDLES };

struct fat_entry {
    char name[FAT_NAME]; /* UTF-8; empty behind the last entry */
    char alias[16];      /* the short name that a long one has besides; else empty */
    uint32_t size;
    bool directory;
};

struct sim_fat;

/* NULL: out of memory. */
struct sim_fat *fat_new(void);
void fat_free(struct sim_fat *f);

/* Puts a file system on the disk. */
enum fat_result fat_format(struct sim_fat *f, struct sim_disk *disk);
enum fat_result fat_mount(struct sim_fat *f, struct sim_disk *disk);
enum fat_result fat_space(struct sim_fat *f, uint32_t *free_bytes);

enum fat_result fat_open(struct sim_fat *f, enum fat_handle h, const char *path, unsigned mode);
enum fat_result fat_close(struct sim_fat *f, enum fat_handle h);
enum fat_result fat_seek(struct sim_fat *f, enum fat_handle h, uint32_t off);
/* n is at most OTTER_SECTOR; *done may be less: the file's end, a full disk. */
enum fat_result fat_read(struct sim_fat *f, enum fat_handle h, void *dst, uint32_t n, uint32_t *done);
enum fat_result fat_write(struct sim_fat *f, enum fat_handle h, const void *src, uint32_t n, uint32_t *done);

enum fat_result fat_stat(struct sim_fat *f, const char *path, struct fat_entry *e);
enum fat_result fat_unlink(struct sim_fat *f, const char *path);
enum fat_result fat_rename(struct sim_fat *f, const char *from, const char *to);
enum fat_result fat_opendir(struct sim_fat *f, const char *path);
enum fat_result fat_readdir(struct sim_fat *f, struct fat_entry *e);

#endif
