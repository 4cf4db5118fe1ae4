/* SPDX-License-Identifier: Apache-2.0 */
/* Every writable format, by one table: random requests against a copy in memory, then reopened,
 * checked, and read by qemu-img where that is installed. */
#include "scratch.h"

#include <errno.h>

#include "core/cfg.h"
#include "storage/file.h"
#include "storage/image.h"

enum { BYTES = 5 * 1024 * 1024 + 512 * 3 };

struct row {
    const char *format, *options, *qemu; /* qemu: its name of the format, NULL: it cannot read it */
};
static const struct row rows[] = {
    {"vhd", "subformat=dynamic", "vpc"},
    {"vhd", "subformat=dynamic,block_size=64K", "vpc"},
    {"vhd", "subformat=fixed", "vpc"},
    {"vhdx", "block_size=1M", "vhdx"},
    {"vhdx", "", "vhdx"},
    {"vhdx", "subformat=fixed,block_size=2M", "vhdx"},
    {"vdi", "", "vdi"},
    {"vdi", "subformat=static", "vdi"},
    {"qcow2", "", "qcow2"},
    {"qcow2", "compat=0.10", "qcow2"},
    {"qcow2", "cluster_size=512,refcount_bits=1", "qcow2"},
    {"qcow2", "cluster_size=4K,refcount_bits=64", "qcow2"},
    {"qcow2", "cluster_size=2M,refcount_bits=8", "qcow2"},
    {"qcow2", "extended_l2=on", "qcow2"},
    {"qcow2", "extended_l2=on,cluster_size=16K", "qcow2"},
    {"vmdk", "", "vmdk"},
    {"vmdk", "zeroed_grain=on,adapter_type=lsilogic", "vmdk"},
    {"vmdk", "subformat=monolithicFlat", "vmdk"},
    {"vmdk", "subformat=twoGbMaxExtentSparse,compat6", "vmdk"},
    {"vmdk", "subformat=twoGbMaxExtentFlat", "vmdk"},
    {"vmdk", "subformat=vmfsThin,hwversion=13", "vmdk"},
};

static struct loop *loop;
static uint8_t model[BYTES], buf[BYTES];

static int setup(void **state)
{
    struct err e;

    return scratch_setup(state) || loop_create(&loop, &e);
}

static int teardown(void **state)
{
    loop_destroy(loop);
    return scratch_teardown(state);
}

static void make(const struct row *w, const char *path, struct disk *parent, const char *backing)
{
    const struct format_ops *f = format_by_name(w->format);
    struct file_cfg fc = {.path = path, .create = true, .overwrite = true};
    struct image_make k = {.path = path, .bytes = BYTES, .parent = parent, .backing = backing};
    struct disk *file;
    struct err e = {0};

    assert_non_null(f);
    assert_int_equal(cfg_create(&k.opts, &e), 0);
    assert_int_equal(cfg_parse(k.opts, w->options, NULL, &e), 0);
    assert_int_equal(file_open(&fc, NULL, &file, &e), 0);
    if (f->create(file, &k, &e) < 0)
        fail_msg("create %s: %s", w->format, e.msg);
    assert_int_equal(cfg_finish(k.opts, w->format, &e), 0);
    disk_close(file);
    cfg_destroy(k.opts);
}

static struct disk *reopen(const struct row *w, const char *path)
{
    struct disk_cfg c = {.path = path};
    struct disk *d;
    struct err e = {0};

    if (disk_open(&c, loop, &d, &e) < 0)
        fail_msg("open %s: %s", w->format, e.msg);
    assert_string_equal(d->format->name, w->format);
    assert_int_equal(d->shape.bytes, BYTES);
    return d;
}

