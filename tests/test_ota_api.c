/* What the engine writes to otadata, beside what ESP-IDF's own OTA API writes in the same case: the same entries in the
 * same sectors, the same refusals. Where that API is at fault, the engine does otherwise, and the test says how. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/boot.h"
#include "core/slots.h"
#include "tests/fixture.h"
#include "tests/vectors.h"

static uint8_t flash[VECTOR_FLASH];
static struct sim_world world;
static unsigned agreed, otherwise;

static int slot_of(const char *label)
{
    if (strcmp(label, "factory") == 0) return OTTER_SLOT_FACTORY;
    return atoi(label + 4);
}

static uint32_t offset_of(const cJSON *layout, const char *label)
{
    const cJSON *p;
    cJSON_ArrayForEach(p, layout) if (strcmp(vector_string(p, "label"), label) == 0) return (uint32_t)vector_number(
        p, "offset");
    fail_msg("no partition %s", label);
    return 0;
}

/* Opens the device as if `running` had been started, without the boot loader. */
static void open_case(const cJSON *c, const cJSON *layouts, bool rollback)
{
    struct otter_ports ports = {
        .flash = &world.nor.port, .chip = &world.chip, .crypto = &otter_crypto_openssl, .clock = &world.clock};
    vector_flash(flash, c, layouts);
    sim_world_init(&world, flash, sizeof flash, &otter_crypto_openssl);
    world.chip.rollback = rollback;
    world.booted.offset =
        offset_of(cJSON_GetObjectItem(layouts, vector_string(c, "layout")), vector_string(c, "running"));
    assert_int_equal(otter_open(&world.device, &ports), OTTER_OK);
}

static enum otter_err set_boot(int slot)
{
    enum otter_err e = otter_slots_verify(&world.device, slot);
    return e ? e : otter_boot_switch(&world.device, slot);
}

static enum otter_err do_call(const char *call)
{
    if (strncmp(call, "set_boot:", 9) == 0) return set_boot(slot_of(call + 9));
    if (strcmp(call, "mark_valid") == 0) return otter_confirm(&world.device);
    return otter_rollback(&world.device, "test");
}

static bool known_call(const char *call)
{
    return strncmp(call, "set_boot:ota", 12) == 0 || strcmp(call, "mark_valid") == 0 ||
           strcmp(call, "mark_invalid") == 0;
}

/* Every entry that theirs writes is in our flash, too. */
static bool same_entries(const cJSON *ops)
{
    const cJSON *op;
    cJSON_ArrayForEach(op, ops)
    {
        uint8_t entry[OTTER_OTADATA_ENTRY];
        if (strcmp(cJSON_GetArrayItem(op, 0)->valuestring, "write") != 0) continue;
        uint32_t at =
            world.device.slots.otadata.offset + (uint32_t)strtoul(cJSON_GetArrayItem(op, 2)->valuestring, NULL, 0);
        const char *hex = cJSON_GetArrayItem(op, 3)->valuestring;
        for (unsigned i = 0; i < sizeof entry; i++) sscanf(hex + 2 * i, "%2hhx", &entry[i]);
        if (memcmp(flash + at, entry, sizeof entry) != 0) return false;
    }
    return true;
}

static void compare_call(const cJSON *c, const cJSON *theirs)
{
    const char *call = vector_string(theirs, "call"), *name = vector_string(c, "name");
    enum otter_err e = do_call(call);
    if (strcmp(name, "mark_valid_running_older_than_active") == 0) {
        /* Theirs marks the slot that is to start as valid, before it ever ran. */
        assert_int_equal(e, OTTER_NOT_ACTIVE);
        otherwise++;
        return;
    }
    if (strcmp(name, "mark_valid_factory") == 0) {
        /* Theirs fails; a factory app has nothing to confirm. */
        assert_int_equal(e, OTTER_OK);
        otherwise++;
        return;
    }
    if (strcmp(name, "set_boot_both_invalid") == 0) {
        /* Theirs starts firmware again that was given up; ours has made it unstartable: it must come anew. */
        assert_int_equal(e, OTTER_MAGIC);
        otherwise++;
        return;
    }
    if ((e == OTTER_OK) != (vector_number(theirs, "ret") == 0)) fail_msg("%s, %s: %s", name, call, otter_err_name(e));
    if (!same_entries(cJSON_GetObjectItem(theirs, "ops"))) fail_msg("%s, %s: other entries", name, call);
    agreed++;
}

static bool goes_otherwise(const cJSON *c) { return strcmp(vector_string(c, "name"), "set_boot_both_invalid") == 0; }

static void compare_case(const cJSON *c, const cJSON *calls, const cJSON *layouts, bool rollback)
{
    const cJSON *theirs;
    open_case(c, layouts, rollback);
    cJSON_ArrayForEach(theirs, calls)
    {
        struct otter_ota_entry e[2];
        const char *call = vector_string(theirs, "call");
        if (known_call(call)) compare_call(c, theirs);
        if (goes_otherwise(c)) continue;
        if (strcmp(call, "get_boot") != 0 || otter_boot_read(&world.device, e)) continue;
        /* What would start: theirs does not count a roll back that the boot loader is about to make. */
        world.device.ports.chip = &(struct otter_chip){.rollback = false};
        assert_int_equal(otter_boot_next(&world.device, e), slot_of(vector_string(theirs, "value")));
        world.device.ports.chip = &world.chip;
        agreed++;
    }
}

static bool comparable(const cJSON *calls)
{
    const cJSON *theirs;
    cJSON_ArrayForEach(theirs, calls)
    {
        const char *call = vector_string(theirs, "call");
        if (strncmp(call, "begin", 5) == 0 || strncmp(call, "resume", 6) == 0 || strncmp(call, "erase_last", 10) == 0)
            return false;
        if (strcmp(call, "set_boot:factory") == 0) return false;
    }
    return true;
}

static void as_the_stock_api(void **state)
{
    (void)state;
    cJSON *all = vector_cases("ota_api"), *otadata = vector_cases("otadata");
    const cJSON *c, *config, *layouts = cJSON_GetObjectItem(otadata, "layouts");
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(all, "cases"))
    {
        cJSON_ArrayForEach(config, cJSON_GetObjectItem(c, "expect"))
        {
            if (strcmp(config->string, "anti") == 0 || !cJSON_IsArray(config) || !comparable(config)) continue;
            compare_case(c, config, layouts, strcmp(config->string, "rollback") == 0);
        }
    }
    printf("vectors/ota_api: %u calls agree, %u are faults that the engine does not share\n", agreed, otherwise);
    assert_true(agreed >= 30 && otherwise == 6);
    cJSON_Delete(all);
    cJSON_Delete(otadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_stock_api)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
