/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persona.c - `hyperv`: Hyper-V's leaves, VMBus and its devices.
 *
 * Documents: TLFS 6.0b; for VMBus the guest drivers that Microsoft maintains in Linux. The host's
 * kernel serves MSRs, timers, the reference TSC page, TLB flushes and IPIs. Threads: persona.h's.
 *
 * Options: release=2008r2|2012r2|2016|2019|2022|2025 (which Hyper-V), vmbus=5.3 (the newest
 * protocol that is offered), hvsock=PATH, memory-max=SIZE (how far memory may grow).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/aml.h"
#include "board/layout.h"
#include "board/legacy/ahci.h"
#include "board/legacy/ide.h"
#include "core/cfg.h"
#include "core/err.h"
#include "dynmem.h"
#include "hvsock.h"
#include "ic.h"
#include "identity.h"
#include "input.h"
#include "netvsp.h"
#include "personas/faces.h"
#include "personas/nics.h"
#include "storage/disk.h"
#include "storvsp.h"
#include "testdev.h"
#include "video.h"
#include "vmbus.h"

extern const struct persona_ops persona_hyperv;

/* IDE_BOOT: disks that firmware may start, on the first IDE channel as in a generation 1 machine.
 */
#define MEMORY_MOST (UINT64_C(1) << 40) /* bytes: processors address little more */
enum { VMBUS_IRQ = 7, HYPERV_CPUS = 240, IDE_BOOT = 2, NICS = 8 };
#define VMBUS_WINDOW (UINT64_C(1) << 30)   /* bytes, behind PCI's 64-bit window */
#define HOT_ADD_STEP (UINT64_C(128) << 20) /* bytes: what guests take added memory in */

struct hyperv {
    struct persona p; /* first */
    const struct identity *id;
    struct vmbus *bus;
    struct vcpu *cpu[HYPERV_CPUS];
    struct storvsp *scsi, *ide[IDE_UNITS];
    struct ide *head;   /* the emulated IDE controller, NULL: none */
    struct faces faces; /* what UEFI starts disks of the SCSI controller from */
    struct netvsp *nic[NICS];
    struct ics *ics;
    struct input *input;
    struct dynmem *dynmem;
    uint64_t hot; /* bytes of memory that may be added */
    struct video *video;
    struct hvsock *hvsock;
    struct hvtest *test;      /* NULL: none */
    char *socket;             /* path for guest sockets, NULL: none */
    char *unit[STORVSP_LUNS]; /* ids of the disks on scsi, NULL: none */
    unsigned ide_units, nics;
};

static struct hyperv *hyperv_of(struct persona *p)
{
    return container_of(p, struct hyperv, p);
}

static void hyperv_host_needs(struct cfg *opts, struct host_cfg *c)
{
    (void)opts;
    c->hyperv_synic = true;
    c->hyperv_enforce_cpuid = true;
}

/* --- life --- */

/* memory-max: what memory may grow to, behind everything else of the address space. */
static int read_memory(struct hyperv *v, struct err *e)
{
    uint64_t most = v->p.env.memory;
    int rc = v->p.env.opts ? cfg_size(v->p.env.opts, "memory-max", &most, e) : 0;

    if (rc < 0)
        return rc;
    if (most < v->p.env.memory || (most - v->p.env.memory) % HOT_ADD_STEP || most > MEMORY_MOST)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "memory-max=%lluM: make it more than the guest's %lluM by a multiple of "
                        "128M, and 1T at most",
                        (unsigned long long)(most >> 20),
                        (unsigned long long)(v->p.env.memory >> 20));
    v->hot = most - v->p.env.memory;
    return 0;
}

static int read_options(struct hyperv *v, uint32_t *vmbus, struct err *e)
{
    struct cfg *opts = v->p.env.opts;
    const char *release = opts ? cfg_get(opts, "release") : NULL;
    const char *version = opts ? cfg_get(opts, "vmbus") : NULL;
    const char *path = opts ? cfg_get(opts, "hvsock") : NULL;

    if (path) {
        v->socket = strdup(path);
        if (!v->socket)
            return err_set(e, ENOMEM, "no memory for the persona");
    }
    v->id = release ? identity_find(release) : &identities[0];
    if (!v->id)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "there is no Hyper-V release %s here; use 2008r2, 2012r2, 2016, 2019, 2022 "
                        "or 2025",
                        release);
    *vmbus = version ? vmbus_version_parse(version) : v->id->vmbus;
    if (*vmbus == 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "there is no VMBus version %s; use 0.13, 1.1, 2.4, 3.0, 4.0, 4.1, 5.0 to "
                        "5.3 or 6.0",
                        version);
    return read_memory(v, e);
}

