/* What comes over an update topic, which topics a device has, and what it remembers of jobs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/job_message.h"
#include "doors/job_store.h"
#include "doors/url.h"
#include "tests/fixture.h"

#define DIGEST "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdefABCD"
#define URL "https://h/x.bin?X-Amz-Signature=1"

static enum otter_err read_text(const char *text, struct otter_job_order *out)
{
    const char *why;
    enum otter_err e = otter_job_read(text, strlen(text), out, &why);
    if (e == OTTER_JOB) assert_non_null(why);
    return e;
}

static void good_jobs(void **state)
{
    static const struct {
        const char *text, *id, *version;
        uint32_t size;
        bool digest;
    } table[] = {
        {"{\"update_url\":\"" URL "\"}", "", "", 0, false},
        {" {\r\n\t\"update_url\" : \"https:\\/\\/h\\/x.bin?X-Amz-Signature=1\" } \n", "", "", 0, false},
        {"{\"update_url\":\"" URL "\",\"size\":4294967295,\"sha256\":\"" DIGEST "\"}", "", "", 4294967295u, true},
        {"{\"update_url\":\"" URL "\",\"job_id\":\"\xC3\xA4 1\",\"version\":\"v1\"}", "\xC3\xA4 1", "v1", 0, false},
        {"{\"update_url\":\"" URL "\",\"size\":null,\"sha256\":null,\"version\":null,\"job_id\":null,\"x\":[{}]}", "",
         "", 0, false},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct otter_job_order o;
        assert_int_equal(read_text(table[i].text, &o), OTTER_OK);
        assert_string_equal(o.url, URL);
        assert_string_equal(o.id, table[i].id);
        assert_string_equal(o.version, table[i].version);
        assert_int_equal(o.size, table[i].size);
        assert_int_equal(o.has_sha256, table[i].digest);
        otter_job_order_free(&o);
    }
}

static void bad_jobs(void **state)
{
    static const struct {
        const char *text;
        enum otter_err err;
    } table[] = {
        {"", OTTER_JOB},
        {"{}", OTTER_JOB},
        {"[]", OTTER_JOB},
        {"null", OTTER_JOB},
        {"{'update_url': '" URL "'}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\"", OTTER_JOB},
        {"{\"update_url\":\"" URL "\"} x", OTTER_JOB},
        {"{\"UPDATE_URL\":\"" URL "\"}", OTTER_JOB},
        {"{\"update_url\":[\"" URL "\"]}", OTTER_JOB},
        {"{\"update_url\":\"\"}", OTTER_URL},
        {"{\"update_url\":\"x.bin\"}", OTTER_URL},
        {"{\"update_url\":\"https://u@h/\"}", OTTER_URL},
        {"{\"update_url\":\"" URL "\",\"job_id\":\"\"}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\",\"job_id\":7}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\",\"job_id\":\"a\\nb\"}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\",\"job_id\":\"\xFF\"}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\",\"version\":\"\"}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\",\"version\":true}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\",\"size\":0}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\",\"size\":4294967296}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\",\"size\":\"5\"}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\",\"sha256\":\"" DIGEST "0\"}", OTTER_JOB},
        {"{\"update_url\":\"" URL "\",\"sha256\":5}", OTTER_JOB},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct otter_job_order o;
        assert_int_equal(read_text(table[i].text, &o), table[i].err);
        otter_job_order_free(&o);
    }
}

static void long_urls(void **state)
{
    static char text[2 * OTTER_URL_MAX];
    struct otter_job_order o;
    (void)state;
    for (int over = 0; over < 2; over++) {
        int n = snprintf(text, sizeof text, "{\"job_id\":\"i\",\"update_url\":\"https://h/");
        memset(text + n, 'a', (size_t)(OTTER_URL_MAX - 10 + over));
        strcpy(text + n + OTTER_URL_MAX - 10 + over, "\"}");
        assert_int_equal(read_text(text, &o), over ? OTTER_URL : OTTER_OK);
        /* Known even then, so that the answer can name it. */
        assert_string_equal(o.id, "i");
        otter_job_order_free(&o);
    }
}

/* Any cut of a good job, and any byte of it changed: refused or taken, never more. */
static void damaged_jobs(void **state)
{
    static const char good[] =
        "{\"update_url\":\"" URL "\",\"job_id\":\"i\",\"version\":\"v1\",\"size\":5,\"sha256\":\"" DIGEST "\"}";
    struct otter_job_order o;
    const char *why;
    (void)state;
    for (size_t n = 0; n < sizeof good - 1; n++) {
        char *cut = malloc(n + 1); /* so that a sanitizer sees what is read behind it */
        memcpy(cut, good, n);
        cut[n] = '\0';
        assert_int_not_equal(otter_job_read(cut, n, &o, &why), OTTER_OK);
        otter_job_order_free(&o);
        free(cut);
    }
    for (size_t i = 0; i < sizeof good - 1; i++)
        for (int byte = 0; byte < 256; byte++) {
            char text[sizeof good];
            memcpy(text, good, sizeof good);
            text[i] = (char)byte;
            otter_job_read(text, sizeof good - 1, &o, &why);
            otter_job_order_free(&o);
        }
}

