/* SPDX-License-Identifier: Apache-2.0 */
/* archive.h - the open file of an import as an archive. */
#ifndef HOSPES_IMPORT_ARCHIVE_H
#define HOSPES_IMPORT_ARCHIVE_H

#include "import/import.h"
#include "storage/member.h"

/* f->fd as a disk to read from; f keeps its own. disk_close() by the caller. */
MUST int archive_open(const struct import_file *f, struct disk **out, struct err *e);

#endif
