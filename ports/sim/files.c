/* Files on FAT. A file is received under a name that nobody can ask for, and takes its place only when it is whole, so
 * that a connection or power that breaks leaves the old one or the new one. */
#include "ports/sim/files.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ports/sim/fat.h"
#include "ports/sim/reclaim.h"

/* `.=NAME` is whole, and on its way to NAME. All in one directory, which is one flash sector: a rename is whole, too.
 */
#define COMING "/.new"
#define WHOLE "/.="

enum { PATH = FAT_NAME + sizeof WHOLE };

static void path_of(char *path, const char *before, const char *name) { snprintf(path, PATH, "%s%s", before, name); }

/* ---- errors ---- */

static enum otter_err there_is(const struct sim_files *f)
{
    switch (f->state) {
    case OTTER_FILES_READY: return OTTER_OK;
    case OTTER_FILES_DAMAGED: return OTTER_FILES_UNREADABLE;
    case OTTER_FILES_RELEASED: return OTTER_FILES_BUSY;
    case OTTER_FILES_NONE: break;
    }
    return OTTER_NO_FILES;
}

static void mount(struct sim_files *f);

static enum otter_err error_of(struct sim_files *f, enum fat_result r)
{
    enum otter_err flash = f->disk.err;
    switch (r) {
    case FAT_OK: return OTTER_OK;
    case FAT_NO_FILE:
    case FAT_NO_PATH: return OTTER_NOT_FOUND;
    case FAT_DENIED: return OTTER_FILES_FULL;
    case FAT_DISK:
    case FAT_TRAP:
        /* What the library still has in memory may be other than what is in flash. */
        f->storing = false;
        mount(f);
        return r == FAT_DISK && flash ? flash : OTTER_FILES_UNREADABLE;
    case FAT_EXIST: break;
    }
    return OTTER_FILES_UNREADABLE;
}

/* ---- mount ---- */

/* A whole file takes the place of the one it is to replace. Done again from the start it comes to the same. */
static enum fat_result put_in_place(struct sim_files *f, const char *name)
{
    char whole[PATH], place[PATH];
    path_of(whole, WHOLE, name);
    path_of(place, "/", name);
    enum fat_result r = fat_unlink(f->fat, place);
    if (!r || r == FAT_NO_FILE) r = fat_rename(f->fat, whole, place);
    /* The directory has no room for a name that is new. */
    if (r == FAT_DENIED) fat_unlink(f->fat, whole);
    return r;
}

/* What a cut has left: at most one file of each kind. */
static enum fat_result tidy(struct sim_files *f)
{
    struct fat_entry e;
    enum fat_result r = fat_unlink(f->fat, COMING);
    if (!r || r == FAT_NO_FILE) r = fat_opendir(f->fat, "/");
    while (!r) {
        r = fat_readdir(f->fat, &e);
        if (r || !e.name[0]) return r;
        if (strncmp(e.name, &WHOLE[1], 2) != 0 || !otter_file_name_ok(e.name + 2)) continue;
        r = put_in_place(f, e.name + 2);
        return r == FAT_DENIED ? FAT_OK : r;
    }
    return r;
}

/* A file system that is larger than its region was cut off with it. */
static bool fits(struct sim_disk *d)
{
    uint8_t b[SIM_DISK_SECTOR];
    if (!sim_disk_read(d, 0, 1, b)) return false;
    uint32_t sectors = b[19] | (uint32_t)b[20] << 8;
    if (!sectors) sectors = b[32] | (uint32_t)b[33] << 8 | (uint32_t)b[34] << 16 | (uint32_t)b[35] << 24;
    return sectors <= sim_disk_sectors(d);
}

