/* Signs requests to S3. */
#define _GNU_SOURCE
#include "tool/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/tool.h"

enum { DIGEST = 32 };

static const char algorithm[] = "AWS4-HMAC-SHA256";

/* asprintf(), with NULL for what did not work. */
static char *text_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *text_of(const char *fmt, ...)
{
    char *text;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    return n < 0 ? NULL : text;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
}

char *sigv4_escape(const char *text, bool keep_slashes)
{
    char *out = malloc(3 * strlen(text) + 1), *to = out;
    if (!out) return NULL;
    for (; *text; text++)
        if (is_plain(*text) || (keep_slashes && *text == '/'))
            *to++ = *text;
        else
            to += sprintf(to, "%%%02X", (unsigned)(uint8_t)*text);
    *to = '\0';
    return out;
}

void sigv4_date(const struct sigv4 *s, char out[17])
{
    struct tm utc;
    gmtime_r(&s->now, &utc);
    strftime(out, 17, "%Y%m%dT%H%M%SZ", &utc);
}

/* "20261121/eu-west-1/s3/aws4_request" */
static char *scope_of(const struct sigv4 *s)
{
    char date[17];
    sigv4_date(s, date);
    return text_of("%.8s/%s/s3/aws4_request", date, s->region);
}

static bool mac(const void *key, size_t key_size, const char *text, uint8_t out[DIGEST])
{
    return HMAC(EVP_sha256(), key, (int)key_size, (const uint8_t *)text, strlen(text), out, NULL) != NULL;
}

/* The key of this day, region and service. */
static bool derive_key(const struct sigv4 *s, uint8_t key[DIGEST])
{
    char date[17];
    char *secret = text_of("AWS4%s", s->secret_key);
    if (!secret) return false;
    sigv4_date(s, date);
    date[8] = '\0';
    bool ok = mac(secret, strlen(secret), date, key) && mac(key, DIGEST, s->region, key) &&
              mac(key, DIGEST, "s3", key) && mac(key, DIGEST, "aws4_request", key);
    OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
    return ok;
}

/* Of what is to be signed: a canonical request. */
static bool sign(const struct sigv4 *s, const char *scope, const char *canonical, char signature[2 * DIGEST + 1])
{
    uint8_t digest[DIGEST], key[DIGEST];
    char date[17], hex[2 * DIGEST + 1];
    if (!EVP_Digest(canonical, strlen(canonical), digest, NULL, EVP_sha256(), NULL)) return false;
    sigv4_date(s, date);
    char *text = text_of("%s\n%s\n%s\n%s", algorithm, date, scope, tool_hex(digest, sizeof digest, hex));
    bool ok = text && derive_key(s, key) && mac(key, sizeof key, text, digest);
    OPENSSL_cleanse(key, sizeof key);
    free(text);
    if (ok) tool_hex(digest, sizeof digest, signature);
    return ok;
}

/* ---- in the query ---- */

struct query {
    char *scope, *credential, *token; /* the latter two escaped; token with its name, or empty */
    char date[17];
    unsigned seconds;
};

static bool query_start(struct query *q, const struct sigv4 *s)
{
    sigv4_date(s, q->date);
    q->scope = scope_of(s);
    char *plain = q->scope ? text_of("%s/%s", s->access_key, q->scope) : NULL;
    q->credential = plain ? sigv4_escape(plain, false) : NULL;
    char *token = sigv4_escape(s->token ? s->token : "", false);
    q->token = token ? text_of("%s%s", s->token ? "&X-Amz-Security-Token=" : "", token) : NULL;
    free(plain);
    free(token);
    return q->credential && q->token;
}

/* Names are signed in their order, but written as the aws command writes them, with the token last. */
static char *query_text(const struct query *q, bool in_order)
{
    return text_of("X-Amz-Algorithm=%s&X-Amz-Credential=%s&X-Amz-Date=%s&X-Amz-Expires=%u%s&X-Amz-SignedHeaders=host%s",
                   algorithm, q->credential, q->date, q->seconds, in_order ? q->token : "", in_order ? "" : q->token);
}

static char *signed_query(const struct query *q, const struct sigv4 *s, const struct sigv4_request *r)
{
    char signature[2 * DIGEST + 1];
    char *ordered = query_text(q, true), *shown = query_text(q, false), *canonical = NULL, *out = NULL;
    if (ordered)
        canonical = text_of("%s\n%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", r->method, r->path, ordered, r->host);
    if (canonical && shown && sign(s, q->scope, canonical, signature))
        out = text_of("%s&X-Amz-Signature=%s", shown, signature);
    free(ordered);
    free(shown);
    free(canonical);
    return out;
}

char *sigv4_query(const struct sigv4 *s, const struct sigv4_request *r, unsigned seconds)
{
    struct query q = {.seconds = seconds};
    char *out = query_start(&q, s) ? signed_query(&q, s, r) : NULL;
    free(q.scope);
    free(q.credential);
    free(q.token);
    return out;
}

/* ---- in headers ---- */

static char *canonical_request(const struct sigv4 *s, const struct sigv4_request *r, const char *payload,
                               const char *names)
{
    char date[17];
    sigv4_date(s, date);
    return text_of("%s\n%s\n\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n%s%s%s\n%s\n%s", r->method, r->path,
                   r->host, payload, date, s->token ? "x-amz-security-token:" : "", s->token ? s->token : "",
                   s->token ? "\n" : "", names, payload);
}

char *sigv4_authorization(const struct sigv4 *s, const struct sigv4_request *r, const char *payload)
{
    char signature[2 * DIGEST + 1];
    const char *names =
        s->token ? "host;x-amz-content-sha256;x-amz-date;x-amz-security-token" : "host;x-amz-content-sha256;x-amz-date";
    char *scope = scope_of(s), *canonical = canonical_request(s, r, payload, names), *out = NULL;
    if (scope && canonical && sign(s, scope, canonical, signature))
        out = text_of("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s", algorithm, s->access_key, scope, names,
                      signature);
    free(scope);
    free(canonical);
    return out;
}
