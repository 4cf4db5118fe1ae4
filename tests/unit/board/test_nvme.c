/* SPDX-License-Identifier: Apache-2.0 */
/* test_nvme.c - a guest's NVMe driver: enabling, queues, commands, PRP lists, events, resets. */
#include "unit.h"

#include <errno.h>

#include "abi/nvme.h"
#include "board/nvme/nvme.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_mem_disk.h"
#include "fakes/fake_pci.h"

enum { DEVFN = 1 << 3, GSI_SLOT = 1, BLOCKS = 4096, ASQ = 0x10000, ACQ = 0x11000 };
enum { DATA = 0x40000, LIST = 0x20000, VECTOR = 0x50, ENTRIES = 8 };
enum { QUEUES = 3 }; /* pairs, the admin queues among them */

static struct fake_env f;
static struct nvme *nvme;
static struct mem_disk *disk;
static uint64_t bar[6];
static unsigned closed, tail[QUEUES], head[QUEUES];
static bool phase[QUEUES];

static uint32_t rd(unsigned reg)
{
    return (uint32_t)fake_env_read(&f, bar[0] + reg, 4);
}

static void wr(unsigned reg, uint32_t v)
{
    fake_env_write(&f, bar[0] + reg, 4, v);
}

static uint8_t *ram(gpa_t at, size_t n)
{
    uint8_t *p = gmem_shared(f.env.mem, at, n);

    assert_non_null(p);
    return p;
}

static gpa_t sq_at(unsigned q)
{
    return ASQ + q * 0x2000u;
}

static gpa_t cq_at(unsigned q)
{
    return ACQ + q * 0x2000u;
}

static void enable(void)
{
    for (unsigned q = 0; q < QUEUES; q++)
        memset(ram(cq_at(q), 4096), 0, 4096);
    wr(NVME_AQA, (ENTRIES - 1) | (ENTRIES - 1) << 16);
    wr(NVME_ASQ, ASQ);
    wr(NVME_ACQ, ACQ);
    wr(NVME_CC, NVME_CC_EN | 6 << NVME_CC_IOSQES | 4 << NVME_CC_IOCQES);
    assert_int_equal(rd(NVME_CSTS), NVME_CSTS_RDY);
    for (unsigned q = 0; q < QUEUES; q++) {
        tail[q] = head[q] = 0;
        phase[q] = true;
    }
}

static int setup(void **state)
{
    struct nvme_cfg c = {.id = "disk0"};
    struct err e;

    (void)state;
    closed = 0;
    nvme = NULL;
    fake_env_create(&f, 2 * MiB);
    disk = mem_disk_create(f.env.loop, BLOCKS * 512);
    disk->closed = &closed;
    for (unsigned i = 0; i < BLOCKS * 512; i++)
        disk->data[i] = (uint8_t)(i >> 9 ^ i);
    c.disk = &disk->disk;
    assert_int_equal(nvme_add(&f.env, &nvme, &c, &e), 0);
    fake_pci_map(&f, DEVFN, bar);
    enable();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_destroy(&f);
    assert_int_equal(closed, 1);
    return 0;
}

static void put(unsigned q, const struct nvme_sqe *c)
{
    memcpy(ram(sq_at(q) + tail[q] * 64u, 64), c, 64);
    tail[q] = (tail[q] + 1) % ENTRIES;
}

static void ring(unsigned q)
{
    wr(NVME_DOORBELLS + 8 * q, tail[q]);
}

static bool got(unsigned q)
{
    const uint8_t *p = ram(cq_at(q) + head[q] * 16u, 16);

    return (le16_at(p + 14) & 1) == phase[q];
}

/* Takes an entry: its status, and its result and id if wanted. */
static unsigned reap(unsigned q, uint32_t *result, unsigned *cid)
{
    const uint8_t *p = ram(cq_at(q) + head[q] * 16u, 16);

    assert_true(got(q));
    if (result)
        *result = le32_at(p);
    if (cid)
        *cid = le16_at(p + 12);
    head[q] = (head[q] + 1) % ENTRIES;
    phase[q] = head[q] ? phase[q] : !phase[q];
    wr(NVME_DOORBELLS + 8 * q + 4, head[q]);
    return le16_at(p + 14) >> 1;
}

static unsigned run(unsigned q, struct nvme_sqe c, uint32_t *result)
{
    c.cid = le16_of(77);
    put(q, &c);
    ring(q);
    fake_env_run(&f);
    return reap(q, result, NULL);
}

