/* Power goes at every flash operation of a flow, in every kind of tear, and again at every operation of the way on;
 * after each cut a fresh start is judged, and the flow is gone on with to its end. One torturer works alone in its own
 * memory; several share a plan. The same seed gives the same cuts. */
#ifndef OTTER_SIM_TORTURE_H
#define OTTER_SIM_TORTURE_H

#include "ports/sim/flow.h"

enum { SIM_CUTS_MAX = 2, SIM_PATH_TEXT = 160 };

struct sim_step {
    uint64_t at; /* operation, counted from the flow's start or the power-on before it */
    enum sim_tear tear;
    uint32_t arg;
};

/* What is made of every operation: each kind of tear with arguments that meet the edges of a 32-byte entry, a page and
 * a block; `at` is 0. Behind the tears stands a write that is lost without power going. */
enum { SIM_TORTURE_TEARS = 26 };
extern const struct sim_step sim_torture_step[SIM_TORTURE_TEARS + 1];

/* One flow with the cuts on it: what there is to replay. */
struct sim_path {
    struct sim_flow flow;
    unsigned cuts;
    struct sim_step cut[SIM_CUTS_MAX];
};

/* "crash/ota_1/old:41:prefix:27+12:before:0"; "/no-rollback" behind the third word where that is so. buf takes
 * SIM_PATH_TEXT bytes; returns buf. */
char *sim_path_print(const struct sim_path *path, char *buf);
bool sim_path_parse(const char *text, struct sim_path *path);

struct sim_counts {
    uint64_t cuts;   /* runs in which power went, once or twice */
    uint64_t faults; /* runs in which a write was lost */
    uint64_t limits; /* of the cuts: ended at a limit of the stock format */
    uint64_t violations;
    uint64_t table_erases, table_writes; /* in the partition table's sector */
    uint64_t by_kind[SIM_TEARS];         /* of the cuts, by the last one */
    uint64_t by_phase[SIM_PHASES];
};

struct sim_torture {
    struct sim_plan plan; /* checked */
    uint64_t seed;
    unsigned depth;  /* 1: one cut; 2: and one on the way on */
    unsigned one_in; /* of so many cuts, one is made, at either depth; 1: all */
    void *ctx;
    /* Asked before every cut: false ends the torture. */
    bool (*go_on)(void *ctx);
    void (*violated)(void *ctx, const struct sim_path *path, int invariant, const char *how);
};

struct sim_torturer {
    const struct sim_torture *torture;
    struct sim_path path; /* where it is */
    struct sim_run run, begin, first;
    uint8_t *flash, *before, *after_first;
    uint8_t *marks,
        *marks_first; /* sectors that were changed, since the way's begin or the first cut; before that one */
    struct sim_counts counts;
};

/* The i-th flow that this table allows; false behind the last. */
bool sim_torture_flow(const struct sim_plan *plan, unsigned i, struct sim_flow *flow);

/* Bytes of memory that a torturer needs beside itself. */
size_t sim_torturer_memory(const struct sim_plan *plan);
/* torture and memory must outlive it. */
void sim_torturer_init(struct sim_torturer *t, const struct sim_torture *torture, uint8_t *memory);

/* Lays a flow out. An error if table or images do not allow it: *what names the one at fault, static text. */
enum otter_err sim_torturer_begin(struct sim_torturer *t, const struct sim_flow *flow, const char **what);
/* The flow without a cut: how many operations it takes; 0 if that alone breaks an invariant. */
uint64_t sim_torturer_count(struct sim_torturer *t);
/* All cuts at one operation (1 = the first). */
void sim_torturer_cut(struct sim_torturer *t, uint64_t at);
/* One path; sim_torturer_begin() with its flow comes before. */
void sim_torturer_replay(struct sim_torturer *t, const struct sim_path *path);

#endif
