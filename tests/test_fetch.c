/* The fetching of a file by URL, against a server in memory that cuts, forgets, redirects and lies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/fetch.h"
#include "doors/url.h"
#include "ports/posix/crypto.h"
#include "tests/fixture.h"

/* ---- URLs ---- */

static void urls_that_are_none(void **state)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "ftp://a/b",
                                      "https:/a",
                                      "https://",
                                      "https:///x",
                                      "https://a b/",
                                      "https://a/\n",
                                      "https://user@host/",
                                      "https://user:pw@host/",
                                      "https://a:0/",
                                      "https://a:65536/",
                                      "https://a:99999999999/",
                                      "https://a:/",
                                      "https://[::1/",
                                      "https://[]/",
                                      "https://[g]/",
                                      "https://a\\b/",
                                      "https://a/\xC3\xA4",
                                      "https://a/\"",
                                      "javascript:alert(1)",
                                      "file:///etc/passwd"};
    struct otter_url u;
    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (otter_url_read(bad[i], &u)) fail_msg("taken: %s", bad[i]);
    char longest[OTTER_URL_MAX + 2] = "https://h/";
    memset(longest + 10, 'a', OTTER_URL_MAX - 10);
    assert_true(otter_url_read(longest, &u));
    longest[OTTER_URL_MAX] = 'a';
    assert_false(otter_url_read(longest, &u));
}

static void urls_of_this_device(void **state)
{
    static const struct {
        const char *url;
        bool loopback;
    } table[] = {
        {"http://127.0.0.1/", true},       {"http://127.0.0.1:80", true},       {"http://localhost:1/x", true},
        {"http://LOCALHOST", true},        {"http://[::1]:8080/", true},        {"http://127.1.2.3/", true},
        {"http://127.0.0.1.evil/", false}, {"http://127.evil.example/", false}, {"http://localhost.evil/", false},
        {"http://[::2]/", false},          {"http://10.0.0.1/", false},         {"http://127.0.0/", false},
        {"http://127.0.0.1234/", false},   {"http://1127.0.0.1/", false},       {"http://[::11]/", false},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct otter_url u;
        assert_true(otter_url_read(table[i].url, &u));
        if (otter_url_loopback(&u) != table[i].loopback) fail_msg("%s", table[i].url);
    }
}

