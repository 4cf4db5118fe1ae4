/* SPDX-License-Identifier: Apache-2.0 */
/* libvirt_dev.c - disks, controllers and cards of a libvirt domain; see libvirt.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "import/libvirt.h"
#include "storage/letters.h"

enum { SATA_PORTS = 6, SCSI_UNITS = 7 };

struct target {
    const char *bus; /* libvirt's word */
    int index;       /* sda 0, sdb 1, ... -1: not said */
};

/* --- places --- */

static void keep_address(struct reading *r, struct node *address, const char *const *parts)
{
    read_keep(r, node_get(address, "@type"));
    for (; *parts; parts++)
        read_keep(r, node_get(address, *parts));
}

static unsigned long hex(const struct node *address, const char *part)
{
    const char *s = node_text(address, part);

    return s ? strtoul(s, NULL, 0) : 0;
}

static void take_pci(struct reading *r, struct node *device, struct plan_place *place)
{
    static const char *const parts[] = {"@domain", "@bus", "@slot", "@function", NULL};
    struct node *address = node_first(device, "address");
    char text[32];

    if (!node_is(node_get(address, "@type"), "pci") || !node_get(address, "@slot"))
        return;
    snprintf(text, sizeof(text), "%04lx:%02lx:%02lx.%lx", hex(address, "@domain") & 0xffff,
             hex(address, "@bus") & 0xff, hex(address, "@slot") & 0x1f,
             hex(address, "@function") & 7);
    read_set(r, &place->pci, text);
    keep_address(r, address, parts);
}

static void take_order(struct reading *r, struct node *device, unsigned *boot)
{
    *boot = (unsigned)read_number(r, node_get(device, "boot/@order"), 1, 65535, 0);
}

/* --- controllers --- */

static const char *scsi_model(const struct node *devices, int number, const char *persona)
{
    static const struct {
        const char *libvirt, *bus;
    } models[] = {
        {"virtio-scsi", "virtio-scsi"},
        {"virtio-transitional", "virtio-scsi"},
        {"virtio-non-transitional", "virtio-scsi"},
        {"lsilogic", "lsilogic"},
        {"lsisas1068", "lsisas1068"},
        {"lsisas1078", "megasas"},
        {"vmpvscsi", "pvscsi"},
        {"buslogic", "buslogic"},
        {"am53c974", "am53c974"},
    };

    for (struct node *c = node_first(devices, "controller"); c; c = node_next(c, "controller")) {
        const char *index = node_text(c, "@index"), *model = node_text(c, "@model");

        if (!node_is(node_get(c, "@type"), "scsi") || (index ? atoi(index) : 0) != number)
            continue;
        for (size_t i = 0; model && i < ARRAY_SIZE(models); i++) {
            if (strcasecmp(models[i].libvirt, model) == 0)
                return models[i].bus;
        }
    }
    /* What the product makes when nothing is said. */
    return strcmp(persona, "vmware") == 0 ? "lsilogic" : "lsi53c895a";
}

/* The bus in the words of plans. */
static const char *bus_of(const struct node *devices, const char *libvirt, int number,
                          const char *persona)
{
    static const struct {
        const char *libvirt, *bus;
    } buses[] = {{"virtio", "virtio"}, {"ide", "ide"}, {"sata", "ahci"}, {"nvme", "nvme"},
                 {"xen", "xvd"},       {"usb", "usb"}, {"sd", "sd"}};

    if (strcmp(libvirt, "scsi") == 0)
        return strcmp(persona, "hyperv") == 0 ? "scsi" : scsi_model(devices, number, persona);
    for (size_t i = 0; i < ARRAY_SIZE(buses); i++) {
        if (strcmp(buses[i].libvirt, libvirt) == 0)
            return buses[i].bus;
    }
    return NULL;
}

