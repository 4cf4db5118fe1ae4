/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.h - the .mf of an OVF: digests of its files, compared with the files. */
#ifndef HOSPES_IMPORT_MANIFEST_H
#define HOSPES_IMPORT_MANIFEST_H

#include "import/import.h"

struct disk;

/* Where a manifest's names lie. */
struct manifest_source {
    struct disk *archive;   /* NULL: files in f->dir */
    const char *descriptor; /* the .ovf's own name */
};

/* Checks what f->wish asks for, and tells of each line of the manifest. text is changed. -EINVAL
 * with e: a digest differs, or a line is none. */
MUST int manifest_check(const struct import_file *f, const struct manifest_source *s, char *text,
                        struct import_report *r, struct err *e);

#endif
