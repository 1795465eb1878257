/* The engine on the flash model: what it takes, what it refuses, what it leaves behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "format/signature.h"
#include "ports/posix/crypto.h"
#include "ports/posix/sign_openssl.h"
#include "tests/fixture.h"

static struct fixture_image old_image, new_image;
static uint8_t flash[FIXTURE_FLASH], before[FIXTURE_FLASH];
static struct sim_world world;

static int new_device(void **state)
{
    (void)state;
    fixture_image(&old_image, "1.0.0", NULL, 9000);
    fixture_image(&new_image, "2.0.0", NULL, 21000);
    fixture_device(&world, flash, false, &old_image);
    fixture_start(&world);
    memcpy(before, flash, sizeof flash);
    return 0;
}

static enum otter_err push(const struct fixture_image *image)
{
    return sim_world_push(&world, NULL, image->bytes, image->size, 1024);
}

static void restart(void) { fixture_start(&world); }

static bool runs(const struct fixture_image *image) { return fixture_holds(&world, world.booted.offset, image); }

static uint32_t state_of_running(void)
{
    struct otter_status st;
    otter_status(&world.device, &st);
    return st.running_state;
}

/* The boot loader's fallback search must not find what is in the slot. */
static bool startable(uint32_t offset) { return flash[offset] == OTTER_IMAGE_MAGIC; }

/* ---- the way of an update ---- */

static void updates_confirms_and_goes_back(void **state)
{
    (void)state;
    struct otter_status st;
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
    assert_int_equal(state_of_running(), OTTER_OTA_PENDING_VERIFY);
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
    assert_int_equal(state_of_running(), OTTER_OTA_VALID);
    otter_status(&world.device, &st);
    assert_true(st.can_roll_back);
    assert_int_equal(otter_rollback(&world.device, "test"), OTTER_OK);
    restart();
    assert_true(runs(&old_image));
    assert_int_equal(world.device.went_back, 1);
    assert_false(startable(FIXTURE_OTA_1));
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
}

static void unconfirmed_goes_back_at_restart(void **state)
{
    (void)state;
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
    restart();
    assert_true(runs(&old_image));
    assert_int_equal(world.device.went_back, 1);
    assert_false(startable(FIXTURE_OTA_1));
    struct otter_slot_status slot;
    assert_true(otter_slot_at(&world.device, 1, &slot));
    assert_true(slot.has_desc);
    assert_string_equal(slot.desc.version, "2.0.0");
}

static void events_tell_the_story(void **state)
{
    (void)state;
    static const enum otter_event_code expected[] = {OTTER_EV_STARTED,  OTTER_EV_OPENED,    OTTER_EV_ACCEPTED,
                                                     OTTER_EV_PROGRESS, OTTER_EV_VERIFYING, OTTER_EV_SWITCHED};
    struct otter_event e;
    uint32_t seq = 0;
    assert_int_equal(push(&new_image), OTTER_OK);
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(otter_event_next(&world.device.events, seq, &e));
        assert_int_equal(e.code, expected[i]);
        seq = e.seq;
    }
    assert_false(otter_event_next(&world.device.events, seq, &e));
    assert_string_equal(e.door ? e.door : "", "test");
}

static void ring_keeps_the_newest(void **state)
{
    (void)state;
    struct otter_event e;
    for (int i = 0; i < 3 * OTTER_CFG_EVENTS; i++) push(&(struct fixture_image){.size = 1, .bytes = {0}});
    assert_true(otter_event_next(&world.device.events, 0, &e));
    assert_int_equal(e.seq, world.device.events.last - OTTER_CFG_EVENTS + 1);
}

/* ---- any split of the bytes ---- */

