/* SPDX-License-Identifier: Apache-2.0 */
/* The buses: overlaps, splits at region ends, holes, moving claims, doorbells, readers in a race.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fakes/fake_env.h"

struct probe {
    struct device d;
    unsigned calls, region, size;
    uint64_t off, val, answer;
};

static void probe_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                     enum access dir, uint64_t *val)
{
    struct probe *p = (struct probe *)d;

    __atomic_add_fetch(&p->calls, 1, __ATOMIC_RELAXED);
    p->region = region;
    p->off = off;
    p->size = size;
    if (dir == ACC_READ)
        *val = p->answer;
    else
        p->val = *val;
}

static const struct device_ops probe_ops = {.name = "probe", .io = probe_io};
static struct fake_env f;

static int setup(void **state)
{
    (void)state;
    fake_env_create(&f, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_destroy(&f);
    return 0;
}

static void probe_init(struct probe *p)
{
    memset(p, 0, sizeof(*p));
    device_init(&p->d, &probe_ops, &f.env);
}

static void overlaps_and_wraps_are_refused(void **state)
{
    struct bus *const bus[2] = {f.env.pio, f.env.mmio};
    struct probe p;

    (void)state;
    probe_init(&p);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(bus_claim(bus[i], 0x2000, 0x10, &p.d, 0), 0);
        assert_int_equal(bus_claim(bus[i], 0x200f, 1, &p.d, 1), -EEXIST);
        assert_int_equal(bus_claim(bus[i], 0x1ff0, 0x11, &p.d, 1), -EEXIST);
        assert_int_equal(bus_claim(bus[i], 0x1ff0, 0x1000, &p.d, 1), -EEXIST);
        assert_int_equal(bus_claim(bus[i], 0x2010, 0x10, &p.d, 1), 0);
        assert_int_equal(bus_claim(bus[i], 0x1ff0, 0x10, &p.d, 1), 0);
        assert_int_equal(bus_claim(bus[i], 0x3000, 0, &p.d, 1), -EINVAL);
        assert_int_equal(bus_claim(bus[i], UINT64_MAX, 2, &p.d, 1), -EINVAL);
        bus_release(bus[i], &p.d, 1);
        bus_release(bus[i], &p.d, 0);
        assert_int_equal(bus_claim(bus[i], 0x1ff0, 0x30, &p.d, 0), 0);
        bus_release(bus[i], &p.d, 0);
    }
    assert_int_equal(bus_claim(f.env.pio, 0xffff, 2, &p.d, 0), -EINVAL);
    assert_int_equal(bus_claim(f.env.pio, 0xffff, 1, &p.d, 0), 0);
    assert_int_equal(bus_claim(f.env.mmio, UINT64_MAX, 1, &p.d, 0), 0);
    p.answer = 0x5a;
    assert_int_equal(fake_env_in(&f, 0xffff, 4), 0xffffff5a);
    assert_int_equal(fake_env_read(&f, UINT64_MAX, 1), 0x5a);
    bus_release(f.env.pio, &p.d, 0);
    bus_release(f.env.mmio, &p.d, 0);
    assert_int_equal(fake_env_read(&f, UINT64_MAX, 1), 0xff);
}

static void an_access_across_an_edge_becomes_bytes(void **state)
{
    struct probe a, b;
    uint64_t v;

    (void)state;
    probe_init(&a);
    probe_init(&b);
    a.answer = 0xa1;
    b.answer = 0xb2;
    assert_int_equal(bus_claim(f.env.pio, 0x2000, 2, &a.d, 3), 0);
    assert_int_equal(bus_claim(f.env.pio, 0x2002, 1, &b.d, 4), 0);
    assert_int_equal(fake_env_in(&f, 0x2001, 4), 0xffffb2a1);
    assert_int_equal(a.off, 1);
    assert_int_equal(a.region, 3);
    assert_int_equal(fake_env_in(&f, 0x1fff, 2), 0xa1ff);
    fake_env_out(&f, 0x2001, 4, 0x44332211);
    assert_int_equal(a.val, 0x11);
    assert_int_equal(b.val, 0x22);

    assert_int_equal(bus_claim(f.env.mmio, 0xd0000000, 0x10, &a.d, 0), 0);
    assert_int_equal(fake_env_read(&f, 0xcffffffe, 4), 0xa1a1ffff);
    assert_int_equal(fake_env_read(&f, 0xd000000c, 8), 0xffffffffa1a1a1a1);
    assert_int_equal(a.size, 1);
    /* An odd size never reaches a model. */
    v = 0;
    a.calls = 0;
    assert_true(bus_access(f.env.mmio, 0xd0000000, 3, ACC_READ, &v));
    assert_int_equal(v, 0xa1a1a1);
    assert_int_equal(a.calls, 3);
    bus_release(f.env.pio, &a.d, 3);
    bus_release(f.env.pio, &b.d, 4);
    bus_release(f.env.mmio, &a.d, 0);
}

