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

/* The first line of a program that wants to reach a port of the guest: "CONNECT 5000". Zeroed. */
struct usock_hello {
    char text[32];
    unsigned n;
};

/* Reads that line byte by byte: what follows it is for the guest. 1: *port is set; 0: call again
 * when there is more; -EPROTO: it says something else, or the program has gone. */
MUST int usock_hello(int fd, struct usock_hello *h, uint32_t *port);

/* Answers it, "OK" and the number of a port. false: the program has gone. */
MUST bool usock_welcome(int fd, uint32_t port);

/* Closes the listener and takes its name away. fd -1 is fine. */
void usock_unlisten(int fd, const char *path);

#endif
