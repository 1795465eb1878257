/* Images, tables and otadata against what Espressif's own tools and firmware made of the same bytes. */
#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/crc32.h"
#include "format/image_build.h"
#include "format/preset.h"
#include "tests/fixture.h"
#include "tests/vectors.h"

/* ---- images ---- */

static const struct otter_crypto *crypto(void) { return &otter_crypto_openssl; }

static struct otter_image_rules case_rules(const cJSON *c)
{
    struct otter_image_rules r = {.chip = otter_chip_by_name(vector_string(c, "chip")),
                                  .chip_revision = (int32_t)vector_number(c, "chip_rev"),
                                  .efuse_revision = (int32_t)vector_number(c, "efuse_blk_rev"),
                                  .offset = (uint32_t)vector_number(c, "offset"),
                                  .room = (uint32_t)vector_number(c, "partition_size")};
    if (r.offset < 0x8000) r.flags |= OTTER_IMAGE_BOOTLOADER;
    return r;
}

/* Where versions differ: master for the absurd page size (older ones crash), v6.0.2 for the rest. */
static const cJSON *case_verdict(const cJSON *c)
{
    const cJSON *v = cJSON_GetObjectItem(c, "esp_image_verify"), *differs = cJSON_GetObjectItem(v, "differs");
    bool absurd = strcmp(vector_string(c, "name"), "mmu_page_40_c6") == 0;
    return differs ? cJSON_GetObjectItem(differs, absurd ? "master" : "v6.0.2") : v;
}

static void judge_case(const cJSON *c)
{
    struct otter_image_check check;
    struct otter_image_rules rules = case_rules(c);
    size_t size;
    uint8_t *bytes = vector_file("image", vector_string(c, "bin"), &size);
    const cJSON *verdict = case_verdict(c);
    otter_image_start(&check, &rules, crypto());
    otter_image_feed(&check, bytes, size);
    enum otter_err e = otter_image_end(&check);
    if ((uint32_t)otter_image_esp_err(e) != (uint32_t)vector_number(verdict, "err"))
        fail_msg("%s: %s", vector_string(c, "name"), otter_err_name(e));
    if (!e) assert_int_equal(check.facts.length, vector_number(verdict, "image_len"));
    free(bytes);
}

static void image_verdicts(void **state)
{
    (void)state;
    cJSON *all = vector_cases("image");
    const cJSON *c;
    unsigned n = 0;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(all, "cases"))
    {
        if (!cJSON_GetObjectItem(c, "bin")) continue;
        judge_case(c);
        n++;
    }
    printf("vectors/image: %u verdicts agree\n", n);
    assert_true(n > 30);
    cJSON_Delete(all);
}

static enum otter_err check_split(const uint8_t *bytes, size_t size, uint32_t *seed, struct otter_image_facts *facts)
{
    struct otter_image_check check;
    struct otter_image_rules rules = {
        .chips = otter_chip_by_id, .chip_revision = -1, .efuse_revision = -1, .flags = OTTER_IMAGE_DESCRIBED};
    otter_image_start(&check, &rules, crypto());
    for (size_t at = 0, n; at < size; at += n) {
        *seed = *seed * 1103515245 + 12345;
        n = *seed == 0 ? size : 1 + (*seed >> 16) % (*seed & 1 ? 7 : 3000);
        if (n > size - at) n = size - at;
        otter_image_feed(&check, bytes + at, n);
    }
    enum otter_err e = otter_image_end(&check);
    *facts = check.facts;
    return e;
}

