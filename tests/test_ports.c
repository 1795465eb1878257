/* The port contract on every port of Linux, and what the flash model promises beyond it: tears, faults, times. */
#include <string.h>

#include "ports/posix/crypto.h"
#include "ports/psa/crypto.h"
#include "ports/sim/settings.h"
#include "tests/fixture.h"
#include "tests/port_contract.h"

static uint8_t bytes[4 * OTTER_BLOCK];
static uint32_t wear[4 * OTTER_BLOCK / OTTER_SECTOR];
static struct sim_nor nor;

static void holds(const char *broken)
{
    if (broken) fail_msg("does not hold: %s", broken);
}

static int new_flash(void **state)
{
    (void)state;
    memset(bytes, 0xFF, sizeof bytes);
    memset(wear, 0, sizeof wear);
    sim_nor_init(&nor, bytes, sizeof bytes, wear);
    return 0;
}

static void crypto_openssl(void **state)
{
    (void)state;
    holds(port_contract_crypto(&otter_crypto_openssl));
    holds(port_contract_signatures(&otter_crypto_openssl));
}

static void crypto_psa(void **state)
{
    (void)state;
    assert_int_equal(otter_crypto_psa_start(), 0);
    holds(port_contract_crypto(&otter_crypto_psa));
    holds(port_contract_signatures(&otter_crypto_psa));
}

static void flash_model(void **state)
{
    (void)state;
    holds(port_contract_flash(&nor.port, OTTER_BLOCK));
    nor.port.write_unit = 16;
    nor.port.erase_units = OTTER_SECTOR;
    holds(port_contract_flash(&nor.port, 0));
}

static void settings_store(void **state)
{
    struct sim_settings s;
    const struct otter_partition row = {
        .type = OTTER_TYPE_DATA, .subtype = OTTER_DATA_NVS, .offset = 0x9000, .size = 0x6000, .label = "nvs"};
    (void)state;
    assert_int_equal(otter_table_write(&row, 1, true, &otter_crypto_openssl, bytes + OTTER_CFG_TABLE_OFFSET), OTTER_OK);
    assert_true(sim_settings_open(&s, &nor.port, &otter_crypto_openssl));
    holds(port_contract_settings(&s.port));
}

static void bits_only_fall(void **state)
{
    (void)state;
    uint8_t a[4] = {0xF0, 0xFF, 0x0F, 0xAA}, b[4] = {0x3C, 0x55, 0xF0, 0xFF};
    assert_int_equal(nor.port.write(&nor, 8, a, 4), 0);
    assert_int_equal(nor.port.write(&nor, 8, b, 4), 0);
    assert_int_equal(bytes[8], 0x30);
    assert_int_equal(bytes[9], 0x55);
    assert_int_equal(bytes[10], 0x00);
    assert_int_equal(bytes[11], 0xAA);
}

static void misuse_is_refused(void **state)
{
    (void)state;
    uint8_t a[8] = {0};
    assert_int_equal(nor.port.write(&nor, 2, a, 4), SIM_NOR_MISUSE);
    assert_int_equal(nor.port.write(&nor, 4092, a, 8), SIM_NOR_MISUSE);
    assert_int_equal(nor.port.erase(&nor, 4096, OTTER_BLOCK), SIM_NOR_MISUSE);
    assert_int_equal(nor.port.erase(&nor, 0, 8192), SIM_NOR_MISUSE);
    assert_int_equal(nor.port.read(&nor, UINT32_MAX, a, 8), SIM_NOR_MISUSE);
}

static void cut_write(enum sim_tear tear, uint32_t arg)
{
    static const uint8_t zeros[256] = {0};
    memset(bytes, 0xFF, 256);
    sim_nor_power_on(&nor);
    nor.cut = (struct sim_cut){.at = 1, .tear = tear, .arg = arg, .seed = 7};
    assert_int_equal(nor.port.write(&nor, 0, zeros, 256), SIM_NOR_DEAD);
    uint8_t byte;
    assert_int_equal(nor.port.read(&nor, 0, &byte, 1), SIM_NOR_DEAD);
    assert_int_equal(nor.port.erase(&nor, 0, OTTER_SECTOR), SIM_NOR_DEAD);
}

