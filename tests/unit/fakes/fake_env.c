/* SPDX-License-Identifier: Apache-2.0 */
/* fake_env.c - see fake_env.h. */
#include "unit.h"

#include <errno.h>
#include <unistd.h>

#include "board/layout.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_env.h"

static int bell_assign(void *arg, enum bus_kind kind, uint64_t addr, unsigned size, bool match,
                       uint64_t value, int fd)
{
    struct fake_env *f = arg;

    for (unsigned i = 0; i < FAKE_BELLS; i++) {
        if (!f->bell[i].used) {
            f->bell[i] = (struct fake_bell){true, match, kind, addr, value, size, fd};
            return 0;
        }
    }
    return -ENOSPC;
}

static void bell_deassign(void *arg, enum bus_kind kind, uint64_t addr, unsigned size, bool match,
                          uint64_t value, int fd)
{
    struct fake_env *f = arg;

    for (unsigned i = 0; i < FAKE_BELLS; i++) {
        struct fake_bell *b = &f->bell[i];

        if (b->used && b->kind == kind && b->addr == addr && b->fd == fd && b->size == size &&
            b->match == match && b->value == value) {
            b->used = false;
            return;
        }
    }
    fail_msg("a doorbell was taken back that was never there");
}

void fake_env_create(struct fake_env *f, uint64_t ram)
{
    struct pci_windows w = {
        .io_base = LAYOUT_PCI_IO,
        .io_size = LAYOUT_PCI_IO_END - LAYOUT_PCI_IO,
        .mem_base = LAYOUT_PCI_MEM_A,
        .mem_size = LAYOUT_PCI_MEM_A_END - LAYOUT_PCI_MEM_A,
        .mem64_base = layout_mem64(ram, false),
        .mem64_size = LAYOUT_PCI_MEM64_SIZE,
        .ecam_base = LAYOUT_ECAM,
    };
    struct err e = {0};

    memset(f, 0, sizeof(*f));
    f->env.id = "dut";
    fake_irqs_init(&f->irqs);
    f->env.irqs = &f->irqs.irqs;
    assert_int_equal(gmem_create(&f->env.mem, &e), 0);
    assert_int_equal(gmem_add_ram(f->env.mem, 0, ram, false, &e), 0);
    assert_int_equal(loop_create_fake(&f->env.loop, &e), 0);
    assert_int_equal(bus_create(BUS_PIO, &f->env.pio, &e), 0);
    assert_int_equal(bus_create(BUS_MMIO, &f->env.mmio, &e), 0);
    assert_int_equal(pci_bus_create(&f->env, &w, &f->env.pci, &e), 0);
    f->doorbells = (struct doorbells){bell_assign, bell_deassign, f};
}

void fake_env_destroy(struct fake_env *f)
{
    pci_bus_destroy(f->env.pci);
    bus_destroy(f->env.pio);
    bus_destroy(f->env.mmio);
    loop_destroy(f->env.loop);
    gmem_destroy(f->env.mem);
    for (unsigned i = 0; i < FAKE_BELLS; i++)
        assert_false(f->bell[i].used);
    assert_int_equal(fake_irqs_fini(&f->irqs), 0);
}

void fake_env_use_doorbells(struct fake_env *f)
{
    bus_set_doorbells(f->env.pio, &f->doorbells);
    bus_set_doorbells(f->env.mmio, &f->doorbells);
}

void fake_env_run(struct fake_env *f)
{
    while (loop_step(f->env.loop, 0) > 0)
        ;
}

void fake_env_advance(struct fake_env *f, uint64_t ns)
{
    loop_advance(f->env.loop, ns);
    fake_env_run(f);
}

static bool bell_ring(struct fake_env *f, enum bus_kind kind, uint64_t addr, unsigned size,
                      uint64_t v)
{
    for (unsigned i = 0; i < FAKE_BELLS; i++) {
        struct fake_bell *b = &f->bell[i];
        uint64_t one = 1;

        if (!b->used || b->kind != kind || b->addr != addr || (b->size && b->size != size) ||
            (b->match && b->value != v))
            continue;
        assert_int_equal(write(b->fd, &one, sizeof(one)), sizeof(one));
        return true;
    }
    return false;
}

uint64_t fake_env_in(struct fake_env *f, uint64_t port, unsigned size)
{
    uint64_t v = 0;

    bus_access(f->env.pio, port, size, ACC_READ, &v);
    return v;
}

void fake_env_out(struct fake_env *f, uint64_t port, unsigned size, uint64_t v)
{
    if (!bell_ring(f, BUS_PIO, port, size, v))
        bus_access(f->env.pio, port, size, ACC_WRITE, &v);
}

uint64_t fake_env_read(struct fake_env *f, uint64_t addr, unsigned size)
{
    uint64_t v = 0;

    if (gmem_read(f->env.mem, addr, &v, size) < 0)
        bus_access(f->env.mmio, addr, size, ACC_READ, &v);
    return v;
}

void fake_env_write(struct fake_env *f, uint64_t addr, unsigned size, uint64_t v)
{
    if (bell_ring(f, BUS_MMIO, addr, size, v))
        return;
    if (gmem_write(f->env.mem, addr, &v, size) < 0)
        bus_access(f->env.mmio, addr, size, ACC_WRITE, &v);
}