static void hyperv_destroy(struct persona *p)
{
    struct hyperv *v = hyperv_of(p);

    if (v->bus)
        vmbus_reset(v->bus); /* a guest may have its pages and rings in video's memory */
    hvtest_destroy(v->test);
    ics_destroy(v->ics);
    input_destroy(v->input);
    dynmem_destroy(v->dynmem);
    hvsock_destroy(v->hvsock);
    free(v->socket);
    faces_gone(&v->faces);
    for (unsigned i = 0; i < STORVSP_LUNS; i++)
        free(v->unit[i]);
    for (unsigned i = 0; v->head && i < v->ide_units; i++)
        ide_detach(v->head, i); /* before storvsp closes the disk that both show */
    if (v->scsi)
        storvsp_destroy(v->scsi);
    for (unsigned i = 0; i < v->ide_units; i++)
        storvsp_destroy(v->ide[i]);
    for (unsigned i = 0; i < v->nics; i++)
        netvsp_destroy(v->nic[i]);
    video_destroy(v->video); /* after all that moves data */
    vmbus_destroy(v->bus);
    free(v);
}

static void hyperv_contact(void *arg)
{
    struct hyperv *v = arg;

    v->p.env.event(v->p.env.event_arg, MACHINE_ALIVE, NULL);
}

/* The host keeps the register; we only want to know that it was written. */
static int hyperv_watch_identity(const struct persona_env *env, struct err *e)
{
    const struct msr_range r = {.base = HV_X64_MSR_GUEST_OS_ID, .count = 1, .write = true};

    return env->host->ops->watch_msrs(env->host, &r, 1, e);
}

static int hyperv_create(const struct persona_env *env, struct persona **out, struct err *e)
{
    struct hyperv *v;
    uint32_t version = 0;
    int rc;

    if (!(env->host->ops->caps(env->host) & HOST_CAP_HYPERV_SYNIC))
        return err_exit(e, EX_NO_HOST, ENOTSUP,
                        "the hyperv persona needs a KVM with Hyper-V's interrupt controller "
                        "(KVM_CAP_HYPERV_SYNIC2) and this host's has none: use --host soft or a "
                        "kernel with CONFIG_KVM_HYPERV");
    if (env->cpus > HYPERV_CPUS)
        return err_exit(e, EX_USAGE_, EINVAL, "the hyperv persona has at most %d processors",
                        HYPERV_CPUS);
    v = calloc(1, sizeof(*v));
    if (!v)
        return err_set(e, ENOMEM, "no memory for the persona");
    v->p.ops = &persona_hyperv;
    v->p.env = *env;
    rc = read_options(v, &version, e);
    if (rc == 0)
        rc = vmbus_create(env->host, env->dev.mem, env->dev.loop, env->cpus, version, &v->bus, e);
    if (rc == 0 && env->uefi)
        rc = hyperv_watch_identity(env, e);
    if (rc < 0) {
        hyperv_destroy(&v->p);
        return rc;
    }
    v->bus->polls = true;
    v->bus->contact = hyperv_contact;
    v->bus->contact_arg = v;
    *out = &v->p;
    return 0;
}

/* The host puts back the MSRs that it lists as state; SynIC's are not among them. */
static void reset_synic_msrs(const struct host_ops *ops, struct vcpu *cpu)
{
    int rc = ops->vcpu_set_msr(cpu, HV_X64_MSR_SCONTROL, 0);

    rc |= ops->vcpu_set_msr(cpu, HV_X64_MSR_SIEFP, 0);
    rc |= ops->vcpu_set_msr(cpu, HV_X64_MSR_SIMP, 0);
    for (unsigned i = 0; i < HV_SYNIC_SLOTS; i++)
        rc |= ops->vcpu_set_msr(cpu, HV_X64_MSR_SINT0 + i, HV_SINT_MASKED);
    for (unsigned i = 0; i < 4; i++)
        rc |= ops->vcpu_set_msr(cpu, HV_X64_MSR_STIMER0_CONFIG + 2 * i, 0);
    if (rc < 0)
        log_line(LOG_WARN, "vmbus", "processor %u keeps SynIC state over a reset", cpu->index);
}

