/* Reads versions into slices of their text, and compares these. */
#include "format/version.h"

#include <string.h>

struct slice {
    const char *p;
    size_t n;
};

struct version {
    struct slice number[OTTER_VERSION_NUMBERS];
    struct slice pre;     /* pre-release parts; empty: a release */
    struct slice commits; /* behind the tag; empty: none */
    bool dirty;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
static bool is_part(char c) { return is_digit(c) || c == '-' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static size_t run_of(bool (*is)(char), struct slice s)
{
    size_t n = 0;
    while (n < s.n && is(s.p[n])) n++;
    return n;
}

static struct slice take(struct slice *s, size_t n)
{
    struct slice head = {s->p, n};
    s->p += n;
    s->n -= n;
    return head;
}

/* What is behind the last such character; nothing without one. */
static struct slice behind_last(struct slice s, char c)
{
    size_t n = s.n;
    while (n && s.p[n - 1] != c) n--;
    return n ? (struct slice){s.p + n, s.n - n} : (struct slice){s.p, 0};
}

static bool take_numbers(struct version *v, struct slice *s)
{
    unsigned count = 0;
    for (;;) {
        size_t n = run_of(is_digit, *s);
        if (!n || count == OTTER_VERSION_NUMBERS) return false;
        v->number[count++] = take(s, n);
        if (!s->n || s->p[0] != '.') break;
        take(s, 1);
    }
    return count > 1 || v->number[0].n <= OTTER_VERSION_LONE_DIGITS;
}

/* Parts with dots between, none empty. */
static bool are_parts(struct slice s)
{
    for (;;) {
        size_t n = run_of(is_part, s);
        if (!n) return false;
        if (n == s.n) return true;
        if (s.p[n] != '.') return false;
        take(&s, n + 1);
    }
}

/* What git describe adds, from the end: "-dirty", and before that "-3-gabc1234". tail begins with its "-". */
static void take_described(struct version *v, struct slice *tail)
{
    enum { HASH_MIN = 3, HASH_MAX = 64 };
    static const char dirty[] = "-dirty";
    const size_t n = sizeof dirty - 1;
    v->dirty = tail->n >= n && memcmp(tail->p + tail->n - n, dirty, n) == 0;
    if (v->dirty) tail->n -= n;
    struct slice hash = behind_last(*tail, '-');
    if (hash.n <= HASH_MIN || hash.n > HASH_MAX + 1 || hash.p[0] != 'g') return;
    if (run_of(is_hex, (struct slice){hash.p + 1, hash.n - 1}) != hash.n - 1) return;
    struct slice before = {tail->p, tail->n - hash.n - 1}, commits = behind_last(before, '-');
    if (!commits.n || run_of(is_digit, commits) != commits.n) return;
    v->commits = commits;
    tail->n = before.n - commits.n - 1;
}

static bool read_version(struct version *v, const char *text, size_t size)
{
    struct slice s = {text, size};
    memset(v, 0, sizeof *v);
    if (s.n && (s.p[0] == 'v' || s.p[0] == 'V')) take(&s, 1);
    if (!take_numbers(v, &s)) return false;
    const char *plus = s.n ? memchr(s.p, '+', s.n) : NULL;
    struct slice tail = s;
    if (plus) {
        tail = take(&s, (size_t)(plus - s.p));
        take(&s, 1);
        if (!are_parts(s)) return false;
    }
    if (!tail.n) return true;
    if (tail.p[0] != '-') return false;
    take_described(v, &tail);
    if (!tail.n) return true;
    take(&tail, 1);
    v->pre = tail;
    return are_parts(tail);
}

/* ---- order ---- */

static enum otter_order sign(int difference)
{
    return difference < 0 ? OTTER_OLDER : difference > 0 ? OTTER_NEWER : OTTER_SAME;
}

static enum otter_order order_sizes(size_t a, size_t b) { return sign((a > b) - (a < b)); }

static struct slice without_zeros(struct slice s)
{
    while (s.n && s.p[0] == '0') take(&s, 1);
    return s;
}

static enum otter_order order_bytes(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    enum otter_order o = n ? sign(memcmp(a.p, b.p, n)) : OTTER_SAME;
    return o ? o : order_sizes(a.n, b.n);
}

/* A missing number counts as 0. */
static enum otter_order order_numbers(struct slice a, struct slice b)
{
    a = without_zeros(a);
    b = without_zeros(b);
    return a.n != b.n ? order_sizes(a.n, b.n) : order_bytes(a, b);
}

static enum otter_order order_part(struct slice a, struct slice b)
{
    bool a_number = run_of(is_digit, a) == a.n, b_number = run_of(is_digit, b) == b.n;
    if (a_number && b_number) return order_numbers(a, b);
    if (a_number != b_number) return a_number ? OTTER_OLDER : OTTER_NEWER;
    return order_bytes(a, b);
}

static struct slice next_part(struct slice *s)
{
    struct slice part = take(s, run_of(is_part, *s));
    if (s->n) take(s, 1);
    return part;
}

static enum otter_order order_pre(struct slice a, struct slice b)
{
    if (!a.n || !b.n) return order_sizes(b.n, a.n); /* a release is newer than what led to it */
    while (a.n && b.n) {
        enum otter_order o = order_part(next_part(&a), next_part(&b));
        if (o) return o;
    }
    return order_sizes(a.n, b.n);
}

enum otter_order otter_version_order(const char *a, size_t a_size, const char *b, size_t b_size)
{
    struct version x, y;
    enum otter_order o = OTTER_SAME;
    if (!read_version(&x, a, a_size) || !read_version(&y, b, b_size)) return OTTER_UNORDERED;
    for (unsigned i = 0; !o && i < OTTER_VERSION_NUMBERS; i++) o = order_numbers(x.number[i], y.number[i]);
    if (!o) o = order_pre(x.pre, y.pre);
    if (!o) o = order_numbers(x.commits, y.commits);
    return o ? o : order_sizes(x.dirty, y.dirty);
}

bool otter_version_is(const char *text, size_t size)
{
    struct version v;
    return read_version(&v, text, size);
}
