/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.h - the catalogue's entries in a database, for questions. It is made from the files and
 * brought up to date whenever it is opened; nothing is lost with it.
 */
#ifndef HOSPES_CATALOGUE_INDEX_H
#define HOSPES_CATALOGUE_INDEX_H

#include "catalogue/store.h"

struct index;

/* What the index knows of a claim. Strings are never NULL. */
struct index_row {
    uint32_t n;
    enum claim_kind kind;
    enum claim_level level;
    enum claim_maturity maturity;
    enum claim_owner owner;
    enum vstatus verdict;
    bool validated, preview;
    uint64_t cpus, memory;
    const char *sha256, *made, *signer, *who;
    const char *host, *host_version; /* "VENDOR PRODUCT EDITION" */
    const char *guest_name;          /* "VENDOR PRODUCT EDITION" */
    const char *guest_version, *arch;
    const char *persona, *firmware;
    const char *bundle, *cell, *record;
    const char *evidence; /* of the other kinds: a sentence */
    const char *notes;    /* ids, separated by spaces */
};

/* where: a file or a PostgreSQL connection string; NULL: index.sqlite in the catalogue. */
MUST int index_open(const struct store *s, const char *where, struct index **out, struct err *e);
void index_close(struct index *ix); /* NULL is fine */
/* Had somebody else changed it, so that index_open() made it again? */
bool index_remade(const struct index *ix);
/* Forgets everything and reads all entries again. */
MUST int index_rebuild(struct index *ix, struct err *e);

/* Compares what the index holds with what the entries give. each() gets one sentence per fault.
 * Their number, or -errno. */
MUST int index_verify(struct index *ix, void (*each)(void *arg, const char *fault), void *arg,
                      struct err *e);

/* Rows whose guest (vendor, product, edition, version, architecture) holds all words of `guest`,
 * whatever their case, and whose persona is `persona`; NULL: any. By guest, persona, and the
 * newest first. A row is valid during the call; nonzero ends it and is returned. */
typedef int index_fn(void *arg, const struct index_row *r);
MUST int index_rows(struct index *ix, const char *guest, const char *persona, index_fn *fn,
                    void *arg, struct err *e);

/* The newest version of a host (as in index_row.host) that anything was tested on, "" for none. */
const char *index_newest(const struct index *ix, const char *host);
const char *index_host(const struct index *ix, size_t i); /* NULL past the last */

/* Every note that somebody trusted has signed, the newest of an id; valid as long as the index. */
const struct note *index_note(const struct index *ix, size_t i); /* NULL past the last */
/* A row as a claim, as far as notes are concerned. */
bool index_note_concerns(const struct index *ix, size_t i, const struct index_row *r);

#endif
