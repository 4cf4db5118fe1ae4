/* SPDX-License-Identifier: Apache-2.0 */
/* PCI: a guest sizes, moves and stacks BARs, uses INTx, MSI and MSI-X, and writes everywhere. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "abi/bytes.h"
#include "board/layout.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_pci.h"

struct dut {
    struct pci_dev p; /* first */
    unsigned reads, writes, resets, config_writes;
    unsigned region;
    uint64_t off;
    uint8_t tag;
};

static struct fake_env f;
static unsigned destroyed;
static uint8_t gone[8]; /* tags, as they were destroyed */
static uint8_t *ram;

enum { RAM_SIZE = 1 << 20 };

static void dut_io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
                   uint64_t *val)
{
    struct dut *t = (struct dut *)d;

    t->region = region;
    t->off = off;
    if (dir == ACC_READ) {
        t->reads++;
        *val = t->tag;
    } else {
        t->writes++;
    }
}

static void dut_reset(struct device *d)
{
    ((struct dut *)d)->resets++;
}

static void dut_destroy(struct device *d)
{
    gone[destroyed++ % sizeof(gone)] = ((struct dut *)d)->tag;
    free(d);
}

static void dut_config_written(struct pci_dev *p, unsigned off, unsigned size)
{
    ((struct dut *)p)->config_writes++;
}

static const struct device_ops dut_ops = {
    .name = "dut", .destroy = dut_destroy, .reset = dut_reset, .io = dut_io};

/* BAR 0 ports, BAR 1 MSI-X, BAR 2 64-bit memory, BAR 4 RAM. */
static struct dut *dut_new(uint8_t tag)
{
    static const struct pci_id id = {0x1234, 0x5678, 0xabcd, 0xef01, 0x02000003};
    struct dut *t = calloc(1, sizeof(*t));
    struct err e = {0};

    t->tag = tag;
    pci_init(&t->p, &dut_ops, &f.env, &id);
    t->p.config_written = dut_config_written;
    t->p.bar[0] = (struct pci_bar){.kind = PCI_BAR_IO, .size = 64};
    t->p.bar[2] = (struct pci_bar){.kind = PCI_BAR_MEM64, .size = 0x4000};
    if (tag == 1)
        t->p.bar[4] = (struct pci_bar){.kind = PCI_BAR_MEM32_PREF, .size = RAM_SIZE, .ram = ram};
    assert_int_equal(pci_add_msix(&t->p, 1, 5, &e), 0);
    assert_int_equal(pci_add_msi(&t->p, 4, &e), 0);
    return t;
}

static struct dut *dut_add(uint8_t tag, int devfn)
{
    struct dut *t = dut_new(tag);
    struct err e = {0};

    assert_int_equal(pci_add(f.env.pci, &t->p, devfn, &e), 0);
    return t;
}