static void compare_splits(const uint8_t *bytes, size_t size, enum otter_err expected)
{
    struct otter_image_facts whole, facts;
    struct otter_image_check check;
    struct otter_image_rules rules = {
        .chips = otter_chip_by_id, .chip_revision = -1, .efuse_revision = -1, .flags = OTTER_IMAGE_DESCRIBED};
    otter_image_start(&check, &rules, crypto());
    for (size_t i = 0; i < size; i++) otter_image_feed(&check, bytes + i, 1);
    assert_int_equal(otter_image_end(&check), expected);
    whole = check.facts;
    for (uint32_t i = 0, seed = 7; i < 300; i++) {
        assert_int_equal(check_split(bytes, size, &seed, &facts), expected);
        assert_memory_equal(&facts, &whole, sizeof facts);
    }
}

static void any_split_same_result(void **state)
{
    (void)state;
    static struct fixture_image image;
    fixture_image(&image, "1.2.3", NULL, 5000);
    compare_splits(image.bytes, image.size, OTTER_OK);
    compare_splits(image.bytes, image.size - 40, OTTER_TRUNCATED);
    image.bytes[2000] ^= 1;
    compare_splits(image.bytes, image.size, OTTER_CHECKSUM);
    image.bytes[2000] ^= 1;
    image.bytes[image.size - 1] ^= 1;
    compare_splits(image.bytes, image.size, OTTER_HASH);
}

static enum otter_err judge(const struct fixture_image *image, struct otter_image_rules rules)
{
    struct otter_image_check check;
    otter_image_start(&check, &rules, NULL);
    otter_image_feed(&check, image->bytes, image->size);
    return otter_image_end(&check);
}

/* What links no list of chips knows its own one alone; the verdicts stay the same. */
static void one_chip_is_enough(void **state)
{
    (void)state;
    static struct fixture_image image;
    struct otter_image_rules rules = {.chip = &otter_chip_esp32c3, .chip_revision = -1, .efuse_revision = -1};
    fixture_image(&image, "1.2.3", NULL, 5000);
    assert_int_equal(judge(&image, rules), OTTER_OK);
    image.bytes[12] = (uint8_t)otter_chip_esp32s3.id;
    assert_int_equal(judge(&image, rules), OTTER_CHIP);
    image.bytes[12] = 0x7F;
    assert_int_equal(judge(&image, rules), OTTER_CHIP);
    rules = (struct otter_image_rules){.chips = otter_chip_by_id, .chip_revision = -1, .efuse_revision = -1};
    assert_int_equal(judge(&image, rules), OTTER_CHIP_UNKNOWN);
    rules.chips = NULL;
    assert_int_equal(judge(&image, rules), OTTER_CHIP_UNKNOWN);
}

static void what_the_engine_asks_beyond(void **state)
{
    (void)state;
    static struct fixture_image image;
    struct otter_image_rules rules = {.chips = otter_chip_by_id,
                                      .chip_revision = 3,
                                      .efuse_revision = 0,
                                      .flags = OTTER_IMAGE_LOADABLE | OTTER_IMAGE_DESCRIBED};
    fixture_image(&image, "1.2.3", NULL, 5000);
    assert_int_equal(judge(&image, rules), OTTER_OK);
    image.bytes[0x20] ^= 1; /* the descriptor's magic */
    assert_int_equal(judge(&image, rules), OTTER_NO_DESCRIPTOR);
    image.bytes[0x20] ^= 1;
    image.size = 200;
    assert_int_equal(judge(&image, rules), OTTER_TOO_SHORT);
    image.size = 0;
    assert_int_equal(judge(&image, rules), OTTER_EMPTY);
    fixture_image(&image, "1.2.3", NULL, 5000);
    image.bytes[0x1b] = 0x20; /* first load address 0x20...... */
    assert_int_equal(judge(&image, rules), OTTER_SEGMENT_ADDR);
    rules.flags = OTTER_IMAGE_DESCRIBED;
    assert_int_equal(judge(&image, rules), OTTER_OK);
}

/* ---- tables ---- */

