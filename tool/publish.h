/* otter publish: what its parts share. docs/SPEC.md, section 6, has the files of a channel.
 *
 * A release is JSON from the start, in the form in which releases.json keeps it: "version", "project", "date", "notes",
 * "base_url", "retracted", and "builds", by chip: "app", "bootloader", "table", "otadata" (each path, offset, size,
 * sha256), "md5", "board_format", "min_version", "requires_full_flash", "pending", and "asked", what of the last two
 * the command line asked for. Descriptors and manifest are made from it. */
#ifndef OTTER_TOOL_PUBLISH_H
#define OTTER_TOOL_PUBLISH_H

#include <cJSON.h>

#include "format/chip.h"
#include "format/table_check.h"
#include "tool/image_trust.h"
#include "tool/store.h"

enum { PUBLISH_CHIPS = 16, PUBLISH_FILES = 4 * PUBLISH_CHIPS, PUBLISH_NOTES_MAX = 1024 };

enum publish_what { PUBLISH_NEW, PUBLISH_CHECK, PUBLISH_PROMOTE, PUBLISH_RETRACT };

/* What the command line says. */
struct publish {
    enum publish_what what;
    const char *channel, *target, *from; /* from: the channel that is promoted */
    char *const *images;
    unsigned count; /* of images */
    const char *bootloaders[PUBLISH_CHIPS], *tables[PUBLISH_CHIPS];
    unsigned bootloader_count, table_count;
    const char *notes, *board_format, *min_version, *base_url;
    bool full_flash, allow_older, allow_project, create_bucket, json, quiet;
    struct aws_wish wish;
    struct tool_trust trust; /* empty: signatures are not looked at */
};

/* A file on its way into a channel. */
struct publish_file {
    char *path;
    uint8_t *bytes;
    size_t size;
};

struct publish_files {
    struct publish_file file[PUBLISH_FILES];
    unsigned count;
};
void publish_files_free(struct publish_files *f);
/* Takes bytes over, also when it fails: NULL, out of memory. The path is kept in the list. */
const char *publish_files_add(struct publish_files *f, char *path, uint8_t *bytes, size_t size);

/* ---- a release from files (publish_build.c) ---- */

/* Judges all that is given. NULL: *status is the exit status (said on stderr). */
cJSON *publish_build(const struct publish *p, struct publish_files *files, int *status);

/* The room that an image has with that table: the smallest slot, but of slots that overlap the largest. *label: it. */
uint32_t publish_room(const struct otter_table_list *list, const char **label);

/* The time of day, as "date". */
void publish_add_date(cJSON *release);

/* ---- what a release is to a channel (publish_prepare.c) ---- */

/* May it be published? Then takes from the log what was not given, and what follows from that. 0, or an exit status
 * (said on stderr). */
int publish_prepare(const struct publish *p, struct store *s, const cJSON *log, cJSON *release);
/* An item that is not there is last's. */
void publish_inherit(cJSON *build, const cJSON *last, const char *name);

/* ---- what changes a channel (publish_release.c) ---- */

/* These return the exit status; report gets what was found at the end. */
/* releases: a list, the newest last, each for other chips. */
int publish_release(const struct publish *p, struct store *s, cJSON *releases, const struct publish_files *files,
                    cJSON *report);
int publish_promote(const struct publish *p, struct store *s, cJSON *report);
int publish_retract(const struct publish *p, struct store *s, cJSON *report);

/* ---- a channel's files (publish_channel.c) ---- */

extern const char publish_log_name[], publish_manifest_name[];

/* The releases so far; an empty log if there is none. NULL: *err, in the store's words. */
cJSON *publish_log_read(struct store *s, enum otter_err *err);
/* The newest release of the log for that chip that was offered and not retracted, older in the log than `before` (NULL:
 * than none), and of another version than `not_version` (NULL: of any); NULL if there is none. */
