/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export_ovf.c - a plan as an OVF 1.x descriptor (DSP0243), in the words that VMware's and
 * VirtualBox' importers read; see ovf.c for where they come from.
 *
 * An OVF refers to files beside it: a disk elsewhere is told of. No manifest is written: the disks
 * may still have to be converted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cfg.h"
#include "core/err.h"
#include "core/ids.h"
#include "core/path.h"
#include "import/export.h"
#include "import/ovf.h"
#include "machine/plan.h"

struct ovf_out {
    const struct plan *p;
    struct export *x;
    struct err *e;
    struct buf *b;
    unsigned next; /* instance id */
    /* instance ids of controllers, by their place in the list below */
    struct {
        const char *bus;
        int number;
        unsigned id;
    } made[PLAN_MAX_CONTROLLERS + PLAN_MAX_DISKS];
    size_t mades;
    unsigned disk_id[PLAN_MAX_DISKS], card_id[PLAN_MAX_NICS];
    int rc;
};

static void element(struct ovf_out *o, const char *name, const char *value)
{
    buf_fmt(o->b, "        <%s>", name);
    buf_xml(o->b, value);
    buf_fmt(o->b, "</%s>\n", name);
}

static void number(struct ovf_out *o, const char *name, uint64_t n)
{
    buf_fmt(o->b, "        <%s>%llu</%s>\n", name, (unsigned long long)n, name);
}

static void config(struct ovf_out *o, const char *kind, const char *key, const char *value)
{
    buf_fmt(o->b, "        <vmw:%s ovf:required=\"false\"", kind);
    buf_attr(o->b, "vmw:key", key);
    buf_attr(o->b, "vmw:value", value);
    buf_add(o->b, "/>\n");
}

/* <Item> with its name, instance and type; rasd elements stand in the order of their names. */
static unsigned item_begin(struct ovf_out *o)
{
    buf_add(o->b, "      <Item>\n");
    return ++o->next;
}

static void item_end(struct ovf_out *o, const struct plan_place *place)
{
    char text[16];

    if (place && place->slot >= 0) {
        snprintf(text, sizeof(text), "%d", place->slot);
        config(o, "Config", "slotInfo.pciSlotNumber", text);
    }
    buf_add(o->b, "      </Item>\n");
}

/* Hyper-V's instance of the channel, where converters of Microsoft's put it. */
static void put_instance(struct ovf_out *o, const struct plan_place *place)
{
    char text[37];

    if (!place->instance.said)
        return;
    export_guid(place->instance.b, text);
    element(o, "rasd:VirtualSystemIdentifiers", text);
}

/* --- files and disks --- */

static void put_uri(struct buf *b, const char *name)
{
    char one[2] = {0};

    for (; *name; name++) {
        one[0] = *name;
        if (*name == ' ' || *name == '%')
            buf_fmt(b, "%%%02X", (unsigned char)*name);
        else
            buf_xml(b, one);
    }
}

static void put_files(struct ovf_out *o)
{
    const char *suffixes =
        o->p->persona && strcmp(o->p->persona, "vmware") == 0 ? ".vmdk .iso .gz" : NULL;

    buf_add(o->b, "  <References>\n");
    for (size_t i = 0; i < o->p->disks && o->rc == 0; i++) {
        char *name = NULL, key[24];
        bool floppy = plan_floppy(&o->p->disk[i]);

        if (!o->p->disk[i].path)
            continue; /* an empty drive has none */
        o->rc = export_disk(o->x, i, &o->p->disk[i], floppy ? NULL : suffixes, &name, o->e);
        snprintf(key, sizeof(key), "disk%zu", i);
        if (o->rc == 0 && name[0] == '/') {
            const char *base = path_last(name);

            o->rc = export_tell(o->x, key, name, base,
                                "an OVF names files beside it; put the disk there", o->e);
            memmove(name, base, strlen(base) + 1);
        }
        if (o->rc == 0) {
            buf_add(o->b, "    <File ovf:href=\"");
            put_uri(o->b, name);
            buf_add(o->b, "\"");
            buf_fmt(o->b, " ovf:id=\"file%zu\"/>\n", i + 1);
        }
        free(name);
    }
    buf_add(o->b, "  </References>\n  <DiskSection>\n    <Info>Virtual disks</Info>\n");
    for (size_t i = 0; i < o->p->disks; i++) {
        if (!o->p->disk[i].cdrom && !plan_floppy(&o->p->disk[i]))
            buf_fmt(o->b,
                    "    <Disk ovf:diskId=\"disk%zu\" ovf:fileRef=\"file%zu\" ovf:capacity=\"0\" "
                    "ovf:format=\"http://www.vmware.com/interfaces/specifications/"
                    "vmdk.html#streamOptimized\"/>\n",
                    i + 1, i + 1);
    }
    buf_add(o->b, "  </DiskSection>\n");
}

