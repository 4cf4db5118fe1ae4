/* SPDX-License-Identifier: Apache-2.0 */
/* The Fusion-MPT controllers, driven as a guest's driver and a BIOS do. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "abi/mpt.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_irqs.h"
#include "fakes/fake_mem_disk.h"
#include "fakes/fake_pci.h"
#include "personas/vmware/mpt.h"

/* Where the guest keeps things. */
enum {
    FRAMES = 0x10000, /* requests, 128 bytes each */
    REPLIES = 0x18000,
    SENSE = 0x1c000,
    LIST = 0x1d000,
    DATA = 0x20000,
    DEVFN = 3 << 3,
    REPLY_SIZE = 80
};

static struct fake_env f;
static struct mpt *dut;
static struct mem_disk *disk;
static uint64_t bar[6];
static uint32_t context;

static void put(uint64_t reg, uint32_t v)
{
    fake_env_write(&f, bar[1] + reg, 4, v);
}

static uint32_t get(uint64_t reg)
{
    return (uint32_t)fake_env_read(&f, bar[1] + reg, 4);
}

static void *ram(gpa_t at, size_t n)
{
    void *p = gmem_shared(f.env.mem, at, n);

    assert_non_null(p);
    return p;
}

static uint32_t state(void)
{
    return get(MPI_DOORBELL_OFFSET) & MPI_IOC_STATE_MASK;
}

/* A message by the doorbell, as Linux does it: every word acknowledged. Returns the reply's bytes.
 */
static unsigned handshake(const void *req, unsigned n, void *reply, unsigned max)
{
    uint8_t out[256] = {0};
    unsigned got = 0;

    put(MPI_HOST_INTERRUPT_STATUS_OFFSET, 0);
    put(MPI_DOORBELL_OFFSET, (uint32_t)MPI_FUNCTION_HANDSHAKE << 24 | n / 4 << 16);
    assert_true(get(MPI_HOST_INTERRUPT_STATUS_OFFSET) & MPI_HIS_DOORBELL_INTERRUPT);
    assert_true(get(MPI_DOORBELL_OFFSET) & MPI_DOORBELL_ACTIVE);
    put(MPI_HOST_INTERRUPT_STATUS_OFFSET, 0);
    for (unsigned i = 0; i < n; i += 4)
        put(MPI_DOORBELL_OFFSET, le32_at((const uint8_t *)req + i));
    do {
        assert_true(get(MPI_HOST_INTERRUPT_STATUS_OFFSET) & MPI_HIS_DOORBELL_INTERRUPT);
        le16_put(out + got, (uint16_t)get(MPI_DOORBELL_OFFSET));
        got += 2;
        put(MPI_HOST_INTERRUPT_STATUS_OFFSET, 0);
    } while (got < 4 || got < out[2] * 4u);
    assert_true(get(MPI_HOST_INTERRUPT_STATUS_OFFSET) & MPI_HIS_DOORBELL_INTERRUPT);
    put(MPI_HOST_INTERRUPT_STATUS_OFFSET, 0);
    assert_false(get(MPI_HOST_INTERRUPT_STATUS_OFFSET) & MPI_HIS_DOORBELL_INTERRUPT);
    assert_false(get(MPI_DOORBELL_OFFSET) & MPI_DOORBELL_ACTIVE);
    memcpy(reply, out, got < max ? got : max);
    return got;
}

static void bring_up(void)
{
    struct mpi_ioc_init init = {.who_init = 4,
                                .function = MPI_FUNCTION_IOC_INIT,
                                .max_devices = 16,
                                .max_buses = 1,
                                .reply_frame_size = le16_of(REPLY_SIZE)};
    struct mpi_event_notify on = {
        .on = 1, .function = MPI_FUNCTION_EVENT_NOTIFICATION, .msg_context = le32_of(0x770000)};
    struct mpi_port_facts enable = {.function = MPI_FUNCTION_PORT_ENABLE};
    struct mpi_default_reply r;

    put(MPI_DOORBELL_OFFSET, (uint32_t)MPI_FUNCTION_IOC_MESSAGE_UNIT_RESET << 24);
    assert_int_equal(state(), MPI_IOC_STATE_READY);
    for (unsigned i = 0; i < 8; i++)
        put(MPI_REPLY_FIFO_OFFSET, REPLIES + i * 128);
    assert_int_equal(handshake(&init, sizeof(init), &r, sizeof(r)), 20);
    assert_int_equal(le16_get(r.ioc_status), MPI_IOCSTATUS_SUCCESS);
    handshake(&enable, sizeof(enable), &r, sizeof(r));
    assert_int_equal(le16_get(r.ioc_status), MPI_IOCSTATUS_SUCCESS);
    assert_int_equal(state(), MPI_IOC_STATE_OPERATIONAL);
    handshake(&on, sizeof(on), &r, sizeof(r));
    put(MPI_HOST_INTERRUPT_MASK_OFFSET, MPI_HIS_DOORBELL_INTERRUPT);
}

