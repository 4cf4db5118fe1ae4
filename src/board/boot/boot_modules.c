/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_modules.c - the files that PVH and multiboot kernels are handed beside themselves.
 *
 * They are put below 4 GiB, each at a page: for PVH the first one highest, for multiboot one after
 * the other right behind the kernel, as loaders do. Small kernels take what lies behind the last
 * module for free memory. Kernels of the other kinds take one initrd and nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/boot/boot_priv.h"
#include "board/layout.h"
#include "core/err.h"

enum { MODULE_PAGE = 4096 };

static int modules_add(struct boot *b, const char *file, const char *text, struct err *e)
{
    struct boot_file *f = &b->module[b->modules];
    int rc;

    if (b->modules == BOOT_MODULES)
        return err_exit(e, EX_USAGE_, EINVAL, "a kernel is handed at most %d modules",
                        BOOT_MODULES);
    rc = boot_file_open(f, file, "module", e);
    if (rc < 0)
        return rc;
    b->module_text[b->modules++] = strdup(text ? text : "");
    return b->module_text[b->modules - 1] ? 0 : err_set(e, ENOMEM, "no memory for a module");
}

int boot_modules_open(struct boot *b, const struct boot_cfg *c, struct err *e)
{
    bool takes = b->kind == BOOT_PVH || b->kind == BOOT_MULTIBOOT || b->kind == BOOT_MULTIBOOT2;
    int rc = 0;

    if (!takes && c->modules)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "%s is no kernel that takes modules: give one --initrd, into which cpio "
                        "archives can be joined by cat",
                        b->kernel.path);
    if (!takes)
        return c->initrd ? boot_file_open(&b->initrd, c->initrd, "initrd", e) : 0;
    if (c->initrd)
        rc = modules_add(b, c->initrd, NULL, e);
    for (size_t i = 0; i < c->modules && rc == 0; i++)
        rc = modules_add(b, c->module[i].file, c->module[i].text, e);
    return rc;
}

void boot_modules_close(struct boot *b)
{
    for (size_t i = 0; i < b->modules; i++) {
        boot_file_close(&b->module[i]);
        free(b->module_text[i]);
    }
    b->modules = 0;
}

int boot_modules_load(const struct boot *b, const struct boot_env *env, gpa_t floor,
                      struct boot_placed out[BOOT_MODULES], struct err *e)
{
    gpa_t low = align_up(floor, MODULE_PAGE);
    gpa_t high = align_down(min_u64(boot_low_end(env), UINT32_MAX), MODULE_PAGE);

    for (size_t i = 0; i < b->modules; i++) {
        const struct boot_file *f = &b->module[i];
        uint64_t room = align_up(f->size, MODULE_PAGE);
        gpa_t at;
        int rc;

        if (low > high || room > high - low)
            return err_set(e, EINVAL,
                           "the kernel %s and its modules, %s among them, do not all fit: give "
                           "the guest more --memory",
                           b->kernel.path, f->path);
        at = b->kind == BOOT_PVH ? high - room : low;
        if (b->kind == BOOT_PVH)
            high = at;
        else
            low = at + room;
        out[i] = (struct boot_placed){at, f->size, boot_file_name(f), b->module_text[i]};
        rc = boot_file_load(f, 0, f->size, env->mem, at, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int boot_load_image(struct boot *b, const struct boot_elf *x, const struct boot_env *env,
                    struct boot_placed placed[BOOT_MODULES], struct err *e)
{
    int rc = boot_make_room(b, x, e);

    if (rc == 0)
        rc = boot_elf_load(&b->kernel, x, env, e);
    if (rc == 0)
        rc = boot_modules_load(b, env, max_u64(x->hi, BOOT_IMAGE_MIN), placed, e);
    return rc < 0 ? rc : boot_load_entry(b, env, false, e);
}
