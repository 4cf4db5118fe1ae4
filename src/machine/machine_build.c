/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_build.c - from a plan to a machine that is ready to run, and back.
 *
 * Order: kernel files (nothing starts if they are bad), host, console, board, persona, disks, NICs,
 * tables. The persona goes before the board: its environment outlives it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console/console.h"
#include "console/hub.h"
#include "core/cfg.h"
#include "core/gmem.h"
#include "core/log.h"
#include "host/probe.h"
#include "machine/machine_priv.h"
#include "machine/tpm.h"
#include "net/netif.h"
#include "storage/disk.h"

enum { MACHINE_RANGES = 32, MACHINE_MENU = 5 /* seconds */ };
#define MACHINE_UEFI_MIN (128 * MiB)

static int build_limits(const struct plan *p, struct err *e)
{
    uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    if (p->memory > host)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "the guest wants %llu MiB of memory and this host has %llu: use less "
                        "--memory",
                        (unsigned long long)(p->memory / MiB), (unsigned long long)(host / MiB));
    if (plan_uefi(p) && p->memory < MACHINE_UEFI_MIN)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "UEFI firmware needs %llu MiB of memory: give the guest more",
                        (unsigned long long)(MACHINE_UEFI_MIN / MiB));
    return 0;
}

static int build_boot(struct machine *m, struct err *e)
{
    const struct plan *p = m->plan;
    struct boot_module module[PLAN_MAX_MODULES];
    struct boot_cfg c = {p->kernel, p->initrd, p->append, p->memory, module, p->modules};

    for (size_t i = 0; i < p->modules; i++)
        module[i] = (struct boot_module){p->module[i].path, p->module[i].append};
    return p->kernel && !plan_firmware(p) ? boot_open(&c, &m->boot, e) : 0;
}

static bool build_bios_kernel(const struct machine *m)
{
    return m->boot && boot_for_bios(m->boot);
}

/* A 440FX has a floppy controller where a BIOS is, or was. */
static bool build_fdc(const struct machine *m)
{
    const struct plan *p = m->plan;

    return !plan_q35(p) && ((plan_firmware(p) && !plan_uefi(p)) || build_bios_kernel(m));
}

static bool build_is(const struct plan *p, const char *persona)
{
    return strcmp(p->persona ? p->persona : "kvm", persona) == 0;
}

/* And a PC has IDE: small systems wait for it to be ready before they ask whether a disk is there.
 * What a BIOS starts on a KVM machine need not look for it. */
static bool build_ide(const struct machine *m)
{
    return build_fdc(m) && (build_bios_kernel(m) || !build_is(m->plan, "kvm"));
}

/* The part of the board that says where memory is; build_board() adds all the rest. */
static struct board_cfg build_shape(const struct machine *m)
{
    const struct plan *p = m->plan;

    return (struct board_cfg){
        .mem = m->mem,
        .memory = p->memory,
        .hugetlb = p->hugepages,
        .q35 = plan_q35(p),
        .vga = strcmp(p->display, "none") != 0,
        .bios_kernel = build_bios_kernel(m),
        .firmware = plan_firmware(p),
    };
}

/* The kernel unpacks itself into place while all the rest is made. */
static int build_ram(struct machine *m, struct err *e)
{
    const struct board_cfg c = build_shape(m);
    int rc = board_ram(&c, e);

    if (rc == 0 && m->boot)
        boot_begin(m->boot, m->mem, c.memory);
    return rc;
}

bool machine_adds_cpus(const struct plan *p)
{
    return build_is(p, "kvm");
}

/* A guest with one processor that may get a second has a queue for each, and no I/O scheduler in
 * front of one queue: a third less to do for each read of a Linux guest. */
unsigned machine_cpus_max(const struct plan *p)
{
    unsigned usual = p->cpus == 1 && machine_adds_cpus(p) ? 2 : p->cpus;

    return p->cpus_max ? p->cpus_max : usual;
}

