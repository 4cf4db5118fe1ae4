/* SPDX-License-Identifier: Apache-2.0 */
/* A board with PCI Express: its bridges, configuration space in memory, and ports into which
 * devices come. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "board/board.h"
#include "board/layout.h"
#include "board/pci.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_env.h"

enum { RAM = 64 << 20, LPC = 31 << 3, PORT_1 = 28 << 3, PORT_2 = 28 << 3 | 1 };
enum { SLTCTL = 0x18, SLTSTA = 0x1a, LNKSTA = 0x12, PCC = 0x400, PDS = 0x40, EVENTS = 0x109 };

static struct board_cfg cfg;
static struct board_tables said;
static struct fake_irqs irqs;
static struct board *b;
static unsigned ejected;

static void event(void *arg, enum board_event what, unsigned value, const char *text)
{
    (void)arg;
    (void)text;
    if (what == BOARD_EJECT)
        ejected = value;
}

static int begin(void **state)
{
    struct err e = {0};

    (void)state;
    fake_irqs_init(&irqs);
    cfg = (struct board_cfg){
        .cpus = 1, .memory = RAM, .event = event, .q35 = true, .irqs = &irqs.irqs};
    assert_int_equal(gmem_create(&cfg.mem, &e), 0);
    assert_int_equal(loop_create_fake(&cfg.loop, &e), 0);
    assert_int_equal(board_create(&cfg, &b, &e), 0);
    ejected = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    board_destroy(b);
    loop_destroy(cfg.loop);
    gmem_destroy(cfg.mem);
    return fake_irqs_fini(&irqs);
}

static void place(void)
{
    struct err e = {0};

    assert_int_equal(board_place(b, &said, &e), 0);
}

static uint64_t access_to(enum bus_kind kind, uint64_t at, unsigned size, enum access dir,
                          uint64_t v)
{
    bus_access(board_bus(b, kind), at, size, dir, &v);
    return v;
}

/* By mechanism 1. */
static uint32_t config(unsigned bus, unsigned devfn, unsigned reg, unsigned size)
{
    access_to(BUS_PIO, 0xcf8, 4, ACC_WRITE,
              UINT32_C(0x80000000) | bus << 16 | devfn << 8 | (reg & 0xfc));
    return (uint32_t)access_to(BUS_PIO, 0xcfc + (reg & 3), size, ACC_READ, 0);
}

static void set_config(unsigned devfn, unsigned reg, unsigned size, uint32_t v)
{
    access_to(BUS_PIO, 0xcf8, 4, ACC_WRITE, UINT32_C(0x80000000) | devfn << 8 | (reg & 0xfc));
    access_to(BUS_PIO, 0xcfc + (reg & 3), size, ACC_WRITE, v);
}

static uint32_t ecam(uint64_t base, unsigned bus, unsigned devfn, unsigned reg, unsigned size)
{
    return (uint32_t)access_to(BUS_MMIO, base + ((uint64_t)bus << 20 | devfn << 12 | reg), size,
                               ACC_READ, 0);
}

/* Where the capability of PCI Express is. */
static unsigned express(unsigned devfn)
{
    unsigned at = config(0, devfn, PCI_CAPABILITY_LIST, 1);

    while (at && config(0, devfn, at, 1) != PCI_CAP_ID_EXP)
        at = config(0, devfn, at + 1, 1);
    assert_int_not_equal(at, 0);
    return at;
}

static void its_bridges_are_where_firmware_looks(void **state)
{
    (void)state;
    place();
    assert_int_equal(config(0, 0, 0, 4), 0x29c08086);
    assert_int_equal(config(0, LPC, 0, 4), 0x29188086);
    assert_int_equal(config(0, LPC, 0x40, 2), LAYOUT_PM_BASE | 1);
    assert_int_equal(config(0, 1 << 3, 0, 4), 0xffffffff);
    assert_int_equal(config(0, PORT_1, 0, 4), 0x29408086);
    assert_int_equal(config(0, PORT_1, PCI_HEADER_TYPE, 1), 0x81);
    assert_int_equal(config(0, PORT_2, PCI_SECONDARY_BUS, 1), 2);
    assert_int_equal(pci_gsi_of(0, 0, true), 10);
    assert_int_equal(pci_gsi_of(2, 0, true), 11);
    assert_int_equal(pci_gsi_of(31, 0, true), 10);
}

