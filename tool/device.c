/* `otter device run`: the virtual ESP32's options and its power supply, which starts a process for each life. */
#define _GNU_SOURCE
#include "tool/device.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "format/preset.h"
#include "tool/tool.h"

enum { BOOT_TRIES = 3, OFF_MS = 150, FLASH_MAX = 128 * 1024 * 1024, SCENARIO_MAX = 1 << 20 };

static const char help[] =
    "Usage: otter device run --flash FILE [OPTION]...\n"
    "Runs a virtual ESP32: its flash is FILE, its firmware is what is in the slot that the boot loader picks.\n"
    "\n"
    "  --flash FILE          flash contents; made if it does not exist\n"
    "  --image APP.bin       first firmware of a new flash (factory app, or ota_0)\n"
    "  --table NAME|FILE     partition table of a new flash: a binary one, or one of the names below [two_ota_large]\n"
    "  --flash-size SIZE     bytes, or with K or M behind [4M]\n"
    "  --http ADDRESS:PORT   where to serve; port 0 takes a free one [127.0.0.1:0]\n"
    "  --chip NAME           [esp32c3]\n"
    "  --id TEXT             tells the device from others [020000000001]\n"
    "  --chip-rev N          revision, major * 100 + minor [3]\n"
    "  --scenario FILE       JSON: how each firmware version behaves (healthy, crash_at_boot, never_confirms,\n"
    "                        no_network, unhealthy)\n"
    "  --time real|fast      flash operations take their time, or none [real]\n"
    "  --no-rollback         a boot loader without roll back\n"
    "  --user NAME:PASSWORD  ask for this by Basic authentication (or from the environment: OTTER_USER)\n"
    "  --token TOKEN         or for this bearer token (or from the environment: OTTER_TOKEN)\n"
    "  --key-digest HEX      take only images signed with this key (otter image key-digest); up to three\n"
    "  --board FILE          board.yaml: the channels that firmware may be fetched from\n"
    "  --ca FILE             certificates (PEM) that servers are verified against, instead of the system's\n"
    "  --ota KEY=NUMBER      a setting of the channel door: interval, auto, http, timeout, deadline\n"
    "  --mqtt URL            take jobs from this broker: mqtt://HOST:PORT, or mqtts://HOST:PORT with TLS\n"
    "  --mqtt-user NAME:PASSWORD\n"
    "                        there (or from the environment: OTTER_MQTT_USER)\n"
    "  --mqtt-cert FILE      the client's certificate (PEM) for TLS, and\n"
    "  --mqtt-key FILE       its key\n"
    "  --topic TEMPLATE      of the update topic; {id} stands for the device's id [" OTTER_JOB_TEMPLATE
    "]\n"
    "  --host NAME           a further host name to answer to, up to three\n"
    "  --power-cut N[:TEAR[:ARG]]\n"
    "                        power goes at the N-th flash write or erase of the first life, which is left undone\n"
    "                        (before), done (after), or torn: prefix, random-bits, all-but-one, half-erase\n"
    "  --help                this text\n"
    "\n"
    "Partition tables by name:\n";

static int print_help(void)
{
    fputs(help, stdout);
    for (unsigned i = 0; otter_preset_at(i); i++)
        printf("  %-16s %s\n", otter_preset_at(i)->name, otter_preset_at(i)->text);
    return 0;
}

/* ---- options ---- */

static bool read_cut(const char *text, struct sim_cut *cut)
{
    char tear[16] = "before";
    unsigned long long at = 0;
    unsigned arg = 0;
    if (sscanf(text, "%llu:%15[a-z-]:%u", &at, tear, &arg) < 1 || at == 0) return false;
    *cut = (struct sim_cut){.at = at, .arg = arg, .seed = arg};
    for (int i = 0; i < SIM_TEARS; i++) {
        cut->tear = (enum sim_tear)i;
        if (strcmp(sim_tear_name(cut->tear), tear) == 0) return true;
    }
    return false;
}

static bool read_scenario(struct device_options *o)
{
    char why[80];
    size_t n;
    char *text = tool_read_file(o->scenario_path, SCENARIO_MAX - 1, &n), *ended = text ? realloc(text, n + 1) : NULL;
    if (!ended) return free(text), false;
    ended[n] = '\0';
    bool ok = sim_scenario_read(&o->scenario, ended, why, sizeof why);
    if (!ok) tool_fail(OTTER_ARG, "%s: %s", o->scenario_path, why);
    free(ended);
    return ok;
}

