/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_elf.c - x86 ELF kernels: which entry they have, and their segments.
 *
 * A PVH note wins over a multiboot header, and that over a multiboot2 one; a 64-bit ELF with
 * neither is taken for a Linux vmlinux, entered by the 64-bit boot protocol (boot.rst of
 * Linux 6.1). Both classes of ELF are read, only program headers count. Segments go to their
 * physical addresses.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "abi/elf.h"
#include "abi/linux_boot.h"
#include "board/boot/boot_priv.h"
#include "board/layout.h"
#include "core/err.h"
#include "core/gmem.h"

enum { ELF_PAGE = 4096, ELF_NOTES_MAX = 64 << 10, ELF_CMDLINE = 2047, ELF_VERSION = 0x20f };

bool boot_elf_is(const uint8_t *head, size_t n)
{
    return n >= sizeof(struct elf32_ehdr) && memcmp(head, "\177ELF", 4) == 0;
}

/* Both classes in one form. */
struct elf_phdr {
    uint32_t type;
    uint64_t offset, vaddr, paddr, filesz, memsz;
};

static struct elf_phdr elf_phdr_of(bool is64, const uint8_t *p)
{
    if (is64) {
        const struct elf64_phdr *h = (const void *)p;

        return (struct elf_phdr){le32_get(h->type),  le64_get(h->offset), le64_get(h->vaddr),
                                 le64_get(h->paddr), le64_get(h->filesz), le64_get(h->memsz)};
    } else {
        const struct elf32_phdr *h = (const void *)p;

        return (struct elf_phdr){le32_get(h->type),  le32_get(h->offset), le32_get(h->vaddr),
                                 le32_get(h->paddr), le32_get(h->filesz), le32_get(h->memsz)};
    }
}

static int elf_bad(const struct boot_file *f, const char *why, struct err *e)
{
    return err_set(e, EINVAL, "the kernel %s is a broken ELF file: %s", f->path, why);
}

/* Looks for the PVH entry among the notes of one segment. */
static int elf_notes(const struct boot_file *f, const struct elf_phdr *h, struct boot_elf *out,
                     struct err *e)
{
    uint8_t buf[4096];
    uint64_t at = 0;

    if (!range_in(h->offset, h->filesz, f->size))
        return elf_bad(f, "it is truncated in its notes", e);
    while (h->filesz - at >= sizeof(struct elf_nhdr) && at < ELF_NOTES_MAX) {
        struct elf_nhdr n;
        uint64_t name, desc, body;
        int rc = boot_file_read(f, h->offset + at, &n, sizeof(n), e);

        if (rc < 0)
            return rc;
        name = align_up(le32_get(n.namesz), 4);
        desc = le32_get(n.descsz);
        body = name + desc;
        at += sizeof(n);
        if (!range_in(at, body, h->filesz))
            return 0; /* other tools read past it, too */
        if (le32_get(n.type) == XEN_ELFNOTE_PHYS32_ENTRY && name == 4 && desc >= 4 && desc <= 8) {
            rc = boot_file_read(f, h->offset + at, buf, body, e);
            if (rc < 0)
                return rc;
            if (memcmp(buf, "Xen", 4) == 0) {
                out->pvh = true;
                out->pvh_entry = le32_at(buf + 4);
                return 0;
            }
        }
        at += name + align_up(desc, 4);
    }
    return 0;
}

/* File header in one form. */
struct elf_head {
    uint64_t phoff;
    unsigned phnum, phentsize;
};

/* Linkers put a file's own headers, and notes, before a kernel that begins at 1 MiB or at 0, where
 * a PC has ROM, which keeps nothing, or the vectors: takes these off the segment. */
static void elf_headers(const struct boot_elf *out, const struct elf_head *file, struct elf_phdr *h)
{
    bool low = h->paddr < BOOT_IMAGE_LOW;
    uint64_t n, there;

    if (h->offset != 0 || file->phoff > sizeof(struct elf64_ehdr) || h->filesz > h->memsz ||
        h->paddr >= BOOT_IMAGE_MIN || (!low && h->paddr < LAYOUT_VGA))
        return;
    n = min_u64(h->memsz, (low ? BOOT_IMAGE_LOW : BOOT_IMAGE_MIN) - h->paddr);
    if (n > ELF_PAGE || out->entry - h->vaddr < n)
        return;
    there = min_u64(n, h->filesz);
    h->offset += there;
    h->filesz -= there;
    h->memsz -= n;
    h->paddr += n;
    h->vaddr += n;
}

static int elf_segment(const struct boot_file *f, const struct elf_phdr *h, struct boot_elf *out,
                       struct err *e)
{
    uint64_t end;