static void hyperv_reset(struct persona *p)
{
    struct hyperv *v = hyperv_of(p);

    vmbus_reset(v->bus);
    if (v->dynmem)
        dynmem_reset(v->dynmem);
    if (v->test)
        hvtest_reset(v->test);
    if (v->scsi)
        storvsp_reset(v->scsi);
    for (unsigned i = 0; i < v->ide_units; i++)
        storvsp_reset(v->ide[i]);
    for (unsigned i = 0; i < p->env.cpus; i++) {
        if (v->cpu[i])
            reset_synic_msrs(p->env.host->ops, v->cpu[i]);
    }
}

/* --- vCPUs --- */

static size_t hyperv_cpuid(struct persona *p, unsigned cpu, struct cpuid_leaf *leaf, size_t n,
                           size_t max)
{
    (void)cpu;
    return identity_cpuid(hyperv_of(p)->id, p->env.host, p->env.cpus, leaf, n, max);
}

static int hyperv_vcpu_ready(struct persona *p, struct vcpu *cpu, struct err *e)
{
    struct hyperv *v = hyperv_of(p);

    v->cpu[cpu->index] = cpu;
    return synic_vcpu_ready(v->bus->synic, cpu, e);
}

static enum verdict hyperv_hypercall(struct persona *p, struct vcpu *cpu, struct hcall *h)
{
    struct hyperv *v = hyperv_of(p);
    enum hv_status status;

    (void)cpu;
    if (h->kind != HCALL_HYPERV)
        return VERDICT_NOT_MINE;
    if (!v->test || !hvtest_hypercall(v->test, h, &status))
        status = vmbus_hypercall(v->bus, h);
    h->result = status;
    return VERDICT_DONE;
}

/* A kernel that panics leaves its SynIC on; one that hands over to a crash kernel switches it off.
 */
static void hyperv_synic(struct persona *p, struct vcpu *cpu, const struct host_event_info *info)
{
    synic_changed(hyperv_of(p)->bus->synic, cpu, info);
    if (info->data[0] == HV_X64_MSR_SCONTROL && !(info->data[1] & HV_SYNIC_ENABLE))
        p->env.event(p->env.event_arg, MACHINE_ALIVE, NULL);
}

/* --- devices --- */

/* The face that firmware knows of a disk on storvsc's IDE channel. Linux's own driver leaves it
 * alone on Hyper-V; it stays for those who do not. */
static int add_head(struct hyperv *v, int unit, const struct disk_spec *s, struct err *e)
{
    struct ide_unit_cfg c = {.disk = s->disk, .borrowed = true, .serial = s->serial, .id = s->id};
    int rc = v->head ? 0 : ide_create(&v->p.env.dev, &v->head, e);

    rc = rc < 0 ? rc : ide_attach(v->head, unit, &c, e);
    return rc < 0 ? rc : 0;
}

static int add_ide(struct hyperv *v, const struct disk_spec *s, const struct scsi_lun_cfg *c,
                   struct err *e)
{
    unsigned unit = v->ide_units;
    int rc;

    if (unit == IDE_UNITS)
        return err_exit(e, EX_USAGE_, ENOSPC, "%s: there are only %d IDE units", s->id, IDE_UNITS);
    rc = storvsp_create(v->bus, s->id, (int)unit, 1, &v->ide[unit], e);
    if (rc < 0)
        return rc;
    v->ide_units++;
    rc = storvsp_attach(v->ide[unit], 0, c, e);
    return rc == 0 && v->p.env.firmware ? add_head(v, (int)unit, s, e) : rc;
}

