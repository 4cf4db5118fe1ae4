/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle.h - a signed archive of results: docs/reference/validation.md.
 *
 * bundle_read() believes nothing: the archive's own bytes, the manifest, the sums, the statement
 * and the records must all agree, and every PASS must have its lines in the log. It does not decide
 * whom to trust: bundle_statement() with trust_signer() does.
 */
#ifndef HOSPES_VALIDATION_BUNDLE_H
#define HOSPES_VALIDATION_BUNDLE_H

#include "core/core.h"
#include "validation/dsse.h"
#include "validation/record.h"

enum { BUNDLE_FILES_MAX = 65536 };
#define BUNDLE_BYTES_MAX (UINT64_C(1) << 30) /* of the archive, uncompressed */

struct bundle;

/* Reads and checks a bundle file. The error names the member, or the place in the file. */
MUST int bundle_read(const char *path, struct bundle **out, struct err *e);
MUST int bundle_parse(const void *data, size_t len, const char *path, struct bundle **out,
                      struct err *e);
void bundle_free(struct bundle *b); /* NULL is fine */

const char *bundle_sha256(const struct bundle *b); /* of the file */
const char *bundle_name(const struct bundle *b);
const char *bundle_finished(const struct bundle *b); /* time */
/* The packer's own version differs from ours, so the compressed bytes could not be compared. */
bool bundle_packed_elsewhere(const struct bundle *b);
const struct dsse *bundle_statement(const struct bundle *b);

size_t bundle_records(const struct bundle *b);
const struct vrecord *bundle_record(const struct bundle *b, size_t i);
const char *bundle_record_sha256(const struct bundle *b, size_t i);

/* A member; false when there is none. Valid as long as b. */
bool bundle_file(const struct bundle *b, const char *name, const char **data, size_t *len);
/* The i-th member in order; NULL past the last. */
const char *bundle_file_name(const struct bundle *b, size_t i);

/* Packs a results folder (validate run's, or collect's), signs it with each key, and writes `path`
 * by way of a temporary file. */
MUST int bundle_write(const char *dir, const char *path, const struct seckey *keys, size_t n,
                      struct err *e);
/* Adds a signature; the rest stays as it is. out may be the same file. */
MUST int bundle_countersign(const char *path, const char *out, const struct seckey *key,
                            struct err *e);

#endif
