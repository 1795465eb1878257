/* The classical scheme of one app that takes what it needs, for comparison: to be updated, the running app copies
 * itself to the flash's end, rewrites the partition table, starts the copy, which puts the new app in the old one's
 * place; that one rewrites the table again. It keeps no record. */
#ifndef OTTER_BENCH_CLASSIC_H
#define OTTER_BENCH_CLASSIC_H

#include "ports/sim/bootloader.h"
#include "ports/sim/nor.h"

struct classic_app {
    const uint8_t *bytes;
    uint32_t size;
};

struct classic {
    struct sim_nor nor;
    const struct otter_crypto *crypto;
    struct classic_app old, new;
    struct sim_boot_result booted;
    bool start_copy; /* RTC memory: the next start is the copy's; lost with power */
};

/* A device with `old` in it. flash: size bytes, the caller's. */
void classic_init(struct classic *c, uint8_t *flash, uint32_t size, const struct otter_crypto *crypto,
                  const struct classic_app *old, const struct classic_app *new);
/* From one restart to the next until the new app has settled (true) or power goes. */
bool classic_run(struct classic *c);
/* Power is back, and with it the stock boot loader's rules: false if nothing starts. */
bool classic_power_on(struct classic *c);
bool classic_runs_new(const struct classic *c);

#endif
