/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - see session.h. */
#define _GNU_SOURCE
#include "validation/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/err.h"

static const char session_sign[] = "@hospes ";

uint64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- the log --- */

uint32_t vlog_say(struct vlog *l, const char *fmt, ...)
{
    char text[VLOG_LINE_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (char *at = text; *at; at++) {
        if (*at == '\n' || *at == '\r')
            *at = ' ';
    }
    vbuf_print(&l->text, "# %s\n", text);
    return ++l->lines;
}

void vlog_console(struct vlog *l, const char *who, const char *line, size_t len)
{
    if (l->full)
        return;
    if (l->text.len > VLOG_SERIAL_MAX) {
        l->full = true;
        vlog_say(l, "the console has said more than is kept");
        return;
    }
    vbuf_print(&l->text, "| %s%s", who, *who ? ": " : "");
    vbuf_add(&l->text, line, min_u64(len, VLOG_LINE_MAX));
    vbuf_add(&l->text, "\n", 1);
    l->lines++;
}

void vlog_free(struct vlog *l)
{
    vbuf_free(&l->text);
    vbuf_free(&l->serial);
}

/* --- the machine --- */

int session_start(struct session *s, const struct vm_spec *spec, struct err *e)
{
    int rc = s->ops->start(spec, &s->vm, e);

    vbuf_free(&s->part);
    s->agent = false;
    if (rc < 0)
        s->vm = NULL;
    else
        vlog_say(s->log, "starts %s%s%s: %u processor%s, %llu MiB", s->who, *s->who ? ", " : "",
                 s->ops->name, spec->cpus, spec->cpus == 1 ? "" : "s",
                 (unsigned long long)(spec->memory / MiB));
    return rc;
}

const char *session_end_word(int code)
{
    switch (code) {
    case EX_OK:
        return "powered off";
    case EX_GUEST_CRASHED:
        return "crashed";
    case EX_GUEST_RESETS:
        return "keeps resetting";
    case 128 + 9:
        return "stopped";
    default:
        return "failed";
    }
}

static void session_ended(struct session *s)
{
    char *why = NULL;

    s->code = s->ops->end(s->vm, &why);
    s->vm = NULL;
    s->agent = false;
    snprintf(s->end, sizeof(s->end), "the machine ended: %s, exit code %d%s%s",
             session_end_word(s->code), s->code, why ? ": " : "", why ? why : "");
    free(why);
    vlog_say(s->log, "%s", s->end);
}

void session_stop(struct session *s)
{
    if (!s->vm)
        return;
    s->ops->plug(s->vm);
    session_ended(s);
}

void session_free(struct session *s)
{
    session_stop(s);
    vbuf_free(&s->part);
}

/* --- what it says --- */

static const struct {
    const char *word;
    enum event_kind kind;
} session_words[] = {{"ready", EVENT_READY}, {"end", EVENT_END}, {"done", EVENT_DONE}};

/* true: the line is an event. */
static bool session_line(struct session *s, const char *line, size_t len, struct event *out)
{
    const char *at = memmem(line, len, session_sign, sizeof(session_sign) - 1);
    size_t word;

    vlog_console(s->log, s->who, line, len);
    if (!at) {
        if (!s->marker || !memmem(line, len, s->marker, strlen(s->marker)))
            return false;
        out->kind = EVENT_MARK;
        out->text[0] = '\0';
        return true;
    }
    at += sizeof(session_sign) - 1;
    snprintf(out->text, sizeof(out->text), "%.*s", (int)min_u64(len - (size_t)(at - line), 4096),
             at);
    word = strcspn(out->text, " ");
    out->kind = EVENT_SAID;
    for (size_t i = 0; i < ARRAY_SIZE(session_words); i++) {
        if (strlen(session_words[i].word) == word &&
            strncmp(session_words[i].word, out->text, word) == 0) {
            out->kind = session_words[i].kind;
            memmove(out->text, out->text + word + (out->text[word] == ' '),
                    strlen(out->text + word + (out->text[word] == ' ')) + 1);
        }
    }
    if (out->kind == EVENT_READY)
        s->agent = true;
    return true;
}

/* Takes the next whole line out of the bytes that have come. */
static bool session_next(struct session *s, struct event *out)
{
    bool found = false;

    while (!found && s->part.len > 0) {
        char *feed = memchr(s->part.data, '\n', s->part.len);
        size_t len, take;

        if (!feed && s->part.len < VLOG_LINE_MAX)
            break;
        len = feed ? (size_t)(feed - s->part.data) : s->part.len;
        take = len + (feed != NULL);
        while (len > 0 && s->part.data[len - 1] == '\r')
            len--;
        found = session_line(s, s->part.data, len, out);
        s->part.len -= take;
        memmove(s->part.data, s->part.data + take, s->part.len);
    }
    /* A prompt has no line end, and may be all that a closed guest says. */
    if (!found && s->marker && s->part.len > 0 &&
        memmem(s->part.data, s->part.len, s->marker, strlen(s->marker))) {
        vlog_console(s->log, s->who, s->part.data, s->part.len);
        s->part.len = 0;
        out->kind = EVENT_MARK;
        out->text[0] = '\0';
        found = true;
    }
    return found;
}

void session_event(struct session *s, uint64_t deadline, struct event *out)
{
    char buf[4096];

    *out = (struct event){.kind = EVENT_TIMEOUT};
    for (;;) {
        uint64_t now;
        ssize_t n;

        if (session_next(s, out))
            return;
        if (!s->vm) {
            out->kind = EVENT_GONE;
            return;
        }
        now = clock_ms();
        if (now >= deadline) {
            out->kind = EVENT_TIMEOUT;
            return;
        }
        n = s->ops->read(s->vm, buf, sizeof(buf), (int)min_u64(deadline - now, 1000));
        if (n == -EAGAIN)
            continue;
        if (n <= 0) {
            if (s->part.len)
                vlog_console(s->log, s->who, s->part.data, s->part.len);
            s->part.len = 0;
            session_ended(s);
            continue;
        }
        if (s->log->serial.len + (size_t)n <= VLOG_SERIAL_MAX && !*s->who)
            vbuf_add(&s->log->serial, buf, (size_t)n);
        vbuf_add(&s->part, buf, (size_t)n);
    }
}

/* --- outcomes --- */

void outcome_set(struct outcome *o, enum vstatus status, const char *fmt, ...)
{
    va_list ap;

    o->status = status;
    va_start(ap, fmt);
    vsnprintf(o->why, sizeof(o->why), fmt, ap);
    va_end(ap);
    /* What a guest says may be anything; a record is UTF-8 on one line. */
    for (char *at = o->why; *at; at++) {
        if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
            *at = '?';
    }
}

/* The machine went away under a check. */
static void outcome_lost(const struct session *s, struct outcome *o)
{
    switch (s->code) {
    case EX_USAGE_:
    case EX_BAD_INPUT:
    case EX_MISSING:
    case EX_NO_HOST:
    case EX_IN_USE:
    case EX_HOST_IO:
    case 127:
        outcome_set(o, V_ERROR, "%s", s->end);
        break;
    default:
        outcome_set(o, V_FAIL, "%s", s->end);
    }
    o->lost = true;
}

static void outcome_word(struct outcome *o, const char *text)
{
    static const struct {
        const char *word;
        enum vstatus status;
    } words[] = {{"success", V_PASS}, {"skip", V_SKIP}, {"error", V_ERROR}, {"failure", V_FAIL}};
    size_t n = strcspn(text, " ");

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strlen(words[i].word) == n && strncmp(words[i].word, text, n) == 0) {
            outcome_set(o, words[i].status, "%s", text + n + (text[n] == ' '));
            return;
        }
    }
    outcome_set(o, V_ERROR, "the agent said \"%.60s\", which is no verdict", text);
}

