/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmx.c - VMware's .vmx: `key = "value"` lines.
 *
 * Document: VMware publishes none; keys and defaults as libvirt's vmx driver and the files that
 * products write have them. Keys are not case-sensitive, |XX in a value is a byte in hexadecimal,
 * # begins a comment. Refused: encrypted and suspended machines, raw device mappings.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "import/import.h"
#include "machine/plan.h"

enum { VMX_MAX_KEYS = 8192, VMX_MAX_MEMORY_MIB = 24 << 20 };

struct pair {
    char *key, *value; /* inside the copy of the text; key in lower case */
    unsigned line;
    bool used;
};

struct vmx {
    const struct import_file *f;
    struct plan *p;
    struct import_report *r;
    struct err *e;
    struct pair *pairs;
    size_t count;
    int rc; /* the first failure; everything after it does nothing */
};

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

/* |XX is a byte; anything else after | stays. */
static void unescape(char *s)
{
    char *out = s;

    for (; *s; s++) {
        char hex[3] = {0};

        if (s[0] == '|' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
            memcpy(hex, s + 1, 2);
            *out = (char)strtoul(hex, NULL, 16);
            if (*out)
                out++;
            s += 2;
        } else {
            *out++ = *s;
        }
    }
    *out = '\0';
}

static int parse_line(struct vmx *v, char *text, unsigned line)
{
    char *eq, *value, *end;

    text = trim(text);
    if (!*text || *text == '#' || *text == '!')
        return 0;
    eq = strchr(text, '=');
    if (!eq)
        return err_exit(v->e, EX_BAD_INPUT, EINVAL, "line %u is not `key = \"value\"`", line);
    *eq = '\0';
    value = trim(eq + 1);
    text = trim(text);
    if (*value == '"') {
        value++;
        end = strrchr(value, '"');
        if (!end)
            return err_exit(v->e, EX_BAD_INPUT, EINVAL, "line %u: the value of %s has no end", line,
                            text);
        *end = '\0';
    }
    unescape(value);
    if (v->count == VMX_MAX_KEYS)
        return err_exit(v->e, EX_BAD_INPUT, EINVAL, "more than %d keys", VMX_MAX_KEYS);
    for (char *c = text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    v->pairs[v->count++] = (struct pair){.key = text, .value = value, .line = line};
    return 0;
}

static int parse(struct vmx *v, char *text)
{
    unsigned line = 0;
    char *next;
    int rc = 0;

    for (char *at = text; at && rc == 0; at = next) {
        next = strchr(at, '\n');
        if (next)
            *next++ = '\0';
        rc = parse_line(v, at, ++line);
    }
    return rc;
}

/* --- keys --- */

static struct pair *find(struct vmx *v, const char *key)
{
    struct pair *hit = NULL;

    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->pairs[i].key, key) == 0)
            hit = &v->pairs[i]; /* the last one counts, as in the product */
    }
    return hit;
}