static void mount(struct sim_files *f)
{
    uint32_t free_bytes;
    struct sim_disk *d = &f->disk;
    bool readable = sim_disk_open(d, d->flash, d->offset, d->size) && fits(d) && !fat_mount(f->fat, d) && !tidy(f) &&
                    sim_reclaim(d) && !fat_mount(f->fat, d) && !fat_space(f->fat, &free_bytes);
    f->state = readable ? OTTER_FILES_READY : OTTER_FILES_DAMAGED;
    f->changes++;
}

static enum otter_err format(struct sim_files *f)
{
    struct sim_disk *d = &f->disk;
    f->storing = false;
    bool done = sim_disk_open(d, d->flash, d->offset, d->size) && sim_disk_begin_format(d) && !fat_format(f->fat, d) &&
                sim_disk_end_format(d);
    enum otter_err flash = d->err;
    mount(f);
    return flash ? flash : done ? there_is(f) : OTTER_FILES_UNREADABLE;
}

/* ---- names ---- */

/* FAT gives long names a short one besides (LONGNA~1.TXT), under which nobody is to reach a file. */
static enum fat_result find_alias(struct sim_files *f, const char *name, bool *alias)
{
    struct fat_entry e = {.size = 0};
    enum fat_result r = fat_opendir(f->fat, "/");
    *alias = false;
    while (!r && !*alias) {
        r = fat_readdir(f->fat, &e);
        if (r || !e.name[0]) break;
        *alias = strcasecmp(e.alias, name) == 0 && strcasecmp(e.name, name) != 0;
    }
    return r;
}

/* OTTER_BAD_FILE_NAME: the name leads to something that is not a file of this name. */
static enum otter_err find(struct sim_files *f, const char *name, struct fat_entry *e)
{
    char path[PATH];
    bool alias = false;
    path_of(path, "/", name);
    enum otter_err err = there_is(f);
    if (!err) err = error_of(f, fat_stat(f->fat, path, e));
    if (!err) err = error_of(f, find_alias(f, name, &alias));
    if (err) return err;
    return e->directory || alias ? OTTER_BAD_FILE_NAME : OTTER_OK;
}

/* For those who look for a file, that is no file. */
static enum otter_err find_file(struct sim_files *f, const char *name, struct fat_entry *e)
{
    enum otter_err err = find(f, name, e);
    return err == OTTER_BAD_FILE_NAME ? OTTER_NOT_FOUND : err;
}

/* ---- the port's functions ---- */

static void files_info(void *ctx, struct otter_files_info *out)
{
    struct sim_files *f = ctx;
    *out = (struct otter_files_info){f->state, f->disk.offset, f->disk.size, 0, f->changes};
    if (f->state != OTTER_FILES_READY) return;
    if (error_of(f, fat_space(f->fat, &out->free))) out->state = f->state;
}

static enum otter_err files_list(void *ctx, void (*file)(void *to, const char *name, uint32_t size), void *to)
{
    struct sim_files *f = ctx;
    struct fat_entry e;
    enum otter_err err = there_is(f);
    if (!err) err = error_of(f, fat_opendir(f->fat, "/"));
    while (!err) {
        err = error_of(f, fat_readdir(f->fat, &e));
        if (err || !e.name[0]) break;
        if (!e.directory && e.name[0] != '.') file(to, e.name, e.size);
    }
    return err;
}

static enum otter_err files_size(void *ctx, const char *name, uint32_t *size)
{
    struct fat_entry e = {.size = 0};
    enum otter_err err = find_file(ctx, name, &e);
    *size = e.size;
    return err;
}

static enum otter_err files_read(void *ctx, const char *name, uint32_t off, void *dst, uint32_t n)
{
    struct sim_files *f = ctx;
    char path[PATH];
    uint32_t done = 0;
    enum otter_err err = there_is(f);
    if (err) return err;
    path_of(path, "/", name);
    enum fat_result r = fat_open(f->fat, FAT_IN, path, FAT_READ);
    if (!r) r = fat_seek(f->fat, FAT_IN, off);
    if (!r) r = fat_read(f->fat, FAT_IN, dst, n, &done);
    if (!r) r = fat_close(f->fat, FAT_IN);
    err = error_of(f, r);
    return err ? err : done == n ? OTTER_OK : OTTER_FILES_UNREADABLE;
}

