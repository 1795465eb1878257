/* What channels serve and boards name: descriptors, board configurations as JSON and YAML, and limits. */
#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/board.h"
#include "doors/descriptor.h"
#include "doors/text.h"
#include "doors/url.h"
#include "ports/posix/board_yaml.h"
#include "tests/fixture.h"

#define DIGEST "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD"

static enum otter_err read_text(const char *text, struct otter_release *out)
{
    struct otter_descriptor_reader r = {
        .url = "https://h/ota/esp32c3.json?sig=1", .chip = "ESP32-C3", .app = {0, 0x10000}};
    enum otter_err e = otter_descriptor_read(&r, text, strlen(text), out);
    if (e == OTTER_DESCRIPTOR || e == OTTER_NO_BUILD) assert_non_null(r.why);
    return e;
}

static void good_descriptors(void **state)
{
    static const struct {
        const char *text, *version, *url;
        uint32_t size;
        bool digest;
    } table[] = {
        {"{\"version\":\"v2.1.1\",\"path\":\"https://other/x.bin\"}", "v2.1.1", "https://other/x.bin", 0, false},
        {" { \"path\" : \"a.bin\", \"version\" : \"1\" } \r\n", "1", "https://h/ota/a.bin", 0, false},
        {"{\"version\":\"1\",\"path\":\"/a.bin\",\"size\":4294967295,\"sha256\":\"" DIGEST "\"}", "1",
         "https://h/a.bin", 4294967295u, true},
        {"{\"version\":\"1\",\"path\":\"a\",\"size\":null,\"sha256\":null,\"notes\":null,\"min_version\":null,"
         "\"requires_full_flash\":null,\"else\":[1,{\"x\":2}]}",
         "1", "https://h/ota/a", 0, false},
        {"{\"version\":\"1\",\"path\":\"a\",\"requires_full_flash\":false,\"notes\":\"\",\"min_version\":\"v0.9\"}",
         "1", "https://h/ota/a", 0, false},
        {"{\"name\":\"x\",\"version\":\"3\",\"builds\":[{\"chipFamily\":\"ESP32\",\"parts\":[{\"path\":\"no\","
         "\"offset\":65536}]},"
         "{\"chipFamily\":\"ESP32-C3\",\"parts\":[{\"path\":\"boot\",\"offset\":0},{\"path\":\"t\",\"offset\":32768},"
         "{\"path\":\"app.bin\",\"offset\":65536}]}]}",
         "3", "https://h/ota/app.bin", 0, false},
        {"{\"version\":\"3\",\"builds\":[{\"chipFamily\":\"ESP32-C3\",\"ota\":{\"path\":\"o.bin\",\"size\":5},"
         "\"parts\":[]}]}",
         "3", "https://h/ota/o.bin", 5, false},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct otter_release r;
        assert_int_equal(read_text(table[i].text, &r), OTTER_OK);
        assert_string_equal(r.version, table[i].version);
        assert_string_equal(r.url, table[i].url);
        assert_int_equal(r.size, table[i].size);
        assert_int_equal(r.has_sha256, table[i].digest);
        otter_release_free(&r);
    }
}

static void a_release_for_the_cable(void **state)
{
    struct otter_release r;
    (void)state;
    assert_int_equal(read_text("{\"version\":\"2\",\"requires_full_flash\":true,\"notes\":\"new\\ntable\"}", &r),
                     OTTER_OK);
    assert_true(r.needs_cable);
    assert_null(r.url);
    assert_string_equal(r.notes, "new table");
    otter_release_free(&r);
}

static void long_notes_are_cut_at_a_character(void **state)
{
    char text[2000] = "{\"version\":\"2\",\"path\":\"p\",\"notes\":\"x";
    struct otter_release r;
    (void)state;
    for (int i = 0; i < 300; i++) strcat(text, "\xC3\xA4");
    strcat(text, "\"}");
    assert_int_equal(read_text(text, &r), OTTER_OK);
    assert_int_equal(strlen(r.notes), 511);
    assert_int_equal(otter_utf8_count(r.notes), 256);
    otter_release_free(&r);
    assert_int_equal(read_text("{\"version\":\"2\",\"path\":\"p\",\"notes\":\"a\xFF"
                               "b\"}",
                               &r),
                     OTTER_OK);
    assert_string_equal(r.notes, "a");
    otter_release_free(&r);
}