/* The first free unit; the controller comes with the first disk, even while the guest runs. */
static int add_scsi(struct hyperv *v, unsigned channels, const struct disk_spec *s,
                    const struct scsi_lun_cfg *c, struct err *e)
{
    unsigned lun = 0;
    char *id;
    int rc;

    while (lun < STORVSP_LUNS && v->unit[lun])
        lun++;
    if (lun == STORVSP_LUNS)
        return err_exit(e, EX_USAGE_, ENOSPC, "%s: all %d units of the SCSI controller are taken",
                        s->id, STORVSP_LUNS);
    if (!v->scsi) {
        rc = storvsp_create(v->bus, "scsi0", -1, channels, &v->scsi, e);
        if (rc < 0)
            return rc;
        if (s->instance)
            storvsp_instance(v->scsi, s->instance);
    }
    id = strdup(s->id);
    if (!id)
        return err_set(e, ENOMEM, "no memory for a disk");
    rc = storvsp_attach(v->scsi, lun, c, e);
    if (rc < 0) {
        free(id);
        return rc;
    }
    v->unit[lun] = id;
    return 0;
}

static int unit_of(const struct hyperv *v, const char *id)
{
    for (int i = 0; i < STORVSP_LUNS; i++) {
        if (v->unit[i] && strcmp(v->unit[i], id) == 0)
            return i;
    }
    return -1;
}

/* A generation 2 machine has its disks on the SCSI controller alone, which UEFI does not know. */
static int add_scsi_and_face(struct hyperv *v, unsigned channels, const struct disk_spec *s,
                             const struct scsi_lun_cfg *c, struct err *e)
{
    int rc = add_scsi(v, channels, s, c, e);

    return rc < 0 ? rc : faces_add(&v->faces, &v->p.env, s, e);
}

/* Linux and Windows say who they are before they look for PCI devices, and firmware never does. */
static enum verdict hyperv_msr(struct persona *p, struct vcpu *cpu, uint32_t msr, enum access dir,
                               uint64_t *val)
{
    struct hyperv *v = hyperv_of(p);

    (void)cpu;
    if (msr == HV_X64_MSR_GUEST_OS_ID && dir == ACC_WRITE && *val)
        faces_hide(&v->faces);
    return VERDICT_NOT_MINE;
}

static int hyperv_add_disk(struct persona *p, const struct disk_spec *s, struct err *e)
{
    struct hyperv *v = hyperv_of(p);
    bool boots = p->env.firmware && !p->env.uefi && v->ide_units < IDE_BOOT;
    const char *bus = s->bus ? s->bus : boots ? "ide" : "scsi";
    struct scsi_lun_cfg c = {.disk = s->disk, .cdrom = s->cdrom, .serial = s->serial, .id = s->id};
    uint64_t queues = s->queues ? s->queues : min_u64(p->env.cpus, STORVSP_CHANNELS);
    int rc = 0;

    if (s->cdrom && !s->bus) { /* a generation 1 machine has its DVD drive on IDE alone */
        struct ide_unit_cfg u = {.disk = s->disk, .cdrom = true, .serial = s->serial, .id = s->id};

        rc = ide_add(&p->env.dev, &v->head, &u, e);
        return rc < 0 ? rc : 0;
    }
    if (s->opts)
        rc = cfg_u64(s->opts, "queues", 1, STORVSP_CHANNELS, &queues, e);
    if (rc == 0 && s->cdrom)
        c.product = "Virtual DVD-ROM";
    if (rc == 0 && strcmp(bus, "scsi") == 0)
        rc = add_scsi_and_face(v, (unsigned)queues, s, &c, e);
    else if (rc == 0 && strcmp(bus, "ide") == 0)
        rc = add_ide(v, s, &c, e);
    else if (rc == 0)
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "the hyperv persona has no %s bus for %s; use bus=scsi or bus=ide", bus,
                      s->id);
    if (rc < 0)
        disk_close(s->disk);
    return rc;
}

static int hyperv_plug_disk(struct persona *p, const struct disk_spec *s, struct err *e)
{
    struct hyperv *v = hyperv_of(p);
    struct scsi_lun_cfg c = {.disk = s->disk, .serial = s->serial, .id = s->id};

    if (s->bus && strcmp(s->bus, "scsi") != 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s: a disk that comes while the guest runs goes on bus=scsi, not %s",
                        s->id, s->bus);
    return add_scsi(v, (unsigned)min_u64(p->env.cpus, STORVSP_CHANNELS), s, &c, e);
}

