/* Power goes at every flash operation of the whole way (upload, switch, boot, confirm), in every kind of tear; what
 * starts next is checked against the invariants of docs/DESIGN.md section 11, and the way is gone on to its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture.h"

enum { LIVES = 8, UPLOAD_PIECE = 1460 };

static struct fixture_image old_image, new_image;
static uint8_t pristine[FIXTURE_FLASH], flash[FIXTURE_FLASH];
static struct sim_world world;

/* How far the update had come when power went. */
enum progress { NOT_SWITCHED, SWITCHING, SWITCHED, CONFIRMED, UNDECIDED };

static enum otter_err upload(struct sim_world *w, enum progress *p)
{
    struct otter_offer offer = {.door = "test", .size = new_image.size};
    enum otter_err e = otter_begin(&w->session, &w->device, &offer);
    for (uint32_t at = 0, n; !e && at < new_image.size; at += n) {
        n = new_image.size - at < UPLOAD_PIECE ? new_image.size - at : UPLOAD_PIECE;
        e = otter_feed(&w->session, new_image.bytes + at, n);
    }
    if (e) return e;
    while ((e = otter_finish(&w->session)) == OTTER_AGAIN)
        if (w->session.step == OTTER_STEP_SWITCH) *p = SWITCHING;
    if (!e) *p = SWITCHED;
    return e;
}

/* Power went while the boot loader wrote. */
static bool torn_boot;

static bool runs_new(const struct sim_world *w) { return fixture_holds(w, w->booted.offset, &new_image); }

/* From power-on to the next restart: the old firmware takes the update, the new one confirms itself. */
static bool live(struct sim_world *w, enum progress *p)
{
    enum otter_err e;
    if (!sim_world_start(w, &e)) {
        torn_boot = true;
        return false;
    }
    if (!runs_new(w)) return upload(w, p) == OTTER_OK && !w->nor.dead;
    if (otter_confirm(&w->device)) return false;
    *p = CONFIRMED;
    /* What is remembered may still be on its way into the settings. */
    return !w->nor.dead;
}

static char replay[240];

