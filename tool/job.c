/* otter job: updates by MQTT. A program of its own because of the network libraries. */
#define _GNU_SOURCE
#include "tool/job.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "doors/text.h"
#include "tool/tool.h"

static const char help_text[] =
    "Usage: otter job send IMAGE|s3://BUCKET/KEY --device ID... --mqtt URL [OPTION]...\n"
    "Updates devices by MQTT: puts IMAGE into a bucket, or takes the object that is there, tells the devices a\n"
    "presigned URL, and follows them until they run it. Meanwhile those whose URL expires get a fresh one, and those\n"
    "that are busy are asked again.\n"
    "\n"
    "  --device ID            may be given again\n"
    "  --all                  all devices that have told the broker their state\n"
    "  --bucket s3://BUCKET/PREFIX\n"
    "                         where IMAGE goes\n"
    "  --create-bucket        make the bucket, if it is not there\n"
    "  --expires SECONDS      how long a URL is good, up to 604800 [3600]\n"
    "  --job-id ID            a job that a device has done is not done again [made of the hash and the time]\n"
    "  --timeout SECONDS      for all devices [900]\n"
    "  --mqtt URL             the broker: mqtt://HOST:PORT, or mqtts://HOST:PORT with TLS\n"
    "  --mqtt-user NAME:PASSWORD\n"
    "                         there (or from the environment: OTTER_MQTT_USER)\n"
    "  --mqtt-cert FILE       the client's certificate (PEM) for TLS, and\n"
    "  --mqtt-key FILE        its key\n"
    "  --ca FILE              certificates (PEM) that the broker is verified against, instead of the system's\n"
    "  --topic TEMPLATE       of the update topic; {id} stands for the device's id [" OTTER_JOB_TEMPLATE
    "]\n" AWS_OPTIONS_HELP
    "  --cacert FILE          certificates that the S3 server is held to, instead of the system's [AWS_CA_BUNDLE]\n"
    "  --json                 print the outcome as JSON\n"
    "  --quiet                no progress\n"
    "\n"
    "Exit status: 0 all run it, 2 wrong command line, 3 bad image or format, 4 refused, or done before, 5 a device\n"
    "went back or was not through in time, 6 no connection, or something is not there.\n";

static const char cmd[] = "job send";

/* ---- outcome ---- */

/* A device tells errors by their names. */
static int exit_of_name(const char *name)
{
#define JOB_NAME(constant, number, its_name, http, exit_status, text) \
    if (strcmp(name, its_name) == 0) return exit_status;
    OTTER_ERRORS(JOB_NAME)
#undef JOB_NAME
    return 1;
}

static int exit_of(const struct job_device *d)
{
    if (!d->over) return otter_err_exit(OTTER_NO_CONFIRM);
    if (strcmp(d->state, "confirmed") == 0) return d->other ? otter_err_exit(OTTER_STATE) : 0;
    return strcmp(d->state, "rolled_back") == 0 ? otter_err_exit(OTTER_ROLLED_BACK) : exit_of_name(d->error);
}

static void add_text(cJSON *o, const char *name, const char *text)
{
    if (text && *text) cJSON_AddStringToObject(o, name, text);
}

/* What is not known yet, as it failed before, is left out. */
static void print_json(const struct job *j, int status)
{
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "devices");
    cJSON_AddStringToObject(o, "result", status ? "failed" : "done");
    if (j->err) cJSON_AddStringToObject(o, "error", otter_err_name(j->err));
    if (j->err) cJSON_AddStringToObject(o, "message", otter_err_text(j->err));
    add_text(o, "job_id", j->id);
    add_text(o, "version", j->source.version);
    add_text(o, "sha256", j->source.sha256);
    if (j->source.size) cJSON_AddNumberToObject(o, "size", j->source.size);
    add_text(o, "bucket", j->source.store.bucket);
    add_text(o, "key", j->source.key);
    for (unsigned i = 0; i < j->count; i++) {
        const struct job_device *d = &j->device[i];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "device", d->id);
        cJSON_AddStringToObject(one, "state", *d->state ? d->state : "silent");
        add_text(one, "running", d->running);
        add_text(one, "error", d->error);
        add_text(one, "message", d->words);
        cJSON_AddNumberToObject(one, "fresh_urls", d->urls);
        cJSON_AddItemToArray(list, one);
    }
    tool_print_json(o);
}

