/* Sizes that a build may set; every one has a limit, checked here. */
#ifndef OTTER_CONFIG_H
#define OTTER_CONFIG_H

#ifdef OTTER_CONFIG_FILE
#include OTTER_CONFIG_FILE
#endif

/* Bytes that a port's hash state may take (struct otter_hash). 64 to 1024. */
#ifndef OTTER_CFG_HASH_STATE
#define OTTER_CFG_HASH_STATE 256
#endif

/* Events kept for pages and logs; the oldest is overwritten. 8 to 256. */
#ifndef OTTER_CFG_EVENTS
#define OTTER_CFG_EVENTS 32
#endif

/* A session into which no byte comes for this long is given up, in milliseconds. 1,000 to 3,600,000. */
#ifndef OTTER_CFG_IDLE_MS
#define OTTER_CFG_IDLE_MS 30000
#endif

/* Where the partition table lies, in bytes from the start of the flash; a multiple of 4096.
 * Source: CONFIG_PARTITION_TABLE_OFFSET. */
#ifndef OTTER_CFG_TABLE_OFFSET
#define OTTER_CFG_TABLE_OFFSET 0x8000
#endif

/* Keys that signed images may be signed with, from the app and from the settings together. 1 to 8. */
#ifndef OTTER_CFG_KEYS
#define OTTER_CFG_KEYS 3
#endif

/* Firmware that was rolled back is remembered by its SHA-256, so that no door tries it again by itself: the last so
 * many. 1 to 16. */
#ifndef OTTER_CFG_BANNED
#define OTTER_CFG_BANNED 4
#endif

/* The errors that have a name and a sentence here: OTTER_ERRORS, or OTTER_DEVICE_ERRORS (otter/err.h). */
#ifndef OTTER_CFG_ERRORS
#define OTTER_CFG_ERRORS OTTER_ERRORS
#endif

_Static_assert(OTTER_CFG_HASH_STATE >= 64 && OTTER_CFG_HASH_STATE <= 1024, "OTTER_CFG_HASH_STATE");
_Static_assert(OTTER_CFG_EVENTS >= 8 && OTTER_CFG_EVENTS <= 256, "OTTER_CFG_EVENTS");
_Static_assert(OTTER_CFG_IDLE_MS >= 1000 && OTTER_CFG_IDLE_MS <= 3600000, "OTTER_CFG_IDLE_MS");
_Static_assert(OTTER_CFG_KEYS >= 1 && OTTER_CFG_KEYS <= 8, "OTTER_CFG_KEYS");
_Static_assert(OTTER_CFG_BANNED >= 1 && OTTER_CFG_BANNED <= 16, "OTTER_CFG_BANNED");
_Static_assert(OTTER_CFG_TABLE_OFFSET % 4096 == 0, "OTTER_CFG_TABLE_OFFSET");

#endif
