/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.c - a Linux system: its name, architecture, what its initramfs is made by, which names of
 * devices it depends on, which agents it has.
 *
 * Documents: os-release(5), fstab(5), initramfs.conf(5), dracut.conf(5).
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "inspect/look.h"

enum { TEXT_MAX = 256 << 10, CONFIGS_MAX = 64 };

static char *load(const struct fstree *t, const char *path)
{
    char *text;
    size_t n;

    return fstree_load(t, path, TEXT_MAX, &text, &n) == 0 ? text : NULL;
}

/* --- what it is --- */

static bool identify_os_release(const struct fstree *t, struct inspect_system *s)
{
    static const char *const paths[] = {"/etc/os-release", "/usr/lib/os-release"};
    char value[128];
    char *text = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(paths) && !text; i++)
        text = load(t, paths[i]);
    if (!text)
        return false;
    if (text_value(text, "PRETTY_NAME", value, sizeof(value)) ||
        text_value(text, "NAME", value, sizeof(value)))
        text_copy(s->name, sizeof(s->name), value);
    if (text_value(text, "ID", value, sizeof(value)))
        text_copy(s->id, sizeof(s->id), value);
    if (text_value(text, "VERSION_ID", value, sizeof(value)))
        text_copy(s->version, sizeof(s->version), value);
    free(text);
    return s->name[0] || s->id[0];
}

/* Systems from before os-release have a file with one line. */
static bool identify_old(const struct fstree *t, struct inspect_system *s)
{
    static const struct {
        const char *path, *id, *name;
    } files[] = {
        {"/etc/redhat-release", "rhel", NULL},       {"/etc/SuSE-release", "suse", NULL},
        {"/etc/gentoo-release", "gentoo", NULL},     {"/etc/slackware-version", "slackware", NULL},
        {"/etc/debian_version", "debian", "Debian"}, {"/etc/alpine-release", "alpine", "Alpine"},
        {"/etc/arch-release", "arch", "Arch Linux"},
    };
    char *text = NULL, *at, *line;

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        const char *digit;

        text = load(t, files[i].path);
        if (!text)
            continue;
        at = text;
        line = text_line(&at);
        text_copy(s->id, sizeof(s->id), files[i].id);
        snprintf(s->name, sizeof(s->name), "%s%s%.80s", files[i].name ? files[i].name : "",
                 files[i].name ? " " : "", line ? line : "");
        text_copy(s->name, sizeof(s->name), s->name);
        digit = strpbrk(s->name, "0123456789");
        if (digit)
            snprintf(s->version, sizeof(s->version), "%.*s", (int)strspn(digit, "0123456789."),
                     digit);
        free(text);
        return true;
    }
    return false;
}

static void identify_arch(const struct fstree *t, struct inspect_system *s)
{
    static const char *const programs[] = {"/bin/sh", "/sbin/init", "/usr/bin/bash",
                                           "/bin/busybox"};

    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        uint8_t head[20];
        struct fs_node n;
        struct fs *fs;

        if (fstree_find(t, programs[i], &fs, &n) < 0 || n.kind != FS_FILE ||
            fs->ops->read(fs, &n, 0, head, sizeof(head)) != sizeof(head) ||
            memcmp(head,
                   "\x7f"
                   "ELF",
                   4) != 0)
            continue;
        switch (le16_at(head + 18)) {
        case 3:
            text_copy(s->arch, sizeof(s->arch), "i386");
            return;
        case 62:
            text_copy(s->arch, sizeof(s->arch), head[4] == 1 ? "x32" : "x86_64");
            return;
        case 183:
            text_copy(s->arch, sizeof(s->arch), "aarch64");
            return;
        default:
            snprintf(s->arch, sizeof(s->arch), "ELF %u", le16_at(head + 18));
            return;
        }
    }
}

/* --- fstab --- */