static void split_gives(const uint8_t *expected, uint32_t seed)
{
    struct otter_offer offer = {.door = "test", .size = new_image.size};
    memcpy(flash, before, sizeof flash);
    restart();
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    for (uint32_t at = 0, n; at < new_image.size; at += n) {
        seed = seed * 1103515245 + 12345;
        n = seed % 5 == 0 ? 1 + (seed >> 16) % 9000 : 1 + (seed >> 16) % 50;
        if (n > new_image.size - at) n = new_image.size - at;
        assert_int_equal(otter_want(&world.session), at);
        assert_int_equal(otter_feed(&world.session, new_image.bytes + at, n), OTTER_OK);
    }
    while (otter_finish(&world.session) == OTTER_AGAIN) {
    }
    assert_memory_equal(flash, expected, sizeof flash);
}

static void any_split_same_flash(void **state)
{
    (void)state;
    static uint8_t expected[FIXTURE_FLASH];
    assert_int_equal(sim_world_push(&world, NULL, new_image.bytes, new_image.size, OTTER_FEED_MAX), OTTER_OK);
    memcpy(expected, flash, sizeof flash);
    memcpy(flash, before, sizeof flash);
    restart();
    assert_int_equal(sim_world_push(&world, NULL, new_image.bytes, new_image.size, 1), OTTER_OK);
    assert_memory_equal(flash, expected, sizeof flash);
    for (uint32_t i = 0; i < 300; i++) split_gives(expected, i + 1);
}

/* ---- refusals ---- */

static void refused_untouched(const struct fixture_image *image, enum otter_err expected)
{
    memcpy(flash, before, sizeof flash);
    restart();
    enum otter_err e = push(image);
    if (e != expected) fail_msg("%s instead of %s", otter_err_name(e), otter_err_name(expected));
    assert_memory_equal(flash, before, sizeof flash);
    assert_int_equal(otter_feed(&world.session, image->bytes, 1), expected);
    assert_int_equal(otter_finish(&world.session), expected);
    assert_null(world.device.session);
}

/* One byte of the new image changed within what is judged before anything is erased. */
static void refused_poked(unsigned at, uint8_t value, enum otter_err expected)
{
    static struct fixture_image poked;
    poked = new_image;
    poked.bytes[at] = value;
    refused_untouched(&poked, expected);
}

static void judged_before_the_first_erase(void **state)
{
    (void)state;
    static struct fixture_image other;
    refused_poked(0, 0xEA, OTTER_MAGIC);
    refused_poked(12, 9, OTTER_CHIP);
    refused_poked(15, 200, OTTER_CHIP_REV);
    refused_poked(1, 17, OTTER_SEGMENT_COUNT);
    refused_poked(28, 0x19, OTTER_SEGMENT_LENGTH);
    refused_poked(31, 0x01, OTTER_SEGMENT_LENGTH);
    refused_poked(30, 0xFF, OTTER_TOO_BIG);
    refused_poked(24, 0x24, OTTER_SEGMENT_ALIGN);
    refused_poked(27, 0x20, OTTER_SEGMENT_ADDR);
    refused_poked(32, 0x33, OTTER_NO_DESCRIPTOR);
    other.size = 0;
    refused_untouched(&other, OTTER_EMPTY);
    memset(other.bytes, 'x', sizeof other.bytes);
    other.size = 100000;
    refused_untouched(&other, OTTER_MAGIC);
    other = new_image;
    other.size = 287;
    refused_untouched(&other, OTTER_TOO_SHORT);
    fixture_image(&other, "2.0.0", "other", 21000);
    refused_untouched(&other, OTTER_PROJECT);
    other.size = FIXTURE_SLOT + 1;
    refused_untouched(&other, OTTER_TOO_BIG);
}

static void secure_version(void **state)
{
    (void)state;
    world.chip.secure_version = 1;
    refused_untouched(&new_image, OTTER_SECURE_VERSION);
}

