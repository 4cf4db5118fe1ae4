/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persona.c - `kvm`: KVM's CPUID leaves and virtio devices on PCI.
 *
 * Documents: Linux Documentation/virt/kvm/x86/cpuid.rst; VIRTIO 1.2. What the leaves offer is done
 * by the host itself: clock, steal time, end of interrupt, IPIs, TLB flushes. Threads: as
 * persona.h says; all here runs before the machine does, or on the loop.
 *
 * Options: packed (offer packed rings), modern (no legacy interface), direct (no indirect
 * descriptors), scsi (a SCSI controller even if no disk is on it yet), no-rng, no-balloon,
 * hvc=CONSOLE (a virtio console on stdio, pty, file=, unix=), cid=N,vsock=PATH (a socket device;
 * see vsock.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/kvm_cpuid.h"
#include "abi/virtio_vsock.h"
#include "balloon.h"
#include "board/legacy/ahci.h"
#include "board/legacy/ide.h"
#include "board/nvme/nvme.h"
#include "board/usb/xhci.h"
#include "console/console.h"
#include "core/cfg.h"
#include "core/err.h"
#include "devices.h"
#include "personas/nics.h"
#include "scsi.h"

extern const struct persona_ops persona_kvm;

struct kvm_persona {
    struct persona p; /* first */
    struct virtio_options o;
    bool no_rng, no_balloon, want_scsi;
    char *hvc, *vsock; /* NULL: none */
    uint64_t cid;
    struct balloon *balloon;
    struct vscsi *scsi;        /* NULL: nobody wants it */
    char *unit[SCSI_MAX_LUNS]; /* ids of its disks */
    struct ide *ide;           /* NULL: no CD-ROM drive, no disk with bus=ide */
    struct ahci *ahci;         /* likewise, with bus=sata */
    struct nvme *nvme;         /* likewise, with bus=nvme */
};

static struct kvm_persona *kvm_of(struct persona *p)
{
    return container_of(p, struct kvm_persona, p);
}

static char *copy_option(struct cfg *c, const char *key)
{
    const char *v = cfg_get(c, key);

    return v ? strdup(v) : NULL;
}

static int kvm_options(struct kvm_persona *k, struct cfg *c, struct err *e)
{
    int rc;

    k->o.packed = cfg_flag(c, "packed");
    k->o.modern_only = cfg_flag(c, "modern");
    k->o.indirect = !cfg_flag(c, "direct");
    k->want_scsi = cfg_flag(c, "scsi");
    k->no_rng = cfg_flag(c, "no-rng");
    k->no_balloon = cfg_flag(c, "no-balloon");
    k->hvc = copy_option(c, "hvc");
    k->vsock = copy_option(c, "vsock");
    rc = cfg_u64(c, "cid", VSOCK_CID_FIRST_GUEST, UINT32_MAX - 1, &k->cid, e);
    if (rc == 0 && !k->cid != !k->vsock)
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "--persona kvm: cid= and vsock= belong together; give both or none");
    return rc;
}

static int kvm_create(const struct persona_env *env, struct persona **out, struct err *e)
{
    struct kvm_persona *k = calloc(1, sizeof(*k));
    int rc = 0;

    if (!k)
        return err_set(e, ENOMEM, "no memory for the persona");
    k->p.ops = &persona_kvm;
    k->p.env = *env;
    k->o = (struct virtio_options){.indirect = true, .devfn = -1};
    if (env->opts)
        rc = kvm_options(k, env->opts, e);
    if (rc < 0)
        persona_kvm.destroy(&k->p);
    else
        *out = &k->p;
    return rc;
}

static void kvm_destroy(struct persona *p)
{
    for (unsigned i = 0; i < SCSI_MAX_LUNS; i++)
        free(kvm_of(p)->unit[i]);
    free(kvm_of(p)->hvc);
    free(kvm_of(p)->vsock);
    free(kvm_of(p)); /* the devices are the PCI bus's */
}

static void kvm_reset(struct persona *p)
{
    /* all state is in the devices and in the host */
}

