/* Over the broker: who is to get the job, what devices say of it, and fresh URLs for those that ask. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool/job.h"
#include "tool/tool.h"

enum {
    CONNECT_MS = 15000,
    FIND_MS = 2000 /* without another device */,
    TURN_MS = 250,
    AGAIN_MS = 3000, /* also to a device that is busy */
    LOST_MOST = 3,
    URLS_MOST = 64,
    END_MS = 3000,
    STEP = 10
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the broker ---- */

static void say(void *ctx, char level, const char *text)
{
    const struct job *j = ctx;
    if (level != 'I' && !j->json) fprintf(stderr, "otter: mqtt: %s\n", text);
}

int job_connect(struct job *j)
{
    char id[40];
    uint64_t end = now_ms() + CONNECT_MS;
    struct otter_mqtt_message m;
    const struct otter_mqtt *mqtt = &j->broker.port;
    j->mqtt.say = say;
    j->mqtt.ctx = j;
    j->mqtt.passing = true;
    snprintf(id, sizeof id, "otter-job-%ld-%lx", (long)getpid(), (unsigned long)time(NULL));
    if (!mqtt_mosquitto_init(&j->broker, &j->mqtt) || !mqtt->start(mqtt->ctx, id, NULL, NULL))
        return tool_fail(OTTER_ARG, "--mqtt %s: the certificates cannot be read, or memory is out", j->mqtt.url);
    while (!mqtt->connection(mqtt->ctx) && now_ms() < end)
        if (mqtt->next(mqtt->ctx, TURN_MS, &m)) free(m.topic);
    if (mqtt->connection(mqtt->ctx)) return 0;
    j->err = OTTER_BROKER;
    return tool_fail(j->err, "%s: %s (%s)", j->mqtt.url, otter_err_text(j->err), otter_err_name(j->err));
}

/* ---- devices ---- */

/* Devices may say anything; a terminal shall not obey it. */
static void make_plain(const char *text, char *out, size_t size)
{
    snprintf(out, size, "%s", text);
    for (char *p = out; *p; p++)
        if (*p < ' ' || *p > '~') *p = '?';
}

int job_add_device(struct job *j, const char *id)
{
    for (unsigned i = 0; i < j->count; i++)
        if (strcmp(j->device[i].id, id) == 0) return 0;
    struct job_device *more = realloc(j->device, (j->count + 1) * sizeof *more);
    if (!more) return tool_fail(OTTER_ARG, "out of memory");
    j->device = more;
    struct job_device *d = memset(&more[j->count], 0, sizeof *more);
    for (int i = 0; i < OTTER_JOB_TOPICS; i++)
        if (!otter_job_topic(j->template, id, (enum otter_job_topic)i, d->topic[i]))
            return tool_usage_error("job send", "\"%s\" and the topic \"%s\" do not go together", id, j->template);
    d->id = strdup(id);
    make_plain(id, d->name, sizeof d->name);
    d->percent = -STEP;
    j->count += d->id != NULL;
    return d->id ? 0 : tool_fail(OTTER_ARG, "out of memory");
}

/* "otter/{id}/status" for all of them: "otter/+/status". */
static bool filter_for_all(const struct job *j, enum otter_job_topic which, char out[OTTER_MQTT_TOPIC + 1])
{
    static const char any[] = "ANY-DEVICE";
    if (!otter_job_topic(j->template, any, which, out)) return false;
    char *at = strstr(out, any);
    *at = '+';
    memmove(at + 1, at + sizeof any - 1, strlen(at + sizeof any - 1) + 1);
    return (at == out || at[-1] == '/') && (!at[1] || at[1] == '/');
}

static void subscribe(const struct job *j)
{
    static const enum otter_job_topic topics[] = {OTTER_JOB_STATUS, OTTER_JOB_REQUEST};
    const struct otter_mqtt *mqtt = &j->broker.port;
    char filter[OTTER_MQTT_TOPIC + 1];
    for (unsigned t = 0; t < sizeof topics / sizeof topics[0]; t++) {
        if (j->all && filter_for_all(j, topics[t], filter)) mqtt->subscribe(mqtt->ctx, filter);
        for (unsigned i = 0; i < j->count && !j->all; i++) mqtt->subscribe(mqtt->ctx, j->device[i].topic[topics[t]]);
    }
}

/* True on a new connection: its broker knew of no subscription. */
static bool subscribe_anew(struct job *j)
{
    const struct otter_mqtt *mqtt = &j->broker.port;
    unsigned now = mqtt->connection(mqtt->ctx);
    if (!now || now == j->connection) return false;
    j->connection = now;
    subscribe(j);
    return true;
}

/* ---- sending ---- */

