/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - inside a software host: one command at a port, from its START to its end. */
#ifndef HOSPES_SOFTHOST_SESSION_H
#define HOSPES_SOFTHOST_SESSION_H

/* port: non-blocking, just greeted. Returns when the command has ended and the client has read
 * how, or when the client has left and what it started is gone. */
void session_run(int port);

#endif
