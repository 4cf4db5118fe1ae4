/* SPDX-License-Identifier: Apache-2.0 */
/* test_vhd.c - what VHD files of several makers have, and other formats have not. */
#define KIT_FORMAT "vhd"
#include "image_kit.h"

#include "storage/format/vhd.h"

/* Locators lie between the table and the first block. */
static void writing_to_a_child_keeps_the_names_of_its_parent(void **state)
{
    const char *parent = scratch_path("parent.vhd"), *child = scratch_path("child.vhd");
    uint8_t before[8192], after[8192];
    struct disk *d;
    uint64_t at;

    (void)state;
    make(parent, 16 * MiB, "", NULL);
    make(child, 16 * MiB, "", "parent.vhd");
    d = must_open(child, false);
    at = vhd_tables_end(map_of(d)->file, &container_of(map_of(d), struct vhd, m)->footer,
                        &container_of(map_of(d), struct vhd, m)->dyn);
    assert_true(at < sizeof(before));
    peek(child, 0, before, at);
    put(d, 0, 1);
    assert_int_equal(disk_flush(d), 0);
    peek(child, 0, after, at);
    assert_memory_equal(before + 2048, after + 2048, at - 2048); /* behind the table */
    disk_close(d);
}

static void a_parent_is_found_by_its_id_under_another_name(void **state)
{
    const char *parent = scratch_path("first.vhd"), *child = scratch_path("kid.vhd");
    struct disk *d;
    struct err e;

    (void)state;
    make(parent, 16 * MiB, "", NULL);
    d = must_open(parent, false);
    put(d, MiB, 4);
    disk_close(d);
    make(child, 16 * MiB, "", "first.vhd");
    assert_int_equal(rename(parent, scratch_path("renamed.avhd")), 0);
    make(scratch_path("first.vhd"), 16 * MiB, "", NULL); /* another one */
    d = must_open(child, false);
    holds(d, MiB, 4);
    disk_close(d);
    unlink(scratch_path("renamed.avhd"));
    assert_int_equal(try_open(child, true, &d, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "not the parent"));
}

/* XenServer's batmap lies right behind the table. */
static void a_batmap_is_not_written_over(void **state)
{
    const char *path = scratch_path("xen.vhd");
    uint8_t map[1024] = "tdbatmap", got[1024];
    struct vhd_footer f;
    struct disk *d;

    (void)state;
    make(path, 16 * MiB, "", NULL);
    be64_put(map + 8, 2048 + 512);
    be32_put(map + 16, 1);
    peek(path, 0, &f, 512);
    poke(path, 2048, map, sizeof(map));
    poke(path, 2048 + 1024, &f, 512);
    d = must_open(path, false);
    put(d, MiB, 7);
    disk_close(d);
    peek(path, 2048, got, sizeof(got));
    assert_memory_equal(got, map, sizeof(map));
    d = must_open(path, true);
    holds(d, MiB, 7);
    disk_close(d);
}

static void a_footer_of_511_bytes_counts(void **state)
{
    const char *path = scratch_path("old.vhd");
    struct disk *d;

    (void)state;
    make(path, 8 * MiB, "subformat=fixed", NULL);
    assert_int_equal(truncate(path, 8 * (off_t)MiB + 511), 0);
    d = must_open(path, true);
    assert_int_equal(d->shape.bytes, 8 * MiB);
    holds(d, 8 * MiB - 4096, 0);
    disk_close(d);
}

static void the_maker_says_which_size_counts(void **state)
{
    static const struct {
        const char *creator;
        bool by_geometry;
    } rows[] = {{"vbox", false}, {"win ", false}, {"tap", false}, {"qem2", false},
                {"d2v ", false}, {"vpc ", true},  {"qemu", true}};
    const char *path = scratch_path("made.vhd");

    (void)state;
    make(path, 40 * MiB, "", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vhd_footer f;
        struct disk *d;
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        peek(path, 0, &f, 512);
        memcpy(f.creator_application, rows[i].creator, 4);
        vhd_seal_footer(&f);
        poke(path, 0, &f, 512);
        poke(path, (uint64_t)st.st_size - 512, &f, 512);
        d = must_open(path, true); /* 963/5/17 */
        assert_int_equal(d->shape.bytes, rows[i].by_geometry ? 41909760 : 40 * MiB);
        disk_close(d);
    }
}

