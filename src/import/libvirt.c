/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvirt.c - a domain of libvirt as `virsh dumpxml` prints it: the machine. Disks and cards are in
 * libvirt_dev.c.
 *
 * Document: https://libvirt.org/formatdomain.html. Not modelled: domains that are no x86 machines
 * (containers, other architectures), disks on the network or in a storage pool.
 */
#define _GNU_SOURCE
#include "import/libvirt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "import/xml.h"

static uint64_t memory_unit(const struct node *n)
{
    static const struct {
        const char *word;
        uint64_t bytes;
    } units[] = {{"b", 1},
                 {"bytes", 1},
                 {"KB", 1000},
                 {"k", 1024},
                 {"KiB", 1024},
                 {"MB", 1000 * 1000},
                 {"M", 1 << 20},
                 {"MiB", 1 << 20},
                 {"GB", 1000000000},
                 {"G", 1 << 30},
                 {"GiB", 1 << 30},
                 {"T", UINT64_C(1) << 40},
                 {"TiB", UINT64_C(1) << 40}};
    const char *word = node_text(n, "@unit");

    if (!word)
        return 1024;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strcmp(units[i].word, word) == 0)
            return units[i].bytes;
    }
    return 0;
}

static void take_memory(struct reading *r, struct node *domain)
{
    struct node *memory = node_first(domain, "memory"), *now = node_first(domain, "currentMemory");
    uint64_t unit = memory_unit(memory);

    if (!unit) {
        read_fail(r, node_get(memory, "@unit"), "not a unit of memory");
        return;
    }
    if (!memory)
        memory = now; /* then this is all of it */
    read_memory(r, memory, unit, 0);
    read_keep(r, node_get(memory, "@unit"));
    read_drop_all(r, now,
                  "the guest starts with all of its memory; the balloon can take some back");
}

static void refuse_what_cannot_run(struct reading *r, struct node *domain)
{
    struct node *type = node_get(domain, "os/type"), *arch = node_get(type, "@arch");

    if (node_is(type, "exe"))
        read_fail(r, type, "a container is no machine; hospes runs whole machines");
    if (arch && arch->value && strcmp(arch->value, "x86_64") != 0 &&
        strcmp(arch->value, "i686") != 0)
        read_fail(r, arch, "a machine of another processor; hospes runs x86 machines");
}

/* Whose name it has when it is the domain of a hypervisor that its guests do not know. */
static const char *plain_pc(struct node *domain)
{
    const struct node *type = node_get(domain, "@type");

    return node_is(type, "vbox")    ? "VirtualBox"
           : node_is(type, "bhyve") ? "bhyve"
           : node_is(node_get(domain, "features/kvm/hidden/@state"), "on")
               ? "QEMU that hides itself"
               : NULL;
}

static void take_whose(struct reading *r, struct node *domain)
{
    struct node *type = node_get(domain, "@type");
    const char *is = type && type->value ? type->value : "";

    if (strcmp(is, "xen") == 0)
        read_persona(r, "xen", "the libvirt domain is of Xen");
    else if (strcmp(is, "vmware") == 0)
        read_persona(r, "vmware", "the libvirt domain is of VMware");
    else if (strcmp(is, "hyperv") == 0)
        read_persona(r, "hyperv", "the libvirt domain is of Hyper-V");
    else if (strcmp(is, "kvm") == 0 || strcmp(is, "qemu") == 0)
        read_persona(r, "kvm", "the libvirt domain is of QEMU");
    else if (plain_pc(domain))
        read_persona(r, "bare", NULL); /* until its devices are known */
    else
        read_fail(r, type ? type : domain, "not a hypervisor whose machines hospes runs");
    read_keep(r, type);
    read_text(r, &r->p->hardware, node_get(domain, "os/type/@machine"));
    if (r->p->hardware && strstr(r->p->hardware, "q35") && r->p->persona &&
        strcmp(r->p->persona, "kvm") == 0)
        read_set(r, &r->p->machine, "q35");
}

/* --- how it starts --- */

static void take_firmware(struct reading *r, struct node *os)
{
    struct node *kind = node_get(os, "@firmware"), *loader = node_first(os, "loader");
    struct node *secure = node_get(loader, "@secure");
    bool uefi = node_is(kind, "efi") || node_is(node_get(loader, "@type"), "pflash") ||
                (loader && loader->value &&
                 (strcasestr(loader->value, "ovmf") || strcasestr(loader->value, "edk2")));

    if (!r->p->kernel)
        read_set(r, &r->p->firmware, uefi ? "uefi" : "bios");
    read_keep(r, kind);
    read_keep(r, node_get(loader, "@type"));
    if (loader && loader->value && *loader->value)
        read_change(r, loader, uefi ? "hospes' UEFI firmware" : "hospes' BIOS",
                    "firmware comes with hospes");
    read_secure_boot(r, secure, read_true(secure));
    for (struct node *f = node_first(node_first(os, "firmware"), "feature"); f;
         f = node_next(f, "feature")) {
        if (!node_is(node_get(f, "@name"), "secure-boot"))
            continue;
        read_secure_boot(r, node_get(f, "@enabled"), read_true(node_get(f, "@enabled")));
        read_keep(r, node_get(f, "@name"));
    }
}

