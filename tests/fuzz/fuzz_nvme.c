/* SPDX-License-Identifier: Apache-2.0 */
/* An NVMe controller with two namespaces under a hostile driver. */
#include "unit.h"

#include <stdlib.h>

#include "abi/nvme.h"
#include "board/nvme/nvme.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_mem_disk.h"
#include "fakes/fake_pci.h"
#include "fuzz.h"
#include "input.h"

enum { DEVFN = 1 << 3, PLAY = 64 * 1024, ASQ = 0, ACQ = 0x1000, SQ = 0x2000, CQ = 0x3000 };

static void wr(struct fake_env *f, uint64_t bar, unsigned reg, uint32_t v)
{
    fake_env_write(f, bar + reg, 4, v);
}

/* As a driver does it: admin queues, a pair of I/O queues. */
static void start(struct fake_env *f, uint64_t bar)
{
    static const struct nvme_sqe make[] = {
        {.opcode = NVME_CREATE_IO_CQ, .prp1 = {{0, 0x30}}, .cdw10 = {{1, 0, 15}}, .cdw11 = {{3}}},
        {.opcode = NVME_CREATE_IO_SQ,
         .prp1 = {{0, 0x20}},
         .cdw10 = {{1, 0, 15}},
         .cdw11 = {{1, 0, 1}}},
    };

    wr(f, bar, NVME_CC, 0);
    fake_env_run(f);
    wr(f, bar, NVME_AQA, 0x000f000f);
    wr(f, bar, NVME_ASQ, ASQ);
    wr(f, bar, NVME_ACQ, ACQ);
    wr(f, bar, NVME_CC, NVME_CC_EN);
    if (gmem_write(f->env.mem, ASQ, make, sizeof(make)) == 0)
        wr(f, bar, NVME_DOORBELLS, 2);
    wr(f, bar, NVME_DOORBELLS + 4, 2);
}

static void step(struct fake_env *f, struct mem_disk *d, uint64_t bar, struct input *in)
{
    uint32_t what = take(in, 1), off;

    switch (what & 7) {
    case 0:
        off = take(in, 1) & 0x3c;
        wr(f, bar, off, take(in, 4));
        break;
    case 1:
    case 2: /* a doorbell of the first four queues */
        wr(f, bar, NVME_DOORBELLS + (what >> 3 & 7) * 4, take(in, 1));
        break;
    case 3:
        (void)fake_env_read(f, bar + (take(in, 1) & 0x3c), 4);
        break;
    case 4:
        d->slow = what & 0x08;
        d->hold = what & 0x10;
        d->fail = what & 0x20 ? -5 : 0;
        if (!d->hold)
            mem_disk_release(d);
        break;
    case 5:
        fake_env_run(f);
        break;
    case 6:
        start(f, bar);
        break;
    default:
        take_memory(in, f->env.mem, PLAY);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input_of(data, size);
    struct nvme_cfg c = {.id = "disk0"};
    struct mem_disk *d[2];
    struct nvme *n = NULL;
    uint64_t bar[6];
    struct fake_env f;
    struct err e;

    fake_env_create(&f, 1 * MiB);
    for (unsigned i = 0; i < 2; i++) {
        d[i] = mem_disk_create(f.env.loop, 64 * KiB);
        c.disk = &d[i]->disk;
        if (nvme_add(&f.env, &n, &c, &e) < 0)
            abort();
    }
    fake_pci_map(&f, DEVFN, bar);
    while (in.n)
        step(&f, d[0], bar[0], &in);
    d[0]->hold = false;
    mem_disk_release(d[0]);
    fake_env_run(&f);
    fake_env_destroy(&f);
    return 0;
}
