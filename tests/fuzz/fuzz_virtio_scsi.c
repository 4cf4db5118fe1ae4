/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio SCSI controller, two units, under a hostile driver; units come and go. */
#include <errno.h>
#include <stdlib.h>

#include "unit.h"

#include "core/err.h"
#include "personas/kvm/scsi.h"
#include "virtio.h"
#include "virtio/memdisk.h"

enum { UNITS = 4 };

struct back {
    struct vscsi *s;
    struct memdisk *m[UNITS]; /* NULL: none, or gone */
};

static void attach(struct fuzz_virtio *z, struct back *k, unsigned lun)
{
    struct memdisk *m = memdisk_create(z->f.env.loop, 65536);
    struct scsi_lun_cfg c = {.disk = &m->d, .id = "disk0", .cdrom = lun == 2};
    struct err e;

    if (scsi_attach(vscsi_target(k->s), lun, &c, &e) < 0)
        disk_close(&m->d);
    else
        k->m[lun] = m;
}

static void create(struct fuzz_virtio *z, const struct virtio_options *o)
{
    static struct back k;
    struct err e;

    k = (struct back){0};
    z->back = &k;
    if (vscsi_create(&z->f.env, o, 2, &k.s, &e) < 0)
        abort();
    attach(z, &k, 0);
    attach(z, &k, 2);
}

static void event(struct fuzz_virtio *z)
{
    struct back *k = z->back;
    uint8_t what = (uint8_t)fuzz_take(z, 1);
    unsigned lun = what >> 4 & 3;
    struct memdisk *m = k->m[lun];
    struct err e;

    switch (what & 7) {
    case 0:
        if (!m)
            attach(z, k, lun);
        break;
    case 1:
        if (m && m->held_count == 0 && scsi_detach(vscsi_target(k->s), lun, &e) == 0)
            k->m[lun] = NULL;
        break;
    case 2:
        if (m)
            scsi_resized(vscsi_target(k->s), lun);
        break;
    case 3:
        if (m)
            m->no_try = !m->no_try;
        break;
    case 4:
        if (m)
            m->hold = m->no_try = true;
        break;
    case 5:
        if (m) {
            m->hold = false;
            memdisk_let_go(m);
        }
        break;
    case 6:
        if (m)
            m->fail = -EIO;
        break;
    case 7:
        if (m)
            m->fail = 0;
        break;
    }
}

static void let_go(struct fuzz_virtio *z)
{
    struct back *k = z->back;

    for (unsigned i = 0; i < UNITS; i++) {
        if (!k->m[i])
            continue;
        k->m[i]->hold = false;
        memdisk_let_go(k->m[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_virtio_target t = {4, create, event, let_go, NULL};

    fuzz_virtio(&t, data, size);
    return 0;
}
