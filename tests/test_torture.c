/* The short form of the proof: power goes at every flash operation of every flow, in every kind of tear, on small and
 * on nearly matching images; and the proof's own words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/preset.h"
#include "ports/posix/crypto.h"
#include "ports/sim/torture.h"
#include "tests/fixture.h"

static struct fixture_image old_image, new_image;
static uint8_t table[OTTER_SECTOR];
static struct sim_torture torture;
static struct sim_torturer torturer;

static void violated(void *ctx, const struct sim_path *path, int invariant, const char *how)
{
    char text[SIM_PATH_TEXT];
    (void)ctx;
    fail_msg("invariant %d: %s; %s", invariant, how, sim_path_print(path, text));
}

static void plan(uint32_t payload, unsigned depth, unsigned one_in)
{
    const struct otter_preset *preset = otter_preset_find("two_ota");
    const char *what;
    fixture_image(&old_image, "1.0.0", NULL, 1000);
    fixture_image(&new_image, "2.0.0", NULL, payload);
    assert_int_equal(otter_table_write(preset->row, preset->rows, true, &otter_crypto_openssl, table), OTTER_OK);
    torture = (struct sim_torture){.plan = {.table = {table, 0x400000, &otter_crypto_openssl},
                                            .old = {.bytes = old_image.bytes, .size = old_image.size},
                                            .new = {.bytes = new_image.bytes, .size = new_image.size}},
                                   .seed = 1,
                                   .depth = depth,
                                   .one_in = one_in,
                                   .violated = violated};
    assert_int_equal(sim_plan_check(&torture.plan, &what), OTTER_OK);
}

static void cut_all(const char *name)
{
    struct sim_flow flow;
    const char *what;
    uint8_t *memory = malloc(sim_torturer_memory(&torture.plan));
    assert_non_null(memory);
    sim_torturer_init(&torturer, &torture, memory);
    for (unsigned i = 0; sim_torture_flow(&torture.plan, i, &flow); i++) {
        assert_int_equal(sim_torturer_begin(&torturer, &flow, &what), OTTER_OK);
        uint64_t operations = sim_torturer_count(&torturer);
        assert_true(operations > 20);
        for (uint64_t at = 1; at <= operations; at++) sim_torturer_cut(&torturer, at);
    }
    free(memory);
    for (int i = 0; i < SIM_PHASES; i++) assert_true(torturer.counts.by_phase[i] > 0 || i == SIM_PHASE_DATA);
    printf("%s: %llu cuts and %llu lost writes, no violation\n", name, (unsigned long long)torturer.counts.cuts,
           (unsigned long long)torturer.counts.faults);
}

static void every_operation_of_every_flow(void **state)
{
    (void)state;
    plan(8000, 1, 2);
    cut_all("small image");
    assert_true(torturer.counts.cuts > 10000 && torturer.counts.faults > 300);
}

static void and_again_on_the_way_on(void **state)
{
    (void)state;
    plan(5000, 2, 12);
    cut_all("small image, cut twice");
    assert_true(torturer.counts.cuts > 8000);
}

/* Blocks are kept, the first sector is written anew, and the broken connection is gone on from. */
static void nearly_matching_blocks(void **state)
{
    (void)state;
    plan(200000, 1, 80);
    cut_all("four blocks");
    assert_true(torturer.counts.cuts > 2000);
}

/* Slots that overlap, an image and a data image of more than a block each. */
static void elastic_slots(void **state)
{
    (void)state;
    static const uint32_t heights[] = {0x10000, 0x50000, 0x90000, 0xC0000, 0x100000, 0x110000, 0x120000, 0x130000};
    enum { SLOTS = sizeof heights / sizeof heights[0], END = 0x140000 };
    static uint8_t data[70000];
    struct otter_partition rows[SLOTS + 2] = {{OTTER_TYPE_DATA, OTTER_DATA_NVS, 0x9000, 0x5000, 0, "nvs"},
                                              {OTTER_TYPE_DATA, OTTER_DATA_OTADATA, 0xE000, 0x2000, 0, "otadata"}};
    const char *what;
    plan(80000, 1, 60);
    for (unsigned i = 0; i < SLOTS; i++)
        rows[i + 2] = (struct otter_partition){
            OTTER_TYPE_APP, (uint8_t)(OTTER_APP_OTA_0 + i), heights[i], END - heights[i], 0, "slot"};
    assert_int_equal(otter_table_write(rows, SLOTS + 2, true, &otter_crypto_openssl, table), OTTER_OK);
    for (unsigned i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 13 + i / 253);
    torture.plan.table.flash_size = END;
    torture.plan.data = data;
    torture.plan.data_size = sizeof data;
    assert_int_equal(sim_plan_check(&torture.plan, &what), OTTER_OK);
    assert_true(torture.plan.elastic);
    cut_all("elastic slots");
    assert_true(torturer.counts.cuts > 1500 && torturer.counts.by_phase[SIM_PHASE_DATA] > 20);
    assert_int_equal(torturer.counts.table_erases + torturer.counts.table_writes, 0);
}

static void paths_in_words(void **state)
{
    (void)state;
    static const char *const good[] = {"confirm/ota_0/blank", "crash/factory/nearly:41:prefix:27",
                                       "confirm/ota_15/old/no-rollback:1:before:0+22:half-erase:4096",
                                       "settings/ota_1/old:7:lost:0"};
    static const char *const bad[] = {"",
                                      "confirm",
                                      "walk/ota_0/blank",
                                      "confirm/ota_16/blank",
                                      "confirm/ota_0/full",
                                      "confirm/ota_0/blank/twice",
                                      "confirm/ota_0/blank:0:before:0",
                                      "confirm/ota_0/blank:1:sideways:0",
                                      "confirm/ota_0/blank:1:before",
                                      "confirm/ota_0/blank:1:before:0+2:before:0+3:before:0"};
    struct sim_path path;
    char text[SIM_PATH_TEXT];
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(sim_path_parse(good[i], &path));
        assert_string_equal(sim_path_print(&path, text), good[i]);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (sim_path_parse(bad[i], &path)) fail_msg("\"%s\" was taken", bad[i]);
}

static void plans_that_prove_nothing(void **state)
{
    (void)state;
    const char *what;
    plan(1000, 1, 1);
    torture.plan.new = torture.plan.old;
    assert_int_equal(sim_plan_check(&torture.plan, &what), OTTER_ALREADY_CURRENT);
    new_image.bytes[400] ^= 1;
    torture.plan.new.bytes = new_image.bytes;
    assert_int_equal(sim_plan_check(&torture.plan, &what), OTTER_CHECKSUM);
    assert_string_equal(what, "the new image");
    table[4] ^= 1;
    assert_int_equal(sim_plan_check(&torture.plan, &what), OTTER_TABLE_MD5);
    assert_string_equal(what, "the partition table");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_operation_of_every_flow),
                                       cmocka_unit_test(and_again_on_the_way_on),
                                       cmocka_unit_test(nearly_matching_blocks),
                                       cmocka_unit_test(elastic_slots),
                                       cmocka_unit_test(paths_in_words),
                                       cmocka_unit_test(plans_that_prove_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
