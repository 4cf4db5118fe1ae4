/* SPDX-License-Identifier: Apache-2.0 */
/*
 * windows.c - a Windows system: version, architecture, drivers that start with the boot loader.
 *
 * The SYSTEM hive is read by libhivex, from memory. A service starts at boot when its Start is 0
 * and no StartOverride says otherwise: Windows 8 and later switch off, by that key, the storage
 * drivers that the last boot did not need. The hive's log is not replayed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <hivex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "inspect/child.h"
#include "inspect/look.h"

enum { HIVE_MAX = 40 << 20, COPY = 256 << 10, EXE_SCAN_MAX = 16 << 20 };

/* --- a hive, copied out of the guest's disk into memory that has a name for the library --- */

static int hive_copy(struct fs *fs, const struct fs_node *n, int fd)
{
    uint8_t *buf = malloc(COPY);
    uint64_t off = 0;
    int rc = buf ? 0 : -ENOMEM;

    if (rc == 0 && ftruncate(fd, (off_t)n->size) < 0)
        rc = -errno;
    while (rc == 0 && off < n->size) {
        ssize_t got = fs->ops->read(fs, n, off, buf, COPY);

        if (got <= 0)
            rc = got < 0 ? (int)got : -EIO;
        else if (pwrite(fd, buf, (size_t)got, (off_t)off) != got)
            rc = -EIO;
        else
            off += (uint64_t)got;
    }
    free(buf);
    return rc;
}

/* *fd stays until hive_close(): the library reads the file's pages as it needs them. */
static hive_h *hive_open(struct look *l, const struct fstree *t, const char *path, int *fd)
{
    char name[48];
    struct fs_node n;
    struct fs *fs;
    hive_h *h = NULL;

    if (fstree_find(t, path, &fs, &n) < 0 || n.kind != FS_FILE || n.size < 4096)
        return NULL;
    if (n.size > HIVE_MAX) {
        inspect_note(l->out, "%s has %llu MiB, which is more than is read", path,
                     (unsigned long long)(n.size / MiB));
        return NULL;
    }
    *fd = child_memory();
    if (*fd < 0)
        return NULL;
    if (hive_copy(fs, &n, *fd) == 0) {
        snprintf(name, sizeof(name), "/proc/self/fd/%d", *fd);
        h = hivex_open(name, HIVEX_OPEN_UNSAFE);
    }
    if (!h) {
        inspect_note(l->out, "%s is damaged", path);
        child_memory_done(*fd);
    }
    return h;
}

static void hive_close(hive_h *h, int fd)
{
    hivex_close(h);
    child_memory_done(fd);
}

/* Path parts are separated by '\'. 0: none. */
static hive_node_h hive_find(hive_h *h, hive_node_h from, const char *path)
{
    char part[128];

    while (from && *path) {
        size_t n = strcspn(path, "\\");

        snprintf(part, sizeof(part), "%.*s", (int)min_u64(n, sizeof(part) - 1), path);
        from = hivex_node_get_child(h, from, part);
        path += n + (path[n] == '\\');
    }
    return from;
}

static int64_t hive_number(hive_h *h, hive_node_h node, const char *key, int64_t missing)
{
    hive_value_h v = node ? hivex_node_get_value(h, node, key) : 0;
    hive_type type;
    size_t len;

    if (!v || hivex_value_type(h, v, &type, &len) < 0 || type != hive_t_REG_DWORD || len != 4)
        return missing;
    return hivex_value_dword(h, v);
}

static bool hive_string(hive_h *h, hive_node_h node, const char *key, char *out, size_t room)
{
    hive_value_h v = node ? hivex_node_get_value(h, node, key) : 0;
    hive_type type;
    size_t len;
    char *s;

    if (!v || hivex_value_type(h, v, &type, &len) < 0 || len > 1024 ||
        (type != hive_t_REG_SZ && type != hive_t_REG_EXPAND_SZ))
        return false;
    s = hivex_value_string(h, v);
    if (s)
        text_copy(out, room, s);
    free(s);
    return s != NULL;
}

/* --- the SYSTEM hive --- */

static hive_node_h control_set(hive_h *h)
{
    char name[32];
    int64_t current = hive_number(h, hive_find(h, hivex_root(h), "Select"), "Current", 1);

    snprintf(name, sizeof(name), "ControlSet%03u", (unsigned)current % 1000);
    return hive_find(h, hivex_root(h), name);
}

/* The number that StartOverride gives, under "0" or another number of a configuration. */
static int64_t start_of(hive_h *h, hive_node_h service)
{
    int64_t start = hive_number(h, service, "Start", 3);
    hive_node_h over = hivex_node_get_child(h, service, "StartOverride");

    return over ? hive_number(h, over, "0", start) : start;
}