static void nobody_reads_ones_and_says_so(void **state)
{
    uint64_t v = 0;

    (void)state;
    assert_false(bus_access(f.env.pio, 0x9999, 2, ACC_READ, &v));
    assert_int_equal(v, 0xffff);
    assert_false(bus_access(f.env.mmio, 0xd0000000, 8, ACC_READ, &v));
    assert_true(v == UINT64_MAX);
    assert_false(bus_access(f.env.mmio, 0xd0000000, 4, ACC_WRITE, &v));
    assert_false(bus_access(f.env.mmio, 0xd0000000, 0, ACC_READ, &v));
    assert_false(bus_access(f.env.mmio, 0xd0000000, 9, ACC_READ, &v));
}

static void an_answer_is_cut_to_its_size(void **state)
{
    struct probe p;

    (void)state;
    probe_init(&p);
    p.answer = UINT64_MAX;
    assert_int_equal(bus_claim(f.env.mmio, 0xd0000000, 0x10, &p.d, 0), 0);
    assert_int_equal(fake_env_read(&f, 0xd0000000, 2), 0xffff);
    bus_release(f.env.mmio, &p.d, 0);
}

static void a_moved_claim_answers_only_at_its_new_place(void **state)
{
    struct probe p;

    (void)state;
    probe_init(&p);
    p.answer = 1;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t at = 0xd0000000 + i * UINT64_C(0x1000);

        assert_int_equal(bus_claim(f.env.mmio, at, 0x1000, &p.d, 0), 0);
        assert_int_equal(fake_env_read(&f, at + 8, 4), 1);
        bus_release(f.env.mmio, &p.d, 0);
        assert_int_equal(fake_env_read(&f, at + 8, 4), 0xffffffff);
    }
}

static void doorbells_follow_their_region(void **state)
{
    struct probe p;
    int fd = eventfd(0, EFD_NONBLOCK);
    uint64_t n;

    (void)state;
    probe_init(&p);
    fake_env_use_doorbells(&f);
    assert_int_equal(bus_doorbell(f.env.mmio, &p.d, 2, 0x10, 2, true, 7, fd), 0);
    assert_int_equal(bus_claim(f.env.mmio, 0xd0000000, 0x1000, &p.d, 2), 0);
    fake_env_write(&f, 0xd0000010, 2, 7);
    assert_int_equal(p.calls, 0);
    assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
    fake_env_write(&f, 0xd0000010, 2, 8);
    fake_env_write(&f, 0xd0000010, 4, 7);
    assert_int_equal(p.calls, 2);
    bus_release(f.env.mmio, &p.d, 2);
    fake_env_write(&f, 0xd0000010, 2, 7);
    assert_int_equal(p.calls, 2);
    assert_int_equal(bus_claim(f.env.mmio, 0xd1000000, 0x1000, &p.d, 2), 0);
    fake_env_write(&f, 0xd1000010, 2, 7);
    assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
    bus_doorbells_drop(f.env.mmio, &p.d);
    fake_env_write(&f, 0xd1000010, 2, 7);
    assert_int_equal(p.calls, 3);
    bus_release(f.env.mmio, &p.d, 2);
    close(fd);
}

static bool stop;

static void *reader(void *arg)
{
    struct probe *still = arg;
    uint64_t v;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        if (!bus_access(f.env.mmio, 0xd8000000, 4, ACC_READ, &v) || v != still->answer)
            return arg;
        bus_access(f.env.mmio, 0xd0000000, 4, ACC_READ, &v);
        if (!bus_access(f.env.pio, 0x5000, 1, ACC_READ, &v) || v != still->answer)
            return arg;
    }
    return NULL;
}

static void readers_never_miss_a_claim_that_stays(void **state)
{
    struct probe still, moving;
    pthread_t t;
    void *bad;

    (void)state;
    probe_init(&still);
    probe_init(&moving);
    still.answer = 0x77;
    moving.answer = 0x88;
    stop = false;
    assert_int_equal(bus_claim(f.env.mmio, 0xd8000000, 0x1000, &still.d, 0), 0);
    assert_int_equal(bus_claim(f.env.pio, 0x5000, 1, &still.d, 0), 0);
    assert_int_equal(pthread_create(&t, NULL, reader, &still), 0);
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(
            bus_claim(f.env.mmio, 0xd0000000 + (i % 7) * 0x1000u, 0x1000, &moving.d, 0), 0);
        assert_int_equal(bus_claim(f.env.pio, 0x4f00 + i % 7, 4, &moving.d, 0), 0);
        bus_release(f.env.mmio, &moving.d, 0);
        bus_release(f.env.pio, &moving.d, 0);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(t, &bad);
    assert_null(bad);
    bus_release(f.env.mmio, &still.d, 0);
    bus_release(f.env.pio, &still.d, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(overlaps_and_wraps_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_access_across_an_edge_becomes_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_reads_ones_and_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_is_cut_to_its_size, setup, teardown),
        cmocka_unit_test_setup_teardown(a_moved_claim_answers_only_at_its_new_place, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(doorbells_follow_their_region, setup, teardown),
        cmocka_unit_test_setup_teardown(readers_never_miss_a_claim_that_stays, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
