/* SPDX-License-Identifier: Apache-2.0 */
/* image_serve.c - `hospes image serve`: a disk for other programs, until a signal ends it. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/image.h"
#include "core/cfg.h"
#include "core/path.h"
#include "storage/serve/fuse.h"
#include "storage/serve/nbd.h"
#include "storage/serve/view.h"

/* A descriptor that can be read once the user, or the system, wants an end. */
static int end_signals(struct err *e)
{
    sigset_t ends;
    int fd;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    fd = signalfd(-1, &ends, SFD_CLOEXEC);
    return fd < 0 ? err_set(e, errno, "cannot wait for signals: %s", strerror(errno)) : fd;
}

static void announce(const struct image_args *a, const struct disk *d, const char *path,
                     const char *where)
{
    if (!a->quiet)
        fprintf(stderr, "hospes: serving %s (%s, %llu bytes%s) at %s\n", path, d->format->name,
                (unsigned long long)d->shape.bytes, d->shape.readonly ? ", read-only" : "", where);
}

static int serve_nbd(const struct image_args *a, struct disk *d, const char *path, const char *name,
                     int stop, struct err *e)
{
    struct nbd_cfg c = {.disk = d, .name = name, .about = d->format->about};
    struct nbd *n;
    int rc = nbd_create(&c, a->nbd, &n, e);

    if (rc < 0)
        return rc;
    announce(a, d, path, nbd_uri(n));
    rc = nbd_run(n, stop, e);
    nbd_destroy(n);
    return rc;
}

static int serve_fuse(const struct image_args *a, struct disk *d, const char *path,
                      const char *name, int stop, struct err *e)
{
    struct mount_cfg c = {.disk = d, .name = name, .dir = a->fuse};
    struct mount *m;
    char where[512];
    int rc = mount_create(&c, &m, e);

    if (rc < 0)
        return rc;
    snprintf(where, sizeof(where), "%s/%s", a->fuse, name);
    announce(a, d, path, where);
    rc = mount_run(m, stop, e);
    mount_destroy(m);
    return rc;
}

/* The disk becomes an image file of another format; *d is closed when that fails. */
static int look_like(const struct image_args *a, const char *name, struct disk **d, struct err *e)
{
    struct view_cfg c = {
        .src = *d, .format = format_by_name(a->as), .name = name, .write = a->write};
    int rc = 0;

    if (!c.format)
        rc = err_exit(e, EX_USAGE_, EINVAL, "'%s' is no image format; see hospes image --help",
                      a->as);
    if (rc == 0 && strcmp(c.format->name, "raw") == 0)
        return 0;
    if (rc == 0)
        rc = cfg_create(&c.opts, e);
    if (rc == 0 && a->options)
        rc = cfg_parse(c.opts, a->options, NULL, e);
    if (rc == 0)
        rc = view_create(&c, d, e);
    cfg_destroy(c.opts);
    if (rc < 0)
        disk_close(*d);
    return rc;
}

/* What clients see the disk as: the image's own name, or that with another suffix. */
static char *served_name(const struct image_args *a, const char *path)
{
    const char *base = path_last(path);
    const char *suffix = "raw";
    size_t n = (size_t)(path_suffix(base) - base);
    const struct format_ops *f = a->as ? format_by_name(a->as) : NULL;
    char *name = NULL;

    if (!a->as && !a->fuse)
        return strdup(base);
    if (f && f->suffixes && strcmp(f->name, "raw") != 0)
        suffix = f->suffixes + 1;
    return asprintf(&name, "%.*s.%.*s", (int)n, base, (int)strcspn(suffix, " "), suffix) < 0 ? NULL
                                                                                             : name;
}

static int serve_disk(const struct image_args *a, const char *path, int stop, struct err *e)
{
    char *name = served_name(a, path);
    struct disk *d = NULL;
    int rc =
            name ? image_open(a, path, !a->write, &d, e) : err_set(e, ENOMEM, "no memory to serve"),
        flushed;

    if (rc == 0 && a->as)
        rc = look_like(a, name, &d, e);
    if (rc == 0) {
        rc = a->fuse ? serve_fuse(a, d, path, name, stop, e) : serve_nbd(a, d, path, name, stop, e);
        flushed = a->write ? disk_flush(d) : 0;
        if (rc == 0 && flushed < 0)
            rc = err_set(e, -flushed, "cannot write '%s': %s", path, strerror(-flushed));
        disk_close(d);
    }
    free(name);
    return rc;
}

static int serve(const struct image_args *a, const char *path, struct err *e)
{
    int stop = end_signals(e), rc;

    if (stop < 0)
        return stop;
    rc = serve_disk(a, path, stop, e);
    close(stop);
    return rc;
}

static int serve_main(int argc, char **argv)
{
    struct image_args a = {0};
    struct err e;
    int rc = image_parse(&image_serve, argc, argv, &a, 1, 1, &e);

    if (rc > 0)
        return EX_OK;
    if (rc == 0 && !a.nbd == !a.fuse)
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "image serve wants --nbd unix=PATH, --nbd tcp=ADDRESS:PORT or --fuse DIR");
    if (rc == 0)
        rc = serve(&a, argv[1], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option serve_options[] = {
    IMAGE_FORMAT,
    {"nbd", "WHERE", "serve NBD at unix=PATH or tcp=ADDRESS:PORT", image_set_nbd},
    {"fuse", "DIR", "show the disk as a file in this empty folder", image_set_fuse},
    {"as", "FORMAT", "serve an image file of this format, made up while it is read", image_set_as},
    {"o", "K=V,..", "options of that format", image_set_options},
    {"write", NULL, "let clients write to the image", image_set_write},
    {"l", "SNAPSHOT", "the content of an internal snapshot", image_set_internal},
    IMAGE_OUTSIDE,
    IMAGE_NO_LOCK,
    IMAGE_QUIET,
    {NULL},
};

const struct cli_command image_serve = {
    .name = "image serve",
    .args = "[OPTION...] --nbd unix=PATH|tcp=ADDRESS:PORT | --fuse DIR  IMG",
    .about = "Serves the disk in an image to other programs.",
    .more =
        "Runs until SIGINT or SIGTERM. Whoever can connect can read the disk, and with --write\n"
        "change it: a unix socket is the user's own, a TCP port is everybody's.",
    .options = serve_options,
    .run = serve_main,
};
