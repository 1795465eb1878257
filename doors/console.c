/* A device's console: start and events, in words. */
#include "doors/console.h"

#include <stdarg.h>
#include <stdio.h>

static void say(const struct otter_console *c, char level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(const struct otter_console *c, char level, const char *fmt, ...)
{
    char text[OTTER_UPDATE_WORDS + 64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    /* Versions and names come out of flash. */
    for (char *p = text; *p; p++)
        if (*p < ' ' || *p > '~') *p = '?';
    c->line(c->ctx, level, text);
}

void otter_console_start(struct otter_console *c, struct otter_device *d, enum otter_err opened)
{
    char name[8], why[OTTER_WHY];
    const struct otter_app_desc *runs = &d->running_image.desc;
    if (opened) say(c, 'E', "%s (%s)", otter_err_text(opened), otter_err_name(opened));
    otter_why(d, why);
    if (d->went_back != OTTER_SLOT_NONE && why[0])
        say(c, 'W', "%s was given up: %s", otter_slot_name(d->went_back, name), why);
    if (d->running != OTTER_SLOT_NONE)
        say(c, 'I', "%s %s runs from %s", runs->project, runs->version, otter_slot_name(d->running, name));
    if (!d->ports.chip->rollback) say(c, 'W', "this boot loader cannot roll back: firmware that does not work stays");
}

static void tell(const struct otter_console *c, const struct otter_update *u, const struct otter_event *e)
{
    char words[OTTER_UPDATE_WORDS];
    if (!e->err) {
        say(c, 'I', "%s 0x%x", otter_event_name(e->code), (unsigned)e->value);
        return;
    }
    otter_update_words(u, e->err, words);
    say(c, e->err < 0 ? 'W' : 'I', "%s: %s (%s)", otter_event_name(e->code), words, otter_err_name(e->err));
}

void otter_console_events(struct otter_console *c, const struct otter_update *u)
{
    struct otter_event e;
    while (otter_event_next(&u->device->events, c->event, &e)) {
        tell(c, u, &e);
        c->event = e.seq;
    }
}
