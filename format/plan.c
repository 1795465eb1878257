/* Slots of the layout `elastic`. Knows numbers and rows only. */
#include "format/plan.h"

#include <string.h>

#include "format/otadata.h"

/* One slot is the bottom; one is for the largest image that may follow the app; the range has the others. */
enum { FIRST = OTTER_CFG_TABLE_OFFSET + OTTER_SECTOR, PHY_SIZE = 0x1000, RANGE_SLOTS = OTTER_OTA_SLOTS - 2 };

static uint32_t min(uint32_t a, uint32_t b) { return a < b ? a : b; }
static uint32_t max(uint32_t a, uint32_t b) { return a > b ? a : b; }

uint32_t otter_plan_fit(uint32_t size)
{
    uint32_t blocks = size / OTTER_BLOCK + (size % OTTER_BLOCK ? 1 : 0);
    return blocks * OTTER_BLOCK;
}

/* ---- the choice of slots ---- */

/* Slots end with the flash, so each is known by its room. */
static void add_room(struct otter_plan *p, uint32_t room)
{
    uint32_t offset = p->pool + p->pool_size - room;
    unsigned at = p->slots;
    for (unsigned i = 0; i < p->slots; i++)
        if (p->slot[i] == offset) return;
    for (; p->slot[at - 1] > offset; at--) p->slot[at] = p->slot[at - 1];
    p->slot[at] = offset;
    p->slots++;
}

/* n sizes from top downwards, shared out among so many slots. */
static void add_rooms(struct otter_plan *p, uint32_t top, unsigned n, unsigned slots)
{
    for (unsigned i = 0; i < slots; i++) add_room(p, top - i * n / slots * OTTER_BLOCK);
}

/* What n sizes lose with so many slots: the worst first, then the sum, in blocks. */
static unsigned cost(unsigned n, unsigned slots, unsigned *sum)
{
    if (!n) return 0;
    unsigned each = n / slots, longer = n % slots;
    *sum += longer * (each + 1) * each / 2 + (slots - longer) * each * (each - 1) / 2;
    return longer ? each : each - 1;
}

/* The app's own size loses nothing; sizes above and below it get the slots with which the worst, then all, lose least.
 */
static void choose(struct otter_plan *p, uint32_t app)
{
    unsigned above = (p->high - app) / OTTER_BLOCK, below = (app - p->low) / OTTER_BLOCK + 1;
    unsigned best = 0, best_worst = ~0u, best_sum = 0;
    for (unsigned up = above ? 1 : 0; up <= above && up < RANGE_SLOTS; up++) {
        unsigned sum = 0, a = cost(above, up, &sum), b = cost(below, min(below, RANGE_SLOTS - up), &sum);
        unsigned worst = max(a, b);
        if (worst > best_worst || (worst == best_worst && sum >= best_sum)) continue;
        best = up;
        best_worst = worst;
        best_sum = sum;
    }
    add_rooms(p, p->high, above, best);
    add_rooms(p, app, below, min(below, RANGE_SLOTS - best));
}

/* An image that its like cannot follow would be a dead end, so the range does not grow so far. */
static void set_range(struct otter_plan *p, uint32_t app, uint32_t kept)
{
    const struct otter_plan_wish *w = &p->wish;
    uint32_t followed = (p->pool_size - kept) / 2 / OTTER_BLOCK * OTTER_BLOCK;
    p->high = max(app, min(followed, otter_plan_fit(w->app + min(w->grow, w->flash_size))));
    p->low = otter_plan_fit(w->app - min(w->shrink, w->app - 1));
}

static enum otter_plan_fault set_pool(struct otter_plan *p)
{
    const struct otter_plan_wish *w = &p->wish;
    bool power_of_two = (w->flash_size & (w->flash_size - 1)) == 0;
    if (!power_of_two || w->flash_size < 1024 * 1024 || w->flash_size > OTTER_PLAN_FLASH_MAX)
        return OTTER_PLAN_BAD_FLASH;
    if (w->nvs < OTTER_PLAN_NVS_MIN || w->nvs % OTTER_SECTOR) return OTTER_PLAN_BAD_NVS;
    if (w->nvs > w->flash_size) return OTTER_PLAN_NO_POOL;
    p->pool = otter_plan_fit(otter_plan_fixed_end(p));
    if (p->pool + 2 * OTTER_BLOCK > w->flash_size) return OTTER_PLAN_NO_POOL;
    p->pool_size = w->flash_size - p->pool;
    return OTTER_PLAN_GOOD;
}

