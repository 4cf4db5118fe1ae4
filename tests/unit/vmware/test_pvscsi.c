/* SPDX-License-Identifier: Apache-2.0 */
/* pvscsi, driven as a guest driver does: set-up, I/O, scatter lists, resets, bad indices. */
#include "unit.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "abi/pvscsi.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fakes/fake_env.h"
#include "fakes/fake_irqs.h"
#include "fakes/fake_mem_disk.h"
#include "fakes/fake_pci.h"
#include "personas/vmware/pvscsi_priv.h"

/* Where the guest keeps things. */
enum {
    STATE = 0x10000,
    REQS = 0x11000,
    CMPS = 0x12000,
    MSGS = 0x13000,
    SENSE = 0x14000,
    DATA = 0x20000,
    LIST = 0x15000,
    DEVFN = 3 << 3
};

static struct fake_env f;
static struct pvscsi *dut;
static struct mem_disk *disk;
static uint64_t bar[6];
static uint32_t prod, cons;

static void put(uint64_t reg, uint32_t v)
{
    fake_env_write(&f, bar[0] + reg, 4, v);
}

static uint32_t get(uint64_t reg)
{
    return (uint32_t)fake_env_read(&f, bar[0] + reg, 4);
}

static uint32_t command(uint32_t cmd, const void *body, size_t n)
{
    put(PVSCSI_REG_OFFSET_COMMAND, cmd);
    for (size_t i = 0; i < n; i += 4)
        put(PVSCSI_REG_OFFSET_COMMAND_DATA, le32_at((const uint8_t *)body + i));
    return get(PVSCSI_REG_OFFSET_COMMAND_STATUS);
}

static void *ram(gpa_t at, size_t n)
{
    void *p = gmem_shared(f.env.mem, at, n);

    assert_non_null(p);
    return p;
}

static struct pvscsi_rings_state *state_page(void)
{
    return ram(STATE, sizeof(struct pvscsi_rings_state));
}

static void rings(void)
{
    struct pvscsi_setup_rings s = {.req_pages = le32_of(1),
                                   .cmp_pages = le32_of(1),
                                   .state_ppn = le64_of(STATE >> 12),
                                   .req_ppn = {le64_of(REQS >> 12)},
                                   .cmp_ppn = {le64_of(CMPS >> 12)}};

    assert_int_equal(command(PVSCSI_CMD_ADAPTER_RESET, NULL, 0), 0);
    memset(state_page(), 0, sizeof(*state_page()));
    assert_int_equal(command(PVSCSI_CMD_SETUP_RINGS, &s, sizeof(s)), 0);
    assert_int_equal(le32_get(state_page()->req_num_entries_log2), 5);
    put(PVSCSI_REG_OFFSET_INTR_MASK, PVSCSI_INTR_CMPL_MASK | PVSCSI_INTR_MSG_0);
    prod = cons = 0;
    fake_env_run(&f); /* units are reset on the loop */
}

static int setup(void **state)
{
    struct scsi_lun_cfg c = {.id = "disk0"};
    struct err e;

    (void)state;
    fake_env_create(&f, 16 * MiB);
    assert_int_equal(pvscsi_create(&f.env, &dut, &e), 0);
    disk = mem_disk_create(f.env.loop, 1 * MiB);
    c.disk = &disk->disk;
    assert_int_equal(units_attach(pvscsi_units(dut), 0, &c, &e), 0);
    assert_int_equal(pci_add(f.env.pci, pvscsi_pci(dut), DEVFN, &e), 0);
    fake_pci_map(&f, DEVFN, bar);
    assert_int_equal(fake_pci_msix(&f, DEVFN, bar, 0x40), 1);
    rings();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_run(&f);
    fake_env_destroy(&f);
    return 0;
}

static void queue(const struct pvscsi_req_desc *d)
{
    struct pvscsi_req_desc *ring = ram(REQS, 4096);

    ring[prod++ % 32] = *d;
    shared_store32(&state_page()->req_prod_idx, prod);
}

