/* SPDX-License-Identifier: Apache-2.0 */
/* File systems made by the tools of their owners, read by ours: names, links, contents, bounds. */
#include "images.h"

#include <errno.h>

#include "inspect/fs.h"
#include "inspect/fs/btrfs.h"
#include "inspect/fs/ntfs.h"
#include "inspect/lzo.h"

enum { BIG = 3000001, MANY = 300 };

static struct work work;
static struct vol vol;
static struct fs fs;
static struct fstree tree;
static uint8_t *image, *big;

/* A folder that has something of everything. */
static int make_tree(void **state)
{
    char name[64];

    if (images_setup(state) < 0)
        return -1;
    big = malloc(BIG);
    if (!big)
        return -1;
    for (size_t i = 0; i < BIG; i++)
        big[i] = (uint8_t)(i * 7 + i / 4096 + (i % 977 == 0));
    images_text("tree/dir/hello.txt", "hello");
    images_text("tree/dir/empty", "");
    images_text("tree/a/b/c/d/e/deep", "deep");
    images_put("tree/big.bin", big, BIG);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "tree/many/a-rather-long-name-%u.txt", i);
        images_text(name, "x");
    }
    return 0;
}

static void add_links(void)
{
    assert_int_equal(
        images_run("cd tree && ln -sfn hello.txt dir/link && ln -sfn /dir/hello.txt abs "
                   "&& ln -sfn loop loop && ln -sfn a/b up && ln -sfn ../dir a/back && "
                   "ln -sfn /dir/%0120d/../hello.txt long && mkdir -p dir/%0120d/x && for d in "
                   "dir/0*/x; do touch $d/y; done",
                   1, 1),
        0);
}

static int drop_tree(void **state)
{
    free(big);
    return images_teardown(state);
}

static void open_image(const char *name, const char *kind)
{
    size_t n;

    image = images_load(name, &n);
    memset(&work, 0, sizeof(work));
    work.calls = 1 << 20;
    work.bytes = UINT64_C(1) << 32;
    vol_mem(&vol, image, n, &work);
    assert_int_equal(fs_open(&vol, &fs), 1);
    assert_string_equal(fs.why, "");
    assert_string_equal(fs.name, kind);
    fstree_init(&tree, &fs, NULL);
}

static void close_image(void)
{
    fs_close(&fs);
    vol_fini(&vol);
    free(image);
}

static void want_text(const char *path, const char *text)
{
    char *got;
    size_t n;
    int rc = fstree_load(&tree, path, 4096, &got, &n);

    if (rc < 0)
        fail_msg("%s on %s: %s", path, fs.name, strerror(-rc));
    assert_string_equal(got, text);
    free(got);
}

static int count(void *arg, const char *name, const struct fs_node *n)
{
    ++*(unsigned *)arg;
    return 0;
}

static void want_contents(void)
{
    unsigned files = 0;
    uint8_t piece[5000];
    struct fs_node n;
    struct fs *of;
    char *got;
    size_t len;

    want_text("/dir/hello.txt", "hello");
    want_text("/dir/empty", "");
    want_text("a/b/../b/./c/d/e/deep", "deep");
    assert_int_equal(fstree_list(&tree, "/many", count, &files), 0);
    assert_int_equal(files, MANY);
    assert_true(fstree_has(&tree, "/many/a-rather-long-name-299.txt"));
    assert_false(fstree_has(&tree, "/many/a-rather-long-name-300.txt"));
    assert_int_equal(fstree_load(&tree, "/big.bin", BIG + 10, &got, &len), 0);
    assert_int_equal(len, BIG);
    assert_memory_equal(got, big, BIG);
    free(got);
    assert_int_equal(fstree_find(&tree, "/big.bin", &of, &n), 0);
    assert_int_equal(n.size, BIG);
    assert_int_equal(of->ops->read(of, &n, 1234567, piece, sizeof(piece)), sizeof(piece));
    assert_memory_equal(piece, big + 1234567, sizeof(piece));
    assert_int_equal(of->ops->read(of, &n, BIG - 3, piece, sizeof(piece)), 3);
    assert_int_equal(of->ops->read(of, &n, BIG, piece, sizeof(piece)), 0);
    assert_int_equal(fstree_list(&tree, "/big.bin", count, &files), -ENOTDIR);
    assert_int_equal(fstree_load(&tree, "/dir", 10, &got, &len), -EISDIR);
    assert_int_equal(fstree_load(&tree, "/nothing", 10, &got, &len), -ENOENT);
}

static void want_links(void)
{
    char to[64];

    want_text("/dir/link", "hello");
    want_text("/abs", "hello");
    want_text("/up/c/d/e/deep", "deep");
    want_text("/a/back/link", "hello");
    want_text("/long", "hello");
    assert_false(fstree_has(&tree, "/loop"));
    assert_int_equal(fstree_link(&tree, "/dir/link", to, sizeof(to)), 0);
    assert_string_equal(to, "hello.txt");
    assert_int_equal(fstree_link(&tree, "/dir/hello.txt", to, sizeof(to)), -EINVAL);
}

