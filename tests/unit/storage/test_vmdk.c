/* SPDX-License-Identifier: Apache-2.0 */
/* test_vmdk.c - descriptors, hostile names, damage of sparse extents, sizes. */
#include "vmdk_kit.h"

/* --- descriptors --- */

static void a_custom_disk_is_a_row_of_extents(void **state)
{
    struct disk *d;

    (void)state;
    scratch_fill(scratch_path("two parts.bin"), 4096, 7);
    write_text("custom.vmdk",
               "  rw 3 flat \"two parts.bin\" 0\r\nRDONLY 2 FLAT \"two parts.bin\" 4\n"
               "NOACCESS 4 ZERO\nRW 3 ZERO");
    d = must_open(scratch_path("custom.vmdk"), false);
    assert_int_equal(d->shape.bytes, 12 * 512);
    memset(buf, 1, 512);
    assert_int_equal(disk_write(d, 1024, buf, 512), 0);
    assert_int_equal(disk_read(d, 0, buf, d->shape.bytes), 0);
    assert_int_equal(buf[1023], 7);
    assert_int_equal(buf[1024], 1);
    assert_int_equal(buf[1536], 7);
    assert_int_equal(buf[5 * 512 - 1], 7);
    assert_true(all_zero(buf + 5 * 512, 7 * 512));
    assert_int_equal(disk_write(d, 3 * 512, buf, 512), -EROFS);
    assert_int_equal(disk_write(d, 6 * 512, buf, 512), -EROFS);
    assert_int_equal(disk_zero(d, 6 * 512, 512, true), 0);
    disk_close(d);
}

static void names_come_in_the_encoding_that_is_said(void **state)
{
    static const char gbk[] = "# Disk DescriptorFile\nversion=1\nencoding=\"GBK\"\nCID=1\n"
                              "parentCID=ffffffff\nRW 8 FLAT \"\xb4\xc5\xc5\xcc.bin\" 0\n";

    (void)state;
    scratch_fill(scratch_path("\xe7\xa3\x81\xe7\x9b\x98.bin"), 4096, 3);
    write_file("gbk.vmdk", gbk, sizeof(gbk) - 1);
    disk_close(must_open(scratch_path("gbk.vmdk"), true));
    unlink(scratch_path("\xe7\xa3\x81\xe7\x9b\x98.bin"));
    scratch_fill(scratch_path("\xb4\xc5\xc5\xcc.bin"), 4096, 3); /* or as bytes */
    disk_close(must_open(scratch_path("gbk.vmdk"), true));
}

static void no_name_leads_out_of_the_directory(void **state)
{
    static const char *const extents[] = {
        "RW 8 FLAT \"/etc/passwd\" 0", "RW 8 FLAT \"../x\" 0",    "RW 8 FLAT \"link\" 0",
        "RW 8 FLAT \"/dev/zero\" 0",   "RW 8 FLAT \"..\\\\x\" 0",
    };

    (void)state;
    assert_int_equal(symlink("/etc/passwd", scratch_path("link")), 0);
    for (size_t i = 0; i < ARRAY_SIZE(extents); i++) {
        write_text("evil.vmdk", extents[i]);
        refused(scratch_path("evil.vmdk"), true, "outside its own directory");
    }
    write_text("evil.vmdk", "RW 8 VMFSRDM \"x-rdm.vmdk\"");
    refused(scratch_path("evil.vmdk"), true, "raw device");
}

/* Describing opens nothing but the image itself. */
static void describing_follows_no_name(void **state)
{
    struct disk_cfg c = {.path = NULL, .readonly = true, .no_chain = true};
    struct facts f = {0};
    struct disk *d;
    struct err e;

    (void)state;
    write_text("info.vmdk", "RW 64 SPARSE \"is-not-there.vmdk\"\nRW 64 FLAT \"/dev/zero\" 0");
    c.path = scratch_path("info.vmdk");
    assert_int_equal(disk_open(&c, NULL, &d, &e), 0);
    assert_int_equal(d->shape.bytes, 128 * 512);
    assert_int_equal(disk_read(d, 0, buf, 512), -ENODATA);
    d->format->facts(d, &f);
    assert_true(f.n > 3);
    facts_free(&f);
    disk_close(d);
}