enum otter_plan_fault otter_plan_make(struct otter_plan *p, const struct otter_plan_wish *wish)
{
    *p = (struct otter_plan){.wish = *wish};
    enum otter_plan_fault fault = set_pool(p);
    if (fault) return fault;
    if (!wish->app || wish->app > p->pool_size - OTTER_BLOCK) return OTTER_PLAN_BAD_APP;
    uint32_t app = otter_plan_fit(wish->app), beside = p->pool_size - app;
    if (wish->min_data && (app > beside || wish->min_data > beside - app)) return OTTER_PLAN_NO_DATA;
    uint32_t kept = otter_plan_fit(wish->min_data);
    set_range(p, app, kept);
    p->slot[p->slots++] = p->pool;
    choose(p, app);
    add_room(p, beside - kept);
    return OTTER_PLAN_GOOD;
}

/* ---- the table ---- */

uint32_t otter_plan_fixed_end(const struct otter_plan *p)
{
    return FIRST + p->wish.nvs + OTTER_OTADATA_SIZE + PHY_SIZE;
}

static struct otter_partition ota(const struct otter_plan *p, unsigned slot)
{
    struct otter_partition row = {.type = OTTER_TYPE_APP,
                                  .subtype = (uint8_t)(OTTER_APP_OTA_0 + slot),
                                  .offset = p->slot[slot],
                                  .size = otter_plan_room(p, slot)};
    strcpy(row.label, otter_subtype_name(NULL, row.type, row.subtype));
    return row;
}

unsigned otter_plan_rows(const struct otter_plan *p, struct otter_partition row[OTTER_PLAN_ROWS])
{
    uint32_t otadata = FIRST + p->wish.nvs, phy = otadata + OTTER_OTADATA_SIZE;
    unsigned n = 0;
    row[n++] = (struct otter_partition){OTTER_TYPE_DATA, OTTER_DATA_NVS, FIRST, p->wish.nvs, 0, "nvs"};
    row[n++] = (struct otter_partition){OTTER_TYPE_DATA, OTTER_DATA_OTADATA, otadata, OTTER_OTADATA_SIZE, 0, "otadata"};
    row[n++] = (struct otter_partition){OTTER_TYPE_DATA, OTTER_DATA_PHY, phy, PHY_SIZE, 0, "phy_init"};
    for (unsigned i = 0; i < p->slots; i++) row[n++] = ota(p, i);
    return n;
}

/* ---- what sizes leave ---- */

uint32_t otter_plan_room(const struct otter_plan *p, unsigned slot) { return p->pool + p->pool_size - p->slot[slot]; }

unsigned otter_plan_slot(const struct otter_plan *p, uint32_t size)
{
    unsigned slot = p->slots - 1;
    while (slot && otter_plan_room(p, slot) < size) slot--;
    return slot;
}

uint32_t otter_plan_settled(const struct otter_plan *p, uint32_t size)
{
    unsigned slot = otter_plan_slot(p, size);
    return slot ? p->slot[slot] - p->pool : p->pool_size - otter_plan_fit(size);
}

uint32_t otter_plan_loss(const struct otter_plan *p, uint32_t size)
{
    return p->pool_size - otter_plan_fit(size) - otter_plan_settled(p, size);
}

uint32_t otter_plan_worst_loss(const struct otter_plan *p)
{
    uint32_t worst = 0;
    for (uint32_t size = p->low; size <= p->high; size += OTTER_BLOCK) worst = max(worst, otter_plan_loss(p, size));
    return worst;
}

/* Wherever it sits: at the bottom the next image needs a slot above it and the data, in its slot it needs the space
 * below without the data. */
uint32_t otter_plan_next(const struct otter_plan *p, uint32_t size)
{
    uint32_t taken = otter_plan_fit(size) + otter_plan_fit(p->wish.min_data), above = 0;
    unsigned slot = otter_plan_slot(p, size);
    for (unsigned i = p->slots - 1; i && p->slot[i] - p->pool >= taken; i--) above = otter_plan_room(p, i);
    if (!slot) return above;
    uint32_t below = p->slot[slot] - p->pool, kept = otter_plan_fit(p->wish.min_data);
    return below > kept ? min(above, below - kept) : 0;
}

bool otter_plan_pending(const struct otter_plan *p, uint32_t size, uint32_t next, uint32_t *data)
{
    if (next > otter_plan_next(p, size)) return false;
    unsigned slot = otter_plan_slot(p, size);
    *data = p->slot[otter_plan_slot(p, next)] - p->pool - otter_plan_fit(size);
    if (slot) *data = min(*data, p->slot[slot] - p->pool - otter_plan_fit(next));
    return true;
}

int32_t otter_plan_beside(const struct otter_plan *p, uint32_t one, uint32_t other)
{
    return (int32_t)p->pool_size - (int32_t)otter_plan_fit(one) - (int32_t)otter_plan_fit(other);
}
