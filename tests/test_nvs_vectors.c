/* The settings store against what ESP-IDF's own does: flash operations, resulting flash, values, and what is read after
 * a loss of power. Where ESP-IDF versions differ (only in what recovery drops: v6.0 also programs it to zero) nothing
 * is compared but values. One operation more is expected: before a page is erased its header is made invalid. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/sha.h>

#include "nor_ram.h"
#include "nvs_map.h"
#include "vectors.h"

enum { PAGES_MAX = 8, LOG = 4096 };

static cJSON *vectors;
static uint8_t mem[PAGES_MAX * 4096];
static struct nor_op op_log[LOG];
static struct nor_ram nor;
static struct otter_nvs nvs;
static struct map now, next;

static const cJSON *get(const cJSON *o, const char *name) { return cJSON_GetObjectItemCaseSensitive(o, name); }
static const char *text(const cJSON *o, const char *name) { return cJSON_GetStringValue(get(o, name)); }
static uint32_t number(const cJSON *o, const char *name) { return (uint32_t)cJSON_GetNumberValue(get(o, name)); }

/* ---- calls ---- */

/* "type:key:value" and so on, taken apart. */
struct call {
    char kind[16], a[64], b[64], c[64];
};

static struct call parse(const char *s)
{
    struct call c = {"", "", "", ""};
    char *part[4] = {c.kind, c.a, c.b, c.c};
    for (unsigned i = 0; i < 4; i++) {
        size_t n = i < 3 ? strcspn(s, ":") : strlen(s);
        if (i == 2 && !strcmp(c.kind, "str")) n = strlen(s);
        assert_true(n < 64);
        memcpy(part[i], s, n);
        s += n;
        if (*s) s++;
    }
    return c;
}

static enum otter_err step(struct map_step s)
{
    enum otter_err e = map_do_store(&nvs, &s);
    if (!e || nor.dead) map_do(&next, &s);
    if (!e) map_do(&now, &s);
    return e;
}

static enum otter_err set_u32s(const char *prefix, unsigned count, bool rewrite)
{
    enum otter_err e = OTTER_OK;
    for (unsigned i = 0; i < count && !e; i++) {
        uint64_t v = i;
        char key[32];
        snprintf(key, sizeof key, rewrite ? "%s" : "%s%u", prefix, i);
        e = step((struct map_step){MAP_SET, "app", key, OTTER_NVS_U32, &v, 8});
    }
    return e;
}

static enum otter_err set_long(const struct call *c)
{
    static uint8_t data[16384];
    size_t size = strtoul(c->b, NULL, 10), seed = strtoul(c->c, NULL, 10);
    bool blob = !strcmp(c->kind, "blob");
    for (size_t j = 0; j < size; j++) data[j] = (uint8_t)(blob ? j * 7 + seed : 'a' + j % 26);
    if (!blob) data[size - 1] = 0;
    return step((struct map_step){MAP_SET, "app", c->a, blob ? OTTER_NVS_BLOB : OTTER_NVS_STRING, data, size});
}

static enum otter_err do_call(const char *s)
{
    struct call c = parse(s);
    if (!strcmp(c.kind, "ns")) return step((struct map_step){.what = MAP_NAMESPACE, .ns = c.a});
    if (!strcmp(c.kind, "erase")) return step((struct map_step){.what = MAP_ERASE, .ns = "app", .key = c.a});
    if (!strcmp(c.kind, "erasens")) return step((struct map_step){.what = MAP_ERASE_NS, .ns = "app"});
    if (!strcmp(c.kind, "fill")) return set_u32s(c.a, (unsigned)atoi(c.b), false);
    if (!strcmp(c.kind, "rewrite")) return set_u32s(c.a, (unsigned)atoi(c.b), true);
    if (!strcmp(c.kind, "blob") || !strcmp(c.kind, "strn")) return set_long(&c);
    if (!strcmp(c.kind, "str"))
        return step((struct map_step){MAP_SET, "app", c.a, OTTER_NVS_STRING, c.b, strlen(c.b) + 1});
    if (!strcmp(c.kind, "<reboot>")) return otter_nvs_open(&nvs, &nor.flash, 0, nor.flash.size);
    uint64_t v = (uint64_t)strtoll(c.b, NULL, 10);
    unsigned type = otter_nvs_type_by_name(c.kind);
    assert_int_not_equal(otter_nvs_int_size(type), 0);
    return step((struct map_step){MAP_SET, "app", c.a, (uint8_t)type, &v, 8});
}