static int make(enum mpt_kind kind)
{
    struct scsi_lun_cfg c = {.id = "disk0"};
    struct err e;

    context = 1;
    fake_env_create(&f, 16 * MiB);
    assert_int_equal(mpt_create(&f.env, kind, 0, &dut, &e), 0);
    disk = mem_disk_create(f.env.loop, 1 * MiB);
    c.disk = &disk->disk;
    assert_int_equal(units_attach(mpt_units(dut), 3, &c, &e), 0);
    assert_int_equal(pci_add(f.env.pci, mpt_pci(dut), DEVFN, &e), 0);
    fake_pci_map(&f, DEVFN, bar);
    bring_up();
    return 0;
}

static int parallel(void **s)
{
    (void)s;
    return make(MPT_53C1030);
}

static int serial(void **s)
{
    (void)s;
    return make(MPT_SAS1068);
}

static int teardown(void **s)
{
    (void)s;
    fake_env_run(&f);
    fake_env_destroy(&f);
    return 0;
}

/* --- requests by the FIFO --- */

static struct mpi_scsi_io_request io(const uint8_t *cdb, size_t n, uint32_t len, uint32_t control)
{
    struct mpi_scsi_io_request r = {.target_id = 3,
                                    .function = MPI_FUNCTION_SCSI_IO_REQUEST,
                                    .cdb_length = (uint8_t)n,
                                    .sense_buffer_length = 18,
                                    .msg_context = le32_of(context),
                                    .control = le32_of(control),
                                    .data_length = le32_of(len),
                                    .sense_buffer_low_addr = le32_of(SENSE)};

    memcpy(r.cdb, cdb, n);
    return r;
}

static uint8_t *simple(uint8_t *at, uint32_t flags, uint32_t len, uint32_t addr)
{
    le32_put(at, (flags | MPI_SGE_FLAGS_SIMPLE_ELEMENT) << MPI_SGE_FLAGS_SHIFT | len);
    le32_put(at + 4, addr);
    return at + 8;
}

enum { END = MPI_SGE_FLAGS_LAST_ELEMENT | MPI_SGE_FLAGS_END_OF_LIST };

static uint8_t *frame(const void *r, size_t n)
{
    uint8_t *at = ram(FRAMES, 128);

    memset(at, 0, 128);
    memcpy(at, r, n);
    return at + n;
}

static void post(void)
{
    put(MPI_REQUEST_POST_FIFO_OFFSET, FRAMES | 2);
    context++;
}

/* The next posted reply; frames are given back. 0: it was a context, which is checked. */
static unsigned reap(void *reply, unsigned max)
{
    uint32_t v;
    const uint8_t *r;

    fake_env_run(&f);
    assert_true(get(MPI_HOST_INTERRUPT_STATUS_OFFSET) & MPI_HIS_REPLY_MESSAGE_INTERRUPT);
    v = get(MPI_REPLY_FIFO_OFFSET);
    assert_int_not_equal(v, MPI_REPLY_EMPTY);
    if (!(v & MPI_ADDRESS_REPLY_A_BIT)) {
        assert_int_equal(v, context - 1);
        return 0;
    }
    r = ram(v << 1, 128);
    memcpy(reply, r, r[2] * 4u < max ? r[2] * 4u : max);
    put(MPI_REPLY_FIFO_OFFSET, v << 1);
    return ((const uint8_t *)r)[2] * 4u;
}

static bool went_well(void)
{
    struct mpi_scsi_io_reply r;

    return reap(&r, sizeof(r)) == 0;
}

