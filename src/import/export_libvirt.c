/* SPDX-License-Identifier: Apache-2.0 */
/* export_libvirt.c - a plan as a libvirt domain; https://libvirt.org/formatdomain.html. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/ids.h"
#include "import/export.h"
#include "machine/plan.h"
#include "storage/letters.h"

struct libvirt_out {
    const struct plan *p;
    struct export *x;
    struct err *e;
    struct buf *b;
    unsigned letters[5]; /* the next of sd, vd, hd, xvd, fd */
    int rc;
};

struct pair {
    const char *plan, *libvirt;
};

static const char *word(const struct pair *list, size_t n, const char *plan)
{
    for (size_t i = 0; plan && i < n; i++) {
        if (strcmp(list[i].plan, plan) == 0)
            return list[i].libvirt;
    }
    return NULL;
}

static void element(struct libvirt_out *o, const char *indent, const char *name, const char *value)
{
    if (!value)
        return;
    buf_fmt(o->b, "%s<%s>", indent, name);
    buf_xml(o->b, value);
    buf_fmt(o->b, "</%s>\n", name);
}

/* --- the machine --- */

/* "menu" or "menu=SECONDS"; libvirt counts milliseconds. */
static void put_menu(struct libvirt_out *o)
{
    const char *opts = o->p->firmware_opts;
    unsigned seconds = 0;

    if (!opts || strncmp(opts, "menu", 4) != 0 || (opts[4] && opts[4] != '=' && opts[4] != ','))
        return;
    buf_add(o->b, "    <bootmenu enable='yes'");
    if (sscanf(opts, "menu=%5u", &seconds) == 1)
        buf_fmt(o->b, " timeout='%u'", seconds * 1000);
    buf_add(o->b, "/>\n");
}

static void put_os(struct libvirt_out *o)
{
    const struct plan *p = o->p;
    bool uefi = p->firmware && strcmp(p->firmware, "uefi") == 0;

    buf_fmt(o->b, "  <os%s>\n    <type arch='x86_64'", uefi ? " firmware='efi'" : "");
    buf_attr(o->b, "machine", p->hardware);
    buf_add(o->b, ">hvm</type>\n");
    if (uefi && p->secure_boot)
        buf_add(o->b, "    <firmware>\n      <feature enabled='yes' name='secure-boot'/>\n"
                      "    </firmware>\n");
    put_menu(o);
    element(o, "    ", "kernel", p->kernel);
    element(o, "    ", "initrd", p->initrd);
    element(o, "    ", "cmdline", p->append);
    if (p->smbios.vendor || p->smbios.product || p->smbios.serial || p->smbios.version ||
        p->smbios.sku || p->smbios.family || p->smbios.board_serial || p->smbios.chassis_serial ||
        p->smbios.asset_tag)
        buf_add(o->b, "    <smbios mode='sysinfo'/>\n");
    buf_add(o->b, "  </os>\n");
}

static void entry(struct libvirt_out *o, const char *name, const char *value)
{
    if (!value)
        return;
    buf_fmt(o->b, "      <entry name='%s'>", name);
    buf_xml(o->b, value);
    buf_add(o->b, "</entry>\n");
}

static void put_sysinfo(struct libvirt_out *o)
{
    const struct plan_smbios *s = &o->p->smbios;

    if (!s->vendor && !s->product && !s->version && !s->serial && !s->sku && !s->family &&
        !s->board_serial && !s->chassis_serial && !s->asset_tag)
        return;
    buf_add(o->b, "  <sysinfo type='smbios'>\n    <system>\n");
    entry(o, "manufacturer", s->vendor);
    entry(o, "product", s->product);
    entry(o, "version", s->version);
    entry(o, "serial", s->serial);
    entry(o, "sku", s->sku);
    entry(o, "family", s->family);
    buf_add(o->b, "    </system>\n    <baseBoard>\n");
    entry(o, "serial", s->board_serial);
    buf_add(o->b, "    </baseBoard>\n    <chassis>\n");
    entry(o, "serial", s->chassis_serial);
    entry(o, "asset", s->asset_tag);
    buf_add(o->b, "    </chassis>\n  </sysinfo>\n");
}

