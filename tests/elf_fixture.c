/* ELF files made by hand. Knows the container, not what chips make of it. */
#include "tests/elf_fixture.h"

#include <assert.h>
#include <string.h>

#include "format/bytes.h"

enum { PROGBITS = 1, STRTAB = 3, NOBITS = 8, ALLOC = 2 };

void elf_fixture_start(struct elf_fixture *f, uint16_t machine, uint32_t entry)
{
    memset(f, 0, sizeof *f);
    f->machine = machine;
    f->entry = entry;
    f->size = ELF_HEADER;
    f->sections = 1; /* the null section */
    f->names_size = 1;
}

static unsigned add_header(struct elf_fixture *f, const char *name, uint32_t type, uint32_t address)
{
    assert(f->sections < ELF_FIXTURE_SECTIONS && f->names_size + strlen(name) < sizeof f->names);
    unsigned i = f->sections++;
    f->section[i].name = (uint32_t)f->names_size;
    f->section[i].type = type;
    f->section[i].flags = ALLOC;
    f->section[i].address = address;
    f->section[i].offset = (uint32_t)f->size;
    memcpy(f->names + f->names_size, name, strlen(name) + 1);
    f->names_size += strlen(name) + 1;
    return i;
}

uint8_t *elf_fixture_fill(struct elf_fixture *f, const char *name, uint32_t address, uint8_t fill, uint32_t n)
{
    unsigned i = add_header(f, name, PROGBITS, address);
    assert(f->size + n <= ELF_FIXTURE_ROOM);
    uint8_t *at = memset(f->data + f->size, fill, n);
    f->section[i].size = n;
    f->size += n;
    return at;
}

uint8_t *elf_fixture_add(struct elf_fixture *f, const char *name, uint32_t address, const void *content, uint32_t n)
{
    return memcpy(elf_fixture_fill(f, name, address, 0, n), content, n);
}

uint8_t *elf_fixture_desc(struct elf_fixture *f, const char *name, uint32_t address, uint8_t page_log2)
{
    uint8_t *desc = elf_fixture_fill(f, name, address, 0, 256);
    otter_put32(desc, 0xABCD5432);
    memcpy(desc + 16, "1.2.3", 6);
    memcpy(desc + 48, "fixture", 8);
    desc[180] = page_log2;
    return desc;
}

void elf_fixture_empty(struct elf_fixture *f, const char *name, uint32_t type, uint32_t flags, uint32_t address)
{
    unsigned i = add_header(f, name, type, address);
    f->section[i].flags = flags;
    f->section[i].size = type == NOBITS ? 4096 : 0;
}

static void write_header(struct elf_fixture *f, unsigned i)
{
    uint8_t *h = elf_fixture_header(f, i);
    memset(h, 0, ELF_SECTION_HEADER);
    otter_put32(h, f->section[i].name);
    otter_put32(h + 4, f->section[i].type);
    otter_put32(h + 8, f->section[i].flags);
    otter_put32(h + 12, f->section[i].address);
    otter_put32(h + 16, f->section[i].offset);
    otter_put32(h + 20, f->section[i].size);
}

void elf_fixture_finish(struct elf_fixture *f)
{
    static const uint8_t ident[] = {0x7F, 'E', 'L', 'F', 1, 1, 1};
    unsigned names = add_header(f, ".shstrtab", STRTAB, 0);
    f->section[names].flags = 0;
    f->section[names].size = (uint32_t)f->names_size;
    assert(f->size + f->names_size + 4 + f->sections * ELF_SECTION_HEADER <= ELF_FIXTURE_ROOM);
    memcpy(f->data + f->size, f->names, f->names_size);
    f->size += f->names_size;
    uint8_t *h = memcpy(f->data, ident, sizeof ident);
    otter_put16(h + 16, 2);
    otter_put16(h + 18, f->machine);
    otter_put32(h + 20, 1);
    otter_put32(h + 24, f->entry);
    otter_put32(h + 32, (uint32_t)f->size);
    otter_put16(h + 40, ELF_HEADER);
    otter_put16(h + 46, ELF_SECTION_HEADER);
    otter_put16(h + 48, (uint16_t)f->sections);
    otter_put16(h + 50, (uint16_t)names);
    for (unsigned i = 0; i < f->sections; i++) write_header(f, i);
    f->size += f->sections * (size_t)ELF_SECTION_HEADER;
}

uint8_t *elf_fixture_header(struct elf_fixture *f, unsigned i)
{
    return f->data + otter_get32(f->data + 32) + (size_t)i * ELF_SECTION_HEADER;
}
