/* Binary partition tables: what is accepted comes back the same when it is written again. */
#include "format/table_csv.h"
#include "ports/posix/crypto.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tables.h"

static struct otter_table_list first, again;
static struct otter_table_csv csv;
static char text[OTTER_TABLE_CSV_MAX];

/* Sizes of boot loaders and tables are not read from CSV. */
static bool is_plain(void)
{
    for (unsigned i = 0; i < first.rows; i++)
        if (first.row[i].type == OTTER_TYPE_BOOTLOADER || first.row[i].type == OTTER_TYPE_TABLE) return false;
    return true;
}

/* CSV wants rows to ascend, binary tables do not. */
static void through_csv(const struct otter_table_rules *rules)
{
    struct otter_text t;
    unsigned bad;
    otter_text_start(&t, text, sizeof text);
    if (!is_plain() || otter_table_csv_write(&first, NULL, &t, &bad)) return;
    csv.rules = rules;
    if (otter_table_csv_read(&csv, text, t.n, &again) == OTTER_OK) same_rows(&first, &again, 3);
}

static void through_binary(const struct otter_crypto *md5)
{
    uint8_t bytes[OTTER_TABLE_SIZE];
    unsigned bad, count;
    if (otter_table_write(first.row, first.rows, md5, &otter_crypto_openssl, bytes)) return;
    struct otter_table_memory m = {bytes, sizeof bytes};
    struct otter_rows rows = otter_table_rows(&m);
    if (otter_table_list_read(&again, &m, md5, &bad)) {
        HOLDS(!md5 && first.rows == 0);
        return;
    }
    same_rows(&first, &again, UINT32_MAX);
    enum otter_err e = otter_table_check(&rows, UINT32_MAX, &otter_crypto_openssl, &count, &bad);
    HOLDS(e == OTTER_TABLE_RANGE || (e == OTTER_OK && count == first.rows));
}

static void one(const uint8_t *data, size_t size, const struct otter_crypto *md5)
{
    struct otter_table_rules rules = {.offset = 0x8000, -1, -1, .flash_size = 4 << 20, .overlapping_slots = size & 1};
    struct otter_table_memory m = {data, size};
    unsigned bad;
    if (otter_table_list_read(&first, &m, md5, &bad)) return;
    otter_table_judge(&first, &rules, has_words, &first);
    through_csv(&rules);
    through_binary(md5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct otter_table_memory m = {data, size};
    struct otter_rows rows = otter_table_rows(&m);
    unsigned count, bad;
    otter_table_check(&rows, 4 << 20, &otter_crypto_openssl, &count, &bad);
    one(data, size, &otter_crypto_openssl);
    one(data, size, NULL);
    return 0;
}