static void put_machine(struct libvirt_out *o)
{
    static const struct pair types[] = {{"xen", "xen"}, {"vmware", "vmware"}, {"hyperv", "hyperv"}};
    const struct plan *p = o->p;
    const char *type = word(types, ARRAY_SIZE(types), p->persona);
    char guid[37];

    buf_fmt(o->b, "<domain type='%s'>\n", type ? type : "kvm");
    element(o, "  ", "name", p->name ? p->name : "guest");
    if (p->uuid_said) {
        export_guid(p->uuid, guid);
        element(o, "  ", "uuid", guid);
    }
    if (p->genid.said) {
        export_guid(p->genid.b, guid);
        element(o, "  ", "genid", guid);
    }
    element(o, "  ", "title", p->title);
    element(o, "  ", "description", p->notes);
    if (p->guest_os && strncmp(p->guest_os, "http", 4) == 0) {
        buf_add(o->b, "  <metadata>\n    <libosinfo:libosinfo "
                      "xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>\n"
                      "      <libosinfo:os");
        buf_attr(o->b, "id", p->guest_os);
        buf_add(o->b, "/>\n    </libosinfo:libosinfo>\n  </metadata>\n");
    }
    if (p->memory)
        buf_fmt(o->b, "  <memory unit='KiB'>%llu</memory>\n",
                (unsigned long long)(p->memory / KiB));
    buf_fmt(o->b, "  <vcpu>%u</vcpu>\n", p->cpus ? p->cpus : 1);
    put_sysinfo(o);
    put_os(o);
    buf_fmt(o->b, "  <features>\n    <acpi/>\n    <apic/>\n%s  </features>\n",
            p->persona && strcmp(p->persona, "bare") == 0
                ? "    <kvm>\n      <hidden state='on'/>\n    </kvm>\n"
                : "");
    if (p->cores && p->cpus % p->cores == 0)
        buf_fmt(o->b, "  <cpu>\n    <topology sockets='%u' cores='%u' threads='1'/>\n  </cpu>\n",
                p->cpus / p->cores, p->cores);
    buf_fmt(o->b, "  <clock offset='%s'/>\n", p->rtc_local ? "localtime" : "utc");
}

/* --- places --- */

static void put_pci(struct libvirt_out *o, const struct plan_place *place)
{
    unsigned domain, bus, slot, function;

    if (place->pci && sscanf(place->pci, "%4x:%2x:%2x.%1x", &domain, &bus, &slot, &function) == 4)
        buf_fmt(o->b,
                "      <address type='pci' domain='0x%04x' bus='0x%02x' slot='0x%02x' "
                "function='0x%x'/>\n",
                domain, bus, slot, function);
}

static const struct pair scsi_models[] = {
    {"virtio-scsi", "virtio-scsi"}, {"lsilogic", "lsilogic"}, {"lsisas1068", "lsisas1068"},
    {"megasas", "lsisas1078"},      {"pvscsi", "vmpvscsi"},   {"buslogic", "buslogic"},
    {"am53c974", "am53c974"},       {"lsi53c895a", ""},       {"scsi", ""},
};

static const struct pair buses[] = {
    {"virtio", "virtio"}, {"ide", "ide"}, {"ahci", "sata"}, {"nvme", "nvme"},
    {"xvd", "xen"},       {"usb", "usb"}, {"sd", "sd"},     {"floppy", "fdc"},
};

static const char *bus_of(const char *plan)
{
    return word(scsi_models, ARRAY_SIZE(scsi_models), plan) ? "scsi"
                                                            : word(buses, ARRAY_SIZE(buses), plan);
}

