/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio block device and its registers under a hostile driver. */
#include <errno.h>
#include <stdlib.h>

#include "unit.h"

#include "core/err.h"
#include "virtio.h"
#include "virtio/memdisk.h"

static void create(struct fuzz_virtio *z, const struct virtio_options *o)
{
    struct memdisk *m = memdisk_create(z->f.env.loop, 65536);
    struct disk_spec s = {.id = "disk0", .disk = &m->d};
    struct err e;

    z->back = m;
    if (blk_create(&z->f.env, o, &s, 2, &e) < 0)
        abort();
}

static void event(struct fuzz_virtio *z)
{
    struct memdisk *m = z->back;

    switch (fuzz_take(z, 1) % 6) {
    case 0:
        m->no_try = !m->no_try;
        break;
    case 1:
        m->hold = true;
        m->no_try = true;
        break;
    case 2:
        m->hold = false;
        memdisk_let_go(m);
        break;
    case 3:
        m->fail = -EIO;
        break;
    case 4:
        m->fail = -ENOTSUP;
        break;
    case 5:
        m->fail = 0;
        break;
    }
}

static void let_go(struct fuzz_virtio *z)
{
    struct memdisk *m = z->back;

    m->hold = false;
    memdisk_let_go(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_virtio_target t = {2, create, event, let_go, NULL};

    fuzz_virtio(&t, data, size);
    return 0;
}
