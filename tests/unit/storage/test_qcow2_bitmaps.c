/* SPDX-License-Identifier: Apache-2.0 */
/* Persistent bitmaps of qcow2 images through resizes, beside qemu-img, which makes and reads them.
 */
#define KIT_FORMAT "qcow2"
#include "image_kit.h"

#include "abi/qcow2.h"

enum { GRAIN = 512, STRIDE = 512 * 5161, HEAD = 4096 };

static void need_qemu(void)
{
    if (system("command -v qemu-img >/dev/null 2>&1 && command -v qemu-io >/dev/null 2>&1"))
        skip();
}

/* An image of `bytes` with bitmaps `on`, which records, and `off`, which has the same bits: those
 * of some places, and of the end of the disk. A copy, for the processes that make one are many. */
static void make_recorded(const char *path, uint64_t bytes, const char *options)
{
    char made[200];

    snprintf(made, sizeof(made), "%s/made-%s-%llu", scratch_dir, options,
             (unsigned long long)bytes);
    if (access(made, F_OK) < 0)
        scratch_shell(
            "qemu-img create -q -f qcow2 -o %s %s %llu && qemu-img bitmap --add -g %d %s on && "
            "{ for i in $(seq 0 %d %llu) %llu; do echo write -q $i 512; done; } | qemu-io %s "
            ">/dev/null && qemu-img bitmap --add -g %d --merge on --disable %s off",
            options, made, (unsigned long long)bytes, GRAIN, made, STRIDE,
            (unsigned long long)bytes - 512, (unsigned long long)bytes - 512, made, GRAIN, made);
    scratch_shell("cp %s %s", made, path);
}

static void resize(const char *path, uint64_t bytes)
{
    struct disk *d = must_open(path, false);
    struct err e;

    if (image_resize(d, bytes, &e) < 0)
        fail_msg("%s", e.msg);
    disk_close(d);
}

/* The check counts what nothing refers to. */
static void believed(const char *path, const char *flags_on, const char *flags_off)
{
    scratch_shell("qemu-img check -q %s && qemu-img info %s | tr -d ' \\n' | grep -q "
                  "'%sname:on.*%sname:off'",
                  path, path, flags_on, flags_off);
    assert_int_equal(check(path, false).errors, 0);
    assert_int_equal(check(path, false).leaks, 0);
}

/* --- what is in a bitmap --- */

/* Where the header extension is that lists them. */
static size_t extension(const uint8_t head[HEAD])
{
    size_t at = 112;

    while (be32_at(head + at) != QCOW2_EXT_BITMAPS) {
        assert_true(be32_at(head + at) != QCOW2_EXT_END);
        at += 8 + align_up(be32_at(head + at + 4), 8);
    }
    return at + 8;
}

/* All bits of bitmap i, with those of its last cluster that stand for nothing; malloc'd. */
static uint8_t *bits_of(const char *path, unsigned i, size_t *n)
{
    uint8_t head[HEAD], dir[64] = {0}, entry[8], *bits; /* of names of two or three letters */
    const struct qcow2_bitmap *b = (const void *)dir;
    size_t cluster, tables;

    peek(path, 0, head, sizeof(head));
    cluster = (size_t)1 << be32_at(head + 20);
    peek(path, be64_at(head + extension(head) + 16), dir, sizeof(dir));
    for (; i; i--)
        memmove(dir, dir + 32, 32);
    tables = be32_get(b->bitmap_table_size);
    *n = tables * cluster;
    bits = calloc(tables, cluster);
    assert_non_null(bits);
    for (size_t k = 0; k < tables; k++) {
        peek(path, be64_get(b->bitmap_table_offset) + k * 8, entry, 8);
        assert_int_equal(be64_at(entry) & 1, 0);
        if (be64_at(entry))
            peek(path, be64_at(entry), bits + k * cluster, cluster);
    }
    return bits;
}

static void same_bits(const char *a, const char *b)
{
    for (unsigned i = 0; i < 2; i++) {
        size_t n, m;
        uint8_t *x = bits_of(a, i, &n), *y = bits_of(b, i, &m);

        assert_int_equal(n, m);
        assert_memory_equal(x, y, n);
        assert_int_not_equal(x[0], 0);
        free(x);
        free(y);
    }
}

/* Sizes that end inside a byte of a bitmap, a cluster of one and a table of one. */
static const struct {
    const char *options;
    uint64_t from, to;
} sizes[] = {
    {"cluster_size=64K", 4 * MiB + 512 * 3, 4 * MiB + 512 * 9},
    {"cluster_size=512", 5 * MiB + 512, 300 * MiB + 512 * 5},
    {"cluster_size=4K", 70 * MiB, 512 * 21},
    {"cluster_size=512,refcount_bits=1", 8 * MiB, 3 * MiB + 512 * 3},
};