/* /dev/sda1, /dev/xvda, /dev/vda, /dev/hda: names that another controller changes. */
static bool is_disk_name(const char *dev)
{
    static const char *const kinds[] = {"sd", "xvd", "vd", "hd", "nvme", "da", "ada"};

    if (strncmp(dev, "/dev/", 5) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t n = strlen(kinds[i]);

        if (strncmp(dev + 5, kinds[i], n) == 0 && isalnum((unsigned char)dev[5 + n]))
            return true;
    }
    return false;
}

static void fstab_line(struct look *l, struct fstree *t, struct inspect_system *s, char *line)
{
    char *rest = line, *dev = text_word(&rest), *at = text_word(&rest);
    char *type = at ? text_word(&rest) : NULL, *opts = type ? text_word(&rest) : NULL;
    int place;

    if (!dev || *dev == '#' || !type)
        return;
    if (is_disk_name(dev) && strcmp(type, "iso9660") != 0 && !strstr(type, "auto"))
        text_add(s->fstab_names, sizeof(s->fstab_names), dev);
    if (strcmp(at, "/") == 0 && !s->root_arg[0])
        text_copy(s->root_arg, sizeof(s->root_arg), dev);
    if (*at != '/' || at[1] == '\0')
        return;
    place = look_source(l, dev);
    if (place >= 0 && l->place[place].readable) {
        struct fs_node top = l->place[place].fs.top;
        char *sub = opts ? strstr(opts, "subvol=") : NULL;
        struct fstree own;
        struct fs *fs;

        fstree_init(&own, &l->place[place].fs, NULL);
        if (sub) {
            sub += strlen("subvol=");
            sub[strcspn(sub, ",")] = '\0';
            (void)!fstree_find(&own, sub, &fs, &top);
        }
        fstree_mount(t, at, &l->place[place].fs, &top);
    }
}

static void look_fstab(struct look *l, struct fstree *t, struct inspect_system *s)
{
    char *text = load(t, "/etc/fstab"), *at = text, *line;

    while (text && (line = text_line(&at)) != NULL)
        fstab_line(l, t, s, line);
    free(text);
}

/* --- what makes its initramfs --- */

struct policy_scan {
    const struct fstree *t;
    const char *dir;
    char *out;
    size_t room;
    unsigned files;
    bool dracut;
};

static void policy_file(struct policy_scan *p, const char *path)
{
    static const char *const debian[] = {"MODULES", "MODULE_LIST"};
    static const char *const dracut[] = {"hostonly", "add_drivers", "force_drivers",
                                         "omit_drivers"};
    char *text = load(p->t, path), value[80], pair[112];
    size_t n = p->dracut ? ARRAY_SIZE(dracut) : ARRAY_SIZE(debian);

    for (size_t i = 0; text && i < n; i++) {
        const char *key = p->dracut ? dracut[i] : debian[i];

        if (!text_value(text, key, value, sizeof(value))) {
            char plus[24];

            snprintf(plus, sizeof(plus), "%s+", key); /* add_drivers+=" x " */
            if (!text_value(text, plus, value, sizeof(value)))
                continue;
        }
        snprintf(pair, sizeof(pair), "%s=%s", key, value);
        text_add(p->out, p->room, pair);
    }
    free(text);
}

static int policy_entry(void *arg, const char *name, const struct fs_node *n)
{
    struct policy_scan *p = arg;
    char path[FS_PATH_MAX];

    if (++p->files > CONFIGS_MAX)
        return 0;
    snprintf(path, sizeof(path), "%s/%s", p->dir, name);
    policy_file(p, path);
    return 0;
}

/* /etc/initramfs-tools/modules is a list, one a line. */
static void policy_modules(const struct fstree *t, struct inspect_system *s)
{
    char *text = load(t, "/etc/initramfs-tools/modules"), *at = text, *line, list[64] = "", all[96];

    while (text && (line = text_line(&at)) != NULL) {
        char *rest = line, *w = text_word(&rest);

        if (w && *w != '#')
            text_add(list, sizeof(list), w);
    }
    if (list[0]) {
        snprintf(all, sizeof(all), "modules: %s", list);
        text_add(s->initrd_policy, sizeof(s->initrd_policy), all);
    }
    free(text);
}

