/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_direct.c - enters the kernel inside a bzImage, without its decompressor.
 *
 * Follows arch/x86/boot/compressed of Linux 6.1 (misc.c, kaslr.c) in what it leaves behind: the
 * ELF's segments at a physical address, relocated for a virtual one, KASLR_FLAG in loadflags when
 * that was random. Both addresses are drawn here, from the host's random numbers. The
 * decompressor's choice of 5-level paging is not made: guests run with 4 levels.
 *
 * The payload is an ELF followed by a table of 32-bit numbers, read from its end, with a zero
 * before each of its lists: places to add the virtual offset to (32 bits wide), to subtract it from
 * (since Linux 6.15 there is none of these), and to add it to (64 bits wide).
 *
 * Whatever is not as expected means: nothing done, start the image the ordinary way. So do images
 * packed with LZ4: a library unpacks it no faster than the kernel does, and the kernel does it in
 * memory that the guest touches anyway.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "abi/elf.h"
#include "board/boot/boot_priv.h"
#include "core/err.h"
#include "core/gmem.h"

enum { DIRECT_PAYLOAD_MAX = 256 << 20, DIRECT_IMAGE_MAX = 512 << 20, DIRECT_HUGE = 2 << 20 };
#define DIRECT_KERNEL_MAP UINT64_C(0xffffffff80000000) /* __START_KERNEL_map */
#define DIRECT_KERNEL_SIZE GiB                         /* KERNEL_IMAGE_SIZE with KASLR */

/* Scratch memory: freed before the guest runs, on huge pages because it is used once. */
struct scratch {
    uint8_t *p;
    size_t size;
};

static bool scratch_make(struct scratch *s, size_t n)
{
    s->size = align_up(n, DIRECT_HUGE) + DIRECT_HUGE;
    s->p = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (s->p == MAP_FAILED) {
        s->p = NULL;
        return false;
    }
    madvise(s->p, s->size, MADV_HUGEPAGE);
    return true;
}

static void scratch_free(struct scratch *s)
{
    if (s->p)
        munmap(s->p, s->size);
}

/* The unpacked payload. */
struct direct {
    const uint8_t *p;
    size_t n;
    size_t elf_end; /* where the relocation table begins */
    uint64_t entry;
    unsigned phnum;
    const struct elf64_phdr *ph;
};

static bool direct_elf(struct direct *d)
{
    const struct elf64_ehdr *h = (const void *)d->p;
    uint64_t sections;

    if (d->n < sizeof(*h) || memcmp(h->ident.magic, "\177ELF", 4) != 0 ||
        h->ident.class != ELFCLASS64 || h->ident.data != ELFDATA2LSB ||
        le16_get(h->machine) != EM_X86_64 || le16_get(h->phentsize) != sizeof(struct elf64_phdr))
        return false;
    d->phnum = le16_get(h->phnum);
    d->entry = le64_get(h->entry);
    if (!range_in(le64_get(h->phoff), (uint64_t)d->phnum * sizeof(*d->ph), d->n))
        return false;
    d->ph = (const void *)(d->p + le64_get(h->phoff));
    sections = (uint64_t)le16_get(h->shnum) * le16_get(h->shentsize);
    if (sections == 0 || !range_in(le64_get(h->shoff), sections, d->n))
        return false;
    d->elf_end = (size_t)(le64_get(h->shoff) + sections); /* objcopy writes them last */
    return true;
}

/* Copies the segments; base is where the kernel's preferred address lies now. */
static bool direct_segments(const struct direct *d, const struct boot_payload *k, uint8_t *base)
{
    size_t loads = 0;

    for (unsigned i = 0; i < d->phnum; i++) {
        const struct elf64_phdr *h = &d->ph[i];
        uint64_t off = le64_get(h->offset), n = le64_get(h->filesz),
                 at = le64_get(h->paddr) - k->pref;

        if (le32_get(h->type) != PT_LOAD)
            continue;
        if (n > le64_get(h->memsz) || !range_in(off, n, d->elf_end) ||
            !range_in(at, le64_get(h->memsz), k->span))
            return false;
        memcpy(base + at, d->p + off, n);
        loads++;
    }
    return loads > 0 && d->entry - k->pref < k->span;
}

/* --- relocation --- */

struct lists {
    const uint8_t *last[3]; /* last entry of each list, from the table's end backwards */
    unsigned count;
};

/* Splits the table; it must be used up exactly by two or three lists. */
static bool direct_lists(const struct direct *d, struct lists *l)
{
    size_t n = (d->n - d->elf_end) / 4;
    const uint8_t *table = d->p + d->n - n * 4;

    l->count = 0;
    if ((d->n - d->elf_end) % 4)
        return false;
    while (n > 0) {
        if (l->count == ARRAY_SIZE(l->last))
            return false;
        l->last[l->count++] = table + (n - 1) * 4;
        while (le32_at(table + (n - 1) * 4) != 0) {
            if (--n == 0)
                return false;
        }
        n--; /* the zero */
    }
    return l->count >= 2;
}