static void exact_fit_and_one_byte_more(void **state)
{
    (void)state;
    static struct fixture_image fits;
    fixture_image(&fits, "2.0.0", NULL, FIXTURE_SLOT - 1024);
    uint32_t missing = FIXTURE_SLOT - fits.size;
    fixture_image(&fits, "2.0.0", NULL, FIXTURE_SLOT - 1024 + missing);
    assert_int_equal(fits.size, FIXTURE_SLOT);
    assert_int_equal(push(&fits), OTTER_OK);
    restart();
    assert_true(runs(&fits));
    fixture_image(&fits, "3.0.0", NULL, FIXTURE_SLOT - 1024 + missing + 16);
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    memcpy(before, flash, sizeof flash);
    /* Also when the size was not announced: the segments tell it before the first erase. */
    struct otter_offer unknown = {0};
    assert_int_equal(sim_world_push(&world, &unknown, fits.bytes, fits.size, 512), OTTER_TOO_BIG);
    assert_int_equal(push(&fits), OTTER_TOO_BIG);
}

static enum otter_err push_offer(struct otter_offer offer)
{
    return sim_world_push(&world, &offer, new_image.bytes, new_image.size, 1024);
}

static void what_was_announced_must_come(void **state)
{
    (void)state;
    struct otter_offer offer = {.size = new_image.size, .has_sha256 = true};
    assert_int_equal(push_offer(offer), OTTER_DIGEST);
    assert_false(startable(FIXTURE_OTA_1));
    assert_int_equal(push_offer((struct otter_offer){.size = new_image.size - 1}), OTTER_SIZE);
    assert_int_equal(push_offer((struct otter_offer){.size = new_image.size + 1}), OTTER_SIZE);
    assert_int_equal(push_offer((struct otter_offer){.version = "2.0.1"}), OTTER_VERSION);
    assert_int_equal(push_offer((struct otter_offer){.version = "2.0.0"}), OTTER_OK);
}

static void damaged_on_its_way(void **state)
{
    (void)state;
    static struct fixture_image bad;
    bad = new_image;
    bad.bytes[5000] ^= 4;
    assert_int_equal(push(&bad), OTTER_CHECKSUM);
    bad = new_image;
    bad.bytes[bad.size - 1] ^= 4;
    assert_int_equal(push(&bad), OTTER_HASH);
    bad = new_image;
    bad.size -= 4000;
    assert_int_equal(push(&bad), OTTER_TRUNCATED);
    assert_false(startable(FIXTURE_OTA_1));
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
}

static void another_project_only_if_asked(void **state)
{
    (void)state;
    static struct fixture_image other;
    struct otter_offer offer = {.any_project = true};
    fixture_image(&other, "1.0.0", "other", 15000);
    assert_int_equal(sim_world_push(&world, &offer, other.bytes, other.size, 1024), OTTER_OK);
    restart();
    assert_true(runs(&other));
}

static void already_current(void **state)
{
    (void)state;
    assert_int_equal(push(&old_image), OTTER_ALREADY_CURRENT);
    assert_false(world.device.switched);
    assert_false(startable(FIXTURE_OTA_1));
    restart();
    assert_int_equal(world.booted.slot, 0);
    struct otter_offer again = {.again = true};
    assert_int_equal(sim_world_push(&world, &again, old_image.bytes, old_image.size, 1024), OTTER_OK);
    restart();
    assert_int_equal(world.booted.slot, 1);
}

/* Without an appended SHA-256 the bytes themselves are compared. */
static void already_current_without_a_digest(void **state)
{
    (void)state;
    static struct fixture_image bare, other;
    bare = old_image;
    bare.bytes[23] = 0;
    bare.size -= OTTER_IMAGE_DIGEST;
    fixture_device(&world, flash, false, &bare);
    restart();
    assert_int_equal(push(&bare), OTTER_ALREADY_CURRENT);
    /* Two bytes that the checksum does not tell apart. */
    other = bare;
    other.bytes[6000] ^= 1;
    other.bytes[6001] ^= 1;
    assert_int_equal(push(&other), OTTER_OK);
    restart();
    assert_true(runs(&other));
}

/* ---- one at a time ---- */

