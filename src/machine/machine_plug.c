/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_plug.c - disks and cards that come and go, and processors that come, while the guest
 * runs.
 *
 * A disk behind a controller goes at once; one that is a PCI function of its own is asked back, and
 * goes when the guest gives up its slot.
 *
 * They are no part of the plan: the machine forgets them when it ends. Ids go on counting after the
 * plan's, so that none is ever used twice. Threads: the loop's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/pci.h"
#include "core/cfg.h"
#include "core/log.h"
#include "machine/machine_priv.h"
#include "storage/disk.h"
#include "storage/filter/filter.h"

int machine_image_open(struct machine *m, const struct plan_disk *d, struct disk **out,
                       char about[MACHINE_ABOUT], struct err *e)
{
    struct disk_cfg c = {
        .path = d->path,
        .format = d->format,
        .readonly = d->cdrom || d->write == PLAN_READONLY,
        .snapshot = !d->cdrom && d->write == PLAN_SNAPSHOT,
        .allow_outside = d->outside,
        .within = d->within,
    };
    int rc;

    *out = NULL;
    snprintf(about, MACHINE_ABOUT, "empty");
    if (!d->path)
        return 0;
    rc = disk_open(&c, m->loop, out, e);
    if (rc == 0)
        snprintf(about, MACHINE_ABOUT, "%s, %s", (*out)->kind,
                 c.snapshot   ? "changes are thrown away"
                 : c.readonly ? "read-only"
                              : "written to");
    return rc;
}

/* A drive holds a tray, and the tray its disc. */
static int put_on_tray(struct machine *m, struct disk **disk, struct err *e)
{
    struct disk *disc = *disk;
    int rc = tray_create(disc, m->loop, disk, e);

    if (rc < 0)
        disk_close(disc);
    return rc;
}

int machine_disk_open(struct machine *m, const struct plan_disk *d, const char *id,
                      struct disk_spec *s, char about[MACHINE_ABOUT], struct err *e)
{
    int rc;

    *s = (struct disk_spec){.bus = d->bus,
                            .serial = d->serial,
                            .cdrom = d->cdrom,
                            .id = id,
                            .controller = d->controller,
                            .unit = d->unit};
    rc = machine_image_open(m, d, &s->disk, about, e);
    if (rc == 0 && plan_drive(d))
        rc = put_on_tray(m, &s->disk, e);
    if (rc < 0)
        return rc;
    rc = cfg_create(&s->opts, e);
    if (rc == 0 && d->opts)
        rc = cfg_parse(s->opts, d->opts, NULL, e);
    if (rc < 0) {
        cfg_destroy(s->opts);
        disk_close(s->disk);
    }
    return rc;
}

/* The PCI function that is the disk itself; NULL: it is behind a controller. */
static struct pci_dev *function_of(struct machine *m, const struct plugged *k)
{
    struct pci_bus *pci = board_env(m->board)->pci;

    for (unsigned devfn = 0; devfn < PCI_PLACES; devfn++) {
        struct pci_dev *p = pci_at(pci, devfn);

        if (p && p->dev.env.id && strcmp(p->dev.env.id, k->id) == 0)
            return p;
    }
    return NULL;
}

/* With every vCPU held: one of them may be inside the device. */
static void remove_function(struct machine *m, struct pci_dev *p)
{
    machine_cpus_order(m, CPU_HOLD);
    pci_remove(p);
    p->dev.ops->destroy(&p->dev);
    if (!m->asleep && !__atomic_load_n(&m->halt, __ATOMIC_ACQUIRE))
        machine_cpus_order(m, CPU_RUN);
}

static int plug_function(struct machine *m, struct plugged *k, struct err *e)
{
    struct pci_dev *p = function_of(m, k);

    if (!p)
        return 0;
    if (board_plug_came(m->board, p) == 0) {
        k->slot = (int)pci_place(p);
        return 0;
    }
    remove_function(m, p);
    return err_set(e, ENOTSUP,
                   "%s: the guest cannot be told of a PCI device that comes: start it with "
                   "--machine q35 or --persona kvm,hotplug%s",
                   k->path, k->nic ? "" : ", or give the disk bus=scsi");
}

void machine_ejected(struct machine *m, unsigned slot)
{
    for (size_t i = 0; i < PLAN_MAX_DISKS; i++) {
        struct plugged *k = &m->plugged[i];
        struct pci_dev *p = k->path && k->slot == (int)slot ? function_of(m, k) : NULL;

        if (!p)
            continue;
        remove_function(m, p);
        log_line(LOG_INFO, "machine", "the guest gave %s back", k->id);
        free(k->path);
        *k = (struct plugged){.path = NULL};
    }
}

static int plug(struct machine *m, const struct plan_disk *d, struct plugged *k, struct err *e)
{
    struct disk_spec s;
    int rc;

    if (plan_drive(d))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s: a drive cannot come while a guest runs; see hospes disc", d->path);
    k->path = strdup(d->path);
    if (!k->path)
        return err_set(e, ENOMEM, "no memory for a disk");
    snprintf(k->id, sizeof(k->id), "disk%zu", m->plan->disks + m->plugged_ever);
    rc = machine_disk_open(m, d, k->id, &s, k->about, e);
    if (rc < 0)
        return rc;
    rc = m->persona->ops->plug_disk(m->persona, &s, e);
    if (rc < 0)
        disk_close(s.disk);
    else
        k->disk = s.disk;
    cfg_destroy(s.opts);
    return rc < 0 ? rc : plug_function(m, k, e);
}

