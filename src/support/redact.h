/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact.h - takes secrets out of text, and gives addresses and names the same false name wherever
 * they stand.
 *
 * Secrets (passwords, tokens, private keys) are removed. Addresses, host names, users and unique
 * ids become words like ip-1f3a90c2: an HMAC of the value, so that two files of a bundle, or two
 * bundles made with one key, agree. What a false name stands for is in the map, which stays with
 * the one who made the bundle. One thread per redactor.
 */
#ifndef HOSPES_SUPPORT_REDACT_H
#define HOSPES_SUPPORT_REDACT_H

#include "core/core.h"
#include "validation/text.h"

enum { REDACT_KEY = 32, REDACT_NAMES = 64 };

struct redact_found {
    char *kind, *value,
        *as; /* "ip", what stood there, what stands there now; value NULL: removed */
};

struct redactor;

MUST int redactor_create(const uint8_t key[REDACT_KEY], struct redactor **out, struct err *e);
void redactor_free(struct redactor *r); /* NULL is fine */
/* A word that must not appear: kind is "host" or "user". Words under three bytes are passed over.
 */
MUST int redactor_name(struct redactor *r, const char *kind, const char *word, struct err *e);
/* Appends the cleaned text. Bytes that are no text become '?'. */
void redact(struct redactor *r, const char *text, size_t len, struct vbuf *out);
/* How many secrets were taken out so far. */
size_t redactor_removed(const struct redactor *r);
/* The i-th false name; NULL past the last. */
const struct redact_found *redactor_found(const struct redactor *r, size_t i);

#endif
