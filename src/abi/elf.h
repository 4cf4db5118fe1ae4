/* SPDX-License-Identifier: Apache-2.0 */
/* elf.h - ELF file and program headers, notes. System V gABI chapters 4 and 5. */
#ifndef HOSPES_ABI_ELF_H
#define HOSPES_ABI_ELF_H

#include "abi/bytes.h"

enum {
    ELFCLASS32 = 1,
    ELFCLASS64 = 2,
    ELFDATA2LSB = 1,
    ET_EXEC = 2,
    EM_386 = 3,
    EM_X86_64 = 62,
    PT_LOAD = 1,
    PT_NOTE = 4,
    SHT_NOTE = 7,
    XEN_ELFNOTE_PHYS32_ENTRY = 18, /* the PVH entry; name "Xen" */
};

struct elf_ident {
    uint8_t magic[4]; /* 0x7f E L F */
    uint8_t class, data, version, osabi, abiversion, pad[7];
};
WIRE_SIZE(struct elf_ident, 16);

struct elf64_ehdr {
    struct elf_ident ident;
    le16 type, machine;
    le32 version;
    le64 entry, phoff, shoff;
    le32 flags;
    le16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
WIRE_SIZE(struct elf64_ehdr, 64);

struct elf32_ehdr {
    struct elf_ident ident;
    le16 type, machine;
    le32 version;
    le32 entry, phoff, shoff;
    le32 flags;
    le16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
WIRE_SIZE(struct elf32_ehdr, 52);

struct elf64_phdr {
    le32 type, flags;
    le64 offset, vaddr, paddr, filesz, memsz, align;
};
WIRE_SIZE(struct elf64_phdr, 56);

struct elf32_phdr {
    le32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
WIRE_SIZE(struct elf32_phdr, 32);

struct elf_nhdr {
    le32 namesz, descsz, type;
};
WIRE_SIZE(struct elf_nhdr, 12);

#endif
