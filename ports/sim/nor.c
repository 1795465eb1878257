/* The NOR chip. Knows bits, pages and power; not what they hold. */
#include "ports/sim/nor.h"

#include <string.h>
#include <time.h>

enum { PAGE = 256 };

const struct sim_times sim_times_typical = {400, 45000, 120000, 150000, 50};

/* splitmix64: a cut's random bits are the same on every replay. */
static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void spend(struct sim_nor *n, uint64_t us)
{
    n->us += us;
    if (!n->real_time) return;
    /* Short operations add up before they are slept, as the system's timer is coarser than they are. */
    n->owed_us += us;
    if (n->owed_us < 1000) return;
    struct timespec t = {(time_t)(n->owed_us / 1000000), (long)(n->owed_us % 1000000) * 1000};
    nanosleep(&t, NULL);
    n->owed_us = 0;
}

static bool fault_due(struct sim_nor *n, enum sim_op op)
{
    if (!n->fault.at || n->fault.op != op || --n->fault.at) return false;
    if (n->fault.more) {
        n->fault.more--;
        n->fault.at = 1;
    }
    return true;
}

static bool bad_range(const struct sim_nor *n, uint32_t off, uint32_t len)
{
    return len > n->size || off > n->size - len;
}

/* ---- what an operation makes of the bytes, whole or cut; new == NULL is an erase: all ones ---- */

static uint8_t byte_of(const uint8_t *new, uint32_t i) { return new ? new[i] : 0xFF; }

static void change_all(uint8_t *old, const uint8_t *new, uint32_t len)
{
    if (new)
        memcpy(old, new, len);
    else
        memset(old, 0xFF, len);
}

static void tear_bits(uint8_t *old, const uint8_t *new, uint32_t len, uint64_t seed)
{
    for (uint32_t i = 0; i < len; i++) old[i] ^= (uint8_t)((old[i] ^ byte_of(new, i)) & next_random(&seed));
}

static unsigned bit_count(unsigned byte)
{
    unsigned n = 0;
    for (; byte; byte &= byte - 1) n++;
    return n;
}

static uint32_t changing_bits(const uint8_t *old, const uint8_t *new, uint32_t len)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < len; i++) bits += bit_count(old[i] ^ byte_of(new, i));
    return bits;
}

/* All bits change but the which-th of those that were to. */
static void tear_all_but_one(uint8_t *old, const uint8_t *new, uint32_t len, uint32_t which)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < len; i++) {
        unsigned kept = 0, to_change = old[i] ^ byte_of(new, i);
        for (unsigned bit = 1; bit < 256; bit <<= 1)
            if (to_change & bit && seen++ == which) kept = bit;
        old[i] ^= (uint8_t)(to_change & ~kept);
    }
}

static void tear(const struct sim_cut *cut, uint8_t *old, const uint8_t *new, uint32_t len)
{
    uint32_t prefix = cut->arg % len, bits = changing_bits(old, new, len);
    switch (cut->tear) {
    case SIM_TEAR_AFTER: change_all(old, new, len); break;
    case SIM_TEAR_PREFIX: change_all(old, new, prefix); break;
    case SIM_TEAR_RANDOM_BITS: tear_bits(old, new, len, cut->seed); break;
    case SIM_TEAR_ALL_BUT_ONE: tear_all_but_one(old, new, len, bits ? cut->arg % bits : 0); break;
    case SIM_TEAR_HALF_ERASE:
        if (new)
            change_all(old, new, prefix);
        else
            memset(old, 0, prefix);
        break;
    case SIM_TEAR_BEFORE:
    case SIM_TEAR_LOST:
    case SIM_TEAR_KINDS: break;
    }
}

static void watch(struct sim_watch *w, uint32_t off, bool erase, uint32_t len)
{
    if (off >= w->offset + w->size || w->offset >= off + len) return;
    *(erase ? &w->erases : &w->writes) += 1;
}

