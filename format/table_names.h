/* Names of partition types and subtypes. Source: ESP-IDF gen_esp32part.py v1.5 (v6.0.2), esp_partition.h. */
#ifndef OTTER_FORMAT_TABLE_NAMES_H
#define OTTER_FORMAT_TABLE_NAMES_H

#include "format/csv_line.h"
#include "format/table.h"

enum { OTTER_TYPE_BOOTLOADER = 2, OTTER_TYPE_TABLE = 3 };
enum { OTTER_SUBTYPE_PRIMARY = 0, OTTER_SUBTYPE_OTA = 1, OTTER_SUBTYPE_RECOVERY = 2 }; /* of those two types */
enum { OTTER_DATA_UNDEFINED = 0x06 };

enum { OTTER_TABLE_EXTRAS = 64, OTTER_TABLE_NAME = 32 };

struct otter_table_name {
    uint8_t type, value;
    char name[OTTER_TABLE_NAME];
};

/* Names of subtypes that a project has added to the known ones. */
struct otter_table_names {
    struct otter_table_name extra[OTTER_TABLE_EXTRAS];
    unsigned extras;
};

/* Adds "TYPE, NAME, VALUE"; VALUE is hexadecimal, with or without 0x. NULL, or what is wrong (static). */
const char *otter_table_names_add(struct otter_table_names *names, const char *text);

/* The i-th name of a type, NULL behind the last. */
const struct otter_table_name *otter_type_at(unsigned i);
/* The i-th name of a subtype, of any type, known ones first; NULL behind the last. names may be NULL. */
const struct otter_table_name *otter_subtype_at(const struct otter_table_names *names, unsigned i);

/* NULL if it has no name. */
const char *otter_type_name(uint8_t type);
const char *otter_subtype_name(const struct otter_table_names *names, uint8_t type, uint8_t subtype);

#endif
