/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's floppy driver: reset, seek, DMA, read and write, and what goes wrong. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "board/legacy/dma.h"
#include "board/legacy/floppy.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_mem_disk.h"

enum { DOR = 0x3f2, MSR = 0x3f4, FIFO = 0x3f5, DIR = 0x3f7, PAGE = 0x20000 };
enum { TO_MEMORY = 0x46, FROM_MEMORY = 0x4a, SECTOR = 512 };

static struct fake_env f;
static struct device *dma, *fdc;
static struct mem_disk *disk;
static unsigned closed;

static int setup(void **state)
{
    struct err e;

    (void)state;
    closed = 0;
    fake_env_create(&f, 1 * MiB);
    assert_int_equal(dma_create(&f.env, &dma, &e), 0);
    assert_int_equal(floppy_create(&f.env, dma, &fdc, &e), 0);
    disk = mem_disk_create(f.env.loop, 1440 * KiB);
    disk->closed = &closed;
    for (unsigned i = 0; i < 1440 * KiB; i++)
        disk->data[i] = (uint8_t)(i >> 9 ^ i);
    assert_int_equal(floppy_attach(fdc, &disk->disk, "disk0", &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fdc->ops->destroy(fdc);
    dma->ops->destroy(dma);
    assert_int_equal(closed, 1);
    fake_env_destroy(&f);
    return 0;
}

static uint8_t in(uint16_t port)
{
    return (uint8_t)fake_env_in(&f, port, 1);
}

static void out(uint16_t port, uint8_t v)
{
    fake_env_out(&f, port, 1, v);
}

static void command(const uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(in(MSR)&0xc0, 0x80);
        out(FIFO, p[i]);
    }
}

static unsigned result(uint8_t *p)
{
    unsigned n = 0;

    while ((in(MSR)&0xc0) == 0xc0 && n < 16)
        p[n++] = in(FIFO);
    assert_int_equal(in(MSR), 0x80);
    return n;
}

#define COMMAND(...) command((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void program(uint8_t mode, uint32_t at, unsigned n)
{
    out(0x0a, 0x06); /* mask channel 2 */
    out(0x0c, 0);
    out(0x04, (uint8_t)at);
    out(0x04, (uint8_t)(at >> 8));
    out(0x81, (uint8_t)(at >> 16));
    out(0x05, (uint8_t)(n - 1));
    out(0x05, (uint8_t)((n - 1) >> 8));
    out(0x0b, mode);
    out(0x0a, 0x02);
}

static void seek(uint8_t cylinder)
{
    uint8_t r[16] = {0};

    COMMAND(0x0f, 0, cylinder);
    assert_true(fake_irqs_line(&f.irqs, 6));
    COMMAND(0x08);
    assert_int_equal(result(r), 2);
    assert_int_equal(r[0], 0x20);
    assert_int_equal(r[1], cylinder);
    assert_false(fake_irqs_line(&f.irqs, 6));
}

static void a_reset_is_told_for_four_drives(void **state)
{
    uint8_t r[16] = {0};

    (void)state;
    out(DOR, 0x08);
    assert_int_equal(in(MSR), 0);
    out(DOR, 0x1c);
    assert_true(fake_irqs_line(&f.irqs, 6));
    for (uint8_t i = 0; i < 4; i++) {
        COMMAND(0x08);
        assert_int_equal(result(r), 2);
        assert_int_equal(r[0], 0xc0 | i);
    }
    COMMAND(0x08);
    assert_int_equal(result(r), 1);
    assert_int_equal(r[0], 0x80);
    COMMAND(0x10);
    assert_int_equal(result(r), 1);
    assert_int_equal(r[0], 0x90);
}

static void the_disk_change_line_falls_with_a_step(void **state)
{
    (void)state;
    assert_int_equal(in(DIR), 0x80);
    seek(3);
    assert_int_equal(in(DIR), 0);
    assert_int_equal(floppy_cmos(fdc), 0x40);
}

static void sectors_are_read_over_both_sides(void **state)
{
    static uint8_t b[36 * 512];
    uint8_t r[16] = {0};

    (void)state;
    seek(7);
    program(TO_MEMORY, PAGE, sizeof(b));
    COMMAND(0xe6, 0, 7, 0, 1, 2, 18, 0x1b, 0xff);
    assert_true(fake_irqs_line(&f.irqs, 6));
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0], 0);
    assert_int_equal(r[3], 8); /* the next sector is on the next cylinder */
    assert_int_equal(r[5], 1);
    assert_int_equal(gmem_read(f.env.mem, PAGE, b, sizeof(b)), 0);
    assert_memory_equal(b, disk->data + 7 * sizeof(b), sizeof(b));
    assert_int_equal(in(0x08) & 0x04, 0x04); /* terminal count of channel 2 */
}

