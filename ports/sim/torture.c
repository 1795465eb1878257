/* Cuts, snapshots, counts. Knows that a flow has operations, and not what they are. */
#include "ports/sim/torture.h"

#include <stdio.h>
#include <string.h>

/* ---- flows ---- */

enum { FIRST = 0, LAST = 100 }; /* ota slots; the last one in which the old image fits */

static const struct sim_flow elastic[] = {
    {SIM_WAY_DATA, SIM_SPARE_BLANK, FIRST, true},      {SIM_WAY_DATA, SIM_SPARE_BLANK, LAST, true},
    {SIM_WAY_CONFIRM, SIM_SPARE_BLANK, FIRST, true},   {SIM_WAY_CONFIRM, SIM_SPARE_BLANK, LAST, true},
    {SIM_WAY_CRASH, SIM_SPARE_BLANK, FIRST, true},     {SIM_WAY_CRASH, SIM_SPARE_BLANK, LAST, true},
    {SIM_WAY_UNHEALTHY, SIM_SPARE_BLANK, FIRST, true}, {SIM_WAY_UNHEALTHY, SIM_SPARE_BLANK, LAST, true},
    {SIM_WAY_SETTINGS, SIM_SPARE_BLANK, FIRST, true},  {SIM_WAY_RESUME, SIM_SPARE_BLANK, FIRST, true},
    {SIM_WAY_RESUME, SIM_SPARE_BLANK, LAST, true},
};

static const struct sim_flow fixed[] = {
    {SIM_WAY_CONFIRM, SIM_SPARE_NEARLY, FIRST, true},
    {SIM_WAY_CONFIRM, SIM_SPARE_BLANK, FIRST, true},
    {SIM_WAY_CONFIRM, SIM_SPARE_OLD, LAST, true},
    {SIM_WAY_CONFIRM, SIM_SPARE_BLANK, OTTER_SLOT_FACTORY, true},
    {SIM_WAY_CONFIRM, SIM_SPARE_OLD, FIRST, false},
    {SIM_WAY_CRASH, SIM_SPARE_OLD, FIRST, true},
    {SIM_WAY_CRASH, SIM_SPARE_BLANK, LAST, true},
    {SIM_WAY_CRASH, SIM_SPARE_NEARLY, OTTER_SLOT_FACTORY, true},
    {SIM_WAY_UNHEALTHY, SIM_SPARE_OLD, FIRST, true},
    {SIM_WAY_UNHEALTHY, SIM_SPARE_BLANK, LAST, true},
    {SIM_WAY_UNHEALTHY, SIM_SPARE_BLANK, OTTER_SLOT_FACTORY, true},
    {SIM_WAY_SETTINGS, SIM_SPARE_BLANK, FIRST, true},
    {SIM_WAY_SETTINGS, SIM_SPARE_OLD, LAST, true},
    {SIM_WAY_RESUME, SIM_SPARE_NEARLY, FIRST, true},
    {SIM_WAY_RESUME, SIM_SPARE_BLANK, LAST, true},
};

static int last_slot(const struct sim_plan *plan)
{
    struct otter_slot region;
    int n = 0;
    while (n < OTTER_OTA_SLOTS && sim_table_slot(&plan->table, n, &region) && region.size >= plan->old.size) n++;
    return n - 1;
}

bool sim_torture_flow(const struct sim_plan *plan, unsigned i, struct sim_flow *flow)
{
    struct otter_slot region;
    const struct sim_flow *flows = plan->elastic ? elastic : fixed;
    size_t count = plan->elastic ? sizeof elastic / sizeof elastic[0] : sizeof fixed / sizeof fixed[0];
    for (size_t k = 0; k < count; k++) {
        *flow = flows[k];
        if (flow->from == LAST) flow->from = last_slot(plan);
        if (!sim_table_slot(&plan->table, flow->from, &region)) continue;
        if ((flow->way == SIM_WAY_SETTINGS || flow->way == SIM_WAY_RESUME) &&
            !sim_table_find(&plan->table, OTTER_TYPE_DATA, OTTER_DATA_NVS, &region))
            continue;
        if (flow->way == SIM_WAY_DATA && !plan->data_size) continue;
        if (i-- == 0) return true;
    }
    return false;
}

