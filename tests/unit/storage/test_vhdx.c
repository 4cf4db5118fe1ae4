/* SPDX-License-Identifier: Apache-2.0 */
/* test_vhdx.c - what VHDX has and other formats have not: headers, log, GUIDs, the locator. */
#define KIT_FORMAT "vhdx"
#include "image_kit.h"

#include "storage/file.h"
#include "storage/format/vhdx.h"
#include "storage/map_impl.h"

static unsigned syncs;

int fdatasync(int fd) /* instead of libc's: counts */
{
    (void)fd;
    syncs++;
    return 0;
}

static void copy(const char *from, const char *to)
{
    char cmd[600];

    snprintf(cmd, sizeof(cmd), "cp --sparse=always %s %s", from, to);
    assert_int_equal(system(cmd), 0);
}

static bool same(const char *a, const char *b)
{
    char cmd[600];

    snprintf(cmd, sizeof(cmd), "cmp -s %s %s", a, b);
    return system(cmd) == 0;
}

static void checked(const char *path, bool repair, uint64_t errors, uint64_t fixed)
{
    struct image_report rep = check(path, repair);

    assert_int_equal(rep.errors, errors);
    assert_int_equal(rep.errors_fixed, fixed);
    assert_true(repair || rep.leaks == 0);
}

static struct vhdx_header header(const char *path)
{
    struct disk *d = must_open(path, true);
    struct vhdx_header h = vhdx_of(map_of(d))->h;

    disk_close(d);
    return h;
}

/* Changes n bytes at `off` of the structure of `size` bytes at `at`, and its checksum. */
static void patch(const char *path, uint64_t at, size_t size, size_t off, const void *data,
                  size_t n)
{
    uint8_t *buf = malloc(size);

    peek(path, at, buf, size);
    memcpy(buf + off, data, n);
    le32_put(buf + 4, vhdx_checksum(buf, size));
    poke(path, at, buf, size);
    free(buf);
}

/* --- the log --- */

/* Two flushed writes, and the file as it is then, with the last flush in the log only or twice. */
static void make_full(const char *path, const char *dirty)
{
    struct disk *d;

    make(path, 64 * MiB, "block_size=1M", NULL);
    d = must_open(path, false);
    put(d, 3 * MiB, 3);
    assert_int_equal(disk_flush(d), 0);
    put(d, 9 * MiB + 4096, 9);
    assert_int_equal(disk_flush(d), 0);
    copy(path, dirty);
    disk_close(d);
}

/* The BAT as if nothing of the log had reached it. */
static void lose_bat(const char *path)
{
    struct disk *d = must_open(path, true);
    uint64_t at = vhdx_of(map_of(d))->bat_off;
    uint8_t none[8] = {0};

    disk_close(d);
    poke(path, at + 9 * 8, none, sizeof(none));
}

static void a_full_log_is_read_without_changing_the_file(void **state)
{
    const char *path = scratch_path("a.vhdx"), *dirty = scratch_path("dirty.vhdx");
    const char *before = scratch_path("before.vhdx");
    struct disk *d;

    (void)state;
    make_full(path, dirty);
    lose_bat(dirty);
    copy(dirty, before);
    d = must_open(dirty, true);
    assert_int_equal(vhdx_of(map_of(d))->log.state, VHDX_LOG_FULL);
    holds(d, 3 * MiB, 3);
    holds(d, 9 * MiB + 4096, 9);
    holds(d, 9 * MiB, 0);
    disk_close(d);
    checked(dirty, false, 0, 0);
    assert_true(same(dirty, before));
}

static void a_full_log_is_replayed_when_opened_for_writing(void **state)
{
    const char *path = scratch_path("a.vhdx"), *dirty = scratch_path("dirty.vhdx");
    struct vhdx_header was, is;
    struct disk *d;

    (void)state;
    make_full(path, dirty);
    lose_bat(dirty);
    was = header(dirty);
    d = must_open(dirty, false);
    holds(d, 9 * MiB + 4096, 9);
    disk_close(d);
    is = header(dirty);
    assert_true(vhdx_guid_none(&is.log_guid));
    assert_false(vhdx_guid_same(&was.file_write_guid, &is.file_write_guid));
    assert_true(vhdx_guid_same(&was.data_write_guid, &is.data_write_guid));
    d = must_open(dirty, true);
    holds(d, 3 * MiB, 3);
    holds(d, 9 * MiB + 4096, 9);
    disk_close(d);
    checked(dirty, false, 0, 0);
}

