/* Figures as ratios, all taken in one run: simulated update time against the flash's floor, with fixed slots and
 * elastic ones, over networks of several speeds too; the longest call; the engine's bytes a second against SHA-256
 * alone. Prints tables in Markdown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/given.h"
#include "format/preset.h"
#include "ports/psa/crypto.h"
#include "ports/sim/world.h"

enum { PIECE = 4096, OTA_0 = 0x20000, OTA_1 = 0x1D0000, HIGH = 0x280000, DATA = 0x5A, WINDOW = 16384 };

static uint8_t flash[GIVEN_FLASH], old_image[GIVEN_SIZE], new_image[GIVEN_SIZE];
static uint32_t old_size, new_size;
static struct sim_world world;

static void fresh(void)
{
    enum otter_err e;
    const struct otter_preset *p = otter_preset_find("two_ota_large");
    memset(flash, 0xFF, sizeof flash);
    if (otter_table_write(p->row, p->rows, true, &otter_crypto_psa, flash + GIVEN_TABLE)) abort();
    memcpy(flash + OTA_0, old_image, old_size);
    sim_world_init(&world, flash, GIVEN_FLASH, &otter_crypto_psa);
    if (!sim_world_start(&world, &e) || e) abort();
}

/* The spare slot holds the image, with `flip` turned over in a byte of each block. */
static void same_but(uint8_t flip)
{
    fresh();
    memcpy(flash + OTA_1, new_image, new_size);
    for (uint32_t at = OTTER_SECTOR + 99; at < new_size; at += OTTER_BLOCK) flash[OTA_1 + at] ^= flip;
}

/* Simulated microseconds of one update. */
static double update_us(void)
{
    enum otter_err e;
    uint64_t start;
    sim_nor_power_on(&world.nor);
    if (!sim_world_start(&world, &e)) abort();
    start = world.nor.us;
    if (sim_world_push(&world, NULL, new_image, new_size, PIECE)) abort();
    return (double)(world.nor.us - start);
}

static double floor_us(void) { return given_floor_us(new_size); }

/* ---- the longest call ---- */

static double longest_us;

static void took(uint64_t since)
{
    double us = (double)(world.nor.us - since);
    if (us > longest_us) longest_us = us;
}

static void begin(void)
{
    enum otter_err e;
    struct otter_offer offer = {.door = "bench", .size = new_size};
    sim_nor_power_on(&world.nor);
    if (!sim_world_start(&world, &e) || otter_begin(&world.session, &world.device, &offer)) abort();
}

static void feed(uint32_t at, uint32_t n)
{
    uint64_t start = world.nor.us;
    if (otter_feed(&world.session, new_image + at, n)) abort();
    took(start);
}

static void finish(void)
{
    enum otter_err e;
    do {
        uint64_t start = world.nor.us;
        e = otter_finish(&world.session);
        took(start);
    } while (e == OTTER_AGAIN);
    if (e) abort();
}

static uint32_t piece_at(uint32_t at) { return new_size - at < PIECE ? new_size - at : PIECE; }

/* The longest otter_feed() or otter_finish() of one update into what the slot holds; longest_us is left as that of all
 * but the first, which writes the update's record besides. */
static double longest_call_us(void)
{
    longest_us = 0;
    begin();
    feed(0, piece_at(0));
    double first = longest_us;
    longest_us = 0;
    for (uint32_t at = PIECE; at < new_size; at += PIECE) feed(at, piece_at(at));
    finish();
    return first > longest_us ? first : longest_us;
}

static double block_us(void)
{
    const struct sim_times *t = &sim_times_typical;
    return t->erase_64k_us + (double)(OTTER_BLOCK / 256) * t->page_write_us;
}

static double erase_us(void) { return sim_times_typical.erase_64k_us; }

/* ---- over a network ---- */

/* Bytes come at their rate into the window while the flash works, and stop when it is full. */
struct link {
    double bytes_per_us, held, come, waited_us;
};

static void pass(struct link *l, double us)
{
    double n = us * l->bytes_per_us;
    if (n > WINDOW - l->held) n = WINDOW - l->held;
    if (n > new_size - l->come) n = new_size - l->come;
    l->held += n;
    l->come += n;
}

/* Waits until n bytes are there and takes them. */
static void take(struct link *l, uint32_t n)
{
    double us = l->held < n ? (n - l->held) / l->bytes_per_us : 0;
    l->waited_us += us;
    pass(l, us);
    l->held -= n;
}

static double networked_us(double mbit)
{
    struct link l = {.bytes_per_us = mbit / 8};
    begin();
    uint64_t start = world.nor.us;
    for (uint32_t at = 0; at < new_size; at += PIECE) {
        uint64_t before = world.nor.us;
        take(&l, piece_at(at));
        feed(at, piece_at(at));
        pass(&l, (double)(world.nor.us - before));
    }
    finish();
    return (double)(world.nor.us - start) + l.waited_us;
}