#define HOLDS(invariant, what)                                                   \
    do {                                                                         \
        if (!(what)) fail_msg("invariant %d: %s; %s", invariant, #what, replay); \
    } while (0)

/* What a fresh start must find: 1 it starts, 2 the right one, 5 whole and checked, 6 what it says is so. */
static void check_start(struct sim_world *w, enum progress p)
{
    enum otter_err e;
    struct otter_slot_status slot;
    sim_nor_power_on(&w->nor);
    HOLDS(1, sim_world_start(w, &e));
    HOLDS(4, e == OTTER_OK);
    HOLDS(5, runs_new(w) || fixture_holds(w, w->booted.offset, &old_image));
    if (p == NOT_SWITCHED) HOLDS(2, !runs_new(w));
    if (p == CONFIRMED) HOLDS(2, runs_new(w));
    /* An unconfirmed one is on trial, unless the boot loader's own write was torn: that one has no checksum over the
     * state. */
    struct otter_status st;
    otter_status(&w->device, &st);
    if (runs_new(w) && p == SWITCHING && w->chip.rollback && !torn_boot)
        HOLDS(2, st.running_state == OTTER_OTA_PENDING_VERIFY);
    for (unsigned i = 0; otter_slot_at(&w->device, i, &slot); i++)
        if (slot.running) HOLDS(6, strcmp(slot.desc.version, runs_new(w) ? "2.0.0" : "1.0.0") == 0);
}

/* On to the end, with one restart after the other; false if power goes again. */
static bool go_on(struct sim_world *w, enum progress *p)
{
    for (int life = 0; life < LIVES && *p != CONFIRMED; life++) {
        if (life) sim_nor_power_on(&w->nor);
        if (!live(w, p)) return false;
    }
    return *p == CONFIRMED;
}

static void must_go_on(struct sim_world *w)
{
    enum progress p = NOT_SWITCHED;
    sim_nor_power_on(&w->nor);
    HOLDS(4, go_on(w, &p));
    check_start(w, CONFIRMED);
}

/* The whole way; false if power went. */
static bool whole_way(struct sim_world *w, enum progress *p)
{
    for (int life = 0; life < LIVES && *p != CONFIRMED; life++)
        if (!live(w, p)) return false;
    return *p == CONFIRMED;
}

static void reset_world(void)
{
    memcpy(flash, pristine, sizeof flash);
    bool rollback = world.chip.rollback;
    sim_world_init(&world, flash, sizeof flash, world.crypto);
    world.chip.rollback = rollback;
}

static int depth = 1;
static uint64_t cuts;

/* Power goes a second time, at every operation of the way on; three ways of it, as each first cut has them all. */
static void cut_recovery(enum progress before)
{
    static uint8_t after_first[FIXTURE_FLASH];
    static const enum sim_tear again[] = {SIM_TEAR_BEFORE, SIM_TEAR_PREFIX, SIM_TEAR_RANDOM_BITS};
    bool rollback = world.chip.rollback;
    memcpy(after_first, flash, sizeof flash);
    size_t first = strlen(replay);
    for (uint64_t at = 1;; at++)
        for (unsigned k = 0; k < 3; k++) {
            enum progress p = NOT_SWITCHED;
            memcpy(flash, after_first, sizeof flash);
            sim_world_init(&world, flash, sizeof flash, world.crypto);
            world.chip.rollback = rollback;
            world.nor.cut = (struct sim_cut){.at = at, .tear = again[k], .arg = (uint32_t)at * 7, .seed = at};
            snprintf(replay + first, sizeof replay - first, "; again at %llu, %s", (unsigned long long)at,
                     sim_tear_name(again[k]));
            if (go_on(&world, &p)) {
                /* The way on has no such operation: it has been cut everywhere. */
                memcpy(flash, after_first, sizeof flash);
                replay[first] = '\0';
                return;
            }
            /* What the first cut left undecided stays so until the recovery itself has got further. */
            check_start(&world, before == NOT_SWITCHED || p > before ? p : UNDECIDED);
            must_go_on(&world);
            cuts++;
        }
}

static void cut_once(uint64_t at, enum sim_tear tear, uint32_t arg)
{
    enum progress p = NOT_SWITCHED;
    torn_boot = false;
    reset_world();
    world.nor.cut = (struct sim_cut){.at = at, .tear = tear, .arg = arg, .seed = at * 31 + arg};
    snprintf(replay, sizeof replay, "cut at operation %llu, %s, %u", (unsigned long long)at, sim_tear_name(tear), arg);
    assert_false(whole_way(&world, &p));
    assert_true(world.nor.dead);
    if (depth > 1) cut_recovery(p);
    check_start(&world, p);
    must_go_on(&world);
    cuts++;
}

/* Each kind of tear with arguments that meet the edges of a 32-byte entry, a page and a block. */
static const struct kind {
    enum sim_tear tear;
    uint32_t args[8];
    unsigned count;
} kinds[] = {
    {SIM_TEAR_BEFORE, {0}, 1},
    {SIM_TEAR_AFTER, {0}, 1},
    {SIM_TEAR_PREFIX, {1, 4, 20, 24, 27, 31, 255, 4096}, 8},
    {SIM_TEAR_RANDOM_BITS, {1, 2, 3, 4}, 4},
    {SIM_TEAR_ALL_BUT_ONE, {0, 3, 9, 25, 33, 40, 61, 70}, 8},
    {SIM_TEAR_HALF_ERASE, {1, 33, 4096, 40000}, 4},
};

static uint64_t count_operations(void)
{
    enum progress p = NOT_SWITCHED;
    reset_world();
    assert_true(whole_way(&world, &p));
    return world.nor.changes;
}

static void cut_everywhere(const char *what)
{
    cuts = 0;
    uint64_t operations = count_operations();
    for (uint64_t at = 1; at <= operations; at++)
        for (unsigned k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
            for (unsigned i = 0; i < kinds[k].count; i++) cut_once(at, kinds[k].tear, kinds[k].args[i]);
    printf("%s: %llu operations, %llu cuts, no violation\n", what, (unsigned long long)operations,
           (unsigned long long)cuts);
}

static void prepare(bool factory, uint32_t payload)
{
    fixture_image(&old_image, "1.0.0", NULL, 9000);
    fixture_image(&new_image, "2.0.0", NULL, payload);
    fixture_device(&world, pristine, factory, &old_image);
}

static void two_slots(void **state)
{
    (void)state;
    prepare(false, 21000);
    cut_everywhere("two slots");
}

static void factory_and_two_slots(void **state)
{
    (void)state;
    prepare(true, 21000);
    cut_everywhere("factory app and two slots");
}

static void no_rollback(void **state)
{
    (void)state;
    prepare(false, 21000);
    world.chip.rollback = false;
    cut_everywhere("boot loader without roll back");
}

/* The spare slot already holds most of the new image: sectors are kept, the header is not. */
static void spare_slot_nearly_the_same(void **state)
{
    (void)state;
    prepare(false, 200000);
    memcpy(pristine + FIXTURE_OTA_1, new_image.bytes, new_image.size);
    pristine[FIXTURE_OTA_1 + 195000] ^= 1;
    cut_everywhere("spare slot nearly the same");
}

int main(void)
{
    const char *wanted = getenv("OTTER_CUTS_DEPTH");
    depth = wanted ? atoi(wanted) : 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(two_slots), cmocka_unit_test(factory_and_two_slots),
                                       cmocka_unit_test(no_rollback), cmocka_unit_test(spare_slot_nearly_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
