/* SPDX-License-Identifier: Apache-2.0 */
/* storvsc's other side: set-up, I/O by guest pages, absent units, hot plug, garbage. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "abi/storvsp.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_mem_disk.h"
#include "hyperv/hvguest.h"
#include "personas/hyperv/storvsp.h"

static struct hvguest g;
static struct storvsp *dut;
static struct mem_disk *disk;
static struct hv_offer offer[8];
static uint32_t relid;
static struct hv_packet p;

static struct vstor_packet answer(void)
{
    struct vstor_packet k;

    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.type, VM_PKT_COMP);
    assert_true(p.len >= VSTOR_PACKET_WIN7);
    memcpy(&k, p.data, sizeof(k));
    assert_int_equal(le32_get(k.operation), VSTOR_OPERATION_COMPLETE_IO);
    return k;
}

static struct vstor_packet ask_in(size_t size, unsigned op, uint16_t value)
{
    struct vstor_packet k = {.operation = le32_of(op), .flags = le32_of(1)};

    k.version = le16_of(value);
    hv_send(&g, relid, op, &k, size);
    k = answer();
    assert_int_equal(p.len, size);
    return k;
}

static struct vstor_packet ask(unsigned op, uint16_t value)
{
    return ask_in(sizeof(struct vstor_packet), op, value);
}

static void initialize(void)
{
    assert_int_equal(le32_get(ask(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0).status), 0);
    assert_int_equal(le32_get(ask(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, 0x0602).status), 0);
    assert_int_equal(le32_get(ask(VSTOR_OPERATION_QUERY_PROPERTIES, 0).status), 0);
    assert_int_equal(le32_get(ask(VSTOR_OPERATION_END_INITIALIZATION, 0).status), 0);
}

static int setup(void **state)
{
    struct err e = {0};
    struct scsi_lun_cfg c = {.id = "disk0"};

    hv_create(&g, VERSION_COPPER);
    assert_int_equal(storvsp_create(g.bus, "scsi0", -1, 4, &dut, &e), 0);
    disk = mem_disk_create(g.f.env.loop, MiB);
    c.disk = &disk->disk;
    assert_int_equal(storvsp_attach(dut, 0, &c, &e), 0);
    assert_true(hv_contact(&g, VERSION_WIN10_V5_2));
    assert_int_equal(hv_offers(&g, offer, 8), 1);
    assert_int_equal(offer[0].flags, 0); /* a device */
    relid = offer[0].relid;
    assert_int_equal(hv_open(&g, relid, 0), 0);
    initialize();
    return 0;
}

static int teardown(void **state)
{
    disk->hold = false;
    mem_disk_release(disk);
    fake_env_run(&g.f);
    storvsp_destroy(dut);
    hv_destroy(&g);
    return 0;
}

static struct vstor_packet srb(const uint8_t *cdb, unsigned n, unsigned dir, uint32_t len)
{
    struct vstor_packet k = {.operation = le32_of(VSTOR_OPERATION_EXECUTE_SRB),
                             .flags = le32_of(REQUEST_COMPLETION_FLAG)};

    k.vm_srb = (struct vmscsi_request){.length = le16_of(52),
                                       .cdb_length = (uint8_t)n,
                                       .sense_info_length = 20,
                                       .data_in = (uint8_t)dir,
                                       .data_transfer_length = le32_of(len)};
    memcpy(k.vm_srb.cdb, cdb, n);
    return k;
}

static struct vstor_packet go(const struct vstor_packet *k, gpa_t at, uint32_t len)
{
    if (len)
        hv_send_pages(&g, relid, 42, k, sizeof(*k), at, len);
    else
        hv_send(&g, relid, 42, k, sizeof(*k));
    return answer();
}

static const uint8_t tur[6] = {0x00}, inquiry[6] = {0x12, 0, 0, 0, 36};
static const uint8_t read2[10] = {0x28, 0, 0, 0, 0, 8, 0, 0, 2};
static const uint8_t write2[10] = {0x2a, 0, 0, 0, 0, 8, 0, 0, 2};

/* The first command after a reset gets a unit attention. */
static void settle(void)
{
    struct vstor_packet k = srb(tur, 6, UNKNOWN_TYPE, 0);

    go(&k, 0, 0);
}

