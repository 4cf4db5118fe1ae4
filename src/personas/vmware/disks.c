/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks.c - which controller a disk of the vmware persona hangs on, and where.
 *
 * Up to four SCSI controllers, each of a kind, as VMware's own machines have them; target 7 of each
 * is the controller's own. A description's controller and unit are kept where it says them. Disks
 * come and go on controllers that were there at the start.
 *
 * Builds of OVMF without drivers for these controllers find the first disks on a SATA controller
 * that borrows them; docs/decisions/0080.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "board/legacy/ahci.h"
#include "board/legacy/ide.h"
#include "board/nvme/nvme.h"
#include "core/cfg.h"
#include "core/err.h"
#include "personas/vmware/mpt.h"
#include "personas/vmware/pvscsi.h"
#include "personas/vmware/vmware.h"

enum { ADAPTER_TARGET = 7 };
_Static_assert((int)UNITS_MAX >= (int)PVSCSI_TARGETS && (int)UNITS_MAX >= (int)MPT_TARGETS,
               "a place for every target");

static const struct {
    const char *word; /* bus=, as in VMX files */
    enum vmware_adapter_kind kind;
} kinds[] = {
    {"pvscsi", ADAPTER_PVSCSI},
    {"lsilogic", ADAPTER_LSILOGIC},
    {"lsisas1068", ADAPTER_LSISAS1068},
};

/* --- faces for UEFI --- */

void vmware_meet(struct vmware *w)
{
    if (w->faces.ahci && !__atomic_exchange_n(&w->met, true, __ATOMIC_RELAXED))
        faces_hide(&w->faces);
}

void vmware_meet_asked(struct task *t)
{
    vmware_meet(container_of(t, struct vmware, meet));
}

/* A driver has set a controller up, with its lock held. Firmware that knows the controller does
 * that, too, before it has read from the face; what comes after is an operating system. */
static void driven(void *arg)
{
    struct vmware *w = arg;
    struct ahci *a = w->faces.ahci;

    if (a && (ahci_used(a) || __atomic_fetch_add(&w->drivers, 1, __ATOMIC_RELAXED)))
        loop_ask(w->p.env.dev.loop, &w->meet);
}

void vmware_faces_reset(struct vmware *w)
{
    WRITE_ONCE(w->met, false);
    WRITE_ONCE(w->drivers, 0);
}

/* --- adapters --- */

static int pvscsi_make(struct vmware *w, struct vmware_adapter *a, const struct env *env,
                       struct err *e)
{
    struct pvscsi *p;
    int rc = pvscsi_create(env, &p, e);

    if (rc < 0)
        return rc;
    pvscsi_on_driven(p, driven, w);
    a->units = pvscsi_units(p);
    return 0;
}

static int mpt_make(struct vmware *w, struct vmware_adapter *a, const struct env *env,
                    struct err *e)
{
    enum mpt_kind kind = a->kind == ADAPTER_LSILOGIC ? MPT_53C1030 : MPT_SAS1068;
    struct mpt *p;
    int rc = mpt_create(env, kind, (unsigned)a->number, &p, e);

    if (rc < 0)
        return rc;
    mpt_on_driven(p, driven, w);
    a->units = mpt_units(p);
    return 0;
}

static int adapter_make(struct vmware *w, struct vmware_adapter *a, const char *word, struct err *e)
{
    struct env env = w->p.env.dev;
    struct pci_dev *pci;
    int rc;

    snprintf(a->id, sizeof(a->id), "%s%d", word, a->number);
    env.id = a->id;
    rc = a->kind == ADAPTER_PVSCSI ? pvscsi_make(w, a, &env, e) : mpt_make(w, a, &env, e);
    if (rc < 0)
        return rc;
    pci = a->units->pci;
    rc = pci_add(env.pci, pci, -1, e);
    if (rc < 0) {
        pci_remove(pci);
        pci->dev.ops->destroy(&pci->dev);
    }
    return rc;
}

/* The controller that s belongs on, made when it is not there and make says so. A disk that came
 * without a number goes to the first of its kind. */
static int adapter_for(struct vmware *w, const struct disk_spec *s, size_t kind, bool make,
                       struct vmware_adapter **out, struct err *e)
{
    struct vmware_adapter *a;

    for (unsigned i = 0; i < w->adapters; i++) {
        a = &w->adapter[i];
        if (a->kind == kinds[kind].kind && (s->controller < 0 || a->number == s->controller)) {
            *out = a;
            return 0;
        }
    }
    if (!make)
        return err_exit(e, EX_USAGE_, ENOENT,
                        "the machine has no %s controller for %s; it must start with a disk on one",
                        kinds[kind].word, s->id);
    if (w->adapters == VMWARE_ADAPTERS)
        return err_exit(e, EX_USAGE_, ENOSPC, "%s: no more than %d SCSI controllers", s->id,
                        VMWARE_ADAPTERS);
    a = &w->adapter[w->adapters];
    *a = (struct vmware_adapter){.kind = kinds[kind].kind,
                                 .number = s->controller < 0 ? 0 : s->controller};
    if (adapter_make(w, a, kinds[kind].word, e) < 0)
        return -e->code;
    w->adapters++;
    *out = a;
    return 0;
}

