/* SPDX-License-Identifier: Apache-2.0 */
/* What would start: menus of boot loaders, initial RAM disks in every packing, drivers by name. */
#include "images.h"

#include <errno.h>

#include "inspect/cpio.h"
#include "inspect/look.h"

static struct inspect out;
static struct look look;

static void menu(const char *kind, const char *text, const char *env)
{
    char copy[4096];

    memset(&look, 0, sizeof(look));
    look.out = &out;
    snprintf(copy, sizeof(copy), "%s", text);
    look_menu(&look, 0, kind, copy, env);
}

static void grub2_scripts_are_read(void **state)
{
    static const char text[] =
        "set default=\"${saved_entry}\"\nset kernelopts=\"ro quiet\"\n"
        "menuentry 'First one' --class x $menuentry_id_option 'id-1' {\n"
        "\tsearch --no-floppy --fs-uuid --set=root 1234-5678\n"
        "\techo 'Loading Linux ...'\n\tlinux\t/boot/vmlinuz-1 root=UUID=abc $kernelopts\n"
        "\tinitrd\t/boot/ucode.img /boot/initrd-1\n}\n"
        "submenu 'More' {\n menuentry \"Second\" --id id-2 {\n  linux16 ($root)/vmlinuz-2 "
        "root=/dev/vda1\n"
        "  initrd16 ($root)/initrd-2\n }\n}\nmenuentry 'UEFI' {\n fwsetup\n}\n";

    (void)state;
    menu("grub2", text, "saved_entry=id-2\n");
    assert_int_equal(look.entries, 2);
    assert_string_equal(look.entry[0].title, "First one");
    assert_string_equal(look.entry[0].uuid, "1234-5678");
    assert_string_equal(look.entry[0].kernel, "/boot/vmlinuz-1");
    assert_string_equal(look.entry[0].initrd, "/boot/initrd-1");
    assert_string_equal(look.entry[0].append, "root=UUID=abc ro quiet");
    assert_string_equal(look.entry[1].kernel, "/vmlinuz-2");
    assert_false(look.entry[0].first);
    assert_true(look.entry[1].first);
    menu("grub2", text, NULL);
    assert_true(look.entry[0].first);
}

static void other_menus_are_read(void **state)
{
    (void)state;
    menu("grub",
         "default=1\ntitle Old\n\troot (hd0,0)\n\tkernel (hd0,0)/vmlinuz-a root=/dev/sda1\n"
         "title Xen\n\tkernel /xen.gz\n\tmodule /vmlinuz-b ro\n\tmodule /initrd-b\n",
         NULL);
    assert_int_equal(look.entries, 2);
    assert_string_equal(look.entry[0].kernel, "/vmlinuz-a");
    assert_string_equal(look.entry[1].kernel, "/vmlinuz-b");
    assert_string_equal(look.entry[1].initrd, "/initrd-b");
    assert_true(look.entry[1].first);
    menu("syslinux",
         "DEFAULT two\nLABEL one\n KERNEL a\nLABEL two\n MENU LABEL ^Second\n LINUX b\n"
         " APPEND ro initrd=u,c quiet\n",
         NULL);
    assert_string_equal(look.entry[1].title, "Second");
    assert_string_equal(look.entry[1].initrd, "c");
    assert_true(look.entry[1].first);
    menu("bls", "title Fedora\nversion 6.1\nlinux /vmlinuz\ninitrd /initrd\noptions root=x $more\n",
         "more=quiet\n");
    assert_string_equal(look.entry[0].append, "root=x quiet");
    menu("lilo", "default=l\nimage=/boot/k\n label=l\n root=/dev/hda1\n initrd=/boot/i\n", NULL);
    assert_string_equal(look.entry[0].append, "root=/dev/hda1");
    assert_string_equal(look.entry[0].initrd, "/boot/i");
}

static void endless_menus_are_cut(void **state)
{
    char *text = malloc(200 * 64 + 1);
    size_t at = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++)
        at += (size_t)sprintf(text + at, "menuentry x {\nlinux /k $a$a$a$a\n}\n");
    memset(&look, 0, sizeof(look));
    look.out = &out;
    look_menu(&look, 0, "grub2", text, "a=$a$a$a$a");
    assert_int_equal(look.entries, LOOK_ENTRIES);
    free(text);
}

/* --- initial RAM disks --- */

static uint8_t *packed;
static size_t packed_size;

static ssize_t from_memory(void *arg, uint64_t off, void *buf, size_t len)
{
    (void)arg;
    if (off >= packed_size)
        return 0;
    len = len < packed_size - off ? len : packed_size - (size_t)off;
    memcpy(buf, packed + off, len);
    return (ssize_t)len;
}

static void unpacked(const char *name, struct initramfs *r)
{
    uint64_t left = 64 << 20;

    free(packed);
    packed = images_load(name, &packed_size);
    look_initramfs(from_memory, NULL, &left, r);
}