static void versions_are_negotiated(void **state)
{
    static const uint16_t good[] = {0x0200, 0x0402, 0x0501, 0x0600, 0x0602};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        ask(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0);
        assert_int_equal(le32_get(ask(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, good[i]).status), 0);
    }
    ask(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0);
    assert_int_equal(le32_get(ask(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, 0x0702).status),
                     STATUS_REVISION_MISMATCH);
}

/* FreeBSD, illumos and older Linux take no answer that is longer than their own packet, and that is
 * a short one until they know better. */
static void answers_are_as_long_as_the_question(void **state)
{
    struct vstor_packet k = srb(inquiry, 6, READ_TYPE, 36);

    ask_in(VSTOR_PACKET_WIN7, VSTOR_OPERATION_BEGIN_INITIALIZATION, 0);
    ask_in(VSTOR_PACKET_WIN7, VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, 0x0702);
    ask_in(VSTOR_PACKET_WIN7, VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, 0x0602);
    ask_in(sizeof(k), VSTOR_OPERATION_QUERY_PROPERTIES, 0);
    ask_in(sizeof(k), VSTOR_OPERATION_END_INITIALIZATION, 0);
    go(&k, HV_DATA, 36);
    assert_int_equal(p.len, sizeof(k));
    ask_in(VSTOR_PACKET_WIN7, VSTOR_OPERATION_BEGIN_INITIALIZATION, 0);
    ask_in(VSTOR_PACKET_WIN7, VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, 0x0402);
    ask_in(VSTOR_PACKET_WIN7, VSTOR_OPERATION_END_INITIALIZATION, 0);
    hv_send_pages(&g, relid, 42, &k, VSTOR_PACKET_WIN7, HV_DATA, 36);
    k = answer();
    assert_int_equal(k.vm_srb.srb_status, SRB_STATUS_SUCCESS);
    assert_int_equal(p.len, VSTOR_PACKET_WIN7);
}

static void data_goes_both_ways(void **state)
{
    struct vstor_packet k = srb(write2, 10, WRITE_TYPE, 1024);

    settle();
    memset(hv_ram(&g, HV_DATA + 4000, 1024), 0x5a, 1024);
    k = go(&k, HV_DATA + 4000, 1024); /* crosses a page */
    assert_int_equal(k.vm_srb.srb_status, SRB_STATUS_SUCCESS);
    assert_int_equal(le32_get(k.vm_srb.data_transfer_length), 1024);
    assert_int_equal(disk->data[8 * 512], 0x5a);
    assert_int_equal(disk->data[8 * 512 + 1023], 0x5a);
    disk->slow = true;
    k = srb(read2, 10, READ_TYPE, 1024);
    k = go(&k, HV_DATA + 0x10000, 1024);
    assert_int_equal(k.vm_srb.srb_status, SRB_STATUS_SUCCESS);
    assert_memory_equal(hv_ram(&g, HV_DATA + 0x10000, 1024), disk->data + 4096, 1024);
}

static void a_large_request_is_served_whole(void **state)
{
    static const uint8_t read[10] = {0x28, 0, 0, 0, 0, 0, 0, 8, 0};
    struct vstor_packet k = srb(read, 10, READ_TYPE, MiB);

    settle();
    memset(disk->data, 0x77, MiB);
    k = go(&k, HV_DATA + 512, MiB);
    assert_int_equal(k.vm_srb.srb_status, SRB_STATUS_SUCCESS);
    assert_int_equal(*(uint8_t *)hv_ram(&g, HV_DATA + 512 + MiB - 1, 1), 0x77);
}

static void sense_data_comes_with_errors(void **state)
{
    static const uint8_t beyond[10] = {0x28, 0, 0x7f, 0, 0, 0, 0, 0, 2};
    struct vstor_packet k = srb(beyond, 10, READ_TYPE, 1024);

    settle();
    k = go(&k, HV_DATA, 1024);
    assert_int_equal(k.vm_srb.srb_status, SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID);
    assert_int_equal(k.vm_srb.scsi_status, 2);
    assert_int_equal(k.vm_srb.cdb[2] & 15, 5);
    assert_int_equal(le32_get(k.status), STATUS_IO_DEVICE_ERROR);
    disk->fail = -5;
    k = srb(read2, 10, READ_TYPE, 1024);
    k = go(&k, HV_DATA, 1024);
    assert_int_equal(k.vm_srb.srb_status, SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID);
    disk->fail = 0;
}

