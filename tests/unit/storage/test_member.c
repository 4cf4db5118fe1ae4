/* SPDX-License-Identifier: Apache-2.0 */
/* Disks inside archives: found, read where they lie, never written. */
#include "tarball.h"

#include <errno.h>

#include "storage/file.h"
#include "storage/image.h"
#include "storage/member.h"

enum { DISK = 3 * 4096 + 512 };

static struct loop *loop;
static uint8_t disk[DISK];

static int setup(void **state)
{
    struct err e;

    for (size_t i = 0; i < DISK; i++)
        disk[i] = (uint8_t)(i * 7 + i / 512);
    return scratch_setup(state) || loop_create(&loop, &e);
}

static int teardown(void **state)
{
    loop_destroy(loop);
    return scratch_teardown(state);
}

static const char *archive(void)
{
    const char *path = scratch_path("a.ova");
    FILE *f = fopen(path, "w");

    tarball_add(f, "a.ovf", TAR_FILE, "<Envelope/>", 11);
    tarball_add(f, "d1.img", TAR_FILE, disk, DISK);
    tarball_add(f, "cd.iso", TAR_FILE, disk, 2048);
    tarball_end(f);
    return path;
}

static struct disk *host(const char *path)
{
    struct file_cfg fc = {.path = path, .readonly = true};
    struct disk *file;
    struct err e = {0};

    assert_int_equal(file_open(&fc, NULL, &file, &e), 0);
    return file;
}

static void members_are_listed_with_their_places(void **state)
{
    struct disk *file = host(archive());
    struct members m;
    struct err e = {0};
    char *text;
    size_t len;

    (void)state;
    assert_true(archive_is(file));
    assert_true(archive_begins(file, ".ovf"));
    assert_int_equal(members_list(file, "a.ova", &m, &e), 0);
    assert_int_equal(m.n, 3);
    assert_string_equal(m.v[0].name, "a.ovf");
    assert_false(m.v[0].disk);
    assert_true(m.v[1].disk);
    assert_int_equal(m.v[1].at, 3 * TAR_BLOCK);
    assert_int_equal(m.v[1].size, DISK);
    assert_int_equal(member_text(file, members_find(&m, "./a.ovf"), 100, &text, &len, &e), 0);
    assert_string_equal(text, "<Envelope/>");
    assert_int_equal(len, 11);
    free(text);
    assert_int_equal(member_text(file, &m.v[1], 100, &text, &len, &e), -EFBIG);
    members_free(&m);
    disk_close(file);
}

static void long_names_and_binary_sizes_are_understood(void **state)
{
    const char *path = scratch_path("long.tar");
    FILE *f = fopen(path, "w");
    char name[300], line[400];
    struct disk *file;
    struct members m;
    struct err e = {0};

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    tarball_add(f, "././@LongLink", TAR_GNU_NAME, name, sizeof(name));
    tarball_add(f, "short", TAR_FILE, "gnu", 3);
    snprintf(line, sizeof(line), "%d path=%s\n", 3 + 1 + 5 + 299 + 1, name);
    tarball_add(f, "PaxHeaders/x", TAR_PAX, line, strlen(line));
    tarball_add(f, "short", TAR_FILE, "pax", 3);
    tarball_add(f, "./dot/slash", TAR_FILE, "s", 1);
    tarball_end(f);
    file = host(path);
    assert_int_equal(members_list(file, path, &m, &e), 0);
    assert_int_equal(m.n, 3);
    assert_string_equal(m.v[0].name, name);
    assert_string_equal(m.v[1].name, name);
    assert_string_equal(m.v[2].name, "dot/slash");
    members_free(&m);
    disk_close(file);
}

static int open_path(const char *path, bool snapshot, struct disk **d, struct err *e)
{
    struct disk_cfg c = {.path = path, .readonly = !snapshot, .snapshot = snapshot};

    return disk_open(&c, loop, d, e);
}

