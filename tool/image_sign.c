/* otter image keygen, sign, key-digest: keys to PEM files, signature sectors behind images.
 * Knows command lines and files; blocks are format/signature.c's, numbers OpenSSL's. No secret is ever printed. */
#define _GNU_SOURCE
#include "tool/image_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/image.h"
#include "tool/image_trust.h"
#include "tool/tool.h"

enum { FILE_MAX = 32 * 1024 * 1024, APP_OFFSET = 0x10000 };

static const char keygen_help[] =
    "Usage: otter image keygen -o KEY.pem [OPTION]...\n"
    "Makes a secret key for signing images. Whoever has the file can sign; keep it off the device and out of sight.\n"
    "\n"
    "  -o, --output KEY.pem   where it goes, readable by its owner alone\n"
    "      --type TYPE        rsa3072 [the default], for every chip with Secure Boot v2; or ecdsa-p256\n"
    "      --force            put it in the place of a file that is there\n"
    "      --help             this text\n";

static const char sign_help[] =
    "Usage: otter image sign IMAGE --key KEY.pem [--key KEY.pem]... -o OUT [OPTION]...\n"
    "Pads an image to 4096 bytes and puts a sector with its signatures behind it (Secure Boot v2).\n"
    "\n"
    "  -k, --key KEY.pem   a secret key; up to three in all, a signature each\n"
    "  -o, --output OUT    where the signed image goes; - is stdout\n"
    "      --append        keep the signatures that IMAGE has, and add to them\n"
    "      --help          this text\n"
    "IMAGE may be - for standard input. The ESP32 itself looks at the first signature only.\n";

static const char digest_help[] =
    "Usage: otter image key-digest KEY.pem|IMAGE\n"
    "Prints the digest of a key, secret or public, or of each key that a signed image was signed with, as it goes\n"
    "into a device's list of trusted keys.\n";

/* ---- keygen ---- */

struct keygen {
    const char *out;
    enum otter_sign_alg alg;
    bool force;
};

/* A file of its own, that nobody else could read for a moment. */
static int write_new(const char *path, const char *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return -1;
    int bad = tool_write_all(fd, data, n) | fsync(fd), error = errno;
    if (close(fd) | bad) {
        unlink(path);
        errno = error;
        return -1;
    }
    return 0;
}

static int write_over(const char *path, const char *data, size_t n)
{
    char *temporary;
    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0) return -1;
    int bad = write_new(temporary, data, n);
    if (!bad && rename(temporary, path)) {
        bad = -1;
        unlink(temporary);
    }
    free(temporary);
    return bad;
}

static int write_key(const struct keygen *g, const char *pem, size_t n)
{
    if ((g->force ? write_over : write_new)(g->out, pem, n) == 0) return 0;
    if (errno == EEXIST)
        return tool_fail(OTTER_STATE, "%s is there already; --force puts the new key in its place, and the old is lost",
                         g->out);
    return tool_fail(OTTER_ARG, "%s: %s", g->out, strerror(errno));
}

static int make_key(const struct keygen *g)
{
    char hex[2 * OTTER_KEY_DIGEST + 1];
    uint8_t digest[OTTER_KEY_DIGEST];
    size_t n = 0;
    struct otter_key *key = otter_key_generate(g->alg);
    char *pem = key ? otter_key_pem(key, &n) : NULL;
    int status = otter_err_exit(OTTER_CRYPTO);
    if (!pem) tool_fail(OTTER_CRYPTO, "no key could be made");
    if (pem && tool_key_digest(key, digest)) status = write_key(g, pem, n);
    if (pem && !status) printf("%s: its key digest is %s\n", g->out, tool_hex(digest, sizeof digest, hex));
    otter_key_pem_free(pem, n);
    otter_key_free(key);
    return status;
}

enum option_id { OPT_TYPE = 256, OPT_FORCE, OPT_APPEND, OPT_HELP };