static int target_for(const struct vmware_adapter *a, const struct disk_spec *s, unsigned *out,
                      struct err *e)
{
    unsigned t = 0, targets = a->units->count;

    if (s->unit >= 0) {
        t = (unsigned)s->unit;
        if (t >= targets || t == ADAPTER_TARGET || a->disk[t])
            return err_exit(e, EX_USAGE_, EINVAL, "%s: unit %u of %s is %s", s->id, t, a->id,
                            t >= targets          ? "beyond its last"
                            : t == ADAPTER_TARGET ? "the controller itself"
                                                  : "taken");
        *out = t;
        return 0;
    }
    while (t < targets && (a->disk[t] || t == ADAPTER_TARGET))
        t++;
    if (t == targets)
        return err_exit(e, EX_USAGE_, ENOSPC,
                        "%s: %s is full; put it on another with controller=", s->id, a->id);
    *out = t;
    return 0;
}

static int scsi_add(struct vmware *w, const struct disk_spec *s, size_t kind, bool make,
                    struct err *e)
{
    struct scsi_lun_cfg c = {.disk = s->disk, .cdrom = s->cdrom, .serial = s->serial, .id = s->id};
    struct vmware_adapter *a = NULL;
    unsigned target = 0;
    int rc = s->opts ? cfg_finish(s->opts, "--disk", e) : 0;

    if (rc == 0)
        rc = adapter_for(w, s, kind, make, &a, e);
    if (rc == 0)
        rc = target_for(a, s, &target, e);
    if (rc == 0)
        rc = units_attach(a->units, target, &c, e);
    if (rc == 0)
        a->disk[target] = s->id;
    return rc;
}

/* Index in kinds; -ENOENT: a bus that is no SCSI. */
static int kind_of(const struct disk_spec *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!s->bus ? !s->cdrom && kinds[i].kind == ADAPTER_PVSCSI
                    : strcmp(s->bus, kinds[i].word) == 0)
            return (int)i;
    }
    return -ENOENT;
}

int vmware_add_disk(struct persona *p, const struct disk_spec *s, struct err *e)
{
    struct vmware *w = vmware_of(p);
    int kind = kind_of(s), rc;

    if (kind >= 0) {
        rc = scsi_add(w, s, (size_t)kind, true, e);
        if (rc < 0) {
            disk_close(s->disk);
            return rc;
        }
        return faces_add(&w->faces, &p->env, s, e);
    }
    if (s->bus && (strcmp(s->bus, "sata") == 0 || strcmp(s->bus, "ahci") == 0)) {
        struct ahci_port_cfg a = {
            .disk = s->disk, .cdrom = s->cdrom, .serial = s->serial, .id = s->id};

        return ahci_add(&p->env.dev, &w->ahci, &a, e);
    }
    if (s->bus && strcmp(s->bus, "nvme") == 0 && !s->cdrom) {
        struct nvme_cfg v = {.disk = s->disk,
                             .serial = s->serial,
                             .id = s->id,
                             .pci = {0x15ad, 0x07f0, 0x15ad, 0x07f0, 0x01080200}};

        return nvme_add(&p->env.dev, &w->nvme, &v, e);
    }
    if (!s->bus || strcmp(s->bus, "ide") == 0) {
        struct ide_unit_cfg u = {
            .disk = s->disk, .cdrom = s->cdrom, .serial = s->serial, .id = s->id};

        rc = ide_add(&p->env.dev, &w->ide, &u, e);
        return rc < 0 ? rc : 0;
    }
    disk_close(s->disk);
    return err_exit(
        e, EX_USAGE_, EINVAL,
        "the vmware persona has no %s bus for %s; leave bus= out or use bus=pvscsi, lsilogic, "
        "lsisas1068, sata, nvme or ide",
        s->bus, s->id);
}

int vmware_plug_disk(struct persona *p, const struct disk_spec *s, struct err *e)
{
    int kind = kind_of(s);

    if (kind < 0)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s: only disks on pvscsi, lsilogic and lsisas1068 come while a guest runs",
                        s->id);
    return scsi_add(vmware_of(p), s, (size_t)kind, false, e);
}

int vmware_unplug_disk(struct persona *p, const char *id, struct err *e)
{
    struct vmware *w = vmware_of(p);

    for (unsigned i = 0; i < w->adapters; i++) {
        struct vmware_adapter *a = &w->adapter[i];

        for (unsigned t = 0; t < UNITS_MAX; t++) {
            int rc;

            if (!a->disk[t] || strcmp(a->disk[t], id) != 0)
                continue;
            rc = faces_keep(&w->faces, id, e);
            if (rc < 0)
                return rc;
            rc = units_detach(a->units, t, e);
            if (rc == 0)
                a->disk[t] = NULL;
            return rc;
        }
    }
    return err_set(e, ENOENT, "no disk %s that could go", id);
}

bool vmware_grew(struct persona *p, const struct disk *disk)
{
    struct vmware *w = vmware_of(p);

    for (unsigned i = 0; i < w->adapters; i++) {
        if (units_grew(w->adapter[i].units, disk))
            return true;
    }
    return nvme_grew(w->nvme, disk) || ide_disc_changed(w->ide, disk) ||
           ahci_disc_changed(w->ahci, disk);
}