static size_t kvm_cpuid(struct persona *p, unsigned cpu, struct cpuid_leaf *leaf, size_t n,
                        size_t max)
{
    static const uint8_t wanted[] = {
        KVM_FEATURE_CLOCKSOURCE,     KVM_FEATURE_NOP_IO_DELAY,
        KVM_FEATURE_CLOCKSOURCE2,    KVM_FEATURE_ASYNC_PF,
        KVM_FEATURE_STEAL_TIME,      KVM_FEATURE_PV_EOI,
        KVM_FEATURE_PV_UNHALT,       KVM_FEATURE_PV_TLB_FLUSH,
        KVM_FEATURE_ASYNC_PF_VMEXIT, KVM_FEATURE_PV_SEND_IPI,
        KVM_FEATURE_POLL_CONTROL,    KVM_FEATURE_PV_SCHED_YIELD,
        KVM_FEATURE_ASYNC_PF_INT,    KVM_FEATURE_CLOCKSOURCE_STABLE_BIT,
    };
    uint32_t mask = 0;

    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        mask |= UINT32_C(1) << wanted[i];
    if (n + 2 > max)
        return n;
    leaf[n++] = (struct cpuid_leaf){
        .fn = KVM_CPUID_SIGNATURE,
        .eax = KVM_CPUID_FEATURES,
        .ebx = KVM_SIGNATURE_EBX,
        .ecx = KVM_SIGNATURE_ECX,
        .edx = KVM_SIGNATURE_EDX,
    };
    leaf[n++] = (struct cpuid_leaf){
        .fn = KVM_CPUID_FEATURES,
        .eax = p->env.host->ops->pv_features(p->env.host) & mask,
    };
    return n;
}

/* What a device's own options say, over the persona's. */
static int device_options(const struct kvm_persona *k, struct cfg *opts, struct virtio_options *o,
                          struct err *e)
{
    uint64_t slot = 0, port = 0;
    int rc = 0;

    *o = k->o;
    if (!opts)
        return 0;
    rc = cfg_u64(opts, "slot", 1, 31, &slot, e);
    if (slot)
        o->devfn = (int)slot << 3;
    if (rc == 0 && pci_is_q35(k->p.env.dev.pci))
        rc = cfg_u64(opts, "port", 1, PCI_PORTS, &port, e);
    if (port)
        o->devfn = PCI_BEHIND + (int)port;
    o->packed |= cfg_flag(opts, "packed");
    o->modern_only |= cfg_flag(opts, "modern");
    if (cfg_flag(opts, "direct"))
        o->indirect = false;
    return rc;
}

/* A queue for each processor that may be there. */
static unsigned kvm_queues(const struct kvm_persona *k)
{
    return (unsigned)min_u64(max_u64(k->p.env.cpus, k->p.env.cpus_max), 16);
}

/* --- the SCSI controller --- */

static int make_scsi(struct kvm_persona *k, struct err *e)
{
    struct env env = k->p.env.dev;

    env.id = "scsi0";
    return k->scsi ? 0 : vscsi_create(&env, &k->o, kvm_queues(k), &k->scsi, e);
}

/* At lun=N, or at the lowest LUN that is free. The controller is there. */
static int attach_unit(struct kvm_persona *k, const struct disk_spec *s, struct err *e)
{
    struct scsi_lun_cfg c = {.disk = s->disk, .cdrom = s->cdrom, .serial = s->serial, .id = s->id};
    uint64_t lun = UINT64_MAX;
    char *id = strdup(s->id);
    int rc = id ? 0 : err_set(e, ENOMEM, "no memory for %s", s->id);

    if (rc == 0 && s->opts)
        rc = cfg_u64(s->opts, "lun", 0, SCSI_MAX_LUNS - 1, &lun, e);
    if (rc == 0 && s->opts)
        rc = cfg_finish(s->opts, "--disk", e);
    for (unsigned i = 0; lun == UINT64_MAX && i < SCSI_MAX_LUNS; i++) {
        if (!scsi_lun_present(vscsi_target(k->scsi), i))
            lun = i;
    }
    if (rc == 0 && lun == UINT64_MAX)
        rc = err_exit(e, EX_USAGE_, ENOSPC, "%s: all %d units of the SCSI controller are taken",
                      s->id, SCSI_MAX_LUNS);
    if (rc == 0)
        rc = scsi_attach(vscsi_target(k->scsi), (unsigned)lun, &c, e);
    if (rc < 0) {
        free(id);
        return rc;
    }
    vscsi_boots(k->scsi, (unsigned)lun, s->id);
    free(k->unit[lun]);
    k->unit[lun] = id;
    return 0;
}

