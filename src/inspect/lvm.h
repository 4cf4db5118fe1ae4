/* SPDX-License-Identifier: Apache-2.0 */
/* lvm.h - LVM2 volume groups: which logical volumes there are, and where their bytes lie. */
#ifndef HOSPES_INSPECT_LVM_H
#define HOSPES_INSPECT_LVM_H

#include "inspect/vol.h"

enum { LVM_VOLUMES = 32, LVM_DISKS = 16, LVM_TEXT_MAX = 1 << 20 };

struct lvm_lv {
    char name[128]; /* "group/volume" */
    struct vol vol; /* valid when why is empty */
    char why[64];
};

struct lvm {
    struct {
        struct vol *vol;
        char uuid[40];
        uint64_t data; /* where extents begin */
    } pv[LVM_DISKS];
    size_t pvs;
    struct lvm_lv lv[LVM_VOLUMES];
    size_t lvs;
    bool unseen; /* a group has disks that are not here */
};

/* 1: v is a physical volume and is taken note of; 0: it is not; -errno: it is one, but damaged. */
int lvm_add(struct lvm *l, struct vol *v);
/* Reads the groups of all physical volumes that were added. */
void lvm_read(struct lvm *l);
/* The same from one group's text; for tests and for lvm_read(). text is changed. */
MUST int lvm_text(struct lvm *l, char *text);
void lvm_fini(struct lvm *l);

#endif
