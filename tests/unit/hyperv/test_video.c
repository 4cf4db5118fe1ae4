/* SPDX-License-Identifier: Apache-2.0 */
/* Synthetic video: a guest that draws, and one that asks for nonsense. */
#include "unit.h"

#include <stdlib.h>

#include "abi/hvvideo.h"
#include "console/hub.h"
#include "core/err.h"
#include "core/gmem.h"
#include "hyperv/hvguest.h"
#include "personas/hyperv/video.h"

#define WINDOW UINT64_C(0x10000000)
#define WINDOW_SIZE (UINT64_C(256) << 20)

static struct hvguest g;
static struct hub *hub;
static struct video *video;
static struct hv_packet p;
static uint32_t relid;

static int setup(void **state)
{
    struct hv_offer offer[2];
    struct err e = {0};

    hv_create(&g, VERSION_COPPER);
    assert_int_equal(hub_create(g.f.env.loop, &hub, &e), 0);
    assert_int_equal(video_create(g.bus, hub, WINDOW, WINDOW_SIZE, &video, &e), 0);
    assert_true(hv_contact(&g, VERSION_WIN10_V5_3));
    assert_int_equal(hv_offers(&g, offer, 2), 1);
    assert_int_equal(offer[0].flags, VMBUS_CHANNEL_NAMED_PIPE_MODE);
    relid = offer[0].relid;
    assert_int_equal(hv_open(&g, relid, 0), 0);
    return 0;
}

static int teardown(void **state)
{
    video_destroy(video);
    hub_destroy(hub);
    hv_destroy(&g);
    return 0;
}

/* The next message of this type. */
static const uint8_t *hear(unsigned type, size_t n)
{
    assert_true(hv_get(&g, relid, &p));
    assert_int_equal(le32_at(p.data + 8), type);
    assert_int_equal(le32_at(p.data + 12), n - 8);
    assert_int_equal(le32_at(p.data + 4), n);
    return p.data + 8;
}

static void agree(void)
{
    uint8_t m[12];

    le32_put(m + 8, SYNTHVID_VERSION(3, 5));
    hv_say(&g, relid, SYNTHVID_VERSION_REQUEST, m, sizeof(m));
    assert_int_equal(hear(SYNTHVID_VERSION_RESPONSE, 14)[12], SYNTHVID_ACCEPTED_WITH_EXCHANGE);
}

static void locate(uint64_t at)
{
    struct synthvid_vram_location m = {
        .user_ctx = le64_of(at), .is_vram_gpa_specified = 1, .vram_gpa = le64_of(at)};

    hv_say(&g, relid, SYNTHVID_VRAM_LOCATION, &m, sizeof(m));
}

static void show(uint32_t offset, uint32_t width, uint32_t height, uint32_t pitch, unsigned depth)
{
    struct synthvid_situation_update m = {
        .user_ctx = le64_of(7),
        .video_output_count = 1,
        .active = 1,
        .vram_offset = le32_of(offset),
        .depth_bits = (uint8_t)depth,
        .width_pixels = le32_of(width),
        .height_pixels = le32_of(height),
        .pitch_bytes = le32_of(pitch),
    };

    hv_say(&g, relid, SYNTHVID_SITUATION_UPDATE, &m, sizeof(m));
    assert_int_equal(le64_at(hear(SYNTHVID_SITUATION_UPDATE_ACK, 16) + 8), 7);
    hear(SYNTHVID_FEATURE_CHANGE, 12);
}

static void a_picture_is_seen(void **state)
{
    static const uint32_t pixel = 0x00123456;
    struct image img;
    struct err e = {0};

    agree();
    assert_int_equal(hub_image(hub, &img, &e), -2);
    locate(WINDOW + 0x100000);
    assert_int_equal(le64_at(hear(SYNTHVID_VRAM_LOCATION_ACK, 16) + 8), WINDOW + 0x100000);
    show(4096, 64, 48, 256, 32);
    assert_int_equal(
        gmem_write(g.f.env.mem, WINDOW + 0x100000 + 4096 + 47 * 256 + 63 * 4, &pixel, 4), 0);
    assert_int_equal(hub_image(hub, &img, &e), 0);
    assert_int_equal(img.width, 64);
    assert_int_equal(img.pixels[47 * 64 + 63], pixel);
    free(img.pixels);
    hv_close(&g, relid);
    assert_int_equal(hub_image(hub, &img, &e), -2);
    assert_int_equal(gmem_write(g.f.env.mem, WINDOW + 0x100000, &pixel, 4), -14);
}

