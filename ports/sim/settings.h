/* otter_settings over the NVS partition of a flash, as the virtual device keeps them. */
#ifndef OTTER_SIM_SETTINGS_H
#define OTTER_SIM_SETTINGS_H

#include <stdbool.h>

#include "core/nvs.h"
#include "otter/port.h"

struct sim_settings {
    struct otter_nvs nvs;
    struct otter_settings port;
};

/* Opens the partition called "nvs", else the first of that kind; false if there is none, or it cannot be opened. */
bool sim_settings_open(struct sim_settings *s, const struct otter_flash *flash, const struct otter_crypto *crypto);

#endif
