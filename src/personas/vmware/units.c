/* SPDX-License-Identifier: Apache-2.0 */
/* units.c - see units.h. */
#include "personas/vmware/units.h"

#include <errno.h>

#include "core/err.h"

void units_reset(struct units *u)
{
    for (unsigned i = 0; i < u->count; i++) {
        if (u->at[i])
            scsi_reset(u->at[i], -1);
    }
}

void units_destroy(struct units *u)
{
    for (unsigned i = 0; i < u->count; i++)
        scsi_target_destroy(u->at[i]);
}

int units_attach(struct units *u, unsigned target, const struct scsi_lun_cfg *c, struct err *e)
{
    const struct scsi_target_cfg cfg = {
        .vendor = "VMware", .product = "Virtual disk", .revision = u->revision};
    struct scsi_target *t;
    int rc;

    if (target >= u->count)
        return err_set(e, EINVAL, "%s has no target %u; the last one is %u", u->name, target,
                       u->count - 1);
    t = u->at[target];
    if (!t) {
        rc = scsi_target_create(u->pci->dev.env.loop, &cfg, &t, e);
        if (rc < 0)
            return rc;
    }
    rc = scsi_attach(t, 0, c, e);
    if (rc < 0)
        err_wrap(e, "%s target %u", u->name, target);
    device_lock(&u->pci->dev);
    u->at[target] = t;
    if (rc == 0)
        u->tell(u, target, true);
    device_unlock(&u->pci->dev);
    if (rc == 0)
        pci_boots(u->pci, c->id, "scsi", "channel@0/disk@%x,0", target);
    return rc;
}

int units_detach(struct units *u, unsigned target, struct err *e)
{
    int rc;

    if (target >= u->count || !u->at[target])
        return err_set(e, ENOENT, "%s has no disk at target %u", u->name, target);
    rc = scsi_detach(u->at[target], 0, e);
    if (rc < 0)
        return rc;
    device_lock(&u->pci->dev);
    u->tell(u, target, false);
    device_unlock(&u->pci->dev);
    return 0;
}

bool units_grew(struct units *u, const struct disk *disk)
{
    for (unsigned i = 0; i < u->count; i++) {
        if (scsi_grew(u->at[i], disk))
            return true;
    }
    return false;
}