static int build_host(struct machine *m, const struct persona_ops *ops, struct err *e)
{
    const struct plan *p = m->plan;
    struct host_cfg c = {.cpus = p->cpus, .keep_regs = log_on(LOG_TRACE)};
    int rc = cfg_create(&m->persona_opts, e);

    if (rc == 0 && machine_cpus_max(p) > p->cpus && !machine_adds_cpus(p))
        rc = err_exit(
            e, EX_USAGE_, ENOTSUP,
            "persona %s gives no processors to a guest that runs: leave max= out of --cpus",
            p->persona);
    if (rc == 0 && p->persona_opts)
        rc = cfg_parse(m->persona_opts, p->persona_opts, NULL, e);
    if (rc < 0)
        return rc;
    if (ops->host_needs)
        ops->host_needs(m->persona_opts, &c);
    return m->ops->open(&c, m->mem, m->loop, &m->host, e);
}

/* SeaBIOS finds Xen and takes its settings from there. */
static bool build_xen_firmware(const struct plan *p)
{
    return !plan_uefi(p) && !p->kernel && build_is(p, "xen");
}

/* secure, or secure=on or off; when it is not said, the plan does. */
static int build_secure(const struct plan *p, struct cfg *opts, bool *out, struct err *e)
{
    const char *said = cfg_get(opts, "secure");

    *out = said ? strcmp(said, "off") != 0 : p->secure_boot;
    if (said && *said && strcmp(said, "on") != 0 && strcmp(said, "off") != 0)
        return err_exit(e, EX_USAGE_, EINVAL, "--firmware uefi,secure= is on or off, not %s", said);
    return 0;
}

/* menu, or menu=SECONDS. Firmware keeps milliseconds in 16 bits. */
static int build_menu(const struct plan *p, struct cfg *opts, unsigned *ms, struct err *e)
{
    const char *said = cfg_get(opts, "menu");
    uint64_t seconds = MACHINE_MENU;
    int rc = said && *said ? cfg_u64(opts, "menu", 1, UINT16_MAX / 1000, &seconds, e) : 0;

    if (rc < 0 || !said)
        return rc;
    if (p->kernel)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "a kernel that is given starts at once: leave menu out of --firmware");
    if (build_xen_firmware(p) && *said)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "under the xen persona SeaBIOS waits 2.5 seconds for who wants its menu: "
                        "leave menu= out of --firmware");
    *ms = (unsigned)seconds * 1000;
    return 0;
}

/* --firmware bios|uefi,menu=SECONDS, uefi,code=FILE,vars=FILE,secure. The words live as long as
 * *opts. */
static int build_firmware_opts(const struct plan *p, struct cfg **opts, struct board_uefi *out,
                               unsigned *menu_ms, struct err *e)
{
    int rc = cfg_create(opts, e);

    if (rc == 0 && p->firmware_opts)
        rc = cfg_parse(*opts, p->firmware_opts, NULL, e);
    if (rc == 0 && plan_uefi(p)) {
        out->code = cfg_get(*opts, "code");
        out->vars = cfg_get(*opts, "vars");
        rc = build_secure(p, *opts, &out->secure, e);
    }
    if (rc == 0)
        rc = build_menu(p, *opts, menu_ms, e);
    if (rc < 0)
        return rc;
    return cfg_finish(*opts, "--firmware", e);
}

/* Suspend to RAM: where the persona's product leaves it to ACPI, and firmware knows the way back.
 */
static bool build_sleeps(const struct plan *p)
{
    return !plan_uefi(p) && (build_is(p, "kvm") || build_is(p, "bare"));
}

static int build_genid(struct machine *m, const struct persona_ops *ops, uint8_t room[16],
                       const uint8_t **out, struct err *e)
{
    const struct plan *p = m->plan;

    m->tables.genid_hid =
        ops->genid ? ops->genid(m->persona_opts, p->genid.said, plan_uefi(p)) : NULL;
    if (!m->tables.genid_hid)
        return 0;
    *out = place_genid(p, room);
    return *out ? 0 : err_set(e, EIO, "the host's random numbers cannot be read");
}

/* quirk: SeaBIOS 1.16 clears each request of a Fusion-MPT controller through a segment register
 * that only a reading of the PM timer has set right. When the TSC is its timer, 56 bytes of zeroes
 * land in what the loader has read. */