static void a_torn_entry_counts_for_nothing(void **state)
{
    const char *path = scratch_path("a.vhdx"), *dirty = scratch_path("dirty.vhdx");
    uint64_t at;
    struct disk *d;

    (void)state;
    make_full(path, dirty);
    d = must_open(dirty, true);
    assert_int_equal(vhdx_of(map_of(d))->log.sequence, 2);
    at = MiB + 2 * 4096 + 4096 + 100; /* in the second entry's only page */
    disk_close(d);
    poke(dirty, at, "x", 1);
    d = must_open(dirty, true);
    assert_int_equal(vhdx_of(map_of(d))->log.sequence, 1);
    holds(d, 3 * MiB, 3);
    holds(d, 9 * MiB + 4096, 0); /* what the log of the first flush says */
    disk_close(d);
}

/* As QEMU leaves it: the header names a log, and the log has nothing. */
static void a_log_with_nothing_in_it_does_not_end_writing(void **state)
{
    const char *path = scratch_path("stuck.vhdx");
    struct vhdx_guid g = {{1, 2, 3}};
    struct disk *d;

    (void)state;
    make(path, 64 * MiB, "block_size=1M", NULL);
    d = must_open(path, false);
    put(d, MiB, 1);
    disk_close(d);
    for (int i = 0; i < 2; i++) {
        patch(path, VHDX_HEADER_1, 4096, offsetof(struct vhdx_header, log_guid), &g, sizeof(g));
        patch(path, VHDX_HEADER_2, 4096, offsetof(struct vhdx_header, log_guid), &g, sizeof(g));
        checked(path, false, 1, 0);
        if (i == 0) {
            d = must_open(path, false);
            holds(d, MiB, 1);
            put(d, 7 * MiB, 7);
            disk_close(d);
        } else {
            checked(path, true, 0, 1);
        }
        checked(path, false, 0, 0);
        d = must_open(path, true);
        holds(d, MiB, 1);
        holds(d, 7 * MiB, 7);
        disk_close(d);
    }
}

static void a_flush_costs_three_syncs_at_most(void **state)
{
    const char *path = scratch_path("a.vhdx");
    struct disk *d;

    (void)state;
    make(path, 256 * MiB, "block_size=1M", NULL);
    d = must_open(path, false);
    put(d, 0, 1); /* the first write makes the new GUIDs durable */
    syncs = 0;
    for (unsigned i = 1; i < 200; i++)
        put(d, i * MiB, (int)i);
    assert_int_equal(syncs, 0);
    assert_int_equal(disk_flush(d), 0);
    assert_int_equal(syncs, 3);
    put(d, 200 * MiB, 2);
    assert_int_equal(disk_flush(d), 0);
    assert_int_equal(syncs, 5);
    put(d, 200 * MiB, 3);
    assert_int_equal(disk_flush(d), 0);
    assert_int_equal(syncs, 6);
    assert_int_equal(disk_flush(d), 0);
    assert_int_equal(syncs, 6);
    disk_close(d);
}

static void more_pages_than_an_entry_holds_take_several(void **state)
{
    const char *path = scratch_path("a.vhdx"), *dirty = scratch_path("dirty.vhdx");
    enum { PAGES = 300 };
    struct vhdx *v;
    struct disk *d;

    (void)state;
    make(path, 200 * GiB, "block_size=1M", NULL);
    d = must_open(path, false);
    v = vhdx_of(map_of(d));
    assert_int_equal(map_touch(&v->m), 0);
    pthread_mutex_lock(&v->m.lock);
    for (uint64_t i = 0; i < PAGES; i++) {
        uint8_t *p;

        assert_int_equal(meta_change(&v->m, v->m.file, v->bat_off + i * 4096 + 800, 8, 1, &p), 0);
        le64_put(p, PAYLOAD_BLOCK_ZERO);
    }
    pthread_mutex_unlock(&v->m.lock);
    assert_int_equal(disk_flush(d), 0);
    copy(path, dirty);
    disk_close(d);
    for (int i = 0; i < 2; i++) {
        d = must_open(i ? path : dirty, true);
        v = vhdx_of(map_of(d));
        for (uint64_t k = 0; k < PAGES; k++) {
            uint8_t buf[8];

            assert_int_equal(disk_read(v->m.file, v->bat_off + k * 4096 + 800, buf, 8), 0);
            assert_int_equal(le64_at(buf), PAYLOAD_BLOCK_ZERO);
        }
        disk_close(d);
    }
    checked(path, false, 0, 0);
}

