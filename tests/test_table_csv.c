/* Partition tables as CSV against what Espressif's generator made of the same files. */
#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/table_csv.h"
#include "tests/fixture.h"
#include "tests/vectors.h"

enum { WHY = 512, NO_LINE = -1 };

static const struct otter_crypto *crypto(void) { return &otter_crypto_openssl; }

/* ---- one case of the generator ---- */

struct generator {
    struct otter_table_rules rules;
    struct otter_table_names names;
    bool md5, verify;
    const cJSON *env;
    struct otter_table_list list;
    struct otter_table_csv csv;
    int line; /* of the refusal */
    char why[WHY];
};

static const char *variable(const void *ctx, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive((const cJSON *)ctx, name);
    return v ? v->valuestring : NULL;
}

static void start(struct generator *g)
{
    memset(g, 0, sizeof *g);
    g->rules = (struct otter_table_rules){.offset = 0x8000, -1, -1, .names = &g->names};
    g->md5 = g->verify = true;
    g->line = NO_LINE;
}

static void take_value(struct generator *g, const char *option, const char *value)
{
    int64_t n = strtoll(value, NULL, 0);
    if (!strcmp(option, "--offset")) g->rules.offset = (uint32_t)n;
    if (!strcmp(option, "--primary-bootloader-offset")) g->rules.primary_bootloader = n;
    if (!strcmp(option, "--recovery-bootloader-offset")) g->rules.recovery_bootloader = n;
    if (!strcmp(option, "--flash-size")) g->rules.flash_size = (uint32_t)n << 20;
    if (!strcmp(option, "--secure"))
        g->rules.secure = strcmp(value, "v2") ? OTTER_TABLE_SECURE_V1 : OTTER_TABLE_SECURE_V2;
    if (!strcmp(option, "--extra-partition-subtypes")) assert_null(otter_table_names_add(&g->names, value));
}

static void take_args(struct generator *g, const cJSON *args)
{
    for (const cJSON *a = args->child; a; a = a->next) {
        bool valued = a->next && strncmp(a->next->valuestring, "--", 2) != 0;
        if (!strcmp(a->valuestring, "--disable-md5sum"))
            g->md5 = false;
        else if (!strcmp(a->valuestring, "--no-verify"))
            g->verify = false;
        else
            take_value(g, a->valuestring, valued ? a->next->valuestring : "");
        if (valued) a = a->next;
    }
}

static void note_finding(void *ctx, const struct otter_table_finding *f)
{
    struct generator *g = ctx;
    struct otter_text t;
    char text[WHY];
    otter_text_start(&t, text, sizeof text);
    otter_table_finding_text(&g->list, f, &t);
    assert_false(t.cut);
    if (!f->warning && !g->why[0]) memcpy(g->why, text, sizeof text);
}

/* Is the CSV made into a table? */
static bool build(struct generator *g, const void *csv, size_t size, uint8_t out[OTTER_TABLE_SIZE])
{
    g->csv.rules = &g->rules;
    g->csv.env = (struct otter_csv_env){g->env, g->env ? variable : NULL};
    if (otter_table_csv_read(&g->csv, csv, size, &g->list)) {
        g->line = (int)g->csv.line;
        assert_true(strlen(g->csv.why) > 10);
        memcpy(g->why, g->csv.why, sizeof g->csv.why);
        return false;
    }
    if (g->verify && otter_table_judge(&g->list, &g->rules, note_finding, g)) return false;
    return otter_table_write(g->list.row, g->list.rows, g->md5, crypto(), out) == OTTER_OK;
}

static enum otter_err dump(struct generator *g, const uint8_t *bytes, size_t size, char *csv, size_t room)
{
    struct otter_table_memory m = {bytes, size};
    struct otter_text t;
    unsigned bad;
    otter_text_start(&t, csv, room);
    enum otter_err e = otter_table_list_read(&g->list, &m, g->md5 ? crypto() : NULL, &bad);
    if (!e && g->verify && otter_table_judge(&g->list, &g->rules, note_finding, g)) e = OTTER_TABLE_RANGE;
    return e ? e : otter_table_csv_write(&g->list, &g->names, &t, &bad);
}

