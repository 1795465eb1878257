/* What the ESP-IDF port uses of ESP-IDF (v5.1 to v6.x), declared: enough to compile it where ESP-IDF is not, so that a
 * change of doors or engine that it does not follow is found. It proves nothing of ESP-IDF itself. */
#ifndef OTTER_TESTS_ESP_IDF_IDF_H
#define OTTER_TESTS_ESP_IDF_IDF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- sdkconfig ---- */
#define CONFIG_PARTITION_TABLE_OFFSET 0x8000
#define CONFIG_HTTPD_MAX_REQ_HDR_LEN 512
#define CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE 1
#define CONFIG_OTTER_PUSH 1
#define CONFIG_OTTER_CHANNEL 1
#define CONFIG_OTTER_JOB 1
#define CONFIG_OTTER_ELASTIC 1
#define CONFIG_OTTER_FORMS 1
#define CONFIG_OTTER_DATA_IMAGE 1
#define CONFIG_OTTER_MIGRATE 1
#define CONFIG_OTTER_SIGNED 1
#define CONFIG_OTTER_LOGIN ""
#define CONFIG_OTTER_HTTPD_STACK 6144
#define CONFIG_OTTER_TASK_STACK 4096
#define CONFIG_OTTER_PULL_STACK 8192
#define CONFIG_OTTER_DATA_LABEL "data"
#define CONFIG_OTTER_DATA_PATH "/data"
#define CONFIG_OTTER_DATA_SUBTYPE 0x82
#define CONFIG_OTTER_EVENTS 16
#define CONFIG_OTTER_IDLE_MS 10000
#define CONFIG_OTTER_KEYS 3
#define CONFIG_OTTER_BANNED 4
#define OTTER_ESP_CHIP otter_chip_esp32c3

/* ---- errors, log, system ---- */
typedef int esp_err_t;
enum {
    ESP_OK = 0,
    ESP_FAIL = -1,
    ESP_ERR_NO_MEM = 0x101,
    ESP_ERR_INVALID_ARG = 0x102,
    ESP_ERR_INVALID_STATE = 0x103,
    ESP_ERR_INVALID_SIZE = 0x104,
    ESP_ERR_NOT_SUPPORTED = 0x106
};
const char *esp_err_to_name(esp_err_t e);
#define ESP_LOGE(tag, ...) (fprintf(stderr, "%s", tag), fprintf(stderr, __VA_ARGS__))
#define ESP_LOGW ESP_LOGE
#define ESP_LOGI ESP_LOGE
void esp_restart(void);
uint32_t esp_random(void);
int64_t esp_timer_get_time(void);
typedef void *esp_timer_handle_t;
typedef struct {
    void (*callback)(void *arg);
    const char *name;
} esp_timer_create_args_t;
esp_err_t esp_timer_create(const esp_timer_create_args_t *args, esp_timer_handle_t *out);
esp_err_t esp_timer_start_periodic(esp_timer_handle_t t, uint64_t us);
esp_err_t esp_efuse_mac_get_default(uint8_t *mac);
uint32_t efuse_hal_chip_revision(void);
uint32_t efuse_hal_blk_version(void);
typedef struct {
    char version[32];
} esp_app_desc_t;
const esp_app_desc_t *esp_app_get_description(void);
#define SPI_FLASH_CACHE2PHYS_FAIL UINT32_MAX
size_t spi_flash_cache2phys(const void *cached);
int mbedtls_base64_encode(unsigned char *dst, size_t size, size_t *n, const unsigned char *src, size_t src_size);

