/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.h - runs one cell of a plan and leaves its record, with everything beside it, in the
 * results folder: RESULTS/cells/CELL/. The folder appears whole, by rename, or not at all.
 */
#ifndef HOSPES_VALIDATION_RUNNER_H
#define HOSPES_VALIDATION_RUNNER_H

#include "core/core.h"
#include "validation/record.h"
#include "validation/vm.h"
#include "validation/vplan.h"

struct runner_cfg {
    const struct vplan *plan;
    const struct vm_ops *ops;     /* what machines are */
    const struct vm_ops *control; /* what the control run uses; NULL: none */
    const char *program;          /* the hospes that runs guests */
    const char *control_program;
    const char *out;     /* results folder */
    const char *scratch; /* where disks and sockets may lie: unix sockets must work */
    const char *command; /* how to repeat: everything before PLAN N */
    const char *plan_path;
    const struct vfacts *host;
    unsigned slow; /* factor on every time limit; 1 on plain KVM */
    bool again;    /* run it though there is a result */
    /* After each check; may be NULL. */
    void (*progress)(void *arg, const char *cell, const struct vcheck *check);
    void *arg;
};

/* Writes plan.txt and suites/ into the results folder; an error when another plan's are there. */
MUST int runner_prepare(const struct runner_cfg *c, struct err *e);

/* index from 0. r is filled also when the result was there before (*cached). */
MUST int runner_cell(const struct runner_cfg *c, size_t index, struct vrecord *r, bool *cached,
                     struct err *e);
/* Reads a result that is there: 1; 0 when there is none for this plan. */
MUST int runner_result(const struct runner_cfg *c, size_t index, struct vrecord *r, struct err *e);

/* Facts about this machine for records. kind: "kvm", "soft" or "fake". */
MUST int host_facts(struct vfacts *f, const char *program, const char *version, const char *kind,
                    struct err *e);

#endif
