/* SPDX-License-Identifier: Apache-2.0 */
/* The block device under a scripted guest: both ABIs, both rings, errors, resets, garbage. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/virtio_blk.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "personas/kvm/devices.h"
#include "virtio/guest.h"
#include "virtio/memdisk.h"

enum { DISK = 1 << 20 };
#define ALL UINT64_MAX
#define SPLIT (~(VIRTIO_F_RING_PACKED))
#define COMMON(field) __builtin_offsetof(struct virtio_pci_common_cfg, field)

struct bench {
    struct guest g;
    struct memdisk *disk;
    gpa_t hdr, data, status;
};

static void bench_open_with(struct bench *b, unsigned queues, bool readonly, bool msix)
{
    struct virtio_options o = {.packed = true, .indirect = true, .devfn = -1};
    struct disk_spec s = {.id = "disk0", .serial = "serial-0123456789abcdef"};
    struct err e = {0};

    guest_open(&b->g);
    b->disk = memdisk_create(b->g.f.env.loop, DISK);
    b->disk->d.shape.readonly = readonly;
    for (size_t i = 0; i < DISK; i++)
        b->disk->bytes[i] = (uint8_t)(i / 512 + i);
    s.disk = &b->disk->d;
    assert_int_equal(blk_create(&b->g.f.env, &o, &s, queues, &e), 0);
    guest_find(&b->g, msix);
    b->hdr = guest_alloc(&b->g, 64, 64);
    b->data = guest_alloc(&b->g, 65536, 4096);
    b->status = guest_alloc(&b->g, 16, 16);
}

static void bench_open(struct bench *b)
{
    bench_open_with(b, 1, false, true);
}

static uint16_t submit(struct bench *b, uint32_t type, uint64_t sector, uint32_t len, bool indirect)
{
    bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
    struct guest_buf buf[3] = {{b->hdr, 16, false}, {b->data, len, in}, {b->status, 1, true}};
    uint16_t id;

    guest_poke(&b->g, b->hdr, 8, type);
    guest_poke(&b->g, b->hdr + 8, 8, sector);
    guest_poke(&b->g, b->status, 1, 0xaa);
    if (len == 0)
        buf[1] = buf[2];
    id = guest_add(&b->g, 0, buf, len ? 3 : 2, indirect);
    guest_kick(&b->g, 0);
    return id;
}

/* Submits, runs the loop, and returns the status byte; the used length goes to *len. */
static int request(struct bench *b, uint32_t type, uint64_t sector, uint32_t len, bool indirect,
                   uint32_t *used)
{
    uint16_t id = submit(b, type, sector, len, indirect), got;

    fake_env_run(&b->g.f);
    assert_true(guest_used(&b->g, 0, &got, used));
    assert_int_equal(got, id);
    return (int)guest_peek(&b->g, b->status, 1);
}

static void read_and_write(struct bench *b, bool indirect)
{
    uint8_t got[4096];
    uint32_t used;

    for (unsigned i = 0; i < 300; i++) {
        uint64_t sector = i * 7 % 2000;

        assert_int_equal(request(b, VIRTIO_BLK_T_IN, sector, 4096, indirect, &used), 0);
        assert_int_equal(used, 4097);
        assert_int_equal(gmem_read(b->g.f.env.mem, b->data, got, sizeof(got)), 0);
        assert_memory_equal(got, b->disk->bytes + sector * 512, sizeof(got));
        got[i] ^= 0x5a;
        assert_int_equal(gmem_write(b->g.f.env.mem, b->data, got, sizeof(got)), 0);
        assert_int_equal(request(b, VIRTIO_BLK_T_OUT, sector, 4096, indirect, &used), 0);
        assert_int_equal(used, 1);
        assert_memory_equal(got, b->disk->bytes + sector * 512, sizeof(got));
        if (indirect)
            b->g.brk -= 96;
    }
}

