/* From fixed slots to elastic ones: what is refused, and where a loss of power is fatal: in the window that was stated,
 * and nowhere else. */
#include <stdio.h>
#include <string.h>

#include "otter/migrate.h"
#include "ports/posix/crypto.h"
#include "ports/sim/table.h"
#include "tests/fixture.h"

enum { HEIGHTS = 0x90000, NVS_SIZE = 0x4000 };

static struct fixture_image old_image, new_image;
static uint8_t flash[FIXTURE_FLASH], before[FIXTURE_FLASH], table[OTTER_SECTOR];
static struct sim_world world;

/* The layout is the table's. False if nothing starts. */
static bool start(void)
{
    struct sim_table t = {flash + 0x8000, sizeof flash, &otter_crypto_openssl};
    enum otter_err e = OTTER_OK;
    sim_nor_power_on(&world.nor);
    world.layout = sim_table_overlaps(&t) ? &otter_layout_elastic : NULL;
    if (!sim_world_start(&world, &e)) return false;
    assert_int_equal(e, OTTER_OK);
    return true;
}

/* A table with `slots` slots, of which number `at` lies at offset; the others at the bottom and above. */
static void make_table(unsigned slots, unsigned at, uint32_t offset)
{
    struct otter_partition rows[OTTER_OTA_SLOTS + 2] = {
        {OTTER_TYPE_DATA, OTTER_DATA_NVS, 0x9000, NVS_SIZE, 0, "nvs"},
        {OTTER_TYPE_DATA, OTTER_DATA_OTADATA, 0xD000, 0x2000, 0, "otadata"}};
    for (unsigned i = 0; i < slots; i++) {
        uint32_t from = i == at  ? offset
                        : i == 0 ? FIXTURE_OTA_0
                                 : HEIGHTS + i * OTTER_BLOCK / 4 / OTTER_BLOCK * OTTER_BLOCK;
        rows[i + 2] = (struct otter_partition){
            OTTER_TYPE_APP, (uint8_t)(OTTER_APP_OTA_0 + i), from, FIXTURE_FLASH - from, 0, "slot"};
    }
    assert_int_equal(otter_table_write(rows, slots + 2, true, &otter_crypto_openssl, table), OTTER_OK);
}

/* Fixed slots, the old firmware in ota_0; or after an update in ota_1, with the one before still in ota_0. */
static void device(bool high)
{
    fixture_device(&world, flash, false, &old_image);
    assert_true(start());
    if (high) {
        assert_int_equal(sim_world_push(&world, NULL, new_image.bytes, new_image.size, 4096), OTTER_OK);
        assert_true(start());
        assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    }
    uint32_t kept = 4711;
    struct otter_settings *s = &world.settings.port;
    assert_int_equal(s->set(s->ctx, "app", "kept", OTTER_SETTING_U32, &kept, sizeof kept), 0);
    assert_true(start());
    memcpy(before, flash, sizeof flash);
}

static bool holds(const struct fixture_image *i) { return fixture_holds(&world, world.booted.offset, i); }

static void settings_are_kept(void)
{
    uint32_t kept = 0;
    size_t size = sizeof kept;
    struct otter_settings *s = &world.settings.port;
    assert_int_equal(s->get(s->ctx, "app", "kept", OTTER_SETTING_U32, &kept, &size), 0);
    assert_int_equal(kept, 4711);
}

static void is_elastic_with(const struct fixture_image *i, uint32_t offset)
{
    struct otter_division d;
    assert_ptr_equal(world.layout, &otter_layout_elastic);
    assert_true(holds(i));
    assert_int_equal(world.booted.offset, offset);
    assert_int_equal(world.booted.selected, world.booted.slot);
    otter_division(&world.device, &d);
    assert_int_equal(d.state, OTTER_DIVISION_SETTLED);
    settings_are_kept();
}

/* ---- the window ---- */

static const enum sim_tear tears[] = {SIM_TEAR_BEFORE,      SIM_TEAR_AFTER,       SIM_TEAR_PREFIX,
                                      SIM_TEAR_RANDOM_BITS, SIM_TEAR_ALL_BUT_ONE, SIM_TEAR_HALF_ERASE};