static void binary_table_case(const cJSON *c, const char *verdict_name, uint32_t flash_size)
{
    size_t size;
    unsigned count, bad;
    const cJSON *v = cJSON_GetObjectItem(c, verdict_name), *differs = cJSON_GetObjectItem(v, "differs");
    if (differs) v = cJSON_GetObjectItem(differs, "v6.0.2");
    uint8_t *bytes = vector_file("partition_table", vector_string(c, "bin"), &size);
    struct otter_table_memory m = {bytes, size};
    struct otter_rows rows = otter_table_rows(&m);
    enum otter_err e = otter_table_check(&rows, flash_size, crypto(), &count, &bad);
    int esp_err = e == OTTER_OK ? 0 : e == OTTER_TABLE_RANGE ? 0x104 : 0x103;
    if (esp_err != (int)vector_number(v, "err")) fail_msg("%s: %s", vector_string(c, "name"), otter_err_name(e));
    if (!e) assert_int_equal(count, vector_number(v, "num_partitions"));
    free(bytes);
}

static void table_verdicts(void **state)
{
    (void)state;
    cJSON *all = vector_cases("partition_table");
    const cJSON *c;
    unsigned n = 0;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(all, "binary_cases"))
    {
        binary_table_case(c, "bootloader_verify_16MB", 16 << 20);
        binary_table_case(c, "bootloader_verify_4MB", 4 << 20);
        n++;
    }
    printf("vectors/partition_table: %u binary tables, verdicts agree at 4 and 16 MB\n", n);
    assert_true(n > 15);
    cJSON_Delete(all);
}

static void table_read_and_written_again(void **state)
{
    (void)state;
    cJSON *all = vector_cases("partition_table");
    const cJSON *c;
    unsigned n = 0;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(all, "csv_cases"))
    {
        struct otter_partition p[OTTER_TABLE_ROWS];
        uint8_t out[OTTER_TABLE_SIZE];
        unsigned count, bad;
        size_t size;
        if (!cJSON_GetObjectItem(c, "bin") || cJSON_GetArraySize(cJSON_GetObjectItem(c, "entries"))) continue;
        uint8_t *bytes = vector_file("partition_table", vector_string(c, "bin"), &size);
        struct otter_table_memory m = {bytes, size};
        struct otter_rows rows = otter_table_rows(&m);
        if (otter_table_check(&rows, UINT32_MAX, crypto(), &count, &bad) == OTTER_OK) {
            for (unsigned i = 0; i < count; i++) assert_int_equal(otter_table_row(&rows, i, &p[i]), OTTER_OK);
            bool md5 = cJSON_IsString(cJSON_GetObjectItem(c, "md5"));
            assert_int_equal(otter_table_write(p, count, md5, crypto(), out), OTTER_OK);
            if (memcmp(out, bytes, sizeof out) != 0) fail_msg("%s is written otherwise", vector_string(c, "name"));
            n++;
        }
        free(bytes);
    }
    printf("vectors/partition_table: %u tables read and written again, byte for byte\n", n);
    assert_true(n > 30);
    cJSON_Delete(all);
}

static void preset_is(const char *name, const char *sha256)
{
    uint8_t table[OTTER_TABLE_SIZE], digest[32];
    char hex[65];
    struct otter_hash h;
    const struct otter_preset *p = otter_preset_find(name);
    assert_non_null(p);
    assert_int_equal(otter_table_write(p->row, p->rows, true, crypto(), table), OTTER_OK);
    crypto()->hash_start(NULL, &h, OTTER_SHA256);
    crypto()->hash_update(NULL, &h, table, sizeof table);
    crypto()->hash_finish(NULL, &h, digest);
    for (unsigned i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, sha256);
}

