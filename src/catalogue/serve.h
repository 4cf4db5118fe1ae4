/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h - a built site over HTTP, for reading on this machine or behind another server. */
#ifndef HOSPES_CATALOGUE_SERVE_H
#define HOSPES_CATALOGUE_SERVE_H

#include "core/core.h"

struct server;

/* Serves the files below dir, and nothing else, from a thread of its own until server_stop(). host:
 * an IPv4 or IPv6 address; port 0: any, *port says which. */
MUST int server_start(const char *dir, const char *host, uint16_t *port, struct server **out,
                      struct err *e);
void server_stop(struct server *s); /* NULL is fine */

#endif
