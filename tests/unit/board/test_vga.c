/* SPDX-License-Identifier: Apache-2.0 */
/* test_vga.c - modes as a VGA BIOS and drivers set them, and what is then seen. */
#include <errno.h>

#include "unit.h"

#include <stdlib.h>

#include "board/legacy/vga.h"
#include "board/legacy/vga_priv.h"
#include "console/hub.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "fakes/fake_pci.h"

enum { DEVFN = 2 << 3, TEXT = 0xb8000, GRAPHICS = 0xa0000 };

static struct fake_env f;
static struct hub *hub;
static uint64_t bar[6];

static int setup(void **state)
{
    struct err e;

    (void)state;
    fake_env_create(&f, 512 * KiB);
    assert_int_equal(hub_create(f.env.loop, &hub, &e), 0);
    assert_int_equal(vga_create(&f.env, hub, VGA_DARK, &e), 0);
    fake_pci_map(&f, DEVFN, bar);
    return 0;
}

/* As for a kernel that was made for machines with a BIOS. */
static int setup_text(void **state)
{
    struct err e;

    (void)state;
    fake_env_create(&f, 512 * KiB);
    assert_int_equal(hub_create(f.env.loop, &hub, &e), 0);
    assert_int_equal(vga_create(&f.env, hub, VGA_TEXT, &e), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_env_destroy(&f);
    hub_destroy(hub);
    return 0;
}

static void out(uint16_t port, uint8_t v)
{
    fake_env_out(&f, port, 1, v);
}

static void pair(uint16_t port, uint8_t at, uint8_t v)
{
    fake_env_out(&f, port, 2, (uint64_t)v << 8 | at);
}

static void attribute(uint8_t at, uint8_t v)
{
    (void)fake_env_in(&f, 0x3da, 1);
    out(0x3c0, at);
    out(0x3c0, v);
}

/* What all VGA modes share; the DAC's entry n has red n. */
static void mode(uint8_t h_end, uint16_t lines, uint8_t row_scan, uint8_t offset)
{
    uint8_t overflow = (uint8_t)(((lines - 1) >> 8 & 1) << 1 | ((lines - 1) >> 9 & 1) << 6);

    out(0x3c2, 0x67);
    out(0x3c8, 0);
    for (unsigned i = 0; i < 256; i++) {
        out(0x3c9, (uint8_t)(i & 63));
        out(0x3c9, 0);
        out(0x3c9, 0);
    }
    for (uint8_t i = 0; i < 16; i++)
        attribute(i, i);
    attribute(0x12, 0x0f);
    pair(0x3d4, 0x11, 0);
    pair(0x3d4, 0x01, h_end);
    pair(0x3d4, 0x07, overflow);
    pair(0x3d4, 0x09, row_scan);
    pair(0x3d4, 0x12, (uint8_t)(lines - 1));
    pair(0x3d4, 0x13, offset);
    pair(0x3d4, 0x17, 0xe3);
    pair(0x3ce, 8, 0xff);
    out(0x3c0, 0x20);
}

static void text_mode(void)
{
    mode(79, 400, 15, 40);
    pair(0x3c4, 1, 1);
    pair(0x3c4, 2, 3);
    pair(0x3c4, 4, 2);
    pair(0x3ce, 5, 0x10);
    pair(0x3ce, 6, 0x0e);
    pair(0x3d4, 0x0a, 0x20); /* no cursor */
}

/* As BIOSes load a font: plane 2 alone, at 0xa0000. */
static void glyph(uint8_t c, uint8_t bits)
{
    pair(0x3c4, 2, 4);
    pair(0x3c4, 4, 6);
    pair(0x3ce, 4, 2);
    pair(0x3ce, 5, 0);
    pair(0x3ce, 6, 4);
    for (unsigned i = 0; i < 16; i++)
        fake_env_write(&f, GRAPHICS + c * 32 + i, 1, bits);
    pair(0x3c4, 2, 3);
    pair(0x3c4, 4, 2);
    pair(0x3ce, 4, 0);
    pair(0x3ce, 5, 0x10);
    pair(0x3ce, 6, 0x0e);
}

static uint32_t pixel(const struct image *i, unsigned x, unsigned y)
{
    return i->pixels[y * i->width + x];
}

static uint32_t red(unsigned n)
{
    return (uint32_t)(n << 2 | n >> 4) << 16;
}

static void text_is_drawn_by_the_font_of_plane_two(void **state)
{
    struct image img;
    struct err e;

    (void)state;
    text_mode();
    fake_env_write(&f, TEXT, 2, 0x1e01); /* character 1, colour 14 on 1 */
    glyph(1, 0xf0);
    assert_int_equal(fake_env_read(&f, TEXT, 2), 0x1e01); /* survived the font */
    assert_int_equal(hub_image(hub, &img, &e), 0);
    assert_int_equal(img.width, 640);
    assert_int_equal(img.height, 400);
    assert_int_equal(pixel(&img, 0, 0), red(14));
    assert_int_equal(pixel(&img, 3, 15), red(14));
    assert_int_equal(pixel(&img, 4, 0), red(1));
    assert_int_equal(pixel(&img, 8, 0), 0);
    free(img.pixels);
}

static void a_text_screen_says_what_it_shows(void **state)
{
    struct err e;
    char *text;

    (void)state;
    text_mode();
    for (unsigned i = 0; i < 80 * 25; i++)
        fake_env_write(&f, TEXT + 2 * i, 2, i % 3 ? 0x0720 : 0x0700); /* blanks of both kinds */
    assert_int_equal(hub_text(hub, &text, &e), 0);
    assert_string_equal(text, "");
    free(text);
    fake_env_write(&f, TEXT + 2 * 2, 2, 0x07c9);         /* a corner of code page 437 */
    fake_env_write(&f, TEXT + 2 * 79, 2, 0x0781);        /* the last column */
    fake_env_write(&f, TEXT + 2 * 160, 2, 0x0741);       /* line 3 */
    fake_env_write(&f, TEXT + 2 * (160 + 1), 2, 0x070a); /* a picture, not the end of a line */
    assert_int_equal(hub_text(hub, &text, &e), 0);
    assert_memory_equal(text, "  \342\225\224", 5);
    assert_memory_equal(text + 5 + 76, "\303\274\n\nA\342\227\231\n", 10);
    free(text);
    pair(0x3ce, 6, 0x05); /* graphics */
    assert_int_equal(hub_text(hub, &text, &e), -ENOENT);
}

static void the_window_is_memory_in_text_modes(void **state)
{
    uint8_t b[4];

    (void)state;
    assert_true(gmem_read(f.env.mem, TEXT, b, 4) < 0);
    text_mode();
    assert_int_equal(gmem_read(f.env.mem, TEXT, b, 4), 0);
    assert_true(gmem_read(f.env.mem, GRAPHICS, b, 4) < 0);
    pci_bus_reset(f.env.pci);
    assert_true(gmem_read(f.env.mem, TEXT, b, 4) < 0);
}

static void kernels_without_firmware_find_text(void **state)
{
    uint32_t lit = 0, brown = 0;
    struct image img;
    struct err e;
    char *text;

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(fake_env_read(&f, TEXT, 2), 0x0720);
        assert_int_equal(fake_env_read(&f, TEXT + 2 * 1999, 2), 0x0720);
        fake_env_write(&f, TEXT, 2, 0x07db); /* all dots */
        fake_env_write(&f, TEXT + 2, 2, 0x0668);
        fake_env_write(&f, TEXT + 4, 2, 0x0669);
        assert_int_equal(hub_text(hub, &text, &e), 0);
        assert_string_equal(text, "\342\226\210hi\n");
        free(text);
        assert_int_equal(hub_image(hub, &img, &e), 0);
        assert_int_equal(img.width, 720);
        assert_int_equal(img.height, 400);
        for (unsigned i = 0; i < 16 * img.width; i++) {
            lit += img.pixels[i] == 0xaaaaaa;
            brown += img.pixels[i] == 0xaa5500;
        }
        free(img.pixels);
        pci_bus_reset(f.env.pci);
    }
    assert_true(brown > 2 * 20);
    assert_true(lit >= 2 * 9 * 16 && lit < 2 * 12 * 16); /* the cursor may hide in it */
}

