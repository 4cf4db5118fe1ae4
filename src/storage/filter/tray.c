/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tray.c - what a drive holds: a disk over a disc that can be changed for another; see filter.h.
 *
 * The drive keeps the tray, and asks its shape anew when it is told of a change. Without a disc
 * there are no bytes, so disk.c's checks let nothing through but a flush.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/err.h"
#include "storage/filter/filter.h"

struct tray {
    struct disk d;
    struct disk *disc; /* NULL: none */
    struct disk_fwds fwds;
};

static struct tray *tray_of(struct disk *d)
{
    return container_of(d, struct tray, d);
}

static int tray_now(struct disk *d, struct disk_req *r)
{
    struct tray *t = tray_of(d);

    return t->disc ? disk_now(t->disc, r) : -ENOMEDIUM;
}

static int tray_try(struct disk *d, struct disk_req *r)
{
    struct tray *t = tray_of(d);

    return t->disc ? disk_try(t->disc, r) : -EAGAIN;
}

static void done(struct disk_req *r, int res)
{
    struct disk_fwd *w = container_of(r, struct disk_fwd, r);
    struct disk_req *up = w->up;

    disk_fwd_put(w);
    disk_finish(up, res);
}

static void tray_submit(struct disk *d, struct disk_req *r)
{
    struct tray *t = tray_of(d);
    struct disk_fwd *w = t->disc ? disk_fwd_get(&t->fwds, r) : NULL;

    if (!w) {
        disk_finish_later(d, r, t->disc ? -ENOMEM : -ENOMEDIUM);
        return;
    }
    w->r.done = done;
    disk_submit(t->disc, &w->r);
}

static int tray_extents(struct disk *d, uint64_t off, uint64_t len, extent_fn *fn, void *arg)
{
    struct tray *t = tray_of(d);

    return t->disc ? disk_extents(t->disc, off, len, fn, arg) : -ENOMEDIUM;
}

static void tray_close(struct disk *d)
{
    struct tray *t = tray_of(d);

    disk_close(t->disc);
    disk_fwds_fini(&t->fwds);
    disk_fini(d);
    free(t);
}

static const struct disk_ops tray_ops = {
    .name = "tray",
    .close = tray_close,
    .now = tray_now,
    .submit = tray_submit,
    .try = tray_try,
    .extents = tray_extents,
};

static void hold(struct tray *t, struct disk *disc)
{
    t->disc = disc;
    if (disc)
        disk_shape(disc, &t->d.shape);
    else
        t->d.shape =
            (struct disk_shape){.logical = DISK_SECTOR, .physical = DISK_SECTOR, .readonly = true};
}

int tray_create(struct disk *disc, struct loop *l, struct disk **out, struct err *e)
{
    struct tray *t = calloc(1, sizeof(*t));

    if (!t)
        return err_set(e, ENOMEM, "no memory for a drive's tray");
    disk_init(&t->d, &tray_ops, l);
    hold(t, disc);
    *out = &t->d;
    return 0;
}

void tray_change(struct disk *tray, struct disk *disc)
{
    struct tray *t = tray_of(tray);
    struct disk *old = t->disc;

    assert(tray->ops == &tray_ops && tray->inflight == 0);
    hold(t, disc);
    tray->door.asked = false;
    disk_close(old);
}
