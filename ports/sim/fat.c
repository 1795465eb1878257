/* Calls FatFs and answers its calls. Knows where its arguments lie in its memory; not what files are for. */
#include "ports/sim/fat.h"

#include <fatfs_wasm.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { PAGES = 8, WASM_PAGE = 65536, PATH = 300, FAT_SFD = 1 | 8, CLUSTER = OTTER_SECTOR, ROOT_ENTRIES = 128 };
enum { DISK_OK = 0, DISK_ERROR = 1, DISK_ARG = 4 };
enum { IOCTL_SYNC = 0, IOCTL_COUNT = 1, IOCTL_SECTOR = 2, IOCTL_BLOCK = 3 };

/* What the library imports: its memory, and the disk. */
struct Z_env_instance_t {
    wasm_rt_memory_t memory;
    struct sim_disk *disk;
};

struct sim_fat {
    struct Z_env_instance_t env;
    Z_ff_instance_t lib;
    bool trapped;
    u32 volume, dir, info, path, path2, io, numbers, handle[FAT_HANDLES]; /* in its memory */
    uint8_t bytes[PAGES * WASM_PAGE];
};

/* ---- the runtime that the generated code wants: one call at a time, so one way out of it ---- */

static jmp_buf trap;

uint32_t wasm_rt_call_stack_depth;

void wasm_rt_trap(wasm_rt_trap_t code)
{
    (void)code;
    longjmp(trap, 1);
}

bool wasm_rt_is_initialized(void) { return true; }

/* Its memory stays as large as it is. */
uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint32_t pages)
{
    (void)memory;
    (void)pages;
    return UINT32_MAX;
}

/* Types are told apart only where functions are called through tables; there are none. */
uint32_t wasm_rt_register_func_type(uint32_t params, uint32_t results, ...) { return params << 8 | results; }

/* After a trap the library's memory is not to be trusted; it is made anew by the next mount. */
static enum fat_result trapped(struct sim_fat *f)
{
    wasm_rt_call_stack_depth = 0;
    f->trapped = true;
    return FAT_TRAP;
}

#define GUARDED(f, call)                                          \
    do {                                                          \
        if ((f)->trapped || setjmp(trap) != 0) return trapped(f); \
        return (enum fat_result)(call);                           \
    } while (0)

/* ---- what the library calls ---- */

wasm_rt_memory_t *Z_envZ_memory(struct Z_env_instance_t *env) { return &env->memory; }

static uint8_t *buffer(struct Z_env_instance_t *env, u32 at, u64 n)
{
    return n <= env->memory.size && at <= env->memory.size - n ? env->memory.data + at : NULL;
}

u32 Z_envZ_disk_initialize(struct Z_env_instance_t *env, u32 drive)
{
    (void)env;
    return drive != 0;
}

u32 Z_envZ_disk_status(struct Z_env_instance_t *env, u32 drive) { return Z_envZ_disk_initialize(env, drive); }

u32 Z_envZ_ffw_disk_read(struct Z_env_instance_t *env, u32 drive, u32 at, u32 sector, u32 high, u32 count)
{
    uint8_t *to = buffer(env, at, (u64)count * SIM_DISK_SECTOR);
    if (drive || high || !to) return DISK_ARG;
    return sim_disk_read(env->disk, sector, count, to) ? DISK_OK : DISK_ERROR;
}

u32 Z_envZ_ffw_disk_write(struct Z_env_instance_t *env, u32 drive, u32 at, u32 sector, u32 high, u32 count)
{
    const uint8_t *from = buffer(env, at, (u64)count * SIM_DISK_SECTOR);
    if (drive || high || !from) return DISK_ARG;
    return sim_disk_write(env->disk, sector, count, from) ? DISK_OK : DISK_ERROR;
}

u32 Z_envZ_disk_ioctl(struct Z_env_instance_t *env, u32 drive, u32 command, u32 at)
{
    uint32_t sectors = sim_disk_sectors(env->disk), block = OTTER_SECTOR / SIM_DISK_SECTOR;
    uint16_t sector = SIM_DISK_SECTOR;
    uint8_t *out = buffer(env, at, sizeof sectors);
    if (drive || !out) return DISK_ARG;
    switch (command) {
    case IOCTL_SYNC: return sim_disk_flush(env->disk) ? DISK_OK : DISK_ERROR;
    case IOCTL_COUNT: memcpy(out, &sectors, sizeof sectors); return DISK_OK;
    case IOCTL_SECTOR: memcpy(out, &sector, sizeof sector); return DISK_OK;
    case IOCTL_BLOCK: memcpy(out, &block, sizeof block); return DISK_OK;
    default: return DISK_OK;
    }
}