static struct nvme_sqe admin(uint8_t op, uint32_t nsid, uint32_t cdw10, uint32_t cdw11)
{
    return (struct nvme_sqe){.opcode = op,
                             .nsid = le32_of(nsid),
                             .prp1 = le64_of(DATA),
                             .cdw10 = le32_of(cdw10),
                             .cdw11 = le32_of(cdw11)};
}

static struct nvme_sqe rw(uint8_t op, uint64_t lba, unsigned blocks, gpa_t prp1, gpa_t prp2)
{
    return (struct nvme_sqe){.opcode = op,
                             .nsid = le32_of(1),
                             .prp1 = le64_of(prp1),
                             .prp2 = le64_of(prp2),
                             .cdw10 = le32_of((uint32_t)lba),
                             .cdw11 = le32_of((uint32_t)(lba >> 32)),
                             .cdw12 = le32_of(blocks - 1)};
}

static void pair(unsigned q, unsigned vector)
{
    struct nvme_sqe cq = admin(NVME_CREATE_IO_CQ, 0, q | (ENTRIES - 1) << 16, 3 | vector << 16);
    struct nvme_sqe sq = admin(NVME_CREATE_IO_SQ, 0, q | (ENTRIES - 1) << 16, 1 | q << 16);

    cq.prp1 = le64_of(cq_at(q));
    sq.prp1 = le64_of(sq_at(q));
    assert_int_equal(run(0, cq, NULL), NVME_SUCCESS);
    assert_int_equal(run(0, sq, NULL), NVME_SUCCESS);
}

static void queues(unsigned vector)
{
    pair(1, vector);
}

static void identity(void **state)
{
    const uint8_t *p = ram(DATA, 4096);

    (void)state;
    assert_int_equal(rd(NVME_CAP) & 0xffff, 1023);
    assert_int_equal(rd(NVME_VS), 0x10400);
    assert_int_equal(run(0, admin(NVME_IDENTIFY, 0, NVME_CNS_CONTROLLER, 0), NULL), NVME_SUCCESS);
    assert_memory_equal(p + 4, "hospes-disk0        ", 20);
    assert_int_equal(p[77], 8);
    assert_int_equal(run(0, admin(NVME_IDENTIFY, 1, NVME_CNS_NAMESPACE, 0), NULL), NVME_SUCCESS);
    assert_int_equal(le64_at(p), BLOCKS);
    assert_int_equal(le32_at(p + 128), 9 << 16);
    assert_int_equal(run(0, admin(NVME_IDENTIFY, 2, NVME_CNS_NAMESPACE, 0), NULL), NVME_SUCCESS);
    assert_int_equal(le64_at(p), 0);
    assert_int_equal(run(0, admin(NVME_IDENTIFY, 99, NVME_CNS_NAMESPACE, 0), NULL),
                     NVME_INVALID_NAMESPACE | NVME_DNR);
    assert_int_equal(run(0, admin(NVME_IDENTIFY, 0, NVME_CNS_ACTIVE, 0), NULL), NVME_SUCCESS);
    assert_int_equal(le64_at(p), 1);
    assert_int_equal(run(0, admin(NVME_IDENTIFY, 1, NVME_CNS_DESCRIPTORS, 0), NULL), NVME_SUCCESS);
    assert_int_equal(le16_at(p), 0x1003);
    assert_int_equal(run(0, admin(NVME_IDENTIFY, 1, 0x55, 0), NULL), NVME_INVALID_FIELD | NVME_DNR);
}

