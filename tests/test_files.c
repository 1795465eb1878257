/* Files in a region of flash: what is stored, what a cut, a fault, a full or a damaged region leaves of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "ports/sim/files.h"
#include "ports/sim/nor.h"

enum { FLASH = 256 * 1024, AT = 0x10000, SIZE = 96 * 1024, BIGGEST = 120000 };

static uint8_t flash[FLASH];
static uint8_t before[FLASH];
static struct sim_nor nor;
static struct sim_files files;
static uint32_t room; /* where there are no files */
static const struct otter_files *port = &files.port;

/* Bytes of a file, other for each seed. */
static const uint8_t *content(unsigned seed)
{
    static uint8_t bytes[10][BIGGEST];
    uint8_t *b = bytes[seed];
    for (unsigned i = 0; !b[1] && i < BIGGEST; i++) b[i] = (uint8_t)((i + seed) * 2654435761u >> 13 | (i == 1));
    return b;
}

static void power_on(void)
{
    sim_nor_power_on(&nor);
    sim_files_open(&files, &nor.port, AT, SIZE);
}

static void blank(void)
{
    memset(flash, 0xFF, sizeof flash);
    power_on();
    assert_int_equal(files.state, OTTER_FILES_READY);
}

static enum otter_err store(const char *name, unsigned seed, uint32_t size)
{
    enum otter_err e = port->begin(&files, name);
    if (e) return e;
    for (uint32_t at = 0, n; at < size && !e; at += n) {
        n = size - at < OTTER_FILE_PIECE ? size - at : OTTER_FILE_PIECE;
        e = port->write(&files, content(seed) + at, n);
    }
    if (!e) e = port->commit(&files);
    if (e) port->abort(&files);
    return e;
}

static bool holds(const char *name, unsigned seed, uint32_t size)
{
    uint8_t bytes[OTTER_FILE_PIECE];
    uint32_t found;
    if (port->size(&files, name, &found) || found != size) return false;
    for (uint32_t at = 0, n; at < size; at += n) {
        n = size - at < OTTER_FILE_PIECE ? size - at : OTTER_FILE_PIECE;
        if (port->read(&files, name, at, bytes, n) || memcmp(bytes, content(seed) + at, n) != 0) return false;
    }
    return true;
}

static uint32_t free_bytes(void)
{
    struct otter_files_info info;
    port->info(&files, &info);
    return info.free;
}

static void count(void *to, const char *name, uint32_t size)
{
    (void)name;
    (void)size;
    ++*(unsigned *)to;
}

static unsigned listed(void)
{
    unsigned n = 0;
    assert_int_equal(port->list(&files, count, &n), OTTER_OK);
    return n;
}

static void stored_and_read(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 511, 512, 4095, 4096, 4097, 20000};
    char name[20];
    blank();
    uint32_t at_first = free_bytes();
    for (unsigned i = 0; i < 8; i++) {
        sprintf(name, "file %u.bin", i);
        assert_int_equal(store(name, i, sizes[i]), OTTER_OK);
    }
    power_on();
    assert_int_equal(listed(), 8);
    for (unsigned i = 0; i < 8; i++) {
        sprintf(name, "file %u.bin", i);
        assert_true(holds(name, i, sizes[i]));
        assert_int_equal(store(name, i + 1, 100), OTTER_OK);
        assert_true(holds(name, i + 1, 100));
        assert_int_equal(port->remove(&files, name), OTTER_OK);
        assert_int_equal(port->remove(&files, name), OTTER_NOT_FOUND);
    }
    assert_int_equal(listed(), 0);
    assert_int_equal(free_bytes(), at_first);
    for (unsigned i = 0; i < FLASH; i++)
        if ((i < AT || i >= AT + SIZE) && flash[i] != 0xFF) fail_msg("written outside of the region, 0x%x", i);
}

static void names_that_mean_others(void **state)
{
    (void)state;
    uint32_t size;
    blank();
    assert_int_equal(store("a long name.text", 1, 10), OTTER_OK);
    assert_int_equal(port->size(&files, "ALONGN~1.TEX", &size), OTTER_NOT_FOUND);
    assert_int_equal(port->remove(&files, "ALONGN~1.TEX"), OTTER_NOT_FOUND);
    assert_int_equal(store("ALONGN~1.TEX", 2, 20), OTTER_BAD_FILE_NAME);
    assert_true(holds("A LONG name.Text", 1, 10));
    assert_int_equal(store("A LONG NAME.text", 3, 30), OTTER_OK);
    assert_int_equal(listed(), 1);
}

