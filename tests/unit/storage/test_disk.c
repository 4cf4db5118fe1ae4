/* SPDX-License-Identifier: Apache-2.0 */
/* Host files as disks: both back ends, bad files, locks, faults. */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/file.h"
#include "storage/filter/filter.h"
#include "storage/lock.h"

static struct loop *loop;

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

static struct disk *open_raw(const char *path, bool threads)
{
    struct disk_cfg c = {.path = path, .format = "raw", .threads = threads};
    struct disk *d;
    struct err e;

    assert_int_equal(disk_open(&c, loop, &d, &e), 0);
    return d;
}

static void round_trip(struct disk *d)
{
    uint8_t out[8192], in[8192];

    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(scratch_run(d, DISK_WRITE, 4096, out, sizeof(out)), 0);
    assert_int_equal(scratch_run(d, DISK_READ, 4096, in, sizeof(in)), 0);
    assert_memory_equal(out, in, sizeof(in));
    assert_int_equal(scratch_run(d, DISK_ZERO, 4608, NULL, 512), 0);
    assert_int_equal(scratch_run(d, DISK_FLUSH, 0, NULL, 0), 0);
    assert_int_equal(scratch_run(d, DISK_READ, 4096, in, sizeof(in)), 0);
    memset(out + 512, 0, 512);
    assert_memory_equal(out, in, sizeof(in));
    assert_int_equal(scratch_run(d, DISK_TRIM, 8192, NULL, 4096), 0);
    assert_int_equal(scratch_run(d, DISK_READ, 8192, in, 4096), 0);
    assert_int_equal(in[0], 0);
    assert_int_equal(d->stats.ops[DISK_READ], 3);
    assert_int_equal(d->stats.bytes[DISK_WRITE], 8192);
}

static void both_back_ends_read_what_they_wrote(void **state)
{
    (void)state;
    for (int threads = 0; threads < 2; threads++) {
        struct disk *d;

        scratch_fill(scratch_path("a"), 65536, 0xaa);
        d = open_raw(scratch_path("a"), threads);
        round_trip(d);
        disk_close(d);
    }
}

static void many_at_once_end_once_each(void **state)
{
    enum { N = 400 }; /* more than a ring holds */
    static struct scratch_io io[N];
    static uint8_t buf[N][512];
    struct disk *d;

    (void)state;
    scratch_fill(scratch_path("a"), N * 512, 0x11);
    for (int threads = 0; threads < 2; threads++) {
        d = open_raw(scratch_path("a"), threads);
        for (int i = 0; i < N; i++)
            scratch_start(d, &io[i], DISK_READ, (uint64_t)i * 512, buf[i], 512);
        for (int i = 0; i < N; i++) {
            assert_int_equal(scratch_wait(loop, &io[i]), 0);
            assert_int_equal(buf[i][511], 0x11);
        }
        assert_int_equal(d->inflight, 0);
        disk_close(d);
    }
}

static void bad_requests_are_refused_late(void **state)
{
    uint8_t b[512];
    struct disk *d;

    (void)state;
    scratch_fill(scratch_path("a"), 1000, 1); /* rounded up to 1024 */
    d = open_raw(scratch_path("a"), false);
    assert_int_equal(d->shape.bytes, 1024);
    assert_int_equal(scratch_run(d, DISK_READ, 1024, b, 512), -EINVAL);
    assert_int_equal(scratch_run(d, DISK_READ, UINT64_MAX - 511, b, 512), -EINVAL);
    assert_int_equal(scratch_run(d, DISK_READ, 1, b, 512), -EINVAL);
    assert_int_equal(scratch_run(d, DISK_READ, 512, b, 512), 0);
    assert_int_equal(b[0], 1);
    assert_int_equal(b[511], 0); /* past the end of the file */
    d->shape.readonly = true;
    assert_int_equal(scratch_run(d, DISK_WRITE, 0, b, 512), -EROFS);
    disk_close(d);
}

static void try_answers_from_the_page_cache(void **state)
{
    uint8_t b[4096];
    struct iovec iov = {b, sizeof(b)};
    struct disk_req r = {.op = DISK_READ, .len = sizeof(b), .iov = &iov, .iovcnt = 1};
    struct disk *d;

    (void)state;
    scratch_fill(scratch_path("a"), 65536, 0x5a);
    d = open_raw(scratch_path("a"), false);
    assert_int_equal(disk_try(d, &r), 0);
    assert_int_equal(b[4095], 0x5a);
    r.off = 65536;
    assert_int_equal(disk_try(d, &r), -EINVAL);
    disk_close(d);
}

