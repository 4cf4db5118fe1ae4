/* SPDX-License-Identifier: Apache-2.0 */
/* kinds.h - the members of consoles[], and what their open() calls share. */
#ifndef HOSPES_CONSOLE_KINDS_H
#define HOSPES_CONSOLE_KINDS_H

#include "console/console.h"

extern const struct console_ops console_stdio, console_none, console_file, console_unix,
    console_pty;

/* Checks of what follows '=': NULL when there was none. */
MUST int console_no_value(const char *name, const char *value, struct err *e);
MUST int console_path(const char *name, const char *value, struct err *e);

#endif
