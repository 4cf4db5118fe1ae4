/* SPDX-License-Identifier: Apache-2.0 */
/* Frame buffer, keyboard and pointer as front ends use them and as broken ones do; xenstore from
 * outside. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "abi/bytes.h"
#include "console/hub.h"
#include "core/err.h"
#include "core/gmem.h"
#include "fakes/fake_env.h"
#include "personas/xen/vfb.h"

enum {
    PAGE = 4096,
    SHARED = 0x5000,
    FB = 0x10000,
    LIST = 0x11000,
    PIXELS = 0x20000,
    KBD = 0x30000
};
#define VFB "/local/domain/1/device/vfb/0/"
#define VKBD "/local/domain/1/device/vkbd/0/"
#define VKBD_RAW "/local/domain/0/backend/vkbd/1/0/feature-raw-pointer"

static struct fake_env f;
static struct xen *x;
static struct hub *hub;

static void upcall(void *arg, unsigned cpu)
{
    (void)arg;
    (void)cpu;
}

static uint8_t *ram(gpa_t at)
{
    uint8_t *p = gmem_shared(f.env.mem, at, PAGE);

    assert_non_null(p);
    return p;
}

static void run(void)
{
    xenstore_run(x->store);
    fake_env_run(&f);
    xenstore_run(x->store);
}

static unsigned new_port(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = 0};
    bool back;

    assert_int_equal(evtchn_op(x->ev, 0, EVTCHNOP_alloc_unbound, &a, sizeof(a), &back), 0);
    return a.port;
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    fake_env_create(&f, 2 * MiB);
    x = calloc(1, sizeof(*x));
    assert_non_null(x);
    assert_int_equal(hub_create(f.env.loop, &hub, &e), 0);
    x->p.env.dev = f.env;
    x->p.env.cpus = 1;
    x->p.env.hub = hub;
    x->longmode = true;
    assert_int_equal(evtchn_create(f.env.mem, 1, upcall, NULL, &x->ev, &e), 0);
    assert_int_equal(xenstore_create(&x->store, &e), 0);
    evtchn_set_shared(x->ev, SHARED, true);
    assert_int_equal(vfb_add(x, &e), 0);
    assert_int_equal(vkbd_add(x, &e), 0);
    run();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    xenbus_destroy(x);
    hub_destroy(hub);
    xenstore_destroy(x->store);
    evtchn_destroy(x->ev);
    free(x);
    fake_env_destroy(&f);
    return 0;
}

/* 16 x 16 pixels of 32 bits in one page, unless told otherwise. */
static void connect_screen(uint32_t width, uint32_t stride, uint32_t bytes)
{
    le32_put(ram(FB) + 16, width);
    le32_put(ram(FB) + 20, 16);
    le32_put(ram(FB) + 24, stride);
    le32_put(ram(FB) + 28, bytes);
    ram(FB)[32] = 32;
    le64_put(ram(FB) + 40, LIST / PAGE);
    le64_put(ram(LIST), PIXELS / PAGE);
    le64_put(ram(LIST) + 8, PIXELS / PAGE + 1);
    xs_put(x->store, VFB "page-ref", "%d", FB / PAGE);
    xs_put(x->store, VFB "event-channel", "%u", new_port());
    xs_put(x->store, VFB "state", "3");
    run();
}

static unsigned state_of(const char *class)
{
    char path[96];

    snprintf(path, sizeof(path), "/local/domain/0/backend/%s/1/0/state", class);
    return (unsigned)xs_get_u64(x->store, path, 0);
}

static void a_picture_is_what_the_guest_drew(void **state)
{
    struct image img;
    struct err e;

    (void)state;
    connect_screen(16, 64, PAGE);
    assert_int_equal(state_of("vfb"), XenbusStateConnected);
    le32_put(ram(PIXELS) + 64 + 4, 0x123456);
    assert_int_equal(hub_image(hub, &img, &e), 0);
    assert_int_equal(img.width, 16);
    assert_int_equal(img.pixels[17] & 0xffffff, 0x123456);
    free(img.pixels);
    xs_put(x->store, VFB "state", "5");
    run();
    assert_int_equal(hub_image(hub, &img, &e), -ENOENT);
}

static void a_picture_outside_its_pages_is_refused(void **state)
{
    (void)state;
    connect_screen(16, 1024, PAGE);
    assert_int_equal(state_of("vfb"), XenbusStateClosing);
}

static void a_picture_without_memory_is_refused(void **state)
{
    (void)state;
    connect_screen(16, 64, UINT32_MAX);
    assert_int_equal(state_of("vfb"), XenbusStateClosing);
}

