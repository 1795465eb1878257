/* Otter's engine: one update session at a time into the spare slot, switch, confirm, roll back.
 *
 * No malloc, no operating system: all memory is the caller's. Nothing here is safe against two threads: call it from
 * one task, or under one lock. Fields of the structs below are Otter's own unless said otherwise. */
#ifndef OTTER_OTTER_H
#define OTTER_OTTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/image.h"
#include "format/otadata.h"
#include "format/table.h"
#include "otter/config.h"
#include "otter/err.h"
#include "otter/event.h"
#include "otter/port.h"

/* Slots by the boot loader's own numbers: 0 to 15 are ota_0 to ota_15. */
enum { OTTER_SCHEMA = 1 /* of what the engine keeps in the settings */, OTTER_WHY = 64 };

enum { OTTER_SLOT_FACTORY = -1, OTTER_SLOT_TEST = -2, OTTER_SLOT_NONE = -99 };

enum {
    OTTER_FEED_MAX = 65536,   /* most bytes otter_feed() takes in one call */
    OTTER_SESSION_MAX = 8192, /* sizeof(struct otter_session), sector buffer included, is at most this */
    OTTER_HEAD = 32           /* bytes of an image that are written last */
};

/* How the flash is divided. A device that names no layout links none. */
struct otter_layout;
extern const struct otter_layout otter_layout_elastic;

/* What the device brings; all must outlive the device. */
struct otter_ports {
    const struct otter_flash *flash;
    const struct otter_chip *chip;
    const struct otter_crypto *crypto;
    const struct otter_clock *clock;
    const struct otter_settings *settings; /* NULL: updates cannot be resumed, and no reason is kept of a roll back */
    const struct otter_layout *layout;     /* NULL: fixed slots; or &otter_layout_elastic */
    const struct otter_data *data;         /* with otter_layout_elastic: who keeps files in what it leaves; or NULL */
};

struct otter_slot {
    uint32_t offset, size; /* bytes; size 0: the table has no such slot */
};

struct otter_slots {
    struct otter_slot ota[OTTER_OTA_SLOTS];
    struct otter_slot factory, test, otadata;
    uint8_t ota_rows; /* ota rows in the table, which is what sequence numbers count in */
};

/* What is remembered of an update across restarts. */
struct otter_record {
    uint8_t phase; /* enum otter_record_phase; 0: none */
    int8_t slot;
    int8_t from;        /* slot that ran when it began */
    bool retried;       /* the switch has been made a second time */
    uint32_t size;      /* bytes of the file */
    uint32_t progress;  /* bytes of it in flash, as the settings have it */
    uint32_t writes;    /* to the settings, for this update since start */
    uint8_t sha256[32]; /* of the file; zeros while it is not known */
    uint8_t head[OTTER_HEAD];
    char version[32];
};

/* When firmware on trial counts as healthy. The settings overrule it: u32 "trial_up_ms", "trial_net", "trial_app" and
 * "trial_end_ms" in namespace "otter". */
struct otter_health_policy {
    uint32_t uptime_ms;   /* it has been up for so long */
    uint32_t deadline_ms; /* or is rolled back after so long; 0: never */
    bool network;         /* and has reached the network: otter_health_network() */
    bool app;             /* and its own check has said so: otter_health_app() */
};
enum { OTTER_TRIAL_UPTIME_MS = 10000, OTTER_TRIAL_DEADLINE_MS = 300000 };

struct otter_health {
    struct otter_health_policy policy;
    uint32_t last_ms; /* the clock at the last poll */
    uint32_t up_ms;   /* what polls have seen pass since start */
    uint8_t failures; /* of confirming or rolling back */
    bool unread;      /* whether it is on trial could not be read yet */
    bool on_trial;    /* the running firmware began on trial, and has not been confirmed */
    bool network_seen, app_said, app_works;
};

/* Which signatures are asked for. The settings add to it: u32 "signed" (not 0: only signed images) and blob "keys" (32
 * bytes each) in namespace "otter". */
