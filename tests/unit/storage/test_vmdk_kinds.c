/* SPDX-License-Identifier: Apache-2.0 */
/* test_vmdk_kinds.c - streams, alone and in archives, and ESX's snapshots. */
#include "tarball.h"
#include "vmdk_kit.h"

/* --- streams --- */

static void copy_to_stream(const char *from, const char *to)
{
    struct disk_cfg c = {.path = to, .format = "vmdk"};
    struct copy_cfg cc = {.compress = true, .blank = true};
    struct disk *src = must_open(from, true), *dst;
    struct err e = {0};

    make(to, src->shape.bytes, "subformat=streamOptimized", NULL);
    assert_int_equal(disk_open(&c, NULL, &dst, &e), 0);
    assert_true(dst->pack_only);
    assert_int_equal(image_copy(src, dst, &cc, &e), 0);
    assert_int_equal(disk_flush(dst), 0);
    disk_close(dst);
    disk_close(src);
}

/* A disk with grains that compress and grains that do not, in three tables. */
static void make_varied(const char *path)
{
    struct disk *d;

    make(path, 3 * 32 * MiB - 512, "", NULL);
    d = must_open(path, false);
    srand(4);
    for (uint32_t i = 0; i < 1500; i += 97) {
        for (size_t k = 0; k < GRAIN; k++)
            want[k] = i % 2 ? (uint8_t)rand() : (uint8_t)(k / 100 + i);
        assert_int_equal(disk_write(d, (uint64_t)i * GRAIN, want, GRAIN), 0);
    }
    disk_close(d);
}

static void same(const char *a, const char *b)
{
    struct disk *x = must_open(a, true), *y = must_open(b, true);
    struct progress quiet = {0};
    uint64_t differs = 0;
    struct err e;

    assert_int_equal(image_compare(x, y, &quiet, &differs, &e), 0);
    assert_int_equal(differs, UINT64_MAX);
    disk_close(x);
    disk_close(y);
}

static void a_stream_holds_what_was_copied(void **state)
{
    const char *from = scratch_path("from.vmdk"), *to = scratch_path("stream.vmdk");
    struct sparse_extent_header h;
    char cmd[600];

    (void)state;
    make_varied(from);
    copy_to_stream(from, to);
    h = header(to);
    assert_int_equal(le32_get(h.version), 3);
    assert_int_equal(le64_get(h.gdOffset), GD_AT_END);
    assert_int_equal(le32_get(h.flags), 0x30001);
    same(from, to);
    assert_int_equal(check(to, false).errors, 0);
    refused(to, false, "written once");
    snprintf(cmd, sizeof(cmd), "qemu-img compare -q -f vmdk -F vmdk %s %s", from, to);
    if (system("command -v qemu-img >/dev/null 2>&1") == 0)
        assert_int_equal(system(cmd), 0);
}

static void an_empty_stream_is_a_disk_of_zeroes(void **state)
{
    const char *path = scratch_path("empty.vmdk");
    struct disk *d;

    (void)state;
    make(path, BYTES, "subformat=streamOptimized", NULL);
    d = must_open(path, true);
    filled(d, 3, 0);
    disk_close(d);
    disk_close(must_open(path, false)); /* to be filled */
    assert_int_equal(check(path, false).errors, 0);
}

static void a_stream_without_its_end_is_mended(void **state)
{
    const char *from = scratch_path("from.vmdk"), *to = scratch_path("cut.vmdk");
    struct stat st;
    struct disk *d;

    (void)state;
    make_varied(from);
    copy_to_stream(from, to);
    assert_int_equal(stat(to, &st), 0);
    /* Footer and end are missing: the directory's marker says that all grains came. */
    assert_int_equal(truncate(to, st.st_size - 1536), 0);
    same(from, to);
    assert_int_equal(check(to, false).errors, 1);
    mended(to);
    same(from, to);
    /* Cut off in the middle: only after a repair is that a disk. */
    assert_int_equal(truncate(to, st.st_size / 2), 0);
    refused(to, true, "cut off");
    mended(to);
    d = must_open(to, true);
    assert_int_equal(disk_read(d, 0, buf, GRAIN), 0);
    assert_int_equal(buf[100], 1);
    disk_close(d);
}

/* Its header leaves no room for grains, so nothing may be written over header and descriptor. */
static void a_stream_without_a_place_for_grains_is_left_alone(void **state)
{
    static const uint64_t heads[] = {0, 1, UINT64_C(1) << 60};
    const char *path = scratch_path("headless.vmdk");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        uint8_t before[4096], after[4096], v[8];
        struct stat st;

        make(path, BYTES, "subformat=streamOptimized", NULL);
        assert_int_equal(stat(path, &st), 0);
        le64_put(v, heads[i]);
        poke(path, 64, v, 8); /* overHead */
        refused(path, false, "does not fit a stream");
        assert_int_equal(truncate(path, st.st_size - 1536), 0);
        peek(path, 0, before, sizeof(before));
        assert_int_equal(check(path, true).errors, 1);
        peek(path, 0, after, sizeof(after));
        assert_memory_equal(before, after, sizeof(after));
    }
}