static void look_policy(const struct fstree *t, struct inspect_system *s)
{
    static const struct {
        const char *file, *dir;
        bool dracut;
    } tools[] = {
        {"/etc/initramfs-tools/initramfs.conf", "/etc/initramfs-tools/conf.d", false},
        {"/etc/dracut.conf", "/etc/dracut.conf.d", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
        struct policy_scan p = {t, tools[i].dir,   s->initrd_policy, sizeof(s->initrd_policy),
                                0, tools[i].dracut};

        policy_file(&p, tools[i].file);
        (void)!fstree_list(t, tools[i].dir, policy_entry, &p);
    }
    policy_modules(t, s);
}

/* --- names of network devices --- */

struct net_scan {
    const struct fstree *t;
    struct inspect_system *s;
    const char *dir;
    unsigned files;
};

/* eth0, ens192, eno1, enp0s3, enX0; not lo, br0, bond0. */
static bool is_nic_name(const char *w)
{
    size_t n = strspn(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

    return (strncmp(w, "eth", 3) == 0 || strncmp(w, "en", 2) == 0) && w[n] == '\0' && n < 16 &&
           strpbrk(w, "0123456789");
}

static void net_words(struct net_scan *c, char *text, const char *where)
{
    static const char sep[] = " \t\n\"'=:,[]{}()";
    char *save = NULL, found[160];

    for (char *w = strtok_r(text, sep, &save); w; w = strtok_r(NULL, sep, &save)) {
        if (!is_nic_name(w))
            continue;
        snprintf(found, sizeof(found), "%.15s in %.100s", w, where);
        text_add(c->s->names_kept, sizeof(c->s->names_kept), found);
    }
}

static int net_entry(void *arg, const char *name, const struct fs_node *n)
{
    struct net_scan *c = arg;
    char path[FS_PATH_MAX], *text;

    if (++c->files > CONFIGS_MAX || strcmp(name, "ifcfg-lo") == 0 ||
        (strstr(c->dir, "network-scripts") && strncmp(name, "ifcfg-", 6) != 0))
        return 0;
    snprintf(path, sizeof(path), "%s/%s", c->dir, name);
    text = load(c->t, path);
    if (!text)
        return 0;
    if (strncmp(name, "ifcfg-", 6) == 0 && is_nic_name(name + 6) && !strstr(text, "DEVICE="))
        text_add(c->s->names_kept, sizeof(c->s->names_kept), path);
    /* Lines that are comments would name devices that nobody uses. */
    for (char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        if (at[strspn(at, " \t")] == '#')
            memset(at, ' ', strcspn(at, "\n"));
    }
    net_words(c, text, path);
    free(text);
    return 0;
}

static void look_network(const struct fstree *t, struct inspect_system *s)
{
    static const char *const dirs[] = {
        "/etc/network/interfaces.d",
        "/etc/netplan",
        "/etc/sysconfig/network-scripts",
        "/etc/sysconfig/network",
        "/etc/NetworkManager/system-connections",
        "/etc/systemd/network",
    };
    struct net_scan c = {t, s, "/etc/network", 0};
    struct fs_node none = {.kind = FS_FILE};

    net_entry(&c, "interfaces", &none);
    c.dir = "/etc/udev/rules.d";
    net_entry(&c, "70-persistent-net.rules", &none);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        c.dir = dirs[i];
        c.files = 0;
        (void)!fstree_list(t, dirs[i], net_entry, &c);
    }
}

/* --- agents --- */

static void look_agents(const struct fstree *t, struct inspect_system *s)
{
    static const struct {
        const char *path;
        enum agent agent;
    } files[] = {
        {"/usr/bin/vmtoolsd", AGENT_OPEN_VM_TOOLS},
        {"/usr/lib/vmware-tools/sbin64/vmtoolsd", AGENT_VMWARE_TOOLS},
        {"/usr/lib/vmware-tools/sbin32/vmtoolsd", AGENT_VMWARE_TOOLS},
        {"/etc/vmware-tools/locations", AGENT_VMWARE_TOOLS},
        {"/usr/sbin/hv_kvp_daemon", AGENT_HYPERV_DAEMONS},
        {"/usr/sbin/hypervkvpd", AGENT_HYPERV_DAEMONS},
        {"/usr/lib/hyperv-daemons", AGENT_HYPERV_DAEMONS},
        {"/usr/lib/linux-cloud-tools", AGENT_HYPERV_DAEMONS},
        {"/usr/sbin/xe-daemon", AGENT_XE_GUEST},
        {"/usr/sbin/xe-linux-distribution", AGENT_XE_GUEST},
        {"/usr/bin/xe-daemon", AGENT_XE_GUEST},
        {"/usr/bin/xen-guest-agent", AGENT_XE_GUEST},
        {"/usr/sbin/xen-guest-agent", AGENT_XE_GUEST},
        {"/usr/sbin/qemu-ga", AGENT_QEMU_GUEST},
        {"/usr/bin/qemu-ga", AGENT_QEMU_GUEST},
        {"/usr/sbin/VBoxService", AGENT_VBOX},
        {"/usr/bin/cloud-init", AGENT_CLOUD_INIT},
        {"/usr/sbin/waagent", AGENT_WAAGENT},
    };

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (fstree_has(t, files[i].path))
            s->agents |= 1U << files[i].agent;
    }
}