static void look_services(struct look *l, struct inspect_system *s, hive_h *h, hive_node_h set)
{
    static const char *const vmware[] = {"VMTools", "vmvss", "VGAuthService"};
    static const char *const xen[] = {"xenagent", "xensvc", "XenSvc", "xenguestagent"};
    hive_node_h services = hive_find(h, set, "Services");
    char held[160] = "";

    /* Asked by name: a list of all services would be longer. */
    for (unsigned d = 0; services && d < DRIVERS; d++) {
        const char *name;

        for (unsigned i = 0; (name = driver_alias(GUEST_WINDOWS, (enum driver)d, i)) != NULL; i++) {
            hive_node_h service = hivex_node_get_child(h, services, name);

            if (!service)
                continue;
            s->installed |= DRV(d);
            if (start_of(h, service) == 0)
                s->boot |= DRV(d);
            else if (hive_number(h, service, "Start", 3) == 0)
                text_add(held, sizeof(held), name);
        }
    }
    if (held[0])
        inspect_note(l->out, "StartOverride holds back boot drivers: %s", held);
    for (size_t i = 0; services && i < ARRAY_SIZE(vmware); i++)
        s->agents |= hivex_node_get_child(h, services, vmware[i]) ? 1U << AGENT_VMWARE_TOOLS : 0;
    for (size_t i = 0; services && i < ARRAY_SIZE(xen); i++)
        s->agents |= hivex_node_get_child(h, services, xen[i]) ? 1U << AGENT_XEN_TOOLS : 0;
    if (services && (hivex_node_get_child(h, services, "QEMU-GA") ||
                     hivex_node_get_child(h, services, "QEMU Guest Agent VSS Provider")))
        s->agents |= 1U << AGENT_QEMU_GUEST;
    if (s->installed & (DRV(DRV_VIRTIO_BLK) | DRV(DRV_VIRTIO_SCSI)))
        s->agents |= 1U << AGENT_VIRTIO_WIN;
    s->boot_known = services != 0;
}

/* Static addresses are bound to a device by its place on the bus. */
static void look_interfaces(struct inspect_system *s, hive_h *h, hive_node_h set)
{
    hive_node_h at = hive_find(h, set, "Services\\Tcpip\\Parameters\\Interfaces");
    hive_node_h *all = at ? hivex_node_children(h, at) : NULL;
    unsigned fixed = 0;

    for (size_t i = 0; all && all[i] && i < 64; i++)
        fixed += hive_number(h, all[i], "EnableDHCP", 1) == 0;
    free(all);
    if (fixed)
        snprintf(s->names_kept, sizeof(s->names_kept),
                 "%u static address%s, kept only while the adapter stays in its slot", fixed,
                 fixed > 1 ? "es" : "");
}

/* --- version --- */

/* "ProductVersion" in a program's version resource, in UTF-16. */
static bool exe_version(const struct fstree *t, const char *path, char *out, size_t room)
{
    static const char key[] = "P\0r\0o\0d\0u\0c\0t\0V\0e\0r\0s\0i\0o\0n";
    uint8_t *buf = malloc(COPY + 256);
    struct fs_node n;
    struct fs *fs;
    bool found = false;

    if (!buf || fstree_find(t, path, &fs, &n) < 0 || n.kind != FS_FILE) {
        free(buf);
        return false;
    }
    for (uint64_t off = 0; off < min_u64(n.size, EXE_SCAN_MAX) && !found; off += COPY) {
        ssize_t got = fs->ops->read(fs, &n, off, buf, COPY + 256);
        uint8_t *at = got > 0 ? memmem(buf, (size_t)got, key, sizeof(key)) : NULL;
        size_t k = 0;

        if (got <= 0)
            break;
        if (!at || (size_t)(at - buf) + 160 > (size_t)got)
            continue;
        for (at += sizeof(key) + 1; at < buf + got - 2 && *at == 0;)
            at++;
        for (; k + 1 < room && at + 1 < buf + got && *at && at[1] == 0 && *at < 127; at += 2)
            out[k++] = (char)*at;
        out[k] = '\0';
        found = k > 0;
    }
    free(buf);
    return found;
}