static void outcome_said(struct outcome *o, const char *text)
{
    size_t n = strcspn(text, " ");

    snprintf(o->word, sizeof(o->word), "%.*s", (int)min_u64(n, sizeof(o->word) - 1), text);
    snprintf(o->said, sizeof(o->said), "%s", text + n + (text[n] == ' '));
}

/* "ID REST" with that id: REST; else NULL. */
static const char *of_check(const char *text, const char *id)
{
    size_t n = strlen(id);

    if (strncmp(text, id, n) != 0 || (text[n] && text[n] != ' '))
        return NULL;
    return text + n + (text[n] == ' ');
}

void session_check(struct session *s, const char *id, const char *args, uint64_t ms,
                   struct outcome *out)
{
    uint64_t deadline = clock_ms() + ms;
    char order[600];
    bool ended = false;
    struct event ev;

    *out = (struct outcome){.status = V_ERROR};
    snprintf(order, sizeof(order), "run %s %s\n", id, args);
    if (!s->vm || s->ops->type(s->vm, order) < 0) {
        session_event(s, deadline, &ev);
        outcome_lost(s, out);
        return;
    }
    for (;;) {
        session_event(s, deadline, &ev);
        switch (ev.kind) {
        case EVENT_TIMEOUT:
            outcome_set(out, V_FAIL, "no answer within %llu s", (unsigned long long)(ms / 1000));
            out->lost = true;
            return;
        case EVENT_GONE:
            outcome_lost(s, out);
            return;
        case EVENT_READY:
            outcome_set(out, V_FAIL, "the guest started anew in the middle of it");
            return;
        case EVENT_SAID:
            outcome_said(out, ev.text);
            break;
        case EVENT_END:
            if (of_check(ev.text, id)) {
                outcome_word(out, of_check(ev.text, id));
                ended = true;
            }
            break;
        case EVENT_DONE:
            if (!of_check(ev.text, id))
                break;
            if (!ended)
                outcome_set(out, V_ERROR, "its shell ended without a verdict");
            return;
        case EVENT_MARK:
            break;
        }
    }
}

