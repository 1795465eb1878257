/* Reads board.yaml. Knows YAML and the schema's shape; what a name and a path may be is the door's. */
#include "ports/posix/board_yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
    yaml_document_t *doc;
    struct board_yaml_error *error;
};

static bool refuse(struct reader *r, const yaml_node_t *at, const char *why)
{
    r->error->line = at ? (unsigned)at->start_mark.line + 1 : 0;
    snprintf(r->error->why, sizeof r->error->why, "%s", why);
    return false;
}

static yaml_node_t *node(const struct reader *r, int index) { return yaml_document_get_node(r->doc, index); }

static bool is_word(const yaml_node_t *n, const char *word)
{
    return n->type == YAML_SCALAR_NODE && n->data.scalar.length == strlen(word) &&
           memcmp(n->data.scalar.value, word, n->data.scalar.length) == 0;
}

static size_t sign(const char *p) { return *p == '+' || *p == '-'; }

/* [-+]?(.[0-9]+|[0-9]+(.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_number(const char *p)
{
    static const char digits[] = "0123456789";
    p += sign(p);
    size_t whole = strspn(p, digits), part = p[whole] == '.' ? strspn(p + whole + 1, digits) : 0;
    if (!whole && !part) return false;
    p += p[whole] == '.' ? whole + 1 + part : whole;
    if (*p == 'e' || *p == 'E') {
        p += 1 + sign(p + 1);
        size_t exponent = strspn(p, digits);
        if (!exponent) return false;
        p += exponent;
    }
    return !*p;
}

/* Of this prefix, and then one or more of the set. */
static bool is_of(const char *p, const char *prefix, const char *set)
{
    size_t n = strlen(prefix);
    return strncmp(p, prefix, n) == 0 && p[n] && !p[n + strspn(p + n, set)];
}

/* What is null, true, a number without quotes: YAML 1.2, 10.3.2, the core schema. All else is text, 1.2.3 too. */
static bool is_no_text(const char *plain)
{
    static const char *const words[] = {"",     "~",     "null",  "Null",  "NULL", "true", "True",
                                        "TRUE", "false", "False", "FALSE", ".nan", ".NaN", ".NAN"};
    static const char *const infinite[] = {".inf", ".Inf", ".INF"};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(plain, words[i]) == 0) return true;
    for (unsigned i = 0; i < sizeof infinite / sizeof infinite[0]; i++)
        if (strcmp(plain + sign(plain), infinite[i]) == 0) return true;
    return is_number(plain) || is_of(plain, "0o", "01234567") || is_of(plain, "0x", "0123456789abcdefABCDEF");
}

static bool is_text(const yaml_node_t *n)
{
    if (n->type != YAML_SCALAR_NODE || strcmp((const char *)n->tag, YAML_STR_TAG) != 0) return false;
    const char *text = (const char *)n->data.scalar.value;
    if (strlen(text) != n->data.scalar.length) return false;
    return n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || !is_no_text(text);
}

/* The value of that key; NULL with *good true: there is none. */
static yaml_node_t *find(struct reader *r, yaml_node_t *map, const char *key, bool *good)
{
    yaml_node_t *found = NULL;
    *good = true;
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        if (!is_word(node(r, p->key), key)) continue;
        if (found) *good = refuse(r, node(r, p->key), "a key is there twice");
        found = node(r, p->value);
    }
    return found;
}

static bool add_channel(struct reader *r, yaml_node_t *c, struct otter_board *out)
{
    const yaml_node_t *name = NULL, *path = NULL;
    if (c->type != YAML_MAPPING_NODE) return refuse(r, c, "a channel is no mapping");
    for (yaml_node_pair_t *p = c->data.mapping.pairs.start; p < c->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = node(r, p->key), *value = node(r, p->value);
        bool is_name = is_word(key, "name");
        const yaml_node_t **to = is_name ? &name : &path;
        if (!is_name && !is_word(key, "path")) return refuse(r, key, "a channel has other keys than name and path");
        if (*to) return refuse(r, key, "a channel has a key twice");
        if (!is_text(value))
            return refuse(r, value, is_name ? "a channel's name is no text" : "a channel's path is no text");
        *to = value;
    }
    if (!name) return refuse(r, c, "a channel has no name");
    if (!path) return refuse(r, c, "a channel has no path");
    const char *why =
        otter_board_add(out, (const char *)name->data.scalar.value, (const char *)path->data.scalar.value);
    return !why || refuse(r, strstr(why, "path") ? path : name, why);
}

