/* Decides who may ask. Knows headers, and nothing of what is asked for. */
#include "doors/access.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Length of the name in "name:port", "[v6]:port" or "name". */
static size_t name_length(const char *host)
{
    if (*host == '[') {
        const char *end = strchr(host, ']');
        return end ? (size_t)(end - host) + 1 : strlen(host);
    }
    return strcspn(host, ":");
}

static bool is_ipv4(const char *host, size_t n)
{
    unsigned dots = 0;
    for (size_t i = 0; i < n; i++) {
        if (host[i] == '.')
            dots++;
        else if (!isdigit((unsigned char)host[i]))
            return false;
    }
    return dots == 3;
}

static bool is_own_host(const struct otter_access *a, const char *host)
{
    size_t n = name_length(host);
    if (*host == '[' || is_ipv4(host, n)) return true;
    for (unsigned i = 0; i < OTTER_ACCESS_HOSTS && a->hosts[i]; i++)
        if (strlen(a->hosts[i]) == n && strncasecmp(a->hosts[i], host, n) == 0) return true;
    return false;
}

/* Every byte that was given is looked at, so that the time tells nothing of how many are right. */
static bool same_secret(const char *expected, const char *given)
{
    size_t n = strlen(expected), m = strlen(given);
    unsigned differ = n != m;
    for (size_t i = 0; i < m; i++) differ |= (unsigned char)(expected[n ? i % n : 0] ^ given[i]);
    return differ == 0;
}

static bool is_authorized(const struct otter_access *a, const char *given)
{
    bool ok = !a->authorization[0] && !a->authorization[1];
    for (unsigned i = 0; given && i < 2; i++) {
        const char *expected = a->authorization[i];
        if (!expected) continue;
        /* The scheme's name may come in any case. */
        size_t scheme = strcspn(expected, " ");
        if (strncasecmp(expected, given, scheme) == 0 && same_secret(expected + scheme, given + scheme)) ok = true;
    }
    return ok;
}

/* Does "http://host:port/path" name the same host and port as Host does? */
static bool same_site(const char *url, const char *host)
{
    const char *p = strstr(url, "://");
    if (!p || !host) return false;
    p += 3;
    size_t n = strcspn(p, "/?#");
    return strlen(host) == n && strncasecmp(p, host, n) == 0;
}

static bool is_foreign(const struct otter_access_request *r)
{
    const char *site = r->sec_fetch_site;
    if (site && strcasecmp(site, "same-origin") != 0 && strcasecmp(site, "none") != 0) return true;
    if (r->origin) return !same_site(r->origin, r->host);
    return r->referer && !same_site(r->referer, r->host);
}

enum otter_err otter_access_check(const struct otter_access *a, const struct otter_access_request *r)
{
    if (r->host && !is_own_host(a, r->host)) return OTTER_FOREIGN_HOST;
    if (!is_authorized(a, r->authorization)) return OTTER_UNAUTHORIZED;
    return r->changes && is_foreign(r) ? OTTER_FOREIGN_ORIGIN : OTTER_OK;
}