/* A 6- or 10-byte CDB on target 0. */
static struct pvscsi_req_desc request(const uint8_t *cdb, size_t n, gpa_t data, uint32_t len,
                                      uint32_t flags)
{
    struct pvscsi_req_desc d = {.context = le64_of(0x1000 + prod),
                                .data_addr = le64_of(data),
                                .data_len = le64_of(len),
                                .sense_addr = le64_of(SENSE),
                                .sense_len = le32_of(18),
                                .flags = le32_of(flags),
                                .cdb_len = (uint8_t)n};

    memcpy(d.cdb, cdb, n);
    return d;
}

static struct pvscsi_cmp_desc reap(void)
{
    struct pvscsi_cmp_desc c;

    fake_env_run(&f);
    assert_int_not_equal(le32_get(state_page()->cmp_prod_idx), cons);
    c = ((struct pvscsi_cmp_desc *)ram(CMPS, 4096))[cons++ % 128];
    shared_store32(&state_page()->cmp_cons_idx, cons);
    put(PVSCSI_REG_OFFSET_INTR_STATUS, PVSCSI_INTR_CMPL_MASK);
    return c;
}

static struct pvscsi_cmp_desc go(const struct pvscsi_req_desc *d)
{
    queue(d);
    put(PVSCSI_REG_OFFSET_KICK_RW_IO, 0);
    return reap();
}

static const uint8_t tur[6] = {TEST_UNIT_READY};
static const uint8_t write2[10] = {WRITE_10, 0, 0, 0, 0, 8, 0, 0, 2};
static const uint8_t read2[10] = {READ_10, 0, 0, 0, 0, 8, 0, 0, 2};

static void settle(void)
{
    struct pvscsi_req_desc d = request(tur, 6, 0, 0, PVSCSI_FLAG_CMD_DIR_NONE);
    struct pvscsi_cmp_desc c = go(&d);

    assert_int_equal(le16_get(c.scsi_status), SCSI_CHECK_CONDITION);
    assert_int_equal(((uint8_t *)ram(SENSE, 18))[2], UNIT_ATTENTION);
    c = go(&d);
    assert_int_equal(le16_get(c.scsi_status), SCSI_GOOD);
}

static void commands_are_probed_as_drivers_do(void **state)
{
    struct pvscsi_config cfg = {.cmp_addr = le64_of(DATA),
                                .config_page_num = le32_of(PVSCSI_CONFIG_PAGE_CONTROLLER)};

    (void)state;
    assert_int_equal(command(99, NULL, 0), UINT32_MAX);
    assert_int_equal(command(PVSCSI_CMD_SETUP_MSG_RING, NULL, 0), 34);
    assert_int_equal(command(PVSCSI_CMD_GET_MAX_TARGETS, NULL, 0), 64); /* else FreeBSD scans 16 */
    assert_int_equal(command(PVSCSI_CMD_CONFIG, &cfg, sizeof(cfg) - 4), (uint32_t)-2);
    assert_int_equal(command(PVSCSI_CMD_CONFIG, &cfg, sizeof(cfg)), 0);
    assert_int_equal(le32_at((uint8_t *)ram(DATA, 480) + 472), 64);
    put(PVSCSI_REG_OFFSET_COMMAND_DATA, 1); /* data without a command */
}

static void data_goes_both_ways_and_interrupts(void **state)
{
    struct pvscsi_req_desc d;

    (void)state;
    settle();
    fake_irqs_take(&f.irqs, 0x40);
    memset(ram(DATA, 1024), 0x77, 1024);
    d = request(write2, 10, DATA, 1024, PVSCSI_FLAG_CMD_DIR_TODEVICE);
    assert_int_equal(le64_get(go(&d).data_len), 1024);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x40), 1);
    assert_int_equal(disk->data[8 * 512 + 1023], 0x77);
    d = request(read2, 10, DATA + 4096, 1024, PVSCSI_FLAG_CMD_DIR_TOHOST);
    assert_int_equal(le16_get(go(&d).host_status), BTSTAT_SUCCESS);
    assert_memory_equal(ram(DATA, 1024), ram(DATA + 4096, 1024), 1024);
}

