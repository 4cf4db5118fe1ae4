/* SPDX-License-Identifier: Apache-2.0 */
/* part.h - partition tables: MBR with logical partitions, GPT, both at once, BSD and Solaris
 * slices. */
#ifndef HOSPES_INSPECT_PART_H
#define HOSPES_INSPECT_PART_H

#include "inspect/vol.h"

enum { PART_MAX = 64 };

enum part_use {
    PART_OTHER,
    PART_ESP,
    PART_BIOS_BOOT, /* holds GRUB's core image */
    PART_LVM,
    PART_SWAP,
    PART_RESERVED, /* Microsoft's */
    PART_SLICED,   /* holds slices of its own, which are listed too */
    PART_FREEBSD_BOOT,
    PART_FREEBSD_ZFS,
};

struct part {
    unsigned number; /* as Linux counts; slices come after the others */
    uint64_t off, len;
    enum part_use use;
    bool active;
    char type[40]; /* "83" or a GUID */
    char name[40]; /* GPT's */
    char uuid[40];
};

struct part_table {
    const char *kind; /* "none", "mbr", "gpt", "hybrid", "bsd" */
    struct part part[PART_MAX];
    size_t parts;
    bool protective, backup; /* backup: read from the end of the disk, the first copy is damaged */
    bool boot_code;          /* the first sector holds more than zeroes */
    char disk_id[40];
    char note[96]; /* what is odd, or empty */
};

/* Always fills t; a damaged table is one with a note and the partitions that made sense. */
void part_read(const struct vol *v, struct part_table *t);

#endif