static void configuration_space_is_where_it_is_told(void **state)
{
    const uint64_t there = UINT64_C(0x80000000);

    (void)state;
    place();
    assert_int_equal(ecam(LAYOUT_ECAM_Q35, 0, LPC, 0, 4), 0x29188086);
    assert_int_equal(ecam(LAYOUT_ECAM_Q35, 1, 0, 0, 4), 0xffffffff);
    set_config(0, 0x60, 4, 0);
    assert_int_equal(ecam(LAYOUT_ECAM_Q35, 0, LPC, 0, 4), 0xffffffff);
    set_config(0, 0x64, 4, 0);
    set_config(0, 0x60, 4, (uint32_t)there | 5); /* 64 buses */
    assert_int_equal(ecam(there, 0, LPC, 0, 4), 0x29188086);
    assert_int_equal(access_to(BUS_MMIO, there + (64 << 20), 4, ACC_READ, 0), UINT32_MAX);
    set_config(0, 0x60, 4, (uint32_t)there | 7); /* no such length */
    assert_int_equal(ecam(there, 0, LPC, 0, 4), 0xffffffff);
    set_config(0, 0x60, 4, (uint32_t)LAYOUT_IOAPIC | 5);
    board_reset(b);
    place();
    assert_int_equal(ecam(LAYOUT_ECAM_Q35, 0, 0, 0, 4), 0x29c08086);
}

/* --- ports --- */

static void destroy(struct device *d)
{
    free(d);
}

static void nothing(struct device *d)
{
    (void)d;
}

static void io(struct device *d, unsigned region, uint64_t off, unsigned size, enum access dir,
               uint64_t *val)
{
    (void)d;
    (void)region;
    (void)size;
    if (dir == ACC_READ)
        *val = 0x1000 + off;
}

static const struct device_ops card_ops = {
    .name = "card", .destroy = destroy, .reset = nothing, .io = io};

static struct pci_dev *make_card(void)
{
    static const struct pci_id id = {0x1af4, 0x1041, 0x1af4, 1, 0x02000000};
    struct pci_dev *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    pci_init(p, &card_ops, board_env(b), &id);
    p->bar[0] = (struct pci_bar){.kind = PCI_BAR_MEM32, .size = 4096};
    return p;
}

/* In its place, which owns it. */
static struct pci_dev *card(int devfn)
{
    struct pci_dev *p = make_card();
    struct err e = {0};

    assert_int_equal(pci_add(board_env(b)->pci, p, devfn, &e), 0);
    return p;
}

static void no_card(int devfn)
{
    struct pci_dev *p = make_card();
    struct err e = {0};

    assert_int_equal(pci_add(board_env(b)->pci, p, devfn, &e), -EBUSY);
    free(p);
}

