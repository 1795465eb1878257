/* Elastic slots beside the classical scheme: what one update writes and how long that takes, and what is left after
 * power went at each flash operation, in every kind of tear. The same images, flash and boot loader for both. Prints
 * Markdown; exit status 1 if a device of ours did not start, or its table was touched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/classic.h"
#include "bench/given.h"
#include "ports/psa/crypto.h"
#include "ports/sim/torture.h"

enum { CUT_PAYLOAD = 70 * 1024, PIECE = 4096 };

static uint8_t flash[GIVEN_FLASH], begin[GIVEN_FLASH], table[OTTER_TABLE_SIZE];
static uint8_t old_image[GIVEN_SIZE], new_image[GIVEN_SIZE];
static struct classic_app old_app = {old_image, 0}, new_app = {new_image, 0};

static void images(uint32_t payload)
{
    old_app.size = given_image(old_image, sizeof old_image, "1.0.0", payload);
    new_app.size = given_image(new_image, sizeof new_image, "2.0.0", payload);
}

/* ---- one update, without a cut ---- */

struct cost {
    double written, erased, time; /* of image bytes, of those, of the flash floor */
    uint64_t table_erases, table_writes;
};

static struct cost cost_of(const struct sim_nor *n)
{
    return (struct cost){(double)n->bytes_written / new_app.size, (double)n->bytes_erased / new_app.size,
                         (double)n->us / given_floor_us(new_app.size), n->watch.erases, n->watch.writes};
}

static struct cost classic_cost(void)
{
    static struct classic c;
    classic_init(&c, flash, GIVEN_FLASH, &otter_crypto_psa, &old_app, &new_app);
    if (!classic_run(&c)) abort();
    return cost_of(&c.nor);
}

static struct cost elastic_cost(void)
{
    static struct sim_world w;
    enum otter_err e;
    memset(flash, 0xFF, sizeof flash);
    memcpy(flash + GIVEN_TABLE, table, sizeof table);
    memcpy(flash + GIVEN_POOL, old_image, old_app.size);
    sim_world_init(&w, flash, GIVEN_FLASH, &otter_crypto_psa);
    w.nor.watch = (struct sim_watch){.offset = GIVEN_TABLE, .size = OTTER_SECTOR};
    w.layout = &otter_layout_elastic;
    if (!sim_world_start(&w, &e) || e || sim_world_push(&w, NULL, new_image, new_app.size, PIECE)) abort();
    if (!sim_world_start(&w, &e) || e || otter_confirm(&w.device) || w.booted.offset == GIVEN_POOL) abort();
    return cost_of(&w.nor);
}

/* ---- power goes ---- */

enum after { DEAD, FORGOTTEN, KNOWN, WENT_BACK, NEW, AFTERS };

struct tally {
    uint64_t operations, cuts, after[AFTERS], deadly; /* deadly: operations of which a cut can leave DEAD */
    double deadly_us;                                 /* how long these take */
};

/* A scheme under test: lays its flash out; runs from there until the cut (at 0: to the end); powers on and looks. */
struct scheme {
    struct sim_nor *(*lay_out)(void);
    struct sim_nor *(*run)(const struct sim_cut *cut);
    enum after (*power_on)(void);
};

static double cut_at(const struct scheme *s, struct tally *t, uint64_t at)
{
    uint64_t dead = t->after[DEAD];
    double us = 0;
    for (unsigned i = 0; i < SIM_TORTURE_TEARS; i++) {
        const struct sim_step *step = &sim_torture_step[i];
        const struct sim_nor *n = s->run(&(struct sim_cut){at, step->tear, step->arg, at * SIM_TORTURE_TEARS + i});
        us = (double)n->us;
        t->after[s->power_on()]++;
        t->cuts++;
    }
    t->deadly += t->after[DEAD] > dead;
    return us;
}

static struct tally cut_everywhere(const struct scheme *s)
{
    struct tally t = {0};
    double before = (double)s->lay_out()->us;
    memcpy(begin, flash, sizeof flash);
    t.operations = s->run(&(struct sim_cut){0})->changes;
    for (uint64_t at = 1; at <= t.operations; at++) {
        uint64_t deadly = t.deadly;
        double us = cut_at(s, &t, at);
        if (t.deadly > deadly) t.deadly_us += us - before;
        before = us;
    }
    return t;
}

static struct classic classic, classic_begin;

static struct sim_nor *classic_lay_out(void)
{
    classic_init(&classic, flash, GIVEN_FLASH, &otter_crypto_psa, &old_app, &new_app);
    classic_begin = classic;
    return &classic.nor;
}

