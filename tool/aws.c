/* Reads the settings of the aws command. */
#define _GNU_SOURCE
#include "tool/aws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool/tool.h"

enum { FILE_MAX = 1 << 20, KEY_MAX = 64 };

/* What is read of a profile. */
enum { ACCESS_KEY, SECRET_KEY, OLD_TOKEN, TOKEN, REGION, ENDPOINT, STYLE, ROLE, PROCESS, SSO, SSO_URL, SSO_ROLE, KEYS };
static const char *const key_names[KEYS] = {
    [ACCESS_KEY] = "aws_access_key_id",
    [SECRET_KEY] = "aws_secret_access_key",
    [OLD_TOKEN] = "aws_security_token",
    [TOKEN] = "aws_session_token",
    [REGION] = "region",
    [ENDPOINT] = "endpoint_url",
    [STYLE] = "s3.addressing_style",
    [ROLE] = "role_arn",
    [PROCESS] = "credential_process",
    [SSO] = "sso_session",
    [SSO_URL] = "sso_start_url",
    [SSO_ROLE] = "sso_role_name",
};

struct profile {
    bool found;
    char *value[KEYS];
};

bool aws_take_option(struct aws_wish *w, int option, const char *value)
{
    switch (option) {
    case AWS_OPT_PROFILE: w->profile = value; return true;
    case AWS_OPT_REGION: w->region = value; return true;
    case AWS_OPT_ENDPOINT: w->endpoint = value; return true;
    case AWS_OPT_STYLE: w->style = value; return true;
    default: return false;
    }
}

/* ---- the files ---- */

static char *trim(char *s)
{
    s += strspn(s, " \t\r");
    for (size_t n = strlen(s); n && strchr(" \t\r", s[n - 1]); n--) s[n - 1] = '\0';
    return s;
}

/* "default", "profile NAME" and "profile 'NAME'" in the one file, "NAME" in the other. */
static bool is_section(char *section, const char *name, bool config)
{
    static const char prefix[] = "profile";
    section = trim(section);
    if (!config || strcmp(name, "default") == 0) {
        if (strcmp(section, name) == 0) return true;
        if (!config) return false;
    }
    const size_t n = sizeof prefix - 1;
    if (strncmp(section, prefix, n) != 0 || (section[n] != ' ' && section[n] != '\t')) return false;
    section = trim(section + n);
    size_t size = strlen(section);
    if (size >= 2 && strchr("'\"", section[0]) && section[size - 1] == section[0]) {
        section[size - 1] = '\0';
        section++;
    }
    return strcmp(section, name) == 0;
}

static void keep(struct profile *p, const char *key, const char *value)
{
    for (unsigned i = 0; i < KEYS; i++)
        if (strcasecmp(key, key_names[i]) == 0 && *value) {
            free(p->value[i]);
            p->value[i] = strdup(value);
        }
}

/* The section that is read, and the last key in it. */
struct section {
    bool inside;
    size_t indent;       /* of the key */
    char above[KEY_MAX]; /* the key; empty: none yet */
    bool nests;          /* it has no value of its own: deeper lines are keys below it, as those of s3 are */
};

/* A line "key = value" or "key: value". Deeper ones belong to the key above. */
static void take_line(struct profile *p, struct section *s, char *line)
{
    char nested[2 * KEY_MAX];
    size_t indent = strspn(line, " \t");
    bool deeper = *s->above && indent > s->indent;
    char *end = line + strcspn(line, "=:");
    if (!*end || (deeper && !s->nests)) return;
    *end = '\0';
    const char *key = trim(line), *value = trim(end + 1);
    snprintf(nested, sizeof nested, "%s.%s", s->above, key);
    keep(p, deeper ? nested : key, value);
    if (deeper) return;
    s->indent = indent;
    s->nests = !*value;
    snprintf(s->above, sizeof s->above, "%s", key);
}

