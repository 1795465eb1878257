/* The channel door's own decisions, in time: what it takes by itself and what it leaves alone, what somebody asks for
 * meanwhile, and what a restart leaves. Against a server in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/channel.h"
#include "ports/posix/crypto.h"
#include "tests/fixture.h"

enum { HOUR_MS = 3600 * 1000, PERIOD_S = 3600 };

/* Descriptors are one text for each channel; everything else is the image. */
struct server {
    const char *stable, *testing;
    const struct fixture_image *image;
    int image_status;   /* 0: 200 */
    enum otter_err err; /* nobody can be reached */
    bool packed;
    unsigned descriptors, images;
    const char *body;
    size_t at, end;
    void (*meanwhile)(void); /* before the next reply, once */
};

static struct bench {
    struct sim_world world;
    uint8_t flash[FIXTURE_FLASH];
    struct otter_update update;
    struct otter_channel channel;
    struct otter_net net;
    struct otter_lock lock;
    struct server server;
    struct otter_board built_in;
} b;
static struct fixture_image old_image, new_image, big_image;

#define RELEASE(v) "{\"version\": \"" v "\", \"path\": \"image.bin\"}"

static void no_lock(void *ctx) { (void)ctx; }

static enum otter_err net_open(void *ctx, const struct otter_net_request *q, struct otter_net_reply *r)
{
    struct server *s = ctx;
    void (*meanwhile)(void) = s->meanwhile;
    bool image = strstr(q->url, "image.bin") != NULL;
    s->meanwhile = NULL;
    if (meanwhile) meanwhile();
    if (s->err) return s->err;
    *(image ? &s->images : &s->descriptors) += 1;
    const char *text = strstr(q->url, "testing") ? s->testing : s->stable;
    memset(r, 0, sizeof *r);
    r->status = image && s->image_status ? s->image_status : 200;
    s->body = image ? (const char *)s->image->bytes : text;
    s->at = 0;
    s->end = image ? s->image->size : strlen(text);
    r->has_length = true;
    r->length = s->end;
    r->packed = s->packed;
    return OTTER_OK;
}

static enum otter_err net_read(void *ctx, void *buf, size_t size, size_t *got)
{
    struct server *s = ctx;
    size_t n = s->end - s->at < size ? s->end - s->at : size;
    memcpy(buf, s->body + s->at, n);
    s->at += n;
    *got = n;
    return OTTER_OK;
}

static void net_close(void *ctx) { (void)ctx; }

static void power_on(void)
{
    const struct otter_channel_config config = {.net = &b.net, .lock = &b.lock, .built_in = &b.built_in};
    fixture_start(&b.world);
    otter_update_init(&b.update, &b.world.device);
    otter_channel_init(&b.channel, &b.update, &config);
}

static void power_off(void)
{
    otter_channel_cancel(&b.channel);
    for (int i = 0; i < 4; i++) otter_channel_step(&b.channel);
    otter_board_free(&b.channel.board);
    otter_release_free(&b.channel.find.release);
}

static void put(const char *key, uint32_t value)
{
    const struct otter_settings *s = b.world.device.ports.settings;
    assert_int_equal(s->set(s->ctx, "ota", key, OTTER_SETTING_U32, &value, sizeof value), 0);
}

static bool has(const char *key)
{
    char value[4000];
    size_t size = sizeof value;
    const struct otter_settings *s = b.world.device.ports.settings;
    return s->get(s->ctx, "ota", key, OTTER_SETTING_STRING, value, &size) == 0 && size > 0;
}

static int set_up(void **state)
{
    (void)state;
    memset(&b, 0, sizeof b);
    fixture_image(&old_image, "1.0.0", NULL, 20000);
    fixture_image(&new_image, "1.1.0", NULL, 30000);
    fixture_image(&big_image, "1.2.0", NULL, 100000);
    fixture_device(&b.world, b.flash, false, &old_image);
    b.server = (struct server){.stable = RELEASE("1.1.0"), .testing = RELEASE("1.2.0"), .image = &new_image};
    b.net = (struct otter_net){&b.server, net_open, net_read, net_close};
    b.lock = (struct otter_lock){NULL, no_lock, no_lock};
    otter_board_add(&b.built_in, "stable", "https://h/stable.json");
    otter_board_add(&b.built_in, "testing", "https://h/testing.json");
    power_on();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    power_off();
    otter_board_free(&b.built_in);
    return 0;
}

