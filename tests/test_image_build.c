/* The image writer against the image checker, Espressif's own image, and hostile programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/bytes.h"
#include "format/image.h"
#include "format/image_build.h"
#include "ports/posix/crypto.h"
#include "tests/elf_fixture.h"

enum { ROOM = 2 * 1024 * 1024, ESP32 = 0x0000, ESP32C3 = 0x0005, ESP32S3 = 0x0009, ESP32C6 = 0x000D };

static uint8_t image[ROOM];
static struct elf_fixture elf;

static struct otter_image_check checked(const struct otter_image_output *out, unsigned flags)
{
    struct otter_image_rules rules = {
        .chips = otter_chip_by_id, .chip_revision = -1, .efuse_revision = -1, .offset = 0x10000, .flags = flags};
    static struct otter_image_check check;
    otter_image_start(&check, &rules, &otter_crypto_openssl);
    otter_image_feed(&check, out->data, out->length);
    assert_int_equal(otter_image_end(&check), OTTER_OK);
    assert_int_equal(check.facts.length, out->length);
    return check;
}

static struct otter_image_facts good(const struct otter_image_output *out)
{
    return checked(out, OTTER_IMAGE_LOADABLE | OTTER_IMAGE_DESCRIBED).facts;
}

static struct otter_image_output output(size_t room)
{
    memset(image, 0xA5, sizeof image);
    return (struct otter_image_output){.data = image, .room = room};
}

/* Builds from bytes of exactly that many, so that a sanitizer sees a step beyond them. */
static enum otter_err build_bytes(const void *data, size_t n, const struct otter_image_options *o,
                                  struct otter_image_output *out)
{
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, data, n);
    struct otter_elf program;
    enum otter_err err = otter_elf_open(&program, copy, n);
    if (!err) err = otter_image_build(&program, o, &otter_crypto_openssl, out);
    free(copy);
    return err;
}

static struct otter_image_options options(uint16_t chip_id)
{
    struct otter_image_options o;
    otter_image_options_init(&o, otter_chip_by_id(chip_id));
    return o;
}

static enum otter_err build(uint16_t chip_id, struct otter_image_output *out)
{
    struct otter_image_options o = options(chip_id);
    elf_fixture_finish(&elf);
    *out = output(sizeof image);
    return build_bytes(elf.data, elf.size, &o, out);
}

static void assert_segment(const struct otter_image_facts *f, unsigned i, uint32_t address, uint32_t length)
{
    assert_true(i < f->segments);
    assert_int_equal(f->segment[i].address, address);
    assert_int_equal(f->segment[i].length, length);
}

/* ---- what Espressif's tool makes ---- */

static void reproduces_esp32c6_irom(void **state)
{
    (void)state;
    static uint8_t want[ROOM];
    FILE *file = fopen(OTTER_VECTORS "/image/bin/esp32c6_irom.bin", "rb");
    assert_non_null(file);
    size_t n = fread(want, 1, sizeof want, file);
    fclose(file);
    assert_int_equal(n, 65872);

    struct otter_image_options o = options(ESP32C6);
    struct otter_image_output out = output(sizeof image);
    o.revision_max = otter_get16(want + 17);
    elf_fixture_start(&elf, OTTER_ELF_RISCV, otter_get32(want + 4));
    elf_fixture_add(&elf, ".iram0.text", 0x40800000, want + 0x140, 0xA0);
    elf_fixture_add(&elf, ".dram0.data", 0x40810000, want + 0x1E8, 0x20);
    elf_fixture_add(&elf, ".flash.appdesc", 0x42000020, want + 0x20, 0x100);
    elf_fixture_add(&elf, ".flash.rodata", 0x42000120, want + 0x120, 0x18);
    elf_fixture_add(&elf, ".flash.text", 0x42010020, want + 0x10020, 0x100);
    elf_fixture_finish(&elf);
    assert_int_equal(build_bytes(elf.data, elf.size, &o, &out), OTTER_OK);
    assert_int_equal(out.length, n);
    assert_memory_equal(out.data, want, n);
    print_message("vectors: 1 image reproduced, %zu bytes\n", n);
}