static void put_networks(struct ovf_out *o)
{
    buf_add(o->b, "  <NetworkSection>\n    <Info>Networks</Info>\n");
    for (size_t i = 0; i < o->p->nics; i++) {
        const char *lan = o->p->nic[i].lan ? o->p->nic[i].lan : "nat";
        bool again = false;

        for (size_t k = 0; k < i; k++)
            again |= strcmp(o->p->nic[k].lan ? o->p->nic[k].lan : "nat", lan) == 0;
        if (again)
            continue;
        buf_add(o->b, "    <Network");
        buf_attr(o->b, "ovf:name", lan);
        buf_add(o->b, "/>\n");
    }
    buf_add(o->b, "  </NetworkSection>\n");
}

/* --- items --- */

struct kind {
    const char *bus, *subtype;
    unsigned type;
};

static const struct kind *kind_of(const char *bus)
{
    static const struct kind kinds[] = {
        {"ide", "PIIX4", 5},
        {"pvscsi", "VirtualSCSI", 6},
        {"lsilogic", "lsilogic", 6},
        {"lsisas1068", "lsilogicsas", 6},
        {"buslogic", "buslogic", 6},
        {"virtio-scsi", "virtio-scsi", 6},
        {"scsi", "Microsoft:Hyper-V:Synthetic SCSI Controller", 6},
        {"ahci", "AHCI", 20},
        {"nvme", "vmware.nvme.controller", 20},
        {"virtio", "virtio", 20},
    };

    for (size_t i = 0; bus && i < ARRAY_SIZE(kinds); i++) {
        if (strcmp(kinds[i].bus, bus) == 0)
            return &kinds[i];
    }
    return NULL;
}

static void put_controller(struct ovf_out *o, const char *bus, int at,
                           const struct plan_place *place)
{
    const struct kind *k = kind_of(bus);

    for (size_t i = 0; i < o->mades; i++) {
        if (o->made[i].number == at && strcmp(o->made[i].bus, bus) == 0)
            return;
    }
    o->made[o->mades].bus = bus;
    o->made[o->mades].number = at;
    o->made[o->mades++].id = item_begin(o);
    number(o, "rasd:Address", (unsigned)at);
    element(o, "rasd:ElementName", "Controller");
    number(o, "rasd:InstanceID", o->next);
    element(o, "rasd:ResourceSubType", k->subtype);
    number(o, "rasd:ResourceType", k->type);
    if (place)
        put_instance(o, place);
    item_end(o, place);
}

/* The bus of a disk, or one that OVF has. */
static const char *bus_of(const struct plan_disk *d)
{
    return kind_of(d->bus) ? d->bus : "ahci";
}

/* parent: its controller's id, 0: none. */
static void put_drive(struct ovf_out *o, size_t i, const char *name, unsigned type, unsigned parent)
{
    const struct plan_disk *d = &o->p->disk[i];
    char text[32];

    o->disk_id[i] = item_begin(o);
    if (d->unit >= 0)
        number(o, "rasd:AddressOnParent", (unsigned)d->unit);
    element(o, "rasd:ElementName", name);
    snprintf(text, sizeof(text), "ovf:/%s%zu", type == 17 ? "disk/disk" : "file/file", i + 1);
    if (d->path) /* else it is an empty drive */
        element(o, "rasd:HostResource", text);
    number(o, "rasd:InstanceID", o->next);
    if (parent)
        number(o, "rasd:Parent", parent);
    number(o, "rasd:ResourceType", type);
    item_end(o, NULL);
}

static void put_disk(struct ovf_out *o, size_t i)
{
    const struct plan_disk *d = &o->p->disk[i];
    const char *bus = bus_of(d);
    unsigned parent = 0;
    char text[32];

    if (plan_floppy(d)) {
        put_drive(o, i, "Floppy drive", 14, 0);
        return;
    }
    for (size_t k = 0; k < o->mades; k++) {
        if (o->made[k].number == (d->controller < 0 ? 0 : d->controller) &&
            strcmp(o->made[k].bus, bus) == 0)
            parent = o->made[k].id;
    }
    if (d->bus && bus != d->bus) {
        snprintf(text, sizeof(text), "disk%zu bus", i);
        o->rc = export_tell(o->x, text, d->bus, bus, "an OVF has no such bus", o->e);
    }
    put_drive(o, i, d->cdrom ? "CD drive" : "Hard disk", d->cdrom ? 15 : 17,
              d->bus || d->controller >= 0 ? parent : 0);
}

