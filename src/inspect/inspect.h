/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.h - what is inside a guest's disk, and which hypervisor it was made for.
 *
 * Nothing of the guest is executed and nothing is written. The look is taken in a child process
 * that may read and do nothing else, with bounds on memory and time; facts come back through memory
 * that both share, so what had been found before a bound was reached is not lost. All of `struct
 * inspect` is plain data without pointers, and is put in order (ends of texts, counts) before it is
 * used.
 *
 * Threads: any; the child is single-threaded.
 */
#ifndef HOSPES_INSPECT_INSPECT_H
#define HOSPES_INSPECT_INSPECT_H

#include "core/core.h"
#include "inspect/drivers.h"

enum {
    INSPECT_IMAGES = 8,
    INSPECT_PARTS = 64,
    INSPECT_LOADERS = 8,
    INSPECT_SYSTEMS = 4,
    INSPECT_KERNELS = 12,
    INSPECT_NOTES = 48,
};

/* One file of a chain, the top one first. */
struct inspect_image {
    char path[256], format[16];
    uint64_t bytes;   /* of the disk */
    char creator[40]; /* what wrote it, where the format says so */
};

struct inspect_part {
    unsigned number; /* 0: a logical volume, a slice, or a disk without a table */
    bool active;
    uint64_t off, bytes;
    char name[128], type[40], use[16];
    char fs[16], label[40], uuid[40]; /* fs: empty when unknown; also "lvm", "luks", "swap", ... */
    char why[96];                     /* why its file system was not read */
};

struct inspect_loader {
    char name[24];  /* "grub2", "windows-bootmgr", ... */
    char where[96]; /* "mbr", "partition 1: /EFI/debian/grubx64.efi" */
    bool uefi;
};

/* A kernel that can be started, with what it can drive before it has its root file system. */
struct inspect_kernel {
    char title[96], version[96], path[160], initrd[160], append[256];
    bool first;     /* what starts when nobody chooses */
    bool listed;    /* in the boot loader's list; else only found */
    bool found;     /* the kernel's file is there */
    char packed[8]; /* how the initrd is packed */
    char tool[20];  /* what made it: initramfs-tools, dracut, ... */
    char why[96];   /* why the initrd could not be read to its end */
    bool builtin_known;
    uint64_t builtin, initramfs, installed; /* drivers: in the kernel, in the initrd, as modules */
    bool xen_hvm_known, xen_hvm;            /* built with the Xen guest code */
};

struct inspect_system {
    enum guest_family family;
    char name[96], id[40], version[48], arch[16];
    char root[96];     /* where it lies: "partition 2", "vg/root", "partition 3, subvolume @" */
    char root_arg[96]; /* root= of the first kernel, or of fstab */
    struct inspect_kernel kernel[INSPECT_KERNELS];
    unsigned kernels;
    /* Systems without an initrd: drivers that start with the kernel, and those only installed. */
    uint64_t boot, installed;
    uint32_t agents;        /* bits of enum agent */
    char initrd_policy[96]; /* "MODULES=dep" and the like */
    char names_kept[160];   /* network configuration that depends on names of devices */
    char fstab_names[160];  /* disks by name */
    bool boot_known;
};

enum inspect_sure { SURE_NO, SURE_UNLIKELY, SURE_UNKNOWN, SURE_LIKELY, SURE_YES };
extern const char *const sure_names[]; /* "no", "unlikely", "unknown", "likely", "yes" */

struct inspect_verdict {
    enum inspect_sure boots;
    char why[448];
    char lacks[256]; /* empty: nothing that is known */
    char bus[8];     /* what bus= must say for that; empty: nothing */
};

struct inspect {
    struct inspect_image image[INSPECT_IMAGES];
    unsigned images;
    char table[8], disk_id[40];
    struct inspect_part part[INSPECT_PARTS];
    unsigned parts;
    struct inspect_loader loader[INSPECT_LOADERS];
    unsigned loaders;
    bool bios, uefi; /* firmware that finds something to start */
    struct inspect_system system[INSPECT_SYSTEMS];
    unsigned systems;
    char note[INSPECT_NOTES][200];
    unsigned notes;
    struct inspect_verdict verdict[PERSONAS];
    char stage[64]; /* what was being looked at; empty when all was */
};

/* What to look at. */
struct inspect_cfg {
    const char *path;            /* a disk image; may be NULL with a kernel */
    const char *format;          /* NULL: probe */
    bool outside;                /* follow references out of its directory; see struct disk_cfg */
    const char *within;          /* or below this one; may be NULL */
    const char *kernel, *initrd; /* files of this machine, for a direct start; may be NULL */
    const char *internal;        /* a snapshot inside the image, or NULL */
    unsigned seconds;            /* of processor time; 0: 20 */
};

/* Fills *out, which need not be initialised. -errno with e when the image cannot be opened; what is
 * merely unknown is no error. */
MUST int inspect_file(const struct inspect_cfg *c, struct inspect *out, struct err *e);

/* The same in this process, without bounds but those of the readers: for the child and for tests.
 */
MUST int inspect_here(const struct inspect_cfg *c, struct inspect *out, struct err *e);
/* The part of it that begins at an open disk. */
void inspect_disk(struct disk *d, struct inspect *out);

/* Fills out->verdict from the rest. */
void inspect_judge(struct inspect *out);

/* One JSON object, with the persona that `run` would take; malloc()ed, NULL without memory. */
char *inspect_json(const struct inspect *i, const char *persona, const char *why);

/* --- for the parts of an inspection --- */

void inspect_note(struct inspect *i, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The system that starts first, or NULL. */
const struct inspect_system *inspect_main(const struct inspect *i);
const struct inspect_kernel *inspect_first(const struct inspect_system *s); /* or NULL */

#endif
