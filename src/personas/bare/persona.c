/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persona.c - `bare`: a plain PC that shows no hypervisor: the board, with disks and CD-ROM drives
 * on its IDE channels and network cards of the time. Threads: as persona.h says.
 *
 * Options: hpet (an event timer; the machine reads this one).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/legacy/ahci.h"
#include "board/legacy/ide.h"
#include "board/nvme/nvme.h"
#include "board/usb/xhci.h"
#include "core/cfg.h"
#include "core/err.h"
#include "personas/nics.h"
#include "storage/disk.h"

enum { CPUID_1 = 1 };
#define CPUID_1_ECX_HYPERVISOR (UINT32_C(1) << 31)

extern const struct persona_ops persona_bare;

struct bare {
    struct persona p; /* first */
    struct ide *ide;  /* NULL: no disk yet */
    struct ahci *ahci;
    struct nvme *nvme;
};

static int bare_create(const struct persona_env *env, struct persona **out, struct err *e)
{
    struct bare *b = calloc(1, sizeof(*b));

    if (!b)
        return err_set(e, ENOMEM, "no memory for the persona");
    b->p.ops = &persona_bare;
    b->p.env = *env;
    *out = &b->p;
    return 0;
}

static void bare_destroy(struct persona *p)
{
    free(p);
}

static void bare_reset(struct persona *p)
{
    /* keeps no state */
}

static size_t bare_cpuid(struct persona *p, unsigned cpu, struct cpuid_leaf *leaf, size_t n,
                         size_t max)
{
    for (size_t i = 0; i < n; i++) {
        if (leaf[i].fn == CPUID_1)
            leaf[i].ecx &= ~CPUID_1_ECX_HYPERVISOR;
    }
    return n;
}

static int bare_add_disk(struct persona *p, const struct disk_spec *s, struct err *e)
{
    struct ide_unit_cfg c = {.disk = s->disk, .cdrom = s->cdrom, .serial = s->serial, .id = s->id};
    int rc;

    if (s->bus ? strcmp(s->bus, "sata") == 0 || strcmp(s->bus, "ahci") == 0
               : pci_is_q35(p->env.dev.pci)) {
        struct ahci_port_cfg a = {
            .disk = s->disk, .cdrom = s->cdrom, .serial = s->serial, .id = s->id};

        return ahci_add(&p->env.dev, &((struct bare *)p)->ahci, &a, e);
    }
    if (s->bus && strcmp(s->bus, "nvme") == 0 && !s->cdrom) {
        struct nvme_cfg v = {.disk = s->disk, .serial = s->serial, .id = s->id};

        return nvme_add(&p->env.dev, &((struct bare *)p)->nvme, &v, e);
    }
    if (s->bus && strcmp(s->bus, "ide") != 0) {
        disk_close(s->disk);
        return err_exit(e, EX_USAGE_, EINVAL,
                        "the bare persona has no %s bus for %s; leave bus= out or use bus=ide, "
                        "bus=sata or bus=nvme",
                        s->bus, s->id);
    }
    rc = ide_add(&p->env.dev, &((struct bare *)p)->ide, &c, e);
    return rc < 0 ? rc : 0;
}

static int bare_add_nic(struct persona *p, const struct nic_spec *s, struct err *e)
{
    static const char *const models[] = {"e1000", "e1000e", "rtl8139", "dec21140", NULL};
    bool mine;

    return persona_emulated_nic(p, s, models, "e1000", &mine, e);
}

static int bare_finish(struct persona *p, struct err *e)
{
    struct bare *b = container_of(p, struct bare, p);
    int rc = p->env.opts ? cfg_finish(p->env.opts, "--persona bare", e) : 0;

    if (rc == 0 && p->env.ide && !b->ide)
        rc = ide_create(&p->env.dev, &b->ide, e);
    /* A pointer that is where the viewer's is. */
    if (rc == 0 && p->env.display)
        rc = xhci_add_input(&p->env.dev, p->env.hub, e);
    return rc;
}

static void bare_smbios(struct persona *p, struct smbios_id *out)
{
    out->physical = true; /* the names are the board's own */
}

static bool bare_grew(struct persona *p, const struct disk *disk)
{
    struct bare *b = container_of(p, struct bare, p);

    return ide_disc_changed(b->ide, disk) || ahci_disc_changed(b->ahci, disk) ||
           nvme_grew(b->nvme, disk);
}

static int bare_ask(struct persona *p, enum persona_ask what, uint64_t value, struct err *e)
{
    return err_set(e, ENOTSUP, "a plain PC has no channel to its guest; use the power button");
}

static void bare_describe(struct persona *p, struct dump *out)
{
    /* nothing is known from outside */
}

const struct persona_ops persona_bare = {
    .name = "bare",
    .about = "a plain PC without a hypervisor",
    .create = bare_create,
    .destroy = bare_destroy,
    .reset = bare_reset,
    .cpuid = bare_cpuid,
    .add_disk = bare_add_disk,
    .grew = bare_grew,
    .add_nic = bare_add_nic,
    .finish = bare_finish,
    .smbios = bare_smbios,
    .ask = bare_ask,
    .describe = bare_describe,
};
