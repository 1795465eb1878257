/* What a device says of itself: any text; what is read of it is ended, printable and in range. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tool/push_status.h"

static void is_text(const char *s, size_t size)
{
    HOLDS(memchr(s, '\0', size));
    for (; *s; s++) HOLDS(*s >= ' ' && *s <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct push_status s;
    push_status_read(&s, (const char *)data, size);
    is_text(s.chip, sizeof s.chip);
    is_text(s.version, sizeof s.version);
    is_text(s.slot, sizeof s.slot);
    is_text(s.state, sizeof s.state);
    is_text(s.target, sizeof s.target);
    is_text(s.next, sizeof s.next);
    is_text(s.update, sizeof s.update);
    is_text(s.resume_sha256, sizeof s.resume_sha256);
    HOLDS(s.boot_id >= 0 && s.room >= 0 && s.resume_from >= 0 && s.resume_from < 1e15);
    struct push_refusal r;
    push_refusal_read(&r, (const char *)data, size);
    is_text(r.name, sizeof r.name);
    is_text(r.message, sizeof r.message);
    return 0;
}
