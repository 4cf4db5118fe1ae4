/* SPDX-License-Identifier: Apache-2.0 */
/* The SCSI controller under a scripted guest: data, bad addresses, task management, events. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/scsi.h"
#include "abi/virtio_scsi.h"
#include "core/err.h"
#include "core/gmem.h"
#include "personas/kvm/scsi.h"
#include "virtio/guest.h"
#include "virtio/memdisk.h"

enum { DISK = 1 << 20, REQ = VIRTIO_SCSI_REQUESTQ, HEAD = 19 + 32, RESP = 12 + 96 };
#define ALL UINT64_MAX
#define SPLIT (~(VIRTIO_F_RING_PACKED))

struct bench {
    struct guest g;
    struct vscsi *s;
    struct memdisk *disk;
    gpa_t head, data, resp, ctl, event[4];
};

static void attach(struct bench *b, unsigned lun)
{
    struct scsi_lun_cfg c = {.id = "disk0"};
    struct memdisk *m = memdisk_create(b->g.f.env.loop, DISK);
    struct err e;

    for (size_t i = 0; i < DISK; i++)
        m->bytes[i] = (uint8_t)(i / 512 + i + lun);
    c.disk = &m->d;
    if (lun == 0)
        b->disk = m;
    assert_int_equal(scsi_attach(vscsi_target(b->s), lun, &c, &e), 0);
}

static void bench_open(struct bench *b)
{
    struct virtio_options o = {.packed = true, .indirect = true, .devfn = -1};
    struct env env;
    struct err e = {0};

    guest_open(&b->g);
    env = b->g.f.env;
    env.id = "scsi0";
    assert_int_equal(vscsi_create(&env, &o, 2, &b->s, &e), 0);
    attach(b, 0);
    guest_find(&b->g, true);
    b->head = guest_alloc(&b->g, 64, 64);
    b->data = guest_alloc(&b->g, 65536, 4096);
    b->resp = guest_alloc(&b->g, 128, 64);
    b->ctl = guest_alloc(&b->g, 64, 64);
    for (size_t i = 0; i < ARRAY_SIZE(b->event); i++)
        b->event[i] = guest_alloc(&b->g, 16, 16);
}

static void address(struct bench *b, gpa_t at, unsigned target, unsigned lun)
{
    const uint8_t l[8] = {1, (uint8_t)target, (uint8_t)(0x40 | lun >> 8), (uint8_t)lun};

    assert_int_equal(gmem_write(b->g.f.env.mem, at, l, sizeof(l)), 0);
}

static uint16_t submit(struct bench *b, unsigned target, unsigned lun, const uint8_t *cdb, size_t n,
                       uint32_t len, bool in)
{
    struct guest_buf out[3] = {
        {b->head, HEAD, false}, {b->data, len, false}, {b->resp, RESP, true}};
    struct guest_buf from[3] = {
        {b->head, HEAD, false}, {b->resp, RESP, true}, {b->data, len, true}};
    uint16_t id;

    address(b, b->head, target, lun);
    guest_poke(&b->g, b->head + 8, 8, 0x1234);
    assert_int_equal(gmem_fill(b->g.f.env.mem, b->head + 16, 0, HEAD - 16), 0);
    assert_int_equal(gmem_write(b->g.f.env.mem, b->head + 19, cdb, n), 0);
    assert_int_equal(gmem_fill(b->g.f.env.mem, b->resp, 0xaa, RESP), 0);
    if (len == 0)
        out[1] = out[2];
    id = guest_add(&b->g, REQ, in ? from : out, len ? 3 : 2, false);
    guest_kick(&b->g, REQ);
    return id;
}

/* Status in the low byte, response in the next. */
static unsigned command(struct bench *b, unsigned target, unsigned lun, const uint8_t *cdb,
                        size_t n, uint32_t len, bool in)
{
    uint16_t id = submit(b, target, lun, cdb, n, len, in), got;
    uint32_t used;

    fake_env_run(&b->g.f);
    assert_true(guest_used(&b->g, REQ, &got, &used));
    assert_int_equal(got, id);
    assert_true(used >= RESP);
    return (unsigned)guest_peek(&b->g, b->resp + 10, 2);
}

static unsigned rw10(struct bench *b, unsigned lun, bool write, uint32_t lba, uint16_t blocks)
{
    uint8_t cdb[10] = {write ? WRITE_10 : READ_10};

    cdb[2] = (uint8_t)(lba >> 24);
    cdb[3] = (uint8_t)(lba >> 16);
    cdb[4] = (uint8_t)(lba >> 8);
    cdb[5] = (uint8_t)lba;
    cdb[7] = (uint8_t)(blocks >> 8);
    cdb[8] = (uint8_t)blocks;
    return command(b, 0, lun, cdb, sizeof(cdb), blocks * 512u, !write);
}

