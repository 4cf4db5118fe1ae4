/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim.h - what someone says of one guest on one persona of one host, and notes that go with such
 * claims: docs/reference/validation.md and catalogue.md have their JSON forms.
 *
 * All strings are owned by the struct; a comment says which may be NULL.
 */
#ifndef HOSPES_CATALOGUE_CLAIM_H
#define HOSPES_CATALOGUE_CLAIM_H

#include "core/core.h"
#include "validation/record.h"

enum claim_kind {
    CLAIM_TESTED,
    CLAIM_INHERITED,
    CLAIM_VENDOR_STATED,
    CLAIM_PLANNED,
    CLAIM_UNKNOWN,
    CLAIM_KINDS
};
enum claim_level {
    LEVEL_SUPPORTED,
    LEVEL_PREVIEW,
    LEVEL_LEGACY,
    LEVEL_DEPRECATED,
    LEVEL_TERMINATED,
    LEVEL_UNSUPPORTED,
    LEVEL_UNKNOWN,
    CLAIM_LEVELS
};
enum claim_maturity {
    MATURITY_EXPERIMENTAL,
    MATURITY_PREVIEW,
    MATURITY_STABLE,
    MATURITY_DEPRECATED,
    CLAIM_MATURITIES
};
enum claim_owner { OWNER_HOST, OWNER_GUEST, OWNER_BOTH, OWNER_NOBODY, CLAIM_OWNERS };

extern const char *const claim_kind_words[CLAIM_KINDS];
extern const char *const claim_level_words[CLAIM_LEVELS];
extern const char *const claim_maturity_words[CLAIM_MATURITIES];
extern const char *const claim_owner_words[CLAIM_OWNERS];

enum { CLAIM_NOTES_MAX = 64 };

struct claim {
    enum claim_kind kind;
    char *made; /* time */
    struct vfacts host, guest;
    char *persona, *firmware;
    enum claim_level level;
    enum claim_maturity maturity;
    uint64_t max_cpus, max_memory; /* 0: not said */
    enum claim_owner owner;
    bool preview;
    char *note[CLAIM_NOTES_MAX]; /* ids */
    size_t notes;

    /* evidence; those of other kinds are empty or NULL */
    char bundle[V_SHA_TEXT], record[V_SHA_TEXT]; /* tested */
    char *cell;
    enum vstatus verdict;
    bool validated;
    char from[V_SHA_TEXT]; /* inherited: digest of the claim's entry */
    char *rule;
    char *url, *seen, *quote; /* vendor-stated */
    char *planned_for;        /* date */
};

void claim_init(struct claim *c);
void claim_free(struct claim *c);

/* What one record of a bundle says, as a tested claim; made is its time. */
MUST int claim_of_record(struct claim *c, const struct vrecord *r, const char *record_sha256,
                         const char *bundle_sha256, const char *made, struct err *e);

/* *out is malloc()ed. */
MUST int claim_to_json(const struct claim *c, char **out, struct err *e);
/* c needs claim_free() also after an error. Only what claim_to_json() would write is taken. */
MUST int claim_from_json(struct claim *c, const char *text, size_t len, struct err *e);

/* A note: something known of some cells, which may come later than their claims. */
struct note {
    char *id;   /* [a-z0-9-]+ */
    char *made; /* time */
    char *text;
    bool erratum;        /* a fault; else a remark */
    struct vfacts scope; /* texts that a claim must have: guest-product, guest-version, persona,
                          * host-version, ...; a value may end in * */
    char *since, *resolved_in; /* host versions; may be NULL */
    char *issue;               /* may be NULL */
};

void note_init(struct note *n);
void note_free(struct note *n);
MUST int note_to_json(const struct note *n, char **out, struct err *e);
MUST int note_from_json(struct note *n, const char *text, size_t len, struct err *e);
/* Is c one of the cells that the note speaks of, or does c name it? */
bool note_concerns(const struct note *n, const struct claim *c);
/* May a note be called that? */
bool note_id_good(const char *id);

/* Does the text fit a pattern, which may end in * ? */
bool claim_fits(const char *pattern, const char *text);
/* Versions by their numbers: <0, 0, >0. "6.1.10" comes after "6.1.9". */
int claim_version_cmp(const char *a, const char *b);

#endif