static void full(void **state)
{
    (void)state;
    blank();
    room = free_bytes();
    assert_int_equal(store("old", 1, 5000), OTTER_OK);
    assert_int_equal(store("old", 2, room), OTTER_FILES_FULL);
    assert_true(holds("old", 1, 5000));
    assert_int_equal(free_bytes(), room - 8192);
    assert_int_equal(store("new", 2, room - 8192), OTTER_OK);
    assert_int_equal(free_bytes(), 0);
    assert_int_equal(store("none", 2, 1), OTTER_FILES_FULL);
    assert_int_equal(store("empty", 2, 0), OTTER_OK);
    power_on();
    assert_int_equal(listed(), 3);
    assert_true(holds("new", 2, room - 8192));
}

/* Of names, too, there is an end; one that finds no entry leaves nothing behind. */
static void full_of_names(void **state)
{
    (void)state;
    char name[70];
    for (unsigned short_ones = 0; short_ones < 6; short_ones++) {
        enum otter_err e = OTTER_OK;
        unsigned n = 0;
        blank();
        room = free_bytes();
        for (; n < short_ones; n++) {
            sprintf(name, "%u", n);
            assert_int_equal(store(name, 0, 0), OTTER_OK);
        }
        for (; !e; n += !e) {
            sprintf(name, "%063u", n);
            e = store(name, 0, 1);
        }
        assert_int_equal(e, OTTER_FILES_FULL);
        assert_in_range(n, 15, 26);
        for (unsigned i = 0; i < 2; i++, power_on()) {
            assert_int_equal(free_bytes(), room - (n - short_ones) * OTTER_SECTOR);
            assert_int_equal(files.state, OTTER_FILES_READY);
            assert_int_equal(listed(), n);
        }
        memcpy(before, flash, sizeof flash);
        for (nor.cut.at = 1; nor.cut.at; nor.cut.at++) {
            struct sim_cut cut = nor.cut;
            memcpy(flash, before, sizeof flash);
            power_on();
            sim_nor_power_on(&nor);
            nor.cut = cut;
            store(name, 0, 1);
            bool more = nor.dead;
            power_on();
            assert_int_equal(files.state, OTTER_FILES_READY);
            assert_int_equal(listed(), n);
            nor.cut.at = more ? cut.at : UINT64_MAX;
        }
    }
}

/* ---- power ---- */

static enum otter_err store_again(void) { return store("target", 2, 9000); }

static enum otter_err store_first(void) { return store("fresh", 2, 9000); }

static enum otter_err remove_it(void) { return port->remove(&files, "target"); }

static enum otter_err format_it(void) { return port->format(&files); }

static enum otter_err open_it(void)
{
    sim_files_open(&files, &nor.port, AT, SIZE);
    return OTTER_OK;
}

struct flow {
    const char *name;
    enum otter_err (*run)(void);
    bool formats; /* all may be gone */
};

static void judge(const struct flow *flow, enum otter_err e, const char *where)
{
    if (files.state != OTTER_FILES_READY) fail_msg("%s, %s: damaged", flow->name, where);
    if (flow->formats && listed() == 0) return;
    if (!holds("kept", 7, 5000)) fail_msg("%s, %s: another file is lost", flow->name, where);
    bool old = holds("target", 1, 3000), new = holds("target", 2, 9000), fresh = holds("fresh", 2, 9000);
    uint32_t size;
    bool gone = port->size(&files, "target", &size) == OTTER_NOT_FOUND;
    bool good = flow->run == store_again ? (old && e) || new
                : flow->run == remove_it ? (old && e) || gone
                : flow->run == store_first
                    ? old && (fresh || (e && port->size(&files, "fresh", &size) == OTTER_NOT_FOUND))
                    : old;
    uint32_t used = 2u + (old ? 1u : 0) + (new ? 3u : 0) + (fresh ? 3u : 0);
    if (free_bytes() + used * OTTER_SECTOR != room) fail_msg("%s, %s: room is lost", flow->name, where);
    if (!good) fail_msg("%s, %s: neither old nor new (old %d new %d gone %d)", flow->name, where, old, new, gone);
}

