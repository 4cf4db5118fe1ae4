/* SPDX-License-Identifier: Apache-2.0 */
/* vmmouse, driven as Linux's driver does. */
#include "unit.h"

#include "core/err.h"
#include "core/loop.h"
#include "personas/vmware/vmware.h"

static struct vmware w;
static struct hub *hub;
static unsigned woken;

static bool plain_move(struct pointer *p, const struct pointer_event *ev)
{
    (void)p;
    assert_int_equal(ev->x | ev->y | ev->wheel, 0);
    woken++;
    return true;
}

static struct pointer plain = {.name = "plain", .move = plain_move};

static int setup(void **state)
{
    struct err e;

    (void)state;
    w = (struct vmware){.calls = 0};
    vmware_tasks(&w);
    pthread_mutex_init(&w.lock, NULL);
    assert_int_equal(loop_create_fake(&w.p.env.dev.loop, &e), 0);
    assert_int_equal(hub_create(w.p.env.dev.loop, &hub, &e), 0);
    w.p.env.hub = hub;
    hub_pointer(hub, &plain);
    woken = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vmware_mouse_gone(&w);
    hub_destroy(hub);
    loop_destroy(w.p.env.dev.loop);
    pthread_mutex_destroy(&w.lock);
    return 0;
}

static struct backdoor call(uint32_t cmd, uint32_t bx, unsigned cpl)
{
    struct backdoor b = {.ax = BDOOR_MAGIC, .bx = bx, .cx = cmd};

    pthread_mutex_lock(&w.lock);
    vmware_mouse_call(&w, cpl, &b);
    pthread_mutex_unlock(&w.lock);
    while (loop_step(w.p.env.dev.loop, 0) > 0)
        ;
    return b;
}

static void enable(void)
{
    call(BDOOR_CMD_ABSPOINTER_COMMAND, VMMOUSE_CMD_ENABLE, 0);
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_STATUS, 0, 0).ax, 1);
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_DATA, 1, 0).ax, VMMOUSE_VERSION_ID);
    call(BDOOR_CMD_ABSPOINTER_COMMAND, VMMOUSE_CMD_REQUEST_ABSOLUTE, 0);
    assert_int_equal(call(BDOOR_CMD_ISMOUSEABSOLUTE, 0, 0).ax, 1);
}

static void move(int x, int y, int wheel, unsigned buttons)
{
    struct pointer_event ev = {x, y, wheel, buttons};

    hub_move(hub, &ev);
}

static void places_are_told_and_the_plain_mouse_wakes_the_guest(void **state)
{
    struct backdoor b;

    (void)state;
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_STATUS, 0, 0).ax, 0);
    enable();
    move(32767, 0, -1, POINTER_LEFT | POINTER_MIDDLE);
    assert_int_equal(woken, 1);
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_STATUS, 0, 0).ax, 4);
    b = call(BDOOR_CMD_ABSPOINTER_DATA, 4, 0);
    assert_int_equal(b.ax, VMMOUSE_LEFT | VMMOUSE_MIDDLE);
    assert_int_equal(b.bx, 0xffff);
    assert_int_equal(b.cx, 0);
    assert_int_equal(b.dx, 0xff);
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_STATUS, 0, 0).ax, 0);
    call(BDOOR_CMD_ABSPOINTER_COMMAND, VMMOUSE_CMD_DISABLE, 0);
    assert_false(w.mouse.bound);
}

static void words_that_are_not_there_are_an_error_until_it_is_enabled_again(void **state)
{
    (void)state;
    enable();
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_DATA, 4, 0).ax, VMMOUSE_ERROR);
    move(1, 1, 0, 0);
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_STATUS, 0, 0).ax, VMMOUSE_ERROR);
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_DATA, 5, 0).ax, VMMOUSE_ERROR);
    enable();
    for (int i = 0; i < 2000; i++)
        move(i, i, 0, 0);
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_STATUS, 0, 0).ax, VMMOUSE_WORDS);
}

static void programs_are_kept_out_when_the_kernel_says_so(void **state)
{
    (void)state;
    enable();
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_STATUS, 0, 3).ax, 0);
    call(BDOOR_CMD_ABSPOINTER_RESTRICT, VMMOUSE_RESTRICT_CPL0, 0);
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_STATUS, 0, 3).ax, UINT32_MAX);
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_STATUS, 0, 0).ax, 0);
    vmware_mouse_reset(&w);
    assert_int_equal(call(BDOOR_CMD_ABSPOINTER_STATUS, 0, 3).ax, 0);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(places_are_told_and_the_plain_mouse_wakes_the_guest),
        T(words_that_are_not_there_are_an_error_until_it_is_enabled_again),
        T(programs_are_kept_out_when_the_kernel_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
