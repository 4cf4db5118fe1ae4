/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration space and BARs: functions come and go while a guest writes any register in any
 * width. A model must only ever see accesses that lie inside its region, and no two BARs may
 * answer at one address.
 */
#include "fuzz.h"
#include "input.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "board/layout.h"
#include "core/err.h"
#include "fakes/fake_pci.h"

enum { FUNCTIONS = 4, RAM_SIZE = 64 << 10, OPS_MAX = 2000 };

struct victim {
    struct pci_dev p; /* first */
};

static struct fake_env f;
static uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
static struct victim *victims[FUNCTIONS];

static void victim_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                      enum access dir, uint64_t *val)
{
    const struct pci_bar *bar = &((struct pci_dev *)d)->bar[region];

    assert(region < PCI_BARS && bar->kind != PCI_BAR_NONE && !bar->ram);
    assert(size == 1 || size == 2 || size == 4 || size == 8);
    assert(off < bar->size && size <= bar->size - off);
    if (dir == ACC_READ)
        *val = UINT64_MAX;
}

static void victim_reset(struct device *d)
{
}

static void victim_destroy(struct device *d)
{
    free(d);
}

static const struct device_ops victim_ops = {
    .name = "victim", .destroy = victim_destroy, .reset = victim_reset, .io = victim_io};

static void victim_add(unsigned i)
{
    static const struct pci_id id = {0x1234, 0x5678, 0x9abc, 0xdef0, 0x01000000};
    struct victim *v = calloc(1, sizeof(*v));
    struct err e = {0};
    int rc = 0;

    pci_init(&v->p, &victim_ops, &f.env, &id);
    v->p.bar[0] = (struct pci_bar){.kind = PCI_BAR_IO, .size = 4u << i};
    v->p.bar[2] = (struct pci_bar){.kind = PCI_BAR_MEM64_PREF, .size = UINT64_C(16) << (4 * i)};
    v->p.bar[4] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = UINT64_C(4096) << i};
    if (i == 1)
        v->p.bar[5] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = RAM_SIZE, .ram = ram};
    if (i & 1)
        rc |= pci_add_msix(&v->p, 1, 3u << (2 * i), &e);
    if (i & 2)
        rc |= pci_add_msi(&v->p, 1u << i, &e);
    rc |= pci_add(f.env.pci, &v->p, (int)(i + 2) << 3, &e);
    assert(rc == 0);
    victims[i] = v;
}

static void victim_remove(unsigned i)
{
    pci_remove(&victims[i]->p);
    free(victims[i]);
    victims[i] = NULL;
}

static void no_two_answer_at_one_address(void)
{
    const struct pci_bar *all[FUNCTIONS * PCI_BARS];
    unsigned n = 0;

    for (unsigned i = 0; i < FUNCTIONS; i++) {
        for (unsigned k = 0; victims[i] && k < PCI_BARS; k++) {
            if (victims[i]->p.bar[k].mapped)
                all[n++] = &victims[i]->p.bar[k];
        }
    }
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < i; k++) {
            bool apart = (all[i]->kind == PCI_BAR_IO) != (all[k]->kind == PCI_BAR_IO) ||
                         !all[i]->ram != !all[k]->ram;

            assert(apart || all[i]->addr >= all[k]->addr + all[k]->size ||
                   all[k]->addr >= all[i]->addr + all[i]->size);
        }
    }
}

static void touch_bar(struct input *in)
{
    uint64_t pick = take(in, 4);
    struct victim *v = victims[pick % FUNCTIONS];
    const struct pci_bar *bar = v ? &v->p.bar[pick / FUNCTIONS % PCI_BARS] : NULL;
    unsigned size = 1u << (pick >> 8 & 3);
    uint64_t at;

    if (!bar || !bar->mapped)
        return;
    at = bar->addr + (pick >> 10) % bar->size;
    if (bar->kind == PCI_BAR_IO) {
        fake_env_out(&f, at, size & 7, take(in, 4));
        fake_env_in(&f, at, size & 7);
    } else {
        fake_env_write(&f, at, size, take64(in, 8));
        fake_env_read(&f, at, size);
    }
}

static void step(struct input *in)
{
    unsigned op = take(in, 1), i = op >> 4 & 3;
    uint64_t at;
    struct err e;

    switch (op & 15) {
    case 0 ... 5: /* a register by mechanism 1 */
        at = take(in, 1);
        fake_pci_write(&f, (i + 2) << 3, (unsigned)at, 1u << (op & 15) % 3, take(in, 4));
        fake_pci_read(&f, (i + 2) << 3, (unsigned)at, 4);
        break;
    case 6:
    case 7: /* by ECAM, also across its end */
        at = LAYOUT_ECAM + take(in, 3) % 0x100008;
        fake_env_write(&f, at, 1u << i, take64(in, 8));
        fake_env_read(&f, at, 1u << i);
        break;
    case 8 ... 10:
        touch_bar(in);
        break;
    case 11: /* any port, any address */
        fake_env_out(&f, take(in, 2), 1u << i % 3, take(in, 4));
        fake_env_read(&f, take64(in, 8), 1u << i);
        break;
    case 12:
        if (victims[i] && !pci_notify(&victims[i]->p, take(in, 1)))
            pci_intx(&victims[i]->p, op >> 6 & 1);
        break;
    case 13:
        if (victims[i])
            victim_remove(i);
        else
            victim_add(i);
        break;
    case 14:
        pci_bus_reset(f.env.pci);
        break;
    default:
        (void)!pci_bus_assign(f.env.pci, &e);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    fake_env_create(&f, 1 << 20);
    memset(victims, 0, sizeof(victims));
    for (unsigned i = 0; i < FUNCTIONS; i++)
        victim_add(i);
    for (unsigned n = 0; in.n && n < OPS_MAX; n++) {
        step(&in);
        no_two_answer_at_one_address();
    }
    fake_env_destroy(&f);
    return 0;
}
