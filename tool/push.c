/* otter push: uploads an image to a device, shows the bytes that are in flash, and waits until the new version runs and
 * has confirmed itself. A program of its own because of the network libraries. */
#define _GNU_SOURCE
#include <cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/app_image.h"
#include "tool/json.h"
#include "tool/push.h"
#include "tool/tool.h"

static const char help_text[] =
    "Usage: otter push IMAGE URL [OPTION]...\n"
    "Uploads an app image to the device at URL (http://ADDRESS[:PORT]) and waits until the new version runs and has\n"
    "confirmed itself. The image is judged before the device is asked.\n"
    "\n"
    "  --data FILE            deliver this data image too, once the new version has confirmed itself (elastic "
    "devices); said\n"
    "                         again after a cut it goes on\n"
    "  --accept-data-loss     the files beside the app may be lost\n"
    "  --user NAME:PASSWORD   log in with this (or from the environment: OTTER_USER)\n"
    "  --token TOKEN          or with this bearer token (or from the environment: OTTER_TOKEN)\n"
    "  --timeout SECONDS      wait at most so long for the restart and the confirmation [60]\n"
    "  --no-wait              do not wait for the restart\n"
    "  --json                 print the outcome as JSON\n"
    "  --quiet                no progress\n"
    "\n"
    "Exit status: 0 it runs and is confirmed (or ran already), 3 bad image, 4 refused, 5 the device failed or went "
    "back,\n"
    "6 no connection.\n";

enum { REPLY_MAX = 1 << 20, BAR = 32 };

/* ---- one request ---- */

size_t push_keep_text(char *data, size_t size, size_t n, void *ctx)
{
    struct push_text *t = ctx;
    if (t->size + n * size > REPLY_MAX) return 0;
    char *more = realloc(t->data, t->size + n * size + 1);
    if (!more) return 0;
    memcpy(more + t->size, data, n * size);
    t->data = more;
    t->size += n * size;
    t->data[t->size] = '\0';
    return n * size;
}

CURL *push_request(const struct push *p, const char *path, size_t (*sink)(char *, size_t, size_t, void *), void *ctx)
{
    char url[1024], bearer[256];
    CURL *c = curl_easy_init();
    if (!c) return NULL;
    snprintf(url, sizeof url, "%s%s", p->url, path);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)PUSH_CONNECT_S);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, sink);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, ctx);
    if (p->user) curl_easy_setopt(c, CURLOPT_USERPWD, p->user);
    if (p->token) {
        snprintf(bearer, sizeof bearer, "%s", p->token);
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, bearer);
    }
    return c;
}

static long status_of(CURL *c)
{
    long status = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* p->now: what the device says. *status: HTTP status, 0 without an answer. False if it said nothing of use. */
bool push_get_status(struct push *p, long *status)
{
    struct push_text reply = {0};
    CURL *c = push_request(p, "/api/v1/firmware/status", push_keep_text, &reply);
    *status = 0;
    if (!c) return false;
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)PUSH_CONNECT_S);
    CURLcode code = curl_easy_perform(c);
    if (code == CURLE_OK) *status = status_of(c);
    curl_easy_cleanup(c);
    bool ok = *status == 200 && push_status_read(&p->now, reply.data, reply.size);
    free(reply.data);
    return ok;
}

/* ---- before ---- */

static int judge_image(struct push *p)
{
    p->image = tool_read_file(p->image_path, APP_IMAGE_MAX, &p->size);
    if (!p->image) return 2;
    enum otter_err e = app_image_judge(p->image, p->size, NULL, &p->check);
    tool_hex(p->check.facts.file_digest, sizeof p->check.facts.file_digest, p->sha256);
    return e ? app_image_bad(p->image_path, e, &p->check) : 0;
}

/* What can be told without sending a byte of the image. */
static int judge_device(const struct push *p)
{
    const struct push_status *d = &p->before;
    const struct otter_chip_info *info = otter_chip_by_name(d->chip);
    if (info && info != p->check.facts.chip)
        return tool_fail(OTTER_CHIP, "%s is for %s, the device at %s is %s (wrong_chip)", p->image_path,
                         p->check.facts.chip->name, p->url, info->name);
    if (d->room > 0 && d->room < (double)p->size)
        return tool_fail(OTTER_TOO_BIG, "%s has %zu bytes, the device at %s takes at most %.0f (too_big)",
                         p->image_path, p->size, p->url, d->room);
    if (p->data && !d->elastic)
        return tool_fail(OTTER_NO_FILES,
                         "the slots of the device at %s are fixed: there is no room that a data image "
                         "could go to",
                         p->url);
    return 0;
}