/* One cut; false if nothing starts after it. If something does, the device goes over to the new table in the end. */
static bool survives(uint64_t at, enum sim_tear tear, uint32_t arg, const struct fixture_image *runs, uint32_t offset)
{
    memcpy(flash, before, sizeof flash);
    assert_true(start());
    world.nor.cut = (struct sim_cut){.at = at, .tear = tear, .arg = arg, .seed = at * 31 + arg};
    otter_migrate(&world.device, table);
    assert_true(world.nor.dead);
    if (!start()) return false;
    assert_true(holds(runs));
    settings_are_kept();
    if (!world.layout) {
        assert_int_equal(otter_migrate(&world.device, table), OTTER_OK);
        assert_true(start());
    }
    is_elastic_with(runs, offset);
    return true;
}

static void cut_everywhere(const char *name, const struct fixture_image *runs, uint32_t offset)
{
    static const uint32_t args[] = {0, 1, 27, 33, 100, 255};
    struct otter_migration m;
    assert_int_equal(otter_migrate_check(&world.device, table, &m), OTTER_OK);
    sim_nor_power_on(&world.nor);
    assert_int_equal(otter_migrate(&world.device, table), OTTER_OK);
    uint64_t operations = world.nor.changes, first = 0, last = 0;
    unsigned fatal = 0, cuts = 0;
    assert_true(start());
    is_elastic_with(runs, offset);
    for (uint64_t at = 1; at <= operations; at++)
        for (unsigned t = 0; t < sizeof tears / sizeof tears[0]; t++)
            for (unsigned i = 0; i < sizeof args / sizeof args[0]; i++, cuts++) {
                if (survives(at, tears[t], args[i], runs, offset)) continue;
                if (!first) first = at;
                last = at;
                fatal++;
            }
    /* The stated window: one erase and so many page writes, the last of all. */
    assert_int_equal(last, operations);
    assert_int_equal(last - first + 1, 1 + m.pages);
    printf("%s: %u cuts, %u fatal, all within the window of 1 erase and %u page writes\n", name, cuts, fatal, m.pages);
}

static void from_the_bottom(void **state)
{
    (void)state;
    device(false);
    make_table(16, 0, FIXTURE_OTA_0);
    cut_everywhere("from ota_0", &old_image, FIXTURE_OTA_0);
}

static void from_the_upper_slot(void **state)
{
    (void)state;
    device(true);
    make_table(8, 3, FIXTURE_OTA_1);
    cut_everywhere("from ota_1 to ota_3", &new_image, FIXTURE_OTA_1);
}

static void refused(enum otter_err expected, const char *why)
{
    struct otter_migration m;
    assert_int_equal(otter_migrate_check(&world.device, table, &m), expected);
    assert_int_equal(otter_migrate(&world.device, table), expected);
    assert_memory_equal(flash, before, sizeof flash);
    if (why && (!m.why || !strstr(m.why, why))) fail_msg("\"%s\", not \"%s\"", m.why ? m.why : "", why);
}

static void it_is_updated_as_ever(void **state)
{
    (void)state;
    device(true);
    make_table(4, 1, FIXTURE_OTA_1);
    assert_int_equal(otter_migrate(&world.device, table), OTTER_OK);
    assert_int_equal(otter_migrate(&world.device, table), OTTER_BUSY);
    assert_int_not_equal(flash[FIXTURE_OTA_0], OTTER_IMAGE_MAGIC);
    assert_true(start());
    memcpy(before, flash, sizeof flash);
    refused(OTTER_MIGRATION, "elastic already");
    struct otter_offer offer = {.size = old_image.size};
    assert_int_equal(sim_world_push(&world, &offer, old_image.bytes, old_image.size, 4096), OTTER_OK);
    assert_true(start());
    assert_true(holds(&old_image));
    assert_int_equal(world.booted.offset, FIXTURE_OTA_0);
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
}

/* A write of the table that fails while there is power is made again. */
static void faults_in_the_window_are_tried_again(void **state)
{
    (void)state;
    for (enum sim_op op = SIM_WRITE; op <= SIM_ERASE; op++)
        for (uint64_t at = 1; at < 40; at++) {
            device(false);
            make_table(16, 0, FIXTURE_OTA_0);
            world.nor.fault = (struct sim_fault){.op = op, .at = at};
            enum otter_err e = otter_migrate(&world.device, table);
            if (e) assert_int_equal(otter_migrate(&world.device, table), OTTER_OK);
            assert_true(start());
            is_elastic_with(&old_image, FIXTURE_OTA_0);
        }
}

