/* Faults other than a loss of power: flash that fails or lies, settings that fail or are full, a clock that jumps. Of
 * each: the first error is kept, the firmware that runs is untouched, nothing wrong is switched to, and the next update
 * works, after a restart and without one. */
#include <stdio.h>
#include <string.h>

#include "tests/fixture.h"

enum { FAULT = -7000, SETTINGS = 0x9000, OTADATA = 0xD000, SEEDS = 3, ROUNDS_MAX = 20000 };

static struct fixture_image old_image, new_image, third_image, other_image;
static uint8_t flash[FIXTURE_FLASH], before[FIXTURE_FLASH], then[FIXTURE_FLASH];
static struct sim_world world;
static struct otter_offer offer;

/* ---- flash that fails: each fault has a code of its own, so that the first one can be told from those that follow */

enum lasting { ONCE, OF_ITS_KIND, ALL };

static struct {
    struct otter_flash inner;
    uint64_t at; /* 0: none */
    uint64_t count[SIM_OPS];
    enum sim_op op;
    enum lasting lasting;
    bool silent, spares_settings, in_settings;
    unsigned seed; /* which bit a silent read flips */
    int32_t hits;
} fault;

static bool strikes(enum sim_op op, uint32_t off)
{
    bool in_settings = off >= SETTINGS && off < OTADATA;
    if (fault.spares_settings && in_settings) return false;
    fault.count[op]++;
    bool first = fault.at && !fault.hits && op == fault.op && fault.count[op] == fault.at;
    bool later = fault.hits && (fault.lasting == ALL || (fault.lasting == OF_ITS_KIND && op == fault.op));
    if (first) fault.in_settings = in_settings;
    if (first || later) fault.hits++;
    return first || later;
}

static int32_t result(void) { return fault.silent ? 0 : FAULT - fault.hits; }

static int32_t faulty_read(void *ctx, uint32_t off, void *dst, uint32_t n)
{
    bool hit = strikes(SIM_READ, off);
    if (hit && !fault.silent) return result();
    int32_t code = fault.inner.read(ctx, off, dst, n);
    if (hit && n) ((uint8_t *)dst)[fault.seed % n] ^= (uint8_t)(1u << fault.seed % 7);
    return code;
}

/* A page is what fails, and what came before it stays. */
static int32_t faulty_write(void *ctx, uint32_t off, const void *src, uint32_t n)
{
    for (uint32_t at = 0, piece; at < n; at += piece) {
        piece = 256 - (off + at) % 256 < n - at ? 256 - (off + at) % 256 : n - at;
        bool hit = strikes(SIM_WRITE, off + at);
        int32_t code = hit ? result() : fault.inner.write(ctx, off + at, (const uint8_t *)src + at, piece);
        if (code) return code;
    }
    return 0;
}

static int32_t faulty_erase(void *ctx, uint32_t off, uint32_t n)
{
    return strikes(SIM_ERASE, off) ? result() : fault.inner.erase(ctx, off, n);
}

static void plan(enum sim_op op, uint64_t at, enum lasting lasting, bool silent, unsigned seed)
{
    memset(fault.count, 0, sizeof fault.count);
    fault.hits = 0;
    fault.op = op;
    fault.at = at;
    fault.lasting = lasting;
    fault.silent = silent;
    fault.seed = seed;
}

static void heal(void)
{
    fault.at = 0;
    fault.hits = 0;
}

/* ---- settings that fail */

static struct {
    unsigned calls, at; /* the at-th call fails; 0: none */
    bool lasting;
    struct otter_settings port;
} deaf;

static bool unheard(void)
{
    deaf.calls++;
    return deaf.at && (deaf.calls == deaf.at || (deaf.lasting && deaf.calls > deaf.at));
}

static int32_t deaf_get(void *ctx, const char *ns, const char *key, enum otter_setting kind, void *out, size_t *size)
{
    return unheard() ? FAULT : world.settings.port.get(ctx, ns, key, kind, out, size);
}

static int32_t deaf_set(void *ctx, const char *ns, const char *key, enum otter_setting kind, const void *data,
                        size_t size)
{
    return unheard() ? FAULT : world.settings.port.set(ctx, ns, key, kind, data, size);
}

static int32_t deaf_erase(void *ctx, const char *ns, const char *key)
{
    return unheard() ? FAULT : world.settings.port.erase(ctx, ns, key);
}