static void read_profile(struct profile *p, char *text, const char *name, bool config)
{
    struct section s = {0};
    for (char *line; (line = strsep(&text, "\n"));) {
        const char *first = line + strspn(line, " \t\r");
        if (!*first || *first == '#' || *first == ';') continue;
        char *end = *line == '[' ? strchr(line, ']') : NULL;
        if (end) {
            *end = '\0';
            s = (struct section){.inside = is_section(line + 1, name, config)};
            p->found = p->found || s.inside;
        } else if (s.inside) {
            take_line(p, &s, line);
        }
    }
}

/* The file that the variable names, or ~/.aws/NAME. One that is not there has no profiles. */
static int load_profile(struct profile *p, const char *variable, const char *file, const char *name, bool config)
{
    char *path = NULL, *given = getenv(variable), *home = getenv("HOME");
    size_t size;
    int n = given && *given ? asprintf(&path, "%s", given) : asprintf(&path, "%s/.aws/%s", home ? home : "", file);
    if (n < 0) return tool_fail(OTTER_ARG, "out of memory");
    int status = 0;
    if (access(path, F_OK) == 0) {
        char *bytes = tool_read_file(path, FILE_MAX, &size), *text = bytes ? strndup(bytes, size) : NULL;
        if (text) read_profile(p, text, name, config);
        status = text ? 0 : 2;
        if (bytes) explicit_bzero(bytes, size);
        if (text) explicit_bzero(text, strlen(text));
        free(bytes);
        free(text);
    }
    free(path);
    return status;
}

static void profile_free(struct profile *p)
{
    for (unsigned i = 0; i < KEYS; i++) {
        if (p->value[i]) explicit_bzero(p->value[i], strlen(p->value[i]));
        free(p->value[i]);
    }
}

/* ---- credentials ---- */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool set(char **to, const char *value)
{
    *to = value ? strdup(value) : NULL;
    return !value || *to;
}

static int set_credentials(struct aws *a, const char *access_key, const char *secret_key, const char *token)
{
    bool ok = set(&a->access_key, access_key) && set(&a->secret_key, secret_key) && set(&a->token, token);
    return ok ? 0 : tool_fail(OTTER_ARG, "out of memory");
}

static bool either(const struct profile *shared, const struct profile *config, unsigned key)
{
    return shared->value[key] || config->value[key];
}

static int half_credentials(const char *where, bool has_access_key)
{
    return tool_fail(OTTER_UNAUTHORIZED, "%s: there is %s, but no %s", where,
                     has_access_key ? "an access key" : "a secret key", has_access_key ? "secret key" : "access key");
}

static int credentials_of(struct aws *a, const struct profile *p, const char *name)
{
    if (!p->value[ACCESS_KEY] || !p->value[SECRET_KEY]) return half_credentials(name, p->value[ACCESS_KEY] != NULL);
    const char *token = p->value[OLD_TOKEN] ? p->value[OLD_TOKEN] : p->value[TOKEN];
    return set_credentials(a, p->value[ACCESS_KEY], p->value[SECRET_KEY], token);
}

static int only_aws_can(const char *name)
{
    return tool_fail(OTTER_UNAUTHORIZED,
                     "profile %s gets its credentials from a role, a program or a login, which only the aws command "
                     "can ask; hand them on with: eval \"$(aws configure export-credentials --profile %s --format "
                     "env)\"",
                     name, name);
}

static int no_credentials(const char *name)
{
    return tool_fail(OTTER_UNAUTHORIZED,
                     "there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or put "
                     "aws_access_key_id and aws_secret_access_key under [%s] in ~/.aws/credentials",
                     name);
}

/* As the aws command does: the option's profile, the environment, any other profile. In one, a role or a login goes
 * before keys, and a program before those in the file with the roles. */