/* ---- vectors ---- */

static struct generator generator;

static int expected_line(const cJSON *c)
{
    const char *error = vector_string(c, "error"), *at = strstr(error, "rror at line ");
    return at ? atoi(at + 13) : NO_LINE;
}

static void check_dump(const cJSON *c, const uint8_t *bin, size_t size)
{
    static char csv[OTTER_TABLE_CSV_MAX];
    static uint8_t again[OTTER_TABLE_SIZE];
    size_t csv_size;
    /* As the vectors were made: without judging, and without the extra names. */
    generator.verify = false;
    generator.names.extras = 0;
    if (dump(&generator, bin, size, csv, sizeof csv)) fail_msg("%s cannot be dumped", vector_string(c, "name"));
    char *theirs = (char *)vector_file("partition_table", vector_string(c, "csv_out"), &csv_size);
    assert_string_equal(csv, theirs);
    free(theirs);
    generator.env = NULL;
    if (!build(&generator, csv, strlen(csv), again))
        fail_msg("%s: the dump is refused: %s", vector_string(c, "name"), generator.why);
    assert_memory_equal(again, bin, sizeof again);
}

static bool csv_case(const cJSON *c, unsigned *dumped)
{
    uint8_t out[OTTER_TABLE_SIZE];
    size_t size;
    start(&generator);
    take_args(&generator, cJSON_GetObjectItem(c, "args"));
    generator.env = cJSON_GetObjectItem(c, "env");
    uint8_t *csv = vector_file("partition_table", vector_string(c, "csv"), &size);
    bool built = build(&generator, csv, size, out), expected = vector_number(c, "exit") == 0;
    free(csv);
    if (built != expected) fail_msg("%s: built %d: %s", vector_string(c, "name"), built, generator.why);
    if (!built && expected_line(c) != NO_LINE && expected_line(c) != generator.line)
        fail_msg("%s: line %d, not %d", vector_string(c, "name"), generator.line, expected_line(c));
    if (!built) return false;
    uint8_t *bin = vector_file("partition_table", vector_string(c, "bin"), &size);
    assert_int_equal(size, sizeof out);
    if (memcmp(out, bin, sizeof out) != 0) fail_msg("%s: other bytes", vector_string(c, "name"));
    assert_int_equal(generator.list.rows, vector_number(c, "entries"));
    if (cJSON_GetObjectItem(c, "csv_out")) {
        check_dump(c, bin, size);
        ++*dumped;
    }
    free(bin);
    return true;
}

static void csv_vectors(void **state)
{
    (void)state;
    cJSON *all = vector_cases("partition_table");
    const cJSON *c;
    unsigned built = 0, refused = 0, dumped = 0;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(all, "csv_cases"))
    {
        if (csv_case(c, &dumped))
            built++;
        else
            refused++;
    }
    printf(
        "vectors/partition_table: %u CSV files built byte for byte, %u refused at the right line, %u dumped and built "
        "again\n",
        built, refused, dumped);
    assert_true(built >= 50 && refused >= 30 && dumped >= 50);
    cJSON_Delete(all);
}

/* The generator takes a table of no partitions for CSV text and trips; its dump is CSV without rows. */
static void binary_case(const cJSON *c, const char *tool, bool md5)
{
    static char csv[OTTER_TABLE_CSV_MAX];
    const cJSON *verdict = cJSON_GetObjectItem(c, tool), *theirs = cJSON_GetObjectItem(verdict, "csv");
    bool none = md5 && strcmp(vector_string(c, "name"), "md5_only") == 0;
    size_t size;
    start(&generator);
    generator.md5 = md5;
    uint8_t *bytes = vector_file("partition_table", vector_string(c, "bin"), &size);
    bool good = dump(&generator, bytes, size, csv, sizeof csv) == OTTER_OK;
    free(bytes);
    if (!none && good != (vector_number(verdict, "exit") == 0)) fail_msg("%s: %d", vector_string(c, "name"), good);
    if (theirs) assert_string_equal(csv, theirs->valuestring);
}