static int kvm_add_disk(struct persona *p, const struct disk_spec *s, struct err *e);

static int kvm_plug_disk(struct persona *p, const struct disk_spec *s, struct err *e)
{
    struct kvm_persona *k = kvm_of(p);

    if (s->bus && strcmp(s->bus, "virtio") == 0)
        return kvm_add_disk(p, s, e);
    if (s->bus && strcmp(s->bus, "scsi") != 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s: a disk that comes while the guest runs goes on bus=scsi or "
                        "bus=virtio, not %s",
                        s->id, s->bus);
    if (!k->scsi)
        return err_exit(e, EX_USAGE_, ENODEV,
                        "%s: this machine has no SCSI controller: start it with --persona kvm,scsi",
                        s->id);
    return attach_unit(k, s, e);
}

static int kvm_unplug_disk(struct persona *p, const char *id, struct err *e)
{
    struct kvm_persona *k = kvm_of(p);

    for (unsigned i = 0; i < SCSI_MAX_LUNS; i++) {
        int rc;

        if (!k->unit[i] || strcmp(k->unit[i], id) != 0)
            continue;
        rc = scsi_detach(vscsi_target(k->scsi), i, e);
        if (rc < 0)
            return rc;
        free(k->unit[i]);
        k->unit[i] = NULL;
        return 0;
    }
    return err_exit(e, EX_USAGE_, ENOENT,
                    "there is no disk %.32s on bus=scsi; others stay until the machine ends", id);
}

static bool kvm_grew(struct persona *p, const struct disk *disk)
{
    struct kvm_persona *k = kvm_of(p);

    for (unsigned devfn = 0; devfn < PCI_PLACES; devfn++) {
        struct pci_dev *f = pci_at(p->env.dev.pci, devfn);

        if (f && blk_grew(f, disk))
            return true;
    }
    return (k->scsi && scsi_grew(vscsi_target(k->scsi), disk)) || nvme_grew(k->nvme, disk) ||
           ide_disc_changed(k->ide, disk) || ahci_disc_changed(k->ahci, disk);
}

static int kvm_add_disk(struct persona *p, const struct disk_spec *s, struct err *e)
{
    struct kvm_persona *k = kvm_of(p);
    struct env env = p->env.dev;
    struct virtio_options o;
    uint64_t queues = s->queues ? s->queues : kvm_queues(k);
    int rc;

    if (s->bus ? strcmp(s->bus, "sata") == 0 || strcmp(s->bus, "ahci") == 0
               : s->cdrom && pci_is_q35(env.pci)) {
        struct ahci_port_cfg a = {
            .disk = s->disk, .cdrom = s->cdrom, .serial = s->serial, .id = s->id};

        return ahci_add(&env, &k->ahci, &a, e);
    }
    if (s->bus && strcmp(s->bus, "nvme") == 0 && !s->cdrom) {
        struct nvme_cfg v = {.disk = s->disk, .serial = s->serial, .id = s->id};

        return nvme_add(&env, &k->nvme, &v, e);
    }
    if (s->bus ? strcmp(s->bus, "ide") == 0 : s->cdrom) {
        struct ide_unit_cfg c = {
            .disk = s->disk, .cdrom = s->cdrom, .serial = s->serial, .id = s->id};

        rc = ide_add(&env, &k->ide, &c, e);
        return rc < 0 ? rc : 0;
    }
    if (s->bus && strcmp(s->bus, "scsi") == 0) {
        rc = make_scsi(k, e);
        return rc < 0 ? rc : attach_unit(k, s, e);
    }
    if (s->bus && strcmp(s->bus, "virtio") != 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "the kvm persona has no %s bus for %s; leave bus= out or use bus=virtio, "
                        "bus=scsi, bus=sata, bus=nvme or bus=ide",
                        s->bus, s->id);
    rc = device_options(k, s->opts, &o, e);
    if (rc == 0 && s->opts)
        rc = cfg_u64(s->opts, "queues", 1, VIRTIO_QUEUES_MAX, &queues, e);
    if (rc == 0 && s->opts)
        rc = cfg_finish(s->opts, "--disk", e);
    if (rc < 0)
        return rc;
    env.id = s->id;
    return blk_create(&env, &o, s, (unsigned)queues, e);
}

