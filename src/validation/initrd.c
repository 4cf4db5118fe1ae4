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

enum { INITRD_DEP_MAX = 16 << 20, INITRD_LIBS = 64, INITRD_NAMES = 256 };

static const struct {
    const char *persona, *modules;
} initrd_modules[] = {
    {"kvm", "virtio_pci virtio_blk virtio_scsi virtio_net virtio_console virtio_balloon virtio_rng "
            "sd_mod"},
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

static int initrd_add_modules(struct cpio *c, const struct initrd_parts *p, struct err *e)
{
    char dir[V_PATH], path[V_PATH], *dep = NULL;
    struct kmod_list l = {.n = 0};
    struct vbuf order = {0};
    int rc = initrd_find(p->modules, dir, e);

    if (rc == 0)
        rc = vpath(path, dir, "modules.dep", e);
    if (rc == 0)
        rc = vtext_read(path, INITRD_DEP_MAX, &dep, NULL, e);
    if (rc < 0)
        return rc;
    initrd_list(&l, dep, initrd_always);
    for (size_t i = 0; i < ARRAY_SIZE(initrd_modules); i++) {
        if (strcmp(initrd_modules[i].persona, p->persona) == 0)
            initrd_list(&l, dep, initrd_modules[i].modules);
    }
    for (size_t i = 0; i < p->suites; i++)
        initrd_list(&l, dep, p->suite[i].modules);
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

/* --- files of this machine --- */

/* What is in the archive already: folders, and libraries that several programs need. */
struct initrd_names {
    char *name[INITRD_NAMES];
    size_t n;
};

/* true: it is new. */
static bool initrd_name(struct initrd_names *l, const char *name, size_t len)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strlen(l->name[i]) == len && memcmp(l->name[i], name, len) == 0)
            return false;
    }
    if (l->n < INITRD_NAMES && (l->name[l->n] = strndup(name, len)))
        l->n++;
    return true;
}

static int initrd_file(struct cpio *c, struct initrd_names *l, const char *name, uint32_t mode,
                       const char *from, struct err *e)
{
    char dir[V_PATH];

    name += strspn(name, "/");
    if (!initrd_name(l, name, strlen(name)))
        return 0;
    for (const char *at = strchr(name, '/'); at; at = strchr(at + 1, '/')) {
        snprintf(dir, sizeof(dir), "%.*s", (int)(at - name), name);
        if (initrd_name(l, dir, strlen(dir)))
            cpio_dir(c, dir);
    }
    return cpio_file(c, name, mode, from, e);
}

static int initrd_program(struct cpio *c, struct initrd_names *l, const char *name, struct err *e)
{
    char path[V_PATH], to[V_PATH], *lib[INITRD_LIBS];
    size_t libs;
    int rc;

    if (!program_find(name, path))
        return 0;
    rc = program_libraries(path, lib, INITRD_LIBS, &libs, e);
    if (rc < 0)
        return rc;
    snprintf(to, sizeof(to), "bin/%s", name);
    rc = initrd_file(c, l, to, 0755, path, e);
    for (size_t i = 0; i < libs; i++) {
        if (rc == 0)
            rc = initrd_file(c, l, lib[i], 0755, lib[i], e);
        free(lib[i]);
    }
    return rc;
}

static int initrd_programs(struct cpio *c, struct initrd_names *l, const char *words, struct err *e)
{
    char name[64];
    int rc = 0;

    while (rc == 0 && *words) {
        size_t n;

        words += strspn(words, " ");
        n = strcspn(words, " ");
        snprintf(name, sizeof(name), "%.*s", (int)n, words);
        if (n)
            rc = initrd_program(c, l, name, e);
        words += n;
    }
    return rc;
}

static int initrd_files(struct cpio *c, struct initrd_names *l, const struct initrd_parts *p,
                        struct err *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < p->files; i++)
        rc = initrd_file(c, l, p->file[i].name, 0644, p->file[i].from, e);
    for (size_t s = 0; s < p->suites; s++) {
        for (size_t i = 0; rc == 0 && i < p->suite[s].checks; i++) {
            const struct suite_check *k = &p->suite[s].check[i];

            if (k->level <= p->level && (!*k->personas || suite_has_word(k->personas, p->persona)))
                rc = initrd_programs(c, l, k->programs, e);
        }
    }
    return rc;
}

static int initrd_fill(struct cpio *c, const struct initrd_parts *p, struct err *e)
{
    static const char *const dirs[] = {"bin", "dev",  "mnt",    "mod", "proc",
                                       "run", "sbin", "suites", "sys", "tmp"};
    struct initrd_names *l = calloc(1, sizeof(*l));
    int rc;

    if (!l)
        return err_set(e, ENOMEM, "no memory for the agent's archive");
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        (void)initrd_name(l, dirs[i], strlen(dirs[i]));
        cpio_dir(c, dirs[i]);
    }
    cpio_char(c, "dev/console", 5, 1);
    cpio_data(c, "init", 0755, initrd_init, sizeof(initrd_init) - 1);
    cpio_data(c, "sbin/poweroff", 0755, initrd_poweroff, sizeof(initrd_poweroff) - 1);
    cpio_data(c, "sbin/reboot", 0755, initrd_reboot, sizeof(initrd_reboot) - 1);
    cpio_data(c, "agent.sh", 0644, suite_agent, suite_agent_len);
    for (size_t i = 0; i < p->suites; i++) {
        char name[64];

        snprintf(name, sizeof(name), "suites/%.40s.sh", p->suite[i].name);
        cpio_data(c, name, 0644, p->suite[i].text, p->suite[i].len);
    }
    rc = cpio_file(c, "bin/busybox", 0755, "/bin/busybox", e);
    if (rc < 0)
        rc = err_wrap(e, "the agent needs busybox-static");
    if (rc == 0)
        rc = initrd_files(c, l, p, e);
    for (size_t i = 0; i < l->n; i++)
        free(l->name[i]);
    free(l);
    return rc < 0 ? rc : initrd_add_modules(c, p, e);
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

int initrd_write(const char *path, const struct initrd_parts *p, struct err *e)
{
    struct cpio c = {fopen(path, "wbe"), 0};
    int rc;

    if (!c.out)
        return err_exit(e, EX_HOST_IO, errno, "cannot write %s: %s", path, strerror(errno));
    rc = p->before ? initrd_before(c.out, p->before, e) : 0;
    if (rc == 0)
        rc = initrd_fill(&c, p, e);
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
