/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cable.h - the other end of a guest's cable (`--nic socket=PATH`), which can be pulled. What is
 * there answers ARP and echo requests for 10.9.0.1.
 */
#ifndef HOSPES_VALIDATION_CABLE_H
#define HOSPES_VALIDATION_CABLE_H

#include "core/core.h"

struct cable_end;

/* In a thread of its own: connects as soon as somebody listens at path, and whenever he does so
 * again. */
MUST int cable_end_start(struct cable_end **out, const char *path, struct err *e);
/* Pulled: closes the connection and makes none. The guest sees its link go a moment later. */
void cable_end_pull(struct cable_end *c, bool pulled);
void cable_end_stop(struct cable_end *c);

#endif
