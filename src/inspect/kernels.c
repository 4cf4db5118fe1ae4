/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.c - the kernels that a Linux system can start, and what each can drive at boot.
 *
 * A kernel drives what is built into it (modules.builtin, or its .config) and what lies in its
 * initial RAM disk. What is only installed as a module comes too late for the root file system.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "core/path.h"
#include "inspect/look.h"

enum { TEXT_MAX = 2 << 20, KERNEL_HEAD = 1024, VERSION_MAX = 80 };

/* --- the kernel's file --- */

struct finder {
    struct look *l;
    const struct fstree *t;
    const struct boot_entry *e;
};

/* The path of a menu is seen from the loader's file system, ours from the system's root. */
static int find_file(const struct finder *f, const char *path, struct fs **fs, struct fs_node *n)
{
    char boot[FS_PATH_MAX];
    const char *second = *path == '/' ? strchr(path + 1, '/') : NULL;
    struct fstree own;

    snprintf(boot, sizeof(boot), "/boot/%s", path);
    if (!*path)
        return -1;
    if (f->t && (fstree_find(f->t, path, fs, n) == 0 || fstree_find(f->t, boot, fs, n) == 0))
        return 0;
    if (f->t && second && fstree_find(f->t, second, fs, n) == 0) /* the first part is a subvolume */
        return 0;
    if (!f->e || !f->l->place[f->e->place].readable)
        return -1;
    fstree_init(&own, &f->l->place[f->e->place].fs, NULL);
    return fstree_find(&own, path, fs, n) == 0 || fstree_find(&own, boot, fs, n) == 0 ? 0 : -1;
}

/* Linux Documentation/arch/x86/boot.rst: the offset of the version's text is at 0x20e. */
static void kernel_version(struct fs *fs, const struct fs_node *n, struct inspect_kernel *k)
{
    uint8_t head[KERNEL_HEAD];
    char text[VERSION_MAX + 1] = "";
    uint32_t at;

    if (fs->ops->read(fs, n, 0, head, sizeof(head)) != sizeof(head) ||
        memcmp(head + 0x202, "HdrS", 4) != 0)
        return;
    at = le16_at(head + 0x20e) + 0x200u;
    if (le16_at(head + 0x20e) == 0 || fs->ops->read(fs, n, at, text, VERSION_MAX) <= 0)
        return;
    text[strcspn(text, " ")] = '\0';
    text_copy(k->version, sizeof(k->version), text);
}

static bool has_modules(const struct fstree *t, const char *version)
{
    char path[FS_PATH_MAX];

    return snprintf(path, sizeof(path), "/lib/modules/%s", version) < (int)sizeof(path) &&
           fstree_has(t, path);
}

/* vmlinuz-6.1.0-18-amd64; a name counts for more than the kernel's own word where its modules are.
 */
static void version_from_name(const struct fstree *t, struct inspect_kernel *k)
{
    const char *dash = strpbrk(path_last(k->path), "-");

    if (dash && dash[1] >= '0' && dash[1] <= '9' &&
        (!k->version[0] || (t && has_modules(t, dash + 1) && !has_modules(t, k->version))))
        text_copy(k->version, sizeof(k->version), dash + 1);
}

/* --- what is built in, what is installed --- */

static uint64_t config_drivers(const char *text)
{
    static const struct {
        const char *option;
        enum driver driver;
    } options[] = {
        {"CONFIG_VIRTIO_PCI=y", DRV_VIRTIO_PCI},
        {"CONFIG_VIRTIO_BLK=y", DRV_VIRTIO_BLK},
        {"CONFIG_SCSI_VIRTIO=y", DRV_VIRTIO_SCSI},
        {"CONFIG_VIRTIO_NET=y", DRV_VIRTIO_NET},
        {"CONFIG_HYPERV=y", DRV_VMBUS},
        {"CONFIG_HYPERV_VMBUS=y", DRV_VMBUS},
        {"CONFIG_HYPERV_STORAGE=y", DRV_STORVSC},
        {"CONFIG_HYPERV_NET=y", DRV_NETVSC},
        {"CONFIG_XEN_PVHVM=y", DRV_XENBUS},
        {"CONFIG_XEN_PLATFORM_PCI=y", DRV_XENBUS},
        {"CONFIG_XEN_BLKDEV_FRONTEND=y", DRV_XENVBD},
        {"CONFIG_XEN_NETDEV_FRONTEND=y", DRV_XENVIF},
        {"CONFIG_VMWARE_PVSCSI=y", DRV_PVSCSI},
        {"CONFIG_VMXNET3=y", DRV_VMXNET3},
        {"CONFIG_FUSION_SPI=y", DRV_LSI},
        {"CONFIG_FUSION_SAS=y", DRV_LSI_SAS},
        {"CONFIG_ATA_PIIX=y", DRV_IDE},
        {"CONFIG_SATA_AHCI=y", DRV_AHCI},
        {"CONFIG_BLK_DEV_NVME=y", DRV_NVME},
        {"CONFIG_BLK_DEV_SD=y", DRV_SD},
        {"CONFIG_E1000=y", DRV_E1000},
        {"CONFIG_E1000E=y", DRV_E1000E},
    };
    uint64_t set = 0;

    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const char *at = strstr(text, options[i].option);

        if (at && (at == text || at[-1] == '\n'))
            set |= DRV(options[i].driver);
    }
    return set;
}

