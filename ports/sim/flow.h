/* A device's whole way from an old firmware to a new one: a sender that uploads, and goes on after a cut; firmware that
 * confirms itself, crashes or never gets healthy; an application that writes settings. And what must hold at every
 * fresh start on that way: the invariants of docs/DESIGN.md section 11, by their numbers. */
#ifndef OTTER_SIM_FLOW_H
#define OTTER_SIM_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "ports/sim/keeper.h"
#include "ports/sim/table.h"
#include "ports/sim/world.h"

enum sim_way {
    SIM_WAY_CONFIRM,   /* the new firmware works */
    SIM_WAY_CRASH,     /* it crashes at its first start */
    SIM_WAY_UNHEALTHY, /* it never gets healthy, and gives itself up at the deadline */
    SIM_WAY_SETTINGS,  /* it works; the application writes settings all the way */
    SIM_WAY_RESUME,    /* it works; the connection breaks off half way */
    SIM_WAY_DATA,      /* it works; a data image follows it into an elastic flash */
    SIM_WAYS
};

/* What the slot holds that the update goes to. */
enum sim_spare {
    SIM_SPARE_BLANK,
    SIM_SPARE_OLD,    /* the old firmware too */
    SIM_SPARE_NEARLY, /* the new one, damaged near its end */
    SIM_SPARES
};

struct sim_flow {
    enum sim_way way;
    enum sim_spare spare;
    int from;      /* slot that the old firmware runs from */
    bool rollback; /* the boot loader rolls back */
};

/* An app image; the bytes are the caller's. */
struct sim_firmware {
    const uint8_t *bytes;
    uint32_t size;
    struct otter_image_facts facts; /* filled by sim_plan_check() */
};

/* What all flows of a proof share. */
struct sim_plan {
    struct sim_table table;
    struct sim_firmware old, new;
    const uint8_t *data; /* the image for SIM_WAY_DATA, the caller's; data_size 0: none */
    uint32_t data_size;
    uint8_t data_sha256[32]; /* filled by sim_plan_check() */
    bool elastic;            /* filled by sim_plan_check(): the table's slots overlap */
    void *log_ctx;           /* the boot loader's lines and the flow's own ("flow", "otter"); log NULL: none */
    void (*log)(void *ctx, char level, const char *tag, const char *text);
};

/* Verifies both images and the table. *what names the one that is at fault: static text. */
enum otter_err sim_plan_check(struct sim_plan *plan, const char **what);

/* Where on its way a device is. */
enum sim_phase {
    SIM_PHASE_START,    /* boot loader, and the engine's mending */
    SIM_PHASE_RECEIVE,  /* the image's bytes */
    SIM_PHASE_FINISH,   /* read back, verified, header written */
    SIM_PHASE_SWITCH,   /* otadata names the new slot */
    SIM_PHASE_CONFIRM,  /* the new firmware confirms itself */
    SIM_PHASE_GIVE_UP,  /* or rolls itself back */
    SIM_PHASE_SETTINGS, /* the application's own */
    SIM_PHASE_DATA,     /* the data image */
    SIM_PHASES
};
const char *sim_phase_name(enum sim_phase phase);
const char *sim_way_name(enum sim_way way);
const char *sim_spare_name(enum sim_spare spare);

/* What is certain of otadata's choice. */
enum sim_progress {
    SIM_OLD,      /* the old firmware */
    SIM_SWITCHED, /* the new one, but for what the boot loader makes of it; on trial if it runs */
    SIM_EITHER,   /* it is being written */
    SIM_NEW,      /* the new one, for good; its data image is still to come */
    SIM_SETTLED   /* the way has come to its end */
};

enum { SIM_APP_KEYS = 3 };

/* What has happened to a device up to now; outlives its restarts. */
struct sim_history {
    enum sim_progress progress;
    bool accepted;                 /* an upload has been taken to its last byte */
    bool tried;                    /* the new firmware has run */
    bool crashed;                  /* and was running when it restarted last */
    bool broken_off;               /* the connection has broken, as it was to */
    bool torn_boot;                /* power went while the boot loader wrote: its state bits have no checksum */
    bool lost;                     /* a write was lost without power going, so one error is due */
    uint32_t saved[SIM_APP_KEYS];  /* versions of the application's settings; 0: none */
    uint32_t saving[SIM_APP_KEYS]; /* the one being written; else as saved */
    uint32_t version;
    struct sim_kept files; /* of an elastic flash */
};

struct sim_run {
    const struct sim_plan *plan;
    struct sim_flow flow;
    struct sim_world world;
    struct sim_keeper keeper;
    struct sim_history past;
    enum sim_phase phase;
    const uint8_t *before;  /* the flash as the flow found it; plan->table.flash_size bytes */
    enum otter_err refused; /* how the first upload ended, if it was refused before anything was changed */
    bool limit;             /* ended at a limit of the stock format: the new firmware runs unmarked, for ever */
    int broken;             /* the first invariant that did not hold; 0: all do */
    const char *how;        /* it failed: static text */
};

/* Lays the flow's flash out in bytes (plan->table.flash_size of them) and readies run to begin there. An error if the
 * table or the images do not allow this flow: it is then told by *what. `before` must get a copy of bytes before the
 * first life.
 */
enum otter_err sim_run_lay_out(struct sim_run *run, const struct sim_plan *plan, const struct sim_flow *flow,
                               uint8_t *bytes, const char **what);

/* Lives one life after the other until the way has come to its end (true) or power goes (false). The flash's cut, if
 * one is planned, is in run->world.nor. */
bool sim_run_on(struct sim_run *run);
/* A fresh start, and what must hold then. */
void sim_run_check(struct sim_run *run);

#endif
