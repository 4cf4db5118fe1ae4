/* SPDX-License-Identifier: Apache-2.0 */
/* fake_pci.h - a guest's PCI driver in a few calls, over a fake_env. */
#ifndef HOSPES_TESTS_FAKE_PCI_H
#define HOSPES_TESTS_FAKE_PCI_H

#include "fakes/fake_env.h"

/* Configuration space by mechanism 1; size 1, 2 or 4. */
uint32_t fake_pci_read(struct fake_env *f, unsigned devfn, unsigned off, unsigned size);
void fake_pci_write(struct fake_env *f, unsigned devfn, unsigned off, unsigned size, uint32_t v);

/* Sizes every BAR by writing ones, gives it an address and switches decoding and mastering on.
 * bar[i] is the address (0: no such BAR). */
void fake_pci_map(struct fake_env *f, unsigned devfn, uint64_t bar[6]);

/* Offset of the n-th capability with that id, 0: none. */
unsigned fake_pci_cap(struct fake_env *f, unsigned devfn, uint8_t id, unsigned n);

/* Programs every MSI-X entry (data first_data + i, address 0xfee00000), unmasks them and switches
 * MSI-X on. Needs fake_pci_map(). Returns the number of vectors, 0 when there is no MSI-X. */
unsigned fake_pci_msix(struct fake_env *f, unsigned devfn, const uint64_t bar[6],
                       uint32_t first_data);
/* Masks or unmasks one vector. */
void fake_pci_msix_mask(struct fake_env *f, unsigned devfn, const uint64_t bar[6], unsigned v,
                        bool masked);

#endif
