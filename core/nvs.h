/* Settings by namespace and key, kept in an NVS partition as ESP-IDF keeps them: either side reads what the other
 * wrote.
 *
 * After a loss of power at any point every value is the old one or the new one. A call that returns OTTER_OK is in
 * flash. No malloc; not safe against two threads. Names have 1 to 15 characters. A key holds one value: setting it with
 * another type replaces it. Every call but otter_nvs_open() may also return what flash access gives (OTTER_FLASH_READ,
 * _WRITE, _ERASE, _VERIFY, with the driver's own code in detail); the store is then read and mended anew by the next
 * call. */
#ifndef OTTER_CORE_NVS_H
#define OTTER_CORE_NVS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/nvs.h"
#include "otter/err.h"
#include "otter/port.h"

/* Most pages a partition may have; each takes 8 bytes of RAM. 3 to 4096. */
#ifndef OTTER_CFG_NVS_PAGES
#define OTTER_CFG_NVS_PAGES 128
#endif
_Static_assert(OTTER_CFG_NVS_PAGES >= 3 && OTTER_CFG_NVS_PAGES <= 4096, "OTTER_CFG_NVS_PAGES");

struct otter_nvs_page {
    uint32_t seq;  /* of a page in use */
    uint8_t state; /* enum store_state */
    uint8_t next;  /* first slot that can be written, of the page that is written to */
    uint8_t used;  /* slots in use */
};

struct otter_nvs {
    const struct otter_flash *flash; /* must outlive this; its write unit is at most 4 */
    uint32_t offset;                 /* of the partition, bytes */
    int32_t detail;                  /* the driver's own code of the last failed flash access */
    uint16_t pages;
    uint16_t current; /* the page that is written to */
    bool reload;      /* a flash access failed: what is below may be out of date */
    bool mending;     /* what looks damaged is erased: every read is made twice */
    struct otter_nvs_page page[OTTER_CFG_NVS_PAGES];
};

/* Opens the partition at offset, size bytes (both multiples of 4096), and mends what a loss of power left. Blank flash
 * is an empty store. OTTER_NVS_VERSION, OTTER_ARG (region, write unit above 4, more than OTTER_CFG_NVS_PAGES pages), or
 * a flash error. A partition that has no free page can be read, not written. */
enum otter_err otter_nvs_open(struct otter_nvs *n, const struct otter_flash *flash, uint32_t offset, uint32_t size);

/* ---- read ---- OTTER_NVS_NAME, OTTER_NVS_NOT_FOUND, OTTER_NVS_TYPE, OTTER_NVS_CORRUPT */

/* type: OTTER_NVS_U8 to OTTER_NVS_I64, and the value must have been stored as such. Signed ones are sign-extended. */
enum otter_err otter_nvs_get_int(struct otter_nvs *n, const char *ns, const char *key, enum otter_nvs_type type,
                                 uint64_t *value);
/* *size: room at out; then the bytes of the value (a string's NUL included), also with OTTER_NVS_TOO_LONG, which says
 * that they do not fit. out may be NULL if *size is 0. */
enum otter_err otter_nvs_get_string(struct otter_nvs *n, const char *ns, const char *key, char *out, size_t *size);
enum otter_err otter_nvs_get_blob(struct otter_nvs *n, const char *ns, const char *key, void *out, size_t *size);

struct otter_nvs_item {
    char ns[OTTER_NVS_NAME_SIZE]; /* empty if the namespace has no name */
    char key[OTTER_NVS_NAME_SIZE];
    uint8_t type;   /* as set: OTTER_NVS_BLOB for any blob */
    uint32_t size;  /* bytes of the value */
    uint64_t value; /* of an integer */
};

enum otter_err otter_nvs_find(struct otter_nvs *n, const char *ns, const char *key, struct otter_nvs_item *out);

/* Zero it to start. */
struct otter_nvs_cursor {
    uint16_t page; /* its number + 1 */
    uint8_t slot;
    uint8_t ns; /* the namespace whose name is in name */
    char name[OTTER_NVS_NAME_SIZE];
    uint8_t bitmap[OTTER_NVS_BITMAP];
};
/* The next value; OTTER_NVS_NOT_FOUND behind the last. What is set meanwhile may or may not be seen. */
enum otter_err otter_nvs_next(struct otter_nvs *n, struct otter_nvs_cursor *c, struct otter_nvs_item *out);

struct otter_nvs_stats {
    uint32_t used, total; /* slots */
    uint32_t available;   /* slots that can still be written: one page is always kept back */
    uint16_t namespaces;
};
enum otter_err otter_nvs_stats(struct otter_nvs *n, struct otter_nvs_stats *out);

/* ---- write ---- also OTTER_NVS_FULL, OTTER_NVS_PAGES; a refused value leaves the old one. A value that is there
 * already is not written again. */

/* The index (1 to 254) of a namespace, which is made if it is not there. The setters do this themselves. */
enum otter_err otter_nvs_namespace(struct otter_nvs *n, const char *ns, uint8_t *index);

/* OTTER_ARG if value does not fit into type; give signed ones as (uint64_t)(int64_t)v. */
enum otter_err otter_nvs_set_int(struct otter_nvs *n, const char *ns, const char *key, enum otter_nvs_type type,
                                 uint64_t value);
/* At most 3,999 bytes; OTTER_NVS_TOO_LONG. */
enum otter_err otter_nvs_set_string(struct otter_nvs *n, const char *ns, const char *key, const char *text);
/* At most 4,000 bytes a page, all pages but one, 508,000 in all; OTTER_NVS_TOO_LONG. */
enum otter_err otter_nvs_set_blob(struct otter_nvs *n, const char *ns, const char *key, const void *data, size_t size);

enum otter_err otter_nvs_erase(struct otter_nvs *n, const char *ns, const char *key);
/* Every value in it, not all at once; its name stays. */
enum otter_err otter_nvs_erase_namespace(struct otter_nvs *n, const char *ns);

#endif
