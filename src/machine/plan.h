/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - one struct describes a virtual machine.
 *
 * The command line, the importers, the saved JSON file and the control socket all produce or
 * change a plan; machine_run(plan) is the only way to start a machine.
 */
#ifndef HOSPES_MACHINE_PLAN_H
#define HOSPES_MACHINE_PLAN_H

#include "core/core.h"

enum { PLAN_MAX_DISKS = 64, PLAN_MAX_NICS = 16, PLAN_MAX_CPUS = 255, PLAN_MAX_CONTROLLERS = 32 };
enum { PLAN_MAX_MODULES = 31, PLAN_MAX_BOOT = 999 };
#define PLAN_MEMORY_DEFAULT (UINT64_C(1) << 30) /* bytes, when nothing was said */

enum plan_write { PLAN_SNAPSHOT, PLAN_WRITE, PLAN_READONLY };

/* 16 bytes in the order in which they are printed. */
struct plan_guid {
    uint8_t b[16];
    bool said;
};

/* Where a guest finds a device, as far as that was told. Guests name network cards and tie settings
 * to it. */
struct plan_place {
    int slot;                  /* the number of the PCI slot as firmware tells it (ens192), or -1 */
    char *pci;                 /* "0000:00:05.0", or NULL */
    struct plan_guid instance; /* of the VMBus channel */
};

/* All strings are owned by the plan; NULL means "not said". */
struct plan_disk {
    char *path;   /* NULL: an empty CD-ROM drive */
    char *format; /* NULL: probe */
    char *bus;    /* the persona's word: scsi, ide, nvme, ... */
    char *opts;   /* what is left for the front end: "slot=160,serial=..." */
    enum plan_write write;
    bool write_said; /* else nobody chose, and it is a snapshot */
    bool cdrom;
    bool outside; /* parents and extents may lie anywhere, else in the image's directory */
    char *within; /* or below this one, an absolute name; may be NULL */
    unsigned loop;
    int controller, unit;    /* place on a controller of `bus`, -1 not said */
    char *serial;            /* what the disk calls itself */
    unsigned boot;           /* 1: tried first; 0: not said */
    struct plan_place place; /* of a disk that is a PCI device itself */
};

/* A disk controller that was described for itself. */
struct plan_controller {
    char *bus;
    int number; /* what disks call it */
    struct plan_place place;
};

struct plan_nic {
    char *backend; /* "user,forward=..." as on the command line, without the NIC's own keys */
    char *model;
    char *opts;
    uint8_t mac[6];
    bool mac_said;
    char *lan; /* the network's name where the machine came from */
    unsigned boot;
    struct plan_place place;
};

/* A file that a PVH or multiboot kernel is handed, beside the initrd. */
struct plan_module {
    char *path;
    char *append; /* its command line, or NULL */
};

/* What the firmware's tables call the machine; NULL keeps the persona's. */
struct plan_smbios {
    char *vendor, *product, *version, *serial, *sku, *family;
    char *board_serial, *chassis_serial, *asset_tag;
};