static void reproduces_every_sound_vector(void **state)
{
    (void)state;
    static const char *const names[] = {"esp32c6_irom", "mmu_page_32k_c6", "max_rev_ffff", "min_rev_equal"};
    static uint8_t want[ROOM];
    for (size_t v = 0; v < sizeof names / sizeof names[0]; v++) {
        char path[512];
        snprintf(path, sizeof path, "%s/image/bin/%s.bin", OTTER_VECTORS, names[v]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t n = fread(want, 1, sizeof want, file);
        fclose(file);
        struct otter_image_output have = {.data = want, .room = sizeof want, .length = (uint32_t)n};
        struct otter_image_facts f = good(&have);
        struct otter_image_options o = {f.chip,         f.spi_mode,     f.spi_speed, f.spi_size,
                                        f.revision_min, f.revision_max, false};
        struct otter_image_output out = output(sizeof image);
        elf_fixture_start(&elf, OTTER_ELF_RISCV, f.entry);
        for (unsigned i = 0; i < f.segments; i++)
            if (f.segment[i].address)
                elf_fixture_add(&elf, ".part", f.segment[i].address, want + f.segment[i].offset, f.segment[i].length);
        elf_fixture_finish(&elf);
        assert_int_equal(build_bytes(elf.data, elf.size, &o, &out), OTTER_OK);
        assert_int_equal(out.length, n);
        assert_memory_equal(out.data, want, n);
    }
    print_message("vectors: %zu images taken apart and rebuilt\n", sizeof names / sizeof names[0]);
}

/* ---- synthetic images ---- */

static void synthetic_images_pass(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 4, 1000, 32768, 32769, 65536, 300000, 1000000};
    unsigned built = 0;
    for (unsigned c = 0; otter_chip_at(c); c++) {
        const struct otter_chip_info *chip = otter_chip_at(c);
        struct otter_image_options o = options(chip->id);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct otter_image_synth what = {"1.2.3-rc1", "synth", sizes[i], (uint32_t)i};
            struct otter_image_output out = output(sizeof image);
            enum otter_err err = otter_image_synth(&what, &o, &otter_crypto_openssl, &out);
            if (chip->memory[0].kind == OTTER_MEM_NONE) {
                assert_int_equal(err, OTTER_SEGMENT_ADDR);
                continue;
            }
            assert_int_equal(err, OTTER_OK);
            struct otter_image_facts f = good(&out);
            assert_ptr_equal(f.chip, chip);
            assert_string_equal(f.desc.version, "1.2.3-rc1");
            assert_string_equal(f.desc.project, "synth");
            assert_true(out.length >= 288 + sizes[i] && out.length <= 288 + sizes[i] + 128);
            built++;
        }
    }
    assert_true(built >= 12 * sizeof sizes / sizeof sizes[0]);
    print_message("synthetic images: %u\n", built);
}

static void synthetic_images_are_reproducible(void **state)
{
    (void)state;
    static uint8_t first[8192];
    struct otter_image_options o = options(ESP32C3);
    struct otter_image_synth what = {"1", "p", 4000, 7};
    struct otter_image_output out = output(sizeof image);
    assert_int_equal(otter_image_synth(&what, &o, &otter_crypto_openssl, &out), OTTER_OK);
    memcpy(first, out.data, out.length);
    out = output(sizeof image);
    assert_int_equal(otter_image_synth(&what, &o, &otter_crypto_openssl, &out), OTTER_OK);
    assert_memory_equal(first, out.data, out.length);
    what.seed = 8;
    assert_int_equal(otter_image_synth(&what, &o, &otter_crypto_openssl, &out), OTTER_OK);
    assert_memory_not_equal(first, out.data, out.length);
}

