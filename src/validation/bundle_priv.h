/* SPDX-License-Identifier: Apache-2.0 */
/* bundle_priv.h - what reading and making a bundle share: all that follows from its records. */
#ifndef HOSPES_VALIDATION_BUNDLE_PRIV_H
#define HOSPES_VALIDATION_BUNDLE_PRIV_H

#include "validation/bundle.h"
#include "validation/pack.h"
#include "validation/vjson.h"

struct bundle_facts {
    struct vrecord *record;
    char (*record_sha)[V_SHA_TEXT];
    size_t records;
    char packer[64];
    char started[VTIME_TEXT], finished[VTIME_TEXT];
};

/* Reads the records among the members, checks each against the files of its cell and the suites. */
MUST int bundle_facts_read(struct bundle_facts *f, const struct vmembers *l, struct err *e);
void bundle_facts_free(struct bundle_facts *f);

/* Calls emit() for junit.xml, results.tap, manifest.json and SHA256SUMS in an order in which each
 * needs only members that are there when its turn comes. */
MUST int bundle_derive(const struct bundle_facts *f, struct vmembers *l,
                       int (*emit)(void *arg, struct vmembers *l, const char *name,
                                   const char *text, size_t len, struct err *e),
                       void *arg, struct err *e);

/* Payloads of the two statements; malloc()ed. */
MUST int bundle_statement_text(const struct bundle_facts *f, const struct vmembers *l, char **out,
                               struct err *e);
MUST int bundle_test_result_text(const struct bundle_facts *f, const struct vmembers *l, char **out,
                                 struct err *e);

#endif