/* "Basic bmFtZTpwYXNzd29yZA==", as a browser sends it. */
static const char *basic_of(const char *user)
{
    static char value[256] = "Basic ";
    size_t n = strlen(user);
    if (n > 160) return NULL;
    EVP_EncodeBlock((unsigned char *)value + 6, (const unsigned char *)user, (int)n);
    return value;
}

static const char *bearer_of(const char *token)
{
    static char value[256];
    int n = snprintf(value, sizeof value, "Bearer %s", token);
    return n > 0 && (size_t)n < sizeof value ? value : NULL;
}

enum {
    OPT_FLASH = 1,
    OPT_IMAGE,
    OPT_TABLE,
    OPT_SIZE,
    OPT_HTTP,
    OPT_CHIP,
    OPT_ID,
    OPT_REV,
    OPT_SCENARIO,
    OPT_TIME,
    OPT_NO_ROLLBACK,
    OPT_USER,
    OPT_TOKEN,
    OPT_HOST,
    OPT_CUT,
    OPT_KEY,
    OPT_BOARD,
    OPT_CA,
    OPT_OTA,
    OPT_MQTT,
    OPT_MQTT_USER,
    OPT_MQTT_CERT,
    OPT_MQTT_KEY,
    OPT_TOPIC,
    OPT_HELP
};

static const struct option long_options[] = {{"flash", 1, 0, OPT_FLASH},
                                             {"image", 1, 0, OPT_IMAGE},
                                             {"table", 1, 0, OPT_TABLE},
                                             {"flash-size", 1, 0, OPT_SIZE},
                                             {"http", 1, 0, OPT_HTTP},
                                             {"chip", 1, 0, OPT_CHIP},
                                             {"id", 1, 0, OPT_ID},
                                             {"chip-rev", 1, 0, OPT_REV},
                                             {"scenario", 1, 0, OPT_SCENARIO},
                                             {"time", 1, 0, OPT_TIME},
                                             {"no-rollback", 0, 0, OPT_NO_ROLLBACK},
                                             {"user", 1, 0, OPT_USER},
                                             {"token", 1, 0, OPT_TOKEN},
                                             {"host", 1, 0, OPT_HOST},
                                             {"power-cut", 1, 0, OPT_CUT},
                                             {"key-digest", 1, 0, OPT_KEY},
                                             {"board", 1, 0, OPT_BOARD},
                                             {"ca", 1, 0, OPT_CA},
                                             {"ota", 1, 0, OPT_OTA},
                                             {"mqtt", 1, 0, OPT_MQTT},
                                             {"mqtt-user", 1, 0, OPT_MQTT_USER},
                                             {"mqtt-cert", 1, 0, OPT_MQTT_CERT},
                                             {"mqtt-key", 1, 0, OPT_MQTT_KEY},
                                             {"topic", 1, 0, OPT_TOPIC},
                                             {"help", 0, 0, OPT_HELP},
                                             {0, 0, 0, 0}};

/* Options whose value is a number or a choice; 0, or an exit status. */
static int take_value(struct device_options *o, int option, const char *value)
{
    uint64_t n;
    switch (option) {
    case OPT_SIZE:
        if (tool_number(value, FLASH_MAX, &n) || n < OTTER_BLOCK || n % OTTER_BLOCK)
            return tool_usage_error("device run", "--flash-size: \"%s\" is no multiple of 64K up to 128M", value);
        o->flash_size = (uint32_t)n;
        return 0;
    case OPT_REV:
        if (tool_number(value, 9999, &n))
            return tool_usage_error("device run", "--chip-rev: \"%s\" is no revision", value);
        o->chip_revision = (uint16_t)n;
        return 0;
    case OPT_TIME:
        o->real_time = strcmp(value, "real") == 0;
        if (o->real_time || strcmp(value, "fast") == 0) return 0;
        return tool_usage_error("device run", "--time is real or fast");
    case OPT_CUT:
        if (read_cut(value, &o->cut)) return 0;
        return tool_usage_error("device run", "--power-cut: \"%s\" is no N[:TEAR[:ARG]]", value);
    case OPT_CHIP: o->chip = tool_chip(value); return o->chip ? 0 : 2;
    default: return 2;
    }
}

