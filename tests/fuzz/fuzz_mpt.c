/* SPDX-License-Identifier: Apache-2.0 */
/* The Fusion-MPT controllers under a hostile driver: doorbell, queues and memory in any order. */
#include "unit.h"

#include <stdlib.h>

#include "abi/mpt.h"
#include "core/err.h"
#include "fakes/fake_env.h"
#include "fakes/fake_mem_disk.h"
#include "fakes/fake_pci.h"
#include "fuzz.h"
#include "input.h"
#include "personas/vmware/mpt.h"

enum { DEVFN = 2 << 3, PLAY = 64 * 1024 /* bytes of memory that are written */ };

/* A message by the doorbell, and its answer. */
static void message(struct fake_env *f, uint64_t bar, struct input *in)
{
    unsigned words = take(in, 1) & 31;

    fake_env_write(f, bar, 4, (uint32_t)MPI_FUNCTION_HANDSHAKE << 24 | words << 16);
    for (unsigned i = 0; i < words; i++)
        fake_env_write(f, bar, 4, take(in, 4));
    for (unsigned i = 0; i < 12; i++)
        (void)fake_env_read(f, bar, 4);
    fake_env_write(f, bar + MPI_HOST_INTERRUPT_STATUS_OFFSET, 4, 0);
}

static void plug(struct fake_env *f, struct mpt *p, unsigned what)
{
    struct scsi_lun_cfg c = {.id = "more"};
    struct mem_disk *more;
    struct err e;

    if (what & 1) {
        more = mem_disk_create(f->env.loop, 64 * KiB);
        more->slow = what & 2;
        c.disk = &more->disk;
        if (units_attach(mpt_units(p), what >> 2, &c, &e) < 0)
            disk_close(&more->disk);
    } else if (units_detach(mpt_units(p), what >> 2, &e) == 0) {
        fake_env_run(f);
    }
}

static void step(struct fake_env *f, struct mpt *p, uint64_t bar, struct input *in)
{
    static const uint8_t queue[] = {MPI_REQUEST_POST_FIFO_OFFSET, MPI_REPLY_FIFO_OFFSET,
                                    MPI_HI_PRI_REQUEST_QUEUE_OFFSET, MPI_DOORBELL_OFFSET};
    uint32_t what = take(in, 1), off;

    switch (what & 7) {
    case 0:
        off = take(in, 1) & 0xfc;
        fake_env_write(f, bar + off, 4, take(in, 4));
        break;
    case 1:
    case 2:
        fake_env_write(f, bar + queue[what >> 3 & 3], 4, take(in, 2));
        break;
    case 3:
        (void)fake_env_read(f, bar + (take(in, 1) & 0xfc), 4);
        break;
    case 4:
        message(f, bar, in);
        break;
    case 5:
        plug(f, p, take(in, 1) & 0x3f);
        break;
    case 6:
        fake_env_run(f);
        break;
    default:
        take_memory(in, f->env.mem, PLAY);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scsi_lun_cfg c = {.id = "disk0"};
    struct input in = input_of(data, size);
    uint64_t bar[6];
    struct fake_env f;
    struct mpt *p;
    struct err e;

    fake_env_create(&f, 1 * MiB);
    if (mpt_create(&f.env, take(&in, 1) & 1 ? MPT_SAS1068 : MPT_53C1030, 0, &p, &e) < 0)
        abort();
    c.disk = &mem_disk_create(f.env.loop, 64 * KiB)->disk;
    if (units_attach(mpt_units(p), 0, &c, &e) < 0 || pci_add(f.env.pci, mpt_pci(p), DEVFN, &e) < 0)
        abort();
    fake_pci_map(&f, DEVFN, bar);
    while (in.n)
        step(&f, p, bar[1], &in);
    fake_env_run(&f);
    fake_env_destroy(&f);
    return 0;
}