static void files_abort(void *ctx)
{
    struct sim_files *f = ctx;
    if (!f->storing) return;
    f->storing = false;
    error_of(f, fat_close(f->fat, FAT_OUT));
    error_of(f, fat_unlink(f->fat, COMING));
}

static enum otter_err files_begin(void *ctx, const char *name)
{
    struct sim_files *f = ctx;
    struct fat_entry e;
    if (f->storing) return OTTER_FILES_BUSY;
    enum otter_err err = find(f, name, &e);
    if (err && err != OTTER_NOT_FOUND) return err;
    err = error_of(f, fat_open(f->fat, FAT_OUT, COMING, FAT_WRITE | FAT_CREATE));
    if (err) return err;
    f->storing = true;
    snprintf(f->name, sizeof f->name, "%s", name);
    return OTTER_OK;
}

static enum otter_err files_write(void *ctx, const void *data, uint32_t n)
{
    struct sim_files *f = ctx;
    uint32_t done = 0;
    if (!f->storing) return OTTER_FILES_BUSY;
    enum otter_err err = error_of(f, fat_write(f->fat, FAT_OUT, data, n, &done));
    return err ? err : done == n ? OTTER_OK : OTTER_FILES_FULL;
}

/* From the first rename on the new file is the one that counts, also after a cut. */
static enum otter_err files_commit(void *ctx)
{
    struct sim_files *f = ctx;
    char whole[PATH];
    if (!f->storing) return OTTER_FILES_BUSY;
    path_of(whole, WHOLE, f->name);
    enum otter_err err = error_of(f, fat_close(f->fat, FAT_OUT));
    if (!err) err = error_of(f, fat_rename(f->fat, COMING, whole));
    if (err) return err;
    f->storing = false;
    f->changes++;
    return error_of(f, put_in_place(f, f->name));
}

static enum otter_err files_remove(void *ctx, const char *name)
{
    struct sim_files *f = ctx;
    struct fat_entry e;
    char path[PATH];
    enum otter_err err = find_file(f, name, &e);
    if (err) return err;
    path_of(path, "/", name);
    f->changes++;
    return error_of(f, fat_unlink(f->fat, path));
}

static enum otter_err files_format(void *ctx)
{
    struct sim_files *f = ctx;
    enum otter_err err = there_is(f);
    return err && err != OTTER_FILES_UNREADABLE ? err : format(f);
}

/* ---- the region ---- */

bool sim_files_init(struct sim_files *f)
{
    memset(f, 0, sizeof *f);
    f->port = (struct otter_files){f,           files_info,   files_list,  files_size,   files_read,  files_begin,
                                   files_write, files_commit, files_abort, files_remove, files_format};
    f->fat = fat_new();
    return f->fat != NULL;
}

void sim_files_open(struct sim_files *f, const struct otter_flash *flash, uint32_t offset, uint32_t size)
{
    enum sim_disk_content content;
    f->storing = false;
    f->changes++;
    f->state = OTTER_FILES_NONE;
    f->disk = (struct sim_disk){.flash = flash, .offset = offset, .size = size - size % OTTER_SECTOR};
    if (size < SIM_FILES_MIN) return;
    bool known = sim_disk_open(&f->disk, flash, offset, f->disk.size) && sim_disk_content(&f->disk, &content);
    if (known && content != SIM_DISK_FULL)
        format(f);
    else
        mount(f);
}

void sim_files_close(struct sim_files *f)
{
    files_abort(f);
    f->changes++;
    f->state = OTTER_FILES_RELEASED;
}

void sim_files_free(struct sim_files *f)
{
    fat_free(f->fat);
    f->fat = NULL;
}