static void planes_keep_their_logic(void **state)
{
    struct image img;
    struct err e;

    (void)state;
    mode(79, 480, 0, 40);
    pair(0x3c4, 2, 0x0f);
    pair(0x3c4, 4, 6);
    pair(0x3ce, 5, 2); /* write mode 2: a colour */
    pair(0x3ce, 6, 5);
    pair(0x3ce, 8, 0x80);
    (void)fake_env_read(&f, GRAPHICS, 1); /* fills the latches */
    fake_env_write(&f, GRAPHICS, 1, 0x0b);
    pair(0x3ce, 5, 0);
    pair(0x3ce, 1, 0x0f); /* set/reset */
    pair(0x3ce, 0, 0x04);
    pair(0x3ce, 8, 0x01);
    (void)fake_env_read(&f, GRAPHICS, 1);
    fake_env_write(&f, GRAPHICS, 1, 0);
    pair(0x3ce, 3, 0x18); /* exclusive or */
    pair(0x3ce, 8, 0x80);
    pair(0x3ce, 0, 0x01);
    (void)fake_env_read(&f, GRAPHICS, 1);
    fake_env_write(&f, GRAPHICS, 1, 0);
    assert_int_equal(hub_image(hub, &img, &e), 0);
    assert_int_equal(img.height, 480);
    assert_int_equal(pixel(&img, 0, 0), red(0x0a));
    assert_int_equal(pixel(&img, 7, 0), red(0x04));
    assert_int_equal(pixel(&img, 1, 0), 0);
    pair(0x3ce, 5, 8); /* read mode 1: who has colour 4? */
    pair(0x3ce, 2, 4);
    pair(0x3ce, 7, 0x0f);
    assert_int_equal(fake_env_read(&f, GRAPHICS, 1), 0x01);
    free(img.pixels);
}