static int kvm_add_nic(struct persona *p, const struct nic_spec *s, struct err *e)
{
    struct kvm_persona *k = kvm_of(p);
    struct env env = p->env.dev;
    static const char *const models[] = {"virtio", "e1000", "e1000e", "rtl8139", NULL};
    struct virtio_options o;
    uint64_t queues = 1;
    bool emulated;
    int rc = persona_emulated_nic(p, s, models, "virtio", &emulated, e);

    if (rc < 0 || emulated)
        return rc;
    rc = device_options(k, s->opts, &o, e);
    if (rc == 0 && s->opts)
        rc = cfg_u64(s->opts, "queues", 1, NET_PAIRS_MAX, &queues, e);
    if (rc == 0 && s->opts)
        rc = cfg_finish(s->opts, "--nic", e);
    if (rc < 0)
        return rc;
    o.rom = p->env.firmware ? "pxe-virtio.rom" : NULL;
    env.id = s->id;
    return net_create(&env, &o, s, (unsigned)queues, e);
}

static int add_hvc(struct kvm_persona *k, struct env *env, struct err *e)
{
    struct console *n;
    int rc = console_open(k->hvc, env->loop, &n, e);

    if (rc < 0)
        return err_wrap(e, "--persona kvm,hvc=%s", k->hvc);
    env->id = "hvc0";
    rc = hvc_create(env, &k->o, n, e);
    if (rc < 0)
        console_close(n);
    return rc;
}

static int kvm_finish(struct persona *p, struct err *e)
{
    struct kvm_persona *k = kvm_of(p);
    struct env env = p->env.dev;
    int rc = 0;

    if (k->want_scsi)
        rc = make_scsi(k, e);
    if (rc == 0 && p->env.ide && !k->ide)
        rc = ide_create(&env, &k->ide, e);
    if (rc == 0 && k->hvc)
        rc = add_hvc(k, &env, e);
    if (rc == 0 && k->vsock) {
        env.id = "vsock0";
        rc = vsock_create(&env, &k->o, k->cid, k->vsock, e);
    }
    if (rc == 0 && !k->no_rng) {
        env.id = "rng0";
        rc = rng_create(&env, &k->o, e);
    }
    if (rc == 0 && !k->no_balloon) {
        env.id = "balloon0";
        rc = balloon_create(&env, &k->o, &p->env, &k->balloon, e);
    }
    if (rc == 0 && p->env.display)
        rc = xhci_add_input(&p->env.dev, p->env.hub, e);
    return rc;
}

static void kvm_smbios(struct persona *p, struct smbios_id *out)
{
    out->product = "KVM virtual machine";
}

static int kvm_ask(struct persona *p, enum persona_ask what, uint64_t value, struct err *e)
{
    struct kvm_persona *k = kvm_of(p);

    if (what == ASK_MEMORY && k->balloon)
        return balloon_ask(k->balloon, value, e);
    return err_set(e, ENOTSUP, "virtio has no channel for that; use the power button");
}

static void kvm_describe(struct persona *p, struct dump *out)
{
    dump_add(out, "rings", "%s%s", kvm_of(p)->o.packed ? "packed or split" : "split",
             kvm_of(p)->o.modern_only ? ", modern only" : "");
}

/* The name that QEMU gives it; a machine has one when it is asked for. */
static const char *kvm_genid(struct cfg *opts, bool said, bool uefi)
{
    (void)opts;
    (void)uefi;
    return said ? "QEMUVGID" : NULL;
}

const struct persona_ops persona_kvm = {
    .name = "kvm",
    .about = "KVM: virtio devices, kvmclock",
    .create = kvm_create,
    .destroy = kvm_destroy,
    .reset = kvm_reset,
    .cpuid = kvm_cpuid,
    .add_disk = kvm_add_disk,
    .plug_disk = kvm_plug_disk,
    .unplug_disk = kvm_unplug_disk,
    .grew = kvm_grew,
    .add_nic = kvm_add_nic,
    .plug_nic = kvm_add_nic,
    .finish = kvm_finish,
    .smbios = kvm_smbios,
    .ask = kvm_ask,
    .genid = kvm_genid,
    .describe = kvm_describe,
};