/* Adds delta at every place of one list. */
static bool direct_apply(const uint8_t *last, const struct boot_payload *k, uint8_t *base,
                         unsigned width, uint64_t delta)
{
    for (; le32_at(last) != 0; last -= 4) {
        uint64_t va = (uint64_t)(int64_t)(int32_t)le32_at(last);
        uint64_t at = va - DIRECT_KERNEL_MAP - k->pref;

        if (!range_in(at, width, k->span))
            return false;
        if (width == 4)
            le32_put(base + at, le32_at(base + at) + (uint32_t)delta);
        else
            le64_put(base + at, le64_at(base + at) + delta);
    }
    return true;
}

static bool direct_relocate(const struct lists *l, const struct boot_payload *k, uint8_t *base,
                            uint64_t delta)
{
    bool ok = direct_apply(l->last[0], k, base, 4, delta);

    if (ok && l->count == 3)
        ok = direct_apply(l->last[1], k, base, 4, -delta);
    return ok && direct_apply(l->last[l->count - 1], k, base, 8, delta);
}

/* One of the aligned places for the kernel in [from, to). */
static uint64_t direct_draw(uint64_t from, uint64_t to, const struct boot_payload *k)
{
    uint64_t slots = (to - from - k->span) / k->alignment + 1, r = 0;

    if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
        return from;
    return from + r % slots * k->alignment;
}

/* A word of the command line; "x=" matches words that begin so. */
static bool direct_word(const char *line, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = line; (at = strstr(at, word)) != NULL; at += n) {
        bool begins = at == line || at[-1] == ' ';

        if (begins && (word[n - 1] == '=' || at[n] == ' ' || at[n] == '\0'))
            return true;
    }
    return false;
}

static int direct_place(struct boot *b, const struct boot_env *env, const struct boot_payload *k,
                        const struct direct *d, struct boot_start *out, bool *random)
{
    bool fixed = direct_word(b->append, "nokaslr");
    uint64_t virt = k->pref;
    struct lists l = {0};
    uint8_t *base;
    gpa_t phys = k->pref;

    /* Without a table the kernel was built for one place. */
    if (d->n == d->elf_end)
        fixed = true;
    else if (!direct_lists(d, &l))
        return 0;
    if (!fixed) {
        phys = direct_draw(k->pref, k->end, k);
        virt = direct_draw(k->pref, DIRECT_KERNEL_SIZE, k);
    }
    base = gmem_shared(env->mem, phys, k->span);
    if (!base || !direct_segments(d, k, base))
        return 0;
    if (virt != k->pref && !direct_relocate(&l, k, base, virt - k->pref))
        return 0;
    *out = (struct boot_start){.longmode = true,
                               .rip = phys + (d->entry - k->pref),
                               .rsi = BOOT_PARAMS,
                               .cr3 = BOOT_PAGES};
    *random = !fixed;
    return 1;
}

int boot_direct_load(struct boot *b, const struct boot_env *env, const struct boot_payload *k,
                     struct boot_start *out, bool *random, struct err *e)
{
    static const char *const not_ours[] = {"mem=", "memmap=", "no5lvl", "hugepages="};
    struct scratch packed = {0}, plain = {0};
    struct direct d = {0};
    uint8_t magic[6];
    uint32_t size;
    int rc;

    for (size_t i = 0; i < ARRAY_SIZE(not_ours); i++) {
        if (direct_word(b->append, not_ours[i]))
            return 0;
    }
    if (k->len < 16 || k->len > DIRECT_PAYLOAD_MAX || k->pref % k->alignment || k->pref > k->end ||
        k->span > k->end - k->pref || k->pref + k->span > DIRECT_KERNEL_SIZE)
        return 0;
    rc = boot_file_read(&b->kernel, k->off, magic, sizeof(magic), e);
    if (rc < 0 || !boot_unpack_knows(magic))
        return rc;
    if (scratch_make(&packed, k->len))
        rc = boot_file_read(&b->kernel, k->off, packed.p, k->len, e);
    size = packed.p && rc == 0 ? le32_at(packed.p + k->len - 4) : 0;
    if (size > 0 && size <= DIRECT_IMAGE_MAX && scratch_make(&plain, size) &&
        boot_unpack(packed.p, k->len, plain.p, size, &d.n) == 0 && d.n == size) {
        d.p = plain.p;
        rc = direct_elf(&d) ? direct_place(b, env, k, &d, out, random) : 0;
    }
    scratch_free(&packed);
    scratch_free(&plain);
    return rc;
}