static void absent_units_are_told_so(void **state)
{
    struct vstor_packet k = srb(inquiry, 6, READ_TYPE, 36);

    k.vm_srb.lun = 1;
    k = go(&k, HV_DATA, 36);
    assert_int_equal(k.vm_srb.srb_status, SRB_STATUS_INVALID_LUN);
    assert_int_equal(le32_get(k.status), STATUS_DEVICE_DOES_NOT_EXIST);
    assert_int_equal(*(uint8_t *)hv_ram(&g, HV_DATA, 1), 0x7f);
    k = srb(tur, 6, UNKNOWN_TYPE, 0);
    k.vm_srb.target_id = 1;
    k = go(&k, 0, 0);
    assert_int_equal(k.vm_srb.srb_status, SRB_STATUS_INVALID_LUN);
}

/* FreeBSD asks every target for every unit; Windows knows these units by their instance. */
static void an_ide_unit_is_one_target_with_one_unit(void **state)
{
    static const uint8_t instance[16] = {1, 0, 0, 0, 1, 0, 0x99, 0x88};
    struct mem_disk *more = mem_disk_create(g.f.env.loop, MiB);
    struct scsi_lun_cfg c = {.disk = &more->disk, .id = "disk1"};
    struct vstor_packet k = srb(inquiry, 6, READ_TYPE, 36);
    uint8_t out[HV_MESSAGE_PAYLOAD];
    struct storvsp *ide;
    struct err e = {0};

    assert_int_equal(storvsp_create(g.bus, "disk1", 3, 1, &ide, &e), 0);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
    assert_int_equal(storvsp_attach(ide, 0, &c, &e), 0);
    assert_true(hv_contact(&g, VERSION_WIN10_V5_2));
    assert_int_equal(hv_offers(&g, offer, 8), 2);
    assert_memory_equal(offer[1].instance, instance, 16);
    assert_int_equal(offer[1].user_def[2], 1);
    assert_int_equal(offer[1].user_def[3], 1);
    relid = offer[1].relid;
    assert_int_equal(hv_open(&g, relid, 0), 0);
    initialize();
    for (unsigned i = 0; i < 16; i++) {
        k.vm_srb.path_id = i >> 2 & 1;
        k.vm_srb.target_id = i & 1;
        k.vm_srb.lun = i >> 1 & 1;
        k.vm_srb.srb_status = 0;
        assert_int_equal(go(&k, HV_DATA, 36).vm_srb.srb_status == SRB_STATUS_SUCCESS,
                         k.vm_srb.target_id == 1 && k.vm_srb.lun == 0);
    }
    storvsp_destroy(ide);
}

static void bad_requests_are_answered(void **state)
{
    struct vstor_packet k = srb(read2, 10, READ_TYPE, 1024);

    settle();
    assert_int_equal(go(&k, HV_RAM - 512, 1024).vm_srb.srb_status, SRB_STATUS_INVALID_REQUEST);
    assert_int_equal(go(&k, HV_DATA, 512).vm_srb.srb_status, SRB_STATUS_INVALID_REQUEST);
    k.vm_srb.cdb_length = 17;
    assert_int_equal(go(&k, HV_DATA, 1024).vm_srb.srb_status, SRB_STATUS_INVALID_REQUEST);
    hv_send(&g, relid, 3, "1234567", 8);
    assert_int_not_equal(le32_get(answer().status), 0);
    assert_int_not_equal(le32_get(ask(99, 0).status), 0);
}

static void units_come_and_go(void **state)
{
    struct mem_disk *more = mem_disk_create(g.f.env.loop, MiB);
    struct scsi_lun_cfg c = {.disk = &more->disk, .id = "disk1"};
    struct vstor_packet k = srb(tur, 6, UNKNOWN_TYPE, 0), p2;
    struct err e = {0};

    assert_int_equal(storvsp_attach(dut, 5, &c, &e), 0);
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.type, VM_PKT_DATA_INBAND);
    assert_int_equal(le32_at(p.data), VSTOR_OPERATION_ENUMERATE_BUS);
    k.vm_srb.lun = 5;
    assert_int_not_equal(go(&k, 0, 0).vm_srb.srb_status, SRB_STATUS_INVALID_LUN);
    assert_int_equal(go(&k, 0, 0).vm_srb.scsi_status, SCSI_GOOD);
    assert_false(storvsp_grew(dut, NULL));
    assert_true(storvsp_grew(dut, &more->disk));
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data), VSTOR_OPERATION_ENUMERATE_BUS);
    p2 = go(&k, 0, 0);
    assert_int_equal(p2.vm_srb.scsi_status, SCSI_CHECK_CONDITION);
    assert_int_equal(p2.vm_srb.cdb[12] << 8 | p2.vm_srb.cdb[13], 0x2a09);
    assert_int_equal(storvsp_detach(dut, 5, &e), 0);
    fake_env_run(&g.f);
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data), VSTOR_OPERATION_ENUMERATE_BUS);
    assert_int_equal(go(&k, 0, 0).vm_srb.srb_status, SRB_STATUS_INVALID_LUN);
    assert_int_equal(storvsp_attach(dut, 64, &c, &e), -22);
}

