/* SPDX-License-Identifier: Apache-2.0 */
/* Entropy, console and balloon under a scripted guest. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "abi/virtio_balloon.h"
#include "abi/virtio_console.h"
#include "core/err.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "fake_console.h"
#include "personas/kvm/balloon.h"
#include "personas/kvm/devices.h"
#include "virtio/guest.h"

#define ALL UINT64_MAX
#define SPLIT (~(VIRTIO_F_RING_PACKED))

static const struct virtio_options options = {.packed = true, .indirect = true, .devfn = -1};

/* --- entropy --- */

static void entropy_fills_what_is_asked_for(void **state)
{
    struct guest g;
    struct err e;
    uint8_t bytes[64] = {0};
    unsigned zeroes = 0;
    uint32_t len;
    uint16_t id;

    for (int legacy = 0; legacy < 2; legacy++) {
        guest_open(&g);
        assert_int_equal(rng_create(&g.f.env, &options, &e), 0);
        guest_find(&g, true);
        guest_start(&g, legacy, legacy ? 0 : ALL, 1);
        guest_add(&g, 0, (struct guest_buf[]){{0x1000, 40, true}, {0x2000, 24, true}}, 2, false);
        guest_kick(&g, 0);
        assert_true(guest_used(&g, 0, &id, &len));
        assert_int_equal(len, 64);
        assert_int_equal(gmem_read(g.f.env.mem, 0x1000, bytes, 40), 0);
        assert_int_equal(gmem_read(g.f.env.mem, 0x2000, bytes + 40, 24), 0);
        for (unsigned i = 0; i < 64; i++)
            zeroes += bytes[i] == 0;
        assert_true(zeroes < 16);
        /* Nothing to write to, and far too much. */
        guest_add(&g, 0, (struct guest_buf[]){{0x1000, 40, false}}, 1, false);
        guest_add(&g, 0, (struct guest_buf[]){{0x200000, 1 << 20, true}}, 1, false);
        guest_kick(&g, 0);
        assert_true(guest_used(&g, 0, &id, &len));
        assert_int_equal(len, 0);
        assert_true(guest_used(&g, 0, &id, &len));
        assert_int_equal(len, 4096);
        guest_close(&g);
    }
}

static void a_flood_of_requests_is_served_in_turns(void **state)
{
    struct guest g;
    struct err e;
    uint32_t len;
    uint16_t id;
    unsigned n = 0;

    guest_open(&g);
    assert_int_equal(rng_create(&g.f.env, &options, &e), 0);
    guest_find(&g, true);
    guest_start(&g, false, SPLIT, 1);
    for (unsigned i = 0; i < 60; i++)
        guest_add(&g, 0, (struct guest_buf[]){{0x1000, 16, true}}, 1, false);
    guest_kick(&g, 0);
    while (guest_used(&g, 0, &id, &len))
        n++;
    assert_true(n < 60); /* the vCPU was let go */
    fake_env_run(&g.f);
    while (guest_used(&g, 0, &id, &len))
        n++;
    assert_int_equal(n, 60);
    guest_close(&g);
}

/* --- console --- */

static bool console_closed;

static void note_close(struct console *n)
{
    console_closed = true;
}

static void text_passes_both_ways(void **state)
{
    struct fake_console c;
    struct console_ops ops;
    struct guest g;
    struct err e;
    uint32_t len;
    uint16_t id;
    char got[8] = {0};

    guest_open(&g);
    fake_console_init(&c);
    ops = *c.n.ops;
    ops.close = note_close;
    c.n.ops = &ops;
    console_closed = false;
    assert_int_equal(hvc_create(&g.f.env, &options, &c.n, &e), 0);
    guest_find(&g, true);
    fake_console_type(&c, "early"); /* before there is a driver */
    guest_start(&g, false, ALL, 2);
    assert_int_equal(gmem_write(g.f.env.mem, 0x3000, "hello", 5), 0);
    guest_add(&g, 1, (struct guest_buf[]){{0x3000, 3, false}, {0x3003, 2, false}}, 2, false);
    guest_kick(&g, 1);
    fake_env_run(&g.f);
    assert_true(guest_used(&g, 1, &id, &len));
    assert_string_equal(c.out, "hello");
    guest_add(&g, 0, (struct guest_buf[]){{0x4000, 3, true}}, 1, false);
    guest_kick(&g, 0);
    fake_env_run(&g.f);
    assert_true(guest_used(&g, 0, &id, &len));
    assert_int_equal(len, 3);
    guest_add(&g, 0, (struct guest_buf[]){{0x4003, 3, true}}, 1, false);
    guest_kick(&g, 0);
    fake_env_run(&g.f);
    assert_true(guest_used(&g, 0, &id, &len));
    assert_int_equal(len, 2);
    assert_int_equal(gmem_read(g.f.env.mem, 0x4000, got, 5), 0);
    assert_string_equal(got, "early");
    fake_env_write(&g.f, g.bar[4] + 0x100 + 8, 4, '!');
    assert_string_equal(c.out, "hello!");
    guest_close(&g);
    assert_true(console_closed);
}