/* ---- what is refused ---- */

static void tables_that_do_not_do(void **state)
{
    (void)state;
    device(true);
    make_table(4, 1, FIXTURE_OTA_1 + OTTER_BLOCK);
    refused(OTTER_MIGRATION, "no slot where the running firmware lies");
    make_table(4, 2, FIXTURE_OTA_1);
    refused(OTTER_MIGRATION, "no sequence number");
    make_table(4, 1, FIXTURE_OTA_1);
    table[5 * OTTER_TABLE_ROW + 13] ^= 1;
    refused(OTTER_TABLE_MD5, NULL);
    memset(table, 0xFF, sizeof table);
    refused(OTTER_TABLE_MAGIC, NULL);
    /* An odd number of slots has a common number for any slot. */
    make_table(5, 2, FIXTURE_OTA_1);
    assert_int_equal(otter_migrate(&world.device, table), OTTER_OK);
    assert_true(start());
    is_elastic_with(&new_image, FIXTURE_OTA_1);
}

static void settings_and_otadata_stay(void **state)
{
    (void)state;
    device(false);
    struct otter_partition rows[] = {{OTTER_TYPE_DATA, OTTER_DATA_NVS, 0x9000, 0x3000, 0, "nvs"},
                                     {OTTER_TYPE_DATA, OTTER_DATA_OTADATA, 0xD000, 0x2000, 0, "otadata"},
                                     {OTTER_TYPE_APP, OTTER_APP_OTA_0, FIXTURE_OTA_0, 0xC0000, 0, "ota_0"},
                                     {OTTER_TYPE_APP, OTTER_APP_OTA_0 + 1, 0x90000, 0x40000, 0, "ota_1"},
                                     {OTTER_TYPE_APP, OTTER_APP_FACTORY, 0x90000, 0x40000, 0, "factory"}};
    assert_int_equal(otter_table_write(rows, 4, true, &otter_crypto_openssl, table), OTTER_OK);
    refused(OTTER_MIGRATION, "nvs at another place");
    rows[0].size = NVS_SIZE;
    rows[1].offset += 0x1000;
    assert_int_equal(otter_table_write(rows, 4, true, &otter_crypto_openssl, table), OTTER_OK);
    refused(OTTER_MIGRATION, "otadata at another place");
    rows[1].offset -= 0x1000;
    assert_int_equal(otter_table_write(rows, 5, true, &otter_crypto_openssl, table), OTTER_OK);
    refused(OTTER_MIGRATION, "factory app");
    rows[2].size = 0x1000;
    assert_int_equal(otter_table_write(rows, 4, true, &otter_crypto_openssl, table), OTTER_OK);
    refused(OTTER_MIGRATION, "does not fit");
}

static void not_while_something_is_under_way(void **state)
{
    (void)state;
    device(false);
    make_table(16, 0, FIXTURE_OTA_0);
    struct otter_offer offer = {.size = new_image.size};
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    refused(OTTER_BUSY, NULL);
    otter_abort(&world.session);
    assert_int_equal(sim_world_push(&world, NULL, new_image.bytes, new_image.size, 4096), OTTER_OK);
    assert_true(start());
    memcpy(before, flash, sizeof flash);
    refused(OTTER_UNCONFIRMED, NULL);
}

static void from_a_factory_app_it_does_not_go(void **state)
{
    (void)state;
    fixture_device(&world, flash, true, &old_image);
    assert_true(start());
    memcpy(before, flash, sizeof flash);
    make_table(16, 0, FIXTURE_OTA_0);
    refused(OTTER_MIGRATION, "does not run from an ota slot");
}

static int setup(void **state)
{
    (void)state;
    fixture_image(&old_image, "1.0.0", NULL, 9000);
    fixture_image(&new_image, "2.0.0", NULL, 21000);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_the_bottom),
        cmocka_unit_test(from_the_upper_slot),
        cmocka_unit_test(it_is_updated_as_ever),
        cmocka_unit_test(faults_in_the_window_are_tried_again),
        cmocka_unit_test(tables_that_do_not_do),
        cmocka_unit_test(settings_and_otadata_stay),
        cmocka_unit_test(not_while_something_is_under_way),
        cmocka_unit_test(from_a_factory_app_it_does_not_go),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
