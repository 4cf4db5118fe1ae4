/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faces.h - disks of a persona's own controllers that firmware finds on SATA, too.
 *
 * The SATA controller borrows the disks and is withdrawn when the guest's kernel is there; see
 * docs/decisions/0029 and 0080. On the loop's thread, but for faces_hide().
 */
#ifndef HOSPES_PERSONAS_FACES_H
#define HOSPES_PERSONAS_FACES_H

#include "board/legacy/ahci.h"
#include "personas/persona.h"

enum { FACE_ID = 32 };

struct faces {
    struct ahci *ahci; /* the bus's; NULL: none */
    unsigned n;
    char id[AHCI_PORTS][FACE_ID];
};

/* With UEFI, and while there is a port: a face for a disk that has its owner. */
MUST int faces_add(struct faces *f, const struct persona_env *env, const struct disk_spec *s,
                   struct err *e);
/* -EBUSY: the disk has one, so it cannot go while the machine runs. */
MUST int faces_keep(const struct faces *f, const char *id, struct err *e);
/* Until the next reset. Any thread, without a device's lock. */
void faces_hide(struct faces *f);
/* Before the owners close the disks. */
void faces_gone(struct faces *f);

#endif