static void misses(unsigned at, bool lasting)
{
    deaf.calls = 0;
    deaf.at = at;
    deaf.lasting = lasting;
}

/* ---- the device */

/* The boot loader, without the engine: so that faults can begin with the engine. */
static void boot(void)
{
    struct sim_boot b = {.flash = &world.nor.port,
                         .crypto = world.crypto,
                         .chip = world.chip.info,
                         .chip_revision = world.chip.revision,
                         .rollback = world.chip.rollback};
    heal();
    misses(0, false);
    world.rebooted = false;
    memset(&world.session, 0, sizeof world.session);
    assert_true(sim_boot(&b, &world.booted));
}

static enum otter_err open_device(void)
{
    struct otter_ports ports = {
        .flash = &world.nor.port, .chip = &world.chip, .crypto = world.crypto, .clock = &world.clock};
    if (!world.no_settings && sim_settings_open(&world.settings, &world.nor.port, world.crypto)) {
        deaf.port = (struct otter_settings){&world.settings.nvs, deaf_get, deaf_set, deaf_erase};
        ports.settings = &deaf.port;
    }
    return otter_open(&world.device, &ports);
}

static void restart(void)
{
    boot();
    assert_int_equal(open_device(), OTTER_OK);
}

static enum otter_err push(const struct fixture_image *image)
{
    return sim_world_push(&world, NULL, image->bytes, image->size, 1024);
}

static bool runs(const struct fixture_image *image) { return fixture_holds(&world, world.booted.offset, image); }
static bool startable(uint32_t offset) { return flash[offset] == OTTER_IMAGE_MAGIC; }

static struct otter_status status(void)
{
    struct otter_status st;
    otter_status(&world.device, &st);
    return st;
}

static int new_device(void **state)
{
    (void)state;
    fixture_image(&old_image, "1.0.0", NULL, 3000);
    fixture_image(&new_image, "2.0.0", NULL, 5000);
    fixture_image(&third_image, "3.0.0", NULL, 3500);
    fixture_image(&other_image, "2.0.0", "other", 5000);
    fixture_device(&world, flash, false, &old_image);
    memset(&fault, 0, sizeof fault);
    fault.inner = world.nor.port;
    world.nor.port.read = faulty_read;
    world.nor.port.write = faulty_write;
    world.nor.port.erase = faulty_erase;
    restart();
    offer = (struct otter_offer){.door = "test", .size = new_image.size, .has_sha256 = true};
    fixture_digest(&new_image, offer.sha256);
    return 0;
}

/* ---- what is done while something fails: each from a state of the flash that it prepares */

struct act {
    const char *name;
    void (*prepare)(void);
    enum otter_err (*run)(void);
    void (*again)(void); /* what must be possible without a restart, once nothing fails any more */
    bool is_start;       /* what fails begins with the engine's start */
    void (*lead)(void);  /* what comes before it and goes well */
};

static void nothing(void) {}
static void updated(void) { assert_int_equal(push(&new_image), OTTER_OK); }

static void on_trial(void)
{
    updated();
    restart();
}

/* Power went while the new entry was rewritten. */
static void undone(void)
{
    on_trial();
    memset(flash + OTADATA + OTTER_SECTOR, 0xFF, 32);
    assert_int_equal(flash[OTADATA], 1);
}

/* otadata names the running slot, as after a few updates. */
static void veteran(void)
{
    on_trial();
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
    assert_int_equal(push(&old_image), OTTER_OK);
    restart();
    assert_int_equal(otter_confirm(&world.device), OTTER_OK);
}

/* The slot holds what is to come, but for a byte, so that its first sector is kept until the end. */
static void nearly_there(void)
{
    veteran();
    fixture_image(&new_image, "2.0.0", NULL, 3 * OTTER_BLOCK);
    memcpy(flash + FIXTURE_OTA_1, new_image.bytes, new_image.size);
    flash[FIXTURE_OTA_1 + 2 * OTTER_BLOCK + 9000] ^= 1;
    fixture_digest(&new_image, offer.sha256);
    offer.size = new_image.size;
}

static void to_be_pushed(struct fixture_image image)
{
    new_image = image;
    fixture_digest(&new_image, offer.sha256);
    offer.size = new_image.size;
}

static enum otter_err feed_to(uint32_t upto) { return fixture_feed(&world, &offer, &new_image, upto); }

