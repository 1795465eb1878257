/* A product with all of it: its own pages on its own HTTP server beside Otter's, its own settings, its own check of
 * whether it works, elastic flash with files in what the app leaves, a login, and a network to join beside the one it
 * opens. */
#include <esp_err.h>
#include <esp_http_server.h>
#include <esp_log.h>
#include <nvs.h>
#include <nvs_flash.h>
#include <otter_esp.h>
#include <stdio.h>

static const char TAG[] = "full";

static const struct otter_health_policy policy = {
    .uptime_ms = 15000,    /* up for 15 s, */
    .deadline_ms = 180000, /* within 3 minutes, */
    .network = true,       /* reached the network, */
    .app = true,           /* and says itself that it works: otter_esp_app_works() */
};

/* ---- the product's own ---- */

static uint32_t count_starts(void)
{
    nvs_handle_t n;
    uint32_t starts = 0;
    ESP_ERROR_CHECK(nvs_open("full", NVS_READWRITE, &n));
    nvs_get_u32(n, "starts", &starts);
    nvs_set_u32(n, "starts", ++starts);
    nvs_commit(n);
    nvs_close(n);
    return starts;
}

static esp_err_t say_hello(httpd_req_t *req) { return httpd_resp_sendstr(req, "Hello! Updates are at /\n"); }

static httpd_handle_t start_server(void)
{
    httpd_handle_t server;
    httpd_config_t config = HTTPD_DEFAULT_CONFIG();
    config.stack_size = 6656;                       /* what Otter's requests need */
    config.max_uri_handlers = 24;                   /* Otter takes 20 of them */
    config.uri_match_fn = httpd_uri_match_wildcard; /* Otter's paths have a * in them */
    config.lru_purge_enable = true;                 /* so that nobody shuts others out by keeping connections */
    ESP_ERROR_CHECK(httpd_start(&server, &config));
    const httpd_uri_t hello = {.uri = "/hello", .method = HTTP_GET, .handler = say_hello};
    ESP_ERROR_CHECK(httpd_register_uri_handler(server, &hello));
    return server;
}

/* Files of the product, in the data region of an elastic flash; a table with fixed slots has none. */
static bool write_a_file(uint32_t starts)
{
    FILE *f = fopen(CONFIG_OTTER_DATA_PATH "/starts.txt", "w");
    if (!f) return false;
    fprintf(f, "%lu\n", (unsigned long)starts);
    return fclose(f) == 0;
}

void app_main(void)
{
    ESP_ERROR_CHECK(nvs_flash_init());
    uint32_t starts = count_starts();
    ESP_ERROR_CHECK(otter_esp_access_point("Otter full example", "change-me-too"));
    if (CONFIG_FULL_WIFI_SSID[0]) ESP_ERROR_CHECK(otter_esp_station(CONFIG_FULL_WIFI_SSID, CONFIG_FULL_WIFI_PASSWORD));
    const struct otter_start_config config = {.policy = &policy, .server = start_server(), .hosts = {"otter.local"}};
    ESP_ERROR_CHECK(otter_start(&config));
    ESP_LOGI(TAG, "start %lu; files: %s", (unsigned long)starts, write_a_file(starts) ? "written" : "none");
    otter_esp_app_works(true);
}