static void blocks_are_read_and_written(void **state)
{
    struct nvme_sqe c = rw(NVME_WRITE, 64, 16, DATA + 512, DATA + 0x8000);

    (void)state;
    queues(0);
    assert_int_equal(run(1, rw(NVME_READ, 100, 8, DATA, 0), NULL), NVME_SUCCESS);
    assert_memory_equal(ram(DATA, 4096), disk->data + 100 * 512, 4096);
    assert_true(fake_irqs_rises(&f.irqs, pci_gsi(GSI_SLOT, 0)) > 0);
    assert_false(fake_irqs_line(&f.irqs, pci_gsi(GSI_SLOT, 0)));
    memset(ram(DATA + 512, 3584), 0x3c, 3584);
    memset(ram(DATA + 0x8000, 4096), 0x3d, 4096);
    c.cdw12 = le32_of(14 | NVME_RW_FUA); /* 15 blocks: 3584 bytes and 4096 */
    assert_int_equal(run(1, c, NULL), NVME_SUCCESS);
    assert_int_equal(disk->data[64 * 512], 0x3c);
    assert_int_equal(disk->data[71 * 512], 0x3d);
    assert_int_equal(disk->data[79 * 512 - 1], 0x3d);
    assert_true(disk->fua_seen);
    assert_int_equal(run(1, rw(NVME_READ, BLOCKS - 1, 2, DATA, 0), NULL),
                     NVME_LBA_OUT_OF_RANGE | NVME_DNR);
    assert_int_equal(run(1, rw(NVME_READ, UINT64_MAX, 2, DATA, 0), NULL),
                     NVME_LBA_OUT_OF_RANGE | NVME_DNR);
    assert_int_equal(run(1, rw(0x7f, 0, 1, DATA, 0), NULL), NVME_INVALID_OPCODE | NVME_DNR);
    c.nsid = le32_of(2);
    assert_int_equal(run(1, c, NULL), NVME_INVALID_NAMESPACE | NVME_DNR);
    disk->fail = -EIO;
    assert_int_equal(run(1, rw(NVME_READ, 0, 1, DATA, 0), NULL), NVME_UNRECOVERED_READ);
    assert_int_equal(run(1, rw(NVME_WRITE, 0, 1, DATA, 0), NULL), NVME_WRITE_FAULT);
}

/* n pages from the last on, a list that goes on in a second one. */
static void lists(unsigned n, unsigned first)
{
    unsigned at = 0;
    gpa_t page = LIST + 4096 - 8 * first;

    for (unsigned i = 0; i < n; i++) {
        if (i == first - 1 && n > first) {
            le64_put(ram(page + 8 * at, 8), LIST + 4096);
            page = LIST + 4096;
            at = 0;
        }
        le64_put(ram(page + 8 * at++, 8), DATA + (i + 1) * 4096u);
    }
}

static void lists_lead_to_lists(void **state)
{
    (void)state;
    queues(0);
    lists(31, 4);
    assert_int_equal(run(1, rw(NVME_READ, 8, 256, DATA, LIST + 4096 - 32), NULL), NVME_SUCCESS);
    assert_memory_equal(ram(DATA, 131072), disk->data + 8 * 512, 131072);
    lists(3, 8);
    assert_int_equal(run(1, rw(NVME_READ, 9, 30, DATA + 512, LIST + 4096 - 64), NULL),
                     NVME_SUCCESS);
    assert_memory_equal(ram(DATA + 512, 15360), disk->data + 9 * 512, 15360);
}

static void lists_that_lie_are_errors(void **state)
{
    (void)state;
    queues(0);
    assert_int_equal(run(1, rw(NVME_READ, 0, 8, DATA + 2, 0), NULL),
                     NVME_INVALID_PRP_OFFSET | NVME_DNR);
    assert_int_equal(run(1, rw(NVME_READ, 0, 16, DATA, DATA + 4), NULL),
                     NVME_INVALID_PRP_OFFSET | NVME_DNR);
    assert_int_equal(run(1, rw(NVME_READ, 0, 8, UINT64_C(1) << 40, 0), NULL),
                     NVME_DATA_TRANSFER_ERROR | NVME_DNR);
    assert_int_equal(run(1, rw(NVME_READ, 0, 32, DATA, UINT64_C(1) << 40), NULL),
                     NVME_DATA_TRANSFER_ERROR | NVME_DNR);
    le64_put(ram(LIST, 8), DATA + 8);
    assert_int_equal(run(1, rw(NVME_READ, 0, 32, DATA, LIST), NULL),
                     NVME_INVALID_PRP_OFFSET | NVME_DNR);
    assert_int_equal(run(1, rw(NVME_READ, 0, 3000, DATA, LIST), NULL),
                     NVME_INVALID_FIELD | NVME_DNR); /* too long */
}

