/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - a TCP port of this machine for guests behind the user network: gives and takes a stream
 * that both sides know. "get N": N MiB of it follow. "put N", then N MiB: their SHA-256 follows.
 */
#ifndef HOSPES_VALIDATION_PEER_H
#define HOSPES_VALIDATION_PEER_H

#include "core/core.h"
#include "validation/record.h"

struct peer;

/* Listens on a port of 127.0.0.1, in a thread of its own. sha: of `mib` MiB of the stream. */
MUST int peer_start(struct peer **out, char sha[V_SHA_TEXT], unsigned mib, struct err *e);
unsigned peer_port(const struct peer *p);
void peer_stop(struct peer *p);

#endif
