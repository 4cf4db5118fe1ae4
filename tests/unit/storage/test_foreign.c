/* SPDX-License-Identifier: Apache-2.0 */
/* test_foreign.c - formats that are only read: images made by qemu-img, where that is installed,
 * and headers that lie. */
#include "scratch.h"

#include <errno.h>
#include <string.h>

#include "abi/parallels.h"
#include "abi/qcow.h"
#include "abi/qed.h"
#include "storage/pack.h"

enum { BYTES = 9 * 1024 * 1024 + 4096 };
static uint8_t model[BYTES], buf[BYTES];

/* Some clusters, some holes, some of both, text that packs. */
static void fill_model(void)
{
    srand(9);
    memset(model, 0, BYTES);
    for (unsigned i = 0; i < 60; i++) {
        size_t off = (size_t)rand() % BYTES, n = min_u64((uint64_t)rand() % 200000, BYTES - off);

        for (size_t k = 0; k < n && i < 30; k++)
            model[off + k] = (uint8_t)(k / 100 + i);
        if (i >= 30 && i < 40)
            memset(model + off, 0, n);
    }
}

static void write_model(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    assert_int_equal(write(fd, model, BYTES), BYTES);
    close(fd);
}

static void reads_as_model(const char *path, const char *format)
{
    struct disk_cfg c = {.path = path};
    struct disk *d;
    struct err e;

    if (disk_open(&c, NULL, &d, &e) < 0)
        fail_msg("%s", e.msg);
    assert_string_equal(d->format->name, format);
    assert_int_equal(d->shape.bytes, BYTES);
    assert_true(d->shape.readonly);
    assert_int_equal(disk_read(d, 0, buf, BYTES), 0);
    assert_memory_equal(buf, model, BYTES);
    for (unsigned i = 0; i < 500; i++) {
        uint64_t off = (uint64_t)rand() % (BYTES / 512) * 512;
        size_t n = min_u64(((uint64_t)rand() % 100 + 1) * 512, BYTES - off);

        assert_int_equal(disk_read(d, off, buf, n), 0);
        assert_memory_equal(buf, model + off, n);
    }
    assert_int_equal(disk_write(d, 0, buf, 512), -EROFS);
    disk_close(d);
}

static void what_qemu_img_makes_reads_the_same(void **state)
{
    static const char *const rows[][2] = {
        {"qed", "-o cluster_size=64k"},
        {"qed", "-o cluster_size=4k,table_size=2"},
        {"qcow", ""},
        {"parallels", ""},
        {"parallels", "-o cluster_size=64k"},
    };

    (void)state;
    if (system("command -v qemu-img >/dev/null 2>&1"))
        skip();
    fill_model();
    write_model(scratch_path("raw"));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *path = scratch_path("image");

        print_message("  %s %s\n", rows[i][0], rows[i][1]);
        scratch_shell("qemu-img convert -q -f raw -O %s %s %s %s", rows[i][0], rows[i][1],
                      scratch_path("raw"), path);
        reads_as_model(path, rows[i][0]);
        unlink(path);
    }
}

static void backing_files_are_read_through(void **state)
{
    static const char *const formats_with[] = {"qed", "qcow"};

    (void)state;
    if (system("command -v qemu-img >/dev/null 2>&1"))
        skip();
    for (size_t i = 0; i < ARRAY_SIZE(formats_with); i++) {
        const char *path = scratch_path("child");

        fill_model();
        write_model(scratch_path("below.raw"));
        scratch_shell("cd %s && qemu-img create -q -f %s -b below.raw -F raw child %d", scratch_dir,
                      formats_with[i], BYTES);
        memset(model + 70000 / 512 * 512, 0x5a, 300 * 512);
        scratch_shell("qemu-io -f %s -c 'write -P 0x5a %d %d' %s >/dev/null", formats_with[i],
                      70000 / 512 * 512, 300 * 512, path);
        reads_as_model(path, formats_with[i]);
        unlink(path);
    }
}

static void opens(const char *what, const void *head, size_t n, size_t file, int want)
{
    const char *path = scratch_path("lies");
    struct disk_cfg c = {.path = path};
    struct err e = {0};
    struct disk *d;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), rc;

    assert_int_equal(write(fd, head, n), (ssize_t)n);
    assert_int_equal(ftruncate(fd, (off_t)file), 0);
    close(fd);
    rc = disk_open(&c, NULL, &d, &e);
    if (rc != want)
        fail_msg("%s: %d (%s)", what, rc, e.msg);
    if (rc == 0)
        disk_close(d);
    else
        assert_true(e.msg[0]);
    unlink(path);
}

