/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - one machine of a cell and the agent in it: starts it, talks to the agent over the
 * console, and keeps the log in which every line has its place.
 */
#ifndef HOSPES_VALIDATION_SESSION_H
#define HOSPES_VALIDATION_SESSION_H

#include "core/core.h"
#include "validation/record.h"
#include "validation/text.h"
#include "validation/vm.h"

enum { VLOG_SERIAL_MAX = 16 << 20, VLOG_LINE_MAX = 4096, EVENT_TEXT = 512 };

/* run.log and serial.log while they grow. */
struct vlog {
    struct vbuf text, serial;
    uint32_t lines;
    bool full; /* the console has said more than is kept */
};

/* "# ..." ; returns the line's number. */
uint32_t vlog_say(struct vlog *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "| ..." : one line of a console, without its end. who: "" or another guest's name. */
void vlog_console(struct vlog *l, const char *who, const char *line, size_t len);
void vlog_free(struct vlog *l);

enum event_kind {
    EVENT_TIMEOUT,
    EVENT_READY, /* the agent is up; text: kernel and uptime */
    EVENT_END,   /* a check ended; text: ID STATUS WHY */
    EVENT_DONE,  /* the shell of a check is gone; text: ID */
    EVENT_SAID,  /* something else; text: WORD REST */
    EVENT_MARK,  /* the marker of a closed guest was seen */
    EVENT_GONE,  /* the machine has ended */
};

struct event {
    enum event_kind kind;
    char text[EVENT_TEXT];
};

struct session {
    const struct vm_ops *ops;
    struct vlog *log;
    const char *who;    /* in the log */
    const char *marker; /* of a closed guest, or NULL */
    struct vm *vm;      /* NULL: none runs */
    bool agent;         /* has been heard since the last start */
    struct vbuf part;   /* console bytes that are not looked at yet */
    int code;           /* of the last end */
    char end[400];      /* how it ended: one sentence */
};

uint64_t clock_ms(void);

/* Starts a machine; s->vm must be NULL. */
MUST int session_start(struct session *s, const struct vm_spec *spec, struct err *e);
/* The next event before `deadline` (clock_ms()). After EVENT_GONE the machine is gone for good. */
void session_event(struct session *s, uint64_t deadline, struct event *out);
/* Pulls the plug; nothing when none runs. */
void session_stop(struct session *s);
/* The word that info and records use for the exit code. */
const char *session_end_word(int code);
void session_free(struct session *s);

struct outcome {
    enum vstatus status;
    char why[400];
    bool lost;                       /* the machine, or its agent, is gone */
    char word[16], said[EVENT_TEXT]; /* the last EVENT_SAID */
};
void outcome_set(struct outcome *o, enum vstatus status, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Runs a check in the guest, whose agent must be up. */
void session_check(struct session *s, const char *id, const char *args, uint64_t ms,
                   struct outcome *out);
/* Waits until the agent is up: PASS, or what came instead. */
void session_ready(struct session *s, uint64_t ms, struct outcome *out);
/* Waits for the machine's end: PASS when its exit code is `code`. */
void session_gone(struct session *s, uint64_t ms, int code, struct outcome *out);

#endif