static void one_session_at_a_time(void **state)
{
    (void)state;
    static struct otter_session second;
    struct otter_offer offer = {.door = "a", .size = new_image.size};
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    assert_int_equal(otter_begin(&second, &world.device, &offer), OTTER_BUSY);
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_BUSY);
    otter_abort(&second);
    assert_int_equal(otter_feed(&world.session, new_image.bytes, new_image.size), OTTER_OK);
    while (otter_finish(&world.session) == OTTER_AGAIN) {
    }
    assert_int_equal(world.session.err, OTTER_OK);
    assert_int_equal(otter_begin(&second, &world.device, &offer), OTTER_BUSY);
    otter_abort(&world.session);
    restart();
    assert_true(runs(&new_image));
}

static void nothing_while_on_trial(void **state)
{
    (void)state;
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_int_equal(push(&old_image), OTTER_UNCONFIRMED);
    assert_true(fixture_holds(&world, FIXTURE_OTA_0, &old_image));
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    static struct fixture_image third;
    fixture_image(&third, "3.0.0", NULL, 4000);
    assert_int_equal(push(&third), OTTER_OK);
}

static void stalled_session_ends(void **state)
{
    (void)state;
    struct otter_offer offer = {.door = "test", .size = new_image.size};
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    assert_int_equal(otter_feed(&world.session, new_image.bytes, 9000), OTTER_OK);
    world.more_ms += OTTER_CFG_IDLE_MS - 1000;
    otter_poll(&world.device);
    assert_int_equal(otter_feed(&world.session, new_image.bytes + 9000, 1), OTTER_OK);
    world.more_ms += OTTER_CFG_IDLE_MS;
    otter_poll(&world.device);
    assert_int_equal(otter_feed(&world.session, new_image.bytes + 9001, 1), OTTER_IDLE);
    assert_false(startable(FIXTURE_OTA_1));
    assert_int_equal(push(&new_image), OTTER_OK);
}

static void aborted_cannot_be_started(void **state)
{
    (void)state;
    struct otter_offer offer = {.door = "test", .size = new_image.size};
    memcpy(flash + FIXTURE_OTA_1, old_image.bytes, old_image.size);
    for (uint32_t n = 0; n < new_image.size; n += 3000) {
        restart();
        assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
        assert_int_equal(otter_feed(&world.session, new_image.bytes, n), OTTER_OK);
        otter_abort(&world.session);
        assert_int_equal(otter_finish(&world.session), OTTER_ABORTED);
        if (n > OTTER_SECTOR) assert_false(startable(FIXTURE_OTA_1));
        assert_null(world.device.session);
    }
    memset(flash + 0xD000, 0xFF, 0x2000);
    restart();
    assert_true(runs(&old_image));
    assert_int_equal(world.booted.slot, 0);
}

/* Nobody gets to abort when power goes: at no time before the end is there a header to start by. */
/* Where a byte cannot be written twice, an image is made unstartable by erasing its first sector. */
static void coarse_writes(void **state)
{
    (void)state;
    struct otter_offer offer = {.door = "test", .size = new_image.size};
    memcpy(flash + FIXTURE_OTA_1, old_image.bytes, old_image.size);
    world.no_settings = true;
    world.nor.port.write_unit = 32;
    restart();
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    assert_int_equal(otter_feed(&world.session, new_image.bytes, 2 * OTTER_SECTOR), OTTER_OK);
    otter_abort(&world.session);
    assert_false(startable(FIXTURE_OTA_1));
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
}

static void no_header_before_the_end(void **state)
{
    (void)state;
    struct otter_offer offer = {.door = "test", .size = new_image.size};
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    for (uint32_t at = 0; at < new_image.size; at += 16) {
        assert_int_equal(otter_feed(&world.session, new_image.bytes + at, 16), OTTER_OK);
        assert_false(startable(FIXTURE_OTA_1));
    }
    while (world.session.step != OTTER_STEP_HEADER) {
        assert_int_equal(otter_finish(&world.session), OTTER_AGAIN);
        assert_false(startable(FIXTURE_OTA_1));
    }
    while (otter_finish(&world.session) == OTTER_AGAIN) {
    }
    assert_true(startable(FIXTURE_OTA_1));
}