static size_t written;

static void count_bytes(struct console *n, const uint8_t *p, size_t len)
{
    (void)n;
    (void)p;
    written += len;
}

/* One buffer may hold 4 GiB, by naming the same page again and again. */
static void long_text_is_written_in_turns(void **state)
{
    struct guest_buf buf[100];
    struct fake_console c;
    struct console_ops ops;
    struct guest g;
    struct err e;
    uint32_t len;
    uint16_t id;

    (void)state;
    guest_open(&g);
    fake_console_init(&c);
    ops = *c.n.ops;
    ops.write = count_bytes;
    c.n.ops = &ops;
    assert_int_equal(hvc_create(&g.f.env, &options, &c.n, &e), 0);
    guest_find(&g, true);
    for (unsigned round = 0; round < 2; round++) {
        guest_start(&g, false, SPLIT, 2);
        written = 0;
        for (unsigned i = 0; i < 100; i++)
            buf[i] = (struct guest_buf){0x3000, 4096, false};
        guest_add(&g, 1, buf, 100, false);
        guest_kick(&g, 1);
        (void)loop_step(g.f.env.loop, 0);
        assert_in_range(written, 1, 64 << 10);
        assert_false(guest_used(&g, 1, &id, &len));
        if (round == 0)
            continue; /* a reset in the middle */
        fake_env_run(&g.f);
        assert_int_equal(written, 100 * 4096);
        assert_true(guest_used(&g, 1, &id, &len));
    }
    guest_close(&g);
}

/* --- balloon --- */

static char event_text[128];

static void note_event(void *arg, enum machine_event what, const char *text)
{
    assert_int_equal(what, MACHINE_ASK_DONE);
    snprintf(event_text, sizeof(event_text), "%s", text);
}

static struct balloon *open_balloon(struct guest *g)
{
    struct persona_env p = {.event = note_event};
    struct balloon *b;
    struct err e;

    guest_open(g);
    event_text[0] = 0;
    assert_int_equal(balloon_create(&g->f.env, &options, &p, &b, &e), 0);
    guest_find(g, true);
    return b;
}

static void send_pfns(struct guest *g, const uint32_t *pfn, unsigned n)
{
    uint32_t len;
    uint16_t id;

    assert_int_equal(gmem_write(g->f.env.mem, 0x1000, pfn, 4 * n), 0);
    guest_add(g, 0, (struct guest_buf[]){{0x1000, 4 * n, false}}, 1, false);
    guest_kick(g, 0);
    fake_env_run(&g->f);
    assert_true(guest_used(g, 0, &id, &len));
}

static void inflating_gives_pages_back(void **state)
{
    static const uint32_t up[] = {0x300, 0x301, 0x302}, down[] = {0x311, 0x310, 0x30f},
                          bad[] = {0x400, UINT32_MAX, 0x320};
    struct guest g;

    open_balloon(&g);
    guest_start(&g, false, SPLIT, 2);
    assert_int_equal(gmem_fill(g.f.env.mem, 0x2ff000, 0xaa, 0x30000), 0);
    send_pfns(&g, up, 3);
    assert_int_equal(guest_peek(&g, 0x2fffff, 1), 0xaa);
    assert_int_equal(guest_peek(&g, 0x300000, 8), 0);
    assert_int_equal(guest_peek(&g, 0x302ff8, 8), 0);
    assert_int_equal(guest_peek(&g, 0x303000, 1), 0xaa);
    send_pfns(&g, down, 3);
    assert_int_equal(guest_peek(&g, 0x30efff, 1), 0xaa);
    assert_int_equal(guest_peek(&g, 0x30f000, 8), 0);
    assert_int_equal(guest_peek(&g, 0x311ff8, 8), 0);
    assert_int_equal(guest_peek(&g, 0x312000, 1), 0xaa);
    send_pfns(&g, bad, 3); /* pages that are not there are passed over */
    assert_int_equal(guest_peek(&g, 0x320000, 8), 0);
    assert_true(guest_status(&g) & VIRTIO_STATUS_DRIVER_OK);
    guest_close(&g);
}

static void one_buffer_gives_so_many_pages_and_no_more(void **state)
{
    static uint32_t pfn[40000];
    const uint32_t one = 0x310;
    struct guest g;

    (void)state;
    open_balloon(&g);
    guest_start(&g, false, SPLIT, 2);
    assert_int_equal(gmem_fill(g.f.env.mem, 0x300000, 0xaa, 0x20000), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(pfn); i++)
        pfn[i] = i + 1 < ARRAY_SIZE(pfn) ? 0x300 : one;
    assert_int_equal(gmem_write(g.f.env.mem, 0x100000, pfn, sizeof(pfn)), 0);
    guest_add(&g, 0, (struct guest_buf[]){{0x100000, sizeof(pfn), false}}, 1, false);
    guest_kick(&g, 0);
    fake_env_run(&g.f);
    assert_int_equal(guest_peek(&g, 0x300000, 1), 0);
    assert_int_equal(guest_peek(&g, 0x310000, 1), 0xaa);
    g.q[0].used++;
    send_pfns(&g, &one, 1);
    assert_int_equal(guest_peek(&g, 0x310000, 1), 0);
    guest_close(&g);
}

