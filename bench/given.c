/* Makes what the figures are taken on. */
#include "bench/given.h"

#include <stdlib.h>

#include "format/image_build.h"
#include "format/plan.h"
#include "ports/psa/crypto.h"
#include "ports/sim/nor.h"

uint32_t given_image(uint8_t *out, uint32_t room, const char *version, uint32_t payload)
{
    struct otter_image_options options;
    struct otter_image_output o = {.data = out, .room = room};
    struct otter_image_synth what = {version, "bench", payload, payload};
    otter_image_options_init(&options, otter_chip_by_id(5));
    if (otter_image_synth(&what, &options, &otter_crypto_psa, &o)) abort();
    return o.length;
}

void given_elastic_table(uint8_t *out)
{
    struct otter_plan plan;
    struct otter_partition row[OTTER_PLAN_ROWS];
    struct otter_plan_wish wish = {.flash_size = GIVEN_FLASH,
                                   .nvs = OTTER_PLAN_NVS,
                                   .app = GIVEN_SIZE,
                                   .grow = GIVEN_SIZE / 2,
                                   .shrink = GIVEN_SIZE / 4};
    if (otter_plan_make(&plan, &wish)) abort();
    if (otter_table_write(row, otter_plan_rows(&plan, row), true, &otter_crypto_psa, out)) abort();
}

double given_floor_us(uint32_t size)
{
    const struct sim_times *t = &sim_times_typical;
    return (double)((size + OTTER_BLOCK - 1) / OTTER_BLOCK) * t->erase_64k_us +
           (double)((size + 255) / 256) * t->page_write_us;
}