static void flush_zero_and_trim(void **state)
{
    struct nvme_sqe c = rw(NVME_DSM, 0, 1, DATA, 0);

    (void)state;
    queues(0);
    assert_int_equal(run(1, rw(NVME_FLUSH, 0, 1, 0, 0), NULL), NVME_SUCCESS);
    assert_int_equal(disk->flushes, 1);
    assert_int_equal(run(1, rw(NVME_WRITE_ZEROES, 10, 20, 0, 0), NULL), NVME_SUCCESS);
    for (unsigned i = 10 * 512; i < 30 * 512; i++)
        assert_int_equal(disk->data[i], 0);
    for (unsigned i = 0; i < 3; i++) {
        le32_put(ram(DATA + 16 * i + 4, 4), i == 1 ? 0 : 8);
        le64_put(ram(DATA + 16 * i + 8, 8), 100 * i);
    }
    c.cdw10 = le32_of(2);
    c.cdw11 = le32_of(NVME_DSM_DEALLOCATE);
    assert_int_equal(run(1, c, NULL), NVME_SUCCESS);
    assert_int_equal(disk->trims, 2);
    le64_put(ram(DATA + 40, 8), BLOCKS);
    assert_int_equal(run(1, c, NULL), NVME_LBA_OUT_OF_RANGE | NVME_DNR);
    disk->disk.shape.readonly = true;
    assert_int_equal(run(1, rw(NVME_WRITE, 0, 1, DATA, 0), NULL), NVME_WRITE_PROTECTED | NVME_DNR);
}

static void vectors_and_a_full_completion_queue(void **state)
{
    struct nvme_sqe read = rw(NVME_READ, 1, 1, DATA, 0);

    (void)state;
    assert_int_equal(fake_pci_msix(&f, DEVFN, bar, VECTOR), 33);
    queues(5);
    fake_irqs_take(&f.irqs, VECTOR + 5);
    for (unsigned i = 0; i < ENTRIES - 1; i++)
        put(1, &read);
    ring(1);
    fake_env_run(&f);
    assert_int_equal(fake_irqs_take(&f.irqs, VECTOR + 5), 1); /* all in one go */
    put(1, &read);
    ring(1);
    fake_env_run(&f);
    for (unsigned i = 0; i < ENTRIES; i++)
        assert_int_equal(reap(1, NULL, NULL), NVME_SUCCESS); /* the last had no room at first */
    assert_false(got(1));
    assert_false(fake_irqs_line(&f.irqs, pci_gsi(GSI_SLOT, 0)));
}

/* A processor that takes no completions is no reason for the others to wait. */
static void a_full_completion_queue_holds_its_own_alone(void **state)
{
    struct nvme_sqe read = rw(NVME_READ, 1, 1, DATA, 0);

    (void)state;
    pair(1, 0);
    pair(2, 0);
    for (unsigned i = 0; i < ENTRIES - 1; i++)
        put(1, &read);
    ring(1);
    fake_env_run(&f);
    put(1, &read);
    ring(1);
    fake_env_run(&f);
    for (unsigned i = 0; i < 3 * ENTRIES; i++)
        assert_int_equal(run(2, read, NULL), NVME_SUCCESS);
    assert_int_equal(run(0, admin(NVME_GET_FEATURES, 0, NVME_FEAT_QUEUES, 0), NULL), NVME_SUCCESS);
    for (unsigned i = 0; i < ENTRIES; i++)
        assert_int_equal(reap(1, NULL, NULL), NVME_SUCCESS);
    assert_false(got(1));
}

/* Nor is one that puts more commands than it has completions, to a disk that is slow. */
static void commands_wait_for_room_to_be_answered(void **state)
{
    struct nvme_sqe read = rw(NVME_READ, 1, 1, DATA, 0);

    (void)state;
    queues(0);
    for (unsigned i = 0; i < 3; i++)
        put(1, &read);
    ring(1);
    fake_env_run(&f); /* three entries are not taken */
    disk->slow = disk->hold = true;
    for (unsigned i = 0; i < ENTRIES - 1; i++)
        put(1, &read);
    ring(1);
    fake_env_run(&f);
    disk->hold = false;
    assert_int_equal(mem_disk_release(disk), ENTRIES - 1 - 3);
    fake_env_run(&f);
    for (unsigned i = 0; i < ENTRIES - 1 + 3; i++) {
        assert_int_equal(reap(1, NULL, NULL), NVME_SUCCESS);
        fake_env_run(&f);
    }
    assert_false(got(1));
}

static void entries_that_are_not_there_cannot_be_taken(void **state)
{
    struct nvme_sqe aer = admin(NVME_ASYNC_EVENT_REQUEST, 0, 0, 0);
    uint32_t v = 0;

    (void)state;
    queues(0);
    put(0, &aer);
    ring(0);
    wr(NVME_DOORBELLS + 8 + 4, 3);
    assert_int_equal(reap(0, &v, NULL), NVME_SUCCESS);
    assert_int_equal(v, 0 | 1 << 8 | NVME_LOG_ERROR << 16); /* a value that the doorbell has not */
    assert_int_equal(run(1, rw(NVME_READ, 1, 1, DATA, 0), NULL), NVME_SUCCESS);
}