static void take_controllers(struct reading *r, struct node *devices)
{
    for (struct node *c = node_first(devices, "controller"); c; c = node_next(c, "controller")) {
        struct node *type = node_get(c, "@type"), *index = node_get(c, "@index");
        struct plan_controller *made;
        const char *bus;
        int number;

        if (!node_is(type, "scsi") && !node_is(type, "sata") && !node_is(type, "ide"))
            continue;
        number = (int)read_number(r, index, 0, 255, 0);
        bus = bus_of(devices, type->value, number, r->p->persona ? r->p->persona : "");
        if (!bus) { /* "SCSI" is no word of libvirt's */
            read_fail(r, type, "not a controller that hospes knows");
            return;
        }
        made = read_controller(r, bus, number);
        if (!made)
            return;
        take_pci(r, c, &made->place);
        read_keep(r, type);
        read_keep(r, node_get(c, "@model"));
    }
}

/* --- disks --- */

/* "sdb": bus scsi, index 1. Digits after it name a partition. */
static struct target target_of(const struct node *disk)
{
    static const struct {
        const char *begins, *bus;
    } kinds[] = {{"xvd", "xen"}, {"ubd", "uml"}, {"vd", "virtio"},
                 {"hd", "ide"},  {"sd", "scsi"}, {"fd", "fdc"}};
    const char *dev = node_text(disk, "target/@dev"), *bus = node_text(disk, "target/@bus");
    struct target t = {bus ? bus : "virtio", -1};

    for (size_t i = 0; dev && i < ARRAY_SIZE(kinds); i++) {
        size_t n = strlen(kinds[i].begins);

        if (strncmp(dev, kinds[i].begins, n) != 0)
            continue;
        if (!bus)
            t.bus = kinds[i].bus;
        t.index = letters_number(dev + n);
        break;
    }
    return t;
}

static void place_by_index(const struct target *t, struct plan_disk *d)
{
    if (t->index < 0)
        return;
    if (strcmp(t->bus, "ide") == 0) {
        d->controller = t->index / 2;
        d->unit = t->index % 2;
    } else if (strcmp(t->bus, "sata") == 0) {
        d->controller = t->index / SATA_PORTS;
        d->unit = t->index % SATA_PORTS;
    } else if (strcmp(t->bus, "scsi") == 0) {
        d->controller = t->index / SCSI_UNITS;
        d->unit = t->index % SCSI_UNITS;
    } else if (strcmp(t->bus, "xen") == 0 && t->index < 256) {
        d->unit = t->index;
    }
}

static void take_place(struct reading *r, struct node *disk, const struct target *t,
                       struct plan_disk *d)
{
    static const char *const parts[] = {"@controller", "@bus", "@target", "@unit", NULL};
    struct node *address = node_first(disk, "address");
    int controller, target, unit;

    take_pci(r, disk, &d->place);
    if (!node_is(node_get(address, "@type"), "drive")) {
        place_by_index(t, d);
        return;
    }
    controller = (int)read_number(r, node_get(address, "@controller"), 0, 255, 0);
    target = (int)read_number(r, node_get(address, "@target"), 0, 255, 0);
    unit = (int)read_number(r, node_get(address, "@unit"), 0, 255, 0);
    if (strcmp(t->bus, "ide") == 0) /* the channel is what guests see */
        controller = (int)read_number(r, node_get(address, "@bus"), 0, 255, 0);
    d->controller = controller;
    d->unit = target ? target : unit;
    keep_address(r, address, parts);
}

static bool occupied(const struct plan *p, const char *bus, const struct plan_disk *d)
{
    for (size_t i = 0; i < p->disks && d->unit >= 0; i++) {
        const struct plan_disk *o = &p->disk[i];

        if (o->bus && strcmp(o->bus, bus) == 0 && o->controller == d->controller &&
            o->unit == d->unit)
            return true;
    }
    return false;
}

/* Of two disks with one name, which bhyve allows since each has a PCI address of its own, the
 * second goes to the next place that is free: no plan has two disks in one. */
static void step_aside(struct reading *r, struct node *disk, const char *bus, struct target *t,
                       struct plan_disk *d)
{
    char place[48];

    if (node_is(node_get(disk, "address/@type"), "drive") || !occupied(r->p, bus, d))
        return;
    for (size_t n = r->p->disks; n > 0 && occupied(r->p, bus, d); n--) {
        t->index++;
        place_by_index(t, d);
    }
    snprintf(place, sizeof(place), "%s %d:%d", bus, d->controller, d->unit);
    read_change(r, node_get(disk, "target/@dev"), place, "another disk has this name");
}