struct otter_signing {
    bool required; /* an image without a signature by one of the keys is refused */
    bool unread;   /* the settings could not be read: until they are, the same */
    uint8_t count;
    uint8_t keys[OTTER_CFG_KEYS][32]; /* SHA-256 of each, as burnt into eFuse */
};

/* The data region as it was handed out last. */
struct otter_data_status {
    struct otter_slot region;
    uint8_t fate; /* enum otter_data_fate */
    bool offered; /* files are in it */
    bool waiting; /* for the data image of the update; otter/data.h */
};

struct otter_session;

struct otter_device {
    struct otter_ports ports;
    struct otter_slots slots;
    struct otter_image_facts running_image; /* of the firmware that runs; length 0 if it could not be read */
    struct otter_event_ring events;         /* read it with otter_event_next() */
    struct otter_session *session;          /* the one that holds the device */
    int32_t detail;                         /* the driver's own code of the last failed port call */
    int8_t running;                         /* slot, OTTER_SLOT_NONE if the table names none there */
    int8_t went_back;                       /* slot whose firmware was given up, found at start; OTTER_SLOT_NONE */
    bool switched;                          /* otadata has been changed: only a restart is left to do */
    struct otter_record record;
    struct otter_health health;
    struct otter_signing signing;
    struct otter_data_status data;
};

/* What a door knows of an image before its bytes come. Zero it, then fill in what is known. */
struct otter_offer {
    const char *door;      /* static name; for events and for who is told "busy" */
    uint32_t size;         /* bytes of the file; 0: not known */
    uint32_t size_at_most; /* where it is not: a bound, e.g. of a form around it; 0: none */
    uint32_t offset;       /* of the first byte that comes: 0, or what otter_resume_offset() says */
    bool has_sha256;
    uint8_t sha256[32];  /* of the whole file */
    const char *version; /* NULL: not announced; must stay until otter_finish() is done */
    bool any_project;    /* take another project's image too */
    bool again;          /* take the image that runs already, too */
    bool automatic;      /* nobody asked for it: an image that was rolled back is not tried again */
    bool data_may_go; /* files in the data region may be lost; else only if u32 "data_loss" in namespace "otter" says so
                       */
    uint32_t data_size; /* bytes of the data image that follows, otter/data.h; 0: none does */
    uint8_t data_sha256[32];
};

enum otter_session_step {
    OTTER_STEP_CLOSED, /* never opened, refused, broken off, or done */
    OTTER_STEP_RECEIVING,
    OTTER_STEP_VERIFYING,
    OTTER_STEP_COMPARING, /* with the running image, where neither has a SHA-256 appended */
    OTTER_STEP_HEADER,
    OTTER_STEP_SWITCH,
    OTTER_STEP_DONE
};

/* How the bytes get into the slot: what is erased, what was kept because it was there already. */
struct otter_writer {
    uint32_t base, size;  /* the slot, bytes */
    uint32_t need;        /* bytes the file takes; the slot's size if that is not known */
    uint32_t block_end;   /* end of the 64 KiB block being worked on, from the slot's start */
    uint32_t erased_to;   /* up to here the slot is erased or written, from its start */
    uint32_t paid, plain; /* time spent and time the plain way would have taken, ms by datasheet */
    bool comparing;       /* the block matches so far */
    bool touched;         /* the slot's old header is no more */
    bool first_kept;      /* the first sector matched and was left, but for its magic byte */
    uint8_t head[OTTER_HEAD];
};

