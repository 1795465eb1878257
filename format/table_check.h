/* Partition tables as lists, and what gen_esp32part.py holds them to beyond the boot loader's check (which is
 * otter_table_check()). Source: gen_esp32part.py v1.5 (ESP-IDF v6.0.2); docs/SPEC.md. */
#ifndef OTTER_FORMAT_TABLE_CHECK_H
#define OTTER_FORMAT_TABLE_CHECK_H

#include "format/table_names.h"
#include "format/text.h"

/* Where a row comes from, and its name before it was cut to the 16 bytes of a label. */
struct otter_table_origin {
    unsigned line; /* of a CSV file, from 1; 0: none */
    uint32_t name_crc;
    size_t name_size; /* bytes */
};

struct otter_table_list {
    unsigned rows;
    struct otter_partition row[OTTER_TABLE_ROWS];
    struct otter_table_origin origin[OTTER_TABLE_ROWS];
};

enum otter_table_secure { OTTER_TABLE_INSECURE, OTTER_TABLE_SECURE_V1, OTTER_TABLE_SECURE_V2 };

struct otter_table_rules {
    uint32_t offset;                                 /* of the table in flash */
    int64_t primary_bootloader, recovery_bootloader; /* their offsets; negative: not given */
    uint32_t flash_size;                             /* bytes; 0: not judged */
    enum otter_table_secure secure;
    bool overlapping_slots; /* app partitions may overlap one another */
    const struct otter_table_names *names;
};

enum otter_table_fault {
    OTTER_TABLE_OFFSET_ALIGN,  /* number: what the offset must be a multiple of */
    OTTER_TABLE_SIZE_ALIGN,    /* number: the same for the size */
    OTTER_TABLE_MUST_WRITE,    /* read-only, and must not be */
    OTTER_TABLE_NVS_SMALL,     /* number: the least size that need not be read-only */
    OTTER_TABLE_NAME_TYPE,     /* warning: named like a type that it is not */
    OTTER_TABLE_NAME_SUBTYPE,  /* warning: the same for a subtype */
    OTTER_TABLE_FLAGS,         /* warning: flags that nobody knows */
    OTTER_TABLE_SAME_NAME,     /* other: the row that has it already */
    OTTER_TABLE_BELOW,         /* number: the first offset behind the table */
    OTTER_TABLE_OVERLAP,       /* other: the row that it overlaps */
    OTTER_TABLE_TWICE,         /* other: the first row of that kind, of which there may be one */
    OTTER_TABLE_SELECTOR_SIZE, /* otadata or TEE otadata; number: the size it must have */
    OTTER_TABLE_BEYOND         /* ends behind the flash; number: the flash's size */
};

struct otter_table_finding {
    enum otter_table_fault fault;
    bool warning; /* the generator goes on */
    unsigned row, other;
    uint32_t number;
};

/* Tells found() of everything, in the order in which the generator looks. Returns how many are no warnings. */
unsigned otter_table_judge(const struct otter_table_list *list, const struct otter_table_rules *rules,
                           void (*found)(void *ctx, const struct otter_table_finding *f), void *ctx);
/* A sentence about it, with the remedy. */
void otter_table_finding_text(const struct otter_table_list *list, const struct otter_table_finding *f,
                              struct otter_text *t);

/* "nvs", or "row 3" if the label is empty or no text. */
void otter_table_row_name(const struct otter_table_list *list, unsigned row, struct otter_text *t);

/* Adds a row with that name, which is cut. False if there is no room. */
bool otter_table_list_add(struct otter_table_list *list, const struct otter_partition *p, struct otter_slice name,
                          unsigned line);

/* A binary table as the generator reads it: rows behind the MD5 row count, the terminating row is wholly 0xFF, an MD5
 * row is none without md5. *bad: the row at fault. OTTER_TABLE_MAGIC, _MD5, _END, OTTER_TRUNCATED. */
enum otter_err otter_table_list_read(struct otter_table_list *list, const struct otter_table_memory *m,
                                     const struct otter_crypto *md5, unsigned *bad);

#endif
