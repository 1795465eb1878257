/* Threads that take one operation after the other, and the bar that tells how far they are. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool/tool.h"
#include "tool/torture.h"

enum { BAR = 24 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- one torturer ---- */

static bool go_on(void *ctx)
{
    struct torture *t = ctx;
    return !atomic_load(&t->stop);
}

static void violated(void *ctx, const struct sim_path *path, int invariant, const char *how)
{
    struct torture *t = ctx;
    pthread_mutex_lock(&t->lock);
    if (t->failures < TORTURE_FAILURES) t->failure[t->failures++] = (struct torture_failure){*path, invariant, how};
    pthread_mutex_unlock(&t->lock);
    if (!t->all) atomic_store(&t->stop, true);
}

static struct sim_torturer *torturer_new(const struct torture *t)
{
    struct sim_torturer *one = malloc(sizeof *one);
    uint8_t *memory = malloc(sim_torturer_memory(&t->shared.plan));
    if (one && memory) {
        sim_torturer_init(one, &t->shared, memory);
        return one;
    }
    free(one);
    free(memory);
    tool_fail(OTTER_ARG, "out of memory; try fewer --jobs");
    return NULL;
}

static void torturer_free(struct sim_torturer *one)
{
    if (one) free(one->flash);
    free(one);
}

static int say_unfit(enum otter_err e, const char *what)
{
    return tool_fail(e, "%s does not allow this proof: %s", what, otter_err_text(e));
}

/* ---- before ---- */

int torture_prepare(struct torture *t)
{
    const char *what;
    enum otter_err e = sim_plan_check(&t->shared.plan, &what);
    if (e == OTTER_ALREADY_CURRENT) return tool_fail(OTTER_ARG, "OLD and NEW are the same image");
    if (e) return tool_fail(e, "%s: %s", what, otter_err_text(e));
    t->shared.ctx = t;
    t->shared.go_on = go_on;
    t->shared.violated = violated;
    struct sim_torturer *one = torturer_new(t);
    if (!one) return 2;
    int status = 0;
    struct torture_flow *f = t->flow;
    for (unsigned i = 0; !status && i < TORTURE_FLOWS && sim_torture_flow(&t->shared.plan, i, &f->flow); i++, f++) {
        e = sim_torturer_begin(one, &f->flow, &what);
        if (e) status = say_unfit(e, what);
        if (!e) f->operations = sim_torturer_count(one);
        if (!e && one->run.refused) status = say_unfit(one->run.refused, "the new image");
        t->operations += f->operations;
        t->flows++;
    }
    t->counts.violations = one->counts.violations;
    torturer_free(one);
    return status;
}

/* ---- on all cores ---- */

static bool take_operation(struct torture *t, unsigned *flow, uint64_t *at)
{
    pthread_mutex_lock(&t->lock);
    uint64_t i = t->next;
    bool any = i < t->operations && !atomic_load(&t->stop);
    if (any) t->next++;
    pthread_mutex_unlock(&t->lock);
    for (*flow = 0; any && i >= t->flow[*flow].operations; (*flow)++) i -= t->flow[*flow].operations;
    *at = i + 1;
    return any;
}

static void add(struct sim_counts *sum, const struct sim_counts *c)
{
    sum->cuts += c->cuts;
    sum->faults += c->faults;
    sum->limits += c->limits;
    sum->table_erases += c->table_erases;
    sum->table_writes += c->table_writes;
    sum->violations += c->violations;
    for (int i = 0; i < SIM_TEARS; i++) sum->by_kind[i] += c->by_kind[i];
    for (int i = 0; i < SIM_PHASES; i++) sum->by_phase[i] += c->by_phase[i];
}

static void hand_in(struct torture *t, struct sim_torturer *one)
{
    pthread_mutex_lock(&t->lock);
    add(&t->counts, &one->counts);
    t->done++;
    pthread_mutex_unlock(&t->lock);
    one->counts = (struct sim_counts){0};
}

static void *work(void *ctx)
{
    struct torture *t = ctx;
    struct sim_torturer *one = torturer_new(t);
    unsigned flow, current = TORTURE_FLOWS;
    uint64_t at;
    while (one && take_operation(t, &flow, &at)) {
        const char *what;
        /* It was laid out once already, so it can be. */
        if (flow != current) sim_torturer_begin(one, &t->flow[flow].flow, &what);
        current = flow;
        sim_torturer_cut(one, at);
        hand_in(t, one);
    }
    bool worked = one != NULL;
    torturer_free(one);
    return worked ? t : NULL;
}

static void show_bar(struct torture *t, double seconds)
{
    pthread_mutex_lock(&t->lock);
    double part = t->operations ? (double)t->done / (double)t->operations : 1;
    unsigned long long cuts = t->counts.cuts, violations = t->counts.violations;
    pthread_mutex_unlock(&t->lock);
    int full = (int)(part * BAR);
    fprintf(stderr, "\r[%.*s%*s] %3.0f %%  %llu cuts, %.0f a second, %llu violations ", full,
            "########################", BAR - full, "", part * 100, cuts, seconds > 0 ? (double)cuts / seconds : 0,
            violations);
    if (part > 0.01) fprintf(stderr, "(%.0f s left)   ", seconds / part - seconds);
}

/* Waits for a thread; meanwhile tells how far they are. */
static void *join(struct torture *t, pthread_t thread, double begin)
{
    void *worked;
    struct timespec until;
    do {
        if (t->bar) show_bar(t, now() - begin);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 250000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
    } while (pthread_timedjoin_np(thread, &worked, &until) != 0);
    return worked;
}

int torture_run(struct torture *t)
{
    pthread_t thread[TORTURE_JOBS];
    unsigned started = 0, worked = 0;
    double begin = now();
    while (started < t->jobs && pthread_create(&thread[started], NULL, work, t) == 0) started++;
    for (unsigned i = 0; i < started; i++) worked += join(t, thread[i], begin) != NULL;
    t->seconds = now() - begin;
    if (t->bar) fputc('\n', stderr);
    return worked ? 0 : tool_fail(OTTER_ARG, "no thread could be started");
}

/* ---- one path ---- */

static void print_line(void *ctx, char level, const char *tag, const char *text)
{
    (void)ctx;
    printf("%c %s: %s\n", level, tag, text);
}

int torture_replay(struct torture *t, const struct sim_path *path)
{
    const char *what;
    t->shared.plan.log = print_line;
    struct sim_torturer *one = torturer_new(t);
    if (!one) return 2;
    enum otter_err e = sim_torturer_begin(one, &path->flow, &what);
    int status = e ? say_unfit(e, what) : 0;
    if (!e) sim_torturer_replay(one, path);
    t->counts = one->counts;
    torturer_free(one);
    return status;
}
