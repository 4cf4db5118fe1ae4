/* SPDX-License-Identifier: Apache-2.0 */
/* kinds.h - the members of nets[], and the filters that stack on any of them. */
#ifndef HOSPES_NET_KINDS_H
#define HOSPES_NET_KINDS_H

#include "net/netif.h"

extern const struct net_ops net_user;

#endif