static bool take_key(struct device_options *o, const char *hex)
{
    if (strlen(hex) != 64 || o->key_count == OTTER_CFG_KEYS || strspn(hex, "0123456789abcdefABCDEF") != 64)
        return false;
    for (unsigned i = 0; i < 32; i++) sscanf(hex + 2 * i, "%2hhx", &o->keys[o->key_count][i]);
    o->key_count++;
    return true;
}

static bool take_number(struct device_options *o, const char *text)
{
    if (o->number_count == DEVICE_NUMBERS) return false;
    struct device_number *n = &o->numbers[o->number_count];
    char rest;
    if (sscanf(text, "%15[a-z]=%9u%c", n->key, &n->value, &rest) != 2) return false;
    o->number_count++;
    return true;
}

static int take_option(struct device_options *o, int option, const char *value)
{
    switch (option) {
    case OPT_FLASH: o->flash_path = value; return 0;
    case OPT_IMAGE: o->image_path = value; return 0;
    case OPT_TABLE: o->table = value; return 0;
    case OPT_HTTP: o->http = value; return 0;
    case OPT_ID: o->id = value; return 0;
    case OPT_SCENARIO: o->scenario_path = value; return 0;
    case OPT_BOARD: o->board = value; return 0;
    case OPT_CA: o->ca = value; return 0;
    case OPT_MQTT: o->mqtt.url = value; return 0;
    case OPT_MQTT_USER: o->mqtt.user = value; return 0;
    case OPT_MQTT_CERT: o->mqtt.cert = value; return 0;
    case OPT_MQTT_KEY: o->mqtt.key = value; return 0;
    case OPT_TOPIC: o->topic = value; return 0;
    case OPT_OTA:
        return take_number(o, value) ? 0 : tool_usage_error("device run", "--ota: \"%s\" is no KEY=NUMBER", value);
    case OPT_KEY:
        return take_key(o, value) ? 0 : tool_usage_error("device run", "--key-digest: 64 hex digits, at most three");
    case OPT_NO_ROLLBACK: o->no_rollback = true; return 0;
    case OPT_USER: o->user = basic_of(value); return o->user ? 0 : tool_usage_error("device run", "--user is too long");
    case OPT_TOKEN:
        o->token = bearer_of(value);
        return o->token ? 0 : tool_usage_error("device run", "--token is too long");
    case OPT_HOST:
        for (unsigned i = 0; i < 3; i++)
            if (!o->hosts[i]) return o->hosts[i] = value, 0;
        return tool_usage_error("device run", "--host: at most three");
    case '?': return tool_usage_error("device run", "the command line is wrong");
    default: return take_value(o, option, value);
    }
}

static int read_environment(struct device_options *o)
{
    const char *user = getenv("OTTER_USER"), *token = getenv("OTTER_TOKEN");
    int status = user ? take_option(o, OPT_USER, user) : 0;
    o->mqtt.user = getenv("OTTER_MQTT_USER");
    return status || !token ? status : take_option(o, OPT_TOKEN, token);
}

static int read_options(struct device_options *o, int argc, char **argv)
{
    int status = read_environment(o);
    for (int option; !status && (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        if (option == OPT_HELP || option == 'h') exit(print_help());
        status = take_option(o, option, optarg);
    }
    if (status) return status;
    if (optind < argc) return tool_usage_error("device run", "what is \"%s\"?", argv[optind]);
    if (!o->flash_path) return tool_usage_error("device run", "--flash FILE is missing");
    status = device_job_check(o);
    return status ? status : o->scenario_path && !read_scenario(o) ? 2 : 0;
}

/* ---- network ---- */

static bool parse_address(const char *text, struct sockaddr_in *a)
{
    char host[32] = "127.0.0.1";
    unsigned port;
    memset(a, 0, sizeof *a);
    a->sin_family = AF_INET;
    if (sscanf(text, "%31[0-9.]:%u", host, &port) != 2 && sscanf(text, ":%u", &port) != 1) return false;
    a->sin_port = htons((uint16_t)port);
    return port < 65536 && inet_pton(AF_INET, host, &a->sin_addr) == 1;
}

static int bind_to(struct sockaddr_in *a)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof *a;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)a, sizeof *a) == 0 && getsockname(fd, (struct sockaddr *)a, &size) == 0) return fd;
    close(fd);
    return -1;
}

