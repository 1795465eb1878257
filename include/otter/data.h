/* The data image that belongs to an update of an elastic flash.
 *
 * The update's offer announces it (data_size, data_sha256). Once the new firmware has confirmed itself the device waits
 * for it: the data region is nobody's, and the sender brings the image, after restarts and cuts from where it stood.
 * When it is whole the region is handed to who keeps files in it, as kept. */
#ifndef OTTER_DATA_H
#define OTTER_DATA_H

#include "otter/otter.h"

struct otter_data_wait {
    struct otter_slot region;
    uint32_t size;   /* bytes of the image; it goes to the region's start */
    uint32_t wanted; /* next byte offset; whole blocks of 64 KiB are remembered */
    uint8_t sha256[32];
};

/* Is a data image waited for? */
bool otter_data_waits(struct otter_device *d, struct otter_data_wait *out);

/* One data image on its way. The caller's memory, which must stay until the end or otter_data_abort(). */
struct otter_data_session {
    struct otter_device *device;
    struct otter_data_wait wait;
    enum otter_err err;           /* the first error; later calls return it */
    uint32_t received, read_back; /* bytes */
    uint16_t held;                /* bytes in sector */
    bool hashing;
    struct otter_hash hash;
    uint8_t sector[OTTER_SECTOR];
};

/* offset: of the first byte that comes. OTTER_STATE: none is waited for. OTTER_OFFSET: not from there. OTTER_BUSY: an
 * update is under way. Touches no flash. */
enum otter_err otter_data_begin(struct otter_data_session *s, struct otter_device *d, uint32_t offset);
/* Takes the next n bytes; erases blocks as they come. OTTER_SIZE: more than were announced. */
enum otter_err otter_data_feed(struct otter_data_session *s, const void *data, size_t n);
/* All have come: one step a call while it returns OTTER_AGAIN. Reads everything back. OTTER_SIZE: some are missing, and
 * may still be fed in another session. OTTER_DIGEST: it is another image; the next session begins anew. */
enum otter_err otter_data_finish(struct otter_data_session *s);
/* Ends it before its end. */
void otter_data_abort(struct otter_data_session *s);

/* Nobody will bring it: the region is handed out to be made anew. OTTER_STATE: none is waited for. */
enum otter_err otter_data_forgo(struct otter_device *d);

#endif