static void bad_descriptors_are_refused_with_the_line(void **state)
{
    static const char *const extents[] = {
        "RW 0 FLAT \"a\" 0",  "RW x FLAT \"a\" 0", "RW 8 WHAT \"a\" 0",
        "RW 8 FLAT",          "RW 8 FLAT \"a",     "RW 18446744073709551615 FLAT \"a\" 0",
        "RW 8 FLAT \"a\" -1", "CID=xyz",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(extents); i++) {
        write_text("bad.vmdk", extents[i]);
        refused(scratch_path("bad.vmdk"), true, "in line 6");
    }
    write_text("bad.vmdk", "");
    refused(scratch_path("bad.vmdk"), true, "no extents");
    write_text("bad.vmdk", "RW 9223372036854775 ZERO\nRW 9223372036854775 ZERO\n"
                           "RW 18014398509481983 ZERO");
    refused(scratch_path("bad.vmdk"), true, "longer than any disk");
}

static void a_descriptor_has_only_so_many_extents(void **state)
{
    FILE *f = fopen(scratch_path("many.vmdk"), "w");

    (void)state;
    fprintf(f, "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n");
    for (int i = 0; i < 8193; i++)
        fprintf(f, "RW 1 ZERO\n");
    fclose(f);
    refused(scratch_path("many.vmdk"), true, "too many extents");
}

/* --- sparse extents --- */

static void a_reader_changes_no_byte_and_a_writer_the_content_id(void **state)
{
    const char *path = scratch_path("cid.vmdk");
    uint8_t before[GRAIN], after[GRAIN];
    struct disk *d;

    (void)state;
    make(path, BYTES, "", NULL);
    d = must_open(path, false);
    fill(d, 3, 9);
    disk_close(d);
    peek(path, 0, before, sizeof(before));
    d = must_open(path, true);
    filled(d, 3, 9);
    disk_close(d);
    disk_close(must_open(path, false)); /* without a change */
    peek(path, 0, after, sizeof(after));
    assert_memory_equal(before, after, sizeof(before));
    d = must_open(path, false);
    assert_int_equal(header(path).uncleanShutdown, 0);
    fill(d, 4, 9);
    assert_int_equal(header(path).uncleanShutdown, 1);
    disk_close(d);
    assert_int_equal(header(path).uncleanShutdown, 0);
    peek(path, 0, after, sizeof(after));
    assert_memory_not_equal(before, after, sizeof(before));
}

static void a_changed_parent_is_noticed(void **state)
{
    const char *below = scratch_path("below.vmdk"), *child = scratch_path("child.vmdk");
    struct disk *d;

    (void)state;
    make(below, BYTES, "", NULL);
    d = must_open(below, false);
    fill(d, 1, 5);
    disk_close(d);
    make_child(child, below, "below.vmdk");
    d = must_open(child, false);
    filled(d, 1, 5);
    fill(d, 2, 6);
    disk_close(d);
    d = must_open(child, true);
    filled(d, 2, 6);
    disk_close(d);
    d = must_open(below, false);
    fill(d, 7, 7);
    disk_close(d);
    refused(child, true, "written to after the snapshot");
}

/* As VMware on Windows writes the hint. */
static void a_parent_is_looked_for_beside_its_child(void **state)
{
    const char *below = scratch_path("wide.vmdk"), *child = scratch_path("narrow.vmdk");
    struct disk *d;

    (void)state;
    make(below, BYTES, "", NULL);
    d = must_open(below, false);
    fill(d, 1, 5);
    disk_close(d);
    make_child(child, below, "C:\\machines\\wide.vmdk");
    d = must_open(child, true);
    filled(d, 1, 5);
    disk_close(d);
}

/* As a power cut leaves it after other programs' writes: the pointer without the grain. */
static void an_entry_past_the_end_is_no_grain(void **state)
{
    const char *path = scratch_path("past.vmdk");
    uint64_t size;
    struct stat st;
    struct disk *d;

    (void)state;
    make(path, BYTES, "", NULL);
    d = must_open(path, false);
    fill(d, 3, 9);
    disk_close(d);
    assert_int_equal(stat(path, &st), 0);
    size = (uint64_t)st.st_size;
    set_gte(path, 5, (uint32_t)(size / 512));
    d = must_open(path, true);
    filled(d, 5, 0);
    disk_close(d);
    assert_int_equal(check(path, false).errors, 2); /* and the twin tables differ */
    d = must_open(path, false);
    assert_int_equal(get_gte(path, 5), 0); /* before anything else lies there */
    fill(d, 8, 1);
    filled(d, 5, 0);
    disk_close(d);
    assert_int_equal(get_gte(path, 8), size / 512);
    d = must_open(path, true);
    filled(d, 5, 0);
    filled(d, 3, 9);
    disk_close(d);
    assert_int_equal(check(path, false).errors, 0);
}