/* %s is the version. */
static char *load_for(const struct fstree *t, const char *format, const char *version)
{
    char path[FS_PATH_MAX], *text;
    size_t n;
    int len;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    len = snprintf(path, sizeof(path), format, version);
#pragma GCC diagnostic pop
    return len > 0 && len < (int)sizeof(path) && fstree_load(t, path, TEXT_MAX, &text, &n) == 0
               ? text
               : NULL;
}

static void modules_of(const struct fstree *t, struct inspect_kernel *k)
{
    char *text = load_for(t, "/lib/modules/%s/modules.builtin", k->version);

    if (text) {
        k->builtin |= look_module_list(text);
        k->builtin_known = true;
    }
    free(text);
    text = load_for(t, "/boot/config-%s", k->version);
    if (!text)
        text = load_for(t, "/lib/modules/%s/config", k->version);
    if (text) {
        k->builtin |= config_drivers(text);
        k->builtin_known = true;
        k->xen_hvm_known = true;
        k->xen_hvm =
            strstr(text, "\nCONFIG_XEN_PVHVM=y") || strstr(text, "\nCONFIG_XEN_PVHVM_GUEST=y");
    }
    free(text);
    text = load_for(t, "/lib/modules/%s/modules.dep", k->version);
    if (text)
        k->installed |= look_module_list(text);
    free(text);
}

/* --- the initial RAM disk --- */

struct initrd_file {
    struct fs *fs;
    struct fs_node n;
    uint64_t off, len; /* inside the file */
};

static ssize_t initrd_bytes(void *arg, uint64_t off, void *buf, size_t len)
{
    struct initrd_file *f = arg;

    if (off >= f->len)
        return 0;
    return f->fs->ops->read(f->fs, &f->n, f->off + off, buf, (size_t)min_u64(len, f->len - off));
}

static void initrd_read(struct look *l, struct initrd_file *file, struct inspect_kernel *k)
{
    struct initramfs r;

    look_stage(l, "initrd %s", k->initrd);
    look_initramfs(initrd_bytes, file, &l->unpacked, &r);
    k->initramfs = r.drivers;
    if (!k->builtin_known && r.builtin_known) {
        k->builtin |= r.builtin;
        k->builtin_known = true;
    }
    text_copy(k->tool, sizeof(k->tool), r.tool);
    text_copy(k->packed, sizeof(k->packed), r.packed);
    text_copy(k->why, sizeof(k->why), r.why);
    if (!k->version[0])
        text_copy(k->version, sizeof(k->version), r.version);
}

static void initrd_of(const struct finder *f, struct inspect_kernel *k)
{
    struct initrd_file file = {.off = 0};

    if (find_file(f, k->initrd, &file.fs, &file.n) < 0 || file.n.kind != FS_FILE) {
        snprintf(k->why, sizeof(k->why), "its initrd is not there");
        return;
    }
    file.len = file.n.size;
    initrd_read(f->l, &file, k);
}

/* A text in a section, up to its end or a line's. */
static void section_text(struct fs *fs, const struct fs_node *n, const char *name, char *out,
                         size_t room)
{
    char text[256] = "";
    uint64_t off, len;

    if (!look_pe_section(fs, n, name, &off, &len) ||
        fs->ops->read(fs, n, off, text, (size_t)min_u64(len, sizeof(text) - 1)) <= 0)
        return;
    text[strcspn(text, "\n")] = '\0';
    text_copy(out, room, text);
}

/* A unified kernel image has all that a menu would say. false: it is none. */
static bool unified(struct look *l, struct fs *fs, const struct fs_node *n,
                    struct inspect_kernel *k)
{
    struct initrd_file file = {.fs = fs, .n = *n};
    uint64_t off, len;

    if (!look_pe_section(fs, n, ".linux", &off, &len))
        return false;
    section_text(fs, n, ".uname", k->version, sizeof(k->version));
    section_text(fs, n, ".cmdline", k->append, sizeof(k->append));
    if (look_pe_section(fs, n, ".initrd", &file.off, &file.len)) {
        text_copy(k->initrd, sizeof(k->initrd), k->path);
        initrd_read(l, &file, k);
    }
    return true;
}

/* --- all kernels of a system --- */