/* So much time passes, in steps. */
static void pass(uint32_t ms)
{
    for (uint32_t left = ms; left;) {
        uint32_t wait = otter_channel_step(&b.channel), turn = wait < left ? wait : left;
        if (!wait) turn = left < 10 ? left : 10;
        b.world.more_ms += turn;
        left -= turn;
        otter_poll(&b.world.device);
    }
}

static void by_itself(bool takes)
{
    put("interval", PERIOD_S);
    put("auto", takes);
    put("deadline", 60);
    power_off();
    otter_board_add(&b.built_in, "stable", "https://h/stable.json");
    power_on();
}

static bool updated(void) { return b.world.rebooted; }

/* ---- by itself ---- */

static void nothing_unless_it_is_told_to(void **state)
{
    (void)state;
    pass(3 * HOUR_MS);
    assert_int_equal(b.server.descriptors, 0);
}

static void looks_in_each_period(void **state)
{
    (void)state;
    by_itself(false);
    pass(10 * HOUR_MS + HOUR_MS / 2);
    assert_in_range(b.server.descriptors, 9, 13);
    assert_int_equal(b.server.images, 0);
    assert_int_equal(b.channel.find.verdict, OTTER_VERDICT_UPDATE);
}

/* The longest interval, too, is varied by a tenth to both sides. */
static void comes_early_and_late(void **state)
{
    enum { WEEK_S = 7 * 24 * 3600, TENTH_MS = WEEK_S * 100 };
    unsigned early = 0, late = 0;
    (void)state;
    put("interval", WEEK_S);
    power_off();
    otter_board_add(&b.built_in, "stable", "https://h/stable.json");
    power_on();
    for (int i = 0; i < 200; i++) {
        b.world.more_ms += b.channel.due - b.world.device.ports.clock->now_ms(b.world.device.ports.clock->ctx);
        uint32_t now = b.channel.due;
        otter_channel_step(&b.channel);
        uint32_t after = b.channel.due - now;
        assert_in_range(after, WEEK_S * 1000u - TENTH_MS, WEEK_S * 1000u + TENTH_MS);
        early += after < WEEK_S * 1000u - TENTH_MS / 2;
        late += after > WEEK_S * 1000u + TENTH_MS / 2;
    }
    assert_in_range(early, 20, 80);
    assert_in_range(late, 20, 80);
}

static void a_server_that_is_ill_is_asked_again(void **state)
{
    (void)state;
    by_itself(true);
    b.server.image_status = 503;
    pass(HOUR_MS / 2);
    assert_int_equal(b.channel.updates, 1);
    assert_int_equal(b.channel.err, OTTER_DEADLINE);
    b.server.image_status = 0;
    pass(HOUR_MS + HOUR_MS / 4);
    assert_true(updated());
}

static void a_bad_release_is_not(void **state)
{
    (void)state;
    by_itself(true);
    b.server.image = &big_image; /* says 1.2.0 */
    pass(HOUR_MS / 2);
    assert_int_equal(b.channel.err, OTTER_VERSION);
    pass(5 * HOUR_MS);
    assert_int_equal(b.server.images, 1);
    assert_true(b.server.descriptors > 4);
    assert_int_equal(b.channel.err, OTTER_VERSION);
    assert_int_equal(b.channel.updates, 1);
    /* Another release under the same name. */
    b.server.stable = RELEASE("1.2.0");
    pass(HOUR_MS + HOUR_MS / 4);
    assert_true(updated());
}

