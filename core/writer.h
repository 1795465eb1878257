/* Gets the bytes of one image into its slot: erases as they come, leaves what is there already, writes the header last.
 */
#ifndef OTTER_CORE_WRITER_H
#define OTTER_CORE_WRITER_H

#include "otter/otter.h"

/* need: bytes that will come; 0 if that is not known. Touches no flash. */
void otter_writer_start(struct otter_writer *w, const struct otter_slot *slot, uint32_t need);

/* The slot holds the image's bytes up to a block's end already, from a session that was cut; head: its first 32 bytes.
 */
enum otter_err otter_writer_resume(struct otter_writer *w, struct otter_device *d, const uint8_t head[OTTER_HEAD]);

/* Puts the sector at off (a multiple of 4096, each once and in order) with its n bytes. The first one's first 32 bytes
 * are kept back. data has room for a whole sector and may be padded. OTTER_AGAIN: flash was erased for it, which takes
 * long enough; put the same again. */
enum otter_err otter_writer_put(struct otter_writer *w, struct otter_device *d, uint32_t off, uint8_t *data,
                                uint32_t n);

/* All bytes have come, and are to be judged by what is in flash: writes a first sector anew whose header is spent, so
 * that nothing but the header is written after the judgement. scratch: one sector. */
enum otter_err otter_writer_settle(struct otter_writer *w, struct otter_device *d, uint8_t scratch[OTTER_SECTOR]);

/* Everything is there and good: writes the first 32 bytes, so that the image can be started. */
enum otter_err otter_writer_head(struct otter_writer *w, struct otter_device *d);

/* Makes what is in the slot unstartable again, if the slot has been changed at all. */
enum otter_err otter_writer_drop(struct otter_writer *w, struct otter_device *d);

#endif
