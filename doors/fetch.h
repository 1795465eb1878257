/* One update fetched by URL, for every door that is told of one: goes on after a cut, never mixes two files.
 *
 * A machine without a network of its own: otter_fetch_step() does one thing, and waits for the network at most as long
 * as the port's calls do. It runs in a task of its own and takes the lock around what it shares; everything else here
 * is called with the lock held, by whatever task. */
#ifndef OTTER_DOORS_FETCH_H
#define OTTER_DOORS_FETCH_H

#include "doors/lock.h"
#include "doors/net.h"
#include "doors/update.h"
#include "doors/url.h"

enum {
    OTTER_FETCH_HOPS = 5,
    OTTER_FETCH_ANEW =
        16, /* so often a file is begun anew: a server that never lets it be gone on with wears out flash */
    OTTER_FETCH_PIECE = OTTER_URL_MAX
};

/* What is 0 is taken as the number behind it. */
struct otter_fetch_policy {
    uint32_t timeout_ms;  /* until a reply's head, and between two pieces [15,000] */
    uint32_t deadline_ms; /* for the whole [3,600,000] */
    uint32_t pause_ms;    /* before the first new try; doubles until one brings a piece, and varies by half [1,000] */
    uint32_t pause_most;  /* [60,000] */
    bool allow_http;      /* also to others than loopback addresses, if signatures are asked for */
};

/* What the door knows of the file, and how it may be taken. Strings are copied. */
struct otter_fetch_wish {
    const char *door; /* static */
    const char *url;
    const char *version; /* as the image must have it; NULL: not announced */
    uint32_t size;       /* 0: not known */
    bool has_sha256;
    uint8_t sha256[32];
    bool again, any_project, automatic, data_may_go; /* as in the offer */
};

enum otter_fetch_state {
    OTTER_FETCH_IDLE,
    OTTER_FETCH_CONNECTING,
    OTTER_FETCH_RECEIVING,
    OTTER_FETCH_WAITING, /* until the next try */
    OTTER_FETCH_EXPIRED, /* for another URL, or to be cancelled */
    OTTER_FETCH_VERIFYING,
    OTTER_FETCH_ENDED
};

/* The fields are the machine's own; state, err, status, fetched and tries are there to be read. */
struct otter_fetch {
    struct otter_update *update;
    const struct otter_net *net;
    const struct otter_lock *lock;
    struct otter_fetch_policy policy;
    enum otter_fetch_state state;
    enum otter_err err; /* how it ended, or why it waits */
    int status;         /* HTTP's, of the last reply */
    uint64_t fetched;   /* bytes of the image that came, over all tries */
    unsigned tries;     /* connections that were begun */
    struct otter_offer offer;
    bool size_told; /* by the door, not by a server */
    char version[32];
    char *url, *hop;               /* as given; as redirected to, or NULL */
    uint8_t *piece;                /* on the heap while it runs */
    char etag[OTTER_ETAG_MAX + 1]; /* of the file whose bytes are in flash; empty: not known */
    unsigned session;              /* number of ours, 0: none */
    uint32_t since, heard, pause;  /* ms: start, last sign of life, last pause */
    uint32_t due;                  /* ms: when the next try is */
    size_t brought;                /* bytes by this connection */
    uint32_t random;
    uint8_t hops, wasted; /* redirects in a row; sessions whose bytes were given up */
    bool open, cancelled;
    bool restart; /* the next request is for the whole file */
    bool packed;  /* the last reply was, though nobody had asked for that */
};

/* All must outlive f. */
void otter_fetch_init(struct otter_fetch *f, struct otter_update *u, const struct otter_net *net,
                      const struct otter_lock *lock, const struct otter_fetch_policy *policy);
/* OTTER_BUSY while one is under way here; OTTER_URL, OTTER_INSECURE, OTTER_ARG, OTTER_MEMORY. */
enum otter_err otter_fetch_start(struct otter_fetch *f, const struct otter_fetch_wish *wish);
/* Without the lock. OTTER_AGAIN: call again after *wait_ms. OTTER_URL_EXPIRED: the same, but only another URL or
 * otter_fetch_cancel() will lead on. Else it has ended: OTTER_OK (switched, the restart is the door's),
 * OTTER_ALREADY_CURRENT, or why not. */
enum otter_err otter_fetch_step(struct otter_fetch *f, uint32_t *wait_ms);
/* A fresh URL for the same file, in OTTER_FETCH_EXPIRED. */
enum otter_err otter_fetch_set_url(struct otter_fetch *f, const char *url);
/* The next step ends it. */
void otter_fetch_cancel(struct otter_fetch *f);
/* Without the lock, by the task that steps: cancels it, and takes that step. What it returned. */
enum otter_err otter_fetch_give_up(struct otter_fetch *f);
bool otter_fetch_running(const struct otter_fetch *f);
/* "idle", "connecting", "receiving", "waiting", "url_expired", "verifying", "ended". */
const char *otter_fetch_state_name(enum otter_fetch_state state);
/* f->err in words, with what led to it; buf takes OTTER_UPDATE_WORDS bytes. */
void otter_fetch_words(const struct otter_fetch *f, char *buf);

/* May this URL be fetched from? OTTER_URL, OTTER_INSECURE. from: the URL that redirects to it; NULL. */
enum otter_err otter_fetch_allowed(const struct otter_device *d, const struct otter_fetch_policy *policy,
                                   const char *from, const char *url);
/* Does a reply of this status lead on by its Location? */
bool otter_fetch_redirects(int status);

#endif
