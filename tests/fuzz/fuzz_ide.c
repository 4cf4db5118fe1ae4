/* SPDX-License-Identifier: Apache-2.0 */
/* The IDE function with a disk and a CD-ROM drive under a hostile driver. */
#include "unit.h"

#include <stdlib.h>

#include "board/legacy/ide.h"
#include "core/err.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"
#include "fuzz.h"
#include "input.h"
#include "mood.h"

enum { DEVFN = 9, PLAY = 64 * 1024 };

static uint64_t port(const uint64_t bar[6], unsigned what)
{
    static const uint16_t base[] = {0x1f0, 0x170, 0x3f6, 0x376};

    return what & 0x80 ? bar[4] + (what & 15) : base[what >> 3 & 3] + (what & 16 ? 0u : what & 7u);
}

static void step(struct fake_env *f, struct mem_disk *d, const uint64_t bar[6], struct input *in)
{
    uint32_t what = take(in, 1), at, n;
    unsigned size = 1u << (what >> 3 & 3) % 3;

    switch (what & 7) {
    case 0:
    case 1:
    case 2:
        at = take(in, 1);
        fake_env_out(f, port(bar, at), size, take(in, size));
        break;
    case 3:
        (void)fake_env_in(f, port(bar, take(in, 1)), size);
        break;
    case 4: /* a run of data */
        at = port(bar, what >> 3 & 8) & 0xfff0;
        for (n = take(in, 1) * 4; n; n--)
            (void)(what & 0x80 ? fake_env_in(f, at, 4) : (fake_env_out(f, at, 4, n), 0));
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
    struct ide_unit_cfg c = {.id = "disk0"}, cd = {.id = "cdrom1", .cdrom = true};
    struct input in = input_of(data, size);
    struct mem_disk *disk;
    struct ide *ide;
    uint64_t bar[6];
    struct fake_env f;
    struct err e;

    fake_env_create(&f, 1 * MiB);
    disk = mem_disk_create(f.env.loop, 64 * KiB);
    c.disk = &disk->disk;
    cd.disk = &mem_disk_create(f.env.loop, 256 * KiB)->disk;
    if (ide_create(&f.env, &ide, &e) < 0 || ide_attach(ide, 0, &c, &e) < 0 ||
        ide_attach(ide, 2, &cd, &e) < 0)
        abort();
    fake_pci_map(&f, DEVFN, bar);
    while (in.n)
        step(&f, disk, bar, &in);
    disk->hold = false;
    fake_env_run(&f);
    (void)mem_disk_release(disk);
    fake_env_destroy(&f);
    return 0;
}
