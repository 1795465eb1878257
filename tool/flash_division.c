/* The division in force, as the device's own engine finds it after the boot loader has run. Knows the two and their
 * flash model; the flash itself is never changed. */
#include "tool/flash_division.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/push_json.h"
#include "ports/sim/table.h"
#include "ports/sim/world.h"
#include "tool/tool.h"

enum { BAR = 63, KIB = 1024 };

bool flash_is_elastic(struct flash_bytes flash)
{
    struct sim_table t = {flash.p + OTTER_CFG_TABLE_OFFSET, (uint32_t)flash.size, tool_crypto()};
    return sim_table_overlaps(&t);
}

/* ---- the device's next start ---- */

static bool start(struct sim_world *w)
{
    enum otter_err e;
    bool ok = sim_world_start(w, &e);
    /* A switch that a cut had undone was made again: the device restarts at once. */
    return ok && w->device.switched ? sim_world_start(w, &e) : ok;
}

/* Beginning touches no flash, and says what a sender would hear. */
static void ask_for_next(struct sim_world *w, struct flash_division *out)
{
    struct otter_offer offer = {.door = "info", .size = out->now.largest, .data_may_go = true};
    out->next_err = out->now.largest ? otter_begin(&w->session, &w->device, &offer) : OTTER_TOO_BIG;
    out->next_slot = w->session.slot;
}

static bool look(struct sim_world *w, struct flash_division *out)
{
    bool ok = start(w);
    out->boot = w->booted;
    if (!ok) return false;
    otter_division(&w->device, &out->now);
    out->json = otter_push_json_division(&w->device, otter_data_waits);
    ask_for_next(w, out);
    return true;
}

bool flash_divide(struct flash_bytes flash, const struct flash_chip *chip, struct flash_division *out)
{
    struct sim_world *w = malloc(sizeof *w);
    uint8_t *copy = malloc(flash.size);
    bool ok = w && copy;
    memset(out, 0, sizeof *out);
    if (ok) {
        memcpy(copy, flash.p, flash.size);
        sim_world_init(w, copy, (uint32_t)flash.size, tool_crypto());
        w->layout = &otter_layout_elastic;
        w->chip.info = chip->info;
        w->chip.revision = chip->revision;
        w->chip.efuse_revision = chip->efuse_revision;
        ok = look(w, out);
    }
    free(copy);
    free(w);
    return ok;
}

/* ---- words ---- */

static const char *state_words(enum otter_division_state state)
{
    switch (state) {
    case OTTER_DIVISION_FIXED: break;
    case OTTER_DIVISION_SETTLED: return "the app that runs, and data";
    case OTTER_DIVISION_UPDATING: return "another image is coming, or about to start";
    case OTTER_DIVISION_PENDING: return "the app runs on trial, and the image before is still there";
    case OTTER_DIVISION_WENT_BACK: return "the firmware before runs again";
    case OTTER_DIVISION_FALLBACK: return "otadata names another slot; the boot loader has searched";
    case OTTER_DIVISION_WAITING: return "the app that runs; the data region waits for its image";
    case OTTER_DIVISION_UNKNOWN: return "no image of the pool runs, or otadata cannot be read; nothing is data's";
    }
    return "slots are as the table has them";
}

/* At least one column, so that a small image beside much data is seen. */
static void fill(char bar[BAR + 1], const struct otter_slot *pool, const struct otter_slot *region, char with)
{
    if (!region->size) return;
    uint64_t from = (uint64_t)(region->offset - pool->offset) * BAR / pool->size;
    uint64_t to = (uint64_t)(region->offset - pool->offset + region->size) * BAR / pool->size;
    memset(bar + from, with, to > from ? to - from : 1);
}

static void print_region(char sign, const char *name, const struct otter_slot *region)
{
    if (region->size)
        printf("  %c  %-29s0x%08x  %9u  %u KiB\n", sign, name, region->offset, region->size, region->size / KIB);
    else
        printf("  %c  %-29s%-10s  %9d\n", sign, name, "none", 0);
}

void flash_division_print(const struct otter_division *d)
{
    char bar[BAR + 1] = {0};
    uint32_t rest = d->pool.size - d->app.size - d->update.size - d->data.size;
    printf("division          %s: %s\n", otter_division_name(d->state), state_words(d->state));
    print_region(' ', "pool", &d->pool);
    print_region('#', "app", &d->app);
    print_region('+', d->state == OTTER_DIVISION_PENDING ? "the image before" : "update", &d->update);
    print_region('=', "data", &d->data);
    printf("  .  %-41s%9u  %u KiB\n", "free", rest, rest / KIB);
    memset(bar, '.', BAR);
    fill(bar, &d->pool, &d->data, '=');
    fill(bar, &d->pool, &d->update, '+');
    fill(bar, &d->pool, &d->app, '#');
    printf("  0x%08x |%s| 0x%08x\n", d->pool.offset, bar, d->pool.offset + d->pool.size);
}