static void a_release_that_was_cancelled_is_not(void **state)
{
    (void)state;
    by_itself(true);
    b.server.image_status = 503;
    while (b.channel.state != OTTER_CHANNEL_UPDATING) pass(1000);
    otter_channel_cancel(&b.channel);
    pass(1000);
    assert_int_equal(b.channel.err, OTTER_CANCELLED);
    b.server.image_status = 0;
    pass(3 * HOUR_MS);
    assert_false(updated());
    assert_int_equal(otter_channel_update(&b.channel, false), OTTER_OK);
    pass(1000);
    assert_true(updated());
}

static void nothing_to_do_is_no_update(void **state)
{
    (void)state;
    by_itself(true);
    b.server.stable = RELEASE("1.0.0");
    pass(3 * HOUR_MS);
    assert_true(b.server.descriptors > 1);
    assert_int_equal(b.channel.updates, 0);
    assert_int_equal(b.channel.find.verdict, OTTER_VERDICT_CURRENT);
}

/* ---- what is asked meanwhile ---- */

static void select_testing(void) { assert_int_equal(otter_channel_select(&b.channel, "testing"), OTTER_OK); }

static void a_check_is_of_the_channel_that_is_selected(void **state)
{
    (void)state;
    assert_int_equal(otter_channel_check(&b.channel), OTTER_OK);
    b.server.meanwhile = select_testing;
    otter_channel_step(&b.channel);
    assert_int_equal(b.channel.checks, 0);
    otter_channel_step(&b.channel);
    assert_int_equal(b.channel.checks, 1);
    assert_string_equal(b.channel.find.release.version, "1.2.0");
}

static void cannot_select(void) { assert_int_equal(otter_channel_select(&b.channel, "testing"), OTTER_BUSY); }

static void an_update_keeps_its_channel(void **state)
{
    (void)state;
    assert_int_equal(otter_channel_update(&b.channel, false), OTTER_OK);
    b.server.meanwhile = cannot_select;
    otter_channel_step(&b.channel);
    assert_null(b.server.meanwhile);
    assert_int_equal(b.channel.state, OTTER_CHANNEL_UPDATING);
    cannot_select();
    assert_int_equal(otter_channel_check(&b.channel), OTTER_BUSY);
    assert_int_equal(otter_channel_update(&b.channel, false), OTTER_BUSY);
    pass(1000);
    assert_true(updated());
    assert_int_equal(otter_channel_check(&b.channel), OTTER_BUSY);
}

static void cancel_then_update(void)
{
    otter_channel_cancel(&b.channel);
    assert_int_equal(otter_channel_update(&b.channel, false), OTTER_OK);
}

static void a_cancelled_check_is_not_the_next_update(void **state)
{
    (void)state;
    assert_int_equal(otter_channel_check(&b.channel), OTTER_OK);
    b.server.meanwhile = cancel_then_update;
    pass(1000);
    assert_true(updated());
}

/* ---- older ones ---- */

static void check(enum otter_verdict verdict)
{
    unsigned before = b.channel.checks;
    assert_int_equal(otter_channel_check(&b.channel), OTTER_OK);
    pass(1000);
    assert_int_equal(b.channel.checks, before + 1);
    assert_int_equal(b.channel.find.verdict, verdict);
}

static void another_channel_counts_as_asked_for(void **state)
{
    (void)state;
    b.server.stable = b.server.testing = RELEASE("0.9.0");
    check(OTTER_VERDICT_OLDER);
    select_testing();
    check(OTTER_VERDICT_UPDATE);
    /* There and back again is no other one. */
    assert_int_equal(otter_channel_select(&b.channel, "stable"), OTTER_OK);
    check(OTTER_VERDICT_OLDER);
    select_testing();
    power_off();
    otter_board_add(&b.built_in, "stable", "https://h/stable.json");
    otter_board_add(&b.built_in, "testing", "https://h/testing.json");
    power_on();
    check(OTTER_VERDICT_UPDATE);
}

static void a_channel_that_is_fallen_back_to_does_not(void **state)
{
    struct otter_board left = {0};
    (void)state;
    b.server.stable = RELEASE("0.9.0");
    select_testing();
    otter_board_add(&left, "stable", "https://h/stable.json");
    assert_int_equal(otter_channel_set_board(&b.channel, &left), OTTER_OK);
    assert_string_equal(b.channel.vanished, "testing");
    check(OTTER_VERDICT_OLDER);
}

