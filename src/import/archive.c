/* SPDX-License-Identifier: Apache-2.0 */
/* archive.c - see archive.h. */
#include "import/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/err.h"
#include "storage/file.h"

int archive_open(const struct import_file *f, struct disk **out, struct err *e)
{
    int fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);

    if (fd < 0)
        return err_set(e, errno, "cannot open %s: %s", f->path, strerror(errno));
    return file_adopt(fd, f->path, true, NULL, out, e); /* closes it when it fails */
}