/* By hand: not every qemu-img still writes these. */
static void packed_clusters_of_qcow_are_read(void **state)
{
    struct qcow_header h = {
        .magic = be32_of(QCOW_MAGIC),
        .version = be32_of(1),
        .size = be64_of(64 * KiB),
        .cluster_bits = 12,
        .l2_bits = 9,
        .l1_table_offset = be64_of(48),
    };
    enum { L2 = 4096, DATA = 8192 + 77, CLUSTER = 4096 };
    static uint8_t file[16384];
    const char *path = scratch_path("packed");
    struct disk_cfg c = {.path = path};
    uint8_t plain[CLUSTER], got[CLUSTER];
    struct disk *d;
    struct err e;
    size_t n;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

    (void)state;
    for (size_t i = 0; i < CLUSTER; i++)
        plain[i] = (uint8_t)(i / 50);
    n = pack_deflate(plain, CLUSTER, file + DATA, CLUSTER, 0);
    assert_true(n > 0 && n < CLUSTER);
    memcpy(file, &h, sizeof(h));
    be64_put(file + 48, L2);
    be64_put(file + L2 + 3 * 8, QCOW_COMPRESSED | (uint64_t)n << (63 - 12) | DATA);
    assert_int_equal(write(fd, file, sizeof(file)), sizeof(file));
    close(fd);
    assert_int_equal(disk_open(&c, NULL, &d, &e), 0);
    assert_int_equal(disk_read(d, 3 * CLUSTER, got, CLUSTER), 0);
    assert_memory_equal(got, plain, CLUSTER);
    assert_int_equal(disk_read(d, 3 * CLUSTER + 1024, got, 512), 0);
    assert_memory_equal(got, plain + 1024, 512);
    assert_int_equal(disk_read(d, 4 * CLUSTER, got, 512), 0);
    assert_int_equal(got[0], 0);
    disk_close(d);
}

static void qcow_headers_that_lie_are_refused(void **state)
{
    struct qcow_header good = {
        .magic = be32_of(QCOW_MAGIC),
        .version = be32_of(1),
        .size = be64_of(MiB),
        .cluster_bits = 12,
        .l2_bits = 9,
        .l1_table_offset = be64_of(48),
    };
    struct qcow_header h = good;

    (void)state;
    opens("good", &h, sizeof(h), 4096, 0);
    h.size = be64_of(UINT64_C(1) << 62);
    opens("huge", &h, sizeof(h), 4096, -EINVAL);
    h = good;
    h.cluster_bits = 30;
    opens("cluster", &h, sizeof(h), 4096, -EINVAL);
    h = good;
    h.l1_table_offset = be64_of(UINT64_MAX - 3);
    opens("table", &h, sizeof(h), 4096, -EINVAL);
    h = good;
    h.crypt_method = be32_of(1);
    opens("encrypted", &h, sizeof(h), 4096, -EINVAL);
    h = good;
    h.backing_file_offset = be64_of(4090);
    h.backing_file_size = be32_of(100);
    opens("name", &h, sizeof(h), 4096, -EINVAL);
}

static void qed_headers_that_lie_are_refused(void **state)
{
    struct qed_header good = {
        .magic = le32_of(QED_MAGIC),
        .cluster_size = le32_of(4096),
        .table_size = le32_of(1),
        .header_size = le32_of(1),
        .l1_table_offset = le64_of(4096),
        .image_size = le64_of(MiB),
    };
    struct qed_header h = good;

    (void)state;
    opens("good", &h, sizeof(h), 8192, 0);
    h.table_size = le32_of(3);
    opens("table size", &h, sizeof(h), 8192, -EINVAL);
    h = good;
    h.image_size = le64_of(UINT64_C(1) << 40);
    opens("size", &h, sizeof(h), 8192, -EINVAL);
    h = good;
    h.l1_table_offset = le64_of(8192);
    opens("table", &h, sizeof(h), 8192, -EINVAL);
    h = good;
    h.features = le64_of(8);
    opens("features", &h, sizeof(h), 8192, -EINVAL);
}

static void parallels_headers_that_lie_are_refused(void **state)
{
    struct parallels_header good = {
        .magic = "WithouFreSpacExt",
        .version = le32_of(2),
        .tracks = le32_of(63),
        .bat_entries = le32_of(100),
        .nb_sectors = le64_of(6300),
    };
    struct parallels_header h = good;

    (void)state;
    opens("good", &h, sizeof(h), 4096, 0);
    h.tracks = le32_of(0);
    opens("tracks", &h, sizeof(h), 4096, -EINVAL);
    h = good;
    h.bat_entries = le32_of(2000);
    opens("table", &h, sizeof(h), 4096, -EINVAL);
    h = good;
    h.nb_sectors = le64_of(6301);
    opens("size", &h, sizeof(h), 4096, -EINVAL);
    h = good;
    h.nb_sectors = le64_of(UINT64_C(0x100000000) + 6300);
    opens("high half", &h, sizeof(h), 4096, -EINVAL);
    memcpy(h.magic, PARALLELS_MAGIC, 16);
    opens("high half that does not count", &h, sizeof(h), 4096, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_qemu_img_makes_reads_the_same),
        cmocka_unit_test(backing_files_are_read_through),
        cmocka_unit_test(packed_clusters_of_qcow_are_read),
        cmocka_unit_test(qcow_headers_that_lie_are_refused),
        cmocka_unit_test(qed_headers_that_lie_are_refused),
        cmocka_unit_test(parallels_headers_that_lie_are_refused),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
