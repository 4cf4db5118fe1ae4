/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmx.c - VMware's .vmx: `key = "value"` lines.
 *
 * Document: VMware publishes none; keys and defaults as libvirt's vmx driver and the files that
 * products write have them. Keys are not case-sensitive, |XX in a value is a byte in hexadecimal,
 * # begins a comment. "scsi0:1.fileName" becomes fileName below scsi0:1. Refused: encrypted and
 * suspended machines, raw device mappings.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "import/reading.h"
#include "import/snapshots.h"
#include "import/vmx.h"

enum { VMX_MAX_MEMORY_MIB = 4 << 20 };

/* --- lines --- */

static char *trim(char *s)
{
    char *end;

    while (isspace((unsigned char)*s))
        s++;
    end = s + strlen(s);
    while (end > s && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return s;
}

/* The device that a key belongs to is what stands before its first dot. */
static int add(struct reading *r, char *key, const char *value, unsigned line)
{
    struct node *up = &r->t.top, *old;
    char *dot = strchr(key, '.');

    if (dot && dot != key) {
        *dot = '\0';
        up = tree_find(&r->t, &r->t.top, key);
        if (!up)
            up = tree_add(&r->t, &r->t.top, key, NULL, line, r->e);
        key = dot + 1;
    }
    old = up ? tree_find(&r->t, up, key) : NULL;
    if (old && old->value) {
        read_drop(r, old, "the key is there again; the last one counts, as in the product");
        return r->rc < 0 ? r->rc : tree_again(&r->t, old, value, line, r->e);
    }
    if (!up || !tree_add(&r->t, up, key, value, line, r->e))
        return -r->e->code;
    return 0;
}

static int parse_line(struct reading *r, char *text, unsigned line)
{
    char *eq, *value, *end;

    text = trim(text);
    if (!*text || *text == '#' || *text == '!')
        return 0;
    eq = strchr(text, '=');
    if (!eq)
        return err_exit(r->e, EX_BAD_INPUT, EINVAL, "line %u is not `key = \"value\"`", line);
    *eq = '\0';
    value = trim(eq + 1);
    text = trim(text);
    if (*value == '"') {
        value++;
        end = strrchr(value, '"');
        if (!end)
            return err_exit(r->e, EX_BAD_INPUT, EINVAL, "line %u: the value of %s has no end", line,
                            text);
        *end = '\0';
    }
    import_unescape(value, '|');
    return add(r, text, value, line);
}

static int parse(struct reading *r)
{
    char *text = strdup(r->f->text), *next;
    unsigned line = 0;
    int rc = 0;

    if (!text)
        return err_set(r->e, ENOMEM, "no memory for the description");
    for (char *at = text; at && rc == 0; at = next) {
        next = strchr(at, '\n');
        if (next)
            *next++ = '\0';
        rc = parse_line(r, at, ++line);
    }
    free(text);
    return rc;
}

/* "scsi0:3" with bus "scsi": 0 and 3; "scsi0": 0 and -1. */
static bool numbered(const char *name, const char *bus, int *number, int *unit)
{
    size_t n = strlen(bus);
    int used = 0;

    *unit = -1;
    if (strncasecmp(name, bus, n) != 0 || !isdigit((unsigned char)name[n]) ||
        sscanf(name + n, "%3d%n", number, &used) != 1)
        return false;
    name += n + (size_t)used;
    if (!*name)
        return true;
    return *name == ':' && isdigit((unsigned char)name[1]) &&
           sscanf(name + 1, "%3d%n", unit, &used) == 1 && name[1 + used] == '\0';
}

/* --- the machine itself --- */

bool vmx_swaps_uuid(const char *hardware)
{
    return hardware && strncmp(hardware, "vmx-", 4) == 0 && atoi(hardware + 4) >= 13;
}

static void refuse_what_cannot_run(struct reading *r)
{
    struct node *n = node_get(&r->t.top, "encryption/keySafe");

    if (!n)
        n = node_get(&r->t.top, "encryption/data");
    if (n)
        read_fail(r, n, "the machine is encrypted; decrypt it in VMware first");
    n = node_get(&r->t.top, "checkpoint/vmState");
    if (n && n->value && n->value[0])
        read_fail(r, n, "the machine is suspended; shut it down in VMware first");
}

/* Two signed numbers are the two halves of one. */
static void read_genid(struct reading *r)
{
    struct node *a = node_get(&r->t.top, "vm/genid"), *b = node_get(&r->t.top, "vm/genidX");
    uint64_t half[2];

    if (!a || !a->value || !b || !b->value)
        return;
    half[0] = (uint64_t)strtoll(a->value, NULL, 10);
    half[1] = (uint64_t)strtoll(b->value, NULL, 10);
    for (unsigned i = 0; i < 16; i++)
        r->p->genid.b[i] = (uint8_t)(half[i / 8] >> (56 - 8 * (i % 8)));
    r->p->genid.said = true;
    read_keep(r, a);
    read_keep(r, b);
}

/* uuid.bios is the bytes of the SMBIOS table, and the serial number is made of them. Since hardware
 * version 13 the tables are of a version whose first three fields are little-endian, so guests
 * print the UUID in another order. */
static void read_bios_uuid(struct reading *r)
{
    static const uint8_t swap[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    struct node *n = node_get(&r->t.top, "uuid/bios");
    uint8_t raw[16];
    char serial[64];
    int len = 0;

    read_uuid(r, n);
    if (!n || r->rc < 0)
        return;
    memcpy(raw, r->p->uuid, sizeof(raw));
    if (vmx_swaps_uuid(r->p->hardware)) {
        for (unsigned i = 0; i < 16; i++)
            r->p->uuid[i] = raw[swap[i]];
        return; /* the persona makes the serial of the table's bytes */
    }
    for (unsigned i = 0; i < 16; i++)
        len += snprintf(serial + len, sizeof(serial) - (size_t)len, "%s%02x%s",
                        i == 0 ? "VMware-" : "", raw[i],
                        i == 7    ? "-"
                        : i == 15 ? ""
                                  : " ");
    read_set(r, &r->p->smbios.serial, serial);
}

static void read_firmware(struct reading *r)
{
    struct node *firmware = node_get(&r->t.top, "firmware");
    struct node *secure = node_get(&r->t.top, "uefi/secureBoot.enabled");
    struct node *tpm = node_get(&r->t.top, "vtpm/present");

    read_set(r, &r->p->firmware, node_is(firmware, "efi") ? "uefi" : "bios");
    read_keep(r, firmware);
    read_secure_boot(r, secure, read_true(secure));
    if (read_true(tpm))
        read_tpm(r, tpm, "2.0");
}

static void read_hardware(struct reading *r)
{
    struct node *n = node_get(&r->t.top, "virtualHW/version");
    char text[32];

    if (!n || !n->value || !isdigit((unsigned char)n->value[0]))
        return;
    snprintf(text, sizeof(text), "vmx-%s%.20s", strlen(n->value) == 1 ? "0" : "", n->value);
    read_set(r, &r->p->hardware, text);
    read_keep(r, n);
}

static void read_machine(struct reading *r)
{
    struct node *top = &r->t.top, *cores = node_get(top, "cpuid/coresPerSocket");
    struct node *clock = node_get(top, "rtc/diffFromUTC"), *os = node_get(top, "guestOS");

    read_persona(r, "vmware", "a .vmx describes a machine made for VMware");
    read_name(r, node_get(top, "displayName"));
    read_text(r, &r->p->notes, node_get(top, "annotation"));
    if (node_is(os, "other-64"))
        read_keep(r, os); /* it says nothing */
    else
        read_text(r, &r->p->guest_os, os);
    read_hardware(r);
    r->p->cpus = 1;
    read_cpus(r, node_get(top, "numvcpus"));
    read_cores(r, cores);
    read_memory(r, node_get(top, "memsize"), MiB, 32);
    read_firmware(r);
    read_bios_uuid(r);
    read_genid(r);
    if (clock && clock->value && strcmp(clock->value, "0") != 0)
        r->p->rtc_local = true;
    read_keep(r, clock);
    read_keep(r, node_get(top, ".encoding"));
    read_keep(r, node_get(top, "config/version"));
}

/* guestinfo.* is what the guest may ask for by VMware's own channel. */
static void read_guestinfo(struct reading *r)
{
    struct node *info = node_get(&r->t.top, "guestinfo");
    char key[TREE_PATH];

    for (struct node *n = node_first(info, NULL); n; n = n->next) {
        if (!n->value || n->told || strlen(n->name) > 200 || strpbrk(n->name, ",="))
            continue;
        snprintf(key, sizeof(key), "guestinfo.%s", n->name);
        read_option(r, key, n->value);
        read_keep(r, n);
    }
}

static void read_place(struct reading *r, struct node *dev, struct plan_place *place)
{
    struct node *n = node_get(dev, "pciSlotNumber");

    if (!n || !n->value)
        return;
    if (n->value[0] == '-') {
        read_drop(r, n, "the device has no slot yet");
        return;
    }
    place->slot = (int)read_number(r, n, 0, 4095, 0);
}

/* --- disks --- */

static bool is_cdrom(const struct node *type)
{
    return type && type->value && strcasestr(type->value, "cdrom");
}

static bool is_empty_drive(const struct node *file)
{
    return !file->value || !file->value[0] || node_is(file, "emptyBackingString") ||
           node_is(file, "auto detect");
}

/* true: the device is to be made. What is not has been told. */
static bool usable(struct reading *r, struct node *dev, struct node *file, struct node *type)
{
    struct node *present = node_get(dev, "present");

    if (!read_true(present)) {
        read_drop_all(r, dev, "the device is switched off");
        return false;
    }
    if (is_cdrom(type))
        return true;
    if (!file) {
        read_drop_all(r, dev, "the device has no file");
        return false;
    }
    if (node_is(type, "scsi-passthru") && file->value &&
        (strstr(file->value, "/cdrom/") || strstr(file->value, "/genscsi/"))) {
        read_drop_all(r, dev, READ_HOST_DRIVE);
        return false;
    }
    if (node_is(type, "rawDisk") || node_is(type, "scsi-passthru")) {
        read_fail(r, file, "a raw device mapping belongs to its host; give a disk image instead");
        return false;
    }
    if (type && type->value && strcasestr(type->value, "raw")) {
        read_drop_all(r, dev, READ_HOST_DRIVE);
        return false;
    }
    return true;
}

/* A CD-ROM drive with an image, without a disc, or that of the host, which may have had one. */
static void read_disc(struct reading *r, struct node *file, const struct node *type,
                      struct plan_disk *d)
{
    if (!file || is_empty_drive(file))
        read_no_disc(r, file, NULL, d);
    else if (strcasestr(type->value, "raw"))
        read_no_disc(r, file, READ_HOST_DRIVE, d);
    else
        read_file(r, file, d);
}

static void read_mode(struct reading *r, struct node *mode, struct plan_disk *d)
{
    if (!mode || !mode->value)
        return;
    if (strcasestr(mode->value, "nonpersistent")) {
        d->write = PLAN_SNAPSHOT;
        d->write_said = true;
    }
    if (strcasestr(mode->value, "independent"))
        read_change(r, mode, d->write_said ? "snapshot" : "the user's choice",
                    "whether a disk is in snapshots of the product does not matter here");
    else
        read_keep(r, mode);
}

/* What hangs on a controller that is switched off is off, too; IDE channels are always there. */
static bool controller_on(struct reading *r, const struct node *dev)
{
    char own[16];

    snprintf(own, sizeof(own), "%.*s", (int)strcspn(dev->name, ":"), dev->name);
    return strncasecmp(own, "ide", 3) == 0 ||
           read_true(node_get(tree_find(&r->t, &r->t.top, own), "present"));
}

static void read_unit(struct reading *r, struct node *dev, const char *bus, int number, int unit)
{
    struct node *file = node_get(dev, "fileName"), *type = node_get(dev, "deviceType");
    struct plan_disk *d;

    if (!controller_on(r, dev)) {
        read_drop_all(r, dev, "the controller is switched off");
        return;
    }
    if (!usable(r, dev, file, type) || !(d = read_disk(r, bus)))
        return;
    d->controller = number;
    d->unit = unit;
    d->cdrom = is_cdrom(type);
    if (d->cdrom)
        read_disc(r, file, type, d);
    else
        read_file(r, file, d);
    read_keep(r, node_get(dev, "present"));
    read_keep(r, type);
    read_mode(r, node_get(dev, "mode"), d);
    if (r->rc == 0 && !d->cdrom)
        vmdk_chain(r, file, d->path);
}

/* The kind of a controller: SCSI ones say it, the others have one kind. */
static const char *kind_of(struct node *dev, const char *bus, const char *model)
{
    static const char *const kinds[] = {"buslogic", "lsilogic", "lsisas1068", "pvscsi"};

    for (size_t i = 0; strcmp(bus, "scsi") == 0 && i < ARRAY_SIZE(kinds); i++) {
        if (node_is(node_get(dev, "virtualDev"), kinds[i]))
            return kinds[i];
    }
    return model;
}

static int by_unit(const void *a, const void *b)
{
    const struct plan_disk *x = a, *y = b;

    return x->controller != y->controller ? x->controller - y->controller : x->unit - y->unit;
}

static int by_number(const void *a, const void *b)
{
    return ((const struct plan_controller *)a)->number -
           ((const struct plan_controller *)b)->number;
}

/* Guests count disks by controller and unit, not in the order of the file. */
static void read_bus(struct reading *r, const char *bus, const char *model)
{
    size_t disks = r->p->disks, ctls = r->p->ctls;

    for (struct node *dev = node_first(&r->t.top, NULL); dev && r->rc == 0; dev = dev->next) {
        int number, unit;
        char own[16];
        struct node *controller;
        const char *kind;

        if (!numbered(dev->name, bus, &number, &unit))
            continue;
        snprintf(own, sizeof(own), "%s%d", bus, number);
        controller = tree_find(&r->t, &r->t.top, own);
        kind = kind_of(controller, bus, model);
        if (unit >= 0) {
            read_unit(r, dev, kind, number, unit);
        } else if (read_true(node_get(dev, "present"))) {
            struct plan_controller *c = read_controller(r, kind, number);

            if (c)
                read_place(r, dev, &c->place);
            read_keep(r, node_get(dev, "present"));
            if (node_is(node_get(dev, "virtualDev"), kind))
                read_keep(r, node_get(dev, "virtualDev"));
            else
                read_change(r, node_get(dev, "virtualDev"), kind, "VMware takes this for it");
        }
    }
    qsort(r->p->disk + disks, r->p->disks - disks, sizeof(r->p->disk[0]), by_unit);
    qsort(r->p->ctl + ctls, r->p->ctls - ctls, sizeof(r->p->ctl[0]), by_number);
}

static void read_drive(struct reading *r, struct node *dev)
{
    struct node *file = node_get(dev, "fileName"), *start = node_get(dev, "startConnected");
    bool empty = !file || is_empty_drive(file);
    const char *gone = NULL;

    if (!read_true(node_get(dev, "present"))) {
        read_drop_all(r, dev, "the device is switched off");
        return;
    }
    if (!empty &&
        (read_true(node_get(dev, "clientDevice")) || !node_is(node_get(dev, "fileType"), "file")))
        gone = READ_HOST_DRIVE;
    else if (!empty && start && !read_true(start))
        gone = "it is not in the drive at the start; hospes disc puts it there";
    (void)read_floppy(r, empty ? NULL : file, gone);
    read_keep_all(r, dev);
}

static void read_floppies(struct reading *r)
{
    for (struct node *dev = node_first(&r->t.top, NULL); dev && r->rc == 0; dev = dev->next) {
        int number, unit;

        if (numbered(dev->name, "floppy", &number, &unit))
            read_drive(r, dev);
    }
}

/* --- network --- */

static void read_card(struct reading *r, struct node *dev)
{
    struct node *present = node_get(dev, "present"), *kind = node_get(dev, "virtualDev");
    struct node *features = node_get(dev, "features"), *mac = node_get(dev, "address");
    struct plan_nic *n;

    if (!read_true(present)) {
        read_drop_all(r, dev, "the adapter is switched off");
        return;
    }
    n = read_nic(r, kind && kind->value && *kind->value ? kind->value : NULL);
    if (!n)
        return;
    for (char *c = n->model; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (node_is(kind, "vmxnet") && node_is(features, "15")) {
        read_set(r, &n->model, "vmxnet2");
        read_change(r, kind, "vmxnet2", "vmxnet with features = 15 is that");
        read_keep(r, features);
    }
    read_mac(r, mac ? mac : node_get(dev, "generatedAddress"), n);
    read_keep(r, present);
    read_keep(r, kind);
    read_keep(r, node_get(dev, "addressType"));
    read_lan(r, node_get(dev, "networkName"), n);
    read_lan(r, node_get(dev, "vnet"), n);
    read_change(r, node_get(dev, "connectionType"), "user",
                "that network is not here; choose another by --nic when running");
    read_place(r, dev, &n->place);
}

static void read_cards(struct reading *r)
{
    for (int i = 0; i < 64 && r->rc == 0; i++) {
        char name[16];
        struct node *dev;

        snprintf(name, sizeof(name), "ethernet%d", i);
        dev = node_first(&r->t.top, name);
        if (dev && dev->child)
            read_card(r, dev);
    }
    r->p->nics_said = true;
}

/* --- boot order --- */

static void read_boot(struct reading *r)
{
    struct node *order = node_get(&r->t.top, "bios/bootOrder");
    struct node *disks = node_get(&r->t.top, "bios/hddOrder");
    unsigned next = 1;
    char text[256], *save, *word;

    if (!order || !order->value)
        return;
    snprintf(text, sizeof(text), "%s", order->value);
    for (word = strtok_r(text, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
        int card;

        read_boot_word(r, word, &next);
        if (sscanf(word, "ethernet%2d", &card) == 1 && card >= 0 && (size_t)card < r->p->nics &&
            !r->p->nic[card].boot)
            r->p->nic[card].boot = next++;
    }
    read_keep(r, order);
    read_change(r, disks, "the order of controllers and units",
                "hospes starts disks in the order of their controllers");
}

/* --- the rest --- */

/* What a family of keys means for the guest when it is gone. */
static const struct read_rule rules[] = {
    {"virtualHW.", "hospes has one board; guests do not ask for its version"},
    {"nvram",
     "the firmware's saved settings are VMware's own format; UEFI boot entries are made new"},
    {"pciBridge", "hospes lays out the bus itself"},
    {"svga.", "the display is chosen when running"},
    {"mks.", "the display is chosen when running"},
    {"vmci", "VMCI is there, by the number that it had, with --persona vmware,vsock=PATH"},
    {"usb", "USB devices are not attached"},
    {"ehci", "USB devices are not attached"},
    {"sound", "there is no sound device"},
    {"serial", "serial ports are chosen when running"},
    {"parallel", "there is no parallel port"},
    {"sched.", "shares and limits belong to the host that schedules"},
    {"numa.", "shares and limits belong to the host that schedules"},
    {"tools.", "settings of VMware's own host side"},
    {"toolsInstall", "settings of VMware's own host side"},
    {"toolscripts", "settings of VMware's own host side"},
    {"isolation.", "settings of VMware's own host side"},
    {"RemoteDisplay.", "the display is chosen when running"},
    {"sharedFolder", "there are no shared folders; the guest sees an empty list"},
    {"hgfs.", "there are no shared folders; the guest sees an empty list"},
    {"powertype", "hospes stop asks the guest first, --now does not"},
    {"softPowerOff", "how it was last switched off"},
    {"cleanShutdown", "how it was last switched off"},
    {"migrate.", "a note of an earlier move"},
    {"vmotion.", "a note of an earlier move"},
    {"snapshot.", "snapshots are in the disk's chain"},
    {"replay.", "recordings are not taken"},
    {"hpet0", "the guest has better clocks"},
    {"uuid.", "where the machine was kept, and what was answered about it"},
    {"vc.uuid", "how another manager knows the machine"},
    {"viv.", "how another manager knows the machine"},
    {"vm.createDate", "a note for people"},
    {"extendedconfigfile", "for VMware's own programs"},
    {"vmxstats", "for VMware's own programs"},
    {"checkpoint.", "for suspending in VMware"},
    {"guestOS.detailed", "the guest says itself what it is"},
    {"cpuid.", "processors are those of this host"},
    {"monitor", "settings of VMware's own virtual machine monitor"},
    {"vhv.", "the guest gets no virtualization of its own"},
    {"vcpu.hotadd", "what may be added later is said when running, by --cpus N,max=M"},
    {"mem.hotadd", "what a guest is given later is asked for while it runs"},
    {"disk.EnableUUID", "disks always tell their identity"},
    {"vtpm.", "the TPM is one of its own, with new state"},
    {"managedVM.", "the state of the TPM is encrypted by VMware"},
    {"efi.", "firmware settings are hospes' own"},
    {"bios.", "firmware settings are hospes' own"},
    {"log.", "where VMware writes its log"},
    {"logging", "where VMware writes its log"},
    {"answer.", "what a person once answered"},
    {"gui.", "for VMware's own programs"},
    {"proxyApps.", "for VMware's own programs"},
    {"unity.", "for VMware's own programs"},
    {"policy.", "for VMware's own programs"},
    {"*redo", "an undo log of older products; the disk's chain has it"},
    {"*startConnected", "what is there is connected"},
    {"*allowGuestConnectionControl", "what is there stays connected"},
    {"*wakeOnPcktRcv", "a machine that is off does not wake"},
    {"*linkStatePropagation", "the link is always up"},
    {"*generatedAddressOffset", "how VMware made the address"},
    {"*checkMACAddress", "any address is taken"},
    {"*sharedBus", "disks are not shared between machines"},
    {"*writeThrough", "the host's cache obeys the guest's flushes"},
    {"*clientDevice", READ_HOST_DRIVE},
    {"*present", "the device is switched off, or not one that hospes has"},
    {NULL, NULL},
};

static void take(struct reading *r)
{
    refuse_what_cannot_run(r);
    read_machine(r);
    read_guestinfo(r);
    read_bus(r, "scsi", "lsilogic");
    read_bus(r, "sata", "ahci");
    read_bus(r, "ide", "ide");
    read_bus(r, "nvme", "nvme");
    read_floppies(r);
    read_cards(r);
    read_boot(r);
    read_rest(r, rules);
    vmsd_read(r);
}

static int vmx_read(const struct import_file *f, struct plan *p, struct import_report *r,
                    struct err *e)
{
    return read_tree(f, p, r, e, '.', parse, take);
}

/* The first key of nearly every file, in any case, or a few that nothing else has. */
static int vmx_probe(const char *head, size_t n)
{
    char text[4097];

    n = (size_t)min_u64(n, sizeof(text) - 1);
    memcpy(text, head, n);
    text[n] = '\0';
    if (strlen(text) != n)
        return 0; /* binary */
    if (strcasestr(text, "disk descriptorfile") || strcasestr(text, "ddb."))
        return 0; /* a disk's, which may have an encoding of its own */
    if (strcasestr(text, "virtualhw.version") || strcasestr(text, ".encoding = "))
        return 90;
    return strcasestr(text, "config.version") || strcasestr(text, "displayname = \"") ? 70 : 0;
}

const struct importer_ops importer_vmx = {
    .name = "vmx",
    .about = "VMware ESXi, Workstation and Fusion",
    .suffixes = ".vmx .vmtx",
    .max_size = 1 << 20,
    .probe = vmx_probe,
    .read = vmx_read,
};
