/* The planner of the layout `elastic`: its bars over all sizes of flash, and its algebra against a device that is
 * updated step by step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/plan.h"
#include "format/table_check.h"
#include "ports/posix/crypto.h"

enum { KIB = 1024, MIB = 1024 * 1024, BLOCK = 64 * KIB, STEP = 128 * KIB, SLOTS_OF_RANGE = 14 };

static const uint32_t flashes[] = {1 * MIB, 2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB};
enum { FLASHES = sizeof flashes / sizeof flashes[0] };

static struct otter_plan plan;

static struct otter_plan_wish wish(uint32_t flash, uint32_t app, uint32_t grow, uint32_t shrink)
{
    return (struct otter_plan_wish){
        .flash_size = flash, .nvs = OTTER_PLAN_NVS, .app = app, .grow = grow, .shrink = shrink};
}

static void make(struct otter_plan_wish w) { assert_int_equal(otter_plan_make(&plan, &w), OTTER_PLAN_GOOD); }

static uint32_t up(uint32_t size) { return (size + BLOCK - 1) / BLOCK * BLOCK; }
static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* ---- bars ---- */

static void four_mib_with_an_app_of_one_and_a_half(void **state)
{
    (void)state;
    uint32_t data;
    make(wish(4 * MIB, 3 * MIB / 2, 3 * MIB / 4, 3 * MIB / 8));
    assert_int_equal(plan.pool, 0x10000);
    assert_int_equal(plan.pool_size, 4032 * KIB);
    assert_int_equal(otter_plan_settled(&plan, 3 * MIB / 2), 2496 * KIB);
    assert_true(otter_plan_settled(&plan, 3 * MIB / 2) >= 2.3 * MIB);
    assert_true(otter_plan_pending(&plan, 3 * MIB / 2, 3 * MIB / 2, &data));
    assert_int_equal(data, 960 * KIB);
    assert_int_equal(otter_plan_next(&plan, 3 * MIB / 2), 2496 * KIB);
    assert_int_equal(otter_plan_worst_loss(&plan), 0);
    assert_int_equal(plan.low, 1152 * KIB);
    assert_int_equal(plan.high, 1984 * KIB); /* 2304 KiB could not be followed by their like */
    assert_int_equal(otter_plan_beside(&plan, plan.high, plan.high), 64 * KIB);
    assert_int_equal(otter_plan_beside(&plan, 3 * MIB / 2, 3 * MIB / 2), 960 * KIB);
}

static void check_slots(void)
{
    assert_in_range(plan.slots, 2, 16);
    assert_int_equal(plan.slot[0], plan.pool);
    for (unsigned i = 0; i < plan.slots; i++) {
        assert_int_equal(plan.slot[i] % BLOCK, 0);
        assert_true(plan.slot[i] < plan.wish.flash_size);
        assert_int_equal(plan.slot[i] + otter_plan_room(&plan, i), plan.wish.flash_size);
        if (i) assert_true(plan.slot[i] > plan.slot[i - 1]);
    }
}

/* The highest slot in which it fits, found by itself. */
static uint32_t highest(uint32_t size)
{
    uint32_t offset = 0;
    for (unsigned i = 0; i < plan.slots; i++)
        if (plan.slot[i] + up(size) <= plan.wish.flash_size) offset = plan.slot[i];
    return offset;
}

static void check_losses(uint32_t from, uint32_t to)
{
    uint32_t end = plan.wish.flash_size;
    assert_true(end - up(plan.wish.app) - highest(plan.wish.app) <= BLOCK);
    for (uint32_t size = from; size <= to; size += 4 * KIB) {
        assert_true(highest(size) > plan.pool);
        assert_true(end - up(size) - highest(size) <= STEP);
        assert_int_equal(otter_plan_loss(&plan, size), end - up(size) - highest(size));
        assert_true(otter_plan_loss(&plan, size) <= otter_plan_worst_loss(&plan));
    }
}