static enum otter_err finish(void) { return fixture_finish(&world); }

static void half_way(void)
{
    fixture_image(&new_image, "2.0.0", NULL, OTTER_BLOCK + 3000);
    fixture_digest(&new_image, offer.sha256);
    offer.size = new_image.size;
    assert_int_equal(feed_to(OTTER_BLOCK), OTTER_OK);
}

static void all_fed(void) { assert_int_equal(feed_to(new_image.size), OTTER_OK); }
static enum otter_err update(void) { return push(&new_image); }

static enum otter_err go_on(void)
{
    enum otter_err e = feed_to(new_image.size);
    return e ? e : finish();
}

static enum otter_err confirm(void) { return otter_confirm(&world.device); }
static enum otter_err roll_back(void) { return otter_rollback(&world.device, "test"); }

static void push_again(void)
{
    assert_int_equal(push(&new_image), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
}

static void open_again(void) { assert_int_equal(open_device(), OTTER_OK); }

/* Until it is done the spare slot is the way back. It may be done, and only the read-back have failed. */
static void confirm_again(void)
{
    if (status().can_confirm) assert_int_equal(push(&old_image), OTTER_UNCONFIRMED);
    assert_int_equal(confirm(), OTTER_OK);
    restart();
    assert_true(runs(&new_image));
    assert_int_equal(status().running_state, OTTER_OTA_VALID);
}

static void roll_back_again(void)
{
    assert_int_equal(push(&old_image), OTTER_UNCONFIRMED);
    assert_true(status().can_roll_back);
    assert_int_equal(roll_back(), OTTER_OK);
    restart();
    assert_true(runs(&old_image));
}

static const struct act acts[] = {
    {"start", nothing, open_device, open_again, true, nothing},
    {"start on trial", updated, open_device, open_again, true, nothing},
    {"start after a roll back", on_trial, open_device, open_again, true, nothing},
    {"start after a switch undone", undone, open_device, open_again, true, nothing},
    {"update", nothing, update, push_again, false, nothing},
    {"update of a veteran", veteran, update, push_again, false, nothing},
    {"end of an update nearly there", nearly_there, finish, push_again, false, all_fed},
    {"going on", half_way, go_on, push_again, false, nothing},
    {"confirm", updated, confirm, confirm_again, false, nothing},
    {"roll back", updated, roll_back, roll_back_again, false, nothing},
};
enum { ACTS = sizeof acts / sizeof acts[0] };

static bool without_settings;

static void prepare(const struct act *a)
{
    new_device(NULL);
    world.no_settings = without_settings;
    restart();
    a->prepare();
    memcpy(before, flash, sizeof flash);
}

/* Up to where things begin to fail. */
static void begin(const struct act *a)
{
    memcpy(flash, before, sizeof flash);
    boot();
    if (!a->is_start) assert_int_equal(open_device(), OTTER_OK);
    a->lead();
    memcpy(then, flash, sizeof flash);
}

/* ---- what holds afterwards */

/* The running slot to its last byte; all that is neither settings, otadata nor the spare slot. */
static void running_is_untouched(void)
{
    uint32_t spare = world.booted.offset == FIXTURE_OTA_0 ? FIXTURE_OTA_1 : FIXTURE_OTA_0;
    memcpy(then + SETTINGS, flash + SETTINGS, OTADATA + 2 * OTTER_SECTOR - SETTINGS);
    memcpy(then + spare, flash + spare, FIXTURE_SLOT);
    assert_int_equal(memcmp(flash, then, sizeof flash), 0);
}

static void nothing_wrong_is_switched_to(void)
{
    if (!world.device.switched) return;
    uint32_t offset = world.device.running ? FIXTURE_OTA_0 : FIXTURE_OTA_1;
    assert_true(fixture_holds(&world, offset, &new_image) || fixture_holds(&world, offset, &old_image));
}

/* From whatever is left a person gets on to other firmware. */
static void gets_there(void)
{
    if (world.device.switched) restart();
    if (status().can_confirm) assert_int_equal(confirm(), OTTER_OK);
    assert_int_equal(push(&third_image), OTTER_OK);
    restart();
    assert_true(runs(&third_image));
    assert_int_equal(confirm(), OTTER_OK);
}

static void first_error_is_kept(const struct act *a, enum otter_err e)
{
    static const enum otter_err of_op[SIM_OPS] = {OTTER_FLASH_READ, OTTER_FLASH_WRITE, OTTER_FLASH_ERASE};
    static const char *const names[SIM_OPS] = {"flash_read", "flash_write", "flash_erase"};
    /* Settings may have taken the first one, unnoticed. */
    if (fault.lasting == ALL && !world.no_settings) return;
    assert_int_equal(e, of_op[fault.op]);
    assert_string_equal(otter_err_name(e), names[fault.op]);
    if (a->run != update && a->run != go_on && a->run != finish) return;
    assert_int_equal(world.session.err, e);
    if (world.no_settings) assert_int_equal(world.session.detail, FAULT - 1);
    heal();
    assert_int_equal(otter_feed(&world.session, "x", 1), e);
    assert_int_equal(otter_finish(&world.session), e);
    assert_null(world.device.session);
}

/* What may fail unnoticed: settings, and a look at otadata that polls repeat. */
static bool noticed(void) { return world.no_settings && !world.device.health.unread; }

static const char *trial; /* told when a test fails */

static bool one_fault(const struct act *a, bool restarted)
{
    static char what[160];
    snprintf(what, sizeof what, "%s, %s %llu, %d, %s, settings %d, restarted %d, seed %u", a->name,
             (const char *[]){"read", "write", "erase"}[fault.op], (unsigned long long)fault.at, fault.lasting,
             fault.silent ? "silent" : "loud", !world.no_settings, restarted, fault.seed);
    trial = what;
    enum otter_err e = a->run();
    bool hit = fault.hits > 0;
    if (hit && !e && !fault.silent && noticed()) fail_msg("unnoticed: %s", what);
    if (hit && e && !fault.silent) first_error_is_kept(a, e);
    running_is_untouched();
    nothing_wrong_is_switched_to();
    heal();
    if (e && !restarted) a->again();
    if (restarted) restart();
    if (!e && a->run == confirm && restarted) assert_true(runs(&new_image));
    gets_there();
    trial = NULL;
    return hit;
}

/* Each is followed by a restart, and by none; in the settings, which are read in hundreds of small pieces, by one or
 * the other. */
static void fails_in_turn(const struct act *a, enum sim_op op, enum lasting lasting, bool silent, unsigned seed)
{
    uint64_t at = 1;
    for (bool hit = true; hit; at++) {
        bool restarted = at % 2;
        fault.in_settings = false;
        for (int turn = 0; turn < 2 && !fault.in_settings; turn++, restarted = !restarted) {
            begin(a);
            plan(op, at, lasting, silent, seed + (unsigned)at);
            hit = one_fault(a, restarted);
        }
        assert_true(at < ROUNDS_MAX);
    }
}

static void every_act(void (*each)(const struct act *a))
{
    for (unsigned i = 0; i < ACTS; i++) {
        prepare(&acts[i]);
        each(&acts[i]);
    }
}

static void loud(const struct act *a)
{
    for (int op = SIM_READ; op < SIM_OPS; op++)
        for (int lasting = ONCE; lasting <= ALL; lasting++) {
            fault.spares_settings = lasting;
            fails_in_turn(a, (enum sim_op)op, (enum lasting)lasting, false, 0);
        }
}

static void silent(const struct act *a)
{
    for (int op = SIM_WRITE; op < SIM_OPS; op++)
        for (int lasting = ONCE; lasting <= OF_ITS_KIND; lasting++)
            fails_in_turn(a, (enum sim_op)op, (enum lasting)lasting, true, 0);
}

static void flips(const struct act *a)
{
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        fault.spares_settings = seed > 0;
        fails_in_turn(a, SIM_READ, ONCE, true, 1000 * seed);
    }
    fails_in_turn(a, SIM_READ, OF_ITS_KIND, true, 0);
}

