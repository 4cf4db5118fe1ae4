/* SPDX-License-Identifier: Apache-2.0 */
/* image_convert.c - `hospes image` convert and compare. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/image.h"
#include "core/cfg.h"
#include "storage/file.h"

/* What a hypervisor or cloud really takes. */
struct target {
    const char *name, *format, *options;
    uint64_t align, least, most; /* of the size; bytes */
    bool sectors_512;            /* its disks have no other ones */
    const char *why;
};
static const struct target targets[] = {
    {"azure", "vhd", "subformat=fixed", MiB, MiB, UINT64_C(4095) * GiB, true,
     "Azure takes fixed VHD images of whole MiB up to 4095 GiB"},
    {"hyperv", "vhdx", "subformat=dynamic", MiB, 3 * MiB, UINT64_C(64) * 1024 * GiB, false,
     "Hyper-V takes dynamic VHDX images of 3 MiB to 64 TiB"},
    {"esxi", "vmdk", "subformat=streamOptimized", MiB, MiB, UINT64_C(62) * 1024 * GiB, true,
     "ESXi takes stream-optimized VMDK images up to 62 TiB"},
    {"xen", "vhd", "subformat=dynamic,block_size=2M", 2 * MiB, 2 * MiB, UINT64_C(2040) * GiB, true,
     "XenServer takes dynamic VHD images of 2 MiB blocks up to 2040 GiB"},
    {"kvm", "qcow2", "", DISK_SECTOR, DISK_SECTOR, UINT64_MAX, false, "QEMU takes qcow2 images"},
};

static const struct target *find_target(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        if (!strcmp(targets[i].name, name))
            return &targets[i];
    }
    return NULL;
}

/* The user's options, then the target's: they must not contradict. */
static int target_options(const struct target *t, struct cfg *opts, struct err *e)
{
    const char *key, *value;
    struct cfg *want;
    int rc = cfg_create(&want, e);

    if (rc == 0 && *t->options)
        rc = cfg_parse(want, t->options, NULL, e);
    for (size_t i = 0; rc == 0 && cfg_at(want, i, &key, &value); i++) {
        const char *given = cfg_get(opts, key);

        if (!given)
            rc = cfg_set(opts, key, value, e);
        else if (strcmp(given, value) != 0)
            rc = err_exit(e, EX_USAGE_, EINVAL, "%s, so %s=%s cannot be; leave it out", t->why, key,
                          given);
    }
    cfg_destroy(want);
    return rc;
}

/* Does the target take this disk? Rounds the size up to one that it takes. */
static int fit_target(const struct image_args *a, const struct target *t, const struct disk *src,
                      struct image_make *k, struct err *e)
{
    uint64_t bytes = max_u64(align_up(k->bytes, t->align), t->least);

    if (a->out_format && format_by_name(a->out_format) != format_by_name(t->format))
        return err_exit(e, EX_USAGE_, EINVAL, "%s, not %s; leave -O out", t->why, a->out_format);
    if (t->sectors_512 && src->shape.logical > DISK_SECTOR)
        return err_exit(
            e, EX_BAD_INPUT, EINVAL,
            "this disk has sectors of %u bytes and %s has disks of 512-byte sectors alone, "
            "where its partition table would mean other places",
            src->shape.logical, t->name);
    if (bytes > t->most)
        return err_exit(e, EX_BAD_INPUT, EFBIG, "%s, and this disk has %llu bytes", t->why,
                        (unsigned long long)k->bytes);
    if (bytes != k->bytes && !a->quiet)
        fprintf(stderr, "hospes: the disk grows from %llu to %llu bytes: %s\n",
                (unsigned long long)k->bytes, (unsigned long long)bytes, t->why);
    k->bytes = bytes;
    return target_options(t, k->opts, e);
}