static struct mpi_scsi_io_reply failed(void)
{
    struct mpi_scsi_io_reply r;

    assert_int_equal(reap(&r, sizeof(r)), sizeof(r));
    return r;
}

static const uint8_t tur[6] = {TEST_UNIT_READY};
static const uint8_t write2[10] = {WRITE_10, 0, 0, 0, 0, 8, 0, 0, 2};
static const uint8_t read2[10] = {READ_10, 0, 0, 0, 0, 8, 0, 0, 2};
static const uint8_t inquiry[6] = {INQUIRY, 0, 0, 0, 255};

static void settle(void)
{
    struct mpi_scsi_io_request r = io(tur, 6, 0, 0);
    struct mpi_scsi_io_reply o;

    frame(&r, sizeof(r));
    post();
    o = failed();
    assert_int_equal(o.scsi_status, SCSI_CHECK_CONDITION);
    assert_int_equal(o.scsi_state, MPI_SCSI_STATE_AUTOSENSE_VALID);
    assert_int_equal(((uint8_t *)ram(SENSE, 18))[2], UNIT_ATTENTION);
    r.msg_context = le32_of(context);
    frame(&r, sizeof(r));
    post();
    assert_true(went_well());
}

static void facts_are_told_by_the_doorbell(void **s)
{
    struct mpi_request_header ask = {.function = MPI_FUNCTION_IOC_FACTS};
    struct mpi_port_facts port = {.function = MPI_FUNCTION_PORT_FACTS};
    struct mpi_ioc_facts_reply facts;
    struct mpi_port_facts_reply p;

    (void)s;
    assert_int_equal(handshake(&ask, sizeof(ask), &facts, sizeof(facts)), sizeof(facts));
    assert_int_equal(le16_get(facts.global_credits), 128);
    assert_int_equal(facts.number_of_ports, 1);
    assert_int_equal(facts.event_state, 1);
    assert_int_equal(handshake(&port, sizeof(port), &p, sizeof(p)), sizeof(p));
    assert_int_equal(le16_get(p.protocol_flags), MPI_PORTFACTS_PROTOCOL_INITIATOR);
    port.port_number = 1;
    handshake(&port, sizeof(port), &p, sizeof(p));
    assert_int_equal(le16_get(p.ioc_status), MPI_IOCSTATUS_INVALID_FIELD);
    ask.function = 0x3f;
    handshake(&ask, sizeof(ask), &p, sizeof(p));
    assert_int_equal(le16_get(p.ioc_status), MPI_IOCSTATUS_INVALID_FUNCTION);
}

static void a_bios_reads_a_reply_without_acknowledging(void **s)
{
    struct mpi_ioc_init init = {
        .who_init = 2, .function = MPI_FUNCTION_IOC_INIT, .max_devices = 8, .max_buses = 1};
    uint8_t reply[20];

    (void)s;
    put(MPI_DOORBELL_OFFSET, (uint32_t)MPI_FUNCTION_IOC_MESSAGE_UNIT_RESET << 24);
    fake_env_out(&f, bar[0] + MPI_DOORBELL_OFFSET, 4,
                 (uint32_t)MPI_FUNCTION_HANDSHAKE << 24 | 6 << 16);
    for (unsigned i = 0; i < sizeof(init); i += 4)
        fake_env_out(&f, bar[0] + MPI_DOORBELL_OFFSET, 4, le32_at((uint8_t *)&init + i));
    for (unsigned i = 0; i < sizeof(reply); i += 2)
        le16_put(reply + i, (uint16_t)fake_env_in(&f, bar[0] + MPI_DOORBELL_OFFSET, 4));
    fake_env_out(&f, bar[0] + MPI_HOST_INTERRUPT_STATUS_OFFSET, 4, 0);
    assert_int_equal(le16_at(reply + 14), MPI_IOCSTATUS_SUCCESS);
    assert_int_equal(reply[2], 5);
    assert_int_equal(state(), MPI_IOC_STATE_OPERATIONAL);
}

