/* The settings store against a plain map: random work with random losses of power, and every operation of fixed work
 * cut at many places. After each the store must hold, key by key, the old value or the new one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nor_ram.h"
#include "nvs_map.h"

enum { PAGES_MAX = 8, SEQUENCES = 10000 };

struct bench {
    uint8_t mem[PAGES_MAX * 4096];
    struct nor_ram nor;
    struct otter_nvs nvs;
    struct map now, next;
    uint32_t seed;
};

static struct bench bench;

static uint32_t dice(struct bench *b, uint32_t sides) { return nor_random(&b->seed) % sides; }

/* Two pairs of these keys have equal 24-bit hashes in namespace 1. */
static const char *const keys[] = {"wifi.led",        "temp193", "temp.led", "wifi193", "a",  "b",  "ssid",
                                   "abcdefghijklmno", "mode",    "host",     "cal",     "n1", "n2", "n3"};
static const char *const spaces[] = {"app", "net"};
static const uint8_t int_types[] = {OTTER_NVS_U8,  OTTER_NVS_I8,  OTTER_NVS_U16, OTTER_NVS_I16,
                                    OTTER_NVS_U32, OTTER_NVS_I32, OTTER_NVS_U64, OTTER_NVS_I64};

static uint64_t random_int(struct bench *b, unsigned type)
{
    struct otter_nvs_entry e;
    otter_nvs_entry_start(&e, 1, (enum otter_nvs_type)type, "x");
    for (unsigned i = 0; i < 8; i++) e.data[i] = (uint8_t)dice(b, 256);
    return otter_nvs_int_get(&e);
}

static size_t random_size(struct bench *b, size_t max)
{
    static const uint32_t limits[] = {4, 33, 200, 1500, 4000, 12000};
    size_t size = dice(b, limits[dice(b, 6)] + 1);
    return size > max ? max : size;
}

static struct map_step random_step(struct bench *b, size_t largest)
{
    static uint8_t data[MAP_BYTES];
    static uint64_t number;
    struct map_step s = {MAP_SET, spaces[dice(b, 2)], keys[dice(b, sizeof keys / sizeof keys[0])], 0, data, 0};
    uint32_t kind = dice(b, 100);
    if (kind < 45) {
        s.type = int_types[dice(b, 8)];
        number = dice(b, 4) ? random_int(b, s.type) : 1;
        s.data = &number;
        s.size = 8;
    } else if (kind < 85) {
        s.type = kind < 65 ? OTTER_NVS_STRING : OTTER_NVS_BLOB;
        s.size = random_size(b, s.type == OTTER_NVS_STRING ? 3999 : largest);
        for (size_t i = 0; i < s.size; i++) data[i] = (uint8_t)(1 + dice(b, 255));
        if (s.type == OTTER_NVS_STRING) data[s.size++] = 0;
    } else {
        s.what = kind < 98 ? MAP_ERASE : MAP_ERASE_NS;
    }
    return s;
}

static void open_store(struct bench *b, unsigned pages)
{
    assert_int_equal(otter_nvs_open(&b->nvs, &b->nor.flash, 0, pages * 4096), OTTER_OK);
}

/* Power is gone: opens again, at times with one more cut while it is being mended. */
static void come_back(struct bench *b, unsigned pages)
{
    for (unsigned cuts = dice(b, 3); cuts > 0; cuts--) {
        nor_revive(&b->nor);
        b->nor.cut_op = dice(b, 12);
        b->nor.cut_bytes = dice(b, 64);
        (void)otter_nvs_open(&b->nvs, &b->nor.flash, 0, pages * 4096);
    }
    nor_revive(&b->nor);
    open_store(b, pages);
}

static void check(struct bench *b, unsigned sequence)
{
    const char *wrong = map_compare(&b->nvs, &b->now, &b->next);
    if (wrong) fail_msg("sequence %u: key %s", sequence, wrong);
}

