/* A channel's descriptor: a release within its limits, with a URL that may be fetched, or none. */
#include <string.h>

#include "doors/descriptor.h"
#include "doors/url.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct otter_descriptor_reader r = {.url = "https://h/a/b.json", .chip = "ESP32-C3", .app = {0x10000, 0x20000}};
    struct otter_release release;
    struct otter_url url;
    enum otter_err e = otter_descriptor_read(&r, (const char *)data, size, &release);
    HOLDS(e == OTTER_OK || e == OTTER_DESCRIPTOR || e == OTTER_NO_BUILD || e == OTTER_URL);
    HOLDS(e != OTTER_DESCRIPTOR || r.why);
    if (e) return 0;
    HOLDS(release.version[0] && memchr(release.version, 0, sizeof release.version));
    HOLDS(memchr(release.min_version, 0, sizeof release.min_version));
    HOLDS(memchr(release.notes, 0, sizeof release.notes));
    HOLDS(release.needs_cable || (release.url && otter_url_read(release.url, &url)));
    otter_release_free(&release);
    return 0;
}