static void put_controller(struct libvirt_out *o, const char *plan, int number,
                           const struct plan_place *place)
{
    const char *bus = bus_of(plan), *model = word(scsi_models, ARRAY_SIZE(scsi_models), plan);

    if (!bus || strcmp(bus, "virtio") == 0 || strcmp(bus, "xen") == 0 || strcmp(bus, "sd") == 0)
        return;
    buf_fmt(o->b, "    <controller type='%s' index='%d'", bus, number);
    buf_attr(o->b, "model", model && *model ? model : NULL);
    buf_add(o->b, ">\n");
    if (place)
        put_pci(o, place);
    buf_add(o->b, "    </controller>\n");
}

static void put_controllers(struct libvirt_out *o)
{
    const struct plan *p = o->p;

    for (size_t i = 0; i < p->ctls; i++)
        put_controller(o, p->ctl[i].bus, p->ctl[i].number, &p->ctl[i].place);
    /* Of a SCSI bus that disks name and nobody described, libvirt has to know the model. */
    for (size_t i = 0; i < p->disks; i++) {
        const struct plan_disk *d = &p->disk[i];
        const char *model = word(scsi_models, ARRAY_SIZE(scsi_models), d->bus);
        bool known = !model || !*model;

        for (size_t k = 0; k < p->ctls; k++)
            known |= strcmp(p->ctl[k].bus, d->bus ? d->bus : "") == 0;
        for (size_t k = 0; k < i; k++)
            known |= p->disk[k].bus && d->bus && strcmp(p->disk[k].bus, d->bus) == 0;
        if (!known)
            put_controller(o, d->bus, d->controller < 0 ? 0 : d->controller, NULL);
    }
}

/* --- disks --- */

static void put_target(struct libvirt_out *o, const char *bus, const struct plan_disk *d)
{
    static const struct {
        const char *bus, *prefix;
        unsigned list;
    } names[] = {{"virtio", "vd", 1}, {"ide", "hd", 2}, {"xen", "xvd", 3}, {"fdc", "fd", 4}};
    const char *prefix = "sd";
    unsigned list = 0, n;
    char letters[LETTERS_ROOM];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i].bus, bus) == 0) {
            prefix = names[i].prefix;
            list = names[i].list;
        }
    }
    n = list == 3 && d->unit >= 0 ? (unsigned)d->unit : o->letters[list]++;
    letters_of(n, letters);
    buf_fmt(o->b, "      <target dev='%s%s' bus='%s'/>\n", prefix, letters, bus);
}

static void put_address(struct libvirt_out *o, const char *bus, const struct plan_disk *d)
{
    bool ide = strcmp(bus, "ide") == 0;

    put_pci(o, &d->place);
    if (d->place.pci || d->controller < 0 || d->unit < 0)
        return;
    if (ide || strcmp(bus, "scsi") == 0 || strcmp(bus, "sata") == 0)
        buf_fmt(o->b,
                "      <address type='drive' controller='%d' bus='%d' target='0' unit='%d'/>\n",
                ide ? 0 : d->controller, ide ? d->controller : 0, d->unit);
}

static const char *format_of(const struct plan_disk *d)
{
    static const char *const known[] = {"qcow2", "vmdk", "vdi", "vhdx", "qed"};
    const char *dot = d->path ? strrchr(d->path, '.') : NULL;

    if (d->format)
        return strcmp(d->format, "vhd") == 0 ? "vpc" : d->format;
    for (size_t i = 0; dot && i < ARRAY_SIZE(known); i++) {
        if (strcmp(dot + 1, known[i]) == 0)
            return NULL; /* libvirt takes raw when nothing is said, so this is told */
    }
    return NULL;
}

/* An empty drive has none. */
static void put_source(struct libvirt_out *o, size_t i)
{
    const struct plan_disk *d = &o->p->disk[i];
    char *name = NULL;

    if (!d->path)
        return;
    o->rc = export_disk(o->x, i, d, NULL, &name, o->e);
    if (o->rc < 0)
        return;
    buf_add(o->b, "      <source file=\"");
    if (name[0] != '/') { /* libvirt wants whole paths */
        buf_xml(o->b, o->x->dir);
        buf_add(o->b, "/");
    }
    buf_xml(o->b, name);
    buf_add(o->b, "\"/>\n");
    free(name);
}