static void bad_descriptors(void **state)
{
    static const struct {
        const char *text;
        enum otter_err err;
    } table[] = {
        {"", OTTER_DESCRIPTOR},
        {"null", OTTER_DESCRIPTOR},
        {"[]", OTTER_DESCRIPTOR},
        {"\"x\"", OTTER_DESCRIPTOR},
        {"{", OTTER_DESCRIPTOR},
        {"{}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\"} x", OTTER_DESCRIPTOR},
        {"{'version':'1','path':'p'}", OTTER_DESCRIPTOR},
        {"<!doctype html><title>404</title>", OTTER_DESCRIPTOR},
        {"{\"version\":1,\"path\":\"p\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"\",\"path\":\"p\"}", OTTER_DESCRIPTOR},
        {"{\"version\":null,\"path\":\"p\"}", OTTER_DESCRIPTOR},
        {"{\"Version\":\"1\",\"path\":\"p\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"12345678901234567890123456789012\",\"path\":\"p\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\\n\",\"path\":\"p\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\\u0000junk\",\"path\":\"p\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"\xFF\",\"path\":\"p\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":7}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":{}}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"ftp://h/p\"}", OTTER_URL},
        {"{\"version\":\"1\",\"path\":\"https://u:p@h/p\"}", OTTER_URL},
        {"{\"version\":\"1\",\"path\":\"a b\"}", OTTER_URL},
        {"{\"version\":\"1\",\"path\":\"p\",\"size\":\"5\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"size\":0}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"size\":-1}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"size\":1.5}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"size\":4294967296}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"size\":1e999}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"sha256\":\"abc\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"sha256\":\""
         "g123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD"
         "\"}",
         OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"sha256\":true}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"min_version\":2}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"min_version\":\"\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"min_version\":\"latest\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"min_version\":\"4ad9b17\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"notes\":[]}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"requires_full_flash\":\"yes\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"requires_full_flash\":false,\"requires_full_flash\":true}",
         OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"version\":\"1\"}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"path\":\"p\",\"x\":[1,{\"y\":1,\"z\":1,\"y\":1}]}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"builds\":{}}", OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"builds\":[]}", OTTER_NO_BUILD},
        {"{\"version\":\"1\",\"builds\":[1,null,\"x\",{}]}", OTTER_NO_BUILD},
        {"{\"version\":\"1\",\"builds\":[{\"chipFamily\":\"ESP32-S3\",\"parts\":[{\"path\":\"p\",\"offset\":65536}]}]}",
         OTTER_NO_BUILD},
        {"{\"version\":\"1\",\"builds\":[{\"chipFamily\":\"ESP32-C3\"}]}", OTTER_NO_BUILD},
        {"{\"version\":\"1\",\"builds\":[{\"chipFamily\":\"ESP32-C3\",\"parts\":[{\"path\":\"merged\",\"offset\":0}]}]"
         "}",
         OTTER_NO_BUILD},
        {"{\"version\":\"1\",\"builds\":[{\"chipFamily\":\"ESP32-C3\",\"parts\":[{\"path\":\"p\",\"offset\":\"65536\"}]"
         "}]}",
         OTTER_NO_BUILD},
        {"{\"version\":\"1\",\"builds\":[{\"chipFamily\":\"ESP32-C3\",\"parts\":[{\"offset\":65536}]}]}",
         OTTER_DESCRIPTOR},
        {"{\"version\":\"1\",\"builds\":[{\"chipFamily\":\"ESP32-C3\",\"ota\":{}}]}", OTTER_DESCRIPTOR},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct otter_release r;
        enum otter_err e = read_text(table[i].text, &r);
        if (e != table[i].err) fail_msg("%s: %s", table[i].text, otter_err_name(e));
        assert_null(r.url);
    }
}

