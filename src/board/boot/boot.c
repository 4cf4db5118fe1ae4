/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c - see boot.h: which loader, and what all loaders need.
 *
 * Entry states: Linux 64-bit (boot.rst, "64-bit boot protocol"), 32-bit flat for Linux 32-bit, PVH
 * (Xen's docs/misc/pvh.pandoc) and both versions of multiboot (section 3.2 of the first, 3.3 of the
 * second specification).
 */
#include "board/boot/boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/boot/boot_priv.h"
#include "board/layout.h"
#include "core/err.h"
#include "core/gmem.h"

enum {
    BOOT_HEAD = 4096,
    BOOT_CODE_SEL = 0x10, /* fixed by the Linux protocol; data has the next one */
    /* Multiboot leaves it open. Kernels that load a table of their own and keep the selectors have
     * those of most loaders. */
    BOOT_CODE_SEL_MULTIBOOT = 0x08,
    BOOT_SEL_STEP = 0x08,
    BOOT_TSS_SEL = 0x20,
    IA32_MTRR_DEF_TYPE = 0x2ff,
    MTRR_ENABLE = 1 << 11,
    MTRR_WRITE_BACK = 6,
    CR0_PE = 1 << 0,
    CR0_ET = 1 << 4,
    CR4_PAE = 1 << 5,
    EFER_LME = 1 << 8,
    EFER_LMA = 1 << 10,
    RFLAGS_FIXED = 1 << 1,
    PTE_PRESENT_WRITE = 3,
    PTE_LARGE = 1 << 7,
};
#define CR0_PG (UINT64_C(1) << 31)

static int boot_judge(struct boot *b, uint64_t memory, struct err *e)
{
    uint8_t head[BOOT_HEAD];
    size_t n = (size_t)min_u64(b->kernel.size, sizeof(head));
    int rc = boot_file_read(&b->kernel, 0, head, n, e);

    if (rc < 0)
        return rc;
    if (boot_bzimage_is(head, n))
        return boot_bzimage_check(b, memory, e);
    if (boot_elf_is(head, n))
        return boot_elf_check(b, memory, e);
    rc = boot_multiboot_check(b, memory, e);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    return err_set(e, EINVAL,
                   "%s is not a kernel that can be started directly: give a Linux bzImage or an "
                   "x86 ELF (vmlinux, PVH or multiboot)",
                   b->kernel.path);
}

int boot_open(const struct boot_cfg *c, struct boot **out, struct err *e)
{
    struct boot *b = calloc(1, sizeof(*b));
    int rc;

    if (!b)
        return err_set(e, ENOMEM, "no memory to load a kernel");
    b->kernel.fd = b->initrd.fd = -1;
    b->append = strdup(c->append ? c->append : "");
    rc = b->append ? 0 : err_set(e, ENOMEM, "no memory for the command line");
    if (rc == 0)
        rc = boot_file_open(&b->kernel, c->kernel, "kernel", e);
    if (rc == 0)
        rc = boot_file_unpack(&b->kernel, e);
    if (rc == 0)
        rc = boot_judge(b, c->memory, e);
    if (rc == 0)
        rc = boot_modules_open(b, c, e);
    if (rc == 0 && b->initrd.fd >= 0 && b->initrd.size >= layout_ram_low(c->memory, true))
        rc = err_set(e, EINVAL, "the initrd %s has %llu MiB and the guest %llu: give more --memory",
                     b->initrd.path, (unsigned long long)(b->initrd.size / MiB),
                     (unsigned long long)(c->memory / MiB));
    if (rc < 0)
        boot_close(b);
    else
        *out = b;
    return rc;
}

void boot_close(struct boot *b)
{
    if (!b)
        return;
    boot_early_end(b);
    boot_file_close(&b->kernel);
    boot_file_close(&b->initrd);
    boot_modules_close(b);
    free(b->append);
    free(b);
}

const char *boot_describe(const struct boot *b)
{
    return b->about;
}

bool boot_for_bios(const struct boot *b)
{
    return b->kind == BOOT_MULTIBOOT || b->kind == BOOT_MULTIBOOT2;
}

