/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract.h - what of its hypervisor a guest used in a run, taken from `hospes info`, and the
 * difference of two: docs/reference/validation.md.
 */
#ifndef HOSPES_VALIDATION_CONTRACT_H
#define HOSPES_VALIDATION_CONTRACT_H

#include "core/core.h"

struct json_object;

struct contract_use {
    char *kind, *name, *detail; /* detail may be NULL */
    uint64_t count;             /* 0: not counted */
};

struct contract {
    char *cell, *persona, *guest;
    struct contract_use *use; /* sorted by kind, name */
    size_t n;
};

void contract_free(struct contract *c);
/* info: the object that `hospes info --json` prints. */
MUST int contract_of_info(struct contract *c, struct json_object *info, const char *cell,
                          const char *guest, struct err *e);
MUST int contract_to_json(const struct contract *c, char **out, struct err *e);
MUST int contract_from_json(struct contract *c, const char *text, size_t len, struct err *e);

enum contract_change { CONTRACT_GONE, CONTRACT_NEW, CONTRACT_CHANGED };

/* Calls each(arg, change, a, b) in order; a is NULL for NEW, b for GONE. Returns their number. */
size_t contract_diff(const struct contract *a, const struct contract *b,
                     void (*each)(void *arg, enum contract_change what,
                                  const struct contract_use *a, const struct contract_use *b),
                     void *arg);

#endif
