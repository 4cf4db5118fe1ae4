/* SPDX-License-Identifier: Apache-2.0 */
/* drivers.c - see drivers.h: the tables of names. */
#include "inspect/drivers.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *const persona_names[PERSONAS] = {"kvm", "hyperv", "xen", "vmware", "bare"};
const char *const family_names[GUEST_FAMILIES] = {"unknown", "linux",   "windows", "freebsd",
                                                  "netbsd",  "openbsd", "solaris"};

int persona_no(const char *name)
{
    for (int i = 0; i < PERSONAS; i++) {
        if (strcmp(persona_names[i], name) == 0)
            return i;
    }
    return -1;
}

/* The first name of a driver in a family is the one that is shown. */
static const struct {
    enum guest_family family;
    enum driver driver;
    const char *name;
} names[] = {
    {GUEST_LINUX, DRV_VIRTIO_PCI, "virtio_pci"},
    {GUEST_LINUX, DRV_VIRTIO_BLK, "virtio_blk"},
    {GUEST_LINUX, DRV_VIRTIO_SCSI, "virtio_scsi"},
    {GUEST_LINUX, DRV_VIRTIO_NET, "virtio_net"},
    {GUEST_LINUX, DRV_VMBUS, "hv_vmbus"},
    {GUEST_LINUX, DRV_VMBUS, "hv_bus"},
    {GUEST_LINUX, DRV_STORVSC, "hv_storvsc"},
    {GUEST_LINUX, DRV_NETVSC, "hv_netvsc"},
    {GUEST_LINUX, DRV_XENBUS, "xen_platform_pci"},
    {GUEST_LINUX, DRV_XENBUS, "platform_pci"},
    {GUEST_LINUX, DRV_XENBUS, "xenbus_probe_frontend"},
    {GUEST_LINUX, DRV_XENVBD, "xen_blkfront"},
    {GUEST_LINUX, DRV_XENVBD, "xen_vbd"},
    {GUEST_LINUX, DRV_XENVIF, "xen_netfront"},
    {GUEST_LINUX, DRV_XENVIF, "xen_vnif"},
    {GUEST_LINUX, DRV_PVSCSI, "vmw_pvscsi"},
    {GUEST_LINUX, DRV_PVSCSI, "pvscsi"},
    {GUEST_LINUX, DRV_VMXNET3, "vmxnet3"},
    {GUEST_LINUX, DRV_LSI, "mptspi"},
    {GUEST_LINUX, DRV_LSI_SAS, "mptsas"},
    {GUEST_LINUX, DRV_BUSLOGIC, "BusLogic"},
    {GUEST_LINUX, DRV_IDE, "ata_piix"},
    {GUEST_LINUX, DRV_IDE, "ata_generic"},
    {GUEST_LINUX, DRV_IDE, "piix"},
    {GUEST_LINUX, DRV_AHCI, "ahci"},
    {GUEST_LINUX, DRV_NVME, "nvme"},
    {GUEST_LINUX, DRV_SD, "sd_mod"},
    {GUEST_LINUX, DRV_E1000, "e1000"},
    {GUEST_LINUX, DRV_E1000E, "e1000e"},
    {GUEST_LINUX, DRV_RTL8139, "8139cp"},
    {GUEST_LINUX, DRV_RTL8139, "8139too"},
    {GUEST_LINUX, DRV_TULIP, "tulip"},
    {GUEST_LINUX, DRV_PCNET, "pcnet32"},
    {GUEST_WINDOWS, DRV_VIRTIO_BLK, "viostor"},
    {GUEST_WINDOWS, DRV_VIRTIO_SCSI, "vioscsi"},
    {GUEST_WINDOWS, DRV_VIRTIO_NET, "netkvm"},
    {GUEST_WINDOWS, DRV_VMBUS, "vmbus"},
    {GUEST_WINDOWS, DRV_STORVSC, "storvsc"},
    {GUEST_WINDOWS, DRV_NETVSC, "netvsc"},
    {GUEST_WINDOWS, DRV_XENBUS, "xenbus"},
    {GUEST_WINDOWS, DRV_XENBUS, "xenpci"},
    {GUEST_WINDOWS, DRV_XENVBD, "xenvbd"},
    {GUEST_WINDOWS, DRV_XENVIF, "xenvif"},
    {GUEST_WINDOWS, DRV_XENVIF, "xennet"},
    {GUEST_WINDOWS, DRV_PVSCSI, "pvscsi"},
    {GUEST_WINDOWS, DRV_PVSCSI, "pvscsii"},
    {GUEST_WINDOWS, DRV_VMXNET3, "vmxnet3ndis6"},
    {GUEST_WINDOWS, DRV_VMXNET3, "vmxnet3"},
    {GUEST_WINDOWS, DRV_LSI, "LSI_SCSI"},
    {GUEST_WINDOWS, DRV_LSI, "symmpi"},
    {GUEST_WINDOWS, DRV_LSI_SAS, "LSI_SAS"},
    {GUEST_WINDOWS, DRV_IDE, "intelide"},
    {GUEST_WINDOWS, DRV_AHCI, "storahci"},
    {GUEST_WINDOWS, DRV_AHCI, "msahci"},
    {GUEST_WINDOWS, DRV_NVME, "stornvme"},
    {GUEST_WINDOWS, DRV_E1000, "E1G60"},
    {GUEST_WINDOWS, DRV_E1000, "e1express"},
    {GUEST_WINDOWS, DRV_E1000E, "e1i65x64"},
    {GUEST_WINDOWS, DRV_RTL8139, "rtl8139"},
    {GUEST_WINDOWS, DRV_TULIP, "dc21x4vm"},
    {GUEST_WINDOWS, DRV_TULIP, "dc21x4"},
    {GUEST_FREEBSD, DRV_VIRTIO_PCI, "virtio_pci"},
    {GUEST_FREEBSD, DRV_VIRTIO_BLK, "vtblk"},
    {GUEST_FREEBSD, DRV_VIRTIO_BLK, "virtio_blk"},
    {GUEST_FREEBSD, DRV_VIRTIO_SCSI, "vtscsi"},
    {GUEST_FREEBSD, DRV_VIRTIO_SCSI, "virtio_scsi"},
    {GUEST_FREEBSD, DRV_VIRTIO_NET, "vtnet"},
    {GUEST_FREEBSD, DRV_VIRTIO_NET, "if_vtnet"},
    {GUEST_FREEBSD, DRV_VMBUS, "vmbus"},
    {GUEST_FREEBSD, DRV_STORVSC, "storvsc"},
    {GUEST_FREEBSD, DRV_NETVSC, "hn"},
    {GUEST_FREEBSD, DRV_XENBUS, "xenpci"},
    {GUEST_FREEBSD, DRV_XENVBD, "xbd"},
    {GUEST_FREEBSD, DRV_XENVIF, "xn"},
    {GUEST_FREEBSD, DRV_PVSCSI, "pvscsi"},
    {GUEST_FREEBSD, DRV_VMXNET3, "vmx"},
    {GUEST_FREEBSD, DRV_VMXNET3, "if_vmx"},
    {GUEST_FREEBSD, DRV_LSI, "mpt"},
    {GUEST_FREEBSD, DRV_IDE, "atapci"},
    {GUEST_FREEBSD, DRV_AHCI, "ahci"},
    {GUEST_FREEBSD, DRV_NVME, "nvme"},
    {GUEST_NETBSD, DRV_VIRTIO_PCI, "virtio"},
    {GUEST_NETBSD, DRV_VIRTIO_BLK, "ld_virtio"},
    {GUEST_NETBSD, DRV_VIRTIO_NET, "vioif"},
    {GUEST_NETBSD, DRV_VMBUS, "vmbus"},
    {GUEST_NETBSD, DRV_STORVSC, "hvs"},
    {GUEST_NETBSD, DRV_NETVSC, "hvn"},
    {GUEST_NETBSD, DRV_VMXNET3, "vmx"},
    {GUEST_NETBSD, DRV_IDE, "piixide"},
    {GUEST_NETBSD, DRV_AHCI, "ahcisata"},
    {GUEST_OPENBSD, DRV_VIRTIO_PCI, "virtio"},
    {GUEST_OPENBSD, DRV_VIRTIO_BLK, "vioblk"},
    {GUEST_OPENBSD, DRV_VIRTIO_SCSI, "vioscsi"},
    {GUEST_OPENBSD, DRV_VIRTIO_NET, "vio"},
    {GUEST_OPENBSD, DRV_VMBUS, "hyperv"},
    {GUEST_OPENBSD, DRV_STORVSC, "hvs"},
    {GUEST_OPENBSD, DRV_NETVSC, "hvn"},
    {GUEST_OPENBSD, DRV_XENBUS, "xen"},
    {GUEST_OPENBSD, DRV_XENVBD, "xbf"},
    {GUEST_OPENBSD, DRV_XENVIF, "xnf"},
    {GUEST_OPENBSD, DRV_PVSCSI, "vmwpvs"},
    {GUEST_OPENBSD, DRV_VMXNET3, "vmx"},
    {GUEST_OPENBSD, DRV_LSI, "mpi"},
    {GUEST_OPENBSD, DRV_IDE, "pciide"},
    {GUEST_OPENBSD, DRV_AHCI, "ahci"},
    {GUEST_SOLARIS, DRV_VIRTIO_BLK, "vioblk"},
    {GUEST_SOLARIS, DRV_VIRTIO_NET, "vioif"},
    {GUEST_SOLARIS, DRV_XENBUS, "xpvd"},
    {GUEST_SOLARIS, DRV_XENVBD, "xdf"},
    {GUEST_SOLARIS, DRV_XENVIF, "xnf"},
    {GUEST_SOLARIS, DRV_PVSCSI, "pvscsi"},
    {GUEST_SOLARIS, DRV_VMXNET3, "vmxnet3s"},
    {GUEST_SOLARIS, DRV_LSI, "mpt"},
    {GUEST_SOLARIS, DRV_IDE, "ata"},
    {GUEST_SOLARIS, DRV_AHCI, "ahci"},
};

