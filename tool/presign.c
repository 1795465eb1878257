/* otter presign: a URL that lets who has it fetch one object of an S3 bucket, for a time. Asks no network. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/aws.h"
#include "tool/commands.h"
#include "tool/json.h"
#include "tool/tool.h"

enum { DEFAULT_S = 3600, MAX_S = 7 * 24 * 3600 };

static const char help_text[] =
    "Usage: otter presign s3://BUCKET/KEY [OPTION]...\n"
    "Prints a URL with which anybody can fetch the object until it expires: the one that aws s3 presign prints.\n"
    "No server is asked, so whether the object is there, and the credentials are right, shows when it is fetched.\n"
    "\n"
    "  --expires SECONDS      1 to 604800 (7 days); also --expires-in [3600]\n" AWS_OPTIONS_HELP
    "  --json                 print JSON\n"
    "\n"
    "Credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, else the profile's; with --profile\n"
    "the profile's alone. With credentials of a session the URL ends with these, however long it was to live.\n"
    "AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE name other files than those in ~/.aws.\n"
    "\n"
    "Exit status: 0 done, 2 wrong command line or settings, 4 no credentials.\n";

struct request {
    struct aws_wish wish;
    uint64_t seconds;
    bool json;
    char *bucket, *key;
};

static int read_options(struct request *r, int argc, char **argv)
{
    enum { OPT_EXPIRES = 1, OPT_JSON, OPT_HELP };
    static const struct option options[] = {
        {"expires", 1, 0, OPT_EXPIRES}, {"expires-in", 1, 0, OPT_EXPIRES}, AWS_OPTIONS,
        {"json", 0, 0, OPT_JSON},       {"help", 0, 0, OPT_HELP},          {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == OPT_HELP || option == 'h') {
            fputs(help_text, stdout);
            exit(0);
        }
        if (option == OPT_JSON)
            r->json = true;
        else if (option != OPT_EXPIRES && !aws_take_option(&r->wish, option, optarg))
            return tool_usage_error("presign", "the command line is wrong");
        else if (option == OPT_EXPIRES && (tool_number(optarg, MAX_S, &r->seconds) || !r->seconds))
            return tool_usage_error("presign", "--expires takes 1 to %d seconds, not \"%s\"", MAX_S, optarg);
    }
    if (argc - optind != 1) return tool_usage_error("presign", "it takes one s3://BUCKET/KEY");
    if (!s3_split(argv[optind], &r->bucket, &r->key) || !*r->key)
        return tool_usage_error("presign", "\"%s\" is not s3://BUCKET/KEY", argv[optind]);
    return 0;
}

static void print(const struct request *r, const struct sigv4 *s, const char *url)
{
    char until[32];
    struct tm utc;
    time_t end = s->now + (time_t)r->seconds;
    if (!r->json) {
        puts(url);
        return;
    }
    gmtime_r(&end, &utc);
    strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", &utc);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "url", url);
    cJSON_AddStringToObject(o, "method", "GET");
    cJSON_AddStringToObject(o, "bucket", r->bucket);
    cJSON_AddStringToObject(o, "key", r->key);
    cJSON_AddStringToObject(o, "region", s->region);
    cJSON_AddNumberToObject(o, "expires_in", (double)r->seconds);
    cJSON_AddStringToObject(o, "expires", until);
    tool_print_json(o);
}

static int presign(const struct request *r, const struct aws *a)
{
    char *url;
    struct sigv4 s = s3_signer(a);
    int status = s3_presign(&url, a, r->bucket, r->key, (unsigned)r->seconds);
    if (!status) print(r, &s, url);
    free(url);
    return status;
}

int tool_presign(int argc, char **argv)
{
    struct request r = {.seconds = DEFAULT_S};
    struct aws a;
    int status = read_options(&r, argc, argv);
    if (!status) status = aws_open(&a, &r.wish);
    if (status) return status;
    status = presign(&r, &a);
    aws_close(&a);
    return status;
}
