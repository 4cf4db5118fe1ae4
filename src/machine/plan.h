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

enum { PLAN_MAX_DISKS = 64, PLAN_MAX_NICS = 16, PLAN_MAX_CPUS = 255 };

enum plan_write { PLAN_SNAPSHOT, PLAN_WRITE, PLAN_READONLY };

/* All strings are owned by the plan; NULL means "not said". */
struct plan_disk {
    char *path;
    char *format; /* NULL: probe */
    char *bus;    /* the persona's word: scsi, ide, nvme, ... */
    char *opts;   /* what is left for the front end: "slot=160,serial=..." */
    enum plan_write write;
    bool write_said; /* else: snapshot unless hospes made the image */
    bool cdrom;
    unsigned loop;
    int controller, unit; /* place on a controller of `bus`, -1 not said */
};

struct plan_nic {
    char *backend; /* "user,forward=..." as on the command line, without the NIC's own keys */
    char *model;
    char *opts;
    uint8_t mac[6];
    bool mac_said;
};

struct plan {
    char *name;
    char *persona; /* NULL: auto */
    char *persona_opts;
    char *persona_why; /* one line: how auto decided, or NULL */
    unsigned cpus;
    uint64_t memory; /* bytes */
    char *kernel, *initrd, *append;
    char *firmware; /* "bios", "uefi" or NULL */
    char *serial;   /* default "stdio" */
    char *display;  /* default "none" */
    char *log;
    uint8_t uuid[16];
    bool uuid_said;
    bool rtc_local; /* the RTC holds local time */
    bool testdev;
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
MUST int plan_add_nic(struct plan *p, const char *spec, struct err *e);

/* Replaces an owned string by a copy of value, which may be NULL. */
MUST int plan_set(char **at, const char *value, struct err *e);

/* Checks what can be known without the host: sizes, counts, contradictions. Fills defaults. */
MUST int plan_check(struct plan *p, struct err *e);

/* The JSON form, versioned; see docs/reference/plan.md. *out is malloc()ed. */
MUST int plan_to_json(const struct plan *p, char **out, struct err *e);
/* Unknown keys are errors. */
MUST int plan_from_json(struct plan *p, const char *json, struct err *e);

#endif
