/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8042.c - the keyboard controller of the IBM PS/2 (Hardware Interface Technical Reference,
 * "Keyboard and Auxiliary Device Controller"), with ps2.c's keyboard and mouse on its two ports.
 *
 * It answers at once: the input buffer is never full. Resets by pulsing the output port's bit 0;
 * A20 is storage only, the line is always open.
 *
 * Threads: io() on vCPU threads; key and mouse events on the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "board/chipset/chipset.h"
#include "board/chipset/ps2.h"
#include "console/hub.h"
#include "core/err.h"

enum region { REGION_DATA, REGION_STATUS, REGIONS };
enum { I8042_GSI_KBD = 1, I8042_GSI_AUX = 12 };

enum i8042_bits {
    I8042_STR_OBF = 0x01,
    I8042_STR_SYS = 0x04,
    I8042_STR_CMD = 0x08,
    I8042_STR_UNLOCKED = 0x10,
    I8042_STR_AUXDATA = 0x20,
    I8042_CTR_KBDINT = 0x01,
    I8042_CTR_AUXINT = 0x02,
    I8042_CTR_SYS = 0x04,
    I8042_CTR_KBDDIS = 0x10,
    I8042_CTR_AUXDIS = 0x20,
    I8042_CTR_XLATE = 0x40,
    I8042_OUT_RESET = 0x01, /* low resets */
    I8042_OUT_A20 = 0x02,
    I8042_OUT_KBD_OBF = 0x10,
    I8042_OUT_AUX_OBF = 0x20,
};

enum i8042_source { FROM_NOBODY, FROM_CONTROLLER, FROM_KBD, FROM_AUX };

struct i8042_state {
    uint8_t ctr, out_port, data;
    uint8_t command; /* waits for its byte, 0: none */
    bool last_was_command;
    bool aux_data;            /* data is for the mouse's interrupt */
    enum i8042_source source; /* of what is in data; nobody: empty */
    uint8_t ram[32];
};

struct i8042 {
    struct device d; /* first */
    struct i8042_state s;
    struct ps2_keyboard kbd;
    struct ps2_mouse mouse;
    struct board_signal sig;
    struct irq *irq[2];
    bool irq_up[2];
    struct hub *hub;
    struct keyboard keyboard;
    struct pointer pointer;
};

static void i8042_lines(struct i8042 *k)
{
    const struct i8042_state *s = &k->s;
    bool full = s->source != FROM_NOBODY;
    bool up[2] = {full && !s->aux_data && (s->ctr & I8042_CTR_KBDINT),
                  full && s->aux_data && (s->ctr & I8042_CTR_AUXINT)};

    for (unsigned i = 0; i < 2; i++) {
        if (up[i] == k->irq_up[i])
            continue;
        k->irq_up[i] = up[i];
        k->irq[i]->set(k->irq[i], up[i]);
    }
}

static void i8042_put(struct i8042 *k, enum i8042_source from, uint8_t v)
{
    k->s.data = v;
    k->s.source = from;
    k->s.aux_data = from == FROM_AUX;
}

/* Moves the next byte of a device into an empty output buffer. */
static void i8042_fill(struct i8042 *k)
{
    struct i8042_state *s = &k->s;
    uint8_t v;

    if (s->source == FROM_NOBODY && !(s->ctr & I8042_CTR_KBDDIS) &&
        ps2_keyboard_next(&k->kbd, s->ctr & I8042_CTR_XLATE, &v))
        i8042_put(k, FROM_KBD, v);
    if (s->source == FROM_NOBODY && !(s->ctr & I8042_CTR_AUXDIS) && ps2_mouse_next(&k->mouse, &v))
        i8042_put(k, FROM_AUX, v);
    i8042_lines(k);
}

static void i8042_reset_line(struct i8042 *k, const char *how)
{
    k->sig.event(k->sig.arg, BOARD_RESET, 0, how);
}