/* Apps that half of the pool holds, not only whole blocks; so many steps up, the others of 15 down. */
static void fifteen_steps_lose_at_most_128_kib(void **state)
{
    (void)state;
    unsigned plans = 0;
    for (unsigned f = 0; f < FLASHES; f++) {
        uint32_t half = (flashes[f] - BLOCK) / 2 / BLOCK * BLOCK;
        for (uint32_t app = 1; app <= half; app += 37 * KIB)
            for (uint32_t grow = 0; grow <= 15 * STEP; grow += 5 * STEP, plans++) {
                make(wish(flashes[f], app, grow, 15 * STEP - grow));
                check_slots();
                check_losses(app > 15 * STEP - grow ? app - (15 * STEP - grow) : 1, least(app + grow, half));
            }
    }
    assert_true(plans > 1500);
}

enum { SIZES_MAX = 256, NEVER = 1 << 20 };

/* In blocks: the least that n sizes lose together if so many slots hold at most `each` sizes. */
static uint32_t least_sum(uint32_t n, uint32_t slots, uint32_t each)
{
    static uint32_t sum[SLOTS_OF_RANGE + 1][SIZES_MAX];
    for (uint32_t k = 0; k <= slots; k++)
        for (uint32_t i = 0; i <= n; i++) {
            sum[k][i] = i ? NEVER : 0;
            for (uint32_t last = 1; k && last <= each && last <= i; last++)
                sum[k][i] = least(sum[k][i], sum[k - 1][i - last] + last * (last - 1) / 2);
            if (k) sum[k][i] = least(sum[k][i], sum[k - 1][i]);
        }
    return sum[slots][n];
}

/* Nothing better can be had of the slots: tries all ways to share them out above and below the app. */
static void check_best(void)
{
    uint32_t above = (plan.high - up(plan.wish.app)) / BLOCK, below = (up(plan.wish.app) - plan.low) / BLOCK + 1;
    uint32_t best = NEVER, each = 0, sum = 0;
    while (best >= NEVER && ++each)
        for (uint32_t k = 0; k <= SLOTS_OF_RANGE; k++)
            best = least(best, least_sum(above, k, each) + least_sum(below, SLOTS_OF_RANGE - k, each));
    for (uint32_t size = plan.low; size <= plan.high; size += BLOCK) sum += otter_plan_loss(&plan, size);
    assert_int_equal(otter_plan_loss(&plan, plan.wish.app), 0);
    assert_int_equal(otter_plan_worst_loss(&plan), (each - 1) * BLOCK);
    assert_int_equal(sum, best * BLOCK);
}

static void no_choice_of_slots_loses_less(void **state)
{
    (void)state;
    uint32_t seen = 0;
    for (uint32_t app = BLOCK; app < 8 * MIB; app += 17 * BLOCK)
        for (uint32_t grow = 0; grow < 6 * MIB; grow += grow < 20 * BLOCK ? BLOCK : 13 * BLOCK)
            for (uint32_t shrink = 0; shrink < app; shrink += 11 * BLOCK) {
                make(wish(16 * MIB, app, grow, shrink));
                check_slots();
                check_best();
                if (otter_plan_worst_loss(&plan) > seen) seen = otter_plan_worst_loss(&plan);
            }
    assert_true(seen > 4 * BLOCK);
}

/* ---- a device ---- */

struct device {
    uint32_t offset, size;
};

/* Places the next image by the rule; false if it would touch the running one or leave too little data. */
static bool update(struct device *d, uint32_t next, uint32_t *data)
{
    bool low = d->offset == plan.pool;
    struct device to = {low ? highest(next) : plan.pool, next};
    const struct device *below = low ? d : &to, *above = low ? &to : d;
    if (to.offset == plan.pool && low) return false;
    if (to.offset + up(next) > plan.wish.flash_size) return false;
    if (below->offset + up(below->size) + plan.wish.min_data > above->offset) return false;
    *data = above->offset - below->offset - up(below->size);
    *d = to;
    return true;
}

static uint32_t settled_beside(const struct device *d)
{
    return d->offset == plan.pool ? plan.pool_size - up(d->size) : d->offset - plan.pool;
}

/* One pair of sizes, from wherever the first may sit. */
static void check_pair(uint32_t old, uint32_t next)
{
    struct device low = {plan.pool, old}, high = {highest(old), old};
    uint32_t data_low = 0, data_high = UINT32_MAX, data, settled = settled_beside(&low);
    bool accepted = update(&low, next, &data_low);
    if (high.offset != plan.pool) {
        if (settled_beside(&high) < settled) settled = settled_beside(&high);
        accepted = update(&high, next, &data_high) && accepted;
    }
    assert_int_equal(otter_plan_settled(&plan, old), settled);
    assert_int_equal(next <= otter_plan_next(&plan, old), accepted);
    assert_int_equal(otter_plan_pending(&plan, old, next, &data), accepted);
    if (accepted) assert_int_equal(data, least(data_low, data_high));
}

