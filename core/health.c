/* When is firmware on trial healthy? Confirms it or gives it up, by the policy. Knows the clock and what it is told. */
#include "core/health.h"

#include <string.h>

#include "core/boot.h"

static const char ns[] = "otter";

static uint32_t now(const struct otter_device *d) { return d->ports.clock->now_ms(d->ports.clock->ctx); }

static void read_setting(struct otter_device *d, const char *key, uint32_t *value)
{
    const struct otter_settings *s = d->ports.settings;
    uint32_t stored;
    size_t size = sizeof stored;
    if (s && s->get(s->ctx, ns, key, OTTER_SETTING_U32, &stored, &size) == 0 && size == sizeof stored) *value = stored;
}

/* The policy that was given, overruled by what the settings hold. */
static struct otter_health_policy policy_in_force(struct otter_device *d)
{
    struct otter_health_policy p = d->health.policy;
    uint32_t network = p.network, app = p.app;
    read_setting(d, "trial_up_ms", &p.uptime_ms);
    read_setting(d, "trial_net", &network);
    read_setting(d, "trial_app", &app);
    read_setting(d, "trial_end_ms", &p.deadline_ms);
    p.network = network != 0;
    p.app = app != 0;
    return p;
}

void otter_health_start(struct otter_device *d)
{
    struct otter_health *h = &d->health;
    struct otter_status st;
    otter_status(d, &st);
    memset(h, 0, sizeof *h);
    h->policy = (struct otter_health_policy){OTTER_TRIAL_UPTIME_MS, OTTER_TRIAL_DEADLINE_MS, true, false};
    h->on_trial = st.can_confirm;
    h->since_ms = now(d);
}

void otter_health_set_policy(struct otter_device *d, const struct otter_health_policy *policy)
{
    d->health.policy = *policy;
}

void otter_health_network(struct otter_device *d) { d->health.network_seen = true; }

void otter_health_app(struct otter_device *d, bool works)
{
    d->health.app_said = true;
    d->health.app_works = works;
}

/* NULL: nothing speaks against it any more. */
static const char *missing(const struct otter_health *h, const struct otter_health_policy *p, uint32_t up_ms)
{
    if (p->app && !h->app_said) return "the app's own check did not say that it works";
    if (p->network && !h->network_seen) return "the network was not reached";
    return up_ms < p->uptime_ms ? "it was not up for long enough" : NULL;
}

static void give_up(struct otter_device *d, const char *why)
{
    const struct otter_chip *chip = d->ports.chip;
    d->health.on_trial = false;
    if (otter_rollback(d, why) == OTTER_OK) chip->reboot(chip->ctx, 0);
}

void otter_health_poll(struct otter_device *d)
{
    struct otter_health *h = &d->health;
    if (!h->on_trial) return;
    struct otter_health_policy p = policy_in_force(d);
    uint32_t up_ms = now(d) - h->since_ms;
    const char *why = missing(h, &p, up_ms);
    if (h->app_said && !h->app_works) {
        give_up(d, "the app's own check failed");
    } else if (!why) {
        h->on_trial = false;
        otter_confirm(d);
    } else if (p.deadline_ms && up_ms >= p.deadline_ms) {
        give_up(d, why);
    }
}