static void a_chained_scatter_list_is_followed(void **state)
{
    struct pvscsi_sg_element *e = ram(LIST, 4096);
    struct pvscsi_req_desc d;

    (void)state;
    settle();
    memset(disk->data + 8 * 512, 0x21, 1024);
    e[0] = (struct pvscsi_sg_element){le64_of(DATA), le32_of(512), le32_of(0)};
    e[1] = (struct pvscsi_sg_element){le64_of(LIST + 2048), le32_of(0),
                                      le32_of(PVSCSI_SGE_FLAG_CHAIN_ELEMENT)};
    e[128] = (struct pvscsi_sg_element){le64_of(DATA + 8192), le32_of(512), le32_of(0)};
    d = request(read2, 10, LIST, 1024, PVSCSI_FLAG_CMD_DIR_TOHOST | PVSCSI_FLAG_CMD_WITH_SG_LIST);
    assert_int_equal(le64_get(go(&d).data_len), 1024);
    assert_int_equal(((uint8_t *)ram(DATA + 8192, 512))[511], 0x21);
    e[128].flags = le32_of(PVSCSI_SGE_FLAG_CHAIN_ELEMENT); /* a loop */
    e[128].addr = le64_of(LIST + 2048);
    assert_int_equal(le16_get(go(&d).host_status), BTSTAT_INVPARAM);
}

static void absent_targets_and_bad_requests_are_answered(void **state)
{
    struct pvscsi_req_desc d = request(tur, 6, 0, 0, PVSCSI_FLAG_CMD_DIR_NONE);

    (void)state;
    d.target = 5;
    assert_int_equal(le16_get(go(&d).host_status), BTSTAT_SELTIMEO);
    d.target = 200;
    assert_int_equal(le16_get(go(&d).host_status), BTSTAT_SELTIMEO);
    d.target = 0;
    d.cdb_len = 17;
    assert_int_equal(le16_get(go(&d).host_status), BTSTAT_INVPARAM);
    d = request(read2, 10, UINT64_MAX - 100, 1024, PVSCSI_FLAG_CMD_DIR_TOHOST);
    assert_int_equal(le16_get(go(&d).host_status), BTSTAT_INVPARAM);
}

static void slow_disks_finish_on_the_loop(void **state)
{
    struct pvscsi_req_desc d;

    (void)state;
    settle();
    disk->slow = true;
    d = request(read2, 10, DATA, 1024, PVSCSI_FLAG_CMD_DIR_TOHOST);
    for (int i = 0; i < 32; i++)
        queue(&d);
    put(PVSCSI_REG_OFFSET_KICK_RW_IO, 0);
    for (int i = 0; i < 32; i++)
        assert_int_equal(le16_get(reap().host_status), BTSTAT_SUCCESS);
}

static void bad_indices_stop_the_rings_until_a_reset(void **state)
{
    struct pvscsi_req_desc d = request(tur, 6, 0, 0, PVSCSI_FLAG_CMD_DIR_NONE);

    (void)state;
    shared_store32(&state_page()->req_prod_idx, 1000);
    put(PVSCSI_REG_OFFSET_KICK_RW_IO, 0);
    fake_env_run(&f);
    assert_int_equal(le32_get(state_page()->cmp_prod_idx), 0);
    rings();
    shared_store32(&state_page()->req_prod_idx, 0);
    shared_store32(&state_page()->cmp_cons_idx, 0);
    assert_int_equal(le16_get(go(&d).host_status), BTSTAT_SUCCESS);
}

