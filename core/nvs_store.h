/* The inside of the settings store: pages, slots and items in flash. For core/nvs*.c only. */
#ifndef OTTER_CORE_NVS_STORE_H
#define OTTER_CORE_NVS_STORE_H

#include "core/nvs.h"

enum { STORE_NONE = 0xFFFF }; /* no page */

enum store_state {
    STORE_FREE,   /* blank */
    STORE_DIRTY,  /* neither blank nor a page: to be erased before use */
    STORE_READY,  /* chosen to be written to; its header comes with the first item */
    STORE_ACTIVE, /* from here on in use */
    STORE_FULL,
    STORE_FREEING
};

/* Where an item starts. */
struct store_at {
    uint16_t page;
    uint8_t slot;
};

struct store_item {
    struct store_at at;
    struct otter_nvs_entry e;
};

/* ---- core/nvs_flash.c: bytes ---- */

/* off: from the start of the page. Entries are read and written whole, so that a flash may keep them encrypted. */
enum otter_err otter_store_read(struct otter_nvs *n, unsigned page, uint32_t off, void *dst, uint32_t size);
/* One write within the page, read back: OTTER_FLASH_VERIFY if it is not there. */
enum otter_err otter_store_write(struct otter_nvs *n, unsigned page, uint32_t off, const void *src, uint32_t size);
/* Makes a page free. Its header is made invalid first, so that a half-erased page is never taken for one. */
enum otter_err otter_store_erase_page(struct otter_nvs *n, unsigned page);
enum otter_err otter_store_read_entry(struct otter_nvs *n, struct store_at at, uint8_t raw[OTTER_NVS_ENTRY]);
enum otter_err otter_store_blank(struct otter_nvs *n, unsigned page, uint32_t off, uint32_t size, bool *blank);

/* ---- core/nvs_page.c: slots and items ---- */

enum otter_err otter_store_bitmap(struct otter_nvs *n, unsigned page, uint8_t bitmap[OTTER_NVS_BITMAP]);
/* Changes the state of count slots, from the last bitmap word to the first, and the page's count of used slots. */
enum otter_err otter_store_mark(struct otter_nvs *n, struct store_at at, unsigned count,
                                enum otter_nvs_slot_state state);
static inline enum otter_err otter_store_erase_item(struct otter_nvs *n, const struct store_item *i)
{
    return otter_store_mark(n, i->at, i->e.span, OTTER_NVS_ERASED);
}
/* Writes an item at the end of the current page, which must have room for it; *at: where it is. */
enum otter_err otter_store_append(struct otter_nvs *n, const struct otter_nvs_entry *e, const void *payload,
                                  struct store_at *at);
/* One slot more at the end of the current page. */
enum otter_err otter_store_append_slot(struct otter_nvs *n, const uint8_t raw[OTTER_NVS_ENTRY]);
/* Reads an item's payload to out; OTTER_NVS_CORRUPT if its CRC is wrong. */
enum otter_err otter_store_payload(struct otter_nvs *n, const struct store_item *i, uint8_t *out);
/* *same: is this its payload? */
enum otter_err otter_store_payload_same(struct otter_nvs *n, const struct store_item *i, const uint8_t *data,
                                        bool *same);
/* *sound: is its CRC right? */
enum otter_err otter_store_payload_sound(struct otter_nvs *n, const struct store_item *i, bool *sound);

/* ---- core/nvs_walk.c: finding items ---- */

/* The page after this one in order of use, STORE_NONE after the last; the first one after STORE_NONE. */
unsigned otter_store_page_after(const struct otter_nvs *n, unsigned page);

/* Walks over all items, oldest page first. */
struct store_walk {
    unsigned page;
    unsigned slot;
    unsigned only; /* this page, or STORE_NONE for all */
    uint8_t bitmap[OTTER_NVS_BITMAP];
};
struct store_walk otter_store_walk_all(void);
struct store_walk otter_store_walk_page(unsigned page);
/* OTTER_NVS_NOT_FOUND behind the last. */
enum otter_err otter_store_step(struct otter_nvs *n, struct store_walk *w, struct store_item *out);

struct store_spec {
    bool (*match)(const struct store_spec *spec, const struct otter_nvs_entry *e);
    const char *key;
    uint8_t ns, type, chunk;
};
bool otter_store_is_value(const struct store_spec *spec, const struct otter_nvs_entry *e); /* the key's, of any type */
bool otter_store_is_typed(const struct store_spec *spec, const struct otter_nvs_entry *e); /* the key's, of this type */
bool otter_store_is_chunk(const struct store_spec *spec,
                          const struct otter_nvs_entry *e); /* the blob's chunk of this number */
bool otter_store_is_index_of(const struct store_spec *spec, const struct otter_nvs_entry *e); /* covers this chunk */
/* The first item that matches, from the given page on and round; STORE_NONE: from the oldest on. OTTER_NVS_NOT_FOUND.
 */
enum otter_err otter_store_find(struct otter_nvs *n, const struct store_spec *spec, unsigned from,
                                struct store_item *out);

/* ---- core/nvs_room.c: pages coming and going ---- */

/* Slots the current page still takes; 0 if there is none. */
unsigned otter_store_left(const struct otter_nvs *n);
/* Sees to it that the current page takes this many slots (1 to 126); else OTTER_NVS_FULL or OTTER_NVS_PAGES, and
 * nothing that counts was written. */
enum otter_err otter_store_room(struct otter_nvs *n, unsigned slots);
/* The same, but always with another page than the current one. Erased slots are reclaimed if only one page is free. */
enum otter_err otter_store_more(struct otter_nvs *n, unsigned slots);
/* Copies all items of a page to a free one, which becomes the current page, and frees it. */
enum otter_err otter_store_move_page(struct otter_nvs *n, unsigned page);
unsigned otter_store_free_pages(const struct otter_nvs *n);
unsigned otter_store_newest(const struct otter_nvs *n); /* STORE_NONE if no page is in use */

/* ---- core/nvs_open.c ---- */

/* Reads all pages and mends them, if that is due. */
enum otter_err otter_store_ready(struct otter_nvs *n);

/* ---- core/nvs_blob.c ---- */

/* Drops blobs that are not whole, and chunks that belong to none. */
enum otter_err otter_store_mend_blobs(struct otter_nvs *n);

/* ---- core/nvs.c ---- */

/* Erases all that the key holds but the item at keep (keep->page may be STORE_NONE). */
enum otter_err otter_store_drop(struct otter_nvs *n, uint8_t ns, const char *key, const struct store_item *keep);
/* Checks names, and finds the namespace: index 0 if there is none. */
enum otter_err otter_store_enter(struct otter_nvs *n, const char *ns, const char *key, uint8_t *index);
/* Finds a value of one of two types (the second may be 0). OTTER_NVS_TYPE if the key holds another. */
enum otter_err otter_store_get(struct otter_nvs *n, const char *ns, const char *key, const uint8_t types[2],
                               struct store_item *out);

#endif
