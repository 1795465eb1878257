/* The virtual device's files: FAT in a region of its flash. The region is given when it is there, and taken away before
 * something else may change it. */
#ifndef OTTER_SIM_FILES_H
#define OTTER_SIM_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "doors/files.h"
#include "ports/sim/disk.h"

struct sim_fat;

struct sim_files {
    struct otter_files port;
    enum otter_files_state state;
    struct sim_disk disk;
    struct sim_fat *fat;
    uint32_t changes;
    bool storing;
    char name[OTTER_FILE_NAME + 1]; /* of the file that is being stored */
};

enum { SIM_FILES_MIN = 64 * 1024 + SIM_DISK_OWN }; /* FAT needs so much */

/* No region yet. False: this build has no file system, or memory is short. */
bool sim_files_init(struct sim_files *f);
/* Mounts what is in the region. A blank one gets a file system, and one whose making was cut, too; anything else that
 * cannot be read stays as it is, damaged. A region below SIM_FILES_MIN is none. */
void sim_files_open(struct sim_files *f, const struct otter_flash *flash, uint32_t offset, uint32_t size);
/* Lets go of the region: what was not committed is lost, and nothing touches flash any more. */
void sim_files_close(struct sim_files *f);
void sim_files_free(struct sim_files *f);

#endif
