/* Where an object of a bucket is to be asked for: Amazon's own host names, or another server's; the bucket in the name
 * or in the path, as the aws command chooses. Source: S3's endpoint rules, as awscli 2.9 applies them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/aws.h"
#include "tool/tool.h"

struct endpoint {
    char scheme[6];
    char *authority; /* host[:port] */
    char *base;      /* path before the bucket's, without slash at its end */
};

bool s3_split(char *uri, char **bucket, char **key)
{
    static const char scheme[] = "s3://",
                      letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    if (strncmp(uri, scheme, sizeof scheme - 1) != 0) return false;
    *bucket = uri + sizeof scheme - 1;
    size_t n = strspn(*bucket, letters);
    *key = *bucket + n + ((*bucket)[n] == '/');
    if (!n || n > 255 || ((*bucket)[n] && (*bucket)[n] != '/')) return false;
    (*bucket)[n] = '\0';
    return true;
}

/* Can the bucket be the first part of a host's name that a certificate for *.HOST covers? */
static bool is_label(const char *bucket)
{
    size_t n = strlen(bucket), plain = strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n >= 3 && n <= 63 && plain == n && bucket[0] != '-' && bucket[n - 1] != '-';
}

static bool is_address(const char *authority)
{
    char host[64];
    struct in_addr ip;
    snprintf(host, sizeof host, "%.*s", (int)strcspn(authority, ":"), authority);
    return authority[0] == '[' || inet_pton(AF_INET, host, &ip) == 1;
}

static bool read_endpoint(struct endpoint *e, const char *url)
{
    bool tls = strncasecmp(url, "https://", 8) == 0;
    if (!tls && strncasecmp(url, "http://", 7) != 0) return false;
    strcpy(e->scheme, tls ? "https" : "http");
    url += tls ? 8 : 7;
    size_t host = strcspn(url, "/?#"), path = strlen(url + host);
    if (!host || memchr(url, '@', host) || strpbrk(url, "?#")) return false;
    while (path && url[host + path - 1] == '/') path--;
    e->authority = strndup(url, host);
    e->base = strndup(url + host, path);
    return e->authority && e->base;
}

static const char *domain_of(const char *region)
{
    if (strncmp(region, "cn-", 3) == 0) return "amazonaws.com.cn";
    if (strncmp(region, "us-iso-", 7) == 0) return "c2s.ic.gov";
    if (strncmp(region, "us-isob-", 8) == 0) return "sc2s.sgov.gov";
    return "amazonaws.com";
}

/* Without a region it is the global name, whose requests are signed for us-east-1. */
static bool is_global(const struct aws *a) { return !a->region || strcmp(a->region, "aws-global") == 0; }

static bool amazon_endpoint(struct endpoint *e, const struct aws *a)
{
    strcpy(e->scheme, "https");
    e->base = strdup("");
    int n = is_global(a) ? asprintf(&e->authority, "s3.amazonaws.com")
                         : asprintf(&e->authority, "s3.%s.%s", a->region, domain_of(a->region));
    if (n < 0) e->authority = NULL;
    return e->base && e->authority;
}

static bool is_virtual(const struct aws *a, const struct endpoint *e, const char *bucket)
{
    if (!is_label(bucket) || is_address(e->authority)) return false;
    return a->style == AWS_STYLE_VIRTUAL || (a->style == AWS_STYLE_AUTO && !a->endpoint);
}

/* As the Host header has it: in small letters, without the port that goes without saying. */
static void make_host(char *host, const char *scheme)
{
    static const char *const usual[] = {":443", ":80"};
    const char *port = usual[strcmp(scheme, "http") == 0];
    for (char *c = host; *c; c++) *c = (char)tolower((unsigned char)*c);
    size_t n = strlen(host), m = strlen(port);
    if (n > m && strcmp(host + n - m, port) == 0) host[n - m] = '\0';
}

static bool make_address(struct s3_address *out, const struct aws *a, const struct endpoint *e, const char *bucket,
                         const char *key)
{
    bool in_host = is_virtual(a, e, bucket);
    const char *label = in_host ? bucket : "", *dot = in_host ? "." : "";
    char *escaped = sigv4_escape(key, true);
    if (!escaped || asprintf(&out->origin, "%s://%s%s%s", e->scheme, label, dot, e->authority) < 0 ||
        asprintf(&out->host, "%s%s%s", label, dot, e->authority) < 0 ||
        asprintf(&out->path, "%s%s%s%s%s", e->base, in_host ? "" : "/", in_host ? "" : bucket,
                 in_host || *key ? "/" : "", escaped) < 0) {
        free(escaped);
        return false;
    }
    make_host(out->host, e->scheme);
    free(escaped);
    return true;
}

int s3_address(struct s3_address *out, const struct aws *a, const char *bucket, const char *key)
{
    struct endpoint e = {0};
    memset(out, 0, sizeof *out);
    int status = 0;
    if (!(a->endpoint ? read_endpoint(&e, a->endpoint) : amazon_endpoint(&e, a)))
        status = tool_fail(OTTER_ARG, "the endpoint must be http://HOST[:PORT] or https://HOST[:PORT], not \"%s\"",
                           a->endpoint ? a->endpoint : "");
    else if (!make_address(out, a, &e, bucket, key))
        status = tool_fail(OTTER_ARG, "out of memory");
    free(e.authority);
    free(e.base);
    return status;
}

void s3_address_free(struct s3_address *s)
{
    free(s->origin);
    free(s->host);
    free(s->path);
    memset(s, 0, sizeof *s);
}

struct sigv4 s3_signer(const struct aws *a)
{
    return (struct sigv4){.access_key = a->access_key,
                          .secret_key = a->secret_key,
                          .token = a->token,
                          .region = is_global(a) ? "us-east-1" : a->region,
                          .now = time(NULL)};
}

int s3_presign(char **url, const struct aws *a, const char *bucket, const char *key, unsigned seconds)
{
    struct s3_address at;
    *url = NULL;
    int status = s3_address(&at, a, bucket, key);
    if (status) return status;
    struct sigv4 s = s3_signer(a);
    struct sigv4_request get = {"GET", at.host, at.path};
    char *query = sigv4_query(&s, &get, seconds);
    if (!query || asprintf(url, "%s%s?%s", at.origin, at.path, query) < 0) {
        *url = NULL;
        status = tool_fail(OTTER_CRYPTO, "the crypto library failed, or memory is short");
    }
    free(query);
    s3_address_free(&at);
    return status;
}
