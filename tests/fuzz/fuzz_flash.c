/* Table and otadata as they might lie in flash: opening, status, confirm, roll back and a refused upload on any bytes.
 * An upload that is refused leaves the flash as it was after opening. */
#include <string.h>

#include "otter/otter.h"
#include "ports/posix/crypto.h"
#include "ports/sim/world.h"
#include "tests/fuzz/fuzz.h"

enum { FLASH = 0x40000, TABLE = 0x8000, REST = 0xD000 };

static uint8_t flash[FLASH], opened[FLASH];
static struct sim_world world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum otter_err e;
    struct otter_status st;
    struct otter_slot_status slot;
    struct otter_ports ports;
    size_t table = size < OTTER_TABLE_SIZE ? size : OTTER_TABLE_SIZE, rest = size - table;
    memset(flash, 0xFF, sizeof flash);
    memcpy(flash + TABLE, data, table);
    memcpy(flash + REST, data + table, rest < FLASH - REST ? rest : FLASH - REST);
    sim_world_init(&world, flash, sizeof flash, &otter_crypto_openssl);
    sim_world_start(&world, &e);
    ports = (struct otter_ports){
        .flash = &world.nor.port, .chip = &world.chip, .crypto = &otter_crypto_openssl, .clock = &world.clock};
    world.booted.offset = 0x10000;
    otter_open(&world.device, &ports);
    memcpy(opened, flash, sizeof flash);
    otter_status(&world.device, &st);
    for (unsigned i = 0; otter_slot_at(&world.device, i, &slot); i++) HOLDS(slot.region.size <= FLASH);
    HOLDS(sim_world_push(&world, NULL, (const uint8_t *)"\xE9junk", 5, 5) < 0);
    HOLDS(memcmp(opened, flash, sizeof flash) == 0);
    if (otter_confirm(&world.device) == OTTER_OK) otter_rollback(&world.device, "fuzz");
    return 0;
}
