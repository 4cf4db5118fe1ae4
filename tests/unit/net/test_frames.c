/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of frames: order, wrap-around, growth, its limit, and frames that do not fit. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "net/frames.h"

static bool push(struct frames *f, unsigned n, size_t len)
{
    static uint8_t buf[NET_FRAME_MAX];
    struct net_meta m = {.gso_size = (uint16_t)n};
    struct iovec iov[2] = {{buf, len / 3}, {buf + len / 3, len - len / 3}};

    for (size_t i = 0; i < len; i++)
        buf[i] = (uint8_t)(n + i * 7);
    return frames_push(f, &m, iov, 2);
}

static void pop(struct frames *f, unsigned n, size_t len)
{
    static uint8_t buf[NET_FRAME_MAX];
    struct iovec iov[2] = {{buf, len / 2}, {buf + len / 2, sizeof(buf) - len / 2}};
    struct net_meta m;

    assert_int_equal(frames_pop(f, &m, iov, 2), len);
    assert_int_equal(m.gso_size, n);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(buf[i], (uint8_t)(n + i * 7));
}

static void frames_come_out_as_they_went_in(void **state)
{
    unsigned in = 0, out = 0;
    struct frames f;

    (void)state;
    srand(7);
    frames_init(&f, 1 << 20);
    for (int i = 0; i < 3000; i++) {
        if (rand() % 5 < 3 && in - out < 40) {
            assert_true(push(&f, in, 60 + in * 37 % 9000));
            in++;
        } else if (out < in) {
            pop(&f, out, 60 + out * 37 % 9000);
            out++;
        }
    }
    while (out < in) {
        pop(&f, out, 60 + out * 37 % 9000);
        out++;
    }
    assert_int_equal(f.count, 0);
    frames_free(&f);
}

static void a_full_queue_refuses_and_recovers(void **state)
{
    struct frames f;
    unsigned n = 0;

    (void)state;
    frames_init(&f, 65536);
    while (push(&f, n, 1514))
        n++;
    assert_in_range(n, 38, 43);
    pop(&f, 0, 1514);
    assert_true(push(&f, n, 1514));
    for (unsigned i = 1; i <= n; i++)
        pop(&f, i, 1514);
    frames_free(&f);
}

static void a_frame_too_long_for_the_reader_is_dropped(void **state)
{
    uint8_t small[100];
    struct iovec iov = {small, sizeof(small)};
    struct net_meta m;
    struct frames f;

    (void)state;
    frames_init(&f, 65536);
    assert_int_equal(frames_pop(&f, &m, &iov, 1), -EAGAIN);
    assert_true(push(&f, 1, 101));
    assert_true(push(&f, 2, 100));
    assert_int_equal(frames_pop(&f, &m, &iov, 1), -EMSGSIZE);
    assert_int_equal(frames_pop(&f, &m, &iov, 1), 100);
    assert_int_equal(m.gso_size, 2);
    assert_int_equal(frames_pop(&f, &m, &iov, 1), -EAGAIN);
    frames_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_as_they_went_in),
        cmocka_unit_test(a_full_queue_refuses_and_recovers),
        cmocka_unit_test(a_frame_too_long_for_the_reader_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