static void rings_outside_memory_are_refused(void **state)
{
    struct pvscsi_setup_rings s = {.req_pages = le32_of(1), .cmp_pages = le32_of(1)};
    static const uint32_t bad[] = {0, 3, 33, UINT32_MAX};

    (void)state;
    assert_int_equal(command(PVSCSI_CMD_ADAPTER_RESET, NULL, 0), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        s.req_pages = le32_of(bad[i]);
        assert_int_equal(command(PVSCSI_CMD_SETUP_RINGS, &s, sizeof(s)), UINT32_MAX);
    }
    s.req_pages = le32_of(1);
    s.state_ppn = le64_of(1 << 30);
    assert_int_equal(command(PVSCSI_CMD_SETUP_RINGS, &s, sizeof(s)), UINT32_MAX);
    put(PVSCSI_REG_OFFSET_KICK_RW_IO, 0);
}

static void plug_and_unplug_send_messages(void **state)
{
    struct pvscsi_setup_msg_ring m = {.pages = le32_of(1), .ppn = {le64_of(MSGS >> 12)}};
    struct mem_disk *more = mem_disk_create(f.env.loop, MiB);
    struct scsi_lun_cfg c = {.disk = &more->disk, .id = "disk1"};
    const struct pvscsi_msg_dev_status *msg = ram(MSGS, 4096);
    struct err e;

    (void)state;
    assert_int_equal(command(PVSCSI_CMD_SETUP_MSG_RING, &m, sizeof(m)), 34);
    assert_int_equal(units_attach(pvscsi_units(dut), 7, &c, &e), 0);
    assert_int_equal(le32_get(state_page()->msg_prod_idx), 1);
    assert_int_equal(le32_get(msg[0].type), PVSCSI_MSG_DEV_ADDED);
    assert_int_equal(le32_get(msg[0].target), 7);
    assert_true(units_grew(pvscsi_units(dut), &more->disk));
    assert_false(units_grew(pvscsi_units(dut), NULL));
    assert_int_equal(units_detach(pvscsi_units(dut), 7, &e), 0);
    assert_int_equal(le32_get(msg[1].type), PVSCSI_MSG_DEV_REMOVED);
    assert_true(get(PVSCSI_REG_OFFSET_INTR_STATUS) & PVSCSI_INTR_MSG_0);
}

static void every_register_takes_anything(void **state)
{
    uint32_t x = 7;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        x = x * 1664525 + 1013904223;
        if (x >> 31)
            put((x >> 4 & 0x7fff) & ~3u, x);
        else if (x >> 30 & 1)
            put((x >> 8 & 7) * 4, x >> 20 & 15);
        else
            get((x >> 4 & 0x7fff) & ~3u);
    }
    fake_env_run(&f);
}

/* Operations over those of the disk, which are plain_ops. */
static const struct disk_ops *plain_ops;

static struct disk_ops *over_disk(void)
{
    static struct disk_ops ops;

    plain_ops = disk->disk.ops;
    ops = *plain_ops;
    disk->disk.ops = &ops;
    return &ops;
}

static unsigned refills;

/* Another processor adds a request while one is served, and reads what was answered. */
static int try_and_refill(struct disk *d, struct disk_req *r)
{
    if (refills) {
        refills--;
        shared_store32(&state_page()->cmp_cons_idx, le32_get(state_page()->cmp_prod_idx));
        shared_store32(&state_page()->req_prod_idx, ++prod);
    }
    return plain_ops->try(d, r);
}

static void a_ring_that_is_never_empty_holds_nobody(void **state)
{
    struct pvscsi_req_desc d;
    uint64_t served;

    (void)state;
    settle();
    over_disk()->try = try_and_refill;
    refills = 100;
    d = request(read2, 10, DATA, 1024, PVSCSI_FLAG_CMD_DIR_TOHOST);
    served = dut->served_inline;
    for (int i = 0; i < 32; i++)
        queue(&d);
    put(PVSCSI_REG_OFFSET_KICK_RW_IO, 0);
    assert_int_equal(dut->served_inline - served, 32); /* the vCPU's turn */
    loop_step(f.env.loop, 0);
    assert_int_equal(dut->served_inline - served, 64); /* the loop's, between others */
    fake_env_run(&f);
    assert_int_equal(dut->served_inline - served, 132);
    disk->disk.ops = plain_ops;
}