static void synthetic_images_refuse(void **state)
{
    (void)state;
    static const char long_name[] = "12345678901234567890123456789012";
    struct otter_image_options o = options(ESP32C3);
    struct otter_image_output out = output(sizeof image);
    struct otter_image_synth what = {long_name, "p", 4, 0};
    assert_int_equal(otter_image_synth(&what, &o, &otter_crypto_openssl, &out), OTTER_ARG);
    what = (struct otter_image_synth){"1", long_name, 4, 0};
    assert_int_equal(otter_image_synth(&what, &o, &otter_crypto_openssl, &out), OTTER_ARG);
    what = (struct otter_image_synth){long_name + 1, "p", UINT32_MAX, 0};
    assert_int_equal(otter_image_synth(&what, &o, &otter_crypto_openssl, &out), OTTER_TOO_BIG);
    what.payload = 9 * 1024 * 1024;
    assert_int_equal(otter_image_synth(&what, &o, &otter_crypto_openssl, &out), OTTER_SEGMENT_ADDR);
    what.payload = 1000;
    size_t rooms = 0;
    for (out = output(0); out.room < 1000 + 400; out = output(++rooms))
        if (otter_image_synth(&what, &o, &otter_crypto_openssl, &out) == OTTER_OK)
            break;
        else
            assert_int_equal(image[out.room], 0xA5); /* nothing behind the room is touched */
    assert_int_equal(out.length, out.room);
}

/* ---- layout ---- */

static void ram_fills_the_gap_on_esp32s3(void **state)
{
    (void)state;
    struct otter_image_output out;
    elf_fixture_start(&elf, OTTER_ELF_XTENSA, 0x40374000);
    elf_fixture_empty(&elf, ".dram0.bss", 8, 3, 0x3FC90000);
    elf_fixture_fill(&elf, ".debug", 0x1000, 0x99, 0x100);
    elf.section[elf.sections - 1].flags = 0;
    elf_fixture_desc(&elf, ".flash.appdesc", 0x3C020020, 0);
    elf_fixture_fill(&elf, ".flash.rodata", 0x3C020120, 0x11, 0x3F1);
    elf_fixture_fill(&elf, ".flash.text", 0x42000020, 0x22, 0x11000);
    elf_fixture_fill(&elf, ".iram0.text", 0x40374000, 0x33, 0x9000);
    elf_fixture_fill(&elf, ".dram0.data", 0x3FC90000, 0x44, 0x8003);
    assert_int_equal(build(ESP32S3, &out), OTTER_OK);
    struct otter_image_facts f = good(&out);
    assert_int_equal(f.segments, 5);
    assert_segment(&f, 0, 0x3C020020, 0x4F4);
    assert_segment(&f, 1, 0x3FC90000, 0x8004);
    assert_segment(&f, 2, 0x40374000, 0x10018 - (0x20 + 0x4F4 + 8 + 0x8004 + 8));
    assert_segment(&f, 3, 0x42000020, 0x11000);
    assert_segment(&f, 4, 0x40374000 + f.segment[2].length, 0x9000 - f.segment[2].length);
    assert_int_equal(image[f.segment[1].offset + 0x8002], 0x44);
    assert_int_equal(image[f.segment[1].offset + 0x8003], 0);
}

static void names_its_elf(void **state)
{
    (void)state;
    struct otter_image_output out;
    uint8_t sha[32];
    struct otter_hash hash;
    elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40380000);
    elf_fixture_desc(&elf, ".flash.appdesc", 0x3C000020, 16);
    assert_int_equal(build(ESP32C3, &out), OTTER_OK);
    otter_crypto_openssl.hash_start(NULL, &hash, OTTER_SHA256);
    otter_crypto_openssl.hash_update(NULL, &hash, elf.data, elf.size);
    otter_crypto_openssl.hash_finish(NULL, &hash, sha);
    struct otter_image_facts f = good(&out);
    assert_memory_equal(f.desc.elf_sha256, sha, 32);
    assert_memory_equal(image + 0xB0, sha, 32);
}

