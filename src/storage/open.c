/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open.c - from a path to a disk: host file, lock, format, scratch overlay.
 *
 * A format that the user names wins. Otherwise the file is probed, once in its life: a guest that
 * owns a raw disk can write any format's header into it, so a file that was found to be raw and is
 * opened for writing is marked (user.hospes.format) and stays raw.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "core/err.h"
#include "storage/file.h"
#include "storage/filter/filter.h"
#include "storage/format/format.h"
#include "storage/member.h"

enum { PROBE_HEAD = 2048, PROBE_TAIL = 1024 };
static const char format_mark[] = "user.hospes.format";
static const char made_mark[] = "user.hospes.made";

const struct format_ops *format_by_name(const char *name)
{
    if (!strcmp(name, "vpc")) /* as QEMU calls it */
        name = "vhd";
    for (size_t i = 0; formats[i]; i++) {
        if (!strcmp(formats[i]->name, name))
            return formats[i];
    }
    return NULL;
}

static bool marked_raw(const struct disk *file)
{
    char name[8] = "";
    int fd = file_fd(file);

    return fd >= 0 && fgetxattr(fd, format_mark, name, sizeof(name) - 1) == 3 &&
           !strcmp(name, "raw");
}

/* What is known by its bytes and cannot be read as a disk: what it is, and what to do; what is NULL
 * for anything else. A guest that got such a file as a raw disk would find nonsense, and might
 * format it. */
struct foreign {
    const char *magic, *what, *advice;
};

/* The entry of a table that the bytes begin with, NULL: none. */
static const struct foreign *foreign_in(const struct foreign *table, size_t entries,
                                        const uint8_t *head, size_t n)
{
    for (size_t i = 0; i < entries; i++) {
        size_t len = strlen(table[i].magic);

        if (n >= len && memcmp(head, table[i].magic, len) == 0)
            return &table[i];
    }
    return NULL;
}

static struct foreign foreign(const uint8_t *head, size_t n, const uint8_t *tail, size_t tn,
                              uint64_t size)
{
    static const char to_qcow2[] = "convert it to qcow2 first", unpack[] = "unpack it first";
    static const struct foreign images[] = {
        {"Bochs Virtual HD Image", "a Bochs image", to_qcow2},
        {"#!/bin/sh\n#V2.0 Format", "a cloop image", to_qcow2},
        {"EVF\x09\x0d\x0a\xff", "an EnCase image", to_qcow2},
    };
    static const struct foreign packed[] = {
        {"\x1f\x8b\x08", "packed with gzip", unpack},
        {"\xfd\x37zXZ", "packed with xz", unpack},
        {"BZh", "packed with bzip2", unpack},
        {"\x28\xb5\x2f\xfd", "packed with zstd", unpack},
        {"PK\x03\x04", "a zip archive", unpack},
        {"7z\xbc\xaf\x27\x1c", "a 7z archive", unpack},
        {"\177ELF", "a program or kernel (ELF)", "start a kernel with --kernel"},
    };
    const struct foreign *found;

    found = foreign_in(images, ARRAY_SIZE(images), head, n);
    /* A disk whose guest wrote such a file onto it has whole sectors, which they seldom have. */
    if (!found && size % DISK_SECTOR)
        found = foreign_in(packed, ARRAY_SIZE(packed), head, n);
    if (found)
        return *found;
    if (tn >= DISK_SECTOR && !memcmp(tail + tn - DISK_SECTOR, "koly", 4))
        return (struct foreign){NULL, "a DMG image", to_qcow2};
    if (n >= 5 && !memcmp(head, "<?xml", 5) && memmem(head, n, "<Parallels_disk_image", 21))
        return (struct foreign){NULL, "the description of a Parallels disk",
                                "name the .hds file beside it instead"};
    return (struct foreign){0};
}

static int probe(struct disk *file, const char *path, const struct format_ops **out, struct err *e)
{
    uint8_t head[PROBE_HEAD], tail[PROBE_TAIL];
    uint64_t size = disk_bytes(file);
    size_t n = min_u64(size, sizeof(head)), tn = min_u64(size, sizeof(tail));
    struct foreign x;
    int best = 0, rc;

    rc = disk_read(file, 0, head, n);
    if (rc == 0)
        rc = disk_read(file, size - tn, tail, tn);
    if (rc < 0)
        return err_set(e, -rc, "cannot read disk image '%s': %s", path, strerror(-rc));
    for (size_t i = 0; formats[i]; i++) {
        int sure = formats[i]->probe(head, n, tail, tn, size);

        if (sure > best) {
            best = sure;
            *out = formats[i];
        }
    }
    x = foreign(head, n, tail, tn, size);
    if (*out != format_by_name("raw") || !x.what)
        return 0;
    return err_exit(
        e, EX_BAD_INPUT, EINVAL,
        "'%s' is %s, which this version cannot read; %s (or say format=raw if it really "
        "is a raw disk)",
        path, x.what, x.advice);
}

int format_choose(struct disk *file, const struct disk_cfg *c, const struct format_ops **out,
                  struct err *e)
{
    const struct format_ops *raw = format_by_name("raw");
    int rc;