/* ---- paths in words ---- */

char *sim_path_print(const struct sim_path *path, char *buf)
{
    char slot[8];
    const struct sim_flow *f = &path->flow;
    int n = snprintf(buf, SIM_PATH_TEXT, "%s/%s/%s%s", sim_way_name(f->way), otter_slot_name(f->from, slot),
                     sim_spare_name(f->spare), f->rollback ? "" : "/no-rollback");
    for (unsigned i = 0; i < path->cuts; i++)
        n +=
            snprintf(buf + n, (size_t)(SIM_PATH_TEXT - n), "%c%llu:%s:%u", i ? '+' : ':',
                     (unsigned long long)path->cut[i].at, sim_tear_name(path->cut[i].tear), (unsigned)path->cut[i].arg);
    return buf;
}

static bool parse_flow(const char *text, struct sim_flow *f)
{
    char way[16], slot[16], spare[16], rest[16] = "", name[8];
    if (sscanf(text, "%15[a-z]/%15[a-z0-9_]/%15[a-z]/%15[a-z-]", way, slot, spare, rest) < 3) return false;
    int w = 0, s = 0;
    while (w < SIM_WAYS && strcmp(way, sim_way_name((enum sim_way)w)) != 0) w++;
    while (s < SIM_SPARES && strcmp(spare, sim_spare_name((enum sim_spare)s)) != 0) s++;
    *f = (struct sim_flow){(enum sim_way)w, (enum sim_spare)s, OTTER_SLOT_FACTORY, strcmp(rest, "no-rollback") != 0};
    while (f->from < OTTER_OTA_SLOTS && strcmp(slot, otter_slot_name(f->from, name)) != 0) f->from++;
    return w < SIM_WAYS && s < SIM_SPARES && f->from < OTTER_OTA_SLOTS && (f->rollback == !rest[0]);
}

static bool parse_step(const char *text, struct sim_step *step)
{
    char tear[16];
    unsigned long long at;
    unsigned arg, kind = 0;
    if (sscanf(text, "%llu:%15[a-z-]:%u", &at, tear, &arg) != 3) return false;
    while (kind < SIM_TEAR_KINDS && strcmp(tear, sim_tear_name((enum sim_tear)kind)) != 0) kind++;
    *step = (struct sim_step){at, (enum sim_tear)kind, arg};
    return kind < SIM_TEAR_KINDS && at > 0;
}

bool sim_path_parse(const char *text, struct sim_path *path)
{
    memset(path, 0, sizeof *path);
    if (!parse_flow(text, &path->flow)) return false;
    text = strchr(text, ':');
    while (text) {
        if (path->cuts == SIM_CUTS_MAX || !parse_step(text + 1, &path->cut[path->cuts++])) return false;
        text = strchr(text + 1, '+');
    }
    return true;
}

/* ---- memory ---- */

static size_t sectors(const struct sim_plan *plan) { return plan->table.flash_size / OTTER_SECTOR; }

size_t sim_torturer_memory(const struct sim_plan *plan)
{
    return 3 * (size_t)plan->table.flash_size + 2 * sectors(plan);
}

void sim_torturer_init(struct sim_torturer *t, const struct sim_torture *torture, uint8_t *memory)
{
    const struct sim_plan *plan = &torture->plan;
    memset(t, 0, sizeof *t);
    t->torture = torture;
    t->flash = memory;
    t->before = t->flash + plan->table.flash_size;
    t->after_first = t->before + plan->table.flash_size;
    t->marks = t->after_first + plan->table.flash_size;
    t->marks_first = t->marks + sectors(plan);
}

static void copy_sector(uint8_t *to, const uint8_t *from, size_t sector)
{
    memcpy(to + sector * OTTER_SECTOR, from + sector * OTTER_SECTOR, OTTER_SECTOR);
}

/* The flash as the flow found it. */
static void restore_begin(struct sim_torturer *t)
{
    for (size_t s = 0; s < sectors(&t->torture->plan); s++) {
        if (t->marks[s] || t->marks_first[s]) copy_sector(t->flash, t->before, s);
        t->marks[s] = t->marks_first[s] = 0;
    }
    t->run = t->begin;
}

