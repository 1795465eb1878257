/* Versions and their order: which of two is newer. Source: Semantic Versioning 2.0.0, section 11; git-describe(1).
 *
 * A version is one to four numbers with dots between (missing ones count as 0), perhaps behind a v or V; then perhaps
 * "-" and pre-release parts; then perhaps "+" and build metadata, which says nothing about order. Two more endings are
 * read as git writes them, not as pre-release parts: "-3-gabc1234" (three commits after that tag) and "-dirty" (with
 * changes beyond that). So
 *
 *     v2.2.0-rc.1 < v2.2.0-rc.1-2-gabc1234 < v2.2.0-rc.2 < v2.2.0 < v2.2.0-dirty < v2.2.0-3-gabc1234 < v2.2.1
 *
 * Commits are counted, not told apart: of two builds three commits after the same tag neither is newer. A number alone
 * is a version up to six digits; longer ones may be a commit's hash, like "4ad9b17", which is no version. Numbers have
 * any number of digits, texts any length; nothing is copied. */
#ifndef OTTER_FORMAT_VERSION_H
#define OTTER_FORMAT_VERSION_H

#include <stdbool.h>
#include <stddef.h>

enum { OTTER_VERSION_NUMBERS = 4, OTTER_VERSION_LONE_DIGITS = 6 };

enum otter_order {
    OTTER_OLDER = -1,
    OTTER_SAME = 0, /* neither is newer; the texts may differ */
    OTTER_NEWER = 1,
    OTTER_UNORDERED = 2 /* one of them is no version */
};

/* How a stands to b: OTTER_OLDER if a is the older one. The texts need no end. */
enum otter_order otter_version_order(const char *a, size_t a_size, const char *b, size_t b_size);

bool otter_version_is(const char *text, size_t size);

#endif