static void misuse_is_told(void **state)
{
    (void)state;
    struct otter_offer offer = {.door = "test"};
    struct otter_session never = {.device = &world.device};
    assert_int_equal(otter_feed(&never, "x", 1), OTTER_STATE);
    assert_int_equal(otter_finish(&never), OTTER_STATE);
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    assert_int_equal(otter_feed(&world.session, new_image.bytes, OTTER_FEED_MAX + 1), OTTER_ARG);
    assert_int_equal(otter_feed(&world.session, new_image.bytes, new_image.size), OTTER_OK);
    assert_int_equal(otter_finish(&world.session), OTTER_AGAIN);
    assert_int_equal(otter_feed(&world.session, new_image.bytes, 1), OTTER_STATE);
}

/* ESP-IDF's own begin may erase an entry; ours leaves otadata alone until the switch, so an update that fails costs
 * nothing. */
static void otadata_is_untouched_before_the_switch(void **state)
{
    (void)state;
    struct otter_offer offer = {.door = "test", .size = new_image.size};
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    memcpy(before, flash, sizeof flash);
    static struct fixture_image third;
    fixture_image(&third, "3.0.0", NULL, 21000);
    offer.size = third.size;
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    assert_int_equal(otter_feed(&world.session, third.bytes, third.size), OTTER_OK);
    while (world.session.step != OTTER_STEP_SWITCH) assert_int_equal(otter_finish(&world.session), OTTER_AGAIN);
    assert_memory_equal(flash + 0xD000, before + 0xD000, 0x2000);
}

/* ---- confirm and roll back where the boot loader fell back ---- */

static void confirm_never_marks_another_slot(void **state)
{
    (void)state;
    struct otter_slot_status slot;
    assert_int_equal(push(&new_image), OTTER_OK);
    /* The old firmware still runs; the switch is due and stays so. */
    memcpy(before, flash, sizeof flash);
    assert_int_equal(otter_confirm(&world.device), OTTER_NOT_ACTIVE);
    assert_int_equal(otter_rollback(&world.device, "test"), OTTER_NOT_ACTIVE);
    assert_memory_equal(flash, before, sizeof flash);
    /* The new one is damaged: the boot loader falls back, and confirming means the one that runs. */
    flash[FIXTURE_OTA_1 + 8000] ^= 0xFF;
    restart();
    assert_true(runs(&old_image));
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    assert_true(otter_slot_at(&world.device, 1, &slot));
    assert_int_not_equal(slot.state, OTTER_OTA_VALID);
    restart();
    assert_int_equal(world.booted.selected, 0);
    assert_int_equal(state_of_running(), OTTER_OTA_VALID);
}

/* otadata names a damaged slot; until the new image there is on trial it must not start by that old entry. */
static void damaged_active_slot_is_no_way_in(void **state)
{
    (void)state;
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    flash[FIXTURE_OTA_1 + 8000] ^= 0xFF;
    restart();
    assert_true(runs(&old_image));
    struct otter_offer offer = {.door = "test", .size = new_image.size};
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    assert_int_equal(otter_feed(&world.session, new_image.bytes, new_image.size), OTTER_OK);
    while (world.session.step != OTTER_STEP_SWITCH) assert_int_equal(otter_finish(&world.session), OTTER_AGAIN);
    restart();
    assert_true(runs(&old_image));
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
    assert_int_equal(state_of_running(), OTTER_OTA_PENDING_VERIFY);
}

/* An entry without its CRC, whose erase stops at its first zeros: sequence number 0 with a blank CRC counts as whole,
 * and names ota_1; from there the search would start what is in ota_0 without a trial. */