static const char *product(unsigned major, unsigned minor, unsigned build, bool server)
{
    static const struct {
        unsigned major, minor, build; /* from this build on */
        const char *client, *server;
    } known[] = {
        {10, 0, 26100, "Windows 11 24H2", "Windows Server 2025"},
        {10, 0, 22621, "Windows 11 22H2", "Windows Server"},
        {10, 0, 22000, "Windows 11", "Windows Server"},
        {10, 0, 20348, "Windows 10", "Windows Server 2022"},
        {10, 0, 17763, "Windows 10", "Windows Server 2019"},
        {10, 0, 14393, "Windows 10", "Windows Server 2016"},
        {10, 0, 0, "Windows 10", "Windows Server"},
        {6, 3, 0, "Windows 8.1", "Windows Server 2012 R2"},
        {6, 2, 0, "Windows 8", "Windows Server 2012"},
        {6, 1, 0, "Windows 7", "Windows Server 2008 R2"},
        {6, 0, 0, "Windows Vista", "Windows Server 2008"},
        {5, 2, 0, "Windows XP x64", "Windows Server 2003"},
        {5, 1, 0, "Windows XP", "Windows XP"},
        {5, 0, 0, "Windows 2000", "Windows 2000 Server"},
        {4, 0, 0, "Windows NT 4.0", "Windows NT 4.0 Server"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (known[i].major == major && known[i].minor == minor && build >= known[i].build)
            return server ? known[i].server : known[i].client;
    }
    return "Windows";
}

static void version_from_software(struct look *l, struct inspect_system *s, const struct fstree *t,
                                  const char *path)
{
    int fd;
    hive_h *h = hive_open(l, t, path, &fd);
    hive_node_h at = h ? hive_find(h, hivex_root(h), "Microsoft\\Windows NT\\CurrentVersion") : 0;
    char version[24] = "", build[24] = "";

    if (at) {
        hive_string(h, at, "ProductName", s->name, sizeof(s->name));
        hive_string(h, at, "CurrentVersion", version, sizeof(version));
        if (hive_number(h, at, "CurrentMajorVersionNumber", -1) >= 0)
            snprintf(version, sizeof(version), "%d.%d",
                     (int)hive_number(h, at, "CurrentMajorVersionNumber", 0),
                     (int)hive_number(h, at, "CurrentMinorVersionNumber", 0));
        if (!hive_string(h, at, "CurrentBuildNumber", build, sizeof(build)))
            hive_string(h, at, "CurrentBuild", build, sizeof(build));
        snprintf(s->version, sizeof(s->version), "%s%s%s", version, build[0] ? "." : "", build);
    }
    if (h)
        hive_close(h, fd);
}

static void look_version(struct look *l, struct inspect_system *s, const struct fstree *t,
                         const char *root, bool server)
{
    unsigned major = 0, minor = 0, build = 0;
    char path[FS_PATH_MAX];

    snprintf(path, sizeof(path), "%s/System32/ntoskrnl.exe", root);
    if (!exe_version(t, path, s->version, sizeof(s->version))) {
        snprintf(path, sizeof(path), "%s/System32/config/SOFTWARE", root);
        version_from_software(l, s, t, path);
    }
    if (!s->name[0] && sscanf(s->version, "%u.%u.%u", &major, &minor, &build) >= 2)
        text_copy(s->name, sizeof(s->name), product(major, minor, build, server));
    if (!s->name[0])
        text_copy(s->name, sizeof(s->name), server ? "Windows Server" : "Windows");
}

static bool look_system_hive(struct look *l, struct inspect_system *s, hive_h *h)
{
    hive_node_h set = control_set(h);
    char value[64] = "";
    bool server;

    look_services(l, s, h, set);
    look_interfaces(s, h, set);
    if (hive_string(h, hive_find(h, set, "Control\\Session Manager\\Environment"),
                    "PROCESSOR_ARCHITECTURE", value, sizeof(value)))
        text_copy(s->arch, sizeof(s->arch),
                  strcasecmp(value, "AMD64") == 0 ? "x86_64"
                  : strcasecmp(value, "x86") == 0 ? "i386"
                                                  : value);
    value[0] = '\0';
    server = hive_string(h, hive_find(h, set, "Control\\ProductOptions"), "ProductType", value,
                         sizeof(value)) &&
             strcasecmp(value, "WinNT") != 0;
    return server;
}

bool look_windows(struct look *l, size_t place, const char *where)
{
    static const char *const roots[] = {"/Windows", "/WINNT"};
    struct inspect_system *s;
    struct fstree t;
    hive_h *h;

    fstree_init(&t, &l->place[place].fs, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        char path[128];
        bool server;
        int fd;

        snprintf(path, sizeof(path), "%s/System32/config/SYSTEM", roots[i]);
        if (!fstree_has(&t, path) || !(s = look_system(l, GUEST_WINDOWS, where)))
            continue;
        look_stage(l, "Windows on %s", where);
        text_copy(s->id, sizeof(s->id), "windows");
        h = hive_open(l, &t, path, &fd);
        server = h && look_system_hive(l, s, h);
        if (h)
            hive_close(h, fd);
        look_version(l, s, &t, roots[i], server);
        if (fstree_has(&t, "/hiberfil.sys"))
            inspect_note(l->out,
                         "Windows may be hibernated: start it and shut it down once where it "
                         "came from");
        if (fstree_has(&t, "/Program Files/Oracle/VirtualBox Guest Additions"))
            s->agents |= 1U << AGENT_VBOX;
        return true;
    }
    return false;
}