static void a_disk_that_grew_changes_its_configuration(void **state)
{
    struct bench b;
    uint32_t used;
    struct pci_dev *p;

    (void)state;
    for (unsigned legacy = 0; legacy < 2; legacy++) {
        bench_open_with(&b, 1, false, false);
        p = pci_at(b.g.f.env.pci, b.g.devfn);
        b.disk->d.shape.bytes = DISK / 2;
        assert_true(blk_grew(p, &b.disk->d)); /* no driver: no interrupt */
        assert_int_equal(guest_isr(&b.g), 0);
        guest_start(&b.g, legacy, SPLIT, 1);
        assert_int_equal(guest_config(&b.g, 0, 8), DISK / 2 / 512);
        assert_int_equal(request(&b, VIRTIO_BLK_T_IN, DISK / 512 - 8, 4096, false, &used), 1);
        guest_isr(&b.g);
        b.disk->d.shape.bytes = DISK;
        assert_true(blk_grew(p, &b.disk->d));
        assert_int_equal(guest_isr(&b.g), VIRTIO_PCI_ISR_CONFIG);
        assert_int_equal(guest_config(&b.g, 0, 8), DISK / 512);
        assert_int_equal(request(&b, VIRTIO_BLK_T_IN, DISK / 512 - 8, 4096, false, &used), 0);
        assert_false(blk_grew(p, NULL)); /* another disk's */
        guest_close(&b.g);
    }
}

static void every_ring_moves_data(void **state)
{
    static const struct {
        bool legacy;
        uint64_t want;
    } kinds[] = {
        {true, ALL},
        {true, 0},
        {false, SPLIT},
        {false, VIRTIO_F_VERSION_1},
        {false, ALL},
        {false, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC},
        {false, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX},
    };

    for (size_t k = 0; k < ARRAY_SIZE(kinds) * 2; k++) {
        struct bench b;

        bench_open(&b);
        b.disk->no_try = k & 1;
        guest_start(&b.g, kinds[k / 2].legacy, kinds[k / 2].want, 1);
        read_and_write(&b, false);
        if (b.g.features & VIRTIO_F_INDIRECT_DESC)
            read_and_write(&b, true);
        assert_int_equal(b.disk->submits > 0, b.disk->no_try);
        guest_close(&b.g);
    }
}

static void a_cached_request_is_done_inside_the_doorbell(void **state)
{
    struct bench b;
    uint16_t id;
    uint32_t len;

    bench_open(&b);
    guest_start(&b.g, false, SPLIT, 1);
    fake_env_use_doorbells(&b.g.f);
    guest_irqs(&b.g, 0);
    submit(&b, VIRTIO_BLK_T_IN, 0, 512, false);
    assert_true(guest_used(&b.g, 0, &id, &len)); /* without the loop */
    assert_int_equal(guest_irqs(&b.g, 0), 1);
    guest_close(&b.g);
}

/* The N-th notify capability of the function. */
static struct virtio_pci_notify_cap notify_cap(struct guest *g, unsigned n)
{
    struct virtio_pci_notify_cap c = {0};
    unsigned at;

    for (unsigned i = 0; (at = fake_pci_cap(&g->f, g->devfn, VIRTIO_PCI_CAP_ID, i)); i++) {
        for (unsigned b = 0; b < sizeof(c); b++)
            ((uint8_t *)&c)[b] = (uint8_t)fake_pci_read(&g->f, g->devfn, at + b, 1);
        if (c.cap.cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG && n-- == 0)
            return c;
    }
    fail_msg("no such notify capability");
    return c;
}

/* Whoever takes the first has a port, whoever takes the last has memory, and another place for each
 * queue. */
