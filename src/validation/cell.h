/* SPDX-License-Identifier: Apache-2.0 */
/* cell.h - a cell while it runs; for runner.c, evidence.c, scenario.c and their tests only. */
#ifndef HOSPES_VALIDATION_CELL_H
#define HOSPES_VALIDATION_CELL_H

#include "validation/initrd.h"
#include "validation/runner.h"
#include "validation/session.h"
#include "validation/sweep.h"

enum { CELL_DISK_MIB = 64 };

struct cell_run {
    const struct runner_cfg *cfg;
    const struct vcell *cell;
    const struct vguest *guest;
    char id[VPLAN_CELL_ID], persona[16];
    char dir[V_PATH];       /* where its files are written */
    char work[V_PATH];      /* disks, sockets */
    struct sweeper sweeper; /* of both */
    char initrd[V_PATH], disk[V_PATH], append[1024];
    uint64_t disk_bytes;
    struct vlog log;
    struct session s;
    struct vrecord *r;
    bool dead; /* a check took the machine with it: the rest is MISS */
    bool told; /* info-last.json is there */
    struct clock_mark {
        bool set;
        uint64_t guest, host, doubt; /* milliseconds */
    } mark;                          /* from which clock.drift counts: since the machine is up */
};

/* Phases in which checks run, whatever their order in the suites. */
enum cell_phase {
    PHASE_BOOT,
    PHASE_BEGIN, /* holds no check: begin() of all of them */
    PHASE_LIVE,
    PHASE_LAST, /* on the same machine */
    PHASE_RESTART,
    PHASE_END,
    PHASES
};

struct scenario {
    const char *name;
    enum cell_phase phase;
    /* ms: time limit of one step */
    void (*run)(struct cell_run *c, const struct suite_check *k, uint64_t ms, struct outcome *out);
    /* On a machine that is up, before the checks that run on it: what must have begun when run()
     * comes. What goes wrong here goes wrong there again. May be NULL. */
    void (*begin)(struct cell_run *c, const struct suite_check *k, uint64_t ms);
};
extern const struct scenario scenarios[]; /* name NULL at the end */
const struct scenario *scenario_find(const char *args);
/* scenario_plug.c */
void do_hotplug(struct cell_run *c, const struct suite_check *k, uint64_t ms, struct outcome *out);
void do_link(struct cell_run *c, const struct suite_check *k, uint64_t ms, struct outcome *out);
void do_grow(struct cell_run *c, const struct suite_check *k, uint64_t ms, struct outcome *out);
void do_dump(struct cell_run *c, const struct suite_check *k, uint64_t ms, struct outcome *out);
/* The arguments behind the scenario's name. */
const char *scenario_args(const char *args);

/* The machine of this cell as the plan has it. */
void cell_spec(const struct cell_run *c, struct vm_spec *out);
/* Starts it unless it runs with an agent that answers: PASS, or what came instead. */
void cell_up(struct cell_run *c, uint64_t ms, struct outcome *out);
/* The kernel's command line, from persona and machine. */
void cell_append(struct cell_run *c);
/* The agent's archive for a guest, with more files. */
MUST int cell_initrd(const char *path, const struct vguest *g, const char *persona,
                     const struct vplan *plan, const struct initrd_file *file, size_t files,
                     struct err *e);
/* evidence.c: writes a file beside the record; trouble goes to the log. */
void cell_file(struct cell_run *c, const char *name, const void *data, size_t len);
/* What the machine knows once every live check has run: info-last.json and the contract. */
void cell_tell(struct cell_run *c);
/* At the failure of check `id`: what can still be had. false: it is hospes that does not answer. */
MUST bool cell_evidence(struct cell_run *c, const char *id);

/* outside.c: a rule over what `hospes info` shows. */
MUST int outside_rule(const char *rule, struct json_object *info, bool *holds, struct err *e);

#endif