static void random_work(struct disk *d, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t off = (uint64_t)(rand() % (BYTES / 512)) * 512;
        size_t len = (size_t)min_u64(((uint64_t)(rand() % 300) + 1) * 512, BYTES - off);
        enum disk_op op = (enum disk_op)(rand() % 5);

        if (rand() % 8 == 0) {
            off = align_down(off, MiB);
            len = (size_t)min_u64(MiB * 2, BYTES - off);
        }
        if (op == DISK_WRITE) {
            memset(buf, (int)i + 1, len);
            memset(model + off, (int)i + 1, len);
        }
        assert_int_equal(
            scratch_run(d, op, off, op == DISK_READ || op == DISK_WRITE ? buf : NULL, len), 0);
        if (op == DISK_READ)
            assert_memory_equal(buf, model + off, len);
        if (op == DISK_ZERO)
            memset(model + off, 0, len);
        if (op == DISK_TRIM) /* either is right */
            assert_int_equal(disk_read(d, off, model + off, len), 0);
    }
}

static void compare(struct disk *d)
{
    assert_int_equal(disk_read(d, 0, buf, BYTES), 0);
    assert_memory_equal(buf, model, BYTES);
}

static void checked(const struct row *w, const char *path)
{
    struct file_cfg fc = {.path = path, .readonly = true};
    struct disk_cfg c = {.path = path};
    struct image_report rep = {0};
    struct disk *file;
    struct err e;

    if (!format_by_name(w->format)->check)
        return;
    assert_int_equal(file_open(&fc, NULL, &file, &e), 0);
    assert_int_equal(format_by_name(w->format)->check(file, &c, false, &rep, &e), 0);
    assert_int_equal(rep.errors, 0);
    assert_int_equal(rep.leaks, 0);
    disk_close(file);
}

static void qemu_agrees(const struct row *w, const char *path)
{
    char cmd[512];
    int fd;

    if (!w->qemu || system("command -v qemu-img >/dev/null 2>&1"))
        return;
    snprintf(cmd, sizeof(cmd), "qemu-img check -q -f %s %s", w->qemu, path);
    if (strcmp(w->qemu, "vpc") != 0) /* which it cannot check */
        assert_int_equal(system(cmd), 0);
    snprintf(cmd, sizeof(cmd), "qemu-img convert -f %s -O raw %s %s", w->qemu, path,
             scratch_path("raw"));
    assert_int_equal(system(cmd), 0);
    fd = open(scratch_path("raw"), O_RDONLY);
    assert_int_equal(pread(fd, buf, BYTES, 0), BYTES);
    assert_memory_equal(buf, model, BYTES);
    close(fd);
}

static void random_requests_survive_reopening(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *path = scratch_path("image");
        struct disk *d;

        print_message("  %s %s\n", rows[i].format, rows[i].options);
        srand((unsigned)i + 1);
        memset(model, 0, BYTES);
        make(&rows[i], path, NULL, NULL);
        for (int round = 0; round < 3; round++) {
            d = reopen(&rows[i], path);
            compare(d);
            random_work(d, 120);
            compare(d);
            disk_close(d);
            checked(&rows[i], path);
        }
        d = reopen(&rows[i], path);
        compare(d);
        disk_close(d);
        qemu_agrees(&rows[i], path);
    }
}

static void many_writers_at_once_keep_their_bytes(void **state)
{
    enum { N = 200 };
    static struct scratch_io io[N];
    static uint8_t piece[N][4096];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *path = scratch_path("image");
        struct disk *d;

        make(&rows[i], path, NULL, NULL);
        d = reopen(&rows[i], path);
        memset(model, 0, BYTES);
        for (int n = 0; n < N; n++) {
            uint64_t off = (uint64_t)(n * 37 % N) * 4096 * 6;

            memset(piece[n], n + 1, 4096);
            memset(model + off, n + 1, 4096);
            scratch_start(d, &io[n], DISK_WRITE, off, piece[n], 4096);
        }
        for (int n = 0; n < N; n++)
            assert_int_equal(scratch_wait(loop, &io[n]), 0);
        assert_int_equal(scratch_run(d, DISK_FLUSH, 0, NULL, 0), 0);
        compare(d);
        disk_close(d);
        d = reopen(&rows[i], path);
        compare(d);
        disk_close(d);
    }
}

