/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmci.h - VMware's VMCI device and the sockets over it, bridged to unix sockets.
 *
 * At PATH the host's programs connect to the guest: they write "CONNECT PORT\n", get "OK PORT\n",
 * and then have a byte stream. A guest that connects to the host's PORT gets the listener at
 * PATH_PORT.
 */
#ifndef HOSPES_PERSONAS_VMWARE_VMCI_H
#define HOSPES_PERSONAS_VMWARE_VMCI_H

#include "board/pci.h"

/* The numbers that a guest may have on the bus. */
#define VMCI_CID_MIN UINT32_C(3)
#define VMCI_CID_MAX (UINT32_MAX - 1)

/* Puts the device on the bus, which owns it then. */
MUST int vmci_create(const struct env *env, uint32_t cid, const char *path, struct err *e);

#endif