static void every_operation_fails_in_turn(void **state)
{
    (void)state;
    every_act(loud);
    without_settings = true;
    every_act(loud);
    without_settings = false;
}

static void every_write_is_lost_in_turn(void **state)
{
    (void)state;
    every_act(silent);
    without_settings = true;
    every_act(silent);
    without_settings = false;
}

static void every_read_flips_a_bit_in_turn(void **state)
{
    (void)state;
    every_act(flips);
}

/* What the start could not read must not open a way in: the signature that the settings ask for, the project. */
static void a_start_that_fails_lets_nothing_in(void **state)
{
    const uint32_t on = 1;
    new_device(state);
    for (int signatures = 0; signatures < 2; signatures++) {
        const struct fixture_image *refused = signatures ? &new_image : &other_image;
        if (signatures)
            assert_int_equal(deaf.port.set(deaf.port.ctx, "otter", "signed", OTTER_SETTING_U32, &on, sizeof on), 0);
        memcpy(before, flash, sizeof flash);
        bool hit = true;
        for (unsigned i = 0; hit; i++) {
            memcpy(flash, before, sizeof flash);
            boot();
            plan(SIM_READ, 1 + i / 4, ONCE, i % 2, i);
            open_device();
            hit = fault.hits > 0;
            heal();
            assert_int_not_equal(push(refused), OTTER_OK);
            restart();
            assert_int_equal(push(refused), signatures ? OTTER_UNSIGNED : OTTER_PROJECT);
        }
    }
}

