/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - whom to call for a guest on a host, from agreements that are data.
 *
 * docs/reference/support.md has the form of an agreements file and of an entitlement file. Nothing
 * is guessed: where no rule speaks of a combination, the answer is that none is known.
 */
#ifndef HOSPES_SUPPORT_ROUTE_H
#define HOSPES_SUPPORT_ROUTE_H

#include "core/core.h"
#include "validation/record.h"

struct agreements;

/* Those that come with hospes, and those of a file or a folder of .json files (NULL: none). */
MUST int agreements_read(const char *more, struct agreements **out, struct err *e);
/* One file's text; for tests and fuzzing. */
MUST int agreements_parse(const char *text, size_t len, const char *name, struct agreements **out,
                          struct err *e);
void agreements_free(struct agreements *a); /* NULL is fine */

/* What someone has: texts "PARTY" = "contract" or "per-call", each perhaps with " until
 * YYYY-MM-DD", the last day. */
MUST int entitlement_read(const char *path, struct vfacts *out, struct err *e);

struct route_question {
    struct vfacts host, guest; /* vendor, product, version, arch */
    unsigned cpus;             /* 0: not said */
    const char *on;            /* date YYYY-MM-DD; NULL: today */
    const struct vfacts *have; /* NULL: not said */
};

enum route_cover {
    ROUTE_COVERED,
    ROUTE_PLANNED,  /* not yet on that day */
    ROUTE_TOO_MANY, /* more processors than the agreement holds for */
    ROUTE_OTHER,    /* another version or architecture of the same product */
    ROUTE_NOT_YET,  /* before the day it began */
    ROUTE_UNSAID,   /* it depends on a version or architecture that is not said */
};

struct route_answer {
    enum route_cover cover;
    const char *rule, *first, *then, *source, *source_title, *source_date, *since;
    unsigned max_cpus;  /* 0: no limit is stated */
    char versions[240]; /* that are covered, and the architectures, for ROUTE_OTHER */
    char needs[400];    /* what is needed of whom, with what is missing */
    bool missing;       /* something needed is not among what is had, or ended before that day */
};

/* Calls each() for every rule about this pair of products, the covering ones first. Returns how
 * many. */
size_t route_each(const struct agreements *a, const struct route_question *q,
                  void (*each)(void *arg, const struct route_answer *r), void *arg);

#endif