static void put_card(struct ovf_out *o, size_t at)
{
    const struct plan_nic *n = &o->p->nic[at];
    static const char *const words[][2] = {{"vlance", "PCNet32"},
                                           {"netvsc", "Synthetic"},
                                           {"dec21140", "Emulated"},
                                           {"vif", "netfront"}};
    const char *subtype = n->model;
    char mac[18];

    for (size_t i = 0; n->model && i < ARRAY_SIZE(words); i++) {
        if (strcmp(words[i][0], n->model) == 0)
            subtype = words[i][1];
    }
    o->card_id[at] = item_begin(o);
    if (n->mac_said) {
        snprintf(mac, sizeof(mac), MAC_FMT, MAC_ARGS(n->mac));
        element(o, "rasd:Address", mac);
    }
    element(o, "rasd:AutomaticAllocation", "true");
    if (n->lan)
        element(o, "rasd:Connection", n->lan);
    element(o, "rasd:ElementName", "Network card");
    number(o, "rasd:InstanceID", o->next);
    if (subtype)
        element(o, "rasd:ResourceSubType", subtype);
    number(o, "rasd:ResourceType", 10);
    put_instance(o, &n->place);
    item_end(o, &n->place);
}

static void put_numbers(struct ovf_out *o)
{
    const struct plan *p = o->p;

    if (p->cpus) {
        item_begin(o);
        element(o, "rasd:AllocationUnits", "hertz * 10^6");
        element(o, "rasd:ElementName", "Processors");
        number(o, "rasd:InstanceID", o->next);
        number(o, "rasd:ResourceType", 3);
        number(o, "rasd:VirtualQuantity", p->cpus);
        if (p->cores)
            buf_fmt(o->b,
                    "        <vmw:CoresPerSocket ovf:required=\"false\">%u</vmw:CoresPerSocket>\n",
                    p->cores);
        item_end(o, NULL);
    }
    if (!p->memory)
        return;
    item_begin(o);
    element(o, "rasd:AllocationUnits", p->memory % MiB ? "byte" : "byte * 2^20");
    element(o, "rasd:ElementName", "Memory");
    number(o, "rasd:InstanceID", o->next);
    number(o, "rasd:ResourceType", 4);
    number(o, "rasd:VirtualQuantity", p->memory % MiB ? p->memory : p->memory / MiB);
    item_end(o, NULL);
}

static void put_items(struct ovf_out *o)
{
    const struct plan *p = o->p;

    put_numbers(o);
    for (size_t i = 0; i < p->ctls; i++) {
        if (kind_of(p->ctl[i].bus))
            put_controller(o, p->ctl[i].bus, p->ctl[i].number, &p->ctl[i].place);
    }
    for (size_t i = 0; i < p->disks; i++) {
        if ((p->disk[i].bus || p->disk[i].controller >= 0) && !plan_floppy(&p->disk[i]))
            put_controller(o, bus_of(&p->disk[i]),
                           p->disk[i].controller < 0 ? 0 : p->disk[i].controller, NULL);
    }
    for (size_t i = 0; i < p->disks && o->rc == 0; i++)
        put_disk(o, i);
    for (size_t i = 0; i < p->nics; i++)
        put_card(o, i);
    if (p->tpm) {
        item_begin(o);
        element(o, "rasd:ElementName", "TPM");
        number(o, "rasd:InstanceID", o->next);
        element(o, "rasd:ResourceSubType", "vmware.vtpm");
        number(o, "rasd:ResourceType", 1);
        item_end(o, NULL);
    }
}

/* --- the system --- */

static void put_info(struct ovf_out *o)
{
    const char *key, *value;
    struct cfg *c;

    if (!o->p->persona_opts || o->rc < 0)
        return;
    o->rc = cfg_create(&c, o->e);
    if (o->rc < 0)
        return;
    o->rc = cfg_parse(c, o->p->persona_opts, NULL, o->e);
    for (size_t i = 0; o->rc == 0 && cfg_at(c, i, &key, &value); i++) {
        if (strncmp(key, "guestinfo.", 10) == 0)
            config(o, "ExtraConfig", key, value);
        else if (strcmp(key, "device-id") == 0)
            buf_fmt(o->b,
                    "        <xenovf:OtherSystemSettingData Name=\"platform\">device_id=%.4s;"
                    "</xenovf:OtherSystemSettingData>\n",
                    value);
    }
    cfg_destroy(c);
}

