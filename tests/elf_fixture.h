/* Composes small ELF programs in memory, section by section, so that tests need no compiler for the chip. */
#ifndef OTTER_TESTS_ELF_FIXTURE_H
#define OTTER_TESTS_ELF_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

enum { ELF_FIXTURE_SECTIONS = 80, ELF_FIXTURE_ROOM = 512 * 1024 };
enum { ELF_HEADER = 52, ELF_SECTION_HEADER = 40 };

struct elf_fixture {
    size_t size; /* of the finished file */
    uint32_t entry;
    uint16_t machine;
    unsigned sections;
    size_t names_size;
    char names[2048];
    struct {
        uint32_t name, type, flags, address, offset, size;
    } section[ELF_FIXTURE_SECTIONS];
    uint8_t data[ELF_FIXTURE_ROOM];
};

void elf_fixture_start(struct elf_fixture *f, uint16_t machine, uint32_t entry);
/* A section with content (PROGBITS, ALLOC); returns where its bytes are in f->data. */
uint8_t *elf_fixture_add(struct elf_fixture *f, const char *name, uint32_t address, const void *content, uint32_t n);
/* The same with n times the byte fill. */
uint8_t *elf_fixture_fill(struct elf_fixture *f, const char *name, uint32_t address, uint8_t fill, uint32_t n);
/* 256 bytes of app descriptor, in a section of that name. */
uint8_t *elf_fixture_desc(struct elf_fixture *f, const char *name, uint32_t address, uint8_t page_log2);
/* A section without content: NOBITS, or of any type and flags. */
void elf_fixture_empty(struct elf_fixture *f, const char *name, uint32_t type, uint32_t flags, uint32_t address);
/* Writes headers and names: f->data holds f->size bytes of ELF. */
void elf_fixture_finish(struct elf_fixture *f);
/* The header of section i (0 is the null section) in the finished file. */
uint8_t *elf_fixture_header(struct elf_fixture *f, unsigned i);

#endif
