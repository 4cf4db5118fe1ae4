/* SPDX-License-Identifier: Apache-2.0 */
/* Disks made to hurt: each ends within a second of CPU and 64 MiB, with something said. */
#include "images.h"

#include <errno.h>
#include <sys/resource.h>

#include "core/err.h"
#include "fakes/fake_hive.h"
#include "inspect/inspect.h"

static struct inspect found;
static struct err e;

static double cpu(void)
{
    struct rusage u;

    assert_int_equal(getrusage(RUSAGE_CHILDREN, &u), 0);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void look(const char *name)
{
    struct inspect_cfg c = {.path = images_path(name)};
    double was = cpu();
    struct rusage u;

    assert_int_equal(inspect_file(&c, &found, &e), 0);
    /* Sanitizers are slower and larger. */
#if !SANITIZED
    assert_true(cpu() - was < 1.0);
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &u), 0);
    assert_true(u.ru_maxrss < 64 * 1024);
#else
    (void)was;
    (void)u;
#endif
}

static void with_initrd(const char *packer)
{
    assert_int_equal(
        images_run(
            "mkdir -p d/etc d/boot && echo ID=x > d/etc/os-release && touch d/etc/fstab "
            "d/boot/vmlinuz-1 && truncate -s 300M bomb && echo bomb | cpio -o -H newc | %s > "
            "d/boot/initrd.img-1 && rm bomb && for i in 2 3 4 5 6; do cp d/boot/initrd.img-1 "
            "d/boot/initrd.img-$i; touch d/boot/vmlinuz-$i; done && rm -f d.img && truncate -s "
            "64M d.img && mke2fs -q -d d d.img",
            packer),
        0);
    look("d.img");
    assert_int_equal(found.systems, 1);
    assert_int_equal(found.system[0].kernels, 6);
    for (unsigned i = 0; i < 6; i++)
        assert_string_not_equal(found.system[0].kernel[i].why, "");
}

static void bombs_in_gzip_and_zstd(void **state)
{
    (void)state;
    with_initrd("gzip -1");
    if (images_have("zstd"))
        with_initrd("zstd -q -1");
}

static void endless_texts_and_folders(void **state)
{
    (void)state;
    assert_int_equal(
        images_run(
            "rm -rf d && mkdir -p d/etc/netplan d/boot/grub && echo ID=x > d/etc/os-release && "
            "yes 'menuentry x { linux $a$a$a$a$a$a$a$a$a$a$a$a$a$a$a$a$a }' | head -c 3000000 > "
            "d/boot/grub/grub.cfg && ln -s grub d/boot/grub2 && ln -s boot/grub d/grub && ln -s "
            "boot/grub d/grub2 && yes eth0 | head -c 2000000 > d/etc/netplan/x && for i in 1 2 3 4 "
            "5 6 7 8 9; do ln -s x d/etc/netplan/y$i; done && yes '/dev/sda1 /x' | head -c 1000000 "
            "> "
            "d/etc/fstab && ln -s . d/boot/boot && rm -f d.img && truncate -s 64M d.img && mke2fs "
            "-q -N 40000 -d d d.img"),
        0);
    look("d.img");
    assert_int_equal(found.systems, 1);
}

static void a_hive_of_noise(void **state)
{
    static const char *const services[] = {"storvsc=0", "vmbus=0", NULL};
    const char *helper = getenv("HOSPES_NTFS_TREE");
    unsigned seed = 1;

    (void)state;
    if (!helper || !images_have("mkntfs"))
        skip();
    assert_int_equal(images_run("rm -rf w && mkdir -p w/Windows/System32/config"), 0);
    for (unsigned round = 0; round < 4; round++) {
        size_t n;
        uint8_t *b;

        assert_int_equal(fake_hive(images_path("hive"), services), 0);
        b = images_load("hive", &n);
        for (unsigned i = 0; i < 40; i++) {
            seed = seed * 1103515245 + 12345;
            b[4096 + seed % (n - 4096)] ^= (uint8_t)(seed >> 16);
        }
        images_put("w/Windows/System32/config/SYSTEM", b, round == 3 ? 5000 : n);
        free(b);
        assert_int_equal(
            images_run("rm -f w.img && truncate -s 16M w.img && mkntfs -q -F w.img && python3 %s "
                       "w.img w",
                       helper),
            0);
        look("w.img");
        assert_int_equal(found.systems, 1);
        assert_int_equal(found.system[0].family, GUEST_WINDOWS);
    }
}

static void a_disk_that_cannot_be_read_through(void **state)
{
    (void)state;
    /* A partition table and a superblock that promise more than there is. */
    assert_int_equal(
        images_run("truncate -s 1M t.img && mke2fs -q -F t.img 1024 && truncate -s 40K t.img"), 0);
    look("t.img");
    assert_int_equal(found.systems, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bombs_in_gzip_and_zstd),
        cmocka_unit_test(endless_texts_and_folders),
        cmocka_unit_test(a_hive_of_noise),
        cmocka_unit_test(a_disk_that_cannot_be_read_through),
    };
    return cmocka_run_group_tests(tests, images_setup, images_teardown);
}