static int no_answer(const struct push *p, long status)
{
    if (status == 401) return tool_fail(OTTER_UNAUTHORIZED, "%s asks for other credentials: --user or --token", p->url);
    if (status == 403)
        return tool_fail(OTTER_FOREIGN_HOST, "%s: %s (foreign_host)", p->url, otter_err_text(OTTER_FOREIGN_HOST));
    if (status == 0) return tool_fail(OTTER_CONNECT, "%s does not answer (connection_failed)", p->url);
    return tool_fail(OTTER_CONNECT, "%s answers %ld; is it an Otter device?", p->url, status);
}

/* An update of this very file that was cut goes on where it stood. */
static void find_resume(struct push *p)
{
    const struct push_status *d = &p->now;
    bool same = strcmp(d->resume_sha256, p->sha256) == 0;
    p->from = same && d->resume_from < (double)p->size ? (size_t)d->resume_from : 0;
}

static int meet_device(struct push *p)
{
    long http;
    if (!push_get_status(p, &http)) return no_answer(p, http);
    p->before = p->now;
    find_resume(p);
    return judge_device(p);
}

/* ---- the upload, and beside it the device's events ---- */

struct upload {
    struct push *push;
    struct push_text reply;
    char result[32]; /* Otter-Result */
    char line[512];  /* of the event stream */
    size_t line_size;
    bool in_progress_event;
    double in_flash;
    struct timespec start;
};

double push_seconds_since(const struct timespec *start)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)(t.tv_sec - start->tv_sec) + (double)(t.tv_nsec - start->tv_nsec) / 1e9;
}

static void show_bar(const struct upload *u, const char *what)
{
    if (!u->push->bar) return;
    double part = u->in_flash / (double)u->push->size, seconds = push_seconds_since(&u->start);
    int full = (int)(part * BAR);
    fprintf(stderr, "\r%-9s [%.*s%*s] %3.0f %%  %.0f of %.0f KiB in flash, %.0f KiB/s ", what, full,
            "################################", BAR - full, "", part * 100, u->in_flash / 1024,
            (double)u->push->size / 1024, seconds > 0 ? u->in_flash / 1024 / seconds : 0);
}

static void take_event_line(struct upload *u)
{
    if (strncmp(u->line, "event: ", 7) == 0) u->in_progress_event = strcmp(u->line + 7, "progress") == 0;
    const char *value = strstr(u->line, "\"value\":");
    if (strncmp(u->line, "data: ", 6) != 0 || !u->in_progress_event || !value) return;
    u->in_flash = atof(value + 8);
    show_bar(u, "Updating");
}

static size_t take_events(char *data, size_t size, size_t n, void *ctx)
{
    struct upload *u = ctx;
    for (size_t i = 0; i < size * n; i++) {
        if (data[i] != '\n' && u->line_size < sizeof u->line - 1) {
            u->line[u->line_size++] = data[i];
            continue;
        }
        u->line[u->line_size] = '\0';
        u->line_size = 0;
        take_event_line(u);
    }
    return size * n;
}

static size_t take_upload_reply(char *data, size_t size, size_t n, void *ctx)
{
    struct upload *u = ctx;
    return push_keep_text(data, size, n, &u->reply);
}

static size_t take_header(char *data, size_t size, size_t n, void *ctx)
{
    struct upload *u = ctx;
    static const char name[] = "Otter-Result: ";
    if (size * n > sizeof name && strncasecmp(data, name, sizeof name - 1) == 0)
        snprintf(u->result, sizeof u->result, "%.*s", (int)strcspn(data + sizeof name - 1, "\r\n"),
                 data + sizeof name - 1);
    return size * n;
}

static void add_data_headers(const struct push *p, struct curl_slist **headers)
{
    char line[96];
    snprintf(line, sizeof line, "X-Data-Size: %zu", p->data_size);
    *headers = curl_slist_append(*headers, line);
    snprintf(line, sizeof line, "X-Data-SHA256: %s", p->data_sha256);
    *headers = curl_slist_append(*headers, line);
}

