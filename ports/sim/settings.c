/* Carries settings to the NVS store. Knows their kinds, and nothing of what they mean. */
#include "ports/sim/settings.h"

#include <string.h>

#include "format/table.h"

static enum otter_err get_u32(struct otter_nvs *n, const char *ns, const char *key, void *out, size_t *size)
{
    uint64_t value;
    if (*size < sizeof(uint32_t)) return OTTER_ARG;
    enum otter_err e = otter_nvs_get_int(n, ns, key, OTTER_NVS_U32, &value);
    if (!e) *(uint32_t *)out = (uint32_t)value;
    *size = sizeof(uint32_t);
    return e;
}

static int32_t get(void *ctx, const char *ns, const char *key, enum otter_setting kind, void *out, size_t *size)
{
    struct otter_nvs *n = ctx;
    enum otter_err e = kind == OTTER_SETTING_U32      ? get_u32(n, ns, key, out, size)
                       : kind == OTTER_SETTING_STRING ? otter_nvs_get_string(n, ns, key, out, size)
                                                      : otter_nvs_get_blob(n, ns, key, out, size);
    if (e != OTTER_NVS_NOT_FOUND) return e;
    *size = 0;
    return 0;
}

static int32_t set(void *ctx, const char *ns, const char *key, enum otter_setting kind, const void *data, size_t size)
{
    struct otter_nvs *n = ctx;
    if (kind == OTTER_SETTING_U32) return otter_nvs_set_int(n, ns, key, OTTER_NVS_U32, *(const uint32_t *)data);
    return kind == OTTER_SETTING_STRING ? otter_nvs_set_string(n, ns, key, data)
                                        : otter_nvs_set_blob(n, ns, key, data, size);
}

static int32_t erase(void *ctx, const char *ns, const char *key)
{
    enum otter_err e = otter_nvs_erase(ctx, ns, key);
    return e == OTTER_NVS_NOT_FOUND ? 0 : e;
}

static enum otter_err flash_row(const void *ctx, unsigned i, uint8_t out[OTTER_TABLE_ROW])
{
    const struct otter_flash *f = ctx;
    uint8_t again[OTTER_TABLE_ROW];
    uint32_t at = OTTER_CFG_TABLE_OFFSET + i * OTTER_TABLE_ROW;
    if (f->read(f->ctx, at, out, OTTER_TABLE_ROW) || f->read(f->ctx, at, again, sizeof again)) return OTTER_FLASH_READ;
    return memcmp(out, again, sizeof again) ? OTTER_FLASH_READ : OTTER_OK;
}

/* The partition called "nvs", else the first of its kind. */
static bool find_nvs(const struct otter_flash *flash, const struct otter_crypto *crypto, struct otter_partition *out)
{
    struct otter_rows rows = {flash, flash_row};
    unsigned count, bad;
    bool found = false;
    if (otter_table_check(&rows, flash->size, crypto, &count, &bad)) return false;
    for (unsigned i = 0; i < count; i++) {
        struct otter_partition p;
        if (otter_table_row(&rows, i, &p)) return false;
        if (p.type != OTTER_TYPE_DATA || p.subtype != OTTER_DATA_NVS) continue;
        bool named = strcmp(p.label, "nvs") == 0;
        if (!found || named) *out = p;
        found = true;
        if (named) break;
    }
    return found;
}

bool sim_settings_open(struct sim_settings *s, const struct otter_flash *flash, const struct otter_crypto *crypto)
{
    struct otter_partition p;
    s->port = (struct otter_settings){&s->nvs, get, set, erase};
    /* Looked for twice: for one failed read the device would forget that it takes only signed images. */
    if (!find_nvs(flash, crypto, &p) && !find_nvs(flash, crypto, &p)) return false;
    enum otter_err e = otter_nvs_open(&s->nvs, flash, p.offset, p.size);
    /* After a fault of the flash the store reads itself anew at the next call. */
    return e != OTTER_ARG && e != OTTER_NVS_VERSION;
}
