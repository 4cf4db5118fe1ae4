/* SPDX-License-Identifier: Apache-2.0 */
/* The SATA controller with a disk and a CD-ROM drive under a hostile driver. */
#include "unit.h"

#include <stdlib.h>

#include "abi/ahci.h"
#include "board/legacy/ahci.h"
#include "core/err.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"
#include "fuzz.h"
#include "input.h"
#include "mood.h"

enum { DEVFN = 1 << 3, PLAY = 16 * 1024, LIST = 0, RECEIVED = 0x1000 };

static void start(struct fake_env *f, uint64_t port)
{
    fake_env_write(f, port + PX_CLB, 4, LIST);
    fake_env_write(f, port + PX_FB, 4, RECEIVED);
    fake_env_write(f, port + PX_CMD, 4, CMD_FRE);
    fake_env_write(f, port + PX_CMD, 4, CMD_FRE | CMD_ST);
}

static void step(struct fake_env *f, struct mem_disk *d, uint64_t base, struct input *in)
{
    uint32_t what = take(in, 1);
    uint64_t port = base + HBA_PORTS + (what >> 3 & 1) * HBA_PORT_SIZE;

    switch (what & 7) {
    case 0:
        start(f, port);
        break;
    case 1:
        fake_env_write(f, port + (what >> 4) * 4, 4, take(in, 4));
        break;
    case 2: /* slots go, some of them queued */
        fake_env_write(f, port + PX_SACT, 4, take(in, 1));
        fake_env_write(f, port + PX_CI, 4, take(in, 1));
        break;
    case 3:
        (void)fake_env_read(f, base + take(in, 2) % 4096, 1u << (what >> 4 & 3));
        break;
    case 4:
        fake_env_write(f, base + (what >> 4) * 4, 4, take(in, 4));
        break;
    case 5:
        disk_mood(d, what);
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
    struct ahci_port_cfg c = {.id = "disk0"}, cd = {.id = "cdrom1", .cdrom = true};
    struct input in = input_of(data, size);
    struct ahci *hba = NULL;
    struct mem_disk *disk;
    struct fake_env f;
    uint64_t bar[6];
    struct err e;

    fake_env_create(&f, 256 * KiB);
    disk = mem_disk_create(f.env.loop, 64 * KiB);
    c.disk = &disk->disk;
    cd.disk = &mem_disk_create(f.env.loop, 64 * KiB)->disk;
    if (ahci_add(&f.env, &hba, &c, &e) < 0 || ahci_add(&f.env, &hba, &cd, &e) < 0)
        abort();
    fake_pci_map(&f, DEVFN, bar);
    while (in.n)
        step(&f, disk, bar[5], &in);
    disk->hold = false;
    (void)mem_disk_release(disk);
    fake_env_run(&f);
    (void)mem_disk_release(disk);
    fake_env_destroy(&f);
    return 0;
}
