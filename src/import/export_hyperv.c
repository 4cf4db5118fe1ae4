/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export_hyperv.c - a plan as a folder that Hyper-V imports: Virtual Machines/ID.vmcx and an empty
 * ID.vmrs; disks belong into Virtual Hard Disks. See hyperv.c for the keys.
 *
 * The manifest lists the devices that Hyper-V itself gives every machine of the generation; classes
 * and names as files that Hyper-V wrote have them.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/path.h"
#include "import/export.h"
#include "import/hvs.h"
#include "import/hyperv.h"
#include "machine/plan.h"

#define DISKS "Virtual Hard Disks"
#define HYPERV_SUFFIXES ".vhdx .vhd .avhdx .iso"

struct hyperv_out {
    const struct plan *p;
    struct export *x;
    struct err *e;
    struct hvs_make *m;
    char id[37]; /* the machine's, as Hyper-V names its files */
    unsigned devices;
    bool drive[2][2]; /* IDE drives that are taken */
    bool floppy;      /* and the floppy drive */
    int next_scsi;
    int rc;
};

static const char *key(char out[300], const char *fmt, ...) PRINTF_LIKE(2, 3);
static const char *key(char out[300], const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(out, 300, "configuration/");

    va_start(ap, fmt);
    vsnprintf(out + n, 300 - (size_t)n, fmt, ap);
    va_end(ap);
    return out;
}

static void text(struct hyperv_out *o, const char *path, const char *value)
{
    char at[300];

    if (value)
        hvs_put_text(o->m, key(at, "%s", path), value);
}

static void number(struct hyperv_out *o, const char *path, int64_t value)
{
    char at[300];

    hvs_put_number(o->m, key(at, "%s", path), value);
}

static void flag(struct hyperv_out *o, const char *path, bool value)
{
    char at[300];

    hvs_put_bool(o->m, key(at, "%s", path), value);
}

static void braced(const uint8_t b[16], char out[40])
{
    char guid[37];

    export_guid(b, guid);
    snprintf(out, 40, "{%s}", guid);
}

/* --- the manifest --- */

static void device(struct hyperv_out *o, const char *class, const char *instance, const char *name)
{
    char at[300];

    o->devices++;
    hvs_put_text(o->m, key(at, "manifest/vdev%03u/device", o->devices), class);
    hvs_put_text(o->m, key(at, "manifest/vdev%03u/instance", o->devices), instance);
    hvs_put_text(o->m, key(at, "manifest/vdev%03u/name", o->devices), name);
    hvs_put_number(o->m, key(at, "manifest/vdev%03u/flags", o->devices), 1);
}

struct standing {
    const char *class, *name;
    int generations; /* 1, 2, or 3 for both */
};

