/* SPDX-License-Identifier: Apache-2.0 */
/* trust.h - the list of keys that someone trusts, and for what: docs/reference/validation.md. */
#ifndef HOSPES_VALIDATION_TRUST_H
#define HOSPES_VALIDATION_TRUST_H

#include "core/core.h"
#include "validation/dsse.h"
#include "validation/key.h"

enum trust_role {
    ROLE_RUNNER = 1 << 0,
    ROLE_SUITE_OWNER = 1 << 1,
    ROLE_GUEST_VENDOR = 1 << 2,
    ROLE_HOST_VENDOR = 1 << 3,
    ROLE_PUBLISHER = 1 << 4,
};

struct trusted {
    struct pubkey key;
    char *name;
    unsigned roles;               /* enum trust_role, or-ed */
    char *from, *until, *revoked; /* NULL: no limit */
};

struct trust {
    struct trusted *key;
    size_t n;
};

void trust_free(struct trust *t);
MUST int trust_add(struct trust *t, const struct pubkey *key, const char *name, unsigned roles,
                   struct err *e);
MUST int trust_from_json(struct trust *t, const char *text, size_t len, struct err *e);
MUST int trust_to_json(const struct trust *t, char **out, struct err *e);
/* A trust list, or a single .pub file, which is then trusted for every role. */
MUST int trust_read(const char *path, struct trust *t, struct err *e);

/* "runner" and friends; 0 for an unknown word. */
unsigned trust_role_of(const char *word);
const char *trust_role_word(enum trust_role r);

/* Is the key listed and good at that time? The reason when not, in why. */
bool trust_lists(const struct trust *t, const struct pubkey *key, const char *when, char *why,
                 size_t room);

/* The first key with a good signature on d that has role (0: any) at time `when`; NULL when there
 * is none, with the reason in why (a sentence). when: "2026-11-27T23:05:00Z". */
const struct trusted *trust_signer(const struct trust *t, const struct dsse *d, unsigned role,
                                   const char *when, char *why, size_t room);

#endif
