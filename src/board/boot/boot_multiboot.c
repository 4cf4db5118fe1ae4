/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_multiboot.c - Multiboot Specification 0.6.96: ELF images, and images whose header says where
 * they go. The initrd is the first module.
 *
 * Command lines begin with the name of the file, as the loaders of that time write them: kernels
 * take the first word for their own name.
 *
 * Kernels that want a video mode find the screen in text mode, and are told so.
 *
 * Not modelled: drives, APM, VBE, symbols.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "abi/multiboot.h"
#include "board/boot/boot_priv.h"
#include "board/layout.h"
#include "core/err.h"

enum {
    MB_CMDLINE = 4095,
    MB_MODULES = BOOT_TABLES,
    MB_NAME = BOOT_TABLES + 0x600,
    MB_MMAP = BOOT_TABLES + 0x800,
    MB_RANGES = 256,
    MB_MODTEXT = BOOT_CMDLINE + MB_CMDLINE + 1,
};

/* The header: 1 and where it lies, 0 none. */
static int mb_header(const struct boot_file *f, struct multiboot_header *h, size_t *at,
                     struct err *e)
{
    uint8_t buf[MULTIBOOT_SEARCH];
    size_t n = (size_t)min_u64(f->size, sizeof(buf));
    int rc = boot_file_read(f, 0, buf, n, e);

    if (rc < 0)
        return rc;
    for (*at = 0; *at + sizeof(*h) <= n; *at += 4) {
        memcpy(h, buf + *at, sizeof(*h));
        if (le32_get(h->magic) == MULTIBOOT_HEADER_MAGIC &&
            MULTIBOOT_HEADER_MAGIC + le32_get(h->flags) + le32_get(h->checksum) == 0)
            return 1;
    }
    return 0;
}

int boot_multiboot_find(const struct boot_file *f, bool *image, struct err *e)
{
    struct multiboot_header h;
    uint32_t flags;
    size_t at;
    int rc = mb_header(f, &h, &at, e);

    *image = false;
    if (rc <= 0)
        return rc;
    flags = le32_get(h.flags);
    if (flags & MULTIBOOT_REQUIRED &
        ~(MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO | MULTIBOOT_VIDEO_MODE))
        return err_set(e, EINVAL,
                       "the multiboot kernel %s requires what is not offered (flags %#x)", f->path,
                       flags);
    *image = (flags & MULTIBOOT_AOUT_KLUDGE) != 0;
    return 1;
}

int boot_address_read(const struct boot_file *f, const struct boot_address *a, struct boot_elf *out,
                      struct err *e)
{
    uint64_t before = a->header - a->load; /* bytes of the image before its header */
    uint64_t filesz, memsz;

    memset(out, 0, sizeof(*out));
    if (a->header < a->load || before > a->at)
        return err_set(e, EINVAL,
                       "the multiboot kernel %s wants to lie at %#llx with its header at %#llx: "
                       "only images that load whole can be started",
                       f->path, (unsigned long long)a->load, (unsigned long long)a->header);
    filesz = a->load_end ? a->load_end - a->load : f->size - (a->at - before);
    memsz = a->bss_end ? a->bss_end - a->load : filesz;
    if (a->load_end && a->load_end < a->load)
        return err_set(e, EINVAL, "the multiboot kernel %s ends before it begins", f->path);
    if (!range_in(a->at - before, filesz, f->size))
        return err_set(e, EINVAL, "the multiboot kernel %s is truncated", f->path);
    if (memsz < filesz || memsz > UINT32_MAX)
        memsz = filesz;
    out->seg[0] = (struct boot_segment){a->at - before, filesz, memsz, a->load};
    out->segs = 1;
    out->lo = a->load;
    out->hi = a->load + memsz;
    out->entry = out->entry_at = a->entry;
    return 0;
}

/* The image, whichever way it is described. */
static int mb_image(const struct boot_file *f, struct boot_elf *out, struct err *e)
{
    struct multiboot_address a;
    struct multiboot_header h;
    size_t at;
    int rc = mb_header(f, &h, &at, e);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return err_set(e, EINVAL, "the multiboot kernel %s is being changed", f->path);
    if (!(le32_get(h.flags) & MULTIBOOT_AOUT_KLUDGE))
        return boot_elf_read(f, out, e);
    rc = boot_file_read(f, at + sizeof(h), &a, sizeof(a), e);
    if (rc < 0)
        return rc;
    return boot_address_read(
        f,
        &(struct boot_address){at, le32_get(a.header_addr), le32_get(a.load_addr),
                               le32_get(a.load_end_addr), le32_get(a.bss_end_addr),
                               le32_get(a.entry_addr)},
        out, e);
}

int boot_multiboot_check(struct boot *b, uint64_t memory, struct err *e)
{
    struct boot_elf x;
    bool image;
    int rc = boot_multiboot_find(&b->kernel, &image, e);

    b->kind = BOOT_MULTIBOOT;
    if (rc == 0) {
        b->kind = BOOT_MULTIBOOT2;
        rc = boot_multiboot2_find(&b->kernel, &image, e);
    }
    if (rc <= 0 || !image)
        return rc < 0 ? rc : 0;
    if (b->kind == BOOT_MULTIBOOT)
        rc = mb_image(&b->kernel, &x, e);
    else
        rc = boot_multiboot2_image(&b->kernel, &x, e);
    if (rc == 0 && x.hi > layout_ram_low(memory, true))
        rc = err_set(e, EINVAL,
                     "the kernel %s needs memory up to %llu MiB: give the guest more --memory",
                     b->kernel.path, (unsigned long long)((x.hi + MiB - 1) / MiB));
    if (rc == 0)
        rc = boot_make_room(b, &x, e);
    snprintf(b->about, sizeof(b->about), "multiboot%s kernel (flat)",
             b->kind == BOOT_MULTIBOOT ? "" : "2");
    return rc < 0 ? rc : 1;
}