static void torn_entry_is_spoiled_before_its_erase(void **state)
{
    (void)state;
    static const uint8_t seq[4] = {1, 0, 0, 0};
    unsigned erases = 0;
    for (uint64_t at = 1;; at++) {
        fixture_device(&world, flash, true, &old_image);
        memcpy(flash + 0xD000, seq, sizeof seq);
        restart();
        world.nor.cut = (struct sim_cut){.at = at, .tear = SIM_TEAR_HALF_ERASE, .arg = 1};
        push(&new_image);
        if (!world.nor.dead) break;
        erases += flash[0xD000] == 0;
        restart();
        assert_true(runs(&old_image));
    }
    assert_int_equal(erases, 1);
}

static void no_previous_no_way_back(void **state)
{
    (void)state;
    assert_int_equal(otter_rollback(&world.device, "test"), OTTER_NO_PREVIOUS);
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    flash[FIXTURE_OTA_0 + 5000] ^= 1;
    assert_int_equal(otter_rollback(&world.device, "test"), OTTER_NO_PREVIOUS);
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
}

static void from_factory_and_back(void **state)
{
    (void)state;
    fixture_device(&world, flash, true, &old_image);
    restart();
    assert_int_equal(world.device.running, OTTER_SLOT_FACTORY);
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    assert_int_equal(otter_rollback(&world.device, "test"), OTTER_NO_PREVIOUS);
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_int_equal(world.booted.slot, 0);
    assert_int_equal(otter_rollback(&world.device, "test"), OTTER_OK);
    restart();
    assert_int_equal(world.device.running, OTTER_SLOT_FACTORY);
    /* The factory app runs although otadata names a slot: the slot's image is damaged. */
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    flash[FIXTURE_OTA_0 + 3000] ^= 1;
    restart();
    assert_int_equal(world.device.running, OTTER_SLOT_FACTORY);
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
}

static void tables_that_cannot_be_updated(void **state)
{
    (void)state;
    enum otter_err e;
    flash[0x8000 + 2 * 32 + 3] = 0x00;         /* ota_0 becomes factory, ota_1 stays */
    memset(flash + 0x8000 + 4 * 32, 0xFF, 32); /* no MD5 row any more */
    restart();
    assert_int_equal(world.device.running, OTTER_SLOT_FACTORY);
    assert_int_equal(push(&new_image), OTTER_NO_SLOT);
    flash[0x8000] = 0;
    world.device.running = 0;
    sim_nor_power_on(&world.nor);
    assert_false(sim_world_start(&world, &e));
}

static void sequence_number_at_its_end(void **state)
{
    (void)state;
    uint8_t raw[OTTER_OTADATA_ENTRY];
    memset(flash + 0xD000, 0xFF, 0x2000);
    otter_ota_write(0xFFFFFFFE - 1, OTTER_OTA_VALID, raw);
    memcpy(flash + 0xD000, raw, sizeof raw);
    restart();
    assert_int_equal(world.booted.slot, 0);
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    assert_int_equal(push(&old_image), OTTER_SEQ_END);
    assert_false(startable(FIXTURE_OTA_0));
    restart();
    assert_true(runs(&new_image));
}

/* ---- how it writes ---- */

static void erases_in_blocks_and_keeps_what_matches(void **state)
{
    (void)state;
    static struct fixture_image big;
    fixture_image(&big, "2.0.0", NULL, 3 * OTTER_BLOCK + 20000);
    restart();
    uint64_t erases = world.nor.count[SIM_ERASE];
    assert_int_equal(push(&big), OTTER_OK);
    /* Three whole blocks, for the rest of 20 KiB one half block, and one otadata sector. */
    assert_int_equal(world.nor.count[SIM_ERASE] - erases, 5);
    restart();
    assert_int_equal(otter_rollback(&world.device, "test"), OTTER_OK);
    restart();
    erases = world.nor.count[SIM_ERASE];
    uint64_t written = world.nor.bytes_written;
    assert_int_equal(push(&big), OTTER_OK);
    /* All sectors but the first, whose magic byte is spent, are there already. */
    assert_true(world.nor.count[SIM_ERASE] - erases <= 16);
    assert_true(world.nor.bytes_written - written <= OTTER_BLOCK + 64);
    restart();
    assert_true(runs(&big));
}