static void a_doorbell_is_in_memory_too(void **state)
{
    struct virtio_pci_notify_cap first, last;
    struct guest_buf buf[3];
    struct bench b;
    uint64_t bell;
    uint16_t id;
    uint32_t len;

    (void)state;
    bench_open_with(&b, 2, false, true);
    first = notify_cap(&b.g, 0);
    last = notify_cap(&b.g, 1);
    assert_int_equal(first.cap.bar, 0);
    assert_int_equal(le32_get(first.notify_off_multiplier), 0);
    assert_int_equal(last.cap.bar, 4);
    assert_true(le32_get(last.notify_off_multiplier) > 0);
    guest_start(&b.g, false, SPLIT, 2);
    guest_common_set(&b.g, COMMON(queue_select), 2, 1);
    bell = le32_get(last.notify_off_multiplier) * guest_common(&b.g, COMMON(queue_notify_off), 2);
    assert_true(bell > 0 && bell + 2 <= le32_get(last.cap.length));

    buf[0] = (struct guest_buf){b.hdr, 16, false};
    buf[1] = (struct guest_buf){b.data, 512, true};
    buf[2] = (struct guest_buf){b.status, 1, true};
    guest_poke(&b.g, b.hdr, 8, VIRTIO_BLK_T_IN);
    guest_poke(&b.g, b.hdr + 8, 8, 0);
    guest_add(&b.g, 1, buf, 3, false);
    fake_env_write(&b.g.f, b.g.bar[4] + le32_get(last.cap.offset), 2, 0); /* queue 0's */
    fake_env_run(&b.g.f);
    assert_false(guest_used(&b.g, 1, &id, &len));
    fake_env_write(&b.g.f, b.g.bar[4] + le32_get(last.cap.offset) + bell, 2, 1);
    fake_env_run(&b.g.f);
    assert_true(guest_used(&b.g, 1, &id, &len));
    assert_int_equal(len, 513);
    /* Behind the last queue and the last doorbell there is nothing. */
    fake_env_write(&b.g.f, b.g.bar[4] + 4092, 4, 1);
    assert_int_equal(fake_env_read(&b.g.f, b.g.bar[4] + le32_get(last.cap.offset), 4), 0);
    guest_close(&b.g);
}

static void a_slow_disk_gets_an_ioeventfd_and_loses_it_again(void **state)
{
    struct bench b;
    uint32_t used;
    uint16_t id;

    bench_open(&b);
    fake_env_use_doorbells(&b.g.f);
    guest_start(&b.g, false, SPLIT, 1);
    b.disk->no_try = true;
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(request(&b, VIRTIO_BLK_T_IN, i, 512, false, &used), 0);
    b.disk->tries = 0;
    submit(&b, VIRTIO_BLK_T_IN, 0, 512, false);
    assert_int_equal(b.disk->tries, 0); /* the doorbell went to the eventfd */
    assert_false(guest_used(&b.g, 0, &id, &used));
    fake_env_run(&b.g.f);
    assert_true(guest_used(&b.g, 0, &id, &used));
    b.disk->no_try = false;
    for (unsigned i = 0; i < 64 * 40; i++)
        assert_int_equal(request(&b, VIRTIO_BLK_T_IN, i % 100, 512, false, &used), 0);
    submit(&b, VIRTIO_BLK_T_IN, 0, 512, false);
    assert_true(guest_used(&b.g, 0, &id, &used)); /* served by the vCPU again */
    guest_close(&b.g);
}

static void errors_become_status_bytes(void **state)
{
    struct bench b;
    uint32_t used;

    bench_open(&b);
    guest_start(&b.g, false, SPLIT, 1);
    assert_int_equal(request(&b, VIRTIO_BLK_T_IN, DISK / 512, 512, false, &used), 1);
    assert_int_equal(used, 1);
    assert_int_equal(request(&b, VIRTIO_BLK_T_IN, UINT64_MAX, 512, false, &used), 1);
    assert_int_equal(request(&b, VIRTIO_BLK_T_OUT, UINT64_MAX / 512, 512, false, &used), 1);
    assert_int_equal(request(&b, VIRTIO_BLK_T_IN, 0, 511, false, &used), 1);
    assert_int_equal(request(&b, 77, 0, 512, false, &used), 2);
    assert_int_equal(request(&b, VIRTIO_BLK_T_IN, 0, 0, false, &used), 0);
    b.disk->fail = -EIO;
    assert_int_equal(request(&b, VIRTIO_BLK_T_OUT, 0, 512, false, &used), 1);
    b.disk->fail = -ENOTSUP;
    assert_int_equal(request(&b, VIRTIO_BLK_T_FLUSH, 0, 0, false, &used), 2);
    assert_int_equal(guest_status(&b.g) & VIRTIO_STATUS_DEVICE_NEEDS_RESET, 0);
    guest_close(&b.g);
}

static void a_read_only_disk_refuses_writes(void **state)
{
    struct bench b;
    uint32_t used;

    bench_open_with(&b, 1, true, true);
    guest_start(&b.g, false, SPLIT, 1);
    assert_true(b.g.features & VIRTIO_BLK_F_RO);
    assert_false(b.g.features & (VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES));
    assert_int_equal(request(&b, VIRTIO_BLK_T_OUT, 0, 512, false, &used), 1);
    assert_int_equal(request(&b, VIRTIO_BLK_T_IN, 0, 512, false, &used), 0);
    guest_close(&b.g);
}