static void a_member_is_read_where_it_lies(void **state)
{
    static const char *const tails[] = {":d1.img", "", ":./d1.img"};
    const char *path = archive();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
        char name[300];
        uint8_t buf[DISK];
        struct err e = {0};
        struct disk *d;

        snprintf(name, sizeof(name), "%s%s", path, tails[i]);
        if (open_path(name, false, &d, &e) < 0)
            fail_msg("%s", e.msg);
        assert_non_null(strstr(d->path, "a.ova:d1.img"));
        assert_int_equal(d->shape.bytes, DISK);
        assert_int_equal(disk_read(d, 0, buf, DISK), 0);
        assert_memory_equal(buf, disk, DISK);
        memset(buf, 0, DISK);
        assert_int_equal(scratch_run(d, DISK_READ, 512, buf, DISK - 512), 0);
        assert_memory_equal(buf, disk + 512, DISK - 512);
        assert_int_equal(disk_write(d, 0, buf, 512), -EROFS);
        disk_close(d);
    }
}

static void a_member_ends_in_zeroes_and_not_in_the_next_one(void **state)
{
    struct disk *file = host(archive()), *d;
    uint8_t buf[1024];
    struct err e = {0};

    (void)state;
    assert_int_equal(member_open(file, "a.ova", "a.ovf", loop, &d, NULL, &e), 0);
    assert_int_equal(d->shape.bytes, 11);
    assert_int_equal(scratch_run(d, DISK_READ, 0, buf, sizeof(buf)), 0);
    assert_memory_equal(buf, "<Envelope/>", 12);
    assert_true(all_zero(buf + 11, sizeof(buf) - 11));
    disk_close(d);
}

static void what_cannot_be_opened_is_said(void **state)
{
    const char *path = archive(), *two = scratch_path("two.ova"), *name = scratch_path("a.ova:no");
    const uint8_t packed[4] = {0x1f, 0x8b, 8, 0};
    struct disk_cfg c = {.path = path};
    struct err e = {0};
    struct disk *d;
    FILE *f;

    (void)state;
    assert_int_equal(open_path(name, false, &d, &e), -ENOENT);
    assert_non_null(strstr(e.msg, "d1.img, cd.iso"));
    assert_int_equal(disk_open(&c, loop, &d, &e), -EINVAL); /* for writing */
    assert_non_null(strstr(e.msg, "can only be read"));
    assert_int_equal(open_path(path, true, &d, &e), 0);
    disk_close(d);
    f = fopen(two, "w");
    tarball_add(f, "a.ovf", TAR_FILE, "", 0);
    tarball_add(f, "1.vmdk", TAR_FILE, disk, 512);
    tarball_add(f, "2.vmdk.gz", TAR_FILE, packed, 4);
    tarball_end(f);
    assert_int_equal(open_path(two, false, &d, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "1.vmdk, 2.vmdk.gz"));
    assert_int_equal(open_path(scratch_path("two.ova:2.vmdk.gz"), false, &d, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "gzip"));
    assert_int_equal(truncate(path, 4 * TAR_BLOCK), 0);
    assert_int_equal(open_path(path, false, &d, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "cut off"));
}

static void a_file_with_a_colon_in_its_name_is_a_file(void **state)
{
    const char *path = scratch_path("a.ova:real");
    struct err e = {0};
    struct disk *d;

    (void)state;
    (void)archive();
    scratch_fill(path, 4096, 9);
    assert_int_equal(open_path(path, false, &d, &e), 0);
    assert_int_equal(d->shape.bytes, 4096);
    disk_close(d);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_listed_with_their_places),
        cmocka_unit_test(long_names_and_binary_sizes_are_understood),
        cmocka_unit_test(a_member_is_read_where_it_lies),
        cmocka_unit_test(a_member_ends_in_zeroes_and_not_in_the_next_one),
        cmocka_unit_test(what_cannot_be_opened_is_said),
        cmocka_unit_test(a_file_with_a_colon_in_its_name_is_a_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
