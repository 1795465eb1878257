/* CSV to partition against what Espressif's generator made, byte for byte; the result read back by the store. */
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
#include "tool/nvs_gen.h"
#include "vectors.h"

static unsigned warnings;
static char last_warning[300];

static void on_warning(void *ctx, const char *text)
{
    (void)ctx;
    warnings++;
    snprintf(last_warning, sizeof last_warning, "%s", text);
}

static struct nvs_gen options(uint32_t size, unsigned version)
{
    struct nvs_gen g = {.size = size, .version = version, .folder = OTTER_VECTORS "/nvs_gen", .warn = on_warning};
    warnings = 0;
    return g;
}

static enum otter_err generate(struct nvs_gen *g, const char *csv) { return nvs_gen(g, csv, strlen(csv)); }

static void compare(const char *name, const struct nvs_gen *g, const cJSON *c)
{
    size_t size;
    uint8_t *bin = vector_file("nvs_gen", vector_string(c, "bin"), &size);
    if (size != g->bin_size) fail_msg("%s: %zu bytes, not %zu", name, g->bin_size, size);
    for (size_t i = 0; i < size; i++)
        if (bin[i] != g->bin[i]) fail_msg("%s: differs at 0x%zx", name, i);
    free(bin);
}

/* What the real library makes of the image, the store makes too. */
static void read_back(const char *name, struct nvs_gen *g, const cJSON *c)
{
    struct nor_ram nor;
    struct otter_nvs nvs;
    struct otter_nvs_stats s;
    const cJSON *real = cJSON_GetObjectItem(cJSON_GetObjectItem(c, "real_nvs_init"), "v6.0.2"),
                *stats = cJSON_GetObjectItem(real, "stats");
    nor_init(&nor, g->bin, (uint32_t)g->bin_size);
    assert_int_equal(otter_nvs_open(&nvs, &nor.flash, 0, (uint32_t)g->bin_size), OTTER_OK);
    assert_int_equal(otter_nvs_stats(&nvs, &s), OTTER_OK);
    if (s.used != vector_number(stats, "used")) fail_msg("%s: %u slots used", name, s.used);
    assert_int_equal(s.total, vector_number(stats, "total"));
    if (strcmp(vector_string(real, "init"), "0x0") == 0)
        assert_int_equal(s.namespaces, vector_number(stats, "namespaces"));
    if (!vector_number(real, "flash_ops_at_init")) assert_int_equal(nor.ops, 0);
}

static void test_vectors(void **state)
{
    (void)state;
    cJSON *cases = vector_cases("nvs_gen"), *c;
    unsigned bins = 0, refused = 0;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(cases, "cases"))
    {
        const char *name = vector_string(c, "name");
        size_t size;
        char *csv = (char *)vector_file("nvs_gen", vector_string(c, "csv"), &size);
        struct nvs_gen g = options((uint32_t)strtoul(vector_string(c, "size"), NULL, 0),
                                   cJSON_GetArraySize(cJSON_GetObjectItem(c, "args")) == 2 ? 1 : 2);
        enum otter_err e = nvs_gen(&g, csv, size);
        free(csv);
        if (!cJSON_GetObjectItem(c, "bin")) {
            if (!e) fail_msg("%s: was not refused", name);
            refused++;
            continue;
        }
        if (e) fail_msg("%s: %s", name, g.text);
        compare(name, &g, c);
        read_back(name, &g, c);
        free(g.bin);
        bins++;
    }
    print_message("%u partitions byte for byte, %u tables refused\n", bins, refused);
    assert_int_equal(bins, 37);
    assert_int_equal(refused, 17);
    cJSON_Delete(cases);
}

#define HEAD "key,type,encoding,value\n"

static void expect_warning(const char *csv, const char *words)
{
    struct nvs_gen g = options(0x3000, 2);
    enum otter_err e = generate(&g, csv);
    if (e) fail_msg("%s: %s", words, g.text);
    assert_true(warnings >= 1);
    if (!strstr(last_warning, words)) fail_msg("\"%s\" does not say: %s", last_warning, words);
    free(g.bin);
}