static void a_resized_image_has_its_bitmaps_as_qemu_resizes_them(void **state)
{
    const char *ours = scratch_path("ours"), *theirs = scratch_path("theirs");

    (void)state;
    need_qemu();
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        make_recorded(ours, sizes[i].from, sizes[i].options);
        scratch_shell("cp %s %s && qemu-img resize -q --shrink -f qcow2 %s %llu", ours, theirs,
                      theirs, (unsigned long long)sizes[i].to);
        resize(ours, sizes[i].to);
        believed(ours, "flags:\\[0\\]:auto", "flags:");
        same_bits(ours, theirs);
        /* QEMU opens it for writing only when it can load every bitmap. */
        scratch_shell("qemu-img resize -q -f qcow2 %s +64K && qemu-img check -q %s", ours, ours);
    }
}

/* There and back in one session: what was cut off does not come back. */
static void a_bitmap_forgets_what_is_cut_off(void **state)
{
    const char *ours = scratch_path("ours"), *theirs = scratch_path("theirs");
    struct disk *d;
    struct err e;

    (void)state;
    need_qemu();
    make_recorded(ours, 20 * MiB, "cluster_size=4K");
    scratch_shell("cp %s %s && qemu-img resize -q --shrink -f qcow2 %s 1M && "
                  "qemu-img resize -q -f qcow2 %s 20M",
                  ours, theirs, theirs, theirs);
    d = must_open(ours, false);
    assert_int_equal(image_resize(d, MiB, &e), 0);
    assert_int_equal(image_resize(d, 20 * MiB, &e), 0);
    disk_close(d);
    believed(ours, "flags:\\[0\\]:auto", "flags:");
    same_bits(ours, theirs);
}

/* A write before or after the resize is one that the bitmap does not see. */
static void a_recording_bitmap_is_not_believed_after_a_write(void **state)
{
    (void)state;
    need_qemu();
    for (int after = 0; after < 2; after++) {
        const char *path = scratch_path("image");
        struct disk *d;
        struct err e;

        make_recorded(path, 4 * MiB, "cluster_size=64K");
        d = must_open(path, false);
        if (!after)
            put(d, 0, 1);
        assert_int_equal(image_resize(d, 8 * MiB, &e), 0);
        if (after)
            put(d, 0, 1);
        disk_close(d);
        believed(path, "flags:\\[0\\]:in-use\\[1\\]:auto", "flags:");
    }
}

/* A cut of power in the middle: the image is what it was, and no bitmap is believed. */
static void a_bitmap_is_in_use_while_the_disk_is_resized(void **state)
{
    const char *path = scratch_path("image");
    struct disk *d;
    struct err e;

    (void)state;
    need_qemu();
    make_recorded(path, 4 * MiB, "cluster_size=64K");
    d = must_open(path, false);
    assert_int_equal(d->format->resize(d, 1024 * MiB, &e), 0);
    disk_close(d);
    scratch_shell("qemu-img info %s | tr -d ' \\n' | grep -q 'in-use.*name:on.*in-use.*name:off'",
                  path);
    scratch_shell("qemu-img check -q %s", path);
}

/* A directory that does not hold its bitmaps is given up, not followed. */
static void a_broken_directory_is_disowned(void **state)
{
    const char *path = scratch_path("image");
    be32 many = be32_of(UINT32_MAX);
    uint8_t head[HEAD];
    struct disk *d;

    (void)state;
    need_qemu();
    make_recorded(path, 4 * MiB, "cluster_size=64K");
    peek(path, 0, head, sizeof(head));
    poke(path, extension(head), &many, sizeof(many));
    resize(path, 8 * MiB);
    peek(path, 0, head, sizeof(head));
    assert_int_equal(be64_at(head + offsetof(struct qcow2_header, autoclear_features)), 0);
    d = must_open(path, true);
    assert_int_equal(d->shape.bytes, 8 * MiB);
    disk_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resized_image_has_its_bitmaps_as_qemu_resizes_them),
        cmocka_unit_test(a_bitmap_forgets_what_is_cut_off),
        cmocka_unit_test(a_recording_bitmap_is_not_believed_after_a_write),
        cmocka_unit_test(a_bitmap_is_in_use_while_the_disk_is_resized),
        cmocka_unit_test(a_broken_directory_is_disowned),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
