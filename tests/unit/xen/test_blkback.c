/* SPDX-License-Identifier: Apache-2.0 */
/* The disk as a guest's front end uses it, and as a broken one does. */
#include "backend_kit.h"

#include "personas/xen/vbd.h"
#include "virtio/memdisk.h"

#define VBD "/local/domain/1/device/vbd/51712/"
#define VBD_SECTORS "/local/domain/0/backend/vbd/1/51712/sectors"
#define VBD_BACK "/local/domain/0/backend/vbd/1/51712/state"

static struct memdisk *disk;

static void connect_disk(void)
{
    empty_ring(RING_A);
    port = new_port();
    xs_put(x->store, VBD "ring-ref", "%d", REF_A);
    xs_put(x->store, VBD "event-channel", "%u", port);
    xs_put(x->store, VBD "protocol", "x86_64-abi");
    xs_put(x->store, VBD "state", "3");
    run();
    assert_int_equal(xs_get_u64(x->store, VBD_BACK, 0), XenbusStateConnected);
}

static void add_disk(void)
{
    struct disk_spec s = {.id = "disk0"};
    struct err e;

    disk = memdisk_create(f.env.loop, 64 * KiB);
    s.disk = &disk->d;
    assert_int_equal(vbd_add(x, &s, 0, &e), 0);
    run();
    connect_disk();
}

/* One segment: sectors first to last of the page behind ref. */
static void blk_put(unsigned at, uint8_t op, uint64_t sector, unsigned ref, unsigned first,
                    unsigned last)
{
    uint8_t *p = ram(RING_A) + 64 + 112 * (size_t)(at % 32);

    memset(p, 0, 112);
    p[0] = op;
    p[1] = 1;
    le64_put(p + 8, 0x1000 + at);
    le64_put(p + 16, sector);
    le32_put(p + 24, ref);
    p[28] = (uint8_t)first;
    p[29] = (uint8_t)last;
}

static void blk_go(unsigned prod)
{
    le32_put(ram(RING_A), prod);
    ring_bell();
}

