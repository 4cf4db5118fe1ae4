/* SPDX-License-Identifier: Apache-2.0 */
/* pour.c - the bytes of a disk into a pipe; see image.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/file.h"
#include "storage/image.h"

enum { CHUNK = 1 << 19 };

int image_pour(struct disk *src, int fd, const struct progress *p, struct err *e)
{
    uint64_t end = src->shape.bytes;
    uint8_t *buf = aligned_alloc(4096, CHUNK);
    int rc = 0;

    if (!buf)
        return err_set(e, ENOMEM, "no memory to copy the disk");
    for (uint64_t at = 0; at < end && rc == 0; at += CHUNK) {
        size_t n = min_u64(CHUNK, end - at);

        if (disk_known_zero(src, at, n))
            memset(buf, 0, n);
        else
            rc = disk_read(src, at, buf, n);
        if (rc < 0) {
            rc = err_set(e, -rc, "cannot read the disk: %s", strerror(-rc));
            break;
        }
        rc = file_write(fd, buf, n);
        if (rc < 0)
            rc = err_set(e, -rc, "cannot write the disk: %s", strerror(-rc));
        if (rc == 0 && p->step)
            p->step(p->arg, at + n, end);
    }
    free(buf);
    return rc;
}
