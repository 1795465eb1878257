/* Reads scenario files. Knows JSON and names, and nothing of devices. */
#include "ports/sim/scenario.h"

#include <cJSON.h>
#include <stdio.h>
#include <string.h>

static const char *const behaviours[] = {"healthy", "crash_at_boot", "never_confirms", "no_network", "unhealthy"};

static const struct sim_life healthy = {
    .behaviour = SIM_HEALTHY, .confirm_after_ms = SIM_CONFIRM_AFTER_MS, .deadline_ms = SIM_DEADLINE_MS};

static bool read_behaviour(const cJSON *text, enum sim_behaviour *out)
{
    if (!text) return true;
    for (unsigned i = 0; cJSON_IsString(text) && i < sizeof behaviours / sizeof behaviours[0]; i++) {
        if (strcmp(text->valuestring, behaviours[i]) != 0) continue;
        *out = (enum sim_behaviour)i;
        return true;
    }
    return false;
}

static bool read_delay(const cJSON *number, uint32_t *out)
{
    if (!number) return true;
    if (!cJSON_IsNumber(number) || number->valuedouble < 0 || number->valuedouble > 3600000) return false;
    *out = (uint32_t)number->valuedouble;
    return true;
}

static const char *read_row(const cJSON *entry, struct sim_life *life)
{
    *life = healthy;
    if (strlen(entry->string) >= sizeof life->version) return "a version has at most 32 characters";
    strcpy(life->version, entry->string);
    if (!cJSON_IsObject(entry)) return "a version's value is an object";
    if (!read_behaviour(cJSON_GetObjectItem(entry, "behaviour"), &life->behaviour))
        return "\"behaviour\" is healthy, crash_at_boot, never_confirms, no_network or unhealthy";
    if (!read_delay(cJSON_GetObjectItem(entry, "confirm_after_ms"), &life->confirm_after_ms))
        return "\"confirm_after_ms\" is a number from 0 to 3600000";
    if (!read_delay(cJSON_GetObjectItem(entry, "deadline_ms"), &life->deadline_ms))
        return "\"deadline_ms\" is a number from 0 to 3600000";
    return NULL;
}

static const char *read_rows(struct sim_scenario *s, const cJSON *json)
{
    const cJSON *entry;
    if (!cJSON_IsObject(json)) return "it is no JSON object";
    cJSON_ArrayForEach(entry, json)
    {
        if (s->rows == SIM_SCENARIO_ROWS) return "it has more than 32 versions";
        const char *bad = read_row(entry, &s->row[s->rows++]);
        if (bad) return bad;
    }
    return NULL;
}

bool sim_scenario_read(struct sim_scenario *s, const char *text, char *why, size_t why_size)
{
    memset(s, 0, sizeof *s);
    cJSON *json = cJSON_Parse(text);
    const char *bad = read_rows(s, json);
    if (bad) snprintf(why, why_size, "%s", bad);
    cJSON_Delete(json);
    return !bad;
}

struct sim_life sim_scenario_find(const struct sim_scenario *s, const char *version)
{
    struct sim_life other = healthy;
    for (unsigned i = 0; i < s->rows; i++) {
        if (strcmp(s->row[i].version, version) == 0) return s->row[i];
        if (strcmp(s->row[i].version, "*") == 0) other = s->row[i];
    }
    return other;
}