static int take_type(struct keygen *g, const char *type)
{
    if (strcmp(type, "rsa3072") == 0)
        g->alg = OTTER_SIGN_RSA3072_PSS;
    else if (strcmp(type, "ecdsa-p256") == 0)
        g->alg = OTTER_SIGN_ECDSA_P256;
    else
        return tool_usage_error("image keygen", "there is no key type \"%s\"; it is rsa3072 or ecdsa-p256", type);
    return 0;
}

int tool_image_keygen(int argc, char **argv)
{
    static const struct option options[] = {{"output", 1, 0, 'o'},
                                            {"type", 1, 0, OPT_TYPE},
                                            {"force", 0, 0, OPT_FORCE},
                                            {"help", 0, 0, OPT_HELP},
                                            {NULL, 0, 0, 0}};
    struct keygen g = {.alg = OTTER_SIGN_RSA3072_PSS};
    int status = 0;
    for (int option; !status && (option = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        switch (option) {
        case 'o': g.out = optarg; break;
        case OPT_TYPE: status = take_type(&g, optarg); break;
        case OPT_FORCE: g.force = true; break;
        case OPT_HELP: fputs(keygen_help, stdout); return 0;
        default: return 2; /* getopt has said why */
        }
    }
    if (status) return status;
    if (argc != optind) return tool_usage_error("image keygen", "\"%s\" is not understood", argv[optind]);
    if (!g.out) return tool_usage_error("image keygen", "name the key's file with -o KEY.pem");
    if (strcmp(g.out, "-") == 0) return tool_usage_error("image keygen", "a secret key goes to a file, not to stdout");
    return make_key(&g);
}

/* ---- sign ---- */

struct signing {
    const char *path, *out;
    const char *key_path[OTTER_SIGNATURE_BLOCKS];
    unsigned keys;
    bool append;
    uint8_t *file; /* with room for padding and sector behind it */
    size_t size;
    uint32_t offset; /* of the sector */
    uint8_t digest[32];
    unsigned blocks; /* written so far */
};

/* Reads and judges an image; the facts, or an exit status (said on stderr). */
static int read_image(const char *path, uint8_t **file, size_t *size, uint32_t *length)
{
    struct otter_image_rules rules = {
        .chips = otter_chip_by_id, .chip_revision = -1, .efuse_revision = -1, .offset = APP_OFFSET};
    struct otter_image_check c;
    *file = tool_read_file(path, FILE_MAX, size);
    if (!*file) return 2;
    otter_image_start(&c, &rules, tool_crypto());
    otter_image_feed(&c, *file, *size);
    enum otter_err e = otter_image_end(&c);
    *length = c.facts.length;
    return e ? tool_fail(e, "%s: %s (%s)", path, otter_err_text(e), otter_err_name(e)) : 0;
}

/* Makes room, and pads. Bytes behind the image that are neither padding nor signatures would be lost, so they stop it.
 */
static int pad(struct signing *s, uint32_t length)
{
    size_t whole = s->offset + (size_t)OTTER_SECTOR;
    size_t kept = s->size < s->offset ? s->size : s->offset;
    for (size_t i = length; i < kept; i++)
        if (s->file[i] != 0xFF)
            return tool_fail(OTTER_SIGNATURE, "%s: there is something behind the image's end, at 0x%zx; cut it off",
                             s->path, i);
    uint8_t *more = realloc(s->file, s->size > whole ? s->size : whole);
    if (!more) return tool_fail(OTTER_TOO_BIG, "not enough memory for the image");
    s->file = more;
    memset(more + kept, 0xFF, s->offset - kept);
    return tool_digest(OTTER_SHA256, more, s->offset, s->digest) ? 0 : otter_err_exit(OTTER_CRYPTO);
}

/* The blocks that are there stay, if all of them are good. */
static int keep_blocks(struct signing *s, const uint8_t *sector)
{
    struct otter_signature block;
    int32_t detail;
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++) {
        enum otter_err e = otter_signature_read(sector, i, &block);
        if (e == OTTER_UNSIGNED) continue;
        if (!e) e = otter_signature_verify(&block, s->digest, tool_crypto(), &detail);
        if (e || i != s->blocks)
            return tool_fail(OTTER_SIGNATURE,
                             "%s: signature %u (%s) is bad, or has a gap before it; sign the plain image", s->path, i,
                             otter_signature_kind(sector, i));
        s->blocks++;
    }
    return 0;
}

