/* SPDX-License-Identifier: Apache-2.0 */
/* The SCSI target: what a guest's commands get, good and bad. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/loop.h"
#include "fakes/fake_mem_disk.h"
#include "storage/filter/filter.h"
#include "storage/scsi.h"

enum { BLOCKS = 256, DISK_BYTES = BLOCKS * 512 };

static struct loop *loop;
static struct scsi_target *target;
static struct mem_disk *mem;
static unsigned closed;
static struct scsi_req req;
static struct iovec vec;
static uint8_t buf[8192];
static int dones;

static void count_done(struct scsi_req *r)
{
    (void)r;
    dones++;
}

static void submit_again(struct scsi_req *r)
{
    if (++dones < 100000)
        scsi_submit(target, r);
}

static void attach(unsigned lun, bool cdrom)
{
    struct scsi_lun_cfg c = {.disk = &mem->disk, .id = "disk0", .cdrom = cdrom};
    struct err e;

    assert_int_equal(scsi_attach(target, lun, &c, &e), 0);
}

/* Sends a CDB with a buffer of n bytes; returns the status. */
static int send_n(unsigned lun, size_t n, const uint8_t *cdb, size_t len)
{
    req = (struct scsi_req){.lun = (uint16_t)lun, .iov = &vec, .iovcnt = 1, .done = count_done};
    vec = (struct iovec){buf, n};
    memcpy(req.cdb, cdb, len);
    dones = 0;
    scsi_submit(target, &req);
    assert_int_equal(dones, 0); /* never from inside submit */
    for (int i = 0; i < 600 && !dones; i++)
        assert_true(loop_step(loop, 0) >= 0);
    assert_int_equal(dones, 1);
    return req.status;
}
#define SEND(lun, n, ...)                                                                          \
    send_n(lun, n, (const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

static int asc(void)
{
    return req.sense[12] << 8 | req.sense[13];
}

/* A controller that was full takes the next command when one has ended. */
static void commands_that_follow_each_other_leave_the_loop_its_turns(void **state)
{
    attach(0, false);
    req = (struct scsi_req){.iov = &vec, .done = submit_again};
    dones = 0;
    scsi_submit(target, &req);
    assert_true(loop_step(loop, 0) >= 0);
    assert_int_equal(dones, 1);
    dones = 100000;
    assert_true(loop_step(loop, 0) >= 0);
}

static int setup(void **state)
{
    struct scsi_target_cfg c = {0};
    struct err e;

    (void)state;
    closed = 0;
    assert_int_equal(loop_create_fake(&loop, &e), 0);
    assert_int_equal(scsi_target_create(loop, &c, &target, &e), 0);
    mem = mem_disk_create(loop, DISK_BYTES);
    mem->closed = &closed;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scsi_target_destroy(target);
    loop_destroy(loop);
    return 0;
}

static void ready(void)
{
    attach(0, false);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0, 0, 0, 0, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(asc(), ASC_POWER_ON_OR_RESET);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0, 0, 0, 0, 0), SCSI_GOOD);
}