static void bad_files_have_their_sentence(void **state)
{
    struct disk_cfg c = {.path = scratch_path("none")};
    struct disk *d = NULL;
    struct err e;

    (void)state;
    assert_int_equal(disk_open(&c, loop, &d, &e), -ENOENT);
    assert_int_equal(e.exit, EX_MISSING);
    c.path = scratch_dir;
    assert_int_equal(disk_open(&c, loop, &d, &e), -EINVAL);
    assert_int_equal(e.exit, EX_BAD_INPUT);
    assert_non_null(strstr(e.msg, "is a directory"));
    c.path = scratch_path("fifo");
    assert_int_equal(mkfifo(c.path, 0600), 0);
    assert_int_equal(disk_open(&c, loop, &d, &e), -EINVAL);
    c.path = scratch_path("empty");
    scratch_fill(c.path, 0, 0);
    assert_int_equal(disk_open(&c, loop, &d, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "empty"));
    c.format = "rwa";
    c.path = scratch_path("a");
    scratch_fill(c.path, 4096, 0);
    assert_int_equal(disk_open(&c, loop, &d, &e), -EINVAL);
    assert_int_equal(e.exit, EX_USAGE_);
    assert_null(d);
}

/* In another process, until the pipe ends. */
static void hold_lock(const char *path, int ready, int until)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct err e;
    char byte;

    if (lock_take(fd, true, path, &e) == 0 && write(ready, "", 1) == 1)
        (void)!read(until, &byte, 1);
    _exit(0);
}