static int find_credentials(struct aws *a, const struct aws_wish *w, const struct profile *shared,
                            const struct profile *config, const char *name)
{
    const char *access_key = variable("AWS_ACCESS_KEY_ID"), *secret_key = variable("AWS_SECRET_ACCESS_KEY");
    if (!w->profile && (access_key || secret_key)) {
        if (!access_key || !secret_key) return half_credentials("environment", access_key != NULL);
        const char *old_token = variable("AWS_SECURITY_TOKEN");
        return set_credentials(a, access_key, secret_key, old_token ? old_token : variable("AWS_SESSION_TOKEN"));
    }
    if (either(shared, config, ROLE) || either(shared, config, SSO_ROLE)) return only_aws_can(name);
    if (shared->value[ACCESS_KEY] || shared->value[SECRET_KEY]) return credentials_of(a, shared, name);
    if (either(shared, config, PROCESS)) return only_aws_can(name);
    if (config->value[ACCESS_KEY] || config->value[SECRET_KEY]) return credentials_of(a, config, name);
    if (either(shared, config, SSO) || either(shared, config, SSO_URL)) return only_aws_can(name);
    return no_credentials(name);
}

/* ---- where ---- */

static const char *first(const char *const *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i]) return list[i];
    return NULL;
}

static int find_style(struct aws *a, const char *text)
{
    static const char *const names[] = {
        [AWS_STYLE_AUTO] = "auto", [AWS_STYLE_PATH] = "path", [AWS_STYLE_VIRTUAL] = "virtual"};
    for (unsigned i = 0; text && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            a->style = (enum aws_style)i;
            return 0;
        }
    return text ? tool_fail(OTTER_ARG, "the addressing style is path, virtual or auto, not \"%s\"", text) : 0;
}

static int find_place(struct aws *a, const struct aws_wish *w, const struct profile *shared,
                      const struct profile *config)
{
    const char *const regions[] = {w->region, variable("AWS_REGION"), variable("AWS_DEFAULT_REGION"),
                                   shared->value[REGION], config->value[REGION]};
    const char *const endpoints[] = {w->endpoint, variable("AWS_ENDPOINT_URL_S3"), variable("AWS_ENDPOINT_URL"),
                                     shared->value[ENDPOINT], config->value[ENDPOINT]};
    const char *const styles[] = {w->style, shared->value[STYLE], config->value[STYLE]};
    if (!set(&a->region, first(regions, 5)) || !set(&a->endpoint, first(endpoints, 5)))
        return tool_fail(OTTER_ARG, "out of memory");
    for (const char *c = a->region ? a->region : ""; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", *c))
            return tool_fail(OTTER_ARG, "\"%s\" is no name of a region", a->region);
    return find_style(a, first(styles, 3));
}

int aws_open(struct aws *a, const struct aws_wish *w)
{
    struct profile shared = {0}, config = {0};
    const char *const names[] = {w->profile, variable("AWS_PROFILE"), variable("AWS_DEFAULT_PROFILE")};
    const char *asked = first(names, 3), *name = asked ? asked : "default";
    memset(a, 0, sizeof *a);
    int status = load_profile(&config, "AWS_CONFIG_FILE", "config", name, true);
    if (!status) status = load_profile(&shared, "AWS_SHARED_CREDENTIALS_FILE", "credentials", name, false);
    if (!status && asked && !shared.found && !config.found)
        status = tool_fail(OTTER_ARG, "there is no profile \"%s\" in ~/.aws/credentials and ~/.aws/config", name);
    if (!status) status = find_credentials(a, w, &shared, &config, name);
    if (!status) status = find_place(a, w, &shared, &config);
    profile_free(&shared);
    profile_free(&config);
    if (status) aws_close(a);
    return status;
}

void aws_close(struct aws *a)
{
    char *const all[] = {a->access_key, a->secret_key, a->token, a->region, a->endpoint};
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i]) explicit_bzero(all[i], strlen(all[i]));
        free(all[i]);
    }
    memset(a, 0, sizeof *a);
}