static uint32_t answers;

static void close_and_count(struct disk *d)
{
    answers = le32_get(state_page()->cmp_prod_idx);
    plain_ops->close(d);
}

/* What the loop has begun or is to begin names targets, which go with the adapter. */
static void an_adapter_ends_after_its_requests(void **state)
{
    static const uint8_t inquiry[6] = {INQUIRY, 0, 0, 0, 36};
    struct pvscsi_req_desc d;
    uint32_t before;

    (void)state;
    settle();
    over_disk()->close = close_and_count;
    before = le32_get(state_page()->cmp_prod_idx);
    d = request(inquiry, 6, DATA, 36, PVSCSI_FLAG_CMD_DIR_TOHOST);
    for (unsigned i = 0; i < 3; i++) {
        queue(&d);
        put(PVSCSI_REG_OFFSET_KICK_NON_RW_IO, 0);
        if (i == 1) /* the second is answered, and told of in the next round */
            assert_true(loop_step(f.env.loop, 0) >= 0);
    }
    answers = 0;
    fake_env_destroy(&f);
    fake_env_create(&f, 4096); /* for the teardown */
    assert_int_equal(answers - before, 3);
}

/* --- the request call threshold --- */

static uint32_t threshold(void)
{
    return le32_get(state_page()->req_call_threshold);
}

/* n requests, 5 us apart, of which the guest tells as the threshold has it. */
static void burst(unsigned n)
{
    static const uint8_t read6[6] = {READ_6, 0, 0, 0, 1};
    struct pvscsi_req_desc d;

    for (unsigned i = 0; i < n; i++) {
        loop_advance(f.env.loop, 5000);
        d = request(read6, 6, DATA, 512, PVSCSI_FLAG_CMD_DIR_TOHOST);
        queue(&d);
        if (prod - le32_get(state_page()->req_cons_idx) >= threshold())
            put(PVSCSI_REG_OFFSET_KICK_RW_IO, 0);
    }
}

static void answered(unsigned n)
{
    assert_int_equal(le32_get(state_page()->cmp_prod_idx), cons + n);
    cons += n;
    shared_store32(&state_page()->cmp_cons_idx, cons);
}

/* What the timer does, which nobody waits for here. */
static void time_passes(void)
{
    loop_advance(f.env.loop, 50000);
    dut->look.ready(&dut->look, EPOLLIN);
}

static void ready(void)
{
    struct pvscsi_req_desc d = request(tur, 6, 0, 0, PVSCSI_FLAG_CMD_DIR_NONE);

    go(&d); /* takes the unit attention; then reads are answered at once */
}

static void gather(void)
{
    uint32_t on = 1;

    ready();
    put(PVSCSI_REG_OFFSET_COMMAND, PVSCSI_CMD_SETUP_REQCALLTHRESHOLD);
    assert_int_equal(get(PVSCSI_REG_OFFSET_COMMAND_STATUS), 1);
    assert_int_equal(command(PVSCSI_CMD_SETUP_REQCALLTHRESHOLD, &on, sizeof(on)), 1);
    assert_int_equal(threshold(), 1);
}

/* Bursts until 32 requests are one doorbell. */
static void deepen(void)
{
    gather();
    for (unsigned i = 0; i < 200 && (threshold() < 32 || i % 2); i++) {
        burst(32);
        for (unsigned k = 0; k < 8 && le32_get(state_page()->cmp_prod_idx) != cons + 32; k++)
            time_passes();
        answered(32);
    }
    assert_int_equal(threshold(), 32);
}