static void presets(void **state)
{
    (void)state;
    preset_is("singleapp", "7f00b6c042a89b15b0cac534f82ed988caf29278ff5700b0c511eb1b5bb7c820");
    preset_is("singleapp_large", "5295e8c42d6fb5f95e4e8a185932c6191d27cfc5078322475347e40e71af815a");
    preset_is("two_ota", "d1c0e9d02fa9d26cd2e1984e7b5dd20157204f501ddc83ce82229e5f3175ee8b");
    preset_is("two_ota_large", "41d8ef7960bf03647249e26ca1ace2b8d35f317a87f6c2ff5bc9f4bdbdbf602b");
    preset_is("singleapp_coredump", "57af5bcbfe44ebb831ce4c916c5dbe30cddc8aac1993f69f928d66c05d5f6460");
    preset_is("singleapp_large_coredump", "e5e69dfa991051451c2fbe2468f33c915763b41bdd7f1709ea3000c4a5ede04e");
    preset_is("singleapp_encr_nvs", "f52fa3953c5b26b72f5ae607c21479ff2934465919b746734d8def6d8a1155b5");
    preset_is("singleapp_large_encr_nvs", "6fdd2ac12e27354d766eacaab93841ff6546af033d34199c7dd70fd24df18436");
    preset_is("two_ota_coredump", "7255f503b6ff44cf4d9ded4634279d2e7fd67f5fe9693228f65d089e5e1725a5");
    preset_is("two_ota_encr_nvs", "0ae0abb93d54ada2268764212d09b9a55ddf7718eb062f499b5413c4e4052cf2");
    preset_is("singleapp_tee", "5b2260f358eba8508b055470ad198f2233bcd68ea1b6a53f7633acef088ef891");
    preset_is("two_ota_tee", "8cb614c824998362a0b0780ba59d259be940d4c6b253311ae8c15a061e375269");
    assert_null(otter_preset_find("no_such_table"));
}

static void table_limits(void **state)
{
    (void)state;
    static struct otter_partition many[96];
    uint8_t out[OTTER_TABLE_SIZE];
    assert_int_equal(otter_table_write(many, 94, true, crypto(), out), OTTER_OK);
    assert_int_equal(otter_table_write(many, 95, true, crypto(), out), OTTER_ARG);
    assert_int_equal(otter_table_write(many, 95, false, crypto(), out), OTTER_OK);
    assert_int_equal(otter_table_write(many, 96, false, crypto(), out), OTTER_ARG);
    /* offset + size beyond 2^32 is beyond the flash, too */
    struct otter_partition wraps = {0, 0x10, 0x10000, 0xFFFF0000, 0, "wraps"};
    assert_int_equal(otter_table_write(&wraps, 1, true, crypto(), out), OTTER_OK);
    struct otter_table_memory m = {out, sizeof out};
    struct otter_rows rows = otter_table_rows(&m);
    unsigned count, bad;
    assert_int_equal(otter_table_check(&rows, 4 << 20, crypto(), &count, &bad), OTTER_TABLE_RANGE);
}

/* ---- otadata: the boot loader model against the real boot loaders ---- */

struct record {
    struct sim_nor *nor;
    struct otter_flash port;
    cJSON *ops, *log;
};

static int32_t record_read(void *ctx, uint32_t off, void *dst, uint32_t n)
{
    struct record *r = ctx;
    return r->nor->port.read(r->nor, off, dst, n);
}

static cJSON *op_json(const char *op, uint32_t off)
{
    char hex[16];
    snprintf(hex, sizeof hex, "0x%x", off);
    cJSON *o = cJSON_CreateArray();
    cJSON_AddItemToArray(o, cJSON_CreateString(op));
    cJSON_AddItemToArray(o, cJSON_CreateString(hex));
    return o;
}

static int32_t record_write(void *ctx, uint32_t off, const void *src, uint32_t n)
{
    struct record *r = ctx;
    char hex[65] = "";
    for (uint32_t i = 0; i < n && i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)src)[i]);
    cJSON *o = op_json("write", off);
    cJSON_AddItemToArray(o, cJSON_CreateString(hex));
    cJSON_AddItemToArray(r->ops, o);
    return r->nor->port.write(r->nor, off, src, n);
}