static void put_range(struct bench *b, uint64_t sector, uint32_t n, uint32_t flags)
{
    guest_poke(&b->g, b->data, 8, sector);
    guest_poke(&b->g, b->data + 8, 4, n);
    guest_poke(&b->g, b->data + 12, 4, flags);
}

static void discard_and_zero_check_their_ranges(void **state)
{
    struct bench b;
    uint32_t used;

    bench_open(&b);
    guest_start(&b.g, false, SPLIT, 1);
    put_range(&b, 8, 8, 0);
    assert_int_equal(request(&b, VIRTIO_BLK_T_DISCARD, 0, 16, false, &used), 0);
    assert_int_equal(b.disk->trims, 1);
    put_range(&b, 8, 8, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
    assert_int_equal(request(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false, &used), 0);
    assert_int_equal(b.disk->bytes[8 * 512 + 1], 0);
    assert_int_equal(request(&b, VIRTIO_BLK_T_DISCARD, 0, 16, false, &used), 2); /* a flag */
    put_range(&b, DISK / 512, 1, 0);
    assert_int_equal(request(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false, &used), 1);
    put_range(&b, UINT64_MAX - 3, UINT32_MAX, 0);
    assert_int_equal(request(&b, VIRTIO_BLK_T_DISCARD, 0, 16, false, &used), 1);
    put_range(&b, 0, 0, 0);
    assert_int_equal(request(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16, false, &used), 0);
    assert_int_equal(request(&b, VIRTIO_BLK_T_WRITE_ZEROES, 0, 32, false, &used), 2);
    assert_int_equal(b.disk->zeroes, 1);
    guest_close(&b.g);
}

static void the_serial_is_told(void **state)
{
    struct bench b;
    uint32_t used;
    char id[20];

    bench_open(&b);
    guest_start(&b.g, false, SPLIT, 1);
    assert_int_equal(request(&b, VIRTIO_BLK_T_GET_ID, 0, 20, false, &used), 0);
    assert_int_equal(used, 21);
    assert_int_equal(gmem_read(b.g.f.env.mem, b.data, id, 20), 0);
    assert_memory_equal(id, "serial-0123456789abcdef", 20);
    guest_close(&b.g);
}

static void writes_are_durable_when_the_cache_is_off(void **state)
{
    struct bench b;
    uint32_t used;

    bench_open(&b);
    guest_start(&b.g, false, SPLIT, 1);
    assert_int_equal(guest_config(&b.g, 32, 1), 1);
    assert_int_equal(request(&b, VIRTIO_BLK_T_OUT, 0, 512, false, &used), 0);
    assert_int_equal(b.disk->fuas, 0);
    fake_env_write(&b.g.f, b.g.bar[4] + 0x100 + 32, 1, 0);
    assert_int_equal(request(&b, VIRTIO_BLK_T_OUT, 0, 512, false, &used), 0);
    assert_int_equal(b.disk->fuas, 1);
    /* A driver that cannot flush gets the same. */
    guest_start(&b.g, false, SPLIT & ~VIRTIO_BLK_F_FLUSH, 1);
    assert_int_equal(request(&b, VIRTIO_BLK_T_OUT, 0, 512, false, &used), 0);
    assert_int_equal(b.disk->fuas, 2);
    guest_close(&b.g);
}

static void framing_is_free(void **state)
{
    struct bench b;
    struct guest_buf buf[6];
    uint8_t got[1024];
    uint16_t id;
    uint32_t used;

    bench_open(&b);
    guest_start(&b.g, false, SPLIT, 1);
    /* Header in two pieces, the second with nothing; data and status in one buffer. */
    guest_poke(&b.g, b.hdr, 8, VIRTIO_BLK_T_IN);
    guest_poke(&b.g, b.hdr + 8, 8, 3);
    buf[0] = (struct guest_buf){b.hdr, 5, false};
    buf[1] = (struct guest_buf){b.hdr + 5, 0, false};
    buf[2] = (struct guest_buf){b.hdr + 5, 11, false};
    buf[3] = (struct guest_buf){b.data, 1, true};
    buf[4] = (struct guest_buf){b.data + 1, 1024, true};
    guest_add(&b.g, 0, buf, 5, true);
    guest_kick(&b.g, 0);
    assert_true(guest_used(&b.g, 0, &id, &used));
    assert_int_equal(used, 1025);
    assert_int_equal(gmem_read(b.g.f.env.mem, b.data, got, 1024), 0);
    assert_memory_equal(got, b.disk->bytes + 3 * 512, 1024);
    assert_int_equal(guest_peek(&b.g, b.data + 1024, 1), 0);
    guest_close(&b.g);
}

static void a_full_ring_goes_on_when_requests_come_back(void **state)
{
    struct guest_buf buf[2];
    struct bench b;
    uint32_t used;
    uint16_t id;

    bench_open(&b);
    guest_start(&b.g, false, SPLIT, 1);
    fake_env_use_doorbells(&b.g.f);
    b.disk->no_try = b.disk->hold = true;
    guest_poke(&b.g, b.hdr, 8, VIRTIO_BLK_T_FLUSH);
    buf[0] = (struct guest_buf){b.hdr, 16, false};
    buf[1] = (struct guest_buf){b.status, 1, true};
    for (unsigned i = 0; i < 256; i++) {
        guest_add(&b.g, 0, buf, 2, true);
        b.g.brk -= 32; /* one table for all */
    }
    guest_kick(&b.g, 0);
    fake_env_run(&b.g.f);
    assert_int_equal(b.disk->held_count, 256);
    /* The driver may only ring when it is asked to. */
    assert_int_equal(guest_peek(&b.g, b.g.q[0].device + 4 + 8 * 256, 2), 256);
    b.disk->hold = false;
    memdisk_let_go(b.disk);
    fake_env_run(&b.g.f);
    for (unsigned i = 0; i < 256; i++)
        assert_true(guest_used(&b.g, 0, &id, &used));
    assert_int_equal(request(&b, VIRTIO_BLK_T_IN, 0, 512, false, &used), 0);
    guest_close(&b.g);
}

/* --- resets --- */

static void a_reset_waits_for_requests_in_flight(void **state)
{
    struct bench b;

    bench_open(&b);
    guest_start(&b.g, false, SPLIT, 1);
    b.disk->no_try = b.disk->hold = true;
    for (unsigned i = 0; i < 5; i++)
        submit(&b, VIRTIO_BLK_T_OUT, i, 512, false);
    fake_env_run(&b.g.f);
    assert_int_equal(b.disk->held_count, 5);
    submit(&b, VIRTIO_BLK_T_OUT, 9, 512, false); /* refused by try, not yet submitted */
    guest_status_set(&b.g, 0);
    assert_int_not_equal(guest_status(&b.g), 0);
    guest_status_set(&b.g, VIRTIO_STATUS_ACKNOWLEDGE);
    assert_int_not_equal(guest_status(&b.g), VIRTIO_STATUS_ACKNOWLEDGE);
    memdisk_let_go(b.disk);
    fake_env_run(&b.g.f);
    assert_int_equal(guest_status(&b.g), 0);
    assert_int_equal(b.disk->submits, 5);
    assert_int_equal(guest_peek(&b.g, b.g.q[0].device + 2, 2), 0); /* nothing was completed */
    b.disk->hold = false;
    guest_start(&b.g, false, ALL, 1);
    read_and_write(&b, false);
    guest_close(&b.g);
}

static void a_queue_reset_leaves_the_device_alone(void **state)
{
    struct bench b;

    bench_open_with(&b, 2, false, true);
    guest_start(&b.g, false, SPLIT, 2);
    b.disk->no_try = b.disk->hold = true;
    submit(&b, VIRTIO_BLK_T_OUT, 0, 512, false);
    fake_env_run(&b.g.f);
    guest_common_set(&b.g, COMMON(queue_select), 2, 0);
    guest_common_set(&b.g, COMMON(queue_reset), 2, 1);
    assert_int_equal(guest_common(&b.g, COMMON(queue_reset), 2), 1);
    memdisk_let_go(b.disk);
    fake_env_run(&b.g.f);
    assert_int_equal(guest_common(&b.g, COMMON(queue_reset), 2), 0);
    assert_int_equal(guest_common(&b.g, COMMON(queue_enable), 2), 0);
    assert_true(guest_status(&b.g) & VIRTIO_STATUS_DRIVER_OK);
    b.disk->hold = false;
    guest_queue(&b.g, 0, 64);
    read_and_write(&b, false);
    guest_close(&b.g);
}

static void destroy_waits_for_requests_in_flight(void **state)
{
    struct bench b;
    bool closed = false;

    bench_open(&b);
    guest_start(&b.g, false, SPLIT, 1);
    b.disk->no_try = true;
    b.disk->closed = &closed;
    submit(&b, VIRTIO_BLK_T_OUT, 0, 512, false);
    assert_true(loop_step(b.g.f.env.loop, 0) > 0); /* submitted, not completed */
    guest_close(&b.g);
    assert_true(closed);
}

/* What a sector must hold: the last flushed write, or a later one that a reset cut off. */
struct sector {
    uint8_t flushed, last;
};

static void write_all(struct bench *b, struct sector *s, unsigned n, uint8_t stamp)
{
    for (unsigned i = 0; i < n; i++) {
        gpa_t at = b->data + 512 * i;
        struct guest_buf buf[] = {
            {b->hdr + 16 * i, 16, false}, {at, 512, false}, {b->status + i, 1, true}};

        guest_poke(&b->g, b->hdr + 16 * i, 8, VIRTIO_BLK_T_OUT);
        guest_poke(&b->g, b->hdr + 16 * i + 8, 8, i);
        assert_int_equal(gmem_fill(b->g.f.env.mem, at, stamp, 512), 0);
        s[i].last = stamp;
        guest_add(&b->g, 0, buf, 3, false);
    }
    guest_kick(&b->g, 0);
}

static void flushed_data_survives_resets_in_mid_io(void **state)
{
    enum { SECTORS = 40, ROUNDS = 100 };
    struct sector s[SECTORS] = {{0}};
    char path[] = "/tmp/blk-XXXXXX";
    struct virtio_options o = {.indirect = true, .devfn = -1};
    struct disk_cfg c = {.path = path, .format = "raw"};
    struct disk_spec spec = {.id = "disk0"};
    struct err e = {0};
    struct bench b;
    uint32_t used;
    uint16_t id;
    int fd = mkstemp(path);

    assert_int_equal(ftruncate(fd, DISK), 0);
    guest_open(&b.g);
    assert_int_equal(disk_open(&c, b.g.f.env.loop, &spec.disk, &e), 0);
    assert_int_equal(blk_create(&b.g.f.env, &o, &spec, 1, &e), 0);
    guest_find(&b.g, true);
    b.hdr = guest_alloc(&b.g, 1024, 64);
    b.data = guest_alloc(&b.g, 65536, 4096);
    b.status = guest_alloc(&b.g, 64, 16);
    for (unsigned round = 0; round < ROUNDS; round++) {
        gpa_t brk = b.g.brk;
        uint8_t got[512];

        guest_start(&b.g, false, SPLIT, 1);
        write_all(&b, s, SECTORS, (uint8_t)(2 * round + 1));
        for (unsigned done = 0; done < SECTORS; done += guest_used(&b.g, 0, &id, &used))
            loop_step(b.g.f.env.loop, 1000000);
        assert_int_equal(submit(&b, VIRTIO_BLK_T_FLUSH, 0, 0, false) < 256, 1);
        while (!guest_used(&b.g, 0, &id, &used))
            loop_step(b.g.f.env.loop, 1000000);
        for (unsigned i = 0; i < SECTORS; i++)
            s[i].flushed = s[i].last;
        write_all(&b, s, SECTORS, (uint8_t)(2 * round + 2));
        for (unsigned i = 0; i < round % 4; i++)
            loop_step(b.g.f.env.loop, 0);
        guest_status_set(&b.g, 0);
        while (guest_status(&b.g))
            loop_step(b.g.f.env.loop, 1000000);
        for (unsigned i = 0; i < SECTORS; i++) {
            assert_int_equal(pread(fd, got, 512, 512 * i), 512);
            assert_true(got[0] == s[i].flushed || got[0] == s[i].last);
            assert_memory_equal(got, got + 1, 511);
        }
        b.g.brk = brk;
    }
    guest_close(&b.g);
    close(fd);
    unlink(path);
}

static void legacy_resets_come_back_with_nothing_in_flight(void **state)
{
    struct bench b;
    uint32_t used;

    bench_open(&b);
    guest_start(&b.g, true, ALL, 1);
    b.disk->no_try = true;
    submit(&b, VIRTIO_BLK_T_OUT, 0, 512, false);
    guest_status_set(&b.g, 0); /* it waits with us, so it gives the request back */
    assert_int_equal(guest_status(&b.g), 0);
    guest_start(&b.g, true, ALL, 1);
    assert_int_equal(request(&b, VIRTIO_BLK_T_IN, 0, 512, false, &used), 0);
    guest_close(&b.g);
}

static void a_broken_legacy_device_stays_broken_until_a_reset(void **state)
{
    struct guest_buf buf[2];
    struct bench b;
    uint32_t used;

    (void)state;
    bench_open(&b);
    assert_true(guest_negotiate(&b.g, true, ALL)); /* and no DRIVER_OK: a kick starts the device */
    guest_queue(&b.g, 0, 0);
    b.disk->no_try = b.disk->hold = true;
    guest_poke(&b.g, b.hdr, 8, VIRTIO_BLK_T_FLUSH);
    buf[0] = (struct guest_buf){b.hdr, 16, false};
    buf[1] = (struct guest_buf){b.status, 1, true};
    for (unsigned i = 0; i < 200; i++) {
        guest_add(&b.g, 0, buf, 2, true);
        b.g.brk -= 32;
    }
    guest_kick(&b.g, 0);
    fake_env_run(&b.g.f);
    assert_int_equal(b.disk->held_count, 200);
    guest_poke(&b.g, b.g.q[0].driver + 4 + 2 * 200, 2, 0xffff); /* no such descriptor */
    guest_poke(&b.g, b.g.q[0].driver + 2, 2, 201);
    guest_kick(&b.g, 0);
    fake_env_run(&b.g.f);
    guest_poke(&b.g, b.g.q[0].driver + 4 + 2 * 200, 2, 0);
    for (unsigned i = 0; i < 2; i++) {
        guest_kick(&b.g, 0); /* must not take the ring from its start again */
        fake_env_run(&b.g.f);
        guest_driver_ok(&b.g);
    }
    assert_int_equal(b.disk->held_count, 200);
    b.disk->hold = b.disk->no_try = false;
    memdisk_let_go(b.disk);
    fake_env_run(&b.g.f);
    guest_start(&b.g, true, ALL, 1);
    assert_int_equal(request(&b, VIRTIO_BLK_T_IN, 0, 512, false, &used), 0);
    guest_close(&b.g);
}

static void legacy_queues_work_before_driver_ok(void **state)
{
    struct bench b;
    uint32_t used;

    bench_open_with(&b, 1, false, false);
    guest_negotiate(&b.g, true, 0);
    guest_queue(&b.g, 0, 0);
    assert_int_equal(request(&b, VIRTIO_BLK_T_IN, 0, 512, false, &used), 0);
    assert_int_equal(guest_isr(&b.g), 1);
    assert_int_equal(guest_isr(&b.g), 0);
    guest_close(&b.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_ring_moves_data),
        cmocka_unit_test(a_disk_that_grew_changes_its_configuration),
        cmocka_unit_test(a_cached_request_is_done_inside_the_doorbell),
        cmocka_unit_test(a_doorbell_is_in_memory_too),
        cmocka_unit_test(a_slow_disk_gets_an_ioeventfd_and_loses_it_again),
        cmocka_unit_test(errors_become_status_bytes),
        cmocka_unit_test(a_read_only_disk_refuses_writes),
        cmocka_unit_test(discard_and_zero_check_their_ranges),
        cmocka_unit_test(the_serial_is_told),
        cmocka_unit_test(writes_are_durable_when_the_cache_is_off),
        cmocka_unit_test(framing_is_free),
        cmocka_unit_test(a_full_ring_goes_on_when_requests_come_back),
        cmocka_unit_test(a_reset_waits_for_requests_in_flight),
        cmocka_unit_test(a_queue_reset_leaves_the_device_alone),
        cmocka_unit_test(destroy_waits_for_requests_in_flight),
        cmocka_unit_test(flushed_data_survives_resets_in_mid_io),
        cmocka_unit_test(legacy_resets_come_back_with_nothing_in_flight),
        cmocka_unit_test(a_broken_legacy_device_stays_broken_until_a_reset),
        cmocka_unit_test(legacy_queues_work_before_driver_ok),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
