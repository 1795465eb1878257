/* The doors' parts that need no server: who is let in, and what a form holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/access.h"
#include "doors/files.h"
#include "doors/multipart.h"
#include "doors/words.h"
#include "tests/fixture.h"

/* ---- access ---- */

static const struct otter_access guarded = {{"Basic YTpi", "Bearer t0ken"}, {"otter.local"}};
static const struct otter_access open_door = {{NULL, NULL}, {"localhost"}};

static void access_table(void **state)
{
    (void)state;
    static const struct {
        const struct otter_access *a;
        struct otter_access_request r;
        enum otter_err expected;
    } table[] = {
        {&open_door, {.changes = true}, OTTER_OK},
        {&open_door, {.host = "192.168.4.1", .changes = true}, OTTER_OK},
        {&open_door, {.host = "127.0.0.1:8032"}, OTTER_OK},
        {&open_door, {.host = "[fe80::1]:80"}, OTTER_OK},
        {&open_door, {.host = "LocalHost:1"}, OTTER_OK},
        {&open_door, {.host = "localhost.evil.example"}, OTTER_FOREIGN_HOST},
        {&open_door, {.host = "evil.example"}, OTTER_FOREIGN_HOST},
        {&open_door, {.host = "1.2.3.evil"}, OTTER_FOREIGN_HOST},
        {&open_door, {.host = "1.2.3"}, OTTER_FOREIGN_HOST},
        {&open_door, {.host = ""}, OTTER_FOREIGN_HOST},
        {&open_door, {.host = "10.0.0.1", .origin = "http://10.0.0.1", .changes = true}, OTTER_OK},
        {&open_door, {.host = "10.0.0.1", .origin = "http://10.0.0.2", .changes = true}, OTTER_FOREIGN_ORIGIN},
        {&open_door, {.host = "10.0.0.1", .origin = "http://10.0.0.1:81", .changes = true}, OTTER_FOREIGN_ORIGIN},
        {&open_door, {.host = "10.0.0.1", .origin = "http://10.0.0.1.evil", .changes = true}, OTTER_FOREIGN_ORIGIN},
        {&open_door, {.host = "10.0.0.1", .origin = "null", .changes = true}, OTTER_FOREIGN_ORIGIN},
        {&open_door, {.host = "10.0.0.1", .origin = "http://10.0.0.2"}, OTTER_OK},
        {&open_door, {.host = "10.0.0.1", .referer = "http://10.0.0.1/x?y", .changes = true}, OTTER_OK},
        {&open_door, {.host = "10.0.0.1", .referer = "https://evil.example/", .changes = true}, OTTER_FOREIGN_ORIGIN},
        {&open_door, {.host = "10.0.0.1", .sec_fetch_site = "cross-site", .changes = true}, OTTER_FOREIGN_ORIGIN},
        {&open_door, {.host = "10.0.0.1", .sec_fetch_site = "same-site", .changes = true}, OTTER_FOREIGN_ORIGIN},
        {&open_door, {.host = "10.0.0.1", .sec_fetch_site = "same-origin", .changes = true}, OTTER_OK},
        {&open_door, {.host = "10.0.0.1", .sec_fetch_site = "none", .changes = true}, OTTER_OK},
        {&guarded, {.host = "otter.local"}, OTTER_UNAUTHORIZED},
        {&guarded, {.authorization = "Basic YTpi"}, OTTER_OK},
        {&guarded, {.authorization = "basic YTpi"}, OTTER_OK},
        {&guarded, {.authorization = "Basic ytpi"}, OTTER_UNAUTHORIZED},
        {&guarded, {.authorization = "Basic YTp"}, OTTER_UNAUTHORIZED},
        {&guarded, {.authorization = "Basic YTpiYTpi"}, OTTER_UNAUTHORIZED},
        {&guarded, {.authorization = "Basic "}, OTTER_UNAUTHORIZED},
        {&guarded, {.authorization = ""}, OTTER_UNAUTHORIZED},
        {&guarded, {.authorization = "Bearer t0ken"}, OTTER_OK},
        {&guarded, {.authorization = "Bearer t0kem"}, OTTER_UNAUTHORIZED},
        {&guarded, {.authorization = "Basic t0ken"}, OTTER_UNAUTHORIZED},
    };
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        enum otter_err e = otter_access_check(table[i].a, &table[i].r);
        if (e != table[i].expected) fail_msg("row %u: %s", i, otter_err_name(e));
    }
}

