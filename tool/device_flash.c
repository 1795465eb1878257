/* The virtual device's flash file: made from a table and an image, mapped, locked. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/preset.h"
#include "format/table.h"
#include "tool/device.h"
#include "tool/tool.h"

/* A preset's name, or a binary table's file. */
static bool put_table(const struct device_options *o, uint8_t *flash)
{
    uint8_t *at = flash + OTTER_CFG_TABLE_OFFSET;
    const struct otter_preset *preset = otter_preset_find(o->table);
    if (preset) return otter_table_write(preset->row, preset->rows, true, tool_crypto(), at) == OTTER_OK;
    size_t n;
    void *table = tool_read_file(o->table, OTTER_SECTOR, &n);
    if (table) memcpy(at, table, n);
    free(table);
    return table != NULL;
}

/* Where a factory-fresh device starts: its factory app, else ota_0. */
static bool first_slot(const uint8_t *flash, uint32_t size, struct otter_partition *out)
{
    struct otter_table_memory m = {flash + OTTER_CFG_TABLE_OFFSET, OTTER_TABLE_SIZE};
    struct otter_rows rows = otter_table_rows(&m);
    unsigned count, bad;
    bool found = false;
    enum otter_err e = otter_table_check(&rows, size, tool_crypto(), &count, &bad);
    if (e) return tool_fail(e, "partition table, row %u: %s", bad, otter_err_text(e)), false;
    for (unsigned i = 0; i < count; i++) {
        struct otter_partition p;
        if (otter_table_row(&rows, i, &p) || p.type != OTTER_TYPE_APP) continue;
        if (p.subtype == OTTER_APP_FACTORY || (p.subtype == OTTER_APP_OTA_0 && !found)) *out = p;
        found = found || p.subtype == OTTER_APP_FACTORY || p.subtype == OTTER_APP_OTA_0;
    }
    if (!found) tool_fail(OTTER_NO_SLOT, "the partition table has neither a factory app nor ota_0");
    return found;
}

static bool put_image(const struct device_options *o, uint8_t *flash)
{
    struct otter_partition slot;
    size_t n;
    if (!first_slot(flash, o->flash_size, &slot)) return false;
    if (!o->image_path) {
        tool_fail(OTTER_ARG, "%s does not exist; a new flash needs a first image: --image APP.bin", o->flash_path);
        return false;
    }
    void *image = tool_read_file(o->image_path, slot.size, &n);
    if (image) memcpy(flash + slot.offset, image, n);
    free(image);
    return image != NULL;
}

static bool make_flash(const struct device_options *o)
{
    uint8_t *flash = malloc(o->flash_size);
    if (!flash) return tool_fail(OTTER_ARG, "out of memory"), false;
    memset(flash, 0xFF, o->flash_size);
    bool ok = put_table(o, flash) && put_image(o, flash) && tool_write_file(o->flash_path, flash, o->flash_size) == 0;
    free(flash);
    return ok;
}

/* Both processes that would share a file must not think themselves alone. */
static bool lock_flash(const char *path, int fd, uint32_t size)
{
    struct stat st;
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        tool_fail(OTTER_BUSY, "%s: another virtual device uses it; give each its own --flash", path);
        return false;
    }
    if (fstat(fd, &st) == 0 && st.st_size == (off_t)size) return true;
    tool_fail(OTTER_ARG, "%s: its size is not the %u bytes of --flash-size", path, size);
    return false;
}

uint8_t *device_flash_open(const struct device_options *o)
{
    if (access(o->flash_path, F_OK) && !make_flash(o)) return NULL;
    int fd = open(o->flash_path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return tool_fail(OTTER_ARG, "%s: %s", o->flash_path, strerror(errno)), NULL;
    if (!lock_flash(o->flash_path, fd, o->flash_size)) return close(fd), NULL;
    uint8_t *flash = mmap(NULL, o->flash_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (flash == MAP_FAILED) return tool_fail(OTTER_ARG, "%s: %s", o->flash_path, strerror(errno)), NULL;
    return flash;
}
