/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg.h - the options of one part, as `key=value,flag,...` on a command line or pairs from a file.
 *
 * Readers mark keys as used; cfg_finish() then names the first key that nobody read, so that a
 * misspelt option is an error and never ignored.
 */
#ifndef HOSPES_CORE_CFG_H
#define HOSPES_CORE_CFG_H

#include "core/core.h"

MUST int cfg_create(struct cfg **out, struct err *e);
void cfg_destroy(struct cfg *c);

/* Adds "key=value" and "flag" items separated by commas; two commas stand for one in a value.
 * `first` names the key of a first item without '=' (NULL: it is a flag). */
MUST int cfg_parse(struct cfg *c, const char *text, const char *first, struct err *e);
MUST int cfg_set(struct cfg *c, const char *key, const char *value, struct err *e);

/* The value, NULL when absent, "" for a flag. Owned by c. */
const char *cfg_get(struct cfg *c, const char *key);
bool cfg_flag(struct cfg *c, const char *key);

/* Absent: *out keeps its value. -EINVAL for something else than the type, or outside [min, max]. */
MUST int cfg_u64(struct cfg *c, const char *key, uint64_t min, uint64_t max, uint64_t *out,
                 struct err *e);
/* Bytes: digits with an optional K, M, G, T (powers of 1024; a following "iB" or "B" is allowed).
 */
MUST int cfg_size(struct cfg *c, const char *key, uint64_t *out, struct err *e);

/* "2G" and friends; -EINVAL. Also for --memory and image sizes. */
MUST int size_parse(const char *text, uint64_t *out);

/* The i-th pair, false past the last. Does not mark it used. */
bool cfg_at(const struct cfg *c, size_t i, const char **key, const char **value);

/* what: "--nic user", for the message. */
MUST int cfg_finish(const struct cfg *c, const char *what, struct err *e);

#endif
