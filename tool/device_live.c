/* One life of the virtual device: ROM, boot loader, then firmware with Otter in it, until it restarts, panics or loses
 * power. Its memory is this process's: a restart forgets it. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "doors/console.h"
#include "doors/push.h"
#include "otter/otter.h"
#include "ports/posix/http.h"
#include "ports/psa/crypto.h"
#include "ports/sim/bootloader.h"
#include "ports/sim/settings.h"
#include "tool/device.h"
#include "web_page.h"

enum { BACKLOG = 16, TURN_MS = 100 };

struct life {
    struct device_power *power;
    struct sim_nor nor;
    struct sim_boot_result booted;
    struct sim_life behaviour;
    struct otter_chip chip;
    struct otter_clock clock;
    struct sim_settings settings;
    struct device_files files;
    struct otter_device device;
    struct otter_update update;
    struct otter_console console;
    struct device_channel channel;
    struct device_job job;
    struct otter_push push;
    bool restart_due;
    uint32_t restart_at; /* ms */
    bool said;
};

static uint32_t real_ms(void *ctx)
{
    static struct timespec start;
    struct timespec t;
    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &t);
    if (!start.tv_sec) start = t;
    return (uint32_t)((t.tv_sec - start.tv_sec) * 1000 + (t.tv_nsec - start.tv_nsec) / 1000000);
}

static int32_t running_offset(void *ctx, uint32_t *off)
{
    const struct life *l = ctx;
    *off = l->booted.offset;
    return 0;
}

static void reboot_later(void *ctx, uint32_t delay_ms)
{
    struct life *l = ctx;
    uint32_t at = real_ms(NULL) + delay_ms;
    /* The first one asked for stands. */
    if (!l->restart_due || (int32_t)(at - l->restart_at) < 0) l->restart_at = at;
    l->restart_due = true;
}

/* ---- ROM and boot loader ---- */

static void print_log(void *ctx, char level, const char *tag, const char *text)
{
    (void)ctx;
    printf("%c (%u) %s: %s\n", level, real_ms(NULL), tag, text);
}

static void print_rom(const struct life *l)
{
    const struct device_shared *s = l->power->shared;
    const char *reason = s->lives == 1 ? "rst:0x1 (POWERON)"
                         : s->panicked ? "rst:0xc (RTC_SW_CPU_RST)"
                                       : "rst:0x3 (RTC_SW_SYS_RST)";
    printf("\nESP-ROM:%s (virtual)\n%s,boot:0xc (SPI_FAST_FLASH_BOOT)\n", l->power->options->chip->target, reason);
}

static bool boot(struct life *l)
{
    const struct device_options *o = l->power->options;
    struct sim_boot b = {
        .flash = &l->nor.port,
        .crypto = &otter_crypto_psa,
        .chip = o->chip,
        .chip_revision = o->chip_revision,
        .efuse_revision = o->efuse_revision,
        .rollback = !o->no_rollback,
        .log = print_log,
    };
    print_rom(l);
    return sim_boot(&b, &l->booted);
}

/* ---- firmware ---- */

static void print_line(void *ctx, char level, const char *text) { print_log(ctx, level, "otter", text); }

static void start_firmware(struct life *l)
{
    const struct device_options *o = l->power->options;
    l->chip = (struct otter_chip){.ctx = l,
                                  .id = o->id,
                                  .info = o->chip,
                                  .revision = o->chip_revision,
                                  .efuse_revision = o->efuse_revision,
                                  .rollback = !o->no_rollback,
                                  .running = running_offset,
                                  .reboot = reboot_later};
    l->clock = (struct otter_clock){NULL, real_ms};
    struct otter_ports ports = {
        .flash = &l->nor.port, .chip = &l->chip, .crypto = &otter_crypto_psa, .clock = &l->clock};
    if (sim_settings_open(&l->settings, &l->nor.port, &otter_crypto_psa)) ports.settings = &l->settings.port;
    if (otter_elastic_table(&l->device, &ports)) {
        ports.layout = &otter_layout_elastic;
        ports.data = device_files_elastic(&l->files, &l->nor.port);
    }
    enum otter_err e = otter_open(&l->device, &ports);
    otter_update_init(&l->update, &l->device);
    l->console.line = print_line;
    otter_health_set_policy(&l->device, &(struct otter_health_policy){
                                            .deadline_ms = l->behaviour.deadline_ms, .network = true, .app = true});
    if (o->key_count) otter_require_signature(&l->device, o->keys, o->key_count);
    otter_console_start(&l->console, &l->device, e);
}

