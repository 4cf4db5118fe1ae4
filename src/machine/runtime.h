/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.h - where running machines are found: one socket per machine, NAME.sock, in
 * $HOSPES_RUNTIME, else $XDG_RUNTIME_DIR/hospes, else /run/user/UID/hospes (for root
 * /run/hospes), else /tmp/hospes-UID.
 */
#ifndef HOSPES_MACHINE_RUNTIME_H
#define HOSPES_MACHINE_RUNTIME_H

#include "core/core.h"

enum { RUNTIME_PATH_MAX = 256, RUNTIME_NAME_MAX = 64 };

/* The folder's path. create: makes it with mode 0700. A folder that others could write to is
 * refused, because they could put sockets of their own there. -ENOENT when it is not there. */
MUST int runtime_dir(bool create, char out[RUNTIME_PATH_MAX], struct err *e);

/* Letters, digits, '.', '_', '-', '+', at most RUNTIME_NAME_MAX; not '.' or '-' first. */
MUST int runtime_check_name(const char *name, struct err *e);

/* The socket of machine `name`. */
MUST int runtime_socket(const char *name, bool create, char out[RUNTIME_PATH_MAX], struct err *e);

/* Calls fn with each name that has a socket, in order; stops when it gives something but 0 and
 * returns that. No folder: no names. */
MUST int runtime_each(int (*fn)(void *arg, const char *name, const char *path), void *arg,
                      struct err *e);

#endif