static void queues_are_checked(void **state)
{
    struct nvme_sqe c = admin(NVME_CREATE_IO_CQ, 0, 1 | 7 << 16, 3);

    (void)state;
    assert_int_equal(run(0, admin(NVME_CREATE_IO_SQ, 0, 1 | 7 << 16, 1 | 1 << 16), NULL),
                     NVME_INVALID_CQ | NVME_DNR);
    assert_int_equal(run(0, admin(NVME_CREATE_IO_CQ, 0, 0 | 7 << 16, 3), NULL),
                     NVME_INVALID_QUEUE_ID | NVME_DNR);
    assert_int_equal(run(0, admin(NVME_CREATE_IO_CQ, 0, 33 | 7 << 16, 3), NULL),
                     NVME_INVALID_QUEUE_ID | NVME_DNR);
    assert_int_equal(run(0, admin(NVME_CREATE_IO_CQ, 0, 1, 3), NULL),
                     NVME_INVALID_QUEUE_SIZE | NVME_DNR);
    assert_int_equal(run(0, admin(NVME_CREATE_IO_CQ, 0, 1 | 7 << 16, 3 | 40 << 16), NULL),
                     NVME_INVALID_VECTOR | NVME_DNR);
    c.prp1 = le64_of(UINT64_C(1) << 51);
    assert_int_equal(run(0, c, NULL), NVME_INVALID_FIELD | NVME_DNR);
    queues(0);
    assert_int_equal(run(0, admin(NVME_DELETE_IO_CQ, 0, 1, 0), NULL),
                     NVME_INVALID_QUEUE_DELETION | NVME_DNR);
    assert_int_equal(run(0, admin(NVME_DELETE_IO_SQ, 0, 1, 0), NULL), NVME_SUCCESS);
    assert_int_equal(run(0, admin(NVME_DELETE_IO_CQ, 0, 1, 0), NULL), NVME_SUCCESS);
    assert_int_equal(run(0, admin(NVME_DELETE_IO_SQ, 0, 1, 0), NULL),
                     NVME_INVALID_QUEUE_ID | NVME_DNR);
}

/* A queue with a read that the disk holds back. */
static void hold_a_read(void)
{
    struct nvme_sqe read = rw(NVME_READ, 1, 1, DATA, 0);

    queues(0);
    disk->hold = true;
    put(1, &read);
    ring(1);
    fake_env_run(&f);
    assert_non_null(disk->held);
}

static void a_queue_goes_after_its_commands(void **state)
{
    struct nvme_sqe gone = admin(NVME_DELETE_IO_SQ, 0, 1, 0);

    (void)state;
    hold_a_read();
    put(0, &gone);
    ring(0);
    fake_env_run(&f);
    assert_false(got(0));
    disk->hold = false;
    assert_int_equal(mem_disk_release(disk), 1);
    fake_env_run(&f);
    assert_int_equal(reap(1, NULL, NULL), NVME_SUCCESS);
    assert_int_equal(reap(0, NULL, NULL), NVME_SUCCESS);
}

static void features(void **state)
{
    uint32_t v = 0;

    (void)state;
    assert_int_equal(run(0, admin(NVME_SET_FEATURES, 0, NVME_FEAT_QUEUES, 3 | 3 << 16), &v),
                     NVME_SUCCESS);
    assert_int_equal(v, 31 | 31 << 16);
    assert_int_equal(run(0, admin(NVME_SET_FEATURES, 0, NVME_FEAT_WRITE_CACHE, 0), NULL),
                     NVME_SUCCESS);
    assert_int_equal(run(0, admin(NVME_GET_FEATURES, 0, NVME_FEAT_WRITE_CACHE, 0), &v),
                     NVME_SUCCESS);
    assert_int_equal(v, 0);
    queues(0);
    assert_int_equal(run(1, rw(NVME_WRITE, 0, 1, DATA, 0), NULL), NVME_SUCCESS);
    assert_true(disk->fua_seen);
    assert_int_equal(run(0, admin(NVME_SET_FEATURES, 0, 0x80000006, 0), NULL),
                     NVME_NOT_SAVEABLE | NVME_DNR);
    assert_int_equal(run(0, admin(NVME_GET_FEATURES, 0, 0x99, 0), NULL),
                     NVME_INVALID_FIELD | NVME_DNR);
    assert_int_equal(run(0, admin(NVME_GET_LOG_PAGE, 0, NVME_LOG_SMART | 127 << 16, 0), NULL),
                     NVME_SUCCESS);
    assert_int_equal(le64_at(ram(DATA + 80, 8)), 1);
    assert_int_equal(run(0, admin(NVME_GET_LOG_PAGE, 0, 0x70 | 127 << 16, 0), NULL),
                     NVME_INVALID_LOG_PAGE | NVME_DNR);
}

