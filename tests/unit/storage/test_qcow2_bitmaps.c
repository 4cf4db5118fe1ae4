/* SPDX-License-Identifier: Apache-2.0 */
/* Persistent bitmaps of qcow2 images through resizes, beside qemu-img, which makes and reads them.
 */
#define KIT_FORMAT "qcow2"
#include "image_kit.h"

#include "abi/qcow2.h"

enum { GRAIN = 512, CHANGED = 512 * 13 };

static void run(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void run(const char *fmt, ...)
{
    char cmd[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(cmd, sizeof(cmd), fmt, ap);
    va_end(ap);
    if (system(cmd))
        fail_msg("%s", cmd);
}

static void need_qemu(void)
{
    if (system("command -v qemu-img >/dev/null 2>&1 && command -v qemu-io >/dev/null 2>&1"))
        skip();
}

/* An image with bitmaps `on` and `off`, where clusters `CHANGED` apart are set, and the last byte
 * of the disk. */
static void make_recorded(const char *path, uint64_t bytes, const char *options)
{
    run("qemu-img create -q -f qcow2 -o %s %s %llu && qemu-img bitmap --add -g %d %s on && "
        "qemu-img bitmap --add -g %d %s off",
        options, path, (unsigned long long)bytes, GRAIN, path, GRAIN, path);
    run("{ for i in $(seq 0 %d %llu); do echo write -q $i 512; done; echo write -q %llu 512; } | "
        "qemu-io %s >/dev/null",
        CHANGED * 397, (unsigned long long)bytes - 512, (unsigned long long)bytes - 512, path);
    run("qemu-img bitmap --disable %s off", path);
}

static void resize(const char *path, uint64_t bytes)
{
    struct disk *d = must_open(path, false);
    struct err e;

    if (image_resize(d, bytes, &e) < 0)
        fail_msg("%s", e.msg);
    disk_close(d);
}

/* QEMU opens it for writing only when it can load every bitmap, and the check counts what nothing
 * refers to. */
static void believed(const char *path, const char *flags_on, const char *flags_off)
{
    run("qemu-img check -q %s && qemu-io -c 'read -q 0 512' %s && "
        "qemu-img info %s | tr -d ' \\n' | grep -q '%sname:on.*%sname:off'",
        path, path, path, flags_on, flags_off);
    assert_int_equal(check(path, false).errors, 0);
    assert_int_equal(check(path, false).leaks, 0);
}

/* Which of its bits are set, as a list of runs. */
static void dump(const char *path, const char *name, const char *to)
{
    run("cd %s && rm -f sock && { qemu-nbd -r -k $PWD/sock -B %s -f qcow2 %s & } && "
        "while [ ! -S sock ]; do sleep 0.02; done && qemu-img map --output=json --image-opts "
        "driver=nbd,server.type=unix,server.path=$PWD/sock,x-dirty-bitmap=qemu:dirty-bitmap:%s | "
        "tr -d ' ' | grep -o '\"start\":[0-9]*,\"length\":[0-9]*\\|\"data\":[a-z]*' > %s; wait",
        scratch_dir, name, path, name, to);
}

/* Sizes that end inside a byte of a bitmap, a cluster of one and a table of one. */
static const struct {
    const char *options;
    uint64_t from, to;
} sizes[] = {
    {"cluster_size=64K", 4 * MiB + 512 * 3, 4 * MiB + 512 * 9},
    {"cluster_size=512", 5 * MiB + 512, 300 * MiB + 512 * 5},
    {"cluster_size=4K", 70 * MiB, 512 * 21},
    {"cluster_size=512,refcount_bits=1", 90 * MiB, 3 * MiB + 512 * 3},
};

static void a_resized_image_has_its_bitmaps_as_qemu_resizes_them(void **state)
{
    const char *ours = scratch_path("ours"), *theirs = scratch_path("theirs");

    (void)state;
    need_qemu();
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        make_recorded(ours, sizes[i].from, sizes[i].options);
        run("cp %s %s && qemu-img resize -q --shrink -f qcow2 %s %llu", ours, theirs, theirs,
            (unsigned long long)sizes[i].to);
        resize(ours, sizes[i].to);
        believed(ours, "flags:\\[0\\]:auto", "flags:");
        dump(ours, i % 2 ? "off" : "on", "a");
        dump(theirs, i % 2 ? "off" : "on", "b");
        run("cd %s && test -s a && cmp a b", scratch_dir);
        run("qemu-img resize -q --shrink -f qcow2 %s 8M && qemu-img check -q %s", ours, ours);
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
    run("cp %s %s && qemu-img resize -q --shrink -f qcow2 %s 1M && "
        "qemu-img resize -q -f qcow2 %s 20M",
        ours, theirs, theirs, theirs);
    d = must_open(ours, false);
    assert_int_equal(image_resize(d, MiB, &e), 0);
    assert_int_equal(image_resize(d, 20 * MiB, &e), 0);
    disk_close(d);
    believed(ours, "flags:\\[0\\]:auto", "flags:");
    dump(ours, "on", "a");
    dump(theirs, "on", "b");
    run("cd %s && test -s a && cmp a b", scratch_dir);
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
    run("qemu-img info %s | tr -d ' \\n' | grep -q 'in-use.*name:on.*in-use.*name:off'", path);
    run("qemu-img check -q %s", path);
}

/* A directory that does not hold its bitmaps is given up, not followed. */
static void a_broken_directory_is_disowned(void **state)
{
    const char *path = scratch_path("image");
    be32 many = be32_of(UINT32_MAX);
    uint8_t head[4096];
    struct disk *d;
    size_t at = 112;

    (void)state;
    need_qemu();
    make_recorded(path, 4 * MiB, "cluster_size=64K");
    peek(path, 0, head, sizeof(head));
    while (be32_at(head + at) != QCOW2_EXT_BITMAPS)
        at += 8 + align_up(be32_at(head + at + 4), 8);
    poke(path, at + 8, &many, sizeof(many));
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