static void keep_first(struct sim_torturer *t)
{
    for (size_t s = 0; s < sectors(&t->torture->plan); s++) {
        if (t->marks[s]) copy_sector(t->after_first, t->flash, s);
        t->marks_first[s] = t->marks[s];
        t->marks[s] = 0;
    }
    t->first = t->run;
}

/* The flash as the first cut left it. */
static void restore_first(struct sim_torturer *t)
{
    for (size_t s = 0; s < sectors(&t->torture->plan); s++) {
        if (t->marks[s]) copy_sector(t->flash, t->marks_first[s] ? t->after_first : t->before, s);
        t->marks[s] = 0;
    }
    t->run = t->first;
}

/* ---- cuts ---- */

const struct sim_step sim_torture_step[] = {
    {0, SIM_TEAR_BEFORE, 0},        {0, SIM_TEAR_AFTER, 0},          {0, SIM_TEAR_PREFIX, 1},
    {0, SIM_TEAR_PREFIX, 4},        {0, SIM_TEAR_PREFIX, 20},        {0, SIM_TEAR_PREFIX, 24},
    {0, SIM_TEAR_PREFIX, 27},       {0, SIM_TEAR_PREFIX, 31},        {0, SIM_TEAR_PREFIX, 255},
    {0, SIM_TEAR_PREFIX, 4096},     {0, SIM_TEAR_RANDOM_BITS, 1},    {0, SIM_TEAR_RANDOM_BITS, 2},
    {0, SIM_TEAR_RANDOM_BITS, 3},   {0, SIM_TEAR_RANDOM_BITS, 4},    {0, SIM_TEAR_ALL_BUT_ONE, 0},
    {0, SIM_TEAR_ALL_BUT_ONE, 3},   {0, SIM_TEAR_ALL_BUT_ONE, 9},    {0, SIM_TEAR_ALL_BUT_ONE, 25},
    {0, SIM_TEAR_ALL_BUT_ONE, 33},  {0, SIM_TEAR_ALL_BUT_ONE, 40},   {0, SIM_TEAR_ALL_BUT_ONE, 61},
    {0, SIM_TEAR_ALL_BUT_ONE, 70},  {0, SIM_TEAR_HALF_ERASE, 1},     {0, SIM_TEAR_HALF_ERASE, 33},
    {0, SIM_TEAR_HALF_ERASE, 4096}, {0, SIM_TEAR_HALF_ERASE, 40000}, {0, SIM_TEAR_LOST, 0},
};

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

/* A number that belongs to the path up to here, and to the seed. */
static uint64_t hash_path(const struct sim_torturer *t)
{
    const struct sim_path *p = &t->path;
    uint64_t h = mix(mix(t->torture->seed, (uint64_t)p->flow.way * 8 + p->flow.spare), (uint64_t)(p->flow.from + 100));
    for (unsigned i = 0; i < p->cuts; i++)
        h = mix(mix(h, p->cut[i].at), (uint64_t)p->cut[i].tear << 32 | p->cut[i].arg);
    return h;
}

static bool chosen(const struct sim_torturer *t)
{
    const struct sim_torture *all = t->torture;
    return (all->one_in < 2 || hash_path(t) % all->one_in == 0) && (!all->go_on || all->go_on(all->ctx));
}

static void plan_cut(struct sim_torturer *t)
{
    const struct sim_step *step = &t->path.cut[t->path.cuts - 1];
    sim_nor_power_on(&t->run.world.nor);
    t->run.world.nor.cut = (struct sim_cut){.at = step->at, .tear = step->tear, .arg = step->arg, .seed = hash_path(t)};
}

static void report(struct sim_torturer *t)
{
    const struct sim_torture *all = t->torture;
    if (!t->run.broken) return;
    t->counts.violations++;
    if (all->violated) all->violated(all->ctx, &t->path, t->run.broken, t->run.how);
}