/* The descriptor comes first although other flash content lies below it, with and without the section's name. */
static void descriptor_goes_first(void **state)
{
    (void)state;
    static const char *const names[] = {".flash.appdesc", ".rodata_desc"};
    for (unsigned i = 0; i < 2; i++) {
        struct otter_image_output out;
        elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40800000);
        elf_fixture_fill(&elf, ".flash.text", 0x42000020, 0x22, 0x200);
        elf_fixture_desc(&elf, names[i], 0x42010020, 0);
        assert_int_equal(build(ESP32C6, &out), OTTER_OK);
        struct otter_image_facts f = good(&out);
        assert_int_equal(f.segments, 3);
        assert_segment(&f, 0, 0x42010020, 0x100);
        assert_segment(&f, 1, 0, 0x10018 - 0x128);
        assert_segment(&f, 2, 0x42000020, 0x200);
    }
}

/* The name decides where two sections begin like a descriptor. */
static void named_descriptor_goes_first(void **state)
{
    (void)state;
    struct otter_image_output out;
    elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40800000);
    elf_fixture_desc(&elf, ".rodata", 0x42000020, 0);
    elf_fixture_desc(&elf, ".flash.appdesc", 0x42010020, 0);
    assert_int_equal(build(ESP32C6, &out), OTTER_OK);
    struct otter_image_facts f = good(&out);
    assert_segment(&f, 0, 0x42010020, 0x100);
}

/* Gaps from nothing to more than a header: every one ends at a congruent offset. */
static void gaps_of_every_size(void **state)
{
    (void)state;
    for (uint32_t gap = 0; gap <= 40; gap += 4) {
        for (unsigned with_ram = 0; with_ram < 2; with_ram++) {
            struct otter_image_output out;
            elf_fixture_start(&elf, OTTER_ELF_XTENSA, 0x40374000);
            elf_fixture_desc(&elf, ".flash.appdesc", 0x3C000020, 0);
            elf_fixture_fill(&elf, ".flash.text", 0x42000020 + 0x100 + 8 + gap, 0x22, 0x100);
            if (with_ram) elf_fixture_fill(&elf, ".iram0.text", 0x40374000, 0x33, 0x20000);
            assert_int_equal(build(ESP32S3, &out), OTTER_OK);
            struct otter_image_facts f = good(&out);
            bool near = gap == 0 || gap >= 8;
            assert_int_equal(f.segment[gap ? 2 : 1].address >> 24, 0x42);
            assert_int_equal(f.segment[gap ? 2 : 1].offset, 0x128 + gap + (near ? 0 : 0x10000));
            if (gap) assert_int_equal(f.segment[1].address != 0, with_ram && gap - 8 > 8);
        }
    }
}

/* Sections that alignment has set apart make one segment, also across the edge of a page; other gaps do not. */
static void aligned_sections_join(void **state)
{
    (void)state;
    struct otter_image_output out;
    elf_fixture_start(&elf, OTTER_ELF_XTENSA, 0x40374000);
    elf_fixture_desc(&elf, ".flash.appdesc", 0x3C000020, 0);
    elf_fixture_fill(&elf, ".flash.rodata", 0x3C000130, 0x11, 0xFEC1);
    elf_fixture_fill(&elf, ".flash.tdata", 0x3C010000, 0x22, 0x7F1);
    elf_fixture_fill(&elf, ".flash.ctors", 0x3C011000, 0x33, 0x10);
    elf_fixture_fill(&elf, ".iram0.text", 0x40374000, 0x44, 0x402);
    elf_fixture_fill(&elf, ".iram0.tail", 0x40374404, 0x55, 0x4);
    elf_fixture_fill(&elf, ".iram0.apart", 0x4037440C, 0x66, 0x4);
    assert_int_equal(build(ESP32S3, &out), OTTER_OK);
    struct otter_image_facts f = good(&out);
    assert_int_equal(f.segments, 3);
    assert_segment(&f, 0, 0x3C000020, 0x11010 - 0x20);
    assert_segment(&f, 1, 0x40374000, 0x408);
    assert_segment(&f, 2, 0x4037440C, 4);
    assert_int_equal(image[0x120], 0);
    assert_int_equal(image[0x130], 0x11);
    assert_int_equal(image[0xFFF0], 0x11);
    assert_int_equal(image[0xFFF1], 0);
    assert_int_equal(image[0x10000], 0x22);
    assert_int_equal(image[0x1100F], 0x33);
}