static void test_oddities_are_told(void **state)
{
    (void)state;
    expect_warning(HEAD "n,namespace,,\na,data,u8,1\na,data,u8,2\n", "line 4: key \"a\" is there twice");
    expect_warning(HEAD "a,data,u8,1\n", "before any namespace");
    expect_warning(HEAD "n,namespace,,\nm,namespace,,\nn,namespace,,\n", "was there before");
    expect_warning(HEAD "n,namespace,,\ns,data,STRING,x\n", "not in small letters");
    expect_warning(HEAD "n,namespace,,\nk\xC3\xA9y,data,u8,1\n", "not ASCII");
    expect_warning(HEAD "n,namespace,,\nb,data,binary,\xC3\xA9\n", "not ASCII");
    expect_warning(HEAD "n,namespace,,\n,data,u8,1\n", "empty");
    expect_warning(HEAD "n,namespace,,\nsta.ssid,data,string,x\n", "sta.apinfo");
}

static void expect_refusal(const char *csv, enum otter_err wanted, const char *words)
{
    struct nvs_gen g = options(0x3000, 2);
    enum otter_err e = generate(&g, csv);
    assert_int_equal(e, wanted);
    assert_null(g.bin);
    if (!strstr(g.text, words)) fail_msg("\"%s\" does not say: %s", g.text, words);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refusal(HEAD "n,namespace,,\na,data,u8,256\n", OTTER_ARG, "line 3: key \"a\"");
    expect_refusal(HEAD "n,namespace,,\na,data,i8,-129\n", OTTER_ARG, "no room");
    expect_refusal(HEAD "n,namespace,,\na,data,u64,18446744073709551616\n", OTTER_ARG, "64 bits");
    expect_refusal(HEAD "n,namespace,,\na,data,i64,9223372036854775808\n", OTTER_ARG, "no room");
    expect_refusal(HEAD "n,namespace,,\na,data,u64,-1\n", OTTER_ARG, "no room");
    expect_refusal(HEAD "n,namespace,,\na,data,u8,1__0\n", OTTER_ARG, "decimal");
    expect_refusal(HEAD "n,namespace,,\na,data,u128,1\n", OTTER_ARG, "u128");
    expect_refusal(HEAD "n,namespace,,\nb,data,base64,QQ\n", OTTER_ARG, "base64");
    expect_refusal(HEAD "n,namespace,,\nb,data,hex2bin,zz\n", OTTER_ARG, "hex");
    expect_refusal(HEAD "n,namespace,,\nb,data,\"blob_fill(2;0x00)\",abc\n", OTTER_ARG, "longer");
    expect_refusal(HEAD "n,namespace,,\nb,file,binary,files/none\n", OTTER_ARG, "files/none");
    expect_refusal(HEAD "n,namespace,,\nb,file,binary,files/f9000.bin\n", OTTER_NVS_FULL, "2 pages");
    expect_refusal(HEAD "n,namespace,,\na,data\n", OTTER_ARG, "no encoding");
    expect_refusal(HEAD "\xFF,namespace,,\n", OTTER_ARG, "UTF-8");
}

static void test_csv_forms(void **state)
{
    (void)state;
    static const char *const same[] = {
        HEAD "n,namespace,,\ns,data,string,\"a,\"\"b\"\"\"\n",
        "# c\r\n" HEAD "# c\r\nn,namespace,,\r\n\r\n\"s\",data,\"string\",\"a,\"\"b\"\"\"\r\n",
        "\"value\",key,type,encoding,more\n,n,namespace\n\"a,\"\"b\"\"\",s,data,string,x,y,z",
    };
    struct nvs_gen first = options(0x3000, 2);
    assert_int_equal(generate(&first, same[0]), OTTER_OK);
    for (unsigned i = 1; i < 3; i++) {
        struct nvs_gen g = options(0x3000, 2);
        enum otter_err e = generate(&g, same[i]);
        if (e) fail_msg("%u: %s", i, g.text);
        assert_memory_equal(g.bin, first.bin, 0x3000);
        free(g.bin);
    }
    free(first.bin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_oddities_are_told),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_csv_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