static int setup(void **state)
{
    (void)state;
    destroyed = 0;
    ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fake_env_create(&f, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_destroy(&f);
    munmap(ram, RAM_SIZE);
    return 0;
}

enum { A = 3 << 3, B = 4 << 3 };

static void both_mechanisms_show_the_same_registers(void **state)
{
    (void)state;
    dut_add(1, A);
    assert_int_equal(fake_pci_read(&f, A, 0, 4), 0x56781234);
    for (unsigned off = 0; off < 256; off += 4)
        assert_int_equal(fake_pci_read(&f, A, off, 4),
                         fake_env_read(&f, LAYOUT_ECAM + (A << 12) + off, 4));
    assert_int_equal(fake_env_read(&f, LAYOUT_ECAM + (A << 12) + 2, 1), 0x78);
    /* AMD's register bits 11:8 */
    fake_env_out(&f, 0xcf8, 4, UINT32_C(0x81000000) | A << 8);
    assert_int_equal(fake_env_in(&f, 0xcfc, 4), 0);
    /* Nobody there, another bus, a half address, no enable bit */
    assert_int_equal(fake_pci_read(&f, B, 0, 4), 0xffffffff);
    fake_env_out(&f, 0xcf8, 4, UINT32_C(0x80010000) | A << 8);
    assert_int_equal(fake_env_in(&f, 0xcfc, 4), 0xffffffff);
    fake_env_out(&f, 0xcf8, 2, 0);
    assert_int_equal(fake_env_in(&f, 0xcf8, 4), UINT32_C(0x80010000) | A << 8);
    fake_env_out(&f, 0xcf8, 4, A << 8);
    assert_int_equal(fake_env_in(&f, 0xcfc, 4), 0xffffffff);
    assert_int_equal(fake_env_read(&f, LAYOUT_ECAM + (A << 12) + 0xffe, 4), 0xffffffff);
}

static void bars_are_sized_mapped_and_moved(void **state)
{
    uint64_t bar[6];
    struct dut *t;

    (void)state;
    t = dut_add(1, A);
    assert_int_equal(fake_env_in(&f, 0x1000, 1), 0xff);
    fake_pci_map(&f, A, bar);
    fake_pci_write(&f, A, 0x10, 4, UINT32_MAX);
    assert_int_equal(fake_pci_read(&f, A, 0x10, 4), 0xffffffc1);
    fake_pci_write(&f, A, 0x10, 4, (uint32_t)bar[0]);
    assert_int_equal(fake_env_in(&f, bar[0] + 5, 1), 1);
    assert_int_equal(t->region, 0);
    assert_int_equal(t->off, 5);
    assert_int_equal(fake_env_read(&f, bar[2] + 0x3ff8, 8), 1);
    assert_int_equal(t->region, 2);
    /* RAM is the guest's at once: no exits */
    ram[77] = 0x4d;
    assert_int_equal(fake_env_read(&f, bar[4] + 77, 1), 0x4d);
    fake_env_write(&f, bar[4] + 78, 1, 0x11);
    assert_int_equal(ram[78], 0x11);
    /* Moves, also above 4 GiB */
    fake_pci_write(&f, A, 0x1c, 4, 2);
    assert_int_equal(fake_env_read(&f, bar[2], 4), 0xffffffff);
    assert_int_equal(fake_env_read(&f, bar[2] + (UINT64_C(2) << 32), 4), 1);
    fake_pci_write(&f, A, 0x20, 4, 0xd8000000);
    assert_int_equal(fake_env_read(&f, 0xd8000000 + 77, 1), 0x4d);
    /* Decoding off */
    fake_pci_write(&f, A, PCI_COMMAND, 2, 0);
    assert_int_equal(fake_env_read(&f, 0xd8000000 + 77, 1), 0xff);
    assert_int_equal(fake_env_in(&f, bar[0], 1), 0xff);
}

static void a_bar_on_top_of_another_waits(void **state)
{
    uint64_t a[6], b[6];

    (void)state;
    dut_add(1, A);
    dut_add(2, B);
    fake_pci_map(&f, A, a);
    fake_pci_map(&f, B, b);
    fake_pci_write(&f, B, 0x18, 4, (uint32_t)a[2]);
    assert_int_equal(fake_env_read(&f, a[2], 1), 1);
    fake_pci_write(&f, A, 0x18, 4, (uint32_t)b[2]);
    assert_int_equal(fake_env_read(&f, a[2], 1), 2); /* its turn now */
    assert_int_equal(fake_env_read(&f, b[2], 1), 1);
    /* A function that leaves also makes room. */
    fake_pci_write(&f, A, 0x18, 4, (uint32_t)a[2]);
    assert_int_equal(fake_env_read(&f, a[2], 1), 2);
    {
        struct pci_dev *p = pci_at(f.env.pci, B);

        pci_remove(p);
        dut_destroy(&p->dev);
    }
    assert_int_equal(fake_env_read(&f, a[2], 1), 1);
    assert_int_equal(fake_pci_read(&f, B, 0, 4), 0xffffffff);
}

static void bars_in_impossible_places_are_not_decoded(void **state)
{
    static const uint32_t places[] = {0, (uint32_t)LAYOUT_ECAM, 0x00004000};
    uint64_t bar[6];
    struct dut *t;

    (void)state;
    t = dut_add(1, A);
    fake_pci_map(&f, A, bar);
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        t->reads = 0;
        fake_pci_write(&f, A, 0x18, 4, places[i]);
        fake_env_read(&f, places[i], 4);
        assert_int_equal(t->reads, 0);
    }
    fake_pci_write(&f, A, 0x18, 4, 0xffffffff);
    fake_pci_write(&f, A, 0x1c, 4, 0xffffffff);
    /* RAM on RAM is refused, and there again later */
    fake_pci_write(&f, A, 0x20, 4, 0);
    fake_pci_write(&f, A, 0x20, 4, 0xd8000000);
    ram[0] = 9;
    assert_int_equal(fake_env_read(&f, 0xd8000000, 1), 9);
    /* Ports past the end and on the configuration registers */
    fake_pci_write(&f, A, 0x10, 4, 0xcc0);
    assert_int_equal(fake_pci_read(&f, A, 0, 2), 0x1234);
    fake_pci_write(&f, A, 0x10, 4, 0x10000);
    assert_int_equal(fake_env_in(&f, 0, 1), 0xff);
    fake_pci_write(&f, A, 0x10, 4, 0xffc0);
    fake_pci_write(&f, A, 0x10, 4, bar[0] & 0xffffffff);
    assert_int_equal(fake_env_in(&f, bar[0], 1), 1);
}

