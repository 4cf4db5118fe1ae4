/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hyperv.c - Hyper-V's description of a machine: the binary .vmcx of 2016 and later, and the .xml
 * before; both hold the same tree of keys.
 *
 * Document: none is public for the keys; names and meanings as files that Hyper-V wrote have them,
 * and device classes as Microsoft's WMI provider names them. Refused: machines with a saved state.
 * Not modelled: .vmgs, which holds the UEFI variables and the TPM's state.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "import/hvs.h"
#include "import/hyperv.h"
#include "import/xml.h"

enum { DRIVES = 64 };

/* Hyper-V writes a device's settings into _INSTANCE_. */
static struct node *settings_of(struct reading *r, const char *instance)
{
    char name[64];

    snprintf(name, sizeof(name), "_%.40s_", instance);
    return node_first(node_first(&r->t.top, "configuration"), name);
}

/* --- the machine --- */

static void take_version(struct reading *r, struct node *n)
{
    unsigned long v = n && n->value ? strtoul(n->value, NULL, 10) : 0;
    char text[32];

    if (!v || v > 0xffff)
        return;
    snprintf(text, sizeof(text), "hyperv-%lu.%lu", v >> 8, v & 0xff);
    read_set(r, &r->p->hardware, text);
    read_keep(r, n);
}

/* Two quadwords of which the higher comes first, each of them little-endian; in memory the lower
 * comes first, and that is printed as every UUID is. */
static void take_genid(struct reading *r, struct node *n)
{
    static const uint8_t order[16] = {11, 10, 9, 8, 13, 12, 15, 14, 0, 1, 2, 3, 4, 5, 6, 7};
    uint8_t raw[16];

    if (!n || !n->value || !*n->value)
        return;
    if (!import_uuid(n->value, raw)) {
        read_drop(r, n, "not the 16 bytes that it should be");
        return;
    }
    for (unsigned i = 0; i < 16; i++)
        r->p->genid.b[i] = raw[order[i]];
    r->p->genid.said = true;
    read_keep(r, n);
}

static void take_boot(struct reading *r, struct node *bios)
{
    static const struct {
        const char *word;
        char kind;
    } words[] = {{"HardDrive", 'c'}, {"Optical", 'd'}, {"Network", 'n'}, {"Floppy", 'a'}};
    unsigned next = 1;

    for (int i = 0; i < 4; i++) {
        char path[32];
        struct node *device;

        snprintf(path, sizeof(path), "boot/device%d", i);
        device = node_get(bios, path);
        for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
            if (node_is(device, words[k].word))
                read_boot_kind(r, words[k].kind, &next);
        }
        read_keep(r, device);
    }
}

static void take_bios(struct reading *r)
{
    struct node *bios = settings_of(r, HYPERV_BIOS), *secure;
    struct plan_smbios *s = &r->p->smbios;

    read_uuid(r, node_first(bios, "bios_guid"));
    read_text(r, &s->serial, node_first(bios, "bios_serial_number"));
    read_text(r, &s->board_serial, node_get(bios, "base_board/serial_number"));
    read_text(r, &s->chassis_serial, node_get(bios, "chassis/serial_number"));
    read_text(r, &s->asset_tag, node_get(bios, "chassis/asset_tag"));
    secure = node_first(bios, "secure_boot_enabled");
    read_secure_boot(r, secure, read_true(secure));
    take_boot(r, bios);
}

static void take_tpm(struct reading *r)
{
    for (struct node *n = node_walk(&r->t.top, NULL); n; n = node_walk(&r->t.top, n)) {
        if (n->value && strcasestr(n->name, "tpm") && strcasestr(n->name, "enabled") &&
            read_true(n))
            read_tpm(r, n, "2.0");
    }
}

