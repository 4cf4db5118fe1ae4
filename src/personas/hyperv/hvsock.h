/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvsock.h - sockets between guest and host over VMBus, bridged to unix sockets.
 *
 * At PATH the host's programs connect to the guest: they write "CONNECT PORT\n", get "OK PORT\n",
 * and then have a byte stream. A guest that connects to the host's PORT gets the listener at
 * PATH_PORT.
 */
#ifndef HOSPES_PERSONAS_HYPERV_HVSOCK_H
#define HOSPES_PERSONAS_HYPERV_HVSOCK_H

#include "vmbus.h"

struct hvsock;

MUST int hvsock_create(struct vmbus *b, const char *path, struct hvsock **out, struct err *e);
void hvsock_destroy(struct hvsock *s); /* NULL is fine; the bus still stands */

#endif