static void put_smbios(struct ovf_out *o)
{
    const struct plan_smbios *s = &o->p->smbios;

    if (s->serial)
        element(o, "vssd:BIOSSerialNumber", s->serial);
    if (s->board_serial)
        element(o, "vssd:BaseBoardSerialNumber", s->board_serial);
    if (s->chassis_serial)
        element(o, "vssd:ChassisSerialNumber", s->chassis_serial);
    if (s->asset_tag)
        element(o, "vssd:ChassisAssetTag", s->asset_tag);
}

static void put_os(struct ovf_out *o)
{
    const char *os = o->p->guest_os;
    bool cim = os && strncmp(os, "cim-", 4) == 0;

    buf_fmt(o->b, "    <OperatingSystemSection ovf:id=\"%s\"", cim ? os + 4 : "1");
    if (os && !cim)
        buf_attr(o->b, "vmw:osType", os);
    buf_add(o->b, ">\n      <Info>Operating system</Info>\n    </OperatingSystemSection>\n");
}

static void put_boot(struct ovf_out *o)
{
    struct export_boot order[EXPORT_BOOT_MAX];
    size_t n = export_boot(o->p, order);

    for (size_t k = 0; k < n; k++) {
        size_t i = order[k].i;

        buf_fmt(o->b,
                "    <vmw:BootOrderSection ovf:required=\"false\" vmw:instanceId=\"%u\" "
                "vmw:type=\"%s\">\n      <Info>Boot order</Info>\n    </vmw:BootOrderSection>\n",
                order[k].card ? o->card_id[i] : o->disk_id[i],
                order[k].card                 ? "net"
                : plan_floppy(&o->p->disk[i]) ? "floppy"
                : o->p->disk[i].cdrom         ? "cdrom"
                                              : "disk");
    }
}

static void put_system(struct ovf_out *o)
{
    const struct plan *p = o->p;
    const char *type = p->hardware && p->persona && strcmp(p->persona, "vmware") == 0 &&
                               strncmp(p->hardware, "vmx-", 4) != 0
                           ? NULL
                           : p->hardware;
    char uuid[37];

    buf_add(o->b, "  <VirtualSystem");
    buf_attr(o->b, "ovf:id", p->name);
    buf_add(o->b, ">\n    <Info>A virtual machine</Info>\n");
    if (p->name) {
        buf_add(o->b, "    <Name>");
        buf_xml(o->b, export_title(p));
        buf_add(o->b, "</Name>\n");
    }
    put_os(o);
    if (p->notes) {
        buf_add(o->b, "    <AnnotationSection>\n      <Info>Notes</Info>\n      <Annotation>");
        buf_xml(o->b, p->notes);
        buf_add(o->b, "</Annotation>\n    </AnnotationSection>\n");
    }
    buf_add(o->b, "    <VirtualHardwareSection>\n      <Info>Virtual hardware</Info>\n"
                  "      <System>\n");
    element(o, "vssd:ElementName", "Virtual Hardware Family");
    number(o, "vssd:InstanceID", 0);
    element(o, "vssd:VirtualSystemType", type ? type : ovf_type_of(p->persona));
    put_smbios(o);
    buf_add(o->b, "      </System>\n");
    put_items(o);
    config(o, "Config", "firmware",
           p->firmware && strcmp(p->firmware, "uefi") == 0 ? "efi" : "bios");
    if (p->secure_boot)
        config(o, "Config", "bootOptions.efiSecureBootEnabled", "true");
    if (p->uuid_said) {
        export_guid(p->uuid, uuid);
        config(o, "ExtraConfig", "uuid.bios", uuid);
    }
    put_info(o);
    buf_add(o->b, "    </VirtualHardwareSection>\n");
    put_boot(o);
    buf_add(o->b, "  </VirtualSystem>\n");
}

static int ovf_make(const struct plan *p, struct export *x, struct err *e)
{
    struct ovf_out o = {.p = p, .x = x, .e = e};

    o.b = export_file(x, e, "%s.ovf", p->name ? p->name : "guest");
    if (!o.b)
        return -e->code;
    buf_add(o.b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                 "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
                 "    xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
                 "    xmlns:rasd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
                 "CIM_ResourceAllocationSettingData\"\n"
                 "    xmlns:vssd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
                 "CIM_VirtualSystemSettingData\"\n"
                 "    xmlns:xenovf=\"http://schemas.citrix.com/ovf/envelope/1\"\n"
                 "    xmlns:vmw=\"http://www.vmware.com/schema/ovf\">\n");
    put_files(&o);
    put_networks(&o);
    put_system(&o);
    buf_add(o.b, "</Envelope>\n");
    return o.rc < 0 ? o.rc : buf_end(o.b, e);
}

const struct exporter_ops exporter_ovf = {
    .name = "ovf",
    .about = "an OVF descriptor for VMware, VirtualBox and others",
    .make = ovf_make,
};
