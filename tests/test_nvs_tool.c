/* otter nvs: what the commands do to files. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/nvs.h"
#include "nor_ram.h"
#include "tool/nvs.h"
#include "tool/nvs_flash.h"
#include "tool/tool.h"

enum { FLASH = 0x20000, AT = 0x9000, SIZE = 0x4000 };

static char folder[] = "/tmp/otter_nvs_XXXXXX";
static char csv[64], bin[64], flash[64], key[64], key2[64];

static int run(const char *const *words)
{
    char *argv[16] = {(char *)(uintptr_t) "nvs"};
    int argc = 1;
    for (; words[argc - 1]; argc++) argv[argc] = (char *)(uintptr_t)words[argc - 1];
    return tool_nvs(argc, argv);
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void write_text(const char *path, const char *text)
{
    assert_int_equal(tool_write_file(path, text, strlen(text)), 0);
}

static uint8_t *contents(const char *path, size_t *size)
{
    uint8_t *data = tool_read_file(path, FLASH, size);
    assert_non_null(data);
    return data;
}

/* The integer in a file's partition, or -1. */
static long value_in(const char *path, uint32_t offset, const char *name, enum otter_nvs_type type)
{
    size_t size;
    uint8_t *data = contents(path, &size);
    struct nor_ram nor;
    struct otter_nvs n;
    uint64_t v = 0;
    nor_init(&nor, data, (uint32_t)size);
    enum otter_err e = otter_nvs_open(&n, &nor.flash, offset, offset ? SIZE : (uint32_t)size);
    if (!e) e = otter_nvs_get_int(&n, "app", name, type, &v);
    free(data);
    return e ? -1 : (long)v;
}

static void test_build_set_erase(void **state)
{
    (void)state;
    assert_int_equal(RUN("build", csv, "-o", bin, "--size", "16K"), 0);
    assert_int_equal(value_in(bin, 0, "mode", OTTER_NVS_U8), 5);
    assert_int_equal(RUN("set", bin, "app", "mode", "u8", "6"), 0);
    assert_int_equal(value_in(bin, 0, "mode", OTTER_NVS_U8), 6);
    assert_int_equal(RUN("set", bin, "app", "temp", "i32", "-40"), 0);
    assert_int_equal(value_in(bin, 0, "temp", OTTER_NVS_I32), -40);
    assert_int_equal(RUN("set", bin, "app", "mask", "u32", "0xffff"), 0);
    assert_int_equal(value_in(bin, 0, "mask", OTTER_NVS_U32), 0xffff);
    assert_int_equal(RUN("set", bin, "app", "s", "string", "--", "--dashes"), 0);
    assert_int_equal(RUN("get", bin, "app", "s"), 0);
    assert_int_equal(RUN("erase", bin, "app", "mode"), 0);
    assert_int_equal(value_in(bin, 0, "mode", OTTER_NVS_U8), -1);
    assert_int_equal(RUN("erase", bin, "app"), 0);
    assert_int_equal(value_in(bin, 0, "mask", OTTER_NVS_U32), -1);
    assert_int_equal(RUN("erase", bin), 0);
    size_t size;
    uint8_t *data = contents(bin, &size);
    for (size_t i = 0; i < size; i++) assert_int_equal(data[i], 0xFF);
    free(data);
}

static void test_inside_a_flash(void **state)
{
    (void)state;
    size_t size;
    uint8_t *before = malloc(FLASH), *after;
    assert_non_null(before);
    memset(before, 0x5A, FLASH);
    memset(before + AT, 0xFF, SIZE);
    assert_int_equal(tool_write_file(flash, before, FLASH), 0);
    assert_int_equal(RUN("set", flash, "app", "mode", "u8", "7", "--offset", "0x9000", "--size", "0x4000"), 0);
    assert_int_equal(value_in(flash, AT, "mode", OTTER_NVS_U8), 7);
    after = contents(flash, &size);
    assert_memory_equal(after, before, AT);
    assert_memory_equal(after + AT + SIZE, before + AT + SIZE, FLASH - AT - SIZE);
    free(after);
    free(before);
    assert_int_equal(RUN("dump", flash, "--json", "--offset", "0x9000", "--size", "0x4000"), 0);
    assert_int_equal(RUN("set", flash, "app", "mode", "u8", "7", "--offset", "0x9001"), 2);
    assert_int_equal(RUN("set", flash, "app", "mode", "u8", "7", "--offset", "0x1F000", "--size", "8K"), 2);
}