static void intx_is_level_and_can_be_switched_off(void **state)
{
    struct dut *t;
    unsigned gsi = pci_gsi(A >> 3, 0);

    (void)state;
    t = dut_add(1, A);
    assert_false(pci_notify(&t->p, 0));
    pci_intx(&t->p, true);
    assert_true(fake_irqs_line(&f.irqs, gsi));
    assert_true(fake_pci_read(&f, A, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    fake_pci_write(&f, A, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
    assert_false(fake_irqs_line(&f.irqs, gsi));
    assert_true(fake_pci_read(&f, A, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    fake_pci_write(&f, A, PCI_COMMAND, 2, 0);
    assert_true(fake_irqs_line(&f.irqs, gsi));
    pci_intx(&t->p, false);
    assert_false(fake_irqs_line(&f.irqs, gsi));
}

/* Another driver has taken over what it leads to: nobody would take the interrupt back. */
static void a_hidden_function_lets_go_of_its_wire(void **state)
{
    unsigned gsi = pci_gsi(A >> 3, 0);
    uint64_t bar[6];
    struct dut *t;

    (void)state;
    t = dut_add(1, A);
    fake_pci_map(&f, A, bar);
    pci_intx(&t->p, true);
    pci_hide(&t->p, true);
    assert_int_equal(fake_pci_read(&f, A, 0, 4), 0xffffffff);
    assert_int_equal(fake_env_in(&f, bar[0], 1), 0xff);
    assert_false(fake_irqs_line(&f.irqs, gsi));
    pci_intx(&t->p, false);
    pci_intx(&t->p, true);
    assert_false(fake_irqs_line(&f.irqs, gsi));
    pci_hide(&t->p, false);
    assert_true(fake_irqs_line(&f.irqs, gsi));
    assert_int_equal(fake_env_in(&f, bar[0], 1), 1);
    pci_hide(&t->p, true);
    pci_bus_reset(f.env.pci);
    assert_int_equal(fake_pci_read(&f, A, 0, 4), 0x56781234);
    pci_intx(&t->p, true);
    assert_true(fake_irqs_line(&f.irqs, gsi));
}

static void msix_delivers_masks_and_keeps_pending(void **state)
{
    uint64_t bar[6];
    struct dut *t;

    (void)state;
    t = dut_add(1, A);
    fake_pci_map(&f, A, bar);
    assert_int_equal(fake_pci_msix(&f, A, bar, 0x40), 5);
    assert_true(pci_notify(&t->p, 3));
    assert_int_equal(fake_irqs_take(&f.irqs, 0x43), 1);
    fake_pci_msix_mask(&f, A, bar, 3, true);
    assert_true(pci_notify(&t->p, 3));
    assert_true(pci_notify(&t->p, 3));
    assert_int_equal(fake_irqs_take(&f.irqs, 0x43), 0);
    assert_int_equal(fake_env_read(&f, bar[1] + 2048, 8), 1 << 3);
    fake_pci_msix_mask(&f, A, bar, 3, false);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x43), 1);
    assert_int_equal(fake_env_read(&f, bar[1] + 2048, 8), 0);
    /* Function mask */
    fake_pci_write(&f, A, fake_pci_cap(&f, A, PCI_CAP_ID_MSIX, 0) + 2, 2, 0xc000);
    pci_notify(&t->p, 0);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x40), 0);
    fake_pci_write(&f, A, fake_pci_cap(&f, A, PCI_CAP_ID_MSIX, 0) + 2, 2, 0x8000);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x40), 1);
    /* A new message while live */
    fake_env_write(&f, bar[1] + 8, 4, 0x99);
    pci_notify(&t->p, 0);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x99), 1);
    /* Past the table, odd sizes, unknown vectors */
    fake_env_write(&f, bar[1] + 5 * 16, 8, UINT64_MAX);
    assert_int_equal(fake_env_read(&f, bar[1] + 5 * 16, 4), 0);
    fake_env_write(&f, bar[1] + 5 * 16 - 4, 8, UINT64_MAX);
    assert_true(pci_notify(&t->p, 5));
    assert_true(pci_notify(&t->p, UINT32_MAX));
    fake_env_write(&f, bar[1] + 12, 1, 0xff);
    assert_int_equal(fake_env_read(&f, bar[1] + 12, 4), 1);
}