static void two_grains_in_one_place_are_taken_apart(void **state)
{
    const char *path = scratch_path("shared.vmdk");
    struct disk *d;

    (void)state;
    make(path, BYTES, "", NULL);
    d = must_open(path, false);
    fill(d, 3, 9);
    fill(d, 600, 8);
    disk_close(d);
    set_gte(path, 4, get_gte(path, 3));
    set_gte(path, 5, get_gte(path, 600) - 8); /* not even at its beginning */
    set_gte(path, 6, 0x100000);
    refused(path, false, "in the same place");
    d = must_open(path, true);
    filled(d, 4, 9);
    assert_int_equal(disk_read(d, 5 * GRAIN, want, GRAIN), 0);
    memcpy(buf, want, GRAIN);
    disk_close(d);
    mended(path);
    d = must_open(path, false);
    filled(d, 3, 9);
    filled(d, 4, 9);
    filled(d, 6, 0);
    filled(d, 600, 8);
    assert_int_equal(disk_read(d, 5 * GRAIN, buf, GRAIN), 0);
    assert_int_equal(buf[0], 9); /* the end of grain 3, then the start of grain 600 */
    assert_int_equal(buf[8 * 512], 8);
    fill(d, 4, 1);
    filled(d, 3, 9);
    disk_close(d);
}

static void a_grain_over_the_tables_gets_a_place_of_its_own(void **state)
{
    const char *path = scratch_path("over.vmdk");
    struct disk *d;

    (void)state;
    make(path, BYTES, "", NULL);
    d = must_open(path, false);
    fill(d, 3, 9);
    disk_close(d);
    set_gte(path, 4, (uint32_t)le64_get(header(path).gdOffset));
    refused(path, false, "in the same place");
    mended(path);
    d = must_open(path, false);
    filled(d, 3, 9);
    fill(d, 4, 4);
    disk_close(d);
    d = must_open(path, false);
    filled(d, 3, 9);
    filled(d, 4, 4);
    disk_close(d);
}

static void the_other_directory_helps(void **state)
{
    const char *path = scratch_path("twin.vmdk");
    uint8_t far[4] = {0xff, 0xff, 0xff, 0x7f};
    struct disk *d;

    (void)state;
    make(path, BYTES, "", NULL);
    d = must_open(path, false);
    fill(d, 3, 9);
    fill(d, 600, 8);
    disk_close(d);
    poke(path, le64_get(header(path).gdOffset) * 512 + 4, far, 4);
    d = must_open(path, true);
    filled(d, 600, 8);
    disk_close(d);
    refused(path, false, "past the end");
    mended(path);
    d = must_open(path, false);
    filled(d, 3, 9);
    filled(d, 600, 8);
    fill(d, 601, 7);
    disk_close(d);
    assert_int_equal(check(path, false).errors, 0);
    /* Two tables in one place. */
    make(path, BYTES, "", NULL);
    peek(path, le64_get(header(path).gdOffset) * 512, far, 4);
    poke(path, le64_get(header(path).gdOffset) * 512 + 4, far, 4);
    refused(path, true, "tables lie in the same place");
    mended(path);
    disk_close(must_open(path, false));
}

static void a_table_that_is_missing_is_made(void **state)
{
    static const uint8_t none[4];
    const char *path = scratch_path("lacks.vmdk");
    struct disk *d;

    (void)state;
    make(path, BYTES, "", NULL);
    poke(path, le64_get(header(path).gdOffset) * 512 + 4, none, 4);
    poke(path, le64_get(header(path).rgdOffset) * 512 + 4, none, 4);
    d = must_open(path, false);
    filled(d, 600, 0);
    fill(d, 600, 8);
    fill(d, 601, 7);
    assert_int_equal(disk_flush(d), 0);
    filled(d, 600, 8);
    disk_close(d);
    d = must_open(path, true);
    filled(d, 600, 8);
    filled(d, 601, 7);
    disk_close(d);
    assert_int_equal(check(path, false).errors, 0);
}

static void freed_grains_are_used_again_after_reopening(void **state)
{
    const char *path = scratch_path("reuse.vmdk");
    struct stat a, b;
    struct disk *d;

    (void)state;
    make(path, BYTES, "", NULL);
    d = must_open(path, false);
    for (uint32_t i = 0; i < 8; i++)
        fill(d, i, 1);
    disk_close(d);
    assert_int_equal(stat(path, &a), 0);
    d = must_open(path, false);
    assert_int_equal(disk_zero(d, 2 * GRAIN, 3 * GRAIN, true), 0);
    disk_close(d);
    d = must_open(path, false);
    for (uint32_t i = 100; i < 103; i++)
        fill(d, i, 2);
    filled(d, 3, 0);
    filled(d, 7, 1);
    disk_close(d);
    assert_int_equal(stat(path, &b), 0);
    assert_int_equal(a.st_size, b.st_size);
    assert_int_equal(check(path, false).errors, 0);
}

