/* SPDX-License-Identifier: Apache-2.0 */
/* SVGA II, driven as a guest driver does: modes, the FIFO, pointers, bad bounds. */
#include "unit.h"

#include <stdlib.h>

#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"
#include "personas/vmware/svga.h"

static struct fake_env f;
static struct hub *hub;
static uint64_t bar[6];
static uint32_t *fifo, *vram;

static void put(uint32_t reg, uint32_t v)
{
    fake_env_out(&f, bar[0] + SVGA_INDEX_PORT, 4, reg);
    fake_env_out(&f, bar[0] + SVGA_VALUE_PORT, 4, v);
}

static uint32_t get(uint32_t reg)
{
    fake_env_out(&f, bar[0] + SVGA_INDEX_PORT, 4, reg);
    return (uint32_t)fake_env_in(&f, bar[0] + SVGA_VALUE_PORT, 4);
}

static void fifo_bounds(uint32_t min, uint32_t max, uint32_t next, uint32_t stop)
{
    fifo[SVGA_FIFO_MIN] = min;
    fifo[SVGA_FIFO_MAX] = max;
    fifo[SVGA_FIFO_NEXT_CMD] = next;
    fifo[SVGA_FIFO_STOP] = stop;
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    fake_env_create(&f, MiB);
    assert_int_equal(hub_create(f.env.loop, &hub, &e), 0);
    assert_int_equal(svga_create(&f.env, hub, &e), 0);
    fake_pci_map(&f, 1 << 3, bar);
    if (!bar[0])
        fake_pci_map(&f, 0, bar);
    vram = gmem_shared(f.env.mem, bar[1], SVGA_VRAM);
    fifo = gmem_shared(f.env.mem, bar[2], SVGA_FIFO_BYTES);
    assert_non_null(vram);
    assert_non_null(fifo);
    fifo_bounds(4096, SVGA_FIFO_BYTES, 4096, 4096);
    put(SVGA_REG_WIDTH, 640);
    put(SVGA_REG_HEIGHT, 480);
    put(SVGA_REG_ENABLE, SVGA_REG_ENABLE_ENABLE);
    put(SVGA_REG_CONFIG_DONE, 1);
    fake_env_run(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_run(&f);
    fake_env_destroy(&f);
    hub_destroy(hub);
    return 0;
}

static void send(const uint32_t *words, unsigned n)
{
    uint32_t next = fifo[SVGA_FIFO_NEXT_CMD];

    for (unsigned i = 0; i < n; i++) {
        fifo[next / 4] = words[i];
        next = next + 4 == fifo[SVGA_FIFO_MAX] ? fifo[SVGA_FIFO_MIN] : next + 4;
    }
    fifo[SVGA_FIFO_NEXT_CMD] = next;
}

static uint32_t pixel(uint32_t x, uint32_t y)
{
    struct image img;
    struct err e;
    uint32_t p;

    assert_int_equal(hub_image(hub, &img, &e), 0);
    p = img.pixels[y * img.width + x];
    free(img.pixels);
    return p & 0xffffff;
}

static void a_driver_finds_its_version_and_memory(void **state)
{
    (void)state;
    put(SVGA_REG_ID, SVGA_ID_2 + 1);
    assert_int_equal(get(SVGA_REG_ID), SVGA_ID_2);
    put(SVGA_REG_ID, SVGA_ID_0);
    assert_int_equal(get(SVGA_REG_ID), SVGA_ID_0);
    assert_int_equal(get(SVGA_REG_FB_START), bar[1]);
    assert_int_equal(get(SVGA_REG_MEM_START), bar[2]);
    assert_int_equal(get(SVGA_REG_BYTES_PER_LINE), 640 * 4);
    assert_true(get(SVGA_REG_CAPABILITIES) & SVGA_CAP_PITCHLOCK);
    put(SVGA_REG_WIDTH, 100000);
    assert_int_equal(get(SVGA_REG_WIDTH), 640);
    put(SVGA_REG_BITS_PER_PIXEL, 16);
    assert_int_equal(get(SVGA_REG_DEPTH), 16);
    assert_int_equal(get(SVGA_REG_GREEN_MASK), 0x7e0);
    assert_int_equal(get(4000), 0);
}

static void what_is_drawn_is_seen_while_it_is_on(void **state)
{
    uint32_t w, h;

    (void)state;
    vram[5 * 640 + 7] = 0x123456;
    assert_int_equal(pixel(7, 5), 0x123456);
    assert_true(hub_size(hub, &w, &h));
    assert_int_equal(w, 640);
    put(SVGA_REG_PITCHLOCK, 4096);
    vram[5 * 1024 + 8] = 0x654321;
    assert_int_equal(pixel(8, 5), 0x654321);
    put(SVGA_REG_ENABLE, 0);
    fake_env_run(&f);
    assert_false(hub_size(hub, &w, &h));
}

static void commands_are_done_across_the_fifos_end(void **state)
{
    static const uint32_t copy[] = {SVGA_CMD_RECT_COPY, 10, 10, 11, 11, 4, 4};
    static const uint32_t fence[] = {SVGA_CMD_UPDATE, 0, 0, 640, 480, SVGA_CMD_FENCE, 77};
    static const uint32_t beyond[] = {SVGA_CMD_RECT_COPY, 10, 10, 639, 11, 4, 4};

    (void)state;
    fifo_bounds(4096, 4096 + 32, 4096 + 16, 4096 + 16);
    for (unsigned i = 0; i < 4; i++)
        vram[(10 + i) * 640 + 10 + i] = 100 + i;
    send(copy, 7);
    put(SVGA_REG_SYNC, 1);
    assert_int_equal(fifo[SVGA_FIFO_STOP], fifo[SVGA_FIFO_NEXT_CMD]);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(vram[(11 + i) * 640 + 11 + i], 100 + i);
    send(fence, 7);
    assert_int_equal(get(SVGA_REG_BUSY), 0);
    assert_int_equal(fifo[SVGA_FIFO_FENCE], 77);
    send(beyond, 7);
    put(SVGA_REG_SYNC, 1);
    assert_int_equal(fifo[SVGA_FIFO_STOP], fifo[SVGA_FIFO_NEXT_CMD]);
}

/* Hundreds of copies of a whole screen take seconds: others come in between. */
static void long_work_is_done_in_turns(void **state)
{
    static const uint32_t copy[] = {SVGA_CMD_RECT_COPY, 0, 0, 0, 0, 1600, 1200};
    static const uint32_t fence[] = {SVGA_CMD_FENCE, 3};
    unsigned looks = 1;

    (void)state;
    put(SVGA_REG_WIDTH, 1600);
    put(SVGA_REG_HEIGHT, 1200);
    for (unsigned i = 0; i < 50; i++)
        send(copy, 7);
    send(fence, 2);
    put(SVGA_REG_SYNC, 1);
    assert_int_equal(fifo[SVGA_FIFO_FENCE], 0);
    assert_int_equal(fifo[SVGA_FIFO_BUSY], 1);
    while (get(SVGA_REG_BUSY))
        looks++;
    assert_in_range(looks, 5, 50);
    assert_int_equal(fifo[SVGA_FIFO_FENCE], 3);
    assert_int_equal(fifo[SVGA_FIFO_BUSY], 0);
    for (unsigned i = 0; i < 50; i++)
        send(copy, 7);
    put(SVGA_REG_SYNC, 1);
    fake_env_run(&f); /* the loop goes on without the guest */
    assert_int_equal(fifo[SVGA_FIFO_STOP], fifo[SVGA_FIFO_NEXT_CMD]);
}

static void half_a_command_waits_for_its_rest(void **state)
{
    static const uint32_t fence[] = {SVGA_CMD_FENCE, 5};

    (void)state;
    send(fence, 1);
    put(SVGA_REG_SYNC, 1);
    assert_int_equal(fifo[SVGA_FIFO_STOP], 4096);
    send(fence + 1, 1);
    put(SVGA_REG_SYNC, 1);
    assert_int_equal(fifo[SVGA_FIFO_FENCE], 5);
}

static void the_pointer_lies_over_the_picture(void **state)
{
    uint32_t alpha[6 + 4] = {SVGA_CMD_DEFINE_ALPHA_CURSOR, 0, 1, 1, 2, 2};
    uint32_t plain[8 + 4] = {SVGA_CMD_DEFINE_CURSOR, 0, 0, 0, 2, 2, 1, 1};

    (void)state;
    vram[100 * 640 + 100] = 0x808080;
    alpha[6] = 0xff0000ff;
    alpha[9] = 0x80400000;
    send(alpha, 10);
    put(SVGA_REG_SYNC, 1);
    put(SVGA_REG_CURSOR_X, 100);
    put(SVGA_REG_CURSOR_Y, 100);
    put(SVGA_REG_CURSOR_ON, 1);
    assert_int_equal(pixel(99, 99), 0x0000ff);
    assert_int_equal(pixel(100, 100), 0x7f3f3f);
    put(SVGA_REG_CURSOR_X, 0); /* partly beyond the edge */
    assert_int_equal(pixel(0, 99), 0);
    plain[8] = 0x40; /* AND: a line is a word, its first pixel is bit 7 */
    plain[9] = 0xc0;
    plain[10] = 0x80; /* XOR */
    send(plain, 12);
    put(SVGA_REG_SYNC, 1);
    put(SVGA_REG_CURSOR_X, 20);
    vram[100 * 640 + 20] = vram[100 * 640 + 21] = 0x111111;
    assert_int_equal(pixel(20, 100), 0xffffff);
    assert_int_equal(pixel(21, 100), 0x111111);
}

static void nonsense_in_the_fifo_is_dropped(void **state)
{
    static const uint32_t unknown[] = {12345, 1, 2};
    static const uint32_t large[] = {SVGA_CMD_DEFINE_ALPHA_CURSOR, 0, 0, 0, 65536, 65537};
    static const uint32_t fence[] = {SVGA_CMD_FENCE, 9};

    (void)state;
    send(unknown, 3);
    put(SVGA_REG_SYNC, 1);
    assert_int_equal(fifo[SVGA_FIFO_STOP], fifo[SVGA_FIFO_NEXT_CMD]);
    send(large, 6);
    put(SVGA_REG_SYNC, 1);
    assert_int_equal(fifo[SVGA_FIFO_STOP], fifo[SVGA_FIFO_NEXT_CMD]);
    fifo_bounds(0, 0xffffffff, 0x80000000, 4);
    put(SVGA_REG_SYNC, 1);
    fifo_bounds(4097, 8193, 4097, 4097);
    put(SVGA_REG_SYNC, 1);
    fifo_bounds(4096, 8192, 4096, 4096);
    send(fence, 2);
    put(SVGA_REG_SYNC, 1);
    assert_int_equal(fifo[SVGA_FIFO_FENCE], 9);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_driver_finds_its_version_and_memory),  T(what_is_drawn_is_seen_while_it_is_on),
        T(commands_are_done_across_the_fifos_end), T(long_work_is_done_in_turns),
        T(half_a_command_waits_for_its_rest),      T(the_pointer_lies_over_the_picture),
        T(nonsense_in_the_fifo_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
