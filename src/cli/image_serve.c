/* SPDX-License-Identifier: Apache-2.0 */
/* image_serve.c - `hospes image serve`: a disk for other programs, until a signal ends it. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/image.h"
#include "storage/serve/nbd.h"

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

static int serve_nbd(const struct image_args *a, struct disk *d, const char *path, int stop,
                     struct err *e)
{
    const char *slash = strrchr(path, '/');
    struct nbd_cfg c = {.disk = d, .name = slash ? slash + 1 : path, .about = d->format->about};
    struct nbd *n;
    int rc = nbd_create(&c, a->nbd, &n, e);

    if (rc < 0)
        return rc;
    announce(a, d, path, nbd_uri(n));
    rc = nbd_run(n, stop, e);
    nbd_destroy(n);
    return rc;
}

static int serve(const struct image_args *a, const char *path, struct err *e)
{
    struct disk *d;
    int stop = end_signals(e), rc, flushed;

    if (stop < 0)
        return stop;
    rc = image_open(a, path, !a->write, &d, e);
    if (rc == 0) {
        rc = serve_nbd(a, d, path, stop, e);
        flushed = a->write ? disk_flush(d) : 0;
        if (rc == 0 && flushed < 0)
            rc = err_set(e, -flushed, "cannot write '%s': %s", path, strerror(-flushed));
        disk_close(d);
    }
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
    if (rc == 0 && !a.nbd)
        rc = err_exit(&e, EX_USAGE_, EINVAL,
                      "image serve wants --nbd unix=PATH or --nbd tcp=ADDRESS:PORT");
    if (rc == 0)
        rc = serve(&a, argv[1], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option serve_options[] = {
    IMAGE_FORMAT,
    {"nbd", "WHERE", "serve NBD at unix=PATH or tcp=ADDRESS:PORT", image_set_nbd},
    {"write", NULL, "let clients write to the image", image_set_write},
    {"l", "SNAPSHOT", "the content of an internal snapshot", image_set_internal},
    IMAGE_OUTSIDE,
    IMAGE_NO_LOCK,
    IMAGE_QUIET,
    {NULL},
};

const struct cli_command image_serve = {
    .name = "image serve",
    .args = "[OPTION...] --nbd unix=PATH|tcp=ADDRESS:PORT IMG",
    .about = "Serves the disk in an image to other programs.",
    .more =
        "Runs until SIGINT or SIGTERM. Whoever can connect can read the disk, and with --write\n"
        "change it: a unix socket is the user's own, a TCP port is everybody's.",
    .options = serve_options,
    .run = serve_main,
};