/* ---- FreeRTOS ---- */
typedef void *SemaphoreHandle_t;
typedef void *TaskHandle_t;
typedef struct {
    int held;
} StaticSemaphore_t;
enum { portMAX_DELAY = 0x7FFFFFFF, pdTRUE = 1, pdPASS = 1 };
#define pdMS_TO_TICKS(ms) ((unsigned)(ms))
int xSemaphoreTakeRecursive(SemaphoreHandle_t s, int ticks);
int xSemaphoreGiveRecursive(SemaphoreHandle_t s);
SemaphoreHandle_t xSemaphoreCreateRecursiveMutexStatic(StaticSemaphore_t *memory);
TaskHandle_t xTaskGetCurrentTaskHandle(void);
int xTaskCreate(void (*task)(void *), const char *name, int stack, void *arg, int priority, TaskHandle_t *out);
int ulTaskNotifyTake(int clear, int ticks);
void xTaskNotifyGive(TaskHandle_t task);
typedef void *QueueHandle_t;
QueueHandle_t xQueueCreate(unsigned n, size_t size);
int xQueueSend(QueueHandle_t q, const void *item, int ticks);
int xQueueReceive(QueueHandle_t q, void *item, unsigned ticks);
void vTaskDelay(unsigned ticks);
void vTaskDelete(TaskHandle_t task);

/* ---- flash, partitions, images ---- */
typedef struct {
    esp_err_t (*region_protected)(void *arg, size_t start, size_t size);
} esp_flash_os_functions_t;
typedef struct esp_flash_t {
    const esp_flash_os_functions_t *os_func;
    uint32_t size;
} esp_flash_t;
extern esp_flash_t *esp_flash_default_chip;
esp_err_t esp_flash_read(esp_flash_t *chip, void *dst, uint32_t off, uint32_t n);
esp_err_t esp_flash_write(esp_flash_t *chip, const void *src, uint32_t off, uint32_t n);
esp_err_t esp_flash_erase_region(esp_flash_t *chip, uint32_t off, uint32_t n);
esp_err_t esp_flash_read_encrypted(esp_flash_t *chip, uint32_t off, void *dst, uint32_t n);
esp_err_t esp_flash_write_encrypted(esp_flash_t *chip, uint32_t off, const void *src, uint32_t n);
bool esp_flash_encryption_enabled(void);
typedef struct {
    uint32_t offset, size;
} esp_partition_pos_t;
typedef struct {
    uint32_t image_len;
} esp_image_metadata_t;
esp_err_t esp_image_get_metadata(const esp_partition_pos_t *part, esp_image_metadata_t *out);
typedef struct {
    uint32_t address, size;
} esp_partition_t;
typedef enum { ESP_PARTITION_TYPE_DATA = 1 } esp_partition_type_t;
typedef enum { ESP_PARTITION_SUBTYPE_ANY = 0xff } esp_partition_subtype_t;
esp_err_t esp_partition_register_external(esp_flash_t *chip, size_t off, size_t size, const char *label,
                                          esp_partition_type_t type, esp_partition_subtype_t subtype,
                                          const esp_partition_t **out);
esp_err_t esp_partition_deregister_external(const esp_partition_t *p);
const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype,
                                                const char *label);
esp_err_t esp_partition_erase_range(const esp_partition_t *p, size_t off, size_t n);

/* ---- NVS, file systems ---- */
typedef uint32_t nvs_handle_t;
typedef enum { NVS_READONLY, NVS_READWRITE } nvs_open_mode_t;
enum { ESP_ERR_NVS_NOT_FOUND = 0x1102 };
esp_err_t nvs_flash_init(void);
esp_err_t nvs_open(const char *ns, nvs_open_mode_t mode, nvs_handle_t *out);
void nvs_close(nvs_handle_t n);
esp_err_t nvs_commit(nvs_handle_t n);
esp_err_t nvs_get_u32(nvs_handle_t n, const char *key, uint32_t *out);
esp_err_t nvs_get_str(nvs_handle_t n, const char *key, char *out, size_t *size);
esp_err_t nvs_get_blob(nvs_handle_t n, const char *key, void *out, size_t *size);
esp_err_t nvs_set_u32(nvs_handle_t n, const char *key, uint32_t value);
esp_err_t nvs_set_str(nvs_handle_t n, const char *key, const char *value);
esp_err_t nvs_set_blob(nvs_handle_t n, const char *key, const void *value, size_t size);
esp_err_t nvs_erase_key(nvs_handle_t n, const char *key);
typedef struct {
    const char *base_path, *partition_label;
    size_t max_files;
    bool format_if_mount_failed;
} esp_vfs_spiffs_conf_t;
esp_err_t esp_vfs_spiffs_register(const esp_vfs_spiffs_conf_t *conf);
esp_err_t esp_vfs_spiffs_unregister(const char *label);
esp_err_t esp_spiffs_format(const char *label);
esp_err_t esp_spiffs_info(const char *label, size_t *total, size_t *used);
bool esp_spiffs_mounted(const char *label);
typedef int32_t wl_handle_t;
enum { WL_INVALID_HANDLE = -1 };
typedef struct {
    bool format_if_mount_failed;
    int max_files;
} esp_vfs_fat_mount_config_t;
esp_err_t esp_vfs_fat_spiflash_mount_rw_wl(const char *path, const char *label, const esp_vfs_fat_mount_config_t *conf,
                                           wl_handle_t *out);
