/* A channel in an S3 bucket: requests signed in their headers. Secrets are in no message. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/store.h"
#include "tool/tool.h"

int store_s3_open(struct store *s, const struct aws_wish *wish)
{
    s->uri = strdup(s->place);
    if (!s->uri) return tool_fail(OTTER_ARG, "out of memory");
    if (!s3_split(s->uri, &s->bucket, &s->prefix))
        return tool_fail(OTTER_ARG, "\"%s\" is not s3://BUCKET or s3://BUCKET/PREFIX", s->place);
    return aws_open(&s->aws, wish);
}

static void close_bucket(struct store *s)
{
    aws_close(&s->aws);
    free(s->uri);
}

/* ---- one request ---- */

struct exchange {
    const char *method, *key;
    const void *body;
    size_t body_size;
    const char *type, *cache; /* headers of what is stored; NULL: none */
};

static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
    char *line;
    if (!value) return true;
    if (asprintf(&line, "%s: %s", name, value) < 0) return false;
    struct curl_slist *more = curl_slist_append(*list, line);
    explicit_bzero(line, strlen(line));
    free(line);
    if (more) *list = more;
    return more != NULL;
}

static struct curl_slist *make_headers(const struct store *s, const struct exchange *x, const struct s3_address *at)
{
    uint8_t digest[32];
    char payload[65], date[17];
    struct curl_slist *list = NULL;
    struct sigv4 signer = s3_signer(&s->aws);
    struct sigv4_request r = {x->method, at->host, at->path};
    if (!tool_digest(OTTER_SHA256, x->body_size ? x->body : "", x->body_size, digest)) return NULL;
    tool_hex(digest, sizeof digest, payload);
    sigv4_date(&signer, date);
    char *authorization = sigv4_authorization(&signer, &r, payload);
    bool ok = authorization && add_header(&list, "Host", at->host) && add_header(&list, "X-Amz-Date", date) &&
              add_header(&list, "X-Amz-Content-Sha256", payload) &&
              add_header(&list, "X-Amz-Security-Token", signer.token) &&
              add_header(&list, "Authorization", authorization) && add_header(&list, "Content-Type", x->type) &&
              add_header(&list, "Cache-Control", x->cache);
    free(authorization);
    if (ok) return list;
    curl_slist_free_all(list);
    return NULL;
}

static void once(const struct store *s, const struct exchange *x, const struct s3_address *at, struct web_reply *out)
{
    char *url;
    struct curl_slist *headers = make_headers(s, x, at);
    memset(out, 0, sizeof *out);
    snprintf(out->why, sizeof out->why, "out of memory");
    if (headers && asprintf(&url, "%s%s", at->origin, at->path) >= 0) {
        struct web_request r = {.method = x->method,
                                .url = url,
                                .headers = headers,
                                .body = x->body,
                                .body_size = x->body_size,
                                .progress = s->progress};
        web_do(&r, out);
        free(url);
    }
    curl_slist_free_all(headers);
}

/* Signed anew each time: a signature is good for minutes. */
static int exchange(struct store *s, const struct exchange *x, struct web_reply *out)
{
    struct s3_address at;
    int status = s3_address(&at, &s->aws, s->bucket, x->key);
    if (status) return status;
    unsigned tries = 0;
    do {
        if (tries) web_reply_free(out);
        once(s, x, &at, out);
    } while (web_try_again(out, ++tries));
    s3_address_free(&at);
    return 0;
}

/* ---- what the server says ---- */

/* The text of an XML element without others in it; printable, cut. */
static void element(const struct web_reply *r, const char *name, char *out, size_t size)
{
    char open[32];
    size_t n = 0;
    snprintf(open, sizeof open, "<%s>", name);
    const char *at = strstr((const char *)r->data, open);
    for (at = at ? at + strlen(open) : ""; *at && *at != '<' && n < size - 1; at++)
        out[n++] = *at >= ' ' && *at <= '~' ? *at : '?';
    out[n] = '\0';
}

static const char access_denied[] = "AccessDenied";

struct remedy {
    const char *code, *text;
};
static const struct remedy remedies[] = {
    {"NoSuchBucket", "; is that its name? When something is put there, --create-bucket makes it"},
    {"InvalidAccessKeyId", "; look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or at the profile"},
    {"SignatureDoesNotMatch", "; look at AWS_SECRET_ACCESS_KEY, or at the profile"},
    {"ExpiredToken", "; the session's credentials have expired, get new ones"},
    {access_denied,
     "; these credentials need s3:GetObject, s3:PutObject and s3:DeleteObject for the bucket's objects, and "
     "s3:ListBucket "
     "for the bucket, without which what is not there is denied, too"},
    {"RequestTimeTooSkewed", "; set this computer's clock"},
    {"AuthorizationHeaderMalformed", "; is it another region? --region"},
    {"PermanentRedirect", "; the bucket is in another region: --region"},
    {"BucketAlreadyExists", "; the name belongs to somebody else, choose another"},
};