static uint64_t time_of(const struct fixture_image *image)
{
    uint64_t start;
    restart();
    start = world.nor.us;
    assert_int_equal(push(image), OTTER_OK);
    return world.nor.us - start;
}

/* The same image but for one byte in each block's second sector: comparing pays off least. */
static void near_miss_costs_at_most_half_more(void **state)
{
    (void)state;
    static struct fixture_image big;
    fixture_image(&big, "2.0.0", NULL, FIXTURE_SLOT - 1024);
    uint64_t plain = time_of(&big);
    memcpy(flash, before, sizeof flash);
    memcpy(flash + FIXTURE_OTA_1, big.bytes, big.size);
    for (uint32_t at = OTTER_SECTOR + 100; at < big.size; at += OTTER_BLOCK) flash[FIXTURE_OTA_1 + at] ^= 1;
    uint64_t near_miss = time_of(&big);
    assert_true(2 * near_miss <= 3 * plain);
    memcpy(flash, before, sizeof flash);
    memcpy(flash + FIXTURE_OTA_1, big.bytes, big.size);
    assert_true(10 * time_of(&big) <= 2 * plain);
}

/* ---- signed images ---- */

static struct fixture_image signed_image;
static struct otter_key *key;
static uint8_t key_digest[OTTER_KEY_DIGEST];

/* new_image, padded to a sector, with a signature sector behind it. */
static void sign_image(void)
{
    uint8_t digest[32], signature[OTTER_RSA3072];
    struct otter_key_parts parts;
    struct otter_hash h;
    const struct otter_crypto *c = &otter_crypto_openssl;
    uint32_t at = otter_signature_offset(new_image.size);
    memset(&signed_image, 0xFF, sizeof signed_image);
    memcpy(signed_image.bytes, new_image.bytes, new_image.size);
    signed_image.size = at + OTTER_SECTOR;
    assert_int_equal(c->hash_start(c->ctx, &h, OTTER_SHA256), 0);
    assert_int_equal(c->hash_update(c->ctx, &h, signed_image.bytes, at), 0);
    assert_int_equal(c->hash_finish(c->ctx, &h, digest), 0);
    assert_true(otter_key_parts(key, &parts) && otter_key_sign(key, digest, signature));
    struct otter_signature s = {
        .alg = parts.alg, .key = {parts.key}, .montgomery = parts.montgomery, .digest = digest, .signature = signature};
    assert_int_equal(otter_signature_key_digest(&s, c, key_digest), 0);
    otter_signature_write(&s, signed_image.bytes + at);
}

static int new_signed(void **state)
{
    new_device(state);
    key = otter_key_generate(OTTER_SIGN_ECDSA_P256);
    if (!key) return -1;
    sign_image();
    return 0;
}

static int free_key(void **state)
{
    (void)state;
    otter_key_free(key);
    return 0;
}

static enum otter_err require(const uint8_t digest[OTTER_KEY_DIGEST])
{
    uint8_t list[1][OTTER_KEY_DIGEST];
    memcpy(list[0], digest, OTTER_KEY_DIGEST);
    return otter_require_signature(&world.device, (const uint8_t(*)[OTTER_KEY_DIGEST])list, 1);
}

