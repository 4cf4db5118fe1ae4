/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usock.h - unix stream sockets by path: control sockets, consoles, frame pipes.
 *
 * Descriptors are non-blocking and close-on-exec. Any thread.
 */
#ifndef HOSPES_CORE_USOCK_H
#define HOSPES_CORE_USOCK_H

#include "core/core.h"

/* Listens at path with mode 0600. A socket that nobody serves any more is replaced; -EBUSY when a
 * process serves it (the message names its pid) and -EEXIST when something else has that name. */
MUST int usock_listen(const char *path, int *fd, struct err *e);

/* -ENOENT: no such path; -ECONNREFUSED: nobody serves it. */
MUST int usock_connect(const char *path, int *fd, struct err *e);

/* The next waiting connection, or -EAGAIN and other -errno. */
MUST int usock_accept(int listener);

/* The process at the other end, 0 when unknown. */
int usock_peer_pid(int fd);

/* Closes the listener and takes its name away. fd -1 is fine. */
void usock_unlisten(int fd, const char *path);

#endif