static void events_wait_for_requests(void **state)
{
    struct nvme_sqe aer = admin(NVME_ASYNC_EVENT_REQUEST, 0, 0, 0);
    unsigned cid = 0;
    uint32_t v = 0;

    (void)state;
    aer.cid = le16_of(5);
    put(0, &aer);
    ring(0);
    assert_false(got(0));
    wr(NVME_DOORBELLS + 8 * 9, 1); /* a queue that is not there */
    assert_int_equal(reap(0, &v, &cid), NVME_SUCCESS);
    assert_int_equal(cid, 5);
    assert_int_equal(v, NVME_LOG_ERROR << 16);
    put(0, &aer);
    ring(0);
    wr(NVME_DOORBELLS + 8 * 9, 1);
    assert_false(got(0)); /* the log was not read */
    assert_int_equal(run(0, admin(NVME_GET_LOG_PAGE, 0, NVME_LOG_ERROR | 15 << 16, 0), NULL),
                     NVME_SUCCESS);
    wr(NVME_DOORBELLS, 8);
    assert_int_equal(reap(0, &v, &cid), NVME_SUCCESS);
    assert_int_equal(v, 1 << 8 | NVME_LOG_ERROR << 16);
}

static void a_namespace_that_grew_is_told_to_who_asked(void **state)
{
    struct nvme_sqe aer = admin(NVME_ASYNC_EVENT_REQUEST, 0, 0, 0);
    struct nvme_sqe log = admin(NVME_GET_LOG_PAGE, 0, NVME_LOG_CHANGED | 1023 << 16, 0);
    struct nvme_sqe id = admin(NVME_IDENTIFY, 1, NVME_CNS_NAMESPACE, 0);
    unsigned cid = 0;
    uint32_t v = 0;

    (void)state;
    disk->disk.shape.bytes /= 2; /* as before it grew */
    assert_false(nvme_grew(nvme, &disk->disk));
    assert_int_equal(run(0, admin(NVME_SET_FEATURES, 0, NVME_FEAT_EVENTS, 1 << 8), NULL),
                     NVME_SUCCESS);
    aer.cid = le16_of(7);
    put(0, &aer);
    ring(0);
    disk->disk.shape.bytes *= 2;
    assert_true(nvme_grew(nvme, &disk->disk));
    assert_int_equal(reap(0, &v, &cid), NVME_SUCCESS);
    assert_int_equal(cid, 7);
    assert_int_equal(v, 2 | NVME_LOG_CHANGED << 16);
    log.prp1 = le64_of(DATA);
    assert_int_equal(run(0, log, NULL), NVME_SUCCESS);
    assert_int_equal(le32_at(ram(DATA, 8)), 1);
    assert_int_equal(le32_at(ram(DATA, 8) + 4), 0);
    assert_int_equal(run(0, log, NULL), NVME_SUCCESS);
    assert_int_equal(le32_at(ram(DATA, 8)), 0); /* it was read */
    id.prp1 = le64_of(DATA);
    assert_int_equal(run(0, id, NULL), NVME_SUCCESS);
    assert_int_equal(le64_at(ram(DATA, 8)), disk->disk.shape.bytes / 512);
    assert_false(nvme_grew(NULL, &disk->disk));
}

static void a_reset_waits_for_what_is_in_flight(void **state)
{
    struct nvme_sqe read = rw(NVME_READ, 1, 1, DATA, 0);

    (void)state;
    hold_a_read();
    wr(NVME_CC, 0);
    assert_int_equal(rd(NVME_CSTS), NVME_CSTS_RDY);
    disk->hold = false;
    mem_disk_release(disk);
    fake_env_run(&f);
    assert_int_equal(rd(NVME_CSTS), 0);
    enable();
    queues(0);
    assert_int_equal(run(1, read, NULL), NVME_SUCCESS);
}