/* Cut at one operation, and at one of the way on. False: that lies behind its end. */
static bool cut_twice(const struct flow *flow, struct sim_cut first, uint64_t second)
{
    char where[80];
    memcpy(flash, before, sizeof flash);
    power_on();
    sim_nor_power_on(&nor);
    nor.cut = first;
    enum otter_err e = flow->run();
    if (!nor.dead) return false;
    if (!e && flow->run != open_it) e = OTTER_ABORTED;
    snprintf(where, sizeof where, "operation %u, %s:%u, then %u", (unsigned)first.at, sim_tear_name(first.tear),
             first.arg, (unsigned)second);
    sim_nor_power_on(&nor);
    nor.cut = (struct sim_cut){.at = second, .tear = SIM_TEAR_RANDOM_BITS, .seed = first.at * 31 + second};
    sim_files_open(&files, &nor.port, AT, SIZE);
    bool cut = nor.dead;
    if (cut) power_on();
    judge(flow, e, where);
    if (!second || cut) {
        assert_int_equal(store("later", 3, 6000), OTTER_OK);
        assert_true(holds("later", 3, 6000));
    }
    return !second || cut;
}

static void every_operation_cut(void **state)
{
    (void)state;
    static const struct flow flows[] = {{"replaced", store_again, false},
                                        {"stored", store_first, false},
                                        {"removed", remove_it, false},
                                        {"formatted", format_it, true}};
    unsigned cuts = 0;
    blank();
    room = free_bytes();
    assert_int_equal(store("kept", 7, 5000), OTTER_OK);
    assert_int_equal(store("target", 1, 3000), OTTER_OK);
    memcpy(before, flash, sizeof flash);
    for (unsigned i = 0; i < sizeof flows / sizeof flows[0]; i++)
        for (unsigned tear = 0; tear < SIM_TEARS; tear++)
            for (uint32_t arg = 1; arg < 4000; arg = arg * 37 + 1) {
                struct sim_cut cut = {1, (enum sim_tear)tear, arg, arg};
                for (; cut_twice(&flows[i], cut, 0); cut.at++) {
                    cuts++;
                    for (uint64_t second = 1; cut.at % 5 == tear % 5 && cut_twice(&flows[i], cut, second); second += 13)
                        cuts++;
                }
            }
    printf("files: %u cuts\n", cuts);
    assert_true(cuts > 1000);
}

static void first_format_cut(void **state)
{
    (void)state;
    static const struct flow opened = {"opened", open_it, true};
    unsigned cuts = 0;
    for (unsigned tear = 0; tear < SIM_TEARS; tear++)
        for (uint32_t arg = 1; arg < 4000; arg = arg * 37 + 1)
            for (uint64_t at = 1;; at++) {
                memset(flash, 0xFF, sizeof flash);
                sim_nor_power_on(&nor);
                nor.cut = (struct sim_cut){at, (enum sim_tear)tear, arg, arg};
                open_it();
                if (!nor.dead) break;
                power_on();
                judge(&opened, OTTER_OK, sim_tear_name((enum sim_tear)tear));
                cuts++;
            }
    assert_true(cuts > 50);
}

/* ---- faults and damage ---- */

static void every_operation_fails_in_turn(void **state)
{
    (void)state;
    static const struct flow flow = {"fault", store_again, false};
    for (unsigned op = 0; op < SIM_OPS; op++)
        for (uint64_t at = 1;; at++) {
            memcpy(flash, before, sizeof flash);
            power_on();
            nor.fault = (struct sim_fault){at, 0, (enum sim_op)op, false};
            enum otter_err e = store_again();
            bool met = nor.fault.at == 0;
            nor.fault.at = 0;
            if (!met) break;
            judge(&flow, e, "a fault");
            power_on();
            judge(&flow, e, "a fault and a restart");
        }
}

static void damaged(void **state)
{
    (void)state;
    uint32_t n;
    uint8_t byte;
    memcpy(flash, before, sizeof flash);
    memset(flash + AT, 0x55, 512);
    memcpy(before + AT, flash + AT, 512);
    power_on();
    assert_int_equal(files.state, OTTER_FILES_DAMAGED);
    assert_int_equal(store("a", 1, 1), OTTER_FILES_UNREADABLE);
    assert_int_equal(port->size(&files, "kept", &n), OTTER_FILES_UNREADABLE);
    assert_int_equal(port->read(&files, "kept", 0, &byte, 1), OTTER_FILES_UNREADABLE);
    assert_int_equal(port->remove(&files, "kept"), OTTER_FILES_UNREADABLE);
    power_on();
    assert_memory_equal(flash, before, sizeof flash);
    assert_int_equal(port->format(&files), OTTER_OK);
    assert_int_equal(store("a", 1, 1), OTTER_OK);
    power_on();
    assert_true(holds("a", 1, 1));
}