static void inquiry_answers_before_the_unit_attention(void **state)
{
    (void)state;
    attach(0, false);
    assert_int_equal(SEND(0, 36, INQUIRY, 0, 0, 0, 36, 0), SCSI_GOOD);
    assert_int_equal(req.moved, 36);
    assert_memory_equal(buf + 8, "HOSPES  DISK", 12);
    assert_int_equal(SEND(0, 255, INQUIRY, 1, 0x83, 0, 255, 0), SCSI_GOOD);
    assert_int_equal(buf[8] >> 4, 3); /* a locally assigned NAA */
    assert_int_equal(SEND(0, 255, INQUIRY, 1, 0x55, 0, 255, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(SEND(7, 36, INQUIRY, 0, 0, 0, 36, 0), SCSI_GOOD);
    assert_int_equal(buf[0], 0x7f);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION);
}

static void reads_what_was_written(void **state)
{
    (void)state;
    ready();
    memset(buf, 0xab, 1024);
    assert_int_equal(SEND(0, 1024, WRITE_10, 0x08, 0, 0, 0, 10, 0, 0, 2, 0), SCSI_GOOD);
    assert_true(mem->fua_seen);
    memset(buf, 0, 1024);
    assert_int_equal(SEND(0, 1024, READ_16, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0),
                     SCSI_GOOD);
    assert_int_equal(req.moved, 1024);
    assert_int_equal(buf[1023], 0xab);
    assert_int_equal(SEND(0, 0, SYNCHRONIZE_CACHE_10, 0, 0, 0, 0, 0, 0, 0, 0, 0), SCSI_GOOD);
    assert_int_equal(mem->flushes, 1);
}

static void a_transfer_past_the_end_is_refused_whole(void **state)
{
    (void)state;
    ready();
    assert_int_equal(SEND(0, 1024, READ_10, 0, 0, 0, 0, 255, 0, 0, 2, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(asc(), ASC_LBA_OUT_OF_RANGE);
    assert_int_equal(
        SEND(0, 512, READ_16, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0),
        SCSI_CHECK_CONDITION);
}

static void a_short_buffer_moves_whole_blocks(void **state)
{
    (void)state;
    ready();
    assert_int_equal(SEND(0, 700, READ_10, 0, 0, 0, 0, 0, 0, 0, 4, 0), SCSI_GOOD);
    assert_int_equal(req.moved, 512);
    assert_int_equal(SEND(0, 100, READ_10, 0, 0, 0, 0, 0, 0, 0, 4, 0), SCSI_GOOD);
    assert_int_equal(req.moved, 0);
}

static void disk_errors_become_sense(void **state)
{
    (void)state;
    ready();
    mem->fail = -EIO;
    assert_int_equal(SEND(0, 512, READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(req.sense[2], MEDIUM_ERROR);
    assert_int_equal(asc(), ASC_UNRECOVERED_READ_ERROR);
    mem->fail = -ENOSPC;
    assert_int_equal(SEND(0, 512, WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(req.sense[2], DATA_PROTECT);
}

static void a_read_only_disk_refuses_all_writers(void **state)
{
    static const uint8_t op[] = {WRITE_6, WRITE_10,      WRITE_12,      WRITE_16,
                                 UNMAP,   WRITE_SAME_10, WRITE_SAME_16, WRITE_AND_VERIFY_10};
    (void)state;
    mem->disk.shape.readonly = true;
    ready();
    for (size_t i = 0; i < sizeof(op); i++) {
        assert_int_equal(SEND(0, 512, op[i], 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0),
                         SCSI_CHECK_CONDITION);
        assert_int_equal(req.sense[2], DATA_PROTECT);
    }
}

static void unmap_checks_all_ranges_first(void **state)
{
    (void)state;
    ready();
    memset(mem->data, 1, DISK_BYTES);
    memset(buf, 0, 64);
    be16_put(buf, 38);
    be16_put(buf + 2, 32);
    be64_put(buf + 8, 8);
    be32_put(buf + 16, 8);
    be64_put(buf + 24, 255);
    be32_put(buf + 32, 2); /* past the end */
    assert_int_equal(SEND(0, 40, UNMAP, 0, 0, 0, 0, 0, 0, 0, 40, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(mem->trims, 0);
    be32_put(buf + 32, 1);
    assert_int_equal(SEND(0, 40, UNMAP, 0, 0, 0, 0, 0, 0, 0, 40, 0), SCSI_GOOD);
    assert_int_equal(mem->trims, 2);
    assert_int_equal(mem->data[8 * 512], 0);
    assert_int_equal(mem->data[7 * 512], 1);
    assert_int_equal(SEND(0, 7, UNMAP, 0, 0, 0, 0, 0, 0, 0, 40, 0), SCSI_CHECK_CONDITION);
}

static void write_same_repeats_the_block(void **state)
{
    (void)state;
    ready();
    memset(buf, 0x5a, 512);
    assert_int_equal(SEND(0, 512, WRITE_SAME_16, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 200, 0, 0),
                     SCSI_GOOD);
    assert_int_equal(mem->data[4 * 512], 0x5a);
    assert_int_equal(mem->data[204 * 512 - 1], 0x5a);
    assert_int_equal(mem->data[204 * 512], 0);
    assert_int_equal(SEND(0, 0, WRITE_SAME_16, 9, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 200, 0, 0),
                     SCSI_GOOD);
    assert_int_equal(mem->data[4 * 512], 0);
}

static void mode_select_turns_the_cache_off(void **state)
{
    uint8_t page[24] = {0};

    (void)state;
    ready();
    assert_int_equal(SEND(0, 64, MODE_SENSE_6, 8, 8, 0, 64, 0), SCSI_GOOD);
    assert_true(buf[4 + 2] & 4);
    memcpy(page + 4, buf + 4, 20);
    page[4 + 2] = 0;
    memcpy(buf, page, 24);
    assert_int_equal(SEND(0, 24, MODE_SELECT_6, 0x10, 0, 0, 24, 0), SCSI_GOOD);
    assert_int_equal(SEND(0, 512, WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SCSI_GOOD);
    assert_true(mem->fua_seen);
    page[4] = 0x3e; /* no such page */
    memcpy(buf, page, 24);
    assert_int_equal(SEND(0, 24, MODE_SELECT_6, 0x10, 0, 0, 24, 0), SCSI_CHECK_CONDITION);
}

static void a_detached_unit_is_gone_and_closed_late(void **state)
{
    struct err e;

    (void)state;
    ready();
    assert_int_equal(scsi_detach(target, 0, &e), 0);
    assert_int_equal((int)closed, 0);
    assert_true(loop_step(loop, 0) >= 0);
    assert_int_equal((int)closed, 1);
    assert_int_equal(SEND(0, 512, READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(asc(), ASC_LOGICAL_UNIT_NOT_SUPPORTED);
}

static void report_luns_lists_all(void **state)
{

    (void)state;
    ready();
    mem = mem_disk_create(loop, DISK_BYTES);
    attach(200, false);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(asc(), ASC_REPORTED_LUNS_DATA_HAS_CHANGED);
    assert_int_equal(SEND(0, 64, REPORT_LUNS, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), SCSI_GOOD);
    assert_int_equal(be32_at(buf), 16);
    assert_int_equal(buf[8 + 8 + 1], 200);
}

static void try_serves_only_plain_transfers(void **state)
{
    (void)state;
    ready();
    req = (struct scsi_req){.cdb = {READ_10, 0, 0, 0, 0, 0, 0, 0, 1}, .iov = &vec, .iovcnt = 1};
    vec = (struct iovec){buf, 512};
    assert_true(scsi_try(target, &req));
    assert_int_equal(req.moved, 512);
    mem->fail = -EAGAIN;
    assert_false(scsi_try(target, &req));
    mem->fail = 0;
    req.cdb[0] = INQUIRY;
    assert_false(scsi_try(target, &req));
    scsi_reset(target, -1);
    req.cdb[0] = READ_10;
    assert_false(scsi_try(target, &req)); /* a unit attention is pending */
}

static void cdrom_tells_its_disc(void **state)
{
    (void)state;
    attach(0, true);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(SEND(0, 20, READ_TOC_PMA_ATIP, 0, 0, 0, 0, 0, 0, 0, 20, 0), SCSI_GOOD);
    assert_int_equal(be32_at(buf + 16), DISK_BYTES / 2048);
    assert_int_equal(SEND(0, 8, READ_CAPACITY_10, 0, 0, 0, 0, 0, 0, 0), SCSI_GOOD);
    assert_int_equal(be32_at(buf + 4), 2048);
    assert_int_equal(SEND(0, 2048, WRITE_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(SEND(0, 0, PREVENT_ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 1, 0), SCSI_GOOD);
    assert_int_equal(SEND(0, 0, START_STOP_UNIT, 0, 0, 0, 2, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(SEND(0, 0, PREVENT_ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 0, 0), SCSI_GOOD);
    assert_int_equal(SEND(0, 0, START_STOP_UNIT, 0, 0, 0, 2, 0), SCSI_GOOD);
    assert_int_equal(SEND(0, 2048, READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(asc(), ASC_MEDIUM_NOT_PRESENT);
}

static void a_disc_that_goes_in_again_is_new(void **state)
{
    (void)state;
    attach(0, true);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION); /* after the reset */
    assert_int_equal(SEND(0, 8, GET_EVENT_STATUS_NOTIFICATION, 1, 0, 0, 0x10, 0, 0, 0, 8, 0),
                     SCSI_GOOD);
    assert_int_equal(buf[4], 0);
    assert_int_equal(SEND(0, 0, START_STOP_UNIT, 0, 0, 0, 2, 0), SCSI_GOOD);
    assert_int_equal(SEND(0, 0, START_STOP_UNIT, 0, 0, 0, 3, 0), SCSI_GOOD);
    assert_int_equal(SEND(0, 8, GET_EVENT_STATUS_NOTIFICATION, 1, 0, 0, 0x10, 0, 0, 0, 8, 0),
                     SCSI_GOOD);
    assert_int_equal(buf[4], 2);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(asc(), ASC_MEDIUM_MAY_HAVE_CHANGED);
    assert_int_equal(SEND(0, 2048, READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SCSI_GOOD);
    assert_int_equal(SEND(0, 0, START_STOP_UNIT, 0, 0, 0, 3, 0), SCSI_GOOD); /* it is closed */
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_GOOD);
}

static int event(void)
{
    assert_int_equal(SEND(0, 8, GET_EVENT_STATUS_NOTIFICATION, 1, 0, 0, 0x10, 0, 0, 0, 8, 0),
                     SCSI_GOOD);
    return buf[4] << 8 | buf[5];
}

static void the_disc_of_a_drive_can_be_changed(void **state)
{
    struct scsi_lun_cfg c = {.id = "cdrom0", .cdrom = true};
    struct mem_disk *second = mem_disk_create(loop, 2 * DISK_BYTES);
    struct err e;

    (void)state;
    memset(second->data, 0x5a, 2048);
    assert_int_equal(tray_create(&mem->disk, loop, &c.disk, &e), 0);
    assert_int_equal(scsi_attach(target, 0, &c, &e), 0);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION); /* after the reset */
    assert_int_equal(event(), 0x0002);
    tray_change(c.disk, &second->disk);
    assert_int_equal(closed, 1);
    assert_true(scsi_grew(target, c.disk));
    assert_int_equal(event(), 0x0202);
    assert_int_equal(event(), 0x0002); /* told once */
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(asc(), ASC_MEDIUM_MAY_HAVE_CHANGED);
    assert_int_equal(SEND(0, 8, READ_CAPACITY_10, 0, 0, 0, 0, 0, 0, 0), SCSI_GOOD);
    assert_int_equal(be32_at(buf), 2 * DISK_BYTES / 2048 - 1);
    assert_int_equal(SEND(0, 2048, READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SCSI_GOOD);
    assert_int_equal(buf[2047], 0x5a);
}

static void a_drive_may_be_empty(void **state)
{
    struct scsi_lun_cfg c = {.id = "cdrom0", .cdrom = true};
    struct err e;

    (void)state;
    assert_int_equal(tray_create(NULL, loop, &c.disk, &e), 0);
    assert_int_equal(scsi_attach(target, 0, &c, &e), 0);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION); /* after the reset */
    assert_int_equal(SEND(0, 2048, READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(asc(), ASC_MEDIUM_NOT_PRESENT);
    assert_int_equal(SEND(0, 8, READ_CAPACITY_10, 0, 0, 0, 0, 0, 0, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(asc(), ASC_MEDIUM_NOT_PRESENT);
    assert_false(scsi_try(target, &req));
    assert_int_equal(event(), 0);
    tray_change(c.disk, &mem->disk);
    assert_true(scsi_grew(target, c.disk));
    assert_int_equal(event(), 0x0202);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(SEND(0, 2048, READ_10, 0, 0, 0, 0, 0, 0, 0, 1, 0), SCSI_GOOD);
    tray_change(c.disk, NULL);
    assert_true(scsi_grew(target, c.disk));
    assert_int_equal(event(), 0x0300);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION);
    assert_int_equal(asc(), ASC_MEDIUM_NOT_PRESENT);
}

static void a_guest_that_locked_its_drive_is_asked(void **state)
{
    struct scsi_lun_cfg c = {.id = "cdrom0", .cdrom = true};
    struct err e;

    (void)state;
    assert_int_equal(tray_create(&mem->disk, loop, &c.disk, &e), 0);
    assert_int_equal(scsi_attach(target, 0, &c, &e), 0);
    assert_int_equal(SEND(0, 0, TEST_UNIT_READY, 0), SCSI_CHECK_CONDITION); /* after the reset */
    assert_false(c.disk->door.locked);
    assert_int_equal(SEND(0, 0, PREVENT_ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 1, 0), SCSI_GOOD);
    assert_true(c.disk->door.locked);
    c.disk->door.asked = true;
    assert_int_equal(event(), 0x0102);
    assert_int_equal(event(), 0x0002);
    assert_int_equal(SEND(0, 0, PREVENT_ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 0, 0), SCSI_GOOD);
    assert_int_equal(SEND(0, 0, START_STOP_UNIT, 0, 0, 0, 2, 0), SCSI_GOOD);
    assert_int_equal(event(), 0x0001);
    assert_int_equal(SEND(0, 0, PREVENT_ALLOW_MEDIUM_REMOVAL, 0, 0, 0, 1, 0), SCSI_GOOD);
    scsi_reset(target, -1);
    assert_false(c.disk->door.locked);
}

static void every_command_answers_any_cdb(void **state)
{
    uint32_t x = 1;

    (void)state;
    ready();
    for (int i = 0; i < 20000; i++) {
        uint8_t cdb[16];

        for (size_t k = 0; k < sizeof(cdb); k++) {
            x = x * 1664525 + 1013904223;
            cdb[k] = (uint8_t)(x >> 24) & (uint8_t)(k > 1 && (x & 0x700) ? 0x07 : 0xff);
        }
        cdb[0] = (uint8_t)i;
        send_n(i % 5 == 0, (x >> 8) % sizeof(buf), cdb, sizeof(cdb));
        assert_true(req.moved <= sizeof(buf));
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(inquiry_answers_before_the_unit_attention),
        T(reads_what_was_written),
        T(a_transfer_past_the_end_is_refused_whole),
        T(a_short_buffer_moves_whole_blocks),
        T(disk_errors_become_sense),
        T(commands_that_follow_each_other_leave_the_loop_its_turns),
        T(a_read_only_disk_refuses_all_writers),
        T(unmap_checks_all_ranges_first),
        T(write_same_repeats_the_block),
        T(mode_select_turns_the_cache_off),
        T(a_detached_unit_is_gone_and_closed_late),
        T(report_luns_lists_all),
        T(try_serves_only_plain_transfers),
        T(cdrom_tells_its_disc),
        T(a_disc_that_goes_in_again_is_new),
        T(the_disc_of_a_drive_can_be_changed),
        T(a_drive_may_be_empty),
        T(a_guest_that_locked_its_drive_is_asked),
        T(every_command_answers_any_cdb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
