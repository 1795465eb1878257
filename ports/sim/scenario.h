/* How firmware behaves on the virtual device, by version: a JSON file
 *   {"1.1.0": {"behaviour": "healthy", "confirm_after_ms": 500},
 *    "*": {"behaviour": "never_confirms", "deadline_ms": 60000}}
 * "*" stands for every other version; without it they are healthy. */
#ifndef OTTER_SIM_SCENARIO_H
#define OTTER_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_behaviour {
    SIM_HEALTHY,        /* says that it works after confirm_after_ms */
    SIM_CRASH_AT_BOOT,  /* panics before it has done anything */
    SIM_NEVER_CONFIRMS, /* runs, and never says that it works */
    SIM_NO_NETWORK,     /* says that it works, but never reaches the network */
    SIM_UNHEALTHY       /* its own check fails after confirm_after_ms */
};

enum { SIM_CONFIRM_AFTER_MS = 1000, SIM_DEADLINE_MS = 300000, SIM_SCENARIO_ROWS = 32 };

struct sim_scenario {
    unsigned rows;
    struct sim_life {
        char version[33];
        enum sim_behaviour behaviour;
        uint32_t confirm_after_ms;
        uint32_t deadline_ms; /* rolled back if it is not confirmed by then */
    } row[SIM_SCENARIO_ROWS];
};

/* Reads text; false, with what is wrong in why, if it is no such file. */
bool sim_scenario_read(struct sim_scenario *s, const char *text, char *why, size_t why_size);
/* How this version behaves. */
struct sim_life sim_scenario_find(const struct sim_scenario *s, const char *version);

#endif