static void a_writer_is_named_by_its_pid(void **state)
{
    const char *path = scratch_path("a");
    struct disk_cfg c = {.path = path, .format = "raw"};
    int ready[2], until[2];
    struct disk *d;
    struct err e;
    char pid[32], byte;
    pid_t holder;

    (void)state;
    scratch_fill(path, 4096, 0);
    assert_int_equal(pipe(ready) + pipe(until), 0);
    holder = fork();
    if (holder == 0) {
        close(until[1]);
        hold_lock(path, ready[1], until[0]);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(disk_open(&c, loop, &d, &e), -EBUSY);
    assert_int_equal(e.exit, EX_IN_USE);
    snprintf(pid, sizeof(pid), "process %d:", (int)holder);
    assert_non_null(strstr(e.msg, pid));
    assert_non_null(strstr(e.msg, "option -U of 'hospes image convert'"));
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(until[i]);
    }
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

static void a_writer_excludes_others(void **state)
{
    const char *path = scratch_path("a");
    struct disk_cfg c = {.path = path, .format = "raw"};
    struct disk *d, *d2;
    struct err e;

    (void)state;
    scratch_fill(path, 4096, 0);
    d = open_raw(path, false);
    assert_int_equal(disk_open(&c, loop, &d2, &e), -EBUSY);
    assert_int_equal(e.exit, EX_IN_USE);
    assert_non_null(strstr(e.msg, "open here already")); /* somebody gave it twice */
    c.snapshot = true;                                   /* would read below a writer */
    assert_int_equal(disk_open(&c, loop, &d2, &e), -EBUSY);
    c.no_lock = true;
    assert_int_equal(disk_open(&c, loop, &d2, &e), 0);
    disk_close(d2);
    disk_close(d);
    c = (struct disk_cfg){.path = path, .format = "raw", .readonly = true};
    assert_int_equal(disk_open(&c, loop, &d, &e), 0);
    assert_int_equal(disk_open(&c, loop, &d2, &e), 0); /* readers share */
    disk_close(d);
    disk_close(d2);
}

static void qemu_img_respects_our_lock(void **state)
{
    char cmd[256];
    struct disk *d;

    (void)state;
    if (system("command -v qemu-img >/dev/null 2>&1"))
        skip();
    scratch_fill(scratch_path("a"), 65536, 0);
    d = open_raw(scratch_path("a"), false);
    snprintf(cmd, sizeof(cmd), "qemu-img resize -q -f raw %s 128K >/dev/null 2>&1",
             scratch_path("a"));
    assert_int_not_equal(system(cmd), 0);
    disk_close(d);
    assert_int_equal(system(cmd), 0);
    d = open_raw(scratch_path("a"), false);
    assert_int_equal(d->shape.bytes, 131072);
    disk_close(d);
}

static void the_nth_request_fails_and_only_that(void **state)
{
    struct error_rule rule = {.op = DISK_WRITE, .skip = 2, .count = 1, .code = EIO};
    uint8_t b[512] = {0};
    struct disk *d, *f;
    struct err e;

    (void)state;
    scratch_fill(scratch_path("a"), 4096, 0);
    d = open_raw(scratch_path("a"), false);
    assert_int_equal(error_create(d, &rule, loop, &f, &e), 0);
    assert_int_equal(scratch_run(f, DISK_WRITE, 0, b, 512), 0);
    assert_int_equal(disk_write(f, 0, b, 512), 0);
    assert_int_equal(scratch_run(f, DISK_READ, 0, b, 512), 0);
    assert_int_equal(scratch_run(f, DISK_WRITE, 0, b, 512), -EIO);
    assert_int_equal(scratch_run(f, DISK_WRITE, 0, b, 512), 0);
    assert_int_equal(f->stats.errors, 1);
    disk_close(f);
}

static void delay_and_rate_hold_requests(void **state)
{
    uint8_t b[512];
    struct disk *d, *f;
    struct scratch_io io;
    struct loop *fake;
    struct err e;

    (void)state;
    scratch_fill(scratch_path("a"), 4096, 0);
    assert_int_equal(loop_create_fake(&fake, &e), 0);
    struct disk_cfg c = {.path = scratch_path("a"), .format = "raw"};
    assert_int_equal(disk_open(&c, fake, &d, &e), 0);
    assert_int_equal(delay_create(d, 1000, fake, &f, &e), 0);
    scratch_start(f, &io, DISK_READ, 0, b, 512);
    loop_advance(fake, 999);
    assert_int_equal(loop_step(fake, 0), 0);
    loop_advance(fake, 1);
    assert_int_equal(scratch_wait(fake, &io), 0);
    disk_close(f);
    loop_destroy(fake);
}

static void a_file_below_a_format_grows(void **state)
{
    struct file_cfg c = {.path = scratch_path("new"), .create = true};
    struct disk *d;
    struct err e;
    uint8_t b[16];

    (void)state;
    assert_int_equal(file_open(&c, loop, &d, &e), 0);
    assert_int_equal(disk_write(d, 100, "hello", 5), 0);
    assert_int_equal(d->shape.bytes, 105);
    assert_int_equal(disk_zero(d, 105, 895, true), 0);
    assert_int_equal(d->shape.bytes, 1000);
    memset(b, 1, sizeof(b));
    assert_int_equal(disk_read(d, 992, b, 16), 0);
    assert_int_equal(b[15], 0);
    assert_int_equal(scratch_run(d, DISK_WRITE, 5000, b, 16), 0);
    assert_int_equal(d->shape.bytes, 5016);
    disk_close(d);
    assert_int_equal(file_open(&c, loop, &d, &e), -EEXIST);
}

static void the_mark_of_our_own_images_is_kept(void **state)
{
    const char *path = scratch_path("a");

    (void)state;
    scratch_fill(path, 4096, 0);
    assert_false(disk_made_by_hospes(path));
    disk_mark_made(path);
    assert_true(disk_made_by_hospes(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_back_ends_read_what_they_wrote),
        cmocka_unit_test(many_at_once_end_once_each),
        cmocka_unit_test(bad_requests_are_refused_late),
        cmocka_unit_test(try_answers_from_the_page_cache),
        cmocka_unit_test(bad_files_have_their_sentence),
        cmocka_unit_test(a_writer_is_named_by_its_pid),
        cmocka_unit_test(a_writer_excludes_others),
        cmocka_unit_test(qemu_img_respects_our_lock),
        cmocka_unit_test(the_nth_request_fails_and_only_that),
        cmocka_unit_test(delay_and_rate_hold_requests),
        cmocka_unit_test(a_file_below_a_format_grows),
        cmocka_unit_test(the_mark_of_our_own_images_is_kept),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
