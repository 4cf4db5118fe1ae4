/* SPDX-License-Identifier: Apache-2.0 */
/* image_convert.c - `hospes image` convert and compare. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/image.h"
#include "core/cfg.h"

/* What a hypervisor or cloud really takes. */
struct target {
    const char *name, *format, *options;
    uint64_t align, most; /* of the size; bytes */
    const char *why;
};
static const struct target targets[] = {
    {"azure", "vhd", "subformat=fixed", MiB, UINT64_C(4095) * GiB,
     "Azure takes fixed VHD images of whole MiB up to 4095 GiB"},
    {"hyperv", "vhdx", "", MiB, UINT64_C(64) * 1024 * GiB,
     "Hyper-V takes VHDX images up to 64 TiB"},
    {"esxi", "vmdk", "subformat=streamOptimized", MiB, UINT64_C(62) * 1024 * GiB,
     "ESXi takes stream-optimized VMDK images up to 62 TiB"},
    {"xen", "vhd", "subformat=dynamic", 2 * MiB, UINT64_C(2040) * GiB,
     "XenServer takes dynamic VHD images up to 2040 GiB"},
    {"kvm", "qcow2", "", 512, UINT64_MAX, ""},
};

static const struct target *find_target(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        if (!strcmp(targets[i].name, name))
            return &targets[i];
    }
    return NULL;
}

/* Reads -O, --to and -o into what is to be made. */
static int plan(const struct image_args *a, struct image_make *k, const struct format_ops **f,
                struct err *e)
{
    const struct target *t = a->target ? find_target(a->target) : NULL;
    int rc = 0;

    if (a->target && !t)
        return err_exit(e, EX_USAGE_, EINVAL,
                        "'%s' is no target; azure, hyperv, esxi, xen and kvm are", a->target);
    *f = format_by_name(t ? t->format : a->out_format ? a->out_format : "raw");
    if (!*f)
        return err_exit(e, EX_USAGE_, EINVAL, "'%s' is no image format; see hospes image --help",
                        a->out_format);
    if (t && *t->options)
        rc = cfg_parse(k->opts, t->options, NULL, e);
    if (rc == 0 && a->options)
        rc = cfg_parse(k->opts, a->options, NULL, e);
    if (t && rc == 0) {
        k->bytes = align_up(k->bytes, t->align);
        if (k->bytes > t->most)
            rc = err_exit(e, EX_BAD_INPUT, EFBIG, "%s, and this disk is larger", t->why);
    }
    return rc;
}

static int copy_into(const struct image_args *a, struct disk *src, const struct format_ops *f,
                     const char *out, struct err *e)
{
    struct disk_cfg c = {.path = out, .format = f->name, .no_sync = true, .no_lock = false};
    struct copy_cfg cc = {.compress = a->compress, .blank = true};
    struct disk *dst;
    int rc = disk_open(&c, NULL, &dst, e);

    if (rc < 0)
        return rc;
    cc.progress = image_progress(a, "convert");
    cc.compress = cc.compress || dst->pack_only;
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

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int convert(const struct image_args *a, const char *in, const char *out, struct err *e)
{
    struct image_make k = {.path = out};
    const struct format_ops *f = NULL;
    struct disk *src;
    int rc;

    if (same_file(in, out))
        return err_exit(e, EX_USAGE_, EINVAL, "'%s' cannot be converted into itself", in);
    rc = image_open(a, in, true, &src, e);
    if (rc < 0)
        return rc;
    k.bytes = src->shape.bytes;
    rc = cfg_create(&k.opts, e);
    if (rc == 0)
        rc = plan(a, &k, &f, e);
    if (rc == 0)
        rc = image_create(f, &k, true, e);
    if (rc == 0) {
        rc = copy_into(a, src, f, out, e);
        if (rc < 0)
            unlink(out);
    }
    cfg_destroy(k.opts);
    disk_close(src);
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
    .more = "OUT is overwritten. Zeroes are not stored. Like a copied file, OUT is safe from a\n"
            "power cut once the system has written it back; sync(1) waits for that.",
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
