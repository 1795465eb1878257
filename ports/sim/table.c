/* Looks partitions up. */
#include "ports/sim/table.h"

enum otter_err sim_table_check(const struct sim_table *t)
{
    struct otter_table_memory m = {t->bytes, OTTER_TABLE_SIZE};
    struct otter_rows rows = otter_table_rows(&m);
    unsigned count, bad;
    return otter_table_check(&rows, t->flash_size, t->crypto, &count, &bad);
}

bool sim_table_find(const struct sim_table *t, uint8_t type, uint8_t subtype, struct otter_slot *region)
{
    struct otter_table_memory m = {t->bytes, OTTER_TABLE_SIZE};
    struct otter_rows rows = otter_table_rows(&m);
    unsigned count, bad;
    if (otter_table_check(&rows, t->flash_size, t->crypto, &count, &bad)) return false;
    for (unsigned i = 0; i < count; i++) {
        struct otter_partition p;
        if (otter_table_row(&rows, i, &p) || p.type != type || p.subtype != subtype) continue;
        *region = (struct otter_slot){p.offset, p.size};
        return true;
    }
    return false;
}

bool sim_table_slot(const struct sim_table *t, int slot, struct otter_slot *region)
{
    int subtype = slot == OTTER_SLOT_FACTORY ? OTTER_APP_FACTORY : OTTER_APP_OTA_0 + slot;
    return sim_table_find(t, OTTER_TYPE_APP, (uint8_t)subtype, region);
}

bool sim_table_overlaps(const struct sim_table *t)
{
    struct otter_slot a, b;
    for (int i = 0; i < OTTER_OTA_SLOTS; i++)
        for (int k = 0; sim_table_slot(t, i, &a) && k < i; k++)
            if (sim_table_slot(t, k, &b) && a.offset < b.offset + b.size && b.offset < a.offset + a.size) return true;
    return false;
}
