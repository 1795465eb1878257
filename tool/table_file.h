/* A partition table as the tool takes it: from a preset, a CSV file or a binary table. */
#ifndef OTTER_TOOL_TABLE_FILE_H
#define OTTER_TOOL_TABLE_FILE_H

#include <cJSON.h>
#include <stdio.h>

#include "format/table_csv.h"

struct table_file {
    const char *path; /* or the preset's name; for messages */
    struct otter_table_rules rules;
    struct otter_table_names names;
    bool no_md5;
    bool no_verify; /* hold it to the flash's size alone */
    bool refused;   /* judging has found an error */
    struct otter_table_list list;
    uint8_t bytes[OTTER_SECTOR]; /* the table as it lies in flash, once encoded or loaded */
};

/* The rules' defaults. t must not move afterwards. */
void table_file_start(struct table_file *t);

/* These return 0, or an exit status (said on stderr). "-" is stdin. */
int table_file_preset(struct table_file *t, const char *name);
int table_file_load(struct table_file *t, const char *path);
/* A preset of that name, else a file. */
int table_file_open(struct table_file *t, const char *name);
/* Only a binary table. */
int table_file_load_binary(struct table_file *t, const char *path);
/* Holds it to the generator's rules; says all that is wrong. */
int table_file_judge(struct table_file *t);
/* list to bytes. */
int table_file_encode(struct table_file *t);

/* Where a new device starts: the factory app, else the ota slot with the lowest number; NULL: neither is there. */
const struct otter_partition *table_first_app(const struct otter_table_list *list);

/* A label for people: what is no text becomes ?. Returns out. */
const char *table_label(const char *label, char out[3 * 17]);
/* "app", or its number. Returns out, or a static text. */
const char *table_type(const struct otter_partition *p, char out[8]);
const char *table_subtype(const struct otter_table_names *names, const struct otter_partition *p, char out[8]);
/* {name, type, subtype, type_number, subtype_number, offset, size, encrypted, readonly} */
cJSON *table_row_json(const struct otter_table_names *names, const struct otter_partition *p);
/* The presets, a line each. */
void table_print_presets(FILE *to);

#endif