/* Lets time pass as the timer does; how often the ring was looked at. */
static unsigned passes(uint64_t ns)
{
    uint64_t until = loop_now(f.env.loop) + ns;
    unsigned looks = 0;

    for (; dut->batch.due && dut->batch.due <= until; looks++) {
        loop_advance(f.env.loop, dut->batch.due - loop_now(f.env.loop));
        dut->look.ready(&dut->look, EPOLLIN);
    }
    loop_advance(f.env.loop, until - loop_now(f.env.loop));
    return looks;
}

/* A burst of n, 5 us each to make and 5 us each to take back; how often it rang. */
static unsigned work(unsigned n, unsigned *looks)
{
    static const uint8_t read6[6] = {READ_6, 0, 0, 0, 1};
    struct pvscsi_req_desc d = request(read6, 6, DATA, 512, PVSCSI_FLAG_CMD_DIR_TOHOST);
    unsigned rings = 0;

    *looks = 0;
    for (unsigned i = 0; i < n; i++) {
        *looks += passes(5000);
        queue(&d);
        if (prod - le32_get(state_page()->req_cons_idx) < threshold())
            continue;
        put(PVSCSI_REG_OFFSET_KICK_RW_IO, 0);
        rings++;
    }
    while (le32_get(state_page()->cmp_prod_idx) != cons + n)
        *looks += passes(10000);
    answered(n);
    *looks += passes(5000 * n);
    return rings;
}

static void nobody_looks_while_the_guest_rings_in_time(void **state)
{
    unsigned looks;

    (void)state;
    gather();
    for (unsigned i = 0; i < 16; i++)
        (void)work(32, &looks);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(work(32, &looks), 1);
        assert_int_equal(looks, 0);
    }
}

/* The first request is served at once, and the others are one batch; what follows are whole ones.
 */
static void bursts_stay_whole_across_a_pause(void **state)
{
    unsigned looks;

    (void)state;
    gather();
    for (unsigned i = 0; i < 16; i++)
        (void)work(32, &looks);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(passes(20000000), 2);
        assert_int_equal(work(32, &looks), 2);
        assert_int_equal(looks, 0);
        assert_int_equal(work(32, &looks), 1);
        assert_int_equal(looks, 0);
    }
}

static void a_guest_that_slows_down_soon_waits_no_more(void **state)
{
    static const uint8_t read6[6] = {READ_6, 0, 0, 0, 1};
    struct pvscsi_req_desc d = request(read6, 6, DATA, 512, PVSCSI_FLAG_CMD_DIR_TOHOST);
    unsigned looks, waits = 0;

    (void)state;
    gather();
    for (unsigned i = 0; i < 16; i++)
        (void)work(32, &looks);
    for (unsigned i = 0; i < 500; i++) {
        (void)passes(40000);
        queue(&d);
        if (prod - le32_get(state_page()->req_cons_idx) >= threshold())
            put(PVSCSI_REG_OFFSET_KICK_RW_IO, 0);
        waits += le32_get(state_page()->cmp_prod_idx) != prod;
        cons = le32_get(state_page()->cmp_prod_idx);
        shared_store32(&state_page()->cmp_cons_idx, cons);
    }
    assert_in_range(waits, 1, 64);
    assert_int_equal(threshold(), 1);
}

static void many_requests_ring_once(void **state)
{
    (void)state;
    deepen();
    (void)fake_irqs_take(&f.irqs, 0x40);
    burst(32);
    answered(32);
    assert_int_equal(fake_irqs_take(&f.irqs, 0x40), 1);
    /* Fewer come, and are found. */
    burst(20);
    answered(0);
    time_passes(); /* the guest may be about to ring */
    answered(0);
    time_passes();
    answered(20);
    assert_int_equal(threshold(), 20);
    burst(20);
    answered(20);
    /* A pause: whoever comes next is not kept waiting; then it is as before. */
    time_passes();
    assert_int_equal(threshold(), 1);
    burst(1);
    answered(1);
    assert_int_equal(threshold(), 19);
    burst(19);
    answered(19);
    assert_int_equal(threshold(), 20);
}