/* ---- flips in the flash itself ---- */

static void flipped_before_the_read_back(uint32_t at)
{
    restart();
    offer.has_sha256 = false;
    assert_int_equal(feed_to(new_image.size), OTTER_OK);
    while (world.session.step == OTTER_STEP_RECEIVING) assert_int_equal(otter_finish(&world.session), OTTER_AGAIN);
    flash[FIXTURE_OTA_1 + at] ^= (uint8_t)(1u << at % 8);
    assert_int_not_equal(finish(), OTTER_OK);
    assert_false(world.device.switched);
    assert_false(startable(FIXTURE_OTA_1));
}

static void a_flip_before_the_read_back_is_found(void **state)
{
    (void)state;
    for (uint32_t at = OTTER_HEAD; at < new_image.size; at += 13) flipped_before_the_read_back(at);
    push_again();
}

/* Too late for the engine; then the boot loader goes back. */
static void a_flip_behind_the_read_back_is_found_by_the_boot_loader(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < new_image.size; at += 97) {
        restart();
        assert_int_equal(push(&new_image), OTTER_OK);
        flash[FIXTURE_OTA_1 + at] ^= (uint8_t)(1u << at % 8);
        restart();
        assert_true(runs(&old_image));
    }
    push_again();
}

/* The record says that the update can go on, and what is in flash cannot: then it begins anew. */
static void what_cannot_be_gone_on_with_is_begun_anew(void **state)
{
    (void)state;
    half_way();
    restart();
    assert_int_not_equal(otter_resume_offset(&world.device, &offer), 0);
    memset(flash + FIXTURE_OTA_1 + OTTER_HEAD, 0, OTTER_SECTOR);
    assert_int_not_equal(go_on(), OTTER_OK);
    assert_int_equal(go_on(), OTTER_OK);
    assert_int_equal(offer.offset, 0);
    restart();
    assert_true(runs(&new_image));
}

/* ---- settings that fail, settings that are full ---- */

/* They cost memory and nothing else. */
static void settings_fail_in_turn(const struct act *a)
{
    unsigned calls = 0;
    for (unsigned at = 1; at <= calls + 1; at++)
        for (int lasting = 0; lasting < 4; lasting++) {
            begin(a);
            misses(at, lasting & 1);
            assert_int_equal(a->run(), OTTER_OK);
            if (deaf.calls > calls) calls = deaf.calls;
            misses(0, false);
            running_is_untouched();
            nothing_wrong_is_switched_to();
            if (lasting & 2) restart();
            gets_there();
        }
}

static void every_settings_call_fails_in_turn(void **state)
{
    (void)state;
    every_act(settings_fail_in_turn);
}

/* Not known is not no. */
static void signatures_are_asked_for_while_settings_fail(void **state)
{
    const uint32_t on = 1;
    (void)state;
    for (unsigned at = 1; at < 8; at++) {
        boot();
        misses(at, true);
        assert_int_equal(open_device(), OTTER_OK);
        enum otter_err e = push(&new_image);
        assert_true(e == OTTER_UNSIGNED || !world.device.signing.unread);
        misses(0, false);
        if (e) assert_int_equal(push(&new_image), OTTER_OK);
        new_device(state);
    }
    assert_int_equal(deaf.port.set(deaf.port.ctx, "otter", "signed", OTTER_SETTING_U32, &on, sizeof on), 0);
    for (unsigned at = 1; at < 8; at++) {
        boot();
        misses(at, at % 2);
        assert_int_equal(open_device(), OTTER_OK);
        assert_int_equal(push(&new_image), OTTER_UNSIGNED);
        misses(0, false);
        assert_int_equal(push(&new_image), OTTER_UNSIGNED);
    }
}

