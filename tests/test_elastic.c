/* The elastic layout: where images go, what is refused, what is data's, over many updates. Power cuts are the
 * torture's. */
#include <stdio.h>
#include <string.h>

#include "format/bytes.h"
#include "otter/data.h"
#include "ports/posix/crypto.h"
#include "ports/sim/keeper.h"
#include "tests/fixture.h"

enum { POOL = 0x10000, END = 0x140000, K = 1024, SLOTS = 6 };

/* Slots at these heights, each to the pool's end. */
static const uint32_t heights[SLOTS] = {POOL, 0x50000, 0x90000, 0xC0000, 0x100000, 0x120000};

static struct fixture_image image[4];
static uint8_t flash[END];
static struct sim_world world;
static struct sim_kept files;
static struct sim_keeper keeper;

static void put_table(void)
{
    struct otter_partition rows[SLOTS + 2] = {{OTTER_TYPE_DATA, OTTER_DATA_NVS, 0x9000, 0x5000, 0, "nvs"},
                                              {OTTER_TYPE_DATA, OTTER_DATA_OTADATA, 0xE000, 0x2000, 0, "otadata"}};
    for (unsigned i = 0; i < SLOTS; i++) {
        rows[i + 2] = (struct otter_partition){
            OTTER_TYPE_APP, (uint8_t)(OTTER_APP_OTA_0 + i), heights[i], END - heights[i], 0, ""};
        snprintf(rows[i + 2].label, sizeof rows[i + 2].label, "ota_%u", i);
    }
    assert_int_equal(otter_table_write(rows, SLOTS + 2, true, &otter_crypto_openssl, flash + 0x8000), OTTER_OK);
}

static void start(void) { fixture_start(&world); }

/* image[0] runs from ota_0; with `keep` somebody keeps files beside it. */
static void device(bool keep)
{
    memset(flash, 0xFF, sizeof flash);
    put_table();
    memcpy(flash + POOL, image[0].bytes, image[0].size);
    sim_world_init(&world, flash, sizeof flash, &otter_crypto_openssl);
    world.nor.watch = (struct sim_watch){.offset = 0x8000, .size = OTTER_SECTOR};
    memset(&files, 0, sizeof files);
    sim_keeper_init(&keeper, &world.nor, &files);
    memcpy(keeper.slot_at, heights, sizeof heights);
    keeper.slots = SLOTS;
    world.layout = &otter_layout_elastic;
    world.data = keep ? &keeper.port : NULL;
    start();
}

static int setup(void **state)
{
    (void)state;
    fixture_image(&image[0], "1.0.0", NULL, 180 * K);
    fixture_image(&image[1], "2.0.0", NULL, 100 * K);
    fixture_image(&image[2], "3.0.0", NULL, 230 * K);
    fixture_image(&image[3], "4.0.0", NULL, 230 * K + 512);
    return 0;
}

static struct otter_division now(void)
{
    struct otter_division d;
    otter_division(&world.device, &d);
    return d;
}

static void data_is(enum otter_division_state state, uint32_t from, uint32_t to)
{
    struct otter_division d = now();
    assert_int_equal(d.state, state);
    assert_int_equal(d.data.offset, from);
    assert_int_equal(d.data.offset + d.data.size, to);
}

static enum otter_err push(const struct fixture_image *i)
{
    files.may_go = true;
    return sim_world_push(&world, &(struct otter_offer){.size = i->size, .data_may_go = true}, i->bytes, i->size, 4096);
}

static bool runs(const struct fixture_image *i) { return fixture_holds(&world, world.booted.offset, i); }

static void update_to(const struct fixture_image *i)
{
    assert_int_equal(push(i), OTTER_OK);
    start();
    assert_true(runs(i));
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
}