static void start(struct bench *b, bool legacy, uint64_t want)
{
    static const uint8_t tur[6] = {TEST_UNIT_READY};

    guest_start(&b->g, legacy, want, 4);
    (void)!command(b, 0, 0, tur, sizeof(tur), 0, false); /* takes the unit attention */
}

static void every_ring_moves_data(void **state)
{
    static const struct {
        bool legacy;
        uint64_t want;
    } kinds[] = {{true, ALL}, {false, SPLIT}, {false, ALL}, {false, VIRTIO_F_VERSION_1}};
    uint8_t got[4096];

    for (size_t k = 0; k < ARRAY_SIZE(kinds) * 2; k++) {
        struct bench b;

        bench_open(&b);
        b.disk->no_try = k & 1;
        start(&b, kinds[k / 2].legacy, kinds[k / 2].want);
        for (unsigned i = 0; i < 300; i++) {
            unsigned lba = i * 7 % 2000;

            assert_int_equal(rw10(&b, 0, false, lba, 8), 0);
            assert_int_equal(guest_peek(&b.g, b.resp + 4, 4), 0);
            assert_int_equal(gmem_read(b.g.f.env.mem, b.data, got, sizeof(got)), 0);
            assert_memory_equal(got, b.disk->bytes + lba * 512, sizeof(got));
            got[i] ^= 0x5a;
            assert_int_equal(gmem_write(b.g.f.env.mem, b.data, got, sizeof(got)), 0);
            assert_int_equal(rw10(&b, 0, true, lba, 8), 0);
            assert_memory_equal(got, b.disk->bytes + lba * 512, sizeof(got));
        }
        guest_close(&b.g);
    }
}

static void units_that_are_not_there_are_said_so(void **state)
{
    static const uint8_t tur[6] = {TEST_UNIT_READY};
    static const uint8_t inquiry[6] = {INQUIRY, 0, 0, 0, 36};
    struct bench b;

    bench_open(&b);
    start(&b, false, SPLIT);
    assert_int_equal(command(&b, 1, 0, tur, 6, 0, false) >> 8, VIRTIO_SCSI_S_BAD_TARGET);
    assert_int_equal(command(&b, 0, 5, tur, 6, 0, false), SCSI_CHECK_CONDITION);
    assert_true(guest_peek(&b.g, b.resp, 4) > 0); /* sense */
    assert_int_equal(command(&b, 0, 0, inquiry, 6, 36, true), 0);
    assert_int_equal(guest_peek(&b.g, b.data + 8, 6) & 0xffffff, 'H' | 'O' << 8 | 'S' << 16);
    guest_close(&b.g);
}

static void a_short_transfer_leaves_a_residue(void **state)
{
    static const uint8_t inquiry[6] = {INQUIRY, 0, 0, 0, 5};
    struct bench b;

    bench_open(&b);
    start(&b, false, SPLIT);
    assert_int_equal(command(&b, 0, 0, inquiry, 6, 96, true), 0);
    assert_int_equal(guest_peek(&b.g, b.resp + 4, 4), 91);
    guest_close(&b.g);
}

