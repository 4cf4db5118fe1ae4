/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.c - see image.h. Modules are found by modules.dep (depmod(8)); one that is not there is
 * taken to be built in, except KVM's.
 */
#define _GNU_SOURCE
#include "softhost/image.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cpio.h"
#include "core/err.h"
#include "core/kmod.h"

enum { IMAGE_PATH = 2 * SOFTHOST_PATH };

static const char *const image_wanted[] = {
    "virtio_pci",   "virtio_blk", "virtio_console", "virtio_net", "virtio_balloon", "virtio_rng",
    "9pnet_virtio", "9p",         "kvm_amd",        "tun",        "vhost_net",      "vhost_vsock",
    "nbd",          "loop",       "fuse",
};

/* Standard output is the console file of the software host. */
static const char image_init[] =
    "#!/bin/busybox sh\n"
    "b=/bin/busybox\n"
    "$b mount -t proc proc /proc\n"
    "$b mount -t sysfs sysfs /sys\n"
    "$b mount -t devtmpfs dev /dev\n"
    "while read -r module options; do $b insmod $module $options; done </modules\n"
    "option() { $b sed -n \"s/.* hospes\\.$1=\\([^ ]*\\).*/\\1/p\" /proc/cmdline; }\n"
    "$b ip link set lo up\n"
    "$b ip link set eth0 up\n"
    "$b ip addr add 10.0.2.15/24 dev eth0 && $b ip route add default via 10.0.2.2\n"
    /* A forwarded port arrives for 127.0.0.1, where the inner program listens. */
    "echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet\n"
    "$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap,access=any root /mnt "
    "|| { echo 'softhost: no root by 9p'; $b poweroff -f; }\n"
    "$b mount --rbind /proc /mnt/proc\n"
    "$b mount --rbind /sys /mnt/sys\n"
    "$b mount -t debugfs debugfs /mnt/sys/kernel/debug\n"
    "$b mount -t tracefs tracefs /mnt/sys/kernel/tracing\n"
    "$b mkdir -p /dev/pts /dev/shm\n"
    "$b mount --rbind /dev /mnt/dev\n"
    "$b mount -t devpts devpts /mnt/dev/pts\n"
    "$b mount -t tmpfs tmpfs /mnt/dev/shm\n"
    "$b mount -t tmpfs tmpfs /mnt/run\n"
    /* Scratch files are unlinked while open, which 9p does not bear: they are kept in memory, and
     * on the swap disk when that is short. */
    "$b mkswap /dev/vda >/dev/null && $b swapon /dev/vda\n"
    "$b mount -t tmpfs -o size=100% tmpfs /mnt/var/tmp\n"
    "echo softhost: up\n"
    /* A copy: 9p would go on showing the old pages of a running program that is built anew. */
    "$b cp \"/mnt$(option agent)\" /mnt/run/soft-agent\n"
    "$b chroot /mnt /run/soft-agent soft-agent \"$(option idle)\"\n"
    "$b poweroff -f\n";

/* --- the kernel --- */

/* dir/lib/modules/VERSION with its kernel, as dir/vmlinuz or dir/boot/vmlinuz-VERSION. */
static bool image_kernel_version(const char *dir, const char *version, struct soft_kernel *out)
{
    char dep[IMAGE_PATH];
    int n = snprintf(out->modules, sizeof(out->modules), "%s/lib/modules/%s", dir, version);

    if (n < 0 || (size_t)n >= sizeof(out->modules))
        return false;
    snprintf(dep, sizeof(dep), "%s/modules.dep", out->modules);
    if (access(dep, R_OK) < 0)
        return false;
    snprintf(dep, sizeof(dep), "%s/kernel/arch/x86/kvm", out->modules);
    if (access(dep, R_OK) < 0)
        return false;
    snprintf(out->image, sizeof(out->image), "%s/vmlinuz", dir);
    if (access(out->image, R_OK) == 0)
        return true;
    n = snprintf(out->image, sizeof(out->image), "%s/boot/vmlinuz-%s", dir, version);
    return n > 0 && (size_t)n < sizeof(out->image) && access(out->image, R_OK) == 0;
}

static bool image_kernel_in(const char *dir, struct soft_kernel *out)
{
    char path[IMAGE_PATH];
    struct dirent *d;
    bool found = false;
    DIR *list;

    snprintf(path, sizeof(path), "%s/lib/modules", dir);
    list = opendir(path);
    if (!list)
        return false;
    while (!found && (d = readdir(list)))
        found = d->d_name[0] != '.' && image_kernel_version(dir, d->d_name, out);
    closedir(list);
    return found;
}