static void the_app_just_fits_and_data_has_the_rest(void **state)
{
    (void)state;
    device(false);
    data_is(OTTER_DIVISION_SETTLED, 0x40000, END);
    assert_int_equal(now().app.size, 0x30000);
    assert_int_equal(push(&image[1]), OTTER_OK);
    /* The highest slot in which it fits; until it has confirmed itself both are there. */
    start();
    assert_int_equal(world.booted.offset, 0x120000);
    data_is(OTTER_DIVISION_PENDING, 0x40000, 0x120000);
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    data_is(OTTER_DIVISION_SETTLED, POOL, 0x120000);
    assert_int_not_equal(flash[POOL], OTTER_IMAGE_MAGIC);
    /* And back to the bottom. */
    update_to(&image[2]);
    assert_int_equal(world.booted.offset, POOL);
    data_is(OTTER_DIVISION_SETTLED, 0x50000, END);
    assert_int_not_equal(flash[0x120000], OTTER_IMAGE_MAGIC);
}

static void twenty_updates(void **state)
{
    (void)state;
    device(true);
    for (unsigned n = 0; n < 20; n++) {
        const struct fixture_image *next = &image[(n * 7 + 1) % 4];
        if (runs(next)) next = &image[(n * 7 + 2) % 4];
        update_to(next);
        struct otter_division d = now();
        assert_int_equal(d.state, OTTER_DIVISION_SETTLED);
        /* 64 KiB lost at most between this table's heights and the pool's end. */
        assert_true(d.data.size + d.app.size + 0x20000 >= d.pool.size);
        assert_true(files.whole && files.region.size == d.data.size);
        start();
        assert_null(keeper.broken);
        files.may_go = false;
    }
    assert_int_equal(world.nor.watch.erases + world.nor.watch.writes, 0);
}

/* A switch that a cut has undone is made again at the next start. */
static void restart(void)
{
    start();
    if (world.device.switched) start();
}

static uint32_t next_random(uint32_t *seed) { return *seed = *seed * 1664525 + 1013904223; }

static void plan_cut(uint32_t *seed, unsigned operations)
{
    uint32_t at = next_random(seed) / 65536 % operations + 1, tear = next_random(seed) / 65536 % SIM_TEARS;
    sim_nor_power_on(&world.nor);
    world.nor.cut =
        (struct sim_cut){.at = at, .tear = (enum sim_tear)tear, .arg = next_random(seed) >> 20, .seed = *seed};
}

/* Power goes somewhere in the upload, and again somewhere in the confirmation. */
static unsigned cuts;

static void cut_update_to(const struct fixture_image *i, uint32_t *seed)
{
    plan_cut(seed, 1000);
    push(i);
    cuts += world.nor.dead;
    restart();
    if (!runs(i)) {
        assert_int_equal(push(i), OTTER_OK);
        restart();
    }
    assert_true(runs(i));
    plan_cut(seed, 40);
    otter_confirm(&world.device);
    cuts += world.nor.dead;
    restart();
    if (runs(i))
        assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    else
        update_to(i);
}

static void twenty_updates_each_cut_twice(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 10; seed++) {
        uint32_t random = seed;
        device(true);
        for (unsigned n = 0; n < 20; n++) {
            const struct fixture_image *next = &image[next_random(&random) / 65536 % 4];
            if (runs(next)) continue;
            cut_update_to(next, &random);
            start();
            files.may_go = false;
            start();
            if (keeper.broken) fail_msg("seed %u, update %u: %s", seed, n, keeper.broken);
            assert_true(runs(next));
            struct otter_division d = now();
            assert_int_equal(d.state, OTTER_DIVISION_SETTLED);
            assert_true(files.whole && files.region.size == d.data.size);
        }
        assert_int_equal(world.nor.watch.erases + world.nor.watch.writes, 0);
    }
    assert_true(cuts > 150);
}

/* ---- refused by the numbers, before anything is erased ---- */

