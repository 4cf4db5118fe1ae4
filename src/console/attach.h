/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.h - those who look on and type at a console beside its own reader.
 *
 * Each is a stream with its own buffer: one that does not read loses its oldest bytes and delays
 * nobody. attach_write() is for any thread, the rest for the loop's.
 */
#ifndef HOSPES_CONSOLE_ATTACH_H
#define HOSPES_CONSOLE_ATTACH_H

#include "console/console.h"

enum { ATTACH_HISTORY = 16384, ATTACH_MAX = 16 };

/* Gives n what it needs for console_attach(); closes n on failure. */
MUST int attach_open(struct console *n, struct loop *l, struct err *e);
void attach_close(struct attach *a); /* NULL is fine */
void attach_write(struct attach *a, const uint8_t *p, size_t len);
void attach_listen(struct attach *a, console_take_fn *take, void *arg);
void attach_more(struct attach *a);
MUST int attach_add(struct attach *a, int fd, struct err *e);

#endif