static void refuse_what_cannot_run(struct reading *r, struct node *c)
{
    struct node *saved = node_first(&r->t.top, "savedstate");

    if ((!c && (saved || node_first(&r->t.top, "savedVM"))) || (c && !node_first(c, "settings")))
        read_fail(r, NULL, "it holds a machine's running state; give the .vmcx beside it");
    if (r->rc == 0 && !c)
        read_fail(r, NULL, "there is no configuration of a machine in it");
    if (r->rc == 0 && saved && saved->child)
        read_fail(r, saved, "the machine is saved; start it in Hyper-V and shut it down");
    saved = node_get(c, "properties/saved_state");
    if (saved && read_true(saved))
        read_fail(r, saved, "the machine is saved; start it in Hyper-V and shut it down");
}

static void take_machine(struct reading *r, struct node *c)
{
    struct node *generation = node_get(c, "properties/subtype");

    read_persona(r, "hyperv", "a machine of Hyper-V");
    read_name(r, node_get(c, "properties/name"));
    read_text(r, &r->p->notes, node_get(c, "properties/notes"));
    take_version(r, node_get(c, "properties/version"));
    read_set(r, &r->p->firmware, node_is(generation, "1") ? "uefi" : "bios");
    read_keep(r, generation);
    r->p->cpus = 1;
    read_cpus(r, node_get(c, "settings/processors/count"));
    read_memory(r, node_get(c, "settings/memory/bank/size"), MiB, 0);
    take_genid(r, node_get(c, "global_settings/devices/generation_id"));
}

/* --- devices --- */

static void take_drive(struct reading *r, struct node *drive, const char *bus, int controller,
                       int unit)
{
    struct node *type = node_first(drive, "type"), *path = node_first(drive, "pathname");
    bool empty = !path || !path->value || !*path->value, cdrom = node_is(type, "ISO");
    struct plan_disk *d;

    if (!type && !path)
        return;
    if ((empty && !cdrom) || node_is(type, "NONE")) {
        read_drop_all(r, drive, "nothing is there; --cdrom none adds an empty drive");
        return;
    }
    if (node_is(type, "PHYSICAL") || node_is(type, "PT")) {
        read_drop_all(r, drive, "a disk that is passed through belongs to its host");
        return;
    }
    d = read_disk(r, bus);
    if (!d)
        return;
    d->cdrom = cdrom;
    d->controller = controller;
    d->unit = unit;
    if (empty)
        read_no_disc(r, path, NULL, d);
    else
        read_file(r, path, d);
    read_keep(r, type);
    read_drop_all(r, drive, "a limit or a habit of Hyper-V's own host side");
}

static void take_drives(struct reading *r, struct node *controller, const char *bus, int number)
{
    for (int i = 0; i < DRIVES && r->rc == 0; i++) {
        char name[16];

        snprintf(name, sizeof(name), "drive%d", i);
        if (node_first(controller, name))
            take_drive(r, node_first(controller, name), bus, number, i);
    }
}

static void take_ide(struct reading *r)
{
    struct node *ide = settings_of(r, HYPERV_IDE);

    take_drives(r, node_first(ide, "controller0"), "ide", 0);
    take_drives(r, node_first(ide, "controller1"), "ide", 1);
}

/* A machine of generation 1 has one, of which the file says what is in it. */
static void take_floppy(struct reading *r)
{
    struct node *drive = node_get(settings_of(r, HYPERV_FLOPPY), "controller0/drive0");
    struct node *path = node_first(drive, "pathname"), *type = node_first(drive, "type");

    if (!node_is(type, "VFD"))
        return;
    (void)read_floppy(r, path, NULL);
    read_keep(r, type);
}

static void take_scsi(struct reading *r, struct node *settings, int number)
{
    struct plan_controller *c = read_controller(r, "scsi", number);

    if (!c)
        return;
    read_guid(r, node_first(settings, "ChannelInstanceGuid"), &c->place.instance);
    take_drives(r, node_first(settings, "controller0"), "scsi", number);
}