static void a_block_that_was_trimmed_is_no_longer_known_to_be_full(void **state)
{
    const char *path = scratch_path("full.vhd");
    struct disk *d;

    (void)state;
    make(path, 16 * MiB, "", NULL);
    d = must_open(path, false);
    for (int i = 1; i < 5; i++) {
        put(d, 2 * MiB, i);
        holds(d, 2 * MiB, i);
        put(d, 3 * MiB, i); /* in place */
        assert_int_equal(disk_zero(d, 2 * MiB, 2 * MiB, true), 0);
        holds(d, 2 * MiB, 0);
        holds(d, 3 * MiB, 0);
        assert_int_equal(disk_flush(d), 0);
    }
    disk_close(d);
}

/* Windows leaves some sectors before the footer of a new image. */
static void less_than_a_block_before_the_footer_is_not_lost(void **state)
{
    const char *path = scratch_path("padded.vhd");
    uint8_t footer[512];
    struct stat st;

    (void)state;
    make(path, 16 * MiB, "", NULL);
    assert_int_equal(stat(path, &st), 0);
    peek(path, (uint64_t)st.st_size - 512, footer, 512);
    assert_int_equal(truncate(path, st.st_size + 5632), 0);
    poke(path, (uint64_t)st.st_size + 5120, footer, 512);
    assert_int_equal(check(path, false).leaks, 0);
    assert_int_equal(truncate(path, st.st_size + 4 * MiB), 0);
    poke(path, (uint64_t)st.st_size + 4 * MiB - 512, footer, 512);
    assert_int_equal(check(path, false).leaks, 1);
    assert_int_equal(check(path, true).leaks, 0);
    assert_int_equal(check(path, false).leaks, 0);
}

/* As tools leave it that change the footer and forget its checksum. */
static void two_footers_that_agree_are_believed(void **state)
{
    const char *path = scratch_path("edited.vhd");
    struct image_report rep;
    struct disk *d;
    struct stat st;

    (void)state;
    make(path, 16 * MiB, "", NULL);
    d = must_open(path, false);
    put(d, MiB, 6);
    disk_close(d);
    assert_int_equal(stat(path, &st), 0);
    poke(path, 68, "0123456789abcdef", 16);
    poke(path, (uint64_t)st.st_size - 512 + 68, "0123456789abcdef", 16);
    refused(path, true, "no valid footer");
    assert_int_equal(check(path, false).errors, 1);
    rep = check(path, true);
    assert_int_equal(rep.errors, 0);
    assert_int_equal(rep.errors_fixed, 1);
    assert_int_equal(check(path, false).errors, 0);
    d = must_open(path, true);
    holds(d, MiB, 6);
    disk_close(d);
    spoil(path, 100); /* now they differ, and neither is right */
    spoil(path, (uint64_t)st.st_size - 512 + 101);
    assert_int_equal(check(path, true).errors, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_to_a_child_keeps_the_names_of_its_parent),
        cmocka_unit_test(a_parent_is_found_by_its_id_under_another_name),
        cmocka_unit_test(a_batmap_is_not_written_over),
        cmocka_unit_test(a_footer_of_511_bytes_counts),
        cmocka_unit_test(two_footers_that_agree_are_believed),
        cmocka_unit_test(less_than_a_block_before_the_footer_is_not_lost),
        cmocka_unit_test(the_maker_says_which_size_counts),
        cmocka_unit_test(a_block_that_was_trimmed_is_no_longer_known_to_be_full),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
