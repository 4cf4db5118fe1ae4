/* SPDX-License-Identifier: Apache-2.0 */
/* Screens, keyboards and pointers: what viewers see and what guests get. */
#include "unit.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "console/hub.h"
#include "core/err.h"
#include "core/loop.h"

static struct loop *loop;
static struct hub *hub;
static struct surface shown;
static bool lit;

static bool give(struct screen *s, struct surface *out)
{
    (void)s;
    *out = shown;
    return lit;
}

static struct screen screen = {.name = "test", .surface = give};

static int setup(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(loop_create_fake(&loop, &e), 0);
    assert_int_equal(hub_create(loop, &hub, &e), 0);
    hub_screen(hub, &screen);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hub_destroy(hub);
    loop_destroy(loop);
    return 0;
}

static void pictures_are_converted(void **state)
{
    static const uint8_t px565[] = {0x00, 0xf8, 0xe0, 0x07, 0x1f, 0x00, 0xff, 0xff};
    struct image img;
    struct err e = {0};

    (void)state;
    lit = false;
    assert_int_equal(hub_image(hub, &img, &e), -ENOENT);
    lit = true;
    shown = (struct surface){px565, sizeof(px565), 2, 2, 4, PIXEL_RGB565, NULL};
    assert_int_equal(hub_image(hub, &img, &e), 0);
    assert_int_equal(img.pixels[0], 0xff0000);
    assert_int_equal(img.pixels[1], 0x00ff00);
    assert_int_equal(img.pixels[2], 0x0000ff);
    assert_int_equal(img.pixels[3], 0xffffff);
    free(img.pixels);
}

static void nonsense_from_the_guest_is_dark(void **state)
{
    static const uint8_t px[64];
    static const struct surface bad[] = {
        {px, 64, 0, 4, 16, PIXEL_XRGB8888, NULL},
        {px, 64, 4, 5, 16, PIXEL_XRGB8888, NULL},
        {px, 64, 5, 1, 16, PIXEL_XRGB8888, NULL},
        {px, 64, 0xffffffff, 0xffffffff, 0xffffffff, PIXEL_XRGB8888, NULL},
        {px, 64, 8, 8, 8, PIXEL_PAL8, NULL},
        {NULL, 64, 4, 4, 16, PIXEL_XRGB8888, NULL},
    };
    struct image img;
    struct err e;

    (void)state;
    lit = true;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        shown = bad[i];
        assert_int_equal(hub_image(hub, &img, &e), -ENOENT);
    }
}

static void png_is_written_whole(void **state)
{
    static uint32_t px[6] = {0xff0000, 0xff00, 0xff, 0, 0xffffff, 0x123456};
    struct image img = {3, 2, px};
    char path[] = "/tmp/hospes-hub-XXXXXX";
    uint8_t head[8];
    struct err e;
    FILE *f;
    int fd = mkstemp(path);

    (void)state;
    close(fd);
    assert_int_equal(image_png(&img, path, &e), 0);
    f = fopen(path, "rb");
    assert_int_equal(fread(head, 1, 8, f), 8);
    fclose(f);
    assert_memory_equal(head, "\x89PNG\r\n\x1a\n", 8);
    unlink(path);
    assert_int_equal(image_png(&img, "/nonexistent/x.png", &e), -ENOENT);
}

static unsigned codes[64], keys, full;

static bool take(struct keyboard *k, unsigned code, bool down)
{
    (void)k;
    if (full) {
        full--;
        return false;
    }
    codes[keys++] = code | (down ? 0x1000 : 0);
    return true;
}

static void typing_waits_for_the_guest(void **state)
{
    static const unsigned want[] = {0x1000 | KEY_LEFTSHIFT, 0x1000 | KEY_H, KEY_H,
                                    KEY_LEFTSHIFT,          0x1000 | KEY_I, KEY_I,
                                    0x1000 | KEY_ENTER,     KEY_ENTER};
    struct keyboard k = {.name = "test", .key = take};
    struct err e;

    (void)state;
    assert_int_equal(hub_type(hub, "x", NULL, NULL, &e), -ENOENT);
    hub_keyboard(hub, &k);
    assert_int_equal(hub_type(hub, "\x80", NULL, NULL, &e), -EINVAL);
    keys = 0;
    full = 3;
    assert_int_equal(hub_type(hub, "Hi\n", NULL, NULL, &e), 0);
    assert_int_equal(hub_type(hub, "x", NULL, NULL, &e), -EBUSY);
    for (int i = 0; i < 20; i++) {
        assert_true(loop_step(loop, 0) >= 0);
        loop_advance(loop, 100000000);
    }
    assert_int_equal(keys, ARRAY_SIZE(want));
    assert_memory_equal(codes, want, sizeof(want));
    hub_keyboard_gone(hub, &k);
}

static void scan_codes(void **state)
{
    uint8_t b[8];
    bool shift;

    (void)state;
    assert_int_equal(key_set1(KEY_A, true, b), 1);
    assert_int_equal(b[0], 0x1e);
    assert_int_equal(key_set2(KEY_A, false, b), 2);
    assert_int_equal(b[1], 0x1c);
    assert_int_equal(key_set2(KEY_UP, false, b), 3);
    assert_memory_equal(b, "\xe0\xf0\x75", 3);
    assert_int_equal(key_set1(KEY_F12, true, b), 1);
    assert_int_equal(b[0], 0x58);
    assert_int_equal(key_set1(0x2ff, true, b), 0);
    for (char c = ' '; c < 127; c++)
        assert_true(key_ascii(c, &shift) > 0);
    assert_int_equal(key_ascii('\x7f', &shift), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(pictures_are_converted),
        T(nonsense_from_the_guest_is_dark),
        T(png_is_written_whole),
        T(typing_waits_for_the_guest),
        T(scan_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
