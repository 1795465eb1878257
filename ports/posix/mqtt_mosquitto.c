/* libmosquitto behind the doors' table. Its own loop gives up at the first failure of TLS or of a name, so that the
 * loop is ours. */
#include "ports/posix/mqtt_mosquitto.h"

#include <errno.h>
#include <mosquitto.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEEP_ALIVE_S = 30, TURN_MS = 200, PAUSE_MS = 500, PAUSE_MOST_MS = 30000, MQTT_PORT = 1883, MQTTS_PORT = 8883 };

bool mqtt_place_read(const char *url, struct mqtt_place *out)
{
    char host[MQTT_HOST + 1], rest;
    unsigned port = 0;
    memset(out, 0, sizeof *out);
    out->tls = strncmp(url, "mqtts://", 8) == 0;
    if (!out->tls && strncmp(url, "mqtt://", 7) != 0) return false;
    const char *at = strchr(url, ':') + 3;
    const char *form = *at == '[' ? "[%255[0-9a-fA-F:.]]:%5u%c" : "%255[^:/@?# ]:%5u%c";
    int n = sscanf(at, form, host, &port, &rest);
    bool bare = n == 1 && strlen(at) == strlen(host) + (*at == '[' ? 2 : 0);
    if (!(bare || (n == 2 && port && port <= UINT16_MAX))) return false;
    out->port = bare ? (out->tls ? MQTTS_PORT : MQTT_PORT) : (uint16_t)port;
    memcpy(out->host, host, sizeof host);
    return true;
}