    if (h->memsz == 0)
        return 0;
    if (out->segs == BOOT_ELF_SEGMENTS)
        return elf_bad(f, "it has too many segments", e);
    if (!range_in(h->offset, h->filesz, f->size))
        return elf_bad(f, "it is truncated", e);
    if (h->filesz > h->memsz || add_overflows(h->paddr, h->memsz, &end))
        return elf_bad(f, "a segment's sizes make no sense", e);
    out->seg[out->segs++] = (struct boot_segment){h->offset, h->filesz, h->memsz, h->paddr};
    out->lo = out->segs == 1 ? h->paddr : min_u64(out->lo, h->paddr);
    out->hi = max_u64(out->hi, end);
    if (out->entry - h->vaddr < h->memsz)
        out->entry_at = h->paddr + (out->entry - h->vaddr);
    return 0;
}

static int elf_header(const struct boot_file *f, struct boot_elf *out, struct elf_head *h,
                      struct err *e)
{
    struct elf64_ehdr h64;
    struct elf32_ehdr h32;
    unsigned machine, type;
    int rc = boot_file_read(f, 0, &h32, sizeof(h32), e);

    if (rc < 0)
        return rc;
    out->is64 = h32.ident.class == ELFCLASS64;
    if (h32.ident.data != ELFDATA2LSB || (!out->is64 && h32.ident.class != ELFCLASS32))
        return elf_bad(f, "it is not little-endian ELF32 or ELF64", e);
    if (out->is64) {
        rc = boot_file_read(f, 0, &h64, sizeof(h64), e);
        if (rc < 0)
            return rc;
        machine = le16_get(h64.machine);
        type = le16_get(h64.type);
        out->entry = le64_get(h64.entry);
        *h = (struct elf_head){le64_get(h64.phoff), le16_get(h64.phnum), le16_get(h64.phentsize)};
    } else {
        machine = le16_get(h32.machine);
        type = le16_get(h32.type);
        out->entry = le32_get(h32.entry);
        *h = (struct elf_head){le32_get(h32.phoff), le16_get(h32.phnum), le16_get(h32.phentsize)};
    }
    if (machine != EM_X86_64 && machine != EM_386)
        return elf_bad(f, "it is for another processor", e);
    if (type != ET_EXEC)
        return err_set(e, EINVAL,
                       "%s is an ELF program or library, not a kernel: give a bzImage, vmlinux, "
                       "PVH or multiboot kernel",
                       f->path);
    return 0;
}

int boot_elf_read(const struct boot_file *f, struct boot_elf *out, struct err *e)
{
    uint8_t raw[sizeof(struct elf64_phdr)];
    struct elf_head h = {0};
    size_t want;
    int rc;

    memset(out, 0, sizeof(*out));
    rc = elf_header(f, out, &h, e);
    if (rc < 0)
        return rc;
    out->entry_at = out->entry;
    want = out->is64 ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr);
    if (h.phnum == 0 || h.phentsize < want)
        return elf_bad(f, "it has no program headers", e);
    if (!range_in(h.phoff, (uint64_t)h.phnum * h.phentsize, f->size))
        return elf_bad(f, "it is truncated in its program headers", e);
    for (unsigned i = 0; i < h.phnum && rc == 0; i++) {
        struct elf_phdr p;

        rc = boot_file_read(f, h.phoff + (uint64_t)i * h.phentsize, raw, want, e);
        if (rc < 0)
            return rc;
        p = elf_phdr_of(out->is64, raw);
        if (p.type == PT_LOAD) {
            elf_headers(out, &h, &p);
            rc = elf_segment(f, &p, out, e);
        } else if (p.type == PT_NOTE && !out->pvh) {
            rc = elf_notes(f, &p, out, e);
        }
    }
    if (rc == 0 && out->segs == 0)
        rc = elf_bad(f, "it has nothing to load", e);
    return rc;
}

int boot_elf_load(const struct boot_file *f, const struct boot_elf *x, const struct boot_env *env,
                  struct err *e)
{
    for (size_t i = 0; i < x->segs; i++) {
        const struct boot_segment *s = &x->seg[i];
        int rc = boot_file_load(f, s->off, s->filesz, env->mem, s->at, e);

        if (rc < 0)
            return rc;
        if (gmem_fill(env->mem, s->at + s->filesz, 0, s->memsz - s->filesz) < 0)
            return err_set(e, EINVAL,
                           "the kernel %s needs memory up to %#llx: give the guest more --memory",
                           f->path, (unsigned long long)(s->at + s->memsz));
    }
    return 0;
}

/* Whether [at, at + size) holds a byte of the image. */
static bool elf_hits(const struct boot_elf *x, gpa_t at, uint64_t size)
{
    for (size_t i = 0; i < x->segs; i++)
        if (x->seg[i].at < at + size && at < x->seg[i].at + x->seg[i].memsz)
            return true;
    return false;
}