static const struct standing standing[] = {
    {"d41a1872-3740-41ce-a1ee-4522ab82f991", "Microsoft VmBus", 3},
    {"9edd1639-9bca-40dc-b3a2-07c828da60b5", "Microsoft Emulated PIC", 1},
    {"72682fc4-040a-430a-be0b-224574b953fe", "Microsoft Emulated IoAPIC", 3},
    {"84535fad-4d98-4a6a-bdcd-21d5720dc430", "Microsoft Emulated PCI Bus", 1},
    {"4d42d9f7-6531-4f6c-9e46-1f0477876104", "Microsoft Emulated ISA Bus", 1},
    {"db8b9818-b4bb-4725-b99d-b4612716b6b4", "Microsoft Emulated Power Management Device", 3},
    {HYPERV_BIOS, "Microsoft Virtual BIOS", 3},
    {"e51b7ef6-4a7f-4780-aaae-d4b291aacd2e", "Microsoft Emulated Real Time Clock", 3},
    {"de6cdc86-e1fb-4940-801b-c3c1a26c4da4", "Microsoft Input Management Device", 3},
    {"9cb98db1-4d09-4538-a192-2d3d8c0b6cdb", "Microsoft Rdp Encoder", 3},
    {"ba8735ef-e3a9-4f1b-badd-dbf3a5909915", "Microsoft Video Monitor", 3},
    {"e3c82929-edb4-475e-85a4-29aaa2a30c2d", "Microsoft Dynamic Memory Controller", 3},
    {"4d46d139-7821-4dc4-98a3-01e98a586a44", "Microsoft Emulated Speaker Device", 1},
    {"35b0b12f-a0d7-482f-80a0-f52f1ab3da2e", "Microsoft Emulated SuperIo Device", 1},
    {"a28e4d02-3323-4148-9569-565930a5cb39", "Microsoft Emulated PIT", 1},
    {"655bc5c5-a784-46b7-81bc-e26328f7eb0e", "Microsoft Emulated I8042 Controller", 1},
    {"87045ce9-5323-438f-93bb-1e83dcbce18e", "Microsoft Emulated DMA Controller", 1},
    {"7d80d3db-61ee-4879-8879-5609f1100ad0", "Microsoft Emulated Video S3", 1},
    {HYPERV_FLOPPY, "Microsoft Emulated Floppy Controller", 1},
    {"8e3a359f-559a-4b6a-98a9-1690a6100ed7", "Microsoft Emulated Serial Controller", 3},
    {HYPERV_IDE, "Microsoft Emulated IDE Controller", 1},
    {"58f75a6d-d949-4320-99e1-a2a2576d581c", "Microsoft Synthetic Mouse", 3},
    {"197f74e3-b84b-46de-8ae6-82f1cd181cdc", "Microsoft Synthetic Keyboard", 3},
    {"f3cf6965-e8d3-44a9-9b7d-a04245ea7525", "Microsoft Synthetic Video", 3},
    {"84eaae65-2f2e-45f5-9bb5-0e857dc8eb47", "Microsoft Heartbeat Component", 3},
    {"2a34b1c2-fd73-4043-8a5b-dd2159bc743f", "Microsoft Key-Value Pair Exchange Component", 3},
    {"9f8233ac-be49-4c79-8ee3-e7e1985b2077", "Microsoft Shutdown Component", 3},
    {"2497f4de-e9fa-4204-80e4-4b75c46419c0", "Microsoft Time Synchronization Component", 3},
    {"5ced1297-4598-4915-a5fc-ad21bb4d02a4", "Microsoft VSS Component", 3},
};

/* --- the machine --- */

/* The inverse of what hyperv.c does. */
static void put_genid(struct hyperv_out *o)
{
    static const uint8_t order[16] = {11, 10, 9, 8, 13, 12, 15, 14, 0, 1, 2, 3, 4, 5, 6, 7};
    uint8_t raw[16];
    char at[300];

    if (!o->p->genid.said)
        return;
    for (unsigned i = 0; i < 16; i++)
        raw[order[i]] = o->p->genid.b[i];
    hvs_put_bytes(o->m, key(at, "global_settings/devices/generation_id"), raw, sizeof(raw));
}

static void put_bios(struct hyperv_out *o)
{
    const struct plan_smbios *s = &o->p->smbios;
    char guid[40];

    if (o->p->uuid_said) {
        braced(o->p->uuid, guid);
        text(o, "_" HYPERV_BIOS "_/bios_guid", guid);
    }
    text(o, "_" HYPERV_BIOS "_/bios_serial_number", s->serial);
    text(o, "_" HYPERV_BIOS "_/base_board/serial_number", s->board_serial);
    text(o, "_" HYPERV_BIOS "_/chassis/serial_number", s->chassis_serial);
    text(o, "_" HYPERV_BIOS "_/chassis/asset_tag", s->asset_tag);
    flag(o, "_" HYPERV_BIOS "_/secure_boot_enabled", o->p->secure_boot);
}

