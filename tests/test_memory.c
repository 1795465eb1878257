/* What the engine keeps across restarts: an update that was cut goes on, a switch that was undone is made again, a roll
 * back has a reason, and is not repeated by itself; firmware on trial is judged by the policy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "tests/fixture.h"
#include "tests/vectors.h"

static struct fixture_image old_image, new_image;
static uint8_t flash[FIXTURE_FLASH], before[FIXTURE_FLASH];
static struct sim_world world;
static struct otter_offer offer;

static int new_device(void **state)
{
    (void)state;
    fixture_image(&old_image, "1.0.0", NULL, 9000);
    fixture_image(&new_image, "2.0.0", NULL, 3 * OTTER_BLOCK + 20000);
    fixture_device(&world, flash, false, &old_image);
    fixture_start(&world);
    memcpy(before, flash, sizeof flash);
    offer = (struct otter_offer){.door = "test", .size = new_image.size, .has_sha256 = true};
    fixture_digest(&new_image, offer.sha256);
    return 0;
}

static void restart(void) { fixture_start(&world); }

static bool runs(const struct fixture_image *image) { return fixture_holds(&world, world.booted.offset, image); }

/* Feeds what is missing up to `upto`, from where the device wants it. */
static enum otter_err feed_to(uint32_t upto) { return fixture_feed(&world, &offer, &new_image, upto); }

static enum otter_err finish(void) { return fixture_finish(&world); }