static bool read_channels(struct reader *r, yaml_node_t *list, struct otter_board *out)
{
    if (list->type != YAML_SEQUENCE_NODE) return refuse(r, list, "\"channels\" is no list");
    yaml_node_item_t *from = list->data.sequence.items.start, *to = list->data.sequence.items.top;
    if (from == to) return refuse(r, list, "there is no channel");
    for (yaml_node_item_t *i = from; i < to; i++)
        if (!add_channel(r, node(r, *i), out)) return false;
    return true;
}

static bool read_root(struct reader *r, struct otter_board *out)
{
    bool good;
    yaml_node_t *root = yaml_document_get_root_node(r->doc);
    if (!root || root->type != YAML_MAPPING_NODE) return refuse(r, root, "the file is no mapping");
    yaml_node_t *ota = find(r, root, "ota", &good);
    if (!good) return false;
    if (!ota) return refuse(r, root, "\"ota\" is missing");
    if (ota->type != YAML_MAPPING_NODE) return refuse(r, ota, "\"ota\" is no mapping");
    yaml_node_t *channels = find(r, ota, "channels", &good);
    if (!good) return false;
    if (!channels) return refuse(r, ota, "\"channels\" is missing");
    if (ota->data.mapping.pairs.top - ota->data.mapping.pairs.start != 1)
        return refuse(r, ota, "\"ota\" has other keys than channels");
    return read_channels(r, channels, out);
}

static bool complain(struct reader *r, const yaml_parser_t *p)
{
    r->error->line = (unsigned)p->problem_mark.line + 1;
    snprintf(r->error->why, sizeof r->error->why, "%s", p->problem ? p->problem : "this is no YAML");
    return false;
}

/* What is read is all of the file. */
static bool ends(struct reader *r, yaml_parser_t *p)
{
    yaml_document_t more;
    if (!yaml_parser_load(p, &more)) return complain(r, p);
    const yaml_node_t *root = yaml_document_get_root_node(&more);
    bool good = !root || refuse(r, root, "a second document begins; one with \"ota\" is all that is read");
    yaml_document_delete(&more);
    return good;
}

bool board_yaml_read(const char *text, size_t size, struct otter_board *out, struct board_yaml_error *error)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    struct reader r = {&doc, error};
    memset(out, 0, sizeof *out);
    if (size > BOARD_YAML_MAX) return refuse(&r, NULL, "the file is larger than 32 KiB");
    if (!yaml_parser_initialize(&parser)) return refuse(&r, NULL, "memory is out");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    bool good = yaml_parser_load(&parser, &doc);
    if (good) {
        good = read_root(&r, out) && ends(&r, &parser);
        yaml_document_delete(&doc);
    } else {
        complain(&r, &parser);
    }
    yaml_parser_delete(&parser);
    if (!good) otter_board_free(out);
    return good;
}

bool board_yaml_load(const char *path, struct otter_board *out, struct board_yaml_error *error)
{
    struct reader r = {NULL, error};
    char *text = malloc(BOARD_YAML_MAX + 1);
    FILE *f = text ? fopen(path, "rb") : NULL;
    size_t n = f ? fread(text, 1, BOARD_YAML_MAX + 1, f) : 0;
    bool good = f && !ferror(f) ? board_yaml_read(text, n, out, error) : refuse(&r, NULL, strerror(errno));
    if (f) fclose(f);
    free(text);
    return good;
}
