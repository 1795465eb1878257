/* A board configuration as JSON: one to three channels, or what is wrong; what was read is written and read the same.
 */
#include <stdlib.h>
#include <string.h>

#include "doors/board.h"
#include "doors/url.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct otter_board b, again;
    struct otter_url url;
    const char *why = otter_board_read((const char *)data, size, &b);
    HOLDS(why ? b.count == 0 : b.count <= OTTER_CHANNELS);
    for (unsigned i = 0; i < b.count; i++) {
        HOLDS(b.channel[i].name[0] && memchr(b.channel[i].name, 0, sizeof b.channel[i].name));
        HOLDS(strlen(b.channel[i].path) <= OTTER_CHANNEL_PATH && otter_url_read(b.channel[i].path, &url));
    }
    char *text = why ? NULL : otter_board_write(&b);
    if (text && strlen(text) <= OTTER_BOARD_MAX) {
        HOLDS(!otter_board_read(text, strlen(text), &again) && again.count == b.count);
        otter_board_free(&again);
    }
    free(text);
    otter_board_free(&b);
    return 0;
}