static struct sim_nor *classic_cut(const struct sim_cut *cut)
{
    memcpy(flash, begin, sizeof flash);
    classic = classic_begin;
    classic.nor.cut = *cut;
    if (classic_run(&classic) != !cut->at) abort();
    return &classic.nor;
}

/* There is no record: where the old app starts, nothing says that an update was under way. */
static enum after classic_power(void)
{
    if (!classic_power_on(&classic)) return DEAD;
    return classic_runs_new(&classic) ? NEW : FORGOTTEN;
}

static struct sim_plan plan = {.table = {table, GIVEN_FLASH, &otter_crypto_psa}};
static struct sim_run run, run_begin;

static struct sim_nor *elastic_lay_out(void)
{
    const struct sim_flow flow = {SIM_WAY_CONFIRM, SIM_SPARE_BLANK, 0, true};
    const char *what;
    plan.old = (struct sim_firmware){.bytes = old_image, .size = old_app.size};
    plan.new = (struct sim_firmware){.bytes = new_image, .size = new_app.size};
    if (sim_plan_check(&plan, &what) || sim_run_lay_out(&run, &plan, &flow, flash, &what)) abort();
    run.before = begin;
    run_begin = run;
    return &run.world.nor;
}

static struct sim_nor *elastic_cut(const struct sim_cut *cut)
{
    memcpy(flash, begin, sizeof flash);
    run = run_begin;
    sim_nor_power_on(&run.world.nor);
    run.world.nor.cut = *cut;
    if (sim_run_on(&run) != !cut->at || run.broken) abort();
    return &run.world.nor;
}

static enum after elastic_power(void)
{
    struct otter_division d;
    enum otter_err e;
    sim_nor_power_on(&run.world.nor);
    if (!sim_world_start(&run.world, &e)) return DEAD;
    if (memcmp(flash + run.world.booted.offset, new_image, new_app.size) == 0) return NEW;
    otter_division(&run.world.device, &d);
    if (d.state == OTTER_DIVISION_WENT_BACK) return WENT_BACK;
    return d.state == OTTER_DIVISION_UPDATING || run.world.device.switched ? KNOWN : FORGOTTEN;
}

/* ---- the table ---- */

static void ratio(const char *what, double theirs, double ours)
{
    printf("| %s | %.2f | %.2f |\n", what, theirs, ours);
}

static void count(const char *what, uint64_t theirs, uint64_t ours)
{
    printf("| %s | %llu | %llu |\n", what, (unsigned long long)theirs, (unsigned long long)ours);
}

static bool print_costs(void)
{
    images(GIVEN_SIZE - 1024);
    struct cost theirs = classic_cost(), ours = elastic_cost();
    printf("| one update, image of %u bytes, flash of 4 MB | classical scheme | elastic slots |\n| --- | --- | --- |\n",
           (unsigned)new_app.size);
    ratio("bytes written / image", theirs.written, ours.written);
    ratio("bytes erased / image", theirs.erased, ours.erased);
    ratio("simulated time / flash floor", theirs.time, ours.time);
    count("erases of the partition table", theirs.table_erases, ours.table_erases);
    count("page writes of the partition table", theirs.table_writes, ours.table_writes);
    return ours.table_erases + ours.table_writes == 0;
}

static bool print_cuts(void)
{
    static const struct scheme schemes[] = {{classic_lay_out, classic_cut, classic_power},
                                            {elastic_lay_out, elastic_cut, elastic_power}};
    images(CUT_PAYLOAD);
    struct tally theirs = cut_everywhere(&schemes[0]), ours = cut_everywhere(&schemes[1]);
    printf("\n| power goes, image of %u bytes | classical scheme | elastic slots |\n| --- | --- | --- |\n",
           (unsigned)new_app.size);
    count("flash operations of the update", theirs.operations, ours.operations);
    count("cuts", theirs.cuts, ours.cuts);
    count("**nothing starts any more**", theirs.after[DEAD], ours.after[DEAD]);
    count("operations with such a cut", theirs.deadly, ours.deadly);
    ratio("their simulated time, ms", theirs.deadly_us / 1000, ours.deadly_us / 1000);
    count("the old app starts, nothing knows of an update", theirs.after[FORGOTTEN], ours.after[FORGOTTEN]);
    count("the old app starts, and the update can go on", theirs.after[KNOWN], ours.after[KNOWN]);
    count("the old app starts, the new one counts as rolled back", theirs.after[WENT_BACK], ours.after[WENT_BACK]);
    count("the new app starts", theirs.after[NEW], ours.after[NEW]);
    return ours.after[DEAD] == 0;
}

int main(void)
{
    if (otter_crypto_psa_start()) return 1;
    given_elastic_table(table);
    bool untouched = print_costs(), alive = print_cuts();
    return untouched && alive ? 0 : 1;
}