/* SeaBIOS passes on a call of more than a cylinder as one command, with an EOT beyond any track. */
static void a_read_goes_on_in_the_next_cylinders(void **state)
{
    static uint8_t b[64 * SECTOR];
    uint8_t r[16] = {0};

    (void)state;
    seek(7);
    program(TO_MEMORY, PAGE, sizeof(b));
    COMMAND(0xe6, 4, 7, 1, 2, 2, 65, 0x1b, 0xff);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0], 4);
    assert_int_equal(r[3], 9);
    assert_int_equal(gmem_read(f.env.mem, PAGE, b, sizeof(b)), 0);
    assert_memory_equal(b, disk->data + (7 * 36 + 19) * SECTOR, sizeof(b));
    assert_int_equal(in(0x08) & 0x04, 0x04);
    /* The next call for that cylinder comes without a seek. */
    program(TO_MEMORY, PAGE, SECTOR);
    COMMAND(0xe6, 0, 7, 0, 1, 2, 1, 0x1b, 0xff);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0], 0);
}

static void a_write_goes_on_in_the_next_cylinders(void **state)
{
    static uint8_t b[128 * SECTOR];
    uint8_t r[16] = {0};

    (void)state;
    seek(1);
    memset(b, 0x5a, sizeof(b));
    assert_int_equal(gmem_write(f.env.mem, PAGE, b, sizeof(b)), 0);
    program(FROM_MEMORY, PAGE, sizeof(b));
    COMMAND(0xc5, 0, 1, 0, 1, 2, 128, 0x1b, 0xff);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0], 0);
    assert_memory_equal(disk->data + 36 * SECTOR, b, sizeof(b));
    assert_int_not_equal(disk->data[(36 + 128) * SECTOR + 1], 0x5a);
}

static void a_read_ends_with_the_disk(void **state)
{
    static uint8_t b[37 * SECTOR];
    uint8_t r[16] = {0};

    (void)state;
    seek(79);
    program(TO_MEMORY, PAGE, sizeof(b));
    COMMAND(0xe6, 0, 79, 0, 1, 2, 37, 0x1b, 0xff);
    assert_int_equal(result(r), 7);
    assert_int_equal(gmem_read(f.env.mem, PAGE, b, sizeof(b)), 0);
    assert_memory_equal(b, disk->data + 79 * 36 * SECTOR, 36 * SECTOR);
    assert_int_equal(b[36 * SECTOR], 0);
}

static void the_count_of_dma_ends_a_read(void **state)
{
    uint8_t r[16] = {0}, b[1024];

    (void)state;
    seek(0);
    program(TO_MEMORY, PAGE, 512);
    COMMAND(0xe6, 4, 0, 1, 3, 2, 18, 0x1b, 0xff); /* head 1 */
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0], 4);
    assert_int_equal(r[5], 4);
    assert_int_equal(gmem_read(f.env.mem, PAGE, b, sizeof(b)), 0);
    assert_memory_equal(b, disk->data + (18 + 2) * 512, 512);
    assert_int_equal(b[512], 0);
}