static void count(struct sim_counts *c, enum sim_tear tear, enum sim_phase phase, bool limit)
{
    if (tear == SIM_TEAR_LOST) {
        c->faults++;
        return;
    }
    c->cuts++;
    c->limits += limit;
    c->by_kind[tear]++;
    c->by_phase[phase]++;
}

/* From the cut on: a fresh start is judged, the way is gone to its end, and a fresh start is judged again. */
static void judge(struct sim_torturer *t)
{
    struct sim_run *r = &t->run;
    enum sim_phase phase = r->phase;
    enum sim_tear tear = t->path.cut[t->path.cuts - 1].tear;
    sim_run_check(r);
    if (!r->broken) {
        sim_nor_power_on(&r->world.nor);
        sim_run_on(r);
        sim_run_check(r);
    }
    count(&t->counts, tear, phase, r->limit);
    t->counts.table_erases += r->world.nor.watch.erases;
    t->counts.table_writes += r->world.nor.watch.writes;
    report(t);
}

/* The way on after the first cut, without another: how many operations it takes. */
static uint64_t count_way_on(struct sim_torturer *t)
{
    restore_first(t);
    sim_nor_power_on(&t->run.world.nor);
    sim_run_on(&t->run);
    return t->run.world.nor.changes;
}

static void cut_again(struct sim_torturer *t)
{
    uint64_t operations = count_way_on(t), h = hash_path(t);
    t->path.cuts = 2;
    for (uint64_t at = 1; at <= operations; at++) {
        t->path.cut[1] = sim_torture_step[mix(h, at) % SIM_TORTURE_TEARS];
        t->path.cut[1].at = at;
        if (!chosen(t)) continue;
        restore_first(t);
        plan_cut(t);
        sim_run_on(&t->run);
        judge(t);
    }
    t->path.cuts = 1;
}

/* Of the losses only those that the engine can see: the boot loader reads nothing back. */
static bool seen_by_engine(const struct sim_run *r) { return !r->past.torn_boot; }

static void cut_once(struct sim_torturer *t)
{
    bool lost = t->path.cut[0].tear == SIM_TEAR_LOST;
    restore_begin(t);
    plan_cut(t);
    sim_run_on(&t->run);
    if (lost && !seen_by_engine(&t->run)) return;
    keep_first(t);
    if (t->torture->depth > 1 && !lost) cut_again(t);
    restore_first(t);
    judge(t);
}

void sim_torturer_cut(struct sim_torturer *t, uint64_t at)
{
    t->path.cuts = 1;
    for (unsigned i = 0; i <= SIM_TORTURE_TEARS; i++) {
        t->path.cut[0] = sim_torture_step[i];
        t->path.cut[0].at = at;
        if (chosen(t)) cut_once(t);
    }
}

/* ---- a flow ---- */

enum otter_err sim_torturer_begin(struct sim_torturer *t, const struct sim_flow *flow, const char **what)
{
    const struct sim_plan *plan = &t->torture->plan;
    t->path = (struct sim_path){.flow = *flow};
    enum otter_err e = sim_run_lay_out(&t->run, plan, flow, t->flash, what);
    if (e) return e;
    memcpy(t->before, t->flash, plan->table.flash_size);
    memset(t->marks, 0, sectors(plan));
    memset(t->marks_first, 0, sectors(plan));
    t->run.before = t->before;
    t->run.world.nor.marks = t->marks;
    t->begin = t->run;
    return OTTER_OK;
}

uint64_t sim_torturer_count(struct sim_torturer *t)
{
    restore_begin(t);
    t->path.cuts = 0;
    sim_nor_power_on(&t->run.world.nor);
    sim_run_on(&t->run);
    uint64_t operations = t->run.world.nor.changes;
    sim_run_check(&t->run);
    report(t);
    return t->run.broken ? 0 : operations;
}

void sim_torturer_replay(struct sim_torturer *t, const struct sim_path *path)
{
    if (!path->cuts) {
        sim_torturer_count(t);
        return;
    }
    restore_begin(t);
    t->path = *path;
    t->path.cuts = 0;
    while (t->path.cuts < path->cuts) {
        t->path.cuts++;
        plan_cut(t);
        sim_run_on(&t->run);
    }
    judge(t);
}
