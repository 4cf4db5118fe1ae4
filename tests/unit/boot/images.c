/* SPDX-License-Identifier: Apache-2.0 */
/* images.c - see images.h. */
#define _GNU_SOURCE
#include "images.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/elf.h"
#include "abi/linux_boot.h"
#include "abi/multiboot.h"
#include "core/core.h"
#include "unit.h"

void image_bzimage(struct image *m)
{
    struct linux_setup_header *h = (void *)(m->b + LINUX_HEADER_AT);

    memset(m, 0, sizeof(*m));
    m->n = IMAGE_SETUP + IMAGE_CODE;
    h->setup_sects = 1;
    h->syssize = le32_of(IMAGE_CODE / 16);
    h->boot_flag = le16_of(LINUX_BOOT_FLAG);
    h->jump = le16_of(0x6aeb);
    h->header = le32_of(LINUX_HEADER_MAGIC);
    h->version = le16_of(0x20f);
    h->kernel_version = le16_of(0x100);
    h->loadflags = LOADED_HIGH;
    h->initrd_addr_max = le32_of(0x7fffffff);
    h->kernel_alignment = le32_of(2 * MiB);
    h->relocatable_kernel = 1;
    h->xloadflags = le16_of(XLF_KERNEL_64);
    h->cmdline_size = le32_of(100);
    h->pref_address = le64_of(16 * MiB);
    h->init_size = le32_of(4 * MiB);
    snprintf((char *)m->b + 0x300, 64, "9.8.7-made-by-hand (x) #1");
    memset(m->b + IMAGE_SETUP, 0xc3, IMAGE_CODE);
}

static size_t image_phdr(struct image *m, size_t at, uint32_t type, uint64_t off, uint64_t paddr,
                         uint64_t filesz, uint64_t memsz)
{
    struct elf64_phdr *p = (void *)(m->b + at);

    p->type = le32_of(type);
    p->offset = le64_of(off);
    p->paddr = p->vaddr = le64_of(paddr);
    p->filesz = le64_of(filesz);
    p->memsz = le64_of(memsz);
    return at + sizeof(*p);
}

void image_elf(struct image *m, enum image_elf kind)
{
    struct elf64_ehdr *h = (void *)m->b;
    struct elf_nhdr *note = (void *)(m->b + 0x180);
    struct multiboot_header *mb = (void *)(m->b + 0x200);
    size_t at = sizeof(*h);

    memset(m, 0, sizeof(*m));
    m->n = 0x300;
    memcpy(h->ident.magic, "\177ELF", 4);
    h->ident.class = ELFCLASS64;
    h->ident.data = ELFDATA2LSB;
    h->type = le16_of(ET_EXEC);
    h->machine = le16_of(EM_X86_64);
    h->entry = le64_of(2 * MiB + 16);
    h->phoff = le64_of(at);
    h->phentsize = le16_of(sizeof(struct elf64_phdr));
    h->phnum = le16_of(kind == IMAGE_PVH ? 2 : 1);
    at = image_phdr(m, at, PT_LOAD, 0x200, 2 * MiB, 0x100, 8 * KiB);
    memset(m->b + 0x200, 0x90, 0x100);
    if (kind == IMAGE_PVH) {
        image_phdr(m, at, PT_NOTE, 0x180, 0, 20, 20);
        note->namesz = le32_of(4);
        note->descsz = le32_of(4);
        note->type = le32_of(XEN_ELFNOTE_PHYS32_ENTRY);
        memcpy(m->b + 0x18c, "Xen", 4);
        le32_put(m->b + 0x190, 2 * MiB + 32);
    } else if (kind == IMAGE_MULTIBOOT) {
        mb->magic = le32_of(MULTIBOOT_HEADER_MAGIC);
        mb->flags = le32_of(MULTIBOOT_MEMORY_INFO);
        mb->checksum = le32_of(-(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_MEMORY_INFO));
    } else if (kind == IMAGE_MULTIBOOT2) {
        struct multiboot2_header *h2 = (void *)mb;

        memset(h2, 0, 24);
        h2->magic = le32_of(MULTIBOOT2_HEADER_MAGIC);
        h2->header_length = le32_of(24);
        h2->checksum = le32_of(-(MULTIBOOT2_HEADER_MAGIC + 24));
        le32_put((uint8_t *)(h2 + 1) + 4, 8);
    }
}

static void image_flat2(struct image *m)
{
    struct multiboot2_header *h = (void *)(m->b + 64);
    struct multiboot2_header_tag *t = (void *)(h + 1);
    struct multiboot2_address *a = (void *)(t + 1);

    h->magic = le32_of(MULTIBOOT2_HEADER_MAGIC);
    h->header_length = le32_of(sizeof(*h) + 24 + 16 + 8);
    h->checksum = le32_of(-(MULTIBOOT2_HEADER_MAGIC + le32_get(h->header_length)));
    *t = (struct multiboot2_header_tag){le16_of(MULTIBOOT2_HEADER_TAG_ADDRESS), le16_of(0),
                                        le32_of(24)};
    *a = (struct multiboot2_address){le32_of(2 * MiB + 64), le32_of(2 * MiB), le32_of(0),
                                     le32_of(2 * MiB + 8 * KiB)};
    t = (void *)(a + 1);
    *t = (struct multiboot2_header_tag){le16_of(MULTIBOOT2_HEADER_TAG_ENTRY_ADDRESS), le16_of(0),
                                        le32_of(12)};
    le32_put((uint8_t *)(t + 1), 2 * MiB + 16);
    t += 2;
    *t = (struct multiboot2_header_tag){le16_of(MULTIBOOT2_HEADER_TAG_END), le16_of(0), le32_of(8)};
}

void image_flat(struct image *m, enum image_elf kind)
{
    uint32_t flags = MULTIBOOT_MEMORY_INFO | MULTIBOOT_AOUT_KLUDGE;
    struct multiboot_header *h = (void *)(m->b + 64);
    struct multiboot_address *a = (void *)(h + 1);

    memset(m, 0, sizeof(*m));
    memset(m->b, 0x90, 0x100);
    m->n = 0x100;
    if (kind == IMAGE_MULTIBOOT2) {
        memset(m->b + 64, 0, 64);
        image_flat2(m);
        return;
    }
    h->magic = le32_of(MULTIBOOT_HEADER_MAGIC);
    h->flags = le32_of(flags);
    h->checksum = le32_of(-(MULTIBOOT_HEADER_MAGIC + flags));
    *a = (struct multiboot_address){le32_of(2 * MiB + 64), le32_of(2 * MiB), le32_of(0),
                                    le32_of(2 * MiB + 8 * KiB), le32_of(2 * MiB + 16)};
}

int image_file(const void *p, size_t n, char path[32])
{
    int fd = memfd_create("image", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}