static void sectors_are_written_late(void **state)
{
    uint8_t r[16] = {0}, b[512];

    (void)state;
    seek(1);
    memset(b, 0x5a, sizeof(b));
    assert_int_equal(gmem_write(f.env.mem, PAGE, b, sizeof(b)), 0);
    program(FROM_MEMORY, PAGE, sizeof(b));
    disk->slow = true;
    COMMAND(0xc5, 0, 1, 0, 18, 2, 18, 0x1b, 0xff);
    assert_int_equal(in(MSR), 0x10);
    fake_env_run(&f);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0], 0);
    assert_memory_equal(disk->data + (36 + 17) * 512, b, sizeof(b));
}

static void what_cannot_be_is_told(void **state)
{
    uint8_t r[16] = {0};

    (void)state;
    seek(1);
    program(TO_MEMORY, PAGE, 512);
    COMMAND(0xe6, 0, 2, 0, 1, 2, 18, 0x1b, 0xff); /* another cylinder */
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0x40);
    assert_int_equal(r[1], 0x04);
    COMMAND(0xe6, 1, 1, 0, 1, 2, 18, 0x1b, 0xff); /* no such drive */
    assert_int_equal(result(r), 7);
    assert_int_equal(r[1], 0x01);
    disk->disk.shape.readonly = true;
    program(FROM_MEMORY, PAGE, 512);
    COMMAND(0xc5, 0, 1, 0, 1, 2, 18, 0x1b, 0xff);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[1], 0x02);
    COMMAND(0x1f);
    assert_int_equal(result(r), 1);
    assert_int_equal(r[0], 0x80);
}

static void a_reset_forgets_what_is_in_flight(void **state)
{
    (void)state;
    seek(1);
    program(TO_MEMORY, PAGE, 512);
    disk->hold = true;
    COMMAND(0xe6, 0, 1, 0, 1, 2, 18, 0x1b, 0xff);
    fake_env_run(&f);
    out(DOR, 0);
    out(DOR, 0x1c);
    assert_int_equal(mem_disk_release(disk), 1);
    assert_int_equal(in(MSR), 0x80);
    disk->hold = false;
}

/* What drive 0 holds has so many bytes from now on. */
static void put_in(uint64_t bytes)
{
    disk->disk.shape.bytes = bytes;
    floppy_changed(fdc, &disk->disk);
}

static void without_a_disk_commands_fail_and_the_line_stays(void **state)
{
    uint8_t r[16] = {0};

    (void)state;
    seek(3);
    put_in(0);
    assert_int_equal(in(DIR), 0x80);
    seek(0);
    assert_int_equal(in(DIR), 0x80); /* no step helps */
    program(TO_MEMORY, PAGE, SECTOR);
    COMMAND(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff); /* read */
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0x40);
    COMMAND(0x4d, 0, 2, 18, 0x54, 0xf6); /* format */
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0x40);
    COMMAND(0x4a, 0); /* read id */
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0x40);
    COMMAND(0x04, 0);
    assert_int_equal(result(r), 1);
    assert_int_equal(floppy_cmos(fdc), 0x40); /* the drive is still there */
}

static void another_disk_is_read_in_its_own_format(void **state)
{
    uint8_t b[SECTOR], r[16] = {0};

    (void)state;
    seek(3);
    put_in(720 * KiB);
    assert_int_equal(in(DIR), 0x80);
    seek(0);
    assert_int_equal(in(DIR), 0);
    program(TO_MEMORY, PAGE, SECTOR);
    COMMAND(0xe6, 0, 0, 0, 1, 2, 9, 0x1b, 0xff); /* at the rate of the one before */
    assert_int_equal(result(r), 7);
    assert_int_equal(r[1], 0x01);
    COMMAND(0x4a, 0);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0x40);
    out(DIR, 2);
    COMMAND(0x4a, 0);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0);
    COMMAND(0xe6, 0, 0, 0, 10, 2, 18, 0x1b, 0xff); /* it has nine sectors */
    assert_int_equal(result(r), 7);
    assert_int_equal(r[1], 0x04);
    COMMAND(0xe6, 4, 0, 1, 1, 2, 9, 0x1b, 0xff);
    fake_env_run(&f);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0);
    assert_int_equal(gmem_read(f.env.mem, PAGE, b, sizeof(b)), 0);
    assert_memory_equal(b, disk->data + 9 * SECTOR, sizeof(b));
}