/* A device without a calendar: everything is of 1 January 1980. */
u32 Z_envZ_get_fattime(struct Z_env_instance_t *env)
{
    (void)env;
    return 1u << 21 | 1u << 16;
}

/* ---- the library's memory ---- */

static enum fat_result allocate(struct sim_fat *f)
{
    Z_ff_instance_t *l = &f->lib;
    Z_ff_init_module();
    Z_ff_instantiate(l, &f->env);
    Z_ffZ___wasm_call_ctors(l);
    u32 *const place[] = {&f->volume, &f->dir,     &f->info,           &f->path,           &f->path2,
                          &f->io,     &f->numbers, &f->handle[FAT_IN], &f->handle[FAT_OUT]};
    const u32 size[] = {
        Z_ffZ_sizeof_FATFS(l), Z_ffZ_sizeof_DIR(l), Z_ffZ_sizeof_FILINFO(l), PATH, PATH, OTTER_SECTOR, 32,
        Z_ffZ_sizeof_FIL(l),   Z_ffZ_sizeof_FIL(l)};
    for (unsigned i = 0; i < sizeof place / sizeof place[0]; i++) {
        *place[i] = Z_ffZ_malloc(l, size[i]);
        if (!*place[i]) return FAT_TRAP;
    }
    return FAT_OK;
}

static enum fat_result start(struct sim_fat *f, struct sim_disk *disk)
{
    memset(f, 0, sizeof *f);
    f->env.memory = (wasm_rt_memory_t){f->bytes, PAGES, PAGES, sizeof f->bytes};
    f->env.disk = disk;
    GUARDED(f, allocate(f));
}

static u32 put_path(struct sim_fat *f, u32 at, const char *path)
{
    size_t n = strlen(path);
    if (n >= PATH) n = PATH - 1;
    memcpy(f->bytes + at, path, n);
    f->bytes[at + n] = '\0';
    return at;
}

static void put_u32(struct sim_fat *f, u32 at, uint32_t value) { memcpy(f->bytes + at, &value, sizeof value); }

static uint32_t get_u32(const struct sim_fat *f, u32 at)
{
    uint32_t value;
    memcpy(&value, f->bytes + at, sizeof value);
    return value;
}

/* FILINFO begins with the size. f_stat() puts the name there as it was asked for. */
static void get_entry(struct sim_fat *f, struct fat_entry *e)
{
    e->size = get_u32(f, f->info);
    e->directory = f->bytes[f->info + Z_ffZ_offset_FILINFO_fattrib(&f->lib)] & 0x10;
    memcpy(e->name, f->bytes + f->info + Z_ffZ_offset_FILINFO_fname(&f->lib), FAT_NAME - 1);
    e->name[FAT_NAME - 1] = '\0';
    memcpy(e->alias, f->bytes + f->info + Z_ffZ_offset_FILINFO_altname(&f->lib), sizeof e->alias - 1);
    e->alias[sizeof e->alias - 1] = '\0';
}

/* ---- calls ---- */

static enum fat_result mount(struct sim_fat *f)
{
    GUARDED(f, Z_ffZ_f_mount(&f->lib, f->volume, put_path(f, f->path, ""), 1));
}

enum fat_result fat_mount(struct sim_fat *f, struct sim_disk *disk)
{
    enum fat_result r = start(f, disk);
    return r ? r : mount(f);
}

/* MKFS_PARM: kind, number of FATs, alignment in sectors, root entries, bytes a cluster. A cluster is a flash sector, so
 * that writing a file erases no other one's bytes, and so is the root directory, so that its changes are whole. */
static enum fat_result make(struct sim_fat *f)
{
    put_u32(f, f->numbers, FAT_SFD | 1 << 8);
    put_u32(f, f->numbers + 4, CLUSTER / SIM_DISK_SECTOR);
    put_u32(f, f->numbers + 8, ROOT_ENTRIES);
    put_u32(f, f->numbers + 12, CLUSTER);
    GUARDED(f, Z_ffZ_f_mkfs(&f->lib, put_path(f, f->path, ""), f->numbers, f->io, OTTER_SECTOR));
}

