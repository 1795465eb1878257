/* otter push --data: the data image that follows the app. */
#include "tool/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/tool.h"

enum { DATA_MAX = 32 * 1024 * 1024 };

int push_data_read(struct push *p)
{
    uint8_t digest[32];
    p->data = tool_read_file(p->data_path, DATA_MAX, &p->data_size);
    if (!p->data) return 2;
    if (!p->data_size) return tool_fail(OTTER_EMPTY, "%s: the data image is empty", p->data_path);
    if (!tool_digest(OTTER_SHA256, p->data, p->data_size, digest)) return otter_err_exit(OTTER_CRYPTO);
    tool_hex(digest, sizeof digest, p->data_sha256);
    return 0;
}

bool push_data_wanted(const struct push *p) { return strcmp(p->now.data_sha256, p->data_sha256) == 0; }

static CURL *start(const struct push *p, size_t from, struct push_text *reply, struct curl_slist **headers)
{
    char range[80];
    CURL *c = push_request(p, "/api/v1/data", push_keep_text, reply);
    if (!c) return NULL;
    snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu", from, p->data_size - 1, p->data_size);
    *headers = curl_slist_append(NULL, "Accept: application/json");
    *headers = curl_slist_append(*headers, "Content-Type: application/octet-stream");
    if (from) *headers = curl_slist_append(*headers, range);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, *headers);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, "PUT");
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(p->data_size - from));
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, p->data + from);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 60L);
    return c;
}

/* One connection. 0, an exit status, or PUSH_BROKEN. */
static int send_rest(struct push *p, size_t from)
{
    struct push_text reply = {0};
    struct curl_slist *headers = NULL;
    CURL *c = start(p, from, &reply, &headers);
    if (!c) return tool_fail(OTTER_ARG, "out of memory");
    if (p->bar) fprintf(stderr, "Sending the data image from byte %zu of %zu ...\n", from, p->data_size);
    CURLcode code = curl_easy_perform(c);
    long http = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &http);
    int status = code ? PUSH_BROKEN : http == 200 ? 0 : push_refused(p, &reply, http);
    if (code) fprintf(stderr, "otter: %s: %s\n", p->url, curl_easy_strerror(code));
    curl_easy_cleanup(c);
    curl_slist_free_all(headers);
    free(reply.data);
    return status;
}

/* After its confirmation, or a restart, the device may take a moment until it waits. */
static bool wait_until_wanted(struct push *p)
{
    struct timespec since;
    long http;
    clock_gettime(CLOCK_MONOTONIC, &since);
    do {
        if (push_get_status(p, &http) && push_data_wanted(p)) return true;
        push_pause();
    } while (push_seconds_since(&since) < (double)p->timeout_s);
    return false;
}

int push_data_deliver(struct push *p)
{
    int status = PUSH_BROKEN;
    for (int i = 0; status == PUSH_BROKEN && i <= PUSH_RETRIES; i++) {
        if (!wait_until_wanted(p)) break;
        double wanted = p->now.data_from;
        status = send_rest(p, wanted < (double)p->data_size ? (size_t)wanted : 0);
    }
    long http;
    if (status == 0) push_get_status(p, &http);
    return status == PUSH_BROKEN
               ? tool_fail(OTTER_RECEIVE,
                           "%s: the data image could not be delivered; the same command goes on with it "
                           "(receive_failed)",
                           p->url)
               : status;
}