static void data_goes_both_ways_and_interrupts(void **s)
{
    struct mpi_scsi_io_request r;

    (void)s;
    settle();
    memset(ram(DATA, 1024), 0x77, 1024);
    r = io(write2, 10, 1024, MPI_SCSIIO_CONTROL_WRITE);
    simple(frame(&r, sizeof(r)), END | MPI_SGE_FLAGS_DIRECTION, 1024, DATA);
    post();
    assert_true(fake_irqs_line(&f.irqs, pci_gsi(DEVFN >> 3, 0)));
    assert_true(went_well());
    assert_int_equal(get(MPI_REPLY_FIFO_OFFSET), MPI_REPLY_EMPTY);
    assert_false(fake_irqs_line(&f.irqs, pci_gsi(DEVFN >> 3, 0)));
    assert_int_equal(disk->data[8 * 512 + 1023], 0x77);
    r = io(read2, 10, 1024, MPI_SCSIIO_CONTROL_READ);
    simple(frame(&r, sizeof(r)), END, 1024, DATA + 4096);
    post();
    assert_true(went_well());
    assert_memory_equal(ram(DATA, 1024), ram(DATA + 4096, 1024), 1024);
}

/* Elements in the frame, a chain to memory whose list goes on in a second segment there. */
static void chains_are_followed(void **s)
{
    struct mpi_scsi_io_request r;
    uint8_t *at, *list = ram(LIST, 256);

    (void)s;
    settle();
    memset(disk->data + 8 * 512, 0x21, 1024);
    r = io(read2, 10, 1024, MPI_SCSIIO_CONTROL_READ);
    r.chain_offset = (sizeof(r) + 8) / 4;
    at = simple(frame(&r, sizeof(r)), MPI_SGE_FLAGS_LAST_ELEMENT, 512, DATA);
    le32_put(at, (uint32_t)MPI_SGE_FLAGS_CHAIN_ELEMENT << 24 | 4 << 16 | 24);
    le32_put(at + 4, LIST);
    simple(simple(list, 0, 100, DATA + 0x1000), MPI_SGE_FLAGS_LAST_ELEMENT, 12, DATA + 0x2000);
    le32_put(list + 16, (uint32_t)(MPI_SGE_FLAGS_CHAIN_ELEMENT) << 24 | 12);
    le32_put(list + 20, LIST + 64);
    le32_put(list + 64,
             (uint32_t)(END | MPI_SGE_FLAGS_SIMPLE_ELEMENT | MPI_SGE_FLAGS_64_BIT_ADDRESSING)
                     << 24 |
                 400);
    le64_put(list + 68, DATA + 0x3000);
    post();
    assert_true(went_well());
    assert_int_equal(((uint8_t *)ram(DATA + 0x3000, 400))[399], 0x21);
    assert_int_equal(((uint8_t *)ram(DATA + 0x2000, 16))[11], 0x21);
    assert_int_equal(((uint8_t *)ram(DATA + 0x2000, 16))[12], 0);
    le32_put(list + 64, (uint32_t)MPI_SGE_FLAGS_CHAIN_ELEMENT << 24 | 12); /* a loop */
    le32_put(list + 68, LIST + 64);
    r.msg_context = le32_of(context);
    memcpy(ram(FRAMES, 128), &r, sizeof(r));
    post();
    assert_int_equal(le16_get(failed().ioc_status), MPI_IOCSTATUS_INVALID_SGL);
}

static void less_data_than_asked_for_is_told(void **s)
{
    struct mpi_scsi_io_request r = io(inquiry, 6, 255, MPI_SCSIIO_CONTROL_READ);
    struct mpi_scsi_io_reply o;

    (void)s;
    simple(frame(&r, sizeof(r)), END, 255, DATA);
    post();
    o = failed();
    assert_int_equal(le16_get(o.ioc_status), MPI_IOCSTATUS_SCSI_DATA_UNDERRUN);
    assert_in_range(le32_get(o.transfer_count), 36, 254);
    assert_memory_equal((uint8_t *)ram(DATA, 36) + 8, "VMware  Virtual disk    1.0 ", 28);
}

