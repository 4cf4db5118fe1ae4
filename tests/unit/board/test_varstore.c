/* SPDX-License-Identifier: Apache-2.0 */
/* The file of UEFI variables: made, kept, found again, and refused when it is not one. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board/varstore.h"
#include "core/err.h"

enum { SIZE = 16 << 10 };

static char dir[] = "/tmp/test-varstore-XXXXXX", blank[64], file[64];

static void write_file(const char *path, size_t size, const char *signature)
{
    uint8_t *b = malloc(size);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);

    assert_non_null(b);
    memset(b, 0xff, size);
    memcpy(b + 0x28, signature, 4);
    assert_int_equal(write(fd, b, size), size);
    close(fd);
    free(b);
}

static int set_up(void **state)
{
    (void)state;
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    snprintf(blank, sizeof(blank), "%s/blank", dir);
    snprintf(file, sizeof(file), "%s/vars", dir);
    write_file(blank, SIZE, "_FVH");
    return 0;
}

static int tear_down(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static uint8_t byte_of(const char *path, size_t at)
{
    uint8_t b = 0;
    int fd = open(path, O_RDONLY);

    assert_int_equal(pread(fd, &b, 1, (off_t)at), 1);
    close(fd);
    return b;
}

static struct varstore *open_store(const char *path)
{
    struct varstore *v;
    struct err e = {0};

    assert_int_equal(varstore_open(path, blank, &v, &e), 0);
    return v;
}

static void refused(const char *path, const char *template, int code, enum exit_code exit)
{
    struct varstore *v;
    struct err e = {0};

    assert_int_equal(varstore_open(path, template, &v, &e), -code);
    assert_int_equal(e.exit, exit);
}

static void what_is_written_is_found_again(void **state)
{
    struct varstore *v = open_store(file);
    size_t size;

    (void)state;
    assert_int_equal(varstore_bytes(v, &size)[100], 0xff);
    assert_int_equal(size, SIZE);
    assert_true(varstore_write(v, 100, (const uint8_t *)"\x12", 1));
    assert_true(varstore_write(v, SIZE - 1, (const uint8_t *)"\x34", 1));
    varstore_close(v);
    assert_int_equal(byte_of(file, 100), 0x12);
    assert_int_equal(byte_of(blank, 100), 0xff);
    v = open_store(file);
    assert_int_equal(varstore_bytes(v, &size)[100], 0x12);
    assert_int_equal(varstore_bytes(v, &size)[SIZE - 1], 0x34);
    varstore_close(v);
}

static void nothing_written_makes_no_file(void **state)
{
    (void)state;
    varstore_close(open_store(file));
    assert_int_equal(access(file, F_OK), -1);
}

static void without_a_file_it_is_forgotten(void **state)
{
    struct varstore *v = open_store(NULL);

    (void)state;
    assert_true(varstore_write(v, 0, (const uint8_t *)"\0", 1));
    varstore_close(v);
    assert_int_equal(byte_of(blank, 0), 0xff);
}

static void a_link_stays_and_the_mode_too(void **state)
{
    struct varstore *v;
    char link[72];
    struct stat st;

    (void)state;
    snprintf(link, sizeof(link), "%s/link", dir);
    write_file(file, SIZE, "_FVH");
    assert_int_equal(symlink("vars", link), 0);
    v = open_store(link);
    assert_true(varstore_write(v, 7, (const uint8_t *)"\x77", 1));
    varstore_close(v);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(byte_of(file, 7), 0x77);
}

static void one_machine_has_it(void **state)
{
    struct varstore *v = open_store(file);

    (void)state;
    refused(file, blank, EBUSY, EX_IN_USE);
    varstore_close(v);
    varstore_close(open_store(file));
}

static void other_files_are_refused_and_kept(void **state)
{
    char folder[72];

    (void)state;
    write_file(file, SIZE - 4096, "_FVH");
    refused(file, blank, EINVAL, EX_BAD_INPUT);
    write_file(file, SIZE, "ABCD");
    refused(file, blank, EINVAL, EX_BAD_INPUT);
    assert_int_equal(byte_of(file, 0x28), 'A');
    snprintf(folder, sizeof(folder), "%s/folder", dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    refused(folder, blank, EINVAL, EX_BAD_INPUT);
    refused(NULL, "/nonexistent/vars", ENOENT, EX_MISSING);
}

static void a_folder_that_goes_away_is_told(void **state)
{
    struct varstore *v;
    char gone[72], inside[80];
    bool ok = true;

    (void)state;
    snprintf(gone, sizeof(gone), "%s/gone", dir);
    snprintf(inside, sizeof(inside), "%s/v", gone);
    assert_int_equal(mkdir(gone, 0700), 0);
    v = open_store(inside);
    snprintf(inside, sizeof(inside), "%s/v.lock", gone);
    assert_int_equal(unlink(inside), 0);
    assert_int_equal(rmdir(gone), 0);
    for (unsigned i = 0; i < 100 && ok; i++) { /* its thread is soon there */
        ok = varstore_write(v, 0, (const uint8_t *)"\1", 1);
        usleep(20000);
    }
    assert_false(ok);
    varstore_close(v);
}

static void the_usual_place_is_by_name(void **state)
{
    struct err e = {0};
    char *path;

    (void)state;
    setenv("XDG_STATE_HOME", dir, 1);
    assert_int_equal(varstore_default("web", true, &path, &e), 0);
    assert_int_equal(strncmp(path, dir, strlen(dir)), 0);
    assert_string_equal(path + strlen(dir), "/hospes/web.nvram");
    varstore_close(open_store(path));
    free(path);
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", "/srv/somebody", 1);
    assert_int_equal(varstore_default("web", false, &path, &e), 0);
    assert_string_equal(path, "/srv/somebody/.local/state/hospes/web.nvram");
    free(path);
}

int main(void)
{
#define STORE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE(what_is_written_is_found_again),
        STORE(nothing_written_makes_no_file),
        STORE(without_a_file_it_is_forgotten),
        STORE(a_link_stays_and_the_mode_too),
        STORE(one_machine_has_it),
        STORE(other_files_are_refused_and_kept),
        STORE(a_folder_that_goes_away_is_told),
        STORE(the_usual_place_is_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
