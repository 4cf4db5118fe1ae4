/* SPDX-License-Identifier: Apache-2.0 */
/* images.h - hand-made kernels, and files that exist only in memory. */
#ifndef HOSPES_TESTS_UNIT_BOOT_IMAGES_H
#define HOSPES_TESTS_UNIT_BOOT_IMAGES_H

#include <stddef.h>
#include <stdint.h>

enum { IMAGE_MAX = 64 << 10, IMAGE_CODE = 3072, IMAGE_SETUP = 1024 };

struct image {
    uint8_t b[IMAGE_MAX];
    size_t n;
};

/* Protocol 2.15, relocatable, 64-bit entry, prefers 16 MiB, needs 4 MiB. */
void image_bzimage(struct image *m);

enum image_elf { IMAGE_VMLINUX, IMAGE_PVH, IMAGE_MULTIBOOT, IMAGE_MULTIBOOT2 };
/* One segment at 2 MiB with 256 bytes of file and 8 KiB of memory; entry 2 MiB + 16. */
void image_elf(struct image *m, enum image_elf kind);

/* No ELF file: the header lies at byte 64 and puts the image to 2 MiB with 8 KiB of memory and the
 * entry at 2 MiB + 16. */
void image_flat(struct image *m, enum image_elf kind);

/* A file of the first n bytes: a descriptor, and in path how to open it. */
int image_file(const void *p, size_t n, char path[32]);

#endif