/* The port is the device's until it is switched off, but between two lives nobody listens. The kernel keeps a port over
 * that gap only if it was asked for by number; so a free one is found first. */
static int bind_port(struct sockaddr_in *a)
{
    int fd = bind_to(a);
    if (fd < 0) return -1;
    close(fd);
    return bind_to(a);
}

static bool open_network(struct device_power *p)
{
    struct sockaddr_in a;
    char host[INET_ADDRSTRLEN];
    if (!parse_address(p->options->http, &a)) {
        tool_usage_error("device run", "--http: \"%s\" is no ADDRESS:PORT", p->options->http);
        return false;
    }
    p->listen_fd = bind_port(&a);
    if (p->listen_fd < 0) {
        tool_fail(OTTER_ARG, "%s: %s; choose another with --http, or port 0 for a free one", p->options->http,
                  strerror(errno));
        return false;
    }
    inet_ntop(AF_INET, &a.sin_addr, host, sizeof host);
    snprintf(p->url, sizeof p->url, "http://%s:%u", host, ntohs(a.sin_port));
    return true;
}

/* ---- power ---- */

static volatile sig_atomic_t switched_off;
static volatile pid_t life_pid;

static void switch_off(int sig)
{
    switched_off = sig;
    if (life_pid > 0) kill(life_pid, SIGKILL);
}

/* Whatever a life served ends with it. A socket that did not listen must be left alone: shut down, it would hand its
 * state on to all it accepts later. */
static void stop_listening(int fd)
{
    int listening = 0;
    socklen_t size = sizeof listening;
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size);
    if (listening) shutdown(fd, SHUT_RDWR);
}

static int start_life(struct device_power *p)
{
    fflush(stdout);
    p->shared->boot_id++;
    p->shared->lives++;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        /* A power supply that is killed takes the device with it. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_IGN);
        if (getppid() != parent) _exit(DEVICE_LOST_POWER);
        _exit(device_live(p));
    }
    life_pid = pid;
    if (pid > 0 && switched_off) kill(pid, SIGKILL);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    life_pid = 0;
    stop_listening(p->listen_fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : DEVICE_PANICKED;
}

static void wait_off(void)
{
    struct timespec t = {0, OFF_MS * 1000000L};
    nanosleep(&t, NULL);
}

static int run(struct device_power *p)
{
    int failed_boots = 0;
    while (!switched_off) {
        int end = start_life(p);
        if (switched_off) break;
        p->shared->panicked = end == DEVICE_PANICKED;
        if (end == DEVICE_LOST_POWER) printf("\n-- power is lost, and comes back --\n");
        failed_boots = end == DEVICE_CANNOT_BOOT ? failed_boots + 1 : 0;
        if (failed_boots == BOOT_TRIES)
            return tool_fail(OTTER_NO_SLOT, "the boot loader finds nothing to start; it resets again and again");
        wait_off();
    }
    return 0;
}

static int run_command(int argc, char **argv)
{
    static struct device_options options = {.table = "two_ota_large",
                                            .http = "127.0.0.1:0",
                                            .id = "020000000001",
                                            .flash_size = 4 << 20,
                                            .chip_revision = 3,
                                            .real_time = true};
    static struct device_power power = {.options = &options};
    options.chip = otter_chip_by_name("esp32c3");
    int status = read_options(&options, argc, argv);
    if (status) return status;
    power.flash = device_flash_open(&options);
    if (!power.flash) return 2;
    if (!open_network(&power)) return 2;
    power.shared = mmap(NULL, sizeof *power.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (power.shared == MAP_FAILED) return tool_fail(OTTER_ARG, "%s", strerror(errno));
    power.shared->boot_id = (uint32_t)time(NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction off = {.sa_handler = switch_off};
    sigaction(SIGTERM, &off, NULL);
    sigaction(SIGINT, &off, NULL);
    signal(SIGPIPE, SIG_IGN);
    return run(&power);
}

int main(int argc, char **argv)
{
    static const struct tool_command commands[] = {{"run", run_command, "the virtual ESP32"}, {NULL, NULL, NULL}};
    tool_watch_stdout();
    return tool_dispatch(commands, "Usage: otter device COMMAND [OPTION]...\n\n", argc, argv);
}