static void a_damaged_grain_is_an_error_and_not_zeroes(void **state)
{
    const char *from = scratch_path("from.vmdk"), *to = scratch_path("bits.vmdk");
    struct disk *d;

    (void)state;
    make_varied(from);
    copy_to_stream(from, to);
    poke(to, 128 * 512 + 40, "damage", 6); /* in the first grain */
    d = must_open(to, true);
    assert_int_equal(disk_read(d, 0, buf, GRAIN), -EIO);
    disk_close(d);
    assert_int_equal(check(to, false).errors, 1);
}

static int put_plain(struct disk *d, uint32_t grain)
{
    struct packed x = {.off = (uint64_t)grain * GRAIN, .plain = buf};

    return d->format->put(d, &x, 1);
}

static void a_stream_takes_grains_in_order(void **state)
{
    const char *path = scratch_path("order.vmdk");
    struct disk *d;

    (void)state;
    make(path, BYTES, "subformat=streamOptimized", NULL);
    d = must_open(path, false);
    memset(buf, 3, GRAIN);
    assert_int_equal(put_plain(d, 5), 0);
    assert_int_equal(disk_flush(d), 0);
    assert_int_equal(put_plain(d, 4), -EINVAL);
    assert_int_equal(disk_write(d, 0, buf, 512), -EROFS);
    memset(buf, 4, GRAIN);
    assert_int_equal(put_plain(d, 600), 0); /* over the trailer */
    disk_close(d);
    d = must_open(path, true);
    filled(d, 4, 0);
    filled(d, 5, 3);
    filled(d, 600, 4);
    disk_close(d);
    assert_int_equal(check(path, false).errors, 0);
}

/* --- ESX's snapshots --- */

static void cowd_snapshots_are_read(void **state)
{
    struct cowd_header h = {
        .magicNumber = le32_of(COWD_MAGIC),
        .version = le32_of(1),
        .flags = le32_of(3),
        .numSectors = le32_of(8192),
        .grainSize = le32_of(1),
        .gdOffset = le32_of(4),
        .numGDEntries = le32_of(2),
        .freeSector = le32_of(6 + 32 + 2),
    };
    static uint8_t file[(6 + 32 + 2) * 512];
    struct disk *d;

    (void)state;
    memset(file, 0, sizeof(file));
    memcpy(file, &h, sizeof(h));
    le32_put(file + 4 * 512, 6);              /* the first table; the second is missing */
    le32_put(file + 6 * 512 + 3 * 4, 6 + 32); /* sector 3 */
    le32_put(file + 6 * 512 + 9 * 4, 6 + 33); /* sector 9 */
    memset(file + (6 + 32) * 512, 0xa3, 512);
    memset(file + (6 + 33) * 512, 0xa9, 512);
    write_file("s-delta.vmdk", file, sizeof(file));
    scratch_fill(scratch_path("base-flat.vmdk"), 8192 * 512, 1);
    write_text("base.vmdk", "RW 8192 VMFS \"base-flat.vmdk\"");
    write_text("s.vmdk", "parentCID=12345678\nparentFileNameHint=\"base.vmdk\"\n"
                         "RW 8192 VMFSSPARSE \"s-delta.vmdk\"");
    d = must_open(scratch_path("s.vmdk"), true);
    assert_int_equal(disk_read(d, 0, buf, 16 * 512), 0);
    assert_int_equal(buf[2 * 512], 1);
    assert_int_equal(buf[3 * 512], 0xa3);
    assert_int_equal(buf[4 * 512], 1);
    assert_int_equal(buf[9 * 512 + 511], 0xa9);
    assert_int_equal(disk_read(d, 8191 * 512, buf, 512), 0);
    assert_int_equal(buf[0], 1);
    disk_close(d);
    refused(scratch_path("s.vmdk"), false, "can only be read");
    d = must_open(scratch_path("s-delta.vmdk"), true); /* alone */
    assert_int_equal(disk_read(d, 3 * 512, buf, 512), 0);
    assert_int_equal(buf[0], 0xa3);
    disk_close(d);
    le32_put(file + 4 * 512 + 4, 7); /* inside the first table */
    write_file("s-delta.vmdk", file, sizeof(file));
    refused(scratch_path("s.vmdk"), true, "same place");
}