static void topics(void **state)
{
    static const struct {
        const char *template, *id, *is[OTTER_JOB_TOPICS];
    } table[] = {
        {"otter/{id}/update", "d1", {"otter/d1/update", "otter/d1/status", "otter/d1/request"}},
        {"fleet/{id}", "d1", {"fleet/d1", "fleet/d1/status", "fleet/d1/request"}},
        {"{id}", "d", {"d", "d/status", "d/request"}},
        {"a/{id}/update/x", "d", {"a/d/update/x", "a/d/update/x/status", "a/d/update/x/request"}},
        {"otter/update", "d", {NULL, NULL, NULL}},
        {"otter/+/{id}", "d", {NULL, NULL, NULL}},
        {"otter/{id}/#", "d", {NULL, NULL, NULL}},
        {"otter/{id}", "", {NULL, NULL, NULL}},
        {"otter/{id}", "a/b", {NULL, NULL, NULL}},
        {"otter/{id}", "#", {NULL, NULL, NULL}},
        {"", "d", {NULL, NULL, NULL}},
    };
    char out[OTTER_MQTT_TOPIC + 1], longest[OTTER_MQTT_TOPIC + 2] = "{id}";
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        for (int t = 0; t < OTTER_JOB_TOPICS; t++) {
            bool ok = otter_job_topic(table[i].template, table[i].id, (enum otter_job_topic)t, out);
            assert_int_equal(ok, table[i].is[t] != NULL);
            if (ok) assert_string_equal(out, table[i].is[t]);
        }
    memset(longest + 4, 'x', OTTER_MQTT_TOPIC - 4);
    assert_true(otter_job_topic(longest, "four", OTTER_JOB_UPDATE, out));
    assert_false(otter_job_topic(longest, "fives", OTTER_JOB_UPDATE, out));
    assert_false(otter_job_topic(longest, "four", OTTER_JOB_STATUS, out));
}

/* ---- what is remembered ---- */

static uint8_t flash[FIXTURE_FLASH];

static struct otter_device *device(void)
{
    static struct sim_world w;
    static struct fixture_image image;
    fixture_image(&image, "1.0.0", NULL, 3000);
    fixture_device(&w, flash, false, &image);
    fixture_start(&w);
    return &w.device;
}

static void keys(void **state)
{
    static const char *const same[][2] = {
        {"{\"update_url\":\"https://h/a\",\"job_id\":\"1\"}", "{\"update_url\":\"https://h/b\",\"job_id\":\"1\"}"},
        {"{\"update_url\":\"https://h/a\",\"sha256\":\"" DIGEST "\"}",
         "{\"update_url\":\"https://h/b\",\"sha256\":\"" DIGEST "\"}"},
        {"{\"update_url\":\"https://h/a\"}", "{\"update_url\":\"https://h/a\",\"size\":5}"},
    };
    static const char *const other[][2] = {
        {"{\"update_url\":\"https://h/a\",\"job_id\":\"1\"}", "{\"update_url\":\"https://h/a\",\"job_id\":\"2\"}"},
        {"{\"update_url\":\"https://h/a\"}", "{\"update_url\":\"https://h/a?\"}"},
        {"{\"update_url\":\"https://h/a\"}", "{\"update_url\":\"https://h/a\",\"sha256\":\"" DIGEST "\"}"},
    };
    const struct otter_device *d = device();
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        const char *const *pair = i < 3 ? same[i] : other[i - 3];
        uint8_t key[2][OTTER_JOB_KEY];
        for (int k = 0; k < 2; k++) {
            struct otter_job_order o;
            assert_int_equal(read_text(pair[k], &o), OTTER_OK);
            assert_true(otter_job_key(d, &o, key[k]));
            otter_job_order_free(&o);
        }
        assert_int_equal(memcmp(key[0], key[1], OTTER_JOB_KEY) == 0, i < 3);
    }
}

static void the_last_job(void **state)
{
    const struct otter_device *d = device();
    static char longest[OTTER_URL_MAX + 1];
    struct otter_job_kept k;
    (void)state;
    otter_job_load(d, &k);
    assert_int_equal(k.state, OTTER_JOB_ONLINE);
    assert_null(otter_job_load_url(d));
    k.state = OTTER_JOB_RECEIVED;
    strcpy(k.id, "one");
    assert_true(otter_job_save(d, &k));
    memset(longest, 'u', OTTER_URL_MAX);
    otter_job_save_url(d, longest);
    struct otter_job_kept back;
    otter_job_load(d, &back);
    assert_memory_equal(&back, &k, sizeof k);
    char *url = otter_job_load_url(d);
    if (url) assert_string_equal(url, longest);
    free(url);
    otter_job_save_url(d, NULL);
    assert_null(otter_job_load_url(d));
}

static void jobs_before(void **state)
{
    const struct otter_device *d = device();
    struct otter_job_kept k = {.state = OTTER_JOB_CONFIRMED};
    struct otter_job_done done;
    (void)state;
    for (uint8_t i = 0; i <= OTTER_JOB_DONE; i++) {
        k.key[0] = i;
        otter_job_add_done(d, &k);
    }
    k.key[0] = 0;
    assert_false(otter_job_find_done(d, k.key, &done));
    for (uint8_t i = 1; i <= OTTER_JOB_DONE; i++) {
        k.key[0] = i;
        assert_true(otter_job_find_done(d, k.key, &done));
    }
    /* Another end of the same takes its place. */
    k.state = OTTER_JOB_ROLLED_BACK;
    otter_job_add_done(d, &k);
    assert_true(otter_job_find_done(d, k.key, &done));
    assert_int_equal(done.state, OTTER_JOB_ROLLED_BACK);
    k.key[0] = 1;
    assert_true(otter_job_find_done(d, k.key, &done));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_jobs),    cmocka_unit_test(bad_jobs),    cmocka_unit_test(long_urls),
        cmocka_unit_test(damaged_jobs), cmocka_unit_test(topics),      cmocka_unit_test(keys),
        cmocka_unit_test(the_last_job), cmocka_unit_test(jobs_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
