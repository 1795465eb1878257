/* Versions in order: semver's own example, git describe's forms, and texts that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/version.h"

static enum otter_order order(const char *a, const char *b) { return otter_version_order(a, strlen(a), b, strlen(b)); }

/* Each is newer than all before it. */
static const char *const ascending[] = {
    "0.0.0-0",
    "0.0.0",
    "0.9.12",
    "0.10.0",
    "1.0.0-1",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0-99999999999999999999",
    "1.0.0-100000000000000000000",
    "1.0.0--",
    "1.0.0-0a",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0-rc.1-dirty",
    "1.0.0-rc.1-2-g4ad9b17",
    "1.0.0-rc.1-2-g4ad9b17-dirty",
    "1.0.0-rc.1-11-g4ad9b17",
    "1.0.0-rc.2",
    "1.0.0",
    "1.0.0-dirty",
    "v1.0.0-2-gabc",
    "v1.0.0-3-gabcd",
    "V1.0.0-3-gabcd-dirty",
    "v1.0.0-20-g0123456789abcdef0123456789abcdef01234567",
    "1.0.0.1",
    "1.0.1-0",
    "1.0.1",
    "1.2",
    "1.2.3",
    "2",
    "2.0.0.1",
    "100000",
    "18446744073709551616.0.0",
    "18446744073709551617.0.0",
};
enum { ASCENDING = sizeof ascending / sizeof ascending[0] };

static void any_two_are_in_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ASCENDING; i++)
        for (unsigned k = 0; k < ASCENDING; k++) {
            enum otter_order o = order(ascending[i], ascending[k]);
            if (o != (i < k ? OTTER_OLDER : i > k ? OTTER_NEWER : OTTER_SAME))
                fail_msg("%s to %s: %d", ascending[i], ascending[k], (int)o);
        }
}

static void neither_is_newer(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"1.0.0", "v1.0.0"},
        {"1", "1.0"},
        {"1.0", "1.0.0.0"},
        {"1.0.0", "01.00.000"},
        {"1.0.0+5", "1.0.0+6.a-b"},
        {"1.0.0-rc.1+x", "1.0.0-rc.01"},
        {"1.0.0-3-gabcd", "1.0.0-3-gdcba"},
        {"1.0.0-3-gabcd+x", "1.0.0-03-gabcd"},
        {"1.0.0-0-gabcd", "1.0.0"},
    };
    for (unsigned i = 0; i < sizeof same / sizeof same[0]; i++)
        if (order(same[i][0], same[i][1]) != OTTER_SAME) fail_msg("%s and %s", same[i][0], same[i][1]);
}

/* What looks like git describe and is not is a pre-release, older than its release. */
static void nearly_described(void **state)
{
    (void)state;
    static const char *const pre[] = {"1.0.0-3-gab",    "1.0.0-3-gABCD",  "1.0.0-3-habcd", "1.0.0-x-gabcd",
                                      "1.0.0-gabcd",    "1.0.0-3-gabcdx", "1.0.0--gabcd",  "1.0.0-dirt",
                                      "1.0.0-3-g",      "1.0.0-3",        "1.0.0-dirty-",  "1.0.0-dirty.1",
                                      "1.0.0-3-gabcd.1"};
    for (unsigned i = 0; i < sizeof pre / sizeof pre[0]; i++)
        if (order(pre[i], "1.0.0") != OTTER_OLDER) fail_msg("%s", pre[i]);
}

static void no_versions(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",         "v",         "vv1",      "4ad9b17",   "1234567",      "latest",  "1.",
        ".1",       "1..2",      "1.2.x",    "1.2.3.4.5", "1.2.3-",       "1.2.3+",  "1.2.3-a..b",
        "1.2.3-a+", "1.2.3 ",    " 1.2.3",   "1.2.3-a_b", "-1.2.3",       "1.2.3\n", "1.2.3-\xc3\xa9",
        "1,2",      "1.2.3+a+b", "1.2.3-.a", "1.2.3a",    "4ad9b17-dirty"};
    for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++) {
        if (otter_version_is(none[i], strlen(none[i]))) fail_msg("\"%s\" is one", none[i]);
        assert_int_equal(order(none[i], "1.0.0"), OTTER_UNORDERED);
        assert_int_equal(order("1.0.0", none[i]), OTTER_UNORDERED);
    }
    assert_true(otter_version_is("1.0.0", 3));
    assert_false(otter_version_is("1.0.0", 4));
    assert_false(otter_version_is("1.0\0.0", 6));
}

/* Memory of just this size, so that a sanitizer sees the first byte read beyond it. */
static void every_cut_of_a_text(void **state)
{
    (void)state;
    static const char text[] = "v10.20.30.40-rc.1.x-7-gabcdef0-dirty+build.5";
    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, text, n);
        enum otter_order o = otter_version_order(copy, n, copy, n);
        assert_int_equal(o, otter_version_is(copy, n) ? OTTER_SAME : OTTER_UNORDERED);
        free(copy);
    }
}

static void a_million_digits(void **state)
{
    (void)state;
    enum { MANY = 1000000 };
    char *a = malloc(MANY), *b = malloc(MANY);
    assert_non_null(a);
    assert_non_null(b);
    memset(a, '9', MANY);
    memset(b, '9', MANY);
    memcpy(a, "1.0.0-", 6);
    memcpy(b, "1.0.0-", 6);
    assert_int_equal(otter_version_order(a, MANY, b, MANY), OTTER_SAME);
    b[MANY - 1] = '8';
    assert_int_equal(otter_version_order(a, MANY, b, MANY), OTTER_NEWER);
    assert_int_equal(otter_version_order(a, MANY - 1, b, MANY), OTTER_OLDER);
    for (size_t i = 6; i < MANY; i++) a[i] = i % 2 ? '.' : 'a';
    assert_true(otter_version_is(a, MANY - 3));
    assert_false(otter_version_is(a, MANY - 2)); /* the last part is empty */
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_two_are_in_order), cmocka_unit_test(neither_is_newer),
        cmocka_unit_test(nearly_described),     cmocka_unit_test(no_versions),
        cmocka_unit_test(every_cut_of_a_text),  cmocka_unit_test(a_million_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
