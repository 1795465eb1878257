/* HTTP over libcurl. */
#include "tool/web.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { CONNECT_S = 15, STALL_S = 60, REDIRECTS = 5 };

static const char *trusted; /* a file of certificates */

void web_trust(const char *ca_file) { trusted = ca_file && *ca_file ? ca_file : NULL; }

static size_t keep(char *data, size_t size, size_t n, void *ctx)
{
    struct web_reply *out = ctx;
    n *= size;
    if (n > WEB_REPLY_MAX - out->size) return 0;
    uint8_t *more = realloc(out->data, out->size + n + 1);
    if (!more) return 0;
    out->data = more;
    memcpy(more + out->size, data, n);
    out->size += n;
    more[out->size] = '\0';
    return n;
}

static int moved(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    const struct web_request *r = ctx;
    uint64_t done = (uint64_t)(r->body ? up : down), total = (uint64_t)(r->body ? up_total : down_total);
    if (total) r->progress->moved(r->progress->ctx, done, total);
    return 0;
}

static void set_body(CURL *c, const struct web_request *r)
{
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body ? r->body : "");
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, r->method);
}

static CURLcode perform(CURL *c, const struct web_request *r, struct web_reply *out)
{
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, strncasecmp(r->url, "https:", 6) == 0 ? "https" : "http,https");
    if (trusted) curl_easy_setopt(c, CURLOPT_CAINFO, trusted);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, r->follow ? 1L : 0L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L); /* the path was signed as it stands */
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, out->why);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, r->progress ? 0L : 1L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, moved);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, r);
    if (r->unpack) curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
    if (strcmp(r->method, "GET") != 0) set_body(c, r);
    return curl_easy_perform(c);
}

static bool is_hopeless(CURLcode code)
{
    static const CURLcode all[] = {CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_PEER_FAILED_VERIFICATION,
                                   CURLE_TOO_MANY_REDIRECTS,   CURLE_WRITE_ERROR,   CURLE_SSL_CACERT_BADFILE,
                                   CURLE_OUT_OF_MEMORY};
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        if (code == all[i]) return true;
    return false;
}

static void keep_facts(CURL *c, struct web_reply *out)
{
    const char *url = NULL;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &out->status);
    curl_easy_getinfo(c, CURLINFO_EFFECTIVE_URL, &url);
    out->end = url ? strdup(url) : NULL;
}

void web_do(const struct web_request *r, struct web_reply *out)
{
    memset(out, 0, sizeof *out);
    CURL *c = curl_easy_init();
    out->data = calloc(1, 1);
    CURLcode code = c && out->data ? perform(c, r, out) : CURLE_OUT_OF_MEMORY;
    if (!code) keep_facts(c, out);
    if (code && !*out->why) strcpy(out->why, curl_easy_strerror(code));
    out->hopeless = is_hopeless(code);
    curl_easy_cleanup(c);
    if (out->status) return;
    free(out->data);
    out->data = NULL;
    out->size = 0;
}

void web_reply_free(struct web_reply *out)
{
    free(out->data);
    free(out->end);
    out->data = NULL;
    out->end = NULL;
}

bool web_try_again(const struct web_reply *out, unsigned tries)
{
    struct timespec pause = {0, 250L * 1000 * 1000 << (tries - 1)};
    if ((out->status && out->status < 500) || out->hopeless || tries >= WEB_TRIES) return false;
    pause.tv_sec = pause.tv_nsec / 1000000000;
    pause.tv_nsec %= 1000000000;
    nanosleep(&pause, NULL);
    return true;
}