static void take_card(struct reading *r, struct node *settings, const char *model)
{
    struct plan_nic *n = read_nic(r, model);
    struct node *lan = node_get(settings, "Connection/AltSwitchName");

    if (!n)
        return;
    read_mac(r, node_first(settings, "MacAddress"), n);
    read_keep(r, node_first(settings, "MacAddressIsStatic"));
    read_guid(r, node_first(settings, "ChannelInstanceGuid"), &n->place.instance);
    if (lan && lan->value && *lan->value)
        read_lan(r, lan, n);
    lan = node_first(settings, "SwitchName");
    if (lan && lan->value && *lan->value)
        read_lan(r, lan, n);
}

/* The manifest lists the devices; their order is the order in which guests find them. */
static void take_manifest(struct reading *r, struct node *c)
{
    struct node *manifest = node_first(c, "manifest");
    int scsi = 0;

    for (struct node *v = node_first(manifest, NULL); v && r->rc == 0; v = v->next) {
        const char *class = node_text(v, "device"), *instance = node_text(v, "instance");
        const char *name = node_text(v, "name");
        bool used = true;

        if (!class || !instance)
            continue;
        if (strcasecmp(class, HYPERV_SCSI) == 0)
            take_scsi(r, settings_of(r, instance), scsi++);
        else if (strcasecmp(class, HYPERV_NIC) == 0)
            take_card(r, settings_of(r, instance), "netvsc");
        else if (name && strcasestr(name, "Emulated Ethernet"))
            take_card(r, settings_of(r, instance), "dec21140");
        else
            used = strcasecmp(class, HYPERV_FLOPPY) == 0;
        if (used)
            read_keep_all(r, v);
    }
}

static const struct read_rule rules[] = {
    {"configuration/manifest", "devices of the persona's own, present or not as it decides"},
    {"configuration/properties/", "how Hyper-V kept the machine"},
    {"configuration/global_settings", "how Hyper-V kept the machine"},
    {"configuration/settings/memory", "the guest starts with all of its memory"},
    {"configuration/settings/processors", "processors are those of this host, without limits"},
    {"configuration/settings/", "a setting of Hyper-V's own host side"},
    {"*Connection", "a matter of the switch outside"},
    {"*StateFilePath", "UEFI variables and the TPM's state (.vmgs) are not read"},
    {"*VDEVVersion", "devices have the versions that the persona negotiates"},
    {"*num_lock", "firmware settings are hospes' own"},
    {"*boot", "firmware settings are hospes' own"},
    {"*secure_boot", "firmware settings are hospes' own"},
    {"*pxe_", "firmware settings are hospes' own"},
    {"*pause_after", "firmware settings are hospes' own"},
    {"*controller", "a drive or a setting that hospes does not need"},
    {"*port", "serial ports are chosen when running"},
    {"*@type", "the form of the file"},
    {"configuration/_", "a setting of a device, of which guests see nothing"},
    {NULL, NULL},
};

static void take(struct reading *r)
{
    struct node *c = node_first(&r->t.top, "configuration");

    refuse_what_cannot_run(r, c);
    if (r->rc < 0)
        return;
    take_machine(r, c);
    r->p->nics_said = true;
    take_ide(r);
    take_manifest(r, c);
    take_floppy(r);
    take_bios(r);
    take_tpm(r);
    read_rest(r, rules);
}

static int parse(struct reading *r)
{
    return hvs_probe(r->f->text, r->f->size) ? hvs_parse(r) : xml_parse(r);
}

static int hyperv_read(const struct import_file *f, struct plan *p, struct import_report *r,
                       struct err *e)
{
    return read_tree(f, p, r, e, '/', parse, take);
}

static int hyperv_probe(const char *head, size_t n)
{
    if (hvs_probe(head, n))
        return 95;
    return xml_probe(head, n, "configuration") ? 60 : 0;
}

const struct importer_ops importer_hyperv = {
    .name = "hyperv",
    .about = "Hyper-V: .vmcx of 2016 and later, .xml before, and the folders of an export",
    .suffixes = ".vmcx .xml",
    .max_size = 8 << 20,
    .probe = hyperv_probe,
    .read = hyperv_read,
};