static void refused(uint32_t size, enum otter_err expected)
{
    static uint8_t was[sizeof flash];
    memcpy(was, flash, sizeof flash);
    struct otter_offer offer = {.size = size, .data_may_go = true};
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), expected);
    assert_memory_equal(was, flash, sizeof flash);
}

static void taken(uint32_t size)
{
    struct otter_offer offer = {.size = size, .data_may_go = true};
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    otter_abort(&world.session);
}

static void sizes_are_judged_first(void **state)
{
    (void)state;
    device(false);
    refused(0, OTTER_LENGTH_REQUIRED);
    uint32_t largest = now().largest;
    assert_int_equal(largest, END - 0x50000);
    taken(largest);
    refused(largest + 1, OTTER_TOO_BIG);
    uint32_t floor = 0x40000;
    struct otter_settings *s = &world.settings.port;
    assert_int_equal(s->set(s->ctx, "otter", "data_min", OTTER_SETTING_U32, &floor, sizeof floor), 0);
    assert_int_equal(now().largest, END - 0x90000);
    refused(END - 0x90000 + 1, OTTER_TOO_BIG);
    taken(END - 0x90000);
}

static void what_elastic_needs(void **state)
{
    (void)state;
    device(false);
    world.chip.rollback = false;
    refused(1000, OTTER_NEEDS_ROLLBACK);
    world.chip.rollback = true;
    world.no_settings = true;
    start();
    refused(1000, OTTER_NEEDS_SETTINGS);
    world.no_settings = false;
    /* The same table without the layout would cost the running image. */
    world.layout = NULL;
    start();
    refused(1000, OTTER_NO_SLOT);
}

static void a_bound_serves_where_the_size_is_not_known(void **state)
{
    (void)state;
    device(false);
    struct otter_offer offer = {.size_at_most = image[1].size + 300, .data_may_go = true};
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    assert_int_equal(otter_feed(&world.session, image[1].bytes, 60 * K), OTTER_OK);
    assert_int_equal(otter_feed(&world.session, image[1].bytes + 60 * K, image[1].size - 60 * K), OTTER_OK);
    assert_int_equal(fixture_finish(&world), OTTER_OK);
    start();
    assert_true(runs(&image[1]));
    /* Beyond it nothing may come: what lies there may run. */
    device(false);
    offer.size_at_most = 50 * K;
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    assert_int_equal(otter_feed(&world.session, image[1].bytes, 50 * K), OTTER_OK);
    assert_int_equal(otter_feed(&world.session, image[1].bytes + 50 * K, 1), OTTER_SIZE);
}

/* ---- ways back ---- */

static void on_trial_there_is_a_way_back(void **state)
{
    (void)state;
    device(true);
    assert_int_equal(push(&image[1]), OTTER_OK);
    start();
    struct otter_status st;
    otter_status(&world.device, &st);
    assert_true(st.can_roll_back);
    assert_int_equal(otter_rollback(&world.device, "tired"), OTTER_OK);
    start();
    assert_true(runs(&image[0]));
    assert_false(fixture_holds(&world, 0x120000, &image[1]));
    data_is(OTTER_DIVISION_WENT_BACK, 0x40000, END);
    assert_null(keeper.broken);
    /* What lies there now is data, whatever otadata remembers. */
    assert_true(files.whole);
    files.may_go = false;
    start();
    start();
    assert_null(keeper.broken);
}

static void settled_there_is_none(void **state)
{
    (void)state;
    device(true);
    update_to(&image[1]);
    struct otter_status st;
    otter_status(&world.device, &st);
    assert_false(st.can_roll_back);
    assert_int_equal(otter_rollback(&world.device, "tired"), OTTER_NO_PREVIOUS);
    files.may_go = false;
    for (int i = 0; i < 3; i++) start();
    assert_true(runs(&image[1]));
    assert_null(keeper.broken);
}