/* What lies behind the padding: nothing, erased flash, or signatures. */
static int open_sector(struct signing *s)
{
    uint8_t *sector = s->file + s->offset;
    enum otter_err e = OTTER_UNSIGNED;
    const uint8_t *there = s->size > s->offset ? tool_signature_sector(s->file, s->size, s->offset, &e) : NULL;
    if (there && !s->append)
        return tool_fail(OTTER_STATE, "%s is signed already; --append adds to its signatures", s->path);
    if (there) return keep_blocks(s, there);
    if (s->append) return tool_fail(e, "%s: %s", s->path, "there are no signatures to add to; leave --append out");
    for (size_t i = s->offset; i < s->size; i++)
        if (s->file[i] != 0xFF)
            return tool_fail(OTTER_SIGNATURE, "%s: there is something behind the image's end, at 0x%zx; cut it off",
                             s->path, i);
    memset(sector, 0xFF, OTTER_SECTOR);
    return 0;
}

static bool signed_before(const struct signing *s, const struct otter_signature *fresh)
{
    struct otter_signature old;
    for (unsigned i = 0; i < s->blocks; i++) {
        if (otter_signature_read(s->file + s->offset, i, &old) || old.alg != fresh->alg) continue;
        size_t n = old.alg == OTTER_SIGN_RSA3072_PSS ? OTTER_RSA3072 : 2 * OTTER_P256;
        if (memcmp(old.key.bytes, fresh->key.bytes, n) == 0) return true;
    }
    return false;
}

static int add_block(struct signing *s, const char *path, const struct otter_key *key)
{
    struct otter_key_parts parts;
    uint8_t signature[OTTER_RSA3072];
    int32_t detail;
    if (!otter_key_parts(key, &parts) || !otter_key_sign(key, s->digest, signature))
        return tool_fail(OTTER_CRYPTO, "%s: %s", path, otter_err_text(OTTER_CRYPTO));
    struct otter_signature block = {.alg = parts.alg,
                                    .digest = s->digest,
                                    .key = {parts.key},
                                    .montgomery = parts.montgomery,
                                    .signature = signature};
    if (signed_before(s, &block)) return tool_fail(OTTER_STATE, "%s has signed this image already", path);
    otter_signature_write(&block, s->file + s->offset + s->blocks * OTTER_SIGNATURE_BLOCK);
    /* What goes out has been read back and verified. */
    if (otter_signature_read(s->file + s->offset, s->blocks, &block) ||
        otter_signature_verify(&block, s->digest, tool_crypto(), &detail))
        return tool_fail(OTTER_CRYPTO, "%s: %s", path, otter_err_text(OTTER_CRYPTO));
    s->blocks++;
    return 0;
}

static int sign_with(struct signing *s, const char *path)
{
    struct otter_key *key = tool_key_read(path);
    if (!key) return 2;
    int status = otter_key_secret(key)
                     ? add_block(s, path, key)
                     : tool_fail(OTTER_ARG, "%s is a public key; it takes the secret one to sign", path);
    otter_key_free(key);
    return status;
}

static int sign_file(struct signing *s)
{
    uint32_t length;
    int status = read_image(s->path, &s->file, &s->size, &length);
    if (status) return status;
    s->offset = otter_signature_offset(length);
    status = pad(s, length);
    if (!status) status = open_sector(s);
    if (!status && s->blocks + s->keys > OTTER_SIGNATURE_BLOCKS)
        status = tool_fail(OTTER_STATE, "%s has %u signatures, and there is room for three", s->path, s->blocks);
    for (unsigned i = 0; i < s->keys && !status; i++) status = sign_with(s, s->key_path[i]);
    if (!status) status = tool_write_file(s->out, s->file, s->offset + (size_t)OTTER_SECTOR);
    if (!status)
        fprintf(strcmp(s->out, "-") == 0 ? stderr : stdout, "%s: %u signature%s at 0x%x, %u bytes\n", s->out, s->blocks,
                s->blocks == 1 ? "" : "s", s->offset, s->offset + OTTER_SECTOR);
    return status;
}

