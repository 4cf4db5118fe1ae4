/* SPDX-License-Identifier: Apache-2.0 */
/* faces.c - see faces.h. */
#include "personas/faces.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"

int faces_add(struct faces *f, const struct persona_env *env, const struct disk_spec *s,
              struct err *e)
{
    struct ahci_port_cfg c = {.disk = s->disk, .borrowed = true, .serial = s->serial, .id = s->id};
    int rc;

    if (!env->uefi || s->cdrom || f->n == AHCI_PORTS)
        return 0;
    rc = ahci_add(&env->dev, &f->ahci, &c, e);
    if (rc < 0)
        return rc;
    snprintf(f->id[f->n++], FACE_ID, "%s", s->id);
    return 0;
}

int faces_keep(const struct faces *f, const char *id, struct err *e)
{
    for (unsigned i = 0; i < f->n; i++) {
        if (strcmp(f->id[i], id) == 0)
            return err_exit(e, EX_USAGE_, EBUSY,
                            "UEFI knows %.32s, too: it stays until the machine ends", id);
    }
    return 0;
}

void faces_hide(struct faces *f)
{
    if (f->ahci)
        ahci_hide(f->ahci);
}

void faces_gone(struct faces *f)
{
    for (unsigned i = 0; i < f->n; i++)
        ahci_detach(f->ahci, i);
}