static void found_by_search_it_is_settled(void **state)
{
    (void)state;
    device(false);
    update_to(&image[1]);
    memset(flash + 0xE000, 0xFF, 0x2000);
    start();
    assert_true(runs(&image[1]));
    assert_int_equal(now().data.offset, POOL);
    update_to(&image[2]);
    assert_int_equal(world.booted.offset, POOL);
}

static void otadata_that_names_no_image_is_a_fallback(void **state)
{
    (void)state;
    device(false);
    otter_ota_write(2, OTTER_OTA_VALID, flash + 0xE000);
    start();
    assert_true(runs(&image[0]));
    data_is(OTTER_DIVISION_FALLBACK, 0x40000, END);
    update_to(&image[1]);
    data_is(OTTER_DIVISION_SETTLED, POOL, 0x120000);
}

/* ---- files ---- */

static bool holds_nothing(void *ctx)
{
    (void)ctx;
    return false;
}

static void files_go_only_with_consent(void **state)
{
    (void)state;
    device(true);
    struct otter_offer offer = {.size = image[1].size};
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_DATA_LOSS);
    keeper.port.holds = holds_nothing;
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    otter_abort(&world.session);
    keeper.port.holds = NULL;
    uint32_t yes = 1;
    struct otter_settings *s = &world.settings.port;
    assert_int_equal(s->set(s->ctx, "otter", "data_loss", OTTER_SETTING_U32, &yes, sizeof yes), 0);
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    otter_abort(&world.session);
    assert_null(keeper.broken);
    assert_true(files.whole && files.region.size == END - 0x40000);
}

static bool does_not_let_go(void *ctx)
{
    (void)ctx;
    return false;
}

static void who_does_not_let_go_stops_the_update(void **state)
{
    (void)state;
    device(true);
    bool (*release)(void *) = keeper.port.release;
    keeper.port.release = does_not_let_go;
    assert_int_equal(push(&image[1]), OTTER_DATA_BUSY);
    files.may_go = false;
    keeper.port.release = release;
    start();
    assert_null(keeper.broken);
    assert_true(runs(&image[0]));
    update_to(&image[1]);
}

/* ---- the data image that follows ---- */

static uint8_t data[150 * K];

static struct otter_offer with_data(const struct fixture_image *i)
{
    const struct otter_crypto *c = &otter_crypto_openssl;
    struct otter_hash h;
    struct otter_offer offer = {.size = i->size, .data_size = sizeof data};
    for (uint32_t n = 0; n < sizeof data; n++) data[n] = (uint8_t)(n * 7 + n / 251);
    assert_int_equal(c->hash_start(c->ctx, &h, OTTER_SHA256), 0);
    assert_int_equal(c->hash_update(c->ctx, &h, data, sizeof data), 0);
    assert_int_equal(c->hash_finish(c->ctx, &h, offer.data_sha256), 0);
    return offer;
}

/* image[1] runs and is confirmed, and its data image is waited for. */
static void device_that_waits(void)
{
    device(true);
    struct otter_offer offer = with_data(&image[1]);
    keeper.image = data;
    keeper.image_size = sizeof data;
    files.may_go = true;
    assert_int_equal(sim_world_push(&world, &offer, image[1].bytes, image[1].size, 4096), OTTER_OK);
    start();
    assert_false(world.device.data.waiting);
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    assert_true(world.device.data.waiting);
    assert_false(world.device.data.offered);
}

static struct otter_data_session feeding;

static enum otter_err finish_data(void)
{
    enum otter_err e;
    while ((e = otter_data_finish(&feeding)) == OTTER_AGAIN) {
    }
    return e;
}

static enum otter_err feed_data(uint32_t from, uint32_t to)
{
    enum otter_err e = otter_data_begin(&feeding, &world.device, from);
    for (uint32_t at = from, n; !e && at < to; at += n) {
        n = to - at < 1460 ? to - at : 1460;
        e = otter_data_feed(&feeding, data + at, n);
    }
    return e;
}