/* A segment that would reach less than 0x24 bytes into a page is made to reach further, on the ESP32 only. */
static void esp32_reaches_into_the_last_page(void **state)
{
    (void)state;
    static const struct {
        uint16_t chip;
        uint32_t end, want; /* offset behind the segment, before and after */
    } cases[] = {{ESP32, 0xFFFC, 0xFFFC},     {ESP32, 0x10000, 0x10024},   {ESP32, 0x10004, 0x10024},
                 {ESP32, 0x10020, 0x10024},   {ESP32, 0x10024, 0x10024},   {ESP32, 0x10028, 0x10028},
                 {ESP32S3, 0x10000, 0x10000}, {ESP32S3, 0x10004, 0x10004}, {ESP32S3, 0x10020, 0x10020}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct otter_image_output out;
        uint32_t base = cases[i].chip == ESP32 ? 0x3F400020 : 0x3C000020;
        elf_fixture_start(&elf, OTTER_ELF_XTENSA, cases[i].chip == ESP32 ? 0x40080000 : 0x40374000);
        elf_fixture_desc(&elf, ".flash.appdesc", base, 0);
        elf_fixture_fill(&elf, ".flash.rodata", base + 0x100, 0x11, cases[i].end - 0x120);
        elf_fixture_fill(&elf, ".iram0.text", elf.entry, 0x33, 0x400);
        assert_int_equal(build(cases[i].chip, &out), OTTER_OK);
        struct otter_image_facts f = good(&out);
        assert_int_equal(f.segment[0].offset + f.segment[0].length, cases[i].want);
        assert_segment(&f, 1, elf.entry, 0x400);
    }
}

static void small_mmu_pages(void **state)
{
    (void)state;
    struct otter_image_output out;
    elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40800000);
    elf_fixture_desc(&elf, ".flash.appdesc", 0x42000020, 13);
    elf_fixture_fill(&elf, ".flash.text", 0x42002020, 0x22, 0x100);
    assert_int_equal(build(ESP32C6, &out), OTTER_OK);
    struct otter_image_facts f = good(&out);
    assert_segment(&f, 1, 0, 0x2018 - 0x128);
    assert_segment(&f, 2, 0x42002020, 0x100);
    elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40800000);
    elf_fixture_desc(&elf, ".flash.appdesc", 0x42000020, 12);
    assert_int_equal(build(ESP32C6, &out), OTTER_PAGE_SIZE);
    elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40380000);
    elf_fixture_desc(&elf, ".flash.appdesc", 0x3C000020, 15);
    assert_int_equal(build(ESP32C3, &out), OTTER_PAGE_SIZE);
    assert_int_equal(out.address, 0x3C000020);
}

/* ---- refusals ---- */

static void descriptor_is_wanted(void **state)
{
    (void)state;
    struct otter_image_options o = options(ESP32C3);
    struct otter_image_output out;
    elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40380000);
    elf_fixture_fill(&elf, ".iram0.text", 0x40380000, 0x33, 0x20);
    assert_int_equal(build(ESP32C3, &out), OTTER_TOO_SHORT);
    o.undescribed = true;
    assert_int_equal(build_bytes(elf.data, elf.size, &o, &out), OTTER_OK);
    checked(&out, OTTER_IMAGE_LOADABLE);

    elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40380000);
    elf_fixture_fill(&elf, ".flash.rodata", 0x3C000020, 0x11, 0x400);
    assert_int_equal(build(ESP32C3, &out), OTTER_NO_DESCRIPTOR);
    assert_int_equal(build_bytes(elf.data, elf.size, &o, &out), OTTER_OK);
    checked(&out, OTTER_IMAGE_LOADABLE);

    /* one that the boot loader would not find at its place */
    elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40380000);
    elf_fixture_desc(&elf, ".flash.appdesc", 0x3C000100, 0);
    assert_int_equal(build(ESP32C3, &out), OTTER_NO_DESCRIPTOR);
    assert_int_equal(out.address, 0x3C000100);
}

