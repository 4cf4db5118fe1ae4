/* SPDX-License-Identifier: Apache-2.0 */
/* test_xva.c - disks in XenServer's exports: numbers that only count, checksums, several disks. */
#include "tarball.h"

#include <errno.h>
#include <openssl/evp.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "storage/image.h"

enum { BLOCK = 64 * 1024 };

static struct loop *loop;
static uint8_t block[BLOCK], buf[8 * BLOCK];

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

static void add_xml(FILE *f, uint64_t size1, uint64_t size2)
{
    char xml[2000];

    snprintf(xml, sizeof(xml),
             "<value><struct><member><name>VDI</name><value>Ref:7</value></member></struct></value>"
             "<member><name>id</name><value>Ref:3</value></member><member><name>snapshot</name>"
             "<value><struct><member><name>virtual_size</name><value>%llu</value></member>"
             "<member><name>id</name><value>Ref:7</value></member><member><name>snapshot</name>"
             "<value><struct><member><name>virtual_size</name><value>%llu</value></member>",
             (unsigned long long)size1, (unsigned long long)size2);
    tarball_add(f, "ova.xml", TAR_FILE, xml, strlen(xml));
}

static void add_block(FILE *f, const char *ref, unsigned number, uint8_t byte, size_t n, bool xxh)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    char name[64], hex[48] = "";
    unsigned len;

    memset(block, byte, n);
    snprintf(name, sizeof(name), "%s/%08u", ref, number);
    tarball_add(f, name, TAR_FILE, block, n);
    EVP_Digest(block, n, sum, &len, EVP_sha1(), NULL);
    for (unsigned i = 0; i < 20; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", sum[i]);
    if (xxh)
        snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)XXH64(block, n, 0));
    snprintf(name, sizeof(name), "%s/%08u.%s", ref, number, xxh ? "xxhash" : "checksum");
    tarball_add(f, name, TAR_FILE, hex, strlen(hex));
}

/* Ref:3: blocks 0, 3 and 5 of six; a block without bytes counts. Ref:7: two blocks. */
static const char *archive(void)
{
    const char *path = scratch_path("x.xva");
    FILE *f = fopen(path, "w");

    add_xml(f, 5 * BLOCK + 512, 2 * BLOCK);
    add_block(f, "Ref:3", 0, 1, BLOCK, false);
    add_block(f, "Ref:3", 3, 3, BLOCK, false);
    add_block(f, "Ref:3", 4, 0, 0, false);
    add_block(f, "Ref:3", 6, 5, BLOCK, false);
    add_block(f, "Ref:7", 0, 8, BLOCK, true);
    add_block(f, "Ref:7", 1, 9, BLOCK, true);
    tarball_end(f);
    return path;
}

static int try_open(const char *path, struct disk **d, struct err *e)
{
    struct disk_cfg c = {.path = path, .readonly = true};

    *e = (struct err){0};
    return disk_open(&c, loop, d, e);
}

static void refused(const char *path, const char *why)
{
    struct disk *d;
    struct err e;

    assert_true(try_open(path, &d, &e) < 0);
    if (!strstr(e.msg, why))
        fail_msg("'%s' does not say '%s'", e.msg, why);
}

static struct image_report check(const char *path)
{
    struct disk_cfg c = {.path = path, .readonly = true};
    struct image_report rep = {0};
    const struct format_ops *f;
    struct err e = {0};

    assert_int_equal(image_check(&c, false, &rep, &f, &e), 0);
    assert_string_equal(f->name, "xva");
    return rep;
}