void session_ready(struct session *s, uint64_t ms, struct outcome *out)
{
    uint64_t deadline = clock_ms() + ms;
    struct event ev;

    *out = (struct outcome){.status = V_ERROR};
    do {
        session_event(s, deadline, &ev);
    } while (ev.kind == EVENT_SAID || ev.kind == EVENT_END || ev.kind == EVENT_DONE);
    if (ev.kind == EVENT_READY || ev.kind == EVENT_MARK) {
        outcome_set(out, V_PASS, "%s", "");
    } else if (ev.kind == EVENT_GONE) {
        outcome_lost(s, out);
    } else {
        outcome_set(out, V_FAIL, "the guest is not up after %llu s",
                    (unsigned long long)(ms / 1000));
        out->lost = true;
    }
}

void session_gone(struct session *s, uint64_t ms, int code, struct outcome *out)
{
    uint64_t deadline = clock_ms() + ms;
    struct event ev;

    *out = (struct outcome){.status = V_ERROR};
    do {
        session_event(s, deadline, &ev);
    } while (ev.kind != EVENT_GONE && ev.kind != EVENT_TIMEOUT && ev.kind != EVENT_READY);
    if (ev.kind == EVENT_GONE && s->code == code)
        outcome_set(out, V_PASS, "%s", "");
    else if (ev.kind == EVENT_GONE)
        outcome_lost(s, out);
    else if (ev.kind == EVENT_READY)
        outcome_set(out, V_FAIL, "the guest started anew instead");
    else
        outcome_set(out, V_FAIL, "the machine still runs after %llu s",
                    (unsigned long long)(ms / 1000));
    out->lost = false; /* an end was what was asked for: the next check starts a machine */
    session_stop(s);
}
