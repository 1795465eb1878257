/* Uploads from a plain form, and replies that a browser shows as a page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/push_part.h"

/* What words say of a file's strings goes into HTML as it is; it must not become markup. */
static void no_markup(char *words)
{
    for (char *p = words; *p; p++)
        if (strchr("<>&\"'", *p)) *p = ' ';
}

static void page(struct otter_exchange *x, const char *title, const char *words)
{
    char clean[OTTER_UPDATE_WORDS];
    snprintf(clean, sizeof clean, "%s", words);
    no_markup(clean);
    snprintf(x->text, sizeof x->text,
             "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>%s</title>"
             "<h1>%s</h1><p>%s</p><p><a href='/'>Back to the device</a></p>",
             title, title, clean);
}

static bool start(struct otter_exchange *x, const char *content_type)
{
    struct otter_multipart m = {0};
    if (!otter_multipart_start(&m, content_type)) return false;
    x->multipart = malloc(sizeof m);
    if (x->multipart) *x->multipart = m;
    return true;
}

const struct otter_push_forms otter_push_forms = {
    .start = start, .feed = otter_multipart_feed, .end = otter_multipart_end, .page = page};