esp_err_t esp_vfs_fat_spiflash_unmount_rw_wl(const char *path, wl_handle_t wl);

/* ---- events, network ---- */
typedef const char *esp_event_base_t;
typedef struct esp_netif esp_netif_t;
typedef struct {
    struct {
        uint32_t addr;
    } ip;
} esp_netif_ip_info_t;
extern esp_event_base_t IP_EVENT;
enum { ESP_EVENT_ANY_ID = -1 };
enum { IP_EVENT_STA_GOT_IP, IP_EVENT_AP_STAIPASSIGNED = 2, IP_EVENT_GOT_IP6, IP_EVENT_ETH_GOT_IP };
esp_err_t esp_netif_init(void);
esp_err_t esp_event_loop_create_default(void);
esp_err_t esp_event_handler_register(esp_event_base_t base, int32_t id,
                                     void (*handler)(void *ctx, esp_event_base_t base, int32_t id, void *data),
                                     void *ctx);
esp_netif_t *esp_netif_next_unsafe(esp_netif_t *n);
bool esp_netif_is_netif_up(esp_netif_t *n);
esp_err_t esp_netif_get_ip_info(esp_netif_t *n, esp_netif_ip_info_t *out);

/* ---- HTTP server ---- */
typedef void *httpd_handle_t;
typedef enum { HTTP_DELETE, HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT } httpd_method_t;
typedef struct {
    httpd_handle_t handle;
    int method;
    const char uri[513];
    size_t content_len;
} httpd_req_t;
typedef struct {
    const char *uri;
    httpd_method_t method;
    esp_err_t (*handler)(httpd_req_t *r);
} httpd_uri_t;
typedef struct {
    size_t stack_size;
    uint16_t server_port, max_uri_handlers, recv_wait_timeout, send_wait_timeout;
    bool lru_purge_enable;
    bool (*uri_match_fn)(const char *pattern, const char *uri, size_t n);
} httpd_config_t;
#define HTTPD_DEFAULT_CONFIG() \
    {                          \
        .stack_size = 4096     \
    }
enum { HTTPD_SOCK_ERR_TIMEOUT = -3 };
bool httpd_uri_match_wildcard(const char *pattern, const char *uri, size_t n);
esp_err_t httpd_start(httpd_handle_t *out, const httpd_config_t *config);
esp_err_t httpd_register_uri_handler(httpd_handle_t h, const httpd_uri_t *uri);
size_t httpd_req_get_hdr_value_len(httpd_req_t *r, const char *name);
esp_err_t httpd_req_get_hdr_value_str(httpd_req_t *r, const char *name, char *out, size_t size);
int httpd_req_recv(httpd_req_t *r, char *buf, size_t n);
int httpd_req_to_sockfd(httpd_req_t *r);
int httpd_send(httpd_req_t *r, const char *buf, size_t n);
int httpd_socket_send(httpd_handle_t h, int fd, const char *buf, size_t n, int flags);
esp_err_t httpd_queue_work(httpd_handle_t h, void (*work)(void *arg), void *arg);
esp_err_t httpd_sess_trigger_close(httpd_handle_t h, int fd);
void httpd_sess_set_ctx(httpd_handle_t h, int fd, void *ctx, void (*free_ctx)(void *ctx));
esp_err_t httpd_resp_set_status(httpd_req_t *r, const char *status);
esp_err_t httpd_resp_send(httpd_req_t *r, const char *body, ptrdiff_t n);

