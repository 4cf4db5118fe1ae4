/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xl.c - Xen's xl.cfg, and the xm files before it.
 *
 * Document: xl.cfg(5), xl-disk-configuration(5) and xl-network-configuration(5) of Xen 4.17. A
 * guest of any kind becomes one for the xen persona: HVM and PVH start as they did, a PV kernel
 * starts by its PVH entry. An IDE disk of an HVM guest is its xvd disk: drivers see the one,
 * firmware both.
 */
#define _GNU_SOURCE
#include "import/xl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "storage/letters.h"

static struct node *key(struct reading *r, const char *name)
{
    return node_first(&r->t.top, name);
}

static void take_own_file(struct reading *r, struct node *n, char **at)
{
    struct plan_disk none = {0};

    read_file(r, n, &none);
    if (none.path)
        read_set(r, at, none.path);
    free(none.path);
}

/* --- how it starts --- */

static bool is_hvm(struct reading *r)
{
    return node_is(key(r, "builder"), "hvm") || node_is(key(r, "type"), "hvm");
}

static void take_append(struct reading *r)
{
    struct node *cmdline = key(r, "cmdline"), *extra = key(r, "extra"), *root = key(r, "root");
    char text[4096] = "";

    if (cmdline) { /* xl: then extra and root do not count */
        read_text(r, &r->p->append, cmdline);
        read_drop(r, extra, "cmdline is there, so this does not count, as in xl");
        read_drop(r, root, "cmdline is there, so this does not count, as in xl");
        return;
    }
    if (root && root->value)
        snprintf(text, sizeof(text), "root=%s%s", root->value, extra ? " " : "");
    if (extra && extra->value)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", extra->value);
    if (*text)
        read_set(r, &r->p->append, text);
    read_keep(r, extra);
    read_keep(r, root);
}

static void take_kernel(struct reading *r)
{
    struct node *kernel = key(r, "kernel"), *ramdisk = key(r, "ramdisk");
    struct node *loader = key(r, "bootloader");

    if (kernel && kernel->value && strstr(kernel->value, "hvmloader")) {
        read_change(r, kernel, "hospes' BIOS", "firmware comes with hospes");
    } else if (kernel && kernel->value && *kernel->value) {
        take_own_file(r, kernel, &r->p->kernel);
        if (ramdisk && ramdisk->value && *ramdisk->value)
            take_own_file(r, ramdisk, &r->p->initrd);
        take_append(r);
    }
    read_drop(
        r, loader,
        "a paravirtual guest's kernel lies inside its disk; where the disk has no boot loader "
        "of its own, give --kernel");
}

static void take_firmware(struct reading *r)
{
    struct node *bios = key(r, "bios"), *firmware = key(r, "firmware");
    struct node *n = bios ? bios : firmware;
    bool uefi = node_is(n, "ovmf") || node_is(n, "uefi");

    if (!r->p->kernel)
        read_set(r, &r->p->firmware, uefi ? "uefi" : "bios");
    if (uefi || node_is(n, "seabios") || node_is(n, "rombios") || node_is(n, "bios"))
        read_keep(r, n);
    read_keep(r, key(r, "builder"));
    read_keep(r, key(r, "type"));
}

/* "dcn": CD, disk, network. */
static void take_boot(struct reading *r)
{
    struct node *boot = key(r, "boot");
    unsigned next = 1;

    for (const char *c = boot && boot->value ? boot->value : ""; *c; c++)
        read_boot_kind(r, *c, &next);
    read_keep(r, boot);
}

/* --- disks --- */

/* "xvdb", "hdc", "sdd", "d1p0": the number of the disk, -1: none of them. */
static int disk_number(const char *vdev)
{
    static const char *const begins[] = {"xvd", "hd", "sd"};
    int number = -1, used;

    if (sscanf(vdev, "d%3d%n", &number, &used) == 1)
        return number;
    for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
        size_t n = strlen(begins[i]);

        if (strncmp(vdev, begins[i], n) == 0)
            number = letters_number(vdev + n);
    }
    return number > 255 ? -1 : number;
}

