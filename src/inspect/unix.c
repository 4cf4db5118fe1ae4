/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix.c - FreeBSD, NetBSD, OpenBSD and Solaris, by their kernels and loader files.
 *
 * Their kernels have most drivers built in. A driver is in a kernel when its name is a whole word
 * among the kernel's texts; FreeBSD's loader.conf can add modules, Solaris has them as files.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "inspect/look.h"
#include "inspect/unpack.h"

enum { TEXT_MAX = 64 << 10, CHUNK = 256 << 10, KERNEL_MAX = 96 << 20, WORD_MAX = 32 };

/* --- words in a kernel --- */

struct words {
    enum guest_family family;
    uint64_t found;
    char word[WORD_MAX];
    size_t n;
};

/* A text in a kernel ends with a zero byte and holds letters, digits, "_" and "/". */
static void words_feed(struct words *w, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (isalnum(b[i]) || b[i] == '_') {
            if (w->n < WORD_MAX)
                w->word[w->n] = (char)b[i];
            w->n++;
        } else {
            if (w->n > 1 && w->n < WORD_MAX && (b[i] == 0 || b[i] == '/'))
                w->found |= driver_by_name(w->family, w->word, w->n);
            w->n = 0;
        }
    }
}

struct kernel_file {
    struct fs *fs;
    struct fs_node n;
};

static ssize_t kernel_bytes(void *arg, uint64_t off, void *buf, size_t len)
{
    struct kernel_file *f = arg;

    return f->fs->ops->read(f->fs, &f->n, off, buf, len);
}

/* Kernels may be packed (NetBSD's installation media, /boot/kernel/kernel.gz). */
static bool kernel_words(struct look *l, const struct fstree *t, const char *path, struct words *w)
{
    struct kernel_file f;
    struct unpack *u = NULL;
    uint8_t *buf, head[16];
    uint64_t off = 0;
    ssize_t got;

    if (fstree_find(t, path, &f.fs, &f.n) < 0 || f.n.kind != FS_FILE ||
        kernel_bytes(&f, 0, head, sizeof(head)) != sizeof(head))
        return false;
    buf = malloc(CHUNK);
    if (!buf)
        return false;
    if (unpack_probe(head, sizeof(head)) != UNPACK_NONE &&
        unpack_open(unpack_probe(head, sizeof(head)), kernel_bytes, &f, 0, &u) < 0)
        u = NULL;
    look_stage(l, "kernel %s", path);
    do {
        got = u ? unpack_read(u, buf, CHUNK) : kernel_bytes(&f, off, buf, CHUNK);
        if (got > 0)
            words_feed(w, buf, (size_t)got);
        off += got > 0 ? (uint64_t)got : 0;
    } while (got > 0 && off < KERNEL_MAX);
    unpack_close(u);
    free(buf);
    return true;
}

static void elf_arch(const struct fstree *t, const char *path, struct inspect_system *s)
{
    struct kernel_file f;
    uint8_t head[20];

    if (fstree_find(t, path, &f.fs, &f.n) < 0 || f.n.kind != FS_FILE ||
        kernel_bytes(&f, 0, head, sizeof(head)) != sizeof(head) || memcmp(head + 1, "ELF", 3) != 0)
        return;
    text_copy(s->arch, sizeof(s->arch),
              le16_at(head + 18) == 62  ? "x86_64"
              : le16_at(head + 18) == 3 ? "i386"
                                        : "other");
}

/* --- FreeBSD --- */

static void freebsd_loader(const struct fstree *t, struct inspect_system *s)
{
    static const char *const files[] = {"/boot/defaults/loader.conf", "/boot/loader.conf",
                                        "/boot/loader.conf.local"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        char *text, *at, *line;
        size_t n;

        if (fstree_load(t, files[i], TEXT_MAX, &text, &n) < 0)
            continue;
        for (at = text; (line = text_line(&at)) != NULL;) {
            char *load = strstr(line, "_load=\"YES\"");

            if (load && *line != '#')
                s->boot |= driver_by_name(GUEST_FREEBSD, line, (size_t)(load - line));
        }
        free(text);
    }
}