static void open_door(struct life *l)
{
    const struct device_options *o = l->power->options;
    struct otter_push_config config = {
        .access = {.authorization = {o->user, o->token}, .hosts = {"localhost", o->hosts[0], o->hosts[1], o->hosts[2]}},
        .page = web_page,
        .page_size = sizeof web_page,
        .files = device_files_open(&l->files, l->power, &l->nor.port),
        .channel = device_channel_open(&l->channel, o, &l->update),
        .channel_part = &otter_push_channel,
        .forms = &otter_push_forms,
        .files_part = &otter_push_files,
        .data = &otter_push_data_part,
        .migrate = &otter_push_migrate_part,
        .data_waits = otter_data_waits,
        .data_forgo = otter_data_forgo,
        .boot_id = l->power->shared->boot_id,
    };
    otter_push_init(&l->push, &l->update, &config);
}

/* The firmware's own say on whether it works, by the scenario. */
static void say_when_due(struct life *l)
{
    enum sim_behaviour b = l->behaviour.behaviour;
    if (l->said || b == SIM_NEVER_CONFIRMS || real_ms(NULL) < l->behaviour.confirm_after_ms) return;
    l->said = true;
    otter_health_app(&l->device, b != SIM_UNHEALTHY);
}

static int serve(struct life *l, struct http_server *http)
{
    while (!l->restart_due || (int32_t)(l->restart_at - real_ms(NULL)) > 0) {
        if (!http_run(http, TURN_MS)) return DEVICE_PANICKED;
        say_when_due(l);
        otter_poll(&l->device);
        otter_console_events(&l->console, &l->update);
        fflush(stdout);
        if (l->nor.dead) return DEVICE_LOST_POWER;
    }
    return DEVICE_RESTARTED;
}

static int run_firmware(struct life *l)
{
    if (l->behaviour.behaviour == SIM_CRASH_AT_BOOT) {
        printf("Guru Meditation Error: Core  0 panic'ed (Load access fault). Exception was unhandled.\nRebooting...\n");
        return DEVICE_PANICKED;
    }
    start_firmware(l);
    otter_console_events(&l->console, &l->update);
    if (l->nor.dead) return DEVICE_LOST_POWER;
    /* A switch that a cut had undone was made again. */
    if (l->device.switched) return DEVICE_RESTARTED;
    open_door(l);
    bool jobs = device_job_open(&l->job, l->power->options, &l->update, &l->channel, &l->nor.dead);
    if (l->nor.dead) return DEVICE_LOST_POWER;
    if (!jobs) return DEVICE_PANICKED;
    if (listen(l->power->listen_fd, BACKLOG)) return DEVICE_PANICKED;
    if (l->behaviour.behaviour != SIM_NO_NETWORK) otter_health_network(&l->device);
    const struct otter_lock *lock = &l->channel.lock.port;
    struct http_server *http = http_start(&l->push, l->power->listen_fd, lock);
    if (!http) return DEVICE_PANICKED;
    /* Held but for where the server waits; the other threads end with the process. */
    lock->take(lock->ctx);
    if (!device_channel_start(&l->channel) || !device_job_start(&l->job)) return DEVICE_PANICKED;
    printf("I (%u) otter: listening on %s\n", real_ms(NULL), l->power->url);
    fflush(stdout);
    return serve(l, http);
}

int device_live(struct device_power *p)
{
    static struct life l;
    l.power = p;
    real_ms(NULL);
    if (otter_crypto_psa_start()) return DEVICE_CANNOT_BOOT;
    sim_nor_init(&l.nor, p->flash, p->options->flash_size, NULL);
    l.nor.real_time = p->options->real_time;
    /* A planned cut is for the first life. */
    if (p->shared->lives == 1) l.nor.cut = p->options->cut;
    int end = boot(&l) ? 0 : DEVICE_CANNOT_BOOT;
    if (l.nor.dead) end = DEVICE_LOST_POWER;
    if (!end) {
        l.behaviour = sim_scenario_find(&p->options->scenario, l.booted.image.desc.version);
        end = run_firmware(&l);
    }
    fflush(stdout);
    return end;
}