static void data_follows_the_app(void **state)
{
    (void)state;
    struct otter_data_wait wait;
    device_that_waits();
    assert_true(otter_data_waits(&world.device, &wait));
    assert_int_equal(wait.size, sizeof data);
    assert_int_equal(wait.wanted, 0);
    /* Cut in the third block: two are there. */
    assert_int_equal(feed_data(0, 140 * K), OTTER_OK);
    otter_data_abort(&feeding);
    assert_int_equal(otter_data_feed(&feeding, data, 1), OTTER_ABORTED);
    start();
    assert_true(otter_data_waits(&world.device, &wait));
    assert_int_equal(wait.wanted, 2 * OTTER_BLOCK);
    assert_int_equal(otter_data_begin(&feeding, &world.device, 0), OTTER_OFFSET);
    assert_int_equal(feed_data(wait.wanted, sizeof data), OTTER_OK);
    assert_int_equal(finish_data(), OTTER_OK);
    assert_int_equal(finish_data(), OTTER_OK);
    assert_false(otter_data_waits(&world.device, &wait));
    assert_true(world.device.data.offered && files.restored);
    assert_memory_equal(flash + world.device.data.region.offset, data, sizeof data);
    start();
    assert_int_equal(world.device.data.fate, OTTER_DATA_KEPT);
    assert_null(keeper.broken);
}

static void another_data_image_is_refused(void **state)
{
    (void)state;
    struct otter_data_wait wait;
    device_that_waits();
    data[100000] ^= 1;
    assert_int_equal(feed_data(0, sizeof data), OTTER_OK);
    assert_int_equal(finish_data(), OTTER_DIGEST);
    data[100000] ^= 1;
    assert_true(otter_data_waits(&world.device, &wait));
    assert_int_equal(wait.wanted, 0);
    assert_int_equal(feed_data(0, 1000), OTTER_OK);
    assert_int_equal(finish_data(), OTTER_SIZE);
    assert_int_equal(feed_data(0, sizeof data), OTTER_OK);
    assert_int_equal(otter_data_feed(&feeding, data, 1), OTTER_SIZE);
    assert_int_equal(otter_data_finish(&feeding), OTTER_SIZE);
    assert_int_equal(otter_data_begin(&feeding, &world.device, 2 * OTTER_BLOCK), OTTER_OK);
    assert_int_equal(otter_data_feed(&feeding, data + 2 * OTTER_BLOCK, sizeof data - 2 * OTTER_BLOCK), OTTER_OK);
    assert_int_equal(finish_data(), OTTER_OK);
    assert_true(files.restored);
}

static void data_may_be_forgone(void **state)
{
    (void)state;
    device_that_waits();
    assert_int_equal(otter_data_forgo(&world.device), OTTER_OK);
    assert_true(world.device.data.offered && files.whole && !files.restored);
    assert_int_equal(otter_data_forgo(&world.device), OTTER_STATE);
    assert_int_equal(otter_data_begin(&feeding, &world.device, 0), OTTER_STATE);
    files.may_go = false;
    start();
    assert_null(keeper.broken);
}

/* Who waits can be updated; then nothing of the first image is waited for any more. */
static void the_next_update_ends_the_waiting(void **state)
{
    (void)state;
    device_that_waits();
    assert_int_equal(feed_data(0, 1000), OTTER_OK);
    update_to(&image[2]);
    assert_int_equal(otter_data_feed(&feeding, data, 1), OTTER_STATE);
    assert_true(world.device.data.offered);
    start();
    assert_false(world.device.data.waiting);
    /* Also if it is given up: then the firmware that waited goes on without. */
    device_that_waits();
    assert_int_equal(push(&image[2]), OTTER_OK);
    start();
    assert_int_equal(otter_data_begin(&feeding, &world.device, 0), OTTER_STATE);
    start();
    assert_true(runs(&image[1]));
    assert_false(world.device.data.waiting);
    assert_true(world.device.data.offered);
}