int soft_kernel_find(const char *said, struct soft_kernel *out, struct err *e)
{
    static const char *const beside[] = {"guests/6.1", "guests/6.12"};
    char self[PATH_MAX], dir[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (!said)
        said = getenv("HOSPES_SOFT_KERNEL");
    if (said) {
        if (image_kernel_in(said, out))
            return 0;
        return err_exit(e, EX_NO_HOST, ENOENT,
                        "%s has no kernel for the software host: it must hold vmlinuz and "
                        "lib/modules with KVM for AMD and modules.dep",
                        said);
    }
    self[n > 0 ? n : 0] = '\0';
    slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < ARRAY_SIZE(beside); i++) {
        snprintf(dir, sizeof(dir), "%.*s/%s", (int)(slash - self), self, beside[i]);
        if (image_kernel_in(dir, out))
            return 0;
    }
    if (image_kernel_in("", out))
        return 0;
    return err_exit(e, EX_NO_HOST, ENOENT,
                    "there is no kernel for a software host: install linux-image-amd64, or name "
                    "a folder with vmlinuz and lib/modules in HOSPES_SOFT_KERNEL");
}

/* --- modules --- */

static int image_add_modules(struct cpio *c, const struct soft_kernel *k, const char *dep,
                             struct err *e)
{
    struct kmod_list l = {.n = 0};
    char *names = NULL;
    size_t names_len = 0;
    FILE *order;
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(image_wanted); i++) {
        if (!kmod_add(&l, dep, image_wanted[i]) && strcmp(image_wanted[i], "kvm_amd") == 0)
            return err_exit(e, EX_NO_HOST, ENOENT, "%s has no module kvm_amd: use another kernel",
                            k->modules);
    }
    order = open_memstream(&names, &names_len);
    if (!order)
        return err_set(e, errno, "no memory for the list of modules");
    for (size_t i = 0; rc == 0 && i < l.n; i++) {
        char from[IMAGE_PATH + 1], to[64];
        bool kvm = kmod_is(l.path[i], l.len[i], "kvm");

        snprintf(from, sizeof(from), "%s/%.*s", k->modules, (int)l.len[i], l.path[i]);
        snprintf(to, sizeof(to), "mod/%zu.ko", i);
        rc = cpio_file(c, to, 0644, from, e);
        fprintf(order, "%s%s\n", to, kvm ? " enable_vmware_backdoor=1" : "");
    }
    fclose(order);
    cpio_data(c, "modules", 0644, names, names_len);
    free(names);
    return rc;
}

static int image_read(const char *path, char **out, struct err *e)
{
    FILE *in = fopen(path, "re");
    size_t cap = 0;
    ssize_t n = -1;

    *out = NULL;
    if (in) {
        n = getdelim(out, &cap, '\0', in);
        fclose(in);
    }
    if (n < 0) {
        free(*out);
        return err_set(e, errno ? errno : EIO, "cannot read %s", path);
    }
    return 0;
}

/* --- the archive --- */

static int image_fill(struct cpio *c, const struct soft_kernel *k, struct err *e)
{
    static const char *const dirs[] = {"bin", "dev", "mnt", "mod", "proc", "sys"};
    char path[IMAGE_PATH], *dep;
    int rc;

    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        cpio_dir(c, dirs[i]);
    cpio_char(c, "dev/console", 5, 1);
    cpio_data(c, "init", 0755, image_init, sizeof(image_init) - 1);
    if (access("/bin/busybox", R_OK) < 0)
        return err_exit(e, EX_NO_HOST, ENOENT,
                        "the software host needs /bin/busybox: install busybox-static");
    rc = cpio_file(c, "bin/busybox", 0755, "/bin/busybox", e);
    if (rc < 0)
        return rc;
    snprintf(path, sizeof(path), "%s/modules.dep", k->modules);
    rc = image_read(path, &dep, e);
    if (rc < 0)
        return rc;
    rc = image_add_modules(c, k, dep, e);
    free(dep);
    return rc;
}

int soft_image_write(const struct soft_kernel *k, const char *path, struct err *e)
{
    struct cpio c = {fopen(path, "wbe"), 0};
    int rc;

    if (!c.out)
        return err_set(e, errno, "cannot write %s: %s", path, strerror(errno));
    rc = image_fill(&c, k, e);
    if (rc == 0) {
        rc = cpio_end(&c);
        if (rc < 0)
            rc = err_set(e, -rc, "cannot write %s: %s", path, strerror(-rc));
    }
    fclose(c.out);
    return rc;
}