/* Windows Server 2008 does not know of rescans. */
static void the_oldest_protocol_has_no_notices(void **state)
{
    struct mem_disk *more = mem_disk_create(g.f.env.loop, MiB);
    struct scsi_lun_cfg c = {.disk = &more->disk, .id = "disk1"};
    struct err e = {0};

    ask(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0);
    ask(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, VMSTOR_PROTO_VERSION_WIN6);
    ask(VSTOR_OPERATION_END_INITIALIZATION, 0);
    assert_int_equal(storvsp_attach(dut, 5, &c, &e), 0);
    fake_env_run(&g.f);
    assert_false(hv_get(&g, relid, &p));
}

static void subchannels_work_like_the_first(void **state)
{
    uint8_t out[HV_MESSAGE_PAYLOAD];
    struct vstor_packet k = srb(read2, 10, READ_TYPE, 1024);
    uint32_t first = relid;

    settle();
    assert_int_equal(le32_get(ask(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 3).status), 0);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
        assert_int_equal(le16_at(out + 180), i);
    }
    relid = le32_at(out + 184);
    assert_int_equal(hv_open(&g, relid, 2), 0);
    assert_int_equal(go(&k, HV_DATA, 1024).vm_srb.srb_status, SRB_STATUS_SUCCESS);
    assert_true(hv_event(&g, 2, relid));
    hv_close(&g, first); /* takes the others along */
}

/* Windows asks for them before it ends the initialization. */
/* With all requests in use there is none for it, which is no error of the disk's. */
static void a_channel_that_opens_waits_its_turn(void **state)
{
    struct vstor_packet k = srb(read2, 10, READ_TYPE, 1024);
    uint8_t out[HV_MESSAGE_PAYLOAD];
    uint32_t first = relid;

    settle();
    assert_int_equal(le32_get(ask(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 1).status), 0);
    assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
    disk->hold = true;
    for (unsigned i = 0; i < 2048; i++)
        hv_send_pages(&g, first, i, &k, sizeof(k), HV_DATA, 1024);
    assert_int_equal(g.bus->inflight, 2048);
    relid = le32_at(out + 184);
    assert_int_equal(hv_open(&g, relid, 0), 0);
    hv_send_pages(&g, relid, 42, &k, sizeof(k), HV_DATA, 1024);
    fake_env_run(&g.f);
    assert_false(hv_get(&g, relid, &p));
    disk->hold = false;
    assert_int_equal(mem_disk_release(disk), 2048);
    assert_int_equal(answer().vm_srb.srb_status, SRB_STATUS_SUCCESS);
}

static void subchannels_come_before_the_end_of_the_initialization(void **state)
{
    uint8_t out[HV_MESSAGE_PAYLOAD];

    ask(VSTOR_OPERATION_BEGIN_INITIALIZATION, 0);
    assert_int_not_equal(le32_get(ask(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 2).status), 0);
    ask(VSTOR_OPERATION_QUERY_PROTOCOL_VERSION, 0x0602);
    ask(VSTOR_OPERATION_QUERY_PROPERTIES, 0);
    assert_int_not_equal(le32_get(ask(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 4).status), 0);
    assert_int_equal(le32_get(ask(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 2).status), 0);
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
        assert_int_equal(le16_at(out + 180), i);
    }
    assert_int_equal(le32_get(ask(VSTOR_OPERATION_END_INITIALIZATION, 0).status), 0);
}

static void an_answer_for_a_closed_channel_is_dropped(void **state)
{
    struct vstor_packet k = srb(read2, 10, READ_TYPE, 1024);

    settle();
    disk->slow = disk->hold = true;
    hv_send_pages(&g, relid, 42, &k, sizeof(k), HV_DATA, 1024);
    assert_int_equal(g.bus->inflight, 1);
    hv_close(&g, relid);
    assert_int_equal(hv_open(&g, relid, 0), 0);
    assert_int_equal(mem_disk_release(disk), 1);
    fake_env_run(&g.f);
    assert_false(hv_get(&g, relid, &p));
    assert_int_equal(g.bus->inflight, 0);
    disk->slow = disk->hold = false;
    initialize();
}

