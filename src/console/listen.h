/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h - TCP sockets for those who look at a machine. Any thread. */
#ifndef HOSPES_CONSOLE_LISTEN_H
#define HOSPES_CONSOLE_LISTEN_H

#include "core/core.h"

enum { LISTEN_WHERE = 80 };

/* where: ADDR:PORT, ADDR empty for loopback, numeric or a name. The descriptor; is fills in what
 * was bound, as text, and *port. -errno with e. */
MUST int listen_tcp(const char *where, char is[LISTEN_WHERE], unsigned *port, struct err *e);

#endif