static void take_access(struct reading *r, struct node *n, struct plan_disk *d)
{
    if (!n || !n->value)
        return;
    if ((strcmp(n->value, "r") == 0 || strcmp(n->value, "ro") == 0) && !d->cdrom) {
        d->write = PLAN_READONLY;
        d->write_said = true;
    }
    read_keep(r, n);
}

static void take_vdev(struct reading *r, struct node *vdev, struct plan_disk *d)
{
    char to[16], letters[LETTERS_ROOM];

    if (!vdev || !vdev->value)
        return;
    d->unit = disk_number(vdev->value);
    if (d->unit < 0) {
        read_fail(r, vdev, "not the name of a virtual disk");
        return;
    }
    if (strncmp(vdev->value, "xvd", 3) == 0) {
        read_keep(r, vdev);
        return;
    }
    letters_of((unsigned)d->unit, letters);
    snprintf(to, sizeof(to), "xvd%s", letters);
    read_change(r, vdev, to, "the same disk, as the guest's Xen drivers call it");
}

static bool on_network(const struct node *n, const struct node *target)
{
    return node_is(node_first(n, "script"), "block-iscsi") ||
           strncmp(target->value, "rbd:", 4) == 0 || strncmp(target->value, "iqn=", 4) == 0;
}

static void take_disk(struct reading *r, struct node *n)
{
    struct node *target = node_first(n, "target"), *format = node_first(n, "format");
    struct node *type = node_first(n, "devtype");
    bool empty = !target || !target->value || !*target->value;
    struct plan_disk *d;

    if (empty && !node_is(type, "cdrom")) {
        read_drop_all(r, n, "the disk has no file");
        return;
    }
    if (!empty && on_network(n, target)) {
        read_drop_all(r, n, "the disk is on the network; copy it, and add it by --disk");
        return;
    }
    d = read_disk(r, node_is(type, "cdrom") ? NULL : "xvd");
    if (!d)
        return;
    d->cdrom = node_is(type, "cdrom");
    if (empty)
        read_no_disc(r, target, NULL, d);
    else
        read_file(r, target, d);
    take_vdev(r, node_first(n, "vdev"), d);
    take_access(r, node_first(n, "access"), d);
    if (format && format->value && *format->value && !d->cdrom)
        read_set(r, &d->format, format->value);
    read_keep(r, format);
    read_keep(r, type);
}

static int by_unit(const void *a, const void *b)
{
    return ((const struct plan_disk *)a)->unit - ((const struct plan_disk *)b)->unit;
}

static void take_disks(struct reading *r)
{
    for (struct node *n = node_first(key(r, "disk"), NULL); n && r->rc == 0; n = n->next)
        take_disk(r, n);
    if (r->rc == 0)
        qsort(r->p->disk, r->p->disks, sizeof(r->p->disk[0]), by_unit);
}

/* --- cards --- */

static void take_card(struct reading *r, struct node *n)
{
    struct node *model = node_first(n, "model"), *mac = node_first(n, "mac");
    struct plan_nic *nic = read_nic(r, "vif");

    if (!nic)
        return;
    read_mac(r, mac, nic);
    read_lan(r, node_first(n, "bridge"), nic);
    if (model && !node_is(model, "netfront"))
        read_change(r, model, "vif",
                    "the guest's Xen drivers unplug that card and use this one, with its address");
    read_keep(r, node_first(n, "type"));
    if (!n->child)
        read_keep(r, n); /* '' is a card with all that goes without saying */
}

static void take_machine(struct reading *r)
{
    struct node *memory = key(r, "memory"), *local = key(r, "localtime");

    read_persona(r, "xen", "a configuration of Xen's xl");
    read_name(r, key(r, "name"));
    read_uuid(r, key(r, "uuid"));
    r->p->cpus = 1;
    if (key(r, "maxvcpus")) {
        read_cpus(r, key(r, "maxvcpus"));
        read_drop(r, key(r, "vcpus"), "all processors are there from the start");
    } else {
        read_cpus(r, key(r, "vcpus"));
    }
    read_memory(r, key(r, "maxmem") ? key(r, "maxmem") : memory, MiB, 0);
    r->p->rtc_local = local && local->value && read_true(local);
    read_keep(r, local);
    if (node_is(key(r, "rtc_timeoffset"), "0"))
        read_keep(r, key(r, "rtc_timeoffset"));
}