/* One update on its way. The caller's memory, which must stay until the session is closed. */
struct otter_session {
    struct otter_device *device;
    struct otter_offer offer;
    enum otter_err err;  /* the first error; later calls return it */
    uint32_t err_offset; /* image offset at which it was found */
    int32_t detail;      /* the driver's own code with it */
    uint8_t step;        /* enum otter_session_step */
    int8_t slot;         /* where it goes */
    bool judged;         /* the first 288 bytes have been judged good */
    bool signature_good; /* a signature by a trusted key was found */
    bool accepted;       /* the slot has been touched */
    uint32_t received;   /* bytes taken */
    uint32_t written;    /* bytes in flash */
    uint32_t read_back;  /* bytes verified */
    uint32_t told;       /* bytes in flash at the last progress event */
    uint32_t last_ms;    /* when the last byte or step came */
    uint16_t held;       /* bytes in sector */
    struct otter_writer writer;
    struct otter_image_check check;
    uint8_t sector[OTTER_SECTOR];
};
_Static_assert(sizeof(struct otter_session) <= OTTER_SESSION_MAX, "a session takes at most 8 KiB");

/* Reads table, otadata, the running image and the update record, and mends what a cut or a roll back left: the header
 * of firmware that was given up is made unstartable (one write); a switch that a cut has undone without a mark is made
 * again, once: then d->switched is set, and the device is to restart. ports is copied. Without a usable table or
 * running slot the error says why; status calls then still work as far as they can. */
enum otter_err otter_open(struct otter_device *d, const struct otter_ports *ports);

/* Do the table's slots overlap, so that otter_layout_elastic is to be named to otter_open()? False also if it cannot be
 * read. scratch is overwritten: the device that is opened next will do. */
bool otter_elastic_table(struct otter_device *scratch, const struct otter_ports *ports);

/* Only images signed with one of these keys are taken from now on. To be called after otter_open(); keys beyond
 * OTTER_CFG_KEYS, those of the settings included, are OTTER_ARG. */
enum otter_err otter_require_signature(struct otter_device *d, const uint8_t (*key_digests)[32], unsigned count);

/* To be called every second or so (of a longer pause, or a clock that jumps, two seconds count for the trial): ends a
 * session into which nothing comes any more, and confirms firmware on trial or rolls it back, by the health policy. */
void otter_poll(struct otter_device *d);

/* ---- one update ---- */

/* Opens a session into the next slot. Touches no flash. OTTER_BUSY while another session holds the device or a restart
 * is due, OTTER_UNCONFIRMED while the running firmware is on trial (the spare slot is then its way back),
 * OTTER_TOO_BIG, OTTER_NO_SLOT, OTTER_NO_OTADATA. offer is copied, but for the strings it points to. */
enum otter_err otter_begin(struct otter_session *s, struct otter_device *d, const struct otter_offer *offer);

/* From which byte on an update with this size and SHA-256 would go on after a cut; 0 if it would begin anew. */
uint32_t otter_resume_offset(const struct otter_device *d, const struct otter_offer *offer);

/* The next byte offset that is wanted. */
uint32_t otter_want(const struct otter_session *s);

/* Takes the next n bytes (at most OTTER_FEED_MAX). Nothing is erased before the first 288 bytes have been judged. With
 * up to 4096 bytes a call blocks for one erase, or for two sectors' writes with the reads that go with them. The first
 * call that changes flash mends otadata, if it must, and writes the record: an erase of a sector may come on top where
 * a page of the settings is full, and with the first erase of the slot where its old header can only be erased
 * (write_unit above 4). */
enum otter_err otter_feed(struct otter_session *s, const void *data, size_t n);

/* All bytes have come: one step a call while it returns OTTER_AGAIN. Reads everything back and verifies it, writes the
 * header, switches otadata. OTTER_OK: the new slot starts at the next restart, which is the caller's to bring about.
 * OTTER_ALREADY_CURRENT: it runs already; nothing was switched. */
enum otter_err otter_finish(struct otter_session *s);

/* Gives the session up, if it is still open; never switches. What is in the slot cannot be started. */
void otter_abort(struct otter_session *s);

/* ---- the firmware that runs ---- */

