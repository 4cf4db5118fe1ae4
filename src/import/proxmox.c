/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxmox.c - Proxmox VE's qemu-server .conf.
 *
 * Document: qm.conf(5) of Proxmox VE 8. The machine is what stands before the first [section];
 * sections are snapshots and pending changes. Volumes of a storage
 * ("local:100/vm-100-disk-0.qcow2") are looked for by their last part.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "import/reading.h"
#include "import/xl.h"

enum { PCI_VIRTIO = 10, PCI_NET = 18 };

/* --- lines --- */

/* Keys whose values are lists of parts. */
static bool has_parts(const char *name)
{
    static const char *const begins[] = {"scsi",    "ide",      "sata",    "virtio", "net",
                                         "efidisk", "tpmstate", "smbios1", "unused"};

    for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
        size_t n = strlen(begins[i]);

        if (strncmp(name, begins[i], n) == 0 &&
            (strcmp(name, "smbios1") == 0 || isdigit((unsigned char)name[n])))
            return true;
    }
    return strcmp(name, "boot") == 0;
}

/* '#' lines are the description; it is one key over all of them. */
static int add_note(struct reading *r, struct node *up, const char *text, unsigned line)
{
    struct node *n = tree_find(&r->t, up, "description");
    char *joined;
    int rc;

    if (!n)
        return tree_add(&r->t, up, "description", text, line, r->e) ? 0 : -r->e->code;
    if (asprintf(&joined, "%s\n%s", n->value ? n->value : "", text) < 0)
        return err_set(r->e, ENOMEM, "no memory for the description");
    rc = strlen(joined) > 32768 ? err_exit(r->e, EX_BAD_INPUT, E2BIG,
                                           "line %u: the notes are longer than 32 KiB", line)
                                : tree_value(&r->t, n, joined, strlen(joined), r->e);
    free(joined);
    return rc;
}

static int add_line(struct reading *r, struct node **up, char *text, unsigned line)
{
    char *end = text + strlen(text), *colon;
    struct node *n;

    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    if (!*text)
        return 0;
    if (*text == '#')
        return add_note(r, *up, text + 1, line);
    if (*text == '[' && end[-1] == ']') {
        *up = tree_add(&r->t, &r->t.top, text, NULL, line, r->e);
        return *up ? 0 : -r->e->code;
    }
    colon = strchr(text, ':');
    if (!colon || colon == text || strcspn(text, " \t") < (size_t)(colon - text))
        return err_exit(r->e, EX_BAD_INPUT, EINVAL, "line %u is not `key: value`", line);
    *colon++ = '\0';
    colon += strspn(colon, " \t");
    n = tree_find(&r->t, *up, text);
    if (n && strcmp(text, "description") != 0) {
        read_drop_all(r, n, "the key is there again; the last one counts");
        n->name = "";
        if (r->rc < 0)
            return r->rc;
    }
    n = tree_add(&r->t, *up, text, has_parts(text) && *colon ? NULL : colon, line, r->e);
    if (!n)
        return -r->e->code;
    if (n->value)
        return 0;
    return xl_split(r, n, colon, strncmp(text, "net", 3) == 0 ? "model" : "file");
}

static int parse(struct reading *r)
{
    char *text = strdup(r->f->text), *next;
    struct node *up = &r->t.top;
    unsigned line = 0;
    int rc = text ? 0 : err_set(r->e, ENOMEM, "no memory for the description");

    if (rc == 0 && strlen(text) != r->f->size)
        rc = err_exit(r->e, EX_BAD_INPUT, EINVAL, "there is a NUL in it, so it is no text");
    for (char *at = text; at && rc == 0; at = next) {
        next = strchr(at, '\n');
        if (next)
            *next++ = '\0';
        rc = add_line(r, &up, at, ++line);
    }
    free(text);
    return rc;
}

static struct node *key(struct reading *r, const char *name)
{
    return node_first(&r->t.top, name);
}

/* --- the machine --- */