static int32_t change(struct sim_nor *n, uint32_t off, const uint8_t *new, uint32_t len)
{
    n->changes++;
    watch(&n->watch, off, !new, len);
    for (uint32_t s = off / OTTER_SECTOR; n->marks && s <= (off + len - 1) / OTTER_SECTOR; s++) n->marks[s] = 1;
    if (n->cut.at != n->changes) {
        change_all(n->bytes + off, new, len);
        return 0;
    }
    tear(&n->cut, n->bytes + off, new, len);
    n->dead = n->cut.tear != SIM_TEAR_LOST;
    return n->dead ? SIM_NOR_DEAD : 0;
}

/* ---- the port's three functions ---- */

static int32_t nor_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    struct sim_nor *n = ctx;
    if (n->dead) return SIM_NOR_DEAD;
    if (bad_range(n, off, len)) return SIM_NOR_MISUSE;
    n->count[SIM_READ]++;
    bool fault = fault_due(n, SIM_READ);
    if (fault && !n->fault.silent) return SIM_NOR_FAULT;
    spend(n, (uint64_t)len * n->times.read_ns / 1000);
    memcpy(dst, n->bytes + off, len);
    if (fault && len) ((uint8_t *)dst)[len / 2] ^= 0x10;
    return 0;
}

static int32_t write_page(struct sim_nor *n, uint32_t off, const uint8_t *src, uint32_t len)
{
    uint8_t result[PAGE];
    n->count[SIM_WRITE]++;
    if (fault_due(n, SIM_WRITE)) return n->fault.silent ? 0 : SIM_NOR_FAULT;
    n->bytes_written += len;
    spend(n, n->times.page_write_us);
    for (uint32_t i = 0; i < len; i++) result[i] = n->bytes[off + i] & src[i];
    return change(n, off, result, len);
}

static int32_t nor_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    struct sim_nor *n = ctx;
    if (n->dead) return SIM_NOR_DEAD;
    if (bad_range(n, off, len) || (off | len) % n->port.write_unit) return SIM_NOR_MISUSE;
    if (len > OTTER_SECTOR - off % OTTER_SECTOR) return SIM_NOR_MISUSE;
    for (uint32_t at = 0, piece; at < len; at += piece) {
        piece = PAGE - (off + at) % PAGE < len - at ? PAGE - (off + at) % PAGE : len - at;
        int32_t code = write_page(n, off + at, (const uint8_t *)src + at, piece);
        if (code) return code;
    }
    return 0;
}

static int32_t nor_erase(void *ctx, uint32_t off, uint32_t len)
{
    struct sim_nor *n = ctx;
    if (n->dead) return SIM_NOR_DEAD;
    if (!(n->port.erase_units & len) || off % len || bad_range(n, off, len)) return SIM_NOR_MISUSE;
    n->count[SIM_ERASE]++;
    if (fault_due(n, SIM_ERASE)) return n->fault.silent ? 0 : SIM_NOR_FAULT;
    n->bytes_erased += len;
    for (uint32_t s = off / OTTER_SECTOR; n->wear && s < (off + len) / OTTER_SECTOR; s++) n->wear[s]++;
    spend(n, len == OTTER_BLOCK        ? n->times.erase_64k_us
             : len == OTTER_HALF_BLOCK ? n->times.erase_32k_us
                                       : n->times.erase_4k_us);
    return change(n, off, NULL, len);
}

void sim_nor_init(struct sim_nor *n, uint8_t *bytes, uint32_t size, uint32_t *wear)
{
    memset(n, 0, sizeof *n);
    n->bytes = bytes;
    n->size = size;
    n->wear = wear;
    n->times = sim_times_typical;
    n->port =
        (struct otter_flash){n, size, 4, OTTER_SECTOR | OTTER_HALF_BLOCK | OTTER_BLOCK, nor_read, nor_write, nor_erase};
}

void sim_nor_power_on(struct sim_nor *n)
{
    n->dead = false;
    n->changes = 0;
    n->cut = (struct sim_cut){0};
    n->fault = (struct sim_fault){0};
}

const char *sim_tear_name(enum sim_tear tear)
{
    static const char *const names[SIM_TEAR_KINDS] = {"before",      "after",      "prefix", "random-bits",
                                                      "all-but-one", "half-erase", "lost"};
    return names[tear];
}
