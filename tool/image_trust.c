/* Whose signatures a file bears: keys from the command line, blocks from the file, and what to print of them.
 * Knows no command; the judging is format/signature.c's. */
#define _GNU_SOURCE
#include "tool/image_trust.h"

#include <stdlib.h>
#include <string.h>

#include "tool/tool.h"

enum { PEM_MAX = 64 * 1024 };

/* ---- keys ---- */

struct otter_key *tool_key_read(const char *path)
{
    static const char *const words[] = {
        [OTTER_KEY_OK] = "the crypto library failed",
        [OTTER_KEY_NO_PEM] = "holds no key in PEM; otter image keygen makes one",
        [OTTER_KEY_ENCRYPTED] = "is under a passphrase; take it off with openssl pkey -in KEY -out PLAIN",
        [OTTER_KEY_KIND] = "is no RSA key of 3072 bits and no ECDSA key on P-256; no others sign images here"};
    size_t n;
    enum otter_key_fault fault;
    char *pem = tool_read_file(path, PEM_MAX, &n);
    if (!pem) return NULL;
    struct otter_key *key = otter_key_read(pem, n, &fault);
    explicit_bzero(pem, n);
    free(pem);
    if (!key) tool_fail(OTTER_ARG, "%s %s", path, words[fault]);
    return key;
}

bool tool_key_digest(const struct otter_key *key, uint8_t digest[OTTER_KEY_DIGEST])
{
    struct otter_key_parts parts;
    if (otter_key_parts(key, &parts)) {
        struct otter_signature s = {.alg = parts.alg, .key = {parts.key}, .montgomery = parts.montgomery};
        if (otter_signature_key_digest(&s, tool_crypto(), digest) == 0) return true;
    }
    tool_fail(OTTER_CRYPTO, "%s", otter_err_text(OTTER_CRYPTO));
    return false;
}

static int room_for_one(const struct tool_trust *t, const char *cmd)
{
    return t->count < TOOL_TRUST_MAX ? 0 : tool_usage_error(cmd, "at most %d keys can be given", TOOL_TRUST_MAX);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

int tool_trust_add_digest(struct tool_trust *t, const char *cmd, const char *hex)
{
    if (room_for_one(t, cmd)) return 2;
    for (unsigned i = 0; i < 2 * OTTER_KEY_DIGEST; i++) {
        int digit = hex_digit(hex[i]);
        if (digit < 0) return tool_usage_error(cmd, "\"%s\" is no key digest of 64 hex digits", hex);
        uint8_t *byte = &t->keys[t->count][i / 2];
        *byte = (uint8_t)(*byte << 4 | digit);
    }
    if (hex[2 * OTTER_KEY_DIGEST]) return tool_usage_error(cmd, "\"%s\" is no key digest of 64 hex digits", hex);
    t->count++;
    return 0;
}

int tool_trust_add_key(struct tool_trust *t, const char *cmd, const char *path)
{
    if (room_for_one(t, cmd)) return 2;
    struct otter_key *key = tool_key_read(path);
    if (!key) return 2;
    bool ok = tool_key_digest(key, t->keys[t->count]);
    otter_key_free(key);
    if (!ok) return otter_err_exit(OTTER_CRYPTO);
    t->count++;
    return 0;
}

/* ---- files ---- */

const uint8_t *tool_signature_sector(const uint8_t *file, size_t size, uint32_t image_length, enum otter_err *err)
{
    uint32_t offset = otter_signature_offset(image_length);
    *err = OTTER_UNSIGNED;
    if (size <= offset || file[offset] != OTTER_SIGNATURE_MAGIC) return NULL;
    *err = size - offset < OTTER_SECTOR ? OTTER_SIGNATURE : OTTER_OK;
    return *err ? NULL : file + offset;
}

static void judge_block(const uint8_t *sector, unsigned i, const struct otter_trust *trust, struct tool_signatures *out)
{
    struct otter_signature s;
    struct tool_signature *block = &out->block[i];
    int32_t detail;
    block->err = otter_signature_read(sector, i, &s);
    block->kind = otter_signature_kind(sector, i);
    if (block->err) return;
    block->has_key = otter_signature_key_digest(&s, tool_crypto(), block->key_digest) == 0;
    block->trusted = block->has_key && otter_trust_has(trust, block->key_digest);
    block->err = otter_signature_verify(&s, out->image_digest, tool_crypto(), &detail);
}

enum otter_err tool_signatures_judge(const uint8_t *file, size_t size, uint32_t image_length,
                                     const struct tool_trust *trust, struct tool_signatures *out)
{
    struct otter_trust list = {(const uint8_t(*)[OTTER_KEY_DIGEST])trust->keys, trust->count};
    int32_t detail;
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++) out->block[i].err = OTTER_UNSIGNED;
    const uint8_t *sector = tool_signature_sector(file, size, image_length, &out->verdict);
    if (!sector) return out->verdict;
    if (!tool_digest(OTTER_SHA256, file, otter_signature_offset(image_length), out->image_digest))
        return out->verdict = OTTER_CRYPTO;
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++) judge_block(sector, i, &list, out);
    return out->verdict = otter_signature_check(sector, out->image_digest, &list, tool_crypto(), &detail);
}

/* ---- output ---- */

void tool_signatures_print(const struct tool_signatures *s, FILE *to)
{
    char hex[2 * OTTER_KEY_DIGEST + 1];
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++) {
        const struct tool_signature *b = &s->block[i];
        if (b->err == OTTER_UNSIGNED) continue;
        fprintf(to, "signature  %u: %s, %s, %s\n", i, b->kind, b->err ? "bad" : "right",
                b->trusted ? "of a trusted key" : "of no key given here");
        if (b->has_key) fprintf(to, "key        %s\n", tool_hex(b->key_digest, OTTER_KEY_DIGEST, hex));
    }
}

void tool_signatures_json(const struct tool_signatures *s, cJSON *o)
{
    char hex[2 * OTTER_KEY_DIGEST + 1];
    cJSON *list = cJSON_AddArrayToObject(o, "signatures");
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++) {
        const struct tool_signature *b = &s->block[i];
        if (b->err == OTTER_UNSIGNED) continue;
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "block", i);
        cJSON_AddStringToObject(one, "type", b->kind);
        if (b->has_key)
            cJSON_AddStringToObject(one, "key_digest", tool_hex(b->key_digest, OTTER_KEY_DIGEST, hex));
        else
            cJSON_AddNullToObject(one, "key_digest");
        cJSON_AddBoolToObject(one, "valid", b->err == OTTER_OK);
        cJSON_AddBoolToObject(one, "trusted", b->trusted);
        cJSON_AddItemToArray(list, one);
    }
}