static enum otter_err expected(const char *ret)
{
    if (!strcmp(ret, "0x0")) return OTTER_OK;
    if (!strcmp(ret, "0x1105")) return OTTER_NVS_FULL;
    if (!strcmp(ret, "0x1109")) return OTTER_NVS_NAME;
    if (!strcmp(ret, "0x110e")) return OTTER_NVS_TOO_LONG;
    fail_msg("no such return code here: %s", ret);
    return OTTER_OK;
}

static void start(const cJSON *c)
{
    uint32_t size = number(c, "pages") * 4096;
    assert_true(size <= sizeof mem);
    memset(mem, 0xFF, sizeof mem);
    nor_init(&nor, mem, size);
    nor.log = op_log;
    nor.log_size = LOG;
    map_free(&now);
    map_free(&next);
    assert_int_equal(otter_nvs_open(&nvs, &nor.flash, 0, size), OTTER_OK);
    assert_int_equal(nor.ops, 0);
}

/* ---- operations and flash ---- */

static bool is_kill(const struct nor_op *o) { return o->kind == 'w' && o->off % 4096 == 28 && o->size == 4; }

/* Compares operations from `from` on with the list; returns how many of ours are in ESP-IDF's way too. */
static unsigned compare_ops(const char *name, uint32_t from, const cJSON *ops)
{
    const cJSON *theirs = ops ? ops->child : NULL;
    unsigned count = 0;
    for (uint32_t i = from; i < nor.ops; i++) {
        if (is_kill(&op_log[i])) continue;
        count++;
        if (!theirs) continue;
        const char *kind = cJSON_GetStringValue(cJSON_GetArrayItem(theirs, 0));
        uint32_t off = (uint32_t)strtoul(cJSON_GetStringValue(cJSON_GetArrayItem(theirs, 1)), NULL, 16);
        uint32_t size = (uint32_t)cJSON_GetNumberValue(cJSON_GetArrayItem(theirs, 2));
        if (op_log[i].kind != kind[0] || op_log[i].off != off || op_log[i].size != size)
            fail_msg("%s: operation %u is %c 0x%x %u, not %s 0x%x %u", name, i, op_log[i].kind, op_log[i].off,
                     op_log[i].size, kind, off, size);
        theirs = theirs->next;
    }
    return count;
}

/* Long cases list only some of their calls' operations. */
static unsigned compare_calls(const cJSON *c, const cJSON *expect)
{
    const cJSON *call, *listed = get(expect, "calls")->child;
    const char *name = text(c, "name");
    unsigned ops = 0;
    cJSON_ArrayForEach(call, get(c, "calls"))
    {
        uint32_t from = nor.ops;
        bool compare = listed && !strcmp(text(listed, "call"), call->valuestring);
        enum otter_err e = do_call(call->valuestring), wanted = compare ? expected(text(listed, "ret")) : OTTER_OK;
        if (e != wanted) fail_msg("%s, %s: %s", name, call->valuestring, otter_err_name(e));
        if (!compare) continue;
        unsigned count = compare_ops(name, from, get(listed, "ops"));
        if (count != number(listed, "op_count")) fail_msg("%s, %s: %u operations", name, call->valuestring, count);
        ops += count;
        listed = listed->next;
    }
    assert_null(listed);
    return ops;
}

static void compare_flash(const char *name, const cJSON *expect)
{
    size_t size;
    uint8_t *bin = vector_file("nvs_runtime", text(expect, "bin"), &size);
    assert_int_equal(size, nor.flash.size);
    for (size_t i = 0; i < size; i++)
        if (bin[i] != mem[i]) fail_msg("%s: flash differs at 0x%zx", name, i);
    free(bin);
}

static void compare_stats(const cJSON *expect)
{
    struct otter_nvs_stats s;
    const cJSON *stats = get(expect, "stats");
    assert_int_equal(otter_nvs_stats(&nvs, &s), OTTER_OK);
    assert_int_equal(s.used, number(stats, "used"));
    assert_int_equal(s.total, number(stats, "total"));
    assert_int_equal(s.total - s.used, number(stats, "free"));
    assert_int_equal(s.namespaces, number(stats, "namespaces"));
}