/* Foreign keys until nothing more goes in. */
static unsigned fill_settings(void)
{
    char key[16];
    uint32_t n = 0;
    for (enum otter_err e = OTTER_OK; !e; n++) {
        snprintf(key, sizeof key, "n%u", (unsigned)n);
        e = otter_nvs_set_int(&world.settings.nvs, "app", key, OTTER_NVS_U32, n);
        assert_true(e == OTTER_OK || e == OTTER_NVS_FULL);
    }
    return n - 1;
}

static void settings_are_whole(unsigned count, unsigned gone)
{
    char key[16];
    for (unsigned i = gone; i < count; i++) {
        uint64_t value = 0;
        snprintf(key, sizeof key, "n%u", i);
        assert_int_equal(otter_nvs_get_int(&world.settings.nvs, "app", key, OTTER_NVS_U32, &value), OTTER_OK);
        assert_int_equal(value, i);
    }
}

static void full_life(void)
{
    push_again();
    restart();
    assert_true(runs(&old_image));
    push_again();
    assert_int_equal(roll_back(), OTTER_OK);
    restart();
    assert_true(runs(&old_image));
    undone();
    restart();
    if (world.device.switched) restart();
    gets_there();
}

/* Filled to the brim, and with room for a few entries, so that each write is the one that finds none. */
static void full_settings_cost_memory_only(void **state)
{
    for (unsigned room = 0; room < 24; room += room < 8 ? 1 : 5) {
        char key[16];
        new_device(state);
        unsigned count = fill_settings();
        assert_true(count > 300);
        for (unsigned i = 0; i < room; i++) {
            snprintf(key, sizeof key, "n%u", i);
            assert_int_equal(otter_nvs_erase(&world.settings.nvs, "app", key), OTTER_OK);
        }
        full_life();
        settings_are_whole(count, room);
    }
}

/* ---- single faults with a story ---- */

static void step_to(enum otter_session_step step)
{
    assert_int_equal(feed_to(new_image.size), OTTER_OK);
    while (world.session.step != step) assert_int_equal(otter_finish(&world.session), OTTER_AGAIN);
}

/* A sequence number misread at the switch: were the running firmware's entry overwritten, an older one of the same slot
 * as the new image's would start that without a trial. */
static void a_flip_costs_no_way_back(void **state)
{
    (void)state;
    on_trial();
    assert_int_equal(confirm(), OTTER_OK);
    to_be_pushed(third_image);
    memcpy(before, flash, sizeof flash);
    for (unsigned i = 0; i < 6 * 32; i++) {
        memcpy(flash, before, sizeof flash);
        restart();
        step_to(OTTER_STEP_SWITCH);
        fault.spares_settings = true;
        plan(SIM_READ, 1 + i / 32, ONCE, true, i % 32);
        enum otter_err e = finish();
        restart();
        if (!e) restart();
        assert_int_equal(world.booted.offset, FIXTURE_OTA_1);
        assert_int_equal(status().running_state, OTTER_OTA_VALID);
    }
}

static void a_flip_leaves_nothing_startable(void **state)
{
    (void)state;
    for (unsigned at = 1; at < 4; at++) {
        restart();
        step_to(OTTER_STEP_SWITCH);
        assert_true(startable(FIXTURE_OTA_1));
        plan(SIM_READ, at, ONCE, true, 0);
        otter_abort(&world.session);
        assert_false(startable(FIXTURE_OTA_1));
    }
}

static void an_undone_switch_outlives_a_read_that_fails(void **state)
{
    (void)state;
    undone();
    memcpy(before, flash, sizeof flash);
    fault.spares_settings = true;
    bool hit = true;
    for (uint64_t at = 1; hit; at++) {
        memcpy(flash, before, sizeof flash);
        boot();
        plan(SIM_READ, at, ONCE, false, 0);
        open_device();
        hit = fault.hits > 0;
        /* At the next start, if not at this one. */
        for (int i = 0; i < 2 && !runs(&new_image); i++) restart();
        assert_true(runs(&new_image));
    }
}

