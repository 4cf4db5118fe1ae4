/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - a catalogue on disk: signed entries that are only ever added, chained by digests.
 *
 *   catalogue.json        what it is
 *   chain                 one line per entry: number, digest of its file, digest of the chain so
 * far entries/NNN/NNNNNN.json   DSSE envelopes of claims and notes bundles/SHA256.tar.zst    the
 * bundles that tested claims rest on trust.json            whose keys count, for which role
 *   index.sqlite          made from the rest; may be deleted
 *
 * docs/reference/catalogue.md. Writers take a lock on the folder; readers need none, since a line
 * of the chain is written after the entry's file is durable. One thread per store.
 */
#ifndef HOSPES_CATALOGUE_STORE_H
#define HOSPES_CATALOGUE_STORE_H

#include "catalogue/claim.h"
#include "validation/dsse.h"
#include "validation/trust.h"

#define DSSE_NOTE "application/vnd.hospes.note+json"

enum { STORE_PATH = 1024, STORE_ENTRIES_MAX = 10000000 };

struct store {
    char dir[STORE_PATH];
    char *name, *made;     /* of catalogue.json */
    char root[V_SHA_TEXT]; /* what the chain's first line follows from: the digest of that file */
    struct trust trust;
    int lock; /* -1: read only */
    char *chain;
    size_t chain_len, mapped; /* mapped: bytes of the file that chain shows; 0: it is memory */
    uint32_t count;           /* entries */
};

/* Makes a new catalogue, whole or, as far as anyone sees, not at all; trust: its trust.json, may be
 * NULL. Refuses a folder that has something in it. Those of version 1, whose chain
 * does not begin with catalogue.json, are read and added to as they are. */
MUST int store_create(const char *dir, const char *name, const char *trust, struct err *e);
/* write: takes the lock, or -EBUSY. */
MUST int store_open(const char *dir, bool write, struct store *out, struct err *e);
/* Each line of the chain behind line `from` follows from those before. */
MUST int store_check(const struct store *s, uint32_t from, struct err *e);
void store_close(struct store *s);

/* One entry, as it was added. */
struct entry {
    uint32_t n; /* from 1 */
    char sha256[V_SHA_TEXT];
    struct dsse d;
    bool is_note;
    struct claim claim;
    struct note note;
    char signer[V_SHA_TEXT]; /* key id of the first trusted signature, "" when none is trusted */
    char who[64];            /* its name in the trust list */
};
void entry_free(struct entry *x);

/* Reads and verifies entry n: its digest is that of the chain, its signature is good. An entry that
 * nobody trusted has signed is read all the same, with signer "". */
MUST int store_read(const struct store *s, uint32_t n, struct entry *out, struct err *e);

/* Signs payload with key and adds it; *n may be NULL. The store is open for writing. */
MUST int store_add(struct store *s, const char *type, const char *payload, const struct seckey *key,
                   uint32_t *n, struct err *e);
/* Adds an envelope as it stands, for merging; what is there already is left alone, and *n is 0. */
MUST int store_add_envelope(struct store *s, const struct dsse *d, uint32_t *n, struct err *e);
/* Copies a bundle in, which must have this digest; one that is there is left alone. */
MUST int store_add_bundle(struct store *s, const char *path, const char *sha256, struct err *e);
/* The path of a bundle; false: the catalogue does not hold it. */
bool store_bundle(const struct store *s, const char *sha256, char path[STORE_PATH]);
/* The digest of the chain's line n, "" for 0: what an index was made from. */
void store_link(const struct store *s, uint32_t n, char out[V_SHA_TEXT]);

/* Verifies everything: chain, entries, signatures, and that each tested claim says what its bundle
 * says. each() gets one sentence per fault and goes on. Returns the number of faults or -errno. */
MUST int store_verify(const struct store *s, void (*each)(void *arg, const char *fault), void *arg,
                      struct err *e);

#endif