static void what_was_placed_behind_a_port_is_on_its_bus(void **state)
{
    struct pci_extent x;
    struct pci_dev *p;
    unsigned exp;
    uint32_t bar, window;

    (void)state;
    no_card(PCI_BEHIND + PCI_PORTS + 1);
    p = card(PCI_BEHIND + 2);
    place();
    exp = express(PORT_2);
    assert_int_equal(config(2, 0, 0, 4), 0x10411af4);
    assert_int_equal(ecam(LAYOUT_ECAM_Q35, 2, 0, 0, 4), 0x10411af4);
    assert_int_equal(config(2, 1 << 3, 0, 4), 0xffffffff);
    assert_int_equal(config(1, 0, 0, 4), 0xffffffff);
    assert_int_equal(config(0, PORT_2, exp + SLTSTA, 2), PDS);
    assert_int_equal(config(0, PORT_2, exp + SLTCTL, 2), 0);
    assert_int_equal(config(0, PORT_2, exp + LNKSTA, 2), 0x2011);
    bar = config(2, 0, PCI_BASE_ADDRESS_0, 4);
    window = config(0, PORT_2, PCI_MEMORY_BASE, 4);
    assert_in_range(bar, (window & 0xfff0) << 16, (window & 0xfff00000) | 0xfffff);
    assert_int_equal(access_to(BUS_MMIO, bar + 8, 4, ACC_READ, 0), 0x1008);
    set_config(PORT_2, PCI_PREF_BASE, 4, 0x00010000); /* as OVMF gives them, here up to 2 GiB */
    set_config(PORT_2, PCI_PREF_UPPER, 4, 0xe0);
    set_config(PORT_2, PCI_PREF_UPPER + 4, 4, 0xe0);
    set_config(PORT_2, PCI_PREF_BASE + 2, 2, 0x7ff0);
    x = pci_bus_extent(board_env(b)->pci);
    assert_int_equal(x.low, LAYOUT_PCI_MEM_A);
    assert_int_equal(x.high, UINT64_C(0xe000000000));
    assert_int_equal(x.high_end, UINT64_C(0xe080000000));
    set_config(PORT_2, PCI_PREF_UPPER + 4, 4, UINT32_MAX);
    assert_int_equal(pci_bus_extent(board_env(b)->pci).high, 0);
    set_config(PORT_2, PCI_SECONDARY_BUS, 1, 9);
    assert_int_equal(config(9, 0, 0, 4), 0x10411af4);
    assert_int_equal(config(2, 0, 0, 4), 0xffffffff);
    pci_intx(p, true);
    assert_true(fake_irqs_line(&irqs, pci_gsi_of(PORT_2 >> 3, 0, true)));
    pci_intx(p, false);
    /* It was not asked back, so it stays when its power goes. */
    set_config(PORT_2, exp + SLTCTL, 2, PCC);
    assert_int_equal(ejected, 0);
    assert_int_equal(config(9, 0, 0, 4), 0x10411af4);
}

static void what_comes_is_told_and_given_back(void **state)
{
    unsigned exp;
    struct pci_dev *p;

    (void)state;
    place();
    exp = express(PORT_1);
    assert_int_equal(config(0, PORT_1, exp + SLTSTA, 2), 0);
    assert_int_equal(config(0, PORT_1, exp + SLTCTL, 2), PCC);
    set_config(PORT_1, exp + SLTCTL, 2, PCC | 0x1029); /* button, presence, link, interrupt */
    p = card(-1);
    assert_int_equal(pci_place(p), PCI_PLACE_PORT + 1);
    assert_false(fake_irqs_line(&irqs, pci_gsi_of(PORT_1 >> 3, 0, true)));
    assert_int_equal(board_plug_came(b, p), 0);
    assert_true(fake_irqs_line(&irqs, pci_gsi_of(PORT_1 >> 3, 0, true)));
    assert_int_equal(config(0, PORT_1, exp + SLTSTA, 2), EVENTS | PDS);
    set_config(PORT_1, exp + SLTSTA, 1, 0x09);
    assert_int_equal(config(0, PORT_1, exp + SLTSTA, 2), 0x100 | PDS);
    set_config(PORT_1, exp + SLTSTA, 2, EVENTS);
    assert_false(fake_irqs_line(&irqs, pci_gsi_of(PORT_1 >> 3, 0, true)));
    set_config(PORT_1, exp + SLTCTL, 2, 0x1029);
    assert_int_equal(config(0, PORT_1, exp + LNKSTA, 2), 0x2011);
    assert_int_equal(config(1, 0, 0, 4), 0x10411af4);

    board_plug_ask(b, p);
    assert_int_equal(config(0, PORT_1, exp + SLTSTA, 2), 1 | PDS);
    set_config(PORT_1, exp + SLTSTA, 2, 1);
    assert_int_equal(ejected, 0);
    set_config(PORT_1, exp + SLTCTL, 2, PCC | 0x1029);
    assert_int_equal(ejected, PCI_PLACE_PORT + 1);
    pci_remove(p);
    destroy(&p->dev);
    assert_int_equal(config(1, 0, 0, 4), 0xffffffff);
    assert_int_equal(config(0, PORT_1, exp + SLTSTA, 2) & PDS, 0);
    for (unsigned n = 0; n < PCI_PORTS; n++)
        card(-1);
    no_card(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_bridges_are_where_firmware_looks, begin, end),
        cmocka_unit_test_setup_teardown(configuration_space_is_where_it_is_told, begin, end),
        cmocka_unit_test_setup_teardown(what_was_placed_behind_a_port_is_on_its_bus, begin, end),
        cmocka_unit_test_setup_teardown(what_comes_is_told_and_given_back, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