static void headers_that_cannot_be_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint64_t value;
        unsigned n;
        const char *why;
    } rows[] = {
        {4, 9, 4, "version 9"},       {20, 3, 8, "grain size"},      {20, 4, 8, "grain size"},
        {44, 0, 4, "grain tables"},   {44, 1024, 4, "grain tables"}, {12, 0, 8, "capacity"},
        {12, UINT64_MAX, 8, "capac"}, {12, 1ULL << 50, 8, "capac"},  {56, 0, 8, "directory"},
        {56, 1ULL << 40, 8, "direc"}, {73, 0, 1, "text mode"},       {28, 1ULL << 60, 8, "descri"},
    };
    const char *path = scratch_path("head.vmdk");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t v[8];

        make(path, BYTES, "", NULL);
        le64_put(v, rows[i].value);
        poke(path, rows[i].at, v, rows[i].n);
        refused(path, true, rows[i].why);
    }
}

/* Hundreds of thousands of tables in one place: told at once, and not followed one by one. */
static void a_small_file_cannot_tell_of_endless_tables(void **state)
{
    enum { TABLES = 200000, GD = 8 * 512 };
    static uint8_t file[GD + TABLES * 4 + 4096];
    struct sparse_extent_header h;
    const char *path = scratch_path("endless.vmdk");
    struct image_report rep;

    (void)state;
    make(path, BYTES, "", NULL);
    h = header(path);
    h.capacity = le64_of((uint64_t)TABLES * 512 * 8);
    h.grainSize = le64_of(8);
    h.descriptorOffset = h.descriptorSize = le64_of(0);
    h.flags = le32_of(SPARSE_NEWLINE_TEST);
    h.gdOffset = le64_of(8);
    memcpy(file, &h, sizeof(h));
    for (size_t i = 0; i < TABLES; i++)
        le32_put(file + GD + i * 4, 1000);
    write_file("endless.vmdk", file, sizeof(file));
    refused(path, true, "tables lie in the same place");
    rep = check(path, true);
    assert_int_equal(rep.errors, 1);
    assert_int_equal(rep.errors_fixed, 0);
}

/* --- size --- */

static void a_grown_disk_keeps_its_grains(void **state)
{
    static const char *const options[] = {"", "subformat=monolithicFlat", "subformat=vmfs"};
    const char *path = scratch_path("grow.vmdk");

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        struct err e = {0};
        struct disk *d;

        make(path, BYTES, options[i], NULL);
        d = must_open(path, false);
        fill(d, 3, 9);
        assert_int_equal(image_resize(d, 100 * (uint64_t)BYTES, &e), 0);
        fill(d, 60000, 8);
        disk_close(d);
        d = must_open(path, false);
        assert_int_equal(d->shape.bytes, 100 * (uint64_t)BYTES);
        filled(d, 3, 9);
        filled(d, 700, 0);
        filled(d, 60000, 8);
        fill(d, 50000, 7);
        disk_close(d);
        assert_int_equal(check(path, false).errors + check(path, false).leaks, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_custom_disk_is_a_row_of_extents),
        cmocka_unit_test(names_come_in_the_encoding_that_is_said),
        cmocka_unit_test(no_name_leads_out_of_the_directory),
        cmocka_unit_test(describing_follows_no_name),
        cmocka_unit_test(bad_descriptors_are_refused_with_the_line),
        cmocka_unit_test(a_descriptor_has_only_so_many_extents),
        cmocka_unit_test(a_reader_changes_no_byte_and_a_writer_the_content_id),
        cmocka_unit_test(a_changed_parent_is_noticed),
        cmocka_unit_test(a_parent_is_looked_for_beside_its_child),
        cmocka_unit_test(an_entry_past_the_end_is_no_grain),
        cmocka_unit_test(two_grains_in_one_place_are_taken_apart),
        cmocka_unit_test(a_grain_over_the_tables_gets_a_place_of_its_own),
        cmocka_unit_test(the_other_directory_helps),
        cmocka_unit_test(a_table_that_is_missing_is_made),
        cmocka_unit_test(freed_grains_are_used_again_after_reopening),
        cmocka_unit_test(headers_that_cannot_be_are_refused),
        cmocka_unit_test(a_small_file_cannot_tell_of_endless_tables),
        cmocka_unit_test(a_grown_disk_keeps_its_grains),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