static int send_job(struct job *j, struct job_device *d)
{
    const struct otter_mqtt *mqtt = &j->broker.port;
    const struct job_source *s = &j->source;
    char *url;
    int status = job_source_url(j, &url);
    if (status) return status;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "update_url", url);
    cJSON_AddStringToObject(o, "job_id", j->id);
    if (*s->version) cJSON_AddStringToObject(o, "version", s->version);
    cJSON_AddNumberToObject(o, "size", s->size);
    cJSON_AddStringToObject(o, "sha256", s->sha256);
    char *text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    free(url);
    if (!text || !mqtt->publish(mqtt->ctx, d->topic[OTTER_JOB_UPDATE], text, false)) {
        j->err = OTTER_BROKER;
        status = tool_fail(j->err, "%s: the job could not be sent", d->name);
    }
    free(text);
    return status;
}

/* ---- what devices say ---- */

static void take_text(const cJSON *json, const char *name, char *out, size_t size)
{
    const char *text = tool_json_text(json, name);
    make_plain(text ? text : "", out, size);
}

static void print_state(const struct job *j, struct job_device *d, int percent)
{
    if (j->json || j->quiet) return;
    if (percent >= 0)
        fprintf(stderr, "%s: %s %d %%\n", d->name, d->state, percent);
    else
        fprintf(stderr, "%s: %s%s%s%s%s\n", d->name, d->state, *d->error ? ": " : "", d->error, *d->words ? ": " : "",
                d->words);
}

/* A job that was done is not done again, and the device says so whatever it runs by now. */
static void see_what_runs(const struct job *j, struct job_device *d)
{
    char version[sizeof d->running];
    make_plain(j->source.version, version, sizeof version);
    d->other = strcmp(d->state, "confirmed") == 0 && *version && strcmp(d->running, version) != 0;
    if (d->other)
        snprintf(d->words, sizeof d->words,
                 "it did this job before, and runs %s now; under another --job-id the job is done again", d->running);
}

/* With another update, or until a restart; then the job is sent again. */
static void see_whether_busy(struct job_device *d)
{
    d->busy = strcmp(d->state, "failed") == 0 && strcmp(d->error, otter_err_name(OTTER_BUSY)) == 0;
    d->due = d->busy ? now_ms() + AGAIN_MS : 0;
    if (!d->busy) return;
    snprintf(d->state, sizeof d->state, "busy");
    d->error[0] = '\0';
}

static bool is_end(const char *state)
{
    return strcmp(state, "confirmed") == 0 || strcmp(state, "rolled_back") == 0 || strcmp(state, "failed") == 0;
}

static bool is_idle(const char *state) { return is_end(state) || strcmp(state, "online") == 0; }

static void take_state(const struct job *j, struct job_device *d, const cJSON *json)
{
    char before[sizeof d->state];
    int percent = (int)tool_json_number(json, "percent", 100);
    bool step = percent >= 0 && percent / STEP != d->percent / STEP;
    memcpy(before, d->state, sizeof before);
    d->heard = true;
    take_text(json, "state", d->state, sizeof d->state);
    take_text(json, "running", d->running, sizeof d->running);
    take_text(json, "error", d->error, sizeof d->error);
    take_text(json, tool_json_text(json, "reason") ? "reason" : "message", d->words, sizeof d->words);
    see_what_runs(j, d);
    see_whether_busy(d);
    if (percent >= 0) d->percent = percent;
    if (step || strcmp(before, d->state) != 0) print_state(j, d, percent);
    d->over = is_end(d->state);
}

/* The last will holds even if it was kept from before the job. */
static void note_offline(const struct job *j, struct job_device *d, const char *state)
{
    if (strcmp(state, "offline") != 0 || *d->state) return;
    snprintf(d->state, sizeof d->state, "offline");
    print_state(j, d, -1);
}

/* What it says of something else shows that it is there. If it then says nothing of this job, that was lost: a device
 * that loses power before it has written a job down, or of which the broker did not know. One that comes back may only
 * not have got to it yet; a second copy would begin anew what fails at once. */
static void take_other(struct job_device *d, const char *state)
{
    if (strcmp(state, "offline") == 0) d->due = 0;
    if ((d->heard && !d->busy) || d->due || d->lost == LOST_MOST || !is_idle(state)) return;
    d->lost++;
    d->due = now_ms() + AGAIN_MS;
}

static bool is_ours(const struct job *j, const cJSON *json)
{
    const char *id = tool_json_text(json, "job_id");
    return id && strcmp(id, j->id) == 0;
}

static void take_request(const struct job *j, struct job_device *d, const cJSON *json)
{
    if (!is_ours(j, json) || d->over || d->urls >= URLS_MOST) return;
    d->urls++;
    d->due = now_ms();
    if (!j->json && !j->quiet) fprintf(stderr, "%s: gets a fresh URL\n", d->name);
}

/* What the broker kept was said before the job was sent, but where the connection was lost meanwhile. */
static void take_status(const struct job *j, struct job_device *d, const cJSON *json, bool kept)
{
    bool old = kept && !j->reconnected;
    const char *state = tool_json_text(json, "state");
    if (!state) return;
    if (is_ours(j, json)) {
        if (!old) take_state(j, d, json);
    } else {
        note_offline(j, d, state);
        if (!old) take_other(d, state);
    }
}

