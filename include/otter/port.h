/* What a device brings: small tables of functions, each with a context pointer that Otter passes through.
 *
 * Every function returns 0 when it is done, and otherwise the driver's own code, which Otter keeps beside its own
 * error and never interprets. The core aligns, bounds and orders all calls, so a port may rely on what is said here.
 * Tables and what they point to belong to the caller and must outlive the device that uses them. */
#ifndef OTTER_PORT_H
#define OTTER_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/chip.h"
#include "otter/config.h"

enum {
    OTTER_SECTOR = 4096,      /* smallest piece that can be erased, in bytes */
    OTTER_HALF_BLOCK = 32768, /* 32 KiB erase */
    OTTER_BLOCK = 65536       /* 64 KiB erase; also the alignment of app partitions */
};

/* The whole flash chip. Offsets are bytes from its start. */
struct otter_flash {
    void *ctx;
    uint32_t size;        /* bytes */
    uint32_t write_unit;  /* offsets and lengths of writes are multiples of this; 1 to 32, a power of two */
    uint32_t erase_units; /* the erase sizes the chip has, or-ed together: OTTER_SECTOR (always) | 32768 | 65536 */
    int32_t (*read)(void *ctx, uint32_t off, void *dst, uint32_t n);
    /* Bits only go from 1 to 0. n is at most OTTER_SECTOR and never crosses one. */
    int32_t (*write)(void *ctx, uint32_t off, const void *src, uint32_t n);
    /* n is one of erase_units and off a multiple of n: one erase command. */
    int32_t (*erase)(void *ctx, uint32_t off, uint32_t n);
};

/* The chip that Otter runs on. */
struct otter_chip {
    void *ctx;
    const char *id;                     /* tells this device from all others, e.g. its MAC in hex; NULL: none */
    const struct otter_chip_info *info; /* never NULL: &otter_chip_esp32c3 or another of format/chip.h */
    uint16_t revision;                  /* major * 100 + minor */
    uint16_t efuse_revision;            /* eFuse block revision, major * 100 + minor */
    uint32_t secure_version;            /* anti-rollback version burnt into eFuse; 0 where it is not used */
    bool rollback;                      /* the boot loader was built with CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE */
    /* Physical flash offset at which the image that runs begins. */
    int32_t (*running)(void *ctx, uint32_t *off);
    /* Restarts after delay_ms; returns at once. */
    void (*reboot)(void *ctx, uint32_t delay_ms);
};

enum otter_hash_alg { OTTER_SHA256, OTTER_MD5 };

/* Room for a driver's hash state; a port states at compile time that its own fits. */
struct otter_hash {
    union {
        uint64_t align;
        uint8_t bytes[OTTER_CFG_HASH_STATE];
    } state;
};

enum otter_sign_alg {
    OTTER_SIGN_RSA3072_PSS, /* MGF1 with SHA-256, salt of 32 bytes */
    OTTER_SIGN_ECDSA_P256
};

enum { OTTER_RSA3072 = 384, OTTER_P256 = 32 }; /* bytes of a number */

/* A public key as it lies in a signature block: every number little-endian, in memory of the caller's.
 * RSA: modulus, 384 bytes (its top bit is set), then exponent, 4 bytes. ECDSA: the point's x, 32 bytes, then y, 32. */
struct otter_public_key {
    const uint8_t *bytes;
};

struct otter_crypto {
    void *ctx;
    int32_t (*hash_start)(void *ctx, struct otter_hash *h, enum otter_hash_alg alg);
    int32_t (*hash_update)(void *ctx, struct otter_hash *h, const void *data, size_t n);
    /* out takes 32 bytes (SHA-256) or 16 (MD5). Ends the operation, also when it fails. */
    int32_t (*hash_finish)(void *ctx, struct otter_hash *h, uint8_t *out);
    /* Starts copy with all that h has taken; h goes on. */
    int32_t (*hash_clone)(void *ctx, const struct otter_hash *h, struct otter_hash *copy);
    /* Ends an operation without a result; allowed on one that has ended, not on one never started. */
    void (*hash_abort)(void *ctx, struct otter_hash *h);
    /* Is signature that of this key over this SHA-256? It is little-endian like the key: RSA 384 bytes; ECDSA r, 32,
     * then s, 32. A key or signature that is no number of its kind is answered with false, not with an error. */
    int32_t (*verify)(void *ctx, enum otter_sign_alg alg, const struct otter_public_key *key, const uint8_t digest[32],
                      const uint8_t *signature, bool *good);
};

enum otter_setting { OTTER_SETTING_U32, OTTER_SETTING_STRING, OTTER_SETTING_BLOB };

/* Short values that outlive a restart, by namespace and key (1 to 15 characters each): NVS on the chip, the same format
 * on Linux. What set() has returned 0 for is in flash; a cut leaves the old value or the new one. */
struct otter_settings {
    void *ctx;
    /* *size: room at out; then the value's bytes (a string's NUL included), 0 if there is no such value. */
    int32_t (*get)(void *ctx, const char *ns, const char *key, enum otter_setting kind, void *out, size_t *size);
    /* U32: data points to a uint32_t. STRING: size counts the NUL. */
    int32_t (*set)(void *ctx, const char *ns, const char *key, enum otter_setting kind, const void *data, size_t size);
    /* 0 also if there is none. */
    int32_t (*erase)(void *ctx, const char *ns, const char *key);
};

enum otter_data_fate {
    OTTER_DATA_ANEW, /* nothing of what was in files is there: a file system is to be made */
    OTTER_DATA_KEPT, /* as it was */
    OTTER_DATA_GREW  /* as it was, and the region has grown at its end; after a cut this may be told again */
};

/* Who keeps files in the data region that an elastic flash leaves. */
struct otter_data {
    void *ctx;
    /* Is there anything in it that would be missed? NULL: always. */
    bool (*holds)(void *ctx);
    /* Lets go of the region: it is not read or written any more. false: it cannot now. */
    bool (*release)(void *ctx);
    /* There is a region again: size bytes from off in the flash, multiples of 65536. What is in it was made for its
     * first `made` bytes (anew: all of it; a data image: the image's own size, in whole sectors), which is what a file
     * system that cannot grow must be given. true: its file system is made, or found; from then on files in it count.
     */
    bool (*ready)(void *ctx, uint32_t off, uint32_t size, uint32_t made, enum otter_data_fate fate);
};

/* Milliseconds since start, wrapping at 2^32. */
struct otter_clock {
    void *ctx;
    uint32_t (*now_ms)(void *ctx);
};

#endif