static void references(void **state)
{
    /* The first rows are RFC 3986, section 5.4, with http for g's scheme. */
    static const struct {
        const char *base, *reference, *url; /* NULL: nowhere */
    } table[] = {
        {"http://a/b/c/d;p?q", "http://g", "http://g"},
        {"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "./g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "/g", "http://a/g"},
        {"http://a/b/c/d;p?q", "//g", "http://g"},
        {"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
        {"http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", "#s", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", "g#s", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", ";x", "http://a/b/c/;x"},
        {"http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", ".", "http://a/b/c/"},
        {"http://a/b/c/d;p?q", "./", "http://a/b/c/"},
        {"http://a/b/c/d;p?q", "..", "http://a/b/"},
        {"http://a/b/c/d;p?q", "../g", "http://a/b/g"},
        {"http://a/b/c/d;p?q", "../..", "http://a/"},
        {"http://a/b/c/d;p?q", "../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "../../../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/./g", "http://a/g"},
        {"http://a/b/c/d;p?q", "g;x=1/../y", "http://a/b/c/y"},
        {"http://a/b/c/d;p?q", "g?y/../x", "http://a/b/c/g?y/../x"},
        {"http://a/b/c/d;p?q", "g:h", NULL},
        {"http://a/b/c/d;p?q", "g?y#s", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", "g;x", "http://a/b/c/g;x"},
        {"http://a/b/c/d;p?q", "g;x?y#s", "http://a/b/c/g;x?y"},
        {"http://a/b/c/d;p?q", "../", "http://a/b/"},
        {"http://a/b/c/d;p?q", "../../", "http://a/"},
        {"http://a/b/c/d;p?q", "../../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "g.", "http://a/b/c/g."},
        {"http://a/b/c/d;p?q", ".g", "http://a/b/c/.g"},
        {"http://a/b/c/d;p?q", "g..", "http://a/b/c/g.."},
        {"http://a/b/c/d;p?q", "..g", "http://a/b/c/..g"},
        {"http://a/b/c/d;p?q", "./../g", "http://a/b/g"},
        {"http://a/b/c/d;p?q", "./g/.", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "g/./h", "http://a/b/c/g/h"},
        {"http://a/b/c/d;p?q", "g/../h", "http://a/b/c/h"},
        {"http://a/b/c/d;p?q", "g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"http://a/b/c/d;p?q", "g?y/./x", "http://a/b/c/g?y/./x"},
        {"http://a/b/c/d;p?q", "g#s/./x", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "g#s/../x", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "http:g", NULL},
        /* An empty segment is one, too. */
        {"https://h/a//x.json", "b.bin", "https://h/a//b.bin"},
        {"https://h//x.json", "b.bin", "https://h//b.bin"},
        {"https://h/a//x.json", "../b.bin", "https://h/a/b.bin"},
        {"https://h/a//x.json", "..", "https://h/a/"},
        {"https://h/a/b//x.json", "../../c", "https://h/a/c"},
        {"https://h/a/x.json", "b//c", "https://h/a/b//c"},
        {"https://h/a/x.json", "b/", "https://h/a/b/"},
        {"https://h/a/../b/./x.json", "c", "https://h/b/c"},
        {"https://h/a/..", "c", "https://h/a/c"},
        {"https://h/a/../", "c", "https://h/c"},
        {"https://h/", "c", "https://h/c"},
        {"https://a", "b.bin", "https://a/b.bin"},
        {"https://a?x", "b.bin", "https://a/b.bin"},
        {"https://a:8443/x/y.json?sig=1", "y.bin?sig=2", "https://a:8443/x/y.bin?sig=2"},
        {"https://a/x", "ftp://b/", NULL},
        {"https://a/x", "b c", NULL},
        {"https://a/x", "//u@b/", NULL},
        {"nothing", "b", NULL},
    };
    char out[OTTER_URL_MAX + 1], longest[OTTER_URL_MAX + 1];
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        bool good = otter_url_resolve(table[i].base, table[i].reference, out);
        assert_int_equal(good, table[i].url != NULL);
        if (good) assert_string_equal(out, table[i].url);
    }
    memset(longest, 'a', OTTER_URL_MAX);
    longest[OTTER_URL_MAX] = '\0';
    assert_false(otter_url_resolve("https://a/x", longest, out));
    longest[OTTER_URL_MAX - 10] = '\0';
    assert_true(otter_url_resolve("https://a/x", longest, out));
    otter_url_show("https://a/b/c?X-Amz-Signature=1", out, 100);
    assert_string_equal(out, "https://a/b/c");
}

/* ---- a server in memory ---- */

struct answer {
    int status;
    const char *location;
    enum otter_err err; /* instead of a reply */
};

struct server {
    const struct fixture_image *file;
    const char *etag;
    bool no_range, ignores_if_range, no_length, lies_about_range, stalls;
    bool silent;            /* no head comes */
    uint32_t cut_at;        /* the connection breaks in front of this byte; 0: never */
    uint32_t cut_every;     /* and each after so many more */
    struct answer first[8]; /* replies before the file; status 0 and err 0: none */
    unsigned answered, requests;
    char url[OTTER_URL_MAX + 1]; /* last asked for */
    uint32_t at, end, from;
    uint64_t sent;
    bool open;
    void (*before)(struct server *s); /* each request */
};

struct bench {
    struct sim_world world;
    uint8_t flash[FIXTURE_FLASH];
    struct otter_update update;
    struct otter_fetch fetch;
    struct otter_net net;
    struct otter_lock lock;
    struct server server;
    int held;
    struct otter_fetch_wish wish;
    enum otter_err err;
};

static struct bench b;
static struct fixture_image old_image, new_image, other_image;

static void take(void *ctx)
{
    (void)ctx;
    assert_int_equal(b.held++, 0);
}

static void give(void *ctx)
{
    (void)ctx;
    assert_int_equal(b.held--, 1);
}

static enum otter_err net_open(void *ctx, const struct otter_net_request *q, struct otter_net_reply *r)
{
    struct server *s = ctx;
    assert_int_equal(b.held, 0);
    assert_false(s->open);
    s->open = true;
    if (s->before) s->before(s);
    s->requests++;
    snprintf(s->url, sizeof s->url, "%s", q->url);
    for (uint32_t ms = 0; s->silent; ms += OTTER_NET_READ_MS) {
        if (ms >= q->timeout_ms) return OTTER_NET_TIMEOUT;
        if (q->stop(q->stop_ctx)) return OTTER_CANCELLED;
        b.world.more_ms += OTTER_NET_READ_MS;
    }
    const struct answer *a = &s->first[s->answered];
    memset(r, 0, sizeof *r);
    if (s->answered < 8 && (a->status || a->err)) {
        s->answered++;
        r->status = a->status;
        if (a->location) snprintf(q->location, q->location_size, "%s", a->location);
        return a->err;
    }
    bool same = !q->if_range || s->ignores_if_range || strcmp(q->if_range, s->etag) == 0;
    bool range = q->from && same && !s->no_range;
    s->from = s->at = range ? q->from : 0;
    s->end = s->file->size;
    r->status = range ? 206 : 200;
    r->has_range = range;
    r->first = s->lies_about_range ? s->at + 1 : s->at;
    r->last = s->end - 1;
    r->size = s->end;
    r->has_length = !s->no_length;
    r->length = s->end - s->at;
    snprintf(r->etag, sizeof r->etag, "%s", s->etag ? s->etag : "");
    return OTTER_OK;
}

static enum otter_err net_read(void *ctx, void *buf, size_t size, size_t *got)
{
    struct server *s = ctx;
    uint32_t n = s->end - s->at < size ? s->end - s->at : (uint32_t)size;
    assert_int_equal(b.held, 0);
    assert_true(s->open);
    if (s->stalls) {
        b.world.more_ms += OTTER_NET_READ_MS;
        return OTTER_AGAIN;
    }
    if (s->cut_at && s->at >= s->cut_at) {
        s->cut_at = s->cut_every ? s->cut_at + s->cut_every : 0;
        return OTTER_UNREACHABLE;
    }
    if (s->cut_at && n > s->cut_at - s->at) n = s->cut_at - s->at;
    memcpy(buf, s->file->bytes + s->at, n);
    s->at += n;
    s->sent += n;
    *got = n;
    return OTTER_OK;
}

static void net_close(void *ctx)
{
    struct server *s = ctx;
    assert_int_equal(b.held, 0);
    s->open = false;
}

static void power_on(void)
{
    fixture_start(&b.world);
    otter_update_init(&b.update, &b.world.device);
    struct otter_fetch_policy policy = b.fetch.policy;
    b.net = (struct otter_net){&b.server, net_open, net_read, net_close};
    b.lock = (struct otter_lock){NULL, take, give};
    b.server.open = false;
    otter_fetch_init(&b.fetch, &b.update, &b.net, &b.lock, &policy);
}

/* A device that runs 1.0.0, a server that has 1.1.0. */
static void set_up(void)
{
    memset(&b, 0, sizeof b);
    fixture_image(&old_image, "1.0.0", NULL, 20000);
    fixture_image(&new_image, "1.1.0", NULL, 200000);
    fixture_image(&other_image, "1.1.0", NULL, 190000);
    fixture_device(&b.world, b.flash, false, &old_image);
    b.server.file = &new_image;
    b.server.etag = "\"one\"";
    b.wish = (struct otter_fetch_wish){.door = "channel", .url = "https://h/1.1.0.bin", .version = "1.1.0"};
    power_on();
}

static void with_digest(const struct fixture_image *image)
{
    struct otter_hash h;
    const struct otter_crypto *c = &otter_crypto_openssl;
    c->hash_start(c->ctx, &h, OTTER_SHA256);
    c->hash_update(c->ctx, &h, image->bytes, image->size);
    c->hash_finish(c->ctx, &h, b.wish.sha256);
    b.wish.has_sha256 = true;
    b.wish.size = image->size;
}

/* Until it ends, waits for a URL, or power goes. */
static enum otter_err run_some(unsigned steps)
{
    enum otter_err e = OTTER_AGAIN;
    uint32_t wait_ms;
    while (e == OTTER_AGAIN && steps--) {
        e = otter_fetch_step(&b.fetch, &wait_ms);
        b.world.more_ms += wait_ms;
        otter_poll(&b.world.device);
    }
    assert_int_equal(b.held, 0);
    return e;
}

static enum otter_err fetch_it(void)
{
    enum otter_err e = otter_fetch_start(&b.fetch, &b.wish);
    return e ? e : run_some(1000000);
}

static void arrived(const struct fixture_image *image)
{
    assert_int_equal(b.fetch.state, OTTER_FETCH_ENDED);
    assert_true(fixture_holds(&b.world, FIXTURE_OTA_1, image));
    assert_false(b.server.open);
    b.fetch.state = OTTER_FETCH_IDLE;
    power_on();
    assert_int_equal(b.world.booted.offset, FIXTURE_OTA_1);
}

/* Nothing of the flash was changed, and a good update goes through. */
static void refused(enum otter_err got, enum otter_err expected, const uint8_t *before)
{
    if (got != expected) fail_msg("%s, not %s", otter_err_name(got), otter_err_name(expected));
    if (before) assert_memory_equal(b.flash, before, sizeof b.flash);
    struct server good = {.file = &new_image, .etag = "\"good\""};
    b.server = good;
    b.wish = (struct otter_fetch_wish){.door = "channel", .url = "https://h/1.1.0.bin", .version = "1.1.0"};
    assert_int_equal(fetch_it(), OTTER_OK);
    arrived(&new_image);
}

/* ---- good ways ---- */

static void straight(void **state)
{
    (void)state;
    set_up();
    assert_int_equal(fetch_it(), OTTER_OK);
    assert_int_equal(b.server.requests, 1);
    assert_int_equal(b.fetch.fetched, new_image.size);
    arrived(&new_image);
}

static void the_same_again(void **state)
{
    (void)state;
    set_up();
    b.server.file = &old_image;
    b.wish.version = "1.0.0";
    assert_int_equal(fetch_it(), OTTER_ALREADY_CURRENT);
}

static void without_length(void **state)
{
    (void)state;
    set_up();
    b.server.no_length = true;
    assert_int_equal(fetch_it(), OTTER_OK);
    arrived(&new_image);
}

static void cut_anywhere(void **state)
{
    (void)state;
    for (uint32_t cut = 1; cut < 200000; cut += cut < 5000 ? 977 : 16384) {
        set_up();
        b.server.cut_at = cut;
        assert_int_equal(fetch_it(), OTTER_OK);
        assert_int_equal(b.server.requests, 2);
        assert_int_equal(b.server.sent, new_image.size);
        arrived(&new_image);
    }
}

static void cut_all_the_time(void **state)
{
    (void)state;
    set_up();
    b.server.cut_at = b.server.cut_every = 5000;
    assert_int_equal(fetch_it(), OTTER_OK);
    assert_int_equal(b.server.sent, new_image.size);
    /* 39 cuts, each of them a first one. */
    assert_in_range(b.world.more_ms, 39 * 500, 39 * 1500);
    arrived(&new_image);
}

/* A byte now and then is no progress that is worth a request a second. */
static void cut_at_every_byte(void **state)
{
    (void)state;
    set_up();
    b.server.cut_at = b.server.cut_every = 1;
    enum otter_err e = fetch_it();
    assert_in_range(b.server.requests, 40, 130);
    refused(e, OTTER_DEADLINE, NULL);
}

static void restarted_anywhere(void **state)
{
    (void)state;
    for (unsigned steps = 1; steps < 60; steps++) {
        set_up();
        with_digest(&new_image);
        assert_int_equal(otter_fetch_start(&b.fetch, &b.wish), OTTER_OK);
        if (run_some(steps) != OTTER_AGAIN) break;
        free(b.fetch.url);
        free(b.fetch.piece);
        free(b.update.session);
        power_on();
        assert_int_equal(fetch_it(), OTTER_OK);
        assert_true(b.server.sent <= new_image.size + 2 * OTTER_BLOCK);
        arrived(&new_image);
    }
}

static void restarted_and_changed(void **state)
{
    (void)state;
    set_up();
    with_digest(&new_image);
    assert_int_equal(otter_fetch_start(&b.fetch, &b.wish), OTTER_OK);
    assert_int_equal(run_some(40), OTTER_AGAIN);
    free(b.fetch.url);
    free(b.fetch.piece);
    free(b.update.session);
    power_on();
    /* Same bytes, another ETag: begun anew. */
    b.server.etag = "\"two\"";
    assert_int_equal(fetch_it(), OTTER_OK);
    assert_int_equal(b.server.from, 0);
    arrived(&new_image);
}

static void without_range(void **state)
{
    (void)state;
    set_up();
    b.server.no_range = true;
    b.server.cut_at = 100000;
    assert_int_equal(fetch_it(), OTTER_OK);
    assert_int_equal(b.server.sent, new_image.size + 100000);
    arrived(&new_image);
}

static void change_file(struct server *s)
{
    if (s->requests == 0) return;
    s->file = &other_image;
    s->etag = "\"two\"";
}

static void changed_meanwhile(void **state)
{
    (void)state;
    for (int ignores = 0; ignores < 2; ignores++) {
        set_up();
        b.server.ignores_if_range = ignores;
        b.server.before = change_file;
        b.server.cut_at = 100000;
        assert_int_equal(fetch_it(), OTTER_OK);
        arrived(&other_image);
    }
}

/* Without an ETag nobody can tell whether it is still the same file. */
static void without_etag(void **state)
{
    (void)state;
    set_up();
    b.server.etag = NULL;
    b.server.cut_at = 100000;
    assert_int_equal(fetch_it(), OTTER_OK);
    assert_int_equal(b.server.sent, new_image.size + 100000);
    arrived(&new_image);
    set_up();
    with_digest(&new_image);
    b.server.etag = NULL;
    b.server.cut_at = 100000;
    assert_int_equal(fetch_it(), OTTER_OK);
    assert_int_equal(b.server.sent, new_image.size);
    arrived(&new_image);
}

static void servers_that_are_busy(void **state)
{
    (void)state;
    set_up();
    struct answer first[] = {
        {.err = OTTER_UNREACHABLE}, {.status = 503}, {.err = OTTER_NET_TIMEOUT}, {.status = 429}, {.status = 500}};
    memcpy(b.server.first, first, sizeof first);
    assert_int_equal(fetch_it(), OTTER_OK);
    assert_int_equal(b.server.requests, 6);
    /* 1, 2, 4, 8 and 16 s, each half to one and a half. */
    assert_in_range(b.world.more_ms, 15500, 46500);
    arrived(&new_image);
}

/* ---- a URL that expires ---- */

static void expired_midway(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < 200000; at += 65536) {
        set_up();
        if (at) b.server.cut_at = at;
        if (!at) b.server.first[0].status = 403;
        assert_int_equal(otter_fetch_start(&b.fetch, &b.wish), OTTER_OK);
        while (b.server.requests == 0 || b.server.cut_at) run_some(1);
        if (at) {
            b.server.first[0].status = 403;
            b.server.answered = 0;
        }
        assert_int_equal(run_some(100000), OTTER_URL_EXPIRED);
        assert_int_equal(b.fetch.state, OTTER_FETCH_EXPIRED);
        /* It takes its time, longer than a session without bytes is kept. */
        for (int i = 0; i < 200; i++) assert_int_equal(run_some(1), OTTER_URL_EXPIRED);
        assert_int_equal(otter_fetch_set_url(&b.fetch, "no URL"), OTTER_URL);
        assert_int_equal(otter_fetch_set_url(&b.fetch, "https://h/fresh?sig=2"), OTTER_OK);
        assert_int_equal(otter_fetch_set_url(&b.fetch, "https://h/fresher"), OTTER_STATE);
        assert_int_equal(run_some(100000), OTTER_OK);
        assert_string_equal(b.server.url, "https://h/fresh?sig=2");
        assert_int_equal(b.server.from, at);
        assert_int_equal(b.server.sent, new_image.size);
        arrived(&new_image);
    }
}

/* ---- redirects ---- */

static void redirected(void **state)
{
    (void)state;
    set_up();
    struct answer hops[] = {
        {302, "/a", 0}, {301, "b", 0}, {307, "https://other/c/", 0}, {308, "../d", 0}, {303, "?e", 0}};
    memcpy(b.server.first, hops, sizeof hops);
    assert_int_equal(fetch_it(), OTTER_OK);
    assert_string_equal(b.server.url, "https://other/d?e");
    arrived(&new_image);
}

static void redirected_nowhere(void **state)
{
    static const struct {
        const char *url, *location;
        enum otter_err err;
    } table[] = {
        {"https://h/", "/again", OTTER_REDIRECTS},
        {"https://h/", "http://h/", OTTER_INSECURE},
        {"https://h/", "http://127.0.0.1/", OTTER_INSECURE},
        {"https://h/", "", OTTER_REPLY},
        {"https://h/", "ftp://h/", OTTER_REPLY},
        {"https://h/", "https://u@h/", OTTER_REPLY},
        {"https://h/", "https://h:x/", OTTER_REPLY},
        {"http://127.0.0.1/", "http://h/", OTTER_INSECURE},
    };
    static uint8_t before[FIXTURE_FLASH];
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        set_up();
        memcpy(before, b.flash, sizeof before);
        for (int k = 0; k < 8; k++) b.server.first[k] = (struct answer){302, table[i].location, 0};
        b.wish.url = table[i].url;
        refused(fetch_it(), table[i].err, before);
    }
}

/* ---- refusals ---- */

static void served_wrongly(void **state)
{
    static const struct {
        struct server server;
        const char *version;
        uint32_t size;
        enum otter_err err;
    } table[] = {
        {{.first = {{.status = 404}}}, NULL, 0, OTTER_SERVER},
        {{.first = {{.status = 401}}}, NULL, 0, OTTER_SERVER},
        {{.first = {{.status = 204}}}, NULL, 0, OTTER_SERVER},
        {{.first = {{.status = 206}}}, NULL, 0, OTTER_REPLY},
        {{.first = {{.status = 416}}}, NULL, 0, OTTER_SERVER},
        {{.first = {{.err = OTTER_CERTIFICATE}}}, NULL, 0, OTTER_CERTIFICATE},
        {{.first = {{.err = OTTER_REPLY}}}, NULL, 0, OTTER_REPLY},
        {{.file = &new_image, .stalls = true}, NULL, 0, OTTER_DEADLINE},
        {{.file = &new_image}, "1.2.0", 0, OTTER_VERSION},
        {{.file = &new_image}, NULL, 100000, OTTER_SIZE},
        {{.file = &new_image, .no_length = true}, NULL, 200, OTTER_SIZE},
    };
    static uint8_t before[FIXTURE_FLASH];
    (void)state;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        set_up();
        memcpy(before, b.flash, sizeof before);
        b.server = table[i].server;
        b.wish.version = table[i].version;
        b.wish.size = table[i].size;
        refused(fetch_it(), table[i].err, before);
    }
}

static void wrong_files(void **state)
{
    static struct fixture_image odd;
    static uint8_t before[FIXTURE_FLASH];
    (void)state;
    set_up();
    memcpy(before, b.flash, sizeof before);
    fixture_image(&odd, "1.1.0", "other", 20000);
    b.server.file = &odd;
    refused(fetch_it(), OTTER_PROJECT, before);
    set_up();
    memset(&odd, 'x', 1000);
    odd.size = 1000;
    b.server.file = &odd;
    refused(fetch_it(), OTTER_MAGIC, before);
    /* Only its end shows that it is another one. */
    set_up();
    with_digest(&other_image);
    b.wish.size = 0;
    refused(fetch_it(), OTTER_DIGEST, NULL);
    set_up();
    b.server.lies_about_range = true;
    b.server.cut_at = 100000;
    assert_int_equal(fetch_it(), OTTER_OK);
    assert_int_equal(b.server.from, 0);
    arrived(&new_image);
}

/* Cuts always at the same place, and never goes on from there: flash is not worn out by that. */
static void never_the_whole(void **state)
{
    (void)state;
    set_up();
    b.server.no_range = true;
    b.server.cut_at = 50000;
    b.server.cut_every = 0;
    assert_int_equal(otter_fetch_start(&b.fetch, &b.wish), OTTER_OK);
    enum otter_err e;
    do {
        b.server.cut_at = 50000;
        e = run_some(1);
    } while (e == OTTER_AGAIN);
    refused(e, OTTER_UNREACHABLE, NULL);
}

static void http_where_it_may(void **state)
{
    static const uint8_t key[1][32] = {{1}};
    struct otter_fetch_policy policy = {0};
    (void)state;
    set_up();
    const struct otter_device *d = &b.world.device;
    assert_int_equal(otter_fetch_allowed(d, &policy, NULL, "http://10.0.0.1/"), OTTER_INSECURE);
    policy.allow_http = true;
    assert_int_equal(otter_fetch_allowed(d, &policy, NULL, "http://10.0.0.1/"), OTTER_INSECURE);
    otter_require_signature(&b.world.device, key, 1);
    assert_int_equal(otter_fetch_allowed(d, &policy, NULL, "http://10.0.0.1/"), OTTER_OK);
    assert_int_equal(otter_fetch_allowed(d, &policy, "https://h/", "http://10.0.0.1/"), OTTER_INSECURE);
    policy.allow_http = false;
    assert_int_equal(otter_fetch_allowed(d, &policy, NULL, "http://10.0.0.1/"), OTTER_INSECURE);
    assert_int_equal(otter_fetch_allowed(d, &policy, NULL, "http://127.0.0.1/"), OTTER_OK);
}

static void cancelled_anywhere(void **state)
{
    static uint8_t before[FIXTURE_FLASH];
    (void)state;
    for (unsigned steps = 0; steps < 65; steps += 1 + steps / 8) {
        set_up();
        memcpy(before, b.flash, sizeof before);
        assert_int_equal(otter_fetch_start(&b.fetch, &b.wish), OTTER_OK);
        if (steps && run_some(steps) != OTTER_AGAIN) break;
        otter_fetch_cancel(&b.fetch);
        enum otter_err e = run_some(10);
        assert_false(fixture_holds(&b.world, FIXTURE_OTA_1, &new_image));
        assert_true(fixture_holds(&b.world, FIXTURE_OTA_0, &old_image));
        refused(e, OTTER_CANCELLED, steps < 2 ? before : NULL);
    }
}

static void cancel_it(struct server *s)
{
    (void)s;
    otter_fetch_cancel(&b.fetch);
}

/* Nobody waits for a server's time to be over. */
static void cancelled_while_it_connects(void **state)
{
    static uint8_t before[FIXTURE_FLASH];
    (void)state;
    set_up();
    memcpy(before, b.flash, sizeof before);
    b.server.silent = true;
    b.server.before = cancel_it;
    enum otter_err e = fetch_it();
    assert_int_equal(b.server.requests, 1);
    assert_in_range(b.world.more_ms, 0, 2 * OTTER_NET_READ_MS);
    refused(e, OTTER_CANCELLED, before);
}

static void one_at_a_time(void **state)
{
    (void)state;
    set_up();
    assert_int_equal(otter_fetch_start(&b.fetch, &b.wish), OTTER_OK);
    assert_int_equal(otter_fetch_start(&b.fetch, &b.wish), OTTER_BUSY);
    assert_int_equal(run_some(5), OTTER_AGAIN);
    /* Another door comes: it is told, and the one under way goes on. */
    assert_int_equal(otter_update_open(&b.update, &(struct otter_offer){.door = "push"}), OTTER_BUSY);
    assert_int_equal(run_some(100000), OTTER_OK);
    arrived(&new_image);
    set_up();
    assert_int_equal(otter_update_open(&b.update, &(struct otter_offer){.door = "push"}), OTTER_OK);
    assert_int_equal(fetch_it(), OTTER_BUSY);
    assert_non_null(b.update.session);
    otter_update_close(&b.update);
    refused(OTTER_BUSY, OTTER_BUSY, NULL);
}

/* Power goes at random flash operations of the fetch, in all the ways there are; afterwards it goes on. */
static void power_goes(void **state)
{
    (void)state;
    set_up();
    with_digest(&new_image);
    uint64_t from = b.world.nor.changes;
    assert_int_equal(fetch_it(), OTTER_OK);
    uint64_t total = b.world.nor.changes - from, seed = 12345;
    for (int i = 0; i < 50; i++) {
        set_up();
        with_digest(&new_image);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        b.world.nor.cut = (struct sim_cut){.at = b.world.nor.changes + 1 + (seed >> 33) % total,
                                           .tear = (enum sim_tear)(i % SIM_TEARS),
                                           .seed = (uint32_t)seed};
        fetch_it();
        assert_true(b.world.nor.dead);
        power_on();
        if (b.world.device.switched) power_on();
        if (b.world.booted.offset != FIXTURE_OTA_1) {
            enum otter_err e = fetch_it();
            if (e) fail_msg("cut %d: %s", i, otter_err_name(e));
            power_on();
        }
        assert_int_equal(b.world.booted.offset, FIXTURE_OTA_1);
        assert_true(fixture_holds(&b.world, FIXTURE_OTA_1, &new_image));
        if (b.server.sent > new_image.size + 2 * OTTER_BLOCK) fail_msg("cut %d: %u bytes", i, (unsigned)b.server.sent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_are_none),
        cmocka_unit_test(urls_of_this_device),
        cmocka_unit_test(references),
        cmocka_unit_test(straight),
        cmocka_unit_test(the_same_again),
        cmocka_unit_test(without_length),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(cut_all_the_time),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(restarted_anywhere),
        cmocka_unit_test(restarted_and_changed),
        cmocka_unit_test(without_range),
        cmocka_unit_test(changed_meanwhile),
        cmocka_unit_test(without_etag),
        cmocka_unit_test(servers_that_are_busy),
        cmocka_unit_test(expired_midway),
        cmocka_unit_test(redirected),
        cmocka_unit_test(redirected_nowhere),
        cmocka_unit_test(served_wrongly),
        cmocka_unit_test(wrong_files),
        cmocka_unit_test(never_the_whole),
        cmocka_unit_test(http_where_it_may),
        cmocka_unit_test(cancelled_anywhere),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(power_goes),
        cmocka_unit_test(cancelled_while_it_connects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
