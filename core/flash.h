/* Flash access inside the engine: the driver's codes become Otter's errors, and are kept in the device's detail. */
#ifndef OTTER_CORE_FLASH_H
#define OTTER_CORE_FLASH_H

#include "otter/otter.h"

enum otter_err otter_flash_read(struct otter_device *d, uint32_t off, void *dst, uint32_t n);
/* Writes n bytes that do not cross a sector, then reads them back: OTTER_FLASH_VERIFY if they are not there. Pages of
 * 256 bytes that are all 0xFF are left out. n is rounded up to the write unit with 0xFF; src must have room for that.
 */
enum otter_err otter_flash_write(struct otter_device *d, uint32_t off, uint8_t *src, uint32_t n);
/* At most 64 bytes, read until two reads in a row agree: what decides which sector is erased, or what may start, must
 * not hang on one flipped bit. */
enum otter_err otter_flash_read_sure(struct otter_device *d, uint32_t off, void *dst, uint32_t n);
/* One erase command. */
enum otter_err otter_flash_erase(struct otter_device *d, uint32_t off, uint32_t n);
/* *same: are these n bytes in flash? */
enum otter_err otter_flash_same(struct otter_device *d, uint32_t off, const uint8_t *data, uint32_t n, bool *same);
/* Makes an image at off unstartable: its magic byte becomes 0. One write of a few bytes; where the flash cannot write a
 * byte twice (write unit above 4), one sector is erased. */
enum otter_err otter_flash_kill_image(struct otter_device *d, uint32_t off);

#endif