static void take_mode(struct reading *r, struct node *disk, struct plan_disk *d)
{
    struct node *readonly = node_first(disk, "readonly"), *lost = node_first(disk, "transient");

    if (readonly && !d->cdrom) {
        d->write = PLAN_READONLY;
        d->write_said = true;
    } else if (lost) {
        d->write = PLAN_SNAPSHOT;
        d->write_said = true;
    }
    read_keep(r, readonly);
    read_keep(r, lost);
}

static bool on_network(const struct node *disk)
{
    const struct node *type = node_get(disk, "@type");

    return type && !node_is(type, "file") && !node_is(type, "block");
}

/* The node that names a file or block device, NULL: there is none. */
static struct node *source_of(const struct node *disk)
{
    struct node *source = node_first(disk, "source"), *file = node_get(source, "@file");

    if (!file)
        file = node_get(source, "@dev");
    return file && file->value && *file->value ? file : NULL;
}

static void take_details(struct reading *r, struct node *disk, struct plan_disk *d)
{
    struct node *format = node_get(disk, "driver/@type");

    if (format && format->value && *format->value && !d->cdrom)
        read_set(r, &d->format, node_is(format, "vpc") ? "vhd" : format->value);
    read_keep(r, format);
    read_text(r, &d->serial, node_first(disk, "serial"));
    take_mode(r, disk, d);
    take_order(r, disk, &d->boot);
    read_keep(r, node_get(disk, "@type"));
    read_keep(r, node_get(disk, "@device"));
    read_keep(r, node_get(disk, "target/@dev"));
    read_keep(r, node_get(disk, "target/@bus"));
    read_drop(r, node_first(disk, "wwn"), "names by it (/dev/disk/by-id/wwn-*) are gone");
    read_drop(r, node_first(disk, "vendor"), "disks say the persona's name");
    read_drop(r, node_first(disk, "product"), "disks say the persona's name");
    read_drop_all(r, node_first(disk, "backingStore"), "the file names its parent itself");
    read_drop_all(r, node_first(disk, "iotune"), "shares and limits belong to the host");
    read_drop(r, node_first(disk, "shareable"), "disks are not shared between machines");
}

static bool floppy(struct node *disk)
{
    return node_is(node_get(disk, "@device"), "floppy") || strcmp(target_of(disk).bus, "fdc") == 0;
}

/* Has it nothing to take? Then it has been told why. */
static bool left_out(struct reading *r, struct node *disk, const struct node *file)
{
    struct node *device = node_get(disk, "@device");
    const char *why = NULL;

    if (node_is(device, "lun"))
        why = "a device that is passed through belongs to its host";
    else if (on_network(disk))
        why = "the disk is not a file of this host (network, pool or folder); copy it, and add it "
              "by --disk";
    else if (!file && !node_is(device, "cdrom") && !floppy(disk))
        why = "the disk has no file";
    if (why)
        read_drop_all(r, disk, why);
    return why != NULL;
}

static void take_disk(struct reading *r, struct node *devices, struct node *disk, int *index)
{
    struct node *device = node_get(disk, "@device"), *file;
    struct target t = target_of(disk);
    struct plan_disk *d, place = {.controller = -1, .unit = -1};
    const char *bus;

    file = source_of(disk);
    if (left_out(r, disk, file))
        return;
    if (floppy(disk)) {
        d = read_floppy(r, file,
                        file && node_is(node_get(disk, "@type"), "block") ? READ_HOST_DRIVE : NULL);
        if (d)
            take_details(r, disk, d);
        read_keep_all(r, node_first(disk, "address"));
        return;
    }
    take_place(r, disk, &t, &place);
    bus = bus_of(devices, t.bus, place.controller < 0 ? 0 : place.controller,
                 r->p->persona ? r->p->persona : "");
    if (!bus)
        read_fail(r, node_get(disk, "target/@bus"), "not a bus that hospes knows");
    else
        step_aside(r, disk, bus, &t, &place);
    /* One that nobody described is there all the same. */
    d = strcmp(t.bus, "scsi") != 0 ||
                read_controller(r, bus, place.controller < 0 ? 0 : place.controller)
            ? read_disk(r, bus)
            : NULL;
    if (!d) {
        free(place.place.pci);
        return;
    }
    d->controller = place.controller;
    d->unit = place.unit;
    d->place.pci = place.place.pci;
    d->cdrom = node_is(device, "cdrom");
    *index = t.index;
    if (file)
        read_file(r, file, d);
    else
        read_no_disc(r, NULL, NULL, d);
    take_details(r, disk, d);
}