static void tell_failure(const struct job_device *d)
{
    if (!d->heard)
        fprintf(
            stderr,
            "otter: %s: has not answered; it gets the job when it is back, if it has been connected before and may use "
            "its topics\n",
            d->name);
    else if (!d->over)
        fprintf(stderr, "otter: %s: not through in time; it stood at %s%s%s\n", d->name, d->state,
                *d->words ? ": " : "", d->words);
    else
        fprintf(stderr, "otter: %s: %s: %s%s%s%s\n", d->name, d->state, d->words, *d->error ? " (" : "", d->error,
                *d->error ? ")" : "");
}

static int outcome(const struct job *j)
{
    int status = 0;
    unsigned good = 0;
    for (unsigned i = 0; i < j->count; i++) {
        int its = exit_of(&j->device[i]);
        good += its == 0;
        if (!status) status = its;
        if (its) tell_failure(&j->device[i]);
    }
    if (!j->json) printf("%s: %u of %u devices run %s\n", j->id, good, j->count, j->source.version);
    return status;
}

static void make_id(struct job *j)
{
    if (j->job_id)
        snprintf(j->id, sizeof j->id, "%s", j->job_id);
    else
        snprintf(j->id, sizeof j->id, "%.12s-%lx", j->source.sha256, (unsigned long)time(NULL));
}

static int run(struct job *j)
{
    int status = job_source_open(j);
    if (!status) make_id(j);
    if (!status) status = job_connect(j);
    if (!status && j->all) status = job_find_all(j);
    if (!status) status = job_follow(j);
    if (!status) status = outcome(j);
    if (j->json) print_json(j, status);
    job_source_close(j);
    return status;
}

/* ---- command line ---- */

enum {
    OPT_DEVICE = 1,
    OPT_ALL,
    OPT_BUCKET,
    OPT_CREATE,
    OPT_EXPIRES,
    OPT_JOB_ID,
    OPT_TIMEOUT,
    OPT_MQTT,
    OPT_USER,
    OPT_CERT,
    OPT_KEY,
    OPT_CA,
    OPT_TOPIC,
    OPT_CACERT,
    OPT_JSON,
    OPT_QUIET,
    OPT_HELP
};

static int take_seconds(const char *name, const char *value, uint64_t most, uint64_t *out)
{
    if (!tool_number(value, most, out) && *out) return 0;
    return tool_usage_error(cmd, "--%s takes 1 to %llu seconds, not \"%s\"", name, (unsigned long long)most, value);
}

static int take_job_id(struct job *j, const char *value)
{
    j->job_id = value;
    bool good = *value && strlen(value) <= OTTER_JOB_ID && otter_utf8_count(value) != SIZE_MAX;
    if (good) return 0;
    return tool_usage_error(cmd, "--job-id takes 1 to %d bytes of UTF-8 without control characters", OTTER_JOB_ID);
}

/* Devices need the topic's template, which may come behind them. */
static const char **wanted;
static unsigned wanted_count;

static int take_option(struct job *j, int option, char *value)
{
    switch (option) {
    case OPT_DEVICE: wanted[wanted_count++] = value; return 0;
    case OPT_ALL: j->all = true; return 0;
    case OPT_BUCKET: j->bucket = value; return 0;
    case OPT_CREATE: j->create_bucket = true; return 0;
    case OPT_EXPIRES: return take_seconds("expires", value, 604800, &j->expires);
    case OPT_JOB_ID: return take_job_id(j, value);
    case OPT_TIMEOUT: return take_seconds("timeout", value, 604800, &j->timeout);
    case OPT_MQTT: j->mqtt.url = value; return 0;
    case OPT_USER: j->mqtt.user = value; return 0;
    case OPT_CERT: j->mqtt.cert = value; return 0;
    case OPT_KEY: j->mqtt.key = value; return 0;
    case OPT_CA: j->mqtt.ca = value; return 0;
    case OPT_TOPIC: j->template = value; return 0;
    case OPT_CACERT: web_trust(value); return 0;
    case OPT_JSON: j->json = true; return 0;
    case OPT_QUIET: j->quiet = true; return 0;
    default: return aws_take_option(&j->wish, option, value) ? 0 : tool_usage_error(cmd, "the command line is wrong");
    }
}

