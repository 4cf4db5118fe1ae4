/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridges.c - the two bridges every guest expects: Intel 82441FX (order number 290549) at 00.0 and
 * the 82371SB ISA bridge (290550) at 01.0.
 *
 * Their registers are storage. What they would steer is fixed here: memory below 1 MiB is RAM that
 * can be written, whatever PAM says; PCI pins lead to the lines that pci_gsi() names; A20 is open.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/chipset/chipset.h"
#include "board/pci.h"
#include "core/err.h"

enum { DEVFN_HOST_BRIDGE = 0, DEVFN_ISA_BRIDGE = 1 << 3 };

/* 82441FX */
enum { NB_PAM = 0x59, NB_PAM_COUNT = 7, NB_SMRAM = 0x72 };
/* 82371SB */
enum { SB_XBCS = 0x4e, SB_PIRQ = 0x60, SB_PIRQ_OFF = 0x80, SB_DLC = 0x82 };

static void bridge_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                      enum access dir, uint64_t *val)
{
}

static void bridge_reset_host(struct device *d)
{
    struct pci_dev *p = (struct pci_dev *)d;

    p->config[NB_SMRAM] = 0x02;
}

static void bridge_reset_isa(struct device *d)
{
    struct pci_dev *p = (struct pci_dev *)d;

    p->config[SB_XBCS] = 0x03;
    memset(&p->config[SB_PIRQ], SB_PIRQ_OFF, 4);
}

static void bridge_destroy(struct device *d)
{
    free(d);
}

static const struct device_ops host_bridge_ops = {
    .name = "i440fx", .destroy = bridge_destroy, .reset = bridge_reset_host, .io = bridge_io};
static const struct device_ops isa_bridge_ops = {
    .name = "piix3", .destroy = bridge_destroy, .reset = bridge_reset_isa, .io = bridge_io};

static int bridge_add(const struct env *env, const struct device_ops *ops, const struct pci_id *id,
                      int devfn, struct pci_dev **out, struct err *e)
{
    struct pci_dev *p = calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return err_set(e, ENOMEM, "no memory for a PCI bridge");
    pci_init(p, ops, env, id);
    rc = pci_add(env->pci, p, devfn, e);
    if (rc < 0) {
        pci_remove(p);
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

int bridges_create(const struct env *env, struct err *e)
{
    /* Subsystem: the vendor that virtual machines on this chipset are known by. */
    static const struct pci_id host = {0x8086, 0x1237, 0x1af4, 0x1100, 0x06000002};
    static const struct pci_id isa = {0x8086, 0x7000, 0x1af4, 0x1100, 0x06010000};
    struct pci_dev *p;
    int rc;

    rc = bridge_add(env, &host_bridge_ops, &host, DEVFN_HOST_BRIDGE, &p, e);
    if (rc < 0)
        return rc;
    memset(&p->writable[NB_PAM], 0xff, NB_PAM_COUNT);
    p->writable[NB_SMRAM] = 0x7f;
    bridge_reset_host(&p->dev);
    rc = bridge_add(env, &isa_bridge_ops, &isa, DEVFN_ISA_BRIDGE, &p, e);
    if (rc < 0)
        return rc;
    p->writable[SB_XBCS] = 0xff;
    p->writable[SB_XBCS + 1] = 0xff;
    memset(&p->writable[SB_PIRQ], 0x8f, 4);
    p->writable[SB_DLC] = 0x0f;
    bridge_reset_isa(&p->dev);
    return 0;
}