static void put_boot(struct hyperv_out *o)
{
    static const char *const words[] = {"HardDrive", "Optical", "Network", "Floppy"};
    struct export_boot order[EXPORT_BOOT_MAX];
    size_t n = export_boot(o->p, order);
    bool used[ARRAY_SIZE(words)] = {false};
    int next = 0;

    for (size_t i = 0; i < n; i++) {
        const struct plan_disk *d = &o->p->disk[order[i].i];
        int kind = order[i].card ? 2 : plan_floppy(d) ? 3 : d->cdrom ? 1 : 0;
        char path[80];

        if (used[kind])
            continue;
        used[kind] = true;
        snprintf(path, sizeof(path), "_" HYPERV_BIOS "_/boot/device%d", next++);
        text(o, path, words[kind]);
    }
}

static void put_machine(struct hyperv_out *o)
{
    const struct plan *p = o->p;
    unsigned major = 9, minor = 0;
    bool uefi = p->firmware && strcmp(p->firmware, "uefi") == 0;

    if (p->hardware)
        (void)!sscanf(p->hardware, "hyperv-%3u.%3u", &major, &minor);
    text(o, "properties/global_id", o->id);
    text(o, "properties/name", export_title(p));
    text(o, "properties/notes", p->notes ? p->notes : "");
    number(o, "properties/subtype", uefi);
    text(o, "properties/type_id", "Virtual Machines");
    number(o, "properties/version", (major & 0xff) << 8 | (minor & 0xff));
    text(o, "settings/global/logical_id", o->id);
    number(o, "settings/processors/count", p->cpus ? p->cpus : 1);
    number(o, "settings/processors/limit", 100000);
    number(o, "settings/processors/weight", 100);
    number(o, "settings/memory/bank/size", (int64_t)(p->memory / MiB));
    number(o, "settings/memory/bank/limit", (int64_t)(p->memory / MiB));
    number(o, "settings/memory/bank/reservation", (int64_t)(p->memory / MiB));
    flag(o, "settings/memory/bank/dynamic_memory_enabled", false);
    if (p->tpm)
        flag(o, "settings/security/tpm_enabled", true);
    put_genid(o);
    put_bios(o);
    put_boot(o);
    for (size_t i = 0; i < ARRAY_SIZE(standing); i++) {
        if (standing[i].generations & (uefi ? 2 : 1))
            device(o, standing[i].class, standing[i].class, standing[i].name);
    }
}

/* --- disks --- */

/* An instance of a device of ours that nobody named: made from the machine's and a number. */
static void made_up(const struct hyperv_out *o, unsigned number, char out[37])
{
    uint8_t b[16];

    memcpy(b, o->p->uuid, 16);
    b[0] ^= (uint8_t)(number >> 8 | 0x40);
    b[1] ^= (uint8_t)number;
    export_guid(b, out);
}

static void put_scsi(struct hyperv_out *o, int n, const struct plan_guid *instance)
{
    char own[37], channel[40], path[100];

    made_up(o, 0x100 + (unsigned)n, own);
    device(o, HYPERV_SCSI, own, "Synthetic SCSI Controller");
    if (!instance || !instance->said)
        return;
    braced(instance->b, channel);
    snprintf(path, sizeof(path), "_%s_/ChannelInstanceGuid", own);
    text(o, path, channel);
}

static void put_place(struct hyperv_out *o, const char *where, const char *file, const char *type)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/pathname", where);
    text(o, path, file);
    snprintf(path, sizeof(path), "%s/type", where);
    text(o, path, type);
}

static bool is_uefi(const struct hyperv_out *o)
{
    return o->p->firmware && strcmp(o->p->firmware, "uefi") == 0;
}