static void report(struct guest *g, unsigned q, gpa_t at, uint32_t n)
{
    uint32_t len;
    uint16_t id;

    guest_add(g, q, (struct guest_buf[]){{at, n, true}}, 1, false);
    guest_kick(g, q);
    fake_env_run(&g->f);
    assert_true(guest_used(g, q, &id, &len));
}

static void free_pages_are_given_back_unless_poisoned(void **state)
{
    struct guest g;

    open_balloon(&g);
    guest_start(&g, false, SPLIT & ~VIRTIO_BALLOON_F_STATS_VQ, 3);
    assert_int_equal(gmem_fill(g.f.env.mem, 0x200000, 0xaa, 0x10000), 0);
    report(&g, 2, 0x201000, 0x2000);
    assert_int_equal(guest_peek(&g, 0x200fff, 1), 0xaa);
    assert_int_equal(guest_peek(&g, 0x201000, 8), 0);
    assert_int_equal(guest_peek(&g, 0x203000, 1), 0xaa);
    report(&g, 2, 0x204100, 0x1f00); /* whole pages only */
    assert_int_equal(guest_peek(&g, 0x204fff, 1), 0xaa);
    assert_int_equal(guest_peek(&g, 0x205000, 8), 0);
    fake_env_write(&g.f, g.bar[4] + 0x100 + 12, 4, 0xaaaaaaaa);
    report(&g, 2, 0x207000, 0x1000);
    assert_int_equal(guest_peek(&g, 0x207000, 1), 0xaa);
    guest_close(&g);
}

static void the_host_asks_and_hears_the_answer(void **state)
{
    struct err e = {0};
    struct balloon *b;
    struct guest g;

    b = open_balloon(&g);
    assert_int_equal(balloon_ask(b, MiB, &e), -ENOTSUP);
    guest_start(&g, false, SPLIT, 2);
    assert_int_equal(balloon_ask(b, GiB, &e), -EINVAL);
    assert_int_equal(balloon_ask(b, 3 * MiB, &e), 0);
    assert_int_equal(guest_config(&g, 0, 4), 256);
    fake_env_write(&g.f, g.bar[4] + 0x100 + 4, 4, 255);
    assert_string_equal(event_text, "");
    fake_env_write(&g.f, g.bar[4] + 0x100 + 4, 4, 256);
    assert_string_not_equal(event_text, "");
    fake_env_write(&g.f, g.bar[4] + 0x100, 4, 7); /* num_pages is not the driver's */
    assert_int_equal(guest_config(&g, 0, 4), 256);
    guest_close(&g);
}

static char facts[2048];

static void add_fact(struct dump *out, const char *key, const char *value)
{
    size_t used = strlen(facts);

    snprintf(facts + used, sizeof(facts) - used, "%s=%s;", key, value);
}

static void statistics_are_read_and_asked_for_again(void **state)
{
    struct dump out = {add_fact};
    struct guest g;
    uint32_t len;
    uint16_t id;

    open_balloon(&g);
    guest_start(&g, false, SPLIT, 3);
    guest_poke(&g, 0x1000, 2, VIRTIO_BALLOON_S_MEMFREE);
    guest_poke(&g, 0x1002, 8, 12345);
    guest_poke(&g, 0x100a, 2, 999); /* a tag nobody knows */
    guest_poke(&g, 0x100c, 8, 1);
    guest_add(&g, 2, (struct guest_buf[]){{0x1000, 25, false}}, 1, false);
    guest_kick(&g, 2);
    fake_env_run(&g.f);
    assert_false(guest_used(&g, 2, &id, &len)); /* held */
    facts[0] = 0;
    device_describe(&pci_at(g.f.env.pci, g.devfn)->dev, &out);
    assert_non_null(strstr(facts, "free memory=12345;"));
    assert_non_null(strstr(facts, "queue 0=128 entries, split, 0 in flight, doorbell "));
    assert_non_null(strstr(facts, "queue 2=128 entries, split, 1 in flight, doorbell "));
    assert_true(guest_used(&g, 2, &id, &len));
    guest_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entropy_fills_what_is_asked_for),
        cmocka_unit_test(a_flood_of_requests_is_served_in_turns),
        cmocka_unit_test(text_passes_both_ways),
        cmocka_unit_test(long_text_is_written_in_turns),
        cmocka_unit_test(inflating_gives_pages_back),
        cmocka_unit_test(one_buffer_gives_so_many_pages_and_no_more),
        cmocka_unit_test(free_pages_are_given_back_unless_poisoned),
        cmocka_unit_test(the_host_asks_and_hears_the_answer),
        cmocka_unit_test(statistics_are_read_and_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