static bool reboots(const cJSON *c)
{
    const cJSON *call;
    cJSON_ArrayForEach(call, get(c, "calls")) if (!strcmp(call->valuestring, "<reboot>")) return true;
    return false;
}

static void test_operations_and_flash(void **state)
{
    (void)state;
    const cJSON *c;
    unsigned cases = 0, ops = 0;
    cJSON_ArrayForEach(c, get(vectors, "cases"))
    {
        const char *name = text(c, "name");
        const cJSON *expect = get(c, "expect")->child;
        start(c);
        ops += compare_calls(c, expect);
        map_copy(&next, &now);
        compare_flash(name, expect);
        if (!reboots(c)) compare_stats(expect);
        const char *wrong = map_compare(&nvs, &now, &next);
        if (wrong) fail_msg("%s: key %s", name, wrong);
        /* Opening again has nothing to mend. */
        nor_revive(&nor);
        assert_int_equal(otter_nvs_open(&nvs, &nor.flash, 0, nor.flash.size), OTTER_OK);
        assert_int_equal(nor.ops, 0);
        cases++;
    }
    print_message("%u cases, %u operations in ESP-IDF's order\n", cases, ops);
    assert_int_equal(cases, 26);
}

/* What ESP-IDF leaves in flash is read here, and needs no mending. (In the two cases with a restart its own statistics
 * are those after it has erased a healthy key.) */
static void test_reads_their_flash(void **state)
{
    (void)state;
    const cJSON *c, *expect;
    unsigned flashes = 0;
    cJSON_ArrayForEach(c, get(vectors, "cases"))
    {
        cJSON_ArrayForEach(expect, get(c, "expect"))
        {
            size_t size;
            uint8_t *bin = vector_file("nvs_runtime", text(expect, "bin"), &size);
            nor_init(&nor, mem, (uint32_t)size);
            memcpy(mem, bin, size);
            free(bin);
            assert_int_equal(otter_nvs_open(&nvs, &nor.flash, 0, (uint32_t)size), OTTER_OK);
            assert_int_equal(nor.ops, 0);
            if (!reboots(c)) compare_stats(expect);
            flashes++;
        }
    }
    print_message("%u flashes\n", flashes);
    assert_int_equal(flashes, 28);
}

/* ---- losses of power ---- */