/* Only a machine of generation 1 has a drive, and only one. The bytes are those of any image. */
static void put_floppy(struct hyperv_out *o, size_t i)
{
    const struct plan_disk *d = &o->p->disk[i];
    const char *base = d->path ? path_last(d->path) : "";
    char told[24], name[300] = "";

    snprintf(told, sizeof(told), "disk%zu", i);
    if (is_uefi(o) || o->floppy) {
        o->rc = export_tell(o->x, told, d->path ? d->path : "an empty drive", NULL,
                            "Hyper-V has one floppy drive, and none in machines with UEFI", o->e);
        return;
    }
    o->floppy = true;
    if (d->path) {
        snprintf(name, sizeof(name), "%.*s.vfd", (int)min_u64(path_suffix(base) - base, 255), base);
        snprintf(told, sizeof(told), "disk%zu file", i);
        o->rc = export_tell(o->x, told, d->path, name,
                            "Hyper-V knows floppies by that suffix; put a copy of that name into "
                            "the folder " DISKS " of the export",
                            o->e);
    }
    put_place(o, "_" HYPERV_FLOPPY "_/controller0/drive0", name, "VFD");
}

/* Hyper-V's import looks for disks by their names in the folder for them. */
static void put_drive(struct hyperv_out *o, size_t i, const char *where)
{
    const struct plan_disk *d = &o->p->disk[i];
    char *name = NULL, told[24];
    const char *base;

    if (!d->path) { /* an empty drive */
        put_place(o, where, "", "ISO");
        return;
    }
    o->rc = export_disk(o->x, i, d, HYPERV_SUFFIXES, &name, o->e);
    if (o->rc < 0)
        return;
    base = path_last(name);
    snprintf(told, sizeof(told), "disk%zu file", i);
    if (strncmp(name, DISKS "/", strlen(DISKS) + 1) != 0)
        o->rc = export_tell(o->x, told, d->path, base,
                            "it belongs into the folder " DISKS " of the export", o->e);
    put_place(o, where, base, d->cdrom ? "ISO" : "VHD");
    free(name);
}

static bool is_ide(const struct hyperv_out *o, const struct plan_disk *d)
{
    return !is_uefi(o) && d->bus && strcmp(d->bus, "ide") == 0 && d->controller >= 0 &&
           d->controller < 2 && d->unit >= 0 && d->unit < 2 && !o->drive[d->controller][d->unit];
}

static void put_disks(struct hyperv_out *o)
{
    char where[80], own[37], tell[24];

    for (size_t i = 0; i < o->p->disks && o->rc == 0; i++) {
        const struct plan_disk *d = &o->p->disk[i];
        bool scsi = d->bus && strcmp(d->bus, "scsi") == 0 && d->controller >= 0 && d->unit >= 0;

        if (plan_floppy(d)) {
            put_floppy(o, i);
            continue;
        }
        if (is_ide(o, d)) {
            o->drive[d->controller][d->unit] = true;
            snprintf(where, sizeof(where), "_" HYPERV_IDE "_/controller%d/drive%d", d->controller,
                     d->unit);
        } else {
            int n = scsi ? d->controller : 0, unit = scsi ? d->unit : 32 + o->next_scsi++;

            made_up(o, 0x100 + (unsigned)n, own);
            snprintf(where, sizeof(where), "_%s_/controller0/drive%d", own, unit);
            snprintf(tell, sizeof(tell), "disk%zu bus", i);
            if (!scsi)
                o->rc = export_tell(o->x, tell, d->bus ? d->bus : "the persona's own", "scsi",
                                    "Hyper-V has IDE and SCSI", o->e);
        }
        if (o->rc == 0)
            put_drive(o, i, where);
    }
}

static void put_controllers(struct hyperv_out *o)
{
    int most = -1;

    for (size_t i = 0; i < o->p->ctls; i++) {
        if (strcmp(o->p->ctl[i].bus, "scsi") == 0 && o->p->ctl[i].number > most)
            most = o->p->ctl[i].number;
    }
    for (size_t i = 0; i < o->p->disks; i++) {
        const struct plan_disk *d = &o->p->disk[i];
        int n = d->bus && strcmp(d->bus, "scsi") == 0 && d->controller > 0 ? d->controller : 0;

        if (!is_ide(o, d) && !plan_floppy(d) && n > most)
            most = n;
    }
    for (int n = 0; n <= most && n < PLAN_MAX_CONTROLLERS; n++) {
        const struct plan_guid *instance = NULL;

        for (size_t i = 0; i < o->p->ctls; i++) {
            if (strcmp(o->p->ctl[i].bus, "scsi") == 0 && o->p->ctl[i].number == n)
                instance = &o->p->ctl[i].place.instance;
        }
        put_scsi(o, n, instance);
    }
}