/* A driver may have read the threshold before it was lowered. */
static void a_doorbell_that_does_not_come_is_done_without(void **state)
{
    static const uint8_t read6[6] = {READ_6, 0, 0, 0, 1};
    struct pvscsi_req_desc d;

    (void)state;
    gather();
    for (unsigned i = 0; i < 29; i++) {
        burst(1);
        answered(1);
    }
    assert_int_equal(threshold(), 2);
    for (unsigned i = 0; i < 3; i++) {
        d = request(read6, 6, DATA, 512, PVSCSI_FLAG_CMD_DIR_TOHOST);
        queue(&d);
    }
    for (unsigned i = 0; i < 8; i++)
        time_passes();
    answered(3);
}

static void requests_that_come_slowly_do_not_wait(void **state)
{
    unsigned waits = 0;

    (void)state;
    gather();
    for (unsigned i = 0; i < 1000; i++) {
        loop_advance(f.env.loop, 40000);
        burst(1);
        waits += le32_get(state_page()->cmp_prod_idx) == cons;
        cons = le32_get(state_page()->cmp_prod_idx);
        shared_store32(&state_page()->cmp_cons_idx, cons);
    }
    assert_in_range(waits, 0, 8);
}

static void lone_requests_wait_ever_less_often(void **state)
{
    unsigned waits = 0;

    (void)state;
    gather();
    for (unsigned i = 0; i < 20000; i++) {
        burst(1);
        if (le32_get(state_page()->cmp_prod_idx) == cons) {
            waits++;
            time_passes();
            assert_int_equal(threshold(), 1);
            time_passes(); /* the second look finds nothing to change */
        }
        answered(1);
    }
    assert_in_range(waits, 20000 / 1021, 20000 / 1021 + 8);
}

static void a_reset_ends_gathering(void **state)
{
    uint32_t off = 0;

    (void)state;
    gather();
    for (unsigned i = 0; i < 29; i++) {
        burst(1);
        answered(1);
    }
    assert_int_equal(threshold(), 2);
    rings();
    assert_int_equal(threshold(), 0);
    time_passes();
    ready();
    burst(100);
    answered(100);
    assert_int_equal(threshold(), 0);
    gather();
    assert_int_equal(command(PVSCSI_CMD_SETUP_REQCALLTHRESHOLD, &off, sizeof(off)), 1);
    assert_int_equal(threshold(), 0);
    assert_int_equal(command(PVSCSI_CMD_ADAPTER_RESET, NULL, 0), 0);
    assert_int_equal(command(PVSCSI_CMD_SETUP_REQCALLTHRESHOLD, &off, sizeof(off)), UINT32_MAX);
    rings();
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(commands_are_probed_as_drivers_do),
        T(data_goes_both_ways_and_interrupts),
        T(a_chained_scatter_list_is_followed),
        T(absent_targets_and_bad_requests_are_answered),
        T(slow_disks_finish_on_the_loop),
        T(bad_indices_stop_the_rings_until_a_reset),
        T(rings_outside_memory_are_refused),
        T(a_ring_that_is_never_empty_holds_nobody),
        T(an_adapter_ends_after_its_requests),
        T(plug_and_unplug_send_messages),
        T(requests_that_come_slowly_do_not_wait),
        T(many_requests_ring_once),
        T(lone_requests_wait_ever_less_often),
        T(a_reset_ends_gathering),
        T(nobody_looks_while_the_guest_rings_in_time),
        T(bursts_stay_whole_across_a_pause),
        T(a_guest_that_slows_down_soon_waits_no_more),
        T(every_register_takes_anything),
        T(a_doorbell_that_does_not_come_is_done_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
