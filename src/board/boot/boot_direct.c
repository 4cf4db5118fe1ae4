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
 * The payload is unpacked where the kernel will run, 2 MiB lower: so far into the file a kernel's
 * first segment lies, and the others follow as they do in memory, so that nothing is copied again.
 * Segments that lie elsewhere are moved.
 *
 * Whatever is not as expected means: start the image the ordinary way.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "abi/elf.h"
#include "board/boot/boot_priv.h"
#include "core/err.h"
#include "core/gmem.h"

enum {
    DIRECT_IMAGE_MAX = 512 << 20,
    DIRECT_LEAD = 2 << 20, /* before the first segment in the file: the linker's page size */
    DIRECT_SEGMENTS = 16,
};
#define DIRECT_KERNEL_MAP UINT64_C(0xffffffff80000000) /* __START_KERNEL_map */
#define DIRECT_KERNEL_SIZE GiB                         /* KERNEL_IMAGE_SIZE with KASLR */

/* The unpacked payload; it lies in the guest's memory, which no guest runs in yet. */
struct direct {
    uint8_t *p;
    size_t n;
    size_t elf_end; /* where the relocation table begins */
    uint64_t entry;
    unsigned phnum;
    struct elf64_phdr ph[DIRECT_SEGMENTS];
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
    if (d->phnum > DIRECT_SEGMENTS ||
        !range_in(le64_get(h->phoff), (uint64_t)d->phnum * sizeof(d->ph[0]), d->n))
        return false;
    /* A copy: moving segments may overwrite it. */
    memcpy(d->ph, d->p + le64_get(h->phoff), d->phnum * sizeof(d->ph[0]));
    sections = (uint64_t)le16_get(h->shnum) * le16_get(h->shentsize);
    if (sections == 0 || !range_in(le64_get(h->shoff), sections, d->n))
        return false;
    d->elf_end = (size_t)(le64_get(h->shoff) + sections); /* objcopy writes them last */
    return true;
}

/* Puts the segments where they belong; base is where the kernel's preferred address lies now.
 * Sources and destinations ascend, so a segment that moves down never hits one that is still to
 * move; the relocation table stays whole because nothing moves up. */
static bool direct_segments(const struct direct *d, const struct boot_payload *k, uint8_t *base)
{
    uint64_t off_end = 0, at_end = 0;
    size_t loads = 0;

    for (unsigned i = 0; i < d->phnum; i++) {
        const struct elf64_phdr *h = &d->ph[i];
        uint64_t off = le64_get(h->offset), n = le64_get(h->filesz),
                 at = le64_get(h->paddr) - k->pref;

        if (le32_get(h->type) != PT_LOAD)
            continue;
        if (n > le64_get(h->memsz) || !range_in(off, n, d->elf_end) ||
            !range_in(at, le64_get(h->memsz), k->span) || off < off_end || at < at_end ||
            base + at > d->p + off)
            return false;
        if (base + at != d->p + off)
            memmove(base + at, d->p + off, n);
        off_end = off + n;
        at_end = at + n;
        loads++;
    }
    return loads > 0 && d->entry - k->pref < k->span;
}

/* --- relocation --- */

/* Each list as [last, first), from its last number down to the zero before it. */
struct lists {
    const uint8_t *last[3], *zero[3];
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
        l->zero[l->count - 1] = table + (n - 1) * 4;
        n--;
    }
    return l->count >= 2;
}

/* Adds delta at every place of list i. The numbers may be overwritten on the way by a table that
 * points at itself; the list still ends where it ended. */
static bool direct_apply(const struct lists *l, unsigned i, const struct boot_payload *k,
                         uint8_t *base, unsigned width, uint64_t delta)
{
    /* Copies of what the places written to might hold, as far as a compiler knows. */
    uint64_t origin = DIRECT_KERNEL_MAP + k->pref, last = k->span - width;
    const uint8_t *zero = l->zero[i];

    if (k->span < width)
        return false;
    for (const uint8_t *p = l->last[i]; p > zero; p -= 4) {
        uint64_t at = (uint64_t)(int64_t)(int32_t)le32_at(p) - origin;

        if (at > last)
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
    bool ok = direct_apply(l, 0, k, base, 4, delta);

    if (ok && l->count == 3)
        ok = direct_apply(l, 1, k, base, 4, -delta);
    return ok && direct_apply(l, l->count - 1, k, base, 8, delta);
}

/* One of the aligned places for `span` bytes in [from, to). */
static uint64_t direct_draw(uint64_t from, uint64_t to, uint64_t span, uint64_t alignment)
{
    uint64_t slots = (to - from - span) / alignment + 1, r = 0;

    if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
        return from;
    return from + r % slots * alignment;
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

/* The unpacked payload lies at `d`, and the kernel's own place `base` 2 MiB above. */
static bool direct_enter(struct direct *d, const struct boot_payload *k, bool fixed, gpa_t phys,
                         struct boot_start *out)
{
    uint8_t *base = d->p + DIRECT_LEAD;
    uint64_t virt = k->pref;
    struct lists l = {0};

    if (!direct_elf(d) || (!fixed && !direct_lists(d, &l)) || !direct_segments(d, k, base))
        return false;
    if (!fixed)
        virt = direct_draw(k->pref, DIRECT_KERNEL_SIZE, k->span, k->alignment);
    if (virt != k->pref && !direct_relocate(&l, k, base, virt - k->pref))
        return false;
    *out = (struct boot_start){.longmode = true,
                               .rip = phys + (d->entry - k->pref),
                               .rsi = BOOT_PARAMS,
                               .cr3 = BOOT_PAGES};
    return true;
}

static bool direct_possible(const struct boot *b, const struct boot_payload *k)
{
    static const char *const not_ours[] = {"mem=", "memmap=", "no5lvl", "hugepages="};

    for (size_t i = 0; i < ARRAY_SIZE(not_ours); i++) {
        if (direct_word(b->append, not_ours[i]))
            return false;
    }
    return k->len >= 16 && k->pref % k->alignment == 0 && k->pref >= BOOT_IMAGE_MIN + DIRECT_LEAD &&
           k->pref <= k->end && k->span <= k->end - k->pref &&
           k->pref + k->span <= DIRECT_KERNEL_SIZE;
}

int boot_direct_load(const struct boot *b, struct gmem *mem, const struct boot_payload *k,
                     struct boot_start *out, bool *random, struct err *e)
{
    bool fixed = direct_word(b->append, "nokaslr");
    struct direct d = {0};
    struct boot_packed in = {&b->kernel, k->off, k->len};
    gpa_t phys = k->pref;
    uint8_t size[4];
    uint64_t room;
    size_t made;
    int rc;

    if (!direct_possible(b, k))
        return 0;
    rc = boot_file_read(&b->kernel, k->off + k->len - 4, size, sizeof(size), e);
    if (rc < 0)
        return rc;
    d.n = le32_at(size);
    room = max_u64(d.n, DIRECT_LEAD + k->span) - DIRECT_LEAD;
    if (d.n == 0 || d.n > DIRECT_IMAGE_MAX || room > k->end - k->pref)
        return 0;
    if (!fixed)
        phys = direct_draw(k->pref, k->end, room, k->alignment);
    d.p = gmem_shared(mem, phys - DIRECT_LEAD, DIRECT_LEAD + room);
    rc = d.p ? boot_unpack(&in, d.p, d.n, &made, e) : 0;
    if (rc > 0)
        rc = made == d.n && direct_enter(&d, k, fixed, phys, out);
    *random = rc > 0 && !fixed;
    return rc;
}
