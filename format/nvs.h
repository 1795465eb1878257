/* NVS pages: 4096 bytes of header, slot bitmap and 126 entries of 32 bytes, in which settings are kept by name.
 * Source: ESP-IDF nvs_page.hpp, nvs_types.hpp, nvs_types.cpp; esp-idf-nvs-partition-gen; docs/SPEC.md. */
#ifndef OTTER_FORMAT_NVS_H
#define OTTER_FORMAT_NVS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/err.h"

enum {
    OTTER_NVS_PAGE_SIZE = 4096, /* bytes */
    OTTER_NVS_HEADER = 32,      /* bytes, at the start of the page */
    OTTER_NVS_BITMAP = 32,      /* bytes, right after the header: two bits a slot */
    OTTER_NVS_FIRST = 64,       /* where slot 0 starts, in bytes from the start of the page */
    OTTER_NVS_ENTRY = 32,       /* bytes a slot */
    OTTER_NVS_SLOTS = 126,      /* slots a page */
    OTTER_NVS_HEADER_CRC = 28,  /* where the header's CRC lies */
    OTTER_NVS_NAME_SIZE = 16,   /* bytes of a key or namespace name, with its NUL */
    OTTER_NVS_CHUNK_MAX = 4000, /* bytes of payload that fit into one page: the longest string, with its NUL */
    OTTER_NVS_CHUNKS = 127,     /* chunks a blob can have */
    OTTER_NVS_NO_CHUNK = 0xFF,  /* the chunk field of everything but blob data */
    OTTER_NVS_TOGGLE = 0x80,    /* a blob's chunks count from 0 or from here, in turn with every update */
    OTTER_NVS_V1 = 0xFF,        /* page version: a blob lies in one page */
    OTTER_NVS_V2 = 0xFE         /* page version: a blob may span pages; a lower number is newer and not known */
};

/* State of a page. Bits are only ever cleared, so it goes down this list. */
#define OTTER_NVS_PAGE_BLANK 0xFFFFFFFFU
#define OTTER_NVS_PAGE_ACTIVE 0xFFFFFFFEU
#define OTTER_NVS_PAGE_FULL 0xFFFFFFFCU
#define OTTER_NVS_PAGE_FREEING 0xFFFFFFF8U /* what is in it is being copied to the newest page */

enum otter_nvs_slot_state { OTTER_NVS_ERASED = 0, OTTER_NVS_ILLEGAL = 1, OTTER_NVS_WRITTEN = 2, OTTER_NVS_EMPTY = 3 };

enum otter_nvs_type {
    OTTER_NVS_U8 = 0x01,
    OTTER_NVS_U16 = 0x02,
    OTTER_NVS_U32 = 0x04,
    OTTER_NVS_U64 = 0x08,
    OTTER_NVS_I8 = 0x11,
    OTTER_NVS_I16 = 0x12,
    OTTER_NVS_I32 = 0x14,
    OTTER_NVS_I64 = 0x18,
    OTTER_NVS_STRING = 0x21,
    OTTER_NVS_BLOB = 0x41,      /* version 1, whole; also the name of any blob in calls */
    OTTER_NVS_BLOB_DATA = 0x42, /* version 2, one chunk */
    OTTER_NVS_BLOB_INDEX = 0x48 /* version 2, how many chunks there are */
};

struct otter_nvs_header {
    uint32_t state;
    uint32_t seq;    /* order in which pages were taken into use */
    uint8_t version; /* OTTER_NVS_V1, OTTER_NVS_V2 */
    bool sound;      /* the CRC is right (it does not cover the state) */
};

/* The first slot of an item. Payload, if there is any, is in the span - 1 slots after it. */
struct otter_nvs_entry {
    uint8_t ns;    /* namespace index; 0: this entry names a namespace and holds its index */
    uint8_t type;  /* enum otter_nvs_type, or one that is not known */
    uint8_t span;  /* slots, this one included */
    uint8_t chunk; /* OTTER_NVS_NO_CHUNK but for blob data */
    char key[OTTER_NVS_NAME_SIZE];
    uint8_t data[8]; /* as in flash */
};

void otter_nvs_header_read(const uint8_t raw[OTTER_NVS_HEADER], struct otter_nvs_header *h);
/* An active page's header. */
void otter_nvs_header_write(uint32_t seq, uint8_t version, uint8_t raw[OTTER_NVS_HEADER]);

/* bitmap: as many bytes as hold the slot. */
enum otter_nvs_slot_state otter_nvs_slot_get(const uint8_t *bitmap, unsigned slot);
/* Clears bits as flash would; what cannot be reached that way is left. */
void otter_nvs_slot_set(uint8_t *bitmap, unsigned slot, enum otter_nvs_slot_state state);

/* False if these bytes are no entry that may start at this slot (0 to 125): CRC, span, or size is wrong. An entry of a
 * type that is not known is one, if it lies within the page. */
bool otter_nvs_entry_read(const uint8_t raw[OTTER_NVS_ENTRY], unsigned slot, struct otter_nvs_entry *e);
void otter_nvs_entry_write(const struct otter_nvs_entry *e, uint8_t raw[OTTER_NVS_ENTRY]);

/* An entry with namespace index, type and key set, span 1, no chunk, and data 0xFF. key: at most 15 characters. */
void otter_nvs_entry_start(struct otter_nvs_entry *e, uint8_t ns, enum otter_nvs_type type, const char *key);

/* ---- what is in an entry's data ---- */

/* 1, 2, 4 or 8 bytes for an integer type, else 0. */
unsigned otter_nvs_int_size(unsigned type);
/* Does this number (two's complement if the type is signed) fit into the type? */
bool otter_nvs_int_fits(unsigned type, uint64_t value);
/* Sign-extended if the type is signed. */
uint64_t otter_nvs_int_get(const struct otter_nvs_entry *e);
void otter_nvs_int_set(struct otter_nvs_entry *e, uint64_t value);

/* Has a payload: string, version 1 blob, blob data. */
bool otter_nvs_has_payload(unsigned type);
uint32_t otter_nvs_payload_size(const struct otter_nvs_entry *e); /* bytes, at most 4000 */
uint32_t otter_nvs_payload_crc(const struct otter_nvs_entry *e);
/* Sets size, CRC and span. size: at most OTTER_NVS_CHUNK_MAX. */
void otter_nvs_payload_set(struct otter_nvs_entry *e, const void *data, uint32_t size);

/* Of an OTTER_NVS_BLOB_INDEX. */
struct otter_nvs_blob {
    uint32_t size;  /* bytes in all */
    uint8_t chunks; /* how many */
    uint8_t start;  /* the first chunk's number: 0 or OTTER_NVS_TOGGLE */
};
struct otter_nvs_blob otter_nvs_blob_get(const struct otter_nvs_entry *e);
void otter_nvs_blob_set(struct otter_nvs_entry *e, const struct otter_nvs_blob *b);

/* ---- names ---- */

/* OTTER_NVS_NAME unless the name has 1 to 15 characters. */
enum otter_err otter_nvs_name_check(const char *name);
/* "u8" to "i64", "string", "blob" (all three kinds); "unknown". */
const char *otter_nvs_type_name(unsigned type);
/* The other way round; 0 if there is no such type. */
unsigned otter_nvs_type_by_name(const char *name);

#endif