/* --- headers, regions, metadata --- */

static void guids_change_with_the_first_write_and_only_then(void **state)
{
    const char *path = scratch_path("a.vhdx");
    struct vhdx_header was, is;
    struct disk *d;

    (void)state;
    make(path, 64 * MiB, "subformat=fixed", NULL);
    was = header(path);
    d = must_open(path, false);
    holds(d, 0, 0);
    disk_close(d);
    is = header(path);
    assert_memory_equal(&was, &is, sizeof(was));
    d = must_open(path, false);
    put(d, 0, 1);
    disk_close(d);
    is = header(path);
    assert_false(vhdx_guid_same(&was.file_write_guid, &is.file_write_guid));
    assert_false(vhdx_guid_same(&was.data_write_guid, &is.data_write_guid));
}

static void one_header_and_one_region_table_are_enough(void **state)
{
    static const uint64_t at[] = {VHDX_HEADER_1, VHDX_HEADER_2, VHDX_REGION_TABLE_1,
                                  VHDX_REGION_TABLE_2};
    const char *path = scratch_path("a.vhdx");
    struct disk *d;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
        make(path, 64 * MiB, "", NULL);
        d = must_open(path, false);
        put(d, MiB, 5);
        disk_close(d);
        spoil(path, at[i] + 20);
        d = must_open(path, true);
        holds(d, MiB, 5);
        disk_close(d);
        checked(path, true, 0, 1);
        checked(path, false, 0, 0);
        spoil(path, at[i & 2] + 20);
        spoil(path, at[i | 1] + 20);
        assert_int_equal(try_open(path, true, &d, &e), -EINVAL);
        checked(path, false, 1, 0);
    }
}

static void what_must_be_known_is_refused_and_the_rest_is_kept(void **state)
{
    const char *path = scratch_path("a.vhdx");
    struct vhdx_region r = {{{7}}, le64_of(40 * MiB), le32_of(MiB), le32_of(1)};
    uint64_t at = sizeof(struct vhdx_region_table) + 2 * sizeof(r);
    le32 three = le32_of(3);
    uint8_t mark[16] = "not to be lost!", got[16];
    struct disk *d;
    struct err e;

    (void)state;
    make(path, 64 * MiB, "block_size=1M", NULL);
    assert_int_equal(truncate(path, 41 * (off_t)MiB), 0);
    poke(path, 40 * MiB, mark, 16);
    patch(path, VHDX_REGION_TABLE_1, VHDX_TABLE_SIZE, at, &r, sizeof(r));
    patch(path, VHDX_REGION_TABLE_1, VHDX_TABLE_SIZE, 8, &three, 4);
    assert_int_equal(try_open(path, true, &d, &e), -EINVAL);
    r.required = le32_of(0);
    patch(path, VHDX_REGION_TABLE_1, VHDX_TABLE_SIZE, at, &r, sizeof(r));
    d = must_open(path, false);
    for (unsigned i = 0; i < 60; i++)
        put(d, i * MiB, 1);
    disk_close(d);
    peek(path, 40 * MiB, got, 16);
    assert_memory_equal(got, mark, 16);
    checked(path, false, 0, 0);
}

/* --- chains --- */

static void a_child_refuses_a_parent_that_was_changed(void **state)
{
    const char *parent = scratch_path("parent.vhdx"), *child = scratch_path("child.vhdx");
    struct disk *d;
    struct err e;

    (void)state;
    make(parent, 64 * MiB, "", NULL);
    make(child, 64 * MiB, "", "parent.vhdx");
    d = must_open(child, false);
    put(d, MiB, 1);
    disk_close(d);
    d = must_open(parent, false); /* opened, but not written */
    disk_close(d);
    d = must_open(child, true);
    holds(d, MiB, 1);
    disk_close(d);
    d = must_open(parent, false);
    put(d, 0, 1);
    disk_close(d);
    assert_int_equal(try_open(child, true, &d, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "changed"));
}