/* Without the key nothing is shown and, above all, nothing is changed. */
static void test_encrypted(void **state)
{
    (void)state;
    size_t size;
    assert_int_equal(RUN("keygen", "-o", key), 0);
    assert_int_equal(RUN("keygen", "-o", key2), 0);
    assert_int_equal(RUN("build", csv, "-o", bin, "--size", "16K", "--key", key), 0);
    uint8_t *before = contents(bin, &size), *after;
    assert_int_not_equal(RUN("set", bin, "app", "mode", "u8", "9"), 0);
    assert_int_not_equal(RUN("set", bin, "app", "mode", "u8", "9", "--key", key2), 0);
    assert_int_not_equal(RUN("dump", bin), 0);
    assert_int_not_equal(RUN("dump", bin, "--key", csv), 0);
    after = contents(bin, &size);
    assert_memory_equal(after, before, size);
    free(after);
    free(before);
    assert_int_equal(RUN("set", bin, "app", "mode", "u8", "9", "--key", key), 0);
    assert_int_equal(RUN("get", bin, "app", "mode", "--json", "--key", key), 0);
    assert_int_equal(RUN("get", bin, "app", "host", "--key", key), 0);
}

static void test_wrong_command_lines(void **state)
{
    (void)state;
    assert_int_equal(RUN("build", csv, "-o", bin, "--size", "16K"), 0);
    assert_int_equal(RUN("build", csv, "-o", bin), 2);
    assert_int_equal(RUN("build", csv, "-o", bin, "--size", "16K", "--version", "3"), 2);
    assert_int_equal(RUN("build", csv, "-o", bin, "--size", "10000"), 3);
    assert_int_equal(RUN("set", bin, "app", "k", "u8"), 2);
    assert_int_equal(RUN("set", bin, "app", "k", "u9", "1"), 2);
    assert_int_equal(RUN("set", bin, "app", "k", "u8", "256"), 2);
    assert_int_equal(RUN("set", bin, "app", "k", "blob", "abc"), 2);
    assert_int_equal(RUN("set", bin, "app", "abcdefghijklmnop", "u8", "1"), 3);
    assert_int_equal(RUN("get", bin, "app", "none"), 4);
    assert_int_equal(RUN("get", bin, "app"), 2);
    assert_int_equal(RUN("get", bin, "app", "mode", "--output", "x"), 2);
    assert_int_equal(RUN("dump", "/nonexistent"), 2);
    assert_int_equal(RUN("dump", bin, "--nonsense"), 2);
    assert_int_equal(RUN("get", "--help"), 0);
    assert_int_equal(RUN("frobnicate"), 2);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(csv, sizeof csv, "%s/t.csv", folder);
    snprintf(bin, sizeof bin, "%s/t.bin", folder);
    snprintf(flash, sizeof flash, "%s/flash.bin", folder);
    snprintf(key, sizeof key, "%s/key.bin", folder);
    snprintf(key2, sizeof key2, "%s/key2.bin", folder);
    write_text(csv, "key,type,encoding,value\napp,namespace,,\nmode,data,u8,5\nhost,data,string,example.com\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    const char *const files[] = {csv, bin, flash, key, key2};
    for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++) remove(files[i]);
    remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_set_erase),
        cmocka_unit_test(test_inside_a_flash),
        cmocka_unit_test(test_encrypted),
        cmocka_unit_test(test_wrong_command_lines),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
