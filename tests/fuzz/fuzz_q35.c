/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration space of a q35 by ports and in memory, which its guest moves, and cards that
 * come behind its ports and go when the guest has switched them off. What the guest gives up was
 * there, and came while it ran.
 */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "board/board.h"
#include "board/layout.h"
#include "board/pci.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_env.h"

enum { OPS_MAX = 2000, RAM = 2 << 20 };

static struct fake_irqs irqs;
static struct board_cfg cfg;
static struct board *b;
static struct pci_dev *came[PCI_PORTS]; /* by port */
static unsigned given_up;               /* bits of ports whose cards the machine shall take */

static void event(void *arg, enum board_event what, unsigned value, const char *text)
{
    unsigned n = value - PCI_PLACE_PORT - 1;

    if (what != BOARD_EJECT)
        return;
    assert(value > PCI_PLACE_PORT && n < PCI_PORTS && came[n] && !(given_up >> n & 1));
    given_up |= 1u << n;
}

static void destroy(struct device *d)
{
    free(d);
}

static void nothing(struct device *d)
{
}

static void io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
               uint64_t *val)
{
    assert(off + size <= 4096);
}

static const struct device_ops card_ops = {
    .name = "card", .destroy = destroy, .reset = nothing, .io = io};

static void come(void)
{
    static const struct pci_id id = {0x1af4, 0x1041, 0x1af4, 1, 0x02000000};
    struct pci_dev *p = calloc(1, sizeof(*p));
    struct err e = {0};

    assert(p);
    pci_init(p, &card_ops, board_env(b), &id);
    p->bar[0] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = 4096};
    if (pci_add(board_env(b)->pci, p, -1, &e) < 0) {
        free(p);
        return;
    }
    assert(p->port && !came[p->port - 1]);
    came[p->port - 1] = p;
    assert(board_plug_came(b, p) == 0);
}

/* What the machine does, on its loop. */
static void take(void)
{
    for (unsigned n = 0; n < PCI_PORTS; n++) {
        if (!(given_up >> n & 1))
            continue;
        pci_remove(came[n]);
        free(came[n]);
        came[n] = NULL;
    }
    given_up = 0;
}

static void place(void)
{
    static const struct board_tables said;
    struct err e = {0};

    assert(board_place(b, &said, &e) == 0);
}

static void access_to(enum bus_kind kind, uint64_t at, unsigned size, enum access dir, uint64_t v)
{
    bus_access(board_bus(b, kind), at, size, dir, &v);
}

/* Mostly the bridges, the ports and what is behind them. */
static uint32_t function(uint8_t x)
{
    static const uint8_t devfn[] = {0, 31 << 3, 28 << 3, 28 << 3 | 1, 28 << 3 | 5};

    return x % 8 < 5 ? devfn[x % 8] : (uint32_t)(x % 8 - 4) << 8;
}

static void step(const uint8_t *p)
{
    unsigned size = 1u << (p[0] >> 4) % 3;
    uint32_t at = function(p[1]) << 8 | (p[2] & 0xfc), v = p[3] | (uint32_t)p[4] << 24;

    switch (p[0] & 15) {
    case 0 ... 5:
        access_to(BUS_PIO, 0xcf8, 4, ACC_WRITE, UINT32_C(0x80000000) | at);
        access_to(BUS_PIO, 0xcfc + (p[2] & 3), size, ACC_WRITE, (uint64_t)v | p[4] << 8);
        break;
    case 6 ... 8:
        access_to(BUS_PIO, 0xcf8, 4, ACC_WRITE, UINT32_C(0x80000000) | at);
        access_to(BUS_PIO, 0xcfc + (p[2] & 3), size, ACC_READ, 0);
        break;
    case 9:
    case 10:
        at = function(p[1]) << 12 | p[2] | (p[3] & 15u) << 8;
        access_to(BUS_MMIO, ((uint64_t)(p[4] & 0xf0) << 24) + at, size,
                  p[0] & 1 ? ACC_READ : ACC_WRITE, p[3]);
        break;
    case 11:
        come();
        break;
    case 12:
        if (came[p[1] % PCI_PORTS])
            board_plug_ask(b, came[p[1] % PCI_PORTS]);
        break;
    case 13:
        board_reset(b);
        place();
        break;
    default:
        take();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    int rc;

    fake_irqs_init(&irqs);
    cfg = (struct board_cfg){
        .cpus = 1, .memory = RAM, .event = event, .q35 = true, .irqs = &irqs.irqs};
    memset(came, 0, sizeof(came));
    given_up = 0;
    rc = gmem_create(&cfg.mem, &e);
    rc |= loop_create_fake(&cfg.loop, &e);
    rc |= board_create(&cfg, &b, &e);
    assert(rc == 0);
    place();
    for (unsigned i = 0; size >= 5 && i < OPS_MAX; i++, data += 5, size -= 5)
        step(data);
    board_destroy(b);
    loop_destroy(cfg.loop);
    gmem_destroy(cfg.mem);
    assert(fake_irqs_fini(&irqs) == 0);
    return 0;
}