const char *driver_name(enum guest_family f, enum driver d)
{
    const char *any = "?";

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].driver != d)
            continue;
        if (names[i].family == f)
            return names[i].name;
        if (names[i].family == GUEST_LINUX && any[0] == '?')
            any = names[i].name;
    }
    return any;
}

const char *driver_alias(enum guest_family f, enum driver d, unsigned i)
{
    for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
        if (names[k].driver == d && names[k].family == f && i-- == 0)
            return names[k].name;
    }
    return NULL;
}

/* "-" and "_" are one in names of modules; the rest of a file's name after ".ko" is not looked at.
 */
static bool same_name(const char *ours, const char *name, size_t n)
{
    size_t len = strlen(ours);

    if (n > len && name[len] == '.' && n >= len + 3 && memcmp(name + len, ".ko", 3) == 0)
        n = len;
    if (n != len)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i] == '-' ? '_' : name[i];

        if (strncasecmp(&c, ours + i, 1) != 0)
            return false;
    }
    return true;
}

uint64_t driver_by_name(enum guest_family f, const char *name, size_t n)
{
    uint64_t set = 0;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].family == f && same_name(names[i].name, name, n))
            set |= DRV(names[i].driver);
    }
    return set;
}

void driver_list(enum guest_family f, uint64_t set, char *out, size_t room)
{
    size_t at = 0;

    out[0] = '\0';
    for (unsigned d = 0; d < DRIVERS && set; d++) {
        const char *name = driver_name(f, (enum driver)d);
        const char *sep = at == 0 ? "" : set == DRV(d) ? " and " : ", ";

        if (!(set & DRV(d)))
            continue;
        if (at + strlen(sep) + strlen(name) < room)
            at += (size_t)snprintf(out + at, room - at, "%s%s", sep, name);
        set &= ~DRV(d);
    }
}

const struct agent_facts agents[AGENTS] = {
    [AGENT_OPEN_VM_TOOLS] = {"open-vm-tools", PERSONA_VMWARE},
    [AGENT_VMWARE_TOOLS] = {"VMware Tools", PERSONA_VMWARE},
    [AGENT_HYPERV_DAEMONS] = {"hyperv-daemons", PERSONA_HYPERV},
    [AGENT_XE_GUEST] = {"xe-guest-utilities", PERSONA_XEN},
    [AGENT_QEMU_GUEST] = {"qemu-guest-agent", PERSONA_KVM},
    [AGENT_VIRTIO_WIN] = {"virtio-win drivers", PERSONA_KVM},
    [AGENT_XEN_TOOLS] = {"Xen tools", PERSONA_XEN},
    [AGENT_VBOX] = {"VirtualBox additions", -1},
    [AGENT_CLOUD_INIT] = {"cloud-init", -1},
    [AGENT_WAAGENT] = {"Azure agent", PERSONA_HYPERV},
};