static void binary_vectors(void **state)
{
    (void)state;
    cJSON *all = vector_cases("partition_table");
    const cJSON *c;
    unsigned n = 0;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(all, "binary_cases"))
    {
        binary_case(c, "tool", true);
        binary_case(c, "tool_disable_md5sum", false);
        n += 2;
    }
    printf("vectors/partition_table: %u dumps of binary tables agree\n", n);
    assert_true(n >= 40);
    cJSON_Delete(all);
}

/* ---- beyond the vectors ---- */

static bool builds(const char *csv)
{
    uint8_t out[OTTER_TABLE_SIZE];
    return build(&generator, csv, strlen(csv), out);
}

static const struct otter_partition *row(unsigned i) { return &generator.list.row[i]; }

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value; /* -1: refused */
    } cases[] = {{"0x1_000", 0x1000},
                 {"0X_1000", 0x1000},
                 {"0b1000000000000", 4096},
                 {"0O10000", 4096},
                 {"00", 0},
                 {"0_0K", 0},
                 {"04096", -1},
                 {"4_096", 4096},
                 {"4__096", -1},
                 {"4096_", -1},
                 {"_4096", -1},
                 {"4 k", 4096},
                 {"0x", -1},
                 {"0b2", -1},
                 {"+ 4096", -1},
                 {"4Kk", 4 << 20},
                 {"0xKM", -1},
                 {"K", -1},
                 {"4097MK", -1},
                 {"1MMMMMMMMMMM", -1},
                 {"4096KB", -1},
                 {"0x100000000", -1},
                 {"9999999999999999999", -1},
                 {"0xffffffff", 0xffffffff}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char csv[80];
        start(&generator);
        snprintf(csv, sizeof csv, "a,data,0x40,0x9000,%s\n", cases[i].text);
        if (builds(csv) != (cases[i].value >= 0)) fail_msg("%s: %s", cases[i].text, generator.why);
        if (cases[i].value >= 0) assert_int_equal(row(0)->size, cases[i].value);
    }
}

static void names_and_units(void **state)
{
    (void)state;
    start(&generator);
    /* A unit behind a name multiplies the name's number. */
    assert_true(builds("a,appk,factorym,,1M\nb,datA,OTAk,,0x2000\nc,data,phyk ,,4K\n") == false);
    assert_int_equal(generator.line, 3);
    assert_true(builds("a,appk,factorym,,1M\nb,datA,OTAk,,0x2000\n"));
    assert_null(otter_table_names_add(&generator.names, "data, disk, 0x86"));
    assert_null(otter_table_names_add(&generator.names, " data ,Shout,87"));
    assert_non_null(otter_table_names_add(&generator.names, "data, other, 0x87"));
    assert_non_null(otter_table_names_add(&generator.names, "data, nvs, 0x88"));
    assert_non_null(otter_table_names_add(&generator.names, "64, x, 0x88"));
    assert_non_null(otter_table_names_add(&generator.names, "data, x, 0x100"));
    assert_non_null(otter_table_names_add(&generator.names, "data, x"));
    assert_false(builds("a,data,disk,,4K\n"));
    assert_non_null(strstr(generator.why, "units"));
    assert_non_null(strstr(generator.why, "\"dis\""));
    assert_false(builds("a,data,Shout,,4K\n"));
}

static void encodings(void **state)
{
    (void)state;
    static const char le[] =
        "\xFF\xFE"
        "n\0\x53\x04,\0d\0a\0t\0a\0,\0n\0v\0s\0,\0,\0"
        "2\0"
        "4\0K\0\r\0\n\0";
    static const char be[] =
        "\xFE\xFF\0#\0\n\xD8\x3D\xDE\0\0,\0"
        "1\0,\0"
        "6\0"
        "4\0,\0,\0"
        "4\0K";
    uint8_t out[OTTER_TABLE_SIZE];
    start(&generator);
    assert_true(build(&generator, le, sizeof le - 1, out));
    assert_string_equal(row(0)->label, "n\xD1\x93");
    assert_true(build(&generator, be, sizeof be - 1, out));
    assert_string_equal(row(0)->label, "\xF0\x9F\x98\x80");
    assert_false(build(&generator, le, sizeof le - 2, out)); /* half a character */
    assert_false(builds("# fine\n#\xFF\n"));
    assert_int_equal(generator.line, 2);
    assert_true(builds("\xC2\xA0 a\xE2\x80\x83,data\v,\xC2\x85\r\rb,data,nvs,,24K\x1C") == false);
    assert_int_equal(generator.line, 1);
    assert_true(builds("\xC2\xA0 a\xE2\x80\x83,data,nvs,,24K\r\rb,data,fat,,4K\x1C"));
    assert_string_equal(row(0)->label, "a");
    assert_int_equal(generator.list.rows, 2);
    assert_true(
        builds("a,data,fat,,4K\xC2\x85"
               "b,data,fat,,4K\xE2\x80\xA8"
               "c,data,fat,,4K\x1E"
               "d,data,fat,,4K"));
    assert_int_equal(generator.list.rows, 4);
    assert_int_equal(generator.list.origin[3].line, 4);
}