static unsigned ones(const uint8_t *p, unsigned n)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < n; i++) sum += (unsigned)__builtin_popcount(p[i]);
    return sum;
}

static void writes_are_torn(void **state)
{
    (void)state;
    cut_write(SIM_TEAR_BEFORE, 0);
    assert_int_equal(ones(bytes, 256), 2048);
    cut_write(SIM_TEAR_AFTER, 0);
    assert_int_equal(ones(bytes, 256), 0);
    cut_write(SIM_TEAR_PREFIX, 100);
    assert_int_equal(ones(bytes, 100), 0);
    assert_int_equal(ones(bytes + 100, 156), 156 * 8);
    cut_write(SIM_TEAR_RANDOM_BITS, 0);
    assert_in_range(ones(bytes, 256), 900, 1150);
    cut_write(SIM_TEAR_ALL_BUT_ONE, 2047);
    assert_int_equal(ones(bytes, 256), 1);
    assert_int_equal(bytes[255], 0x80);
}

static void erases_are_torn(void **state)
{
    (void)state;
    static const enum sim_tear tears[] = {SIM_TEAR_PREFIX, SIM_TEAR_HALF_ERASE};
    for (unsigned i = 0; i < 2; i++) {
        memset(bytes, 0x5A, OTTER_SECTOR);
        sim_nor_power_on(&nor);
        nor.cut = (struct sim_cut){.at = 1, .tear = tears[i], .arg = 1000};
        assert_int_equal(nor.port.erase(&nor, 0, OTTER_SECTOR), SIM_NOR_DEAD);
        assert_int_equal(bytes[0], i ? 0x00 : 0xFF);
        assert_int_equal(bytes[999], i ? 0x00 : 0xFF);
        assert_int_equal(bytes[1000], 0x5A);
    }
}

static void faults_come_when_planned(void **state)
{
    (void)state;
    uint8_t a[4] = {0}, b[4];
    nor.fault = (struct sim_fault){.op = SIM_WRITE, .at = 2, .more = 1};
    assert_int_equal(nor.port.write(&nor, 0, a, 4), 0);
    assert_int_equal(nor.port.write(&nor, 4, a, 4), SIM_NOR_FAULT);
    assert_int_equal(nor.port.write(&nor, 4, a, 4), SIM_NOR_FAULT);
    assert_int_equal(nor.port.write(&nor, 4, a, 4), 0);
    nor.fault = (struct sim_fault){.op = SIM_READ, .at = 1, .silent = true};
    assert_int_equal(nor.port.read(&nor, 0, b, 4), 0);
    assert_memory_not_equal(a, b, 4);
    assert_int_equal(nor.port.read(&nor, 0, b, 4), 0);
    assert_memory_equal(a, b, 4);
}

static void time_and_wear_are_kept(void **state)
{
    (void)state;
    static const uint8_t page[256] = {0};
    assert_int_equal(nor.port.erase(&nor, 0, OTTER_BLOCK), 0);
    assert_int_equal(nor.port.erase(&nor, OTTER_BLOCK, OTTER_SECTOR), 0);
    assert_int_equal(nor.port.write(&nor, 0, page, 256), 0);
    assert_int_equal(nor.us, 150000 + 45000 + 400);
    assert_int_equal(wear[0], 1);
    assert_int_equal(wear[15], 1);
    assert_int_equal(wear[16], 1);
    assert_int_equal(wear[17], 0);
    assert_int_equal(nor.bytes_erased, OTTER_BLOCK + OTTER_SECTOR);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, new_flash)
    const struct CMUnitTest tests[] = {
        TEST(crypto_openssl),         TEST(crypto_psa),      TEST(flash_model),
        TEST(settings_store),         TEST(bits_only_fall),  TEST(misuse_is_refused),
        TEST(writes_are_torn),        TEST(erases_are_torn), TEST(faults_come_when_planned),
        TEST(time_and_wear_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