static int32_t record_erase(void *ctx, uint32_t off, uint32_t n)
{
    struct record *r = ctx;
    cJSON *o = op_json("erase", off);
    cJSON_AddItemToArray(o, cJSON_CreateNumber(n));
    cJSON_AddItemToArray(r->ops, o);
    return r->nor->port.erase(r->nor, off, n);
}

static void record_log(void *ctx, char level, const char *tag, const char *text)
{
    struct record *r = ctx;
    char line[200];
    snprintf(line, sizeof line, "%c %s: %s", level, tag, text);
    /* The recordings hold neither the table's listing nor the segments'. */
    bool row = text[0] == ' ' || (text[0] >= '0' && text[0] <= '9');
    bool listing = strstr(line, "I esp_image") || strstr(line, "artition Table") || strstr(line, "## Label") ||
                   strstr(line, "End of partition") || row;
    if (!listing) cJSON_AddItemToArray(r->log, cJSON_CreateString(line));
}

static void same_json(const cJSON *mine, const cJSON *theirs, const char *name, const char *what)
{
    char *a = cJSON_PrintUnformatted(mine), *b = cJSON_PrintUnformatted(theirs);
    if (strcmp(a, b) != 0) fail_msg("%s: %s\n mine   %s\n theirs %s", name, what, a, b);
    free(a);
    free(b);
}

/* The recordings list the burning of a version among the flash operations. */
static void add_burn(struct record *r, uint32_t before, uint32_t after)
{
    if (before == after) return;
    cJSON *o = cJSON_CreateArray();
    cJSON_AddItemToArray(o, cJSON_CreateString("efuse_secure_version"));
    cJSON_AddItemToArray(o, cJSON_CreateNumber(after));
    cJSON_AddItemToArray(r->ops, o);
}

static void boot_once(struct sim_nor *nor, const cJSON *c, const cJSON *expected, const char *config, uint32_t *efuse)
{
    struct record r = {.nor = nor, .port = nor->port, .ops = cJSON_CreateArray(), .log = cJSON_CreateArray()};
    struct sim_boot_result result;
    uint32_t before = *efuse;
    const char *name = vector_string(c, "name");
    r.port.ctx = &r;
    r.port.read = record_read;
    r.port.write = record_write;
    r.port.erase = record_erase;
    struct sim_boot b = {.flash = &r.port,
                         .crypto = crypto(),
                         .chip = otter_chip_by_id(5),
                         .chip_revision = 3,
                         .efuse_revision = -1,
                         .rollback = strcmp(config, "none") != 0,
                         .anti_rollback = strcmp(config, "anti") == 0,
                         .efuse_version = efuse,
                         .log_ctx = &r,
                         .log = record_log};
    sim_boot(&b, &result);
    add_burn(&r, before, *efuse);
    assert_int_equal(result.boots, strcmp(vector_string(expected, "result"), "boot") == 0);
    assert_int_equal(result.selected, (int)vector_number(expected, "selected_index"));
    if (result.boots) {
        assert_string_equal(result.label, vector_string(expected, "booted"));
        assert_int_equal(result.offset, vector_number(expected, "booted_offset"));
    }
    same_json(r.ops, cJSON_GetObjectItem(expected, "flash_ops"), name, config);
    same_json(r.log, cJSON_GetObjectItem(expected, "log"), name, config);
    cJSON_Delete(r.ops);
    cJSON_Delete(r.log);
}

static void boot_cases(void **state)
{
    (void)state;
    cJSON *all = vector_cases("otadata");
    const cJSON *c, *config, *expected;
    uint8_t *bytes = malloc(VECTOR_FLASH);
    unsigned n = 0, boots = 0;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(all, "cases"))
    {
        cJSON_ArrayForEach(config, cJSON_GetObjectItem(c, "expect"))
        {
            struct sim_nor nor;
            uint32_t efuse = (uint32_t)vector_number(c, "efuse_secure_version");
            vector_flash(bytes, c, cJSON_GetObjectItem(all, "layouts"));
            sim_nor_init(&nor, bytes, VECTOR_FLASH, NULL);
            cJSON_ArrayForEach(expected, config)
            {
                boot_once(&nor, c, expected, config->string, &efuse);
                boots++;
            }
        }
        n++;
    }
    printf("vectors/otadata: %u cases, %u boots agree (selection, flash operations, log)\n", n, boots);
    assert_true(n >= 65);
    free(bytes);
    cJSON_Delete(all);
}