/* libvirt orders disks of one bus by their targets' names. */
static void sort(struct plan *p, int *index, size_t from)
{
    for (size_t i = from + 1; i < p->disks; i++) {
        for (size_t k = i; k > from; k--) {
            struct plan_disk *a = &p->disk[k - 1], *b = &p->disk[k], tmp = *a;
            int n = index[k - 1];

            if (strcmp(a->bus, b->bus) != 0 || n <= index[k])
                break;
            *a = *b;
            *b = tmp;
            index[k - 1] = index[k];
            index[k] = n;
        }
    }
}

static void take_disks(struct reading *r, struct node *devices)
{
    int index[PLAN_MAX_DISKS] = {0};

    for (struct node *n = node_first(devices, "disk"); n && r->rc == 0; n = node_next(n, "disk")) {
        int at = 0;
        size_t before = r->p->disks;

        if (!floppy(n))
            take_disk(r, devices, n, &at);
        if (r->rc == 0 && r->p->disks > before)
            index[before] = at;
    }
    if (r->rc == 0)
        sort(r->p, index, 0);
    for (struct node *n = node_first(devices, "disk"); n && r->rc == 0; n = node_next(n, "disk")) {
        if (floppy(n))
            take_disk(r, devices, n, index);
    }
}

/* --- cards --- */

static const char *card_model(const char *libvirt)
{
    if (strncmp(libvirt, "virtio", 6) == 0)
        return "virtio";
    if (strcmp(libvirt, "netfront") == 0)
        return "vif";
    if (strcmp(libvirt, "pcnet") == 0)
        return "vlance";
    return libvirt;
}

static void take_card(struct reading *r, struct node *n)
{
    struct node *model = node_get(n, "model/@type"), *source = node_first(n, "source");
    static const char *const names[] = {"@network", "@bridge", "@dev", "@name"};
    const char *is = model && model->value && *model->value ? card_model(model->value) : NULL;
    struct plan_nic *nic;

    if (node_is(node_get(n, "@type"), "hostdev") || node_is(node_get(n, "@type"), "vdpa")) {
        read_drop_all(r, n, "devices of the other host are not here");
        return;
    }
    nic = read_nic(r, is);
    if (!nic)
        return;
    read_mac(r, node_get(n, "mac/@address"), nic);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        read_lan(r, node_get(source, names[i]), nic);
    if (is && strcmp(is, model->value) != 0)
        read_change(r, model, is, "the card's name in hospes' words");
    else
        read_keep(r, model);
    take_pci(r, n, &nic->place);
    take_order(r, n, &nic->boot);
    if (node_is(node_get(n, "@type"), "user"))
        read_keep(r, node_get(n, "@type"));
    else
        read_change(r, node_get(n, "@type"), "user",
                    "that network is not here; choose another by --nic when running");
}

static void take_tpm(struct reading *r, struct node *devices)
{
    struct node *tpm = node_first(devices, "tpm"), *version = node_get(tpm, "backend/@version");

    if (!tpm)
        return;
    read_tpm(r, version ? version : node_get(tpm, "@model"),
             version && version->value && *version->value ? version->value : "2.0");
}

void libvirt_devices(struct reading *r, struct node *devices)
{
    take_controllers(r, devices);
    take_disks(r, devices);
    for (struct node *n = node_first(devices, "interface"); n && r->rc == 0;
         n = node_next(n, "interface"))
        take_card(r, n);
    take_tpm(r, devices);
}
