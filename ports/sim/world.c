/* Puts flash model, boot loader model and engine together. Knows their calls only. */
#include "ports/sim/world.h"

#include <string.h>

static uint32_t now_ms(void *ctx)
{
    const struct sim_world *w = ctx;
    return (uint32_t)(w->nor.us / 1000) + w->more_ms;
}

static int32_t running(void *ctx, uint32_t *off)
{
    const struct sim_world *w = ctx;
    *off = w->booted.offset;
    return 0;
}

static void reboot(void *ctx, uint32_t delay_ms)
{
    struct sim_world *w = ctx;
    (void)delay_ms;
    w->rebooted = true;
}

void sim_world_init(struct sim_world *w, uint8_t *bytes, uint32_t size, const struct otter_crypto *crypto)
{
    memset(w, 0, sizeof *w);
    sim_nor_init(&w->nor, bytes, size, NULL);
    w->crypto = crypto;
    w->chip = (struct otter_chip){
        .ctx = w, .info = &otter_chip_esp32c3, .revision = 3, .rollback = true, .running = running, .reboot = reboot};
    w->clock = (struct otter_clock){w, now_ms};
}

bool sim_world_start(struct sim_world *w, enum otter_err *err)
{
    struct sim_boot b = {.flash = &w->nor.port,
                         .crypto = w->crypto,
                         .chip = w->chip.info,
                         .chip_revision = w->chip.revision,
                         .efuse_revision = w->chip.efuse_revision,
                         .rollback = w->chip.rollback,
                         .log_ctx = w->log_ctx,
                         .log = w->log};
    struct otter_ports ports = {.flash = &w->nor.port,
                                .chip = &w->chip,
                                .crypto = w->crypto,
                                .clock = &w->clock,
                                .layout = w->layout,
                                .data = w->data};
    w->rebooted = false;
    memset(&w->device, 0, sizeof w->device);
    memset(&w->session, 0, sizeof w->session);
    if (!sim_boot(&b, &w->booted)) return false;
    if (!w->no_settings && sim_settings_open(&w->settings, &w->nor.port, w->crypto)) ports.settings = &w->settings.port;
    *err = otter_open(&w->device, &ports);
    return !w->nor.dead;
}

static enum otter_err finish(struct otter_session *s)
{
    enum otter_err e;
    while ((e = otter_finish(s)) == OTTER_AGAIN) {
    }
    return e;
}

enum otter_err sim_world_push(struct sim_world *w, const struct otter_offer *offer, const uint8_t *image, uint32_t size,
                              uint32_t piece)
{
    struct otter_offer o = offer ? *offer : (struct otter_offer){.size = size};
    o.door = "test";
    enum otter_err e = otter_begin(&w->session, &w->device, &o);
    for (uint32_t at = 0, n; !e && at < size; at += n) {
        n = size - at < piece ? size - at : piece;
        e = otter_feed(&w->session, image + at, n);
    }
    return e ? e : finish(&w->session);
}