/* Reads -O, --to and -o into what is to be made. */
static int plan(const struct image_args *a, const struct disk *src, struct image_make *k,
                const struct format_ops **f, struct err *e)
{
    const struct target *t = a->target ? find_target(a->target) : NULL;
    int rc = 0;

    if (a->target && !t)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "'%s' is no target; azure, hyperv, esxi, xen and kvm are", a->target);
    *f = format_by_name(t ? t->format : a->out_format ? a->out_format : "raw");
    if (!*f)
        return err_exit(e, EX_USAGE_, EINVAL, "'%s' is no image format; see hospes image --help",
                        t ? t->format : a->out_format);
    if (a->options)
        rc = cfg_parse(k->opts, a->options, NULL, e);
    return rc == 0 && t ? fit_target(a, t, src, k, e) : rc;
}

/* --- what is not whole yet --- */

/* Files to be removed if anything fails, or a signal ends us. */
static char **parts;
static size_t part_count;

static void drop_parts(void)
{
    for (size_t i = 0; i < part_count; i++)
        file_discard(parts[i]);
}

static void forget_parts(void)
{
    for (size_t i = 0; i < part_count; i++)
        free(parts[i]);
    free(parts);
    parts = NULL;
    part_count = 0;
}

/* image_make.made */
static int add_part(void *arg, const char *path, struct err *e)
{
    char **v = reallocarray(parts, part_count + 1, sizeof(*v)), *copy = strdup(path);

    (void)arg;
    if (v)
        parts = v;
    if (!v || !copy) {
        free(copy);
        return err_set(e, ENOMEM, "no memory to convert");
    }
    parts[part_count++] = copy;
    return 0;
}

static const int ends[] = {SIGINT, SIGTERM, SIGHUP};

static void on_signal(int sig)
{
    drop_parts();
    (void)signal(sig, SIG_DFL);
    (void)raise(sig);
}

static void watch_signals(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        struct sigaction sa = {.sa_handler = on_signal};

        sigaction(ends[i], &sa, NULL);
    }
}

static void hold_signals(bool hold)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        sigaddset(&set, ends[i]);
    pthread_sigmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

/* --- filling and reading back --- */

static int fill(const struct image_args *a, struct disk *src, const struct format_ops *f,
                const char *out, struct err *e)
{
    struct disk_cfg c = {.path = out, .format = f->name, .no_sync = true, .filling = true};
    struct copy_cfg cc = {.compress = a->compress, .level = a->level};
    struct disk *dst;
    int rc = disk_open(&c, NULL, &dst, e);

    if (rc < 0)
        return rc;
    cc.progress = image_progress(a, "convert");
    cc.compress = cc.compress || dst->pack_only;
    cc.blank = file_device_bytes(dst) == 0;
    rc = image_copy(src, dst, &cc, e);
    if (rc == 0) {
        rc = disk_flush(dst);
        if (rc < 0)
            rc = err_set(e, -rc, "cannot write '%s': %s", out, strerror(-rc));
    }
    disk_close(dst);
    image_progress_end(a);
    return rc;
}

/* Reads the new image again, as its users will. */
static int verify(const struct image_args *a, struct disk *src, const struct format_ops *f,
                  const char *out, struct err *e)
{
    struct disk_cfg c = {.path = out, .format = f->name, .readonly = true};
    struct progress p = image_progress(a, "verify");
    uint64_t at;
    struct disk *dst;
    int rc = disk_open(&c, NULL, &dst, e);

    if (rc == 0) {
        rc = image_compare(src, dst, &p, &at, e);
        if (rc == 0 && at != UINT64_MAX)
            rc = err_exit(
                e, EX_HOST_IO, EIO,
                "what was written to '%s' reads differently at byte %llu; check the disk that "
                "holds it, and its memory",
                out, (unsigned long long)at);
        disk_close(dst);
    }
    image_progress_end(a);
    return rc;
}

/* --- a new file takes the place of an old one when it is whole --- */

/* Some VMDK images have their data in files named after the descriptor: made in place. */
static bool in_several_files(const struct format_ops *f, struct cfg *opts)
{
    const char *sub = cfg_get(opts, "subformat");

    return !strcmp(f->name, "vmdk") && sub && strcasecmp(sub, "monolithicSparse") != 0 &&
           strcasecmp(sub, "streamOptimized") != 0;
}

/* May out be replaced? Nobody must use it; the lock is held until *old is closed. *in_place: it is
 * a device, say, and is written to as it is. */
