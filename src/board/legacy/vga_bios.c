/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vga_bios.c - the VGA's BIOS: a ROM for firmware, and for kernels without firmware that were made
 * for machines with a BIOS the mode that it would have left, 3: text, 80 by 25.
 *
 * IBM VGA technical reference, mode 3+. The font is the one in the ROM's file; where it is not
 * found, characters can be read (vga_text()) but not seen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board/legacy/vga_priv.h"
#include "core/err.h"
#include "core/file.h"

enum { VGA_ROM_MAX = 256 << 10, ROM_PAGE = 4096, FONT_PITCH = 32 };

/* --- the ROM --- */

/* The file, *size its bytes, *path its name. -errno with e filled. */
static int rom_open(size_t *size, const char **path, struct err *e)
{
    static const char *const known[] = {"/usr/share/seabios/vgabios-stdvga.bin",
                                        "/usr/share/qemu/vgabios-stdvga.bin"};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        int fd = open(known[i], O_RDONLY | O_CLOEXEC);
        struct stat st;

        if (fd < 0)
            continue;
        *path = known[i];
        if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > VGA_ROM_MAX) {
            close(fd);
            return err_set(e, EINVAL, "%s is no BIOS of a VGA: install the package seabios anew",
                           known[i]);
        }
        *size = (size_t)st.st_size;
        return fd;
    }
    return err_exit(e, EX_MISSING, ENOENT,
                    "there is no vgabios-stdvga.bin in /usr/share/seabios: install the package "
                    "seabios");
}

static int rom_read(int fd, const char *path, void *buf, size_t size, struct err *e)
{
    if (file_read(fd, buf, size, 0) != (ssize_t)size)
        return err_set(e, EIO, "cannot read the VGA's BIOS %s", path);
    return 0;
}

int vga_bios_rom(struct vga *v, struct err *e)
{
    const char *path;
    size_t size, window = ROM_PAGE;
    int fd = rom_open(&size, &path, e), rc;

    if (fd < 0)
        return fd;
    while (window < size)
        window *= 2;
    v->rom = vga_pages(window);
    v->pci.bar[PCI_ROM] =
        (struct pci_bar){.kind = PCI_BAR_EXPANSION_ROM, .size = window, .ram = v->rom};
    rc = v->rom ? rom_read(fd, path, v->rom, size, e)
                : err_set(e, ENOMEM, "no memory for the VGA's BIOS");
    close(fd);
    return rc;
}

/* --- the mode --- */

/* Where a font of 8 by 16 begins: with a blank and the outline of a face. */
static const uint8_t *font_find(const uint8_t *rom, size_t size)
{
    static const uint8_t first[32] = {[18] = 0x7e, 0x81, 0xa5, 0x81, 0x81,
                                      0xbd,        0x99, 0x81, 0x81, 0x7e};
    const uint8_t *at = memmem(rom, size, first, sizeof(first));

    return at && (size_t)(rom + size - at) >= VGA_FONT ? at : NULL;
}

int vga_bios_text(struct vga *v, struct err *e)
{
    const char *path;
    size_t size = 0;
    struct err ignored;
    int fd = rom_open(&size, &path, &ignored);
    const uint8_t *at = NULL;
    uint8_t *rom;

    v->text = true;
    if (fd < 0)
        return 0;
    rom = malloc(size);
    v->font = malloc(VGA_FONT);
    if (!rom || !v->font) {
        free(rom);
        close(fd);
        return err_set(e, ENOMEM, "no memory for the VGA's font");
    }
    if (rom_read(fd, path, rom, size, &ignored) == 0)
        at = font_find(rom, size);
    if (at) {
        memcpy(v->font, at, VGA_FONT);
    } else {
        free(v->font);
        v->font = NULL;
    }
    free(rom);
    close(fd);
    return 0;
}

/* The 64 colours of the EGA: two bits of each, the weak ones above the strong ones. */
static void ega_colours(struct vga_state *s)
{
    for (unsigned i = 0; i < 64; i++) {
        for (unsigned k = 0; k < 3; k++) /* red, green, blue from bits 2 and 5 down */
            s->dac[3 * i + k] = (uint8_t)((i >> (2 - k) & 1) * 0x2a + (i >> (5 - k) & 1) * 0x15);
    }
}

void vga_bios_leave(struct vga *v)
{
    static const uint8_t seq[SEQ_COUNT] = {0x03, 0x00, 0x03, 0x00, 0x02};
    static const uint8_t crtc[CRTC_COUNT] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00,
                                             0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
                                             0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
    static const uint8_t gr[GR_COUNT] = {[GR_MODE] = 0x10, 0x0e, 0x0f, 0xff};
    static const uint8_t ar[AR_COUNT] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14,
                                         0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d,
                                         0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};
    struct vga_state *s = &v->s;

    s->misc = 0x67;
    memcpy(s->seq, seq, sizeof(seq));
    memcpy(s->crtc, crtc, sizeof(crtc));
    memcpy(s->gr, gr, sizeof(gr));
    memcpy(s->ar, ar, sizeof(ar));
    s->ar_at = AR_SCREEN_ON;
    ega_colours(s);
    for (unsigned i = 0; i < VGA_TEXT_CELLS; i++) {
        v->vram[4 * i] = ' ';
        v->vram[4 * i + 1] = 0x07;
    }
    for (unsigned i = 0; v->font && i < VGA_FONT; i++)
        v->vram[4 * (i / 16 * FONT_PITCH + i % 16) + 2] = v->font[i];
}
