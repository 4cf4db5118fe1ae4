/* SPDX-License-Identifier: Apache-2.0 */
/* kinds.h - the members of nets[], and the filters that stack on any of them. */
#ifndef HOSPES_NET_KINDS_H
#define HOSPES_NET_KINDS_H

#include "net/netif.h"

extern const struct net_ops net_user, net_tap, net_socket;

/* Writes all frames of `in`, which it takes over on success, to a pcap file. */
MUST int net_capture(struct netif *in, const char *path, struct netif **out, struct err *e);

#endif
