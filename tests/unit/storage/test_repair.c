/* SPDX-License-Identifier: Apache-2.0 */
/* test_repair.c - repairs of damage made by hand: nothing that was readable is lost. */
#include "scratch.h"

#include "abi/vdi.h"
#include "core/cfg.h"
#include "storage/image.h"

enum { BLOCKS = 6 };
static uint8_t block[MiB];

/* A VDI whose block i holds i + 1, in the order of places. */
static void make_vdi(const char *path)
{
    struct image_make k = {.path = path, .bytes = BLOCKS * MiB};
    struct disk_cfg c = {.path = path};
    struct disk *d;
    struct err e;

    assert_int_equal(cfg_create(&k.opts, &e), 0);
    assert_int_equal(image_create(format_by_name("vdi"), &k, true, &e), 0);
    cfg_destroy(k.opts);
    assert_int_equal(disk_open(&c, NULL, &d, &e), 0);
    for (unsigned i = 0; i < BLOCKS; i++) {
        memset(block, (int)i + 1, sizeof(block));
        assert_int_equal(disk_write(d, i * MiB, block, sizeof(block)), 0);
    }
    disk_close(d);
}

static void lose(const char *path, unsigned lost)
{
    struct vdi_header h;
    uint8_t entry[4];
    int fd = open(path, O_RDWR);

    le32_put(entry, VDI_UNALLOCATED);
    assert_int_equal(pread(fd, &h, sizeof(h), 0), sizeof(h));
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (lost >> i & 1)
            assert_int_equal(pwrite(fd, entry, 4, le32_get(h.offset_bmap) + i * 4), 4);
    }
    close(fd);
}

/* Places without a block are filled with blocks from the end before the end is cut off. */
static void a_vdi_keeps_blocks_behind_lost_places(void **state)
{
    const char *path = scratch_path("lost.vdi");
    struct disk_cfg c = {.path = path, .format = "vdi"};

    (void)state;
    for (unsigned lost = 0; lost < 1 << BLOCKS; lost++) {
        struct image_report rep = {0}, again = {0};
        const struct format_ops *f;
        struct disk *d;
        struct err e;

        make_vdi(path);
        lose(path, lost);
        assert_int_equal(image_check(&c, true, &rep, &f, &e), 0);
        assert_int_equal(image_check(&c, false, &again, &f, &e), 0);
        assert_int_equal(again.errors + again.leaks, 0);
        assert_int_equal(disk_open(&c, NULL, &d, &e), 0);
        for (unsigned i = 0; i < BLOCKS; i++) {
            assert_int_equal(disk_read(d, i * MiB, block, sizeof(block)), 0);
            assert_int_equal(block[0], lost >> i & 1 ? 0 : i + 1);
            assert_int_equal(block[MiB - 1], lost >> i & 1 ? 0 : i + 1);
        }
        disk_close(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vdi_keeps_blocks_behind_lost_places),
    };

    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
