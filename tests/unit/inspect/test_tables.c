/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables and volume groups: what is read, and what a hostile one gets. */
#include "images.h"

#include <errno.h>

#include "abi/bytes.h"
#include "inspect/lvm.h"
#include "inspect/lvmtext.h"
#include "inspect/part.h"

enum { SECTOR = 512, DISK = 4 << 20 };

static uint8_t disk[DISK];
static struct work work;
static struct vol vol;
static struct part_table table;

static int setup(void **state)
{
    (void)state;
    memset(disk, 0, sizeof(disk));
    memset(&work, 0, sizeof(work));
    work.calls = 100000;
    work.bytes = UINT64_C(1) << 30;
    vol_mem(&vol, disk, DISK, &work);
    return 0;
}

static void entry(unsigned sector, unsigned i, uint8_t type, uint32_t first, uint32_t count)
{
    uint8_t *e = disk + (size_t)sector * SECTOR + 446 + i * 16;

    e[4] = type;
    le32_put(e + 8, first);
    le32_put(e + 12, count);
    le16_put(disk + (size_t)sector * SECTOR + 510, 0xaa55);
}

static void logical_partitions_follow_their_chain(void **state)
{
    (void)state;
    le32_put(disk + 440, 0x1234abcd);
    entry(0, 0, 0x83, 64, 100);
    entry(0, 1, 0x05, 1000, 3000);
    entry(1000, 0, 0x83, 8, 50);
    entry(1000, 1, 0x05, 500, 500);
    entry(1500, 0, 0x8e, 8, 60);
    part_read(&vol, &table);
    assert_string_equal(table.kind, "mbr");
    assert_int_equal(table.parts, 3);
    assert_int_equal(table.part[0].off, 64 * SECTOR);
    assert_int_equal(table.part[1].number, 5);
    assert_int_equal(table.part[1].off, 1008 * SECTOR);
    assert_int_equal(table.part[2].number, 6);
    assert_int_equal(table.part[2].off, 1508 * SECTOR);
    assert_int_equal(table.part[2].use, PART_LVM);
    assert_string_equal(table.part[2].uuid, "1234abcd-06");
    assert_string_equal(table.note, "");
}

static void a_circle_of_logical_partitions_ends(void **state)
{
    (void)state;
    entry(0, 0, 0x05, 1000, 3000);
    entry(1000, 0, 0x83, 8, 50);
    entry(1000, 1, 0x05, 0, 500);
    part_read(&vol, &table);
    assert_int_equal(table.parts, 1);
    assert_non_null(strstr(table.note, "circle"));
}

static void a_partition_past_the_end_is_cut_and_told(void **state)
{
    (void)state;
    entry(0, 0, 0x83, 64, UINT32_MAX);
    entry(0, 1, 0x83, UINT32_MAX, 7);
    part_read(&vol, &table);
    assert_int_equal(table.parts, 1);
    assert_int_equal(table.part[0].len, DISK - 64 * SECTOR);
    assert_non_null(strstr(table.note, "past the end"));
}

static void a_file_system_without_a_table_has_none(void **state)
{
    (void)state;
    le16_put(disk + 510, 0xaa55);
    disk[446] = 0x12;
    disk[450] = 0x34;
    part_read(&vol, &table);
    assert_string_equal(table.kind, "none");
    assert_int_equal(table.parts, 0);
}

static void load(const char *name)
{
    size_t n;
    uint8_t *b = images_load(name, &n);

    assert_int_equal(n, DISK);
    memcpy(disk, b, n);
    free(b);
}

static void gpt_from_either_end_and_hybrid(void **state)
{
    (void)state;
    if (!images_have("sfdisk"))
        skip();
    images_setup(NULL);
    assert_int_equal(
        images_run(
            "truncate -s 4M g && printf 'label: gpt\\nsize=1M,type=U,name=here\\ntype=L\\n' | "
            "sfdisk -q g"),
        0);
    load("g");
    part_read(&vol, &table);
    assert_string_equal(table.kind, "gpt");
    assert_int_equal(table.parts, 2);
    assert_int_equal(table.part[0].use, PART_ESP);
    assert_int_equal(table.part[0].len, 1 << 20);
    assert_string_equal(table.part[0].name, "here");
    assert_false(table.backup);
    memset(disk + 512, 0x55, 100);
    part_read(&vol, &table);
    assert_string_equal(table.kind, "gpt");
    assert_true(table.backup);
    assert_int_equal(table.parts, 2);
    memset(disk + DISK - 512, 0x55, 100);
    part_read(&vol, &table);
    assert_int_equal(table.parts, 0);
    assert_non_null(strstr(table.note, "so is its copy"));
    load("g");
    entry(0, 1, 0x83, 2048, 100);
    part_read(&vol, &table);
    assert_string_equal(table.kind, "hybrid");
    images_teardown(NULL);
}

static void slices_of_a_bsd_partition(void **state)
{
    uint8_t *b = disk + 65 * SECTOR;

    (void)state;
    entry(0, 0, 0xa5, 64, 4000);
    le32_put(b, 0x82564557);
    le32_put(b + 132, 0x82564557);
    le16_put(b + 138, 8);
    le32_put(b + 148, 1000);
    le32_put(b + 148 + 4, 16);
    b[148 + 12] = 7;
    le32_put(b + 148 + 16, 500);
    le32_put(b + 148 + 16 + 4, 2000);
    b[148 + 16 + 12] = 1;
    part_read(&vol, &table);
    assert_int_equal(table.parts, 3);
    assert_int_equal(table.part[0].use, PART_SLICED);
    assert_string_equal(table.part[1].name, "slice a");
    assert_int_equal(table.part[1].off, 80 * SECTOR);
    assert_int_equal(table.part[2].use, PART_SWAP);
}