/* The running firmware works: marks its slot valid (erases and writes one otadata sector). OTTER_OK also if that was so
 * already. After the boot loader's fallback search otadata names a slot that cannot be started; then the running one is
 * named instead. OTTER_NOT_ACTIVE if otadata names another one that can: a switch to it is due. */
enum otter_err otter_confirm(struct otter_device *d);

/* Gives the running firmware up: verifies the previous one, then marks the running slot invalid (erases and writes one
 * otadata sector). The previous one starts at the next restart, and can tell why (at most 63 characters).
 * OTTER_NO_PREVIOUS if there is none that verifies. */
enum otter_err otter_rollback(struct otter_device *d, const char *why);

/* Why firmware was given up last; empty if that is not known. */
void otter_why(struct otter_device *d, char out[OTTER_WHY]);

/* What the health policy waits for, told by the device: the network has been reached; the app's own check has a
 * verdict. */
void otter_health_network(struct otter_device *d);
void otter_health_app(struct otter_device *d, bool works);
/* Instead of: up for 10 s, network reached, within 5 minutes. To be called after otter_open(). */
void otter_health_set_policy(struct otter_device *d, const struct otter_health_policy *policy);

/* ---- what is ---- */

struct otter_slot_status {
    int8_t slot;
    struct otter_slot region;
    uint32_t state; /* as otadata has it; OTTER_OTA_UNDEFINED if it names this slot in neither entry */
    bool running;
    bool next;      /* starts at the next restart, if it verifies */
    bool target;    /* where the next update goes */
    bool has_image; /* starts with an image header; unchecked */
    bool has_desc;
    struct otter_app_desc desc; /* also of firmware that was given up */
};

/* The n-th slot of the table (factory, test, then ota_0 ...); false behind the last. Reads flash. */
bool otter_slot_at(struct otter_device *d, unsigned n, struct otter_slot_status *out);

struct otter_status {
    int8_t running;
    uint32_t running_state; /* as in otter_slot_status */
    bool can_confirm;       /* the running firmware is on trial */
    bool can_roll_back;     /* another entry of otadata, or a factory app, is there to go back to; unverified */
};
void otter_status(struct otter_device *d, struct otter_status *out);

enum otter_division_state {
    OTTER_DIVISION_FIXED,     /* no layout: slots are as the table has them */
    OTTER_DIVISION_SETTLED,   /* the app that runs, and data */
    OTTER_DIVISION_UPDATING,  /* another image is coming, or about to start */
    OTTER_DIVISION_PENDING,   /* it runs on trial, and the one before is still there */
    OTTER_DIVISION_WENT_BACK, /* as settled: the firmware before runs again */
    OTTER_DIVISION_FALLBACK,  /* as settled: the boot loader has searched, otadata names another slot */
    OTTER_DIVISION_WAITING,   /* as settled, and the data region waits for its image */
    OTTER_DIVISION_UNKNOWN    /* no ota slot runs, or otadata could not be read: no data region */
};

/* All in bytes from the start of the flash; size 0: there is none. What is in none of app, update and data is free. */
struct otter_division {
    uint8_t state;
    struct otter_slot pool;   /* all that slots reach */
    struct otter_slot app;    /* the image that runs, in whole blocks of 64 KiB */
    struct otter_slot update; /* the other image: the one that comes, or on trial the one before */
    struct otter_slot data;
    uint32_t largest; /* image that there is room for now, in whole blocks; in namespace "otter", u32 "data_min" is what
                         data keeps while two images are there */
    bool costs_files; /* an update would be refused now, unless it is agreed that the files in data be lost */
};
/* The division in force. Reads flash. */
void otter_division(struct otter_device *d, struct otter_division *out);
/* "fixed", "settled", "updating", "pending", "went_back", "fallback", "waiting_for_data", "unknown". */
const char *otter_division_name(enum otter_division_state state);

/* "factory", "test", "ota_0" ...; "none". buf takes at least 8 bytes; returns buf. */
char *otter_slot_name(int slot, char buf[8]);

#endif