/* A request for events is there, and only the queue has no room: the event comes when it has. */
static void an_event_waits_for_room(void **state)
{
    struct nvme_sqe aer = admin(NVME_ASYNC_EVENT_REQUEST, 0, 0, 0),
                    any = admin(NVME_GET_FEATURES, 0, NVME_FEAT_QUEUES, 0);
    uint32_t v = 0;

    (void)state;
    put(0, &aer);
    ring(0);
    for (unsigned i = 0; i < ENTRIES - 1; i++) {
        put(0, &any);
        ring(0);
    }
    wr(NVME_DOORBELLS + 8 * 9, 1); /* a queue that is not there */
    for (unsigned i = 0; i < ENTRIES - 1; i++)
        assert_int_equal(reap(0, NULL, NULL), NVME_SUCCESS);
    assert_int_equal(reap(0, &v, NULL), NVME_SUCCESS);
    assert_int_equal(v, NVME_LOG_ERROR << 16);
}

/* The next kernel is loaded into that memory. */
static void after_a_reset_nothing_writes_memory(void **state)
{
    (void)state;
    hold_a_read();
    mem_disk_release_soon(disk);
    pci_bus_reset(f.env.pci);
    assert_null(disk->held);
    fake_pci_map(&f, DEVFN, bar);
    assert_int_equal(rd(NVME_CSTS), 0);
    enable();
}

static void a_shutdown_flushes(void **state)
{
    (void)state;
    disk->slow = true;
    wr(NVME_CC, rd(NVME_CC) | 1 << 14);
    assert_int_equal(rd(NVME_CSTS) & 0xc, NVME_CSTS_SHST_OCCURRING);
    fake_env_run(&f);
    assert_int_equal(rd(NVME_CSTS) & 0xc, NVME_CSTS_SHST_COMPLETE);
    assert_int_equal(disk->flushes, 1);
}

/* A driver in a hurry tells it to shut down and switches it off by one write. */
static void a_shutdown_with_the_end_ends(void **state)
{
    (void)state;
    hold_a_read();
    wr(NVME_CC, 1 << 14);
    fake_env_run(&f);
    assert_int_equal(rd(NVME_CSTS) & NVME_CSTS_RDY, NVME_CSTS_RDY);
    disk->hold = false;
    while (disk->held) { /* oldest first */
        struct disk_req **at = &disk->held, *r;

        while ((*at)->next)
            at = &(*at)->next;
        r = *at;
        *at = NULL;
        disk_finish(r, 0);
        fake_env_run(&f);
    }
    assert_int_equal(rd(NVME_CSTS), NVME_CSTS_SHST_COMPLETE);
}

static void settings_that_it_has_not_stop_it(void **state)
{
    (void)state;
    wr(NVME_CC, 0);
    wr(NVME_CC, NVME_CC_EN | 1 << 7); /* pages of 8 KiB */
    assert_int_equal(rd(NVME_CSTS), NVME_CSTS_CFS);
    wr(NVME_CC, 0);
    wr(NVME_ASQ + 4, 0xffff);
    wr(NVME_CC, NVME_CC_EN);
    assert_int_equal(rd(NVME_CSTS), NVME_CSTS_CFS);
    wr(NVME_CC, 0);
    wr(NVME_ASQ + 4, 0);
    enable();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(identity),
        TEST(blocks_are_read_and_written),
        TEST(lists_lead_to_lists),
        TEST(lists_that_lie_are_errors),
        TEST(flush_zero_and_trim),
        TEST(vectors_and_a_full_completion_queue),
        TEST(a_full_completion_queue_holds_its_own_alone),
        TEST(commands_wait_for_room_to_be_answered),
        TEST(entries_that_are_not_there_cannot_be_taken),
        TEST(queues_are_checked),
        TEST(a_queue_goes_after_its_commands),
        TEST(features),
        TEST(events_wait_for_requests),
        TEST(a_namespace_that_grew_is_told_to_who_asked),
        TEST(a_reset_waits_for_what_is_in_flight),
        TEST(an_event_waits_for_room),
        TEST(after_a_reset_nothing_writes_memory),
        TEST(a_shutdown_flushes),
        TEST(a_shutdown_with_the_end_ends),
        TEST(settings_that_it_has_not_stop_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