static void numbers_count_and_are_no_offsets(void **state)
{
    struct disk *d;
    struct err e;

    (void)state;
    (void)archive();
    assert_int_equal(try_open(scratch_path("x.xva:Ref:3"), &d, &e), 0);
    assert_int_equal(d->shape.bytes, 5 * BLOCK + 512);
    assert_int_equal(scratch_run(d, DISK_READ, 0, buf, 5 * BLOCK + 512), 0);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(buf[i * BLOCK], i == 0 || i == 3 || i == 5 ? (i == 0 ? 1 : i) : 0);
    disk_close(d);
    assert_int_equal(try_open(scratch_path("x.xva:Ref:7/"), &d, &e), 0);
    assert_int_equal(d->shape.bytes, 2 * BLOCK);
    assert_int_equal(disk_read(d, BLOCK - 512, buf, 1024), 0);
    assert_int_equal(buf[0], 8);
    assert_int_equal(buf[512], 9);
    disk_close(d);
}

static void a_disk_must_be_named_when_there_are_several(void **state)
{
    struct disk_cfg c = {.path = archive()};
    struct disk *d;
    struct err e = {0};

    (void)state;
    refused(c.path, "2 disks (Ref:3, Ref:7)");
    refused(scratch_path("x.xva:Ref:1"), "the disks in it are: Ref:3, Ref:7");
    c.path = scratch_path("x.xva:Ref:7");
    assert_int_equal(disk_open(&c, loop, &d, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "can only be read"));
    c.snapshot = true;
    assert_int_equal(disk_open(&c, loop, &d, &e), 0);
    assert_int_equal(disk_write(d, 0, block, 512), 0);
    disk_close(d);
}

static void checksums_are_verified(void **state)
{
    const char *path = archive();
    int fd;

    (void)state;
    assert_int_equal(check(path).errors, 0);
    fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "x", 1, 4 * 512), 1); /* in the first block */
    close(fd);
    assert_int_equal(check(path).errors, 1);
}

static void what_is_missing_is_noticed(void **state)
{
    const char *path = scratch_path("lacks.xva");
    FILE *f = fopen(path, "w");

    (void)state;
    add_xml(f, 3 * BLOCK, 0);
    add_block(f, "Ref:3", 0, 1, BLOCK, false);
    add_block(f, "Ref:3", 1, 1, BLOCK, false);
    tarball_end(f);
    refused(path, "last block");
    assert_int_equal(truncate(path, 2 * BLOCK), 0);
    refused(path, "cut off");
    assert_int_equal(check(path).errors, 1);
    f = fopen(path, "w");
    add_xml(f, 3 * BLOCK, 0);
    add_block(f, "Ref:3", 1, 1, BLOCK, false);
    add_block(f, "Ref:3", 0, 1, BLOCK, false);
    tarball_end(f);
    refused(path, "out of order");
    f = fopen(path, "w");
    add_xml(f, 3 * BLOCK, 0);
    add_block(f, "Ref:3", 1, 1, 5000, false);
    tarball_end(f);
    refused(path, "out of order");
    f = fopen(path, "w");
    add_xml(f, 3 * BLOCK, 0);
    tarball_end(f);
    refused(path, "are: none");
}

static void without_a_size_the_blocks_say_it(void **state)
{
    const char *path = scratch_path("nosize.xva");
    FILE *f = fopen(path, "w");
    struct disk *d;
    struct err e;

    (void)state;
    tarball_add(f, "ova.xml", TAR_FILE, "<value/>", 8);
    add_block(f, "Ref:3", 0, 1, BLOCK, false);
    add_block(f, "Ref:3", 2, 2, 8192, false);
    tarball_end(f);
    assert_int_equal(try_open(path, &d, &e), 0);
    assert_int_equal(d->shape.bytes, 2 * BLOCK + 8192);
    assert_int_equal(disk_read(d, 0, buf, 2 * BLOCK + 8192), 0);
    assert_int_equal(buf[0], 1);
    assert_int_equal(buf[BLOCK], 0);
    assert_int_equal(buf[2 * BLOCK + 8191], 2);
    disk_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_count_and_are_no_offsets),
        cmocka_unit_test(a_disk_must_be_named_when_there_are_several),
        cmocka_unit_test(checksums_are_verified),
        cmocka_unit_test(what_is_missing_is_noticed),
        cmocka_unit_test(without_a_size_the_blocks_say_it),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