static int check(struct job *j, int argc, char **argv)
{
    struct mqtt_place place;
    int status = 0;
    if (argc != 1) return tool_usage_error(cmd, "it takes one IMAGE or s3://BUCKET/KEY");
    j->what = argv[0];
    bool object = strncmp(j->what, "s3://", 5) == 0;
    if (object == (j->bucket != NULL)) return tool_usage_error(cmd, "an IMAGE needs --bucket, an object none");
    if (j->bucket && strncmp(j->bucket, "s3://", 5) != 0)
        return tool_usage_error(cmd, "--bucket: \"%s\" is not s3://BUCKET/PREFIX", j->bucket);
    if (!j->mqtt.url || !mqtt_place_read(j->mqtt.url, &place))
        return tool_usage_error(cmd, "--mqtt takes mqtt://HOST:PORT or mqtts://HOST:PORT");
    if (!j->mqtt.cert != !j->mqtt.key) return tool_usage_error(cmd, "--mqtt-cert and --mqtt-key belong together");
    if (j->mqtt.cert && !place.tls) return tool_usage_error(cmd, "--mqtt-cert needs mqtts://");
    if (j->all == (wanted_count > 0)) return tool_usage_error(cmd, "it takes --device ID, or --all");
    for (unsigned i = 0; i < wanted_count && !status; i++) status = job_add_device(j, wanted[i]);
    return status;
}

static int read_options(struct job *j, int argc, char **argv)
{
    static const struct option options[] = {{"device", 1, 0, OPT_DEVICE},   {"all", 0, 0, OPT_ALL},
                                            {"bucket", 1, 0, OPT_BUCKET},   {"create-bucket", 0, 0, OPT_CREATE},
                                            {"expires", 1, 0, OPT_EXPIRES}, {"expires-in", 1, 0, OPT_EXPIRES},
                                            {"job-id", 1, 0, OPT_JOB_ID},   {"timeout", 1, 0, OPT_TIMEOUT},
                                            {"mqtt", 1, 0, OPT_MQTT},       {"mqtt-user", 1, 0, OPT_USER},
                                            {"mqtt-cert", 1, 0, OPT_CERT},  {"mqtt-key", 1, 0, OPT_KEY},
                                            {"ca", 1, 0, OPT_CA},           {"topic", 1, 0, OPT_TOPIC},
                                            {"cacert", 1, 0, OPT_CACERT},   AWS_OPTIONS,
                                            {"json", 0, 0, OPT_JSON},       {"quiet", 0, 0, OPT_QUIET},
                                            {"help", 0, 0, OPT_HELP},       {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == OPT_HELP || option == 'h') {
            fputs(help_text, stdout);
            exit(0);
        }
        int status = take_option(j, option, optarg);
        if (status) return status;
    }
    return check(j, argc - optind, argv + optind);
}

static int run_send(int argc, char **argv)
{
    static struct job j = {.expires = 3600, .timeout = 900, .template = OTTER_JOB_TEMPLATE};
    web_trust(getenv("AWS_CA_BUNDLE"));
    j.mqtt.user = getenv("OTTER_MQTT_USER");
    wanted = calloc((size_t)argc, sizeof *wanted);
    if (!wanted) return tool_fail(OTTER_ARG, "out of memory");
    int status = read_options(&j, argc, argv);
    free(wanted);
    if (status) return status;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = run(&j);
    curl_global_cleanup();
    return status;
}

int main(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        {"send", run_send, "an update to devices, followed until they run it"}, {NULL, NULL, NULL}};
    tool_watch_stdout();
    return tool_dispatch(commands, "Usage: otter job COMMAND [OPTION]...\n\n", argc, argv);
}
