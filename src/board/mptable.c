/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mptable.c - the MultiProcessor tables, for guests that know no ACPI.
 *
 * Bus 0 is PCI, bus 1 ISA. It says the same as the MADT and _PRT.
 */
#include <errno.h>
#include <string.h>

#include "abi/mptable.h"
#include "board/layout.h"
#include "board/pci.h"
#include "board/tables.h"
#include "core/err.h"

enum { MP_INT = 0, MP_NMI = 1, MP_EXTINT = 3, MP_LEVEL_HIGH = 0x0d, MP_IOAPIC_ID = 0 };
enum { BUS_ID_PCI, BUS_ID_ISA };
enum { MP_ROOM = 44 + 255 * 20 + 2 * 8 + 8 + 16 * 8 + 31 * 4 * 8 + 2 * 8 };

struct mp {
    uint8_t b[MP_ROOM];
    size_t len;
    unsigned entries;
};

static void add(struct mp *m, const void *p, size_t n)
{
    memcpy(m->b + m->len, p, n);
    m->len += n;
    m->entries++;
}

static void add_processors(struct mp *m, unsigned cpus)
{
    for (unsigned i = 0; i < cpus && i < 255; i++) {
        struct mp_processor p = {
            .apic_id = (uint8_t)i,
            .apic_version = 0x14,
            .flags = i == 0 ? 3 : 1,
            .signature = le32_of(0x600), /* family 6 */
            .features = le32_of(0x201),  /* FPU and APIC */
        };

        add(m, &p, sizeof(p));
    }
}

static void add_interrupt(struct mp *m, uint8_t type, uint8_t kind, uint16_t flags, uint8_t bus,
                          unsigned irq, uint8_t apic, unsigned pin)
{
    struct mp_interrupt i = {
        .type = type,
        .kind = kind,
        .flags = le16_of(flags),
        .bus = bus,
        .irq = (uint8_t)irq,
        .apic = apic,
        .pin = (uint8_t)pin,
    };

    add(m, &i, sizeof(i));
}

static bool pci_line(unsigned gsi, bool q35)
{
    for (unsigned pin = 0; pin < 4; pin++) {
        if (pci_gsi_of(0, pin, q35) == gsi)
            return true;
    }
    return false;
}

static void add_interrupts(struct mp *m, bool q35)
{
    for (unsigned slot = 1; slot < 32; slot++) {
        for (unsigned pin = 0; pin < 4; pin++)
            add_interrupt(m, 3, MP_INT, MP_LEVEL_HIGH, BUS_ID_PCI, slot << 2 | pin, MP_IOAPIC_ID,
                          pci_gsi_of(slot, pin, q35));
    }
    for (unsigned irq = 0; irq < 16; irq++) {
        if (irq == 2 || pci_line(irq, q35))
            continue; /* the cascade, and what PCI has */
        add_interrupt(m, 3, MP_INT, irq == 9 ? MP_LEVEL_HIGH : 0, BUS_ID_ISA, irq, MP_IOAPIC_ID,
                      irq ? irq : 2);
    }
    add_interrupt(m, 4, MP_EXTINT, 0, BUS_ID_ISA, 0, 0xff, 0);
    add_interrupt(m, 4, MP_NMI, 0, BUS_ID_ISA, 0, 0xff, 1);
}

int mptable_build(struct tables *t, const struct tables_cfg *c, gpa_t *mp, struct err *e)
{
    static const struct mp_bus pci = {1, BUS_ID_PCI, {'P', 'C', 'I', ' ', ' ', ' '}};
    static const struct mp_bus isa = {1, BUS_ID_ISA, {'I', 'S', 'A', ' ', ' ', ' '}};
    static const struct mp_ioapic io = {2, MP_IOAPIC_ID, 0x11, 1, {{0x00, 0x00, 0xc0, 0xfe}}};
    struct mp_config head = {
        .signature = {'P', 'C', 'M', 'P'},
        .spec_rev = 4,
        .oem_id = {'H', 'O', 'S', 'P', 'E', 'S', ' ', ' '},
        .product_id = {'P', 'C', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '},
        .lapic = le32_of((uint32_t)LAYOUT_LAPIC),
    };
    struct mp_floating f = {.signature = {'_', 'M', 'P', '_'}, .length = 1, .spec_rev = 4};
    struct mp m = {.len = sizeof(head)};

    _Static_assert(LAYOUT_IOAPIC == 0xfec00000, "as written above");
    add_processors(&m, c->cpus);
    add(&m, &pci, sizeof(pci));
    add(&m, &isa, sizeof(isa));
    add(&m, &io, sizeof(io));
    add_interrupts(&m, c->q35);
    head.length = le16_of((uint16_t)m.len);
    head.entries = le16_of((uint16_t)m.entries);
    memcpy(m.b, &head, sizeof(head));
    m.b[offsetof(struct mp_config, checksum)] =
        tables_checksum(m.b, m.len, offsetof(struct mp_config, checksum));
    f.table = le32_of((uint32_t)tables_put(t, m.b, m.len, 16));
    f.checksum = tables_checksum(&f, sizeof(f), offsetof(struct mp_floating, checksum));
    *mp = tables_put(t, &f, sizeof(f), 16);
    if (!le32_get(f.table) || !*mp)
        return err_set(e, ENOSPC, "the MP tables do not fit below 1 MiB");
    return 0;
}