static void variables(void **state)
{
    (void)state;
    start(&generator);
    cJSON *env = cJSON_Parse("{\"A\":\"64K\",\"ROW\":\"n,data,nvs,,$A\",\"1\":\"x\"}");
    generator.env = env;
    assert_true(builds("a$1${1}$,data,fat,,${A}\n${B}b,data,fat,,$A \n"));
    assert_string_equal(row(0)->label, "axx$");
    assert_string_equal(row(1)->label, "${B}b");
    assert_false(builds("$ROW\n")); /* what is put in is not looked through again */
    assert_false(builds("\n$ROWS\n"));
    assert_int_equal(generator.line, 2);
    cJSON_Delete(env);
}

static void long_lines(void **state)
{
    (void)state;
    static char csv[4000];
    start(&generator);
    memset(csv, 'x', 3000);
    csv[0] = '#';
    strcpy(csv + 3000, "\na,data,fat,,4K\n");
    assert_true(builds(csv));
    csv[0] = 'x';
    assert_false(builds(csv));
    assert_int_equal(generator.line, 1);
}

static void otadata(void **state)
{
    (void)state;
    start(&generator);
    assert_true(builds("a,data,tee_ota,,8K\nb,data,ota,,8K\n"));
    assert_false(builds("a,data,tee_ota,,12K\n"));
    assert_false(builds("a,data,tee_ota,,8K\nb,data,tee_ota,,8K\n"));
    assert_false(builds("a,data,coredump,,64K,readonly\n"));
}

static void overlapping_slots(void **state)
{
    (void)state;
    static const char pool[] =
        "nvs,data,nvs,0x9000,16K\notadata,data,ota,0xd000,8K\nota_0,app,ota_0,0x10000,-0x400000\n"
        "ota_1,app,ota_1,0x100000,-0x400000\nota_2,app,ota_2,0x200000,-0x300000\nmore,data,fat,,64K\n";
    start(&generator);
    assert_false(builds(pool));
    assert_int_equal(generator.line, 4);
    generator.rules.overlapping_slots = true;
    assert_true(builds(pool));
    assert_int_equal(row(5)->offset, 0x400000);
    assert_false(builds("ota_0,app,ota_0,0x10000,1M\nd,data,fat,0x20000,4K\n"));
    assert_false(builds("d,data,fat,0x20000,4K\nota_0,app,ota_0,0x10000,1M\n"));
    assert_false(builds("ota_0,app,ota_0,0x0,1M\n"));
    /* The same in a list, where nothing has to ascend. */
    assert_true(builds(pool));
    generator.list.row[5].offset = 0x210000;
    generator.why[0] = '\0';
    assert_int_equal(otter_table_judge(&generator.list, &generator.rules, note_finding, &generator), 1);
    assert_non_null(strstr(generator.why, "overlaps"));
}

static char first_finding[WHY];

/* Warnings too. */
static void keep_first(void *ctx, const struct otter_table_finding *f)
{
    struct generator *g = ctx;
    struct otter_text t;
    if (first_finding[0]) return;
    otter_text_start(&t, first_finding, sizeof first_finding);
    otter_table_finding_text(&g->list, f, &t);
}