static void only_signed_images_are_taken(void **state)
{
    (void)state;
    assert_int_equal(require(key_digest), OTTER_OK);
    assert_int_equal(push(&new_image), OTTER_UNSIGNED);
    assert_false(startable(FIXTURE_OTA_1));
    restart();
    assert_true(runs(&old_image));
    assert_int_equal(require(key_digest), OTTER_OK);
    assert_int_equal(push(&signed_image), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
}

static void another_key_or_a_broken_signature_is_refused(void **state)
{
    (void)state;
    uint8_t other[OTTER_KEY_DIGEST];
    memcpy(other, key_digest, sizeof other);
    other[0] ^= 1;
    assert_int_equal(require(other), OTTER_OK);
    assert_int_equal(push(&signed_image), OTTER_UNTRUSTED_KEY);
    assert_false(startable(FIXTURE_OTA_1));
    assert_int_equal(require(key_digest), OTTER_OK);
    signed_image.bytes[signed_image.size - OTTER_SECTOR + 100] ^= 1;
    assert_int_equal(push(&signed_image), OTTER_SIGNATURE);
    assert_false(startable(FIXTURE_OTA_1));
}

static void more_keys_than_there_is_room_for(void **state)
{
    (void)state;
    for (int i = 0; i < OTTER_CFG_KEYS; i++) assert_int_equal(require(key_digest), OTTER_OK);
    assert_int_equal(require(key_digest), OTTER_ARG);
    assert_int_equal(world.device.signing.count, OTTER_CFG_KEYS);
}

static void settings_ask_for_signatures(void **state)
{
    (void)state;
    const struct otter_settings *s = &world.settings.port;
    const uint32_t on = 1;
    if (world.no_settings || !world.device.ports.settings) fail_msg("the fixture has settings");
    assert_int_equal(s->set(s->ctx, "otter", "signed", OTTER_SETTING_U32, &on, sizeof on), 0);
    assert_int_equal(s->set(s->ctx, "otter", "keys", OTTER_SETTING_BLOB, key_digest, sizeof key_digest), 0);
    restart();
    assert_true(world.device.signing.required);
    assert_int_equal(push(&new_image), OTTER_UNSIGNED);
    assert_int_equal(push(&signed_image), OTTER_OK);
}

static void slots_have_names(void **state)
{
    (void)state;
    char name[8];
    assert_string_equal(otter_slot_name(OTTER_SLOT_FACTORY, name), "factory");
    assert_string_equal(otter_slot_name(OTTER_SLOT_TEST, name), "test");
    assert_string_equal(otter_slot_name(OTTER_SLOT_NONE, name), "none");
    assert_string_equal(otter_slot_name(16, name), "none");
    assert_string_equal(otter_slot_name(0, name), "ota_0");
    assert_string_equal(otter_slot_name(9, name), "ota_9");
    assert_string_equal(otter_slot_name(15, name), "ota_15");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, new_device)
#define SIGNED(name) cmocka_unit_test_setup_teardown(name, new_signed, free_key)
    const struct CMUnitTest tests[] = {
        TEST(updates_confirms_and_goes_back),
        TEST(unconfirmed_goes_back_at_restart),
        TEST(events_tell_the_story),
        TEST(ring_keeps_the_newest),
        TEST(any_split_same_flash),
        TEST(judged_before_the_first_erase),
        TEST(secure_version),
        TEST(exact_fit_and_one_byte_more),
        TEST(what_was_announced_must_come),
        TEST(damaged_on_its_way),
        TEST(another_project_only_if_asked),
        TEST(already_current),
        TEST(already_current_without_a_digest),
        TEST(one_session_at_a_time),
        TEST(nothing_while_on_trial),
        TEST(stalled_session_ends),
        TEST(aborted_cannot_be_started),
        TEST(coarse_writes),
        TEST(no_header_before_the_end),
        TEST(misuse_is_told),
        TEST(otadata_is_untouched_before_the_switch),
        TEST(confirm_never_marks_another_slot),
        TEST(damaged_active_slot_is_no_way_in),
        TEST(torn_entry_is_spoiled_before_its_erase),
        TEST(no_previous_no_way_back),
        TEST(from_factory_and_back),
        TEST(tables_that_cannot_be_updated),
        TEST(sequence_number_at_its_end),
        TEST(erases_in_blocks_and_keeps_what_matches),
        TEST(near_miss_costs_at_most_half_more),
        SIGNED(only_signed_images_are_taken),
        SIGNED(another_key_or_a_broken_signature_is_refused),
        SIGNED(more_keys_than_there_is_room_for),
        SIGNED(settings_ask_for_signatures),
        TEST(slots_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