/* --- the system --- */

static void root_from_kernel(struct inspect_system *s)
{
    const struct inspect_kernel *k = inspect_first(s);
    const char *at = k ? strstr(k->append, "root=") : NULL;

    if (at && (at == k->append || at[-1] == ' '))
        snprintf(s->root_arg, sizeof(s->root_arg), "%.*s", (int)strcspn(at + 5, " "), at + 5);
}

bool look_linux(struct look *l, size_t place, const struct fs_node *top, const char *where)
{
    struct inspect_system *s, found = {.family = GUEST_LINUX};
    struct fstree t;

    fstree_init(&t, &l->place[place].fs, top);
    if (!fstree_has(&t, "/etc/fstab") && !fstree_has(&t, "/sbin/init") &&
        !fstree_has(&t, "/etc/passwd"))
        return false;
    if (!identify_os_release(&t, &found) && !identify_old(&t, &found))
        return false;
    if (strcasecmp(found.id, "freebsd") == 0)
        return false;
    s = look_system(l, GUEST_LINUX, where);
    if (!s)
        return false;
    memcpy(s->name, found.name, sizeof(s->name));
    memcpy(s->id, found.id, sizeof(s->id));
    memcpy(s->version, found.version, sizeof(s->version));
    look_stage(l, "Linux on %s", where);
    look_fstab(l, &t, s);
    identify_arch(&t, s);
    look_policy(&t, s);
    look_network(&t, s);
    look_agents(&t, s);
    look_kernels(l, place, &t, s);
    root_from_kernel(s);
    s->boot_known = s->kernels > 0;
    return true;
}

void look_media(struct look *l)
{
    struct inspect_system *s;

    if (l->out->systems > 0 || l->entries == 0)
        return;
    s = look_system(l, GUEST_LINUX, "a live or installation medium");
    if (!s)
        return;
    look_stage(l, "kernels of a medium");
    look_kernels(l, l->entry[0].place, NULL, s);
    if (s->kernels == 0) {
        l->out->systems--;
        return;
    }
    text_copy(s->name, sizeof(s->name), l->place[l->entry[0].place].fs.label);
    root_from_kernel(s);
    s->boot_known = true;
}