static void resolutions_are_told(void **state)
{
    uint8_t m[9] = {0};
    const uint8_t *r;

    agree();
    m[8] = 64;
    hv_say(&g, relid, SYNTHVID_RESOLUTION_REQUEST, m, sizeof(m));
    r = hear(SYNTHVID_RESOLUTION_RESPONSE, sizeof(struct synthvid_resolution_resp));
    assert_true(r[8 + 128] > 4);
    assert_in_range(r[8 + 129], 0, r[8 + 128] - 1);
    assert_int_equal(le16_at(r + 8 + 131 + 4 * r[8 + 129]), 1280);
    m[8] = 1;
    hv_say(&g, relid, SYNTHVID_RESOLUTION_REQUEST, m, sizeof(m));
    r = hear(SYNTHVID_RESOLUTION_RESPONSE, sizeof(struct synthvid_resolution_resp));
    assert_int_equal(r[8 + 128], 1);
    assert_int_equal(r[8 + 129], 0);
}

/* Windows asks these, and says that it uses no memory before it sleeps. */
static void every_question_is_answered(void **state)
{
    struct synthvid_vram_location none = {.user_ctx = le64_of(3)};
    static const uint32_t pixel = 0x00123456;
    struct image img;
    struct err e = {0};
    uint8_t m[8];

    agree();
    hv_say(&g, relid, SYNTHVID_BIOS_INFO_REQUEST, m, sizeof(m));
    hear(SYNTHVID_BIOS_INFO_RESPONSE, 24);
    hv_say(&g, relid, SYNTHVID_CAPABILITY_REQUEST, m, sizeof(m));
    assert_int_equal(le32_at(hear(SYNTHVID_CAPABILITY_RESPONSE, 72) + 8), 0);
    locate(WINDOW);
    hear(SYNTHVID_VRAM_LOCATION_ACK, 16);
    show(0, 64, 48, 256, 32);
    hv_say(&g, relid, SYNTHVID_VRAM_LOCATION, &none, sizeof(none));
    assert_int_equal(le64_at(hear(SYNTHVID_VRAM_LOCATION_ACK, 16) + 8), 3);
    assert_int_equal(hub_image(hub, &img, &e), -2);
    assert_int_equal(gmem_write(g.f.env.mem, WINDOW, &pixel, 4), -14);
}

static void nonsense_shows_nothing(void **state)
{
    struct image img;
    struct err e = {0};
    uint8_t m[12];

    locate(WINDOW); /* before a version */
    assert_false(hv_get(&g, relid, &p));
    le32_put(m + 8, SYNTHVID_VERSION(4, 0));
    hv_say(&g, relid, SYNTHVID_VERSION_REQUEST, m, sizeof(m));
    assert_int_equal(hear(SYNTHVID_VERSION_RESPONSE, 14)[12], 0);
    agree();
    locate(0x1000); /* over memory */
    locate(WINDOW + WINDOW_SIZE - 4096);
    locate(WINDOW + 5);
    locate(UINT64_MAX - 4095);
    assert_false(hv_get(&g, relid, &p));
    show(0, 64, 64, 256, 32); /* nowhere */
    assert_int_equal(hub_image(hub, &img, &e), -2);
    locate(WINDOW);
    hear(SYNTHVID_VRAM_LOCATION_ACK, 16);
    show(UINT32_MAX, 64, 64, 256, 32);
    assert_true(hub_image(hub, &img, &e) < 0);
    show(0, 0x10000, 0x10000, 0x40000, 32);
    assert_true(hub_image(hub, &img, &e) < 0);
    show(0, 64, 64, 4, 32);
    assert_true(hub_image(hub, &img, &e) < 0);
    show((32 << 20) - 4096, 64, 64, 256, 32);
    assert_true(hub_image(hub, &img, &e) < 0);
    show(0, 64, 64, 256, 7);
    assert_int_equal(hub_image(hub, &img, &e), -2);
    hv_send(&g, relid, 0, "short", 5);
    hv_say(&g, relid, 99, m, sizeof(m));
    assert_false(hv_get(&g, relid, &p));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_picture_is_seen),
        TEST(resolutions_are_told),
        TEST(every_question_is_answered),
        TEST(nonsense_shows_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
