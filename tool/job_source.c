/* What a job leads to: an object in a bucket, put there or found there. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/app_image.h"
#include "tool/job.h"
#include "tool/tool.h"

static int judge(struct job *j, const char *name, const uint8_t *bytes, size_t n, char chip[24])
{
    struct otter_image_check check;
    struct job_source *s = &j->source;
    uint8_t digest[32];
    j->err = app_image_judge(bytes, n, NULL, &check);
    if (j->err) return app_image_bad(name, j->err, &check);
    if (!tool_digest(OTTER_SHA256, bytes, n, digest)) return 1;
    tool_hex(digest, sizeof digest, s->sha256);
    s->size = (uint32_t)n;
    if (strlen(check.facts.desc.version) < sizeof s->version) strcpy(s->version, check.facts.desc.version);
    snprintf(chip, 24, "%s", check.facts.chip->target);
    return 0;
}

/* The name has the hash in it: other bytes never take the place of those that a device is fetching. */
static int upload(struct job *j)
{
    struct job_source *s = &j->source;
    char chip[24], *path;
    size_t n;
    uint8_t *bytes = tool_read_file(j->what, APP_IMAGE_MAX, &n);
    if (!bytes) return 2;
    int status = judge(j, j->what, bytes, n, chip);
    if (!status) status = store_open(&s->store, j->bucket, NULL, &j->wish);
    if (!status && j->create_bucket) j->err = store_make_bucket(&s->store);
    if (asprintf(&path, "jobs/%s-%.12s.bin", chip, s->sha256) < 0) path = NULL;
    if (!status && !j->err && path) j->err = store_put(&s->store, path, bytes, n, STORE_FOR_EVER);
    free(bytes);
    if (!status && j->err) status = store_fail(&s->store, j->err);
    const char *prefix = status ? "" : s->store.prefix;
    if (!status && asprintf(&s->key, "%s%s%s", prefix, *prefix ? "/" : "", path) < 0) s->key = NULL;
    free(path);
    return status || s->key ? status : tool_fail(OTTER_ARG, "out of memory");
}

static int find(struct job *j)
{
    struct job_source *s = &j->source;
    char chip[24], *folder = strdup(j->what), *slash = folder ? strrchr(folder, '/') : NULL;
    uint8_t *bytes = NULL;
    size_t n = 0;
    if (!slash || slash < folder + strlen("s3://b") || !slash[1]) {
        free(folder);
        return tool_usage_error("job send", "\"%s\" is not s3://BUCKET/KEY", j->what);
    }
    *slash = '\0';
    int status = store_open(&s->store, folder, NULL, &j->wish);
    if (!status) j->err = store_get(&s->store, slash + 1, &bytes, &n);
    if (j->err) status = store_fail(&s->store, j->err);
    if (!status) status = judge(j, j->what, bytes, n, chip);
    const char *prefix = status ? "" : s->store.prefix;
    if (!status && asprintf(&s->key, "%s%s%s", prefix, *prefix ? "/" : "", slash + 1) < 0) s->key = NULL;
    free(bytes);
    free(folder);
    return status || s->key ? status : tool_fail(OTTER_ARG, "out of memory");
}

int job_source_open(struct job *j) { return strncmp(j->what, "s3://", 5) == 0 ? find(j) : upload(j); }

void job_source_close(struct job *j)
{
    if (j->source.store.ops) store_close(&j->source.store);
    free(j->source.key);
}

int job_source_url(struct job *j, char **url)
{
    return s3_presign(url, &j->source.store.aws, j->source.store.bucket, j->source.key, (unsigned)j->expires);
}
