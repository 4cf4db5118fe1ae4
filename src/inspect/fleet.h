/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet.h - a folder of machines, as a datastore holds them: what would happen to each.
 *
 * Every description that an importer knows is a machine, and so is every disk image that no
 * description names and that is no other image's parent. Symbolic links are not followed.
 *
 * Threads: fleet_look() uses a few of its own and returns when they have ended.
 */
#ifndef HOSPES_INSPECT_FLEET_H
#define HOSPES_INSPECT_FLEET_H

#include "inspect/inspect.h"

enum { FLEET_MACHINES = 20000, FLEET_ENTRIES = 1000000, FLEET_DEPTH = 24 };

struct fleet_machine {
    char *file;   /* below the folder */
    char *system; /* "Debian GNU/Linux 12 (bookworm), x86_64", or NULL */
    char *why, *lacks;
    char *problem;    /* why something could not be read, or NULL */
    char name[65];    /* the description's, or the file's */
    char from[16];    /* "vmx", or "disk" */
    char firmware[8]; /* "bios", "uefi" */
    int persona;      /* -1: the description cannot be read */
    enum inspect_sure boots;
    unsigned cpus, disks;
    uint64_t memory, bytes; /* bytes: of its first disk, as the guest sees it; 0: not known */
};

struct fleet {
    struct fleet_machine *v; /* in order of their files' names */
    size_t n;
    bool cut; /* there was more than the bounds allow */
};

/* -errno with e when the folder itself cannot be read. */
MUST int fleet_look(const char *folder, struct fleet *f, struct err *e);
void fleet_free(struct fleet *f);

#endif