static void bad_requests_are_answered(void **s)
{
    static const struct {
        uint8_t target, bus, cdb_len;
        uint16_t status;
    } bad[] = {{5, 0, 6, MPI_IOCSTATUS_SCSI_DEVICE_NOT_THERE},
               {16, 0, 6, MPI_IOCSTATUS_SCSI_INVALID_TARGETID},
               {3, 1, 6, MPI_IOCSTATUS_SCSI_INVALID_BUS},
               {3, 0, 17, MPI_IOCSTATUS_INVALID_FIELD}};
    struct mpi_scsi_io_request r;

    (void)s;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        r = io(tur, 6, 0, 0);
        r.target_id = bad[i].target;
        r.bus = bad[i].bus;
        r.cdb_length = bad[i].cdb_len;
        frame(&r, sizeof(r));
        post();
        assert_int_equal(le16_get(failed().ioc_status), bad[i].status);
    }
    r = io(read2, 10, 1024, MPI_SCSIIO_CONTROL_READ); /* a list that ends too early */
    simple(frame(&r, sizeof(r)), END, 512, DATA);
    post();
    assert_int_equal(le16_get(failed().ioc_status), MPI_IOCSTATUS_INVALID_SGL);
    simple(ram(FRAMES + sizeof(r), 64), END, 1024, 0xfffffff0); /* outside memory */
    post();
    assert_int_equal(le16_get(failed().ioc_status), MPI_IOCSTATUS_INVALID_SGL);
}

static void replies_wait_for_frames(void **s)
{
    struct mpi_scsi_io_request r = io(tur, 6, 0, 0);
    struct mpi_scsi_io_reply o;

    (void)s;
    r.target_id = 5;
    frame(&r, sizeof(r));
    for (int i = 0; i < 12; i++)
        put(MPI_REQUEST_POST_FIFO_OFFSET, FRAMES);
    for (int i = 0; i < 12; i++)
        assert_int_equal(reap(&o, sizeof(o)), sizeof(o));
    assert_int_equal(get(MPI_REPLY_FIFO_OFFSET), MPI_REPLY_EMPTY);
}

static void task(uint8_t type, uint32_t which)
{
    struct mpi_scsi_task_mgmt m = {.target_id = 3,
                                   .function = MPI_FUNCTION_SCSI_TASK_MGMT,
                                   .task_type = type,
                                   .msg_context = le32_of(0x999),
                                   .task_msg_context = le32_of(which)};

    memset(ram(FRAMES + 256, 128), 0, 128);
    memcpy(ram(FRAMES + 256, 128), &m, sizeof(m));
    put(MPI_HI_PRI_REQUEST_QUEUE_OFFSET, FRAMES + 256);
}

static void an_aborted_request_ends_before_its_abort(void **s)
{
    struct mpi_scsi_io_request r;
    struct mpi_scsi_task_mgmt_reply t = {0};

    (void)s;
    settle();
    disk->slow = disk->hold = true;
    r = io(read2, 10, 1024, MPI_SCSIIO_CONTROL_READ);
    simple(frame(&r, sizeof(r)), END, 1024, DATA);
    post();
    task(MPI_SCSITASKMGMT_TASKTYPE_ABORT_TASK, context - 1);
    fake_env_run(&f);
    assert_int_equal(get(MPI_REPLY_FIFO_OFFSET), MPI_REPLY_EMPTY); /* both wait for the disk */
    disk->hold = false;
    mem_disk_release(disk);
    assert_int_equal(le16_get(failed().ioc_status), MPI_IOCSTATUS_SCSI_TASK_TERMINATED);
    assert_int_equal(reap(&t, sizeof(t)), sizeof(t));
    assert_int_equal(le32_get(t.termination_count), 1);
    assert_int_equal(t.response_code, MPI_SCSITASKMGMT_RSP_TM_COMPLETE);
    task(MPI_SCSITASKMGMT_TASKTYPE_ABORT_TASK, 0x1234567); /* nothing such */
    assert_int_equal(reap(&t, sizeof(t)), sizeof(t));
    assert_int_equal(le32_get(t.termination_count), 0);
    task(MPI_SCSITASKMGMT_TASKTYPE_QUERY_TASK, 0);
    assert_int_equal(reap(&t, sizeof(t)), sizeof(t));
    assert_int_equal(t.response_code, MPI_SCSITASKMGMT_RSP_TM_NOT_SUPPORTED);
    task(MPI_SCSITASKMGMT_TASKTYPE_TARGET_RESET, 0);
    assert_int_equal(reap(&t, sizeof(t)), sizeof(t));
    settle(); /* a unit attention tells of the reset */
}