static void a_request_without_room_for_its_answer_breaks_the_device(void **state)
{
    const uint32_t cuts[][2] = {{HEAD - 1, RESP}, {HEAD, RESP - 1}, {1, 1}, {0, RESP}};

    for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
        struct bench b;
        struct guest_buf buf[2] = {{0}};
        unsigned n = 0;

        bench_open(&b);
        start(&b, false, SPLIT);
        if (cuts[i][0])
            buf[n++] = (struct guest_buf){b.head, cuts[i][0], false};
        buf[n++] = (struct guest_buf){b.resp, cuts[i][1], true};
        guest_add(&b.g, REQ, buf, n, false);
        guest_kick(&b.g, REQ);
        fake_env_run(&b.g.f);
        assert_true(guest_status(&b.g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
        guest_close(&b.g);
    }
}

static void the_driver_may_choose_the_sizes(void **state)
{
    static const uint8_t tur[6] = {TEST_UNIT_READY};
    const unsigned sense = __builtin_offsetof(struct virtio_scsi_config, sense_size);
    struct guest_buf buf[2];
    struct bench b;
    uint32_t used;
    uint16_t id;

    bench_open(&b);
    start(&b, false, SPLIT);
    guest_config_set(&b.g, sense, 4, 18);
    guest_config_set(&b.g, sense + 4, 4, 16);
    address(&b, b.head, 0, 9);
    assert_int_equal(gmem_write(b.g.f.env.mem, b.head + 19, tur, 6), 0);
    buf[0] = (struct guest_buf){b.head, 19 + 16, false};
    buf[1] = (struct guest_buf){b.resp, 12 + 18, true};
    guest_add(&b.g, REQ, buf, 2, false);
    guest_kick(&b.g, REQ);
    fake_env_run(&b.g.f);
    assert_true(guest_used(&b.g, REQ, &id, &used));
    assert_int_equal(used, 12 + 18);
    assert_int_equal(guest_peek(&b.g, b.resp + 10, 2), SCSI_CHECK_CONDITION);
    guest_config_set(&b.g, sense, 4, UINT32_MAX);
    assert_int_equal(guest_config(&b.g, sense, 4), 4096);
    guest_config_set(&b.g, 0, 4, 77); /* not the driver's to choose */
    assert_int_equal(guest_config(&b.g, 0, 4), 2);
    /* max_target: some drivers look at fewer targets than that. */
    assert_int_equal(guest_config(&b.g, 30, 2), 2);
    guest_close(&b.g);
}

static uint16_t task(struct bench *b, uint32_t subtype, unsigned target, unsigned lun, uint64_t tag)
{
    const struct guest_buf buf[2] = {{b->ctl, 24, false}, {b->ctl + 32, 1, true}};
    uint16_t id;

    guest_poke(&b->g, b->ctl, 8, (uint64_t)subtype << 32 | VIRTIO_SCSI_T_TMF);
    address(b, b->ctl + 8, target, lun);
    guest_poke(&b->g, b->ctl + 16, 8, tag);
    guest_poke(&b->g, b->ctl + 32, 1, 0xaa);
    id = guest_add(&b->g, VIRTIO_SCSI_CONTROLQ, buf, 2, false);
    guest_kick(&b->g, VIRTIO_SCSI_CONTROLQ);
    fake_env_run(&b->g.f);
    return id;
}

static int answer(struct bench *b)
{
    uint16_t id;
    uint32_t len;

    return guest_used(&b->g, VIRTIO_SCSI_CONTROLQ, &id, &len)
               ? (int)guest_peek(&b->g, b->ctl + 32, 1)
               : -1;
}

/* Linux takes an aborted command's memory back as soon as it has the answer. */
static void an_abort_is_answered_after_its_command(void **state)
{
    static const uint8_t read[10] = {READ_10, [8] = 8};
    struct bench b;
    uint16_t id;
    uint32_t len;

    bench_open(&b);
    start(&b, false, SPLIT);
    b.disk->no_try = b.disk->hold = true;
    submit(&b, 0, 0, read, sizeof(read), 4096, true);
    fake_env_run(&b.g.f);
    task(&b, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 0, 0x1234);
    assert_int_equal(answer(&b), VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
    task(&b, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, 0x9999); /* another tag */
    assert_int_equal(answer(&b), VIRTIO_SCSI_S_FUNCTION_COMPLETE);
    task(&b, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 3, 0); /* another unit */
    assert_int_equal(answer(&b), VIRTIO_SCSI_S_FUNCTION_COMPLETE);
    task(&b, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, 0x1234);
    assert_int_equal(answer(&b), -1);
    assert_false(guest_used(&b.g, REQ, &id, &len));
    memdisk_let_go(b.disk);
    fake_env_run(&b.g.f);
    assert_true(guest_used(&b.g, REQ, &id, &len));
    assert_int_equal(answer(&b), VIRTIO_SCSI_S_FUNCTION_COMPLETE);
    guest_close(&b.g);
}

static void more_aborts_than_fit_are_all_answered(void **state)
{
    static const uint8_t read[10] = {READ_10, [8] = 8};
    struct bench b;

    (void)state;
    bench_open(&b);
    start(&b, false, SPLIT);
    b.disk->no_try = b.disk->hold = true;
    submit(&b, 0, 0, read, sizeof(read), 4096, true);
    fake_env_run(&b.g.f);
    for (unsigned i = 0; i < 30; i++)
        task(&b, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, 0x1234);
    assert_int_equal(answer(&b), -1);
    memdisk_let_go(b.disk);
    fake_env_run(&b.g.f);
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(answer(&b), VIRTIO_SCSI_S_FUNCTION_COMPLETE);
    guest_close(&b.g);
}

static void a_unit_reset_leaves_a_unit_attention(void **state)
{
    static const uint8_t tur[6] = {TEST_UNIT_READY};
    struct bench b;

    bench_open(&b);
    start(&b, false, SPLIT);
    assert_int_equal(command(&b, 0, 0, tur, 6, 0, false), 0);
    task(&b, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 0, 0);
    assert_int_equal(answer(&b), VIRTIO_SCSI_S_FUNCTION_COMPLETE);
    assert_int_equal(command(&b, 0, 0, tur, 6, 0, false), SCSI_CHECK_CONDITION);
    assert_int_equal(command(&b, 0, 0, tur, 6, 0, false), 0);
    task(&b, VIRTIO_SCSI_T_TMF_CLEAR_ACA, 0, 0, 0);
    assert_int_equal(answer(&b), VIRTIO_SCSI_S_FUNCTION_REJECTED);
    task(&b, VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET, 7, 0, 0);
    assert_int_equal(answer(&b), VIRTIO_SCSI_S_BAD_TARGET);
    guest_close(&b.g);
}

static void give_event(struct bench *b, unsigned i)
{
    struct guest_buf buf = {b->event[i], 16, true};

    guest_add(&b->g, VIRTIO_SCSI_EVENTQ, &buf, 1, false);
    guest_kick(&b->g, VIRTIO_SCSI_EVENTQ);
}

/* event | reason << 32, and the LUN; 0 when there is none. */
static uint64_t event(struct bench *b, unsigned i, unsigned *lun)
{
    uint16_t id;
    uint32_t len;

    fake_env_run(&b->g.f);
    if (!guest_used(&b->g, VIRTIO_SCSI_EVENTQ, &id, &len))
        return 0;
    assert_int_equal(len, 16);
    *lun = (unsigned)(guest_peek(&b->g, b->event[i] + 6, 1) << 8 |
                      guest_peek(&b->g, b->event[i] + 7, 1));
    return guest_peek(&b->g, b->event[i], 4) | guest_peek(&b->g, b->event[i] + 12, 4) << 32;
}

static void units_that_come_and_go_are_told(void **state)
{
    struct bench b;
    struct err e;
    unsigned lun = 99;

    bench_open(&b);
    start(&b, false, SPLIT);
    give_event(&b, 0);
    give_event(&b, 1);
    give_event(&b, 2);
    attach(&b, 3);
    assert_int_equal(event(&b, 0, &lun),
                     VIRTIO_SCSI_T_TRANSPORT_RESET | (uint64_t)VIRTIO_SCSI_EVT_RESET_RESCAN << 32);
    assert_int_equal(lun, 3);
    assert_false(scsi_grew(vscsi_target(b.s), NULL));
    scsi_resized(vscsi_target(b.s), 3);
    assert_int_equal(event(&b, 1, &lun), VIRTIO_SCSI_T_PARAM_CHANGE | UINT64_C(0x092a) << 32);
    assert_int_equal(scsi_detach(vscsi_target(b.s), 3, &e), 0);
    assert_int_equal(event(&b, 2, &lun),
                     VIRTIO_SCSI_T_TRANSPORT_RESET | (uint64_t)VIRTIO_SCSI_EVT_RESET_REMOVED << 32);
    /* No buffer: the next one says that something was missed. */
    attach(&b, 4);
    assert_int_equal(event(&b, 3, &lun), 0);
    give_event(&b, 3);
    assert_int_equal(event(&b, 3, &lun), VIRTIO_SCSI_T_EVENTS_MISSED);
    guest_close(&b.g);
}

static void a_reset_waits_for_the_disk_and_drops_what_waits(void **state)
{
    static const uint8_t read[10] = {READ_10, [8] = 8};
    struct bench b;

    for (unsigned on_loop = 0; on_loop < 2; on_loop++) {
        bench_open(&b);
        start(&b, false, SPLIT);
        b.disk->no_try = b.disk->hold = true;
        submit(&b, 0, 0, read, sizeof(read), 4096, true);
        if (on_loop) {
            fake_env_run(&b.g.f);
            task(&b, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, 0x1234);
        }
        guest_status_set(&b.g, 0);
        assert_int_equal(guest_status(&b.g) == 0, !on_loop);
        memdisk_let_go(b.disk);
        fake_env_run(&b.g.f);
        assert_int_equal(guest_status(&b.g), 0);
        b.disk->no_try = b.disk->hold = false;
        start(&b, false, SPLIT);
        assert_int_equal(rw10(&b, 0, false, 1, 1), 0);
        guest_close(&b.g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_ring_moves_data),
        cmocka_unit_test(units_that_are_not_there_are_said_so),
        cmocka_unit_test(a_short_transfer_leaves_a_residue),
        cmocka_unit_test(a_request_without_room_for_its_answer_breaks_the_device),
        cmocka_unit_test(the_driver_may_choose_the_sizes),
        cmocka_unit_test(an_abort_is_answered_after_its_command),
        cmocka_unit_test(more_aborts_than_fit_are_all_answered),
        cmocka_unit_test(a_unit_reset_leaves_a_unit_attention),
        cmocka_unit_test(units_that_come_and_go_are_told),
        cmocka_unit_test(a_reset_waits_for_the_disk_and_drops_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
