/* Reads ELF programs in the caller's memory.
 * Knows tables and sections; nothing of chips or images. */
#include "format/elf.h"

#include <string.h>

#include "format/bytes.h"

enum {
    HEADER = 52,
    SECTION_HEADER = 40,
    TYPE_EXEC = 2,
    SECTION_NULL = 0,
    SECTION_STRTAB = 3,
    SECTION_NOBITS = 8,
    FLAG_ALLOC = 2
};

static bool inside(const struct otter_elf *elf, uint32_t offset, uint64_t n)
{
    return offset <= elf->size && n <= elf->size - offset;
}

static const uint8_t *section_header(const struct otter_elf *elf, unsigned i)
{
    return elf->data + elf->table_offset + (size_t)i * SECTION_HEADER;
}

static bool has_content(const uint8_t *header)
{
    uint32_t type = otter_get32(header + 4);
    return (otter_get32(header + 8) & FLAG_ALLOC) && type != SECTION_NULL && type != SECTION_NOBITS &&
           otter_get32(header + 12) != 0 && otter_get32(header + 20) != 0;
}

static bool section_sound(const struct otter_elf *elf, const uint8_t *header)
{
    uint32_t size = otter_get32(header + 20);
    return otter_get32(header) < elf->names_size && inside(elf, otter_get32(header + 16), size) &&
           size - 1 <= UINT32_MAX - otter_get32(header + 12);
}

static bool header_sound(const uint8_t *h)
{
    static const uint8_t ident[] = {0x7F, 'E', 'L', 'F', 1, 1, 1}; /* 32 bits, little-endian, version 1 */
    uint16_t machine = otter_get16(h + 18);
    return !memcmp(h, ident, sizeof ident) && otter_get16(h + 16) == TYPE_EXEC &&
           (machine == OTTER_ELF_RISCV || machine == OTTER_ELF_XTENSA) && otter_get16(h + 46) == SECTION_HEADER;
}

/* Ended names need no bounds afterwards. */
static bool names_open(struct otter_elf *elf, unsigned index)
{
    if (index >= elf->sections) return false;
    const uint8_t *header = section_header(elf, index);
    elf->names_offset = otter_get32(header + 16);
    elf->names_size = otter_get32(header + 20);
    return otter_get32(header + 4) == SECTION_STRTAB && elf->names_size > 0 &&
           inside(elf, elf->names_offset, elf->names_size) &&
           elf->data[(size_t)elf->names_offset + elf->names_size - 1] == '\0';
}

enum otter_err otter_elf_open(struct otter_elf *elf, const void *data, size_t size)
{
    const uint8_t *h = data;
    memset(elf, 0, sizeof *elf);
    if (size < HEADER || !header_sound(h)) return OTTER_ELF;
    elf->data = h;
    elf->size = size;
    elf->machine = otter_get16(h + 18);
    elf->entry = otter_get32(h + 24);
    elf->table_offset = otter_get32(h + 32);
    elf->sections = otter_get16(h + 48);
    if (!inside(elf, elf->table_offset, (uint64_t)elf->sections * SECTION_HEADER)) return OTTER_ELF;
    if (!names_open(elf, otter_get16(h + 50))) return OTTER_ELF;
    for (unsigned i = 0; i < elf->sections; i++)
        if (has_content(section_header(elf, i)) && !section_sound(elf, section_header(elf, i))) return OTTER_ELF;
    return OTTER_OK;
}

bool otter_elf_next(const struct otter_elf *elf, unsigned *at, struct otter_elf_section *section)
{
    while (*at < elf->sections) {
        const uint8_t *header = section_header(elf, (*at)++);
        if (!has_content(header)) continue;
        section->name = (const char *)elf->data + elf->names_offset + otter_get32(header);
        section->address = otter_get32(header + 12);
        section->offset = otter_get32(header + 16);
        section->size = otter_get32(header + 20);
        return true;
    }
    return false;
}