static int boot_load_kind(struct boot *b, const struct boot_env *env, struct boot_start *out,
                          struct err *e)
{
    switch (b->kind) {
    case BOOT_BZIMAGE:
        return boot_bzimage_load(b, env, out, e);
    case BOOT_LINUX_ELF:
        return boot_linux_elf_load(b, env, out, e);
    case BOOT_PVH:
        return boot_pvh_load(b, env, out, e);
    case BOOT_MULTIBOOT:
        return boot_multiboot_load(b, env, out, e);
    case BOOT_MULTIBOOT2:
        return boot_multiboot2_load(b, env, out, e);
    }
    return err_set(e, EINVAL, "%s is of no known kind", b->kernel.path);
}

int boot_load(struct boot *b, const struct boot_env *env, struct boot_start *out, struct err *e)
{
    int rc;

    *out = (struct boot_start){0};
    b->shift = 0;
    rc = boot_load_kind(b, env, out, e);
    out->gdt = boot_at(b, BOOT_GDT);
    out->code = boot_for_bios(b) ? BOOT_CODE_SEL_MULTIBOOT : BOOT_CODE_SEL;
    return rc;
}

/* --- what loaders share --- */

int boot_put(const struct boot_env *env, gpa_t at, const void *p, size_t n, struct err *e)
{
    if (gmem_write(env->mem, at, p, n) < 0)
        return err_set(e, EINVAL, "the guest has no memory at %#llx: give it more --memory",
                       (unsigned long long)at);
    return 0;
}

gpa_t boot_low_end(const struct boot_env *env)
{
    for (size_t i = 0; i < env->ranges; i++) {
        const struct board_range *r = &env->range[i];

        if (r->type == BOARD_RANGE_RAM && BOOT_IMAGE_MIN - r->base < r->size)
            return r->base + r->size;
    }
    return BOOT_IMAGE_MIN;
}

int boot_place_initrd(const struct boot *b, gpa_t low_end, gpa_t floor, gpa_t limit, gpa_t *at,
                      struct err *e)
{
    gpa_t end = align_down(min_u64(limit, low_end), 4096);

    *at = 0;
    if (b->initrd.fd < 0)
        return 0;
    if (b->initrd.size > end || align_down(end - b->initrd.size, 4096) < floor)
        return err_set(e, EINVAL,
                       "the kernel %s and the initrd %s (%llu MiB) do not both fit: give the guest "
                       "more --memory",
                       b->kernel.path, b->initrd.path, (unsigned long long)(b->initrd.size / MiB));
    *at = align_down(end - b->initrd.size, 4096);
    return 0;
}

int boot_load_initrd(const struct boot *b, const struct boot_env *env, gpa_t floor, gpa_t limit,
                     gpa_t *at, struct err *e)
{
    int rc = boot_place_initrd(b, boot_low_end(env), floor, limit, at, e);

    if (rc < 0 || *at == 0)
        return rc;
    return boot_file_load(&b->initrd, 0, b->initrd.size, env->mem, *at, e);
}

int boot_load_cmdline(const struct boot *b, const struct boot_env *env, size_t max, struct err *e)
{
    size_t n = strlen(b->append) + 1;

    if (max > BOOT_CMDLINE_MAX - 1)
        max = BOOT_CMDLINE_MAX - 1;
    if (n - 1 > max)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--append has %zu characters, %s takes at most %zu: shorten it", n - 1,
                        b->kernel.path, max);
    return boot_put(env, boot_at(b, BOOT_CMDLINE), b->append, n, e);
}

/* Null, unused, code, data, TSS: flat, ring 0, accessed. */
static const uint64_t boot_gdt_long[] = {
    0, 0, UINT64_C(0x00af9b000000ffff), UINT64_C(0x00cf93000000ffff), UINT64_C(0x00008b0000000067),
    0};
static const uint64_t boot_gdt_flat[] = {
    0, 0, UINT64_C(0x00cf9b000000ffff), UINT64_C(0x00cf93000000ffff), UINT64_C(0x00008b0000000067),
    0};