static CURL *start_upload(struct upload *u, struct curl_slist **headers)
{
    char digest[96], range[80];
    const struct push *p = u->push;
    CURL *c = push_request(u->push, "/api/v1/firmware/upload", take_upload_reply, u);
    if (!c) return NULL;
    snprintf(digest, sizeof digest, "X-Firmware-SHA256: %s", u->push->sha256);
    *headers = curl_slist_append(NULL, digest);
    *headers = curl_slist_append(*headers, "Accept: application/json");
    *headers = curl_slist_append(*headers, "Content-Type: application/octet-stream");
    snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu", p->from, p->size - 1, p->size);
    if (p->from) *headers = curl_slist_append(*headers, range);
    if (p->data) add_data_headers(p, headers);
    if (p->data_loss) *headers = curl_slist_append(*headers, "X-Data-Loss: accepted");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, *headers);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(p->size - p->from));
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, p->image + p->from);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, u);
    /* A device that takes nothing for so long has died. */
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 60L);
    return c;
}

/* Runs both until the upload is answered. */
static CURLcode run_upload(CURLM *multi, CURL *upload)
{
    for (int running = 1;;) {
        int left;
        if (curl_multi_perform(multi, &running)) return CURLE_FAILED_INIT;
        for (CURLMsg *m; (m = curl_multi_info_read(multi, &left));)
            if (m->msg == CURLMSG_DONE && m->easy_handle == upload) return m->data.result;
        curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
}

/* The error that the device named; its family gives the exit status. */
static enum otter_err err_named(const char *name, long http)
{
#define ITEM(constant, number, name, http, exit_status, text) OTTER_##constant,
    static const enum otter_err all[] = {OTTER_ERRORS(ITEM)};
#undef ITEM
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        if (otter_err_exit(all[i]) != 0 && strcmp(otter_err_name(all[i]), name) == 0) return all[i];
    return http == 401 ? OTTER_UNAUTHORIZED : OTTER_RECEIVE;
}

int push_refused(const struct push *p, const struct push_text *reply, long http)
{
    struct push_refusal r;
    push_refusal_read(&r, reply->data, reply->size);
    return tool_fail(err_named(r.name, http), "%s refuses (HTTP %ld): %s (%s)", p->url, http,
                     r.message[0] ? r.message : "no reason given", r.name[0] ? r.name : "unknown");
}

static int upload_outcome(struct push *p, struct upload *u, CURLcode code, long http)
{
    if (p->bar) fputc('\n', stderr);
    if (code) {
        fprintf(stderr, "otter: %s: %s\n", p->url, curl_easy_strerror(code));
        return PUSH_BROKEN;
    }
    return http == 200 ? 0 : push_refused(p, &u->reply, http);
}

static int upload(struct push *p, bool *current)
{
    struct upload u = {.push = p};
    struct curl_slist *headers = NULL;
    CURLM *multi = curl_multi_init();
    CURL *up = start_upload(&u, &headers), *events = push_request(p, "/api/v1/firmware/events", take_events, &u);
    if (!multi || !up || !events) return tool_fail(OTTER_ARG, "out of memory");
    clock_gettime(CLOCK_MONOTONIC, &u.start);
    curl_multi_add_handle(multi, events);
    curl_multi_add_handle(multi, up);
    CURLcode code = run_upload(multi, up);
    long http = status_of(up);
    if (!code && http == 200) u.in_flash = (double)p->size;
    show_bar(&u, "Uploaded");
    int status = upload_outcome(p, &u, code, http);
    *current = strcmp(u.result, "already_current") == 0;
    curl_multi_remove_handle(multi, up);
    curl_multi_remove_handle(multi, events);
    curl_easy_cleanup(up);
    curl_easy_cleanup(events);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    free(u.reply.data);
    return status;
}

/* ---- after a broken connection ---- */

void push_pause(void)
{
    struct timespec t = {PUSH_POLL_MS / 1000, PUSH_POLL_MS % 1000 * 1000000};
    nanosleep(&t, NULL);
}

enum again { GONE, BUSY, GO_ON, FINISHED };

/* Does another firmware run than before? Where slots overlap, only the device knows which slot the new one has. */
static bool has_moved(const struct push *p)
{
    return p->before.elastic ? strcmp(p->now.slot, p->before.slot) != 0 : strcmp(p->now.slot, p->before.target) == 0;
}

/* What has become of the update? Its reply may have been lost, or the device may have lost power. */
static enum again look_again(struct push *p)
{
    long http;
    const struct push_status *d = &p->now;
    if (!push_get_status(p, &http)) return GONE;
    if (strcmp(d->update, "receiving") == 0 || strcmp(d->update, "verifying") == 0) return BUSY;
    if (strcmp(d->update, "done") == 0 || has_moved(p)) return FINISHED;
    p->before.boot_id = d->boot_id;
    find_resume(p);
    return GO_ON;
}

static enum again wait_for_device(struct push *p)
{
    struct timespec start;
    enum again found = GONE;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while ((found == GONE || found == BUSY) && push_seconds_since(&start) < (double)p->timeout_s) {
        push_pause();
        found = look_again(p);
    }
    return found;
}

/* The upload, and after a broken connection what the device has not got by then. */
static int upload_all(struct push *p, bool *current)
{
    int status = upload(p, current);
    for (int i = 0; status == PUSH_BROKEN && i < PUSH_RETRIES; i++) {
        enum again found = wait_for_device(p);
        if (found == FINISHED) return 0;
        if (found != GO_ON) break;
        fprintf(stderr, "otter: going on at byte %zu of %zu\n", p->from, p->size);
        status = upload(p, current);
    }
    return status == PUSH_BROKEN
               ? tool_fail(OTTER_RECEIVE, "%s: the connection broke and the update could not go on (receive_failed)",
                           p->url)
               : status;
}

/* ---- after ---- */

enum outcome { WAITING, CONFIRMED, WENT_BACK };

static enum outcome look(struct push *p)
{
    long http;
    const struct push_status *d = &p->now;
    if (!push_get_status(p, &http) || d->boot_id == p->before.boot_id) return WAITING;
    p->came_back = true;
    if (!has_moved(p)) return WENT_BACK;
    if (strcmp(d->state, "valid") == 0) return CONFIRMED;
    return p->before.rollback ? WAITING : CONFIRMED;
}

static enum outcome wait_for_restart(struct push *p)
{
    struct timespec start;
    enum outcome outcome = WAITING;
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (p->bar) fputs("Waiting for the new version to run and confirm ...\n", stderr);
    while (outcome == WAITING && push_seconds_since(&start) < (double)p->timeout_s) {
        push_pause();
        outcome = look(p);
    }
    return outcome;
}

static void print_outcome(const struct push *p, const char *result, const char *version, const char *slot)
{
    if (!p->json) {
        printf("%s (%s) -> %s (%s): %s\n", p->before.version, p->before.slot, version, slot, result);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "result", result);
    cJSON_AddStringToObject(o, "from_version", p->before.version);
    cJSON_AddStringToObject(o, "from_slot", p->before.slot);
    cJSON_AddStringToObject(o, "version", version);
    cJSON_AddStringToObject(o, "slot", slot);
    cJSON_AddStringToObject(o, "sha256", p->sha256);
    if (p->data) cJSON_AddBoolToObject(o, "data_restored", !push_data_wanted(p));
    tool_print_json(o);
}

static int conclude(struct push *p)
{
    enum outcome outcome = wait_for_restart(p);
    const char *version = p->check.facts.desc.version;
    unsigned long long timeout_s = p->timeout_s;
    if (outcome == CONFIRMED) {
        int status = p->data ? push_data_deliver(p) : 0;
        if (status) return status;
        const char *result = p->before.rollback ? "confirmed" : "runs (this boot loader cannot roll back)";
        print_outcome(p, result, p->now.version, p->now.slot);
        return 0;
    }
    if (outcome == WENT_BACK) {
        print_outcome(p, "rolled_back", p->now.version, p->now.slot);
        return tool_fail(OTTER_ROLLED_BACK, "%s did not work there; the device went back to %s (rolled_back)", version,
                         p->now.version);
    }
    print_outcome(p, "not_confirmed", p->came_back ? p->now.version : version, p->came_back ? p->now.slot : "");
    return tool_fail(OTTER_NO_CONFIRM,
                     p->came_back ? "%s runs, but has not confirmed itself within %llu s (not_confirmed)"
                                  : "%s: the device has not come back within %llu s (not_confirmed)",
                     version, timeout_s);
}

/* The device restarts a second after the upload; until then it says which slot will start. */
static int leave(struct push *p)
{
    long http;
    if (p->before.elastic) push_get_status(p, &http);
    print_outcome(p, "switched", p->check.facts.desc.version, p->before.elastic ? p->now.next : p->before.target);
    return 0;
}

static bool runs_it(const struct push *p) { return strcmp(p->now.version, p->check.facts.desc.version) == 0; }

/* An earlier push was cut when only the data image was still to come. */
static int finish_data(struct push *p)
{
    int status = push_data_deliver(p);
    if (!status) print_outcome(p, "already_current", p->now.version, p->now.slot);
    return status;
}

static int push(struct push *p)
{
    bool current = false;
    int status = judge_image(p);
    if (!status && p->data_path) status = push_data_read(p);
    if (!status) status = meet_device(p);
    if (!status && p->data && push_data_wanted(p) && runs_it(p)) return finish_data(p);
    if (!status) status = upload_all(p, &current);
    if (status) return status;
    if (current) return print_outcome(p, "already_current", p->before.version, p->before.slot), 0;
    if (p->no_wait) return leave(p);
    return conclude(p);
}

/* ---- command line ---- */

enum { OPT_USER = 1, OPT_TOKEN, OPT_TIMEOUT, OPT_NO_WAIT, OPT_JSON, OPT_QUIET, OPT_DATA, OPT_DATA_LOSS, OPT_HELP };

static int take_option(struct push *p, int option, const char *value)
{
    switch (option) {
    case OPT_USER: p->user = value; return 0;
    case OPT_TOKEN: p->token = value; return 0;
    case OPT_TIMEOUT:
        return tool_number(value, 86400, &p->timeout_s)
                   ? tool_usage_error("push", "--timeout: \"%s\" is no number", value)
                   : 0;
    case OPT_NO_WAIT: p->no_wait = true; return 0;
    case OPT_JSON: p->json = true; return 0;
    case OPT_QUIET: p->quiet = true; return 0;
    case OPT_DATA: p->data_path = value; return 0;
    case OPT_DATA_LOSS: p->data_loss = true; return 0;
    default: return tool_usage_error("push", "the command line is wrong");
    }
}

static int read_options(struct push *p, int argc, char **argv)
{
    static const struct option options[] = {{"user", 1, 0, OPT_USER},       {"token", 1, 0, OPT_TOKEN},
                                            {"timeout", 1, 0, OPT_TIMEOUT}, {"no-wait", 0, 0, OPT_NO_WAIT},
                                            {"data", 1, 0, OPT_DATA},       {"accept-data-loss", 0, 0, OPT_DATA_LOSS},
                                            {"json", 0, 0, OPT_JSON},       {"quiet", 0, 0, OPT_QUIET},
                                            {"help", 0, 0, OPT_HELP},       {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == OPT_HELP || option == 'h') {
            fputs(help_text, stdout);
            exit(0);
        }
        int status = take_option(p, option, optarg);
        if (status) return status;
    }
    if (argc - optind != 2) return tool_usage_error("push", "it takes an IMAGE and a URL");
    if (p->data_path && p->no_wait)
        return tool_usage_error("push", "--data comes after the confirmation, so there is no --no-wait with it");
    p->image_path = argv[optind];
    p->url = argv[optind + 1];
    return 0;
}

/* Without scheme it is http; without the slash at the end paths can follow. */
static bool normal_url(struct push *p)
{
    static char url[512];
    int n = snprintf(url, sizeof url, "%s%s", strstr(p->url, "://") ? "" : "http://", p->url);
    if (n < 0 || (size_t)n >= sizeof url) return false;
    for (size_t end = strlen(url); end && url[end - 1] == '/'; end--) url[end - 1] = '\0';
    p->url = url;
    return true;
}

int main(int argc, char **argv)
{
    static struct push p;
    tool_watch_stdout();
    p.timeout_s = 60;
    p.user = getenv("OTTER_USER");
    p.token = getenv("OTTER_TOKEN");
    int status = read_options(&p, argc, argv);
    if (status) return status;
    if (!normal_url(&p)) return tool_usage_error("push", "the URL is too long");
    p.bar = !p.quiet && isatty(STDERR_FILENO);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    status = push(&p);
    free(p.image);
    free(p.data);
    curl_global_cleanup();
    return status;
}
