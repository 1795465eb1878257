/* Figures as ratios, all taken in one run: simulated update time against the flash's floor, the engine's bytes a second
 * against SHA-256 alone. Prints a table in Markdown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/image_build.h"
#include "format/preset.h"
#include "ports/posix/crypto.h"
#include "ports/sim/world.h"

enum { FLASH = 4 << 20, SIZE = 1536 * 1024, PIECE = 4096, OTA_0 = 0x20000, OTA_1 = 0x1D0000 };

static uint8_t flash[FLASH], old_image[SIZE], new_image[SIZE + 4096];
static uint32_t old_size, new_size;
static struct sim_world world;

static uint32_t make(uint8_t *out, uint32_t room, const char *version, uint32_t payload)
{
    struct otter_image_options options;
    struct otter_image_output o = {.data = out, .room = room};
    struct otter_image_synth what = {version, "bench", payload, payload};
    otter_image_options_init(&options, otter_chip_by_id(5));
    if (otter_image_synth(&what, &options, &otter_crypto_psa, &o)) abort();
    return o.length;
}

static void fresh(void)
{
    enum otter_err e;
    const struct otter_preset *p = otter_preset_find("two_ota_large");
    memset(flash, 0xFF, sizeof flash);
    if (otter_table_write(p->row, p->rows, true, &otter_crypto_psa, flash + 0x8000)) abort();
    memcpy(flash + OTA_0, old_image, old_size);
    sim_world_init(&world, flash, FLASH, &otter_crypto_psa);
    if (!sim_world_start(&world, &e) || e) abort();
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

/* 64 KiB erases and page writes of the image, nothing else. */
static double floor_us(void)
{
    const struct sim_times *t = &sim_times_typical;
    return (double)((new_size + OTTER_BLOCK - 1) / OTTER_BLOCK) * t->erase_64k_us +
           (double)((new_size + 255) / 256) * t->page_write_us;
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

int main(void)
{
    if (otter_crypto_psa_start()) return 1;
    old_size = make(old_image, sizeof old_image, "1.0.0", 200000);
    new_size = make(new_image, sizeof new_image, "2.0.0", SIZE - 1024);
    printf(
        "Image of %u bytes; flash floor %.2f s (64 KiB erases and page writes).\n\n| figure | ratio |\n| --- | --- |\n",
        new_size, floor_us() / 1e6);
    fresh();
    row("simulated time of an update / flash floor", update_us() / floor_us());
    fresh();
    memcpy(flash + OTA_1, new_image, new_size);
    row("spare slot holds the image already / flash floor", update_us() / floor_us());
    fresh();
    memcpy(flash + OTA_1, new_image, new_size);
    for (uint32_t at = OTTER_SECTOR + 99; at < new_size; at += OTTER_BLOCK) flash[OTA_1 + at] ^= 1;
    row("near-miss (a byte in each block differs) / flash floor", update_us() / floor_us());
    row("engine's bytes a second / SHA-256's, model's copying included",
        best_of(sha_seconds) / best_of(engine_seconds));
    return 0;
}