static const struct read_rule rules[] = {
    {"memory", "the guest starts with all of its memory; the balloon can take some back"},
    {"rtc_timeoffset", "the clock starts at the host's time"},
    {"on_", "what hospes does when a guest ends is said when running"},
    {"vnc", "the display is chosen when running"},
    {"spice", "the display is chosen when running"},
    {"sdl", "the display is chosen when running"},
    {"vfb", "the display is chosen when running"},
    {"stdvga", "the display is chosen when running"},
    {"vga", "the display is chosen when running"},
    {"videoram", "the display is chosen when running"},
    {"keymap", "the display is chosen when running"},
    {"serial", "serial ports are chosen when running"},
    {"parallel", "there is no parallel port"},
    {"channel", "channels to the host are the persona's"},
    {"usb", "USB devices are not attached"},
    {"soundhw", "there is no sound device"},
    {"pci", "devices of the other host are not here"},
    {"device_model", "hospes is the device model"},
    {"hap", "how the host keeps the guest's memory"},
    {"shadow", "how the host keeps the guest's memory"},
    {"passthrough", "devices of the other host are not here"},
    {"cpuid", "processors are those of this host"},
    {"cpus", "shares, limits and placing belong to the host"},
    {"cpu_", "shares, limits and placing belong to the host"},
    {"vcpus", "processors are those of this host"},
    {"nestedhvm", "the guest gets no virtualization of its own"},
    {"viridian", "the xen persona shows no Hyper-V features; Windows has other clocks"},
    {"acpi_firmware", "tables of the other host are not here"},
    {"acpi", "the board has it"},
    {"apic", "the board has it"},
    {"pae", "the board has it"},
    {"hpet", "the guest has better clocks"},
    {"tsc_mode", "the clock is the persona's"},
    {"timer_mode", "the clock is the persona's"},
    {"vnuma", "there is one memory node"},
    {"e820_host", "the memory map is the board's"},
    {"max_", "the persona has its own limits"},
    {"cmdline", "it is for a kernel, and none is given"},
    {"extra", "it is for a kernel, and none is given"},
    {"root", "it is for a kernel, and none is given"},
    {"ramdisk", "it is for a kernel, and none is given"},
    {"disk", "a matter of Xen's own host side"},
    {"vif", "a matter of the network outside"},
    {NULL, NULL},
};

static void take(struct reading *r)
{
    take_machine(r);
    r->p->nics_said = true;
    take_disks(r);
    for (struct node *n = node_first(key(r, "vif"), NULL); n && r->rc == 0; n = n->next)
        take_card(r, n);
    take_kernel(r);
    take_firmware(r);
    take_boot(r);
    if (!is_hvm(r) && !r->p->kernel && r->p->disks == 0)
        read_fail(r, NULL, "the guest has neither a kernel nor a disk");
    read_rest(r, rules);
}

static int xl_read(const struct import_file *f, struct plan *p, struct import_report *r,
                   struct err *e)
{
    return read_tree(f, p, r, e, '/', xl_parse, take);
}

/* Lines that begin with keys which nearly every such file has. */
static int xl_probe(const char *head, size_t n)
{
    static const char *const keys[] = {"name",   "memory", "vcpus",      "disk", "vif",
                                       "kernel", "uuid",   "bootloader", "type", "builder"};
    unsigned hits = 0;
    char *text = strndup(head, n);

    for (size_t i = 0; text && strlen(text) == n && i < ARRAY_SIZE(keys); i++) {
        for (char *at = text; (at = strstr(at, keys[i])); at++) {
            const char *after = at + strlen(keys[i]);

            after += strspn(after, " \t");
            if ((at == text || at[-1] == '\n') && *after == '=' && after[1] != '=') {
                hits++;
                break;
            }
        }
    }
    free(text);
    return hits >= 3 ? 70 : hits == 2 ? 40 : 0;
}

const struct importer_ops importer_xl = {
    .name = "xl",
    .about = "Xen's xl.cfg, and old xm files that only assign values",
    .suffixes = ".cfg .xl .hvm .pv",
    .max_size = 1 << 20,
    .probe = xl_probe,
    .read = xl_read,
};