    if (c->format) {
        *out = format_by_name(c->format);
        if (*out)
            return 0;
        return err_exit(e, EX_USAGE_, EINVAL,
                        "'%s' is no disk image format; 'hospes help image' lists them", c->format);
    }
    *out = raw;
    if (marked_raw(file))
        return 0;
    rc = probe(file, c->path, out, e);
    if (rc == 0 && *out == raw && !file->shape.readonly && file_fd(file) >= 0)
        (void)!fsetxattr(file_fd(file), format_mark, "raw", 3, 0);
    return rc;
}

static int empty(const struct disk_cfg *c, struct err *e)
{
    return err_set(e, EINVAL,
                   "disk image '%s' is empty; make one with 'hospes image create', or check that "
                   "it was copied whole",
                   c->path);
}

int disk_open_file(struct disk *file, const struct disk_cfg *c, struct loop *l, struct disk **out,
                   struct err *e)
{
    const struct format_ops *f;
    struct disk *d = file;
    int rc = disk_bytes(file) == 0 ? empty(c, e) : format_choose(file, c, &f, e);

    if (rc == 0)
        rc = f->open(file, c, l, &d, e);
    if (rc == 0) {
        d->format = f;
        d->path = strdup(c->path);
        if (c->snapshot)
            rc = overlay_create(d, c->scratch_dir, l, out, e);
        else
            *out = d;
    }
    if (rc == 0)
        (*out)->kind = f->name;
    else
        disk_close(d);
    return rc;
}

/* --- members of archives --- */

void disk_names_free(struct disk_names *names)
{
    free(names->file);
    free(names->member);
    free(names->shown);
    *names = (struct disk_names){0};
}

/* Is c->path a file, or does it name a member of one? */
static int split(const struct disk_cfg *c, struct disk_names *names)
{
    size_t n = c->member ? strlen(c->path) : member_split(c->path);
    const char *member = c->member ? c->member : n ? c->path + n + 1 : NULL;

    names->file = n ? strndup(c->path, n) : strdup(c->path);
    names->member = member ? strdup(member) : NULL;
    return names->file && (!member || names->member) ? 0 : -ENOMEM;
}

/* What messages and facts call the image. */
static int show(struct disk_names *names)
{
    const char *member = names->member ? names->member : "";
    size_t room = strlen(names->file) + strlen(member) + 2;

    names->shown = malloc(room);
    if (!names->shown)
        return -ENOMEM;
    snprintf(names->shown, room, "%s%s%s", names->file, *member ? ":" : "", member);
    return 0;
}

/* file, an open archive, becomes its member. An archive of blocks is a format of its own, which
 * finds its member itself. */
static int enter(struct disk **file, const struct disk_cfg *c, struct loop *l,
                 struct disk_names *names, struct err *e)
{
    char *found = NULL;
    int rc;

    if (!names->member && (c->format || marked_raw(*file) || !archive_begins(*file, ".ovf")))
        return 0;
    if (!c->readonly && !c->snapshot)
        return err_set(e, EINVAL,
                       "'%s' lies in an archive and can only be read; copy it with 'hospes image "
                       "convert', or open it as a snapshot",
                       c->path);
    if (names->member && archive_begins(*file, "ova.xml"))
        return 0;
    rc = member_open(*file, names->file, names->member, l, file, &found, e);
    if (rc < 0)
        return rc;
    free(names->member);
    names->member = found;
    return 0;
}

int disk_open_host(const struct disk_cfg *c, struct loop *l, struct disk **out,
                   struct disk_cfg *inner, struct disk_names *names, struct err *e)
{
    struct file_cfg fc = {
        .readonly = c->readonly || c->snapshot,
        .no_lock = c->no_lock,
        .threads = c->threads,
        .no_sync = c->no_sync,
        .filling = c->filling,
    };
    int rc;

    *names = (struct disk_names){0};
    if (split(c, names) < 0)
        return err_set(e, ENOMEM, "no memory to open '%s'", c->path);
    fc.path = names->file;
    fc.readonly = fc.readonly || names->member;
    rc = file_open(&fc, l, out, e);
    if (rc < 0)
        return rc;
    rc = enter(out, c, l, names, e);
    if (rc == 0 && show(names) < 0)
        rc = err_set(e, ENOMEM, "no memory to open '%s'", c->path);
    if (rc < 0)
        disk_close(*out);
    *inner = *c;
    inner->path = names->shown;
    inner->member = names->member;
    return rc;
}

int disk_open(const struct disk_cfg *c, struct loop *l, struct disk **out, struct err *e)
{
    struct disk_names names;
    struct disk_cfg inner;
    struct disk *file;
    int rc = disk_open_host(c, l, &file, &inner, &names, e);

    if (rc == 0)
        rc = disk_open_file(file, &inner, l, out, e);
    disk_names_free(&names);
    return rc;
}

bool disk_made_by_hospes(const char *path)
{
    char c;

    return getxattr(path, made_mark, &c, 1) == 1;
}

void disk_mark_made(const char *path)
{
    (void)!setxattr(path, made_mark, "1", 1, 0);
}