static void data_at_hand_needs_no_loop(void **state)
{
    struct vstor_packet k = srb(read2, 10, READ_TYPE, 1024);

    settle();
    g.busy = true;
    hv_send_pages(&g, relid, 42, &k, sizeof(k), HV_DATA, 1024);
    hv_send_pages(&g, relid, 43, &k, sizeof(k), HV_DATA, 1024);
    assert_true(hv_get(&g, relid, &p));
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(p.trans, 43);
    assert_true(hv_event(&g, 0, relid));
    disk->slow = true;
    hv_send_pages(&g, relid, 44, &k, sizeof(k), HV_DATA, 1024);
    assert_false(hv_get(&g, relid, &p));
    g.busy = false;
    assert_int_equal(answer().vm_srb.srb_status, SRB_STATUS_SUCCESS);
    assert_int_equal(p.trans, 44);
}

static void signals_go_where_they_cost_less(void **state)
{
    struct vstor_packet k = srb(read2, 10, READ_TYPE, 1024);

    settle();
    assert_int_equal(g.fd[relid], -1);
    disk->slow = true;
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(go(&k, HV_DATA, 1024).vm_srb.srb_status, SRB_STATUS_SUCCESS);
    assert_true(g.fd[relid] >= 0);
    disk->slow = false;
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(go(&k, HV_DATA, 1024).vm_srb.srb_status, SRB_STATUS_SUCCESS);
    assert_int_equal(g.fd[relid], -1);
}

/* n requests at once, and their answers, for which a thread may have to look. */
static void burst(unsigned n)
{
    struct vstor_packet k = srb(read2, 10, READ_TYPE, 1024);

    g.busy = true;
    for (unsigned i = 0; i < n; i++)
        hv_send_pages(&g, relid, i, &k, sizeof(k), HV_DATA, 1024);
    g.busy = false;
    for (unsigned i = 0; i < n; i++) {
        for (unsigned wait = 0; !hv_get(&g, relid, &p); wait++) {
            assert_true(wait < 1000);
            assert_true(loop_step(g.f.env.loop, 10000000) >= 0);
        }
        assert_int_equal(p.trans, i);
    }
}

static void bursts_need_no_signals(void **state)
{
    unsigned before;

    hv_close(&g, relid);
    g.bus->polls = true;
    assert_int_equal(hv_open(&g, relid, 0), 0);
    initialize();
    settle();
    /* Now and then a signal is held back, to see whether more comes. */
    for (unsigned i = 0; i < 200 && !g.bus->relid[relid]->bursts.on; i++)
        burst(1);
    before = g.signals;
    for (unsigned i = 0; i < 20; i++)
        burst(16);
    assert_true(g.signals - before <= 25); /* a slow machine's thread may have given up waiting */
    for (unsigned i = 0; i < 60; i++)
        burst(1);
    before = g.signals;
    for (unsigned i = 0; i < 20; i++)
        burst(1);
    assert_int_equal(g.signals - before, 20);
    burst(16);
}

struct cpu_load {
    pthread_t thread;
    uint32_t relid;
    unsigned done, wrong;
};

/* Reads, each alone, and now and then a command for the loop. */
static void *cpu_load(void *arg)
{
    struct cpu_load *l = arg;
    struct hv_packet *got = malloc(sizeof(*got));

    for (unsigned i = 0; got && i < 1000; i++) {
        struct vstor_packet k = srb(read2, 10, READ_TYPE, 1024);

        if (i % 16 == 15) {
            k = srb(tur, 6, UNKNOWN_TYPE, 0);
            hv_send(&g, l->relid, i, &k, sizeof(k));
        } else {
            hv_send_pages(&g, l->relid, i, &k, sizeof(k), HV_DATA, 1024);
        }
        while (!hv_get(&g, l->relid, got))
            sched_yield();
        l->wrong += got->trans != i;
    }
    free(got);
    __atomic_store_n(&l->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void processors_signal_at_the_same_time(void **state)
{
    struct cpu_load load[4] = {{.relid = relid}};
    uint8_t out[HV_MESSAGE_PAYLOAD];

    settle();
    assert_int_equal(le32_get(ask(VSTOR_OPERATION_CREATE_SUB_CHANNELS, 3).status), 0);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(hv_message(&g, out), CHANNELMSG_OFFERCHANNEL);
        load[i].relid = le32_at(out + 184);
    }
    g.bus->polls = true;
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(hv_open(&g, load[i].relid, i), 0);
    g.busy = true;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&load[i].thread, NULL, cpu_load, &load[i]), 0);
    for (unsigned i = 0; i < 4; i++) {
        while (!__atomic_load_n(&load[i].done, __ATOMIC_ACQUIRE))
            assert_true(loop_step(g.f.env.loop, 1000000) >= 0);
        pthread_join(load[i].thread, NULL);
        assert_int_equal(load[i].wrong, 0);
    }
    g.busy = false;
}