static void freebsd_version(const struct fstree *t, struct inspect_system *s)
{
    char *text, value[64];
    size_t n;

    if (fstree_load(t, "/etc/os-release", TEXT_MAX, &text, &n) == 0 ||
        fstree_load(t, "/var/run/os-release", TEXT_MAX, &text, &n) == 0) {
        if (text_value(text, "VERSION_ID", value, sizeof(value)))
            text_copy(s->version, sizeof(s->version), value);
        free(text);
    } else if (fstree_load(t, "/bin/freebsd-version", TEXT_MAX, &text, &n) == 0) {
        if (text_value(text, "USERLAND_VERSION", value, sizeof(value)))
            text_copy(s->version, sizeof(s->version), value);
        free(text);
    }
}

static const struct {
    enum guest_family family;
    const char *marks[2]; /* files that only this system has */
    const char *kernels[3];
    const char *name;
} systems[] = {
    {GUEST_FREEBSD,
     {"/boot/kernel", "/bin/freebsd-version"},
     {"/boot/kernel/kernel", "/boot/kernel/kernel.gz", NULL},
     "FreeBSD"},
    {GUEST_OPENBSD, {"/bsd", "/etc/installurl"}, {"/bsd", "/bsd.mp", NULL}, "OpenBSD"},
    {GUEST_NETBSD, {"/netbsd", "/etc/rc.conf"}, {"/netbsd", "/netbsd.gz", NULL}, "NetBSD"},
    {GUEST_SOLARIS,
     {"/platform/i86pc/kernel", "/etc/release"},
     {"/platform/i86pc/kernel/amd64/unix", "/platform/i86pc/kernel/unix", NULL},
     "Solaris"},
};

static void unix_devices(const struct fstree *t, struct inspect_system *s)
{
    char *text, *at, *line;
    size_t n;

    if (fstree_load(t, "/etc/fstab", TEXT_MAX, &text, &n) < 0 &&
        fstree_load(t, "/etc/vfstab", TEXT_MAX, &text, &n) < 0)
        return;
    for (at = text; (line = text_line(&at)) != NULL;) {
        char *rest = line, *dev = text_word(&rest), *on = text_word(&rest);

        if (!dev || !on || strncmp(dev, "/dev/", 5) != 0)
            continue;
        /* /dev/gpt/x and /dev/ufs/x are labels */
        if (!strchr(dev + 5, '/') || strncmp(dev, "/dev/dsk/", 9) == 0)
            text_add(s->fstab_names, sizeof(s->fstab_names), dev);
        if (strcmp(on, "/") == 0)
            text_copy(s->root_arg, sizeof(s->root_arg), dev);
    }
    free(text);
}

/* Solaris' drivers are files. */
static int solaris_driver(void *arg, const char *name, const struct fs_node *n)
{
    struct inspect_system *s = arg;

    s->boot |= driver_by_name(GUEST_SOLARIS, name, strlen(name));
    return 0;
}

static void solaris_look(const struct fstree *t, struct inspect_system *s)
{
    char *text, *at, *line;
    size_t n;

    (void)!fstree_list(t, "/kernel/drv/amd64", solaris_driver, s);
    (void)!fstree_list(t, "/kernel/drv", solaris_driver, s);
    if (fstree_load(t, "/etc/release", TEXT_MAX, &text, &n) < 0)
        return;
    at = text;
    line = text_line(&at);
    if (line)
        text_copy(s->name, sizeof(s->name), line);
    free(text);
}

bool look_unix(struct look *l, size_t place, const char *where)
{
    struct fstree t;

    fstree_init(&t, &l->place[place].fs, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(systems); i++) {
        struct words w = {.family = systems[i].family};
        struct inspect_system *s;

        if (!fstree_has(&t, systems[i].marks[0]) || !fstree_has(&t, systems[i].marks[1]))
            continue;
        s = look_system(l, systems[i].family, where);
        if (!s)
            return false;
        text_copy(s->name, sizeof(s->name), systems[i].name);
        text_copy(s->id, sizeof(s->id), family_names[systems[i].family]);
        if (systems[i].family == GUEST_FREEBSD) {
            freebsd_version(&t, s);
            freebsd_loader(&t, s);
        }
        if (systems[i].family == GUEST_SOLARIS)
            solaris_look(&t, s);
        unix_devices(&t, s);
        for (unsigned k = 0; systems[i].kernels[k] && !s->boot_known; k++) {
            s->boot_known = kernel_words(l, &t, systems[i].kernels[k], &w);
            elf_arch(&t, systems[i].kernels[k], s);
        }
        s->boot |= w.found;
        s->installed = s->boot;
        return true;
    }
    return false;
}