/* --- LVM --- */

#define GROUP                                                                                      \
    "vg {\nid = \"x\"\nextent_size = 8\nphysical_volumes {\npv0 {\nid = \"%s\"\npe_start = "       \
    "16\n}\n"                                                                                      \
    "pv1 {\nid = \"%s\"\npe_start = 16\n}\n}\nlogical_volumes {\n%s\n}\n}\n"
#define ID0 "AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA"
#define ID1 "BBBBBB-BBBB-BBBB-BBBB-BBBB-BBBB-BBBBBB"

static struct lvm lvm;
static struct vol second;

static void group(const char *volumes)
{
    char text[4096];

    memset(&lvm, 0, sizeof(lvm));
    vol_mem(&second, disk, DISK, &work);
    lvm.pvs = 2;
    lvm.pv[0].vol = &vol;
    lvm.pv[1].vol = &second;
    strcpy(lvm.pv[0].uuid, ID0);
    strcpy(lvm.pv[1].uuid, ID1);
    lvm.pv[0].data = 16 * SECTOR;
    lvm.pv[1].data = 32 * SECTOR;
    snprintf(text, sizeof(text), GROUP, ID0, ID1, volumes);
    assert_int_equal(lvm_text(&lvm, text), 0);
}

static void linear_and_striped_volumes(void **state)
{
    uint8_t b[4096 + 16];

    (void)state;
    for (size_t i = 0; i < DISK; i++)
        disk[i] = (uint8_t)(i / 512);
    group("root {\nstatus = [\"READ\", \"VISIBLE\"]\nsegment_count = 2\nsegment1 {\n"
          "start_extent = 0\nextent_count = 1\ntype = \"striped\"\nstripe_count = 1\n"
          "stripes = [ \"pv0\", 3 ]\n}\nsegment2 {\nstart_extent = 1\nextent_count = 2\n"
          "type = \"striped\"\nstripe_count = 2\nstripe_size = 2\nstripes = [ \"pv0\", 5, \"pv1\", "
          "7 ]\n}\n}\nhidden {\nstatus = [\"READ\"]\n}\n");
    assert_int_equal(lvm.lvs, 1);
    assert_string_equal(lvm.lv[0].name, "vg/root");
    assert_string_equal(lvm.lv[0].why, "");
    assert_int_equal(lvm.lv[0].vol.bytes, 3 * 4096);
    assert_int_equal(vol_read(&lvm.lv[0].vol, 4096 - 8, b, sizeof(b)), 0);
    assert_int_equal(b[0], 16 + 3 * 8 + 7);                /* the end of extent 3 of pv0 */
    assert_int_equal(b[8], 16 + 5 * 8);                    /* the first stripe, on pv0 */
    assert_int_equal(b[8 + 1024], 32 + 7 * 8);             /* the second, on pv1 */
    assert_int_equal(b[8 + 2048], (16 + 5 * 8 + 2) & 255); /* back on pv0, one stripe on */
    assert_int_equal(vol_read(&lvm.lv[0].vol, 3 * 4096 - 1, b, 2), -EIO);
    lvm_fini(&lvm);
}

static void volumes_that_cannot_be_read_say_why(void **state)
{
    (void)state;
    group(
        "thin {\nstatus = [\"VISIBLE\"]\nsegment1 {\ntype = \"thin\"\n}\n}\n"
        "gone {\nstatus = [\"VISIBLE\"]\nsegment1 {\nstart_extent = 0\nextent_count = 1\n"
        "type = \"striped\"\nstripe_count = 1\nstripes = [ \"pv9\", 0 ]\n}\n}\n"
        "huge {\nstatus = [\"VISIBLE\"]\nsegment1 {\nstart_extent = 18446744073709551615\n"
        "extent_count = 9\ntype = \"striped\"\nstripe_count = 1\nstripes = [\"pv0\", 0]\n}\n}\n"
        "empty {\nstatus = [\"VISIBLE\"]\n}\n"
        "loop {\nstatus = [\"VISIBLE\"]\nsegment1 {\ntype = \"mirror\"\nmirrors = [\"loop\", 0]\n}"
        "\n}\n");
    assert_int_equal(lvm.lvs, 5);
    assert_non_null(strstr(lvm.lv[0].why, "thin"));
    assert_non_null(strstr(lvm.lv[1].why, "not here"));
    assert_true(lvm.unseen);
    for (unsigned i = 2; i < 5; i++)
        assert_non_null(strstr(lvm.lv[i].why, "damaged"));
    lvm_fini(&lvm);
}

static void texts_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"a", "a {", "a = [1", "}", "a = \"x", "= 3", "a b", "a {} }"};
    struct text_node *top;
    char text[4096];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        snprintf(text, sizeof(text), "%s", bad[i]);
        assert_true(text_parse(text, &top) < 0);
    }
    text[0] = '\0';
    for (unsigned i = 0; i < 40; i++)
        memcpy(text + i * 3, "a {", 4);
    assert_true(text_parse(text, &top) < 0);
    strcpy(text, "a = 1 # x }\nb { c = \"d }\" e = [ 1, \"two\" ] }");
    assert_int_equal(text_parse(text, &top), 0);
    assert_int_equal(text_number(top, "a"), 1);
    assert_string_equal(text_string(text_child(top, "b"), "c"), "d }");
    text_free(top);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(logical_partitions_follow_their_chain),
        T(a_circle_of_logical_partitions_ends),
        T(a_partition_past_the_end_is_cut_and_told),
        T(a_file_system_without_a_table_has_none),
        T(gpt_from_either_end_and_hybrid),
        T(slices_of_a_bsd_partition),
        T(linear_and_striped_volumes),
        T(volumes_that_cannot_be_read_say_why),
        T(texts_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