int boot_make_room(struct boot *b, const struct boot_elf *x, struct err *e)
{
    bool linux_elf = b->kind == BOOT_LINUX_ELF;

    for (size_t i = 0; i < x->segs; i++) {
        const struct boot_segment *s = &x->seg[i];
        bool low = s->at >= BOOT_IMAGE_LOW && s->at < LAYOUT_EBDA &&
                   s->memsz <= LAYOUT_EBDA - s->at && !linux_elf;

        if (s->at < BOOT_IMAGE_MIN && !low)
            return err_set(e, EINVAL,
                           "the kernel %s wants to lie at %#llx to %#llx: what is not above 1 MiB "
                           "%s",
                           b->kernel.path, (unsigned long long)s->at,
                           (unsigned long long)(s->at + s->memsz - 1),
                           linux_elf ? "is no Linux kernel" : "must be between 0x600 and 0x9fbff");
    }
    for (b->shift = 0; boot_at(b, BOOT_END) <= LAYOUT_EBDA; b->shift += 0x1000)
        if (!elf_hits(x, boot_at(b, BOOT_PARAMS), BOOT_END - BOOT_PARAMS))
            return 0;
    b->shift = 0;
    return err_set(e, EINVAL,
                   "the kernel %s leaves no %u KiB below 640 KiB for what it is handed: link it "
                   "elsewhere, best above 1 MiB",
                   b->kernel.path, (BOOT_END - BOOT_PARAMS) / 1024);
}

/* Fills b->kind and b->about. */
static int elf_kind(struct boot *b, const struct boot_elf *x, struct err *e)
{
    const char *size = x->is64 ? "64" : "32";
    bool image;
    int rc;

    if (x->pvh) {
        b->kind = BOOT_PVH;
        snprintf(b->about, sizeof(b->about), "PVH kernel (ELF%s)", size);
        return 0;
    }
    rc = boot_multiboot_find(&b->kernel, &image, e);
    if (rc > 0) {
        b->kind = BOOT_MULTIBOOT;
        snprintf(b->about, sizeof(b->about), "multiboot kernel (ELF%s)", size);
    }
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = boot_multiboot2_find(&b->kernel, &image, e);
    if (rc > 0) {
        b->kind = BOOT_MULTIBOOT2;
        snprintf(b->about, sizeof(b->about), "multiboot2 kernel (ELF%s)", size);
    }
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (!x->is64)
        return err_set(e, EINVAL,
                       "the kernel %s is a 32-bit ELF with neither a PVH note nor a multiboot "
                       "header: nothing says how to start it",
                       b->kernel.path);
    b->kind = BOOT_LINUX_ELF;
    snprintf(b->about, sizeof(b->about), "Linux vmlinux (ELF64)");
    return 0;
}

int boot_elf_check(struct boot *b, uint64_t memory, struct err *e)
{
    struct boot_elf x;
    int rc = boot_elf_read(&b->kernel, &x, e);

    if (rc == 0 && x.hi > layout_ram_low(memory, true))
        rc = err_set(e, EINVAL,
                     "the kernel %s needs memory up to %llu MiB: give the guest more --memory",
                     b->kernel.path, (unsigned long long)((x.hi + MiB - 1) / MiB));
    if (rc == 0)
        rc = elf_kind(b, &x, e);
    return rc < 0 ? rc : boot_make_room(b, &x, e);
}

int boot_linux_elf_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                        struct err *e)
{
    struct linux_boot_params zero;
    struct boot_elf x;
    gpa_t initrd = 0;
    int rc = boot_elf_read(&b->kernel, &x, e);

    if (rc == 0)
        rc = boot_make_room(b, &x, e);
    if (rc == 0)
        rc = boot_elf_load(&b->kernel, &x, env, e);
    if (rc == 0)
        rc = boot_load_initrd(b, env, x.hi, UINT32_MAX, &initrd, e);
    if (rc == 0)
        rc = boot_load_cmdline(b, env, ELF_CMDLINE, e);
    if (rc == 0)
        rc = boot_load_entry(b, env, true, e);
    if (rc < 0)
        return rc;
    memset(&zero, 0, sizeof(zero));
    zero.hdr.boot_flag = le16_of(LINUX_BOOT_FLAG);
    zero.hdr.header = le32_of(LINUX_HEADER_MAGIC);
    zero.hdr.version = le16_of(ELF_VERSION);
    zero.hdr.loadflags = LOADED_HIGH;
    zero.hdr.kernel_alignment = le32_of(2 * MiB);
    zero.hdr.cmdline_size = le32_of(ELF_CMDLINE);
    *out = (struct boot_start){
        .longmode = true, .rip = x.entry, .rsi = BOOT_PARAMS, .cr3 = BOOT_PAGES};
    return boot_linux_params(b, env, &zero, initrd, e);
}