/* A switch is due, and the old firmware confirms itself: only that the new one is bad could make that right. */
static void a_due_switch_outlives_a_read_that_fails(void **state)
{
    (void)state;
    updated();
    memcpy(before, flash, sizeof flash);
    fault.spares_settings = true;
    enum otter_err e = OTTER_FLASH_READ;
    for (uint64_t at = 1; e == OTTER_FLASH_READ; at++) {
        plan(SIM_READ, at, ONCE, false, 0);
        e = confirm();
        assert_memory_equal(flash, before, sizeof flash);
    }
    assert_int_equal(e, OTTER_NOT_ACTIVE);
}

/* The entry is erased and the rest fails: what was to be given up does not come back as a switch undone. */
static void a_roll_back_that_fails_half_way_stands(void **state)
{
    (void)state;
    on_trial();
    fault.spares_settings = true;
    plan(SIM_WRITE, 1, ONCE, false, 0);
    assert_int_equal(roll_back(), OTTER_FLASH_WRITE);
    restart();
    assert_true(runs(&old_image));
    assert_false(world.device.switched);
    assert_false(startable(FIXTURE_OTA_1));
    char why[OTTER_WHY];
    otter_why(&world.device, why);
    assert_string_equal(why, "test");
    restart();
    assert_true(runs(&old_image));
}

/* ---- time: polls every half second, as the device does ---- */

static void pass_ms(uint32_t ms)
{
    for (uint32_t at = 0; at < ms; at += 500) {
        world.more_ms += 500;
        otter_poll(&world.device);
    }
}

static bool trial_goes_on(void) { return !world.device.switched && status().running_state == OTTER_OTA_PENDING_VERIFY; }

/* The policy confirms or gives up, although one operation fails: at the start, or when it is due. */
static void policy_meets(enum sim_op op, uint64_t at, bool at_start, bool works)
{
    memcpy(flash, before, sizeof flash);
    boot();
    fault.spares_settings = true;
    if (at_start) plan(op, at, ONCE, false, 0);
    open_device();
    otter_health_network(&world.device);
    otter_health_app(&world.device, works);
    if (!at_start) plan(op, at, ONCE, false, 0);
    pass_ms(OTTER_TRIAL_UPTIME_MS + 3000);
    assert_int_equal(world.rebooted, !works);
    restart();
    assert_true(runs(works ? &new_image : &old_image));
    assert_int_equal(status().can_confirm, false);
}

static void the_policy_gets_its_way_when_flash_fails(void **state)
{
    (void)state;
    updated();
    memcpy(before, flash, sizeof flash);
    for (int op = SIM_READ; op < SIM_OPS; op++)
        for (uint64_t at = 1; at < 90; at += op == SIM_READ || at < 4 ? 1 : 90)
            for (int variant = 0; variant < 4; variant++)
                if (!(variant & 1) || at > 40) policy_meets((enum sim_op)op, at, variant & 1, variant & 2);
}

static const uint32_t jumps[] = {3600000,    7 * 3600000, 0x7FFF0000,        0x80000000,
                                 0xFFFFFFFF, 0u - 60000,  0u - 3 * 3600000u, 0u - 0x7FFFFFFFu};
enum { JUMPS = sizeof jumps / sizeof jumps[0], STEP_MS = 500 };

/* From now on the clock goes on to wrap in ms. */
static void wrap_in(uint32_t ms) { world.more_ms -= world.clock.now_ms(world.clock.ctx) + ms; }

/* One update, half a second and a poll a step; before the k-th step the clock jumps. */
static enum otter_err slow_update(unsigned k, uint32_t jump, unsigned *steps)
{
    enum otter_err e = OTTER_AGAIN;
    offer.offset = otter_resume_offset(&world.device, &offer);
    assert_int_equal(otter_begin(&world.session, &world.device, &offer), OTTER_OK);
    for (*steps = 0; e == OTTER_AGAIN; ++*steps) {
        uint32_t at = otter_want(&world.session), n = new_image.size - at < 1024 ? new_image.size - at : 1024;
        if (*steps == k) world.more_ms += jump;
        pass_ms(STEP_MS);
        e = n ? otter_feed(&world.session, new_image.bytes + at, n) : otter_finish(&world.session);
        if (n && !e) e = OTTER_AGAIN;
    }
    return e;
}