/* %XX as in URLs. */
static void take_escaped(struct reading *r, struct node *n, char **at)
{
    char *text;

    if (!n || !n->value || !*n->value)
        return;
    text = strdup(n->value);
    if (text) {
        import_unescape(text, '%');
        read_set(r, at, text);
    }
    free(text);
    read_keep(r, n);
}

static int base64_of(int c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* smbios1's texts are base64 when base64=1 is among its parts. */
static void take_smbios_text(struct reading *r, struct node *n, bool packed, char **at)
{
    char text[512];
    size_t len = 0;
    unsigned bits = 0, have = 0;

    if (!n || !n->value)
        return;
    if (!packed) {
        read_text(r, at, n);
        return;
    }
    for (const char *c = n->value; *c && base64_of(*c) >= 0 && len < sizeof(text) - 1; c++) {
        bits = bits << 6 | (unsigned)base64_of(*c);
        have += 6;
        if (have >= 8) {
            have -= 8;
            text[len++] = (char)(bits >> have & 0xff);
        }
    }
    text[len] = '\0';
    if (strlen(text) != len || !len)
        read_fail(r, n, "not base64 of a text");
    read_set(r, at, text);
    read_keep(r, n);
}

static void take_smbios(struct reading *r)
{
    struct node *n = key(r, "smbios1");
    struct plan_smbios *s = &r->p->smbios;
    bool packed = read_true(node_first(n, "base64"));

    read_uuid(r, node_first(n, "uuid"));
    take_smbios_text(r, node_first(n, "manufacturer"), packed, &s->vendor);
    take_smbios_text(r, node_first(n, "product"), packed, &s->product);
    take_smbios_text(r, node_first(n, "version"), packed, &s->version);
    take_smbios_text(r, node_first(n, "serial"), packed, &s->serial);
    take_smbios_text(r, node_first(n, "sku"), packed, &s->sku);
    take_smbios_text(r, node_first(n, "family"), packed, &s->family);
    read_keep(r, node_first(n, "base64"));
}

static void take_firmware(struct reading *r)
{
    struct node *efi = key(r, "efidisk0"), *tpm = key(r, "tpmstate0"), *version;

    read_set(r, &r->p->firmware, node_is(key(r, "bios"), "ovmf") ? "uefi" : "bios");
    read_keep(r, key(r, "bios"));
    version = node_first(efi, "pre-enrolled-keys");
    read_secure_boot(r, version, read_true(version));
    read_drop_all(r, efi, "UEFI variables are made new: boot entries and keys that were enrolled");
    version = node_first(tpm, "version");
    if (tpm) {
        read_tpm(r, version ? version : tpm->child, node_is(version, "v1.2") ? "1.2" : "2.0");
        read_drop_all(r, tpm, "the TPM is a new one, so its state is not used");
    }
}

/* Windows expects local time unless told otherwise. */
static void take_clock(struct reading *r)
{
    struct node *local = key(r, "localtime"), *os = key(r, "ostype");

    if (local)
        r->p->rtc_local = read_true(local);
    else
        r->p->rtc_local = os && os->value && (os->value[0] == 'w' && !node_is(os, "wvista0"));
    read_keep(r, local);
    read_text(r, &r->p->guest_os, os);
}

static void take_cpus(struct reading *r)
{
    struct node *sockets = key(r, "sockets"), *cores = key(r, "cores"), *vcpus = key(r, "vcpus");
    uint64_t s = read_number(r, sockets, 1, PLAN_MAX_CPUS, 1);
    uint64_t c = read_number(r, cores, 1, PLAN_MAX_CPUS, 1);

    if (s * c > PLAN_MAX_CPUS)
        read_fail(r, cores, "more processors than hospes has");
    r->p->cpus = (unsigned)(s * c);
    if (cores)
        r->p->cores = (unsigned)c;
    read_drop(r, vcpus, "all processors are there from the start");
}

/* Newer: "current=2048". */
static void take_memory(struct reading *r)
{
    struct node *n = key(r, "memory");

    if (n && n->value && strncmp(n->value, "current=", 8) == 0) {
        unsigned long long v = strtoull(n->value + 8, NULL, 10);

        if (v < 4 || v > (UINT64_C(1) << 22))
            read_fail(r, n, "not a number of MiB");
        r->p->memory = (v & 0x7fffff) * MiB;
        read_keep(r, n);
        return;
    }
    read_memory(r, n, MiB, 512);
}

static void take_machine(struct reading *r)
{
    struct node *genid = key(r, "vmgenid");

    read_persona(r, "kvm", "a machine of Proxmox VE");
    read_name(r, key(r, "name"));
    take_escaped(r, key(r, "description"), &r->p->notes);
    take_cpus(r);
    take_memory(r);
    take_smbios(r);
    if (genid && !node_is(genid, "0") && !node_is(genid, "1"))
        read_guid(r, genid, &r->p->genid);
    take_firmware(r);
    take_clock(r);
    read_text(r, &r->p->hardware, key(r, "machine"));
}

/* --- disks --- */

static const char *scsi_bus(struct reading *r)
{
    static const struct {
        const char *proxmox, *bus;
    } kinds[] = {{"lsi", "lsi53c895a"},
                 {"lsi53c810", "lsi53c810"},
                 {"megasas", "megasas"},
                 {"pvscsi", "pvscsi"},
                 {"virtio-scsi-pci", "virtio-scsi"},
                 {"virtio-scsi-single", "virtio-scsi"}};
    struct node *n = key(r, "scsihw");

    for (size_t i = 0; n && i < ARRAY_SIZE(kinds); i++) {
        if (node_is(n, kinds[i].proxmox)) {
            if (strcmp(kinds[i].bus, n->value) == 0)
                read_keep(r, n);
            else
                read_change(r, n, kinds[i].bus, "the kind of controller in hospes' words");
            return kinds[i].bus;
        }
    }
    if (n)
        read_fail(r, n, "not a controller that hospes knows");
    return "lsi53c895a";
}

/* "local:100/vm-100-disk-0.qcow2", "lvm:vm-100-disk-0", "/dev/sdb". */
static const char *volume(const char *text)
{
    const char *colon = strchr(text, ':'), *slash;

    if (text[0] == '/' || !colon)
        return text;
    slash = strrchr(colon, '/');
    return slash ? slash + 1 : colon + 1;
}

static void take_options(struct reading *r, struct node *n, struct plan_disk *d)
{
    struct node *format = node_first(n, "format");

    take_escaped(r, node_first(n, "serial"), &d->serial);
    if (format && format->value && *format->value)
        read_set(r, &d->format, format->value);
    read_keep(r, format);
    if (read_true(node_first(n, "snapshot"))) {
        d->write = PLAN_SNAPSHOT;
        d->write_said = true;
    }
    read_keep(r, node_first(n, "snapshot"));
    if (read_true(node_first(n, "ro"))) {
        d->write = PLAN_READONLY;
        d->write_said = true;
    }
    read_keep(r, node_first(n, "ro"));
    read_keep(r, node_first(n, "media"));
    read_drop(r, node_first(n, "size"), "the file has its size itself");
}

/* Where qemu-server puts the devices of a machine that is no q35, on bus 0. */
static void take_pci(struct reading *r, struct plan_place *place, unsigned first, int number)
{
    struct node *machine = key(r, "machine");
    char text[32];

    if (number < 0 || number > 5 || (machine && machine->value && strstr(machine->value, "q35")))
        return;
    snprintf(text, sizeof(text), "0000:00:%02x.0", first + (unsigned)number);
    read_set(r, &place->pci, text);
}

static void take_disk(struct reading *r, struct node *n, const char *prefix, const char *bus)
{
    struct node *file = node_first(n, "file"), *media = node_first(n, "media");
    int number = atoi(n->name + strlen(prefix));
    bool empty = !file || !file->value || !*file->value || node_is(file, "none");
    bool host = node_is(file, "cdrom"), cdrom = host || node_is(media, "cdrom");
    struct plan_disk *d;

    if (empty && !cdrom) {
        read_drop_all(r, n, "the disk has no file");
        return;
    }
    d = read_disk(r, bus);
    if (!d)
        return;
    d->cdrom = cdrom;
    d->controller = strcmp(prefix, "ide") == 0      ? number / 2
                    : strcmp(prefix, "virtio") == 0 ? -1
                                                    : 0;
    d->unit = strcmp(prefix, "ide") == 0 ? number % 2 : number > 255 ? 255 : number;
    if (strcmp(prefix, "virtio") == 0)
        take_pci(r, &d->place, PCI_VIRTIO, number);
    if (empty || host)
        read_no_disc(r, file, host ? READ_HOST_DRIVE : NULL, d);
    else if (strcmp(volume(file->value), file->value) != 0)
        read_file_as(r, file, volume(file->value), d);
    else
        read_file(r, file, d);
    take_options(r, n, d);
}

static bool numbered(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(name, prefix, n) == 0 && isdigit((unsigned char)name[n]) &&
           name[n + strspn(name + n, "0123456789")] == '\0' && strlen(name) <= n + 3;
}

static int by_unit(const void *a, const void *b)
{
    const struct plan_disk *x = a, *y = b;

    return x->controller != y->controller ? x->controller - y->controller : x->unit - y->unit;
}

static void take_disks(struct reading *r)
{
    const struct {
        const char *prefix, *bus;
    } buses[] = {{"ide", "ide"}, {"scsi", scsi_bus(r)}, {"sata", "ahci"}, {"virtio", "virtio"}};

    for (size_t i = 0; i < ARRAY_SIZE(buses); i++) {
        size_t from = r->p->disks;

        for (struct node *n = node_first(&r->t.top, NULL); n && r->rc == 0; n = n->next) {
            if (numbered(n->name, buses[i].prefix))
                take_disk(r, n, buses[i].prefix, buses[i].bus);
        }
        qsort(r->p->disk + from, r->p->disks - from, sizeof(r->p->disk[0]), by_unit);
    }
}

/* --- cards --- */

/* "virtio=52:54:..,bridge=vmbr0": the model's name is the key of the address. */
static void take_card(struct reading *r, struct node *n)
{
    static const char *const models[] = {
        "virtio",  "e1000",    "e1000e",        "e1000-82540em", "vmxnet3",
        "rtl8139", "pcnet",    "ne2k_pci",      "ne2k_isa",      "i82551",
        "i82557b", "i82559er", "e1000-82544gc", "e1000-82545em"};
    struct node *model = node_first(n, "model"), *mac = node_first(n, "macaddr");
    struct plan_nic *nic;
    const char *name = model ? model->value : NULL;

    for (size_t i = 0; i < ARRAY_SIZE(models) && !model; i++) {
        struct node *m = node_first(n, models[i]);

        if (m) {
            name = models[i];
            mac = m;
        }
    }
    nic = read_nic(r, name && strcmp(name, "pcnet") == 0 ? "vlance" : name);
    if (!nic)
        return;
    read_mac(r, mac, nic);
    take_pci(r, &nic->place, PCI_NET, atoi(n->name + 3));
    read_keep(r, model);
    read_lan(r, node_first(n, "bridge"), nic);
    read_drop(r, node_first(n, "link_down"), "the cable is in the card here");
}

static void take_cards(struct reading *r)
{
    for (int i = 0; i < 32 && r->rc == 0; i++) {
        char name[16];
        struct node *n;

        snprintf(name, sizeof(name), "net%d", i);
        n = key(r, name);
        if (n && n->child)
            take_card(r, n);
    }
    r->p->nics_said = true;
}

/* --- boot order --- */

static void boot_from(struct reading *r, const char *word, unsigned *next)
{
    static const struct {
        const char *prefix, *bus;
    } buses[] = {{"ide", "ide"}, {"sata", "ahci"}, {"virtio", "virtio"}, {"scsi", NULL}};
    int number;

    if (sscanf(word, "net%2d", &number) == 1 && number >= 0 && (size_t)number < r->p->nics)
        r->p->nic[number].boot = (*next)++;
    for (size_t i = 0; i < ARRAY_SIZE(buses); i++) {
        if (!numbered(word, buses[i].prefix))
            continue;
        number = atoi(word + strlen(buses[i].prefix));
        for (size_t k = 0; k < r->p->disks; k++) {
            struct plan_disk *d = &r->p->disk[k];
            bool other = false; /* SCSI has many names */
            int unit = strcmp(buses[i].prefix, "ide") == 0 ? d->controller * 2 + d->unit : d->unit;

            for (size_t m = 0; m < 3 && !buses[i].bus; m++)
                other |= strcmp(d->bus, buses[m].bus) == 0;
            if (unit == number && !other && (!buses[i].bus || strcmp(d->bus, buses[i].bus) == 0) &&
                !d->boot)
                d->boot = (*next)++;
        }
    }
}

/* Of old: "boot: cdn", kinds of devices in the order of starting; of disks, the one that bootdisk
 * names. */
static void take_old_boot(struct reading *r, struct node *kinds, struct node *disk)
{
    const char *word = kinds && kinds->value && *kinds->value ? kinds->value : "cdn";
    unsigned next = 1;

    for (; *word; word++) {
        if (*word == 'c' && disk && disk->value)
            boot_from(r, disk->value, &next);
        else
            read_boot_kind(r, *word, &next);
    }
    read_keep(r, kinds);
}

static void take_boot(struct reading *r)
{
    struct node *boot = key(r, "boot"), *order = node_first(boot, "order");
    struct node *old =
        node_first(boot, "file") ? node_first(boot, "file") : node_first(boot, "legacy");
    struct node *disk = key(r, "bootdisk");
    char text[512], *save, *word;
    unsigned next = 1;

    if (order && order->value) {
        snprintf(text, sizeof(text), "%s", order->value);
        for (word = strtok_r(text, ";", &save); word; word = strtok_r(NULL, ";", &save))
            boot_from(r, word, &next);
        read_keep(r, order);
    } else if (old || disk) {
        take_old_boot(r, old, disk);
    }
    if (disk && order)
        read_drop(r, disk, "the boot order is there, so this does not count");
    else
        read_keep(r, disk);
}

static const struct read_rule rules[] = {
    {"[PENDING]", "a change that was to be made at the next start in Proxmox VE"},
    {"[", "the machine starts from its present state; its snapshots stay in the disks' files"},
    {"parent", "the snapshot that the present state was made from"},
    {"digest", "how Proxmox VE kept the file"},
    {"lock", "how Proxmox VE kept the machine"},
    {"meta", "how Proxmox VE kept the machine"},
    {"template", "how Proxmox VE kept the machine"},
    {"tags", "how Proxmox VE kept the machine"},
    {"onboot", "how Proxmox VE kept the machine"},
    {"startup", "how Proxmox VE kept the machine"},
    {"protection", "how Proxmox VE kept the machine"},
    {"unused", "a disk that the machine does not use"},
    {"vmstate", "a saved state belongs to a snapshot"},
    {"balloon", "the guest starts with all of its memory; the balloon can take some back"},
    {"shares", "shares and limits belong to the host that schedules"},
    {"cpulimit", "shares and limits belong to the host that schedules"},
    {"cpuunits", "shares and limits belong to the host that schedules"},
    {"affinity", "shares and limits belong to the host that schedules"},
    {"cpu", "processors are those of this host"},
    {"numa", "there is one memory node"},
    {"hugepages", "how the host keeps the guest's memory"},
    {"keephugepages", "how the host keeps the guest's memory"},
    {"hotplug", "which devices may come while it runs is the persona's"},
    {"vga", "the display is chosen when running"},
    {"keyboard", "the display is chosen when running"},
    {"spice_enhancements", "the display is chosen when running"},
    {"audio", "there is no sound device"},
    {"usb", "USB devices are not attached"},
    {"tablet", "keyboard and pointer are the persona's"},
    {"hostpci", "devices of the other host are not here"},
    {"parallel", "there is no parallel port"},
    {"serial", "serial ports are chosen when running"},
    {"agent", "the agent's channel is the persona's"},
    {"rng", "the source of randomness is the persona's"},
    {"args", "words for QEMU alone"},
    {"amd-sev", "memory is not encrypted"},
    {"intel-tdx", "memory is not encrypted"},
    {"startdate", "the clock starts at the host's time"},
    {"tdf", "the clock is the persona's"},
    {"kvm", "hospes always runs on KVM"},
    {"acpi", "the board has it"},
    {"vmgenid", "the generation id is chosen by Proxmox VE"},
    {"arch", "hospes runs x86 machines"},
    {"hookscript", "programs of the other host are not run"},
    {"ivshmem", "memory is not shared between machines"},
    {"virtiofs", "folders of the other host are not here"},
    {"net", "a matter of the network outside"},
    {"scsi", "a matter of Proxmox VE's own host side"},
    {"ide", "a matter of Proxmox VE's own host side"},
    {"sata", "a matter of Proxmox VE's own host side"},
    {"virtio", "a matter of Proxmox VE's own host side"},
    {"boot", "of the boot order, what hospes does not need"},
    {"ci", "Proxmox VE writes it to its cloud-init disc, which the guest finds if it is here"},
    {"ipconfig",
     "Proxmox VE writes it to its cloud-init disc, which the guest finds if it is here"},
    {"nameserver",
     "Proxmox VE writes it to its cloud-init disc, which the guest finds if it is here"},
    {"searchdomain",
     "Proxmox VE writes it to its cloud-init disc, which the guest finds if it is here"},
    {"sshkeys", "Proxmox VE writes it to its cloud-init disc, which the guest finds if it is here"},
    {"freeze", "processors run from the start"},
    {"autostart", "how Proxmox VE kept the machine"},
    {"migrate", "how Proxmox VE moved the machine"},
    {"reboot", "what hospes does when a guest restarts is said when running"},
    {"watchdog", "there is no watchdog"},
    {"smbios1", "hospes' tables have no such field"},
    {NULL, NULL},
};

static void take(struct reading *r)
{
    if (key(r, "vmstate"))
        read_fail(r, key(r, "vmstate"), "the machine is suspended; start it, and shut it down");
    if (node_is(key(r, "arch"), "aarch64"))
        read_fail(r, key(r, "arch"), "a machine of another processor; hospes runs x86 machines");
    take_machine(r);
    take_disks(r);
    take_cards(r);
    take_boot(r);
    read_rest(r, rules);
}

static int proxmox_read(const struct import_file *f, struct plan *p, struct import_report *r,
                        struct err *e)
{
    return read_tree(f, p, r, e, '/', parse, take);
}

/* Lines that begin with keys which such files have. */
static int proxmox_probe(const char *head, size_t n)
{
    static const char *const keys[] = {
        "ostype:", "scsihw:", "smbios1:", "vmgenid:", "cores:",    "memory:",
        "boot:",   "net0:",   "scsi0:",   "virtio0:", "bootdisk:", "machine:",
        "name:",   "cpu:",    "bios:",    "agent:",   "vga:"};
    unsigned hits = 0;
    char *text = strndup(head, n);

    for (size_t i = 0; text && strlen(text) == n && i < ARRAY_SIZE(keys); i++) {
        char *at = strstr(text, keys[i]);

        hits += at && (at == text || at[-1] == '\n');
    }
    free(text);
    return hits >= 3 ? 70 : hits ? 30 : 0;
}

const struct importer_ops importer_proxmox = {
    .name = "proxmox",
    .about = "Proxmox VE",
    .suffixes = ".conf",
    .max_size = 1 << 20,
    .probe = proxmox_probe,
    .read = proxmox_read,
};