static int blk_status(unsigned at)
{
    return (int16_t)le16_at(ram(RING_A) + 64 + 112 * (size_t)at + 10);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    add_disk();
    memset(ram(DATA), 'w', PAGE);
    blk_put(0, 1, 8, REF_DATA, 2, 3);
    blk_put(1, 0, 8, REF_DATA + 1, 0, 1);
    blk_put(2, 3, 0, 0, 0, 0);
    ram(RING_A)[64 + 2 * 112 + 1] = 0; /* a flush has no segments */
    blk_go(3);
    assert_int_equal(le32_at(ram(RING_A) + 8), 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(blk_status(i), 0);
    assert_int_equal(ram(DATA + PAGE)[1023], 'w');
    assert_int_equal(ram(DATA + PAGE)[1024], 0);
    assert_int_equal(grant_flags(REF_DATA + 1), GTF_permit_access);
}

static void count_watch(void *arg, const char *path)
{
    (void)path;
    ++*(unsigned *)arg;
}

static void a_disk_that_grew_writes_its_state_again(void **state)
{
    unsigned watched = 0;
    struct xs_watch *w;

    (void)state;
    add_disk();
    w = xs_watch(x->store, VBD_BACK, count_watch, &watched);
    run();
    watched = 0;
    disk->d.shape.bytes = 96 * KiB;
    assert_true(vbd_grew(x, &disk->d));
    assert_int_equal(xs_get_u64(x->store, VBD_SECTORS, 0), 192);
    assert_int_equal(xs_get_u64(x->store, VBD_BACK, 0), XenbusStateConnected);
    assert_int_equal(watched, 1); /* at once: nothing else may come that sends events */
    assert_false(vbd_grew(x, NULL));
    run();
    assert_int_equal(watched, 1);
    xs_unwatch(x->store, w);
    disk->d.shape.bytes = 64 * KiB;
}

static void bad_requests_are_answered_with_an_error(void **state)
{
    (void)state;
    add_disk();
    blk_put(0, 0, 0, REF_DATA, 3, 2);          /* backwards */
    blk_put(1, 0, 0, REF_DATA, 0, 8);          /* beyond the page */
    blk_put(2, 0, 0, 500, 0, 7);               /* no such grant */
    blk_put(3, 0, 1000000, REF_DATA, 0, 7);    /* beyond the disk */
    blk_put(4, 0, UINT64_MAX, REF_DATA, 0, 7); /* wraps */
    blk_put(5, 99, 0, REF_DATA, 0, 7);         /* no such operation */
    blk_put(6, 0, 0, REF_DATA, 0, 7);
    ram(RING_A)[64 + 6 * 112 + 1] = 12; /* too many segments */
    blk_put(7, 6, 0, REF_DATA, 0, 7);   /* indirect without segments */
    blk_go(8);
    assert_int_equal(le32_at(ram(RING_A) + 8), 8);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(blk_status(i), i == 5 ? -2 : -1);
    assert_int_equal(grant_flags(REF_DATA), GTF_permit_access);
}

static void a_bad_segment_fails_its_request_alone(void **state)
{
    uint8_t *second = ram(RING_A) + 64 + 112;

    (void)state;
    add_disk();
    for (unsigned i = 0; i < 3; i++)
        blk_put(i, 0, 0, REF_DATA + i, 0, 7);
    second[1] = 2;
    le32_put(second + 32, 500); /* no such grant */
    blk_go(3);
    assert_int_equal(le32_at(ram(RING_A) + 8), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(blk_status(i), i == 1 ? -1 : 0);
        assert_int_equal(grant_flags(REF_DATA + i), GTF_permit_access);
    }
}

static void an_indirect_request_is_answered_by_its_inner_operation(void **state)
{
    uint8_t *p = ram(RING_A) + 64;

    (void)state;
    add_disk();
    for (unsigned i = 0; i < 12; i++) { /* the list of segments lies in the page of REF_B */
        le32_put(ram(RING_B) + 8 * (size_t)i, REF_DATA + i);
        ram(RING_B)[8 * i + 4] = 0;
        ram(RING_B)[8 * i + 5] = 7;
    }
    memset(disk->bytes, 'i', 12 * PAGE);
    blk_put(0, 6, 0, 0, 0, 0);
    p[1] = 0; /* read */
    le16_put(p + 2, 12);
    le32_put(p + 28, REF_B);
    blk_go(1);
    assert_int_equal(le32_at(ram(RING_A) + 8), 1);
    assert_int_equal(p[8], 0);
    assert_int_equal(blk_status(0), 0);
    assert_int_equal(ram(DATA + 11 * PAGE)[PAGE - 1], 'i');
    assert_int_equal(grant_flags(REF_B), GTF_permit_access);
}

static void a_disk_reconnects_while_requests_are_out(void **state)
{
    (void)state;
    add_disk();
    disk->no_try = disk->hold = true;
    blk_put(0, 0, 0, REF_DATA, 0, 7);
    blk_go(1);
    assert_int_equal(le32_at(ram(RING_A) + 8), 0);
    assert_int_equal(disk->held_count, 1);
    xs_put(x->store, VBD "state", "6");
    run();
    xs_put(x->store, VBD "state", "1");
    run();
    assert_int_equal(xs_get_u64(x->store, VBD_BACK, 0), XenbusStateInitWait);
    connect_disk();
    memdisk_let_go(disk);
    run();
    assert_int_equal(le32_at(ram(RING_A) + 8), 0); /* the old request's answer went nowhere */
    assert_int_equal(grant_flags(REF_DATA), GTF_permit_access);
    disk->no_try = disk->hold = false;
    blk_put(0, 0, 0, REF_DATA, 0, 7);
    blk_go(1);
    assert_int_equal(le32_at(ram(RING_A) + 8), 1);
    assert_int_equal(blk_status(0), 0);
}

static void let_go(struct alarm *a)
{
    (void)a;
    memdisk_let_go(disk);
}

static void nothing_is_read_into_memory_after_a_reset(void **state)
{
    static struct alarm later = {.fire = let_go};

    (void)state;
    add_disk();
    disk->no_try = disk->hold = true;
    memset(disk->bytes, 'd', PAGE);
    blk_put(0, 0, 0, REF_DATA, 0, 7);
    blk_go(1);
    assert_int_equal(disk->held_count, 1);
    loop_arm(f.env.loop, &later, 0);
    xenbus_reset(x);
    assert_int_equal(disk->held_count, 0);
    assert_int_equal(ram(DATA)[0], 'd');
    memset(ram(DATA), 'n', PAGE); /* the next guest's */
    run();
    assert_int_equal(ram(DATA)[0], 'n');
}

static void what_was_not_begun_is_not_written_after_a_reset(void **state)
{
    struct evtchn_send s;
    bool back;

    (void)state;
    add_disk();
    disk->no_try = true;
    memset(ram(DATA), 'o', PAGE);
    blk_put(0, 1, 0, REF_DATA, 0, 7);
    le32_put(ram(RING_A), 1);
    s.port = port;
    assert_int_equal(evtchn_op(x->ev, 0, EVTCHNOP_send, &s, sizeof(s), &back), 0);
    xenbus_reset(x);
    memset(ram(DATA), 'n', PAGE);
    run();
    assert_int_equal(disk->submits, 0);
    assert_int_equal(disk->bytes[0], 0);
    assert_int_equal(grant_flags(REF_DATA), GTF_permit_access);
    connect_disk();
    disk->no_try = false;
    blk_put(0, 1, 0, REF_DATA, 0, 7);
    blk_go(1);
    assert_int_equal(disk->bytes[0], 'n');
}

static void a_ring_holds_no_more_than_it_has_entries(void **state)
{
    (void)state;
    add_disk();
    disk->no_try = disk->hold = true;
    for (unsigned i = 0; i < 32; i++)
        blk_put(i, 0, 0, REF_DATA + i % 32, 0, 7);
    blk_go(32);
    assert_int_equal(disk->held_count, 32);
    blk_go(48); /* none of them has been answered */
    assert_int_equal(disk->held_count, 32);
    memdisk_let_go(disk);
    run();
}

/* n reads as a front end makes them: it sends an event when it is asked to. How many it sent. */
static unsigned blk_burst(unsigned n)
{
    uint32_t old = le32_at(ram(RING_A)), new = old + n, event;

    for (uint32_t at = old; at != new; at++)
        blk_put(at, 0, 0, REF_DATA + at % 32, 0, 7);
    shared_store32(ram(RING_A), new);
    shared_barrier();
    event = shared_load32(ram(RING_A) + 4);
    if (new - event < n)
        ring_bell();
    for (unsigned wait = 0; shared_load32(ram(RING_A) + 8) != new; wait++) {
        assert_true(wait < 1000);
        assert_true(loop_step(f.env.loop, 10000000) >= 0);
    }
    for (uint32_t at = old; at != new; at++)
        assert_int_equal(blk_status(at % 32), 0);
    return new - event < n;
}

static void much_at_a_time_needs_no_events(void **state)
{
    unsigned sent = 0;

    (void)state;
    x->polls = true;
    add_disk();
    /* Now and then an event is held back, to see whether more comes. */
    for (unsigned i = 0; i < 200; i++)
        assert_true(blk_burst(1) || i >= 60);
    for (unsigned i = 0; i < 1100; i++)
        (void)blk_burst(8);
    for (unsigned i = 0; i < 20; i++)
        sent += blk_burst(16);
    assert_true(sent <= 10); /* a slow machine's thread may have given up waiting */
    for (unsigned i = 0; i < 60; i++)
        (void)blk_burst(1);
    sent = 0;
    for (unsigned i = 0; i < 20; i++)
        sent += blk_burst(1);
    assert_int_equal(sent, 20); /* whoever is alone is served at once */
    (void)blk_burst(16);
    xs_put(x->store, VBD "state", "6");
    run();
    xs_put(x->store, VBD "state", "1");
    run();
    connect_disk();
    assert_int_equal(blk_burst(1), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read),
        TEST(a_disk_that_grew_writes_its_state_again),
        TEST(bad_requests_are_answered_with_an_error),
        TEST(a_bad_segment_fails_its_request_alone),
        TEST(an_indirect_request_is_answered_by_its_inner_operation),
        TEST(a_disk_reconnects_while_requests_are_out),
        TEST(nothing_is_read_into_memory_after_a_reset),
        TEST(what_was_not_begun_is_not_written_after_a_reset),
        TEST(a_ring_holds_no_more_than_it_has_entries),
        TEST(much_at_a_time_needs_no_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