struct content {
    uint32_t address, n;
};

static enum otter_err build_contents(uint16_t chip, const struct content *c, unsigned n)
{
    struct otter_image_output out;
    const struct otter_chip_info *info = otter_chip_by_id(chip);
    elf_fixture_start(&elf, chip == ESP32 ? OTTER_ELF_XTENSA : OTTER_ELF_RISCV, 0x40380000);
    elf_fixture_desc(&elf, ".flash.appdesc", info->memory[0].start + 0x20, 0);
    for (unsigned i = 0; i < n; i++) elf_fixture_fill(&elf, ".part", c[i].address, 0x55, c[i].n);
    return build(chip, &out);
}

static void bad_layouts_are_refused(void **state)
{
    (void)state;
    struct content overlap[] = {{0x40380000, 0x100}, {0x403800FC, 8}};
    struct content odd[] = {{0x40380002, 0x100}};
    struct content nowhere[] = {{0x60000000, 0x100}};
    struct content padding[] = {{0x00001000, 0x100}};
    struct content astride[] = {{0x403DFFF0, 0x20}};
    struct content two_drom[] = {{0x3C010120, 0x100}};
    struct content two_irom[] = {{0x42010020, 0x100}, {0x42030020, 0x100}};
    struct content three_c6[] = {{0x42010020, 0x100}, {0x42030020, 0x100}};
    struct content two_c6[] = {{0x42010020, 0x100}};
    assert_int_equal(build_contents(ESP32C3, overlap, 2), OTTER_ELF);
    assert_int_equal(build_contents(ESP32C3, odd, 1), OTTER_ELF);
    assert_int_equal(build_contents(ESP32C3, nowhere, 1), OTTER_SEGMENT_ADDR);
    assert_int_equal(build_contents(ESP32C3, padding, 1), OTTER_SEGMENT_ADDR);
    assert_int_equal(build_contents(ESP32C3, astride, 1), OTTER_SEGMENT_ADDR);
    assert_int_equal(build_contents(ESP32C3, two_drom, 1), OTTER_ELF);
    assert_int_equal(build_contents(ESP32C3, two_irom, 2), OTTER_ELF);
    assert_int_equal(build_contents(ESP32C6, three_c6, 2), OTTER_ELF);
    assert_int_equal(build_contents(ESP32C6, two_c6, 1), OTTER_OK);
}

static void segments_are_counted(void **state)
{
    (void)state;
    struct content parts[70];
    for (uint32_t i = 0; i < 70; i++) parts[i] = (struct content){0x40380000 + 0x100 * i, 0x10};
    assert_int_equal(build_contents(ESP32C3, parts, 15), OTTER_OK);
    assert_int_equal(build_contents(ESP32C3, parts, 16), OTTER_SEGMENT_COUNT);
    assert_int_equal(build_contents(ESP32C3, parts, 70), OTTER_ELF);
}

static void wrong_processor_is_refused(void **state)
{
    (void)state;
    struct otter_image_output out;
    elf_fixture_start(&elf, OTTER_ELF_XTENSA, 0x40380000);
    elf_fixture_desc(&elf, ".flash.appdesc", 0x3C000020, 0);
    assert_int_equal(build(ESP32C3, &out), OTTER_CHIP);
    struct otter_elf program;
    assert_int_equal(otter_elf_open(&program, elf.data, elf.size), OTTER_OK);
    assert_true(otter_image_fits(&program, otter_chip_by_id(ESP32S3)));
    assert_false(otter_image_fits(&program, otter_chip_by_id(ESP32C3)));
    assert_false(otter_image_fits(&program, otter_chip_by_id(ESP32)));
}

