/* otter_settings over NVS. */
#include <nvs.h>
#include "ports/esp_idf/include/otter_esp.h"

static esp_err_t get_value(nvs_handle_t n, const char *key, enum otter_setting kind, void *out, size_t *size)
{
    switch (kind) {
    case OTTER_SETTING_U32:
        if (*size < sizeof(uint32_t)) return ESP_ERR_INVALID_SIZE;
        *size = sizeof(uint32_t);
        return nvs_get_u32(n, key, out);
    case OTTER_SETTING_STRING: return nvs_get_str(n, key, out, size);
    case OTTER_SETTING_BLOB: return nvs_get_blob(n, key, out, size);
    }
    return ESP_ERR_INVALID_ARG;
}

static int32_t get(void *ctx, const char *ns, const char *key, enum otter_setting kind, void *out, size_t *size)
{
    nvs_handle_t n;
    (void)ctx;
    esp_err_t e = nvs_open(ns, NVS_READONLY, &n);
    if (!e) {
        e = get_value(n, key, kind, out, size);
        nvs_close(n);
    }
    if (e != ESP_ERR_NVS_NOT_FOUND) return e;
    *size = 0;
    return 0;
}

static esp_err_t set_value(nvs_handle_t n, const char *key, enum otter_setting kind, const void *data, size_t size)
{
    switch (kind) {
    case OTTER_SETTING_U32: return nvs_set_u32(n, key, *(const uint32_t *)data);
    case OTTER_SETTING_STRING: return nvs_set_str(n, key, data);
    case OTTER_SETTING_BLOB: return nvs_set_blob(n, key, data, size);
    }
    return ESP_ERR_INVALID_ARG;
}

static int32_t set(void *ctx, const char *ns, const char *key, enum otter_setting kind, const void *data, size_t size)
{
    nvs_handle_t n;
    (void)ctx;
    esp_err_t e = nvs_open(ns, NVS_READWRITE, &n);
    if (e) return e;
    e = set_value(n, key, kind, data, size);
    if (!e) e = nvs_commit(n);
    nvs_close(n);
    return e;
}

static int32_t erase(void *ctx, const char *ns, const char *key)
{
    nvs_handle_t n;
    (void)ctx;
    esp_err_t e = nvs_open(ns, NVS_READWRITE, &n);
    if (e) return e;
    e = nvs_erase_key(n, key);
    if (!e) e = nvs_commit(n);
    nvs_close(n);
    return e == ESP_ERR_NVS_NOT_FOUND ? 0 : e;
}

const struct otter_settings otter_esp_settings = {NULL, get, set, erase};