/* Lines of a menu that differ in arguments alone are one kernel, and the first ones count. */
static struct inspect_kernel *kernel_new(struct inspect_system *s, const char *path,
                                         const char *initrd)
{
    struct inspect_kernel *k;

    for (unsigned i = 0; i < s->kernels; i++) {
        if (strcmp(path_last(s->kernel[i].path), path_last(path)) == 0 &&
            (!initrd || strcmp(s->kernel[i].initrd, initrd) == 0))
            return NULL;
    }
    if (s->kernels == INSPECT_KERNELS)
        return NULL;
    k = &s->kernel[s->kernels++];
    *k = (struct inspect_kernel){.first = false};
    text_copy(k->path, sizeof(k->path), path);
    text_copy(k->initrd, sizeof(k->initrd), initrd ? initrd : "");
    return k;
}

static void kernel_fill(const struct finder *f, struct inspect_kernel *k)
{
    struct fs_node n;
    struct fs *fs;

    k->found = find_file(f, k->path, &fs, &n) == 0 && n.kind == FS_FILE;
    if (!k->found || !unified(f->l, fs, &n, k)) {
        if (k->found)
            kernel_version(fs, &n, k);
        version_from_name(f->t, k);
        if (k->initrd[0])
            initrd_of(f, k);
    }
    if (f->t && k->version[0])
        modules_of(f->t, k);
}

static void from_entry(struct look *l, const struct fstree *t, struct inspect_system *s,
                       const struct boot_entry *e)
{
    struct finder f = {l, t, e};
    struct inspect_kernel *k;
    struct fs_node n;
    struct fs *fs;

    if (!e->kernel[0] || strstr(e->kernel, "memtest") || strstr(e->kernel, ".c32") ||
        find_file(&f, e->kernel, &fs, &n) < 0)
        return;
    k = kernel_new(s, e->kernel, e->initrd);
    for (unsigned i = 0; i < s->kernels && !k && e->first; i++) {
        if (strcmp(s->kernel[i].path, e->kernel) == 0 &&
            strcmp(s->kernel[i].initrd, e->initrd) == 0)
            s->kernel[i].first = true;
    }
    if (!k)
        return;
    text_copy(k->title, sizeof(k->title), e->title);
    text_copy(k->append, sizeof(k->append), e->append);
    k->listed = true;
    k->first = e->first;
    kernel_fill(&f, k);
}

struct boot_scan {
    struct look *l;
    const struct fstree *t;
    struct inspect_system *s;
    const char *dir;
    unsigned tried;
};

/* An initrd beside the kernel, by the names that distributions give. */
static bool initrd_beside(const struct boot_scan *b, const char *version, char *out, size_t room)
{
    static const char *const forms[] = {"initrd.img-%s", "initramfs-%s.img", "initrd-%s",
                                        "initrd-%s.img", "initramfs-%s",     "initramfs-linux.img"};
    char name[160];

    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(name, sizeof(name), forms[i], version);
#pragma GCC diagnostic pop
        snprintf(out, room, "%s/%s", b->dir, name);
        if (fstree_has(b->t, out))
            return true;
    }
    out[0] = '\0';
    return false;
}

/* Debian's /vmlinuz is a link to the newest kernel in /boot. */
static bool kernel_is_known(const struct finder *f, const struct inspect_system *s,
                            const char *path)
{
    struct fs_node n, have;
    struct fs *fs, *its;

    if (find_file(f, path, &fs, &n) < 0)
        return false;
    for (unsigned i = 0; i < s->kernels; i++) {
        if (find_file(f, s->kernel[i].path, &its, &have) == 0 && its == fs && have.id == n.id &&
            have.aux == n.aux)
            return true;
    }
    return false;
}

static int boot_file(void *arg, const char *name, const struct fs_node *n)
{
    struct boot_scan *b = arg;
    struct finder f = {b->l, b->t, NULL};
    struct inspect_kernel *k;
    const char *dash;
    char path[400], initrd[320];

    if ((strncmp(name, "vmlinuz", 7) != 0 && strncmp(name, "kernel-", 7) != 0) ||
        strstr(name, "rescue") || ++b->tried > INSPECT_KERNELS)
        return 0;
    dash = strchr(name, '-');
    initrd_beside(b, dash ? dash + 1 : "", initrd, sizeof(initrd));
    snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    if (kernel_is_known(&f, b->s, path))
        return 0;
    k = kernel_new(b->s, path, b->s->kernels ? NULL : initrd);
    if (!k)
        return 0;
    text_copy(k->initrd, sizeof(k->initrd), initrd);
    kernel_fill(&f, k);
    return 0;
}

void look_kernels(struct look *l, size_t place, const struct fstree *t, struct inspect_system *s)
{
    struct boot_scan b = {l, t, s, "/boot", 0};
    bool chosen = false;
    unsigned best = 0;

    for (size_t i = 0; i < l->entries; i++)
        from_entry(l, t, s, &l->entry[i]);
    (void)!fstree_list(t, "/boot", boot_file, &b);
    for (unsigned i = 0; i < s->kernels; i++) {
        chosen |= s->kernel[i].first;
        if (strverscmp(s->kernel[i].version, s->kernel[best].version) > 0)
            best = i;
    }
    if (!chosen && s->kernels > 0)
        s->kernel[best].first = true;
}
