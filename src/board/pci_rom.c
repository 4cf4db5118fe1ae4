/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pci_rom.c - option ROMs of network cards, by which a guest starts from the network.
 *
 * They are iPXE's, as distributions install them for QEMU. SeaBIOS runs the one of each card; OVMF
 * has drivers of its own for the cards of which iPXE has none for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "board/pci_priv.h"
#include "core/err.h"
#include "core/file.h"

enum { ROM_MAX = 1 << 20, ROM_PAGE = 4096, ROM_PCIR = 0x18 };

/* SeaBIOS runs a ROM on no card but that whose numbers it bears, and a file bears those of one of
 * several. Byte 6 of iPXE's makes the sum zero. PCI Firmware Specification 3.0, 5.1.2. */
static void rom_for(const struct pci_dev *p, uint8_t *rom, size_t len)
{
    size_t at = len > ROM_PCIR + 2 ? le16_at(rom + ROM_PCIR) : 0;

    if (at == 0 || at + 8 > len || memcmp(rom + at, "PCIR", 4) != 0)
        return;
    for (unsigned i = 0; i < 4; i++) {
        rom[6] = (uint8_t)(rom[6] + rom[at + 4 + i] - p->config[PCI_VENDOR_ID + i]);
        rom[at + 4 + i] = p->config[PCI_VENDOR_ID + i];
    }
}

static int rom_map(struct pci_dev *p, int fd, size_t len, const char *path, struct err *e)
{
    size_t size = ROM_PAGE;
    void *rom;

    while (size < len)
        size *= 2;
    rom = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (rom == MAP_FAILED)
        return err_set(e, ENOMEM, "no memory for a network card's ROM");
    p->bar[PCI_ROM] = (struct pci_bar){.kind = PCI_BAR_EXPANSION_ROM, .size = size, .ram = rom};
    p->own_rom = true;
    if (file_read(fd, rom, len, 0) != (ssize_t)len)
        return err_set(e, EIO, "cannot read the option ROM %s", path);
    rom_for(p, rom, len);
    return 0;
}

int pci_add_rom(struct pci_dev *p, const char *file, struct err *e)
{
    struct stat st;
    char path[64];
    int fd, rc;

    snprintf(path, sizeof(path), "/usr/lib/ipxe/qemu/%s", file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > ROM_MAX)
        rc = err_set(e, EINVAL, "%s is no option ROM: install the package ipxe-qemu anew", path);
    else
        rc = rom_map(p, fd, (size_t)st.st_size, path, e);
    close(fd);
    return rc;
}

void pci_rom_free(struct pci_dev *p)
{
    if (p->own_rom)
        munmap(p->bar[PCI_ROM].ram, p->bar[PCI_ROM].size);
    p->own_rom = false;
}
