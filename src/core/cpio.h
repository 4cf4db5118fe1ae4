/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpio.h - writes an initramfs: the "newc" format of Documentation/driver-api/early-userspace/
 * buffer-format.rst of Linux, uncompressed. Folders must come before what is in them.
 */
#ifndef HOSPES_CORE_CPIO_H
#define HOSPES_CORE_CPIO_H

#include <stdio.h>

#include "core/core.h"

struct cpio {
    FILE *out;
    uint32_t inode;
};

/* Errors of writing are kept by the stream and found by cpio_end(). */
void cpio_dir(struct cpio *c, const char *name);
void cpio_char(struct cpio *c, const char *name, uint32_t major, uint32_t minor);
void cpio_data(struct cpio *c, const char *name, uint32_t mode, const void *data, size_t len);
/* Copies a file of this machine; -errno with e filled when it cannot be read. */
MUST int cpio_file(struct cpio *c, const char *name, uint32_t mode, const char *from,
                   struct err *e);
/* Writes the trailer. -errno when something could not be written. Does not close the stream. */
MUST int cpio_end(struct cpio *c);

#endif