/* Who wants the firmware's menu has so many milliseconds; Xen's cannot be told how many. */
static void take_menu(struct reading *r, struct node *menu)
{
    struct node *enable = node_get(menu, "@enable"), *timeout = node_get(menu, "@timeout");
    char words[32] = "menu";
    uint64_t ms;

    if (r->p->kernel || !node_is(enable, "yes"))
        return;
    read_keep(r, enable);
    if (timeout && !(r->p->persona && strcmp(r->p->persona, "xen") == 0)) {
        ms = read_number(r, timeout, 0, UINT16_MAX, 0);
        snprintf(words, sizeof(words), "menu=%u",
                 (unsigned)min_u64(max_u64((ms + 999) / 1000, 1), UINT16_MAX / 1000));
    }
    read_set(r, &r->p->firmware_opts, words);
}

static void take_own_file(struct reading *r, struct node *n, char **at)
{
    struct plan_disk none = {0};

    if (!n || !n->value || !*n->value)
        return;
    read_file(r, n, &none);
    if (none.path)
        read_set(r, at, none.path);
    free(none.path);
}

static void take_kernel(struct reading *r, struct node *os)
{
    take_own_file(r, node_first(os, "kernel"), &r->p->kernel);
    take_own_file(r, node_first(os, "initrd"), &r->p->initrd);
    if (r->p->kernel)
        read_text(r, &r->p->append, node_first(os, "cmdline"));
}

/* <boot dev='hd'/> means all disks in their order. */
static void take_boot(struct reading *r, struct node *os)
{
    unsigned next = 1;

    for (struct node *b = node_first(os, "boot"); b; b = node_next(b, "boot")) {
        struct node *dev = node_get(b, "@dev");

        read_boot_word(r, dev ? dev->value : NULL, &next);
        read_keep(r, dev);
    }
}

/* --- what the firmware's tables say --- */

static void take_sysinfo(struct reading *r, struct node *domain)
{
    struct plan_smbios *s = &r->p->smbios;
    const struct {
        const char *table, *name;
        char **at;
    } known[] = {
        {"system", "manufacturer", &s->vendor},
        {"system", "product", &s->product},
        {"system", "version", &s->version},
        {"system", "serial", &s->serial},
        {"system", "sku", &s->sku},
        {"system", "family", &s->family},
        {"baseBoard", "serial", &s->board_serial},
        {"chassis", "serial", &s->chassis_serial},
        {"chassis", "asset", &s->asset_tag},
    };
    struct node *info = node_first(domain, "sysinfo");

    if (!node_is(node_get(info, "@type"), "smbios"))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        for (struct node *n = node_first(node_first(info, known[i].table), "entry"); n;
             n = node_next(n, "entry")) {
            if (!node_is(node_get(n, "@name"), known[i].name))
                continue;
            read_text(r, known[i].at, n);
            read_keep(r, node_get(n, "@name"));
        }
    }
    read_keep(r, node_get(info, "@type"));
}

static void take_clock(struct reading *r, struct node *domain)
{
    struct node *offset = node_get(domain, "clock/@offset");

    r->p->rtc_local = node_is(offset, "localtime") || node_is(offset, "timezone") ||
                      node_is(node_get(domain, "clock/@basis"), "localtime");
    read_keep(r, offset);
    read_keep(r, node_get(domain, "clock/@basis"));
}

static void take_machine(struct reading *r, struct node *domain)
{
    struct node *os = node_first(domain, "os"), *title = node_first(domain, "title");
    struct node *id = node_get(domain, "metadata/libosinfo/os/@id");

    take_whose(r, domain);
    read_name(r, node_first(domain, "name"));
    if (title)
        read_text(r, &r->p->title, title);
    read_text(r, &r->p->notes, node_first(domain, "description"));
    read_text(r, &r->p->guest_os, id);
    read_uuid(r, node_first(domain, "uuid"));
    if (node_first(domain, "genid") && node_text(domain, "genid") && *node_text(domain, "genid"))
        read_guid(r, node_first(domain, "genid"), &r->p->genid);
    r->p->cpus = 1;
    read_cpus(r, node_first(domain, "vcpu"));
    read_cores(r, node_get(domain, "cpu/topology/@cores"));
    take_memory(r, domain);
    take_kernel(r, os);
    take_firmware(r, os);
    take_menu(r, node_first(os, "bootmenu"));
    take_sysinfo(r, domain);
    take_clock(r, domain);
    read_keep(r, node_get(os, "type"));
    read_keep(r, node_get(os, "type/@arch"));
}