/* Whatever a bound on work cuts short ends in an error and not in a wrong answer. */
static void want_bounds(void)
{
    char *got;
    size_t n;

    /* work.bytes is what a hostile image would use up. */
    work.bytes = 100;
    assert_true(fstree_load(&tree, "/big.bin", BIG, &got, &n) < 0);
}

static void tried(const char *program, const char *name, const char *kind, bool links,
                  const char *command)
{
    if (!images_have(program))
        skip();
    assert_int_equal(images_run("%s", command), 0);
    open_image(name, kind);
    want_contents();
    if (links)
        want_links();
    want_bounds();
    close_image();
}

static void ext_of_three_ages(void **state)
{
    (void)state;
    add_links();
    tried("mke2fs", "e2", "ext2", true,
          "truncate -s 24M e2 && mke2fs -q -t ext2 -b 1024 -d tree e2");
    tried("mke2fs", "e3", "ext3", true, "truncate -s 24M e3 && mke2fs -q -t ext3 -d tree e3");
    tried("mke2fs", "e4", "ext4", true,
          "truncate -s 24M e4 && mke2fs -q -t ext4 -O 64bit,inline_data -d tree e4");
}

static void proto(const char *flags)
{
    assert_int_equal(
        images_run("{ echo /x; echo 1 1; echo d--755 0 0; walk() { for i in \"$1\"/* ; do "
                   "b=$(basename \"$i\"); if [ -L \"$i\" ]; then echo \"$b l--777 0 0 $(readlink "
                   "\"$i\")\"; elif [ -d \"$i\" ]; then echo \"$b d--755 0 0\"; walk \"$i\"; echo "
                   "'$'; else echo \"$b ---644 0 0 $PWD/$i\"; fi; done; }; walk tree; echo '$'; } "
                   "> proto; rm -f x; truncate -s 320M x; mkfs.xfs -q %s -p proto x",
                   flags),
        0);
    open_image("x", "xfs");
    want_contents();
    want_links();
    want_bounds();
    close_image();
}

static void xfs_of_both_versions(void **state)
{
    (void)state;
    if (!images_have("mkfs.xfs"))
        skip();
    add_links();
    proto("-m crc=1");
    proto("-m crc=0,finobt=0 -n ftype=0 -b size=1024");
    proto("-m crc=1 -n size=16384");
}

static void btrfs_from_a_folder(void **state)
{
    (void)state;
    add_links();
    tried("mkfs.btrfs", "b", "btrfs", true, "truncate -s 128M b && mkfs.btrfs -q --rootdir tree b");
}

static void fat_of_three_widths(void **state)
{
    (void)state;
    images_run("rm -rf tree/dir/link tree/abs tree/loop tree/up tree/a/back tree/long tree/dir/0*");
    tried("mcopy", "f12", "fat12", false,
          "mkfs.vfat -C -F 12 -s 16 f12 16000 && mcopy -s -i f12 tree/* ::");
    tried("mcopy", "f16", "fat16", false,
          "mkfs.vfat -C -F 16 -s 4 f16 32000 && mcopy -s -i f16 tree/* ::");
    tried("mcopy", "f32", "fat32", false,
          "mkfs.vfat -C -F 32 -s 1 f32 48000 && mcopy -s -i f32 tree/* ::");
}

static void iso_with_rock_ridge_and_joliet(void **state)
{
    (void)state;
    images_run("rm -rf tree/dir/link tree/abs tree/loop tree/up tree/a/back tree/long tree/dir/0*");
    tried("genisoimage", "j", "iso9660", false, "genisoimage -quiet -J -o j tree");
    add_links();
    tried("genisoimage", "r", "iso9660", true, "genisoimage -quiet -R -o r tree");
}

static void ufs_of_both_versions(void **state)
{
    (void)state;
    add_links();
    tried("makefs", "u1", "ufs1", true, "makefs -t ffs -o version=1 -s 32m u1 tree");
    tried("makefs", "u2", "ufs2", true, "makefs -t ffs -o version=2 -s 32m u2 tree");
}

static void ntfs_plain_and_packed(void **state)
{
    const char *helper = getenv("HOSPES_NTFS_TREE");

    (void)state;
    images_run("rm -rf tree/dir/link tree/abs tree/loop tree/up tree/a/back tree/long tree/dir/0*");
    if (!helper || !images_have("mkntfs"))
        skip();
    assert_int_equal(images_run("truncate -s 24M n && mkntfs -q -F n && python3 %s n tree", helper),
                     0);
    tried("mkntfs", "n", "ntfs", false, "true");
    assert_int_equal(images_run("cp -r tree packed && mv packed/big.bin packed/big.bin.packed && "
                                "truncate -s 24M p && mkntfs -q -F p && python3 %s p packed",
                                helper),
                     0);
    tried("mkntfs", "p", "ntfs", false, "true");
    open_image("n", "ntfs");
    assert_true(fstree_has(&tree, "/DIR/Hello.TXT")); /* in any case */
    close_image();
}

