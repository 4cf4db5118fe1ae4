/* SPDX-License-Identifier: Apache-2.0 */
/* initrd.c - see initrd.h. */
#define _GNU_SOURCE
#include "validation/initrd.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cpio.h"
#include "core/err.h"
#include "core/kmod.h"
#include "validation/text.h"

enum { INITRD_DEP_MAX = 16 << 20 };

static const struct {
    const char *persona, *modules;
} initrd_modules[] = {
    {"kvm",
     "virtio_pci virtio_blk virtio_scsi virtio_net virtio_console virtio_balloon virtio_rng"},
    {"hyperv", "hv_vmbus hv_storvsc hv_netvsc hv_utils hv_balloon hyperv_keyboard sd_mod"},
    {"xen", "xen_blkfront xen_netfront"},
    {"vmware", "vmw_pvscsi vmxnet3 vmw_balloon sd_mod"},
    {"bare", "ata_piix ahci e1000 8139cp sd_mod"},
};
static const char initrd_always[] = "button evdev pvpanic_pci pvpanic_mmio";

static const char initrd_init[] =
    "#!/bin/busybox sh\n"
    "/bin/busybox mount -t proc proc /proc\n" /* applets are found through /proc/self/exe */
    "export PATH=/bin:/sbin\n"
    ". /agent.sh\n"
    "agent_mounts\n"
    "while read -r module; do insmod \"$module\" 2>/dev/null; done </modules\n"
    "for suite in /suites/*.sh; do . \"$suite\"; done\n"
    "agent_main\n";

/* What the kernel starts when its hypervisor asks for a shutdown: nobody else is there to do it. */
static const char initrd_poweroff[] = "#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n";
static const char initrd_reboot[] = "#!/bin/busybox sh\nexec /bin/busybox reboot -f\n";

static int initrd_find(const char *dir, char out[V_PATH], struct err *e)
{
    char base[V_PATH], dep[V_PATH];
    struct dirent *d;
    DIR *list;
    bool found = false;
    int rc = vpath(dep, dir, "modules.dep", e);

    if (rc == 0 && access(dep, R_OK) == 0) {
        snprintf(out, V_PATH, "%s", dir);
        return 0;
    }
    if (rc == 0)
        rc = vpath(base, dir, "lib/modules", e);
    if (rc < 0)
        return rc;
    list = opendir(base);
    while (list && !found && (d = readdir(list))) {
        rc = vpath(out, base, d->d_name, e);
        if (rc == 0)
            rc = vpath(dep, out, "modules.dep", e);
        found = rc == 0 && d->d_name[0] != '.' && access(dep, R_OK) == 0;
    }
    if (list)
        closedir(list);
    return found ? 0
                 : err_exit(e, EX_MISSING, ENOENT,
                            "%s holds no modules: it wants lib/modules/VERSION/modules.dep", dir);
}

static void initrd_list(struct kmod_list *l, const char *dep, const char *words)
{
    char name[64];

    while (*words) {
        size_t n;

        words += strspn(words, " ");
        n = strcspn(words, " ");
        snprintf(name, sizeof(name), "%.*s", (int)n, words);
        if (n)
            (void)kmod_add(l, dep, name); /* else it is built in */
        words += n;
    }
}

static int initrd_add_modules(struct cpio *c, const char *modules, const char *persona,
                              const struct suite *suite, size_t suites, struct err *e)
{
    char dir[V_PATH], path[V_PATH], *dep;
    struct kmod_list l = {.n = 0};
    struct vbuf order = {0};
    int rc = initrd_find(modules, dir, e);

    if (rc == 0)
        rc = vpath(path, dir, "modules.dep", e);
    if (rc == 0)
        rc = vtext_read(path, INITRD_DEP_MAX, &dep, NULL, e);
    if (rc < 0)
        return rc;
    initrd_list(&l, dep, initrd_always);
    for (size_t i = 0; i < ARRAY_SIZE(initrd_modules); i++) {
        if (strcmp(initrd_modules[i].persona, persona) == 0)
            initrd_list(&l, dep, initrd_modules[i].modules);
    }
    for (size_t i = 0; i < suites; i++)
        initrd_list(&l, dep, suite[i].modules);
    for (size_t i = 0; rc == 0 && i < l.n; i++) {
        char to[32];

        snprintf(path, sizeof(path), "%.*s/%.*s", V_PATH / 2, dir, (int)l.len[i], l.path[i]);
        snprintf(to, sizeof(to), "mod/%zu.ko", i);
        rc = cpio_file(c, to, 0644, path, e);
        vbuf_print(&order, "/%s\n", to);
    }
    cpio_data(c, "modules", 0644, order.data ? order.data : "", order.len);
    vbuf_free(&order);
    free(dep);
    return rc;
}

static int initrd_fill(struct cpio *c, const char *modules, const char *persona,
                       const struct suite *suite, size_t suites, struct err *e)
{
    static const char *const dirs[] = {"bin", "dev",  "mnt",    "mod", "proc",
                                       "run", "sbin", "suites", "sys", "tmp"};
    int rc;

    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        cpio_dir(c, dirs[i]);
    cpio_char(c, "dev/console", 5, 1);
    cpio_data(c, "init", 0755, initrd_init, sizeof(initrd_init) - 1);
    cpio_data(c, "sbin/poweroff", 0755, initrd_poweroff, sizeof(initrd_poweroff) - 1);
    cpio_data(c, "sbin/reboot", 0755, initrd_reboot, sizeof(initrd_reboot) - 1);
    cpio_data(c, "agent.sh", 0644, suite_agent, suite_agent_len);
    for (size_t i = 0; i < suites; i++) {
        char name[64];

        snprintf(name, sizeof(name), "suites/%.40s.sh", suite[i].name);
        cpio_data(c, name, 0644, suite[i].text, suite[i].len);
    }
    rc = cpio_file(c, "bin/busybox", 0755, "/bin/busybox", e);
    if (rc < 0)
        return err_wrap(e, "the agent needs busybox-static");
    return initrd_add_modules(c, modules, persona, suite, suites, e);
}

/* The kernel wants the next archive at a multiple of four bytes. */
static int initrd_before(FILE *out, const char *before, struct err *e)
{
    static const char zeros[512];
    char *data;
    size_t len;
    int rc = vtext_read(before, (size_t)1 << 30, &data, &len, e);

    if (rc < 0)
        return rc;
    fwrite(data, 1, len, out);
    fwrite(zeros, 1, (size_t)(align_up(len, sizeof(zeros)) - len), out);
    free(data);
    return 0;
}

int initrd_write(const char *path, const char *modules, const char *persona,
                 const struct suite *suite, size_t suites, const char *before, struct err *e)
{
    struct cpio c = {fopen(path, "wbe"), 0};
    int rc;

    if (!c.out)
        return err_exit(e, EX_HOST_IO, errno, "cannot write %s: %s", path, strerror(errno));
    rc = before ? initrd_before(c.out, before, e) : 0;
    if (rc == 0)
        rc = initrd_fill(&c, modules, persona, suite, suites, e);
    if (rc == 0) {
        rc = cpio_end(&c);
        if (rc < 0)
            rc = err_exit(e, EX_HOST_IO, -rc, "cannot write %s: %s", path, strerror(-rc));
    }
    fclose(c.out);
    if (rc < 0)
        unlink(path);
    return rc;
}
