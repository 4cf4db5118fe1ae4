/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.h - a port of the host that leads to one of the guest, as the command line writes it:
 * PROTO:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT, IPv6 addresses in brackets.
 */
#ifndef HOSPES_NET_FORWARD_H
#define HOSPES_NET_FORWARD_H

#include <netinet/in.h>

#include "core/core.h"

struct forward {
    bool udp;
    bool guest_said; /* else: the first guest */
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } host, guest; /* one address family */
    socklen_t len;
};

MUST int forward_parse(const char *text, struct forward *out, struct err *e);

#endif