static void a_resize_takes_effect_and_a_wild_one_does_not(void **state)
{
    uint8_t *ev = ram(FB) + 2048;
    uint32_t width, height;
    struct evtchn_send s;
    bool back;

    (void)state;
    connect_screen(16, 64, 2 * PAGE);
    s.port = (uint32_t)xs_get_u64(x->store, VFB "event-channel", 0);
    ev[0] = 3;
    le32_put(ev + 4, 32);
    le32_put(ev + 8, 16);
    le32_put(ev + 12, 128);
    le32_put(ev + 16, 32);
    ev[40] = 3;
    le32_put(ev + 44, 5000);
    le32_put(ev + 48, 5000);
    le32_put(ev + 52, 20000);
    le32_put(ev + 56, 32);
    le32_put(ram(FB) + 12, 2);
    assert_int_equal(evtchn_op(x->ev, 0, EVTCHNOP_send, &s, sizeof(s), &back), 0);
    run();
    assert_true(hub_size(hub, &width, &height));
    assert_int_equal(width, 32);
    assert_int_equal(le32_at(ram(FB) + 8), 2); /* both were taken */
}

static void connect_keyboard(void)
{
    xs_put(x->store, VKBD "page-ref", "%d", KBD / PAGE);
    xs_put(x->store, VKBD "event-channel", "%u", new_port());
    xs_put(x->store, VKBD "request-abs-pointer", "1");
    xs_put(x->store, VKBD "state", "3");
    run();
    assert_int_equal(state_of("vkbd"), XenbusStateConnected);
}

static void keys_and_buttons_are_events(void **state)
{
    struct pointer_event ev = {.x = 100, .y = 200, .buttons = POINTER_LEFT};
    const uint8_t *ring = ram(KBD) + 1024;

    (void)state;
    connect_keyboard();
    hub_key(hub, 30, true);
    hub_move(hub, &ev);
    run();
    assert_int_equal(le32_at(ram(KBD) + 4), 3);
    assert_int_equal(ring[0], 3);
    assert_int_equal(ring[1], 1);
    assert_int_equal(le32_at(ring + 4), 30);
    assert_int_equal(ring[40], 4);
    assert_int_equal(le32_at(ring + 44), 100);
    assert_int_equal(ring[80], 3);
    assert_int_equal(le32_at(ring + 84), 0x110);
}

/* Windows' driver takes no pointer that is not raw, which ours is: it spans what the ring can say.
 */
static void a_raw_pointer_is_an_absolute_one(void **state)
{
    struct pointer_event ev = {.x = 32767, .y = 200};
    const uint8_t *ring = ram(KBD) + 1024;

    (void)state;
    assert_int_equal(xs_get_u64(x->store, VKBD_RAW, 0), 1);
    xs_put(x->store, VKBD "page-ref", "%d", KBD / PAGE);
    xs_put(x->store, VKBD "event-channel", "%u", new_port());
    xs_put(x->store, VKBD "request-raw-pointer", "1");
    xs_put(x->store, VKBD "state", "3");
    run();
    hub_move(hub, &ev);
    run();
    assert_int_equal(ring[0], 4);
    assert_int_equal(le32_at(ring + 4), 32767);
}

static void a_full_ring_takes_no_more(void **state)
{
    (void)state;
    connect_keyboard();
    for (unsigned i = 0; i < 100; i++)
        hub_key(hub, 30, i & 1);
    run();
    assert_true(le32_at(ram(KBD) + 4) <= 51);
}

/* --- data.c --- */

static char seen[4096];

static void collect(void *arg, const char *key, const char *value)
{
    (void)arg;
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s=%s\n", key, value);
}

static void the_host_sees_and_changes_the_tree(void **state)
{
    struct err e;

    (void)state;
    assert_int_equal(xen_data_set(&x->p, "vm-data/colour", "blue", &e), 0);
    assert_int_equal(xen_data_set(&x->p, "/tool/x", "1\x01", &e), 0);
    seen[0] = '\0';
    xen_data_list(&x->p, "vm-", collect, NULL);
    assert_string_equal(seen, "vm-data=\nvm-data/colour=blue\n");
    seen[0] = '\0';
    xen_data_list(&x->p, "/tool/", collect, NULL);
    assert_string_equal(seen, "/tool/x=1\\x01\n");
    assert_int_equal(xen_data_set(&x->p, "vm-data/colour", NULL, &e), 0);
    assert_true(xen_data_set(&x->p, "vm-data/colour", NULL, &e) < 0);
}

static void the_host_keeps_off_what_drivers_agree_by(void **state)
{
    static const char *const wrong[] = {
        "device/vfb/0/state", "/local/domain/0/backend", "/local", "domid", "a b", "a//b", ""};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_true(xen_data_set(&x->p, wrong[i], "0", &e) < 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_picture_is_what_the_guest_drew),
        T(a_picture_outside_its_pages_is_refused),
        T(a_picture_without_memory_is_refused),
        T(a_resize_takes_effect_and_a_wild_one_does_not),
        T(keys_and_buttons_are_events),
        T(a_full_ring_takes_no_more),
        T(a_raw_pointer_is_an_absolute_one),
        T(the_host_sees_and_changes_the_tree),
        T(the_host_keeps_off_what_drivers_agree_by),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
