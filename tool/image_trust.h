/* Signatures of an image file, and the keys that they are held to. */
#ifndef OTTER_TOOL_IMAGE_TRUST_H
#define OTTER_TOOL_IMAGE_TRUST_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "format/signature.h"
#include "ports/posix/sign_openssl.h"

enum { TOOL_TRUST_MAX = 16 };

struct tool_trust {
    uint8_t keys[TOOL_TRUST_MAX][OTTER_KEY_DIGEST];
    unsigned count;
};

struct tool_signature {
    enum otter_err err; /* OTTER_UNSIGNED: no such block; OTTER_OK: its signature is right, whoever's it is */
    const char *kind;
    bool has_key; /* the block could be read, so key_digest is filled */
    uint8_t key_digest[OTTER_KEY_DIGEST];
    bool trusted;
};

struct tool_signatures {
    uint8_t image_digest[32]; /* over image and padding */
    struct tool_signature block[OTTER_SIGNATURE_BLOCKS];
    enum otter_err verdict; /* otter_signature_check()'s, with the keys that were given */
};

/* A PEM key, to be freed with otter_key_free(); NULL (said on stderr) if there is none of a kind that signs images. */
struct otter_key *tool_key_read(const char *path);
/* False (said on stderr): the crypto library failed. */
bool tool_key_digest(const struct otter_key *key, uint8_t digest[OTTER_KEY_DIGEST]);

/* Options of a command: 64 hex digits, or a PEM file. 0, or an exit status (said on stderr). */
int tool_trust_add_digest(struct tool_trust *t, const char *cmd, const char *hex);
int tool_trust_add_key(struct tool_trust *t, const char *cmd, const char *path);

/* The signature sector behind an image of image_length bytes in a file: NULL, and *err OTTER_UNSIGNED (there is none)
 * or OTTER_SIGNATURE (it is cut off). */
const uint8_t *tool_signature_sector(const uint8_t *file, size_t size, uint32_t image_length, enum otter_err *err);
/* Judges all blocks of a file; returns out->verdict. */
enum otter_err tool_signatures_judge(const uint8_t *file, size_t size, uint32_t image_length,
                                     const struct tool_trust *trust, struct tool_signatures *out);

void tool_signatures_print(const struct tool_signatures *s, FILE *to);
void tool_signatures_json(const struct tool_signatures *s, cJSON *o);

#endif