/* Null, code, data, unused, TSS. */
static const uint64_t boot_gdt_multiboot[] = {
    0, UINT64_C(0x00cf9b000000ffff), UINT64_C(0x00cf93000000ffff),
    0, UINT64_C(0x00008b0000000067), 0};

int boot_load_entry(const struct boot *b, const struct boot_env *env, bool longmode, struct err *e)
{
    uint64_t page[512];
    const uint64_t *gdt = longmode           ? boot_gdt_long
                          : boot_for_bios(b) ? boot_gdt_multiboot
                                             : boot_gdt_flat;
    int rc = boot_put(env, boot_at(b, BOOT_GDT), gdt, sizeof(boot_gdt_long), e);

    if (!longmode || rc < 0)
        return rc;
    memset(page, 0, sizeof(page));
    page[0] = (BOOT_PAGES + 0x1000) | PTE_PRESENT_WRITE;
    rc = boot_put(env, BOOT_PAGES, page, sizeof(page), e);
    for (unsigned i = 0; i < 4; i++)
        page[i] = (BOOT_PAGES + 0x2000 + i * 0x1000u) | PTE_PRESENT_WRITE;
    if (rc == 0)
        rc = boot_put(env, BOOT_PAGES + 0x1000, page, sizeof(page), e);
    for (uint64_t i = 0; i < 4 && rc == 0; i++) {
        for (uint64_t k = 0; k < 512; k++)
            page[k] = (i * 512 + k) << 21 | PTE_LARGE | PTE_PRESENT_WRITE;
        rc = boot_put(env, BOOT_PAGES + 0x2000 + i * 0x1000, page, sizeof(page), e);
    }
    return rc;
}

void boot_prepare(struct vcpu *v)
{
    /* Linux leaves PAT off where MTRRs are. A host without MTRRs refuses, and needs none. */
    (void)!v->host->ops->vcpu_set_msr(v, IA32_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_WRITE_BACK);
}

void boot_enter(const struct boot_start *s, struct vcpu *v)
{
    const struct host_ops *ops = v->host->ops;
    struct segment code = {.limit = UINT32_MAX,
                           .selector = s->code,
                           .type = 0xb,
                           .present = 1,
                           .s = 1,
                           .g = 1,
                           .l = s->longmode,
                           .db = !s->longmode};
    struct segment data = {.limit = UINT32_MAX,
                           .selector = (uint16_t)(s->code + BOOT_SEL_STEP),
                           .type = 3,
                           .present = 1,
                           .s = 1,
                           .g = 1,
                           .db = 1};
    struct segment tss = {.limit = 0x67, .selector = BOOT_TSS_SEL, .type = 0xb, .present = 1};
    struct regs r = {.rip = s->first ? s->first : s->rip,
                     .rax = s->rax,
                     .rbx = s->rbx,
                     .rsi = s->rsi,
                     .rflags = RFLAGS_FIXED};
    struct sregs sr;

    ops->vcpu_get_sregs(v, &sr);
    sr.cs = code;
    sr.ds = sr.es = sr.fs = sr.gs = sr.ss = data;
    sr.tr = tss;
    sr.gdt.base = s->gdt;
    sr.gdt.limit = sizeof(boot_gdt_long) - 1;
    sr.idt.base = 0;
    sr.idt.limit = 0;
    sr.cr0 = CR0_PE | CR0_ET;
    if (s->longmode) {
        sr.cr0 |= CR0_PG;
        sr.cr3 = s->cr3;
        sr.cr4 = CR4_PAE;
        sr.efer = EFER_LME | EFER_LMA;
    }
    ops->vcpu_set_sregs(v, &sr);
    ops->vcpu_set_regs(v, &r);
}

void boot_wake(uint32_t vector, struct vcpu *v)
{
    const struct host_ops *ops = v->host->ops;
    struct regs r = {.rip = vector & 15, .rflags = RFLAGS_FIXED};
    struct sregs sr;

    ops->vcpu_get_sregs(v, &sr);
    sr.cs.selector = (uint16_t)(vector >> 4);
    sr.cs.base = (uint64_t)sr.cs.selector << 4;
    ops->vcpu_set_sregs(v, &sr);
    ops->vcpu_set_regs(v, &r);
}