static int claim(const char *out, bool *in_place, struct disk **old, struct err *e)
{
    struct file_cfg fc = {.path = out};
    struct stat st;

    *old = NULL;
    if (stat(out, &st) < 0)
        return 0;
    if (!S_ISREG(st.st_mode)) {
        *in_place = true;
        return 0;
    }
    return file_open(&fc, NULL, old, e);
}

/* The new image, empty, with all its files among the parts. */
static int begin(const struct format_ops *f, const struct image_make *k, const char *at,
                 struct err *e)
{
    int rc;

    hold_signals(true); /* until every file is known */
    watch_signals();
    rc = image_create(f, k, true, e);
    if (rc == 0)
        rc = add_part(NULL, at, e);
    hold_signals(false);
    return rc;
}

static int make(const struct image_args *a, struct disk *src, const struct format_ops *f,
                const struct image_make *k, struct err *e)
{
    const char *at = k->file ? k->file : k->path;
    int rc = begin(f, k, at, e);

    if (rc == 0)
        rc = fill(a, src, f, at, e);
    if (rc == 0 && (a->verify || a->target))
        rc = verify(a, src, f, at, e);
    if (rc == 0 && k->file && rename(k->file, k->path) < 0)
        rc = err_set(e, errno, "cannot rename '%s' to '%s': %s", k->file, k->path, strerror(errno));
    hold_signals(true);
    if (rc < 0)
        drop_parts();
    forget_parts();
    hold_signals(false);
    return rc;
}

static int write_out(const struct image_args *a, struct disk *src, const struct format_ops *f,
                     struct image_make *k, struct err *e)
{
    bool in_place = in_several_files(f, k->opts);
    struct disk *old;
    char *part = NULL;
    int rc = claim(k->path, &in_place, &old, e);

    if (rc == 0 && in_place) {
        disk_close(old);
        return make(a, src, f, k, e);
    }
    if (rc == 0 && asprintf(&part, "%s.part", k->path) < 0) {
        part = NULL;
        rc = err_set(e, ENOMEM, "no memory to convert");
    }
    if (rc == 0) {
        k->file = part;
        rc = make(a, src, f, k, e);
    }
    disk_close(old);
    free(part);
    return rc;
}

/* --- to standard output --- */

static bool is_stdout(const char *out)
{
    return !strcmp(out, "-");
}

/* A pipe takes what is written in order and never again. */
static int pour(const struct image_args *a, const char *in, struct err *e)
{
    struct progress p;
    struct disk *src;
    int rc;

    if (a->target || a->options || a->compress || a->level ||
        (a->out_format && strcmp(a->out_format, "raw") != 0))
        return err_exit(e, EX_USAGE_, EINVAL,
                        "only a raw disk can be written to standard output; give -O raw alone, or "
                        "the name of a file (./- is one)");
    if (a->verify)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "what went to standard output cannot be read again; leave --verify out");
    if (isatty(STDOUT_FILENO))
        return err_exit(
            e, EX_USAGE_, EINVAL,
            "a disk is not written to a terminal; send it into a pipe, or give the name "
            "of a file");
    rc = image_open(a, in, true, &src, e);
    if (rc < 0)
        return rc;
    p = image_progress(a, "convert");
    rc = image_pour(src, STDOUT_FILENO, &p, e);
    image_progress_end(a);
    disk_close(src);
    return rc;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Where the symbolic link `path` leads, which then stays one. NULL: it is none. The caller frees.
 */
static char *aim_of(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? realpath(path, NULL) : NULL;
}

static int convert_to(const struct image_args *a, const char *in, const char *out, struct err *e)
{
    struct image_make k = {.path = out, .filled = true, .made = add_part};
    const struct format_ops *f = NULL;
    struct disk *src;
    int rc;

    rc = image_open(a, in, true, &src, e);
    if (rc < 0)
        return rc;
    k.bytes = src->shape.bytes;
    rc = cfg_create(&k.opts, e);
    if (rc == 0)
        rc = plan(a, src, &k, &f, e);
    if (rc == 0)
        rc = write_out(a, src, f, &k, e);
    cfg_destroy(k.opts);
    disk_close(src);
    return rc;
}

