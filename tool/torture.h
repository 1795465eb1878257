/* A torture on all cores: what to do, what came of it. */
#ifndef OTTER_TOOL_TORTURE_H
#define OTTER_TOOL_TORTURE_H

#include <pthread.h>
#include <stdatomic.h>

#include "ports/sim/torture.h"

enum { TORTURE_FLOWS = 32, TORTURE_FAILURES = 10, TORTURE_JOBS = 256 };

struct torture_failure {
    struct sim_path path;
    int invariant;
    const char *how; /* static */
};

struct torture_flow {
    struct sim_flow flow;
    uint64_t operations;
};

struct torture {
    struct sim_torture shared;
    struct torture_flow flow[TORTURE_FLOWS];
    unsigned flows;
    unsigned jobs;
    bool bar; /* progress on stderr */
    bool all; /* go on after a violation */
    atomic_bool stop;
    pthread_mutex_t lock;      /* of all below */
    uint64_t next, operations; /* over all flows, one after the other */
    uint64_t done;
    struct sim_counts counts;
    struct torture_failure failure[TORTURE_FAILURES]; /* the first of them */
    unsigned failures;
    double seconds;
};

/* Finds the flows that the table allows and goes each one without a cut. 0, or an exit status (said on stderr). */
int torture_prepare(struct torture *t);
/* Cuts them all, or until t->stop. 0, or an exit status (said on stderr). */
int torture_run(struct torture *t);
/* One path, with its story on stdout. 0, or an exit status (said on stderr). */
int torture_replay(struct torture *t, const struct sim_path *path);

#endif
