/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h - a byte sink and source: stdio, pty, unix socket, file, or a test's buffer.
 *
 * All calls are for the loop's thread, except console_write(), which any thread may call.
 */
#ifndef HOSPES_CONSOLE_CONSOLE_H
#define HOSPES_CONSOLE_CONSOLE_H

#include "core/core.h"

/* Takes up to len bytes; returns how many. After less than len, call console_more() when there is
 * room again. Runs on the loop. */
typedef size_t console_take_fn(void *arg, const uint8_t *p, size_t len);

struct console_ops {
    const char *name;
    MUST int (*open)(const char *spec, struct loop *l, struct console **out, struct err *e);
    void (*close)(struct console *n);
    /* What cannot be written now is kept. Beyond 1 MiB the oldest bytes are dropped when nobody
     * reads; on a file or stdio nothing is, and each call then waits up to 10 ms for the reader. */
    void (*write)(struct console *n, const uint8_t *p, size_t len);
    void (*listen)(struct console *n, console_take_fn *take, void *arg);
    void (*more)(struct console *n);
};
struct console {
    const struct console_ops *ops;
    char where[128]; /* what to tell the user: "pty /dev/pts/3", "unix /run/x.sock", "stdio" */
    struct attach *attach; /* private: who looks on; NULL for a console not made by console_open */
};
extern const struct console_ops *const consoles[]; /* console/table.c, NULL at the end */

/* spec: stdio, none, file=PATH, unix=PATH, pty. */
MUST int console_open(const char *spec, struct loop *l, struct console **out, struct err *e);
void console_close(struct console *n);
void console_write(struct console *n, const uint8_t *p, size_t len);
void console_listen(struct console *n, console_take_fn *take, void *arg);
void console_more(struct console *n);

/* One more reader and typist beside the console's own, as `hospes console` is. It gets the last
 * 16 KiB and then what follows. fd, a stream socket, is taken over, also on failure: -ENOTSUP for
 * a console that was not opened by console_open(), -EBUSY when too many are attached. */
MUST int console_attach(struct console *n, int fd, struct err *e);

/* What Ctrl-] and a key do on a terminal. fn runs on the loop. */
struct console_key {
    char key; /* 0 ends the table */
    const char *about;
    void (*fn)(void *arg);
};
/* For stdio; other consoles have no keys. Without a table `q` sends SIGINT to the process. The
 * table must outlive n. Ctrl-] ? lists the keys and Ctrl-] Ctrl-] sends one Ctrl-]. */
void console_set_keys(struct console *n, const struct console_key *keys, void *arg);

/* Puts the terminal back as it was, if stdio changed it. Safe in a signal handler. */
void console_restore_terminal(void);

#endif