static void a_reset_forgets_what_was_asked(void **s)
{
    struct mpi_scsi_io_request r = io(tur, 6, 0, 0);

    (void)s;
    r.target_id = 5;
    frame(&r, sizeof(r));
    for (int i = 0; i < 12; i++)
        put(MPI_REQUEST_POST_FIFO_OFFSET, FRAMES);
    bring_up();
    assert_int_equal(get(MPI_REPLY_FIFO_OFFSET), MPI_REPLY_EMPTY);
    settle();
    put(MPI_DIAGNOSTIC_OFFSET, MPI_DIAG_RESET_ADAPTER); /* locked */
    assert_int_equal(state(), MPI_IOC_STATE_OPERATIONAL);
    for (const uint8_t *k = (const uint8_t *)"\xff\x04\x0b\x02\x07\x0d"; *k; k++)
        put(MPI_WRITE_SEQUENCE_OFFSET, *k);
    assert_true(get(MPI_DIAGNOSTIC_OFFSET) & MPI_DIAG_DRWE);
    put(MPI_DIAGNOSTIC_OFFSET, MPI_DIAG_RESET_ADAPTER);
    assert_int_equal(get(MPI_DIAGNOSTIC_OFFSET), MPI_DIAG_RESET_HISTORY);
    assert_int_equal(state(), MPI_IOC_STATE_READY);
    post(); /* no one listens yet */
    bring_up();
}

static void too_many_requests_are_a_fault(void **s)
{
    struct mpi_scsi_io_request r = io(tur, 6, 0, 0);

    (void)s;
    r.target_id = 5;
    frame(&r, sizeof(r));
    for (int i = 0; i < 2000; i++)
        put(MPI_REQUEST_POST_FIFO_OFFSET, FRAMES);
    assert_int_equal(state(), MPI_IOC_STATE_FAULT);
    bring_up();
    put(MPI_REQUEST_POST_FIFO_OFFSET, 0xfffffff0);
    assert_int_equal(state(), MPI_IOC_STATE_FAULT);
    bring_up();
    settle();
}

/* --- configuration pages --- */

static uint16_t page(uint8_t action, uint8_t type, uint8_t ext, uint8_t number, uint32_t addr,
                     uint32_t len, struct mpi_config_reply *out)
{
    struct mpi_config m = {.action = action,
                           .function = MPI_FUNCTION_CONFIG,
                           .ext_page_type = ext,
                           .msg_context = le32_of(0x55),
                           .header = {.page_type = type, .page_number = number},
                           .page_address = le32_of(addr)};

    simple(frame(&m, sizeof(m)), END, len, DATA);
    post();
    assert_int_equal(reap(out, sizeof(*out)), sizeof(*out));
    assert_int_equal(le32_get(out->msg_context), 0x55);
    return le16_get(out->ioc_status);
}

