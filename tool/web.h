/* HTTP for programs that publish: one request, its whole reply in memory. */
#ifndef OTTER_TOOL_WEB_H
#define OTTER_TOOL_WEB_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WEB_REPLY_MAX = 32 * 1024 * 1024, WEB_TRIES = 4 };

/* How far a body has come, in bytes; for a bar. */
struct web_progress {
    void (*moved)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
};

struct web_request {
    const char *method; /* GET, PUT or DELETE */
    const char *url;    /* escaped */
    const struct curl_slist *headers;
    const void *body; /* NULL: none */
    size_t body_size;
    const struct web_progress *progress; /* of the body, or of the reply; NULL: nobody looks */
    bool follow;                         /* redirects, from https only to https */
    bool unpack;                         /* a compressed body is welcome */
};

struct web_reply {
    long status;   /* HTTP; 0: no reply came */
    uint8_t *data; /* to be freed; ended by a zero that size does not count; NULL with status 0 */
    size_t size;
    char *end;                 /* the URL that was answered, after redirects; to be freed; NULL with status 0 */
    char why[CURL_ERROR_SIZE]; /* with status 0 */
    bool hopeless;             /* with status 0: it will not fare better */
};

/* Another list of certificate authorities than the system's, for all requests; NULL: the system's. */
void web_trust(const char *ca_file);
void web_do(const struct web_request *r, struct web_reply *out);
void web_reply_free(struct web_reply *out);
/* May the same request fare better? Then waits, longer each time. tries: how many have been made. */
bool web_try_again(const struct web_reply *out, unsigned tries);

#endif
