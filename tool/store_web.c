/* A channel behind a URL: what a device would fetch. */
#include <stdlib.h>
#include <string.h>

#include "tool/store.h"

/* place + "/" + path, as a browser would resolve it; to be freed with curl_free(). */
static char *resolve(const struct store *s, const char *path)
{
    char *url = NULL;
    CURLU *u = curl_url();
    if (!u) return NULL;
    size_t n = strlen(s->place);
    char *base = malloc(n + 2);
    if (base) {
        memcpy(base, s->place, n);
        memcpy(base + n, "/", 2);
        if (curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
            curl_url_set(u, CURLUPART_URL, path, 0) == CURLUE_OK)
            curl_url_get(u, CURLUPART_URL, &url, 0);
    }
    free(base);
    curl_url_cleanup(u);
    return url;
}

static enum otter_err get(struct store *s, const char *path, uint8_t **data, size_t *size)
{
    char *url = resolve(s, path);
    if (!url) return store_because(s, OTTER_NOT_FOUND, "%s: \"%s\" makes no URL", s->place, path);
    struct web_request r = {
        .method = "GET", .url = url, .follow = true, .progress = s->progress, .unpack = store_is_json(path)};
    struct web_reply reply;
    unsigned tries = 0;
    do {
        if (tries) web_reply_free(&reply);
        web_do(&r, &reply);
    } while (web_try_again(&reply, ++tries));
    curl_free(url);
    if (reply.status == 200) {
        *data = reply.data;
        *size = reply.size;
        free(s->end);
        s->end = reply.end;
        return OTTER_OK;
    }
    enum otter_err e = store_http_failed(s, path, &reply);
    web_reply_free(&reply);
    return e;
}

const struct store_ops store_web_ops = {get, NULL, NULL, NULL};