enum fat_result fat_format(struct sim_fat *f, struct sim_disk *disk)
{
    enum fat_result r = start(f, disk);
    if (!r) r = make(f);
    return r ? r : fat_mount(f, disk);
}

static enum fat_result count_free(struct sim_fat *f)
{
    GUARDED(f, Z_ffZ_f_getfree(&f->lib, put_path(f, f->path, ""), f->numbers, f->numbers + 4));
}

enum fat_result fat_space(struct sim_fat *f, uint32_t *free_bytes)
{
    enum fat_result r = count_free(f);
    uint16_t sectors = 0;
    if (!r) memcpy(&sectors, f->bytes + f->volume + Z_ffZ_offset_FATFS_csize(&f->lib), sizeof sectors);
    *free_bytes = r ? 0 : get_u32(f, f->numbers) * sectors * SIM_DISK_SECTOR;
    return r;
}

enum fat_result fat_open(struct sim_fat *f, enum fat_handle h, const char *path, unsigned mode)
{
    GUARDED(f, Z_ffZ_f_open(&f->lib, f->handle[h], put_path(f, f->path, path), mode));
}

enum fat_result fat_close(struct sim_fat *f, enum fat_handle h) { GUARDED(f, Z_ffZ_f_close(&f->lib, f->handle[h])); }

enum fat_result fat_seek(struct sim_fat *f, enum fat_handle h, uint32_t off)
{
    GUARDED(f, Z_ffZ_ffw_f_lseek(&f->lib, f->handle[h], off, 0));
}

static enum fat_result read_io(struct sim_fat *f, enum fat_handle h, uint32_t n)
{
    GUARDED(f, Z_ffZ_f_read(&f->lib, f->handle[h], f->io, n, f->numbers));
}

static enum fat_result write_io(struct sim_fat *f, enum fat_handle h, uint32_t n)
{
    GUARDED(f, Z_ffZ_f_write(&f->lib, f->handle[h], f->io, n, f->numbers));
}

enum fat_result fat_read(struct sim_fat *f, enum fat_handle h, void *dst, uint32_t n, uint32_t *done)
{
    enum fat_result r = read_io(f, h, n);
    *done = r ? 0 : get_u32(f, f->numbers);
    if (*done > n) *done = n;
    memcpy(dst, f->bytes + f->io, *done);
    return r;
}

enum fat_result fat_write(struct sim_fat *f, enum fat_handle h, const void *src, uint32_t n, uint32_t *done)
{
    memcpy(f->bytes + f->io, src, n);
    enum fat_result r = write_io(f, h, n);
    *done = r ? 0 : get_u32(f, f->numbers);
    return r;
}

static enum fat_result stat_path(struct sim_fat *f, const char *path)
{
    GUARDED(f, Z_ffZ_f_stat(&f->lib, put_path(f, f->path, path), f->info));
}

enum fat_result fat_stat(struct sim_fat *f, const char *path, struct fat_entry *e)
{
    enum fat_result r = stat_path(f, path);
    if (!r) get_entry(f, e);
    return r;
}

enum fat_result fat_unlink(struct sim_fat *f, const char *path)
{
    GUARDED(f, Z_ffZ_f_unlink(&f->lib, put_path(f, f->path, path)));
}

enum fat_result fat_rename(struct sim_fat *f, const char *from, const char *to)
{
    GUARDED(f, Z_ffZ_f_rename(&f->lib, put_path(f, f->path, from), put_path(f, f->path2, to)));
}

enum fat_result fat_opendir(struct sim_fat *f, const char *path)
{
    GUARDED(f, Z_ffZ_f_opendir(&f->lib, f->dir, put_path(f, f->path, path)));
}

static enum fat_result next_entry(struct sim_fat *f) { GUARDED(f, Z_ffZ_f_readdir(&f->lib, f->dir, f->info)); }

enum fat_result fat_readdir(struct sim_fat *f, struct fat_entry *e)
{
    enum fat_result r = next_entry(f);
    if (!r) get_entry(f, e);
    return r;
}

struct sim_fat *fat_new(void) { return malloc(sizeof(struct sim_fat)); }

void fat_free(struct sim_fat *f) { free(f); }