static int make_initrd(void **state)
{
    if (images_setup(state) < 0)
        return -1;
    return images_run(
        "mkdir -p i/lib/modules/6.1.0-test/kernel/drivers i/scripts/init-top m/kernel && "
        "cd i && touch lib/modules/6.1.0-test/kernel/drivers/virtio_blk.ko "
        "lib/modules/6.1.0-test/kernel/drivers/hv_storvsc.ko.xz && "
        "echo kernel/drivers/virtio/virtio_pci.ko > "
        "lib/modules/6.1.0-test/modules.builtin && head -c 300000 /dev/urandom > "
        "noise && find . | cpio -o -H newc > ../plain && cd ../m && touch "
        "kernel/microcode && find . | cpio -o -H newc > ../ucode");
}

static int drop_initrd(void **state)
{
    free(packed);
    return images_teardown(state);
}

static void every_packing_is_read(void **state)
{
    static const char *const packers[][2] = {
        {"cat", "none"},
        {"gzip -c", "gzip"},
        {"xz -c --check=crc32", "xz"},
        {"xz -c --format=lzma", "lzma"},
        {"zstd -qc", "zstd"},
        {"bzip2 -c", "bzip2"},
        {"lz4 -lc", "lz4"},
        {"lzop -c", "lzo"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
        struct initramfs r;

        if (images_run("command -v %s", packers[i][0]) != 0)
            continue;
        assert_int_equal(images_run("cat plain | %s > p && cat ucode p > both", packers[i][0]), 0);
        unpacked("both", &r);
        assert_string_equal(r.why, "");
        assert_string_equal(r.packed, packers[i][1]);
        assert_int_equal(r.drivers, DRV(DRV_VIRTIO_BLK) | DRV(DRV_STORVSC));
        assert_int_equal(r.builtin, DRV(DRV_VIRTIO_PCI));
        assert_true(r.builtin_known);
        assert_int_equal(r.modules, 2);
        assert_string_equal(r.tool, "initramfs-tools");
        assert_string_equal(r.version, "6.1.0-test");
        /* Cut in the middle: what was seen stays, and it is said. */
        assert_int_equal(images_run("head -c $(($(stat -c %%s both) * 2 / 3)) both > cut"), 0);
        unpacked("cut", &r);
        assert_string_not_equal(r.why, "");
    }
}

static void parts_after_packed_parts_are_read(void **state)
{
    struct initramfs r;

    (void)state;
    assert_int_equal(
        images_run("gzip -c ucode > a && head -c 512 /dev/zero >> a && cat a plain > b"), 0);
    unpacked("b", &r);
    assert_string_equal(r.why, "");
    assert_int_equal(r.modules, 2);
    images_text("text", "this is no archive at all, only a text");
    unpacked("text", &r);
    assert_non_null(strstr(r.why, "no cpio archive"));
}

static void bombs_end_at_the_bound(void **state)
{
    uint64_t left = 1 << 20;
    struct initramfs r;

    (void)state;
    assert_int_equal(
        images_run("mkdir -p z && cd z && truncate -s 100M bomb && echo bomb | cpio -o -H "
                   "newc | gzip -1 > ../bomb"),
        0);
    free(packed);
    packed = images_load("bomb", &packed_size);
    look_initramfs(from_memory, NULL, &left, &r);
    assert_non_null(strstr(r.why, "too large"));
    left = UINT64_C(1) << 30;
    look_initramfs(from_memory, NULL, &left, &r);
    assert_non_null(strstr(r.why, "far more"));
    assert_int_equal(left, 0); /* and no other one is looked into */
}

/* --- names --- */

static void names_of_drivers(void **state)
{
    char list[100];

    (void)state;
    assert_int_equal(driver_by_name(GUEST_LINUX, "xen-blkfront.ko.zst", 19), DRV(DRV_XENVBD));
    assert_int_equal(driver_by_name(GUEST_LINUX, "virtio_blk", 10), DRV(DRV_VIRTIO_BLK));
    assert_int_equal(driver_by_name(GUEST_LINUX, "virtio_blkx.ko", 14), 0);
    assert_int_equal(driver_by_name(GUEST_WINDOWS, "STORVSC", 7), DRV(DRV_STORVSC));
    assert_int_equal(driver_by_name(GUEST_LINUX, "storvsc", 7), 0);
    driver_list(GUEST_LINUX, DRV(DRV_VIRTIO_PCI) | DRV(DRV_VIRTIO_BLK) | DRV(DRV_SD), list,
                sizeof(list));
    assert_string_equal(list, "virtio_pci, virtio_blk and sd_mod");
    driver_list(GUEST_LINUX, UINT64_MAX, list, 10);
    assert_true(strlen(list) < 10);
    for (unsigned d = 0; d < DRIVERS; d++)
        assert_string_not_equal(driver_name(GUEST_LINUX, (enum driver)d), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grub2_scripts_are_read),
        cmocka_unit_test(other_menus_are_read),
        cmocka_unit_test(endless_menus_are_cut),
        cmocka_unit_test(every_packing_is_read),
        cmocka_unit_test(parts_after_packed_parts_are_read),
        cmocka_unit_test(bombs_end_at_the_bound),
        cmocka_unit_test(names_of_drivers),
    };
    return cmocka_run_group_tests(tests, make_initrd, drop_initrd);
}
