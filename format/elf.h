/* 32-bit little-endian ELF programs for RISC-V and Xtensa: the sections that have content in the chip's memory.
 * Source: System V ABI, ELF header and section header table. Reads the caller's bytes in place; keeps nothing else. */
#ifndef OTTER_FORMAT_ELF_H
#define OTTER_FORMAT_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "otter/err.h"

enum otter_elf_machine { OTTER_ELF_XTENSA = 94, OTTER_ELF_RISCV = 243 };

struct otter_elf {
    const uint8_t *data; /* the caller's, for as long as the struct is used */
    size_t size;
    uint16_t machine; /* enum otter_elf_machine */
    uint16_t sections;
    uint32_t entry;
    uint32_t table_offset;             /* of the section headers */
    uint32_t names_offset, names_size; /* of the section names; the last one is ended */
};

struct otter_elf_section {
    const char *name;
    uint32_t address, offset, size; /* offset: of the content, from the start of the file */
};

/* OTTER_ELF unless data is a linked program of that kind whose tables and contents all lie inside it. */
enum otter_err otter_elf_open(struct otter_elf *elf, const void *data, size_t size);
/* The next section with content that is to be in memory: allocated, of some size, at an address other than 0. Start
 * with *at = 0; false behind the last. Sections come in the order of the file. */
bool otter_elf_next(const struct otter_elf *elf, unsigned *at, struct otter_elf_section *section);

#endif
