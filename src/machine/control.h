/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - a machine's control socket: JSON lines, described in docs/reference/control.md.
 *
 * The machine gives the operations; this file gives the wire. Everything runs on the loop.
 */
#ifndef HOSPES_MACHINE_CONTROL_H
#define HOSPES_MACHINE_CONTROL_H

#include "core/core.h"

struct control;
struct dump;
struct info;
struct json_object;

enum { CONTROL_PROTOCOL = 1, CONTROL_LINE_MAX = 65536, CONTROL_CLIENTS = 32 };

typedef void control_data_fn(void *arg, const char *key, const char *value);

/* What a running machine lets others do. Called on the loop's thread. */
/* Can a guest be asked for that at all? shutdown, reboot, freeze, thaw, memory, time-sync, wake. */
bool control_asks(const char *what);

struct control_ops {
    /* Fills out with what is known now. */
    void (*info)(void *arg, struct info *out);
    /* Stops the processors for a moment: registers and last exits of each. */
    void (*state)(void *arg, struct info *out);
    /* Asks the guest: what is a word of control_asks(); value is in bytes, for "memory". *how: the
     * channel, a constant string. The answer, when the guest gives one, comes by control_event().
     */
    MUST int (*ask)(void *arg, const char *what, uint64_t value, const char **how, struct err *e);
    /* As persona_ops.data_set and data_list; prefix may be "". */
    MUST int (*data_set)(void *arg, const char *key, const char *value, struct err *e);
    MUST int (*data_list)(void *arg, const char *prefix, control_data_fn *fn, void *fn_arg,
                          struct err *e);
    /* A disk comes, in the words of --disk, and gets an id; or one goes. */
    MUST int (*attach)(void *arg, const char *disk, const char **id, struct err *e);
    MUST int (*attach_nic)(void *arg, const char *nic, const char **id, struct err *e);
    /* 1: the guest is asked to give it up. */
    MUST int (*detach)(void *arg, const char *id, struct err *e);
    /* A disk gets more bytes. 0: begun, and control_done() tells how it ended. */
    MUST int (*resize)(void *arg, const char *id, uint64_t bytes, struct err *e);
    /* A drive (NULL: the only one) gets another disc, in the words of --cdrom. 0: begun, as above.
     */
    MUST int (*disc)(void *arg, const char *drive, const char *disc, bool force, struct err *e);
    /* Copies the host's file into the guest; the end comes by control_event(). */
    MUST int (*copy)(void *arg, const char *file, const char *to, struct err *e);
    /* As hub_text(). */
    MUST int (*screen_text)(void *arg, char **out, struct err *e);
    /* Writes the guest's screen as PNG to the host's file. */
    MUST int (*screenshot)(void *arg, const char *file, unsigned *width, unsigned *height,
                           struct err *e);
    /* Types on the guest's keyboard; the end comes by control_event(). */
    MUST int (*type)(void *arg, const char *text, struct err *e);
    /* Pulls the plug. */
    void (*stop)(void *arg);
    struct console *(*console)(void *arg);
};

/* Listens for machine `name`. -EBUSY with the pid when a machine of that name runs. */
MUST int control_open(const char *name, struct loop *l, const struct control_ops *ops, void *arg,
                      struct control **out, struct err *e);
/* Tells all who wait that the machine has ended, and how ("poweroff", "crashed", ...; text may be
 * NULL), then takes the socket away. NULL is fine. */
void control_close(struct control *c, const char *how, const char *text);
const char *control_path(const struct control *c);

/* Tells all who wait: event "obeyed" or "refused", text from the guest or NULL. */
void control_event(struct control *c, const char *event, const char *text);

/* The one resize or change of a disc that was begun is done, and the guest is told or not; or e
 * says why not. Not from inside control_ops.resize() or disc(). c may be NULL. */
void control_done(struct control *c, bool told, const struct err *e);

/* --- filling in `info` --- */

void info_text(struct info *i, const char *key, const char *value);
void info_number(struct info *i, const char *key, uint64_t value);
/* A new member of the list `list`, with its id and model; facts go through the dump, which is
 * valid until the next info_part() and puts numbers as numbers. */
struct dump *info_part(struct info *i, const char *list, const char *id, const char *model);

#endif
