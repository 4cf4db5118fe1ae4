/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_multiboot.c - Multiboot Specification 0.6.96 for ELF images; the initrd is the only module.
 *
 * Command lines begin with the name of the file, as the loaders of that time write them: kernels
 * take the first word for their own name.
 *
 * Not modelled: the address fields of the header (images that are not ELF), drives, APM, VBE.
 */
#include <errno.h>
#include <string.h>

#include "abi/multiboot.h"
#include "board/boot/boot_priv.h"
#include "core/err.h"

enum {
    MB_CMDLINE = 4095,
    MB_MODULE = BOOT_TABLES,
    MB_NAME = BOOT_TABLES + 0x80,
    MB_MMAP = BOOT_TABLES + 0x100,
    MB_RANGES = 256,
    MB_LOWER_KIB = 639,
    MB_MODNAME = BOOT_CMDLINE + MB_CMDLINE + 1,
};

int boot_multiboot_find(const struct boot_file *f, struct err *e)
{
    uint8_t buf[MULTIBOOT_SEARCH];
    size_t n = (size_t)min_u64(f->size, sizeof(buf));
    int rc = boot_file_read(f, 0, buf, n, e);

    if (rc < 0)
        return rc;
    for (size_t at = 0; at + sizeof(struct multiboot_header) <= n; at += 4) {
        struct multiboot_header h;
        uint32_t flags;

        memcpy(&h, buf + at, sizeof(h));
        flags = le32_get(h.flags);
        if (le32_get(h.magic) != MULTIBOOT_HEADER_MAGIC ||
            MULTIBOOT_HEADER_MAGIC + flags + le32_get(h.checksum) != 0)
            continue;
        if (flags & MULTIBOOT_REQUIRED & ~(MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO))
            return err_set(e, EINVAL,
                           "the multiboot kernel %s requires what is not offered (flags %#x)",
                           f->path, flags);
        return 1;
    }
    return 0;
}

static int mb_mmap(const struct boot_env *env, struct multiboot_info *info, struct err *e)
{
    struct multiboot_mmap map[MB_RANGES];
    size_t n = env->ranges < MB_RANGES ? env->ranges : MB_RANGES;

    for (size_t i = 0; i < n; i++) {
        map[i].size = le32_of(sizeof(map[i]) - sizeof(map[i].size));
        map[i].addr = le64_of(env->range[i].base);
        map[i].len = le64_of(env->range[i].size);
        map[i].type = le32_of(env->range[i].type);
    }
    info->mmap_addr = le32_of(MB_MMAP);
    info->mmap_length = le32_of((uint32_t)(n * sizeof(map[0])));
    return boot_put(env, MB_MMAP, map, n * sizeof(map[0]), e);
}

static const char *base_name(const struct boot_file *f)
{
    const char *slash = strrchr(f->path, '/');

    return slash ? slash + 1 : f->path;
}

static int mb_module(const struct boot *b, const struct boot_env *env, gpa_t at,
                     struct multiboot_info *info, struct err *e)
{
    struct multiboot_module mod = {
        .mod_start = le32_of((uint32_t)at),
        .mod_end = le32_of((uint32_t)(at + b->initrd.size)),
        .cmdline = le32_of(MB_MODNAME),
    };
    const char *name;
    int rc;

    if (!at)
        return 0;
    name = base_name(&b->initrd);
    info->mods_count = le32_of(1);
    info->mods_addr = le32_of(MB_MODULE);
    rc = boot_put(env, MB_MODNAME, name, strlen(name) + 1, e);
    return rc < 0 ? rc : boot_put(env, MB_MODULE, &mod, sizeof(mod), e);
}

static int mb_info(const struct boot *b, const struct boot_env *env, gpa_t initrd, struct err *e)
{
    struct multiboot_info info;
    uint32_t flags = MULTIBOOT_INFO_MEMORY | MULTIBOOT_INFO_CMDLINE | MULTIBOOT_INFO_MODS |
                     MULTIBOOT_INFO_MEM_MAP | MULTIBOOT_INFO_BOOT_LOADER_NAME;
    int rc;

    memset(&info, 0, sizeof(info));
    info.flags = le32_of(flags);
    info.mem_lower = le32_of(MB_LOWER_KIB);
    info.mem_upper = le32_of((uint32_t)((boot_low_end(env) - BOOT_IMAGE_MIN) / KiB));
    info.cmdline = le32_of(BOOT_CMDLINE);
    info.boot_loader_name = le32_of(MB_NAME);
    rc = boot_put(env, MB_NAME, "hospes", sizeof("hospes"), e);
    if (rc == 0)
        rc = mb_mmap(env, &info, e);
    if (rc == 0)
        rc = mb_module(b, env, initrd, &info, e);
    if (rc == 0)
        rc = boot_put(env, BOOT_PARAMS, &info, sizeof(info), e);
    return rc;
}

static int mb_cmdline(const struct boot *b, const struct boot_env *env, struct err *e)
{
    const char *name = base_name(&b->kernel);
    size_t n = strlen(name);
    gpa_t at = BOOT_CMDLINE;
    int rc;

    if (n + 1 + strlen(b->append) > MB_CMDLINE)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "--append has %zu characters, %s takes at most %zu: shorten it",
                        strlen(b->append), b->kernel.path, MB_CMDLINE - min_u64(n + 1, MB_CMDLINE));
    rc = boot_put(env, at, name, n + 1, e);
    if (rc < 0 || !*b->append)
        return rc;
    rc = boot_put(env, at + n, " ", 1, e);
    return rc < 0 ? rc : boot_put(env, at + n + 1, b->append, strlen(b->append) + 1, e);
}

int boot_multiboot_load(struct boot *b, const struct boot_env *env, struct boot_start *out,
                        struct err *e)
{
    struct boot_elf x;
    gpa_t initrd;
    int rc = boot_elf_read(&b->kernel, &x, e);

    if (rc == 0)
        rc = boot_elf_load(&b->kernel, &x, env, e);
    if (rc == 0)
        rc = boot_load_initrd(b, env, x.hi, UINT32_MAX, &initrd, e);
    if (rc == 0)
        rc = mb_cmdline(b, env, e);
    if (rc == 0)
        rc = boot_load_entry(env, false, e);
    if (rc == 0)
        rc = mb_info(b, env, initrd, e);
    *out =
        (struct boot_start){.rip = x.entry, .rax = MULTIBOOT_BOOTLOADER_MAGIC, .rbx = BOOT_PARAMS};
    return rc;
}
