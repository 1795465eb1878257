/* otadata: which slot starts next, confirm and roll back.
 *
 * Every change erases one of the two sectors and writes it anew: state and sequence number first, the CRC in a write of
 * its own when the rest has been read back. So a torn entry is never taken for a whole one. */
#ifndef OTTER_CORE_BOOT_H
#define OTTER_CORE_BOOT_H

#include "otter/otter.h"

enum otter_err otter_boot_read(struct otter_device *d, struct otter_ota_entry e[2]);

/* As otter_status(), which cannot say that otadata could not be read. */
enum otter_err otter_boot_status(struct otter_device *d, struct otter_status *out);

/* The entry that names a slot and decides for it; NULL if neither does. */
const struct otter_ota_entry *otter_boot_entry_of(const struct otter_device *d, const struct otter_ota_entry e[2],
                                                  int slot);

/* Which slot the boot loader picks next, before it has looked at any image. */
int otter_boot_next(const struct otter_device *d, const struct otter_ota_entry e[2]);

/* *trial: the running firmware has not been confirmed yet and goes at the next restart. */
enum otter_err otter_boot_on_trial(struct otter_device *d, bool *trial);

/* Lets otadata name the slot that runs, as valid, where it names another one or none (after the boot loader's fallback
 * search). To be done before the spare slot gets a header: else that slot might start on the strength of an old entry.
 */
enum otter_err otter_boot_anchor(struct otter_device *d);

/* Names the running slot by this sequence number, which is above both that are there, as valid. */
enum otter_err otter_boot_name_running(struct otter_device *d, uint32_t seq);

/* The slot starts next: writes the entry that does not decide now. */
enum otter_err otter_boot_switch(struct otter_device *d, int slot);

#endif