static void finding(const char *words)
{
    first_finding[0] = '\0';
    otter_table_judge(&generator.list, &generator.rules, keep_first, &generator);
    if (!strstr(first_finding, words)) fail_msg("'%s' says nothing of '%s'", first_finding, words);
}

/* What no CSV can say, but a table's bytes can. */
static void faults_of_a_list(void **state)
{
    (void)state;
    static const char slots[] = "ota_0,app,ota_0,0x10000,1M\nota_1,app,ota_1,0x110000,1M\n";
    start(&generator);
    assert_true(builds(slots));
    generator.list.row[1].flags = 4;
    finding("has flags 0x4");
    assert_true(builds(slots));
    generator.list.row[0].offset = 0;
    finding("below the end of the partition table");
    assert_true(builds(slots));
    generator.list.row[1].offset = 0x100000;
    finding("--overlapping-slots");
    assert_true(builds(slots));
    generator.list.origin[1].line = 0;
    generator.list.row[1].label[0] = '\x01';
    generator.list.row[1].flags = 4;
    finding("row 1 has flags");
}

static void places(void **state)
{
    (void)state;
    start(&generator);
    assert_false(builds("a,data,fat,0x200000,-1M\n"));
    assert_int_equal(generator.line, 1);
    assert_false(builds("a,data,fat,0xfffff000,4K\nb,data,fat,,4K\n"));
    assert_int_equal(generator.line, 2);
    assert_true(builds("a,data,fat,0xfffff000,8K\n"));
    assert_true(builds("a,data,fat,0x9000,-4096M\n")); /* ends at 4 GiB */
    assert_int_equal(row(0)->size, 0xffff7000);
    assert_false(builds("a,data,fat,0x9000,-4200M\n"));
    assert_true(builds("a,data,fat,0x9000,1\xE2\x80\x83K\n"));
    assert_false(builds("a,data,fat,0x9000,1\x1FK\n"));
    /* errors in lines come before errors of places */
    assert_false(builds("a,data,fat,0x1000,4K\nb,data,what,,4K\n"));
    assert_int_equal(generator.line, 2);
    generator.rules.primary_bootloader = 0x8000;
    assert_false(builds("a,data,fat,,4K\n"));
}

static void labels_that_cannot_stand(void **state)
{
    (void)state;
    static const char *const labels[] = {"a,b", " a", "a ", "#a", "$a", "a\nb", "\xD0", "\xC2\x85", "\xE2\x80\xA8"};
    char csv[400];
    struct otter_text t;
    unsigned bad;
    start(&generator);
    for (unsigned i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        generator.list.rows = 1;
        strcpy(generator.list.row[0].label, labels[i]);
        otter_text_start(&t, csv, sizeof csv);
        assert_int_equal(otter_table_csv_write(&generator.list, NULL, &t, &bad), OTTER_ARG);
    }
    strcpy(generator.list.row[0].label, "$1 #\xD0\xB0");
    otter_text_start(&t, csv, sizeof csv);
    assert_int_equal(otter_table_csv_write(&generator.list, NULL, &t, &bad), OTTER_OK);
    otter_text_start(&t, csv, 80);
    assert_int_equal(otter_table_csv_write(&generator.list, NULL, &t, &bad), OTTER_TOO_BIG);
    assert_int_equal(strlen(csv), 79);
}

static void too_many_rows(void **state)
{
    (void)state;
    static char csv[4000];
    start(&generator);
    generator.md5 = false;
    csv[0] = '\0';
    for (unsigned i = 0; i < 97; i++) sprintf(csv + strlen(csv), "p%u,data,64,,4K\n", i);
    assert_false(builds(csv));
    assert_int_equal(generator.line, 97);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_vectors),      cmocka_unit_test(binary_vectors),
        cmocka_unit_test(numbers),          cmocka_unit_test(names_and_units),
        cmocka_unit_test(encodings),        cmocka_unit_test(variables),
        cmocka_unit_test(long_lines),       cmocka_unit_test(overlapping_slots),
        cmocka_unit_test(faults_of_a_list), cmocka_unit_test(places),
        cmocka_unit_test(otadata),          cmocka_unit_test(labels_that_cannot_stand),
        cmocka_unit_test(too_many_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