/* ---- names of files ---- */

static void file_names(void **state)
{
    (void)state;
    static const struct {
        const char *escaped, *name; /* NULL: none */
    } table[] = {
        {"a", "a"},
        {"%61%20b", "a b"},
        {"+%2B", "++"},
        {"%c3%A4", "\xC3\xA4"},
        {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
        {"%f4%8f%bf%bf", "\xF4\x8F\xBF\xBF"},
        {"%ed%9f%bf", "\xED\x9F\xBF"},
        {"a.b..c", "a.b..c"},
        {"", NULL},
        {"%", NULL},
        {"a%", NULL},
        {"a%2", NULL},
        {"a%2g", NULL},
        {"a%g2", NULL},
        {"%00", NULL},
        {"a%00", NULL},
        {".", NULL},
        {"..", NULL},
        {".a", NULL},
        {"a.", NULL},
        {"%20a", NULL},
        {"a%20", NULL},
        {"a/b", NULL},
        {"a%2fb", NULL},
        {"%5c", NULL},
        {"a%3ab", NULL},
        {"%1f", NULL},
        {"%7f", NULL},
        {"%80", NULL},
        {"%c3", NULL},
        {"%c3a", NULL},
        {"%c0%80", NULL},
        {"%e0%9f%bf", NULL},
        {"%f0%8f%bf%bf", NULL},
        {"%ed%a0%80", NULL},
        {"%ed%bf%bf", NULL},
        {"%f4%90%80%80", NULL},
        {"%f8%88%80%80%80", NULL},
        {"%ff", NULL},
    };
    char name[OTTER_FILE_NAME + 1], longest[OTTER_FILE_NAME + 2];
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        bool ok = otter_file_name(table[i].escaped, name);
        if (ok != (table[i].name != NULL) || (ok && strcmp(name, table[i].name) != 0)) fail_msg("%s", table[i].escaped);
    }
    memset(longest, 'x', sizeof longest);
    longest[OTTER_FILE_NAME] = '\0';
    assert_true(otter_file_name(longest, name));
    longest[OTTER_FILE_NAME] = 'x';
    longest[OTTER_FILE_NAME + 1] = '\0';
    assert_false(otter_file_name(longest, name));
    assert_false(otter_file_name_ok(longest));
}

/* ---- forms ---- */

struct sink {
    uint8_t bytes[4096];
    size_t size;
    enum otter_err answer;
};

static enum otter_err take(void *ctx, const uint8_t *data, size_t n)
{
    struct sink *s = ctx;
    assert_true(n <= sizeof s->bytes - s->size);
    memcpy(s->bytes + s->size, data, n);
    s->size += n;
    return s->answer;
}

static const char form_type[] = "multipart/form-data; charset=x; boundary=\"--b0und\"";
static const char form_head[] =
    "preamble\r\n----b0und\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nno file\r\n----b0und  \r\n"
    "Content-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n";
/* Everything that looks like a delimiter and is none. */
static const char file_bytes[] = "\r\n--x\r\r\n----b0un\r\n----b0unx\r\r\r\n\n\r\n----b0un\r\n-";
static const char form_tail[] = "\r\n----b0und--\r\nepilogue ----b0und";

static size_t compose(char *form) { return (size_t)sprintf(form, "%s%s%s", form_head, file_bytes, form_tail); }

static enum otter_err parse(const char *form, size_t size, size_t first, size_t step, struct sink *s)
{
    struct otter_multipart m = {.ctx = s, .file = take};
    s->size = 0;
    assert_true(otter_multipart_start(&m, form_type));
    for (size_t at = 0, n = first ? first : step; at < size; at += n, n = step)
        otter_multipart_feed(&m, form + at, n < size - at ? n : size - at);
    return otter_multipart_end(&m);
}

