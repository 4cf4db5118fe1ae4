/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - the result of one cell: docs/reference/validation.md has its JSON form.
 *
 * All strings are owned by the record and never NULL once it has been read, except where a comment
 * says so. Functions are for any thread, one record in one thread.
 */
#ifndef HOSPES_VALIDATION_RECORD_H
#define HOSPES_VALIDATION_RECORD_H

#include "core/core.h"

enum {
    V_CHECKS_MAX = 1024,
    V_ATTEMPTS_MAX = 64,
    V_LIST_MAX = 4096,
    V_TEXT_MAX = 4096,
    V_NAME_MAX = 100, /* of a file in a bundle */
    V_SHA_TEXT = 65,  /* 64 digits and the end */
};

/* From worst to best, as a cell's verdict counts them. */
enum vstatus { V_FAIL, V_ERROR, V_MISS, V_KNOWN, V_FLAKY, V_PASS, V_SKIP, V_STATUSES };

const char *vstatus_word(enum vstatus s);
MUST bool vstatus_of(const char *word, enum vstatus *out);

/* Texts by key, in order. */
struct vfact {
    char *key, *value;
};
struct vfacts {
    struct vfact *fact;
    size_t n;
};

/* NULL when there is none. */
const char *vfacts_get(const struct vfacts *f, const char *key);
/* Replaces or appends; a NULL or empty value is passed over. */
MUST int vfacts_set(struct vfacts *f, const char *key, const char *value, struct err *e);
MUST int vfacts_copy(struct vfacts *to, const struct vfacts *from, struct err *e);
void vfacts_free(struct vfacts *f);

struct vfile {
    char *role; /* of an input; NULL for a file beside the record */
    char *name;
    uint64_t size;
    char sha256[V_SHA_TEXT];
};
struct vfiles {
    struct vfile *file;
    size_t n;
};

MUST int vfiles_add(struct vfiles *f, const char *role, const char *name, uint64_t size,
                    const char *sha256, struct err *e);
void vfiles_free(struct vfiles *f);

struct vsuite_ref {
    char *name, *owner;
    unsigned version;
    char sha256[V_SHA_TEXT];
};

struct vattempt {
    enum vstatus status;
    uint64_t ms;
    char *why;         /* NULL: nothing to say */
    uint32_t from, to; /* lines of run.log, from 1 */
};

struct vcheck {
    char *id, *suite;
    bool mandatory;
    enum vstatus status;
    char *why, *issue; /* NULL: none */
    struct vattempt *attempt;
    size_t attempts;
};

struct vcontrol { /* the same check on QEMU */
    char *id, *why;
    enum vstatus status;
};

struct vrecord {
    char *cell;
    uint32_t number;
    char *plan;
    char plan_sha256[V_SHA_TEXT];
    enum vstatus verdict;
    bool validated;
    char *started;
    uint64_t ms;
    char *end;
    struct vfacts host, guest;
    char *persona, *persona_opts; /* options: NULL when none */
    unsigned cpus;
    uint64_t memory;
    char *firmware, *disk, *network;
    struct vfiles inputs;
    struct vsuite_ref *suite;
    size_t suites;
    char *level; /* smoke, full or long: which checks of the suites */
    char *command;
    struct vcontrol *control;
    size_t controls;
    struct vcheck *check;
    size_t checks;
    struct vfiles files;
};

void vrecord_init(struct vrecord *r);
void vrecord_free(struct vrecord *r);

/* Replaces an owned string by a copy; value may be NULL. */
MUST int vtext_set(char **at, const char *value, struct err *e);

MUST int vrecord_add_suite(struct vrecord *r, const char *name, unsigned version, const char *owner,
                           const char *sha256, struct err *e);
/* *out is valid until the next one is added. Its status is MISS until something is known. */
MUST int vrecord_add_check(struct vrecord *r, const char *suite, const char *id, bool mandatory,
                           struct vcheck **out, struct err *e);
MUST int vrecord_add_control(struct vrecord *r, const char *id, enum vstatus status,
                             const char *why, struct err *e);
MUST int vcheck_add_attempt(struct vcheck *c, enum vstatus status, uint64_t ms, const char *why,
                            uint32_t from, uint32_t to, struct err *e);
const struct vcheck *vrecord_check(const struct vrecord *r, const char *id);

/* Sets verdict and validated from the checks. */
void vrecord_judge(struct vrecord *r);
/* What run-cell ends with. */
int vrecord_exit(const struct vrecord *r);

/* *out is malloc()ed, ends in a line feed and then 0. */
MUST int vrecord_to_json(const struct vrecord *r, char **out, struct err *e);
/* Fills r, which the caller frees also after an error. A verdict or `validated` that does not
 * follow from the checks is an error, like everything that vrecord_to_json() would not write. */
MUST int vrecord_from_json(struct vrecord *r, const char *text, size_t len, struct err *e);

/* Every PASS attempt's lines are in run.log as the reference page says. */
MUST int vrecord_check_log(const struct vrecord *r, const char *log, size_t len, struct err *e);

#endif