/* printf-like key: "scsi0:1.filename". */
static struct pair *find_key(struct vmx *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
static struct pair *find_key(struct vmx *v, const char *fmt, ...)
{
    char key[64];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(key, sizeof(key), fmt, ap);
    va_end(ap);
    return find(v, key);
}

static bool is_true(const struct pair *p)
{
    return p && (strcasecmp(p->value, "true") == 0 || strcmp(p->value, "1") == 0);
}

static void tell(struct vmx *v, struct pair *p, enum import_fate fate, const char *to,
                 const char *why)
{
    if (!p || p->used || v->rc < 0)
        return;
    p->used = true;
    v->rc = import_tell(v->r, fate, p->line, p->key, p->value, to, why, v->e);
}

static void keep(struct vmx *v, struct pair *p)
{
    tell(v, p, IMPORT_KEPT, NULL, NULL);
}

static void fail(struct vmx *v, const struct pair *p, const char *why)
{
    if (v->rc == 0)
        v->rc = err_exit(v->e, EX_BAD_INPUT, EINVAL, "line %u: %s = \"%s\": %s", p->line, p->key,
                         p->value, why);
}

static void set(struct vmx *v, char **at, const char *value)
{
    if (v->rc == 0)
        v->rc = plan_set(at, value, v->e);
}

static uint64_t number(struct vmx *v, struct pair *p, uint64_t min, uint64_t max, uint64_t missing)
{
    unsigned long long n;
    char *end;

    if (!p)
        return missing;
    errno = 0;
    n = strtoull(p->value, &end, 10);
    if (!isdigit((unsigned char)p->value[0]) || *end || errno || n < min || n > max) {
        fail(v, p, "not a number that a machine can have");
        return missing;
    }
    return n;
}

/* --- the machine itself --- */

static void refuse_what_cannot_run(struct vmx *v)
{
    struct pair *p = find(v, "encryption.keysafe");

    if (!p)
        p = find(v, "encryption.data");
    if (p)
        fail(v, p, "the machine is encrypted; decrypt it in VMware first");
    p = find(v, "checkpoint.vmstate");
    if (p && p->value[0])
        fail(v, p, "the machine is suspended; shut it down in VMware first");
}

/* A machine's name is also a file name and a word on the command line. */
static void read_name(struct vmx *v, struct pair *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+";
    char cut[65];
    size_t n = 0;

    if (!name || !name->value[0])
        return;
    for (const char *c = name->value; *c && n < sizeof(cut) - 1; c++)
        cut[n++] = strchr(allowed, *c) ? *c : '-';
    cut[n] = '\0';
    set(v, &v->p->name, cut);
    if (strcmp(cut, name->value) == 0)
        keep(v, name);
    else
        tell(v, name, IMPORT_CHANGED, cut,
             "names of machines have letters, digits and . _ - + only");
}

static void read_machine(struct vmx *v)
{
    struct pair *name = find(v, "displayname"), *cpus = find(v, "numvcpus");
    struct pair *memory = find(v, "memsize"), *uuid = find(v, "uuid.bios");
    struct pair *firmware = find(v, "firmware");

    set(v, &v->p->persona, "vmware");
    set(v, &v->p->persona_why, "a .vmx describes a machine made for VMware");
    read_name(v, name);
    v->p->cpus = (unsigned)number(v, cpus, 1, PLAN_MAX_CPUS, 1);
    keep(v, cpus);
    v->p->memory = number(v, memory, 4, VMX_MAX_MEMORY_MIB, 32) * MiB;
    keep(v, memory);
    if (firmware && strcasecmp(firmware->value, "efi") == 0)
        set(v, &v->p->firmware, "uefi");
    else
        set(v, &v->p->firmware, "bios");
    keep(v, firmware);
    if (uuid && import_uuid(uuid->value, v->p->uuid))
        v->p->uuid_said = true;
    else if (uuid)
        fail(v, uuid, "not 16 bytes in hexadecimal");
    keep(v, uuid);
}

/* --- disks --- */

static struct plan_disk *disk_new(struct vmx *v)
{
    if (v->rc < 0)
        return NULL;
    if (v->p->disks == PLAN_MAX_DISKS) {
        v->rc = err_exit(v->e, EX_BAD_INPUT, EINVAL, "more than %d disks", PLAN_MAX_DISKS);
        return NULL;
    }
    v->p->disk[v->p->disks] = (struct plan_disk){.controller = -1, .unit = -1};
    return &v->p->disk[v->p->disks++];
}

static bool is_cdrom(const struct pair *type)
{
    return type && (strcasestr(type->value, "cdrom") != NULL);
}

/* true: the device is to be made. What is not has been told. */
static bool usable(struct vmx *v, struct pair *file, struct pair *type)
{
    if (!file) {
        tell(v, type, IMPORT_DROPPED, NULL, "the device has no file");
        return false;
    }
    if (type && strcasecmp(type->value, "rawdisk") == 0) {
        fail(v, file, "a raw device mapping belongs to its host; give a disk image instead");
        return false;
    }
    if (type && strcasestr(type->value, "raw")) {
        tell(v, file, IMPORT_DROPPED, NULL, "the drive of another host is not here");
        tell(v, type, IMPORT_DROPPED, NULL, "the drive of another host is not here");
        return false;
    }
    if (is_cdrom(type) && (!file->value[0] || strcasecmp(file->value, "emptyBackingString") == 0 ||
                           strcasecmp(file->value, "auto detect") == 0)) {
        tell(v, file, IMPORT_DROPPED, NULL, "the drive is empty");
        return false;
    }
    return true;
}

static void read_disk(struct vmx *v, const char *bus, unsigned controller, unsigned unit,
                      const char *model)
{
    struct pair *present = find_key(v, "%s%u:%u.present", bus, controller, unit);
    struct pair *file = find_key(v, "%s%u:%u.filename", bus, controller, unit);
    struct pair *type = find_key(v, "%s%u:%u.devicetype", bus, controller, unit);
    struct pair *mode = find_key(v, "%s%u:%u.mode", bus, controller, unit);
    struct plan_disk *d;
    char *path = NULL;
    bool moved;

    if (!is_true(present)) {
        tell(v, present, IMPORT_DROPPED, NULL, "the device is switched off");
        tell(v, file, IMPORT_DROPPED, NULL, "the device is switched off");
        return;
    }
    keep(v, present);
    if (!usable(v, file, type) || !(d = disk_new(v)))
        return;
    v->rc = import_reference(v->f, file->value, &path, &moved, v->e);
    d->path = path;
    d->cdrom = is_cdrom(type);
    d->controller = (int)controller;
    d->unit = (int)unit;
    set(v, &d->bus, model);
    if (mode && strcasestr(mode->value, "nonpersistent")) {
        d->write = PLAN_SNAPSHOT;
        d->write_said = true;
    }
    tell(v, file, moved ? IMPORT_CHANGED : IMPORT_KEPT, moved ? path : NULL,
         moved ? "files are looked for beside the description only" : NULL);
    keep(v, type);
    keep(v, mode);
}

static void read_bus(struct vmx *v, const char *bus, unsigned controllers, unsigned units,
                     const char *model)
{
    for (unsigned c = 0; c < controllers && v->rc == 0; c++) {
        struct pair *present = find_key(v, "%s%u.present", bus, c);
        struct pair *kind = find_key(v, "%s%u.virtualdev", bus, c);
        const char *is = strcmp(bus, "scsi") == 0 && kind ? kind->value : model;

        keep(v, present);
        keep(v, kind);
        for (unsigned u = 0; u < units && v->rc == 0; u++)
            read_disk(v, bus, c, u, is);
    }
}

/* --- network --- */

static void read_nic(struct vmx *v, unsigned i)
{
    struct pair *present = find_key(v, "ethernet%u.present", i);
    struct pair *kind = find_key(v, "ethernet%u.virtualdev", i);
    struct pair *fixed = find_key(v, "ethernet%u.address", i);
    struct pair *made = find_key(v, "ethernet%u.generatedaddress", i);
    struct pair *network = find_key(v, "ethernet%u.networkname", i);
    struct pair *mac = fixed ? fixed : made;
    struct plan_nic *n;

    if (!is_true(present)) {
        tell(v, present, IMPORT_DROPPED, NULL, "the adapter is switched off");
        return;
    }
    if (v->p->nics == PLAN_MAX_NICS) {
        fail(v, present, "more network adapters than hospes has");
        return;
    }
    n = &v->p->nic[v->p->nics++];
    *n = (struct plan_nic){0};
    set(v, &n->backend, "user");
    if (kind)
        set(v, &n->model, kind->value);
    if (mac && import_mac(mac->value, n->mac))
        n->mac_said = true;
    else if (mac)
        fail(v, mac, "not an Ethernet address");
    keep(v, present);
    keep(v, kind);
    keep(v, mac);
    keep(v, find_key(v, "ethernet%u.addresstype", i));
    tell(v, network, IMPORT_CHANGED, "user",
         "that network is not here; choose another by --nic when running");
    tell(v, find_key(v, "ethernet%u.connectiontype", i), IMPORT_CHANGED, "user",
         "that network is not here; choose another by --nic when running");
    tell(v, find_key(v, "ethernet%u.pcislotnumber", i), IMPORT_DROPPED, NULL,
         "the guest may give the adapter another name");
}

/* --- the rest --- */

/* What a family of keys means for the guest when it is gone. */
static void read_rest(struct vmx *v)
{
    static const struct {
        const char *prefix, *why;
    } known[] = {
        {"config.version", "the file format's own version"},
        {".encoding", "the file's own encoding"},
        {"virtualhw.", "hospes has one board; guests do not ask for its version"},
        {"guestos", "the guest says itself what it is"},
        {"nvram", "the firmware's saved settings are VMware's own format"},
        {"pcibridge", "hospes lays out the bus itself"},
        {"svga.", "the display is chosen when running"},
        {"vmci", "VMCI is not offered; tools fall back to the backdoor"},
        {"usb", "there is no USB controller"},
        {"ehci", "there is no USB controller"},
        {"sound", "there is no sound device"},
        {"floppy", "there is no floppy drive"},
        {"serial", "serial ports are chosen when running"},
        {"parallel", "there is no parallel port"},
        {"sched.", "shares and limits belong to the host that schedules"},
        {"tools.", "settings of VMware's own host side"},
        {"toolscripts", "settings of VMware's own host side"},
        {"isolation.", "settings of VMware's own host side"},
        {"powertype", "hospes stop asks the guest first, --now does not"},
        {"snapshot.", "snapshots are in the disk's chain"},
        {"hpet0", "the guest has better clocks"},
        {"annotation", "a note for people"},
        {"uuid.location", "where the machine was kept"},
        {"vc.uuid", "how another manager knows the machine"},
        {"extendedconfigfile", "for VMware's own programs"},
        {"cpuid.", "processors are those of this host"},
    };

    for (size_t i = 0; i < v->count && v->rc == 0; i++) {
        const char *why = "hospes does not know this key";

        if (v->pairs[i].used)
            continue;
        for (size_t k = 0; k < ARRAY_SIZE(known); k++) {
            if (strncmp(v->pairs[i].key, known[k].prefix, strlen(known[k].prefix)) == 0)
                why = known[k].why;
        }
        tell(v, &v->pairs[i], IMPORT_DROPPED, NULL, why);
    }
}

static int vmx_read(const struct import_file *f, struct plan *p, struct import_report *r,
                    struct err *e)
{
    struct vmx v = {.f = f, .p = p, .r = r, .e = e};
    char *text = strdup(f->text);

    v.pairs = calloc(VMX_MAX_KEYS, sizeof(*v.pairs));
    if (!text || !v.pairs)
        v.rc = err_set(e, ENOMEM, "no memory for the description");
    else
        v.rc = parse(&v, text);
    if (v.rc == 0) {
        refuse_what_cannot_run(&v);
        read_machine(&v);
        read_bus(&v, "scsi", 4, 64, "lsilogic");
        read_bus(&v, "sata", 4, 30, "ahci");
        read_bus(&v, "ide", 2, 2, "ide");
        read_bus(&v, "nvme", 4, 15, "nvme");
        p->nics_said = true;
        for (unsigned i = 0; i < 10; i++)
            read_nic(&v, i);
        read_rest(&v);
    }
    free(v.pairs);
    free(text);
    return v.rc;
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