static void take_message(const struct job *j, const struct otter_mqtt_message *m)
{
    cJSON *json = cJSON_ParseWithLength(m->text, m->size);
    for (unsigned i = 0; i < j->count && json; i++) {
        struct job_device *d = &j->device[i];
        if (strcmp(m->topic, d->topic[OTTER_JOB_REQUEST]) == 0) take_request(j, d, json);
        if (strcmp(m->topic, d->topic[OTTER_JOB_STATUS]) == 0 && !d->over) take_status(j, d, json, m->retained);
    }
    cJSON_Delete(json);
}

/* Without a connection it stays due. */
static int send_due(struct job *j)
{
    int status = 0;
    bool up = j->broker.port.connection(j->broker.port.ctx) != 0;
    for (unsigned i = 0; up && i < j->count && !status; i++) {
        struct job_device *d = &j->device[i];
        if (!d->due || now_ms() < d->due) continue;
        d->due = 0;
        status = send_job(j, d);
    }
    return status;
}

/* ---- all that there are ---- */

/* The id in the topic of a status, where filter has its '+'. */
static bool id_of_topic(const char *filter, const char *topic, char id[OTTER_MQTT_TOPIC + 1])
{
    size_t before = strcspn(filter, "+"), behind = strlen(filter) - before - 1, n = strlen(topic);
    if (n <= before + behind || n - before - behind > OTTER_MQTT_TOPIC) return false;
    snprintf(id, OTTER_MQTT_TOPIC + 1, "%.*s", (int)(n - before - behind), topic + before);
    return strncmp(topic, filter, before) == 0 && strcmp(topic + n - behind, filter + before + 1) == 0;
}

/* Whoever may write there can have written it: a device names itself, and no other. */
static bool is_status_of(const struct job *j, const char *id, const cJSON *json)
{
    char topic[OTTER_MQTT_TOPIC + 1];
    const char *device = tool_json_text(json, "device");
    return tool_json_text(json, "state") && device && strcmp(device, id) == 0 &&
           otter_job_topic(j->template, id, OTTER_JOB_REQUEST, topic);
}

/* True: another device. */
static bool take_found(struct job *j, const char *filter, const struct otter_mqtt_message *m, int *status)
{
    char id[OTTER_MQTT_TOPIC + 1], shown[OTTER_MQTT_TOPIC + 1];
    unsigned before = j->count;
    if (!m->size || !id_of_topic(filter, m->topic, id)) return false;
    cJSON *json = cJSON_ParseWithLength(m->text, m->size);
    if (is_status_of(j, id, json)) {
        *status = job_add_device(j, id);
        if (j->count > before) note_offline(j, &j->device[before], tool_json_text(json, "state"));
    } else {
        make_plain(m->topic, shown, sizeof shown);
        fprintf(stderr,
                "otter: %s is passed over: what it says is no device's state; clear it, or name devices by --device\n",
                shown);
    }
    cJSON_Delete(json);
    return j->count > before;
}

int job_find_all(struct job *j)
{
    char filter[OTTER_MQTT_TOPIC + 1];
    const struct otter_mqtt *mqtt = &j->broker.port;
    struct otter_mqtt_message m;
    int status = 0;
    if (!filter_for_all(j, OTTER_JOB_STATUS, filter))
        return tool_usage_error("job send", "--all needs a topic in which {id} is a level of its own");
    for (uint64_t end = now_ms() + FIND_MS; !status && now_ms() < end;) {
        bool news = subscribe_anew(j);
        if (mqtt->next(mqtt->ctx, TURN_MS, &m)) {
            news |= take_found(j, filter, &m, &status);
            free(m.topic);
        }
        if (news) end = now_ms() + FIND_MS;
    }
    if (status || j->count) return status;
    j->err = OTTER_NOT_FOUND;
    return tool_fail(j->err, "the broker knows of no device at %s", filter);
}

/* ---- until all are through ---- */

static bool all_over(const struct job *j)
{
    for (unsigned i = 0; i < j->count; i++)
        if (!j->device[i].over) return false;
    return true;
}

int job_follow(struct job *j)
{
    const struct otter_mqtt *mqtt = &j->broker.port;
    uint64_t end = now_ms() + j->timeout * 1000;
    struct otter_mqtt_message m;
    int status = 0;
    subscribe_anew(j);
    for (unsigned i = 0; i < j->count; i++) j->device[i].due = now_ms();
    status = send_due(j);
    while (!status && !all_over(j) && now_ms() < end) {
        if (subscribe_anew(j)) j->reconnected = true;
        if (mqtt->next(mqtt->ctx, TURN_MS, &m)) {
            take_message(j, &m);
            free(m.topic);
        }
        status = send_due(j);
    }
    mqtt_mosquitto_stop(&j->broker, END_MS);
    return status;
}