static void any_packet_is_answered_once(void **state)
{
    uint8_t ext[64];
    struct vstor_packet k;
    uint32_t x = 3;

    for (unsigned i = 0; i < 20000; i++) {
        for (size_t n = 0; n < sizeof(k); n++) {
            x = x * 1664525 + 1013904223;
            ((uint8_t *)&k)[n] = x >> 30 ? 0 : (uint8_t)(x >> 16);
            ext[n] = (uint8_t)(x >> 24 & (x >> 29 ? 0 : 0xff));
        }
        k.operation = le32_of(x >> 27 > 20 ? 3 : x >> 12 & 15);
        hv_put(&g, relid, x & 1 ? VM_PKT_DATA_USING_GPA_DIRECT : VM_PKT_DATA_INBAND, 1, i, ext,
               x & 1 ? (x >> 5 & 7) * 8 : 0, &k, sizeof(k));
        fake_env_run(&g.f);
        while (hv_get(&g, relid, &p))
            ;
        assert_false(g.bus->inflight);
    }
}

static unsigned more;

/* Another processor asks again before the host has looked whether it does. */
static void ask_again(struct hvguest *k)
{
    struct vstor_packet s = srb(read2, 10, READ_TYPE, 1024);

    hv_event(k, 0, relid);
    while (hv_get(k, relid, &p))
        ;
    if (more && more--)
        hv_send_pages(k, relid, more, &s, sizeof(s), HV_DATA, 1024);
}

/* Errors move no bytes, so they must count by themselves. */
static void a_processor_is_not_held_by_others(void **state)
{
    struct vstor_packet k = srb(read2, 10, READ_TYPE, 1024);

    settle();
    g.busy = true;
    g.at_interrupt = ask_again;
    disk->fail = -EIO;
    hv_event(&g, 0, relid);
    more = 100000;
    hv_send_pages(&g, relid, 1, &k, sizeof(k), HV_DATA, 1024);
    assert_in_range(more, 99000, 99999);
    more = 10;
    g.busy = false;
    fake_env_run(&g.f);
    assert_int_equal(more, 0);
}

/* The next kernel is loaded into that memory. */
static void after_a_reset_nothing_writes_memory(void **state)
{
    struct vstor_packet k;

    settle();
    disk->hold = true;
    k = srb(read2, 10, READ_TYPE, 1024);
    hv_send_pages(&g, relid, 42, &k, sizeof(k), HV_DATA, 1024);
    assert_non_null(disk->held);
    mem_disk_release_soon(disk);
    vmbus_reset(g.bus);
    storvsp_reset(dut);
    assert_null(disk->held);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(versions_are_negotiated),
        T(answers_are_as_long_as_the_question),
        T(data_goes_both_ways),
        T(a_large_request_is_served_whole),
        T(sense_data_comes_with_errors),
        T(absent_units_are_told_so),
        T(an_ide_unit_is_one_target_with_one_unit),
        T(bad_requests_are_answered),
        T(units_come_and_go),
        T(the_oldest_protocol_has_no_notices),
        T(subchannels_work_like_the_first),
        T(a_channel_that_opens_waits_its_turn),
        T(subchannels_come_before_the_end_of_the_initialization),
        T(an_answer_for_a_closed_channel_is_dropped),
        T(data_at_hand_needs_no_loop),
        T(signals_go_where_they_cost_less),
        T(bursts_need_no_signals),
        T(processors_signal_at_the_same_time),
        T(any_packet_is_answered_once),
        T(a_processor_is_not_held_by_others),
        T(after_a_reset_nothing_writes_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