static void algebra_is_that_of_a_device(void **state)
{
    (void)state;
    struct otter_plan_wish w[] = {wish(2 * MIB, 600 * KIB, 300 * KIB, 150 * KIB),
                                  wish(4 * MIB, 3 * MIB / 2, 3 * MIB / 4, 3 * MIB / 8),
                                  wish(4 * MIB, 1 * MIB, 15 * STEP, 0),
                                  wish(4 * MIB, 5 * MIB / 2, MIB, MIB),
                                  wish(4 * MIB, 1 * MIB, 0, 0),
                                  wish(8 * MIB, 2 * MIB, MIB, MIB)};
    w[4].min_data = 1 * MIB + 5;
    w[5].min_data = 1;
    for (unsigned i = 0; i < sizeof w / sizeof w[0]; i++) {
        make(w[i]);
        for (uint32_t old = 1; old <= plan.pool_size; old += 13 * KIB)
            for (uint32_t next = BLOCK; next <= plan.pool_size; next += BLOCK) {
                check_pair(old, next);
                check_pair(old, next + 1);
            }
    }
}

/* ---- data that must be left ---- */

static void least_data_is_kept_or_refused(void **state)
{
    (void)state;
    for (unsigned f = 1; f < FLASHES; f++)
        for (uint32_t app = 300 * KIB; 2 * up(app) <= flashes[f] - BLOCK; app += 200 * KIB) {
            struct otter_plan_wish w = wish(flashes[f], app, app / 2, app / 4);
            uint32_t left = flashes[f] - BLOCK - 2 * up(app), data;
            for (w.min_data = 1; w.min_data <= left; w.min_data += left / 3 + 1) {
                make(w);
                assert_true(otter_plan_pending(&plan, app, app, &data) && data >= w.min_data);
                assert_int_equal(otter_plan_next(&plan, app), plan.pool_size - up(app) - up(w.min_data));
            }
            w.min_data = left;
            make(w);
            check_slots();                        /* the app's slot is also that for its largest successor, once */
            assert_int_equal(plan.high, up(app)); /* to grow would cost data */
            w.min_data = left + 1;
            assert_int_equal(otter_plan_make(&plan, &w), OTTER_PLAN_NO_DATA);
        }
}

static void more_than_half_the_pool(void **state)
{
    (void)state;
    uint32_t data, app = 2100 * KIB;
    struct otter_plan_wish w = wish(4 * MIB, app, MIB, 0);
    make(w);
    check_slots();
    assert_int_equal(plan.high, up(app));
    assert_false(otter_plan_pending(&plan, app, app, &data));
    assert_int_equal(otter_plan_next(&plan, app), plan.pool_size - up(app));
    assert_int_equal(otter_plan_loss(&plan, app), 0);
    assert_true(otter_plan_beside(&plan, app, app) < 0);
    /* the way on: something small, then the app again */
    assert_true(otter_plan_pending(&plan, otter_plan_next(&plan, app), app, &data));
    w.min_data = 1;
    assert_int_equal(otter_plan_make(&plan, &w), OTTER_PLAN_NO_DATA);
}

/* ---- the table ---- */

static void refuse_finding(void *ctx, const struct otter_table_finding *f)
{
    (void)ctx;
    fail_msg("row %u: fault %d", f->row, f->fault);
}

static void check_table(void)
{
    static struct otter_table_list list;
    struct otter_partition row[OTTER_PLAN_ROWS];
    struct otter_table_rules rules = {.offset = 0x8000,
                                      .primary_bootloader = -1,
                                      .recovery_bootloader = -1,
                                      .flash_size = plan.wish.flash_size,
                                      .secure = OTTER_TABLE_SECURE_V1,
                                      .overlapping_slots = true};
    uint8_t bytes[OTTER_TABLE_SIZE];
    unsigned n = otter_plan_rows(&plan, row), count, bad;
    assert_int_equal(n, 3 + plan.slots);
    assert_int_equal(otter_table_write(row, n, true, &otter_crypto_openssl, bytes), OTTER_OK);
    struct otter_table_memory m = {bytes, sizeof bytes};
    struct otter_rows rows = otter_table_rows(&m);
    assert_int_equal(otter_table_check(&rows, plan.wish.flash_size, &otter_crypto_openssl, &count, &bad), OTTER_OK);
    assert_int_equal(count, n);
    assert_int_equal(otter_table_list_read(&list, &m, &otter_crypto_openssl, &bad), OTTER_OK);
    assert_int_equal(otter_table_judge(&list, &rules, refuse_finding, NULL), 0);
    for (unsigned i = 0; i < plan.slots; i++) {
        assert_int_equal(list.row[3 + i].subtype, OTTER_APP_OTA_0 + i);
        assert_int_equal(list.row[3 + i].offset, plan.slot[i]);
    }
}

