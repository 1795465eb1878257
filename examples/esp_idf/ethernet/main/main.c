/* Otter over Ethernet: http://ADDRESS/ for the page, the same HTTP API as everywhere on port 80. */
#include <esp_log.h>
#include <otter_esp.h>
#include <stdlib.h>

#include "ethernet.h"

static const struct otter_health_policy policy = {
    .uptime_ms = 3000,
    .deadline_ms = CONFIG_EXAMPLE_DEADLINE_S * 1000,
    .network = true,
    .app = true,
};

#if CONFIG_EXAMPLE_BALLAST_KB
/* Elastic flash is about sizes. The linker keeps only what is read. */
static const volatile char ballast[CONFIG_EXAMPLE_BALLAST_KB * 1024] = "ballast";
static void keep_ballast(void) { (void)ballast[0]; }
#else
static void keep_ballast(void) {}
#endif

/* Here a product asks itself whether it works: sensors, cloud, user interface. */
static void check_itself(void)
{
#if CONFIG_EXAMPLE_HEALTHY
    otter_esp_app_works(true);
#elif CONFIG_EXAMPLE_UNHEALTHY
    otter_esp_app_works(false);
#endif
}

#ifdef EXAMPLE_HAS_CA
extern const char example_ca[];
#endif

void app_main(void)
{
    keep_ballast();
#if CONFIG_EXAMPLE_CRASHES
    ESP_LOGE("example", "this firmware crashes at boot");
    abort();
#endif
    ESP_ERROR_CHECK(ethernet_start());
    const struct otter_start_config config = {
        .policy = &policy,
#ifdef CONFIG_EXAMPLE_CHANNEL
        .channels = {{"stable", CONFIG_EXAMPLE_CHANNEL_URL}},
#endif
#ifdef CONFIG_EXAMPLE_JOB
        .broker = {.url = CONFIG_EXAMPLE_BROKER_URL,
                   .user = CONFIG_EXAMPLE_BROKER_USER[0] ? CONFIG_EXAMPLE_BROKER_USER : NULL,
                   .password = CONFIG_EXAMPLE_BROKER_PASSWORD},
#endif
#ifdef EXAMPLE_HAS_CA
        .ca_pem = example_ca,
#endif
    };
    if (otter_start(&config) == ESP_OK) check_itself();
}