static void update(void)
{
    assert_int_equal(feed_to(new_image.size), OTTER_OK);
    assert_int_equal(finish(), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
}

/* ---- resume ---- */

static void goes_on_after_a_broken_connection(void **state)
{
    (void)state;
    assert_int_equal(feed_to(2 * OTTER_BLOCK + 5000), OTTER_OK);
    otter_abort(&world.session);
    assert_int_equal(otter_resume_offset(&world.device, &offer), 2 * OTTER_BLOCK);
    uint64_t written = world.nor.bytes_written;
    assert_int_equal(feed_to(new_image.size), OTTER_OK);
    assert_true(world.nor.bytes_written - written < 2 * OTTER_BLOCK);
    assert_int_equal(finish(), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
}

static void goes_on_after_a_restart(void **state)
{
    (void)state;
    for (uint32_t upto = 0; upto < new_image.size; upto += 30000) {
        assert_int_equal(feed_to(upto > otter_resume_offset(&world.device, &offer) ? upto : 0), OTTER_OK);
        restart();
        assert_true(runs(&old_image));
        assert_int_equal(otter_resume_offset(&world.device, &offer), (upto - upto % 4096) / OTTER_BLOCK * OTTER_BLOCK);
    }
    update();
}

static void only_the_same_offer_goes_on(void **state)
{
    (void)state;
    struct otter_offer other;
    assert_int_equal(feed_to(2 * OTTER_BLOCK), OTTER_OK);
    otter_abort(&world.session);
    other = offer;
    other.sha256[5] ^= 1;
    assert_int_equal(otter_resume_offset(&world.device, &other), 0);
    other = offer;
    other.size++;
    assert_int_equal(otter_resume_offset(&world.device, &other), 0);
    other = offer;
    other.has_sha256 = false;
    assert_int_equal(otter_resume_offset(&world.device, &other), 0);
    other = offer;
    other.offset = OTTER_BLOCK;
    assert_int_equal(otter_begin(&world.session, &world.device, &other), OTTER_OFFSET);
    assert_null(world.device.session);
    /* Another image into the same slot: what was there is no more. */
    assert_int_equal(sim_world_push(&world, &(struct otter_offer){0}, old_image.bytes, 6000, 1000), OTTER_TRUNCATED);
    assert_int_equal(otter_resume_offset(&world.device, &offer), 0);
    restart();
    assert_int_equal(otter_resume_offset(&world.device, &offer), 0);
}

/* The bytes of the first part were not what the record says: the whole is judged at the end in any case. */
static void a_spoilt_first_part_is_found_out(void **state)
{
    (void)state;
    assert_int_equal(feed_to(2 * OTTER_BLOCK), OTTER_OK);
    restart();
    flash[FIXTURE_OTA_1 + 70000] ^= 1;
    assert_int_equal(feed_to(new_image.size), OTTER_OK);
    assert_int_equal(finish(), OTTER_CHECKSUM);
    assert_int_equal(otter_resume_offset(&world.device, &offer), 0);
    update();
}

static void kept_first_sector_then_cut(void **state)
{
    (void)state;
    /* The slot holds the image but for its end: the first blocks are kept, and the cut comes behind them. */
    memcpy(flash + FIXTURE_OTA_1, new_image.bytes, new_image.size);
    flash[FIXTURE_OTA_1 + 2 * OTTER_BLOCK + 9000] ^= 1;
    restart();
    assert_int_equal(feed_to(2 * OTTER_BLOCK + 20000), OTTER_OK);
    restart();
    assert_true(flash[FIXTURE_OTA_1] != OTTER_IMAGE_MAGIC);
    update();
}

static void at_most_one_write_a_block(void **state)
{
    (void)state;
    assert_int_equal(feed_to(new_image.size), OTTER_OK);
    assert_true(world.device.record.writes <= 1 + new_image.size / OTTER_BLOCK);
    assert_int_equal(finish(), OTTER_OK);
}

/* Cut at every operation of the upload; whatever is left of it, it goes on or begins anew, and gets there. */
static void resumes_after_every_cut(void **state)
{
    (void)state;
    unsigned cuts = 0, resumed = 0;
    for (uint64_t at = 1;; at += 3) {
        memcpy(flash, before, sizeof flash);
        restart();
        world.nor.cut =
            (struct sim_cut){.at = at, .tear = (enum sim_tear)(at % SIM_TEARS), .arg = (uint32_t)at, .seed = at};
        if (feed_to(new_image.size) == OTTER_OK && !world.nor.dead) break;
        restart();
        assert_true(runs(&old_image));
        if (otter_resume_offset(&world.device, &offer)) resumed++;
        update();
        cuts++;
    }
    assert_true(cuts > 100 && resumed > cuts / 2);
}

/* The record as docs/SPEC.md shows it. */
static void the_record_is_as_specified(void **state)
{
    (void)state;
    uint8_t raw[200];
    size_t size = sizeof raw, expected_size;
    uint8_t *expected = vector_file("otter", "update_record.bin", &expected_size);
    assert_int_equal(feed_to(5000), OTTER_OK);
    const struct otter_settings *s = &world.settings.port;
    assert_int_equal(s->get(s->ctx, "otter", "update", OTTER_SETTING_BLOB, raw, &size), 0);
    assert_int_equal(size, expected_size);
    assert_memory_equal(raw, expected, size);
    free(expected);
}

static void a_newer_schema_is_left_alone(void **state)
{
    (void)state;
    const struct otter_settings *s = &world.settings.port;
    uint32_t schema = OTTER_SCHEMA + 1;
    uint8_t theirs[200] = {1};
    size_t size = sizeof theirs;
    assert_int_equal(s->set(s->ctx, "otter", "schema", OTTER_SETTING_U32, &schema, 4), 0);
    assert_int_equal(s->set(s->ctx, "otter", "why", OTTER_SETTING_BLOB, theirs, sizeof theirs), 0);
    restart();
    assert_int_equal(world.device.record.phase, 0);
    update();
    s = &world.settings.port;
    assert_int_equal(s->get(s->ctx, "otter", "schema", OTTER_SETTING_U32, &schema, &(size_t){4}), 0);
    assert_int_equal(schema, OTTER_SCHEMA + 1);
    assert_int_equal(s->get(s->ctx, "otter", "why", OTTER_SETTING_BLOB, theirs, &size), 0);
}

/* ---- the switch is made again ---- */

static void lose_entry(uint32_t slot_seq)
{
    for (unsigned i = 0; i < 2; i++)
        if (otter_get32(flash + 0xD000 + i * OTTER_SECTOR) == slot_seq)
            memset(flash + 0xD000 + i * OTTER_SECTOR, 0xFF, 32);
}

static void an_undone_switch_is_made_again_once(void **state)
{
    (void)state;
    update();
    /* Power goes while the boot loader or the confirmation rewrites the new entry. */
    lose_entry(2);
    restart();
    assert_true(runs(&old_image));
    assert_true(world.device.switched);
    restart();
    assert_true(runs(&new_image));
    lose_entry(2);
    restart();
    assert_true(runs(&old_image));
    assert_false(world.device.switched);
    update();
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    restart();
    assert_int_equal(world.device.record.phase, 0);
}

static void not_again_if_the_image_is_gone(void **state)
{
    (void)state;
    update();
    lose_entry(2);
    flash[FIXTURE_OTA_1 + 50000] ^= 1;
    restart();
    assert_true(runs(&old_image));
    assert_false(world.device.switched);
    assert_int_equal(world.device.record.phase, 0);
}

/* ---- why, and never by itself again ---- */

static void why_is_kept(const char *expected)
{
    char why[OTTER_WHY];
    otter_why(&world.device, why);
    assert_string_equal(why, expected);
}

static void rolled_back_with_a_reason(void **state)
{
    (void)state;
    update();
    assert_int_equal(otter_rollback(&world.device, "no sensor"), OTTER_OK);
    restart();
    assert_true(runs(&old_image));
    why_is_kept("no sensor");
    restart();
    why_is_kept("no sensor");
    update();
    why_is_kept("");
}

static void rolled_back_by_the_boot_loader(void **state)
{
    (void)state;
    update();
    restart();
    assert_true(runs(&old_image));
    why_is_kept("it restarted unconfirmed");
}

static void not_by_itself_again(void **state)
{
    (void)state;
    update();
    restart();
    assert_true(runs(&old_image));
    offer.automatic = true;
    assert_int_equal(feed_to(new_image.size), OTTER_BANNED);
    /* Also if the offer does not say what it is: found at the end, before the switch. */
    struct otter_offer silent = {.automatic = true};
    assert_int_equal(sim_world_push(&world, &silent, new_image.bytes, new_image.size, 4096), OTTER_BANNED);
    assert_false(world.device.switched);
    offer.automatic = false;
    update();
}

static void the_last_few_are_remembered(void **state)
{
    (void)state;
    static struct fixture_image images[OTTER_CFG_BANNED + 1];
    for (unsigned i = 0; i <= OTTER_CFG_BANNED; i++) {
        char version[8];
        snprintf(version, sizeof version, "3.0.%u", i);
        fixture_image(&images[i], version, NULL, 8000 + 16 * i);
        assert_int_equal(sim_world_push(&world, NULL, images[i].bytes, images[i].size, 4096), OTTER_OK);
        restart();
        restart();
        assert_true(runs(&old_image));
    }
    struct otter_offer automatic = {.automatic = true};
    for (unsigned i = 1; i <= OTTER_CFG_BANNED; i++)
        assert_int_equal(sim_world_push(&world, &automatic, images[i].bytes, images[i].size, 4096), OTTER_BANNED);
    assert_int_equal(sim_world_push(&world, &automatic, images[0].bytes, images[0].size, 4096), OTTER_OK);
}

/* ---- healthy? ---- */

static void pass_ms(uint32_t ms)
{
    for (uint32_t at = 0; at < ms; at += 500) {
        world.more_ms += 500;
        otter_poll(&world.device);
    }
}

static uint32_t state_of_running(void)
{
    struct otter_status st;
    otter_status(&world.device, &st);
    return st.running_state;
}

static void the_default_policy_confirms(void **state)
{
    (void)state;
    update();
    otter_health_network(&world.device);
    pass_ms(OTTER_TRIAL_UPTIME_MS - 500);
    assert_int_equal(state_of_running(), OTTER_OTA_PENDING_VERIFY);
    pass_ms(1000);
    assert_int_equal(state_of_running(), OTTER_OTA_VALID);
    restart();
    assert_true(runs(&new_image));
}

static void the_deadline_rolls_back(void **state)
{
    (void)state;
    update();
    pass_ms(OTTER_TRIAL_DEADLINE_MS - 1000);
    assert_false(world.device.switched);
    pass_ms(2000);
    assert_true(world.device.switched);
    assert_true(world.rebooted);
    restart();
    assert_true(runs(&old_image));
    why_is_kept("no network was reached");
}

static void the_app_has_a_say(void **state)
{
    (void)state;
    struct otter_health_policy policy = {.app = true, .deadline_ms = 10000};
    update();
    otter_health_set_policy(&world.device, &policy);
    pass_ms(5000);
    assert_int_equal(state_of_running(), OTTER_OTA_PENDING_VERIFY);
    otter_health_app(&world.device, true);
    pass_ms(500);
    assert_int_equal(state_of_running(), OTTER_OTA_VALID);
}

static void the_app_says_no(void **state)
{
    (void)state;
    update();
    otter_health_app(&world.device, false);
    pass_ms(500);
    assert_true(world.device.switched);
    restart();
    assert_true(runs(&old_image));
    why_is_kept("the app's own check failed");
}

static void settings_overrule_the_policy(void **state)
{
    (void)state;
    uint32_t up = 2000, no = 0;
    const struct otter_settings *s = &world.settings.port;
    assert_int_equal(s->set(s->ctx, "otter", "trial_up_ms", OTTER_SETTING_U32, &up, 4), 0);
    assert_int_equal(s->set(s->ctx, "otter", "trial_net", OTTER_SETTING_U32, &no, 4), 0);
    update();
    pass_ms(1500);
    assert_int_equal(state_of_running(), OTTER_OTA_PENDING_VERIFY);
    pass_ms(1000);
    assert_int_equal(state_of_running(), OTTER_OTA_VALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, new_device)
    const struct CMUnitTest tests[] = {
        TEST(goes_on_after_a_broken_connection),
        TEST(goes_on_after_a_restart),
        TEST(only_the_same_offer_goes_on),
        TEST(a_spoilt_first_part_is_found_out),
        TEST(kept_first_sector_then_cut),
        TEST(at_most_one_write_a_block),
        TEST(resumes_after_every_cut),
        TEST(the_record_is_as_specified),
        TEST(a_newer_schema_is_left_alone),
        TEST(an_undone_switch_is_made_again_once),
        TEST(not_again_if_the_image_is_gone),
        TEST(rolled_back_with_a_reason),
        TEST(rolled_back_by_the_boot_loader),
        TEST(not_by_itself_again),
        TEST(the_last_few_are_remembered),
        TEST(the_default_policy_confirms),
        TEST(the_deadline_rolls_back),
        TEST(the_app_has_a_say),
        TEST(the_app_says_no),
        TEST(settings_overrule_the_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