/* --- cards --- */

static void put_card(struct hyperv_out *o, unsigned i)
{
    const struct plan_nic *n = &o->p->nic[i];
    bool old = n->model && strcmp(n->model, "dec21140") == 0;
    char own[37], channel[40], path[100], mac[18] = "00-00-00-00-00-00", tell[24];

    made_up(o, 0x200 + i, own);
    device(o, HYPERV_NIC, own,
           old ? "Microsoft Emulated Ethernet Port" : "Synthetic Ethernet Port");
    if (n->mac_said)
        snprintf(mac, sizeof(mac), "%02X-%02X-%02X-%02X-%02X-%02X", n->mac[0], n->mac[1], n->mac[2],
                 n->mac[3], n->mac[4], n->mac[5]);
    snprintf(path, sizeof(path), "_%s_/FriendlyName", own);
    text(o, path, "Network Adapter");
    snprintf(path, sizeof(path), "_%s_/MacAddress", own);
    text(o, path, mac);
    snprintf(path, sizeof(path), "_%s_/MacAddressIsStatic", own);
    flag(o, path, n->mac_said);
    if (n->place.instance.said) {
        braced(n->place.instance.b, channel);
        snprintf(path, sizeof(path), "_%s_/ChannelInstanceGuid", own);
        text(o, path, channel);
    }
    snprintf(path, sizeof(path), "_%s_/Connection/AltSwitchName", own);
    text(o, path, n->lan ? n->lan : "");
    snprintf(tell, sizeof(tell), "nic%u model", i);
    if (n->model && strcmp(n->model, "netvsc") != 0)
        o->rc = export_tell(o->x, tell, n->model, "netvsc",
                            "a synthetic card is what Hyper-V gives machines now", o->e);
}

static int make_empty(struct export *x, const char *id, struct err *e)
{
    struct buf *b = export_file(x, e, "Virtual Machines/%s.vmrs", id);
    struct hvs_make *m = NULL;
    int rc = b ? hvs_make_new(&m, e) : -e->code;

    if (rc < 0)
        return rc;
    hvs_put_number(m, "configuration/properties/version", 9 << 8);
    rc = hvs_make_end(m, b, e);
    hvs_make_free(m);
    return rc;
}

static int hyperv_make(const struct plan *p, struct export *x, struct err *e)
{
    struct hyperv_out o = {.p = p, .x = x, .e = e};
    struct buf *b;
    int rc = hvs_make_new(&o.m, e);

    if (rc < 0)
        return rc;
    x->disks = DISKS;
    made_up(&o, 0, o.id);
    for (char *c = o.id; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    put_machine(&o);
    put_controllers(&o);
    put_disks(&o);
    for (unsigned i = 0; i < p->nics && o.rc == 0; i++)
        put_card(&o, i);
    number(&o, "manifest/size", o.devices);
    number(&o, "manifest/version", 512);
    rc = o.rc;
    b = rc == 0 ? export_file(x, e, "Virtual Machines/%s.vmcx", o.id) : NULL;
    if (rc == 0)
        rc = b ? hvs_make_end(o.m, b, e) : -e->code;
    hvs_make_free(o.m);
    return rc < 0 ? rc : make_empty(x, o.id, e);
}

const struct exporter_ops exporter_hyperv = {
    .name = "hyperv",
    .about = "a folder that Hyper-V imports",
    .make = hyperv_make,
};