static void pages_of_a_parallel_bus(void **s)
{
    struct mpi_config_reply r = {0};

    (void)s;
    assert_int_equal(page(0, MPI_CONFIG_PAGETYPE_SCSI_PORT, 0, 2, 0, 0, &r), 0);
    assert_int_equal(r.header.page_length, 0x4c / 4);
    assert_int_equal(page(6, MPI_CONFIG_PAGETYPE_SCSI_PORT, 0, 2, 0, 0x4c, &r), 0);
    assert_int_equal(le32_at((uint8_t *)ram(DATA, 12) + 8), MPT_OWN_TARGET);
    assert_int_equal(page(0, MPI_CONFIG_PAGETYPE_SCSI_PORT, 0, 1, 0, 0, &r), 0);
    assert_int_equal(r.header.page_type & 0xf0, MPI_CONFIG_PAGEATTR_CHANGEABLE);
    assert_int_equal(page(1, MPI_CONFIG_PAGETYPE_SCSI_PORT, 0, 1, 0, 16, &r), 0);
    assert_int_not_equal(le32_at((uint8_t *)ram(DATA, 12) + 8),
                         0); /* OpenBSD mends that, or fails */
    le32_put((uint8_t *)ram(DATA, 12) + 8, 0x5678);
    assert_int_equal(page(2, MPI_CONFIG_PAGETYPE_SCSI_PORT, 0, 1, 0, 16, &r), 0);
    memset(ram(DATA, 16), 0, 16);
    assert_int_equal(page(1, MPI_CONFIG_PAGETYPE_SCSI_PORT, 0, 1, 0, 16, &r), 0);
    assert_int_equal(le32_at((uint8_t *)ram(DATA, 12) + 8), 0x5678);
    *(uint8_t *)ram(DATA + 4, 1) = 6;
    assert_int_equal(page(2, MPI_CONFIG_PAGETYPE_SCSI_PORT, 0, 1, 0, 16, &r),
                     MPI_IOCSTATUS_CONFIG_INVALID_PAGE);
    memset(ram(DATA, 16), 0, 16);
    le32_put((uint8_t *)ram(DATA, 16) + 4, 0x1234);
    assert_int_equal(page(2, MPI_CONFIG_PAGETYPE_SCSI_DEVICE, 0, 1, 3, 16, &r), 0);
    assert_int_equal(page(1, MPI_CONFIG_PAGETYPE_SCSI_DEVICE, 0, 0, 3, 12, &r), 0);
    assert_int_equal(le32_at((uint8_t *)ram(DATA, 12) + 4), 0x1234);
    assert_int_equal(page(1, MPI_CONFIG_PAGETYPE_SCSI_DEVICE, 0, 0, 16, 12, &r),
                     MPI_IOCSTATUS_CONFIG_INVALID_PAGE);
    assert_int_equal(page(2, MPI_CONFIG_PAGETYPE_SCSI_PORT, 0, 0, 0, 12, &r),
                     MPI_IOCSTATUS_CONFIG_CANT_COMMIT);
    assert_int_equal(page(9, MPI_CONFIG_PAGETYPE_IOC, 0, 1, 0, 12, &r),
                     MPI_IOCSTATUS_CONFIG_INVALID_ACTION);
    assert_int_equal(page(0, MPI_CONFIG_PAGETYPE_IOC, 0, 77, 0, 0, &r),
                     MPI_IOCSTATUS_CONFIG_INVALID_PAGE);
    assert_int_equal(
        page(0, MPI_CONFIG_PAGETYPE_EXTENDED, MPI_CONFIG_EXTPAGETYPE_SAS_PHY, 0, 0, 0, &r),
        MPI_IOCSTATUS_CONFIG_INVALID_TYPE);
}

static void sas_devices_are_found_one_after_the_other(void **s)
{
    const struct mpi_sas_device_0 *d = ram(DATA, sizeof(*d));
    struct mpi_config_reply r = {0};
    uint32_t handle = 0xffff;
    unsigned n = 0, disks = 0;

    (void)s;
    assert_int_equal(
        page(0, MPI_CONFIG_PAGETYPE_EXTENDED, MPI_CONFIG_EXTPAGETYPE_SAS_IO_UNIT, 0, 0, 0, &r), 0);
    assert_int_equal(le16_get(r.ext_page_length), (16 + 16 * 16) / 4);
    while (page(1, MPI_CONFIG_PAGETYPE_EXTENDED, MPI_CONFIG_EXTPAGETYPE_SAS_DEVICE, 0, handle,
                sizeof(*d), &r) == 0) {
        handle = le16_get(d->dev_handle);
        n++;
        if (le32_get(d->device_info) & MPI_SAS_DEVICE_INFO_SSP_TARGET) {
            disks++;
            assert_int_equal(d->target_id, 3);
        }
    }
    assert_int_equal(n, 17);
    assert_int_equal(disks, 1);
    assert_int_equal(page(1, MPI_CONFIG_PAGETYPE_EXTENDED, MPI_CONFIG_EXTPAGETYPE_SAS_DEVICE, 0,
                          1u << 28 | 3, sizeof(*d), &r),
                     0);
    assert_int_equal(le64_get(d->sas_address), UINT64_C(0x5000c29000000104));
    assert_int_equal(page(1, MPI_CONFIG_PAGETYPE_EXTENDED, MPI_CONFIG_EXTPAGETYPE_SAS_DEVICE, 0,
                          1u << 28 | 4, sizeof(*d), &r),
                     MPI_IOCSTATUS_CONFIG_INVALID_PAGE);
}