static int covers(void *arg, const struct extent *x)
{
    uint64_t *at = arg;

    assert_int_equal(x->off, *at);
    assert_true(x->len > 0);
    for (uint64_t i = 0; x->kind != EXTENT_DATA && i < x->len; i++)
        assert_int_equal(model[x->off + i], 0);
    *at += x->len;
    return 0;
}

static void extents_tell_the_truth(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *path = scratch_path("image");
        uint64_t at = 0;
        struct disk *d;

        srand(7);
        memset(model, 0, BYTES);
        make(&rows[i], path, NULL, NULL);
        d = reopen(&rows[i], path);
        random_work(d, 30);
        assert_int_equal(disk_extents(d, 0, BYTES, covers, &at), 0);
        assert_int_equal(at, BYTES);
        disk_close(d);
    }
}

static void a_child_reads_its_parent_and_keeps_its_own(void **state)
{
    static const struct row pairs[][2] = {
        {{"vhd", "subformat=dynamic", "vpc"}, {"vhd", "subformat=differencing", NULL}},
        {{"vhd", "subformat=fixed", "vpc"}, {"vhd", "block_size=64K", NULL}},
        {{"qcow2", "", "qcow2"}, {"qcow2", "", "qcow2"}},
        {{"vdi", "", NULL}, {"vdi", "", NULL}},
        {{"vhdx", "", NULL}, {"vhdx", "", NULL}},
        {{"vhdx", "block_size=1M", NULL}, {"vhdx", "block_size=1M", NULL}},
        {{"vhd", "", NULL}, {"vhdx", "block_size=1M", NULL}},
        {{"qcow2", "", NULL}, {"vhdx", "", NULL}},
        {{"vhdx", "", NULL}, {"qcow2", "", NULL}},
        {{"vhd", "", NULL}, {"qcow2", "extended_l2=on", NULL}},
        {{"vmdk", "", "vmdk"}, {"vmdk", "", "vmdk"}},
        {{"vmdk", "subformat=vmfs", NULL}, {"vmdk", "zeroed_grain=on", NULL}},
        {{"vmdk", "", NULL}, {"vmdk", "subformat=twoGbMaxExtentSparse", NULL}},
        {{"qcow2", "", NULL}, {"vmdk", "", NULL}},
        {{"vmdk", "subformat=twoGbMaxExtentFlat", NULL}, {"qcow2", "", NULL}},
        {{"qcow2", "", NULL}, {"vhd", "", NULL}},
        {{"qcow2", "", NULL}, {"qcow2", "compat=0.10,cluster_size=4K", NULL}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        const char *below = scratch_path("below.vdi"), *child = scratch_path("child.vdi");
        static uint8_t parent_model[BYTES];
        struct disk *d;

        srand(3);
        memset(model, 0, BYTES);
        make(&pairs[i][0], below, NULL, NULL);
        d = reopen(&pairs[i][0], below);
        random_work(d, 100);
        make(&pairs[i][1], child, d, "below.vdi");
        disk_close(d);
        memcpy(parent_model, model, BYTES);
        for (int round = 0; round < 2; round++) {
            d = reopen(&pairs[i][1], child);
            compare(d);
            random_work(d, 100);
            compare(d);
            disk_close(d);
            checked(&pairs[i][1], child);
        }
        memcpy(model, parent_model, BYTES);
        d = reopen(&pairs[i][0], below);
        compare(d);
        disk_close(d);
    }
}

static void other_sizes_keep_the_content(void **state)
{
    static const uint8_t last[512] = "end";

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct format_ops *f = format_by_name(rows[i].format);
        const char *path = scratch_path("image");
        struct disk_cfg c = {.path = path};
        struct err e = {0};
        struct disk *d;
        int rc;

        if (!f->resize)
            continue;
        srand(5);
        memset(model, 0, BYTES);
        make(&rows[i], path, NULL, NULL);
        d = reopen(&rows[i], path);
        random_work(d, 60);
        rc = f->resize(d, 2 * GiB, &e);
        if (rc == -ENOSPC || rc == -ENOTSUP) { /* with a sentence */
            assert_true(e.msg[0]);
            disk_close(d);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(disk_write(d, 2 * GiB - 512, last, 512), 0);
        disk_close(d);
        assert_int_equal(disk_open(&c, loop, &d, &e), 0);
        assert_int_equal(d->shape.bytes, 2 * GiB);
        compare(d);
        assert_int_equal(disk_read(d, BYTES, buf, 4096), 0);
        for (int k = 0; k < 4096; k++)
            assert_int_equal(buf[k], 0);
        assert_int_equal(disk_read(d, 2 * GiB - 512, buf, 512), 0);
        assert_memory_equal(buf, "end", 4);
        rc = f->resize(d, BYTES, &e);
        disk_close(d);
        if (rc == -ENOTSUP)
            continue;
        assert_int_equal(rc, 0);
        d = reopen(&rows[i], path);
        compare(d);
        disk_close(d);
        checked(&rows[i], path);
    }
}

/* What one format refuses, and another would make and then not open. */
static void no_format_makes_a_disk_without_whole_sectors(void **state)
{
    static const uint64_t sizes[] = {0, 1, 511, 513};
    const char *path = scratch_path("none");

    (void)state;
    for (size_t i = 0; formats[i]; i++) {
        for (size_t n = 0; n < ARRAY_SIZE(sizes) && formats[i]->create; n++) {
            struct image_make k = {.path = path, .bytes = sizes[n]};
            struct err e = {0};

            assert_int_equal(cfg_create(&k.opts, &e), 0);
            assert_int_equal(image_create(formats[i], &k, true, &e), -EINVAL);
            assert_int_equal(e.exit, EX_USAGE_);
            assert_non_null(strstr(e.msg, "whole sectors"));
            assert_int_not_equal(access(path, F_OK), 0);
            cfg_destroy(k.opts);
        }
    }
}

static void no_disk_is_resized_to_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *path = scratch_path("image");
        struct err e = {0};
        struct disk *d;

        make(&rows[i], path, NULL, NULL);
        d = reopen(&rows[i], path);
        assert_true(image_resize(d, 0, &e) < 0);
        assert_int_equal(e.exit, EX_USAGE_);
        assert_int_equal(d->shape.bytes, BYTES);
        disk_close(d);
    }
}