/* One step on both sides; true if the power went. */
static bool one_step(struct bench *b, size_t largest)
{
    struct map_step s = random_step(b, largest);
    enum otter_err e = map_do_store(&b->nvs, &s);
    map_copy(&b->next, &b->now);
    if (b->nor.dead || !e) map_do(&b->next, &s);
    if (!b->nor.dead && e != OTTER_NVS_NOT_FOUND && e != OTTER_NVS_FULL) assert_int_equal(e, OTTER_OK);
    if (e == OTTER_NVS_NOT_FOUND) assert_int_not_equal(s.what, MAP_SET);
    return b->nor.dead;
}

static void new_flash(struct bench *b, unsigned pages)
{
    memset(b->mem, 0xFF, sizeof b->mem);
    nor_init(&b->nor, b->mem, pages * 4096);
    map_free(&b->now);
    map_free(&b->next);
}

static void test_random_work(void **state)
{
    (void)state;
    struct bench *b = &bench;
    unsigned cuts = 0, steps = 0, pages = 3;
    b->seed = 20260101;
    for (unsigned sequence = 0; sequence < SEQUENCES; sequence++) {
        if (sequence % 16 == 0) {
            pages = 3 + dice(b, 3);
            new_flash(b, pages);
        }
        nor_revive(&b->nor);
        open_store(b, pages);
        b->nor.ops = 0;
        b->nor.seed = b->seed;
        b->nor.tear = dice(b, 2) ? NOR_BITS : NOR_PREFIX;
        b->nor.cut_op = dice(b, 60);
        b->nor.cut_bytes = dice(b, dice(b, 2) ? 33 : 4097);
        for (unsigned left = 1 + dice(b, 10); left > 0; left--) {
            steps++;
            if (one_step(b, (pages - 1) * 4000)) break;
            if (dice(b, 4) == 0)
                check(b, sequence);
            else
                map_copy(&b->now, &b->next);
        }
        cuts += b->nor.dead;
        come_back(b, pages);
        check(b, sequence);
    }
    print_message("%u sequences, %u steps, %u losses of power\n", (unsigned)SEQUENCES, steps, cuts);
    map_free(&b->now);
    map_free(&b->next);
}

/* ---- every operation, cut at many places ---- */

static uint8_t bytes[MAP_BYTES];

static struct map_step int_step(const char *key, uint8_t type, const uint64_t *v)
{
    return (struct map_step){MAP_SET, "app", key, type, v, 8};
}

/* Work that fills pages, switches and reclaims them, and updates every kind of value. */
static struct map_step fixed_step(unsigned i)
{
    static uint64_t v;
    v = i;
    switch (i) {
    case 0: return (struct map_step){MAP_SET, "app", "s", OTTER_NVS_STRING, "short", 6};
    case 1: return (struct map_step){MAP_SET, "app", "s", OTTER_NVS_STRING, "rather longer than thirty-two bytes", 36};
    case 2: return (struct map_step){MAP_SET, "app", "b", OTTER_NVS_BLOB, bytes, 10};
    case 3: return (struct map_step){MAP_SET, "app", "b", OTTER_NVS_BLOB, bytes + 1, 12};
    case 4: return int_step("t", OTTER_NVS_U8, &v);
    case 5: return int_step("t", OTTER_NVS_U16, &v);
    case 6: return (struct map_step){MAP_SET, "app", "b", OTTER_NVS_BLOB, bytes, 3900};
    case 7: return (struct map_step){MAP_SET, "app", "b", OTTER_NVS_BLOB, bytes + 2, 3000};
    case 8: return (struct map_step){MAP_SET, "app", "b", OTTER_NVS_BLOB, bytes + 3, 5000};
    case 9: return (struct map_step){MAP_SET, "app", "b", OTTER_NVS_STRING, "now text", 9};
    case 10: return (struct map_step){MAP_SET, "app", "t", OTTER_NVS_BLOB, bytes, 0};
    case 11: return (struct map_step){MAP_SET, "net", "b", OTTER_NVS_BLOB, bytes + 4, 2500};
    case 12: return (struct map_step){MAP_ERASE, "app", "s", 0, NULL, 0};
    case 13: return (struct map_step){MAP_SET, "net", "b", OTTER_NVS_BLOB, bytes + 5, 2600};
    case 14: return (struct map_step){MAP_SET, "net", "b", OTTER_NVS_BLOB, bytes + 6, 2700};
    case 15: return (struct map_step){MAP_SET, "app", "c", OTTER_NVS_BLOB, bytes + 6, 300};
    case 16: return (struct map_step){MAP_ERASE_NS, "app", "", 0, NULL, 0};
    default: return int_step(i % 2 ? "wifi.led" : "temp193", OTTER_NVS_U32, &v);
    }
}