static void updates_outlive_the_clock(void **state)
{
    unsigned steps = 1;
    for (unsigned k = 0; k < steps; k++) {
        new_device(state);
        wrap_in(k * STEP_MS + STEP_MS / 2);
        assert_int_equal(slow_update(UINT32_MAX, 0, &steps), OTTER_OK);
        assert_true(world.clock.now_ms(world.clock.ctx) < 0x80000000);
        for (unsigned j = 0; j < JUMPS; j++) {
            new_device(state);
            enum otter_err e = slow_update(k, jumps[j], &(unsigned){0});
            /* Ahead it looks like a sender that has gone; back it does not. */
            assert_int_equal(e, jumps[j] <= INT32_MAX ? OTTER_IDLE : OTTER_OK);
            if (e) assert_int_equal(slow_update(UINT32_MAX, 0, &(unsigned){0}), OTTER_OK);
            restart();
            assert_true(runs(&new_image));
        }
    }
    assert_true(steps > 8);
}

/* However the clock has jumped, a sender that has gone does not hold the device. */
static void a_stalled_session_ends_in_spite_of_the_clock(void **state)
{
    for (unsigned j = 0; j < JUMPS; j++) {
        new_device(state);
        assert_int_equal(feed_to(2048), OTTER_OK);
        pass_ms(5000);
        world.more_ms += jumps[j];
        pass_ms(OTTER_CFG_IDLE_MS + STEP_MS);
        assert_int_equal(world.session.err, OTTER_IDLE);
        push_again();
    }
}

/* Neither early, nor never: by a jump ahead the two seconds of one late poll are gained, by one back nothing. */
static void trial_of(uint32_t after_ms, uint32_t jump, bool works)
{
    uint32_t due = works ? OTTER_TRIAL_UPTIME_MS : OTTER_TRIAL_DEADLINE_MS;
    uint32_t margin = jump && jump <= INT32_MAX ? 2500 : 500;
    memcpy(flash, before, sizeof flash);
    if (!jump) wrap_in(after_ms);
    restart();
    if (works) otter_health_network(&world.device);
    pass_ms(after_ms);
    world.more_ms += jump;
    otter_poll(&world.device);
    pass_ms(due - after_ms - margin);
    assert_true(trial_goes_on());
    pass_ms(margin + 1000);
    assert_int_equal(world.device.switched, !works);
    assert_int_equal(status().running_state, works ? OTTER_OTA_VALID : OTTER_OTA_INVALID);
}

static void trials_outlive_the_clock(void **state)
{
    (void)state;
    updated();
    memcpy(before, flash, sizeof flash);
    /* So that no time passes but by the clock. */
    world.nor.times = (struct sim_times){0};
    for (uint32_t after = 0; after <= 7500; after += 500) {
        trial_of(after, 0, true);
        for (unsigned j = 0; j < JUMPS; j++) trial_of(after, jumps[j], true);
    }
    for (uint32_t after = 0; after < OTTER_TRIAL_DEADLINE_MS - 2500; after += 60000) {
        trial_of(after, 0, false);
        for (unsigned j = 0; j < JUMPS; j++) trial_of(after, jumps[j], false);
    }
}

static int tell(void **state)
{
    (void)state;
    if (trial) print_error("in: %s\n", trial);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, new_device, tell)
    const struct CMUnitTest tests[] = {
        TEST(every_operation_fails_in_turn),
        TEST(every_write_is_lost_in_turn),
        TEST(every_read_flips_a_bit_in_turn),
        TEST(a_start_that_fails_lets_nothing_in),
        TEST(a_flip_before_the_read_back_is_found),
        TEST(a_flip_behind_the_read_back_is_found_by_the_boot_loader),
        TEST(what_cannot_be_gone_on_with_is_begun_anew),
        TEST(every_settings_call_fails_in_turn),
        TEST(signatures_are_asked_for_while_settings_fail),
        TEST(full_settings_cost_memory_only),
        TEST(a_flip_costs_no_way_back),
        TEST(a_flip_leaves_nothing_startable),
        TEST(an_undone_switch_outlives_a_read_that_fails),
        TEST(a_due_switch_outlives_a_read_that_fails),
        TEST(a_roll_back_that_fails_half_way_stands),
        TEST(the_policy_gets_its_way_when_flash_fails),
        TEST(updates_outlive_the_clock),
        TEST(a_stalled_session_ends_in_spite_of_the_clock),
        TEST(trials_outlive_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