static void msi_delivers_masks_and_clips(void **state)
{
    struct dut *t;
    unsigned cap;

    (void)state;
    t = dut_add(1, A);
    cap = fake_pci_cap(&f, A, PCI_CAP_ID_MSI, 0);
    assert_true(cap);
    assert_int_equal(fake_pci_read(&f, A, cap + 2, 2), 0x0184);
    fake_pci_write(&f, A, cap + 4, 4, 0xfee00000);
    fake_pci_write(&f, A, cap + 12, 2, 0x63);
    fake_pci_write(&f, A, cap + 2, 2, 0x21); /* four vectors, on */
    pci_notify(&t->p, 0);
    pci_notify(&t->p, 2);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x60), 1);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x62), 1);
    fake_pci_write(&f, A, cap + 16, 4, 4);
    assert_int_equal(fake_pci_read(&f, A, cap + 20, 4), 0);
    pci_notify(&t->p, 2);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x62), 0);
    assert_int_equal(fake_pci_read(&f, A, cap + 20, 1), 4);
    fake_pci_write(&f, A, cap + 16, 4, 0);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x62), 1);
    assert_int_equal(fake_pci_read(&f, A, cap + 20, 4), 0);
    /* One vector: all share it; more than offered is what is offered */
    fake_pci_write(&f, A, cap + 2, 2, 0x01);
    pci_notify(&t->p, 3);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x63), 1);
    fake_pci_write(&f, A, cap + 2, 2, 0x71);
    pci_notify(&t->p, 3);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x63), 1);
}

static void reset_takes_everything_back(void **state)
{
    uint64_t bar[6];
    struct err e = {0};
    struct dut *t;

    (void)state;
    t = dut_add(1, A);
    fake_pci_map(&f, A, bar);
    fake_pci_msix(&f, A, bar, 0x40);
    fake_pci_msix_mask(&f, A, bar, 1, true);
    pci_notify(&t->p, 1);
    pci_intx(&t->p, true);
    pci_bus_reset(f.env.pci);
    assert_int_equal(t->resets, 1);
    assert_int_equal(fake_env_read(&f, bar[2], 4), 0xffffffff);
    assert_int_equal(fake_pci_read(&f, A, PCI_COMMAND, 2), 0);
    assert_false(pci_msix_enabled(&t->p));
    assert_false(fake_irqs_line(&f.irqs, pci_gsi(A >> 3, 0)));
    assert_int_equal(pci_bus_assign(f.env.pci, &e), 0);
    assert_true(t->p.bar[0].mapped && t->p.bar[1].mapped && t->p.bar[2].mapped &&
                t->p.bar[4].mapped);
    assert_int_equal(fake_env_read(&f, t->p.bar[2].addr, 1), 1);
    assert_int_equal(fake_pci_read(&f, A, PCI_INTERRUPT_LINE, 1), pci_gsi(A >> 3, 0));
    /* What was pending is gone, and a masked table too */
    assert_int_equal(fake_env_read(&f, t->p.bar[1].addr + 2048, 8), 0);
    assert_int_equal(fake_env_read(&f, t->p.bar[1].addr + 12, 4), 1);
}

