/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - whole files: read to their end, written at once or not at all. */
#ifndef HOSPES_CORE_FILE_H
#define HOSPES_CORE_FILE_H

#include <sys/types.h>

#include "core/core.h"

/* All of len bytes to fd, from where it stands. 0 or -errno; -ENOSPC when nothing more goes in. */
MUST int file_write(int fd, const void *data, size_t len);

/* The n bytes from off on; how many there were, fewer only where the file ends, or -errno. Does not
 * move where fd stands. */
MUST ssize_t file_read(int fd, void *buf, size_t n, uint64_t off);

/* Makes path hold these len bytes, by a file beside it that is synced and renamed: who reads sees
 * the old file or the new one, after a power cut as well, and a failure leaves the old one. A file
 * that is there keeps its mode; a new one gets mode, less the umask. A terminal, a pipe or another
 * such device takes the bytes and stays what it is; a disk or a socket stays and is -EPERM. 0 or
 * -errno. Any thread. */
MUST int file_replace(const char *path, const void *data, size_t len, mode_t mode);

/* Makes the folders of the first n bytes of path, one in the other, unless they are there. -errno:
 * that of the first *bad bytes could not be made. */
MUST int file_folders(const char *path, size_t n, mode_t mode, size_t *bad);

/* Where what belongs to machine `name` is kept when nobody says: $XDG_STATE_HOME/hospes/NAME.KIND,
 * else ~/.local/state/hospes/NAME.KIND. malloc()ed. -ENOENT: there is neither variable; -ENOMEM. */
MUST int file_state(const char *name, const char *kind, char **out);

/* Where short-lived files go: $TMPDIR, else /tmp. */
const char *file_tmp(void);

/* Makes the folder DIR/NAME-XXXXXX, of this process alone; its path into out, "" on error. 0 or
 * -errno; -ENAMETOOLONG: it does not fit. */
MUST int file_mktemp(const char *dir, const char *name, char *out, size_t room);

/* Is there a program of that name in $PATH, and where? */
MUST bool file_program(const char *name, char *out, size_t room);

#endif