struct plan {
    char *name;
    char *title; /* the name that its owner gave it, where that is no name for hospes */
    char *notes;
    char *guest_os; /* in the words of the description: "windows9-64" */
    char *hardware; /* version of the virtual hardware, likewise: "vmx-17" */
    char *machine;  /* the board: "pc", "q35" or NULL: pc */
    char *persona;  /* NULL: auto */
    char *persona_opts;
    char *persona_why;       /* one line: how auto decided, or NULL */
    unsigned cpus, cpus_max; /* max: that hospes ask may bring it to; 0: as the persona has it */
    unsigned cores;          /* to a socket; 0: not said */
    uint64_t memory;         /* bytes */
    char *kernel, *initrd, *append;
    struct plan_module module[PLAN_MAX_MODULES];
    size_t modules;
    char *firmware; /* "bios", "uefi" or NULL */
    char *firmware_opts;
    char *nvram;   /* where UEFI variables are kept: a file, or "none"; NULL: not said */
    char *serial;  /* default "stdio" */
    char *display; /* default "none" */
    char *log;
    uint8_t uuid[16];
    bool uuid_said;
    bool rtc_local;         /* the RTC holds local time */
    bool secure_boot;       /* the guest expects its firmware to check signatures */
    char *tpm;              /* the version of the TPM it expects, "none", or NULL */
    char *tpm_state;        /* where that keeps its state: a folder, or "none"; NULL: not said */
    struct plan_guid genid; /* the generation id, in the order of the UUID that is printed */
    struct plan_smbios smbios;
    struct plan_controller ctl[PLAN_MAX_CONTROLLERS];
    size_t ctls;
    bool testdev;
    bool hugepages; /* the guest's memory comes from the host's pool of 2 MiB pages */
    struct plan_disk disk[PLAN_MAX_DISKS];
    size_t disks;
    struct plan_nic nic[PLAN_MAX_NICS];
    size_t nics;
    bool nics_said; /* else one user NIC */
};

void plan_init(struct plan *p);
void plan_free(struct plan *p);

/* --disk and --nic in the words of the command line. */
MUST int plan_add_disk(struct plan *p, const char *spec, struct err *e);
/* --cdrom and --floppy: a drive with this disc; its path is NULL for "none", an empty one. */
MUST int plan_add_drive(struct plan *p, const char *spec, struct err *e);
MUST int plan_add_floppy(struct plan *p, const char *spec, struct err *e);
/* A disk, or a CD-ROM drive, as the file says; one with format= or bus= is a disk. */
MUST int plan_add_file(struct plan *p, const char *spec, struct err *e);
/* --module FILE[,TEXT]: the text is all after the first comma. */
MUST int plan_add_module(struct plan *p, const char *spec, struct err *e);
MUST int plan_add_nic(struct plan *p, const char *spec, struct err *e);

/* Does firmware start the machine, and is it UEFI? */
bool plan_firmware(const struct plan *p);
bool plan_uefi(const struct plan *p);
/* Is it in a floppy drive? */
bool plan_floppy(const struct plan_disk *d);
/* Can what it holds be changed for something else, or nothing? */
bool plan_drive(const struct plan_disk *d);
/* Is its board a q35? */
bool plan_q35(const struct plan *p);
/* Has the machine a TPM? */
bool plan_tpm(const struct plan *p);
/* --tpm 2.0[,state=FOLDER|none] or none. */
MUST int plan_set_tpm(struct plan *p, const char *spec, struct err *e);

/* The address of a card that comes while the machine runs, the n-th ever: always the same. */
void plan_mac_of(const struct plan *p, size_t n, uint8_t mac[6]);

/* Replaces an owned string by a copy of value, which may be NULL. */
MUST int plan_set(char **at, const char *value, struct err *e);

/* Counts it at once, so that plan_free() frees what a failure leaves. NULL: no room. */
struct plan_disk *plan_disk_new(struct plan *p);
struct plan_nic *plan_nic_new(struct plan *p);
struct plan_module *plan_module_new(struct plan *p);
struct plan_controller *plan_controller_new(struct plan *p);

/* What `over` says replaces what p says; its disks are added, its networks go to p's cards in their
 * order. Takes over's strings: it is empty afterwards. */
MUST int plan_merge(struct plan *p, struct plan *over, struct err *e);

/* Checks what can be known without the host: sizes, counts, contradictions. Fills defaults. */
MUST int plan_complete(struct plan *p, struct err *e);
/* The same, and that there is something to start. */
MUST int plan_check(struct plan *p, struct err *e);

/* The JSON form, versioned; see docs/reference/plan.md. *out is malloc()ed. */
MUST int plan_to_json(const struct plan *p, char **out, struct err *e);
/* Unknown keys are errors. */
MUST int plan_from_json(struct plan *p, const char *json, struct err *e);

#endif