/* A writer that does not keep bitmaps says so, and a reader changes nothing. */
static void a_qcow2_writer_disowns_bitmaps(void **state)
{
    static const struct row w = {"qcow2", "", "qcow2"};
    enum { AUTOCLEAR = 88 + 7 }; /* the low byte of autoclear_features */
    const char *path = scratch_path("image");
    struct disk_cfg c = {.path = path, .readonly = true};
    uint8_t one = 1, byte;
    struct err e = {0};
    struct disk *d;
    int fd;

    (void)state;
    make(&w, path, NULL, NULL);
    fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, &one, 1, AUTOCLEAR), 1);
    assert_int_equal(disk_open(&c, loop, &d, &e), 0);
    disk_close(d);
    assert_int_equal(pread(fd, &byte, 1, AUTOCLEAR), 1);
    assert_int_equal(byte, 1);
    disk_close(reopen(&w, path));
    assert_int_equal(pread(fd, &byte, 1, AUTOCLEAR), 1);
    assert_int_equal(byte, 0);
    close(fd);
}

/* What records is marked as no longer right; what is switched off stays as it is. */
static void a_qcow2_writer_keeps_bitmaps(void **state)
{
    static const struct row w = {"qcow2", "", "qcow2"};
    const char *path = scratch_path("image");
    char cmd[600];
    struct disk *d;

    (void)state;
    if (system("command -v qemu-img >/dev/null 2>&1"))
        skip();
    make(&w, path, NULL, NULL);
    snprintf(cmd, sizeof(cmd),
             "qemu-img bitmap --add %s on && qemu-img bitmap --add %s off && "
             "qemu-img bitmap --disable %s off",
             path, path, path);
    assert_int_equal(system(cmd), 0);
    d = reopen(&w, path);
    memset(buf, 1, 4096);
    assert_int_equal(disk_write(d, 0, buf, 4096), 0);
    disk_close(d);
    snprintf(cmd, sizeof(cmd),
             "qemu-img check -q %s && qemu-img info %s | tr -d ' \\n' | "
             "grep -q 'flags:\\[0\\]:in-use\\[1\\]:autoname:on.*flags:name:off'",
             path, path);
    assert_int_equal(system(cmd), 0);
}

