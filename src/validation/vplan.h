/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vplan.h - a validation plan: guests x personas x parameters x suites, from a small text file, and
 * the cells that it spans. docs/reference/validation-plan.md has the form.
 *
 * Cells are numbered from 1 in an order that depends on the file alone.
 */
#ifndef HOSPES_VALIDATION_VPLAN_H
#define HOSPES_VALIDATION_VPLAN_H

#include "core/core.h"
#include "validation/record.h"
#include "validation/suite.h"

enum {
    VPLAN_BYTES_MAX = 1 << 20,
    VPLAN_LIST_MAX = 64,
    VPLAN_CELLS_MAX = 65536,
    VPLAN_CELL_ID = 72,
};

struct vguest {
    char *name;
    char *kernel, *modules, *initrd, *image; /* paths as from the current folder; NULL: none */
    char *append;
    char *firmware; /* bios or uefi, for an image; NULL: bios */
    char *marker;   /* console text of a closed guest that is up; NULL: none */
    bool outside;   /* nothing is installed in it and no agent is given to it */
    struct vfacts facts;
};

/* A check that is known to fail, or is left out. */
struct vexception {
    char *check, *text; /* the issue, or the reason */
    char *persona, *guest;
    char *until; /* date YYYY-MM-DD, NULL: for ever */
    bool skip;   /* else known */
};

enum vplan_factor { VP_GUEST, VP_PERSONA, VP_CPUS, VP_MEMORY, VP_DISK, VP_NETWORK, VP_FACTORS };

struct vcell {
    unsigned at[VP_FACTORS]; /* index of the value of each factor */
};

struct vplan {
    char *name, *dir;      /* dir: of the file */
    const char *suite_dir; /* while it is read; see vplan_parse() */
    char sha256[V_SHA_TEXT];
    char *text;
    size_t len;
    enum suite_level level;
    bool pairwise;
    unsigned attempts; /* of a failing check, from 1 */
    unsigned said;     /* while it is read: a bit for each key that may stand there once */
    struct vguest guest[VPLAN_LIST_MAX];
    char *persona[VPLAN_LIST_MAX]; /* NAME[,OPTIONS] */
    unsigned cpus[VPLAN_LIST_MAX];
    uint64_t memory[VPLAN_LIST_MAX];
    char *disk[VPLAN_LIST_MAX];    /* format or "none" */
    char *network[VPLAN_LIST_MAX]; /* "user" or "none" */
    unsigned n[VP_FACTORS];
    struct suite suite[VPLAN_LIST_MAX];
    unsigned suites;
    struct vexception *exception;
    size_t exceptions;
    struct vcell *cell;
    size_t cells;
    uint64_t pairs, pairs_covered;
};

/* p needs vplan_free() also after an error. dir: what relative paths start from. suites: a folder
 * whose NAME.sh, where they are there, stand for what the plan names, by path or not; may be NULL.
 */
MUST int vplan_parse(struct vplan *p, const char *text, size_t len, const char *dir,
                     const char *suites, struct err *e);
MUST int vplan_read(struct vplan *p, const char *path, const char *suites, struct err *e);
void vplan_free(struct vplan *p);

/* "debian-6.1.hyperv.c2.m256.qcow2.user" */
void vplan_cell_id(const struct vplan *p, const struct vcell *c, char out[VPLAN_CELL_ID]);
/* Persona without its options. */
void vplan_cell_persona(const struct vplan *p, const struct vcell *c, char out[16]);
/* Seconds that the checks of a cell may take at most, and how many there are. */
uint64_t vplan_cell_cost(const struct vplan *p, const struct vcell *c, unsigned *checks);
/* Does the check belong to this cell at all (level, persona)? */
bool vplan_check_applies(const struct vplan *p, const struct vcell *c, const struct suite_check *k);
/* The exception for a check in a cell today, or NULL. today: "YYYY-MM-DD". */
const struct vexception *vplan_exception(const struct vplan *p, const struct vcell *c,
                                         const char *check, const char *today);

/* pairwise.c: chooses cells that cover each pair of values of two factors. n: how many values each
 * has. *out is malloc()ed. The same input gives the same cells. */
MUST int pairwise_choose(const unsigned n[VP_FACTORS], struct vcell **out, size_t *cells,
                         struct err *e);
/* Pairs that exist and that these cells cover. */
void pairwise_count(const unsigned n[VP_FACTORS], const struct vcell *cell, size_t cells,
                    uint64_t *all, uint64_t *covered);

#endif
