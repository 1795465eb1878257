/* Any bytes as a settings partition: it opens or says why not, lists an end of values, and keeps what is set. */
#include <string.h>

#include "core/nvs.h"
#include "tests/fuzz/fuzz.h"
#include "tests/nor_ram.h"

enum { PAGES_MAX = 6, PAGE = 4096 };

static void list(struct otter_nvs *n)
{
    static uint8_t buf[PAGES_MAX * PAGE];
    struct otter_nvs_cursor c = {0};
    struct otter_nvs_item i;
    unsigned count = 0;
    while (otter_nvs_next(n, &c, &i) == OTTER_OK) {
        size_t room = sizeof buf;
        HOLDS(++count <= PAGES_MAX * OTTER_NVS_SLOTS);
        if (i.type == OTTER_NVS_STRING) (void)otter_nvs_get_string(n, i.ns, i.key, (char *)buf, &room);
        if (i.type == OTTER_NVS_BLOB) (void)otter_nvs_get_blob(n, i.ns, i.key, buf, &room);
    }
}

/* The seed decides sizes; each value is set only if it is said to be. */
static void use(struct otter_nvs *n, const struct otter_flash *flash, uint32_t seed)
{
    static uint8_t blob[5000], found[5000];
    char text[200];
    uint64_t v = 0;
    size_t blob_size = seed % sizeof blob, text_size = seed / 7 % sizeof text, room = sizeof found,
           text_room = sizeof found;
    memset(text, 'x', sizeof text);
    text[text_size] = '\0';
    enum otter_err e_blob = otter_nvs_set_blob(n, "app", "blob", blob, blob_size);
    enum otter_err e_int = otter_nvs_set_int(n, "app", "int", OTTER_NVS_U32, seed);
    enum otter_err e_text = otter_nvs_set_string(n, "net", "text", text);
    HOLDS(otter_nvs_open(n, flash, 0, flash->size) == OTTER_OK);
    if (!e_int) HOLDS(otter_nvs_get_int(n, "app", "int", OTTER_NVS_U32, &v) == OTTER_OK && v == seed);
    if (!e_text) HOLDS(otter_nvs_get_string(n, "net", "text", (char *)found, &text_room) == OTTER_OK);
    if (!e_text) HOLDS(text_room == text_size + 1 && !memcmp(found, text, text_room));
    if (!e_blob) HOLDS(otter_nvs_get_blob(n, "app", "blob", found, &room) == OTTER_OK && room == blob_size);
    (void)otter_nvs_erase(n, "app", "int");
    (void)otter_nvs_erase_namespace(n, "net");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t mem[PAGES_MAX * PAGE];
    static struct nor_ram nor;
    static struct otter_nvs n;
    /* What is missing is blank: a short input can still be a partition that is written to. */
    uint32_t pages = (uint32_t)((size + PAGE - 1) / PAGE) + (size % 4 ? 2 : 0);
    if (size == 0 || pages > PAGES_MAX) return 0;
    memset(mem, 0xFF, sizeof mem);
    memcpy(mem, data, size);
    nor_init(&nor, mem, pages * PAGE);
    if (otter_nvs_open(&n, &nor.flash, 0, pages * PAGE)) return 0;
    list(&n);
    for (uint32_t i = 0; i < 4; i++) use(&n, &nor.flash, (uint32_t)size * 2654435761U + i * 977 + data[size / 2]);
    return 0;
}