/* Others may still move data into memory that one of them has, and what is behind a bridge pulls
 * that one's wires. */
static void memory_and_bridges_go_last(void **state)
{
    struct dut *behind;

    (void)setup(state);
    dut_add(1, A); /* has memory */
    dut_add(2, B);
    pci_leads(&dut_add(3, 28 << 3)->p, 1);
    behind = dut_add(4, PCI_BEHIND + 1);
    pci_intx(&behind->p, true);
    (void)teardown(state);
    assert_int_equal(destroyed, 4);
    assert_int_equal(gone[3], 1);
    assert_true(gone[0] == 4 || (gone[0] == 2 && gone[1] == 4));
}

static void slots_are_found_and_refused(void **state)
{
    struct err e = {0};
    struct dut *t;
    int rc = 0;

    (void)state;
    dut_add(1, A);
    t = dut_new(2);
    assert_int_equal(pci_add(f.env.pci, &t->p, A, &e), -EBUSY);
    assert_int_equal(pci_add(f.env.pci, &t->p, A + 1, &e), 0);
    assert_int_equal(fake_pci_read(&f, A, PCI_HEADER_TYPE, 1), 0x80);
    for (unsigned i = 0; i < 32 && rc == 0; i++) {
        t = dut_new(2);
        rc = pci_add(f.env.pci, &t->p, -1, &e);
    }
    assert_int_equal(rc, -EBUSY);
    pci_remove(&t->p);
    free(t);
}

static void no_interrupt_left_is_an_error_without_leaks(void **state)
{
    static const struct pci_id id = {1, 2, 3, 4, 0x02000000};
    struct err e = {0};

    (void)state;
    for (unsigned n = 1; n <= 8; n++) {
        struct dut *t = calloc(1, sizeof(*t));
        int rc;

        pci_init(&t->p, &dut_ops, &f.env, &id);
        f.irqs.fail_after = n;
        rc = pci_add_msix(&t->p, 1, 7, &e);
        if (rc == 0)
            rc = pci_add(f.env.pci, &t->p, -1, &e);
        f.irqs.fail_after = 0;
        assert_int_equal(rc, -ENOSPC);
        pci_remove(&t->p);
        free(t);
    }
}

static void large_bars_go_above_and_too_many_are_refused(void **state)
{
    static const struct pci_id id = {1, 2, 3, 4, 0x03000000};
    struct err e = {0};
    struct dut *t = NULL;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        t = calloc(1, sizeof(*t));
        pci_init(&t->p, &dut_ops, &f.env, &id);
        t->p.bar[0] = (struct pci_bar){.kind = PCI_BAR_MEM64, .size = GiB};
        assert_int_equal(pci_add(f.env.pci, &t->p, -1, &e), 0);
        assert_int_equal(pci_bus_assign(f.env.pci, &e), i < 4 ? 0 : -ENOSPC);
        if (i == 0)
            assert_true(t->p.bar[0].addr >= layout_mem64(1 << 20, false));
        assert_true(pci_bus_uses_mem64(f.env.pci));
    }
}

static void garbage_in_every_register_harms_nobody(void **state)
{
    uint32_t seed = 1;
    uint64_t bar[6];
    struct dut *t;

    (void)state;
    t = dut_add(1, A);
    dut_add(2, B);
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        fake_env_out(&f, 0xcf8, 4, 0x80000000u | (seed & 1 ? A : B) << 8 | (seed >> 8 & 0xfc));
        fake_env_out(&f, 0xcfc + (seed >> 1 & 3), 1 << (seed >> 3 & 1), seed >> 12);
        if (seed % 7 == 0)
            pci_notify(&t->p, seed >> 20 & 7);
        fake_env_write(&f, LAYOUT_PCI_MEM_A + (seed & 0xfffffff), 4, seed);
    }
    assert_int_equal(fake_pci_read(&f, A, 0, 4), 0x56781234);
    fake_pci_write(&f, B, PCI_COMMAND, 2, 0);
    fake_pci_map(&f, A, bar);
    assert_int_equal(fake_env_read(&f, bar[2], 1), 1);
    assert_true(t->config_writes > 1000);
}