int tool_image_sign(int argc, char **argv)
{
    static const struct option options[] = {{"key", 1, 0, 'k'},
                                            {"output", 1, 0, 'o'},
                                            {"append", 0, 0, OPT_APPEND},
                                            {"help", 0, 0, OPT_HELP},
                                            {NULL, 0, 0, 0}};
    static const char cmd[] = "image sign";
    struct signing s = {0};
    for (int option; (option = getopt_long(argc, argv, "k:o:", options, NULL)) != -1;) {
        switch (option) {
        case 'k':
            if (s.keys == OTTER_SIGNATURE_BLOCKS) return tool_usage_error(cmd, "an image takes three signatures");
            s.key_path[s.keys++] = optarg;
            break;
        case 'o': s.out = optarg; break;
        case OPT_APPEND: s.append = true; break;
        case OPT_HELP: fputs(sign_help, stdout); return 0;
        default: return 2; /* getopt has said why */
        }
    }
    if (argc - optind != 1) return tool_usage_error(cmd, "give one IMAGE");
    if (!s.keys) return tool_usage_error(cmd, "name the secret key with --key KEY.pem");
    if (!s.out) return tool_usage_error(cmd, "name the signed image with -o OUT");
    s.path = argv[optind];
    int status = sign_file(&s);
    free(s.file);
    return status;
}

/* ---- key-digest ---- */

static int digest_of_key(const char *path)
{
    uint8_t digest[OTTER_KEY_DIGEST];
    char hex[2 * OTTER_KEY_DIGEST + 1];
    struct otter_key *key = tool_key_read(path);
    if (!key) return 2;
    bool ok = tool_key_digest(key, digest);
    otter_key_free(key);
    if (ok) puts(tool_hex(digest, sizeof digest, hex));
    return ok ? 0 : otter_err_exit(OTTER_CRYPTO);
}

static int digests_of_image(const char *path)
{
    static const struct tool_trust nobody;
    char hex[2 * OTTER_KEY_DIGEST + 1];
    struct tool_signatures found;
    uint8_t *file;
    size_t size;
    uint32_t length;
    int status = read_image(path, &file, &size, &length);
    enum otter_err e = status ? OTTER_OK : tool_signatures_judge(file, size, length, &nobody, &found);
    free(file);
    if (status) return status;
    if (e != OTTER_UNTRUSTED_KEY) return tool_fail(e, "%s: %s (%s)", path, otter_err_text(e), otter_err_name(e));
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++)
        if (found.block[i].err == OTTER_SIGNATURE)
            return tool_fail(OTTER_SIGNATURE, "%s: signature %u is bad (%s)", path, i, otter_err_name(OTTER_SIGNATURE));
    for (unsigned i = 0; i < OTTER_SIGNATURE_BLOCKS; i++)
        if (found.block[i].err == OTTER_OK) puts(tool_hex(found.block[i].key_digest, OTTER_KEY_DIGEST, hex));
    return 0;
}

static bool is_image(const char *path)
{
    FILE *f = fopen(path, "rb");
    bool is = f && fgetc(f) == OTTER_IMAGE_MAGIC;
    if (f) fclose(f);
    return is;
}

int tool_image_key_digest(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(digest_help, stdout);
        return 0;
    }
    if (argc != 2) return tool_usage_error("image key-digest", "give one KEY.pem or IMAGE");
    return is_image(argv[1]) ? digests_of_image(argv[1]) : digest_of_key(argv[1]);
}