/* ---- HTTP client ---- */
typedef struct esp_http_client *esp_http_client_handle_t;
typedef enum { HTTP_EVENT_ERROR, HTTP_EVENT_ON_HEADER = 3, HTTP_EVENT_DISCONNECTED = 6 } esp_http_client_event_id_t;
typedef struct {
    esp_http_client_event_id_t event_id;
    void *user_data;
    void *data;
    char *header_key, *header_value;
} esp_http_client_event_t;
typedef struct {
    const char *url, *cert_pem;
    int timeout_ms, buffer_size, buffer_size_tx;
    bool disable_auto_redirect;
    esp_err_t (*event_handler)(esp_http_client_event_t *e);
    esp_err_t (*crt_bundle_attach)(void *conf);
    void *user_data;
} esp_http_client_config_t;
enum { ESP_ERR_HTTP_EAGAIN = 0x7007 };
esp_err_t esp_crt_bundle_attach(void *conf);
esp_err_t esp_tls_get_and_clear_last_error(void *h, int *code, int *flags);
esp_http_client_handle_t esp_http_client_init(const esp_http_client_config_t *config);
esp_err_t esp_http_client_set_header(esp_http_client_handle_t c, const char *name, const char *value);
esp_err_t esp_http_client_open(esp_http_client_handle_t c, int n);
int64_t esp_http_client_fetch_headers(esp_http_client_handle_t c);
int esp_http_client_get_status_code(esp_http_client_handle_t c);
bool esp_http_client_is_chunked_response(esp_http_client_handle_t c);
bool esp_http_client_is_complete_data_received(esp_http_client_handle_t c);
esp_err_t esp_http_client_set_timeout_ms(esp_http_client_handle_t c, int ms);
int esp_http_client_read(esp_http_client_handle_t c, char *buf, int n);
esp_err_t esp_http_client_cleanup(esp_http_client_handle_t c);

/* ---- MQTT ---- */
typedef struct esp_mqtt_client *esp_mqtt_client_handle_t;
typedef enum {
    MQTT_EVENT_ANY = -1,
    MQTT_EVENT_CONNECTED = 1,
    MQTT_EVENT_DISCONNECTED,
    MQTT_EVENT_DATA = 6
} esp_mqtt_event_id_t;
typedef struct {
    char *data, *topic;
    int data_len, total_data_len, current_data_offset, topic_len;
    bool retain;
} esp_mqtt_event_t;
typedef struct {
    struct {
        struct {
            const char *uri;
        } address;
        struct {
            const char *certificate;
            esp_err_t (*crt_bundle_attach)(void *conf);
        } verification;
    } broker;
    struct {
        const char *username, *client_id;
        struct {
            const char *password, *certificate, *key;
        } authentication;
    } credentials;
    struct {
        struct {
            const char *topic, *msg;
            int qos, retain;
        } last_will;
        bool disable_clean_session;
    } session;
    struct {
        int reconnect_timeout_ms;
    } network;
    struct {
        int size;
    } buffer;
} esp_mqtt_client_config_t;
esp_mqtt_client_handle_t esp_mqtt_client_init(const esp_mqtt_client_config_t *config);
esp_err_t esp_mqtt_client_register_event(esp_mqtt_client_handle_t c, esp_mqtt_event_id_t id,
                                         void (*handler)(void *ctx, esp_event_base_t base, int32_t id, void *data),
                                         void *ctx);
esp_err_t esp_mqtt_client_start(esp_mqtt_client_handle_t c);
int esp_mqtt_client_subscribe_single(esp_mqtt_client_handle_t c, const char *topic, int qos);
int esp_mqtt_client_enqueue(esp_mqtt_client_handle_t c, const char *topic, const char *data, int n, int qos, int retain,
                            bool store);

#endif
