/* SPDX-License-Identifier: Apache-2.0 */
/* devices.h - how this persona's device models are made. On success the PCI bus owns the device. */
#ifndef HOSPES_PERSONAS_KVM_DEVICES_H
#define HOSPES_PERSONAS_KVM_DEVICES_H

#include "virtio.h"

MUST int blk_create(const struct env *env, const struct virtio_options *o,
                    const struct disk_spec *s, unsigned queues, struct err *e);
/* The disk grew, with every vCPU at rest: if p is its device, the guest is told. false: it is not.
 */
bool blk_grew(struct pci_dev *p, const struct disk *disk);
/* pairs of queues: 1 to NET_PAIRS_MAX. */
enum { NET_PAIRS_MAX = 16 };
MUST int net_create(const struct env *env, const struct virtio_options *o, const struct nic_spec *s,
                    unsigned pairs, struct err *e);
MUST int rng_create(const struct env *env, const struct virtio_options *o, struct err *e);
/* n is taken over on success. */
MUST int hvc_create(const struct env *env, const struct virtio_options *o, struct console *n,
                    struct err *e);
/* path: where host programs connect; see vsock.c. */
MUST int vsock_create(const struct env *env, const struct virtio_options *o, uint64_t cid,
                      const char *path, struct err *e);

#endif