static void otadata_arithmetic(void **state)
{
    (void)state;
    uint8_t raw[OTTER_OTADATA_ENTRY];
    static const uint8_t seq_2_new[4] = {0x74, 0x37, 0xf6, 0x55};
    otter_ota_write(2, OTTER_OTA_NEW, raw);
    assert_memory_equal(raw + 28, seq_2_new, 4);
    assert_int_equal(otter_ota_next_seq(5, 0, 3), 7);
    assert_int_equal(otter_ota_next_seq(7, 2, 3), 9);
    assert_int_equal(otter_ota_next_seq(16, 15, 16), 32);
    assert_int_equal(otter_ota_next_seq(0, 0, 2), 1);
    assert_int_equal(otter_ota_next_seq(0xFFFFFFFE, 0, 2), 0);
    assert_int_equal(otter_crc32(UINT32_MAX, "123456789", 9), 0xd202d277u);
    assert_string_equal(otter_ota_state_name(7), "unknown");
}

/* ---- chips ---- */

static void chips_and_memories_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"none", "padding", "DROM", "IROM", "RAM", "RTC"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_string_equal(otter_memory_name((enum otter_memory)i), names[i]);
    for (unsigned i = 0; otter_chip_at(i); i++) {
        assert_ptr_equal(otter_chip_by_name(otter_chip_at(i)->name), otter_chip_at(i));
        assert_ptr_equal(otter_chip_by_name(otter_chip_at(i)->target), otter_chip_at(i));
        assert_ptr_equal(otter_chip_by_id(otter_chip_at(i)->id), otter_chip_at(i));
    }
    assert_null(otter_chip_by_id(0x7FFF));
    assert_null(otter_chip_by_name("esp8266"));
}

/* ---- a hash driver that fails ---- */

enum { DRIVER_FAULT = -7 };

/* It starts and goes on so often before it fails; what it began must be ended. */
struct weak_hash {
    unsigned left;
    int open;
};

static int32_t spend(struct weak_hash *w)
{
    if (!w->left) return DRIVER_FAULT;
    w->left--;
    return 0;
}

static int32_t weak_start(void *ctx, struct otter_hash *h, enum otter_hash_alg alg)
{
    struct weak_hash *w = ctx;
    if (spend(w)) return DRIVER_FAULT;
    w->open++;
    return crypto()->hash_start(crypto()->ctx, h, alg);
}

static int32_t weak_update(void *ctx, struct otter_hash *h, const void *data, size_t n)
{
    return spend(ctx) ? DRIVER_FAULT : crypto()->hash_update(crypto()->ctx, h, data, n);
}

static int32_t weak_finish(void *ctx, struct otter_hash *h, uint8_t *out)
{
    struct weak_hash *w = ctx;
    w->open--;
    int32_t status = crypto()->hash_finish(crypto()->ctx, h, out);
    return spend(w) ? DRIVER_FAULT : status;
}

static void weak_abort(void *ctx, struct otter_hash *h)
{
    ((struct weak_hash *)ctx)->open--;
    crypto()->hash_abort(crypto()->ctx, h);
}

static struct otter_crypto weak_crypto(struct weak_hash *w)
{
    return (struct otter_crypto){.ctx = w,
                                 .hash_start = weak_start,
                                 .hash_update = weak_update,
                                 .hash_finish = weak_finish,
                                 .hash_abort = weak_abort};
}

