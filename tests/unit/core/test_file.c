/* SPDX-License-Identifier: Apache-2.0 */
/* Files replaced whole: modes, failures that leave the old bytes, nothing left beside. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

static char dir[] = "/tmp/hospes-file-XXXXXX", path[64];

static int set_up(void **state)
{
    (void)state;
    umask(022);
    snprintf(dir + sizeof(dir) - 7, 7, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/it", dir);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir); /* fails when anything is left beside */
}

static void holds(const char *want, mode_t mode)
{
    struct stat st;
    char got[64] = "";
    int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof(got) - 1), strlen(want));
    assert_string_equal(got, want);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
    close(fd);
}

static void makes_and_replaces(void **state)
{
    (void)state;
    assert_int_equal(file_replace(path, "one", 3, 0666), 0);
    holds("one", 0644);
    assert_int_equal(chmod(path, 0660), 0);
    assert_int_equal(file_replace(path, "three", 5, 0600), 0);
    holds("three", 0660);
    assert_int_equal(file_replace(path, NULL, 0, 0600), 0);
    holds("", 0660);
}

static void reads_to_the_end(void **state)
{
    char got[8] = "";
    int fd;

    (void)state;
    assert_int_equal(file_replace(path, "abcdef", 6, 0600), 0);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(file_read(fd, got, 3, 1), 3);
    assert_string_equal(got, "bcd");
    assert_int_equal(file_read(fd, got, sizeof(got), 0), 6);
    assert_int_equal(file_read(fd, got, sizeof(got), 6), 0);
    assert_int_equal(file_read(fd, got, 1, UINT64_MAX), -EINVAL);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    close(fd);
    assert_int_equal(file_read(fd, got, 1, 0), -EBADF);
}

static void failure_leaves_the_old_one(void **state)
{
    char below[96];

    (void)state;
    assert_int_equal(file_replace(path, "old", 3, 0600), 0);
    snprintf(below, sizeof(below), "%s/not/there", dir);
    assert_int_equal(file_replace(below, "new", 3, 0600), -ENOENT);
    snprintf(below, sizeof(below), "%s/folder", dir);
    assert_int_equal(mkdir(below, 0700), 0);
    assert_int_equal(file_replace(below, "new", 3, 0600), -EISDIR);
    assert_int_equal(rmdir(below), 0);
    holds("old", 0600);
}

/* As `-o /dev/null` of somebody who may put a file in its place. */
static void a_device_takes_the_bytes_and_stays(void **state)
{
    char link[96], got[8] = "";
    struct stat st;
    int fd;

    (void)state;
    snprintf(link, sizeof(link), "%s/null", dir);
    assert_int_equal(symlink("/dev/null", link), 0);
    assert_int_equal(file_replace(link, "new", 3, 0600), 0);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(unlink(link), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_replace(path, "new", 3, 0600), -ENXIO); /* nobody reads */
    fd = open(path, O_RDONLY | O_NONBLOCK);
    assert_int_equal(file_replace(path, "new", 3, 0600), 0);
    assert_int_equal(read(fd, got, sizeof(got)), 3);
    assert_string_equal(got, "new");
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    close(fd);
}

static void full_device_is_told(void **state)
{
    int fd = open("/dev/full", O_WRONLY);

    (void)state;
    if (fd < 0)
        skip();
    assert_int_equal(file_write(fd, "x", 1), -ENOSPC);
    close(fd);
}

static void folders_are_made_in_each_other(void **state)
{
    char deep[96];
    size_t bad;

    (void)state;
    snprintf(deep, sizeof(deep), "%s/a/b/c", dir);
    assert_int_equal(file_folders(deep, strlen(deep), 0700, &bad), 0);
    assert_int_equal(file_folders(deep, strlen(deep), 0700, &bad), 0);
    assert_int_equal(rmdir(deep), 0);
    assert_int_equal(file_folders(deep, strlen(deep) - 2, 0700, &bad), 0);
    assert_int_equal(access(deep, F_OK), -1);
    deep[strlen(deep) - 2] = '\0';
    assert_int_equal(rmdir(deep), 0);
    assert_int_equal(file_replace(deep, "", 0, 0600), 0); /* now a file is in the way */
    snprintf(deep, sizeof(deep), "%s/a/b/c", dir);
    assert_int_equal(file_folders(deep, strlen(deep), 0700, &bad), -ENOTDIR);
    assert_int_equal(bad, strlen(deep));
    deep[strlen(deep) - 2] = '\0';
    assert_int_equal(unlink(deep), 0);
    deep[strlen(deep) - 2] = '\0';
    assert_int_equal(rmdir(deep), 0);
}

static void programs_are_looked_for_in_order(void **state)
{
    char out[128], here[128];

    (void)state;
    snprintf(here, sizeof(here), ":%s", dir);
    setenv("PATH", here, 1);
    assert_false(file_program("it", out, sizeof(out)));
    assert_int_equal(file_replace(path, "", 0, 0700), 0);
    assert_true(file_program("it", out, sizeof(out)));
    assert_string_equal(out, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_and_replaces, set_up, clean_up),
        cmocka_unit_test_setup_teardown(reads_to_the_end, set_up, clean_up),
        cmocka_unit_test_setup_teardown(failure_leaves_the_old_one, set_up, clean_up),
        cmocka_unit_test_setup_teardown(a_device_takes_the_bytes_and_stays, set_up, clean_up),
        cmocka_unit_test(full_device_is_told),
        cmocka_unit_test_setup_teardown(folders_are_made_in_each_other, set_up, clean_up),
        cmocka_unit_test_setup_teardown(programs_are_looked_for_in_order, set_up, clean_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