static void any_split_of_a_form(void **state)
{
    (void)state;
    char form[2048];
    struct sink s = {.answer = OTTER_OK};
    size_t size = compose(form);
    for (size_t first = 0; first <= size; first++)
        for (size_t step = 1; step <= size; step = step * 3 + 1) {
            assert_int_equal(parse(form, size, first, step, &s), OTTER_OK);
            assert_int_equal(s.size, sizeof file_bytes - 1);
            assert_memory_equal(s.bytes, file_bytes, s.size);
        }
}

static void broken_forms(void **state)
{
    (void)state;
    char form[2048];
    struct sink s = {.answer = OTTER_OK};
    size_t size = compose(form);
    /* Cut anywhere before the closing dashes. */
    size_t closing = size - strlen("--\r\nepilogue ----b0und");
    for (size_t cut = 0; cut <= closing; cut++) assert_int_equal(parse(form, cut, 0, 50, &s), OTTER_MULTIPART);
    static const char no_file[] = "----b0und\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n----b0und--";
    assert_int_equal(parse(no_file, sizeof no_file - 1, 0, 50, &s), OTTER_MULTIPART);
    memset(form, 'h', sizeof form);
    memcpy(form, "----b0und\r\n", 11);
    assert_int_equal(parse(form, sizeof form, 0, 99, &s), OTTER_MULTIPART);
    s.answer = OTTER_CHIP;
    size = compose(form);
    assert_int_equal(parse(form, size, 0, 50, &s), OTTER_CHIP);
}

static void only_the_first_file(void **state)
{
    (void)state;
    struct sink s = {.answer = OTTER_OK};
    static const char two[] =
        "----b0und\r\ncontent-disposition: x; filename=a\r\n\r\none\r\n----b0und\r\n"
        "Content-Disposition: x; filename=b\r\n\r\ntwo\r\n----b0und--";
    assert_int_equal(parse(two, sizeof two - 1, 0, 7, &s), OTTER_OK);
    assert_int_equal(s.size, 3);
    assert_memory_equal(s.bytes, "one", 3);
}

static void content_types(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool ok;
    } table[] = {
        {"multipart/form-data; boundary=x", true},
        {"Multipart/Form-Data;a=b; Boundary=x", true},
        {"multipart/form-data", false},
        {"multipart/form-data; boundary=", false},
        {"multipart/form-data; boundary=\"\"", false},
        {"application/octet-stream", false},
        {"multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789", true},
        {"multipart/form-data; boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
         false},
    };
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct otter_multipart m = {.file = take};
        assert_int_equal(otter_multipart_start(&m, table[i].type), table[i].ok);
    }
}

/* ---- words ---- */

static void words_name_the_numbers(void **state)
{
    (void)state;
    char words[256];
    struct otter_image_check c = {.rules = {.chip = otter_chip_by_id(5), .room = 1000, .chip_revision = 3}};
    c.facts.chip_id = 9;
    otter_words_image(OTTER_CHIP, &c, words, sizeof words);
    assert_non_null(strstr(words, "ESP32-S3"));
    assert_non_null(strstr(words, "ESP32-C3"));
    otter_words_image(OTTER_TOO_BIG, &c, words, sizeof words);
    assert_non_null(strstr(words, "1000"));
    c.facts.revision_min = 101;
    otter_words_image(OTTER_CHIP_REV, &c, words, sizeof words);
    assert_non_null(strstr(words, "v1.1"));
    /* Whatever the error and however little room: ended, printable. */
    struct otter_device d = {.ports.chip = &(struct otter_chip){0}};
    struct otter_session s = {.device = &d};
    memset(s.check.facts.desc.project, 0x9b, 32);
#define ROW(constant, number, name, http, exit_status, text) number,
    static const int numbers[] = {OTTER_ERRORS(ROW)};
#undef ROW
    s.offer.version = "1";
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        s.err = (enum otter_err)numbers[i];
        otter_words_session(&s, words, i % 2 ? sizeof words : 20);
        for (const char *p = words; *p; p++) assert_in_range(*p, ' ', '~');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(access_table),          cmocka_unit_test(file_names),
                                       cmocka_unit_test(any_split_of_a_form),   cmocka_unit_test(broken_forms),
                                       cmocka_unit_test(only_the_first_file),   cmocka_unit_test(content_types),
                                       cmocka_unit_test(words_name_the_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
