/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vnc.h - a machine's screen and keyboard for VNC viewers (RFC 6143), by libvncserver.
 *
 * A thread of its own serves the viewers, since libvncserver may wait for them. It takes pictures
 * and hands input over on the loop.
 */
#ifndef HOSPES_CONSOLE_VNC_H
#define HOSPES_CONSOLE_VNC_H

#include "core/core.h"

struct hub;
struct vnc;

struct vnc_cfg {
    const char *where; /* ADDR:PORT; [ADDR]:PORT for IPv6; port 0: any that is free */
    const char *name;  /* what viewers put into their title */
    /* WebSocket clients must ask for this path, without its slash; NULL: they are refused. */
    const char *token;
};

MUST int vnc_open(const struct vnc_cfg *c, struct hub *hub, struct loop *l, struct vnc **out,
                  struct err *e);
/* The loop's thread, and the loop does not run. Waits for the thread. NULL is fine. */
void vnc_close(struct vnc *v);
/* Where it listens, as ADDR:PORT with the port that was chosen. */
const char *vnc_where(const struct vnc *v);
unsigned vnc_port(const struct vnc *v);

/* KEY_ number of an X keysym, 0: none. */
unsigned vnc_key(uint32_t keysym);

#endif