/* OpenBSD wants 32 commands for each SATA disk, and gives up when it may not say so. */
static void the_sas_io_units_settings_are_kept(void **s)
{
    enum { TYPE = MPI_CONFIG_PAGETYPE_EXTENDED, EXT = MPI_CONFIG_EXTPAGETYPE_SAS_IO_UNIT };
    enum { SIZE = 20 + 16 * 12 };
    struct mpi_config_reply r = {0};
    uint8_t *pg = ram(DATA, SIZE);

    (void)s;
    assert_int_equal(page(0, TYPE, EXT, 1, 0, 0, &r), 0);
    assert_int_equal(le16_get(r.ext_page_length), SIZE / 4);
    assert_int_equal(r.header.page_type, TYPE | MPI_CONFIG_PAGEATTR_CHANGEABLE);
    assert_int_equal(page(1, TYPE, EXT, 1, 0, SIZE, &r), 0);
    assert_int_equal(pg[16], 16);
    assert_int_equal(pg[17], 32);
    pg[17] = 8;
    assert_int_equal(page(2, TYPE, EXT, 1, 0, SIZE, &r), 0);
    memset(pg, 0, SIZE);
    assert_int_equal(page(1, TYPE, EXT, 1, 0, SIZE, &r), 0);
    assert_int_equal(pg[17], 8);
    pg[16] = 200;
    assert_int_equal(page(2, TYPE, EXT, 1, 0, SIZE, &r), MPI_IOCSTATUS_CONFIG_INVALID_PAGE);
}

static void disks_come_and_go_with_events(void **s)
{
    struct mem_disk *more = mem_disk_create(f.env.loop, MiB);
    struct scsi_lun_cfg c = {.disk = &more->disk, .id = "disk1"};
    struct mpi_event_notify_reply ev = {0};
    struct err e;

    (void)s;
    assert_int_equal(units_attach(mpt_units(dut), 3, &c, &e), -EBUSY);
    assert_int_equal(units_attach(mpt_units(dut), 16, &c, &e), -EINVAL);
    assert_int_equal(units_attach(mpt_units(dut), 9, &c, &e), 0);
    assert_int_equal(reap(&ev, sizeof(ev)), 0x1c + 12);
    assert_int_equal(le32_get(ev.event), MPI_EVENT_SAS_PHY_LINK_STATUS);
    assert_int_equal(ev.msg_flags, MPI_MSGFLAGS_CONTINUATION_REPLY);
    assert_int_equal(le32_get(ev.msg_context), 0x770000);
    assert_int_equal(ev.data[1], 0x90);
    assert_int_equal(reap(&ev, sizeof(ev)), 0x40);
    assert_int_equal(le32_get(ev.event), MPI_EVENT_SAS_DEVICE_STATUS_CHANGE);
    assert_int_equal(ev.data[0], 9);
    assert_int_equal(ev.data[2], MPI_EVENT_SAS_DEV_STAT_RC_ADDED);
    assert_true(units_grew(mpt_units(dut), c.disk));
    assert_false(units_grew(mpt_units(dut), NULL));
    assert_int_equal(units_detach(mpt_units(dut), 9, &e), 0);
    assert_int_equal(reap(&ev, sizeof(ev)), 0x1c + 12);
    assert_int_equal(reap(&ev, sizeof(ev)), 0x40);
    assert_int_equal(ev.data[2], MPI_EVENT_SAS_DEV_STAT_RC_NOT_RESPONDING);
    assert_int_equal(units_detach(mpt_units(dut), 10, &e), -ENOENT);
}

int main(void)
{
#define P(t) cmocka_unit_test_setup_teardown(t, parallel, teardown)
#define S(t) cmocka_unit_test_setup_teardown(t, serial, teardown)
    const struct CMUnitTest tests[] = {
        P(facts_are_told_by_the_doorbell),
        S(a_bios_reads_a_reply_without_acknowledging),
        P(data_goes_both_ways_and_interrupts),
        S(chains_are_followed),
        P(less_data_than_asked_for_is_told),
        P(bad_requests_are_answered),
        S(replies_wait_for_frames),
        P(an_aborted_request_ends_before_its_abort),
        S(a_reset_forgets_what_was_asked),
        P(too_many_requests_are_a_fault),
        P(pages_of_a_parallel_bus),
        S(sas_devices_are_found_one_after_the_other),
        S(the_sas_io_units_settings_are_kept),
        S(disks_come_and_go_with_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
