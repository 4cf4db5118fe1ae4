/* SPDX-License-Identifier: Apache-2.0 */
/* The emulated network cards under a hostile driver: the first byte picks the model. */
#include "unit.h"

#include <stdlib.h>

#include "board/nic/nic.h"
#include "core/err.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"
#include "fuzz.h"
#include "input.h"
#include "virtio/loopnet.h"

enum { DEVFN = 1 << 3, PLAY = 64 * 1024 /* bytes of memory that are written */ };

/* A register of the first BAR that is there, or by the ports of the other. */
static void access_register(struct fake_env *f, const uint64_t bar[6], uint32_t what,
                            struct input *in)
{
    unsigned size = 1u << (what >> 5 & 3), off = take(in, 2) & 0x7fff;

    size = size > 4 ? 4 : size;
    off -= off % size;
    if (what & 0x10) /* the first card's ports are behind its registers, the others' before */
        fake_env_out(f, (bar[1] < 0x10000 ? bar[1] : bar[0]) + (off & 0xff), size, take(in, 4));
    else if (what & 0x80)
        (void)fake_env_read(f, (bar[0] < 0x10000 ? bar[1] : bar[0]) + off, size);
    else
        fake_env_write(f, (bar[0] < 0x10000 ? bar[1] : bar[0]) + off, size, take(in, 4));
}

static void step(struct fake_env *f, struct loopnet *net, const uint64_t bar[6], struct input *in)
{
    static uint8_t frame[18000];
    uint32_t what = take(in, 1), v;

    switch (what & 7) {
    case 3:
        v = take(in, 2) % sizeof(frame);
        memset(frame, take(in, 1) & 1 ? 0xff : 0x52, 6);
        if (v >= 14)
            loopnet_offer(net, frame, v, NULL);
        break;
    case 4:
        net->full = what >> 3 & 1;
        if (!net->full)
            net->ev->writable(net->arg);
        break;
    case 5:
        fake_env_run(f);
        break;
    case 6:
        if (what & 0x80)
            fake_env_advance(f, 1000000);
        else
            net->ev->link(net->arg, what >> 3 & 1);
        break;
    case 7:
        take_memory(in, f->env.mem, PLAY);
        break;
    default:
        access_register(f, bar, what, in);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t mac[6] = {0x52, 0x52, 0x52, 0x52, 0x52, 0x52};
    struct input in = input_of(data, size);
    struct nic_cfg c = {.mac = mac, .devfn = DEVFN};
    unsigned models = 1, which;
    struct loopnet *net;
    uint64_t bar[6];
    struct fake_env f;
    struct err e;

    while (nic_models[models])
        models++;
    which = take(&in, 1);
    c.model = nic_models[(which & 0x7f) % models]->name;
    fake_env_create(&f, 1 * MiB);
    net = loopnet_create(f.env.loop);
    net->tx_caps = which & 0x80 ? NET_CSUM | NET_TSO4 | NET_TSO6 : 0;
    c.netif = &net->n;
    if (nic_create(&f.env, &c, &e) < 0)
        abort();
    fake_pci_map(&f, DEVFN, bar);
    while (in.n)
        step(&f, net, bar, &in);
    fake_env_run(&f);
    fake_env_destroy(&f);
    return 0;
}
