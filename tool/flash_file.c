/* Reads the partition table out of a whole-flash file. */
#include "tool/flash_file.h"

#include <string.h>

#include "format/otadata.h"
#include "tool/tool.h"

static void take_row(struct flash_file *f, const struct otter_partition *p)
{
    f->row[f->rows++] = *p;
    if (p->type == OTTER_TYPE_APP && p->subtype == OTTER_APP_FACTORY) f->has_factory = true;
    if (p->type == OTTER_TYPE_APP && p->subtype >> 4 == 1) f->ota_rows++;
    if (p->type == OTTER_TYPE_DATA && p->subtype == OTTER_DATA_OTADATA && p->size >= OTTER_OTADATA_SIZE)
        f->otadata = *p;
}

int flash_file_parse(struct flash_file *f, const char *path, const uint8_t *bytes, size_t size)
{
    unsigned count, bad;
    memset(f, 0, sizeof *f);
    if (size <= OTTER_CFG_TABLE_OFFSET + OTTER_SECTOR || size % OTTER_SECTOR)
        return tool_fail(OTTER_TABLE_MAGIC,
                         "%s: %zu bytes are no whole flash: it is a multiple of 4096 and holds a partition "
                         "table at 0x%x",
                         path, size, OTTER_CFG_TABLE_OFFSET);
    struct otter_table_memory m = {bytes + OTTER_CFG_TABLE_OFFSET, OTTER_TABLE_SIZE};
    struct otter_rows rows = otter_table_rows(&m);
    enum otter_err e = otter_table_check(&rows, (uint32_t)size, tool_crypto(), &count, &bad);
    if (e)
        return tool_fail(e, "%s: partition table at 0x%x, row %u: %s", path, OTTER_CFG_TABLE_OFFSET, bad,
                         otter_err_text(e));
    for (unsigned i = 0; i < count; i++) {
        struct otter_partition p;
        if (!otter_table_row(&rows, i, &p)) take_row(f, &p);
    }
    return 0;
}
