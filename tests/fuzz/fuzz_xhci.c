/* SPDX-License-Identifier: Apache-2.0 */
/* A USB controller with a keyboard and a tablet under a hostile driver, while somebody types. */
#include "unit.h"

#include <stdlib.h>

#include "abi/xhci.h"
#include "board/usb/xhci.h"
#include "console/hub.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"
#include "fuzz.h"
#include "input.h"

enum { DEVFN = 1 << 3, PLAY = 64 * 1024, OP = 0x40, RT = 0x1000, DB = 0x2000 };
enum { TABLE = 0x100, CONTEXTS = 0x200, COMMANDS = 0x1000, EVENTS = 0x2000 };

/* As a driver does it, with both ports reset. */
static void start(struct fake_env *f, uint64_t bar)
{
    static const uint8_t table[16] = {0, EVENTS >> 8, 0, 0, 0, 0, 0, 0, 16};

    fake_env_write(f, bar + OP + XHCI_USBCMD, 4, XHCI_CMD_HCRST);
    if (gmem_write(f->env.mem, TABLE, table, sizeof(table)) < 0)
        return;
    fake_env_write(f, bar + OP + XHCI_CONFIG, 4, 8);
    fake_env_write(f, bar + OP + XHCI_DCBAAP, 8, CONTEXTS);
    fake_env_write(f, bar + OP + XHCI_CRCR, 8, COMMANDS | 1);
    fake_env_write(f, bar + RT + XHCI_ERDP, 8, EVENTS);
    fake_env_write(f, bar + RT + XHCI_ERSTBA, 8, TABLE);
    fake_env_write(f, bar + RT + XHCI_IMAN, 4, XHCI_IMAN_IE);
    fake_env_write(f, bar + OP + XHCI_USBCMD, 4, XHCI_CMD_RUN | XHCI_CMD_INTE);
    for (unsigned i = 0; i < 2; i++)
        fake_env_write(f, bar + OP + XHCI_PORTS + 16 * i, 4, XHCI_PORT_PP | XHCI_PORT_PR);
}

static void step(struct fake_env *f, struct hub *hub, uint64_t bar, struct input *in)
{
    static const unsigned base[4] = {OP, RT, OP + XHCI_PORTS, DB};
    struct pointer_event ev = {.x = 5, .y = 6};
    uint32_t what = take(in, 1), off;

    switch (what & 7) {
    case 0:
        off = base[what >> 3 & 3] + (take(in, 1) & 0x7c);
        fake_env_write(f, bar + off, 4, take(in, 4));
        break;
    case 1: /* a doorbell */
        fake_env_write(f, bar + DB + (what >> 3 & 3) * 4, 4, take(in, 1));
        break;
    case 2:
        (void)fake_env_read(f, bar + base[what >> 3 & 3] + (take(in, 1) & 0x7c), 4);
        break;
    case 3:
        hub_key(hub, take(in, 1), what & 8);
        hub_move(hub, &ev);
        break;
    case 4: /* events are taken */
        fake_env_write(f, bar + RT + XHCI_ERDP, 8, EVENTS + (what >> 3) % 16 * 16 + 8);
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
    struct hub *hub;
    struct fake_env f;
    uint64_t bar[6];
    struct err e;

    fake_env_create(&f, 1 * MiB);
    if (hub_create(f.env.loop, &hub, &e) < 0 || xhci_add_input(&f.env, hub, &e) < 0)
        abort();
    fake_pci_map(&f, DEVFN, bar);
    while (in.n)
        step(&f, hub, bar[0], &in);
    fake_env_run(&f);
    fake_env_destroy(&f);
    hub_destroy(hub);
    return 0;
}
