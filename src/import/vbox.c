/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vbox.c - VirtualBox' .vbox, and its section inside an OVF.
 *
 * Document: the settings schema that VirtualBox publishes (VirtualBox-settings.xsd), versions 1.9
 * to 1.20. Disks are named by UUID and looked up in the media registry. Refused: encrypted machines
 * and machines with a saved state.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "import/ovf.h"
#include "import/xml.h"

struct pair {
    const char *vbox, *plan;
};

static const struct pair controllers[] = {
    {"PIIX3", "ide"},         {"PIIX4", "ide"},
    {"ICH6", "ide"},          {"AHCI", "ahci"},
    {"IntelAhci", "ahci"},    {"LsiLogic", "lsilogic"},
    {"BusLogic", "buslogic"}, {"LsiLogicSas", "lsisas1068"},
    {"NVMe", "nvme"},         {"VirtioSCSI", "virtio-scsi"},
    {"USB", "usb"},
};

static const struct pair cards[] = {
    {"Am79C970A", "vlance"}, {"Am79C973", "vlance"},       {"Am79C960", "ne2k"},
    {"82540EM", "e1000"},    {"82543GC", "e1000-82543gc"}, {"82545EM", "e1000-82545em"},
    {"virtio", "virtio"},
};

static const char *plan_word(const struct pair *list, size_t count, const char *vbox)
{
    for (size_t i = 0; vbox && i < count; i++) {
        if (strcasecmp(list[i].vbox, vbox) == 0)
            return list[i].plan;
    }
    return NULL;
}

/* --- the machine --- */

static void refuse_what_cannot_run(struct reading *r, struct node *machine)
{
    struct node *state = node_get(machine, "@stateFile");

    if (node_first(r->t.top.child, "MachineEncrypted"))
        read_fail(r, node_first(r->t.top.child, "MachineEncrypted"),
                  "the machine is encrypted; decrypt it in VirtualBox first");
    if (node_get(machine, "@aborted"))
        read_drop(r, node_get(machine, "@aborted"), "how it was last switched off");
    if (state)
        read_fail(r, state, "the machine is suspended; shut it down in VirtualBox first");
}