static void rooms_are_kept(void **state)
{
    (void)state;
    struct otter_image_options o = options(ESP32C3);
    struct otter_image_output out;
    elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40380000);
    elf_fixture_desc(&elf, ".flash.appdesc", 0x3C000020, 0);
    elf_fixture_fill(&elf, ".iram0.text", 0x40380000, 0x33, 0x24);
    assert_int_equal(build(ESP32C3, &out), OTTER_OK);
    uint32_t length = out.length;
    for (size_t room = 0; room < length; room++) {
        out = output(room);
        assert_int_equal(build_bytes(elf.data, elf.size, &o, &out), OTTER_TOO_BIG);
        assert_int_equal(image[room], 0xA5);
    }
    out = output(length);
    assert_int_equal(build_bytes(elf.data, elf.size, &o, &out), OTTER_OK);
}

/* ---- hostile files ---- */

static void sample(void)
{
    elf_fixture_start(&elf, OTTER_ELF_RISCV, 0x40380000);
    elf_fixture_desc(&elf, ".flash.appdesc", 0x3C000020, 0);
    elf_fixture_fill(&elf, ".iram0.text", 0x40380000, 0x33, 0x24);
    elf_fixture_empty(&elf, ".bss", 8, 3, 0x3FC90000);
    elf_fixture_finish(&elf);
}

static void truncated_files(void **state)
{
    (void)state;
    struct otter_image_options o = options(ESP32C3);
    struct otter_image_output out = output(sizeof image);
    sample();
    for (size_t n = 0; n < elf.size; n++) assert_int_equal(build_bytes(elf.data, n, &o, &out), OTTER_ELF);
    assert_int_equal(build_bytes(elf.data, elf.size, &o, &out), OTTER_OK);
}

static void poked_headers(void **state)
{
    (void)state;
    static const struct {
        int section; /* -1: the file's header */
        unsigned at;
        uint32_t value;
    } pokes[] = {
        {-1, 0, 0x464C457E},
        {-1, 4, 0x00010102},
        {-1, 16, 1 | 243u << 16},
        {-1, 16, 2 | 40u << 16},
        {-1, 32, 0xFFFFFFFF},
        {-1, 32, 0xFFFFFF00},
        {-1, 48, 0xFFFF},
        {-1, 48, 0},
        {-1, 48, 5 | 9u << 16},
        {-1, 48, 5},
        {1, 0, 0xFFFFFFFF},
        {1, 16, 0xFFFFFFF0},
        {1, 16, 0x7FFFFFFF},
        {1, 20, 0xFFFFFFFF},
        {1, 20, 0x7FFFFFFF},
        {1, 12, 0xFFFFFF80},
        {4, 16, 0xFFFFFFFF},
        {4, 20, 0xFFFFFFFF},
        {4, 20, 0},
        {4, 20, 20},
        {4, 4, 1},
    };
    struct otter_image_options o = options(ESP32C3);
    struct otter_image_output out = output(sizeof image);
    for (size_t i = 0; i < sizeof pokes / sizeof pokes[0]; i++) {
        sample();
        uint8_t *h = pokes[i].section < 0 ? elf.data : elf_fixture_header(&elf, (unsigned)pokes[i].section);
        otter_put32(h + pokes[i].at, pokes[i].value);
        assert_int_equal(build_bytes(elf.data, elf.size, &o, &out), OTTER_ELF);
    }
    print_message("poked headers: %zu\n", sizeof pokes / sizeof pokes[0]);
}

/* Every byte of headers and tables set to a few values: any verdict, but no step outside. */
static void every_byte_poked(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
    struct otter_image_options o = options(ESP32C3);
    unsigned accepted = 0, refused = 0;
    sample();
    size_t table = otter_get32(elf.data + 32);
    for (size_t at = 0; at < elf.size; at++) {
        if (at == ELF_HEADER) at = table;
        uint8_t kept = elf.data[at];
        for (size_t v = 0; v < sizeof values; v++) {
            struct otter_image_output out = output(4096);
            elf.data[at] = values[v];
            if (build_bytes(elf.data, elf.size, &o, &out) == OTTER_OK)
                good(&out), accepted++;
            else
                refused++;
        }
        elf.data[at] = kept;
    }
    assert_true(accepted > 0 && refused > 0);
    print_message("poked bytes: %u accepted, %u refused\n", accepted, refused);
}

