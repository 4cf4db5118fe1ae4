/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export_vmx.c - a plan as VMware's .vmx; see vmx.c for the keys.
 *
 * Disks on buses that VMware does not have go to SATA, which most guests can start from; the report
 * says so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/cfg.h"
#include "core/err.h"
#include "core/ids.h"
#include "import/export.h"
#include "import/vmx.h"
#include "machine/plan.h"

#define VMX_SUFFIXES ".vmdk .iso"
enum { VMX_CONTROLLERS = 4, SATA_UNITS = 30 };

struct vmx_out {
    const struct plan *p;
    struct export *x;
    struct err *e;
    struct buf *b;
    bool there[4][VMX_CONTROLLERS]; /* scsi, sata, ide, nvme: written already */
    int next_sata, floppies;
    int rc;
};

static const char *const families[] = {"scsi", "sata", "ide", "nvme"};

static void put(struct vmx_out *v, const char *value, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void put(struct vmx_out *v, const char *value, const char *fmt, ...)
{
    char key[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(key, sizeof(key), fmt, ap);
    va_end(ap);
    buf_fmt(v->b, "%s = \"", key);
    for (; *value; value++) {
        if (*value == '"' || *value == '|' || (unsigned char)*value < ' ')
            buf_fmt(v->b, "|%02X", (unsigned char)*value);
        else
            buf_bytes(v->b, value, 1);
    }
    buf_add(v->b, "\"\n");
}

static void put_number(struct vmx_out *v, const char *key, long long n)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", n);
    put(v, text, "%s", key);
}

/* --- the machine --- */

static void put_uuid(struct vmx_out *v)
{
    static const uint8_t swap[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    bool other = vmx_swaps_uuid(v->p->hardware ? v->p->hardware : "vmx-13");
    char text[64];
    int n = 0;

    if (!v->p->uuid_said)
        return;
    for (unsigned i = 0; i < 16; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x%s", v->p->uuid[other ? swap[i] : i],
                      i == 7    ? "-"
                      : i == 15 ? ""
                                : " ");
    put(v, text, "uuid.bios");
}

static void put_genid(struct vmx_out *v)
{
    uint64_t half[2] = {0};

    if (!v->p->genid.said)
        return;
    for (unsigned i = 0; i < 16; i++)
        half[i / 8] = half[i / 8] << 8 | v->p->genid.b[i];
    put_number(v, "vm.genid", (int64_t)half[0]);
    put_number(v, "vm.genidX", (int64_t)half[1]);
}

static void put_clock(struct vmx_out *v)
{
    time_t now = time(NULL);
    struct tm tm;

    if (!v->p->rtc_local || v->rc < 0)
        return;
    localtime_r(&now, &tm);
    if (tm.tm_gmtoff)
        put_number(v, "rtc.diffFromUTC", tm.tm_gmtoff);
    else
        v->rc = export_tell(v->x, "rtc-local", "true", NULL,
                            "this host's local time is UTC; set rtc.diffFromUTC by hand", v->e);
}

static void put_info(struct vmx_out *v)
{
    const char *key, *value;
    struct cfg *c;

    if (!v->p->persona_opts || v->rc < 0)
        return;
    v->rc = cfg_create(&c, v->e);
    if (v->rc < 0)
        return;
    v->rc = cfg_parse(c, v->p->persona_opts, NULL, v->e);
    for (size_t i = 0; v->rc == 0 && cfg_at(c, i, &key, &value); i++) {
        if (strncmp(key, "guestinfo.", 10) == 0)
            put(v, value, "%s", key);
    }
    cfg_destroy(c);
}

/* "windows7_64Guest" of an OVF is "windows7-64" here; words of other products are none. */
static void put_guest(struct vmx_out *v)
{
    const char *os = v->p->guest_os;
    char text[64];
    size_t n;

    if (!os || strncmp(os, "cim-", 4) == 0 || strlen(os) >= sizeof(text) ||
        os[strcspn(os, ":/ ")] || !v->p->persona || strcmp(v->p->persona, "vmware") != 0) {
        put(v, "other-64", "guestOS");
        return;
    }
    snprintf(text, sizeof(text), "%s", os);
    n = strlen(text);
    if (n > 5 && strcmp(text + n - 5, "Guest") == 0) {
        text[n - 5] = '\0';
        if (n > 8 && strcmp(text + n - 8, "_64") == 0)
            text[n - 8] = '-';
    }
    put(v, text, "guestOS");
}

static void put_machine(struct vmx_out *v)
{
    const struct plan *p = v->p;
    const char *version =
        p->hardware && strncmp(p->hardware, "vmx-", 4) == 0 ? p->hardware + 4 : "13";

    put(v, "UTF-8", ".encoding");
    put(v, "8", "config.version");
    put(v, version + (version[0] == '0'), "virtualHW.version");
    put(v, export_title(p), "displayName");
    if (p->notes)
        put(v, p->notes, "annotation");
    put_guest(v);
    put_number(v, "numvcpus", p->cpus ? p->cpus : 1);
    if (p->cores)
        put_number(v, "cpuid.coresPerSocket", p->cores);
    put_number(v, "memSize", (long long)(p->memory / MiB));
    if (p->firmware && strcmp(p->firmware, "uefi") == 0)
        put(v, "efi", "firmware");
    if (p->secure_boot)
        put(v, "TRUE", "uefi.secureBoot.enabled");
    put_uuid(v);
    put_genid(v);
    put_clock(v);
    put_info(v);
    put(v, "TRUE", "pciBridge0.present");
    for (int i = 4; i < 8; i++) {
        put(v, "TRUE", "pciBridge%d.present", i);
        put(v, "pcieRootPort", "pciBridge%d.virtualDev", i);
        put(v, "8", "pciBridge%d.functions", i);
    }
    if (p->tpm && v->rc == 0)
        v->rc = export_tell(v->x, "tpm", p->tpm, NULL,
                            "VMware makes a TPM only in an encrypted machine; add one there", v->e);
}

/* --- disks --- */

/* Index in families, -1: VMware has no such bus. */
static int family_of(const char *bus)
{
    static const char *const scsi[] = {"pvscsi", "lsilogic", "lsisas1068", "buslogic"};

    for (size_t i = 0; bus && i < ARRAY_SIZE(scsi); i++) {
        if (strcmp(scsi[i], bus) == 0)
            return 0;
    }
    return bus && strcmp(bus, "ahci") == 0   ? 1
           : bus && strcmp(bus, "ide") == 0  ? 2
           : bus && strcmp(bus, "nvme") == 0 ? 3
                                             : -1;
}

static void put_controller(struct vmx_out *v, int family, int number, const char *bus, int slot)
{
    if (family == 2 || number < 0 || number >= VMX_CONTROLLERS || v->there[family][number])
        return;
    v->there[family][number] = true;
    put(v, "TRUE", "%s%d.present", families[family], number);
    if (family == 0)
        put(v, bus, "scsi%d.virtualDev", number);
    if (slot >= 0) {
        char text[16];

        snprintf(text, sizeof(text), "%d", slot);
        put(v, text, "%s%d.pciSlotNumber", families[family], number);
    }
}

/* Where VMware finds the disk. */
static void place(struct vmx_out *v, size_t i, int *family, int *number, int *unit)
{
    const struct plan_disk *d = &v->p->disk[i];
    char key[32], to[32];

    *family = family_of(d->bus);
    *number = d->controller;
    *unit = d->unit;
    if (*family >= 0 && *number >= 0 && *number < VMX_CONTROLLERS && *unit >= 0)
        return;
    *family = 1;
    *number = 1 + v->next_sata / SATA_UNITS; /* sata0 may have disks of its own */
    *unit = v->next_sata++ % SATA_UNITS;
    if (*number >= VMX_CONTROLLERS)
        v->rc = err_set(v->e, EINVAL, "more disks than a machine of VMware has");
    snprintf(key, sizeof(key), "disk%zu bus", i);
    snprintf(to, sizeof(to), "sata%d:%d", *number, *unit);
    if (v->rc == 0)
        v->rc = export_tell(v->x, key, d->bus ? d->bus : "the persona's own", to,
                            "VMware has no such bus, or not that place on it", v->e);
}

static void put_floppy(struct vmx_out *v, size_t i)
{
    const struct plan_disk *d = &v->p->disk[i];
    char *name = NULL;

    if (d->path)
        v->rc = export_disk(v->x, i, d, NULL, &name, v->e);
    if (v->rc == 0) {
        put(v, "TRUE", "floppy%d.present", v->floppies);
        put(v, d->path ? "file" : "device", "floppy%d.fileType", v->floppies);
        put(v, d->path ? name : "", "floppy%d.fileName", v->floppies);
        if (!d->path)
            put(v, "FALSE", "floppy%d.startConnected", v->floppies);
        v->floppies++;
    }
    free(name);
}

static void put_disk(struct vmx_out *v, size_t i)
{
    const struct plan_disk *d = &v->p->disk[i];
    int family, number, unit;
    char *name = NULL, at[32];

    if (plan_floppy(d)) {
        put_floppy(v, i);
        return;
    }
    place(v, i, &family, &number, &unit);
    if (v->rc == 0 && d->path)
        v->rc = export_disk(v->x, i, d, VMX_SUFFIXES, &name, v->e);
    if (v->rc < 0) {
        free(name);
        return;
    }
    put_controller(v, family, number, d->bus, -1);
    snprintf(at, sizeof(at), "%s%d:%d", families[family], number, unit);
    put(v, "TRUE", "%s.present", at);
    put(v, d->path ? name : "auto detect", "%s.fileName", at);
    if (d->cdrom)
        put(v, d->path ? "cdrom-image" : "cdrom-raw", "%s.deviceType", at);
    if (!d->path) /* an empty drive: nothing of the host goes in by itself */
        put(v, "FALSE", "%s.startConnected", at);
    if (d->write_said && d->write == PLAN_SNAPSHOT)
        put(v, "independent-nonpersistent", "%s.mode", at);
    if (d->serial)
        v->rc =
            export_tell(v->x, at, d->serial, NULL, "VMware gives disks their serial numbers", v->e);
    free(name);
}

/* --- cards --- */

static const char *card_of(const char *model)
{
    static const char *const known[] = {"vlance", "vmxnet", "vmxnet3", "e1000", "e1000e"};

    for (size_t i = 0; model && i < ARRAY_SIZE(known); i++) {
        if (strcmp(known[i], model) == 0)
            return model;
    }
    return NULL;
}

static void put_card(struct vmx_out *v, size_t i)
{
    const struct plan_nic *n = &v->p->nic[i];
    const char *card = card_of(n->model);
    char text[32], key[24];

    put(v, "TRUE", "ethernet%zu.present", i);
    if (n->model && strcmp(n->model, "vmxnet2") == 0) {
        put(v, "vmxnet", "ethernet%zu.virtualDev", i);
        put(v, "15", "ethernet%zu.features", i);
    } else if (card) {
        put(v, card, "ethernet%zu.virtualDev", i);
    } else if (n->model) {
        put(v, "e1000", "ethernet%zu.virtualDev", i);
        snprintf(key, sizeof(key), "nic%zu model", i);
        v->rc = export_tell(v->x, key, n->model, "e1000", "VMware has no such card", v->e);
    }
    if (n->mac_said) {
        snprintf(text, sizeof(text), MAC_FMT, MAC_ARGS(n->mac));
        put(v, "static", "ethernet%zu.addressType", i);
        put(v, text, "ethernet%zu.address", i);
        put(v, "FALSE", "ethernet%zu.checkMACAddress", i);
    }
    put(v, n->lan ? n->lan : "", "ethernet%zu.networkName", i);
    if (!n->lan)
        put(v, "nat", "ethernet%zu.connectionType", i);
    if (n->place.slot >= 0) {
        snprintf(text, sizeof(text), "%d", n->place.slot);
        put(v, text, "ethernet%zu.pciSlotNumber", i);
    }
}

/* "hdd" is all disks together. */
static void put_boot(struct vmx_out *v)
{
    struct export_boot order[EXPORT_BOOT_MAX];
    size_t n = export_boot(v->p, order);
    struct buf text = {0};
    const char *before = "";

    for (size_t k = 0; k < n; k++) {
        const char *word = order[k].card                          ? "ethernet"
                           : v->p->disk[order[k].i].cdrom         ? "cdrom"
                           : plan_floppy(&v->p->disk[order[k].i]) ? "floppy"
                                                                  : "hdd";

        if (!order[k].card && strcmp(word, before) == 0)
            continue;
        buf_fmt(&text, "%s%s", text.len ? "," : "", word);
        if (order[k].card)
            buf_fmt(&text, "%zu", order[k].i);
        before = word;
    }
    if (text.len)
        put(v, text.s, "bios.bootOrder");
    if (v->rc == 0)
        v->rc = buf_end(&text, v->e);
    buf_free(&text);
}

static int vmx_make(const struct plan *p, struct export *x, struct err *e)
{
    struct vmx_out v = {.p = p, .x = x, .e = e};

    v.b = export_file(x, e, "%s.vmx", p->name ? p->name : "guest");
    if (!v.b)
        return -e->code;
    put_machine(&v);
    for (size_t i = 0; i < p->ctls; i++) {
        int family = family_of(p->ctl[i].bus);

        if (family >= 0)
            put_controller(&v, family, p->ctl[i].number, p->ctl[i].bus, p->ctl[i].place.slot);
    }
    for (size_t i = 0; i < p->disks && v.rc == 0; i++)
        put_disk(&v, i);
    for (size_t i = 0; i < p->nics && v.rc == 0; i++)
        put_card(&v, i);
    put_boot(&v);
    return v.rc < 0 ? v.rc : buf_end(v.b, e);
}

const struct exporter_ops exporter_vmx = {
    .name = "vmx",
    .about = "a .vmx for VMware ESXi, Workstation and Fusion",
    .make = vmx_make,
};