static void an_image_that_cannot_be_read_is_not_taken_for_raw(void **state)
{
    static const char *const heads[] = {"Bochs Virtual HD Image", "#!/bin/sh\n#V2.0 Format",
                                        "EVF\x09\x0d\x0a\xff"};
    const char *path = scratch_path("image");
    struct disk *d;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        struct disk_cfg c = {.path = path}, raw = {.path = path, .format = "raw"};
        struct err e = {0};
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

        assert_int_equal(ftruncate(fd, 1 << 20), 0);
        assert_int_equal(pwrite(fd, heads[i], strlen(heads[i]), 0), strlen(heads[i]));
        close(fd);
        assert_int_equal(disk_open(&c, loop, &d, &e), -EINVAL);
        assert_int_equal(e.exit, EX_BAD_INPUT);
        assert_int_equal(disk_open(&raw, loop, &d, &e), 0);
        disk_close(d);
        unlink(path);
    }
}

/* at: of what; size: of the file. */
static int probed(const char *what, uint64_t at, uint64_t size, struct err *e)
{
    const char *path = scratch_path("image");
    struct disk_cfg c = {.path = path, .readonly = true};
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), rc;
    struct disk *d;

    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(pwrite(fd, what, strlen(what), (off_t)at), strlen(what));
    close(fd);
    rc = disk_open(&c, NULL, &d, e);
    if (rc == 0)
        disk_close(d);
    unlink(path);
    return rc;
}

static void what_is_packed_or_described_is_not_taken_for_raw(void **state)
{
    static const struct {
        const char *bytes, *advice;
        uint64_t at, size;
    } files[] = {
        {"\x1f\x8b\x08", "gzip", 0, 70001},
        {"\xfd\x37zXZ", "xz", 0, 70001},
        {"BZh9", "bzip2", 0, 70001},
        {"\x28\xb5\x2f\xfd", "zstd", 0, 70001},
        {"PK\x03\x04", "zip", 0, 70001},
        {"\177ELF", "--kernel", 0, 70001},
        {"koly", "DMG", 70001 - 512, 70001},
        {"<?xml version='1.0'?>\n<Parallels_disk_image Version=\"1.0\">", ".hds", 0, 1925},
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        e = (struct err){0};
        assert_int_equal(probed(files[i].bytes, files[i].at, files[i].size, &e), -EINVAL);
        assert_int_equal(e.exit, EX_BAD_INPUT);
        assert_non_null(strstr(e.msg, files[i].advice));
    }
    /* A disk that a guest uses as a tape. */
    assert_int_equal(probed("\x1f\x8b\x08", 0, 65536, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_that_cannot_be_read_is_not_taken_for_raw),
        cmocka_unit_test(what_is_packed_or_described_is_not_taken_for_raw),
        cmocka_unit_test(no_format_makes_a_disk_without_whole_sectors),
        cmocka_unit_test(no_disk_is_resized_to_nothing),
        cmocka_unit_test(a_qcow2_writer_disowns_bitmaps),
        cmocka_unit_test(a_qcow2_writer_keeps_bitmaps),
        cmocka_unit_test(random_requests_survive_reopening),
        cmocka_unit_test(many_writers_at_once_keep_their_bytes),
        cmocka_unit_test(extents_tell_the_truth),
        cmocka_unit_test(a_child_reads_its_parent_and_keeps_its_own),
        cmocka_unit_test(other_sizes_keep_the_content),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
