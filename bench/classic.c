/* The classical scheme's three steps, on the model's flash. */
#include "bench/classic.h"

#include <stdlib.h>
#include <string.h>

#include "ports/sim/table.h"

enum { APP = 0x10000, NVS = 0x9000, NVS_SIZE = 0x5000, SPIFFS = 0x82, LIVES = 6 };

static uint32_t fit(uint32_t size) { return (size + OTTER_BLOCK - 1) / OTTER_BLOCK * OTTER_BLOCK; }

/* ---- flash; false: power is gone ---- */

static bool erase(struct classic *c, uint32_t from, uint32_t to)
{
    const struct otter_flash *f = &c->nor.port;
    for (uint32_t at = from; at < to; at += OTTER_BLOCK)
        if (f->erase(f->ctx, at, OTTER_BLOCK)) return false;
    return true;
}

static bool write_up_to_a_sector(struct classic *c, uint32_t off, const uint8_t *src, uint32_t left)
{
    const struct otter_flash *f = &c->nor.port;
    return f->write(f->ctx, off, src, left < OTTER_SECTOR ? left : OTTER_SECTOR) == 0;
}

static bool copy_sector(struct classic *c, uint32_t from, uint32_t to)
{
    const struct otter_flash *f = &c->nor.port;
    uint8_t sector[OTTER_SECTOR];
    return f->read(f->ctx, from, sector, sizeof sector) == 0 && f->write(f->ctx, to, sector, sizeof sector) == 0;
}

/* ---- the table ---- */

/* The app, and behind it either data or the copy. */
static void make_table(const struct classic *c, uint32_t app_size, bool copy, uint8_t out[OTTER_TABLE_SIZE])
{
    uint32_t next = APP + app_size;
    struct otter_partition rows[] = {
        {OTTER_TYPE_DATA, OTTER_DATA_NVS, NVS, NVS_SIZE, 0, "nvs"},
        {OTTER_TYPE_APP, OTTER_APP_FACTORY, APP, app_size, 0, "application"},
        {copy ? OTTER_TYPE_APP : OTTER_TYPE_DATA, copy ? OTTER_APP_TEST : SPIFFS, next, c->nor.size - next, 0, "data"}};
    if (otter_table_write(rows, 3, true, c->crypto, out)) abort();
}

/* Erased, then written: between the two there is none. */
static bool rewrite_table(struct classic *c, uint32_t app_size, bool copy)
{
    const struct otter_flash *f = &c->nor.port;
    uint8_t table[OTTER_TABLE_SIZE];
    make_table(c, app_size, copy, table);
    if (f->erase(f->ctx, OTTER_CFG_TABLE_OFFSET, OTTER_SECTOR)) return false;
    return f->write(f->ctx, OTTER_CFG_TABLE_OFFSET, table, sizeof table) == 0;
}

static bool find_copy(const struct classic *c, struct otter_slot *region)
{
    struct sim_table t = {c->nor.bytes + OTTER_CFG_TABLE_OFFSET, c->nor.size, c->crypto};
    return sim_table_find(&t, OTTER_TYPE_APP, OTTER_APP_TEST, region);
}

/* ---- the three steps ---- */

/* The old app, in its place: gives data up, copies itself, has the copy started. */
static bool enter(struct classic *c)
{
    uint32_t size = fit(c->old.size), copy = c->nor.size - size;
    if (!erase(c, APP + size, c->nor.size)) return false;
    for (uint32_t at = 0; at < size; at += OTTER_SECTOR)
        if (!copy_sector(c, APP + at, copy + at)) return false;
    c->start_copy = rewrite_table(c, copy - APP, true);
    return c->start_copy;
}

/* The copy: puts the new app in the old one's place. */
static bool download(struct classic *c)
{
    for (uint32_t at = 0; at < c->new.size; at += OTTER_SECTOR) {
        if (at % OTTER_BLOCK == 0 && !erase(c, APP + at, APP + at + OTTER_BLOCK)) return false;
        if (!write_up_to_a_sector(c, APP + at, c->new.bytes + at, c->new.size - at)) return false;
    }
    return true;
}

/* Whichever app finds itself in its place and a copy beside it. */
static bool leave(struct classic *c, const struct otter_slot *copy)
{
    uint32_t size = fit(classic_runs_new(c) ? c->new.size : c->old.size);
    return erase(c, copy->offset, copy->offset + copy->size) && rewrite_table(c, size, false);
}

/* ---- starts ---- */

bool classic_runs_new(const struct classic *c)
{
    return c->booted.offset == APP && memcmp(c->nor.bytes + APP, c->new.bytes, c->new.size) == 0;
}

static bool start(struct classic *c)
{
    struct sim_boot b = {.flash = &c->nor.port,
                         .crypto = c->crypto,
                         .chip = &otter_chip_esp32c3,
                         .chip_revision = -1,
                         .efuse_revision = -1};
    return sim_boot(&b, &c->booted);
}

/* What runs in this life does one step. False: it has nothing to do any more, or power is gone. */
static bool live(struct classic *c)
{
    struct otter_slot copy;
    bool has_copy = find_copy(c, &copy), runs_copy = has_copy && c->start_copy;
    c->start_copy = false;
    if (runs_copy) return memcmp(c->nor.bytes + copy.offset, c->old.bytes, c->old.size) == 0 && download(c);
    if (!start(c)) return false;
    if (has_copy) return leave(c, &copy);
    return !classic_runs_new(c) && enter(c);
}

bool classic_run(struct classic *c)
{
    struct otter_slot copy;
    for (int life = 0; life < LIVES && live(c);) life++;
    return !c->nor.dead && classic_runs_new(c) && !find_copy(c, &copy);
}

bool classic_power_on(struct classic *c)
{
    sim_nor_power_on(&c->nor);
    c->start_copy = false;
    return start(c);
}

void classic_init(struct classic *c, uint8_t *flash, uint32_t size, const struct otter_crypto *crypto,
                  const struct classic_app *old, const struct classic_app *new)
{
    memset(c, 0, sizeof *c);
    sim_nor_init(&c->nor, flash, size, NULL);
    c->nor.watch = (struct sim_watch){.offset = OTTER_CFG_TABLE_OFFSET, .size = OTTER_SECTOR};
    c->crypto = crypto;
    c->old = *old;
    c->new = *new;
    memset(flash, 0xFF, size);
    make_table(c, fit(old->size), false, flash + OTTER_CFG_TABLE_OFFSET);
    memcpy(flash + APP, old->bytes, old->size);
}
