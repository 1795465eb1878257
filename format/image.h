/* App images: header, segments, checksum, appended SHA-256, app descriptor.
 * Source: ESP-IDF esp_app_format.h, esp_app_desc.h, esp_image_format.c (v5.4 to v6.0); docs/SPEC.md has the bytes.
 *
 * The checker takes the bytes of an image in any split and judges as the boot loader does. It does no I/O; all its
 * memory is the struct. */
#ifndef OTTER_FORMAT_IMAGE_H
#define OTTER_FORMAT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/chip.h"
#include "otter/err.h"
#include "otter/port.h"

enum {
    OTTER_IMAGE_MAGIC = 0xE9,
    OTTER_IMAGE_HEADER = 24,
    OTTER_IMAGE_SEGMENT_HEADER = 8,
    OTTER_IMAGE_SEGMENTS = 16,
    OTTER_IMAGE_DESC_OFFSET = 32,
    OTTER_IMAGE_DESC = 256,
    OTTER_IMAGE_JUDGED = 288, /* after so many bytes header, chip, revision and descriptor have been judged */
    OTTER_IMAGE_DIGEST = 32,
    OTTER_IMAGE_ROOM_MAX = 16 * 1024 * 1024
};

/* What to hold an image to. */
enum otter_image_flags {
    OTTER_IMAGE_LOADABLE = 1,  /* load addresses must be memory of the chip, as the boot loader asks before it copies */
    OTTER_IMAGE_DESCRIBED = 2, /* an app descriptor must be there, and name an MMU page size that the chip has */
    OTTER_IMAGE_BOOTLOADER = 4 /* the image lies at the boot loader's offset: no hash, no highest revision */
};

struct otter_image_rules {
    const struct otter_chip_info *chip; /* the one the image must be for; NULL: any that chips finds */
    /* Finds the chip that the image names where it is not the one above: otter_chip_by_id(), or NULL for none. */
    const struct otter_chip_info *(*chips)(uint16_t id);
    int32_t chip_revision;  /* major * 100 + minor; negative: not judged */
    int32_t efuse_revision; /* the same */
    uint32_t offset;        /* where in flash the image starts: mapped segments must be congruent to it */
    uint32_t room;          /* bytes the image may take, at most 16 MiB; 0: 16 MiB */
    unsigned flags;         /* enum otter_image_flags */
};

struct otter_image_segment {
    uint32_t offset; /* of the segment's data, from the start of the image */
    uint32_t address;
    uint32_t length;
};

struct otter_app_desc {
    uint32_t secure_version;
    char version[33]; /* all strings are ended here, whether or not they are in flash */
    char project[33];
    char time[17];
    char date[17];
    char idf[33];
    uint8_t elf_sha256[32];
    uint16_t efuse_min, efuse_max; /* major * 100 + minor; 0 and 65535: not set */
    uint8_t page_log2;             /* 0: not given */
};

/* Facts of an image, filled as its bytes come. */
struct otter_image_facts {
    uint8_t segment_count, spi_mode, spi_speed, spi_size, hash_appended;
    uint16_t chip_id;
    uint16_t revision_min, revision_max; /* major * 100 + minor; max 0 and 65535: not set */
    uint32_t entry;
    const struct otter_chip_info *chip; /* the one of chip_id; NULL: the rules know none */
    bool has_desc;
    struct otter_app_desc desc;
    struct otter_image_segment segment[OTTER_IMAGE_SEGMENTS];
    uint8_t segments; /* how many of them have been reached */
    uint8_t checksum; /* computed; equals checksum_stored in a good image */
    uint8_t checksum_stored;
    uint32_t length;           /* of the whole image with its digest; 0 until the last segment header has been read */
    uint8_t digest[32];        /* SHA-256 over everything before the appended one; only where it was computed */
    uint8_t digest_stored[32]; /* only if hash_appended */
    uint8_t file_digest[32]; /* SHA-256 over all bytes fed, what follows the image included; after otter_image_end() */
};

struct otter_image_check {
    struct otter_image_rules rules;
    const struct otter_crypto *crypto; /* NULL: structure and checksum only */
    struct otter_image_facts facts;
    enum otter_err err; /* the first one found stays */
    int32_t detail;     /* the crypto driver's code, with OTTER_CRYPTO */
    uint32_t offset;    /* bytes taken so far */
    uint8_t state;
    bool hashing;
    bool unseen;   /* payload was passed over: the checksum says nothing */
    uint32_t left; /* bytes still wanted by the state */
    uint32_t run;  /* payload bytes of the segment behind what the state takes */
    uint16_t held; /* bytes in hold */
    uint8_t hold[OTTER_IMAGE_DESC];
    struct otter_hash hash;
};

/* rules are copied. crypto, if given, must stay; its hash operation ends with the last byte, an error or
 * otter_image_stop(). */
void otter_image_start(struct otter_image_check *c, const struct otter_image_rules *rules,
                       const struct otter_crypto *crypto);
/* Takes the next n bytes. OTTER_OK: go on (bytes behind the image's end are taken and ignored); else the verdict. */
enum otter_err otter_image_feed(struct otter_image_check *c, const void *data, size_t n);
/* No more bytes come: the final verdict. */
enum otter_err otter_image_end(struct otter_image_check *c);
/* SHA-256 over all bytes fed so far; only with crypto. OTTER_CRYPTO if the driver fails. */
enum otter_err otter_image_hash_so_far(struct otter_image_check *c, uint8_t out[32]);
/* Gives up: ends the hash operation if one is open. */
void otter_image_stop(struct otter_image_check *c);
/* Passes over a segment's payload unseen, up to its end or to image offset `limit`, for a look at the headers alone;
 * only without crypto, and then no checksum is judged. */
void otter_image_skip(struct otter_image_check *c, uint32_t limit);
/* Has the image's last byte come? */
bool otter_image_complete(const struct otter_image_check *c);
/* Have the first 288 bytes been judged? */
static inline bool otter_image_judged(const struct otter_image_check *c) { return c->offset >= OTTER_IMAGE_JUDGED; }

/* Reads a descriptor; false (and d untouched) without its magic word. */
bool otter_app_desc_read(const uint8_t raw[OTTER_IMAGE_DESC], struct otter_app_desc *d);

/* What ESP-IDF's esp_image_verify answers where we answer err: 0, 0x2002, -1, 0x102 ... */
int32_t otter_image_esp_err(enum otter_err err);

#endif
