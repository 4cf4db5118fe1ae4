/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_resize.c - a disk gets larger while its guest runs.
 *
 * The format changes the size of an image on which nothing else is under way. So the vCPUs are held
 * first, which begin no requests then, and an alarm looks until those in flight have ended; then
 * the image grows, the persona tells the guest, and the vCPUs go on. What happens meanwhile (a
 * reset, a disk that goes, the end of the machine) is found by looking anew each time: nothing is
 * remembered but the id and the size. One at a time. Threads: the loop's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "machine/control.h"
#include "machine/machine_priv.h"
#include "storage/disk.h"
#include "storage/image.h"

enum { RESIZE_LOOK_NS = 200000 };

/* *d: the plan's words for it, NULL for one that came later. NULL: there is none. */
static struct disk *disk_of(struct machine *m, const char *id, const struct plan_disk **d)
{
    *d = NULL;
    for (size_t i = 0; i < PLAN_MAX_DISKS; i++) {
        struct plugged *k = &m->plugged[i];

        if (i < m->plan->disks && m->disk[i] && strcmp(m->disk_id[i], id) == 0) {
            *d = &m->plan->disk[i];
            return m->disk[i];
        }
        if (k->path && strcmp(k->id, id) == 0)
            return k->disk;
    }
    return NULL;
}

/* Can that disk have so many bytes? */
static int check(const struct disk *disk, const struct plan_disk *d, const char *id, uint64_t bytes,
                 struct err *e)
{
    if (!disk)
        return err_exit(e, EX_USAGE_, ENOENT, "there is no disk %.31s; see hospes info", id);
    if (d && (d->cdrom || plan_floppy(d)))
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

/* Nothing is in flight on it. */
static int grow(struct machine *m, struct disk *disk, uint64_t bytes, bool *told, struct err *e)
{
    uint64_t old = disk->shape.bytes;
    int rc = image_resize(disk, bytes, e);

    if (rc < 0)
        return err_wrap(e, "%s", m->resizing.id);
    *told = m->persona->ops->grew && m->persona->ops->grew(m->persona, disk);
    log_line(LOG_INFO, "machine", "%s grew from %llu to %llu bytes; the guest %s", m->resizing.id,
             (unsigned long long)old, (unsigned long long)bytes,
             *told ? "is told" : "sees it at its next start");
    return 0;
}

static void resize_fire(struct alarm *a)
{
    struct machine *m = container_of(a, struct machine, resizing.alarm);
    struct resizing *z = &m->resizing;
    const struct plan_disk *d;
    struct disk *disk;
    struct err e = {0};
    bool told = false;
    int rc;

    if (m->ended)
        return;
    machine_cpus_order(m, CPU_HOLD); /* again: what went on meanwhile may have let them run */
    disk = disk_of(m, z->id, &d);
    rc = check(disk, d, z->id, z->bytes, &e);
    if (rc == 0 && disk->inflight) {
        loop_arm(m->loop, a, loop_now(m->loop) + RESIZE_LOOK_NS);
        return;
    }
    if (rc == 0)
        rc = grow(m, disk, z->bytes, &told, &e);
    *z->id = '\0';
    if (!m->asleep && !__atomic_load_n(&m->halt, __ATOMIC_ACQUIRE))
        machine_cpus_order(m, CPU_RUN);
    control_resized(m->control, told, rc < 0 ? &e : NULL);
}

int machine_resize(struct machine *m, const char *id, uint64_t bytes, struct err *e)
{
    struct resizing *z = &m->resizing;
    const struct plan_disk *d;
    struct disk *disk = disk_of(m, id, &d);
    int rc = check(disk, d, id, bytes, e);

    if (rc < 0)
        return rc;
    if (*z->id)
        return err_exit(e, EX_USAGE_, EBUSY, "%s: %s is still growing; try again", id, z->id);
    snprintf(z->id, sizeof(z->id), "%s", id);
    z->bytes = bytes;
    z->alarm.fire = resize_fire;
    loop_arm(m->loop, &z->alarm, 0);
    return 0;
}
