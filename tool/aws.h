/* Who asks an S3 server, and where it is: from options, the environment, and the files ~/.aws/credentials and
 * ~/.aws/config, in the aws command's order. */
#ifndef OTTER_TOOL_AWS_H
#define OTTER_TOOL_AWS_H

#include <stdbool.h>
#include <time.h>

#include "tool/sigv4.h"

enum aws_style { AWS_STYLE_AUTO, AWS_STYLE_PATH, AWS_STYLE_VIRTUAL };

/* What options say; NULL where they say nothing. */
struct aws_wish {
    const char *profile, *region, *endpoint, *style;
};

struct aws {
    char *access_key, *secret_key, *token; /* token NULL: none */
    char *region;                          /* NULL: none is set */
    char *endpoint;                        /* NULL: Amazon's */
    enum aws_style style;
};

/* The options that every command which speaks to S3 has; their help, and the value that val takes in getopt_long(). */
enum { AWS_OPT_PROFILE = 0x1000, AWS_OPT_REGION, AWS_OPT_ENDPOINT, AWS_OPT_STYLE };
#define AWS_OPTIONS                                                                                             \
    {"profile", 1, 0, AWS_OPT_PROFILE}, {"region", 1, 0, AWS_OPT_REGION}, {"endpoint", 1, 0, AWS_OPT_ENDPOINT}, \
        {"endpoint-url", 1, 0, AWS_OPT_ENDPOINT},                                                               \
    {                                                                                                           \
        "addressing-style", 1, 0, AWS_OPT_STYLE                                                                 \
    }
#define AWS_OPTIONS_HELP                                                                                         \
    "  --profile NAME         of ~/.aws/credentials and ~/.aws/config [AWS_PROFILE,\n"                           \
    "                         AWS_DEFAULT_PROFILE, or default]\n"                                                \
    "  --region NAME          [AWS_REGION, AWS_DEFAULT_REGION, the profile's, or us-east-1]\n"                   \
    "  --endpoint URL         another server than Amazon's; also --endpoint-url [AWS_ENDPOINT_URL_S3,\n"         \
    "                         AWS_ENDPOINT_URL, the profile's]\n"                                                \
    "  --addressing-style S   path, virtual (the bucket is part of the host's name) or auto [the profile's, or " \
    "auto]\n"
/* False: the option is none of them. */
bool aws_take_option(struct aws_wish *w, int option, const char *value);

/* 0, or an exit status (said on stderr). */
int aws_open(struct aws *a, const struct aws_wish *w);
/* Clears and frees the secrets. */
void aws_close(struct aws *a);

/* ---- where an object is ---- */

struct s3_address {
    char *origin; /* "https://bucket.s3.eu-west-1.amazonaws.com" */
    char *host;   /* for the Host header */
    char *path;   /* escaped; "/key", or with the bucket in front */
};

/* The bucket itself where key is "". 0, or an exit status (said on stderr). */
int s3_address(struct s3_address *out, const struct aws *a, const char *bucket, const char *key);
void s3_address_free(struct s3_address *s);
/* Splits "s3://bucket/key", which is cut in place; key may be empty. */
bool s3_split(char *uri, char **bucket, char **key);
/* For the address' requests, now. */
struct sigv4 s3_signer(const struct aws *a);
/* A URL with which the object can be fetched for so many seconds; to be freed. 0, or an exit status (said on stderr).
 */
int s3_presign(char **url, const struct aws *a, const char *bucket, const char *key, unsigned seconds);

#endif
