/* SPDX-License-Identifier: Apache-2.0 */
/* test_copy.c - copying into what holds other bytes, and what a copy leaves of the file. */
#define KIT_FORMAT "qcow2"
#include "image_kit.h"

#include "storage/file.h"

enum { BYTES = 9 * MiB, DATA_AT = 3 * MiB, LONE_AT = 7 * MiB + 64 * 1024 };

/* As scratch_path(), for the life of a test: that one's results come round again. */
static const char *lasting(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", scratch_dir, name);
    return path;
}

/* A raw disk: data, zeroes that take space, a hole, and a page of data alone in a cluster. */
static const char *make_source(void)
{
    const char *path = scratch_path("source.raw");
    uint8_t page[KIT_PIECE];

    scratch_fill(path, 2 * MiB, 0);
    assert_int_equal(truncate(path, BYTES), 0);
    memset(page, 7, sizeof(page));
    for (uint64_t at = DATA_AT; at < DATA_AT + 512 * 1024; at += 2 * sizeof(page))
        poke(path, at, page, sizeof(page));
    poke(path, LONE_AT, page, sizeof(page));
    return path;
}

static struct disk *must_open_as(const char *path, const char *format, bool readonly)
{
    struct disk_cfg c = {.path = path, .format = format, .readonly = readonly};
    struct disk *d;
    struct err e;

    if (disk_open(&c, NULL, &d, &e) < 0)
        fail_msg("%s", e.msg);
    return d;
}

static void copy(const char *to, const char *format, bool blank, bool compress)
{
    struct disk *src = must_open_as(make_source(), "raw", true);
    struct disk *dst = must_open_as(to, format, false);
    struct copy_cfg cc = {.blank = blank, .compress = compress};
    uint64_t differs;
    struct err e;

    assert_int_equal(image_copy(src, dst, &cc, &e), 0);
    assert_int_equal(disk_flush(dst), 0);
    disk_close(dst);
    dst = must_open_as(to, format, true);
    assert_int_equal(image_compare(src, dst, &(struct progress){0}, &differs, &e), 0);
    assert_true(differs == UINT64_MAX);
    disk_close(dst);
    disk_close(src);
}

static void fill_with_junk(const char *path)
{
    struct disk *d = must_open(path, false);

    for (uint64_t at = 0; at < BYTES; at += KIT_PIECE)
        put(d, at, 0xee);
    assert_int_equal(disk_flush(d), 0);
    disk_close(d);
}

static void zeroes_are_written_over_what_a_raw_disk_holds(void **state)
{
    const char *path = lasting("junk.raw");

    (void)state;
    scratch_fill(path, BYTES, 0xee);
    copy(path, "raw", false, false);
}

static void zeroes_are_written_over_what_an_image_holds(void **state)
{
    static const char *const options[] = {"", "cluster_size=512", "cluster_size=2M",
                                          "extended_l2=on,cluster_size=128k"};
    const char *path = lasting("junk.qcow2");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        make(path, BYTES, options[i], NULL);
        fill_with_junk(path);
        copy(path, "qcow2", false, false);
        assert_int_equal(check(path, false).errors, 0);
    }
    make(path, BYTES, "", NULL);
    fill_with_junk(path);
    copy(path, "qcow2", false, true);
    assert_int_equal(check(path, false).errors, 0);
}

static void zeroes_are_written_over_what_a_parent_holds(void **state)
{
    const char *parent = scratch_path("parent.raw"), *path = lasting("child.qcow2");

    (void)state;
    scratch_fill(parent, BYTES, 0xee);
    make(path, BYTES, "", "parent.raw");
    copy(path, "qcow2", false, false);
}

/* The first clusters get their space before anybody has read that they hold zeroes. */
static void all_that_tables_point_to_lies_inside_the_file(void **state)
{
    static const char *const names[] = {"qcow2", "vdi", "vhdx", "vhd", "vmdk"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *source = scratch_path("zeroes.raw"), *path = lasting("whole");
        const struct format_ops *f = format_by_name(names[i]);
        struct image_make k = {.path = path, .bytes = MiB * 4};
        struct copy_cfg cc = {.blank = true};
        struct disk_cfg c = {.path = path, .format = names[i]};
        struct image_report rep = {.tell = tell};
        struct disk *src, *dst;
        struct err e;

        scratch_fill(source, k.bytes, 0);
        assert_int_equal(cfg_create(&k.opts, &e), 0);
        assert_int_equal(image_create(f, &k, true, &e), 0);
        cfg_destroy(k.opts);
        src = must_open_as(source, "raw", true);
        dst = must_open_as(path, names[i], false);
        assert_int_equal(image_copy(src, dst, &cc, &e), 0);
        assert_int_equal(disk_flush(dst), 0);
        disk_close(dst);
        disk_close(src);
        assert_int_equal(image_check(&c, false, &rep, &f, &e), 0);
        assert_int_equal(rep.errors + rep.leaks, 0);
    }
}

static void what_is_no_regular_file_is_not_discarded(void **state)
{
    const char *fifo = scratch_path("fifo"), *file = scratch_path("file");

    (void)state;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    file_discard(fifo);
    assert_int_equal(access(fifo, F_OK), 0);
    scratch_fill(file, 1, 1);
    file_discard(file);
    assert_int_equal(access(file, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroes_are_written_over_what_a_raw_disk_holds),
        cmocka_unit_test(zeroes_are_written_over_what_an_image_holds),
        cmocka_unit_test(zeroes_are_written_over_what_a_parent_holds),
        cmocka_unit_test(all_that_tables_point_to_lies_inside_the_file),
        cmocka_unit_test(what_is_no_regular_file_is_not_discarded),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
