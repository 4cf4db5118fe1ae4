/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_disc.c - another disc in a CD-ROM or floppy drive while the guest runs, or none.
 *
 * Every drive of the plan holds a tray (storage/filter/tray.c), which the machine fills anew while
 * nothing is under way on it (machine_quiet.c); then the persona has the drive tell its guest, or
 * the board sets a floppy's change line, which its guest looks at when it reads the next time. The
 * plan keeps what it said: a reset leaves the disc where it is, the next start of the machine has
 * the plan's. Threads: the loop's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "machine/machine_priv.h"
#include "storage/disk.h"
#include "storage/filter/filter.h"

/* The same among CD-ROM drives, or among floppy drives. -ENOENT without e: there is none. */
static int find_among(const struct machine *m, const char *id, bool floppy, struct err *e)
{
    int at = -ENOENT;

    for (size_t i = 0; i < m->plan->disks; i++) {
        const struct plan_disk *d = &m->plan->disk[i];

        if (!plan_drive(d) || plan_floppy(d) != floppy || !m->disk[i] ||
            (id && strcmp(m->disk_id[i], id) != 0))
            continue;
        if (at >= 0)
            return err_exit(e, EX_USAGE_, EINVAL,
                            "this machine has several drives, %s and %s among them: say which one",
                            m->disk_id[at], m->disk_id[i]);
        at = (int)i;
    }
    return at;
}

/* The place in the plan of the drive `id`, NULL: of the only one; a floppy drive counts where there
 * is none for CD-ROMs. -errno: there is none such. */
static int find(const struct machine *m, const char *id, struct err *e)
{
    int at = find_among(m, id, false, e);

    if (at == -ENOENT)
        at = find_among(m, id, true, e);
    if (at != -ENOENT)
        return at;
    if (id)
        return err_exit(e, EX_USAGE_, ENOENT, "there is no drive %.31s; see hospes info", id);
    return err_exit(e, EX_USAGE_, ENOENT,
                    "this machine has no drive: start it with --cdrom FILE, or --floppy FILE, or "
                    "none in place of the file");
}

/* spec's file, opened into the machine's next job. */
static int open_next(struct machine *m, bool floppy, const char *spec, struct err *e)
{
    struct quiet *q = &m->quiet;
    struct plan_disk *d;
    struct plan p;
    int rc;

    plan_init(&p);
    rc = floppy ? plan_add_floppy(&p, spec, e) : plan_add_drive(&p, spec, e);
    d = &p.disk[0];
    if (rc == 0 &&
        ((d->bus && !floppy) || d->opts || d->boot || d->unit >= 0 || d->controller >= 0))
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "a disc has a file and a format, and its drive stays where it is: leave out "
                      "the other words");
    if (rc == 0)
        rc = machine_image_open(m, d, &q->disc, q->about, e);
    if (rc == 0) {
        q->path = d->path;
        d->path = NULL;
    }
    plan_free(&p);
    return rc;
}

/* A quiet_fn. */
static int change(struct machine *m, struct disk *tray, const struct plan_disk *d, bool *told,
                  struct err *e)
{
    struct quiet *q = &m->quiet;
    size_t i;

    if (!tray)
        return err_exit(e, EX_USAGE_, ENOENT, "%s has gone meanwhile", q->id);
    i = (size_t)(d - m->plan->disk);
    if (plan_floppy(d)) {
        int rc = board_floppy_fits(m->board, tray, q->disc, q->id, e);

        if (rc < 0)
            return rc;
    }
    tray_change(tray, q->disc);
    q->disc = NULL;
    free(m->disc_path[i]);
    m->disc_path[i] = q->path;
    q->path = NULL;
    snprintf(m->disk_about[i], MACHINE_ABOUT, "%s", q->about);
    if (plan_floppy(d))
        board_floppy_changed(m->board, tray);
    else
        *told = m->persona->ops->grew && m->persona->ops->grew(m->persona, tray);
    log_line(LOG_INFO, "machine", "%s holds %s now", q->id, machine_disk_path(m, i));
    return 0;
}

const char *machine_disk_path(const struct machine *m, size_t i)
{
    const struct plan_disk *d = &m->plan->disk[i];
    const char *path = m->disc_path[i] ? m->disc_path[i] : d->path;
    bool empty = plan_drive(d) && m->disk[i] && m->disk[i]->shape.bytes == 0;

    return path && !empty ? path : "none";
}

int machine_disc(struct machine *m, const char *id, const char *spec, bool force, struct err *e)
{
    int at = find(m, id, e), rc;

    if (at < 0)
        return at;
    id = m->disk_id[at];
    rc = machine_quiet_free(m, id, e);
    if (rc < 0)
        return rc;
    rc = open_next(m, plan_floppy(&m->plan->disk[at]), spec, e);
    if (rc < 0)
        return rc;
    m->quiet.door = !force;
    machine_quiet_begin(m, id, change);
    return 0;
}

void machine_discs_end(struct machine *m)
{
    for (size_t i = 0; i < PLAN_MAX_DISKS; i++)
        free(m->disc_path[i]);
}