static void what_cannot_follow(void **state)
{
    char *runs = b.world.device.running_image.desc.version;
    (void)state;
    b.server.stable = "{\"version\": \"1.1.0\", \"path\": \"image.bin\", \"min_version\": \"1.0.0\"}";
    check(OTTER_VERDICT_UPDATE);
    memcpy(runs, "0.9.9", 6);
    check(OTTER_VERDICT_TOO_FAR);
    memcpy(runs, "main", 5);
    check(OTTER_VERDICT_TOO_FAR);
}

static void a_packed_descriptor_is_named(void **state)
{
    (void)state;
    b.server.packed = true;
    check(OTTER_VERDICT_NONE);
    assert_int_equal(b.channel.find.err, OTTER_REPLY);
    assert_non_null(strstr(b.channel.find.words, "Content-Encoding"));
}

static void channels_of_the_firmware_are_not_kept(void **state)
{
    (void)state;
    assert_false(has("channels"));
    power_off();
    otter_board_add(&b.built_in, "night", "https://h/night.json");
    power_on();
    assert_string_equal(otter_channel_name(&b.channel), "night");
}

/* ---- after a restart ---- */

/* An update was on its way, and nobody can be reached. */
static void cut(void)
{
    const struct otter_settings *s = b.world.device.ports.settings;
    assert_int_equal(s->set(s->ctx, "ota", "pull", OTTER_SETTING_STRING, "1.1.0", 6), 0);
    power_off();
    otter_board_add(&b.built_in, "stable", "https://h/stable.json");
    otter_board_add(&b.built_in, "testing", "https://h/testing.json");
    assert_int_equal(s->set(s->ctx, "ota", "pull", OTTER_SETTING_STRING, "1.1.0", 6), 0);
    b.server.err = OTTER_UNREACHABLE;
    power_on();
    pass(10000);
    assert_string_equal(otter_channel_state_name(&b.channel), "waiting");
}

static void a_cut_update_waits_for_the_network(void **state)
{
    (void)state;
    cut();
    b.server.err = OTTER_OK;
    pass(120000);
    assert_true(updated());
}

static void and_can_be_cancelled(void **state)
{
    (void)state;
    cut();
    otter_channel_cancel(&b.channel);
    pass(1000);
    assert_int_equal(b.channel.err, OTTER_CANCELLED);
    assert_string_equal(otter_channel_state_name(&b.channel), "idle");
    assert_false(has("pull"));
}

static void and_gives_way_to_a_person(void **state)
{
    (void)state;
    cut();
    assert_int_equal(otter_channel_update(&b.channel, false), OTTER_OK);
    pass(1000);
    assert_int_equal(b.channel.err, OTTER_UNREACHABLE);
    cut();
    select_testing();
    assert_false(has("pull"));
    b.server.err = OTTER_OK;
    pass(HOUR_MS);
    assert_false(updated());
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(nothing_unless_it_is_told_to),
                                       TEST(looks_in_each_period),
                                       TEST(comes_early_and_late),
                                       TEST(a_server_that_is_ill_is_asked_again),
                                       TEST(a_bad_release_is_not),
                                       TEST(a_release_that_was_cancelled_is_not),
                                       TEST(nothing_to_do_is_no_update),
                                       TEST(a_check_is_of_the_channel_that_is_selected),
                                       TEST(an_update_keeps_its_channel),
                                       TEST(a_cancelled_check_is_not_the_next_update),
                                       TEST(another_channel_counts_as_asked_for),
                                       TEST(a_channel_that_is_fallen_back_to_does_not),
                                       TEST(what_cannot_follow),
                                       TEST(a_packed_descriptor_is_named),
                                       TEST(channels_of_the_firmware_are_not_kept),
                                       TEST(a_cut_update_waits_for_the_network),
                                       TEST(and_can_be_cancelled),
                                       TEST(and_gives_way_to_a_person)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
