/* SPDX-License-Identifier: Apache-2.0 */
/* boot_pvh.c - Xen's PVH entry: 32-bit flat, start info in ebx. docs/misc/pvh.pandoc of Xen. */
#include <string.h>

#include "abi/pvh.h"
#include "board/boot/boot_priv.h"
#include "core/err.h"

enum {
    PVH_CMDLINE = 4095,
    PVH_MODLIST = BOOT_TABLES,
    PVH_MEMMAP = BOOT_TABLES + 0x100,
    PVH_RANGES = 256,
};

static int pvh_memmap(const struct boot_env *env, struct hvm_start_info *info, struct err *e)
{
    struct hvm_memmap_table_entry map[PVH_RANGES];
    size_t n = env->ranges < PVH_RANGES ? env->ranges : PVH_RANGES;

    memset(map, 0, sizeof(map));
    for (size_t i = 0; i < n; i++) {
        map[i].addr = le64_of(env->range[i].base);
        map[i].size = le64_of(env->range[i].size);
        map[i].type = le32_of(env->range[i].type);
    }
    info->memmap_paddr = le64_of(PVH_MEMMAP);
    info->memmap_entries = le32_of((uint32_t)n);
    return boot_put(env, PVH_MEMMAP, map, n * sizeof(map[0]), e);
}

int boot_pvh_load(struct boot *b, const struct boot_env *env, struct boot_start *out, struct err *e)
{
    struct hvm_start_info info = {.magic = le32_of(XEN_HVM_START_MAGIC_VALUE),
                                  .version = le32_of(1)};
    struct hvm_modlist_entry mod;
    struct boot_elf x;
    gpa_t initrd;
    int rc = boot_elf_read(&b->kernel, &x, e);

    if (rc == 0)
        rc = boot_elf_load(&b->kernel, &x, env, e);
    if (rc == 0)
        rc = boot_load_initrd(b, env, x.hi, UINT32_MAX, &initrd, e);
    if (rc == 0)
        rc = boot_load_cmdline(b, env, PVH_CMDLINE, e);
    if (rc == 0)
        rc = boot_load_entry(env, false, e);
    if (rc == 0)
        rc = pvh_memmap(env, &info, e);
    if (rc < 0)
        return rc;
    memset(&mod, 0, sizeof(mod));
    mod.paddr = le64_of(initrd);
    mod.size = le64_of(b->initrd.size);
    if (initrd) {
        info.nr_modules = le32_of(1);
        info.modlist_paddr = le64_of(PVH_MODLIST);
        rc = boot_put(env, PVH_MODLIST, &mod, sizeof(mod), e);
    }
    info.cmdline_paddr = le64_of(BOOT_CMDLINE);
    info.rsdp_paddr = le64_of(env->rsdp);
    if (rc == 0)
        rc = boot_put(env, BOOT_PARAMS, &info, sizeof(info), e);
    *out = (struct boot_start){.rip = x.pvh_entry, .rbx = BOOT_PARAMS};
    return rc;
}
