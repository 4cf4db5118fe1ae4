/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC's fixed ports in any order and width, with keys, mouse, console bytes, passing time and
 * resets in between. The serial port must put out every byte that it was given.
 */
#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "board/chipset/chipset.h"
#include "board/chipset/shadow.h"
#include "board/layout.h"
#include "console/console.h"
#include "core/err.h"
#include "core/loop.h"
#include "fakes/fake_env.h"

enum { OPS_MAX = 2000, DEVICES = 7 };

static struct fake_env f;
static struct device *dev[DEVICES];
static uint64_t wall;

static struct {
    struct console n;
    console_take_fn *take;
    void *arg;
} con;

static void con_write(struct console *n, const uint8_t *p, size_t len)
{
    assert(len > 0 && len <= 64);
}

static void con_listen(struct console *n, console_take_fn *take, void *arg)
{
    con.take = take;
    con.arg = arg;
}

static void con_more(struct console *n)
{
    static const uint8_t text[64] = "more";

    assert(con.take(con.arg, text, sizeof(text)) <= 16);
}

static const struct console_ops con_ops = {
    .name = "fuzz", .write = con_write, .listen = con_listen, .more = con_more};

static uint64_t fuzz_wall(void)
{
    return wall;
}

static void event(void *arg, enum board_event what, unsigned value, const char *text)
{
}

static void create(void)
{
    static const struct board_signal sig = {event, NULL};
    static const struct rtc_cfg rtc = {.wall = fuzz_wall, .memory = GiB, .cpus = 2};
    static struct shadow shadow;
    static const struct bridges_cfg bridges = {&shadow, false};
    struct err e = {0};
    int rc;

    wall = UINT64_C(1795269598000000000);
    con.n.ops = &con_ops;
    fake_env_create(&f, 1 << 20);
    rc = bridges_create(&f.env, &bridges, &e);
    rc |= uart_create(&f.env, 0x3f8, 4, &con.n, &dev[0], &e);
    rc |= rtc_create(&f.env, &rtc, &dev[1], &e);
    rc |= i8042_create(&f.env, &sig, NULL, &dev[2], &e);
    rc |= pm_create(&f.env, &sig, &dev[3], &e);
    rc |= pvpanic_create(&f.env, &sig, &dev[4], &e);
    rc |= testdev_create(&f.env, &sig, &dev[5], &e);
    rc |= hpet_create(&f.env, &dev[6], &e);
    assert(rc == 0);
}

static void destroy(void)
{
    for (unsigned i = 0; i < DEVICES; i++)
        dev[i]->ops->destroy(dev[i]);
    fake_env_destroy(&f);
}

static void pass(uint64_t ns)
{
    wall += ns;
    loop_advance(f.env.loop, ns);
    loop_step(f.env.loop, 0); /* one round: a periodic interrupt never lets the loop run dry */
}

static void step(const uint8_t *p)
{
    static const uint16_t ports[] = {0x60,  0x64,  0x70,  0x71,  0x92,  0xb2,  0x3f8, 0x3f9,
                                     0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x600, 0x602, 0x604, 0x608,
                                     0x620, 0x622, 0xcf8, 0xcf9, 0x505, 0xe0,  0xe4,  0x2008};
    uint16_t port = ports[p[1] % ARRAY_SIZE(ports)];
    uint32_t v = p[2] | (uint32_t)p[3] << 8 | (uint32_t)p[2] << 20;
    unsigned size = 1u << (p[0] >> 4) % 3;

    switch (p[0] & 15) {
    case 0 ... 5:
        fake_env_out(&f, port, size, v);
        break;
    case 6 ... 8:
        fake_env_in(&f, port, size);
        break;
    case 9: /* the event timer; its counter, too */
        fake_env_write(&f, LAYOUT_HPET + p[1] % 0x60 * 4, size == 1 ? 8 : 4, v);
        fake_env_read(&f, LAYOUT_HPET + 0xf0, 8);
        break;
    case 10:
        fake_env_out(&f, p[1] | p[2] << 8, size, v);
        fake_env_in(&f, p[1] | p[2] << 8, size);
        break;
    case 11:
        i8042_key(dev[2], p[1], p[2] & 1, p[2] & 2);
        i8042_mouse(dev[2], (int8_t)p[2] * 100000, (int8_t)p[3], (int8_t)p[1], p[3]);
        break;
    case 12:
        pass((uint64_t)p[1] << (p[2] % 40));
        break;
    case 13:
        if (con.take(con.arg, p, 4) < 4)
            pass(0);
        break;
    case 14:
        (void)!pm_button(dev[3]);
        pm_gpe(dev[3], p[1] & 15);
        break;
    default:
        dev[p[1] % DEVICES]->ops->reset(dev[p[1] % DEVICES]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    create();
    for (size_t at = 0; at + 4 <= size && at < 4 * OPS_MAX; at += 4)
        step(data + at);
    destroy();
    return 0;
}