static void a_parent_is_looked_for_beside_the_child_only(void **state)
{
    char sub[256], inner[300];
    struct disk *d;
    struct err e;

    (void)state;
    snprintf(sub, sizeof(sub), "%s/sub", scratch_dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    snprintf(inner, sizeof(inner), "%s/child.vhdx", sub);
    make(scratch_path("up.vhdx"), 64 * MiB, "", NULL);
    {
        struct image_make k = {.path = inner, .bytes = 64 * MiB, .backing = "../up.vhdx"};
        struct disk_cfg c = {.path = inner, .allow_outside = true, .readonly = true};

        assert_int_equal(cfg_create(&k.opts, &e), 0);
        assert_int_equal(chain_open(&c, k.backing, NULL, NULL, &k.parent, &e), 0);
        assert_int_equal(image_create(format_by_name("vhdx"), &k, true, &e), 0);
        disk_close(k.parent);
        cfg_destroy(k.opts);
        assert_true(try_open(inner, true, &d, &e) < 0);
        assert_int_equal(disk_open(&c, NULL, &d, &e), 0);
        disk_close(d);
    }
    snprintf(sub, sizeof(sub), "%s/sub/up.vhdx", scratch_dir);
    assert_int_equal(rename(scratch_path("up.vhdx"), sub), 0);
    d = must_open(inner, true);
    disk_close(d);
}

static void blocks_that_were_zeroed_hide_the_parent(void **state)
{
    const char *parent = scratch_path("parent.vhdx"), *child = scratch_path("child.vhdx");
    struct disk *d;

    (void)state;
    make(parent, 16 * MiB, "", NULL);
    d = must_open(parent, false);
    for (unsigned i = 0; i < 16; i++)
        put(d, i * MiB + 8192, 7);
    disk_close(d);
    make(child, 16 * MiB, "block_size=1M", "parent.vhdx");
    d = must_open(child, false);
    put(d, 2 * MiB, 1); /* partly here, then zero, then partly here again */
    assert_int_equal(disk_zero(d, 0, 8 * MiB, true), 0);
    assert_int_equal(disk_flush(d), 0);
    put(d, 2 * MiB + 4096, 2);
    put(d, 9 * MiB, 3);
    disk_close(d);
    d = must_open(child, true);
    for (unsigned i = 0; i < 16; i++)
        holds(d, i * MiB + 8192, i < 8 ? 0 : 7);
    holds(d, 2 * MiB, 0);
    holds(d, 2 * MiB + 4096, 2);
    holds(d, 9 * MiB, 3);
    disk_close(d);
    checked(child, false, 0, 0);
}

static void sectors_of_4096_bytes_work_in_a_chain(void **state)
{
    const char *parent = scratch_path("parent.vhdx"), *child = scratch_path("child.qcow2");
    struct image_make k = {.path = child, .backing = "parent.vhdx", .backing_format = "vhdx"};
    struct disk_cfg c = {.path = child};
    uint8_t buf[512];
    struct disk *d;
    struct err e;

    (void)state;
    make(parent, 16 * MiB, "logical_sector_size=4096", NULL);
    d = must_open(parent, false);
    assert_int_equal(d->shape.logical, 4096);
    put(d, 4096, 6);
    assert_int_equal(disk_write(d, 512, buf, 512), -EINVAL);
    disk_close(d);
    make(scratch_path("child.vhdx"), 16 * MiB, "block_size=1M", "parent.vhdx");
    d = must_open(scratch_path("child.vhdx"), false);
    put(d, 8192, 5);
    holds(d, 4096, 6);
    disk_close(d);
    d = must_open(scratch_path("child.vhdx"), true);
    holds(d, 8192, 5);
    holds(d, 12288, 0);
    disk_close(d);
    k.bytes = 16 * MiB; /* smaller sectors over larger ones */
    assert_int_equal(cfg_create(&k.opts, &e), 0);
    assert_int_equal(image_create(format_by_name("qcow2"), &k, true, &e), 0);
    cfg_destroy(k.opts);
    assert_int_equal(disk_open(&c, NULL, &d, &e), 0);
    assert_int_equal(disk_read(d, 4096 + 512, buf, 512), 0);
    assert_int_equal(buf[100], 6);
    assert_int_equal(disk_write(d, 4096 + 1024, "", 0), 0);
    memset(buf, 8, 512);
    assert_int_equal(disk_write(d, 4096 + 1024, buf, 512), 0);
    assert_int_equal(disk_read(d, 4096 + 1536, buf, 512), 0);
    assert_int_equal(buf[511], 6);
    disk_close(d);
}

/* --- sizes, repairs --- */

static void a_table_without_room_moves(void **state)
{
    const char *path = scratch_path("a.vhdx");
    struct disk *d;
    struct err e;

    (void)state;
    make(path, 100 * GiB, "block_size=1M", NULL);
    d = must_open(path, false);
    put(d, 0, 1);
    put(d, 99 * GiB, 9);
    assert_int_equal(image_resize(d, 600 * GiB, &e), 0);
    put(d, 599 * GiB, 5);
    holds(d, 0, 1);
    disk_close(d);
    d = must_open(path, false);
    holds(d, 0, 1);
    holds(d, 99 * GiB, 9);
    holds(d, 599 * GiB, 5);
    assert_int_equal(image_resize(d, 50 * GiB, &e), 0);
    disk_close(d);
    checked(path, false, 0, 0);
    d = must_open(path, false);
    assert_int_equal(d->shape.bytes, 50 * GiB);
    assert_int_equal(image_resize(d, 200 * GiB, &e), 0);
    holds(d, 0, 1);
    holds(d, 99 * GiB, 0);
    disk_close(d);
    checked(path, false, 0, 0);
}

static void put_bat(const char *path, uint64_t index, uint64_t entry)
{
    struct disk *d = must_open(path, true);
    uint64_t at = vhdx_of(map_of(d))->bat_off + index * 8;

    disk_close(d);
    poke(path, at, &entry, 8);
}

static void repairs_lose_nothing_that_was_readable(void **state)
{
    const char *path = scratch_path("a.vhdx");
    struct disk *d;
    struct err e;
    uint64_t place;

    (void)state;
    make(path, 16 * MiB, "block_size=1M", NULL);
    d = must_open(path, false);
    put(d, 0, 1);
    put(d, MiB, 2);
    place = vhdx_of(map_of(d))->m.end - MiB;
    disk_close(d);
    put_bat(path, 5, place | PAYLOAD_BLOCK_FULLY_PRESENT);             /* shared */
    put_bat(path, 6, MiB | PAYLOAD_BLOCK_FULLY_PRESENT);               /* in the log */
    put_bat(path, 7, 500 * MiB | PAYLOAD_BLOCK_FULLY_PRESENT);         /* past the end */
    put_bat(path, 8, (place + MiB) | PAYLOAD_BLOCK_PARTIALLY_PRESENT); /* both */
    assert_int_equal(try_open(path, false, &d, &e), -EINVAL);
    checked(path, false, 5, 0);
    checked(path, true, 0, 5);
    checked(path, false, 0, 0);
    d = must_open(path, false);
    holds(d, 0, 1);
    holds(d, MiB, 2);
    holds(d, 5 * MiB, 2);
    put(d, 5 * MiB, 3);
    holds(d, MiB, 2);
    holds(d, 7 * MiB, 0);
    disk_close(d);
}

static void trimmed_space_is_used_again(void **state)
{
    const char *path = scratch_path("a.vhdx");
    struct stat st;
    struct disk *d;

    (void)state;
    make(path, 64 * MiB, "block_size=1M", NULL);
    d = must_open(path, false);
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < 16; i++)
            put(d, (round * 4 + i) % 64 * MiB, (int)round + 1);
        assert_int_equal(disk_zero(d, 0, 64 * MiB, true), 0);
        assert_int_equal(disk_flush(d), 0);
        assert_int_equal(disk_flush(d), 0);
    }
    assert_true(d->shape.trims);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size <= 4 * (off_t)MiB + 34 * (off_t)MiB);
    disk_close(d);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 4 * MiB);
    checked(path, false, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_log_is_read_without_changing_the_file),
        cmocka_unit_test(a_full_log_is_replayed_when_opened_for_writing),
        cmocka_unit_test(a_torn_entry_counts_for_nothing),
        cmocka_unit_test(a_log_with_nothing_in_it_does_not_end_writing),
        cmocka_unit_test(a_flush_costs_three_syncs_at_most),
        cmocka_unit_test(more_pages_than_an_entry_holds_take_several),
        cmocka_unit_test(guids_change_with_the_first_write_and_only_then),
        cmocka_unit_test(one_header_and_one_region_table_are_enough),
        cmocka_unit_test(what_must_be_known_is_refused_and_the_rest_is_kept),
        cmocka_unit_test(a_child_refuses_a_parent_that_was_changed),
        cmocka_unit_test(a_parent_is_looked_for_beside_the_child_only),
        cmocka_unit_test(blocks_that_were_zeroed_hide_the_parent),
        cmocka_unit_test(sectors_of_4096_bytes_work_in_a_chain),
        cmocka_unit_test(a_table_without_room_moves),
        cmocka_unit_test(repairs_lose_nothing_that_was_readable),
        cmocka_unit_test(trimmed_space_is_used_again),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
