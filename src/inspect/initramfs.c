/* SPDX-License-Identifier: Apache-2.0 */
/*
 * initramfs.c - which drivers an initial RAM disk of Linux can load, and what made it.
 *
 * Modules are known by the names of their files. That a module lies there is what counts: udev or
 * the init script loads it when the device is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/path.h"
#include "inspect/cpio.h"
#include "inspect/look.h"

enum { LIST_MAX = 512 << 10, PART_MAX_BYTES = 512 << 20 };

static bool ends_in_module(const char *name)
{
    const char *dot = strstr(name, ".ko");

    return dot && (dot[3] == '\0' || dot[3] == '.');
}

uint64_t look_module_list(const char *text)
{
    uint64_t set = 0;

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t n = strcspn(line, "\n:"); /* modules.dep: what the module needs follows */
        const char *base = memrchr(line, '/', n);

        base = base ? base + 1 : line;
        set |= driver_by_name(GUEST_LINUX, base, n - (size_t)(base - line));
    }
    return set;
}

/* ".../lib/modules/VERSION/..." */
static void version_of(const char *name, char *out, size_t room)
{
    const char *at = strstr(name, "lib/modules/");
    size_t n;

    if (!at || out[0])
        return;
    at += strlen("lib/modules/");
    n = strcspn(at, "/");
    if (at[n] == '/')
        snprintf(out, room, "%.*s", (int)n, at);
}

static void tool_of(const char *name, char *out, size_t room)
{
    static const struct {
        const char *part, *tool;
    } known[] = {
        {"scripts/init-top", "initramfs-tools"}, {"lib/dracut/", "dracut"},
        {"usr/lib/initcpio", "mkinitcpio"},      {"hooks/udev", "mkinitcpio"},
        {"etc/tinyramfs", "tinyramfs"},          {"etc/booster.init.yaml", "booster"},
        {"init-functions-mkinitfs", "mkinitfs"}, {"config/initrd.sh", "mkinitrd (SUSE)"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(known) && !out[0]; i++) {
        if (strstr(name, known[i].part))
            snprintf(out, room, "%s", known[i].tool);
    }
}

static int load_list(struct cpio_in *c, const struct cpio_entry *e, uint64_t *set)
{
    size_t n = (size_t)min_u64(e->size, LIST_MAX);
    char *text = malloc(n + 1);
    ssize_t got;

    if (!text)
        return -ENOMEM;
    got = cpio_contents(c, text, n);
    if (got >= 0) {
        text[got] = '\0';
        *set |= look_module_list(text);
    }
    free(text);
    return got < 0 ? (int)got : 0;
}

static int see(void *arg, struct cpio_in *c, const struct cpio_entry *e)
{
    struct initramfs *r = arg;
    const char *base = path_last(e->name);

    version_of(e->name, r->version, sizeof(r->version));
    tool_of(e->name, r->tool, sizeof(r->tool));
    if ((e->mode & 0170000) == 0040000)
        return 0;
    if (ends_in_module(base)) {
        r->modules++;
        r->drivers |= driver_by_name(GUEST_LINUX, base, strlen(base));
    } else if (strcmp(base, "modules.builtin") == 0) {
        r->builtin_known = true;
        return load_list(c, e, &r->builtin);
    }
    return 0;
}

void look_initramfs(look_source_fn *from, void *arg, uint64_t *unpacked, struct initramfs *out)
{
    struct cpio_in c = {.from = from, .arg = arg, .bytes = min_u64(*unpacked, PART_MAX_BYTES)};
    uint64_t was = c.bytes;
    int rc;

    *out = (struct initramfs){.modules = 0};
    rc = cpio_read_all(&c, see, out);
    *unpacked -= was - c.bytes;
    if (c.bomb) /* whoever makes one makes more */
        *unpacked = 0;
    snprintf(out->packed, sizeof(out->packed), "%s", unpack_name(c.kind));
    if (c.bomb)
        snprintf(out->why, sizeof(out->why), "it unpacks to far more than initrds do");
    else if (c.cut)
        snprintf(out->why, sizeof(out->why), "it is too large to be read to its end");
    else if (rc == -EINVAL)
        snprintf(out->why, sizeof(out->why), "it is no cpio archive in a packing that is known");
    else if (rc == -ENOMEM)
        snprintf(out->why, sizeof(out->why), "unpacking it needs more memory than is allowed");
    else if (rc < 0)
        snprintf(out->why, sizeof(out->why), "it is damaged or cut short");
}
