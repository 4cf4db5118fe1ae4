/* SPDX-License-Identifier: Apache-2.0 */
/* fake_pci.c - see fake_pci.h. */
#include "fakes/fake_pci.h"

#include "board/layout.h"

static void select_register(struct fake_env *f, unsigned devfn, unsigned off)
{
    fake_env_out(f, 0xcf8, 4, UINT32_C(0x80000000) | devfn << 8 | (off & 0xfc));
}

uint32_t fake_pci_read(struct fake_env *f, unsigned devfn, unsigned off, unsigned size)
{
    select_register(f, devfn, off);
    return (uint32_t)fake_env_in(f, 0xcfc + (off & 3), size);
}

void fake_pci_write(struct fake_env *f, unsigned devfn, unsigned off, unsigned size, uint32_t v)
{
    select_register(f, devfn, off);
    fake_env_out(f, 0xcfc + (off & 3), size, v);
}

/* Each function gets a space of its own, so that no state is needed here. */
static uint64_t place(unsigned devfn, unsigned i, bool io, uint64_t size)
{
    if (io && size > 0x20)
        return LAYOUT_PCI_IO + 0x3000 +
               (devfn >> 3) * 0x100u; /* one to a function, few functions */
    if (io)
        return LAYOUT_PCI_IO + devfn * 0x100u + i * 0x20u;
    if (size > 0x20000)
        return LAYOUT_PCI_MEM_B + i * UINT64_C(0x1000000);
    return LAYOUT_PCI_MEM_A + devfn * UINT64_C(0x100000) + i * UINT64_C(0x20000);
}

void fake_pci_map(struct fake_env *f, unsigned devfn, uint64_t bar[6])
{
    for (unsigned i = 0; i < 6; i++)
        bar[i] = 0;
    for (unsigned i = 0; i < 6; i++) {
        unsigned reg = PCI_BASE_ADDRESS_0 + 4 * i;
        uint32_t was = fake_pci_read(f, devfn, reg, 4), mask;
        bool io = was & 1, wide = !io && (was & 6) == 4;

        fake_pci_write(f, devfn, reg, 4, UINT32_MAX);
        mask = fake_pci_read(f, devfn, reg, 4) & (io ? ~UINT32_C(3) : ~UINT32_C(15));
        if (mask == 0)
            continue;
        bar[i] = place(devfn, i, io, ~mask + UINT64_C(1));
        fake_pci_write(f, devfn, reg, 4, (uint32_t)bar[i]);
        if (wide) {
            fake_pci_write(f, devfn, reg + 4, 4, 0);
            i++;
        }
    }
    fake_pci_write(f, devfn, PCI_COMMAND, 2,
                   PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

unsigned fake_pci_cap(struct fake_env *f, unsigned devfn, uint8_t id, unsigned n)
{
    unsigned at;

    if (!(fake_pci_read(f, devfn, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
        return 0;
    at = fake_pci_read(f, devfn, PCI_CAPABILITY_LIST, 1);
    for (unsigned hops = 0; at && hops < 64; hops++) {
        if (fake_pci_read(f, devfn, at, 1) == id && n-- == 0)
            return at;
        at = fake_pci_read(f, devfn, at + 1, 1);
    }
    return 0;
}

static uint64_t msix_table(struct fake_env *f, unsigned devfn, const uint64_t bar[6], unsigned cap)
{
    uint32_t t = fake_pci_read(f, devfn, cap + 4, 4);

    return bar[t & 7] + (t & ~UINT32_C(7));
}

unsigned fake_pci_msix(struct fake_env *f, unsigned devfn, const uint64_t bar[6],
                       uint32_t first_data)
{
    unsigned cap = fake_pci_cap(f, devfn, PCI_CAP_ID_MSIX, 0), n;
    uint64_t table;

    if (!cap)
        return 0;
    n = (fake_pci_read(f, devfn, cap + 2, 2) & 0x7ff) + 1;
    table = msix_table(f, devfn, bar, cap);
    for (unsigned i = 0; i < n; i++) {
        fake_env_write(f, table + i * 16u, 4, 0xfee00000);
        fake_env_write(f, table + i * 16u + 4, 4, 0);
        fake_env_write(f, table + i * 16u + 8, 4, first_data + i);
        fake_env_write(f, table + i * 16u + 12, 4, 0);
    }
    fake_pci_write(f, devfn, cap + 2, 2, 0x8000);
    return n;
}

void fake_pci_msix_mask(struct fake_env *f, unsigned devfn, const uint64_t bar[6], unsigned v,
                        bool masked)
{
    unsigned cap = fake_pci_cap(f, devfn, PCI_CAP_ID_MSIX, 0);

    fake_env_write(f, msix_table(f, devfn, bar, cap) + v * 16u + 12, 4, masked);
}
