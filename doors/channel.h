/* The channel door: a release is looked for where the board configuration says, compared with what runs, and fetched.
 *
 * Settings, in namespace "ota": string "channels" (doors/board.h), string "channel" (the selected one), u32 "interval"
 * (seconds between checks; 0: none), u32 "auto" (not 0: what such a check finds is taken), u32 "http" (not 0: http to
 * others than loopback addresses, if signatures are asked for), u32 "timeout" and "deadline" (seconds; as in the
 * fetch's policy); and the door's own memory: strings "pull" and "left", u32 "pulls".
 *
 * otter_channel_step() runs in a task of its own, without the lock; all else is called with the lock held. */
#ifndef OTTER_DOORS_CHANNEL_H
#define OTTER_DOORS_CHANNEL_H

#include "doors/board.h"
#include "doors/descriptor.h"
#include "doors/fetch.h"

enum {
    OTTER_CHANNEL_IDLE_MS = 250,     /* how long a step lets its task sleep at most */
    OTTER_CHANNEL_INTERVAL_MIN = 60, /* seconds */
    OTTER_CHANNEL_INTERVAL_MAX = 7 * 24 * 3600,
    OTTER_CHANNEL_STARTS = 8 /* so many starts an update that power cut is gone on with by itself */
};

enum otter_channel_state { OTTER_CHANNEL_IDLE, OTTER_CHANNEL_CHECKING, OTTER_CHANNEL_UPDATING };

enum otter_verdict {
    OTTER_VERDICT_NONE,    /* not checked yet, or the check failed */
    OTTER_VERDICT_CURRENT, /* nothing to do */
    OTTER_VERDICT_UPDATE,
    OTTER_VERDICT_OLDER, /* taken only if it is asked for */
    OTTER_VERDICT_CABLE, /* cannot be taken over the air */
    OTTER_VERDICT_TOO_FAR
};

struct otter_channel_config {
    const struct otter_net *net;
    const struct otter_lock *lock;
    struct otter_fetch_policy policy;
    /* Channels that count while the settings have none; never written there, so that other firmware may bring others.
     * Taken over and left empty; NULL: none. */
    struct otter_board *built_in;
};

/* What a check found. */
struct otter_channel_find {
    enum otter_verdict verdict;
    enum otter_err err; /* why there is none */
    char words[OTTER_UPDATE_WORDS];
    struct otter_release release; /* version empty: none */
    char etag[OTTER_ETAG_MAX + 1];
};

struct otter_channel {
    struct otter_update *update;
    struct otter_channel_config config;
    struct otter_board board;
    unsigned selected;
    char vanished[OTTER_CHANNEL_NAME_BYTES + 1]; /* a channel that was selected and is no more; empty: none */
    /* The one that somebody left for another: what that offers counts as asked for, once. Empty: none */
    char left[OTTER_CHANNEL_NAME_BYTES + 1];
    enum otter_channel_state state;
    struct otter_channel_find find;
    struct otter_fetch fetch;
    /* how the last update ended, asked for or not */
    enum otter_err err;
    bool at_check; /* it ended there */
    char words[OTTER_UPDATE_WORDS];
    unsigned checks, updates; /* that have ended since start */
    /* what is wanted */
    bool check, take, older, automatic, cancelled;
    bool resume;  /* an update that a restart cut off */
    bool refused; /* what was found is bad, or was cancelled: not taken again by itself before it changes */
    uint32_t interval_ms, due, pause; /* periodic checks; what resume waits for */
    uint32_t random;
    unsigned era; /* counts changes of channels: what a check finds meanwhile is nobody's */
};

/* Loads the settings. u and what config points to must outlive c. */
void otter_channel_init(struct otter_channel *c, struct otter_update *u, const struct otter_channel_config *config);
/* Does one thing; for how many milliseconds its task may sleep. */
uint32_t otter_channel_step(struct otter_channel *c);

/* NULL: there are no channels. */
const char *otter_channel_name(const struct otter_channel *c);
/* OTTER_NO_CHANNEL; OTTER_BUSY while an update is under way; OTTER_SETTINGS. An update that waits to be gone on with
 * after a restart is given up for it. */
enum otter_err otter_channel_select(struct otter_channel *c, const char *name);
/* Takes b over, and leaves it empty. The same errors; the board before stays in force. */
enum otter_err otter_channel_set_board(struct otter_channel *c, struct otter_board *b);
/* Asks for a check: when it has ended, c->checks has counted on. OTTER_BUSY while an update is under way. */
enum otter_err otter_channel_check(struct otter_channel *c);
/* Asks for a check and the update: when it has ended, c->updates has counted on. older: take it even then. One that
 * waits to be gone on with after a restart gives way. */
enum otter_err otter_channel_update(struct otter_channel *c, bool older);
void otter_channel_cancel(struct otter_channel *c);

/* "idle", "checking" from when it is asked for, "waiting" also before the next look for what a restart cut off, or the
 * fetch's state. */
const char *otter_channel_state_name(const struct otter_channel *c);
/* "none", "current", "update", "older", "needs_cable", "version_too_far". */
const char *otter_verdict_name(enum otter_verdict verdict);

/* Fetches url, following redirects, into text; *end is where it came from at last, on the heap. A channel's own. */
struct otter_channel_get {
    const char *url;
    char *end;
    char *text; /* on the heap; NULL with 304 */
    size_t size;
    int status;
    const char *why; /* more about the error, static; NULL */
};
enum otter_err otter_channel_get(struct otter_channel *c, struct otter_channel_get *g, char etag[OTTER_ETAG_MAX + 1]);
void otter_channel_got(struct otter_channel_get *g);

#endif