static void sesparse_snapshots_are_read(void **state)
{
    enum { GD = 16, GT = 24, GRAINS = 24 + 2 * 64, END = GRAINS + 3 * 8 };
    struct sesparse_const_header h = {
        .magic = le64_of(SESPARSE_CONST_MAGIC),
        .version = le64_of(SESPARSE_VERSION),
        .capacity = le64_of(3 * 32768),
        .grain_size = le64_of(8),
        .grain_table_size = le64_of(64),
        .volatile_header_offset = le64_of(1),
        .volatile_header_size = le64_of(1),
        .grain_dir_offset = le64_of(GD),
        .grain_dir_size = le64_of(8),
        .grain_tables_offset = le64_of(GT),
        .grain_tables_size = le64_of(128),
        .grains_offset = le64_of(GRAINS),
    };
    struct sesparse_volatile_header vh = {.magic = le64_of(SESPARSE_VOLATILE_MAGIC)};
    static uint8_t file[END * 512];
    struct disk *d;

    (void)state;
    memset(file, 0, sizeof(file));
    memcpy(file, &h, sizeof(h));
    memcpy(file + 512, &vh, sizeof(vh));
    le64_put(file + GD * 512, SESPARSE_GD_PRESENT);
    le64_put(file + GD * 512 + 16, SESPARSE_GD_PRESENT | 1);
    le64_put(file + GT * 512 + 8 * 2, SESPARSE_GTE_ALLOCATED | UINT64_C(1) << 48);
    le64_put(file + GT * 512 + 8 * 3, SESPARSE_GTE_ALLOCATED | UINT64_C(2) << 48);
    le64_put(file + GT * 512 + 8 * 4, SESPARSE_GTE_ZERO);
    le64_put(file + (GT + 64) * 512, SESPARSE_GTE_ALLOCATED);
    for (int i = 0; i < 3; i++)
        memset(file + (GRAINS + i * 8) * 512, 0xb0 + i, 4096);
    write_file("se-sesparse.vmdk", file, sizeof(file));
    scratch_fill(scratch_path("se-flat.vmdk"), 3 * 32768 * 512, 1);
    write_text("se-base.vmdk", "RW 98304 VMFS \"se-flat.vmdk\"");
    write_text("se.vmdk", "parentCID=12345678\nparentFileNameHint=\"se-base.vmdk\"\n"
                          "RW 98304 SESPARSE \"se-sesparse.vmdk\"");
    d = must_open(scratch_path("se.vmdk"), true);
    assert_int_equal(disk_read(d, 0, buf, 6 * 4096), 0);
    assert_int_equal(buf[4096], 1);
    assert_int_equal(buf[2 * 4096], 0xb1);
    assert_int_equal(buf[4 * 4096 - 1], 0xb2);
    assert_int_equal(buf[4 * 4096], 0);
    assert_int_equal(buf[5 * 4096], 1);
    assert_int_equal(disk_read(d, 2 * 4096 * 4096, buf, 8192), 0);
    assert_int_equal(buf[0], 0xb0);
    assert_int_equal(buf[4096], 1);
    disk_close(d);
    refused(scratch_path("se.vmdk"), false, "can only be read");
    vh.replay_journal = le64_of(1);
    memcpy(file + 512, &vh, sizeof(vh));
    write_file("se-sesparse.vmdk", file, sizeof(file));
    refused(scratch_path("se.vmdk"), true, "journal");
}

/* --- archives --- */

static void a_stream_in_an_ova_is_read_in_its_place(void **state)
{
    const char *from = scratch_path("from.vmdk"), *to = scratch_path("ova.vmdk");
    const char *ova = scratch_path("m.ova");
    FILE *f = fopen(ova, "w");
    struct stat st;
    uint8_t *all;

    (void)state;
    make_varied(from);
    copy_to_stream(from, to);
    assert_int_equal(stat(to, &st), 0);
    all = malloc((size_t)st.st_size);
    peek(to, 0, all, (size_t)st.st_size);
    tarball_add(f, "m.ovf", TAR_FILE, "<x/>", 4);
    tarball_add(f, "m-disk1.vmdk", TAR_FILE, all, (size_t)st.st_size);
    tarball_add(f, "m.mf", TAR_FILE, "", 0);
    tarball_end(f);
    free(all);
    same(from, scratch_path("m.ova:m-disk1.vmdk"));
    same(from, scratch_path("m.ova"));
    assert_int_equal(check(scratch_path("m.ova:m-disk1.vmdk"), false).errors, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_holds_what_was_copied),
        cmocka_unit_test(an_empty_stream_is_a_disk_of_zeroes),
        cmocka_unit_test(a_stream_without_its_end_is_mended),
        cmocka_unit_test(a_stream_without_a_place_for_grains_is_left_alone),
        cmocka_unit_test(a_damaged_grain_is_an_error_and_not_zeroes),
        cmocka_unit_test(a_stream_takes_grains_in_order),
        cmocka_unit_test(cowd_snapshots_are_read),
        cmocka_unit_test(sesparse_snapshots_are_read),
        cmocka_unit_test(a_stream_in_an_ova_is_read_in_its_place),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