static int convert(const struct image_args *a, const char *in, const char *out, struct err *e)
{
    char *aim;
    int rc;

    if (is_stdout(out))
        return pour(a, in, e);
    if (same_file(in, out))
        return err_exit(e, EX_USAGE_, EINVAL, "'%s' cannot be converted into itself", in);
    aim = aim_of(out);
    rc = convert_to(a, in, aim ? aim : out, e);
    free(aim);
    return rc;
}

static int convert_main(int argc, char **argv)
{
    struct image_args a = {0};
    struct err e;
    int rc = image_parse(&image_convert, argc, argv, &a, 2, 2, &e);

    if (rc == 0)
        rc = convert(&a, argv[1], argv[2], &e);
    return rc < 0 ? cli_fail(&e) : EX_OK;
}

static const struct cli_option convert_options[] = {
    {"f", "FORMAT", "the input's format; otherwise it is found out", image_set_format},
    {"O", "FORMAT", "the output's format, raw if not given", image_set_out_format},
    {"to", "TARGET", "azure, hyperv, esxi, xen or kvm: format, options and size that it takes",
     image_set_target},
    {"o", "K=V,..", "options of the output's format", image_set_options},
    {"c", NULL, "compress", image_set_compress},
    {"level", "N",
     "of compression: 1 is the fastest; up to 9 with zlib, 12 with VMDK, 19 with zstd",
     image_set_level},
    {"verify", NULL, "read the result again and compare; --to always does", image_set_verify},
    {"l", "SNAPSHOT", "the content of an internal snapshot", image_set_internal},
    IMAGE_OUTSIDE,
    IMAGE_NO_LOCK,
    {"p", NULL, "progress, which is shown on a terminal anyway", image_set_chain},
    IMAGE_QUIET,
    {NULL},
};

const struct cli_command image_convert = {
    .name = "image convert",
    .args = "[OPTION...] IN OUT",
    .about = "Copies a disk into a new image of any format.",
    .more = "OUT is replaced when the new image is whole. Zeroes are not stored. Like a copied "
            "file, OUT "
            "is safe from a\n"
            "power cut once the system has written it back; sync(1) waits for that. - as OUT is "
            "standard "
            "output, which\n"
            "takes a raw disk.",
    .options = convert_options,
    .run = convert_main,
};

/* --- compare --- */

static int set_second_format(void *arg, const char *value, struct err *e)
{
    return image_set_out_format(arg, value, e);
}

static int compare_main(int argc, char **argv)
{
    struct image_args a = {0}, b;
    struct disk *x = NULL, *y = NULL;
    struct progress p = {0};
    uint64_t at = UINT64_MAX;
    struct err e;
    int rc = image_parse(&image_compare_command, argc, argv, &a, 2, 2, &e);

    if (rc > 0)
        return EX_OK;
    b = a;
    b.format = a.out_format;
    if (rc == 0)
        rc = image_open(&a, argv[1], true, &x, &e);
    if (rc == 0)
        rc = image_open(&b, argv[2], true, &y, &e);
    if (rc == 0) {
        p = image_progress(&a, "compare");
        rc = image_compare(x, y, &p, &at, &e);
        image_progress_end(&a);
    }
    if (rc == 0 && at == UINT64_MAX && !a.quiet)
        printf("the disks are identical%s\n",
               x->shape.bytes == y->shape.bytes ? "" : " but for zeroes at the end of one");
    else if (rc == 0 && !a.quiet)
        printf("the disks differ at byte %llu\n", (unsigned long long)at);
    disk_close(x);
    disk_close(y);
    if (rc < 0)
        return cli_fail(&e);
    return at == UINT64_MAX ? EX_OK : 1;
}

static const struct cli_option compare_options[] = {
    {"f", "FORMAT", "the first image's format", image_set_format},
    {"F", "FORMAT", "the second image's format", set_second_format},
    IMAGE_OUTSIDE,
    IMAGE_NO_LOCK,
    IMAGE_QUIET,
    {NULL},
};

const struct cli_command image_compare_command = {
    .name = "image compare",
    .args = "[OPTION...] A B",
    .about = "Says whether two images hold the same disk.",
    .more = "Ends with 0 if they do and 1 if they differ.",
    .options = compare_options,
    .run = compare_main,
};
