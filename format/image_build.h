/* Writes app images: from an ELF program, or a synthetic one for tests.
 * Source: ESP-IDF esp_image_format.c and bootloader_utility.c (what is loaded and mapped); the layout that esptool's
 * elf2image was seen to write, byte for byte in the vectors; docs/SPEC.md has the bytes. */
#ifndef OTTER_FORMAT_IMAGE_BUILD_H
#define OTTER_FORMAT_IMAGE_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/chip.h"
#include "format/elf.h"
#include "otter/err.h"
#include "otter/port.h"

enum otter_flash_mode {
    OTTER_FLASH_QIO,
    OTTER_FLASH_QOUT,
    OTTER_FLASH_DIO,
    OTTER_FLASH_DOUT,
    OTTER_FLASH_FAST_READ,
    OTTER_FLASH_SLOW_READ
};

struct otter_image_options {
    const struct otter_chip_info *chip;
    uint8_t flash_mode;                  /* enum otter_flash_mode */
    uint8_t flash_speed;                 /* the header's code, see otter_flash_speed_code() */
    uint8_t flash_size;                  /* 0: 1 MB, 1: 2 MB ... 7: 128 MB */
    uint16_t revision_min, revision_max; /* major * 100 + minor; max 65535: none */
    bool undescribed;                    /* allow an image without app descriptor, or shorter than one */
};

/* Where an image is written: room bytes of the caller's at data. */
struct otter_image_output {
    uint8_t *data;
    size_t room;
    uint32_t length;  /* result: bytes of the image */
    uint32_t address; /* with an error: the load address that it is about, 0 if none */
    int32_t detail;   /* with OTTER_CRYPTO: the driver's code */
};

struct otter_image_synth {
    const char *version, *project; /* at most 31 bytes each */
    uint32_t payload;              /* bytes besides header and descriptor; rounded up to a multiple of 4 */
    uint32_t seed;                 /* the same seed gives the same bytes */
};

/* Defaults: DIO, the chip's speed with code 0 (40 MHz where it has that), 4 MB, every revision, descriptor wanted. */
void otter_image_options_init(struct otter_image_options *options, const struct otter_chip_info *chip);
/* The header's code for a flash speed; false if the chip has no such speed. */
bool otter_flash_speed_code(const struct otter_chip_info *chip, unsigned mhz, uint8_t *code);
/* May this program be for that chip? Same processor, and all content at addresses that are its memory. */
bool otter_image_fits(const struct otter_elf *elf, const struct otter_chip_info *chip);

/* The image of a program. OTTER_ELF: sections overlap, are too many, start off a word, or make more flash-mapped
 * segments than the boot loader maps (one for data and one for code; two where they share a range). OTTER_CHIP: a
 * program for another processor. OTTER_SEGMENT_ADDR, _LENGTH, _COUNT, OTTER_PAGE_SIZE, OTTER_NO_DESCRIPTOR,
 * OTTER_TOO_SHORT: what the boot loader or the checker would refuse. OTTER_TOO_BIG: more than room. */
enum otter_err otter_image_build(const struct otter_elf *elf, const struct otter_image_options *options,
                                 const struct otter_crypto *crypto, struct otter_image_output *out);

/* An image that passes every check and holds no program: the descriptor in the first flash-mapped memory, pseudo-random
 * payload in RAM, and what is beyond 32 KiB of it behind the descriptor. OTTER_ARG: a string is too long.
 * OTTER_SEGMENT_ADDR: the chip's memory is not known, or too small for the payload. */
enum otter_err otter_image_synth(const struct otter_image_synth *what, const struct otter_image_options *options,
                                 const struct otter_crypto *crypto, struct otter_image_output *out);

#endif
