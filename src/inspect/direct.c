/* SPDX-License-Identifier: Apache-2.0 */
/* direct.c - a kernel and an initrd that are files of this machine: `hospes run --kernel`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi/bytes.h"
#include "core/err.h"
#include "core/file.h"
#include "inspect/look.h"

enum { HEAD = 1024, UNPACKED_MAX = 1 << 30 };

static ssize_t file_bytes(void *arg, uint64_t off, void *buf, size_t len)
{
    return file_read(*(int *)arg, buf, len, off);
}

static int open_file(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
    return fd;
}

static void kernel_of(int fd, struct inspect_kernel *k)
{
    char head[HEAD], text[81] = "";

    if (file_read(fd, head, sizeof(head), 0) != sizeof(head) ||
        memcmp(head + 0x202, "HdrS", 4) != 0)
        return;
    if (le16_at(head + 0x20e) == 0 ||
        file_read(fd, text, sizeof(text) - 1, le16_at(head + 0x20e) + 0x200u) <= 0)
        return;
    text[strcspn(text, " ")] = '\0';
    text_copy(k->version, sizeof(k->version), text);
}

int look_direct(const struct inspect_cfg *c, struct inspect *out, struct err *e)
{
    struct inspect_system *s;
    struct inspect_kernel *k;
    uint64_t unpacked = UNPACKED_MAX;
    struct initramfs r;
    int fd = open_file(c->kernel, e);

    if (fd < 0)
        return fd;
    /* The kernel that is given starts, whatever else the disk has. */
    memset(out->system, 0, sizeof(out->system));
    out->systems = 1;
    s = &out->system[0];
    s->family = GUEST_LINUX;
    s->kernels = 1;
    s->boot_known = true;
    text_copy(s->root, sizeof(s->root), "--kernel and --initrd");
    text_copy(s->name, sizeof(s->name), "a Linux kernel");
    k = &s->kernel[0];
    k->first = k->found = k->listed = true;
    text_copy(k->path, sizeof(k->path), c->kernel);
    kernel_of(fd, k);
    close(fd);
    if (!c->initrd)
        return 0;
    text_copy(k->initrd, sizeof(k->initrd), c->initrd);
    fd = open_file(c->initrd, e);
    if (fd < 0)
        return fd;
    snprintf(out->stage, sizeof(out->stage), "the initrd");
    look_initramfs(file_bytes, &fd, &unpacked, &r);
    close(fd);
    k->initramfs = r.drivers;
    k->builtin = r.builtin;
    k->builtin_known = r.builtin_known;
    text_copy(k->tool, sizeof(k->tool), r.tool);
    text_copy(k->packed, sizeof(k->packed), r.packed);
    text_copy(k->why, sizeof(k->why), r.why);
    out->stage[0] = '\0';
    return 0;
}