/* ---- header ---- */

static void flash_speeds(void **state)
{
    (void)state;
    uint8_t code;
    assert_true(otter_flash_speed_code(otter_chip_by_name("esp32c3"), 80, &code) && code == 15);
    assert_true(otter_flash_speed_code(otter_chip_by_name("esp32c6"), 80, &code) && code == 0);
    assert_true(otter_flash_speed_code(otter_chip_by_name("esp32h2"), 12, &code) && code == 2);
    assert_true(otter_flash_speed_code(otter_chip_by_name("esp32c2"), 60, &code) && code == 15);
    assert_false(otter_flash_speed_code(otter_chip_by_name("esp32c2"), 80, &code));
    for (unsigned c = 0; otter_chip_at(c); c++) { /* every chip has one of these */
        bool any = false;
        static const unsigned mhz[] = {40, 30, 24};
        for (size_t i = 0; i < 3; i++) any |= otter_flash_speed_code(otter_chip_at(c), mhz[i], &code) && code == 0;
        assert_true(any);
    }
}

static void header_fields(void **state)
{
    (void)state;
    struct otter_image_options o = options(ESP32);
    struct otter_image_synth what = {"1", "p", 16, 0};
    struct otter_image_output out = output(sizeof image);
    o.flash_mode = OTTER_FLASH_QIO;
    o.flash_speed = 15;
    o.flash_size = 4;
    o.revision_min = 301;
    o.revision_max = 399;
    assert_int_equal(otter_image_synth(&what, &o, &otter_crypto_openssl, &out), OTTER_OK);
    static const uint8_t want[24] = {0xE9, 2, 0, 0x4F, 0, 0,    8, 0x40, 0xEE, 0, 0, 0,
                                     0,    0, 3, 0x2D, 1, 0x8F, 1, 0,    0,    0, 0, 1};
    assert_memory_equal(image, want, sizeof want);
}

/* ---- drivers ---- */

static int32_t failing_start(void *ctx, struct otter_hash *h, enum otter_hash_alg alg)
{
    (void)h;
    (void)alg;
    return *(int32_t *)ctx;
}

static void crypto_errors_are_kept(void **state)
{
    (void)state;
    int32_t code = -77;
    struct otter_crypto broken = otter_crypto_openssl;
    broken.ctx = &code;
    broken.hash_start = failing_start;
    struct otter_image_options o = options(ESP32C3);
    struct otter_image_synth what = {"1", "p", 16, 0};
    struct otter_image_output out = output(sizeof image);
    assert_int_equal(otter_image_synth(&what, &o, &broken, &out), OTTER_CRYPTO);
    assert_int_equal(out.detail, -77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reproduces_esp32c6_irom),
        cmocka_unit_test(reproduces_every_sound_vector),
        cmocka_unit_test(synthetic_images_pass),
        cmocka_unit_test(synthetic_images_are_reproducible),
        cmocka_unit_test(synthetic_images_refuse),
        cmocka_unit_test(ram_fills_the_gap_on_esp32s3),
        cmocka_unit_test(names_its_elf),
        cmocka_unit_test(descriptor_goes_first),
        cmocka_unit_test(named_descriptor_goes_first),
        cmocka_unit_test(gaps_of_every_size),
        cmocka_unit_test(aligned_sections_join),
        cmocka_unit_test(esp32_reaches_into_the_last_page),
        cmocka_unit_test(small_mmu_pages),
        cmocka_unit_test(descriptor_is_wanted),
        cmocka_unit_test(bad_layouts_are_refused),
        cmocka_unit_test(segments_are_counted),
        cmocka_unit_test(wrong_processor_is_refused),
        cmocka_unit_test(rooms_are_kept),
        cmocka_unit_test(truncated_files),
        cmocka_unit_test(poked_headers),
        cmocka_unit_test(every_byte_poked),
        cmocka_unit_test(flash_speeds),
        cmocka_unit_test(header_fields),
        cmocka_unit_test(crypto_errors_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
