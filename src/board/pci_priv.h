/* SPDX-License-Identifier: Apache-2.0 */
/* pci_priv.h - what pci.c, pci_bar.c and pci_msix.c share. */
#ifndef HOSPES_BOARD_PCI_PRIV_H
#define HOSPES_BOARD_PCI_PRIV_H

#include "board/pci.h"

enum { PCI_FUNCTIONS = PCI_PLACES, PCI_WIRES = 4, PCI_LINES = 16, PCI_WIRE_OFF = 0xff };

/* The host bridge's decoder. Its device lock guards fn[] and every BAR's place, and is taken
 * before a function's own lock. */
struct pci_bus {
    struct device host; /* first */
    struct pci_windows w;
    struct pci_dev *fn[PCI_FUNCTIONS];
    struct pci_dev *bridge[PCI_PORTS]; /* to fn[256] and on; NULL: none */
    bool slots_behind;
    uint32_t address; /* CONFADD */
    uint64_t ecam;    /* where it is claimed; 0: nowhere */
    unsigned blocked; /* BARs with blocked set */
    bool uses_mem64;
    /* Four wires that the functions' pins pull up, and where each leads; under `wires`, a leaf. */
    pthread_mutex_t wires;
    unsigned pulled[PCI_WIRES];
    uint8_t route[PCI_WIRES];    /* GSI, PCI_WIRE_OFF: nowhere */
    struct irq *line[PCI_LINES]; /* made when first led to */
    bool line_up[PCI_LINES];
    void (*cf9)(void *arg, enum access dir, uint64_t *val);
    void *cf9_arg;
    struct pci_boot *boots; /* bootorder.c's */
};

/* pci.c: the devfn on bus 0 by which firmware sees p's interrupt pin: p's or its bridge's. */
unsigned pci_root_devfn(const struct pci_dev *p);
/* bootorder.c: p goes. Under the bus's lock. */
void pci_boots_forget(struct pci_bus *b, const struct pci_dev *p);

/* pci_bar.c. Under the bus's lock. */
void pci_bar_init(struct pci_dev *p);   /* registers and their writable bits */
void pci_bar_update(struct pci_dev *p); /* after BARs or the command register changed */
void pci_bar_unmap_all(struct pci_dev *p);
bool pci_bar_is_mem64(const struct pci_bar *bar);

/* pci_msix.c. */
void pci_msix_config_reading(struct pci_dev *p, unsigned off, unsigned size);
void pci_msix_config_written(struct pci_dev *p, unsigned off, unsigned size);
struct device *pci_msix_bar_owner(struct pci_dev *p, unsigned bar);
void pci_msix_reset(struct pci_dev *p);
/* After its BARs are off the bus. */
void pci_rom_free(struct pci_dev *p);
void pci_msix_free(struct pci_dev *p);

#endif
