/* SPDX-License-Identifier: Apache-2.0 */
/* The VGA under a hostile driver, with a viewer that looks at any time. */
#include "unit.h"

#include <stdlib.h>

#include "board/legacy/vga.h"
#include "console/hub.h"
#include "core/err.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"
#include "fuzz.h"
#include "input.h"

enum { DEVFN = 2 << 3 };

static void look(struct hub *hub)
{
    struct image img;
    struct err e;

    if (hub_image(hub, &img, &e) == 0)
        free(img.pixels);
}

static void step(struct fake_env *f, struct hub *hub, const uint64_t bar[6], struct input *in)
{
    static const uint16_t ports[] = {0x3c0, 0x3c2, 0x3c4, 0x3ce, 0x3d4, 0x3b4, 0x3c8, 0x3c9};
    uint32_t what = take(in, 1);
    unsigned size = 1u << (what >> 4 & 1), looks = 0;

    switch (what & 7) {
    case 0:
    case 1:
        fake_env_out(f, ports[what >> 5], 2, take(in, 2));
        break;
    case 2:
        fake_env_out(f, 0x1ce, 2, take(in, 1) % 12);
        fake_env_out(f, 0x1cf, 2, take(in, 2));
        break;
    case 3:
        fake_env_write(f, 0xa0000 + take(in, 3) % 0x20000, size, take(in, size));
        break;
    case 4:
        (void)fake_env_read(f, 0xa0000 + take(in, 3) % 0x20000, size);
        break;
    case 5:
        fake_env_write(f, bar[2] + (take(in, 2) & 0xffe), 2, take(in, 2));
        break;
    case 6:
        fake_env_out(f, 0x3b0 + take(in, 1) % 0x30, 1, take(in, 1));
        (void)fake_env_in(f, 0x3b0 + (what >> 3), 1);
        break;
    default:
        if (looks++ < 20)
            look(hub);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size < 512 ? size : 512};
    struct fake_env f;
    struct hub *hub;
    uint64_t bar[6];
    struct err e;

    fake_env_create(&f, 512 * KiB);
    if (hub_create(f.env.loop, &hub, &e) < 0 || vga_create(&f.env, hub, VGA_DARK, &e) < 0)
        abort();
    fake_pci_map(&f, DEVFN, bar);
    while (in.n)
        step(&f, hub, bar, &in);
    look(hub);
    fake_env_destroy(&f);
    hub_destroy(hub);
    return 0;
}