static int mb_mmap(const struct boot *b, const struct boot_env *env, struct multiboot_info *info,
                   struct err *e)
{
    struct multiboot_mmap map[MB_RANGES];
    size_t n = env->ranges < MB_RANGES ? env->ranges : MB_RANGES;

    for (size_t i = 0; i < n; i++) {
        map[i].size = le32_of(sizeof(map[i]) - sizeof(map[i].size));
        map[i].addr = le64_of(env->range[i].base);
        map[i].len = le64_of(env->range[i].size);
        map[i].type = le32_of(env->range[i].type);
    }
    info->mmap_addr = le32_of((uint32_t)boot_at(b, MB_MMAP));
    info->mmap_length = le32_of((uint32_t)(n * sizeof(map[0])));
    return boot_put(env, boot_at(b, MB_MMAP), map, n * sizeof(map[0]), e);
}

/* "name" or "name text" at `at`, which moves behind its NUL. */
static int mb_text(const struct boot_env *env, const char *name, const char *text, gpa_t *at,
                   gpa_t end, struct err *e)
{
    size_t n = strlen(name), m = *text ? strlen(text) + 1 : 0;
    int rc;

    if (n + m + 1 > end - *at)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "the command line of %s is too long by %zu characters: shorten it", name,
                        (size_t)(n + m + 1 - (end - *at)));
    rc = boot_put(env, *at, name, n + 1, e);
    if (rc == 0 && m)
        rc = boot_put(env, *at + n, " ", 1, e);
    if (rc == 0 && m)
        rc = boot_put(env, *at + n + 1, text, m, e);
    *at += n + m + 1;
    return rc;
}

static int mb_modules(const struct boot *b, const struct boot_env *env,
                      const struct boot_placed *placed, struct multiboot_info *info, struct err *e)
{
    struct multiboot_module mod[BOOT_MODULES];
    gpa_t text = boot_at(b, MB_MODTEXT);
    int rc = 0;

    memset(mod, 0, sizeof(mod));
    for (size_t i = 0; i < b->modules && rc == 0; i++) {
        mod[i].mod_start = le32_of((uint32_t)placed[i].at);
        mod[i].mod_end = le32_of((uint32_t)(placed[i].at + placed[i].size));
        mod[i].cmdline = le32_of((uint32_t)text);
        rc = mb_text(env, placed[i].name, placed[i].text, &text, boot_at(b, BOOT_END), e);
    }
    info->mods_count = le32_of((uint32_t)b->modules);
    info->mods_addr = le32_of(b->modules ? (uint32_t)boot_at(b, MB_MODULES) : 0);
    return rc < 0 ? rc : boot_put(env, boot_at(b, MB_MODULES), mod, b->modules * sizeof(mod[0]), e);
}

static int mb_info(const struct boot *b, const struct boot_env *env,
                   const struct boot_placed *placed, struct err *e)
{
    struct multiboot_info info;
    uint32_t flags = MULTIBOOT_INFO_MEMORY | MULTIBOOT_INFO_CMDLINE | MULTIBOOT_INFO_MODS |
                     MULTIBOOT_INFO_MEM_MAP | MULTIBOOT_INFO_BOOT_LOADER_NAME |
                     MULTIBOOT_INFO_FRAMEBUFFER_INFO;
    int rc;

    memset(&info, 0, sizeof(info));
    info.flags = le32_of(flags);
    info.mem_lower = le32_of(BOOT_LOWER_KIB);
    info.mem_upper = le32_of((uint32_t)((boot_low_end(env) - BOOT_IMAGE_MIN) / KiB));
    info.cmdline = le32_of((uint32_t)boot_at(b, BOOT_CMDLINE));
    info.boot_loader_name = le32_of((uint32_t)boot_at(b, MB_NAME));
    info.framebuffer_addr = le64_of(BOOT_TEXT);
    info.framebuffer_pitch = le32_of(2 * BOOT_TEXT_COLUMNS);
    info.framebuffer_width = le32_of(BOOT_TEXT_COLUMNS);
    info.framebuffer_height = le32_of(BOOT_TEXT_ROWS);
    info.framebuffer_bpp = 16;
    info.framebuffer_type = MULTIBOOT_FRAMEBUFFER_TYPE_EGA_TEXT;
    rc = boot_put(env, boot_at(b, MB_NAME), "hospes", sizeof("hospes"), e);
    if (rc == 0)
        rc = mb_mmap(b, env, &info, e);
    if (rc == 0)
        rc = mb_modules(b, env, placed, &info, e);
    if (rc == 0)
        rc = boot_put(env, boot_at(b, BOOT_PARAMS), &info, sizeof(info), e);
    return rc;
}

int boot_multiboot_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                        struct err *e)
{
    struct boot_placed placed[BOOT_MODULES];
    gpa_t text;
    struct boot_elf x;
    int rc = mb_image(&b->kernel, &x, e);

    if (rc == 0)
        rc = boot_load_image(b, &x, env, placed, e);
    text = boot_at(b, BOOT_CMDLINE);
    if (rc == 0)
        rc = mb_text(env, boot_file_name(&b->kernel), b->append, &text, boot_at(b, MB_MODTEXT), e);
    if (rc == 0)
        rc = mb_info(b, env, placed, e);
    if (rc < 0)
        return rc;
    *out = (struct boot_start){
        .rip = x.entry_at, .rax = MULTIBOOT_BOOTLOADER_MAGIC, .rbx = boot_at(b, BOOT_PARAMS)};
    return boot_load_bios(env, out, e);
}
