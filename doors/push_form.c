/* Uploads from a plain form, and replies that a browser shows as a page. */
#include <stdio.h>
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

const struct otter_push_forms otter_push_forms = {
    .start = otter_multipart_start, .feed = otter_multipart_feed, .end = otter_multipart_end, .page = page};