static void the_pool_begins_as_early_as_nvs_lets_it(void **state)
{
    (void)state;
    static const struct {
        uint32_t nvs, pool;
    } cases[] = {{0x3000, 0x10000}, {0x4000, 0x10000}, {0x5000, 0x20000}, {0x14000, 0x20000}, {0x15000, 0x30000}};
    for (unsigned f = 0; f < FLASHES; f++)
        for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct otter_plan_wish w = wish(flashes[f], 100 * KIB, 50 * KIB, 0);
            w.nvs = cases[i].nvs;
            make(w);
            assert_int_equal(plan.pool, cases[i].pool);
            assert_int_equal(plan.pool + plan.pool_size, flashes[f]);
            assert_in_range(plan.pool - otter_plan_fixed_end(&plan), 0, BLOCK - 1);
            check_table();
        }
}

static void wishes_that_cannot_be(void **state)
{
    (void)state;
    const struct otter_plan_wish good = wish(1 * MIB, 896 * KIB, UINT32_MAX, UINT32_MAX);
    static const struct {
        uint32_t flash, nvs, app, min_data;
        enum otter_plan_fault fault;
    } cases[] = {{0, 0, 0, 0, OTTER_PLAN_GOOD},
                 {512 * KIB, 0, 0, 0, OTTER_PLAN_BAD_FLASH},
                 {3 * MIB, 0, 0, 0, OTTER_PLAN_BAD_FLASH},
                 {32 * MIB, 0, 0, 0, OTTER_PLAN_BAD_FLASH},
                 {0, 0x2000, 0, 0, OTTER_PLAN_BAD_NVS},
                 {0, 0x3800, 0, 0, OTTER_PLAN_BAD_NVS},
                 {0, 0xF0000, 0, 0, OTTER_PLAN_NO_POOL},
                 {0, 0xFFFFF000, 0, 0, OTTER_PLAN_NO_POOL},
                 {0, 0, 896 * KIB + 1, 0, OTTER_PLAN_BAD_APP},
                 {0, 0, UINT32_MAX, 0, OTTER_PLAN_BAD_APP},
                 {0, 0, 0, 1, OTTER_PLAN_NO_DATA},
                 {0, 0, 64 * KIB, UINT32_MAX, OTTER_PLAN_NO_DATA}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct otter_plan_wish w = good;
        if (cases[i].flash) w.flash_size = cases[i].flash;
        if (cases[i].nvs) w.nvs = cases[i].nvs;
        if (cases[i].app) w.app = cases[i].app;
        w.min_data = cases[i].min_data;
        assert_int_equal(otter_plan_make(&plan, &w), cases[i].fault);
    }
    struct otter_plan_wish none = good, full = good;
    none.app = 0;
    full.nvs = 0xD4000; /* two blocks are left */
    full.app = 1;
    assert_int_equal(otter_plan_make(&plan, &none), OTTER_PLAN_BAD_APP);
    make(full);
    check_table();
    full.nvs += OTTER_SECTOR;
    assert_int_equal(otter_plan_make(&plan, &full), OTTER_PLAN_NO_POOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_mib_with_an_app_of_one_and_a_half),  cmocka_unit_test(fifteen_steps_lose_at_most_128_kib),
        cmocka_unit_test(no_choice_of_slots_loses_less),           cmocka_unit_test(algebra_is_that_of_a_device),
        cmocka_unit_test(least_data_is_kept_or_refused),           cmocka_unit_test(more_than_half_the_pool),
        cmocka_unit_test(the_pool_begins_as_early_as_nvs_lets_it), cmocka_unit_test(wishes_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
