/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsse.h - envelopes that carry a payload and any number of Ed25519 signatures of it: DSSE v1
 * (secure-systems-lab/dsse, protocol.md and envelope.md).
 *
 * The bytes are verified before anyone parses them, and what is signed includes the payload's type.
 */
#ifndef HOSPES_VALIDATION_DSSE_H
#define HOSPES_VALIDATION_DSSE_H

#include "core/core.h"
#include "validation/key.h"

#define DSSE_INTOTO "application/vnd.in-toto+json"
#define DSSE_CLAIM "application/vnd.hospes.claim+json"

enum { DSSE_SIGS_MAX = 32, DSSE_PAYLOAD_MAX = 64 << 20 };

struct dsse_sig {
    char keyid[V_SHA_TEXT];
    uint8_t sig[KEY_SIG];
};

struct dsse {
    char *type;
    char *payload; /* ends in 0, which is not part of it */
    size_t len;
    struct dsse_sig sig[DSSE_SIGS_MAX]; /* sorted by keyid, each key once */
    size_t sigs;
};

/* Copies the payload; no signature yet. */
MUST int dsse_create(struct dsse *d, const char *type, const void *payload, size_t len,
                     struct err *e);
void dsse_free(struct dsse *d);

/* Adds a signature, or replaces the one of the same key. */
MUST int dsse_sign(struct dsse *d, const struct seckey *k, struct err *e);
/* Is there a good signature of k? */
bool dsse_signed_by(const struct dsse *d, const struct pubkey *k);

/* *out is malloc()ed. */
MUST int dsse_to_json(const struct dsse *d, char **out, struct err *e);
/* d needs dsse_free() also after an error. Only what dsse_to_json() would write is taken. */
MUST int dsse_from_json(struct dsse *d, const char *text, size_t len, struct err *e);

#endif
