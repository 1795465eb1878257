/* Where the virtual device keeps its files. */
#include <stdio.h>

#include "format/table.h"
#include "ports/sim/table.h"
#include "tool/device.h"
#include "tool/tool.h"

static void say(const struct device_files *f, const char *why)
{
    const struct sim_disk *d = &f->files.disk;
    printf("I files: %u bytes at 0x%x: %s%s\n", d->size, d->offset, otter_files_state_name(f->files.state), why);
}

/* ---- elastic ---- */

static void count(void *to, const char *name, uint32_t size)
{
    unsigned *files = to;
    (void)name;
    (void)size;
    (*files)++;
}

/* What cannot be read might be anything. */
static bool holds(void *ctx)
{
    struct device_files *f = ctx;
    unsigned files = 0;
    return f->files.port.list(&f->files, count, &files) != OTTER_OK || files > 0;
}

/* A file that is just being stored is not cut off. */
static bool release(void *ctx)
{
    struct device_files *f = ctx;
    if (f->files.storing) return false;
    sim_files_close(&f->files);
    return true;
}

static bool ready(void *ctx, uint32_t off, uint32_t size, uint32_t made, enum otter_data_fate fate)
{
    (void)made;
    static const char *const fates[] = {", made anew", ", as it was", ", as it was; the region has grown"};
    struct device_files *f = ctx;
    sim_files_open(&f->files, f->flash, off, size);
    bool lost = fate == OTTER_DATA_ANEW && f->files.state != OTTER_FILES_NONE;
    if (lost) f->files.port.format(&f->files);
    say(f, fates[fate]);
    return f->files.state != OTTER_FILES_NONE;
}

const struct otter_data *device_files_elastic(struct device_files *f, const struct otter_flash *flash)
{
    if (!sim_files_init(&f->files)) return NULL;
    f->flash = flash;
    f->elastic = true;
    f->data = (struct otter_data){.ctx = f, .holds = holds, .release = release, .ready = ready};
    return &f->data;
}

/* ---- fixed slots ---- */

/* The table's first FAT, SPIFFS or LittleFS. */
static bool find_region(const struct device_power *p, struct otter_slot *region)
{
    struct sim_table t = {p->flash + OTTER_CFG_TABLE_OFFSET, p->options->flash_size, tool_crypto()};
    for (uint8_t subtype = OTTER_DATA_FAT; subtype <= OTTER_DATA_LITTLEFS; subtype++)
        if (sim_table_find(&t, OTTER_TYPE_DATA, subtype, region)) return true;
    return false;
}

const struct otter_files *device_files_open(struct device_files *f, const struct device_power *p,
                                            const struct otter_flash *flash)
{
    struct otter_slot region;
    if (f->elastic) return &f->files.port;
    if (!find_region(p, &region) || !sim_files_init(&f->files)) return NULL;
    sim_files_open(&f->files, flash, region.offset, region.size);
    say(f, "");
    return &f->files.port;
}