static enum otter_err refused(struct store *s, const char *path, const struct web_reply *r)
{
    char code[64], message[200];
    const char *remedy = "";
    if (!r->status) return store_http_failed(s, path, r);
    element(r, "Code", code, sizeof code);
    element(r, "Message", message, sizeof message);
    enum otter_err e = store_http_failed(s, path, r);
    for (unsigned i = 0; i < sizeof remedies / sizeof remedies[0]; i++)
        if (strcmp(remedies[i].code, code) == 0) remedy = remedies[i].text;
    s->hopeless = s->hopeless || (*remedy && strcmp(code, access_denied) != 0);
    if (*code) store_because(s, e, "%s/%s: %s: %s%s (HTTP %ld)", s->place, path, code, message, remedy, r->status);
    /* A file may be missing; that its bucket is, is something else. */
    return strcmp(code, "NoSuchBucket") == 0 ? OTTER_ARG : e;
}

/* ---- files ---- */

static enum otter_err transfer(struct store *s, const char *path, struct exchange *x, struct web_reply *reply)
{
    char *key;
    if (asprintf(&key, "%s%s%s", s->prefix, *s->prefix ? "/" : "", path) < 0)
        return store_because(s, OTTER_ARG, "out of memory");
    x->key = key;
    int status = exchange(s, x, reply);
    free(key);
    if (status) return store_because(s, OTTER_ARG, "%s: no address could be made of it", s->place);
    return reply->status >= 200 && reply->status < 300 ? OTTER_OK : refused(s, path, reply);
}

static enum otter_err get(struct store *s, const char *path, uint8_t **data, size_t *size)
{
    struct web_reply reply = {0};
    struct exchange x = {.method = "GET"};
    enum otter_err e = transfer(s, path, &x, &reply);
    if (e) {
        web_reply_free(&reply);
        return e;
    }
    *data = reply.data;
    *size = reply.size;
    reply.data = NULL;
    web_reply_free(&reply);
    return OTTER_OK;
}

static enum otter_err put(struct store *s, const char *path, const void *data, size_t size, enum store_kind kind)
{
    struct web_reply reply = {0};
    bool json = store_is_json(path);
    struct exchange x = {.method = "PUT",
                         .body = data,
                         .body_size = size,
                         .type = json ? "application/json" : "application/octet-stream",
                         .cache = kind == STORE_CHANGES ? "no-cache" : "public, max-age=31536000, immutable"};
    enum otter_err e = transfer(s, path, &x, &reply);
    web_reply_free(&reply);
    return e;
}

static enum otter_err drop(struct store *s, const char *path)
{
    struct web_reply reply = {0};
    struct exchange x = {.method = "DELETE"};
    enum otter_err e = transfer(s, path, &x, &reply);
    web_reply_free(&reply);
    return e == OTTER_NOT_FOUND ? OTTER_OK : e;
}

/* Who may not make buckets may have been given one. */
static enum otter_err look_for_bucket(struct store *s)
{
    uint8_t *data;
    size_t size;
    enum otter_err e = store_get(s, "", &data, &size);
    free(data);
    if (!s->hopeless) return OTTER_OK;
    if (e != OTTER_ARG) return e;
    return store_because(
        s, OTTER_UNAUTHORIZED,
        "%s: bucket %s is not there, and these credentials may not make it; they need s3:CreateBucket, or "
        "let somebody make it who may (%s)",
        s->place, s->bucket, otter_err_name(OTTER_UNAUTHORIZED));
}

enum otter_err store_make_bucket(struct store *s)
{
    struct web_reply reply = {0};
    char body[256] = "", code[64] = "";
    if (s->ops != &store_s3_ops) return OTTER_OK;
    const char *region = s3_signer(&s->aws).region;
    if (strcmp(region, "us-east-1") != 0)
        snprintf(body, sizeof body,
                 "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>%s"
                 "</LocationConstraint></CreateBucketConfiguration>",
                 region);
    struct exchange x = {
        .method = "PUT", .key = "", .body = body, .body_size = strlen(body), .type = "application/xml"};
    if (exchange(s, &x, &reply)) return store_because(s, OTTER_ARG, "%s: no address could be made of it", s->place);
    if (reply.data) element(&reply, "Code", code, sizeof code);
    bool made = reply.status == 200 || (reply.data && strcmp(code, "BucketAlreadyOwnedByYou") == 0);
    bool denied = reply.data && strcmp(code, access_denied) == 0;
    enum otter_err e = made || denied ? OTTER_OK : refused(s, "", &reply);
    web_reply_free(&reply);
    return denied ? look_for_bucket(s) : e;
}

const struct store_ops store_s3_ops = {get, put, drop, close_bucket};
