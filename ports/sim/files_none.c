/* A build without a file system: there are no files. */
#include "ports/sim/files.h"

#include <string.h>

bool sim_files_init(struct sim_files *f)
{
    memset(f, 0, sizeof *f);
    return false;
}

void sim_files_open(struct sim_files *f, const struct otter_flash *flash, uint32_t offset, uint32_t size)
{
    (void)f;
    (void)flash;
    (void)offset;
    (void)size;
}

void sim_files_close(struct sim_files *f) { (void)f; }

void sim_files_free(struct sim_files *f) { (void)f; }