static void wires_lead_where_they_are_told(void **state)
{
    struct dut *t = dut_add(1, A), *u = dut_add(2, A + (4 << 3)); /* the same wire */
    unsigned wire = (A >> 3) + 3;

    (void)state;
    pci_intx(&t->p, true);
    assert_true(fake_irqs_line(&f.irqs, pci_gsi(A >> 3, 0)));
    pci_route(f.env.pci, wire % 4, 5);
    assert_false(fake_irqs_line(&f.irqs, pci_gsi(A >> 3, 0)));
    assert_true(fake_irqs_line(&f.irqs, 5));
    pci_intx(&u->p, true);
    pci_intx(&t->p, false);
    assert_true(fake_irqs_line(&f.irqs, 5)); /* shared */
    pci_route(f.env.pci, wire % 4, -1);
    assert_false(fake_irqs_line(&f.irqs, 5));
    pci_intx(&u->p, false);
    pci_route(f.env.pci, wire % 4, 5);
    assert_false(fake_irqs_line(&f.irqs, 5));
}

static void an_expansion_rom_is_seen_and_not_written(void **state)
{
    struct dut *t = dut_new(2);
    uint64_t bar[6];
    struct err e;

    (void)state;
    t->p.bar[PCI_ROM] =
        (struct pci_bar){.kind = PCI_BAR_EXPANSION_ROM, .size = 0x10000, .ram = ram};
    ram[3] = 0x55;
    assert_int_equal(pci_add(f.env.pci, &t->p, A, &e), 0);
    fake_pci_map(&f, A, bar);
    fake_pci_write(&f, A, PCI_ROM_ADDRESS, 4, 0xfffffffe);
    assert_int_equal(fake_pci_read(&f, A, PCI_ROM_ADDRESS, 4), 0xffff0000);
    fake_pci_write(&f, A, PCI_ROM_ADDRESS, 4, 0xd0000000);
    assert_int_not_equal(fake_env_read(&f, 0xd0000003, 1), 0x55); /* not enabled */
    fake_pci_write(&f, A, PCI_ROM_ADDRESS, 4, 0xd0000001);
    assert_int_equal(fake_env_read(&f, 0xd0000003, 1), 0x55);
    fake_env_write(&f, 0xd0000003, 1, 0xaa);
    assert_int_equal(ram[3], 0x55);
    fake_pci_write(&f, A, PCI_COMMAND, 2, 0);
    assert_int_not_equal(fake_env_read(&f, 0xd0000003, 1), 0x55);
}

#define PCI_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PCI_TEST(both_mechanisms_show_the_same_registers),
        PCI_TEST(bars_are_sized_mapped_and_moved),
        PCI_TEST(a_bar_on_top_of_another_waits),
        PCI_TEST(bars_in_impossible_places_are_not_decoded),
        PCI_TEST(intx_is_level_and_can_be_switched_off),
        PCI_TEST(a_hidden_function_lets_go_of_its_wire),
        PCI_TEST(msix_delivers_masks_and_keeps_pending),
        PCI_TEST(msi_delivers_masks_and_clips),
        PCI_TEST(reset_takes_everything_back),
        cmocka_unit_test(memory_and_bridges_go_last),
        PCI_TEST(slots_are_found_and_refused),
        PCI_TEST(no_interrupt_left_is_an_error_without_leaks),
        PCI_TEST(large_bars_go_above_and_too_many_are_refused),
        PCI_TEST(wires_lead_where_they_are_told),
        PCI_TEST(an_expansion_rom_is_seen_and_not_written),
        PCI_TEST(garbage_in_every_register_harms_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