/* For one more thing that comes; NULL: no room. */
static struct plugged *plugged_new(struct machine *m, struct err *e)
{
    for (size_t i = 0; i < PLAN_MAX_DISKS; i++) {
        if (!m->plugged[i].path)
            return &m->plugged[i];
    }
    err_set(e, ENOSPC, "%d devices were attached already: detach one", PLAN_MAX_DISKS);
    return NULL;
}

/* It came, or (rc < 0) its place is free again. */
static int plugged_end(struct machine *m, struct plugged *k, int rc, const char **id)
{
    if (rc < 0) {
        free(k->path);
        *k = (struct plugged){.path = NULL};
        return rc;
    }
    m->plugged_ever++;
    *id = k->id;
    return 0;
}

static int plug_nic(struct machine *m, struct plan_nic *n, struct plugged *k, struct err *e)
{
    int rc;

    k->nic = true;
    k->path = strdup(n->backend);
    if (!k->path)
        return err_set(e, ENOMEM, "no memory for a network card");
    snprintf(k->id, sizeof(k->id), "nic%zu", m->plan->nics + m->plugged_ever);
    if (!n->mac_said)
        plan_mac_of(m->plan, m->plugged_ever, n->mac);
    rc = machine_add_nic(m, n, k->id, m->persona->ops->plug_nic, e);
    return rc < 0 ? rc : plug_function(m, k, e);
}

int machine_attach_nic(struct machine *m, const char *spec, const char **id, struct err *e)
{
    struct plugged *k;
    struct plan p;
    int rc;

    if (!m->persona->ops->plug_nic)
        return err_set(e, ENOTSUP, "persona %s takes no network cards while its guest runs",
                       m->persona->ops->name);
    k = plugged_new(m, e);
    if (!k)
        return -ENOSPC;
    plan_init(&p);
    rc = plan_add_nic(&p, spec, e);
    if (rc == 0 && p.nics == 0) /* none */
        rc = err_exit(e, EX_USAGE_, EINVAL,
                      "a card that comes has a network: user, tap=NAME or socket=PATH");
    if (rc == 0)
        rc = plug_nic(m, &p.nic[0], k, e);
    plan_free(&p);
    return plugged_end(m, k, rc, id);
}

int machine_attach(struct machine *m, const char *spec, const char **id, struct err *e)
{
    struct plugged *k;
    struct plan p;
    int rc;

    if (!m->persona->ops->plug_disk)
        return err_set(e, ENOTSUP, "persona %s takes no disks while its guest runs",
                       m->persona->ops->name);
    k = plugged_new(m, e);
    if (!k)
        return -ENOSPC;
    plan_init(&p);
    rc = plan_add_disk(&p, spec, e);
    if (rc == 0)
        rc = plug(m, &p.disk[0], k, e);
    plan_free(&p);
    return plugged_end(m, k, rc, id);
}

int machine_detach(struct machine *m, const char *id, struct err *e)
{
    int rc;

    if (!m->persona->ops->unplug_disk)
        return err_set(e, ENOTSUP, "persona %s gives no disks back while its guest runs",
                       m->persona->ops->name);
    for (size_t i = 0; i < PLAN_MAX_DISKS; i++) {
        const struct plugged *k = &m->plugged[i];

        if (k->path && k->slot && strcmp(k->id, id) == 0) {
            board_plug_ask(m->board, function_of(m, k));
            return 1;
        }
    }
    rc = m->persona->ops->unplug_disk(m->persona, id, e);
    for (size_t i = 0; i < PLAN_MAX_DISKS && rc == 0; i++) {
        if (m->plugged[i].path && strcmp(m->plugged[i].id, id) == 0) {
            free(m->plugged[i].path);
            m->plugged[i].path = NULL;
        }
        if (strcmp(m->disk_id[i], id) == 0)
            m->disk[i] = NULL;
    }
    return rc;
}

int machine_add_cpus(struct machine *m, uint64_t n, struct err *e)
{
    unsigned had = m->cpus, max = machine_cpus_max(m->plan);
    char text[80];
    int rc;

    if (!machine_adds_cpus(m->plan))
        return err_set(e, ENOTSUP, "persona %s gives no processors to a guest that runs",
                       m->persona->ops->name);
    if (n > max)
        return err_set(e, ENOTSUP,
                       "this machine can come to %u processors: start it with --cpus %u,max=%llu",
                       max, m->plan->cpus, (unsigned long long)n);
    if (n <= had)
        return err_set(e, EINVAL, "it has %u already, and none is taken away", had);
    if (!m->started_ns || m->ended || m->asleep)
        return err_set(e, EBUSY, "the guest does not run now");
    machine_cpus_order(m, CPU_HOLD);
    rc = machine_cpus_start(m, (unsigned)n, e);
    if (!__atomic_load_n(&m->halt, __ATOMIC_ACQUIRE))
        machine_cpus_order(m, CPU_RUN);
    if (m->cpus > had)
        board_cpus_came(m->board, m->cpus);
    if (rc < 0)
        return rc;
    snprintf(text, sizeof(text), "it was told that it has %u processors now", m->cpus);
    machine_answered(m, true, text);
    return 0;
}

void machine_unplug_all(struct machine *m)
{
    for (size_t i = 0; i < PLAN_MAX_DISKS; i++)
        free(m->plugged[i].path);
}
