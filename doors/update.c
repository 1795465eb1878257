/* Holds the device's one session for all doors. */
#include "doors/update.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doors/words.h"

void otter_update_init(struct otter_update *u, struct otter_device *d)
{
    memset(u, 0, sizeof *u);
    u->device = d;
}

void otter_update_status(const struct otter_update *u, struct otter_update_status *out)
{
    const struct otter_session *s = u->session;
    if (!s) {
        *out = u->last;
        return;
    }
    *out = (struct otter_update_status){.tried = true,
                                        .door = s->offer.door,
                                        .step = s->step,
                                        .err = s->err,
                                        .size = s->offer.size,
                                        .received = s->received,
                                        .written = s->written,
                                        .wanted = otter_want(s)};
    if (s->err) otter_words_session(s, out->words, sizeof out->words);
}

void otter_update_close(struct otter_update *u)
{
    if (!u->session) return;
    otter_abort(u->session);
    otter_update_status(u, &u->last);
    free(u->session);
    u->session = NULL;
}

enum otter_err otter_update_open(struct otter_update *u, const struct otter_offer *offer)
{
    /* Asked here, so that the status goes on to tell of the one that came first. */
    if (u->device->session || u->device->switched) return OTTER_BUSY;
    /* One that otter_poll() has ended may still be here. */
    otter_update_close(u);
    u->session = calloc(1, sizeof *u->session);
    if (!u->session) return OTTER_MEMORY;
    u->opened++;
    enum otter_err e = otter_begin(u->session, u->device, offer);
    if (e) otter_update_close(u);
    return e;
}

void otter_update_words(const struct otter_update *u, enum otter_err err, char *buf)
{
    if (u->session && u->session->err == err)
        otter_words_session(u->session, buf, OTTER_UPDATE_WORDS);
    else
        snprintf(buf, OTTER_UPDATE_WORDS, "%s", u->last.err == err ? u->last.words : otter_err_text(err));
}
