/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_quiet.c - what is done to a disk while nothing is under way on it: it grows, or its drive
 * gets another disc.
 *
 * The vCPUs are held first, which begin no requests then, and an alarm looks until those in flight
 * have ended; then it is done, and the vCPUs go on. A drive that the guest has locked is not
 * opened: the guest is asked, and has five seconds. What happens meanwhile (a reset, a disk that
 * goes, the end of the machine) is found by looking anew each time: nothing is remembered but the
 * id. One at a time. Threads: the loop's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/control.h"
#include "machine/machine_priv.h"
#include "storage/disk.h"

static const uint64_t QUIET_LOOK_NS = 200000, QUIET_DOOR_NS = UINT64_C(5000000000);

struct disk *machine_disk(struct machine *m, const char *id, const struct plan_disk **d)
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

static void let_run(struct machine *m)
{
    m->quiet.held = false;
    if (!m->asleep && !__atomic_load_n(&m->halt, __ATOMIC_ACQUIRE))
        machine_cpus_order(m, CPU_RUN);
}

/* The job is over, done or not. */
static void quiet_forget(struct quiet *q)
{
    disk_close(q->disc);
    free(q->path);
    *q = (struct quiet){.act = NULL};
}

/* Does the guest want the disc to stay? It is asked, by what its drive tells it, and has a moment.
 * In between it runs. */
static bool door_shut(struct machine *m, struct disk *disk)
{
    struct quiet *q = &m->quiet;

    if (!q->door || !disk || !disk->door.locked)
        return false;
    if (!q->until) {
        q->until = loop_now(m->loop) + QUIET_DOOR_NS;
        disk->door.asked = true;
    }
    if (q->held)
        let_run(m);
    return true;
}

/* All that can be done now: 0: it is done, -errno: it cannot be, -EAGAIN: look again at *next. */
static int try_now(struct machine *m, bool *told, uint64_t *next, struct err *e)
{
    struct quiet *q = &m->quiet;
    const struct plan_disk *d;
    struct disk *disk = machine_disk(m, q->id, &d);

    if (door_shut(m, disk)) {
        *next = loop_now(m->loop) + QUIET_LOOK_NS * 50;
        if (*next < q->until)
            return -EAGAIN;
        disk->door.asked = false;
        return err_exit(e, EX_IN_USE, EBUSY,
                        "%s: the guest has locked the drive, and was asked in vain to open it: try "
                        "again when it has, or take the disc with --force",
                        q->id);
    }
    machine_cpus_order(m, CPU_HOLD); /* again: what went on meanwhile may have let them run */
    q->held = true;
    *next = loop_now(m->loop) + QUIET_LOOK_NS;
    return disk && disk->inflight ? -EAGAIN : q->act(m, disk, d, told, e);
}

static void quiet_fire(struct alarm *a)
{
    struct machine *m = container_of(a, struct machine, quiet.alarm);
    struct err e = {0};
    bool told = false;
    uint64_t next;
    int rc;

    if (m->ended)
        return;
    rc = try_now(m, &told, &next, &e);
    if (rc == -EAGAIN) {
        loop_arm(m->loop, a, next);
        return;
    }
    if (m->quiet.held)
        let_run(m);
    quiet_forget(&m->quiet);
    control_done(m->control, told, rc < 0 ? &e : NULL);
}

int machine_quiet_free(struct machine *m, const char *id, struct err *e)
{
    if (!m->quiet.act)
        return 0;
    return err_exit(e, EX_USAGE_, EBUSY, "%s: a change of %s is still under way; try again", id,
                    m->quiet.id);
}

void machine_quiet_begin(struct machine *m, const char *id, quiet_fn *act)
{
    struct quiet *q = &m->quiet;

    snprintf(q->id, sizeof(q->id), "%s", id);
    q->act = act;
    q->alarm.fire = quiet_fire;
    loop_arm(m->loop, &q->alarm, 0);
}

void machine_quiet_end(struct machine *m)
{
    loop_disarm(m->loop, &m->quiet.alarm);
    quiet_forget(&m->quiet);
}