cJSON *publish_log_find(const cJSON *log, const char *chip, const cJSON *before, const char *not_version);
/* The newest release of the log that counts, for whatever chips; NULL if there is none. */
const cJSON *publish_log_end(const cJSON *log);
/* The release of that version for the chip that counts; NULL if there is none. */
cJSON *publish_log_version(const cJSON *log, const char *chip, const char *version);
/* A chip's descriptor; NULL: there is none that is JSON. *err: it could not be asked for. */
cJSON *publish_offer(struct store *s, const char *chip, enum otter_err *err);
/* The release whose image for the chip that is; NULL: there is none. */
cJSON *publish_log_match(const cJSON *log, const char *chip, const char *version, const char *sha256);
/* The release that the chip is offered now, as the log has it; NULL: none, or one that the log has not. */
cJSON *publish_log_current(struct store *s, const cJSON *log, const char *chip, enum otter_err *err);
/* Which of these, by otter_chip_at(), is last in the log; NULL: none is in it. */
cJSON *publish_log_last(const cJSON *log, const cJSON *const of[PUBLISH_CHIPS]);
/* The releases that chips are offered now, by otter_chip_at(). */
enum otter_err publish_log_offered(struct store *s, const cJSON *log, const cJSON *offered[PUBLISH_CHIPS]);
/* Of these the one that is last in the log. */
cJSON *publish_log_newest(struct store *s, const cJSON *log, enum otter_err *err);
/* Puts a release, which is taken over, at the log's end. Of an earlier one of that version it takes the place, chip by
 * chip; if that was the last, its other chips become part of it. */
void publish_log_add(cJSON *log, cJSON *release);
enum otter_err publish_log_write(struct store *s, const cJSON *log);
/* A build is pending from when it is written to when it is known to be offered; until then it counts for nothing. */
void publish_set_pending(cJSON *build, bool pending);
/* Whoever published last may have been cut off: what is offered after all is not pending. */
enum otter_err publish_log_settle(struct store *s, cJSON *log);

cJSON *publish_build_of(const cJSON *release, const char *chip);
/* Writes a chip's descriptor. */
enum otter_err publish_write_descriptor(struct store *s, const char *channel, const cJSON *release, const char *chip);
/* Writes the manifest of the chips whose descriptors, already written, offer this release of the log; or removes it, if
 * of none boot loader and table are known. *left_out: how many of these chips are missing for that. */
enum otter_err publish_write_manifest(struct store *s, const char *channel, const cJSON *log, const cJSON *release,
                                      unsigned *left_out);
/* Are boot loader and table known, as the manifest needs them? */
bool publish_has_all_parts(const cJSON *build);

/* ---- reading it back (publish_check.c, publish_check_manifest.c) ---- */

/* What a change has made of a channel. By otter_chip_at(): what chips are to be offered. */
struct publish_change {
    const cJSON *log;                    /* as it was written */
    const cJSON *release[PUBLISH_CHIPS]; /* of the log; NULL: the chip was left as it was */
    bool nothing[PUBLISH_CHIPS];         /* it is not offered anything any more */
};

struct publish_check {
    struct store *store;
    const struct tool_trust *trust;
    bool say;                            /* findings go to stderr, too */
    const cJSON *log;                    /* NULL: there is none */
    const cJSON *offered[PUBLISH_CHIPS]; /* releases of the log that were found to be offered, by otter_chip_at() */
    cJSON *findings;                     /* "file", "error", "message" */
    enum otter_err first;                /* of them */
};

/* Fetches all that the channel offers and judges it, signatures too if p trusts a key. only: a single descriptor's
 * name, or NULL. change: what must be found, or NULL. report gets "builds", "manifest" and "findings". Returns the
 * first finding's error. */
enum otter_err publish_check(const struct publish *p, struct store *s, const char *only,
                             const struct publish_change *change, bool say, cJSON *report);

/* For the terminal: much of what is said was written by others. Returns out, cut to its size. */
const char *publish_plain(const char *text, char *out, size_t size);
/* Notes that something is wrong with a file; returns err. */
enum otter_err publish_finding(struct publish_check *c, const char *file, enum otter_err err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same of one that could not be fetched, in the store's words. */
enum otter_err publish_not_fetched(struct publish_check *c, const char *file, enum otter_err err);
/* What a path of a file leads to that came from base; NULL: from the channel's folder. A failure is a finding. */
enum otter_err publish_fetch(struct publish_check *c, const char *base, const char *path, uint8_t **data, size_t *size);
/* Do its builds' parts make a flash from which the chip starts what is offered? True: there is a manifest. */
bool publish_check_manifest(struct publish_check *c);
/* Has the manifest a build for the chip of that family? NULL: it has none. */
const cJSON *publish_manifest_build(const cJSON *json, const char *family);
/* Where the app of a build begins: in its own table, or where it mostly does. */
uint32_t publish_manifest_app(struct publish_check *c, const char *base, const cJSON *build);

#endif