/* ESP-IDF's sequential writes as a model: each sector is erased by itself, then written; at the end the image is read
 * back and one sector of otadata renewed. */
static double sequential_us(double mbit)
{
    const struct sim_times *t = &sim_times_typical;
    struct link l = {.bytes_per_us = mbit / 8};
    double busy = (double)new_size * t->read_ns / 1000 + t->erase_4k_us + t->page_write_us;
    for (uint32_t at = 0; at < new_size; at += PIECE) {
        double us = t->erase_4k_us + (double)((piece_at(at) + 255) / 256) * t->page_write_us;
        take(&l, piece_at(at));
        pass(&l, us);
        busy += us;
    }
    return busy + l.waited_us;
}

static void network_row(double mbit)
{
    fresh();
    double otter = networked_us(mbit), wire = new_size / (mbit / 8), other = sequential_us(mbit);
    double least = wire > floor_us() ? wire : floor_us();
    printf("| %.0f Mbit/s | %.2f s | %.2f s | %.2f | %.2f | %.2f s | %.2f |\n", mbit, wire / 1e6, otter / 1e6,
           otter / floor_us(), otter / least, other / 1e6, other / otter);
}

static void network_table(void)
{
    printf(
        "\n| link | network alone | update | / flash floor | / the slower of both | sequential 4 KiB erases | / update "
        "|\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n");
    network_row(1);
    network_row(5);
    network_row(20);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double sha_seconds(void)
{
    struct otter_hash h;
    uint8_t digest[32];
    double start = seconds();
    otter_crypto_psa.hash_start(NULL, &h, OTTER_SHA256);
    otter_crypto_psa.hash_update(NULL, &h, new_image, new_size);
    otter_crypto_psa.hash_finish(NULL, &h, digest);
    return seconds() - start;
}

static double engine_seconds(void)
{
    fresh();
    double start = seconds();
    update_us();
    return seconds() - start;
}

static double best_of(double (*f)(void))
{
    double best = 1e9;
    for (int i = 0; i < 9; i++) {
        double s = f();
        if (s < best) best = s;
    }
    return best;
}

static void row(const char *what, double ratio) { printf("| %s | %.2f |\n", what, ratio); }

/* ---- elastic slots ---- */

/* An app as large as the new one runs there, and data has all the rest of the pool. */
static void fresh_elastic(uint32_t at)
{
    enum otter_err e;
    memset(flash, 0xFF, GIVEN_POOL);
    memset(flash + GIVEN_POOL, DATA, sizeof flash - GIVEN_POOL);
    given_elastic_table(flash + GIVEN_TABLE);
    memcpy(flash + at, old_image, old_size);
    sim_world_init(&world, flash, GIVEN_FLASH, &otter_crypto_psa);
    world.layout = &otter_layout_elastic;
    if (!sim_world_start(&world, &e) || e || world.booted.offset != at) abort();
}

static void elastic_row(const char *where, uint32_t from)
{
    fresh_elastic(from);
    double us = update_us();
    fresh_elastic(from);
    double call = longest_call_us();
    printf("| %s | %.2f | %.2f | %.2f |\n", where, us / floor_us(), call / block_us(), longest_us / erase_us());
}

static void elastic_table(void)
{
    old_size = given_image(old_image, sizeof old_image, "1.0.0", GIVEN_SIZE - 1024);
    printf(
        "\n| elastic slots | simulated time / flash floor | longest call / a block's erase and writes | but the first "
        "/ one "
        "block's erase |\n| --- | --- | --- | --- |\n");
    elastic_row("from the bottom to a high slot", GIVEN_POOL);
    elastic_row("from there to the bottom", HIGH);
}

/* "update": one update and nothing else, for who counts its instructions. */
int main(int argc, char **argv)
{
    if (otter_crypto_psa_start()) return 1;
    old_size = given_image(old_image, sizeof old_image, "1.0.0", 200000);
    new_size = given_image(new_image, sizeof new_image, "2.0.0", GIVEN_SIZE - 1024);
    if (argc > 1 && strcmp(argv[1], "update") == 0) {
        fresh();
        update_us();
        return 0;
    }
    printf(
        "Image of %u bytes; flash floor %.2f s (64 KiB erases and page writes).\n\n| figure | ratio |\n| --- | --- |\n",
        new_size, floor_us() / 1e6);
    fresh();
    row("simulated time of an update / flash floor", update_us() / floor_us());
    fresh();
    row("longest call / a block's erase and writes", longest_call_us() / block_us());
    row("longest call but the first / one block's erase", longest_us / erase_us());
    same_but(0);
    row("spare slot holds the image already / flash floor", update_us() / floor_us());
    same_but(1);
    row("near-miss (a byte in each block differs) / flash floor", update_us() / floor_us());
    same_but(1);
    row("longest call of a near-miss / a block's erase and writes", longest_call_us() / block_us());
    row("engine's bytes a second / SHA-256's, model's copying included",
        best_of(sha_seconds) / best_of(engine_seconds));
    network_table();
    elastic_table();
    return 0;
}