/* A cut image is an error somewhere, and nothing else. */
static void truncated_images_are_refused(void **state)
{
    uint8_t *b;
    size_t n;

    (void)state;
    if (!images_have("mkfs.btrfs"))
        skip();
    assert_int_equal(images_run("rm -f t && truncate -s 128M t && mkfs.btrfs -q --rootdir tree t"),
                     0);
    b = images_load("t", &n);
    memset(&work, 0, sizeof(work));
    work.calls = 1 << 16;
    work.bytes = 1 << 28;
    vol_mem(&vol, b, 70000, &work);
    assert_int_equal(fs_open(&vol, &fs), 1);
    assert_string_not_equal(fs.why, "");
    fs_close(&fs);
    free(b);
}

static void lznt1_by_hand(void **state)
{
    /* [MS-XCA] 3.2's example. */
    static const uint8_t packed[] = {
        0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2, 0x47,
        0x01, 0xa0, 0x45, 0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0, 0x45, 0x20,
        0x05, 0x24, 0x13, 0x88, 0x05, 0xb4, 0x02, 0x4a, 0x44, 0xef, 0x03, 0x58, 0x02, 0x8c, 0x09,
        0x16, 0x01, 0x48, 0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00, 0x04, 0x01, 0x18, 0x90, 0x00};
    uint8_t out[4096];

    (void)state;
    assert_true(lznt1_unpack(packed, sizeof(packed), out, sizeof(out)) > 0);
    assert_memory_equal(out, "F# F# G A A G F# E D D E F# F# E E F#", 37);
    assert_int_equal(lznt1_unpack(packed, 20, out, sizeof(out)), -EIO);
}

static void lzo_by_hand(void **state)
{
    /* 4 letters, a match of 6 at distance 4 (20 is 17 + 3: a first run of 3), and the end mark. */
    static const uint8_t packed[] = {21, 'a', 'b', 'c', 'd', 0x24, 0x0c, 0x00, 0x11, 0, 0};
    uint8_t out[64];

    (void)state;
    assert_int_equal(lzo1x_unpack(packed, sizeof(packed), out, sizeof(out)), 10);
    assert_memory_equal(out, "abcdabcdab", 10);
    assert_int_equal(lzo1x_unpack(packed, sizeof(packed), out, 9), -EIO);
    assert_int_equal(lzo1x_unpack(packed, sizeof(packed) - 1, out, sizeof(out)), -EIO);
}

static void btrfs_unpacks_its_three_kinds(void **state)
{
    static const uint8_t lzo[] = {19,  0,   0,   0,    11,   0,    0,    0, 21, 'a',
                                  'b', 'c', 'd', 0x24, 0x0c, 0x00, 0x11, 0, 0};
    uint8_t out[64] = {0};
    uint8_t *b;
    size_t n;

    (void)state;
    assert_int_equal(btrfs_unpack(2, lzo, sizeof(lzo), out, sizeof(out), 4096), 10);
    assert_memory_equal(out, "abcdabcdab", 10);
    assert_int_equal(btrfs_unpack(9, lzo, sizeof(lzo), out, sizeof(out), 4096), -ENOTSUP);
    if (images_have("zstd")) {
        assert_int_equal(images_run("printf abcdabcdab | zstd -q --zstd=wlog=17 > z"), 0);
        b = images_load("z", &n);
        memset(out, 0, sizeof(out));
        assert_int_equal(btrfs_unpack(3, b, n, out, sizeof(out), 4096), 10);
        assert_memory_equal(out, "abcdabcdab", 10);
        assert_int_equal(btrfs_unpack(1, b, n, out, sizeof(out), 4096), -EIO);
        free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ext_of_three_ages),
        cmocka_unit_test(xfs_of_both_versions),
        cmocka_unit_test(btrfs_from_a_folder),
        cmocka_unit_test(fat_of_three_widths),
        cmocka_unit_test(iso_with_rock_ridge_and_joliet),
        cmocka_unit_test(ufs_of_both_versions),
        cmocka_unit_test(ntfs_plain_and_packed),
        cmocka_unit_test(truncated_images_are_refused),
        cmocka_unit_test(lznt1_by_hand),
        cmocka_unit_test(lzo_by_hand),
        cmocka_unit_test(btrfs_unpacks_its_three_kinds),
    };
    return cmocka_run_group_tests(tests, make_tree, drop_tree);
}
