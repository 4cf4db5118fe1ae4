/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web.h - a page with a machine's screen and facts, for a browser on this host.
 *
 * HTTP/1.1 (RFC 9112), GET alone. Everything lies below a token that only those know who were told
 * the address; the rest of the world gets 404. Threads: the loop's.
 */
#ifndef HOSPES_CONSOLE_WEB_H
#define HOSPES_CONSOLE_WEB_H

#include "core/core.h"

struct web;

struct web_cfg {
    const char *where; /* ADDR:PORT, as in vnc.h */
    const char *token;
    unsigned vnc_port; /* where the page connects to by WebSocket, with the token as path */
    const char *novnc; /* folder of noVNC; NULL: /usr/share/novnc */
    /* Facts as JSON, malloc()ed; NULL: no memory. On the loop. */
    char *(*facts)(void *arg);
    void *arg;
};

MUST int web_open(const struct web_cfg *c, struct loop *l, struct web **out, struct err *e);
void web_close(struct web *w); /* NULL is fine */
/* The page's address. */
const char *web_url(const struct web *w);

/* 32 hexadecimal digits of the kernel's randomness, and the end. */
MUST int web_token(char out[33], struct err *e);

#endif
