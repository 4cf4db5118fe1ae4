/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h - one writer, or many readers, of an image: the byte locks that QEMU's tools respect.
 */
#ifndef HOSPES_STORAGE_LOCK_H
#define HOSPES_STORAGE_LOCK_H

#include "core/core.h"

/* Takes the locks on fd; they go away when fd is closed. EX_IN_USE names the holder. Where the file
 * system has no locks this is 0: there is nothing that could be respected. */
MUST int lock_take(int fd, bool write, const char *path, struct err *e);

#endif
