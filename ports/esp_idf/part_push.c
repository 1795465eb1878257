/* The push door, with the page and who may ask. */
#include <stdio.h>
#include <string.h>

#include <esp_log.h>
#include <esp_random.h>
#include <mbedtls/base64.h>
#include "doors/push.h"
#include "ports/esp_idf/http.h"
#include "ports/esp_idf/parts.h"
#include "web_page.h"

enum { LOGIN_MAX = 128 };

static struct {
    struct otter_push push;
    char basic[6 + (LOGIN_MAX + 2) / 3 * 4 + 1], bearer[7 + LOGIN_MAX + 1];
} door;

/* "Basic bmFtZTpwYXNzd29yZA==", as a browser sends it. */
static bool set_basic(const char *login)
{
    size_t n;
    memcpy(door.basic, "Basic ", 6);
    return mbedtls_base64_encode((unsigned char *)door.basic + 6, sizeof door.basic - 6, &n,
                                 (const unsigned char *)login, strlen(login)) == 0;
}

static bool set_bearer(const char *token)
{
    int n = snprintf(door.bearer, sizeof door.bearer, "Bearer %s", token);
    return n > 0 && (size_t)n < sizeof door.bearer;
}

esp_err_t otter_esp_part_push(struct otter_update *u, const struct otter_start_config *c, struct otter_channel *channel)
{
    const char *login = c->login ? c->login : CONFIG_OTTER_LOGIN;
    struct otter_push_config config = {
        .access = {.hosts = {c->hosts[0], c->hosts[1], c->hosts[2]}},
        .page = web_page,
        .page_size = sizeof web_page,
#ifdef CONFIG_OTTER_FORMS
        .forms = &otter_push_forms,
#endif
#ifdef CONFIG_OTTER_DATA_IMAGE
        .data = &otter_push_data_part,
        .data_waits = otter_data_waits,
        .data_forgo = otter_data_forgo,
#endif
#ifdef CONFIG_OTTER_MIGRATE
        .migrate = &otter_push_migrate_part,
#endif
#ifdef CONFIG_OTTER_CHANNEL
        .channel = channel,
        .channel_part = &otter_push_channel,
#endif
        .boot_id = esp_random(),
    };
    (void)channel;
    if ((login[0] && !set_basic(login)) || (c->token && !set_bearer(c->token))) {
        ESP_LOGE("otter", "login or token is longer than %d characters", LOGIN_MAX);
        return ESP_ERR_INVALID_ARG;
    }
    if (login[0]) config.access.authorization[0] = door.basic;
    if (c->token) config.access.authorization[1] = door.bearer;
    otter_push_init(&door.push, u, &config);
    return otter_esp_http_start(&door.push, c->server, c->port ? c->port : 80, !c->no_page);
}

bool otter_esp_part_watch(void (*turn)(void)) { return otter_esp_http_watch(turn); }