static void hex8(const uint8_t *data, size_t size, char out[9])
{
    uint8_t digest[32];
    SHA256(data, size, digest);
    snprintf(out, 9, "%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
}

/* A row's value as the vectors write it. */
static void describe(const struct map_row *r, char *out, size_t room)
{
    char hex[9];
    uint64_t v = 0;
    if (r->type == OTTER_NVS_BLOB || (r->type == OTTER_NVS_STRING && r->size > 40)) {
        bool blob = r->type == OTTER_NVS_BLOB;
        hex8(r->data, r->size, hex);
        snprintf(out, room, "%s[%zu] sha256 %s", blob ? "BLOB" : "SZ", r->size, hex);
    } else if (r->type == OTTER_NVS_STRING) {
        snprintf(out, room, "SZ:%s", (const char *)r->data);
    } else {
        bool sign = r->type & 0x10;
        memcpy(&v, r->data, sizeof v);
        snprintf(out, room, "%c%u:%lld", sign ? 'I' : 'U', (r->type & 15U) * 8, (long long)v);
    }
}

/* Does what the store holds (now) agree with the table's row? A value that the table has lost may be there. */
static void compare_values(const char *name, const cJSON *row, unsigned *kept)
{
    const cJSON *v;
    cJSON_ArrayForEach(v, get(row, "values"))
    {
        char found[128] = "";
        for (unsigned i = 0; i < now.count; i++)
            if (!strcmp(now.row[i].key, v->string) && now.row[i].type) describe(&now.row[i], found, sizeof found);
        if (cJSON_IsNull(v)) {
            if (found[0]) ++*kept;
            continue;
        }
        if (strcmp(found, v->valuestring) != 0)
            fail_msg("%s, cut (%u, %u): %s is %s, not %s", name, number(row, "cut_op"), number(row, "bytes_done"),
                     v->string, found, v->valuestring);
    }
}

/* Where a run stood before the call in which the power goes, so that the next run can start there. */
static struct {
    const cJSON *of, *call;
    uint8_t mem[sizeof mem];
    uint32_t ops;
    struct map now;
} mark;

static void set_mark(const cJSON *of, const cJSON *call)
{
    mark.of = of;
    mark.call = call;
    memcpy(mark.mem, mem, sizeof mem);
    mark.ops = nor.ops;
    map_copy(&mark.now, &now);
}

static const cJSON *start_at_mark(const cJSON *c, uint32_t op)
{
    start(c);
    if (mark.of != c || mark.ops > op) return get(c, "calls")->child;
    memcpy(mem, mark.mem, sizeof mem);
    map_copy(&now, &mark.now);
    map_copy(&next, &mark.now);
    assert_int_equal(otter_nvs_open(&nvs, &nor.flash, 0, nor.flash.size), OTTER_OK);
    nor.ops = mark.ops;
    return mark.call;
}

/* Runs the calls until the power goes in operation op after so many bytes, opens again, compares old and new. False if
 * there is no such operation. */
static bool run_cut(const cJSON *c, uint32_t op, uint32_t cut_bytes)
{
    const cJSON *call = start_at_mark(c, op);
    nor.cut_op = op;
    nor.cut_bytes = cut_bytes;
    for (; call && !nor.dead; call = call->next) {
        set_mark(c, call);
        (void)do_call(call->valuestring);
    }
    if (!nor.dead) return false;
    nor_revive(&nor);
    assert_int_equal(otter_nvs_open(&nvs, &nor.flash, 0, nor.flash.size), OTTER_OK);
    const char *wrong = map_compare(&nvs, &now, &next);
    if (wrong) fail_msg("%s, cut (%u, %u): key %s is neither old nor new", text(c, "name"), op, cut_bytes, wrong);
    return true;
}

/* Our number of ESP-IDF's n-th operation, from a run that is not cut. */
static uint32_t our_op(uint32_t theirs)
{
    uint32_t i = 0;
    for (; theirs || is_kill(&op_log[i]); i++)
        if (!is_kill(&op_log[i])) theirs--;
    return i;
}

static void test_power_cut_table(void **state)
{
    (void)state;
    static struct nor_op clean[LOG];
    const cJSON *c, *row;
    unsigned rows = 0, kept = 0;
    cJSON_ArrayForEach(c, get(vectors, "cases"))
    {
        const cJSON *table = get(get(c, "power_cut"), "master");
        if (!table) continue;
        start(c);
        compare_calls(c, get(c, "expect")->child);
        memcpy(clean, op_log, sizeof clean);
        cJSON_ArrayForEach(row, table)
        {
            memcpy(op_log, clean, sizeof clean);
            assert_true(run_cut(c, our_op(number(row, "cut_op")), number(row, "bytes_done")));
            compare_values(text(c, "name"), row, &kept);
            rows++;
        }
    }
    print_message("%u rows of the table; %u values kept that ESP-IDF loses\n", rows, kept);
    assert_true(rows > 700);
    assert_true(kept > 0);
}

static void test_every_operation_cut(void **state)
{
    (void)state;
    static const uint32_t at[] = {3, 20, 0, 1, 4, 16, 31, 2048};
    const cJSON *c;
    unsigned cuts = 0;
    cJSON_ArrayForEach(c, get(vectors, "cases"))
    {
        /* The long ones only where the table looks too, and at fewer places. */
        const cJSON *table = get(get(c, "power_cut"), "master");
        uint32_t op = table ? number(table->child, "cut_op") : 0;
        bool is_long = number(get(c, "expect")->child, "total_ops") > 110;
        size_t places = is_long ? 2 : sizeof at / sizeof at[0];
        if (is_long && !table) continue;
        for (bool more = true; more; op++)
            for (unsigned i = 0; i < places && more; i++, cuts++) more = run_cut(c, op, at[i]);
    }
    print_message("%u cuts\n", cuts);
}

static int load(void **state)
{
    (void)state;
    vectors = vector_cases("nvs_runtime");
    return vectors ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    cJSON_Delete(vectors);
    map_free(&now);
    map_free(&next);
    map_free(&mark.now);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations_and_flash),
        cmocka_unit_test(test_reads_their_flash),
        cmocka_unit_test(test_power_cut_table),
        cmocka_unit_test(test_every_operation_cut),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
