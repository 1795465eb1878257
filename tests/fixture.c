/* Builds the small device of the tests out of the project's own writers. */
#include "tests/fixture.h"

#include <string.h>

#include "format/image_build.h"
#include "format/table.h"
#include "ports/posix/crypto.h"

void fixture_image(struct fixture_image *image, const char *version, const char *project, uint32_t payload)
{
    struct otter_image_options options;
    struct otter_image_output out = {.data = image->bytes, .room = sizeof image->bytes};
    struct otter_image_synth what = {version, project ? project : "demo", payload, (uint32_t)version[0] + payload};
    otter_image_options_init(&options, otter_chip_by_id(5));
    assert_int_equal(otter_image_synth(&what, &options, &otter_crypto_openssl, &out), OTTER_OK);
    image->size = out.length;
}

static const struct otter_partition rows[] = {
    {OTTER_TYPE_DATA, OTTER_DATA_NVS, 0x9000, 0x4000, 0, "nvs"},
    {OTTER_TYPE_DATA, OTTER_DATA_OTADATA, 0xD000, 0x2000, 0, "otadata"},
    {OTTER_TYPE_APP, OTTER_APP_OTA_0, FIXTURE_OTA_0, FIXTURE_SLOT, 0, "ota_0"},
    {OTTER_TYPE_APP, OTTER_APP_OTA_0 + 1, FIXTURE_OTA_1, FIXTURE_SLOT, 0, "ota_1"},
    {OTTER_TYPE_APP, OTTER_APP_FACTORY, FIXTURE_FACTORY, FIXTURE_SLOT, 0, "factory"},
};

void fixture_device(struct sim_world *w, uint8_t flash[FIXTURE_FLASH], bool factory, const struct fixture_image *first)
{
    memset(flash, 0xFF, FIXTURE_FLASH);
    assert_int_equal(otter_table_write(rows, factory ? 5 : 4, true, &otter_crypto_openssl, flash + 0x8000), OTTER_OK);
    memcpy(flash + (factory ? FIXTURE_FACTORY : FIXTURE_OTA_0), first->bytes, first->size);
    sim_world_init(w, flash, FIXTURE_FLASH, &otter_crypto_openssl);
}

void fixture_start(struct sim_world *w)
{
    enum otter_err e = OTTER_OK;
    sim_nor_power_on(&w->nor);
    assert_true(sim_world_start(w, &e));
    assert_int_equal(e, OTTER_OK);
}

enum otter_err fixture_feed(struct sim_world *w, struct otter_offer *offer, const struct fixture_image *image,
                            uint32_t upto)
{
    offer->offset = otter_resume_offset(&w->device, offer);
    enum otter_err e = otter_begin(&w->session, &w->device, offer);
    for (uint32_t at = otter_want(&w->session), n; !e && at < upto; at += n) {
        n = upto - at < OTTER_SECTOR ? upto - at : OTTER_SECTOR;
        e = otter_feed(&w->session, image->bytes + at, n);
    }
    return e;
}

enum otter_err fixture_finish(struct sim_world *w)
{
    enum otter_err e;
    while ((e = otter_finish(&w->session)) == OTTER_AGAIN) {
    }
    return e;
}

bool fixture_holds(const struct sim_world *w, uint32_t offset, const struct fixture_image *image)
{
    return image->size <= w->nor.size - offset && memcmp(w->nor.bytes + offset, image->bytes, image->size) == 0;
}

void fixture_digest(const struct fixture_image *image, uint8_t out[32])
{
    struct otter_hash h;
    otter_crypto_openssl.hash_start(NULL, &h, OTTER_SHA256);
    otter_crypto_openssl.hash_update(NULL, &h, image->bytes, image->size);
    otter_crypto_openssl.hash_finish(NULL, &h, out);
}