/* Commands without a byte after them. */
static void i8042_command(struct i8042 *k, uint8_t c)
{
    struct i8042_state *s = &k->s;

    s->command = 0;
    switch (c) {
    case 0x20 ... 0x3f:
        i8042_put(k, FROM_CONTROLLER, c == 0x20 ? s->ctr : s->ram[c & 0x1f]);
        break;
    case 0xa7:
        s->ctr |= I8042_CTR_AUXDIS;
        break;
    case 0xa8:
        s->ctr &= (uint8_t)~I8042_CTR_AUXDIS;
        break;
    case 0xa9: /* interface tests: no error */
    case 0xab:
        i8042_put(k, FROM_CONTROLLER, 0x00);
        break;
    case 0xaa:
        s->ctr |= I8042_CTR_SYS;
        i8042_put(k, FROM_CONTROLLER, 0x55);
        break;
    case 0xad:
        s->ctr |= I8042_CTR_KBDDIS;
        break;
    case 0xae:
        s->ctr &= (uint8_t)~I8042_CTR_KBDDIS;
        break;
    case 0xc0: /* input port: keyboard not locked, colour display */
        i8042_put(k, FROM_CONTROLLER, 0x80);
        break;
    case 0xd0:
        i8042_put(k, FROM_CONTROLLER,
                  (uint8_t)(s->out_port | (s->source == FROM_KBD ? I8042_OUT_KBD_OBF : 0) |
                            (s->source == FROM_AUX ? I8042_OUT_AUX_OBF : 0)));
        break;
    case 0xdd:
        s->out_port &= (uint8_t)~I8042_OUT_A20;
        break;
    case 0xdf:
        s->out_port |= I8042_OUT_A20;
        break;
    case 0xf0 ... 0xff:
        if (!(c & 1))
            i8042_reset_line(k, "keyboard controller pulsed the reset line");
        break;
    case 0x60 ... 0x7f:
    case 0xd1 ... 0xd4:
        s->command = c;
        break;
    default:
        guest_fault(&k->d, "unknown command 0x%02x", c);
    }
}

static void i8042_command_byte(struct i8042 *k, uint8_t c, uint8_t v)
{
    struct i8042_state *s = &k->s;

    switch (c) {
    case 0xd1:
        s->out_port = v;
        if (!(v & I8042_OUT_RESET))
            i8042_reset_line(k, "keyboard controller's output port");
        break;
    case 0xd2:
        i8042_put(k, FROM_KBD, v);
        break;
    case 0xd3:
        i8042_put(k, FROM_AUX, v);
        break;
    case 0xd4:
        s->ctr &= (uint8_t)~I8042_CTR_AUXDIS;
        ps2_mouse_write(&k->mouse, v);
        break;
    default:
        if (c == 0x60)
            s->ctr = v & 0x7f;
        else
            s->ram[c & 0x1f] = v;
    }
}

static uint8_t i8042_status(const struct i8042 *k)
{
    const struct i8042_state *s = &k->s;
    uint8_t v = I8042_STR_UNLOCKED;

    if (s->source != FROM_NOBODY)
        v |= I8042_STR_OBF | (s->aux_data ? I8042_STR_AUXDATA : 0);
    if (s->ctr & I8042_CTR_SYS)
        v |= I8042_STR_SYS;
    if (s->last_was_command)
        v |= I8042_STR_CMD;
    return v;
}

static void i8042_write(struct i8042 *k, unsigned region, uint8_t v)
{
    struct i8042_state *s = &k->s;
    uint8_t c = s->command;

    s->last_was_command = region == REGION_STATUS;
    if (region == REGION_STATUS) {
        i8042_command(k, v);
    } else if (c) {
        s->command = 0;
        i8042_command_byte(k, c, v);
    } else {
        s->ctr &= (uint8_t)~I8042_CTR_KBDDIS; /* talking to the keyboard switches it on */
        ps2_keyboard_write(&k->kbd, v);
    }
}

static void i8042_io(struct device *d, unsigned region, uint64_t off, unsigned size,
                     enum access dir, uint64_t *val)
{
    struct i8042 *k = (struct i8042 *)d;

    if (dir == ACC_WRITE) {
        i8042_write(k, region, (uint8_t)*val);
        i8042_fill(k);
    } else if (region == REGION_STATUS) {
        *val = i8042_status(k);
    } else {
        *val = k->s.data; /* the last byte again when empty */
        if (k->s.source == FROM_NOBODY)
            return;
        k->s.source = FROM_NOBODY;
        i8042_lines(k); /* down first: the next byte is a new edge */
        i8042_fill(k);
    }
}

