/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_resize.c - a disk gets larger while its guest runs.
 *
 * The format changes the size of an image on which nothing else is under way (machine_quiet.c);
 * then the persona tells the guest. Threads: the loop's.
 */
#include <errno.h>

#include "core/log.h"
#include "machine/machine_priv.h"
#include "storage/disk.h"
#include "storage/image.h"

/* Can that disk have so many bytes? */
static int check(const struct disk *disk, const struct plan_disk *d, const char *id, uint64_t bytes,
                 struct err *e)
{
    if (!disk)
        return err_exit(e, EX_USAGE_, ENOENT, "there is no disk %.31s; see hospes info", id);
    if (d && plan_drive(d))
        return err_exit(e, EX_USAGE_, EINVAL, "%s: discs and floppies keep their size", id);
    if (!disk->format)
        return err_exit(e, EX_USAGE_, EROFS,
                        "%s: its changes are thrown away when the machine ends, and so would its "
                        "size be: start the machine with ,write after the disk's file",
                        id);
    if (disk->shape.readonly)
        return err_exit(e, EX_USAGE_, EROFS, "%s: its image is open for reading only", id);
    if (bytes <= disk->shape.bytes)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s: a disk in use can only grow, and it has %llu bytes", id,
                        (unsigned long long)disk->shape.bytes);
    if (bytes % disk->shape.logical)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s: the size is no multiple of its blocks of %u bytes", id,
                        disk->shape.logical);
    if (!disk->format->resize)
        return err_exit(e, EX_USAGE_, ENOTSUP, "%s: images of format %s keep their size", id,
                        disk->format->name);
    return 0;
}

/* A quiet_fn. */
static int grow(struct machine *m, struct disk *disk, const struct plan_disk *d, bool *told,
                struct err *e)
{
    uint64_t bytes = m->quiet.bytes, old;
    int rc = check(disk, d, m->quiet.id, bytes, e);

    if (rc < 0)
        return rc;
    old = disk->shape.bytes;
    rc = image_resize(disk, bytes, e);
    if (rc < 0)
        return err_wrap(e, "%s", m->quiet.id);
    *told = m->persona->ops->grew && m->persona->ops->grew(m->persona, disk);
    log_line(LOG_INFO, "machine", "%s grew from %llu to %llu bytes; the guest %s", m->quiet.id,
             (unsigned long long)old, (unsigned long long)bytes,
             *told ? "is told" : "sees it at its next start");
    return 0;
}

int machine_resize(struct machine *m, const char *id, uint64_t bytes, struct err *e)
{
    const struct plan_disk *d;
    struct disk *disk = machine_disk(m, id, &d);
    int rc = check(disk, d, id, bytes, e);

    if (rc == 0)
        rc = machine_quiet_free(m, id, e);
    if (rc < 0)
        return rc;
    m->quiet.bytes = bytes;
    machine_quiet_begin(m, id, grow);
    return 0;
}