static void put_disk(struct libvirt_out *o, size_t i)
{
    const struct plan_disk *d = &o->p->disk[i];
    const char *bus = bus_of(d->bus);
    char key[24];

    if (!bus) {
        snprintf(key, sizeof(key), "disk%zu bus", i);
        if (d->bus)
            o->rc = export_tell(o->x, key, d->bus, "virtio", "libvirt has no such bus", o->e);
        bus = "virtio";
    }
    buf_fmt(o->b, "    <disk type='file' device='%s'>\n",
            plan_floppy(d) ? "floppy"
            : d->cdrom     ? "cdrom"
                           : "disk");
    if (format_of(d)) {
        buf_add(o->b, "      <driver name='qemu'");
        buf_attr(o->b, "type", format_of(d));
        buf_add(o->b, "/>\n");
    }
    put_source(o, i);
    put_target(o, bus, d);
    if (d->write_said && d->write == PLAN_READONLY && !d->cdrom)
        buf_add(o->b, "      <readonly/>\n");
    if (d->write_said && d->write == PLAN_SNAPSHOT)
        buf_add(o->b, "      <transient/>\n");
    element(o, "      ", "serial", d->serial);
    if (d->boot)
        buf_fmt(o->b, "      <boot order='%u'/>\n", d->boot);
    put_address(o, bus, d);
    buf_add(o->b, "    </disk>\n");
}

/* --- cards --- */

static void put_card(struct libvirt_out *o, const struct plan_nic *n)
{
    static const struct pair models[] = {{"vif", "netfront"}, {"vlance", "pcnet"}};
    const char *model = word(models, ARRAY_SIZE(models), n->model);

    buf_fmt(o->b, "    <interface type='%s'>\n", n->lan ? "network" : "user");
    if (n->mac_said)
        buf_fmt(o->b, "      <mac address='" MAC_FMT "'/>\n", MAC_ARGS(n->mac));
    if (n->lan) {
        buf_add(o->b, "      <source");
        buf_attr(o->b, "network", n->lan);
        buf_add(o->b, "/>\n");
    }
    if (n->model) {
        buf_add(o->b, "      <model");
        buf_attr(o->b, "type", model ? model : n->model);
        buf_add(o->b, "/>\n");
    }
    if (n->boot)
        buf_fmt(o->b, "      <boot order='%u'/>\n", n->boot);
    put_pci(o, &n->place);
    buf_add(o->b, "    </interface>\n");
}

static int libvirt_make(const struct plan *p, struct export *x, struct err *e)
{
    struct libvirt_out o = {.p = p, .x = x, .e = e};

    o.b = export_file(x, e, "%s.xml", p->name ? p->name : "guest");
    if (!o.b)
        return -e->code;
    put_machine(&o);
    buf_add(o.b, "  <devices>\n");
    put_controllers(&o);
    for (size_t i = 0; i < p->disks && o.rc == 0; i++)
        put_disk(&o, i);
    for (size_t i = 0; i < p->nics; i++)
        put_card(&o, &p->nic[i]);
    if (p->tpm) {
        buf_add(o.b, "    <tpm model='tpm-crb'>\n      <backend type='emulator'");
        buf_attr(o.b, "version", p->tpm);
        buf_add(o.b, "/>\n    </tpm>\n");
    }
    buf_add(o.b, "    <serial type='pty'/>\n  </devices>\n</domain>\n");
    if (p->persona_opts && o.rc == 0)
        o.rc = export_tell(x, "persona-options", p->persona_opts, NULL,
                           "libvirt's machines have no such settings", e);
    return o.rc < 0 ? o.rc : buf_end(o.b, e);
}

const struct exporter_ops exporter_libvirt = {
    .name = "libvirt",
    .about = "a domain for virsh define",
    .make = libvirt_make,
};