/* A request that was under way ends with the drive empty. */
static void a_disk_taken_under_a_request_is_an_error(void **state)
{
    uint8_t r[16] = {0};

    (void)state;
    seek(0);
    disk->hold = true;
    program(TO_MEMORY, PAGE, SECTOR);
    COMMAND(0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    put_in(0);
    mem_disk_release(disk);
    fake_env_run(&f);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0x40);
    disk->hold = false;
}

static void a_drive_takes_disks_of_its_kind(void **state)
{
    static const struct {
        uint64_t drive, disk; /* KiB */
        bool fits;
    } pairs[] = {{0, 1440, true},    {0, 2880, false},  {0, 720, true},     {0, 360, false},
                 {720, 1440, false}, {2880, 720, true}, {1200, 360, true},  {1200, 720, false},
                 {360, 1200, false}, {1440, 0, true},   {1440, 5000, false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct mem_disk *in_it = mem_disk_create(f.env.loop, pairs[i].drive * KiB),
                        *next = mem_disk_create(f.env.loop, pairs[i].disk * KiB);
        struct device *own;
        struct err e = {0};
        int rc;

        fdc->ops->destroy(fdc);
        assert_int_equal(floppy_create(&f.env, dma, &own, &e), 0);
        assert_int_equal(floppy_attach(own, &in_it->disk, "disk0", &e), 0);
        rc = floppy_fits(own, &in_it->disk, pairs[i].disk ? &next->disk : NULL, "disk0", &e);
        if ((rc == 0) != pairs[i].fits)
            fail_msg("%u into %u: %s", (unsigned)pairs[i].disk, (unsigned)pairs[i].drive, e.msg);
        assert_true(pairs[i].fits || e.exit == EX_BAD_INPUT);
        assert_true(floppy_fits(own, &next->disk, NULL, "disk1", &e) < 0);
        disk_close(&next->disk);
        fdc = own;
    }
}

static void odd_sizes_are_refused(void **state)
{
    struct mem_disk *odd = mem_disk_create(f.env.loop, 1500 * KiB),
                    *second = mem_disk_create(f.env.loop, 720 * KiB);
    struct err e;

    (void)state;
    assert_true(floppy_attach(fdc, &odd->disk, "disk1", &e) < 0);
    assert_int_equal(e.exit, EX_BAD_INPUT);
    assert_non_null(strstr(e.msg, "--disk"));
    disk_close(&odd->disk);
    assert_int_equal(floppy_attach(fdc, &second->disk, "disk1", &e), 1);
    assert_int_equal(floppy_cmos(fdc), 0x43);
    assert_true(floppy_attach(fdc, &second->disk, "disk2", &e) < 0);
}

static void an_image_need_not_have_all_sectors(void **state)
{
    struct mem_disk *boot = mem_disk_create(f.env.loop, 3 * SECTOR);
    static uint8_t b[4 * SECTOR], want[4 * SECTOR];
    uint8_t r[16] = {0};
    struct err e;

    (void)state;
    memset(boot->data, 0x5a, 3 * SECTOR);
    memset(want, 0x5a, 3 * SECTOR);
    assert_int_equal(floppy_attach(fdc, &boot->disk, "disk1", &e), 1);
    assert_int_equal(floppy_cmos(fdc), 0x44);
    assert_int_equal(gmem_write(f.env.mem, PAGE, (uint8_t[4 * SECTOR]){[1536] = 1}, sizeof(b)), 0);
    program(TO_MEMORY, PAGE, sizeof(b));
    COMMAND(0xe6, 1, 0, 0, 1, 2, 18, 0x1b, 0xff);
    fake_env_run(&f);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0);
    assert_int_equal(gmem_read(f.env.mem, PAGE, b, sizeof(b)), 0);
    assert_memory_equal(b, want, sizeof(b));
    program(TO_MEMORY, PAGE, SECTOR); /* nothing of it is there */
    COMMAND(0xe6, 1, 0, 0, 9, 2, 18, 0x1b, 0xff);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0);
    program(FROM_MEMORY, PAGE, SECTOR); /* nor can it be kept */
    COMMAND(0xc5, 1, 0, 0, 9, 2, 18, 0x1b, 0xff);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[1], 0x20);
}