static bool build_pm_function(const struct plan *p)
{
    return build_is(p, "vmware");
}

static int build_board(struct machine *m, const struct persona_ops *ops, struct err *e)
{
    const struct plan *p = m->plan;
    uint8_t genid[16];
    struct board_uefi uefi = {.nvram = p->nvram && strcmp(p->nvram, "none") != 0 ? p->nvram : NULL,
                              .nested_tcg = host_nested_tcg(),
                              .kernel = p->kernel,
                              .initrd = p->initrd,
                              .append = p->append};
    struct board_tpm tpm;
    struct cfg *opts = NULL;
    struct board_cfg c = build_shape(m);
    int rc;

    c.cpus = p->cpus;
    c.cpus_max = machine_cpus_max(p);
    c.loop = m->loop;
    c.irqs = m->ops->irqs(m->host);
    c.doorbells = m->ops->doorbells(m->host);
    c.com1 = m->console;
    c.hub = m->hub;
    c.rtc_local = p->rtc_local;
    c.testdev = p->testdev;
    c.hpet = build_is(p, "bare") && cfg_flag(m->persona_opts, "hpet");
    c.fdc = build_fdc(m);
    c.pm_function = build_pm_function(p);
    c.s3 = build_sleeps(p);
    c.pci_plug = build_is(p, "kvm") && cfg_flag(m->persona_opts, "hotplug") && !plan_q35(p);
    c.uefi = plan_uefi(p) ? &uefi : NULL;
    c.xen_firmware = build_xen_firmware(p);
    c.low_acpi = build_is(p, "xen");
    c.event = machine_board_event;
    c.event_arg = m;
    rc = build_firmware_opts(p, &opts, &uefi, &c.menu_ms, e);
    if (rc == 0 && plan_tpm(p)) {
        rc = tpm_process_start(p->tpm_state ? p->tpm_state : "none", &tpm, &m->tpm, e);
        c.tpm = &tpm;
    }
    memcpy(c.uuid, p->uuid, sizeof(c.uuid));
    if (rc == 0)
        rc = build_genid(m, ops, genid, &c.genid, e);
    if (rc == 0)
        rc = board_create(&c, &m->board, e);
    cfg_destroy(opts);
    return rc;
}

static int build_persona(struct machine *m, const struct persona_ops *ops, struct err *e)
{
    const struct plan *p = m->plan;
    struct persona_env env = {
        .dev = *board_env(m->board),
        .host = m->host,
        .cpus = p->cpus,
        .cpus_max = machine_cpus_max(p),
        .memory = p->memory,
        .name = p->name,
        .display = strcmp(p->display, "none") != 0,
        .firmware = plan_firmware(p),
        .uefi = plan_uefi(p),
        .ide = build_ide(m),
        .opts = m->persona_opts,
        .console = m->console,
        .testdev = p->testdev,
        .hub = m->hub,
        .event = machine_persona_event,
        .event_arg = m,
    };
    int rc;

    memcpy(env.uuid, p->uuid, sizeof(env.uuid));
    rc = ops->create(&env, &m->persona, e);
    return rc < 0 ? rc : cfg_finish(m->persona_opts, "--persona", e);
}

static int build_disk(struct machine *m, size_t i, struct err *e)
{
    const struct plan_disk *d = &m->plan->disk[i];
    const struct plan_controller *ctl = place_controller(m->plan, d);
    struct disk_spec s;
    uint8_t instance[16];
    char *id = m->disk_id[i];
    int rc;

    snprintf(id, MACHINE_ID, "%s%zu", d->cdrom ? "cdrom" : "disk", i);
    rc = machine_disk_open(m, d, id, &s, m->disk_about[i], e);
    if (rc < 0)
        return rc;
    rc = place_slot(m, &d->place, id, s.opts, e);
    s.instance = ctl ? place_instance(&ctl->place.instance, instance) : NULL;
    if (rc < 0)
        disk_close(s.disk);
    else if (plan_floppy(d))
        rc = board_floppy(m->board, s.disk, id, e);
    else
        rc = m->persona->ops->add_disk(m->persona, &s, e);
    if (rc == 0)
        rc = cfg_finish(s.opts, "--disk", e);
    if (rc == 0)
        m->disk[i] = s.disk;
    cfg_destroy(s.opts);
    return rc;
}

