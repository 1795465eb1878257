/* Who may ask: host, origin and password of a request. */
#ifndef OTTER_DOORS_ACCESS_H
#define OTTER_DOORS_ACCESS_H

#include <stdbool.h>

#include "otter/err.h"

enum { OTTER_ACCESS_HOSTS = 4 };

struct otter_access {
    /* Whole values of Authorization that are let in, "Basic ..." and "Bearer ..."; both NULL: everyone is. */
    const char *authorization[2];
    /* Names that Host may be, beside address literals; NULL ends the list. */
    const char *hosts[OTTER_ACCESS_HOSTS];
};

/* The headers that decide; NULL where a request has none. */
struct otter_access_request {
    const char *authorization, *host, *origin, *referer, *sec_fetch_site;
    bool changes; /* the request is to change something */
};

/* OTTER_OK, OTTER_FOREIGN_HOST (against names that are made to point here), OTTER_UNAUTHORIZED, OTTER_FOREIGN_ORIGIN
 * (another site's page made the browser ask). A request without these headers, as curl's, passes all but the password.
 */
enum otter_err otter_access_check(const struct otter_access *a, const struct otter_access_request *r);

#endif
