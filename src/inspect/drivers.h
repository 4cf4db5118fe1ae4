/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drivers.h - the guest's drivers that decide under which hypervisor it can start.
 *
 * A set of drivers is a bit mask over enum driver. Names are those that guests use: modules of
 * Linux, services of Windows, words in a BSD's or Solaris' kernel.
 */
#ifndef HOSPES_INSPECT_DRIVERS_H
#define HOSPES_INSPECT_DRIVERS_H

#include "core/core.h"

enum persona_no {
    PERSONA_KVM,
    PERSONA_HYPERV,
    PERSONA_XEN,
    PERSONA_VMWARE,
    PERSONA_BARE,
    PERSONAS
};
extern const char *const persona_names[PERSONAS];
int persona_no(const char *name); /* -1: none */

enum driver {
    DRV_VIRTIO_PCI,
    DRV_VIRTIO_BLK,
    DRV_VIRTIO_SCSI,
    DRV_VIRTIO_NET,
    DRV_VMBUS,
    DRV_STORVSC,
    DRV_NETVSC,
    DRV_XENBUS, /* the platform device and xenbus */
    DRV_XENVBD,
    DRV_XENVIF,
    DRV_PVSCSI,
    DRV_VMXNET3,
    DRV_LSI,     /* 53c1030 */
    DRV_LSI_SAS, /* SAS1068 */
    DRV_BUSLOGIC,
    DRV_IDE, /* PIIX */
    DRV_AHCI,
    DRV_NVME,
    DRV_SD, /* disks of SCSI and ATA, where they are a driver of their own */
    DRV_E1000,
    DRV_E1000E,
    DRV_RTL8139,
    DRV_TULIP,
    DRV_PCNET,
    DRIVERS,
};
#define DRV(d) (UINT64_C(1) << (d))

enum guest_family {
    GUEST_UNKNOWN,
    GUEST_LINUX,
    GUEST_WINDOWS,
    GUEST_FREEBSD,
    GUEST_NETBSD,
    GUEST_OPENBSD,
    GUEST_SOLARIS,
    GUEST_FAMILIES,
};
extern const char *const family_names[GUEST_FAMILIES];

const char *driver_name(enum guest_family f, enum driver d); /* "vmw_pvscsi"; never NULL */
/* All names of a driver in a family, one after another; NULL after the last. */
const char *driver_alias(enum guest_family f, enum driver d, unsigned i);
/* The bits that a name stands for: "virtio_blk", "virtio-blk.ko.xz", "storvsc". 0: none. */
uint64_t driver_by_name(enum guest_family f, const char *name, size_t n);
/* Writes "a, b and c"; what has no room is left out. */
void driver_list(enum guest_family f, uint64_t set, char *out, size_t room);

/* Programs of a hypervisor inside the guest. */
enum agent {
    AGENT_OPEN_VM_TOOLS,
    AGENT_VMWARE_TOOLS,
    AGENT_HYPERV_DAEMONS,
    AGENT_XE_GUEST,
    AGENT_QEMU_GUEST,
    AGENT_VIRTIO_WIN,
    AGENT_XEN_TOOLS, /* of Windows */
    AGENT_VBOX,
    AGENT_CLOUD_INIT,
    AGENT_WAAGENT,
    AGENTS,
};
struct agent_facts {
    const char *name;
    int persona; /* that it speaks for, -1: none */
};
extern const struct agent_facts agents[AGENTS];

#endif