static enum otter_err synth_with(const struct otter_crypto *c, struct otter_image_output *out)
{
    static uint8_t bytes[8192];
    struct otter_image_options options;
    struct otter_image_synth what = {"1.0.0", "weak", 1000, 1};
    *out = (struct otter_image_output){.data = bytes, .room = sizeof bytes};
    otter_image_options_init(&options, otter_chip_by_id(5));
    return otter_image_synth(&what, &options, c, out);
}

static enum otter_err check_with(const struct otter_crypto *c, const struct otter_image_output *image, int32_t *detail)
{
    struct otter_image_check check;
    struct otter_image_rules rules = {.chip = otter_chip_by_id(5), .room = 0x100000};
    otter_image_start(&check, &rules, c);
    otter_image_feed(&check, image->data, image->length);
    enum otter_err e = otter_image_end(&check);
    *detail = check.detail;
    otter_image_stop(&check);
    return e;
}

static void failing_hash_is_told(void **state)
{
    (void)state;
    struct otter_image_output good, out;
    struct otter_partition p = {0, 0x10, 0x10000, 0x10000, 0, "app"};
    uint8_t table[OTTER_TABLE_SIZE];
    int32_t detail;
    unsigned told = 0;
    assert_int_equal(synth_with(crypto(), &good), OTTER_OK);
    for (unsigned left = 0; left < 3; left++) {
        struct weak_hash w = {left, 0};
        struct otter_crypto c = weak_crypto(&w);
        assert_int_equal(otter_table_write(&p, 1, true, &c, table), OTTER_CRYPTO);
        assert_int_equal(w.open, 0);
        w.left = left;
        assert_int_equal(check_with(&c, &good, &detail), OTTER_CRYPTO);
        assert_int_equal(detail, DRIVER_FAULT);
        assert_int_equal(w.open, 0);
        w.left = left;
        if (synth_with(&c, &out) == OTTER_CRYPTO && out.detail == DRIVER_FAULT) told++;
        assert_int_equal(w.open, 0);
        assert_int_equal(synth_with(crypto(), &good), OTTER_OK);
    }
    assert_int_equal(told, 3);
}

/* ---- errors ---- */

static void error_numbers_are_frozen(void **state)
{
    (void)state;
    static const struct {
        int number;
        const char *name;
    } table[] = {
#define ROW(constant, number, name, http, exit_status, text) {number, name},
        OTTER_ERRORS(ROW)
#undef ROW
    };
    FILE *f = fopen(OTTER_SOURCE "/tests/err_frozen.txt", "r");
    char name[40];
    int number;
    unsigned shipped = 0;
    assert_non_null(f);
    while (fscanf(f, "%d %39s", &number, name) == 2) {
        assert_string_equal(otter_err_name((enum otter_err)number), name);
        shipped++;
    }
    fclose(f);
    if (shipped != sizeof table / sizeof table[0]) fail_msg("add the new errors to tests/err_frozen.txt");
    assert_string_equal(otter_err_name((enum otter_err)12345), "unknown");
    assert_int_equal(otter_err_http((enum otter_err)12345), 500);
    assert_int_equal(otter_err_exit(OTTER_OK), 0);
    assert_int_not_equal(otter_err_exit(OTTER_TRUNCATED), 0);
    assert_int_equal(otter_err_exit((enum otter_err)12345), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_verdicts),
        cmocka_unit_test(any_split_same_result),
        cmocka_unit_test(one_chip_is_enough),
        cmocka_unit_test(what_the_engine_asks_beyond),
        cmocka_unit_test(table_verdicts),
        cmocka_unit_test(table_read_and_written_again),
        cmocka_unit_test(presets),
        cmocka_unit_test(table_limits),
        cmocka_unit_test(boot_cases),
        cmocka_unit_test(otadata_arithmetic),
        cmocka_unit_test(chips_and_memories_have_names),
        cmocka_unit_test(failing_hash_is_told),
        cmocka_unit_test(error_numbers_are_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
