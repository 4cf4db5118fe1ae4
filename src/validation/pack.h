/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.h - the archive of a bundle: POSIX ustar in the one form of docs/reference/validation.md,
 * and zstd around it (RFC 8878).
 *
 * There is one sequence of bytes for a list of members, so reading is: take the members, pack them
 * again, compare. Nothing else of tar is understood, and no path is ever opened.
 */
#ifndef HOSPES_VALIDATION_PACK_H
#define HOSPES_VALIDATION_PACK_H

#include "core/core.h"

struct vmember {
    char *name;
    char *data; /* ends in 0, which does not count */
    size_t len;
};

struct vmembers {
    struct vmember *m; /* sorted by name */
    size_t n;
};

void vmembers_free(struct vmembers *l);
/* Copies; -EEXIST when the name is there, -EINVAL when a bundle may not hold it. */
MUST int vmembers_add(struct vmembers *l, const char *name, const void *data, size_t len,
                      struct err *e);
const struct vmember *vmembers_find(const struct vmembers *l, const char *name);

MUST int tar_pack(const struct vmembers *l, char **out, size_t *len, struct err *e);
/* l must be empty, and is freed by the caller also after an error. */
MUST int tar_unpack(const char *data, size_t len, struct vmembers *l, struct err *e);

/* "zstd 1.5.4 level 9" */
void zst_packer(char *out, size_t room);
/* Does it begin as what zst_unpack() takes does? */
bool zst_begins(const void *data, size_t len);
MUST int zst_pack(const void *data, size_t len, char **out, size_t *out_len, struct err *e);
MUST int zst_unpack(const void *data, size_t len, size_t max, char **out, size_t *out_len,
                    struct err *e);

#endif