enum { FIXED_STEPS = 110 };

/* The same work with the power going in operation `op`. False if there is no such operation. */
static bool work_with_cut(struct bench *b, uint32_t op, enum nor_tear tear, uint32_t at)
{
    new_flash(b, 4);
    open_store(b, 4);
    b->nor.cut_op = op;
    b->nor.cut_bytes = at;
    b->nor.tear = tear;
    b->nor.seed = op * 7919 + at + 1;
    for (unsigned i = 0; i < FIXED_STEPS && !b->nor.dead; i++) {
        struct map_step s = fixed_step(i);
        enum otter_err e = map_do_store(&b->nvs, &s);
        map_do(&b->next, &s);
        if (b->nor.dead) break;
        assert_int_equal(e, OTTER_OK);
        map_do(&b->now, &s);
    }
    if (!b->nor.dead) return false;
    nor_revive(&b->nor);
    open_store(b, 4);
    const char *wrong = map_compare(&b->nvs, &b->now, &b->next);
    if (wrong) fail_msg("operation %u, %s %u: key %s", op, tear == NOR_BITS ? "bits" : "bytes", at, wrong);
    return true;
}

static void test_every_operation_cut(void **state)
{
    (void)state;
    static const uint32_t at[] = {0, 1, 2, 3, 4, 8, 16, 28, 31, 32, 33, 100, 2048, 4000};
    unsigned cuts = 0;
    uint32_t op = 0;
    for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7 + i / 256);
    for (bool more = true; more; op++) {
        for (unsigned i = 0; i < sizeof at / sizeof at[0] && more; i++, cuts++)
            more = work_with_cut(&bench, op, NOR_PREFIX, at[i]);
        for (uint32_t i = 0; i < 6 && more; i++, cuts++) more = work_with_cut(&bench, op, NOR_BITS, i);
    }
    print_message("%u operations, %u cuts\n", op - 1, cuts);
    map_free(&bench.now);
    map_free(&bench.next);
}

/* A store that has been cut goes on: the same step again, then all the rest. */
static void test_goes_on_after_a_cut(void **state)
{
    (void)state;
    struct bench *b = &bench;
    for (uint32_t op = 0; op < 400; op += 3) {
        new_flash(b, 4);
        open_store(b, 4);
        b->nor.cut_op = op;
        b->nor.cut_bytes = op % 37;
        b->nor.seed = op + 1;
        b->nor.tear = op % 2 ? NOR_BITS : NOR_PREFIX;
        for (unsigned i = 0; i < FIXED_STEPS; i++) {
            struct map_step s = fixed_step(i);
            enum otter_err e = map_do_store(&b->nvs, &s);
            if (b->nor.dead) {
                nor_revive(&b->nor);
                e = map_do_store(&b->nvs, &s); /* without opening: the store knows that it must look again */
                if (s.what != MAP_SET && e == OTTER_NVS_NOT_FOUND) e = OTTER_OK;
            }
            assert_int_equal(e, OTTER_OK);
            map_do(&b->now, &s);
        }
        map_copy(&b->next, &b->now);
        check(b, op);
        open_store(b, 4);
        check(b, op);
    }
    map_free(&b->now);
    map_free(&b->next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_work),
        cmocka_unit_test(test_every_operation_cut),
        cmocka_unit_test(test_goes_on_after_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
