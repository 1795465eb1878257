/* Clusters that a cut has left without a file. FatFs has no check of its own. */
#ifndef OTTER_SIM_RECLAIM_H
#define OTTER_SIM_RECLAIM_H

#include "ports/sim/disk.h"

/* Frees every cluster of a FAT12 or FAT16 that no file has; one with folders or with clusters that two files share is
 * left as it is. The file system must not be in use. False: flash failed. */
bool sim_reclaim(struct sim_disk *d);

#endif