int machine_add_nic(struct machine *m, const struct plan_nic *n, const char *id,
                    int (*add)(struct persona *p, const struct nic_spec *s, struct err *e),
                    struct err *e)
{
    struct nic_spec s = {.model = n->model, .id = id};
    struct cfg *rest = NULL;
    uint8_t instance[16];
    int rc;

    rc = net_open(n->backend, m->loop, &s.netif, &rest, e);
    if (rc < 0)
        return rc;
    memcpy(s.mac, n->mac, sizeof(s.mac));
    s.opts = rest;
    if (n->opts)
        rc = cfg_parse(rest, n->opts, NULL, e);
    if (rc == 0)
        rc = place_slot(m, &n->place, id, rest, e);
    s.instance = place_instance(&n->place.instance, instance);
    if (rc < 0)
        net_close(s.netif);
    else
        rc = add(m->persona, &s, e);
    if (rc == 0)
        rc = cfg_finish(rest, "--nic", e);
    cfg_destroy(rest);
    return rc;
}

static int build_nic(struct machine *m, size_t i, struct err *e)
{
    const struct plan_nic *n = &m->plan->nic[i];

    if (strcmp(n->backend, "none") == 0)
        return 0;
    snprintf(m->nic_id[i], MACHINE_ID, "nic%zu", i);
    return machine_add_nic(m, n, m->nic_id[i], m->persona->ops->add_nic, e);
}

static void build_acpi(void *arg, struct aml *out)
{
    struct machine *m = arg;

    if (m->persona->ops->acpi)
        m->persona->ops->acpi(m->persona, out);
    place_acpi(m, out);
}

/* What firmware tries, by the numbers of the plan. Of two with one number the later is first: what
 * the command line adds to a description comes last. */
static void build_boot_order(struct machine *m)
{
    const struct plan *p = m->plan;
    struct board_boot order[BOARD_BOOTS];
    unsigned number[BOARD_BOOTS];
    size_t n = 0;

    _Static_assert((int)PLAN_MAX_DISKS + (int)PLAN_MAX_NICS <= (int)BOARD_BOOTS, "room for all");
    for (size_t i = 0; i < p->disks + p->nics; i++) {
        const struct plan_disk *d = i < p->disks ? &p->disk[i] : NULL;
        unsigned boot = d ? d->boot : p->nic[i - p->disks].boot;
        size_t at = n;

        if (boot == 0)
            continue;
        for (; at > 0 && number[at - 1] >= boot; at--) {
            number[at] = number[at - 1];
            order[at] = order[at - 1];
        }
        number[at] = boot;
        order[at].id = d ? m->disk_id[i] : m->nic_id[i - p->disks];
        order[at].kind = !d               ? BOARD_BOOT_NETWORK
                         : d->cdrom       ? BOARD_BOOT_CDROM
                         : plan_floppy(d) ? BOARD_BOOT_FLOPPY
                                          : BOARD_BOOT_DISK;
        n++;
    }
    board_boot_order(m->board, order, n);
}

static int build_devices(struct machine *m, struct err *e)
{
    const struct persona_ops *ops = m->persona->ops;
    int rc = 0;

    for (size_t i = 0; i < m->plan->disks && rc == 0; i++)
        rc = build_disk(m, i, e);
    for (size_t i = 0; i < m->plan->nics && rc == 0; i++)
        rc = build_nic(m, i, e);
    if (rc == 0 && ops->finish)
        rc = ops->finish(m->persona, e);
    if (rc < 0)
        return rc;
    if (ops->smbios)
        ops->smbios(m->persona, &m->tables.smbios);
    place_names(m->plan, &m->tables.smbios);
    m->tables.acpi = build_acpi;
    m->tables.acpi_arg = m;
    build_boot_order(m);
    return 0;
}

/* --- what vCPUs call --- */

static enum verdict build_port(void *arg, struct vcpu *v, uint16_t port, unsigned size,
                               enum access dir, uint32_t *val)
{
    struct persona *p = ((struct machine *)arg)->persona;

