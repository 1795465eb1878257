/* A message on an update topic: a job within its limits, or none with a reason. */
#include <string.h>

#include "doors/job_message.h"
#include "doors/url.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct otter_job_order o;
    struct otter_url url;
    const char *why = NULL;
    enum otter_err e = otter_job_read((const char *)data, size, &o, &why);
    HOLDS(e == OTTER_OK || e == OTTER_JOB || e == OTTER_URL);
    HOLDS((e == OTTER_OK) == (o.url != NULL));
    HOLDS(e != OTTER_JOB || why);
    HOLDS(memchr(o.id, 0, sizeof o.id) && memchr(o.version, 0, sizeof o.version));
    HOLDS(e || (strlen(o.url) <= OTTER_URL_MAX && otter_url_read(o.url, &url)));
    otter_job_order_free(&o);
    return 0;
}