bool i8042_key(struct device *d, uint8_t code, bool extended, bool down)
{
    struct i8042 *k = (struct i8042 *)d;
    bool taken;

    device_lock(d);
    taken = ps2_keyboard_key(&k->kbd, code, extended, down);
    i8042_fill(k);
    device_unlock(d);
    return taken;
}

/* --- for the hub --- */

static bool i8042_hub_key(struct keyboard *base, unsigned code, bool down)
{
    struct i8042 *k = container_of(base, struct i8042, keyboard);
    uint8_t b[8];
    size_t n = key_set1(code, true, b);

    if (n == 0 || n > 2) /* no such key on this keyboard; PAUSE has no code of its own */
        return true;
    return i8042_key(&k->d, b[n - 1], n == 2, down);
}

/* Steps are relative; down is up here. */
static bool i8042_hub_move(struct pointer *base, const struct pointer_event *ev)
{
    struct i8042 *k = container_of(base, struct i8042, pointer);

    i8042_mouse(&k->d, ev->x, -ev->y, ev->wheel, ev->buttons);
    return true;
}

void i8042_mouse(struct device *d, int dx, int dy, int wheel, unsigned buttons)
{
    struct i8042 *k = (struct i8042 *)d;

    device_lock(d);
    ps2_mouse_event(&k->mouse, dx, dy, wheel, buttons);
    i8042_fill(k);
    device_unlock(d);
}

static void i8042_reset(struct device *d)
{
    struct i8042 *k = (struct i8042 *)d;

    device_lock(d);
    /* As a BIOS leaves it for kernels that are started without one: tested, translating, with the
     * keyboard's interrupt on. */
    k->s = (struct i8042_state){
        .ctr = I8042_CTR_KBDINT | I8042_CTR_SYS | I8042_CTR_XLATE,
        .out_port = I8042_OUT_RESET | I8042_OUT_A20,
    };
    ps2_keyboard_init(&k->kbd);
    ps2_mouse_init(&k->mouse);
    i8042_lines(k);
    device_unlock(d);
}

static void i8042_destroy(struct device *d)
{
    struct i8042 *k = (struct i8042 *)d;

    hub_keyboard_gone(k->hub, &k->keyboard);
    hub_pointer_gone(k->hub, &k->pointer);
    for (unsigned i = 0; i < 2; i++) {
        if (k->irq[i])
            d->env.irqs->ops->release(d->env.irqs, k->irq[i]);
    }
    chipset_free(d, REGIONS, NULL);
    free(k);
}

static void i8042_describe(struct device *d, struct dump *out)
{
    struct i8042 *k = (struct i8042 *)d;

    dump_add(out, "i8042.keyboard", "%s", k->kbd.enabled ? "enabled" : "disabled");
    dump_add(out, "i8042.mouse", "%s", k->mouse.reporting ? "enabled" : "disabled");
}

static const struct device_ops i8042_ops = {
    .name = "i8042",
    .destroy = i8042_destroy,
    .reset = i8042_reset,
    .io = i8042_io,
    .describe = i8042_describe,
};

int i8042_create(const struct env *env, const struct board_signal *sig, struct hub *hub,
                 struct device **out, struct err *e)
{
    struct i8042 *k = calloc(1, sizeof(*k));
    int rc;

    if (!k)
        return err_set(e, ENOMEM, "no memory for the keyboard controller");
    device_init(&k->d, &i8042_ops, env);
    k->sig = *sig;
    rc = chipset_line(env, I8042_GSI_KBD, &k->irq[0], e);
    if (rc == 0)
        rc = chipset_line(env, I8042_GSI_AUX, &k->irq[1], e);
    if (rc == 0)
        rc = chipset_claim(env, 0x60, 1, &k->d, REGION_DATA, e);
    if (rc == 0)
        rc = chipset_claim(env, 0x64, 1, &k->d, REGION_STATUS, e);
    if (rc < 0) {
        i8042_destroy(&k->d);
        return rc;
    }
    i8042_reset(&k->d);
    k->hub = hub;
    k->keyboard = (struct keyboard){.name = "i8042", .key = i8042_hub_key};
    k->pointer = (struct pointer){.name = "i8042", .move = i8042_hub_move};
    hub_keyboard(hub, &k->keyboard);
    hub_pointer(hub, &k->pointer);
    *out = &k->d;
    return 0;
}