static int hyperv_unplug_disk(struct persona *p, const char *id, struct err *e)
{
    struct hyperv *v = hyperv_of(p);
    int i = unit_of(v, id), rc;

    if (i < 0)
        return err_exit(e, EX_USAGE_, ENOENT,
                        "there is no disk %.32s on bus=scsi; others stay until the machine ends",
                        id);
    rc = faces_keep(&v->faces, id, e);
    if (rc == 0)
        rc = storvsp_detach(v->scsi, (unsigned)i, e);
    if (rc < 0)
        return rc;
    free(v->unit[i]);
    v->unit[i] = NULL;
    return 0;
}

static bool hyperv_grew(struct persona *p, const struct disk *disk)
{
    struct hyperv *v = hyperv_of(p);

    for (unsigned i = 0; i < v->ide_units; i++) {
        if (v->ide[i] && storvsp_grew(v->ide[i], disk))
            return true;
    }
    return (v->scsi && storvsp_grew(v->scsi, disk)) || ide_disc_changed(v->head, disk);
}

static int hyperv_add_nic(struct persona *p, const struct nic_spec *s, struct err *e)
{
    struct hyperv *v = hyperv_of(p);
    static const char *const models[] = {"netvsc", "dec21140", NULL};
    uint64_t queues = min_u64(p->env.cpus, NETVSP_QUEUES);
    bool emulated;
    int rc = persona_emulated_nic(p, s, models, "netvsc", &emulated, e);

    if (rc < 0 || emulated)
        return rc;
    if (v->nics == NICS)
        rc = err_exit(e, EX_USAGE_, ENOSPC, "%s: there are at most %d network cards", s->id, NICS);
    else if (s->opts)
        rc = cfg_u64(s->opts, "queues", 1, NETVSP_QUEUES, &queues, e);
    if (rc < 0) {
        net_close(s->netif);
        return rc;
    }
    rc = netvsp_create(v->bus, s, (unsigned)queues, &v->nic[v->nics], e);
    if (rc == 0)
        v->nics++;
    return rc;
}

static gpa_t window_base(const struct persona *p)
{
    return layout_mem64(p->env.memory, false) + LAYOUT_PCI_MEM64_SIZE;
}

static int hyperv_finish(struct persona *p, struct err *e)
{
    struct hyperv *v = hyperv_of(p);
    struct dynmem_room hot = {window_base(p) + VMBUS_WINDOW, v->hot};
    int rc = ics_create(v->bus, &p->env, &v->ics, e);

    if (rc == 0)
        rc = input_create(v->bus, p->env.hub, &v->input, e);
    if (rc == 0)
        rc = dynmem_create(v->bus, &p->env, &hot, &v->dynmem, e);
    if (rc == 0)
        rc = video_create(v->bus, p->env.hub, window_base(p), VMBUS_WINDOW, &v->video, e);
    if (rc == 0 && v->socket)
        rc = hvsock_create(v->bus, v->socket, &v->hvsock, e);
    if (rc == 0 && p->env.testdev)
        rc = hvtest_create(&p->env.dev, p->env.host, v->bus->synic, &v->test, e);
    return rc;
}

/* --- tables --- */

/* VMBus under a module device that owns its memory window, as on Hyper-V. */
static void hyperv_acpi(struct persona *p, struct aml *a)
{
    gpa_t base = window_base(p);

    aml_device(a, "VMOD");
    aml_name_string(a, "_HID", "ACPI0004");
    aml_name_int(a, "_UID", 0);
    aml_resources(a, "_CRS");
    aml_res_mem64_window(a, base, base + VMBUS_WINDOW - 1, false);
    aml_resources_end(a);
    aml_device(a, "VMBS");
    aml_name_string(a, "_HID", "MSFT1000");
    aml_name_string(a, "_CID", "VMBus");
    aml_name_string(a, "_DDN", "VMBUS");
    aml_name_int(a, "_UID", 0);
    aml_name_int(a, "_STA", 0xf);
    aml_resources(a, "_CRS");
    aml_res_irq(a, VMBUS_IRQ);
    aml_resources_end(a);
    aml_end(a);
    aml_end(a);
}