static const struct read_rule rules[] = {
    {"domain/metadata", "notes of other programs"},
    {"domain/on_", "what hospes does when a guest ends is said when running"},
    {"domain/os/nvram", "UEFI variables are made new: boot entries and keys that were enrolled"},
    {"domain/os/bootmenu", "firmware settings are hospes' own"},
    {"domain/os/bios", "firmware settings are hospes' own"},
    {"domain/os/firmware", "firmware comes with hospes"},
    {"domain/os/loader", "firmware comes with hospes"},
    {"domain/os/smbios", "names come with the plan"},
    {"domain/sysinfo", "hospes' tables have no such field"},
    {"domain/vcpu", "shares, limits and placing belong to the host"},
    {"domain/cpu/topology", "one socket and thread for each; cores to a socket are kept"},
    {"domain/cpu/numa", "there is one memory node"},
    {"domain/cpu", "processors are those of this host"},
    {"domain/bootloader", "the guest starts by its disk's own boot loader"},
    {"domain/override", "words for QEMU alone"},
    {"domain/deprecation", "words for QEMU alone"},
    {"domain/capabilities", "words for QEMU alone"},
    {"domain/devices/redirfilter", "USB is not redirected"},
    {"domain/devices/memory", "its size is in the machine's memory, which is one piece here"},
    {"domain/features/hyperv", "the kvm persona shows no Hyper-V clocks; Windows has others"},
    {"domain/features", "the persona and the board have their own features"},
    {"domain/clock", "clocks are the persona's"},
    {"domain/cputune", "shares and limits belong to the host that schedules"},
    {"domain/numatune", "shares and limits belong to the host that schedules"},
    {"domain/blkiotune", "shares and limits belong to the host that schedules"},
    {"domain/memtune", "shares and limits belong to the host that schedules"},
    {"domain/memoryBacking", "how the host keeps the guest's memory"},
    {"domain/memory", "how the host keeps the guest's memory"},
    {"domain/maxMemory",
     "more memory is not promised; what a guest is given later is asked for while it runs"},
    {"domain/resource", "how the host keeps its machines"},
    {"domain/iothreads", "loops are chosen by --disk loop=N"},
    {"domain/iothreadids", "loops are chosen by --disk loop=N"},
    {"domain/perf", "measuring is the host's"},
    {"domain/pm", "suspending is not offered"},
    {"domain/seclabel", "how the host confines its machines"},
    {"domain/launchSecurity", "memory is not encrypted"},
    {"domain/commandline", "words for QEMU alone"},
    {"domain/@", "how libvirt knew the machine"},
    {"domain/devices/emulator", "hospes is the emulator"},
    {"domain/devices/hostdev", "devices of the other host are not here"},
    {"domain/devices/redirdev", "USB is not redirected"},
    {"domain/devices/graphics", "the display is chosen when running"},
    {"domain/devices/video", "the display is chosen when running"},
    {"domain/devices/audio", "there is no sound device"},
    {"domain/devices/sound", "there is no sound device"},
    {"domain/devices/serial", "serial ports are chosen when running"},
    {"domain/devices/console", "serial ports are chosen when running"},
    {"domain/devices/parallel", "there is no parallel port"},
    {"domain/devices/channel", "agents' channels are the persona's"},
    {"domain/devices/input", "keyboard and pointer are the persona's"},
    {"domain/devices/hub", "USB devices are not attached"},
    {"domain/devices/smartcard", "there is no card reader"},
    {"domain/devices/watchdog", "there is no watchdog"},
    {"domain/devices/memballoon", "the balloon is the persona's"},
    {"domain/devices/rng", "the source of randomness is the persona's"},
    {"domain/devices/panic", "the panic notice is the board's"},
    {"domain/devices/vsock", "sockets to the host are the persona's"},
    {"domain/devices/tpm", "the TPM is one of its own, with new state"},
    {"domain/devices/filesystem", "folders of the other host are not here"},
    {"domain/devices/shmem", "memory is not shared between machines"},
    {"domain/devices/iommu", "there is no IOMMU"},
    {"domain/devices/nvram", "firmware settings are hospes' own"},
    {"domain/devices/controller", "hospes makes the controllers that disks need"},
    {"domain/devices/disk", "of no meaning to the guest, or a detail that hospes does not need"},
    {"domain/devices/interface", "of no meaning to the guest, or a matter of the network outside"},
    {NULL, NULL},
};

static void take(struct reading *r)
{
    struct node *domain = r->t.top.child;

    refuse_what_cannot_run(r, domain);
    take_machine(r, domain);
    r->p->nics_said = true;
    libvirt_devices(r, node_first(domain, "devices"));
    if (plain_pc(domain) && r->p->persona &&
        (strcmp(r->p->persona, "kvm") == 0 || strcmp(r->p->persona, "bare") == 0)) {
        read_plain_pc(r, plain_pc(domain));
        read_keep(r, node_get(domain, "features/kvm/hidden/@state"));
    }
    take_boot(r, node_first(domain, "os"));
    read_rest(r, rules);
}

static int libvirt_read(const struct import_file *f, struct plan *p, struct import_report *r,
                        struct err *e)
{
    return read_tree(f, p, r, e, '/', xml_parse, take);
}

static int libvirt_probe(const char *head, size_t n)
{
    return xml_probe(head, n, "domain") ? 90 : 0;
}

const struct importer_ops importer_libvirt = {
    .name = "libvirt",
    .about = "libvirt's domain XML",
    .suffixes = ".xml",
    .max_size = 4 << 20,
    .probe = libvirt_probe,
    .read = libvirt_read,
};
