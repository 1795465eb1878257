/* The virtual device's job door: a broker, and a thread for what waits for it and for servers. */
#include <stdio.h>
#include <string.h>

#include "tool/device.h"
#include "tool/tool.h"

int device_job_check(const struct device_options *o)
{
    char topic[OTTER_MQTT_TOPIC + 1];
    struct mqtt_place place;
    const struct mqtt_config *m = &o->mqtt;
    if (!m->url && (o->topic || m->cert || m->key)) return tool_usage_error("device run", "--mqtt URL is missing");
    if (!m->url) return 0;
    if (!mqtt_place_read(m->url, &place))
        return tool_usage_error("device run", "--mqtt: it is no mqtt://HOST:PORT or mqtts://HOST:PORT");
    if (!m->cert != !m->key) return tool_usage_error("device run", "--mqtt-cert and --mqtt-key belong together");
    if (m->cert && !place.tls) return tool_usage_error("device run", "--mqtt-cert needs mqtts://");
    if (!otter_job_topic(o->topic ? o->topic : OTTER_JOB_TEMPLATE, o->id, OTTER_JOB_REQUEST, topic))
        return tool_usage_error("device run",
                                "--topic: it has no {id} in it, a wildcard, or is too long, or --id cannot "
                                "stand in a topic");
    return 0;
}

static void say(void *ctx, char level, const char *text)
{
    (void)ctx;
    printf("%c mqtt: %s\n", level, text);
    fflush(stdout);
}

bool device_job_open(struct device_job *j, const struct device_options *o, struct otter_update *u,
                     const struct device_channel *c, const bool *dead)
{
    struct mqtt_config config = o->mqtt;
    j->dead = dead;
    j->wanted = config.url != NULL;
    if (!j->wanted) return true;
    config.ca = o->ca;
    config.say = say;
    config.silent = dead;
    /* What settings say of fetching counts for both doors. */
    struct otter_job_config job = {.mqtt = &j->mqtt.port,
                                   .net = &j->net.port,
                                   .lock = &c->lock.port,
                                   .policy = c->channel.config.policy,
                                   .topic = o->topic};
    return net_curl_init(&j->net, o->ca) && mqtt_mosquitto_init(&j->mqtt, &config) && otter_job_init(&j->job, u, &job);
}

static uint32_t step(void *ctx)
{
    struct device_job *j = ctx;
    return *j->dead ? OTTER_JOB_IDLE_MS : otter_job_step(&j->job);
}

bool device_job_start(struct device_job *j)
{
    if (!j->wanted) return true;
    j->worker = (struct posix_worker){j, step};
    return posix_worker_start(&j->worker);
}