    return p->ops->port ? p->ops->port(p, v, port, size, dir, val) : VERDICT_NOT_MINE;
}

static enum verdict build_msr(void *arg, struct vcpu *v, uint32_t msr, enum access dir,
                              uint64_t *val)
{
    struct machine *m = arg;
    struct persona *p = m->persona;

    usage_count(&m->usage, USAGE_MSR, msr, dir);
    return p->ops->msr ? p->ops->msr(p, v, msr, dir, val) : VERDICT_NOT_MINE;
}

static enum verdict build_hypercall(void *arg, struct vcpu *v, struct hcall *h)
{
    struct machine *m = arg;
    struct persona *p = m->persona;

    /* The low half of the control word is the call; the rest says how it is made. Xen's calls come
     * by several ways, so that persona counts them itself. */
    if (h->kind == HCALL_HYPERV)
        usage_count(&m->usage, USAGE_HYPERCALL, h->nr & 0xffff, ACC_READ);
    return p->ops->hypercall ? p->ops->hypercall(p, v, h) : VERDICT_NOT_MINE;
}

static void build_attend(void *arg, struct vcpu *v)
{
    struct persona *p = ((struct machine *)arg)->persona;

    if (p->ops->attend)
        p->ops->attend(p, v);
}

static void build_sink(struct machine *m)
{
    m->sink = (struct host_sink){
        .arg = m,
        .bus = {board_bus(m->board, BUS_PIO), board_bus(m->board, BUS_MMIO)},
        .access = bus_access,
        .port = build_port,
        .msr = build_msr,
        .hypercall = build_hypercall,
        .attend = build_attend,
        .event = machine_host_event,
    };
}

int machine_load(struct machine *m, struct err *e)
{
    struct board_range range[MACHINE_RANGES];
    struct boot_env env = {.mem = m->mem, .range = range};
    int rc = board_place(m->board, &m->tables, e);

    if (rc < 0 || !m->boot)
        return rc;
    env.ranges = board_ranges(m->board, range, MACHINE_RANGES);
    env.rsdp = board_rsdp(m->board);
    return boot_load(m->boot, &env, &m->start, e);
}

int machine_build(struct machine *m, struct err *e)
{
    const struct plan *p = m->plan;
    const char *name = p->persona ? p->persona : "kvm";
    const struct persona_ops *ops = persona_find(name);
    int rc = ops ? 0 : err_exit(e, EX_USAGE_, EINVAL, "there is no persona \"%s\"", name);

    if (rc == 0)
        rc = build_limits(p, e);
    if (rc == 0)
        rc = loop_create(&m->loop, e);
    if (rc == 0)
        rc = build_boot(m, e);
    if (rc == 0)
        rc = gmem_create(&m->mem, e);
    if (rc == 0)
        rc = build_ram(m, e);
    if (rc == 0)
        rc = build_host(m, ops, e);
    if (rc == 0)
        rc = console_open(p->serial, m->loop, &m->console, e);
    if (rc == 0)
        rc = hub_create(m->loop, &m->hub, e);
    if (rc == 0)
        rc = build_board(m, ops, e);
    if (rc == 0)
        rc = build_persona(m, ops, e);
    if (rc == 0)
        rc = build_devices(m, e);
    if (rc == 0)
        rc = machine_display_open(m, e);
    if (rc < 0)
        return rc;
    build_sink(m);
    return machine_load(m, e);
}

void machine_unbuild(struct machine *m)
{
    machine_display_close(m);
    machine_unplug_all(m);
    machine_discs_end(m);
    if (m->loop)
        machine_quiet_end(m);
    if (m->persona)
        m->persona->ops->destroy(m->persona);
    board_destroy(m->board);
    tpm_process_end(m->tpm);
    hub_destroy(m->hub);
    if (m->host)
        m->ops->close(m->host);
    if (m->console)
        console_close(m->console);
    boot_close(m->boot);
    gmem_destroy(m->mem);
    if (m->persona_opts)
        cfg_destroy(m->persona_opts);
    if (m->loop)
        loop_destroy(m->loop);
}