/* Firmware that never runs brings no data. */
static void data_of_what_went_back_is_not_waited_for(void **state)
{
    (void)state;
    device(true);
    struct otter_offer offer = with_data(&image[1]);
    files.may_go = true;
    assert_int_equal(sim_world_push(&world, &offer, image[1].bytes, image[1].size, 4096), OTTER_OK);
    start();
    start();
    assert_true(runs(&image[0]));
    assert_false(world.device.data.waiting);
    assert_true(world.device.data.offered);
    update_to(&image[1]);
    assert_false(world.device.data.waiting);
}

static void data_must_fit_beside_the_app(void **state)
{
    (void)state;
    device(true);
    struct otter_offer offer = with_data(&image[1]);
    offer.data_size = 0x120000 - POOL + 1;
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_DATA_TOO_BIG);
    offer.data_size--;
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    otter_abort(&world.session);
}

/* A signature sector belongs to the image: it is not data's. */
static void signatures_count(void **state)
{
    (void)state;
    device(false);
    uint32_t at = otter_round_up(image[0].size, OTTER_SECTOR);
    memset(flash + POOL + at, 0xFF, OTTER_SECTOR);
    flash[POOL + at] = 0xE7;
    start();
    uint32_t whole = otter_round_up(at + OTTER_SECTOR, OTTER_BLOCK);
    data_is(OTTER_DIVISION_SETTLED, POOL + whole, END);
}

static int32_t nowhere(void *ctx, uint32_t *off)
{
    (void)ctx;
    *off = 0x5000;
    return 0;
}

/* It cannot be updated, but it can be asked. */
static void what_runs_outside_the_pool_is_unknown(void **state)
{
    (void)state;
    struct otter_slot_status slot;
    enum otter_err e;
    device(false);
    world.chip.running = nowhere;
    assert_true(sim_world_start(&world, &e));
    assert_int_equal(e, OTTER_NO_SLOT);
    assert_int_equal(now().state, OTTER_DIVISION_UNKNOWN);
    assert_int_equal(now().pool.size, END - POOL);
    assert_int_equal(now().app.size + now().data.size + now().largest, 0);
    for (unsigned n = 0; n < SLOTS; n++) {
        assert_true(otter_slot_at(&world.device, n, &slot));
        assert_false(slot.running || slot.target);
    }
    refused(1000, OTTER_NO_SLOT);
}

static void divisions_have_names(void **state)
{
    (void)state;
    assert_string_equal(otter_division_name(OTTER_DIVISION_FIXED), "fixed");
    assert_string_equal(otter_division_name(OTTER_DIVISION_UNKNOWN), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_app_just_fits_and_data_has_the_rest),
        cmocka_unit_test(twenty_updates),
        cmocka_unit_test(twenty_updates_each_cut_twice),
        cmocka_unit_test(sizes_are_judged_first),
        cmocka_unit_test(what_elastic_needs),
        cmocka_unit_test(a_bound_serves_where_the_size_is_not_known),
        cmocka_unit_test(on_trial_there_is_a_way_back),
        cmocka_unit_test(settled_there_is_none),
        cmocka_unit_test(found_by_search_it_is_settled),
        cmocka_unit_test(otadata_that_names_no_image_is_a_fallback),
        cmocka_unit_test(files_go_only_with_consent),
        cmocka_unit_test(who_does_not_let_go_stops_the_update),
        cmocka_unit_test(data_follows_the_app),
        cmocka_unit_test(another_data_image_is_refused),
        cmocka_unit_test(data_may_be_forgone),
        cmocka_unit_test(the_next_update_ends_the_waiting),
        cmocka_unit_test(data_of_what_went_back_is_not_waited_for),
        cmocka_unit_test(data_must_fit_beside_the_app),
        cmocka_unit_test(signatures_count),
        cmocka_unit_test(what_runs_outside_the_pool_is_unknown),
        cmocka_unit_test(divisions_have_names),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