static void mode_13h_is_linear(void **state)
{
    struct image img;
    struct err e;

    (void)state;
    mode(79, 400, 0x41, 40);
    pair(0x3c4, 2, 0x0f);
    pair(0x3c4, 4, 0x0e);
    pair(0x3ce, 5, 0x40);
    pair(0x3ce, 6, 5);
    fake_env_write(&f, GRAPHICS + 320 * 2 + 5, 1, 0x21);
    assert_int_equal(hub_image(hub, &img, &e), 0);
    assert_int_equal(img.width, 320);
    assert_int_equal(pixel(&img, 5, 4), red(0x21));
    assert_int_equal(pixel(&img, 5, 5), red(0x21));
    assert_int_equal(pixel(&img, 6, 4), 0);
    free(img.pixels);
}

static void dispi(uint16_t i, uint16_t v)
{
    fake_env_out(&f, 0x1ce, 2, i);
    fake_env_out(&f, 0x1cf, 2, v);
}

static void a_frame_buffer_is_shown_as_it_is(void **state)
{
    struct image img;
    struct err e;

    (void)state;
    fake_env_out(&f, 0x1ce, 2, VBE_DISPI_INDEX_ID);
    assert_int_equal(fake_env_in(&f, 0x1d0, 2), VBE_DISPI_ID5);
    dispi(VBE_DISPI_INDEX_XRES, 800);
    dispi(VBE_DISPI_INDEX_YRES, 600);
    dispi(VBE_DISPI_INDEX_BPP, 32);
    dispi(VBE_DISPI_INDEX_ENABLE, VBE_DISPI_ENABLED | 0x40);
    fake_env_write(&f, bar[0] + (800 * 10 + 7) * 4, 4, 0x123456);
    assert_int_equal(hub_image(hub, &img, &e), 0);
    assert_int_equal(img.width, 800);
    assert_int_equal(pixel(&img, 7, 10), 0x123456);
    free(img.pixels);
    dispi(VBE_DISPI_INDEX_BANK, 1); /* a bank of it, at the window */
    fake_env_write(&f, GRAPHICS + 4, 4, 0xabcdef);
    assert_int_equal(fake_env_read(&f, bar[0] + 0x10004, 4), 0xabcdef);
    fake_env_write(&f, bar[2] + 0x500 + 2 * VBE_DISPI_INDEX_YRES, 2, 400);
    assert_int_equal(hub_image(hub, &img, &e), 0);
    assert_int_equal(img.height, 400);
    free(img.pixels);
    dispi(VBE_DISPI_INDEX_ENABLE, 0);
    assert_true(hub_image(hub, &img, &e) < 0);
}

static void impossible_modes_are_cut(void **state)
{
    struct image img;
    struct err e;

    (void)state;
    dispi(VBE_DISPI_INDEX_XRES, 0xffff);
    dispi(VBE_DISPI_INDEX_YRES, 0xffff);
    dispi(VBE_DISPI_INDEX_BPP, 32);
    dispi(VBE_DISPI_INDEX_ENABLE, VBE_DISPI_ENABLED);
    dispi(VBE_DISPI_INDEX_VIRT_WIDTH, 0xffff);
    dispi(VBE_DISPI_INDEX_Y_OFFSET, 0xffff);
    if (hub_image(hub, &img, &e) == 0)
        free(img.pixels);
    dispi(VBE_DISPI_INDEX_Y_OFFSET, 0);
    dispi(VBE_DISPI_INDEX_XRES, 0);
    assert_int_equal(hub_image(hub, &img, &e), 0);
    assert_int_equal(img.width, 8);
    free(img.pixels);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text_is_drawn_by_the_font_of_plane_two),
        TEST(a_text_screen_says_what_it_shows),
        TEST(the_window_is_memory_in_text_modes),
        cmocka_unit_test_setup_teardown(kernels_without_firmware_find_text, setup_text, teardown),
        TEST(planes_keep_their_logic),
        TEST(mode_13h_is_linear),
        TEST(a_frame_buffer_is_shown_as_it_is),
        TEST(impossible_modes_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
