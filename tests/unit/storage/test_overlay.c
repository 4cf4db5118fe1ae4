/* SPDX-License-Identifier: Apache-2.0 */
/* The scratch overlay against a plain copy in memory: every path, and the file below untouched. */
#include "scratch.h"

#include <errno.h>

#include "storage/filter/filter.h"

enum { SIZE = 1 << 20, TAIL = 1536, BYTES = SIZE + TAIL };

static struct loop *loop;
static uint8_t model[BYTES];

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

static struct disk *open_snapshot(void)
{
    struct disk_cfg c = {.path = scratch_path("a"), .format = "raw", .snapshot = true};
    struct disk *d;
    struct err e;

    assert_int_equal(disk_open(&c, loop, &d, &e), 0);
    assert_false(d->shape.readonly);
    return d;
}

static void random_requests_match_a_copy(void **state)
{
    static uint8_t buf[BYTES];
    struct disk *d;

    (void)state;
    scratch_fill(scratch_path("a"), BYTES, 0x77);
    memset(model, 0x77, BYTES);
    d = open_snapshot();
    srand(1);
    for (int i = 0; i < 600; i++) {
        uint64_t off = (uint64_t)(rand() % (BYTES / 512)) * 512;
        size_t len = (size_t)min_u64(((uint64_t)(rand() % 40) + 1) * 512, BYTES - off);
        enum disk_op op = (enum disk_op)(rand() % 5);
        bool now = rand() % 2;

        if (op == DISK_WRITE) {
            memset(buf, i, len);
            memset(model + off, i, len);
        } else if (op == DISK_ZERO || op == DISK_TRIM) {
            memset(model + off, 0, len);
        }
        if (now && op == DISK_WRITE)
            assert_int_equal(disk_write(d, off, buf, len), 0);
        else if (now && op == DISK_READ)
            assert_int_equal(disk_read(d, off, buf, len), 0);
        else
            assert_int_equal(
                scratch_run(d, op, off, op == DISK_READ || op == DISK_WRITE ? buf : NULL, len), 0);
        if (op == DISK_READ)
            assert_memory_equal(buf, model + off, len);
    }
    assert_int_equal(disk_read(d, 0, buf, BYTES), 0);
    assert_memory_equal(buf, model, BYTES);
    disk_close(d);
}

static void concurrent_sectors_of_one_unit_all_survive(void **state)
{
    static uint8_t buf[64][512], back[64 * 512];
    struct scratch_io io[64];
    struct disk *d;

    (void)state;
    scratch_fill(scratch_path("a"), BYTES, 0x77);
    d = open_snapshot();
    for (unsigned i = 0; i < 64; i++) {
        memset(buf[i], (int)i, 512);
        scratch_start(d, &io[i], DISK_WRITE, i * 512, buf[i], 512);
    }
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(scratch_wait(loop, &io[i]), 0);
    assert_int_equal(disk_read(d, 0, back, sizeof(back)), 0);
    assert_memory_equal(back, buf, sizeof(back));
    disk_close(d);
}

static void the_file_below_is_never_written(void **state)
{
    uint8_t b[4096], *all = malloc(BYTES);
    struct disk *d;
    int fd;

    (void)state;
    scratch_fill(scratch_path("a"), BYTES, 0x77);
    d = open_snapshot();
    memset(b, 1, sizeof(b));
    assert_int_equal(scratch_run(d, DISK_WRITE, 0, b, sizeof(b)), 0);
    assert_int_equal(scratch_run(d, DISK_ZERO, 8192, NULL, 4096), 0);
    assert_int_equal(scratch_run(d, DISK_FLUSH, 0, NULL, 0), 0);
    disk_close(d);
    fd = open(scratch_path("a"), O_RDONLY);
    assert_int_equal(read(fd, all, BYTES), BYTES);
    for (size_t i = 0; i < BYTES; i++)
        assert_int_equal(all[i], 0x77);
    close(fd);
    free(all);
}

static int sum(void *arg, const struct extent *x)
{
    uint64_t *at = arg;

    assert_int_equal(x->off, at[0]);
    at[0] += x->len;
    at[1 + x->kind] += x->len;
    return 0;
}

static void extents_cover_without_gaps(void **state)
{
    uint64_t at[4] = {0};
    struct disk *d;

    (void)state;
    scratch_fill(scratch_path("a"), BYTES, 0x77);
    d = open_snapshot();
    assert_int_equal(scratch_run(d, DISK_ZERO, 65536, NULL, 65536), 0);
    assert_int_equal(disk_extents(d, 0, BYTES, sum, at), 0);
    assert_int_equal(at[0], BYTES);
    assert_int_equal(at[1 + EXTENT_ZERO], 65536);
    assert_int_equal(disk_extents(d, 0, BYTES + 1, sum, at), -EINVAL);
    disk_close(d);
}

static void a_failing_read_below_fails_the_partial_write(void **state)
{
    struct error_rule rule = {.op = DISK_READ, .code = EIO};
    struct disk_cfg c = {.path = scratch_path("a"), .format = "raw", .readonly = true};
    struct disk *d, *bad, *o;
    struct err e;
    uint8_t b[4096] = {0};

    (void)state;
    scratch_fill(scratch_path("a"), BYTES, 0x77);
    assert_int_equal(disk_open(&c, loop, &d, &e), 0);
    assert_int_equal(error_create(d, &rule, loop, &bad, &e), 0);
    assert_int_equal(overlay_create(bad, scratch_dir, loop, &o, &e), 0);
    assert_int_equal(scratch_run(o, DISK_WRITE, 512, b, 512), -EIO);
    assert_int_equal(scratch_run(o, DISK_WRITE, 4096, b, 4096), 0);
    assert_int_equal(scratch_run(o, DISK_READ, 4096, b, 4096), 0);
    disk_close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_requests_match_a_copy),
        cmocka_unit_test(concurrent_sectors_of_one_unit_all_survive),
        cmocka_unit_test(the_file_below_is_never_written),
        cmocka_unit_test(extents_cover_without_gaps),
        cmocka_unit_test(a_failing_read_below_fails_the_partial_write),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
