/* When is firmware on trial healthy? Confirms it or gives it up, by the policy. Knows the clock and what it is told. */
#include "core/health.h"

#include <string.h>

#include "core/boot.h"
#include "core/setting.h"

/* At most so much of the time between two polls counts, so that a clock that jumps ahead, or a device that slept,
 * neither confirms firmware early nor gives it up. */
enum { POLL_MAX_MS = 2000, TRIES = 3 };

static uint32_t now(const struct otter_device *d) { return d->ports.clock->now_ms(d->ports.clock->ctx); }

/* The policy that was given, overruled by what the settings hold. */
static struct otter_health_policy policy_in_force(struct otter_device *d)
{
    struct otter_health_policy p = d->health.policy;
    uint32_t network = p.network, app = p.app;
    otter_setting_u32(d, "trial_up_ms", &p.uptime_ms);
    otter_setting_u32(d, "trial_net", &network);
    otter_setting_u32(d, "trial_app", &app);
    otter_setting_u32(d, "trial_end_ms", &p.deadline_ms);
    p.network = network != 0;
    p.app = app != 0;
    return p;
}

static void look(struct otter_device *d)
{
    struct otter_status st;
    d->health.unread = otter_boot_status(d, &st) != OTTER_OK;
    d->health.on_trial = st.can_confirm;
}

void otter_health_start(struct otter_device *d)
{
    struct otter_health *h = &d->health;
    h->policy = (struct otter_health_policy){OTTER_TRIAL_UPTIME_MS, OTTER_TRIAL_DEADLINE_MS, true, false};
    h->last_ms = now(d);
    look(d);
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

/* A clock that goes back adds nothing. */
static void count_time(struct otter_device *d)
{
    struct otter_health *h = &d->health;
    uint32_t passed = now(d) - h->last_ms;
    h->last_ms += passed;
    if (passed > INT32_MAX) return;
    if (passed > POLL_MAX_MS) passed = POLL_MAX_MS;
    h->up_ms = h->up_ms > UINT32_MAX - passed ? UINT32_MAX : h->up_ms + passed;
}

/* NULL: nothing speaks against it any more. */
static const char *missing(const struct otter_health *h, const struct otter_health_policy *p)
{
    if (p->app && !h->app_said) return "the app's own check said nothing";
    if (p->network && !h->network_seen) return "no network was reached";
    return h->up_ms < p->uptime_ms ? "it was not up long enough" : NULL;
}

static enum otter_err give_up(struct otter_device *d, const char *why)
{
    const struct otter_chip *chip = d->ports.chip;
    enum otter_err e = otter_rollback(d, why);
    if (!e) chip->reboot(chip->ctx, 0);
    return e;
}

static enum otter_err judge(struct otter_device *d)
{
    const struct otter_health *h = &d->health;
    struct otter_health_policy p = policy_in_force(d);
    const char *why = missing(h, &p);
    if (h->app_said && !h->app_works) return give_up(d, "the app's own check failed");
    if (!why) return otter_confirm(d);
    return p.deadline_ms && h->up_ms >= p.deadline_ms ? give_up(d, why) : OTTER_OK;
}

void otter_health_poll(struct otter_device *d)
{
    struct otter_health *h = &d->health;
    count_time(d);
    if (h->unread) look(d);
    /* Flash that fails is tried again, but not for ever: each try erases. */
    if (h->on_trial && !d->switched && h->failures < TRIES && judge(d)) h->failures++;
}
