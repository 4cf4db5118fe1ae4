/* SPDX-License-Identifier: Apache-2.0 */
/* boot_pvh.c - Xen's PVH entry: 32-bit flat, start info in ebx. docs/misc/pvh.pandoc of Xen. */
#include <errno.h>
#include <string.h>

#include "abi/pvh.h"
#include "board/boot/boot_priv.h"
#include "core/err.h"

enum {
    PVH_CMDLINE = 4095,
    PVH_MODLIST = BOOT_TABLES,
    PVH_MEMMAP = BOOT_TABLES + 0x800,
    PVH_MODTEXT = BOOT_CMDLINE + PVH_CMDLINE + 1,
    PVH_RANGES = 256,
};

static int pvh_memmap(const struct boot *b, const struct boot_env *env, struct hvm_start_info *info,
                      struct err *e)
{
    struct hvm_memmap_table_entry map[PVH_RANGES];
    size_t n = env->ranges < PVH_RANGES ? env->ranges : PVH_RANGES;

    memset(map, 0, sizeof(map));
    for (size_t i = 0; i < n; i++) {
        map[i].addr = le64_of(env->range[i].base);
        map[i].size = le64_of(env->range[i].size);
        map[i].type = le32_of(env->range[i].type);
    }
    info->memmap_paddr = le64_of(boot_at(b, PVH_MEMMAP));
    info->memmap_entries = le32_of((uint32_t)n);
    return boot_put(env, boot_at(b, PVH_MEMMAP), map, n * sizeof(map[0]), e);
}

/* Command lines of modules go behind the kernel's own. */
static int pvh_modlist(const struct boot *b, const struct boot_env *env,
                       const struct boot_placed *placed, struct hvm_start_info *info, struct err *e)
{
    struct hvm_modlist_entry mod[BOOT_MODULES];
    gpa_t text = boot_at(b, PVH_MODTEXT);
    int rc = 0;

    memset(mod, 0, sizeof(mod));
    for (size_t i = 0; i < b->modules && rc == 0; i++) {
        size_t n = strlen(placed[i].text) + 1;

        mod[i].paddr = le64_of(placed[i].at);
        mod[i].size = le64_of(placed[i].size);
        if (n == 1)
            continue;
        if (n > boot_at(b, BOOT_END) - text)
            return err_exit(e, EX_USAGE_, EINVAL,
                            "the command lines of the modules are too long: shorten them");
        mod[i].cmdline_paddr = le64_of(text);
        rc = boot_put(env, text, placed[i].text, n, e);
        text += n;
    }
    if (rc < 0 || b->modules == 0)
        return rc;
    info->nr_modules = le32_of((uint32_t)b->modules);
    info->modlist_paddr = le64_of(boot_at(b, PVH_MODLIST));
    return boot_put(env, boot_at(b, PVH_MODLIST), mod, b->modules * sizeof(mod[0]), e);
}

int boot_pvh_load(struct boot *b, const struct boot_env *env, struct boot_start *out, struct err *e)
{
    struct hvm_start_info info = {.magic = le32_of(XEN_HVM_START_MAGIC_VALUE),
                                  .version = le32_of(1)};
    struct boot_placed placed[BOOT_MODULES];
    struct boot_elf x;
    int rc = boot_elf_read(&b->kernel, &x, e);

    if (rc == 0)
        rc = boot_load_image(b, &x, env, placed, e);
    if (rc == 0)
        rc = boot_load_cmdline(b, env, PVH_CMDLINE, e);
    if (rc == 0)
        rc = pvh_memmap(b, env, &info, e);
    if (rc == 0)
        rc = pvh_modlist(b, env, placed, &info, e);
    if (rc < 0)
        return rc;
    info.cmdline_paddr = le64_of(boot_at(b, BOOT_CMDLINE));
    info.rsdp_paddr = le64_of(env->rsdp);
    rc = boot_put(env, boot_at(b, BOOT_PARAMS), &info, sizeof(info), e);
    *out = (struct boot_start){.rip = x.pvh_entry, .rbx = boot_at(b, BOOT_PARAMS)};
    return rc;
}