static void json_within_limits(void **state)
{
    char text[9000];
    struct otter_release r;
    (void)state;
    memset(text, '[', 4000);
    text[4000] = '\0';
    assert_int_equal(read_text(text, &r), OTTER_DESCRIPTOR);
    memset(text, ',', 4000);
    text[0] = '[';
    assert_int_equal(read_text(text, &r), OTTER_DESCRIPTOR);
    memset(text, ' ', 8999);
    text[8999] = '\0';
    memcpy(text, "{\"version\":\"1\",\"path\":\"p\"}", 26);
    assert_int_equal(read_text(text, &r), OTTER_DESCRIPTOR);
    text[8192] = '\0';
    assert_int_equal(read_text(text, &r), OTTER_OK);
    otter_release_free(&r);
    assert_null(otter_json_read("1\0", 2));
    /* A comma in a text is none. */
    memset(text, ',', 1000);
    text[0] = text[999] = '"';
    cJSON *json = otter_json_read(text, 1000);
    assert_non_null(json);
    cJSON_Delete(json);
}

/* A text that ends at a NUL is not the one that was written. */
static void no_nul_in_a_text(void **state)
{
    static const char *const bad[] = {"\"testing\\u0000evil\"", "\"\\u0000\"", "[\"a\",{\"b\\u0000\":1}]",
                                      "\"\\\\\\u0000\"", "\"\\u0000"};
    static const char *const good[] = {"\"\\\\u0000\"", "\"u0000\"", "\"\\u0001\"", "\"\\u1000\""};
    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (otter_json_read(bad[i], strlen(bad[i]))) fail_msg("taken: %s", bad[i]);
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        cJSON *json = otter_json_read(good[i], strlen(good[i]));
        if (!json) fail_msg("refused: %s", good[i]);
        cJSON_Delete(json);
    }
}

/* ---- board configurations ---- */

#define CHANNEL(name, path) "{\"name\":\"" name "\",\"path\":\"" path "\"}"
#define BOARD(channels) "{\"ota\":{\"channels\":[" channels "]}}"

static void boards_as_json(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"ota\":1}",
        "{\"ota\":{}}",
        "{\"ota\":{\"channels\":{}}}",
        BOARD(""),
        BOARD("1"),
        BOARD("{}"),
        BOARD("{\"name\":\"a\"}"),
        BOARD("{\"path\":\"https://h/\"}"),
        BOARD("{\"name\":1,\"path\":\"https://h/\"}"),
        BOARD("{\"name\":\"a\",\"path\":null}"),
        BOARD("{\"name\":\"a\",\"path\":\"https://h/\",\"x\":1}"),
        BOARD("{\"name\":\"a\",\"name\":\"b\",\"path\":\"https://h/\"}"),
        "{\"ota\":{\"channels\":[" CHANNEL("a", "https://h/") "]},\"ota\":1}",
        "{\"ota\":{\"channels\":[" CHANNEL("a", "https://h/") "],\"channels\":[]}}",
        BOARD(CHANNEL("", "https://h/")),
        BOARD(CHANNEL("12345678901234567", "https://h/")),
        BOARD(CHANNEL("a\\u0001", "https://h/")),
        BOARD(CHANNEL("a\\u0000b", "https://h/")),
        BOARD(CHANNEL("a", "h/")),
        BOARD(CHANNEL("a", "ftp://h/")),
        BOARD(CHANNEL("a", "https://h/") "," CHANNEL("a", "https://h/")),
        BOARD(CHANNEL("a", "https://h/") "," CHANNEL("b", "https://h/") "," CHANNEL("c", "https://h/") "," CHANNEL(
            "d", "https://h/")),
        "{\"ota\":{\"channels\":[" CHANNEL("a", "https://h/") "],\"x\":1}}",
    };
    struct otter_board b;
    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (!otter_board_read(bad[i], strlen(bad[i]), &b)) fail_msg("taken: %s", bad[i]);
        assert_int_equal(b.count, 0);
    }
    const char *good =
        BOARD(CHANNEL("stable", "https://h/s.json") "," CHANNEL("1234567890ä23456", "http://127.0.0.1/"));
    assert_null(otter_board_read(good, strlen(good), &b));
    assert_int_equal(b.count, 2);
    char *again = otter_board_write(&b);
    assert_string_equal(again, good);
    free(again);
    otter_board_free(&b);
}

