/* SPDX-License-Identifier: Apache-2.0 */
/* Floppy and DMA controllers under a hostile driver. */
#include "unit.h"

#include <stdlib.h>

#include "board/legacy/dma.h"
#include "board/legacy/floppy.h"
#include "core/err.h"
#include "fakes/fake_env.h"
#include "fakes/fake_mem_disk.h"
#include "fuzz.h"

static uint16_t port(uint8_t what)
{
    static const uint16_t fdc[] = {0x3f2, 0x3f4, 0x3f5, 0x3f5, 0x3f5, 0x3f5, 0x3f7, 0x3f0};

    if (what < 0x80)
        return fdc[what & 7];
    return (uint16_t)(what & 0x40   ? 0x80 + (what & 15)
                      : what & 0x20 ? 0xc0 + (what & 31)
                                    : what & 15);
}

static void step(struct fake_env *f, struct device *fdc, struct mem_disk *d, const uint8_t *p)
{
    switch (p[0] & 7) {
    case 0 ... 3:
        fake_env_out(f, port(p[1]), 1, p[2]);
        break;
    case 4:
    case 5:
        (void)fake_env_in(f, port(p[1]), 1u << (p[2] & 1));
        break;
    case 6:
        d->hold = p[1] & 1;
        d->fail = p[1] & 2 ? -5 : 0;
        d->disk.shape.readonly = p[1] & 4;
        if (!d->hold)
            (void)mem_disk_release(d);
        break;
    default:
        fake_env_run(f);
        if (p[1] & 1) { /* another disk, or none; what was asked for may still be under way */
            d->disk.shape.bytes = (p[2] & 3) * 120 * KiB;
            floppy_changed(fdc, &d->disk);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct device *dma, *fdc;
    struct mem_disk *disk;
    struct fake_env f;
    struct err e;

    fake_env_create(&f, 256 * KiB);
    disk = mem_disk_create(f.env.loop, 360 * KiB);
    if (dma_create(&f.env, &dma, &e) < 0 || floppy_create(&f.env, dma, &fdc, &e) < 0 ||
        floppy_attach(fdc, &disk->disk, "disk0", &e) < 0)
        abort();
    for (size_t i = 0; i + 3 <= size && i < 3000; i += 3)
        step(&f, fdc, disk, data + i);
    disk->hold = false;
    fake_env_run(&f);
    (void)mem_disk_release(disk);
    fdc->ops->destroy(fdc);
    dma->ops->destroy(dma);
    fake_env_destroy(&f);
    return 0;
}
