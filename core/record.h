/* What the engine remembers of an update across restarts, in the settings: where it goes and how far it is, that a
 * switch was made, why firmware was given up and which. docs/SPEC.md, section 5.5, has the bytes.
 *
 * Nothing here fails an update: without settings, or with full ones, it just cannot be resumed or explained. */
#ifndef OTTER_CORE_RECORD_H
#define OTTER_CORE_RECORD_H

#include "otter/otter.h"

enum otter_record_phase { OTTER_RECORD_NONE, OTTER_RECORD_RECEIVING, OTTER_RECORD_SWITCHED };

/* Reads the record into d->record; one that a newer Otter left, or a damaged one, counts as none. */
void otter_record_load(struct otter_device *d);
/* Writes it, with no progress yet; is it in the settings? */
bool otter_record_save(struct otter_device *d);
/* So many bytes from the slot's start are in flash. */
void otter_record_progress(struct otter_device *d, uint32_t written);
/* The slot is about to start next: what is remembered of it until it has confirmed itself. An old reason is forgotten.
 * Is it in the settings? */
bool otter_record_switched(struct otter_device *d, const uint8_t sha256[32], const char *version);
/* The update is over; has it gone from the settings? */
bool otter_record_clear(struct otter_device *d);

/* Keeps why firmware is given up; why is cut to 63 characters. */
void otter_record_why(struct otter_device *d, const char *why);

/* Remembers that this file was rolled back; the oldest is forgotten. */
void otter_record_ban(struct otter_device *d, const uint8_t sha256[32]);
bool otter_record_banned(struct otter_device *d, const uint8_t sha256[32]);

#endif