/* Since Hyper-V of 2012 each machine has one. */
static const char *hyperv_genid(struct cfg *opts, bool said, bool uefi)
{
    const char *release = opts ? cfg_get(opts, "release") : NULL;

    if (release && strcmp(release, "2008r2") == 0 && !said)
        return NULL;
    return uefi ? "MSFT1002" : "Hyper_V_Gen_Counter_V1";
}

static void hyperv_smbios(struct persona *p, struct smbios_id *out)
{
    (void)p;
    *out = (struct smbios_id){
        .bios_vendor = "American Megatrends Inc.",
        .bios_version = "090008 ",
        .bios_date = "12/07/2018",
        .vendor = "Microsoft Corporation",
        .product = "Virtual Machine",
        .version = "7.0",
        .family = "Virtual Machine",
        .board_vendor = "Microsoft Corporation",
        .board_product = "Virtual Machine",
        .chassis_vendor = "Microsoft Corporation",
    };
}

static int hyperv_ask(struct persona *p, enum persona_ask what, uint64_t value, struct err *e)
{
    struct hyperv *v = hyperv_of(p);

    return what == ASK_MEMORY ? dynmem_ask(v->dynmem, value, e) : ics_ask(v->ics, what, e);
}

/* "address/nic0" is a card's address, every other key a pair. */
static int hyperv_data_set(struct persona *p, const char *key, const char *value, struct err *e)
{
    struct hyperv *v = hyperv_of(p);
    uint8_t instance[16];

    if (strncmp(key, "address/", 8) != 0)
        return ics_data_set(v->ics, key, value, e);
    for (unsigned i = 0; i < v->nics; i++) {
        if (strcmp(netvsp_instance(v->nic[i], instance), key + 8) == 0)
            return ics_address(v->ics, key + 8, instance, value ? value : "dhcp", e);
    }
    return err_exit(e, EX_USAGE_, ENOENT, "this machine has no network card %.32s; see hospes info",
                    key + 8);
}

static void hyperv_data_list(struct persona *p, const char *prefix, persona_data_fn *fn, void *arg)
{
    ics_data_list(hyperv_of(p)->ics, prefix, fn, arg);
}

static int hyperv_copy(struct persona *p, int fd, const char *to, struct err *e)
{
    return ics_copy(hyperv_of(p)->ics, fd, to, e);
}

static void hyperv_describe(struct persona *p, struct dump *out)
{
    struct hyperv *v = hyperv_of(p);
    uint64_t id = READ_ONCE(v->bus->synic->os_id);
    char text[96];

    dump_add(out, "release", "Hyper-V %s", v->id->name);
    identity_guest(id, text, sizeof(text));
    dump_add(out, "guest", "%s", text);
    dump_add(out, "guest os id", "%#llx", (unsigned long long)id);
    vmbus_describe(v->bus, out);
    ics_describe(v->ics, out);
}

const struct persona_ops persona_hyperv = {
    .name = "hyperv",
    .about = "Hyper-V: VMBus, storvsc, netvsc, integration services",
    .create = hyperv_create,
    .destroy = hyperv_destroy,
    .reset = hyperv_reset,
    .host_needs = hyperv_host_needs,
    .cpuid = hyperv_cpuid,
    .vcpu_ready = hyperv_vcpu_ready,
    .msr = hyperv_msr,
    .hypercall = hyperv_hypercall,
    .synic = hyperv_synic,
    .add_disk = hyperv_add_disk,
    .plug_disk = hyperv_plug_disk,
    .unplug_disk = hyperv_unplug_disk,
    .grew = hyperv_grew,
    .add_nic = hyperv_add_nic,
    .finish = hyperv_finish,
    .acpi = hyperv_acpi,
    .smbios = hyperv_smbios,
    .genid = hyperv_genid,
    .ask = hyperv_ask,
    .data_set = hyperv_data_set,
    .data_list = hyperv_data_list,
    .copy = hyperv_copy,
    .describe = hyperv_describe,
};