static void boards_as_yaml(void **state)
{
    static const struct {
        const char *text;
        unsigned line; /* 0: it is good */
        const char *why;
    } table[] = {
        {"ota:\n  channels:\n    - name: stable\n      path: https://h/s.json\n", 0, NULL},
        {"deviceName: x\nbuttons: {a: 1}\nota: {channels: [{path: 'https://h/', name: \"1\"}]}\n", 0, NULL},
        {"a: &c {name: n, path: https://h/}\nota:\n  channels: [*c]\n", 0, NULL},
        {"# none\nota:\n  channels:\n    - name: bleeding edge\n      path: https://h/\n#   - name: x\n", 0, NULL},
        {"", 0, "the file is no mapping"},
        {"text", 1, "the file is no mapping"},
        {"- 1\n", 1, "the file is no mapping"},
        {"a: 1\n", 1, "\"ota\" is missing"},
        {"a: 1\nota: x\n", 2, "\"ota\" is no mapping"},
        {"ota:\n", 1, "\"ota\" is no mapping"},
        {"ota:\n  x: 1\n", 2, "\"channels\" is missing"},
        {"ota:\n  channels: x\n", 2, "\"channels\" is no list"},
        {"ota:\n  channels: []\n", 2, "there is no channel"},
        {"ota:\n  channels: [{name: a, path: https://h/}]\n  more: 1\n", 2, "\"ota\" has other keys than channels"},
        {"ota:\n  channels:\n    - text\n", 3, "a channel is no mapping"},
        {"ota:\n  channels:\n    - name: a\n", 3, "a channel has no path"},
        {"ota:\n  channels:\n    - path: https://h/\n", 3, "a channel has no name"},
        {"ota:\n  channels:\n    - name: a\n      path: https://h/\n      url: x\n", 5,
         "a channel has other keys than name and path"},
        {"ota:\n  channels:\n    - name: a\n      name: b\n      path: https://h/\n", 4, "a channel has a key twice"},
        {"ota:\n  channels:\n    - name: 17\n      path: https://h/\n", 3, "a channel's name is no text"},
        {"ota:\n  channels:\n    - name: true\n      path: https://h/\n", 3, "a channel's name is no text"},
        {"ota:\n  channels:\n    - name: ~\n      path: https://h/\n", 3, "a channel's name is no text"},
        {"ota:\n  channels:\n    - name: [a]\n      path: https://h/\n", 3, "a channel's name is no text"},
        {"ota:\n  channels:\n    - name: !!int \"a\"\n      path: https://h/\n", 3, "a channel's name is no text"},
        {"ota:\n  channels:\n    - name: \"a\\0b\"\n      path: https://h/\n", 3, "a channel's name is no text"},
        {"ota:\n  channels:\n    - name: ''\n      path: https://h/\n", 3, "a channel's name is empty"},
        {"ota:\n  channels:\n    - name: 12345678901234567x\n      path: https://h/\n", 3,
         "a channel's name is longer than 16 characters"},
        {"ota:\n  channels:\n    - name: a\n      path: h/s.json\n", 4, "a channel's path is no http or https URL"},
        {"ota:\n  channels:\n    - {name: a, path: https://h/}\n    - {name: a, path: https://h/}\n", 4,
         "two channels have one name"},
        {"ota:\n  channels:\n    - {name: a, path: https://h/}\n    - {name: b, path: https://h/}\n    - {name: c, "
         "path: https://h/}\n"
         "    - {name: d, path: https://h/}\n",
         6, "there are more than 3 channels"},
        {"ota: {channels: [{name: a, path: https://h/}]}\nota: {}\n", 2, "a key is there twice"},
        {"---\nota: {channels: [{name: a, path: https://h/}]}\n...\n# end\n", 0, NULL},
        {"ota: {channels: [{name: a, path: https://h/}]}\n---\nota: {}\n", 3,
         "a second document begins; one with \"ota\" is all that is read"},
        {"ota: {channels: [{name: a, path: https://h/}]}\n---\n", 3,
         "a second document begins; one with \"ota\" is all that is read"},
        {"ota: {channels: [{name: a, path: https://h/}]}\n---\na: [\n", 4, "did not find expected node content"},
        {"ota:\n  channels:\n   - [\n", 4, "did not find expected node content"},
        {"ota: *nobody\n", 1, "found undefined alias"},
        {"a: \xFF\n", 1, "invalid leading UTF-8 octet"},
        {"\t- x: [\n", 1, NULL},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct board_yaml_error e = {0};
        struct otter_board b;
        bool good = board_yaml_read(table[i].text, strlen(table[i].text), &b, &e);
        bool wanted = !table[i].line && !table[i].why;
        if (good != wanted || (!good && e.line != table[i].line))
            fail_msg("%s: line %u: %s", table[i].text, e.line, e.why);
        if (table[i].why && strcmp(e.why, table[i].why) != 0) fail_msg("%s: %s", table[i].text, e.why);
        assert_int_equal(b.count > 0, wanted);
        otter_board_free(&b);
    }
}