static void odd_images_are_of_the_common_kind(void **state)
{
    struct mem_disk *more = mem_disk_create(f.env.loop, 1440 * KiB + SECTOR);
    struct err e;

    (void)state;
    assert_int_equal(floppy_attach(fdc, &more->disk, "disk1", &e), 1);
    assert_int_equal(floppy_cmos(fdc), 0x44);
}

/* CONFIGURE with EIS: the address of a transfer moves the head. */
static void seeks_may_be_implied(void **state)
{
    uint8_t r[16] = {0};

    (void)state;
    program(TO_MEMORY, PAGE, SECTOR);
    COMMAND(0xe6, 0, 5, 0, 1, 2, 18, 0x1b, 0xff);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[1], 0x04);
    COMMAND(0x13, 0, 0x57, 0);
    COMMAND(0xe6, 0, 5, 0, 1, 2, 18, 0x1b, 0xff);
    fake_env_run(&f);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0);
    COMMAND(0x0e);
    assert_int_equal(result(r), 10);
    assert_int_equal(r[0], 5);
    COMMAND(0xe6, 0, 80, 0, 1, 2, 18, 0x1b, 0xff); /* there is no such cylinder */
    assert_int_equal(result(r), 7);
    assert_int_equal(r[1], 0x04);
}

static void seeks_may_be_relative(void **state)
{
    static const struct {
        uint8_t command, by, at;
    } step[] = {{0xcf, 3, 13}, {0x8f, 5, 8}, {0x8f, 200, 0}};
    uint8_t r[16] = {0};

    (void)state;
    seek(10);
    for (unsigned i = 0; i < ARRAY_SIZE(step); i++) {
        COMMAND(step[i].command, 0, step[i].by);
        COMMAND(0x08);
        assert_int_equal(result(r), 2);
        assert_int_equal(r[1], step[i].at);
    }
}

static void sectors_can_be_verified(void **state)
{
    uint8_t r[16] = {0};

    (void)state;
    seek(2);
    COMMAND(0xf6, 0, 2, 0, 1, 2, 18, 0x1b, 0xff);
    assert_true(fake_irqs_line(&f.irqs, 6));
    assert_int_equal(result(r), 7);
    assert_int_equal(r[0] & 0xc0, 0);
    assert_int_equal(r[3], 3); /* behind both sides */
    COMMAND(0xf6, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
    assert_int_equal(result(r), 7);
    assert_int_equal(r[1], 0x04);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reset_is_told_for_four_drives),
        TEST(the_disk_change_line_falls_with_a_step),
        TEST(sectors_are_read_over_both_sides),
        TEST(a_read_goes_on_in_the_next_cylinders),
        TEST(a_write_goes_on_in_the_next_cylinders),
        TEST(a_read_ends_with_the_disk),
        TEST(the_count_of_dma_ends_a_read),
        TEST(sectors_are_written_late),
        TEST(what_cannot_be_is_told),
        TEST(a_reset_forgets_what_is_in_flight),
        TEST(without_a_disk_commands_fail_and_the_line_stays),
        TEST(another_disk_is_read_in_its_own_format),
        TEST(a_disk_taken_under_a_request_is_an_error),
        TEST(a_drive_takes_disks_of_its_kind),
        TEST(odd_sizes_are_refused),
        TEST(an_image_need_not_have_all_sectors),
        TEST(odd_images_are_of_the_common_kind),
        TEST(seeks_may_be_implied),
        TEST(seeks_may_be_relative),
        TEST(sectors_can_be_verified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