/* Without the flag, guests saw the first three fields in the other byte order. */
static void take_uuid(struct reading *r, struct node *machine, struct node *hardware)
{
    static const uint8_t swap[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    struct node *n = node_get(hardware, "@uuid"), *flag;
    uint8_t uuid[16];

    if (!n)
        n = node_get(machine, "@uuid");
    flag = node_get(hardware, "BIOS/SmbiosUuidLittleEndian/@enabled");
    if (!n || !n->value || !import_uuid(n->value, uuid)) {
        read_uuid(r, n);
        return;
    }
    for (unsigned i = 0; i < 16; i++)
        r->p->uuid[i] = read_true(flag) ? uuid[i] : uuid[swap[i]];
    r->p->uuid_said = true;
    read_keep(r, flag);
    if (read_true(flag))
        read_keep(r, n);
    else
        read_change(r, n, "the other byte order", "so the guest of this version saw it");
}

static void take_boot(struct reading *r, struct node *hardware)
{
    unsigned next = 1;

    for (struct node *o = node_first(node_first(hardware, "Boot"), "Order"); o;
         o = node_next(o, "Order")) {
        struct node *device = node_get(o, "@device");

        read_boot_word(r, device ? device->value : NULL, &next);
        read_keep(r, device);
        read_keep(r, node_get(o, "@position"));
    }
}

static void take_firmware(struct reading *r, struct node *machine, struct node *hardware)
{
    struct node *type = node_get(hardware, "Firmware/@type"), *tpm, *secure;

    if (!type)
        type = node_get(hardware, "BIOS/Firmware/@type");
    read_set(r, &r->p->firmware,
             type && type->value && strncasecmp(type->value, "EFI", 3) == 0 ? "uefi" : "bios");
    read_keep(r, type);
    tpm = node_get(hardware, "TrustedPlatformModule/@type");
    if (tpm && !node_is(tpm, "None"))
        read_tpm(r, tpm, node_is(tpm, "v1_2") ? "1.2" : "2.0");
    secure = node_get(machine, "Hardware/Firmware/SecureBoot/@enabled");
    if (secure)
        read_secure_boot(r, secure, read_true(secure));
    r->p->rtc_local = node_is(node_get(hardware, "RTC/@localOrUTC"), "local");
    read_keep(r, node_get(hardware, "RTC/@localOrUTC"));
}

/* --- disks --- */

static struct node *medium(const struct node *below, const char *uuid)
{
    for (struct node *n = node_walk(below, NULL); n; n = node_walk(below, n)) {
        const char *is = node_text(n, "@uuid");

        if (is && strcasecmp(is, uuid) == 0 && node_get(n, "@location"))
            return n;
    }
    return NULL;
}

/* A medium and those that it was made from. */
static void keep_chain(struct reading *r, struct node *n)
{
    for (; n && node_get(n, "@location"); n = n->up) {
        read_keep(r, node_get(n, "@uuid"));
        read_drop(r, node_get(n, "@format"), "the file says itself what it is");
        read_keep(r, node_get(n, "@location"));
        read_keep(r, node_get(n, "@type"));
    }
}

/* An IDE controller's ports have two devices each, the others' one. */
static void take_port(struct reading *r, struct node *attached, const char *bus, int number,
                      struct plan_disk *d)
{
    int port = (int)read_number(r, node_get(attached, "@port"), 0, 255, 0);
    int device = (int)read_number(r, node_get(attached, "@device"), 0, 255, 0);
    bool ide = strcmp(bus, "ide") == 0;

    d->controller = ide ? port : number;
    d->unit = ide ? device : port;
}

/* A drive without a disc, or with the host's. */
static void take_empty(struct reading *r, struct node *attached, const char *bus, int number)
{
    struct node *type = node_get(attached, "@type"), *host = node_first(attached, "HostDrive");
    struct node *name = node_get(host, "@src");
    const char *gone = host ? READ_HOST_DRIVE : NULL;
    struct plan_disk *d;

    if (node_is(type, "DVD")) {
        d = read_disk(r, bus);
        if (d)
            take_port(r, attached, bus, number, d);
        read_no_disc(r, name, gone, d);
        read_keep(r, type);
    } else if (strcmp(bus, "floppy") == 0) {
        (void)read_floppy(r, name, gone);
        read_keep_all(r, attached);
    } else {
        read_drop_all(r, attached, "the disk has no file");
    }
}

static void take_device(struct reading *r, struct node *machine, struct node *attached,
                        const char *bus, int number)
{
    struct node *type = node_get(attached, "@type"), *uuid = node_get(attached, "Image/@uuid");
    struct node *registry = node_first(machine, "MediaRegistry"), *image;
    struct plan_disk *d;

    if (!uuid || !uuid->value) {
        take_empty(r, attached, bus, number);
        return;
    }
    image = registry ? medium(registry, uuid->value) : NULL;
    if (!image)
        image = medium(r->t.top.child, uuid->value); /* older: a registry of all machines */
    if (!image) {
        read_fail(r, uuid, "no image in the media registry has that UUID");
        return;
    }
    if (strcmp(bus, "floppy") == 0) {
        (void)read_floppy(r, node_get(image, "@location"), NULL);
        read_keep_all(r, attached);
        keep_chain(r, image);
        return;
    }
    d = read_disk(r, bus);
    if (!d)
        return;
    d->cdrom = node_is(type, "DVD");
    take_port(r, attached, bus, number, d);
    read_file(r, node_get(image, "@location"), d);
    if (node_is(node_get(image, "@type"), "Immutable")) {
        d->write = PLAN_SNAPSHOT;
        d->write_said = true;
    }
    keep_chain(r, image);
    read_keep(r, uuid);
    read_keep(r, type);
}

static int same_before(const struct node *parent, const struct node *c, const char *bus)
{
    int count = 0;

    for (struct node *n = node_first(parent, "StorageController"); n && n != c;
         n = node_next(n, "StorageController")) {
        const char *is = plan_word(controllers, ARRAY_SIZE(controllers), node_text(n, "@type"));

        count += is && strcmp(is, bus) == 0;
    }
    return count;
}

static void take_disks(struct reading *r, struct node *machine, struct node *hardware)
{
    struct node *parent = node_first(hardware, "StorageControllers"), *floppies = NULL;

    if (!parent)
        parent = node_first(machine, "StorageControllers"); /* before 1.19 */
    for (struct node *c = node_first(parent, "StorageController"); c && r->rc == 0;
         c = node_next(c, "StorageController")) {
        struct node *type = node_get(c, "@type");
        const char *bus =
            plan_word(controllers, ARRAY_SIZE(controllers), type ? type->value : NULL);
        int number;

        if (node_is(type, "I82078")) {
            floppies = c;
            continue;
        }
        if (!bus) {
            read_fail(r, type ? type : c, "not a controller that hospes knows");
            return;
        }
        number = same_before(parent, c, bus);
        if (!read_controller(r, bus, number))
            return;
        if (node_is(type, bus))
            read_keep(r, type);
        else
            read_change(r, type, bus, "the kind of controller in hospes' words");
        for (struct node *a = node_first(c, "AttachedDevice"); a && r->rc == 0;
             a = node_next(a, "AttachedDevice"))
            take_device(r, machine, a, bus, number);
    }
    for (struct node *a = node_first(floppies, "AttachedDevice"); a && r->rc == 0;
         a = node_next(a, "AttachedDevice"))
        take_device(r, machine, a, "floppy", 0);
    read_keep(r, node_get(floppies, "@type"));
}

/* --- cards --- */

static void take_lan(struct reading *r, struct node *adapter, struct plan_nic *nic)
{
    static const char *const kinds[] = {"HostOnlyInterface/@name", "BridgedInterface/@name",
                                        "InternalNetwork/@name",   "NATNetwork/@name",
                                        "HostOnlyNetwork/@name",   "GenericInterface/@driver"};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        read_lan(r, node_get(adapter, kinds[i]), nic);
}

static void take_forwards(struct reading *r, struct node *adapter)
{
    for (struct node *f = node_first(node_first(adapter, "NAT"), "Forwarding"); f;
         f = node_next(f, "Forwarding"))
        read_drop_all(r, f,
                      "ports of this host are given out when running, by --nic user,forward=");
}

static void take_card(struct reading *r, struct node *adapter, struct plan_nic *nic)
{
    struct node *type = node_get(adapter, "@type");
    const char *model = plan_word(cards, ARRAY_SIZE(cards), type ? type->value : NULL);

    if (!nic) {
        nic = read_nic(r, model);
        if (!nic)
            return;
    }
    read_mac(r, node_get(adapter, "@MACAddress"), nic);
    take_lan(r, adapter, nic);
    take_forwards(r, adapter);
    if (model)
        read_change(r, type, model, "the card's name in hospes' words");
    else
        read_change(r, type, "the persona's own card", "hospes does not know that one");
    read_keep(r, node_get(adapter, "@enabled"));
    read_keep(r, node_get(adapter, "@slot"));
}

static void take_cards(struct reading *r, struct node *hardware)
{
    struct node *network = node_first(hardware, "Network");

    for (struct node *a = node_first(network, "Adapter"); a && r->rc == 0;
         a = node_next(a, "Adapter")) {
        if (read_true(node_get(a, "@enabled")))
            take_card(r, a, NULL);
        else
            read_drop_all(r, a, "the adapter is switched off");
    }
    r->p->nics_said = true;
}

static const struct read_rule rules[] = {
    {"*Snapshot/",
     "the machine starts from its present state; snapshots stay in the disks' chains"},
    {"*MediaRegistry", "an image that the machine's present state does not use"},
    {"*ExtraData", "for VirtualBox' own programs"},
    {"*GuestProperties", "what the guest once said to VirtualBox"},
    {"*Display", "the display is chosen when running"},
    {"*VideoCapture", "the display is chosen when running"},
    {"*Recording", "the display is chosen when running"},
    {"*RemoteDisplay", "the display is chosen when running"},
    {"*AudioAdapter", "there is no sound device"},
    {"*USB", "USB devices are not attached"},
    {"*UART", "serial ports are chosen when running"},
    {"*LPT", "there is no parallel port"},
    {"*Clipboard", "nothing is shared with a desktop"},
    {"*DragAndDrop", "nothing is shared with a desktop"},
    {"*SharedFolders", "nothing is shared with a desktop"},
    {"*GuestMemoryBalloon", "the balloon is the persona's"},
    {"*Paravirt", "the persona says which hypervisor the guest sees"},
    {"*HID", "keyboard and pointer are the persona's"},
    {"*CPU/", "processors are those of this host"},
    {"*Chipset", "hospes has one board"},
    {"*HPET", "the guest has better clocks"},
    {"*BIOS", "firmware settings are hospes' own"},
    {"*Firmware", "firmware settings are hospes' own"},
    {"*Groups", "how VirtualBox sorted its machines"},
    {"*DisabledModes", "networks that were not in use"},
    {"*Adapter", "a matter of the network outside"},
    {"*StorageController", "a setting of VirtualBox' own host side"},
    {"*Hardware/", "a setting of VirtualBox' own host side"},
    {"*Machine/@", "how VirtualBox kept the machine"},
    {"*Machine/", "a setting of VirtualBox' own host side"},
    {"*@version", "the form of the file"},
    {NULL, NULL},
};

static void take(struct reading *r)
{
    struct node *machine = node_first(r->t.top.child, "Machine");
    struct node *hardware = node_first(machine, "Hardware");

    refuse_what_cannot_run(r, machine);
    if (r->rc == 0 && (!machine || !hardware))
        read_fail(r, r->t.top.child, "there is no machine in it");
    if (r->rc < 0)
        return;
    read_name(r, node_get(machine, "@name"));
    read_text(r, &r->p->guest_os, node_get(machine, "@OSType"));
    read_text(r, &r->p->notes, node_first(machine, "Description"));
    take_uuid(r, machine, hardware);
    r->p->cpus = 1;
    read_cpus(r, node_get(hardware, "CPU/@count"));
    read_memory(r, node_get(hardware, "Memory/@RAMSize"), MiB, 0);
    take_firmware(r, machine, hardware);
    take_disks(r, machine, hardware);
    take_cards(r, hardware);
    take_boot(r, hardware);
    read_plain_pc(r, "VirtualBox");
    read_rest(r, rules);
}

void vbox_inside_ovf(struct reading *r, struct node *machine)
{
    struct node *hardware = node_first(machine, "Hardware");
    size_t card = 0;

    read_text(r, &r->p->guest_os, node_get(machine, "@OSType"));
    take_uuid(r, machine, hardware);
    take_firmware(r, machine, hardware);
    for (struct node *a = node_first(node_first(hardware, "Network"), "Adapter"); a && r->rc == 0;
         a = node_next(a, "Adapter")) {
        if (read_true(node_get(a, "@enabled")) && card < r->p->nics)
            take_card(r, a, &r->p->nic[card++]);
    }
    take_boot(r, hardware);
}

static int vbox_read(const struct import_file *f, struct plan *p, struct import_report *r,
                     struct err *e)
{
    return read_tree(f, p, r, e, '/', xml_parse, take);
}

static int vbox_probe(const char *head, size_t n)
{
    return xml_probe(head, n, "VirtualBox") ? 90 : 0;
}

const struct importer_ops importer_vbox = {
    .name = "vbox",
    .about = "VirtualBox",
    .suffixes = ".vbox",
    .max_size = 4 << 20,
    .probe = vbox_probe,
    .read = vbox_read,
};
