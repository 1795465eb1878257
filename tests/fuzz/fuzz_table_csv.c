/* Partition tables as text: what is accepted comes back the same from its own CSV and from its binary table. */
#include <string.h>

#include "format/table_csv.h"
#include "ports/posix/crypto.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tables.h"

static struct otter_table_names names;
static struct otter_table_csv csv;
static struct otter_table_list first, again;
static char text[OTTER_TABLE_CSV_MAX];

static const char *variable(const void *ctx, const char *name) { return strlen(name) == 1 ? ctx : NULL; }

static void through_csv(void)
{
    struct otter_text t;
    unsigned bad;
    otter_text_start(&t, text, sizeof text);
    enum otter_err e = otter_table_csv_write(&first, &names, &t, &bad);
    HOLDS(e == OTTER_OK || e == OTTER_ARG);
    if (e) return;
    HOLDS(otter_table_csv_read(&csv, text, t.n, &again) == OTTER_OK);
    same_rows(&first, &again, UINT32_MAX);
}

static void through_binary(void)
{
    uint8_t bytes[OTTER_TABLE_SIZE];
    unsigned bad;
    if (otter_table_write(first.row, first.rows, true, &otter_crypto_openssl, bytes)) return;
    struct otter_table_memory m = {bytes, sizeof bytes};
    HOLDS(otter_table_list_read(&again, &m, &otter_crypto_openssl, &bad) == OTTER_OK);
    same_rows(&first, &again, UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct otter_table_rules rules = {.offset = 0x8000,
                                      .primary_bootloader = 0x1000,
                                      .recovery_bootloader = 0x300000,
                                      .overlapping_slots = size & 1,
                                      .names = &names};
    if (!names.extras) HOLDS(!otter_table_names_add(&names, "data, mysub, 0x86"));
    csv.rules = &rules;
    csv.env = (struct otter_csv_env){"data,fat", variable};
    if (otter_table_csv_read(&csv, data, size, &first)) {
        HOLDS(csv.why[0]);
        return 0;
    }
    otter_table_judge(&first, &rules, has_words, &first);
    csv.env.get = NULL;
    through_csv();
    through_binary();
    return 0;
}