/* As YAML 1.2 has it, 10.3.2: plain, a name is text unless the core schema makes something else of it. */
static void plain_names(void **state)
{
    static const char *const text[] = {"1.2.3", "2024-01-01", "E2",   "e",     "+",     ".",   "1e",   "1.2e", "0x",
                                       "0xg",   "0o8",        "0b1",  "1_000", "yes",   "off", "nUll", "tRUE", ".iNF",
                                       "+.nan", "inf",        "-0x1", "v1",    "12:30", "1-2", "--1",  "..1"};
    static const char *const other[] = {"17",     "-1",   "+1",    "007",   "0o17", "0x1F", "1.5",  ".5",   "5.",
                                        "-1.e+3", "1e5",  "1E-5",  "~",     "null", "Null", "NULL", "true", "TRUE",
                                        "False",  ".inf", "-.INF", "+.Inf", ".nan", ".NaN", ".NAN"};
    (void)state;
    for (unsigned i = 0; i < sizeof text / sizeof text[0] + sizeof other / sizeof other[0]; i++) {
        bool is_text = i < sizeof text / sizeof text[0];
        const char *name = is_text ? text[i] : other[i - sizeof text / sizeof text[0]];
        struct board_yaml_error e = {0};
        struct otter_board b;
        char yaml[100];
        int n = snprintf(yaml, sizeof yaml, "ota:\n  channels:\n    - name: %s\n      path: https://h/\n", name);
        if (board_yaml_read(yaml, (size_t)n, &b, &e) != is_text) fail_msg("%s: %s", name, e.why);
        if (is_text) assert_string_equal(b.channel[0].name, name);
        otter_board_free(&b);
    }
}

/* What was kept is there after a restart; what is bad is not kept. */
static void boards_in_the_settings(void **state)
{
    static uint8_t flash[FIXTURE_FLASH];
    static struct fixture_image image;
    struct sim_world w;
    struct otter_board b;
    const char *text = BOARD(CHANNEL("stable", "https://h/s.json"));
    (void)state;
    fixture_image(&image, "1.0.0", NULL, 20000);
    fixture_device(&w, flash, false, &image);
    fixture_start(&w);
    otter_board_load(&w.device, &b);
    assert_int_equal(b.count, 0);
    assert_null(otter_board_read(text, strlen(text), &b));
    assert_int_equal(otter_board_save(&w.device, &b), OTTER_OK);
    otter_board_free(&b);
    fixture_start(&w);
    otter_board_load(&w.device, &b);
    assert_int_equal(b.count, 1);
    assert_string_equal(b.channel[0].path, "https://h/s.json");
    otter_board_free(&b);
    /* Three of the longest paths fit into one string. */
    char path[OTTER_CHANNEL_PATH + 2] = "https://h/", name[2] = "a";
    memset(path + 10, 'x', OTTER_CHANNEL_PATH - 10);
    for (; *name < 'd'; ++*name) assert_null(otter_board_add(&b, name, path));
    assert_int_equal(otter_board_save(&w.device, &b), OTTER_OK);
    otter_board_free(&b);
    path[OTTER_CHANNEL_PATH] = 'x';
    assert_non_null(otter_board_add(&b, "a", path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_descriptors),
        cmocka_unit_test(a_release_for_the_cable),
        cmocka_unit_test(long_notes_are_cut_at_a_character),
        cmocka_unit_test(bad_descriptors),
        cmocka_unit_test(json_within_limits),
        cmocka_unit_test(no_nul_in_a_text),
        cmocka_unit_test(boards_as_json),
        cmocka_unit_test(boards_as_yaml),
        cmocka_unit_test(plain_names),
        cmocka_unit_test(boards_in_the_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