static void say(const struct mqtt_mosquitto *m, char level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(const struct mqtt_mosquitto *m, char level, const char *fmt, ...)
{
    char text[MQTT_HOST + 200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (m->config.say) m->config.say(m->config.ctx, level, text);
}

/* ---- what libmosquitto tells, in the port's thread ---- */

static void on_connect(struct mosquitto *client, void *ctx, int code)
{
    struct mqtt_mosquitto *m = ctx;
    (void)client;
    pthread_mutex_lock(&m->mutex);
    m->up = code == 0;
    m->connections += m->up;
    pthread_cond_broadcast(&m->news);
    pthread_mutex_unlock(&m->mutex);
    if (code)
        say(m, 'E', "%s does not let us in: %s", m->place.host, mosquitto_connack_string(code));
    else
        say(m, 'I', "connected to %s:%u", m->place.host, m->place.port);
}

static void on_disconnect(struct mosquitto *client, void *ctx, int code)
{
    struct mqtt_mosquitto *m = ctx;
    (void)client;
    pthread_mutex_lock(&m->mutex);
    bool was = m->up;
    m->up = false;
    pthread_cond_broadcast(&m->news);
    pthread_mutex_unlock(&m->mutex);
    if (was && code) say(m, 'W', "the connection to %s is lost", m->place.host);
}

static void on_subscribe(struct mosquitto *client, void *ctx, int mid, int count, const int *granted)
{
    (void)client;
    (void)mid;
    for (int i = 0; i < count; i++)
        if (granted[i] > 2) say(ctx, 'E', "the broker refuses a subscription");
}

static void on_publish(struct mosquitto *client, void *ctx, int mid)
{
    struct mqtt_mosquitto *m = ctx;
    (void)client;
    (void)mid;
    pthread_mutex_lock(&m->mutex);
    if (m->sent) m->sent--;
    pthread_cond_broadcast(&m->news);
    pthread_mutex_unlock(&m->mutex);
}

static bool copy(const struct mosquitto_message *from, struct otter_mqtt_message *to)
{
    size_t topic = strlen(from->topic) + 1, size = (size_t)from->payloadlen;
    *to = (struct otter_mqtt_message){.retained = from->retain, .too_large = size > OTTER_MQTT_MESSAGE, .size = size};
    if (to->too_large) to->size = 0;
    to->topic = malloc(topic + to->size + 1);
    if (!to->topic) return false;
    memcpy(to->topic, from->topic, topic);
    to->text = to->topic + topic;
    if (to->size) memcpy(to->text, from->payload, to->size);
    to->text[to->size] = '\0';
    return true;
}

static void on_message(struct mosquitto *client, void *ctx, const struct mosquitto_message *message)
{
    struct mqtt_mosquitto *m = ctx;
    struct mqtt_held *mine = calloc(1, sizeof *mine);
    (void)client;
    bool copied = mine && copy(message, &mine->message);
    pthread_mutex_lock(&m->mutex);
    /* A fleet's states come all at once; a device is to hold no more than the chip would. */
    bool room = copied && (m->config.passing || m->count < MQTT_HELD);
    if (room) {
        *m->end = mine;
        m->end = &mine->next;
        m->count++;
    }
    pthread_cond_broadcast(&m->news);
    pthread_mutex_unlock(&m->mutex);
    if (room) return;
    if (copied) free(mine->message.topic);
    free(mine);
    say(m, 'W', copied ? "more messages than are taken; one is dropped" : "out of memory; a message is dropped");
}

/* ---- the connection ---- */

static void sleep_ms(uint32_t ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static const char *in_words(int code) { return code == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(code); }

/* Until it breaks; true if the broker has let us in. */
static bool hold_connection(struct mqtt_mosquitto *m)
{
    unsigned before = m->connections;
    int code = mosquitto_connect(m->client, m->place.host, m->place.port, KEEP_ALIVE_S);
    if (code) say(m, 'W', "%s:%u: %s", m->place.host, m->place.port, in_words(code));
    while (!code) code = mosquitto_loop(m->client, TURN_MS, 1);
    if (code == MOSQ_ERR_TLS)
        say(m, 'E', "%s: its certificate does not verify, or it does not take ours", m->place.host);
    return m->connections != before;
}

static void *work(void *ctx)
{
    struct mqtt_mosquitto *m = ctx;
    for (uint32_t pause = PAUSE_MS;;) {
        if (hold_connection(m)) pause = PAUSE_MS;
        sleep_ms(pause / 2 + (uint32_t)rand() % pause);
        pause = pause < PAUSE_MOST_MS / 2 ? pause * 2 : PAUSE_MOST_MS;
    }
    return NULL;
}

static bool start_thread(struct mqtt_mosquitto *m)
{
    pthread_t thread;
    sigset_t all, before;
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool ok = pthread_create(&thread, NULL, work, m) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ok) pthread_detach(thread);
    return ok;
}

static bool set_user(struct mqtt_mosquitto *m)
{
    const char *user = m->config.user, *colon = user ? strchr(user, ':') : NULL;
    if (!user) return true;
    char *name = strdup(user);
    if (!name) return false;
    if (colon) name[colon - user] = '\0';
    bool ok = mosquitto_username_pw_set(m->client, name, colon ? colon + 1 : NULL) == 0;
    free(name);
    return ok;
}

static bool set_tls(struct mqtt_mosquitto *m)
{
    const struct mqtt_config *c = &m->config;
    if (!m->place.tls) return true;
    if (!c->ca && mosquitto_int_option(m->client, MOSQ_OPT_TLS_USE_OS_CERTS, 1)) return false;
    if (!c->ca && !c->cert) return true;
    return mosquitto_tls_set(m->client, c->ca, c->ca ? NULL : "/etc/ssl/certs", c->cert, c->key, NULL) == 0;
}

static bool start(void *ctx, const char *client_id, const char *will_topic, const char *will)
{
    struct mqtt_mosquitto *m = ctx;
    m->client = mosquitto_new(client_id, m->config.passing, m);
    if (!m->client) return false;
    mosquitto_threaded_set(m->client, true);
    mosquitto_connect_callback_set(m->client, on_connect);
    mosquitto_disconnect_callback_set(m->client, on_disconnect);
    mosquitto_subscribe_callback_set(m->client, on_subscribe);
    mosquitto_publish_callback_set(m->client, on_publish);
    mosquitto_message_callback_set(m->client, on_message);
    if (will && mosquitto_will_set(m->client, will_topic, (int)strlen(will), will, 1, true)) return false;
    if (!set_user(m)) return false;
    if (!set_tls(m)) {
        say(m, 'E', "the certificates or the key for the broker cannot be read");
        return false;
    }
    srand((unsigned)time(NULL) ^ (unsigned)(uintptr_t)m);
    return start_thread(m);
}

/* ---- the table ---- */

static unsigned connection(void *ctx)
{
    struct mqtt_mosquitto *m = ctx;
    pthread_mutex_lock(&m->mutex);
    unsigned n = m->up ? m->connections : 0;
    pthread_mutex_unlock(&m->mutex);
    return n;
}

/* Of QoS 1 brokers queue but so many messages, and drop the rest (mosquitto: 1,000); where they keep no session it
 * gives nothing for that. */
static bool subscribe(void *ctx, const char *topic)
{
    struct mqtt_mosquitto *m = ctx;
    return mosquitto_subscribe(m->client, NULL, topic, m->config.passing ? 0 : 1) == 0;
}

static bool publish(void *ctx, const char *topic, const char *text, bool retain)
{
    struct mqtt_mosquitto *m = ctx;
    if (m->config.silent && *m->config.silent) return false;
    pthread_mutex_lock(&m->mutex);
    m->sent++;
    pthread_mutex_unlock(&m->mutex);
    if (mosquitto_publish(m->client, NULL, topic, (int)strlen(text), text, 1, retain) == 0) return true;
    on_publish(m->client, m, 0);
    return false;
}

static struct timespec from_now(uint32_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static bool next(void *ctx, uint32_t wait_ms, struct otter_mqtt_message *out)
{
    struct mqtt_mosquitto *m = ctx;
    struct timespec end = from_now(wait_ms);
    pthread_mutex_lock(&m->mutex);
    if (!m->first && wait_ms) pthread_cond_timedwait(&m->news, &m->mutex, &end);
    struct mqtt_held *came = m->first;
    if (came) {
        m->first = came->next;
        m->count--;
    }
    if (!m->first) m->end = &m->first;
    pthread_mutex_unlock(&m->mutex);
    if (!came) return false;
    *out = came->message;
    free(came);
    return true;
}

bool mqtt_mosquitto_init(struct mqtt_mosquitto *m, const struct mqtt_config *config)
{
    memset(m, 0, sizeof *m);
    m->port = (struct otter_mqtt){m, start, connection, subscribe, publish, next};
    m->config = *config;
    m->end = &m->first;
    pthread_mutex_init(&m->mutex, NULL);
    pthread_cond_init(&m->news, NULL);
    return mqtt_place_read(config->url, &m->place) && mosquitto_lib_init() == 0;
}

void mqtt_mosquitto_stop(struct mqtt_mosquitto *m, uint32_t most_ms)
{
    struct timespec end = from_now(most_ms);
    int late = 0;
    pthread_mutex_lock(&m->mutex);
    while (m->up && m->sent && !late) late = pthread_cond_timedwait(&m->news, &m->mutex, &end);
    pthread_mutex_unlock(&m->mutex);
    mosquitto_disconnect(m->client);
}