static void other_regions(void **state)
{
    (void)state;
    uint32_t n;
    blank();
    assert_int_equal(store("a", 1, 1000), OTTER_OK);
    memcpy(before, flash, sizeof flash);
    sim_files_open(&files, &nor.port, AT, SIZE - OTTER_BLOCK / 4);
    assert_int_equal(files.state, OTTER_FILES_DAMAGED);
    sim_files_open(&files, &nor.port, AT, SIM_FILES_MIN - 1);
    assert_int_equal(files.state, OTTER_FILES_NONE);
    assert_int_equal(port->size(&files, "a", &n), OTTER_NO_FILES);
    assert_int_equal(port->format(&files), OTTER_NO_FILES);
    assert_memory_equal(flash, before, sizeof flash);
}

static void let_go(void **state)
{
    (void)state;
    uint32_t n;
    blank();
    assert_int_equal(store("a", 1, 1000), OTTER_OK);
    assert_int_equal(port->begin(&files, "a"), OTTER_OK);
    assert_int_equal(port->write(&files, content(2), 4096), OTTER_OK);
    assert_int_equal(port->begin(&files, "b"), OTTER_FILES_BUSY);
    sim_files_close(&files);
    uint64_t changes = nor.changes;
    assert_int_equal(port->write(&files, content(2), 4096), OTTER_FILES_BUSY);
    assert_int_equal(port->commit(&files), OTTER_FILES_BUSY);
    port->abort(&files);
    assert_int_equal(port->size(&files, "a", &n), OTTER_FILES_BUSY);
    assert_int_equal(port->format(&files), OTTER_FILES_BUSY);
    assert_int_equal(port->remove(&files, "a"), OTTER_FILES_BUSY);
    assert_true(nor.changes == changes);
    power_on();
    assert_true(holds("a", 1, 1000));
    assert_int_equal(listed(), 1);
}

/* Whatever lies there: every call comes back, and nothing outside of the region changes. */
static void hostile_regions(void **state)
{
    (void)state;
    char name[OTTER_FILE_NAME + 1] = "target";
    unsigned ready = 0;
    blank();
    assert_int_equal(store("kept", 7, 5000), OTTER_OK);
    assert_int_equal(store("target", 1, 3000), OTTER_OK);
    memcpy(before, flash, sizeof flash);
    srand(1);
    for (unsigned i = 0; i < 2000; i++) {
        memcpy(flash, before, sizeof flash);
        for (int n = rand() % 12 + 1; n; n--) {
            unsigned where = rand() % 3 == 0 ? 64 : rand() % 2 ? 2 * OTTER_SECTOR : SIZE;
            flash[AT + (unsigned)rand() % where] = (uint8_t)rand();
        }
        power_on();
        if (files.state == OTTER_FILES_READY) ready++;
        holds(name, 1, 3000);
        store(name, 2, 9000);
        store("more", 2, 9000);
        unsigned found = 0;
        port->list(&files, count, &found);
        port->remove(&files, "kept");
        port->format(&files);
        assert_int_equal(files.state, OTTER_FILES_READY);
    }
    assert_in_range(ready, 200, 1990);
    for (unsigned i = 0; i < FLASH; i++)
        if ((i < AT || i >= AT + SIZE) && flash[i] != 0xFF) fail_msg("written outside of the region, 0x%x", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_and_read),
        cmocka_unit_test(names_that_mean_others),
        cmocka_unit_test(full),
        cmocka_unit_test(full_of_names),
        cmocka_unit_test(every_operation_cut),
        cmocka_unit_test(every_operation_fails_in_turn),
        cmocka_unit_test(first_format_cut),
        cmocka_unit_test(damaged),
        cmocka_unit_test(other_regions),
        cmocka_unit_test(let_go),
        cmocka_unit_test(hostile_regions),
    };
    sim_nor_init(&nor, flash, sizeof flash, NULL);
    if (!sim_files_init(&files)) return 1;
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    sim_files_free(&files);
    return failures;
}
