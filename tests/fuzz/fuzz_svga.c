/* SPDX-License-Identifier: Apache-2.0 */
/* SVGA II under a hostile driver: registers and the FIFO in any order, and somebody who looks. */
#include "unit.h"

#include <stdlib.h>

#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"
#include "fuzz.h"
#include "input.h"
#include "personas/vmware/svga.h"

enum { DEVFN = 1 << 3, MAX_LOOKS = 4 };

static void look(struct hub *hub)
{
    struct image img;
    struct err e;

    if (hub_image(hub, &img, &e) == 0)
        free(img.pixels);
}

static void step(struct fake_env *f, struct hub *hub, uint64_t ports, uint32_t *fifo,
                 struct input *in, unsigned *looks)
{
    uint32_t what = take(in, 1), at, n;

    switch (what & 3) {
    case 0:
        fake_env_out(f, ports + SVGA_INDEX_PORT, 4, take(in, 1));
        fake_env_out(f, ports + SVGA_VALUE_PORT, 4, take(in, 4));
        break;
    case 1:
        fake_env_out(f, ports + SVGA_INDEX_PORT, 4, take(in, 1));
        (void)fake_env_in(f, ports + SVGA_VALUE_PORT, 4);
        break;
    case 2:
        at = take(in, 2) % (SVGA_FIFO_BYTES / 4 - 64);
        n = what >> 2;
        for (uint32_t i = 0; i < n && in->n; i++)
            fifo[at + i] = take(in, 4);
        break;
    default:
        fake_env_run(f);
        if ((*looks)++ < MAX_LOOKS)
            look(hub);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input_of(data, size);
    unsigned looks = 0;
    struct hub *hub;
    uint64_t bar[6];
    struct fake_env f;
    uint32_t *fifo;
    struct err e;

    fake_env_create(&f, 1 * MiB);
    if (hub_create(f.env.loop, &hub, &e) < 0 || svga_create(&f.env, hub, &e) < 0)
        abort();
    fake_pci_map(&f, DEVFN, bar);
    fifo = gmem_shared(f.env.mem, bar[2], SVGA_FIFO_BYTES);
    if (!fifo)
        abort();
    while (in.n)
        step(&f, hub, bar[0], fifo, &in, &looks);
    fake_env_run(&f);
    fake_env_destroy(&f);
    hub_destroy(hub);
    return 0;
}
